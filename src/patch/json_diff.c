/*
 * json_diff.c
 *		The JSON Patch (RFC 6902) that makes one jsonb of another.
 *
 * The patch leads to the very bytes: 1.0 in the place of 1 is a change.  What
 * is equal by its bytes is not looked into.  Objects are compared member by
 * member.  Of arrays the equal beginning and end are set aside; then
 *
 * - where all elements left are objects that one of the members in
 *   identity_names tells apart, an element is the one of the same identity:
 *   those that are gone are removed, the new ones added, those whose order
 *   changed moved (all but the longest list that is still in order), and the
 *   others compared in their new places;
 * - otherwise equal elements are paired in order (sequence.c).  Between them,
 *   elements are compared one with one, and those left over removed or added.
 *
 * Where the operations on a container are more than MANY, and take more room
 * than the container itself, it is replaced instead.  So the work on a level
 * is bounded by the size of the documents, n elements of an array costing
 * O(n log n) besides comparing and hashing their bytes, and the patch is at
 * most MANY operations for each container around a change larger than the
 * new document.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "json_diff.h"
#include "json_pointer.h"
#include "longest_run.h"
#include "sequence.h"

/* Operations on a container that are never too many. */
#define MANY 256

/* Room that an operation takes besides its pointers and its value. */
#define OPERATION_ROOM 48

/* An operation of the patch. */
typedef struct Operation
{
	const char *name;
	NbmText		path;
	NbmText		from;			/* str is NULL where there is none */
	JsonbValue	value;			/* jbvArray, which no value is: none */
} Operation;

/* The patch as far as it was made. */
typedef struct Diff
{
	StringInfoData path;		/* to what is being compared */
	Operation  *operations;
	int			count;
	Size		room;
	Size		size;			/* about, of all operations */
} Diff;

/* How far the patch was made when a container's comparison began. */
typedef struct Mark
{
	int			count;
	Size		size;
	Size		limit;			/* about, of replacing the container */
} Mark;

/* Two arrays: what is left of them without equal beginning and end. */
typedef struct Arrays
{
	int			first;			/* index of both first elements */
	int			na;
	int			nb;
	JsonbValue *a;
	JsonbValue *b;
	int		   *a_class;		/* by element: equal for the same ones */
	int		   *b_class;
	int			nclasses;
} Arrays;

/* Two arrays whose elements are being put into order. */
typedef struct Ordering
{
	int			count;			/* elements that both have: in a's order */
	int		   *target;			/* their places in b */
	bool	   *stays;			/* is it not moved? */
	int		   *next_target;	/* of the next one that stays */
	int		   *number_of;		/* by place in b: which one, or -1 */
	int		   *waiting;		/* Fenwick tree: those not in place yet */
} Ordering;

/* Values that were given a number. */
typedef struct Class
{
	const JsonbValue *value;
	uint32		hash;
	char		status;
	int			number;
	int			seen[2];		/* how often in each array */
} Class;

#define SH_PREFIX classes
#define SH_ELEMENT_TYPE Class
#define SH_KEY_TYPE const JsonbValue *
#define SH_KEY value
#define SH_HASH_KEY(table, key) ((uint32) nbm_value_hash(key, 0))
#define SH_EQUAL(table, a, b) nbm_value_eq(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) ((entry)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "quiet_simplehash.h"

/* Members that tell the elements of an array apart, the best first. */
static const char *const identity_names[] =
{"operatorID", "linkID", "commentBoxID", "id"};

static void diff_values(Diff *d, const JsonbValue *a, const JsonbValue *b);

/* A new array of the current context, which may be larger than 1 GB. */
static void *
new_array(Size size, Size count)
{
	return palloc_extended(mul_size(size, Max(count, 1)), MCXT_ALLOC_HUGE);
}

/* About how much room does a value take? */
static Size
value_size(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return value->val.string.len;
		case jbvNumeric:
			return VARSIZE_ANY(value->val.numeric);
		case jbvBinary:
			return value->val.binary.len;
		default:
			return 0;
	}
}

/* The pointer to what is being compared, newly allocated. */
static NbmText
current_path(const Diff *d)
{
	NbmText		path = {pnstrdup(d->path.data, d->path.len), d->path.len};

	return path;
}

/*
 * Adds an operation on what is being compared.  The value (NULL: none) is
 * pointed to.  The result can still be given a from.
 */
