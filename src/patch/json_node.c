/*
 * json_node.c
 *		The nodes of a jsonb value that can be changed in place.
 *
 * A node is closed while it is nothing but a value: a scalar, or the bytes of
 * a container.  A container is opened when something in it is to change, and
 * then keeps its bytes as a base:
 *
 * - An opened array is a list of slots.  A slot has a node, or the number of
 *   an element of the base that nobody has touched.  The list has a gap, as
 *   an editor's buffer does: inserting or deleting moves the slots between
 *   the gap and the place (16 bytes each), so that work in one place costs
 *   O(1) and work anywhere at most one pass over the slots.
 * - An opened object is a hash table of the members that are not, or no
 *   longer, the base's.  Looking up, setting and removing are O(1) in it, and
 *   O(log n) in the base.
 *
 * Opening an array costs 16 bytes for each element, opening an object nothing
 * that grows with it.  What was not opened is copied as bytes when a node is
 * written: nothing below is looked at.
 *
 * Nodes, and copies of keys, are of the context that is current when a
 * function makes them; values point to bytes that the caller keeps.  Nothing
 * is freed but by deleting that context.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "compat.h"
#include "json_node.h"

/* Elements between two looks at whether the query was cancelled. */
#define INTERRUPT_STRIDE 4096

/* An element of an opened array. */
typedef struct Slot
{
	NbmNode    *node;			/* NULL: element number of the base */
	int			number;
} Slot;

/* A member that is not as the base has it. */
typedef struct Change
{
	NbmText		key;
	NbmNode    *node;			/* NULL: removed; then the base has it */
	uint32		hash;
	char		status;
} Change;

#define SH_PREFIX changes
#define SH_ELEMENT_TYPE Change
#define SH_KEY_TYPE NbmText
#define SH_KEY key
#define SH_HASH_KEY(table, key) \
	hash_bytes((const unsigned char *) (key).str, (key).len)
#define SH_EQUAL(table, a, b) nbm_text_eq(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) ((entry)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "quiet_simplehash.h"

struct NbmNode
{
	JsonbValue	value;			/* closed: the value; opened: the base */
	int			count;			/* elements or members; opened only */
	Slot	   *slots;			/* of an opened array, otherwise NULL */
	int			room;			/* slots with the gap */
	int			gap;			/* where it begins */
	struct changes_hash *changes;	/* of an opened object, otherwise NULL */
};

/* A member of an object that is being written. */
typedef struct WriteMember
{
	NbmNode    *node;			/* NULL: member number of the base */
	int			number;
} WriteMember;

/* A new closed node; the value points to bytes that must outlive it. */
NbmNode *
nbm_node_make(const JsonbValue *value)
{
	NbmNode    *node = palloc0(sizeof(NbmNode));

	node->value = *value;
	return node;
}

/* Was the node opened? */
static bool
is_open(const NbmNode *node)
{
	return node->slots != NULL || node->changes != NULL;
}

/* Closes a node that was written: it is these bytes from now on. */
void
nbm_node_freeze(NbmNode *node, Jsonb *written)
{
	memset(node, 0, sizeof(*node));
	nbm_set_jsonb(&node->value, written);
}

/* Makes a place whose node is closed the node's value. */
void
nbm_node_look(NbmPlace *place)
{
	if (place->node != NULL && !is_open(place->node))
	{
		place->value = place->node->value;
		place->node = NULL;
	}
}

/* What a place's value or base is; it is not copied. */
static const JsonbValue *
base_of(const NbmPlace *place)
{
	return place->node == NULL ? &place->value : &place->node->value;
}

/* Is the value an array? */
bool
nbm_node_is_array(const NbmPlace *place)
{
	return nbm_is_array(base_of(place));
}

/* Is the value an object? */
bool
nbm_node_is_object(const NbmPlace *place)
{
	return nbm_is_object(base_of(place));
}

/* How many elements or members has a container? */
int
nbm_node_count(const NbmPlace *place)
{
	if (place->node != NULL && is_open(place->node))
		return place->node->count;
	return JsonContainerSize(base_of(place)->val.binary.data);
}

/* The slot of an element of an opened array; index must be in range. */
static Slot *
slot_of(const NbmNode *array, int index)
{
	Assert(index >= 0 && index < array->count);
	return &array->slots[index < array->gap ? index :
						 index + array->room - array->count];
}

