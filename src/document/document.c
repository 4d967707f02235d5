/*
 * document.c
 *		What a notebook and a workflow look like, and nothing else does.
 *
 * A document is taken apart into an envelope (the document with its arrays
 * of items empty) and its items; an item into its core, its outputs, the
 * names that the document gives it, and its execution count.  Names and
 * counts stand apart, so that neither a tool that gives every cell a new id
 * nor a run of all cells makes a new core.  What is cut out is exactly what
 * can be put back: a name that is no string, or a count such as 1.0, stays
 * where it is.
 *
 * Notebooks: nbformat 4 has $.cells, nbformat 2 and 3 $.worksheets[].cells,
 * whose cells are numbered on across worksheets; source is called input
 * there, and execution_count prompt_number.  Workflows: Apache Texera's, with
 * $.operators.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "compat.h"
#include "document.h"

/* Names longer than this are content, not names. */
#define MAX_ID_LENGTH 255
/* Members of a cell that are put back around its core, at most. */
#define MAX_EXTRAS 4

const NbmKind nbm_notebook = {0, "notebook", "cell", "cells"};
const NbmKind nbm_workflow = {1, "workflow", "operator", "operators"};

/* Where the value of an item's member comes from when it is put together. */
typedef enum MemberSource
{
	FROM_VALUE,
	FROM_METADATA,				/* the core's metadata and the uuid */
	FROM_OUTPUTS
} MemberSource;

typedef struct Member
{
	NbmText		key;
	MemberSource source;
	JsonbValue	value;
} Member;

/* The kind of a name, NULL for no kind's. */
const NbmKind *
nbm_kind_by_name(NbmText name)
{
	if (nbm_key_is(name, nbm_notebook.name))
		return &nbm_notebook;
	if (nbm_key_is(name, nbm_workflow.name))
		return &nbm_workflow;
	return NULL;
}

/* What a JSON value is, in words for error messages. */
static const char *
value_kind(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvBool:
			return "a boolean";
		case jbvNumeric:
			return "a number";
		case jbvString:
			return "a string";
		default:
			return nbm_is_array(value) ? "an array" : "an object";
	}
}

/* The JSON path of an item, or of the item that a caller brings. */
static const char *
path_of(const NbmWhere *where)
{
	return where->doc == NULL ? where->path :
		nbm_document_path(where->doc, where->index);
}

/* Raises 22023: the value at a path is not what it must be. */
static void
wrong_shape(const char *path, const JsonbValue *value, const char *must)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be %s", path, must),
			 errdetail("The value at %s is %s.", path, value_kind(value))));
}

/* Adds the elements of one array of items to the document. */
static void
add_run(NbmDocument *doc, JsonbContainer *array, int place, int *room)
{
	int			count = JsonContainerSize(array);

	if (count > NBM_MAX_ITEMS - doc->nitems)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s has more than %d %s", doc->kind->name, NBM_MAX_ITEMS,
						doc->kind->items)));
	while (doc->nitems + count > *room)
	{
		*room = Max(*room * 2, doc->nitems + count);
		doc->items = repalloc_huge(doc->items,
								   mul_size(sizeof(JsonbValue), *room));
	}
	doc->run_places[doc->nruns] = place;
	doc->runs[doc->nruns++] = count;
	for (int i = 0; i < count; i++)
		nbm_element(array, i, &doc->items[doc->nitems++]);
}

/* Finds the items of nbformat 2 and 3, in their worksheets. */
static void
open_worksheets(NbmDocument *doc, JsonbContainer *sheets, int *room)
{
	int			count = JsonContainerSize(sheets);

	doc->runs = palloc_array(int, Max(count, 1));
	doc->run_places = palloc_array(int, Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		JsonbValue	sheet;
		JsonbValue	cells;

		nbm_element(sheets, i, &sheet);
		if (!nbm_is_object(&sheet))
			wrong_shape(psprintf("$.worksheets[%d]", i), &sheet, "an object");
		if (!nbm_get(sheet.val.binary.data, "cells", &cells))
			continue;
		if (!nbm_is_array(&cells))
			wrong_shape(psprintf("$.worksheets[%d].cells", i), &cells,
						"an array");
		add_run(doc, cells.val.binary.data, i, room);
	}
}