static Operation *
emit(Diff *d, const char *name, const JsonbValue *value)
{
	Operation  *op;

	CHECK_FOR_INTERRUPTS();
	if (d->count == d->room)
	{
		d->room = Max(16, d->room * 2);
		d->operations = d->operations == NULL ?
			new_array(sizeof(Operation), d->room) :
			repalloc_huge(d->operations, mul_size(sizeof(Operation), d->room));
	}
	op = &d->operations[d->count++];
	op->name = name;
	op->path = current_path(d);
	op->from.str = NULL;
	op->from.len = 0;
	op->value.type = jbvArray;
	d->size += OPERATION_ROOM + op->path.len;
	if (value != NULL)
	{
		op->value = *value;
		d->size += value_size(value);
	}
	return op;
}

/* Goes down to an element; returns what leads back up. */
static int
enter_element(Diff *d, int index)
{
	int			length = d->path.len;

	nbm_pointer_append_index(&d->path, index);
	return length;
}

/* Goes down to a member; returns what leads back up. */
static int
enter_member(Diff *d, NbmText key)
{
	int			length = d->path.len;

	nbm_pointer_append_key(&d->path, key);
	return length;
}

/* Goes back up. */
static void
leave(Diff *d, int length)
{
	d->path.len = length;
	d->path.data[length] = '\0';
}

/* Adds an operation on an element. */
static void
emit_element(Diff *d, const char *name, int index, const JsonbValue *value)
{
	int			up = enter_element(d, index);

	emit(d, name, value);
	leave(d, up);
}

/* Adds an operation that moves an element. */
static void
emit_move(Diff *d, int from, int to)
{
	int			up = enter_element(d, from);
	NbmText		from_path = current_path(d);
	Operation  *op;

	leave(d, up);
	up = enter_element(d, to);
	op = emit(d, "move", NULL);
	op->from = from_path;
	d->size += from_path.len;
	leave(d, up);
}

/* Compares two elements that are at one place. */
static void
diff_element(Diff *d, int index, const JsonbValue *a, const JsonbValue *b)
{
	int			up;

	if (nbm_value_eq(a, b))
		return;
	up = enter_element(d, index);
	diff_values(d, a, b);
	leave(d, up);
}

/* Have the operations become more than the container is worth? */
static bool
is_too_much(const Diff *d, const Mark *mark)
{
	return d->count - mark->count > MANY &&
		d->size - mark->size > mark->limit;
}

/* Compares two objects; false where that became too much. */
static bool
diff_objects(Diff *d, JsonbContainer *a, JsonbContainer *b, const Mark *mark)
{
	NbmBoth		both = {a, b};

	while (nbm_both_next(&both))
	{
		int			up;

		CHECK_FOR_INTERRUPTS();
		if (both.in_a && both.in_b && nbm_value_eq(&both.va, &both.vb))
			continue;
		up = enter_member(d, both.key);
		if (!both.in_b)
			emit(d, "remove", NULL);
		else if (!both.in_a)
			emit(d, "add", &both.vb);
		else
			diff_values(d, &both.va, &both.vb);
		leave(d, up);
		if (is_too_much(d, mark))
			return false;
	}
	return true;
}

/* Takes two arrays apart, without the equal elements they begin and end with. */
static void
open_arrays(Arrays *s, JsonbContainer *a, JsonbContainer *b)
{
	int			shorter;
	int			last = 0;
	JsonbValue	va;
	JsonbValue	vb;

	memset(s, 0, sizeof(*s));
	s->na = JsonContainerSize(a);
	s->nb = JsonContainerSize(b);
	shorter = Min(s->na, s->nb);
	for (; s->first < shorter; s->first++)
	{
		CHECK_FOR_INTERRUPTS();
		nbm_element(a, s->first, &va);
		nbm_element(b, s->first, &vb);
		if (!nbm_value_eq(&va, &vb))
			break;
	}
	for (; last < shorter - s->first; last++)
	{
		CHECK_FOR_INTERRUPTS();
		nbm_element(a, s->na - 1 - last, &va);
		nbm_element(b, s->nb - 1 - last, &vb);
		if (!nbm_value_eq(&va, &vb))
			break;
	}
	s->na -= s->first + last;
	s->nb -= s->first + last;
	s->a = new_array(sizeof(JsonbValue), s->na);
	s->b = new_array(sizeof(JsonbValue), s->nb);
	for (int i = 0; i < s->na; i++)
		nbm_element(a, s->first + i, &s->a[i]);
	for (int i = 0; i < s->nb; i++)
		nbm_element(b, s->first + i, &s->b[i]);
	s->a_class = new_array(sizeof(int), s->na);
	s->b_class = new_array(sizeof(int), s->nb);
}

