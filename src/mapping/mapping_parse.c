/*
 * mapping_parse.c
 *		Mappings as people and programs state them.
 *
 * Two shapes are taken: Apache Texera's, of which either half may be missing,
 *
 *		{"operator_to_cell": {operator: [cell, ...], ...},
 *		 "cell_to_operator": {cell: [operator, ...], ...}}
 *
 * and links, which may say which lines of the cell they are about,
 *
 *		{"links": [{"cell": c, "operator": o, "lines": [[from, to], ...]}]}
 *
 * Cells and operators are named by id or by key.  All unknown names, and all
 * links that only one half has, are told at once.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "mapping.h"
#include "names.h"

/* Names or links listed in one error, at most. */
#define MAX_LISTED 50

/* What a parse is about. */
typedef struct Parse
{
	NbmNames	cells;
	NbmNames	operators;
	NbmText    *cells_shown;	/* once they are needed */
	NbmText    *operators_shown;
	StringInfoData problems;	/* names that could not be resolved */
	int			nproblems;
} Parse;

/* Raises 22023: the value at a path is not what it must be. */
static void
wrong_shape(const char *path, const char *must)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid mapping"),
			 errdetail("The value at %s must be %s.", path, must)));
}

/* The key that a name stands for; 0, and a problem noted, where none. */
static int32
resolve(Parse *parse, const NbmKind *kind, const JsonbValue *name)
{
	const NbmNames *names = kind == &nbm_notebook ? &parse->cells :
	&parse->operators;
	const char *why;
	int			index = nbm_names_find(names, name, &why);

	CHECK_FOR_INTERRUPTS();
	if (index >= 0)
		return names->layout->items[index].key;
	if (parse->nproblems++ < MAX_LISTED)
		appendStringInfo(&parse->problems, "%s%s %s %s",
						 parse->problems.len > 0 ? "; " : "", kind->item,
						 nbm_shown_name(name), why);
	return 0;
}

/*
 * Adds a link, which may be there already; returns it.  Raises 54000 where
 * there are too many.
 */
static NbmLink *
add_link(NbmLinks *links, int32 cell, int32 op)
{
	NbmLink    *link;

	if (links->count == NBM_MAX_LINKS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a mapping cannot state more than %d links",
						NBM_MAX_LINKS)));
	if (links->count == links->room)
	{
		links->room = Max(32, links->room * 2);
		if (links->items == NULL)
			links->items = palloc_array(NbmLink, links->room);
		else
			links->items = repalloc_array(links->items, NbmLink, links->room);
	}
	link = &links->items[links->count++];
	link->cell = cell;
	link->op = op;
	link->nlines = 0;
	link->lines = NULL;
	return link;
}

/* A link's place, to be sorted. */
typedef struct PlacedLink
{
	NbmLink    *link;
	int			place;
} PlacedLink;

/* qsort comparator of links by cell, operator, place. */
static int
placed_cmp(const void *a, const void *b)
{
	const PlacedLink *pa = a;
	const PlacedLink *pb = b;

	if (pa->link->cell != pb->link->cell)
		return pa->link->cell < pb->link->cell ? -1 : 1;
	if (pa->link->op != pb->link->op)
		return pa->link->op < pb->link->op ? -1 : 1;
	return pa->place < pb->place ? -1 : pa->place > pb->place;
}

/* The links sorted by cell and operator. */
static PlacedLink *
sorted_links(const NbmLinks *links)
{
	PlacedLink *sorted = palloc_array(PlacedLink, Max(links->count, 1));

	for (int i = 0; i < links->count; i++)
	{
		sorted[i].link = &links->items[i];
		sorted[i].place = i;
	}
	qsort(sorted, links->count, sizeof(PlacedLink), placed_cmp);
	return sorted;
}

/* Are two links the same but for their lines? */
static bool
same_link(const NbmLink *a, const NbmLink *b)
{
	return a->cell == b->cell && a->op == b->op;
}

/*
 * Keeps the first of equal links, with the lines of all; where one of them is
 * about the whole cell, so is what is kept.
 */