/*
 * Opens a document: finds its items.  The arrays are allocated in the current
 * context and point into content, which must outlive them.  Raises 22023
 * where the document has not the shape of its kind.
 */
void
nbm_document_open(const NbmKind *kind, Jsonb *content, NbmDocument *doc)
{
	JsonbValue	value;
	int			room = 64;

	memset(doc, 0, sizeof(*doc));
	doc->kind = kind;
	doc->root = &content->root;
	doc->items = palloc_array(JsonbValue, room);
	if (!JB_ROOT_IS_OBJECT(content))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", kind->name),
				 errdetail("The value at $ is %s.",
						   JB_ROOT_IS_SCALAR(content) ? "a scalar" : "an array")));
	if (nbm_get(doc->root, kind->items, &value))
	{
		if (!nbm_is_array(&value))
			wrong_shape(psprintf("$.%s", kind->items), &value, "an array");
		doc->runs = palloc_array(int, 1);
		doc->run_places = palloc_array(int, 1);
		add_run(doc, value.val.binary.data, -1, &room);
	}
	else if (kind == &nbm_notebook && nbm_get(doc->root, "worksheets", &value))
	{
		if (!nbm_is_array(&value))
			wrong_shape("$.worksheets", &value, "an array");
		open_worksheets(doc, value.val.binary.data, &room);
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has no %s", kind->name, kind->items),
				 errdetail("There is no array at $.%s.", kind->items),
				 kind == &nbm_notebook ?
				 errhint("A notebook has \"cells\" (nbformat 4) or \"worksheets\" (nbformat 2 and 3).") :
				 errhint("A workflow has \"operators\", \"links\" and \"operatorPositions\".")));
	if (kind == &nbm_workflow && nbm_get(doc->root, "links", &value) &&
		!nbm_is_array(&value))
		wrong_shape("$.links", &value, "an array");
}

/* The JSON path of an item, newly allocated. */
char *
nbm_document_path(const NbmDocument *doc, int item)
{
	int			run = 0;

	while (run < doc->nruns - 1 && item >= doc->runs[run])
		item -= doc->runs[run++];
	if (doc->nruns == 0 || doc->run_places[run] < 0)
		return psprintf("$.%s[%d]", doc->kind->items, item);
	return psprintf("$.worksheets[%d].%s[%d]", doc->run_places[run],
					doc->kind->items, item);
}

/*
 * The number of items that are equal, byte for byte, at the head (or, with
 * at_end, the tail) of two documents, at most limit.
 */
int
nbm_equal_items(const NbmDocument *a, const NbmDocument *b, bool at_end,
				int limit)
{
	int			n = 0;

	while (n < limit &&
		   nbm_value_eq(&a->items[at_end ? a->nitems - 1 - n : n],
						&b->items[at_end ? b->nitems - 1 - n : n]))
		n++;
	return n;
}

/* How many containers stand around an item of this document. */
int
nbm_document_depth(const NbmDocument *doc)
{
	return doc->nruns > 0 && doc->run_places[0] >= 0 ? 4 : 2;
}

/* Raises 54000 where a container that lies depth levels down goes too deep. */
void
nbm_check_depth(JsonbContainer *container, int depth, const NbmWhere *where)
{
	if (nbm_depth(container, NBM_MAX_DEPTH - depth) > NBM_MAX_DEPTH - depth)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("document is nested deeper than %d levels",
						NBM_MAX_DEPTH),
				 errdetail("The value at %s goes deeper.", path_of(where))));
}