/* Frees what open_arrays made. */
static void
close_arrays(Arrays *s)
{
	pfree(s->a);
	pfree(s->b);
	pfree(s->a_class);
	pfree(s->b_class);
}

/* Reads a member that can tell elements apart: a string or a number. */
static bool
get_identity(const JsonbValue *element, const char *name, JsonbValue *identity)
{
	return nbm_is_object(element) &&
		nbm_get(element->val.binary.data, name, identity) &&
		(identity->type == jbvString || identity->type == jbvNumeric);
}

/*
 * Numbers values, equal ones equally.  With is_unique it stops, and answers
 * false, where a value stands twice among the count values of a side.
 */
static bool
classify(Arrays *s, classes_hash *table, const JsonbValue *values, int count,
		 int side, bool is_unique)
{
	int		   *class_of = side == 0 ? s->a_class : s->b_class;

	for (int i = 0; i < count; i++)
	{
		bool		found;
		Class	   *class;

		CHECK_FOR_INTERRUPTS();
		class = classes_insert(table, &values[i], &found);
		if (!found)
		{
			class->number = s->nclasses++;
			class->seen[0] = class->seen[1] = 0;
		}
		if (class->seen[side]++ > 0 && is_unique)
			return false;
		class_of[i] = class->number;
	}
	return true;
}

/* Numbers the elements by their bytes. */
static void
classify_by_bytes(Arrays *s)
{
	classes_hash *table = classes_create(CurrentMemoryContext, 64, NULL);

	s->nclasses = 0;
	classify(s, table, s->a, s->na, 0, false);
	classify(s, table, s->b, s->nb, 1, false);
	classes_destroy(table);
}

/* Numbers the elements by a member; false where it does not tell them apart. */
static bool
classify_by_member(Arrays *s, const char *name)
{
	JsonbValue *identities = new_array(sizeof(JsonbValue),
									   (Size) s->na + s->nb);
	classes_hash *table = NULL;
	bool		can = true;

	for (int i = 0; i < s->na && can; i++)
		can = get_identity(&s->a[i], name, &identities[i]);
	for (int i = 0; i < s->nb && can; i++)
		can = get_identity(&s->b[i], name, &identities[s->na + i]);
	if (can)
	{
		s->nclasses = 0;
		table = classes_create(CurrentMemoryContext, 64, NULL);
		can = classify(s, table, identities, s->na, 0, true) &&
			classify(s, table, identities + s->na, s->nb, 1, true);
		classes_destroy(table);
	}
	pfree(identities);
	return can;
}

/* Numbers the elements by the first member that tells them apart, if any. */
static bool
classify_by_identity(Arrays *s)
{
	if (s->na == 0 || s->nb == 0)
		return false;
	for (int i = 0; i < lengthof(identity_names); i++)
		if (classify_by_member(s, identity_names[i]))
			return true;
	return false;
}

/* Counts an element as waiting, or (by -1) as waiting no longer. */
static void
count_waiting(Ordering *o, int number, int by)
{
	for (int i = number + 1; i <= o->count; i += i & -i)
		o->waiting[i] += by;
}

/* How many elements before one are waiting? */
static int
waiting_before(const Ordering *o, int number)
{
	int			count = 0;

	for (int i = number; i > 0; i -= i & -i)
		count += o->waiting[i];
	return count;
}

/*
 * Removes the elements, from the end, that only the old array has; place is -1
 * for them, by class.  False where it becomes too much.
 */
static bool
remove_missing(Diff *d, const Arrays *s, const int *place, const Mark *mark)
{
	for (int i = s->na - 1; i >= 0; i--)
	{
		if (place[s->a_class[i]] < 0)
			emit_element(d, "remove", s->first + i, NULL);
		if (is_too_much(d, mark))
			return false;
	}
	return true;
}

/*
 * Finds the elements that both arrays have, and removes all others of the old
 * one.  False where it becomes too much.
 */
