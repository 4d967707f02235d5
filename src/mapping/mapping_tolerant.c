/*
 * mapping_tolerant.c
 *		Mappings as they were stored by others, sound or not.
 *
 * Takes every shape that Apache Texera has stored,
 *
 *		{"operator_to_cell": {operator: [cell, ...]},
 *		 "cell_to_operator": {cell: [operator, ...]}}	either half may be missing
 *		{operator: [cell, ...]}							the first half alone, bare
 *		{"links": [{"cell": c, "operator": o}, ...]}	this extension's own
 *		{"mapping": one of these}						as the service returns it
 *
 * keeps each link of which both ends are there, whichever half has it, and
 * reports all else.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "entries.h"
#include "mapping_tolerant.h"
#include "names.h"

/* Problems reported one by one, at most. */
#define MAX_REPORTED 100

/* What is found in a mapping. */
typedef struct Salvage
{
	NbmNames	cells;
	NbmNames	operators;
	NbmEntries	halves[2];		/* links: by place of operator and cell */
	List	   *problems;		/* of char * */
	int			nproblems;
} Salvage;

/* Reports what is unsound; the string is ours from now on, and may be freed. */
static void
report(Salvage *salvage, char *problem)
{
	if (salvage->nproblems++ < MAX_REPORTED)
		salvage->problems = lappend(salvage->problems, problem);
	else
		pfree(problem);
}

/* Reports what is wrong with a named item. */
static void
report_name(Salvage *salvage, const char *before, const JsonbValue *name,
			const char *after)
{
	char	   *shown = nbm_shown_name(name);

	report(salvage, psprintf("%s %s %s", before, shown, after));
	pfree(shown);
}

/* The place of a named item in its version; -1, and reported: none. */
static int
find(Salvage *salvage, bool is_operator, const JsonbValue *name)
{
	const char *why;
	int			place;

	CHECK_FOR_INTERRUPTS();
	if (name->type != jbvString && name->type != jbvNumeric)
	{
		report(salvage, psprintf("a name of %s is neither an id nor a key",
								 is_operator ? "an operator" : "a cell"));
		return -1;
	}
	place = nbm_names_find(is_operator ? &salvage->operators : &salvage->cells,
						   name, &why);
	if (place < 0)
		report_name(salvage, is_operator ? "operator" : "cell", name, why);
	return place;
}

/* Takes one half in. */
static void
take_half(Salvage *salvage, const JsonbValue *half, bool by_operator)
{
	JsonbContainer *object;

	if (!nbm_is_object(half))
	{
		report(salvage, psprintf("%s is no object", by_operator ?
								 "operator_to_cell" : "cell_to_operator"));
		return;
	}
	object = half->val.binary.data;
	for (int i = 0; i < JsonContainerSize(object); i++)
	{
		NbmText		key;
		JsonbValue	owner;
		JsonbValue	list;
		int			place;

		nbm_member(object, i, &key, &list);
		nbm_set_string(&owner, key);
		place = find(salvage, by_operator, &owner);
		if (!nbm_is_array(&list))
		{
			report_name(salvage, "what", &owner, "is joined with is no array");
			continue;
		}
		for (int j = 0; j < JsonContainerSize(list.val.binary.data); j++)
		{
			JsonbValue	member;
			int			other;

			nbm_element(list.val.binary.data, j, &member);
			other = find(salvage, !by_operator, &member);
			if (place >= 0 && other >= 0)
				nbm_entries_add(&salvage->halves[by_operator ? 0 : 1],
								by_operator ? nbm_pack(place, other) :
								nbm_pack(other, place), 0);
		}
	}
}

/* Takes links in, without their lines. */
static void
take_links(Salvage *salvage, const JsonbValue *links)
{
	JsonbContainer *array;

	if (!nbm_is_array(links))
	{
		report(salvage, pstrdup("links is no array"));
		return;
	}
	array = links->val.binary.data;
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue	link;
		JsonbValue	cell;
		JsonbValue	op;
		int			cell_place;
		int			op_place;

		nbm_element(array, i, &link);
		if (!nbm_is_object(&link) ||
			!nbm_get(link.val.binary.data, "cell", &cell) ||
			!nbm_get(link.val.binary.data, "operator", &op))
		{
			report(salvage, psprintf("link %d names no cell or no operator", i));
			continue;
		}
		cell_place = find(salvage, false, &cell);
		op_place = find(salvage, true, &op);
		if (cell_place >= 0 && op_place >= 0)
			nbm_entries_add(&salvage->halves[0],
							nbm_pack(op_place, cell_place), 0);
	}
}