/* Writes a worksheet with its array of cells empty. */
static void
write_empty_worksheet(NbmWriter *w, JsonbContainer *sheet)
{
	int			count = JsonContainerSize(sheet);
	NbmText    *keys = palloc_array(NbmText, Max(count, 1));
	JsonbValue	value;

	for (int i = 0; i < count; i++)
		nbm_member(sheet, i, &keys[i], NULL);
	nbm_writer_begin_object(w, count, keys);
	for (int i = 0; i < count; i++)
	{
		nbm_member(sheet, i, &keys[i], &value);
		if (nbm_key_is(keys[i], "cells"))
		{
			nbm_writer_begin_array(w, 0);
			nbm_writer_end(w);
		}
		else
			nbm_writer_value(w, &value);
	}
	nbm_writer_end(w);
}

/* Writes the worksheets with their arrays of cells empty. */
static void
write_empty_worksheets(NbmWriter *w, JsonbContainer *sheets)
{
	JsonbValue	sheet;

	nbm_writer_begin_array(w, JsonContainerSize(sheets));
	for (int i = 0; i < JsonContainerSize(sheets); i++)
	{
		nbm_element(sheets, i, &sheet);
		write_empty_worksheet(w, sheet.val.binary.data);
	}
	nbm_writer_end(w);
}

/* The envelope: the document with its arrays of items empty; a new value. */
Jsonb *
nbm_document_envelope(const NbmDocument *doc)
{
	int			count = JsonContainerSize(doc->root);
	NbmText    *keys = palloc_array(NbmText, Max(count, 1));
	bool		in_sheets = true;
	NbmWriter	w;
	JsonbValue	value;

	nbm_writer_init(&w, 0);
	for (int i = 0; i < count; i++)
	{
		nbm_member(doc->root, i, &keys[i], NULL);
		if (nbm_key_is(keys[i], doc->kind->items))
			in_sheets = false;
	}
	nbm_writer_begin_object(&w, count, keys);
	for (int i = 0; i < count; i++)
	{
		nbm_member(doc->root, i, &keys[i], &value);
		if (nbm_key_is(keys[i], doc->kind->items))
		{
			nbm_writer_begin_array(&w, 0);
			nbm_writer_end(&w);
		}
		else if (in_sheets && nbm_key_is(keys[i], "worksheets"))
			write_empty_worksheets(&w, value.val.binary.data);
		else
			nbm_writer_value(&w, &value);
	}
	nbm_writer_end(&w);
	return nbm_writer_finish(&w);
}

/* Is this value a name that can stand apart from the core? */
static bool
is_id(const JsonbValue *value)
{
	return value->type == jbvString && value->val.string.len <= MAX_ID_LENGTH;
}

/* Reads a count that can stand apart; false for one that must stay. */
static bool
read_count(const JsonbValue *value, uint32 *flag, int32 *count)
{
	*count = 0;
	*flag = NBM_COUNT_NULL;
	if (value->type == jbvNull)
		return true;
	*flag = NBM_COUNT_NUMBER;
	return nbm_get_int(value, count) && *count >= 0;
}

/* Is every element of the array an object? */
static bool
all_objects(JsonbContainer *array)
{
	JsonbValue	value;

	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		nbm_element(array, i, &value);
		if (!nbm_is_object(&value))
			return false;
	}
	return true;
}

/* Writes a container's members but for one, as a new value. */
static void
without_member(JsonbContainer *object, const char *name, JsonbValue *result)
{
	int			count = JsonContainerSize(object);
	NbmPair    *pairs = palloc_array(NbmPair, Max(count, 1));
	int			n = 0;
	NbmWriter	w;

	for (int i = 0; i < count; i++)
	{
		nbm_member(object, i, &pairs[n].key, &pairs[n].value);
		if (!nbm_key_is(pairs[n].key, name))
			n++;
	}
	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, pairs, n);
	nbm_set_jsonb(result, nbm_writer_finish(&w));
	pfree(pairs);
}

