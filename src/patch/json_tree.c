/*
 * json_tree.c
 *		A jsonb value that can be changed in place.
 *
 * What a pointer leads to is found by going down the tree's nodes and, below
 * them, the bytes of the value.  Only what holds a change becomes nodes
 * (json_node.c), so that a change costs about as much as its pointer is long,
 * and writing the whole value about as much as copying it.
 *
 * Memory is not freed piece by piece.  Where the tree's context has grown to
 * MEMORY_FACTOR times the value's size and MEMORY_SPARE more, the value is
 * written into a new context and the old one deleted.  That much must have
 * been allocated by changes since the last time, so that writing adds no more
 * than a constant factor to their cost, however long the chain of changes is.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "compat.h"
#include "json_tree.h"

/* An opened array has up to six times the size of its base: 16 is well above. */
#define MEMORY_FACTOR 16
#define MEMORY_SPARE (4 * 1024 * 1024)

/* Bytes of a pointer or token that a message shows. */
#define LONGEST_SHOWN 200

/* Notes why something could not be done; the message is newly allocated. */
void
nbm_fail(NbmFailure *failure, int sqlstate, const char *format,...)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&buf, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}
	failure->sqlstate = sqlstate;
	failure->message = buf.data;
}

/* A piece of text as a C string, newly allocated, cut where it is long. */
char *
nbm_clip(NbmText str)
{
	int			len = pg_mbcliplen(str.str, str.len, LONGEST_SHOWN);

	return psprintf("%.*s%s", len, str.str, len < str.len ? "..." : "");
}

/* A memory context for the nodes of a tree. */
static MemoryContext
new_context(MemoryContext owner)
{
	return AllocSetContextCreate(owner, "notebook_migrate json tree",
								 ALLOCSET_DEFAULT_SIZES);
}

/* Makes a detoasted value the tree's root, in the current context. */
static void
set_root(NbmTree *tree, Jsonb *jb)
{
	JsonbValue	value;

	if (JB_ROOT_IS_SCALAR(jb))
		nbm_element(&jb->root, 0, &value);
	else
		nbm_set_jsonb(&value, jb);
	tree->root = nbm_node_make(&value);
	tree->size = VARSIZE(jb);
}

/*
 * A tree of a detoasted value, which is pointed to and must live as long.  The
 * tree is of the current context; deleting tree->context frees all but it.
 */
NbmTree *
nbm_tree_open(Jsonb *jb)
{
	NbmTree    *tree = palloc(sizeof(NbmTree));
	MemoryContext outer;

	tree->owner = CurrentMemoryContext;
	tree->context = new_context(tree->owner);
	outer = MemoryContextSwitchTo(tree->context);
	set_root(tree, jb);
	MemoryContextSwitchTo(outer);
	return tree;
}

/* The bytes of a node, new memory of the current context. */
static Jsonb *
write_node(const NbmNode *node, Size size_hint)
{
	NbmPlace	place = {unconstify(NbmNode *, node)};
	NbmWriter	w;

	nbm_node_look(&place);
	if (place.node == NULL)
		return nbm_value_to_jsonb(&place.value);
	nbm_writer_init(&w, size_hint);
	nbm_node_write(&w, node);
	return nbm_writer_finish(&w);
}

/*
 * The whole value, new memory of the current context.  Raises 54000 where a
 * container has become larger than jsonb can hold.
 */
Jsonb *
nbm_tree_write(const NbmTree *tree)
{
	return write_node(tree->root, tree->size + 1024);
}

/* Frees what is no longer needed, once it is worth the work. */
void
nbm_tree_trim(NbmTree *tree)
{
	MemoryContext old = tree->context;
	MemoryContext outer;

	if (MemoryContextMemAllocated(old, false) <=
		tree->size * MEMORY_FACTOR + MEMORY_SPARE)
		return;
	tree->context = new_context(tree->owner);
	outer = MemoryContextSwitchTo(tree->context);
	set_root(tree, nbm_tree_write(tree));
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(old);
}

/* What a pointer's first tokens lead to, in words; newly allocated. */
static char *
where(const NbmPointer *pointer, int count)
{
	return count == 0 ? pstrdup("the document") :
		nbm_clip(nbm_pointer_prefix(pointer, count));
}

/* Notes that what holds a token of a pointer can hold nothing. */
static void
fail_scalar(const NbmPointer *pointer, int token, NbmFailure *failure)
{
	nbm_fail(failure, ERRCODE_SQL_JSON_OBJECT_NOT_FOUND,
			 "%s is neither an object nor an array", where(pointer, token));
}

/* Notes that an object has no member of a token's name. */
static void
fail_member(const NbmPointer *pointer, int token, NbmFailure *failure)
{
	nbm_fail(failure, ERRCODE_SQL_JSON_MEMBER_NOT_FOUND,
			 "%s has no member \"%s\"", where(pointer, token),
			 nbm_clip(pointer->tokens[token]));
}