static bool
begin_ordering(Diff *d, const Arrays *s, Ordering *o, const Mark *mark)
{
	int		   *place = new_array(sizeof(int), s->nclasses);
	bool		done;

	o->count = 0;
	o->target = new_array(sizeof(int), s->na);
	o->number_of = new_array(sizeof(int), s->nb);
	memset(place, 0xff, sizeof(int) * s->nclasses);
	for (int j = 0; j < s->nb; j++)
	{
		place[s->b_class[j]] = j;
		o->number_of[j] = -1;
	}
	for (int i = 0; i < s->na; i++)
		if (place[s->a_class[i]] >= 0)
			o->target[o->count++] = place[s->a_class[i]];
	done = remove_missing(d, s, place, mark);
	pfree(place);

	o->stays = new_array(sizeof(bool), o->count);
	o->next_target = new_array(sizeof(int), o->count);
	o->waiting = new_array(sizeof(int), (Size) o->count + 1);
	memset(o->waiting, 0, sizeof(int) * (o->count + 1));
	nbm_longest_run(o->target, o->count, o->stays);
	for (int k = o->count - 1, next = s->nb; k >= 0; k--)
	{
		o->next_target[k] = next;
		if (o->stays[k])
			next = o->target[k];
		o->number_of[o->target[k]] = k;
		count_waiting(o, k, 1);
	}
	return done;
}

/* Frees what begin_ordering made. */
static void
end_ordering(Ordering *o)
{
	pfree(o->target);
	pfree(o->stays);
	pfree(o->next_target);
	pfree(o->number_of);
	pfree(o->waiting);
}

/*
 * Adds what is new and moves what is out of order, place by place of the new
 * array.  Each goes right behind the one before it.  In the list as it is at
 * that moment, those that still wait to be moved stand between the others, in
 * their old order: last is the last one that stays and has been passed.
 * False where it becomes too much.
 */
static bool
put_in_order(Diff *d, const Arrays *s, Ordering *o, const Mark *mark)
{
	int			last = -1;

	for (int j = 0; j < s->nb; j++)
	{
		int			k = o->number_of[j];
		int			to;
		int			from = -1;

		if (k >= 0)
		{
			count_waiting(o, k, -1);
			if (o->stays[k])
			{
				last = k;
				continue;
			}
			from = (k > last ? j : o->next_target[k]) + waiting_before(o, k);
		}
		to = j + (last < 0 ? 0 : waiting_before(o, last));
		if (k < 0)
			emit_element(d, "add", s->first + to, &s->b[j]);
		else if (from != to)
			emit_move(d, s->first + from, s->first + to);
		if (is_too_much(d, mark))
			return false;
	}
	return true;
}

/* Compares two arrays whose elements have identities. */
static bool
diff_by_identity(Diff *d, const Arrays *s, const Mark *mark)
{
	int		   *place = new_array(sizeof(int), s->nclasses);
	Ordering	o;
	bool		done;

	done = begin_ordering(d, s, &o, mark) && put_in_order(d, s, &o, mark);
	end_ordering(&o);
	memset(place, 0xff, sizeof(int) * s->nclasses);
	for (int i = 0; i < s->na; i++)
		place[s->a_class[i]] = i;
	for (int j = 0; j < s->nb && done; j++)
	{
		int			i = place[s->b_class[j]];

		CHECK_FOR_INTERRUPTS();
		if (i >= 0)
			diff_element(d, s->first + j, &s->a[i], &s->b[j]);
		done = !is_too_much(d, mark);
	}
	pfree(place);
	return done;
}

/*
 * Makes na elements of one array, from i on, nb of the other one, which begin
 * at j there: the first ones one by one, then those left over.  False where
 * it becomes too much.
 */
static bool
diff_run(Diff *d, const Arrays *s, int i, int na, int j, int nb,
		 const Mark *mark)
{
	int			pairs = Min(na, nb);
	bool		done = true;

	for (int k = 0; k < pairs && done; k++)
	{
		diff_element(d, s->first + j + k, &s->a[i + k], &s->b[j + k]);
		done = !is_too_much(d, mark);
	}
	for (int k = na - 1; k >= pairs && done; k--)
	{
		emit_element(d, "remove", s->first + j + k, NULL);
		done = !is_too_much(d, mark);
	}
	for (int k = pairs; k < nb && done; k++)
	{
		emit_element(d, "add", s->first + j + k, &s->b[j + k]);
		done = !is_too_much(d, mark);
	}
	return done;
}