/* The name of the member that holds an item's execution count. */
static const char *
count_name(uint32 flags)
{
	return flags & NBM_COUNT_PROMPT ? "prompt_number" : "execution_count";
}

/* Finds the count of a cell that can stand apart, and says how in flags. */
static void
split_count(JsonbContainer *cell, NbmItem *item)
{
	JsonbValue	value;
	uint32		flag;
	int32		count;

	if (nbm_get(cell, "execution_count", &value))
	{
		if (!read_count(&value, &flag, &count))
			return;
	}
	else if (nbm_get(cell, "prompt_number", &value))
	{
		if (!read_count(&value, &flag, &count))
			return;
		flag |= NBM_COUNT_PROMPT;
	}
	else
		return;
	item->flags |= flag;
	item->count = count;
}

/* Takes the outputs of a cell apart from it, and the cell's count from them. */
static void
split_outputs(JsonbContainer *cell, NbmSplit *split)
{
	NbmItem    *item = &split->item;
	JsonbContainer *outputs;
	JsonbValue	counted;
	JsonbValue	value;

	if (!nbm_get_container(cell, "outputs", true, &outputs) ||
		!all_objects(outputs))
		return;
	if (JsonContainerSize(outputs) > NBM_MAX_ITEMS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cell has more than %d outputs", NBM_MAX_ITEMS)));
	item->flags |= NBM_HAS_OUTPUTS;
	item->noutputs = JsonContainerSize(outputs);
	item->outputs = palloc0_array(NbmOutput, Max(item->noutputs, 1));
	split->outputs = palloc_array(JsonbValue, Max(item->noutputs, 1));
	if (item->flags & NBM_COUNT_MASK)
		nbm_get(cell, count_name(item->flags), &counted);
	for (int i = 0; i < item->noutputs; i++)
	{
		nbm_element(outputs, i, &split->outputs[i]);
		if ((item->flags & NBM_COUNT_MASK) == 0 ||
			!nbm_get(split->outputs[i].val.binary.data,
					 count_name(item->flags), &value) ||
			!nbm_value_eq(&value, &counted))
			continue;
		item->outputs[i].counted = true;
		without_member(split->outputs[i].val.binary.data,
					   count_name(item->flags), &split->outputs[i]);
	}
}

/* Checks a cell's source: absent, a string, or an array of strings. */
static void
check_source(JsonbContainer *cell, const NbmWhere *where)
{
	static const char *const names[] = {"source", "input"};

	for (int i = 0; i < lengthof(names); i++)
	{
		JsonbValue	source;
		JsonbValue	line;

		if (!nbm_get(cell, names[i], &source) || source.type == jbvString)
			continue;
		if (!nbm_is_array(&source))
			wrong_shape(psprintf("%s.%s", path_of(where), names[i]), &source,
						"a string or an array of strings");
		for (int j = 0; j < JsonContainerSize(source.val.binary.data); j++)
		{
			nbm_element(source.val.binary.data, j, &line);
			if (line.type != jbvString)
				wrong_shape(psprintf("%s.%s[%d]", path_of(where), names[i], j),
							&line,
							"a string");
		}
	}
}

/* Raises 22023 where a member is there but no string. */
static void
check_string(JsonbContainer *object, const char *name, const NbmWhere *where)
{
	JsonbValue	value;

	if (nbm_get(object, name, &value) && value.type != jbvString)
		wrong_shape(psprintf("%s.%s", path_of(where), name), &value,
					"a string");
}

/* Writes what remains of an item: its core. */
static void
split_core(const NbmKind *kind, JsonbContainer *object, NbmSplit *split)
{
	const NbmItem *item = &split->item;
	int			count = JsonContainerSize(object);
	NbmPair    *pairs = palloc_array(NbmPair, Max(count, 1));
	int			n = 0;
	NbmWriter	w;

	for (int i = 0; i < count; i++)
	{
		NbmText		key;

		nbm_member(object, i, &pairs[n].key, &pairs[n].value);
		key = pairs[n].key;
		if (kind == &nbm_workflow)
		{
			if (item->id[NBM_ID_STRONG].str == NULL ||
				!nbm_key_is(key, "operatorID"))
				n++;
			continue;
		}
		if ((item->id[NBM_ID_WEAK].str != NULL && nbm_key_is(key, "id")) ||
			((item->flags & NBM_HAS_OUTPUTS) && nbm_key_is(key, "outputs")) ||
			((item->flags & NBM_COUNT_MASK) &&
			 nbm_key_is(key, count_name(item->flags))))
			continue;
		if (item->id[NBM_ID_STRONG].str != NULL && nbm_key_is(key, "metadata"))
			without_member(pairs[n].value.val.binary.data, "uuid",
						   &pairs[n].value);
		n++;
	}
	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, pairs, n);
	nbm_set_jsonb(&split->core, nbm_writer_finish(&w));
	pfree(pairs);
}