/*
 * The index that a token of a pointer has in an array of count elements.  It
 * may be count, or -, where is_new says that an element is to be added.  -1
 * where it is none.
 */
static int
index_of(const NbmPointer *pointer, int token, int count, bool is_new,
		 NbmFailure *failure)
{
	int			index = nbm_pointer_index(pointer->tokens[token]);

	if (index == NBM_INDEX_NONE)
		nbm_fail(failure, ERRCODE_INVALID_SQL_JSON_SUBSCRIPT,
				 "\"%s\" is no index of the array at %s",
				 nbm_clip(pointer->tokens[token]), where(pointer, token));
	else if (is_new && index == NBM_INDEX_END)
		return count;
	else if (index == NBM_INDEX_END || index > count ||
			 (index == count && !is_new))
		nbm_fail(failure, ERRCODE_INVALID_SQL_JSON_SUBSCRIPT,
				 "there is no element %s in the array at %s, which has %d",
				 nbm_clip(pointer->tokens[token]), where(pointer, token),
				 count);
	else
		return index;
	return -1;
}

/* Goes down by one token of a pointer. */
static bool
step(const NbmPointer *pointer, int token, NbmPlace *place,
	 NbmFailure *failure)
{
	NbmPlace	parent = *place;
	int			index;

	if (nbm_node_is_object(&parent))
	{
		if (nbm_node_member(&parent, pointer->tokens[token], place))
			return true;
		fail_member(pointer, token, failure);
	}
	else if (nbm_node_is_array(&parent))
	{
		index = index_of(pointer, token, nbm_node_count(&parent), false,
						 failure);
		if (index < 0)
			return false;
		nbm_node_element(&parent, index, place);
		return true;
	}
	else
		fail_scalar(pointer, token, failure);
	return false;
}

/*
 * Finds what a pointer leads to, which is not changed or copied.  False, with
 * the reason, where there is nothing.
 */
bool
nbm_tree_find(const NbmTree *tree, const NbmPointer *pointer, NbmPlace *place,
			  NbmFailure *failure)
{
	place->node = tree->root;
	for (int i = 0; i < pointer->count; i++)
	{
		nbm_node_look(place);
		if (!step(pointer, i, place, failure))
			return false;
	}
	return true;
}

/* Opens the container at a place; false, with the reason, for a scalar. */
static bool
open_container(const NbmPointer *pointer, int token, NbmNode *node,
			   NbmFailure *failure)
{
	NbmPlace	place = {node};

	if (!nbm_node_is_object(&place) && !nbm_node_is_array(&place))
	{
		fail_scalar(pointer, token, failure);
		return false;
	}
	nbm_node_open(node);
	return true;
}

/*
 * Opens all that holds what a pointer leads to, and returns the innermost; its
 * last token is not looked at.  NULL, with the reason, where there is nothing
 * to open.  In the tree's context.
 */
static NbmNode *
open_parent(NbmTree *tree, const NbmPointer *pointer, NbmFailure *failure)
{
	NbmNode    *node = tree->root;

	for (int i = 0; i < pointer->count; i++)
	{
		NbmPlace	place = {node};
		int			index;

		if (!open_container(pointer, i, node, failure))
			return NULL;
		if (i == pointer->count - 1)
			break;
		if (nbm_node_is_object(&place))
		{
			node = nbm_node_open_member(node, pointer->tokens[i]);
			if (node == NULL)
			{
				fail_member(pointer, i, failure);
				return NULL;
			}
			continue;
		}
		index = index_of(pointer, i, nbm_node_count(&place), false, failure);
		if (index < 0)
			return NULL;
		node = nbm_node_open_element(node, index);
	}
	return node;
}

/* A node of the tree's own with a value, which is copied. */
NbmNode *
nbm_tree_take(NbmTree *tree, const JsonbValue *value)
{
	MemoryContext outer = MemoryContextSwitchTo(tree->context);
	JsonbValue	own = *value;
	NbmNode    *node;

	if (value->type == jbvBinary)
		nbm_set_jsonb(&own, nbm_value_to_jsonb(value));
	else if (value->type == jbvString)
	{
		own.val.string.val = palloc(value->val.string.len + 1);
		memcpy(own.val.string.val, value->val.string.val,
			   value->val.string.len);
	}
	else if (value->type == jbvNumeric)
	{
		own.val.numeric = palloc(VARSIZE_ANY(value->val.numeric));
		memcpy(own.val.numeric, value->val.numeric,
			   VARSIZE_ANY(value->val.numeric));
	}
	node = nbm_node_make(&own);
	MemoryContextSwitchTo(outer);
	return node;
}

/*
 * A node with the value at a place of the tree, which keeps its own.  The two
 * share their bytes; what was opened is written to bytes for that.
 */
NbmNode *
nbm_tree_copy(NbmTree *tree, const NbmPlace *place)
{
	MemoryContext outer = MemoryContextSwitchTo(tree->context);
	NbmPlace	at = *place;
	NbmNode    *node;

	nbm_node_look(&at);
	if (at.node != NULL)
	{
		nbm_node_freeze(at.node, write_node(at.node, 0));
		nbm_node_look(&at);
	}
	node = nbm_node_make(&at.value);
	MemoryContextSwitchTo(outer);
	return node;
}