static void
merge_repeated(NbmLinks *links)
{
	PlacedLink *sorted = sorted_links(links);
	int			n = 0;

	for (int i = 0, next; i < links->count; i = next)
	{
		NbmLink    *first = sorted[i].link;
		int64		nlines = 0;
		bool		whole = false;
		int32	   *lines;

		for (next = i; next < links->count &&
			 same_link(first, sorted[next].link); next++)
		{
			nlines += sorted[next].link->nlines;
			whole |= sorted[next].link->nlines == 0;
		}
		if (next == i + 1)
			continue;
		lines = palloc_array(int32, Max(2 * nlines, 1));
		nlines = 0;
		for (int j = i; j < next; j++)
		{
			NbmLink    *link = sorted[j].link;

			if (link->nlines > 0)
				memcpy(lines + 2 * nlines, link->lines,
					   sizeof(int32) * 2 * link->nlines);
			nlines += link->nlines;
			if (j > i)
				link->cell = 0;
		}
		first->lines = lines;
		first->nlines = whole ? 0 : (int) nlines;
	}
	for (int i = 0; i < links->count; i++)
		if (links->items[i].cell != 0)
			links->items[n++] = links->items[i];
	links->count = n;
	pfree(sorted);
}

/* Reads one half of Texera's shape. */
static void
parse_half(Parse *parse, const JsonbValue *half, const char *name,
		   bool by_operator, NbmLinks *links)
{
	const NbmKind *outer = by_operator ? &nbm_workflow : &nbm_notebook;
	const NbmKind *inner = by_operator ? &nbm_notebook : &nbm_workflow;
	JsonbContainer *object;

	if (!nbm_is_object(half))
		wrong_shape(psprintf("$.%s", name), "an object");
	object = half->val.binary.data;
	for (int i = 0; i < JsonContainerSize(object); i++)
	{
		NbmText		key;
		JsonbValue	owner;
		JsonbValue	list;
		int32		owner_key;

		CHECK_FOR_INTERRUPTS();
		nbm_member(object, i, &key, &list);
		if (!nbm_is_array(&list))
			wrong_shape(psprintf("$.%s.%.*s", name, key.len, key.str),
						psprintf("an array of %ss", inner->item));
		nbm_set_string(&owner, key);
		owner_key = resolve(parse, outer, &owner);
		for (int j = 0; j < JsonContainerSize(list.val.binary.data); j++)
		{
			JsonbValue	member;
			int32		member_key;

			nbm_element(list.val.binary.data, j, &member);
			if (member.type != jbvString && member.type != jbvNumeric)
				wrong_shape(psprintf("$.%s.%.*s[%d]", name, key.len, key.str, j),
							"an id or a key");
			member_key = resolve(parse, inner, &member);
			add_link(links, by_operator ? member_key : owner_key,
					 by_operator ? owner_key : member_key);
		}
	}
}

/* Reads the lines of a link. */
static void
parse_lines(const JsonbValue *value, const char *path, NbmLink *link)
{
	JsonbContainer *array;

	if (!nbm_is_array(value))
		wrong_shape(path, "an array of [from, to]");
	array = value->val.binary.data;
	link->nlines = JsonContainerSize(array);
	link->lines = palloc_array(int32, Max(2 * link->nlines, 1));
	for (int i = 0; i < link->nlines; i++)
	{
		int32	   *range = &link->lines[2 * i];
		JsonbValue	pair;
		JsonbValue	from;
		JsonbValue	to;
		bool		sound = false;

		nbm_element(array, i, &pair);
		if (nbm_is_array(&pair) && JsonContainerSize(pair.val.binary.data) == 2)
		{
			nbm_element(pair.val.binary.data, 0, &from);
			nbm_element(pair.val.binary.data, 1, &to);
			sound = nbm_get_int(&from, &range[0]) &&
				nbm_get_int(&to, &range[1]) &&
				range[0] >= 1 && range[0] <= range[1] &&
				range[1] < PG_INT32_MAX;
		}
		if (!sound)
			wrong_shape(psprintf("%s[%d]", path, i),
						"[from, to], two line numbers of 1 or more in order");
	}
}