/* Compares two arrays whose elements have none. */
static bool
diff_by_sequence(Diff *d, Arrays *s, const Mark *mark)
{
	bool	   *gone;			/* by element of a: is it not in b? */
	bool	   *come;			/* by element of b: is it not in a? */
	int			i = 0;
	int			j = 0;
	bool		done = true;

	if (s->na == 0 || s->nb == 0)
		return diff_run(d, s, 0, s->na, 0, s->nb, mark);
	gone = new_array(sizeof(bool), s->na);
	come = new_array(sizeof(bool), s->nb);
	classify_by_bytes(s);
	nbm_sequence_diff(s->a_class, s->na, s->b_class, s->nb, s->nclasses, gone,
					  come);
	while (done && (i < s->na || j < s->nb))
	{
		int			i0 = i;
		int			j0 = j;

		while (i < s->na && gone[i])
			i++;
		while (j < s->nb && come[j])
			j++;
		done = diff_run(d, s, i0, i - i0, j0, j - j0, mark);
		i++;
		j++;
	}
	pfree(gone);
	pfree(come);
	return done;
}

/* Compares two arrays; false where that became too much. */
static bool
diff_arrays(Diff *d, JsonbContainer *a, JsonbContainer *b, const Mark *mark)
{
	Arrays		s;
	bool		done;

	open_arrays(&s, a, b);
	done = classify_by_identity(&s) ? diff_by_identity(d, &s, mark) :
		diff_by_sequence(d, &s, mark);
	close_arrays(&s);
	return done;
}

/* Compares two values that differ. */
static void
diff_values(Diff *d, const JsonbValue *a, const JsonbValue *b)
{
	Mark		mark = {d->count, d->size};
	bool		done = false;

	check_stack_depth();
	mark.limit = OPERATION_ROOM + d->path.len + value_size(b);
	if (nbm_is_object(a) && nbm_is_object(b))
		done = diff_objects(d, a->val.binary.data, b->val.binary.data, &mark);
	else if (nbm_is_array(a) && nbm_is_array(b))
		done = diff_arrays(d, a->val.binary.data, b->val.binary.data, &mark);
	if (done)
		return;
	d->count = mark.count;
	d->size = mark.size;
	emit(d, "replace", b);
}

/* Writes an operation as an element of the patch. */
static void
write_operation(NbmWriter *w, const Operation *op)
{
	NbmText		keys[3] = {{"op", 2}};
	JsonbValue	values[3];
	int			count = 1;

	nbm_set_string(&values[0], nbm_text(op->name));
	if (op->from.str != NULL)
	{
		keys[count] = nbm_text("from");
		nbm_set_string(&values[count++], op->from);
	}
	keys[count] = nbm_text("path");
	nbm_set_string(&values[count++], op->path);
	if (op->value.type != jbvArray)
	{
		keys[count] = nbm_text("value");
		values[count++] = op->value;
	}
	nbm_writer_begin_object(w, count, keys);
	for (int i = 0; i < count; i++)
		nbm_writer_value(w, &values[i]);
	nbm_writer_end(w);
}

/* Raises 54000 where a document is too deep to be patched. */
static void
check_depth(Jsonb *document)
{
	if (nbm_depth(&document->root, NBM_MAX_DEPTH) > NBM_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the document is nested deeper than %d levels",
						NBM_MAX_DEPTH)));
}

/* A detoasted document's value, which points into it. */
static void
set_document(JsonbValue *value, Jsonb *document)
{
	check_depth(document);
	if (JB_ROOT_IS_SCALAR(document))
		nbm_element(&document->root, 0, value);
	else
		nbm_set_jsonb(value, document);
}

/*
 * The patch that makes one document of another, new memory of the current
 * context, where it also works.  Raises 54000 where one of them is nested too
 * deep, or the patch would be larger than jsonb can hold.
 */
Jsonb *
nbm_json_diff(Jsonb *from, Jsonb *to)
{
	Diff		d = {{0}};
	JsonbValue	a;
	JsonbValue	b;
	NbmWriter	w;

	set_document(&a, from);
	set_document(&b, to);
	initStringInfo(&d.path);
	if (!nbm_value_eq(&a, &b))
		diff_values(&d, &a, &b);
	nbm_writer_init(&w, 0);
	nbm_writer_begin_array(&w, d.count);
	for (int i = 0; i < d.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_operation(&w, &d.operations[i]);
	}
	nbm_writer_end(&w);
	return nbm_writer_finish(&w);
}