/*
 * Takes one item apart.  where is its place for errors, depth the number of
 * containers around it.  Raises 22023 where the item has a wrong shape,
 * 54000 where it is nested too deep.  New memory is of the current context.
 */
void
nbm_item_split(const NbmKind *kind, const JsonbValue *value,
			   const NbmWhere *where, int depth, NbmSplit *split)
{
	JsonbContainer *object;
	JsonbContainer *metadata;
	JsonbValue	id;

	memset(split, 0, sizeof(*split));
	if (!nbm_is_object(value))
		wrong_shape(path_of(where), value, "an object");
	object = value->val.binary.data;
	nbm_check_depth(object, depth, where);
	if (kind == &nbm_workflow)
	{
		check_string(object, "operatorType", where);
		if (nbm_get(object, "operatorID", &id) && is_id(&id))
			split->item.id[NBM_ID_STRONG] = nbm_text_of(&id);
	}
	else
	{
		check_string(object, "cell_type", where);
		check_source(object, where);
		if (nbm_get_container(object, "metadata", false, &metadata) &&
			nbm_get(metadata, "uuid", &id) && is_id(&id))
			split->item.id[NBM_ID_STRONG] = nbm_text_of(&id);
		if (nbm_get(object, "id", &id) && is_id(&id))
			split->item.id[NBM_ID_WEAK] = nbm_text_of(&id);
		split_count(object, &split->item);
		split_outputs(object, split);
	}
	split_core(kind, object, split);
}

/* Inserts a member into an array that is sorted by key. */
static void
insert_member(Member *members, int *count, const char *key,
			  MemberSource source, const JsonbValue *value)
{
	NbmText		name = nbm_text(key);
	int			i = (*count)++;

	while (i > 0 && nbm_key_cmp(members[i - 1].key, name) > 0)
	{
		members[i] = members[i - 1];
		i--;
	}
	members[i].key = name;
	members[i].source = source;
	if (value != NULL)
		members[i].value = *value;
}

/* Makes the value of an item's execution count. */
static void
set_count(JsonbValue *value, const NbmItem *item)
{
	if ((item->flags & NBM_COUNT_MASK) == NBM_COUNT_NULL)
		value->type = jbvNull;
	else
		nbm_set_integer(value, item->count);
}

/* Writes an object with one more member. */
static void
write_with_member(NbmWriter *w, JsonbContainer *object, const char *key,
				  const JsonbValue *value)
{
	int			count = JsonContainerSize(object);
	NbmPair    *pairs = palloc_array(NbmPair, count + 1);

	for (int i = 0; i < count; i++)
		nbm_member(object, i, &pairs[i].key, &pairs[i].value);
	pairs[count].key = nbm_text(key);
	pairs[count].value = *value;
	nbm_writer_object(w, pairs, count + 1);
	pfree(pairs);
}