/* Reads one link of the other shape. */
static void
parse_link(Parse *parse, const JsonbValue *value, const char *path,
		   NbmLinks *links)
{
	JsonbContainer *object;
	JsonbValue	cell;
	JsonbValue	op;
	JsonbValue	lines;
	NbmLink    *link;

	if (!nbm_is_object(value))
		wrong_shape(path, "an object with \"cell\" and \"operator\"");
	object = value->val.binary.data;
	for (int i = 0; i < JsonContainerSize(object); i++)
	{
		NbmText		key;

		nbm_member(object, i, &key, NULL);
		if (!nbm_key_is(key, "cell") && !nbm_key_is(key, "operator") &&
			!nbm_key_is(key, "lines"))
			wrong_shape(path, "an object with \"cell\", \"operator\" and \"lines\" only");
	}
	if (!nbm_get(object, "cell", &cell))
		wrong_shape(path, "an object with a \"cell\"");
	if (!nbm_get(object, "operator", &op))
		wrong_shape(path, "an object with an \"operator\"");
	if (cell.type != jbvString && cell.type != jbvNumeric)
		wrong_shape(psprintf("%s.cell", path), "an id or a key");
	if (op.type != jbvString && op.type != jbvNumeric)
		wrong_shape(psprintf("%s.operator", path), "an id or a key");
	link = add_link(links, 0, 0);
	link->cell = resolve(parse, &nbm_notebook, &cell);
	link->op = resolve(parse, &nbm_workflow, &op);
	if (nbm_get(object, "lines", &lines) && lines.type != jbvNull)
		parse_lines(&lines, psprintf("%s.lines", path), link);
}

/* The name of an item by its key, as it is shown in messages. */
static char *
name_of_key(const NbmNames *names, const NbmText *shown, int32 key)
{
	JsonbValue	name;

	nbm_set_string(&name, shown[names->by_key[key]]);
	return nbm_shown_name(&name);
}

/* Adds a link that only one half has to a message. */
static void
list_link(StringInfo list, int *count, Parse *parse, const NbmLink *link,
		  const char *missing)
{
	if ((*count)++ >= MAX_LISTED)
		return;
	if (parse->cells_shown == NULL)
	{
		parse->cells_shown = nbm_item_names(parse->cells.layout);
		parse->operators_shown = nbm_item_names(parse->operators.layout);
	}
	appendStringInfo(list, "%scell %s and operator %s are not joined in %s",
					 list->len > 0 ? "; " : "",
					 name_of_key(&parse->cells,
								 parse->cells_shown, link->cell),
					 name_of_key(&parse->operators,
								 parse->operators_shown, link->op),
					 missing);
}

/* Raises 22023 where the two halves are not about the same links. */
static void
check_halves(Parse *parse, const NbmLinks *a, const NbmLinks *b)
{
	PlacedLink *sa = sorted_links(a);
	PlacedLink *sb = sorted_links(b);
	StringInfoData list;
	int			count = 0;
	int			i = 0;
	int			j = 0;

	initStringInfo(&list);
	while (i < a->count || j < b->count)
	{
		int			order = 0;

		if (i >= a->count)
			order = 1;
		else if (j >= b->count)
			order = -1;
		else if (!same_link(sa[i].link, sb[j].link))
		{
			PlacedLink	pa = {sa[i].link, 0};
			PlacedLink	pb = {sb[j].link, 0};

			order = placed_cmp(&pa, &pb);
		}
		if (order < 0)
			list_link(&list, &count, parse, sa[i].link, "cell_to_operator");
		else if (order > 0)
			list_link(&list, &count, parse, sb[j].link, "operator_to_cell");
		i += order <= 0;
		j += order >= 0;
	}
	if (count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg_plural("the two halves of the mapping disagree on %d link",
							   "the two halves of the mapping disagree on %d links",
							   count, count),
				 errdetail("%s%s.", list.data, count > MAX_LISTED ? "; ..." : "")));
}

/* Raises 22023 where the mapping has a member that it must not have. */
static void
check_members(JsonbContainer *mapping)
{
	JsonbValue	value;

	for (int i = 0; i < JsonContainerSize(mapping); i++)
	{
		NbmText		key;

		nbm_member(mapping, i, &key, NULL);
		if (!nbm_key_is(key, "links") && !nbm_key_is(key, "operator_to_cell") &&
			!nbm_key_is(key, "cell_to_operator"))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid mapping"),
					 errdetail("There is an unknown member \"%.*s\" at $.",
							   key.len, key.str),
					 errhint("A mapping has \"links\", or \"operator_to_cell\" and \"cell_to_operator\".")));
	}
	if (JsonContainerSize(mapping) == 0 ||
		(nbm_get(mapping, "links", &value) && JsonContainerSize(mapping) > 1))
		wrong_shape("$", "an object with either \"links\", or one or both of \"operator_to_cell\" and \"cell_to_operator\"");
}