/* Finds an element of an array; index must be in range. */
void
nbm_node_element(const NbmPlace *array, int index, NbmPlace *element)
{
	element->node = NULL;
	if (array->node != NULL && array->node->slots != NULL)
	{
		Slot	   *slot = slot_of(array->node, index);

		element->node = slot->node;
		index = slot->number;
	}
	if (element->node == NULL)
		nbm_element(base_of(array)->val.binary.data, index, &element->value);
}

/* Finds a member of an object; false where it has none of that name. */
bool
nbm_node_member(const NbmPlace *object, NbmText key, NbmPlace *member)
{
	member->node = NULL;
	if (object->node != NULL && object->node->changes != NULL)
	{
		Change	   *change = changes_lookup(object->node->changes, key);

		if (change != NULL)
		{
			member->node = change->node;
			return change->node != NULL;
		}
	}
	return getKeyJsonValueFromContainer(base_of(object)->val.binary.data,
										key.str, key.len,
										&member->value) != NULL;
}

/*
 * Opens a container, so that it can be changed; does nothing where it is open
 * already.  The value must not be a scalar.
 */
void
nbm_node_open(NbmNode *node)
{
	int			count;

	if (is_open(node))
		return;
	Assert(node->value.type == jbvBinary);
	count = JsonContainerSize(node->value.val.binary.data);
	node->count = count;
	if (nbm_is_object(&node->value))
	{
		node->changes = changes_create(CurrentMemoryContext, 4, NULL);
		return;
	}
	node->room = count + count / 8 + 8;
	node->gap = count;
	node->slots = palloc_extended(mul_size(sizeof(Slot), node->room),
								  MCXT_ALLOC_HUGE);
	for (int i = 0; i < count; i++)
	{
		node->slots[i].node = NULL;
		node->slots[i].number = i;
	}
}

/* Moves an opened array's gap before an element. */
static void
move_gap(NbmNode *array, int index)
{
	int			size = array->room - array->count;
	Slot	   *slots = array->slots;

	if (index < array->gap)
		memmove(&slots[index + size], &slots[index],
				sizeof(Slot) * (array->gap - index));
	else
		memmove(&slots[array->gap], &slots[array->gap + size],
				sizeof(Slot) * (index - array->gap));
	array->gap = index;
}

/* Inserts an element before another of an opened array, or behind the last. */
void
nbm_node_insert(NbmNode *array, int index, NbmNode *element)
{
	Slot	   *slot;

	Assert(index >= 0 && index <= array->count);
	if (array->count == array->room)
	{
		move_gap(array, array->count);
		array->room += array->room / 2 + 8;
		array->slots = repalloc_huge(array->slots,
									 mul_size(sizeof(Slot), array->room));
	}
	move_gap(array, index);
	slot = &array->slots[array->gap++];
	slot->node = element;
	slot->number = -1;
	array->count++;
}

/* Takes an element out of an opened array. */
void
nbm_node_delete(NbmNode *array, int index)
{
	Assert(index >= 0 && index < array->count);
	move_gap(array, index + 1);
	array->gap--;
	array->count--;
}

/* Puts another element in the place of one of an opened array. */
void
nbm_node_set_element(NbmNode *array, int index, NbmNode *element)
{
	slot_of(array, index)->node = element;
}

/* The node of an element of an opened array, made where there is none. */
NbmNode *
nbm_node_open_element(NbmNode *array, int index)
{
	Slot	   *slot = slot_of(array, index);

	if (slot->node == NULL)
	{
		JsonbValue	value;

		nbm_element(array->value.val.binary.data, slot->number, &value);
		slot->node = nbm_node_make(&value);
	}
	return slot->node;
}

/* Does the base of an opened object have a member? */
static bool
base_has(const NbmNode *object, NbmText key)
{
	JsonbValue	value;

	return getKeyJsonValueFromContainer(object->value.val.binary.data,
										key.str, key.len, &value) != NULL;
}

/* Notes a change of an opened object; the key is copied where it is new. */
static void
put_change(NbmNode *object, NbmText key, NbmNode *member)
{
	bool		found;
	Change	   *change = changes_insert(object->changes, key, &found);

	if (!found)
	{
		char	   *copy = palloc(key.len + 1);

		memcpy(copy, key.str, key.len);
		change->key.str = copy;
	}
	change->node = member;
}