/* Writes the outputs of a cell, with its count where they had it. */
static void
write_outputs(NbmWriter *w, const NbmItem *item, NbmBodyLookup lookup,
			  void *arg)
{
	JsonbValue	count;

	if (item->flags & NBM_COUNT_MASK)
		set_count(&count, item);
	nbm_writer_begin_array(w, item->noutputs);
	for (int i = 0; i < item->noutputs; i++)
	{
		NbmBody    *body = lookup(arg, item->outputs[i].part);

		if (item->outputs[i].counted)
			write_with_member(w, &nbm_part_whole(body)->root,
							  count_name(item->flags), &count);
		else
			nbm_part_write(w, body);
	}
	nbm_writer_end(w);
}

/* Collects the members of an item, in key order. */
static Member *
item_members(const NbmKind *kind, const NbmItem *item, JsonbContainer *core,
			 int *count)
{
	int			ncore = JsonContainerSize(core);
	Member	   *members = palloc_array(Member, ncore + MAX_EXTRAS);
	const NbmText *strong = &item->id[NBM_ID_STRONG];
	const NbmText *weak = &item->id[NBM_ID_WEAK];
	JsonbValue	value;

	for (*count = 0; *count < ncore; (*count)++)
	{
		Member	   *member = &members[*count];

		nbm_member(core, *count, &member->key, &member->value);
		member->source = FROM_VALUE;
		if (kind == &nbm_notebook && strong->str != NULL &&
			nbm_key_is(member->key, "metadata") &&
			nbm_is_object(&member->value))
			member->source = FROM_METADATA;
	}
	if (kind == &nbm_workflow && strong->str != NULL)
	{
		nbm_set_string(&value, *strong);
		insert_member(members, count, "operatorID", FROM_VALUE, &value);
	}
	if (weak->str != NULL)
	{
		nbm_set_string(&value, *weak);
		insert_member(members, count, "id", FROM_VALUE, &value);
	}
	if (item->flags & NBM_COUNT_MASK)
	{
		set_count(&value, item);
		insert_member(members, count, count_name(item->flags), FROM_VALUE,
					  &value);
	}
	if (item->flags & NBM_HAS_OUTPUTS)
		insert_member(members, count, "outputs", FROM_OUTPUTS, NULL);
	return members;
}

/* Writes one item, put together from its parts. */
static void
write_item(NbmWriter *w, const NbmKind *kind, const NbmItem *item,
		   NbmBodyLookup lookup, void *arg)
{
	Jsonb	   *core = nbm_part_whole(lookup(arg, item->core));
	int			count;
	Member	   *members = item_members(kind, item, &core->root, &count);
	NbmText    *keys = palloc_array(NbmText, Max(count, 1));
	JsonbValue	uuid;

	for (int i = 0; i < count; i++)
		keys[i] = members[i].key;
	nbm_writer_begin_object(w, count, keys);
	for (int i = 0; i < count; i++)
	{
		switch (members[i].source)
		{
			case FROM_VALUE:
				nbm_writer_value(w, &members[i].value);
				break;
			case FROM_METADATA:
				nbm_set_string(&uuid, item->id[NBM_ID_STRONG]);
				write_with_member(w, members[i].value.val.binary.data, "uuid",
								  &uuid);
				break;
			case FROM_OUTPUTS:
				write_outputs(w, item, lookup, arg);
				break;
		}
	}
	nbm_writer_end(w);
	pfree(keys);
	pfree(members);
}

/* What write_members() needs to know where the items go. */
typedef struct Assembly
{
	const NbmKind *kind;
	const NbmLayout *layout;
	NbmBodyLookup lookup;
	void	   *arg;
	const JsonbValue *values;	/* whole items; NULL: made of their parts */
	int			run;			/* next run of items */
	int			item;			/* next item */
} Assembly;