/*
 * Reads a mapping that is stated for two layouts, into links by key, in new
 * memory of the current context.  Raises 22023 where its shape is wrong,
 * where its halves disagree, and where it names what is not there; 54000 where
 * it states more links than a mapping can have.
 */
void
nbm_mapping_parse(const NbmLayout *notebook, const NbmLayout *workflow,
				  Jsonb *mapping, NbmLinks *links)
{
	Parse		parse = {{0}};
	NbmLinks	other = {NULL, 0, 0};
	JsonbValue	value;
	bool		both = false;

	nbm_names_open(notebook, &parse.cells);
	nbm_names_open(workflow, &parse.operators);
	initStringInfo(&parse.problems);
	memset(links, 0, sizeof(*links));
	if (!JB_ROOT_IS_OBJECT(mapping))
		wrong_shape("$", "an object");
	check_members(&mapping->root);
	if (nbm_get(&mapping->root, "links", &value))
	{
		if (!nbm_is_array(&value))
			wrong_shape("$.links", "an array");
		for (int i = 0; i < JsonContainerSize(value.val.binary.data); i++)
		{
			JsonbValue	link;

			CHECK_FOR_INTERRUPTS();
			nbm_element(value.val.binary.data, i, &link);
			parse_link(&parse, &link, psprintf("$.links[%d]", i), links);
		}
	}
	if (nbm_get(&mapping->root, "operator_to_cell", &value))
	{
		parse_half(&parse, &value, "operator_to_cell", true, links);
		both = true;
	}
	if (nbm_get(&mapping->root, "cell_to_operator", &value))
		parse_half(&parse, &value, "cell_to_operator", false,
				   both ? &other : links);
	else
		both = false;
	if (parse.nproblems > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg_plural("the mapping names %d item that cannot be found",
							   "the mapping names %d items that cannot be found",
							   parse.nproblems, parse.nproblems),
				 errdetail("%s%s.", parse.problems.data,
						   parse.nproblems > MAX_LISTED ? "; ..." : ""),
				 errhint("Name a cell by metadata.uuid, id or key, an operator by operatorID or key.")));
	merge_repeated(links);
	merge_repeated(&other);
	if (both)
		check_halves(&parse, links, &other);
}

/* Writes one link of a mapping's content. */
static void
write_link(NbmWriter *w, const NbmLink *link)
{
	NbmText		keys[3] = {nbm_text("cell"), nbm_text("lines"), nbm_text("operator")};
	JsonbValue	value;

	if (link->nlines == 0)
		keys[1] = keys[2];
	nbm_writer_begin_object(w, link->nlines > 0 ? 3 : 2, keys);
	nbm_set_integer(&value, link->cell);
	nbm_writer_value(w, &value);
	if (link->nlines > 0)
	{
		nbm_writer_begin_array(w, link->nlines);
		for (int i = 0; i < link->nlines; i++)
		{
			nbm_writer_begin_array(w, 2);
			nbm_set_integer(&value, link->lines[2 * i]);
			nbm_writer_value(w, &value);
			nbm_set_integer(&value, link->lines[2 * i + 1]);
			nbm_writer_value(w, &value);
			nbm_writer_end(w);
		}
		nbm_writer_end(w);
	}
	nbm_set_integer(&value, link->op);
	nbm_writer_value(w, &value);
	nbm_writer_end(w);
}

/* The content of a mapping as it is stored: its links by key; a new value. */
Jsonb *
nbm_mapping_content(const NbmLinks *links)
{
	NbmText		key = nbm_text("links");
	NbmWriter	w;

	nbm_writer_init(&w, 0);
	nbm_writer_begin_object(&w, 1, &key);
	nbm_writer_begin_array(&w, links->count);
	for (int i = 0; i < links->count; i++)
		write_link(&w, &links->items[i]);
	nbm_writer_end(&w);
	nbm_writer_end(&w);
	return nbm_writer_finish(&w);
}