/* Adds a member to an opened object, or replaces it. */
static bool
set_member(NbmNode *object, NbmText key, NbmNode *node, NbmFailure *failure)
{
	NbmPlace	place = {object};

	if (nbm_node_count(&place) >= NBM_JSONB_MEMBERS)
	{
		nbm_fail(failure, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "an object cannot have more than %d members",
				 NBM_JSONB_MEMBERS);
		return false;
	}
	nbm_node_set(object, key, node);
	return true;
}

/* Adds an element to an opened array, at the pointer's last token. */
static bool
insert_element(NbmNode *array, const NbmPointer *pointer, NbmNode *node,
			   NbmFailure *failure)
{
	NbmPlace	place = {array};
	int			count = nbm_node_count(&place);
	int			index = index_of(pointer, pointer->count - 1, count, true,
								 failure);

	if (index < 0)
		return false;
	if (count >= NBM_JSONB_ELEMENTS)
	{
		nbm_fail(failure, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				 "an array cannot have more than %d elements",
				 NBM_JSONB_ELEMENTS);
		return false;
	}
	nbm_node_insert(array, index, node);
	return true;
}

/* nbm_tree_add, in the tree's context. */
static bool
add(NbmTree *tree, const NbmPointer *pointer, NbmNode *node,
	NbmFailure *failure)
{
	NbmPlace	parent = {open_parent(tree, pointer, failure)};

	if (parent.node == NULL)
		return false;
	if (pointer->count == 0)
	{
		tree->root = node;
		return true;
	}
	if (nbm_node_is_array(&parent))
		return insert_element(parent.node, pointer, node, failure);
	return set_member(parent.node, pointer->tokens[pointer->count - 1], node,
					  failure);
}

/*
 * Puts a node of the tree's own where a pointer leads to: before an element
 * of an array, behind its last, or as a member of an object, which may have
 * had one of that name.  False, with the reason, where there is no such place.
 */
bool
nbm_tree_add(NbmTree *tree, const NbmPointer *pointer, NbmNode *node,
			 NbmFailure *failure)
{
	MemoryContext outer = MemoryContextSwitchTo(tree->context);
	bool		done = add(tree, pointer, node, failure);

	MemoryContextSwitchTo(outer);
	return done;
}

/* nbm_tree_replace and nbm_tree_remove (node is NULL), in the tree's context. */
static bool
put(NbmTree *tree, const NbmPointer *pointer, NbmNode *node,
	NbmNode **old, NbmFailure *failure)
{
	NbmPlace	parent = {open_parent(tree, pointer, failure)};
	int			last = pointer->count - 1;
	int			index;

	if (parent.node == NULL)
		return false;
	if (nbm_node_is_object(&parent))
	{
		*old = nbm_node_open_member(parent.node, pointer->tokens[last]);
		if (*old == NULL)
			fail_member(pointer, last, failure);
		else if (node == NULL)
			nbm_node_unset(parent.node, pointer->tokens[last]);
		else
			nbm_node_set(parent.node, pointer->tokens[last], node);
		return *old != NULL;
	}
	index = index_of(pointer, last, nbm_node_count(&parent), false, failure);
	if (index < 0)
		return false;
	*old = nbm_node_open_element(parent.node, index);
	if (node == NULL)
		nbm_node_delete(parent.node, index);
	else
		nbm_node_set_element(parent.node, index, node);
	return true;
}

/*
 * Puts a node of the tree's own in the place of what a pointer leads to.
 * False, with the reason, where there is nothing.
 */
bool
nbm_tree_replace(NbmTree *tree, const NbmPointer *pointer, NbmNode *node,
				 NbmFailure *failure)
{
	MemoryContext outer;
	NbmNode    *old;
	bool		done;

	if (pointer->count == 0)
	{
		tree->root = node;
		return true;
	}
	outer = MemoryContextSwitchTo(tree->context);
	done = put(tree, pointer, node, &old, failure);
	MemoryContextSwitchTo(outer);
	return done;
}

/*
 * Takes out of the tree what a pointer leads to, and returns it; it is still
 * the tree's memory.  NULL, with the reason, where there is nothing, and for
 * the whole document.
 */
NbmNode *
nbm_tree_remove(NbmTree *tree, const NbmPointer *pointer, NbmFailure *failure)
{
	MemoryContext outer;
	NbmNode    *old = NULL;
	bool		done;

	if (pointer->count == 0)
	{
		nbm_fail(failure, ERRCODE_INVALID_PARAMETER_VALUE,
				 "the whole document cannot be removed");
		return NULL;
	}
	outer = MemoryContextSwitchTo(tree->context);
	done = put(tree, pointer, NULL, &old, failure);
	MemoryContextSwitchTo(outer);
	return done ? old : NULL;
}