/* Sets a member of an opened object, which may be new. */
void
nbm_node_set(NbmNode *object, NbmText key, NbmNode *member)
{
	NbmPlace	place = {object};
	NbmPlace	old;

	if (!nbm_node_member(&place, key, &old))
		object->count++;
	put_change(object, key, member);
}

/* Removes a member, which must be there, of an opened object. */
void
nbm_node_unset(NbmNode *object, NbmText key)
{
	if (base_has(object, key))
		put_change(object, key, NULL);
	else
		changes_delete(object->changes, key);
	object->count--;
}

/* The node of a member of an opened object, NULL where there is no such. */
NbmNode *
nbm_node_open_member(NbmNode *object, NbmText key)
{
	NbmPlace	place = {object};
	NbmPlace	member;

	if (!nbm_node_member(&place, key, &member))
		return NULL;
	if (member.node == NULL)
	{
		member.node = nbm_node_make(&member.value);
		put_change(object, key, member.node);
	}
	return member.node;
}

/* The depth of an opened object's members; see nbm_node_depth. */
static int
members_depth(const NbmNode *object, int limit)
{
	JsonbContainer *base = object->value.val.binary.data;
	changes_iterator it;
	Change	   *change;
	int			deepest = 0;

	for (int i = 0; i < JsonContainerSize(base) && deepest <= limit; i++)
	{
		NbmPlace	member = {NULL};
		NbmText		key;

		nbm_member(base, i, &key, &member.value);
		if (member.value.type == jbvBinary &&
			changes_lookup(object->changes, key) == NULL)
			deepest = Max(deepest, nbm_node_depth(&member, limit));
	}
	changes_start_iterate(object->changes, &it);
	while (deepest <= limit &&
		   (change = changes_iterate(object->changes, &it)) != NULL)
	{
		NbmPlace	member = {change->node};

		if (change->node != NULL)
			deepest = Max(deepest, nbm_node_depth(&member, limit));
	}
	return deepest;
}

/*
 * How many containers deep is a value, itself included?  Stops looking, and
 * answers limit + 1, as soon as it is deeper than the limit.
 */
int
nbm_node_depth(const NbmPlace *place, int limit)
{
	NbmPlace	at = *place;
	int			deepest = 0;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	nbm_node_look(&at);
	if (base_of(&at)->type != jbvBinary)
		return 0;
	if (at.node == NULL)
		return nbm_depth(at.value.val.binary.data, limit);
	if (limit <= 0)
		return limit + 1;
	if (at.node->changes != NULL)
		return members_depth(at.node, limit - 1) + 1;
	for (int i = 0; i < at.node->count && deepest < limit; i++)
	{
		NbmPlace	element;

		nbm_node_element(&at, i, &element);
		deepest = Max(deepest, nbm_node_depth(&element, limit - 1));
	}
	return deepest + 1;
}

/*
 * Are two values equal, as JSON Patch compares them?  Numbers are compared by
 * their value, objects whatever the order of their members.
 */
bool
nbm_node_equals(const NbmPlace *place, const JsonbValue *value)
{
	NbmPlace	at = *place;
	int			count;

	check_stack_depth();
	nbm_node_look(&at);
	if (at.node == NULL && nbm_value_eq(&at.value, value))
		return true;
	if (base_of(&at)->type != value->type)
		return false;
	if (value->type == jbvNumeric)
		return DatumGetBool(DirectFunctionCall2(numeric_eq,
												NumericGetDatum(at.value.val.numeric),
												NumericGetDatum(value->val.numeric)));
	if (value->type != jbvBinary ||
		nbm_node_is_array(&at) != nbm_is_array(value))
		return false;
	count = JsonContainerSize(value->val.binary.data);
	if (nbm_node_count(&at) != count)
		return false;
	for (int i = 0; i < count; i++)
	{
		NbmPlace	ours;
		JsonbValue	theirs;
		NbmText		key;

		CHECK_FOR_INTERRUPTS();
		if (nbm_is_array(value))
		{
			nbm_element(value->val.binary.data, i, &theirs);
			nbm_node_element(&at, i, &ours);
		}
		else
		{
			nbm_member(value->val.binary.data, i, &key, &theirs);
			if (!nbm_node_member(&at, key, &ours))
				return false;
		}
		if (!nbm_node_equals(&ours, &theirs))
			return false;
	}
	return true;
}