/* Writes the next run of items as an array. */
static void
write_run(NbmWriter *w, Assembly *a)
{
	const NbmLayout *layout = a->layout;
	int			count;

	if (a->run >= layout->nruns ||
		layout->runs[a->run] > layout->nitems - a->item)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored layout does not fit its envelope")));
	count = layout->runs[a->run++];
	nbm_writer_begin_array(w, count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (a->values != NULL)
			nbm_writer_value(w, &a->values[a->item]);
		else
			write_item(w, a->kind, &layout->items[a->item], a->lookup, a->arg);
		a->item++;
	}
	nbm_writer_end(w);
}

/* Writes an object of the envelope, the items in the place of empty arrays. */
static void
write_members(NbmWriter *w, JsonbContainer *object, bool sheets, Assembly *a)
{
	int			count = JsonContainerSize(object);
	NbmText    *keys = palloc_array(NbmText, Max(count, 1));

	for (int i = 0; i < count; i++)
		nbm_member(object, i, &keys[i], NULL);
	nbm_writer_begin_object(w, count, keys);
	for (int i = 0; i < count; i++)
	{
		JsonbValue	value;
		JsonbContainer *array;

		nbm_member(object, i, &keys[i], &value);
		if (nbm_key_is(keys[i], a->kind->items))
			write_run(w, a);
		else if (sheets && nbm_key_is(keys[i], "worksheets") &&
				 nbm_is_array(&value) && all_objects(value.val.binary.data))
		{
			array = value.val.binary.data;
			nbm_writer_begin_array(w, JsonContainerSize(array));
			for (int j = 0; j < JsonContainerSize(array); j++)
			{
				nbm_element(array, j, &value);
				write_members(w, value.val.binary.data, false, a);
			}
			nbm_writer_end(w);
		}
		else
			nbm_writer_value(w, &value);
	}
	nbm_writer_end(w);
	pfree(keys);
}

/*
 * Writes a whole document, of about that size, in the current context.
 * Raises XX001 where layout and envelope do not fit.
 */
static Jsonb *
write_document(Assembly *a, Jsonb *envelope, Size size)
{
	JsonbValue	value;
	NbmWriter	w;

	nbm_writer_init(&w, size);
	write_members(&w, &envelope->root,
				  a->kind == &nbm_notebook &&
				  !nbm_get(&envelope->root, a->kind->items, &value), a);
	if (a->run != a->layout->nruns || a->item != a->layout->nitems)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored layout does not fit its envelope")));
	return nbm_writer_finish(&w);
}

/*
 * Puts a document together from its layout and the bodies of its parts,
 * which lookup finds by id.  The result is a new value of the current
 * context, equal byte for byte to what was stored.  Raises XX001 where
 * layout and envelope do not fit.
 */
Jsonb *
nbm_document_assemble(const NbmKind *kind, const NbmLayout *layout,
					  NbmBodyLookup lookup, void *arg)
{
	Assembly	a = {kind, layout, lookup, arg, NULL, 0, 0};
	Jsonb	   *envelope = nbm_part_whole(lookup(arg, layout->envelope));
	Size		size = VARSIZE(envelope) + 1024;

	for (int i = 0; i < layout->nitems; i++)
	{
		const NbmItem *item = &layout->items[i];

		size += nbm_part_size(lookup(arg, item->core)) + 160;
		for (int j = 0; j < item->noutputs; j++)
			size += nbm_part_size(lookup(arg, item->outputs[j].part)) + 32;
	}
	return write_document(&a, envelope, size);
}

/*
 * Puts a document together from its envelope and whole items, which stand in
 * runs as they do in the envelope.  The result is a new value of the current
 * context.
 */
Jsonb *
nbm_document_compose(const NbmKind *kind, Jsonb *envelope, int nruns,
					 int *runs, const JsonbValue *items)
{
	NbmLayout	layout = {0, nruns, runs};
	Assembly	a = {kind, &layout, NULL, NULL, items, 0, 0};
	Size		size = VARSIZE(envelope) + 1024;

	for (int i = 0; i < nruns; i++)
		layout.nitems += runs[i];
	for (int i = 0; i < layout.nitems; i++)
		size += items[i].val.binary.len + sizeof(JEntry) + sizeof(uint32);
	return write_document(&a, envelope, size);
}