/* Sorts a half and leaves each link once. */
static void
sort_half(NbmEntries *half)
{
	int			n = 0;

	if (half->count == 0)
		return;
	nbm_entries_sort(half->entries, half->count);
	for (int i = 0; i < half->count; i++)
		if (n == 0 || half->entries[n - 1].key != half->entries[i].key)
			half->entries[n++] = half->entries[i];
	half->count = n;
}

/* Adds a link, which is missing in a half where that is named. */
static void
add_link(Salvage *salvage, const NbmText *cells, const NbmText *operators,
		 uint64 packed, const char *missing, NbmLinks *links)
{
	int			op = nbm_first(packed);
	int			cell = nbm_second(packed);
	NbmLink    *link = &links->items[links->count++];

	memset(link, 0, sizeof(*link));
	link->cell = salvage->cells.layout->items[cell].key;
	link->op = salvage->operators.layout->items[op].key;
	if (missing != NULL)
		report(salvage, psprintf("cell \"%.*s\" and operator \"%.*s\" are not joined in %s",
								 cells[cell].len, cells[cell].str,
								 operators[op].len, operators[op].str,
								 missing));
}

/* All links of the two halves; those that one of them has not are reported. */
static void
join_halves(Salvage *salvage, bool both, NbmLinks *links)
{
	NbmEntries *a = &salvage->halves[0];
	NbmEntries *b = &salvage->halves[1];
	NbmText    *cells = nbm_item_names(salvage->cells.layout);
	NbmText    *operators = nbm_item_names(salvage->operators.layout);
	int			i = 0;
	int			j = 0;

	sort_half(a);
	sort_half(b);
	memset(links, 0, sizeof(*links));
	links->room = Max(a->count + b->count, 1);
	links->items = palloc_extended(mul_size(sizeof(NbmLink), links->room),
								   MCXT_ALLOC_HUGE);
	while (i < a->count || j < b->count)
	{
		bool		in_a = j >= b->count ||
		(i < a->count && a->entries[i].key <= b->entries[j].key);
		bool		in_b = i >= a->count ||
		(j < b->count && b->entries[j].key <= a->entries[i].key);

		add_link(salvage, cells, operators,
				 in_a ? a->entries[i].key : b->entries[j].key,
				 !both || (in_a && in_b) ? NULL :
				 in_a ? "cell_to_operator" : "operator_to_cell", links);
		i += in_a;
		j += in_b;
	}
}

/* A mapping without what it is wrapped in. */
static Jsonb *
unwrap(Jsonb *mapping)
{
	JsonbValue	value;

	if (JB_ROOT_IS_OBJECT(mapping) &&
		nbm_get(&mapping->root, "mapping", &value) && nbm_is_object(&value))
		return nbm_value_to_jsonb(&value);
	return mapping;
}

/*
 * Reads what is sound of a mapping that is about two layouts into links by
 * key, and returns what is not, as a list of strings; all in the current
 * context.
 */
List *
nbm_mapping_salvage(const NbmLayout *notebook, const NbmLayout *workflow,
					Jsonb *mapping, NbmLinks *links)
{
	Salvage		salvage = {{0}};
	JsonbValue	value;
	bool		operators = false;
	bool		cells = false;

	nbm_names_open(notebook, &salvage.cells);
	nbm_names_open(workflow, &salvage.operators);
	mapping = unwrap(mapping);
	if (!JB_ROOT_IS_OBJECT(mapping))
		report(&salvage, pstrdup("the mapping is no object"));
	else if (nbm_get(&mapping->root, "links", &value))
		take_links(&salvage, &value);
	else
	{
		operators = nbm_get(&mapping->root, "operator_to_cell", &value);
		if (operators)
			take_half(&salvage, &value, true);
		cells = nbm_get(&mapping->root, "cell_to_operator", &value);
		if (cells)
			take_half(&salvage, &value, false);
		if (!operators && !cells)
		{
			nbm_set_jsonb(&value, mapping);
			take_half(&salvage, &value, true);
		}
	}
	join_halves(&salvage, operators && cells, links);
	if (salvage.nproblems > MAX_REPORTED)
		salvage.problems = lappend(salvage.problems,
								   psprintf("and %d more",
											salvage.nproblems - MAX_REPORTED));
	return salvage.problems;
}