/* Writes the elements of an opened array. */
static void
write_array(NbmWriter *w, const NbmNode *array)
{
	nbm_writer_begin_array(w, array->count);
	for (int i = 0; i < array->count; i++)
	{
		Slot	   *slot = slot_of(array, i);
		JsonbValue	value;

		if (i % INTERRUPT_STRIDE == 0)
			CHECK_FOR_INTERRUPTS();
		if (slot->node != NULL)
			nbm_node_write(w, slot->node);
		else
		{
			nbm_element(array->value.val.binary.data, slot->number, &value);
			nbm_writer_value(w, &value);
		}
	}
	nbm_writer_end(w);
}

/* qsort comparator of changes by key. */
static int
change_cmp(const void *a, const void *b)
{
	return nbm_key_cmp((*(Change *const *) a)->key,
					   (*(Change *const *) b)->key);
}

/* The changes of an opened object in the order of their keys, newly listed. */
static Change **
sort_changes(const NbmNode *object)
{
	Change	  **list = palloc_array(Change *, object->changes->members + 1);
	changes_iterator it;
	Change	   *change;
	int			count = 0;

	changes_start_iterate(object->changes, &it);
	while ((change = changes_iterate(object->changes, &it)) != NULL)
		list[count++] = change;
	if (count > 1)
		qsort(list, count, sizeof(Change *), change_cmp);
	return list;
}

/*
 * Lists the members of an opened object in the order of their keys; keys and
 * members have room for all of them.
 */
static void
list_members(const NbmNode *object, NbmText *keys, WriteMember *members)
{
	JsonbContainer *base = object->value.val.binary.data;
	int			nbase = JsonContainerSize(base);
	Change	  **list = sort_changes(object);
	int			nchanges = object->changes->members;
	int			count = 0;
	int			i = 0;
	int			j = 0;

	while (i < nbase || j < nchanges)
	{
		NbmText		key;
		int			order = -1;

		if (i < nbase)
			nbm_member(base, i, &key, NULL);
		if (j < nchanges)
			order = i == nbase ? 1 : nbm_key_cmp(key, list[j]->key);
		if (order < 0 || list[j]->node != NULL)
		{
			Assert(count < object->count);
			keys[count] = order < 0 ? key : list[j]->key;
			members[count].node = order < 0 ? NULL : list[j]->node;
			members[count++].number = i;
		}
		i += order <= 0;
		j += order >= 0;
	}
	Assert(count == object->count);
	pfree(list);
}

/* Writes the members of an opened object. */
static void
write_object(NbmWriter *w, const NbmNode *object)
{
	Size		count = Max(object->count, 1);
	NbmText    *keys = palloc_extended(mul_size(sizeof(NbmText), count),
									   MCXT_ALLOC_HUGE);
	WriteMember *members = palloc_extended(mul_size(sizeof(WriteMember), count),
										   MCXT_ALLOC_HUGE);

	list_members(object, keys, members);
	nbm_writer_begin_object(w, object->count, keys);
	for (int i = 0; i < object->count; i++)
	{
		JsonbValue	value;
		NbmText		key;

		if (i % INTERRUPT_STRIDE == 0)
			CHECK_FOR_INTERRUPTS();
		if (members[i].node != NULL)
			nbm_node_write(w, members[i].node);
		else
		{
			nbm_member(object->value.val.binary.data, members[i].number, &key,
					   &value);
			nbm_writer_value(w, &value);
		}
	}
	nbm_writer_end(w);
	pfree(keys);
	pfree(members);
}

/*
 * Writes a value.  What was not opened is copied as it is.  Raises 54000 where
 * a container becomes larger than jsonb can hold.
 */
void
nbm_node_write(NbmWriter *w, const NbmNode *node)
{
	check_stack_depth();
	if (node->slots != NULL)
		write_array(w, node);
	else if (node->changes != NULL)
		write_object(w, node);
	else
		nbm_writer_value(w, &node->value);
}