/* The type that an item's core states; str is NULL where it states none. */
NbmText
nbm_item_type(const NbmKind *kind, JsonbContainer *core)
{
	NbmText		type = {NULL, 0};

	nbm_get_string(core, kind == &nbm_workflow ? "operatorType" : "cell_type",
				   &type);
	return type;
}

/*
 * The text of what nbformat calls a multiline string: a string, or strings to
 * be joined; empty for anything else.  It points into the value or to new
 * memory of the current context.
 */
NbmText
nbm_multiline_text(const JsonbValue *value)
{
	NbmText		joined = {"", 0};
	StringInfoData buf;
	JsonbValue	line;

	if (value->type == jbvString)
		return nbm_text_of(value);
	if (!nbm_is_array(value))
		return joined;
	initStringInfo(&buf);
	enlargeStringInfo(&buf, value->val.binary.len);
	for (int i = 0; i < JsonContainerSize(value->val.binary.data); i++)
	{
		nbm_element(value->val.binary.data, i, &line);
		if (line.type == jbvString)
			appendBinaryStringInfo(&buf, line.val.string.val,
								   line.val.string.len);
	}
	joined.str = buf.data;
	joined.len = buf.len;
	return joined;
}

/*
 * The source of an item: a cell's text; an operator's code or, where it has
 * none, its properties as text.  Empty where there is none.  It points into
 * the core or to new memory of the current context.
 */
NbmText
nbm_item_source(const NbmKind *kind, JsonbContainer *core)
{
	NbmText		source = {"", 0};
	JsonbValue	value;

	if (kind == &nbm_notebook)
	{
		if (nbm_get(core, "source", &value) || nbm_get(core, "input", &value))
			return nbm_multiline_text(&value);
		return source;
	}
	if (!nbm_get(core, "operatorProperties", &value))
		return source;
	if (nbm_is_object(&value) &&
		nbm_get_string(value.val.binary.data, "code", &source))
		return source;
	if (value.type == jbvBinary)
		return nbm_text(JsonbToCString(NULL, value.val.binary.data,
									   value.val.binary.len));
	return value.type == jbvString ? nbm_text_of(&value) : source;
}

/* Have both containers an equal member, or neither one? */
static bool
same_member(JsonbContainer *a, JsonbContainer *b, const char *name)
{
	JsonbValue	va;
	JsonbValue	vb;
	bool		in_a = nbm_get(a, name, &va);
	bool		in_b = nbm_get(b, name, &vb);

	return in_a == in_b && (!in_a || nbm_value_eq(&va, &vb));
}

/* Is an operator switched off? */
static bool
is_disabled(JsonbContainer *core)
{
	JsonbValue	value;

	return nbm_get(core, "isDisabled", &value) && value.type == jbvBool &&
		value.val.boolean;
}

/*
 * Do two cores mean the same?  For a cell: type and source; for an operator:
 * type, properties, ports, and whether it is enabled.  This is what counts as
 * a change for the mapping.
 */
bool
nbm_same_meaning(const NbmKind *kind, JsonbContainer *a, JsonbContainer *b)
{
	if (!nbm_text_eq(nbm_item_type(kind, a), nbm_item_type(kind, b)))
		return false;
	if (kind == &nbm_notebook)
		return nbm_text_eq(nbm_item_source(kind, a), nbm_item_source(kind, b));
	return is_disabled(a) == is_disabled(b) &&
		same_member(a, b, "operatorProperties") &&
		same_member(a, b, "inputPorts") && same_member(a, b, "outputPorts");
}

/* Is an item code, so that a mapping is expected to name it? */
bool
nbm_is_code(const NbmKind *kind, JsonbContainer *core)
{
	return kind == &nbm_workflow ||
		nbm_key_is(nbm_item_type(kind, core), "code");
}
