/*
 * mapping_shape.c
 *		The answer for a pair of versions in Apache Texera's shape.
 *
 *		{"operator_to_cell": {operator: [cell, ...], ...},
 *		 "cell_to_operator": {cell: [operator, ...], ...}}
 *
 * Both halves are made of the same links, and have those only of which both
 * ends are there.
 */
#include "postgres.h"

#include "mapping_shape.h"
#include "names.h"

/* A live link with the places of its two ends. */
typedef struct LiveLink
{
	int			owner;			/* index of the item that is the member's key */
	int			member;
	int			order;			/* of the link in the authored mapping */
} LiveLink;

/* qsort comparator: by owner, then in the authored order. */
static int
live_cmp(const void *a, const void *b)
{
	const LiveLink *la = a;
	const LiveLink *lb = b;

	if (la->owner != lb->owner)
		return la->owner < lb->owner ? -1 : 1;
	return la->order < lb->order ? -1 : la->order > lb->order;
}

/* One half of Texera's shape: owner to members, as a new jsonb object. */
static Jsonb *
half(LiveLink *links, int count, const NbmText *owners, const NbmText *members)
{
	NbmPair    *pairs = palloc_array(NbmPair, Max(count, 1));
	int			npairs = 0;
	NbmWriter	w;

	qsort(links, count, sizeof(LiveLink), live_cmp);
	for (int i = 0, next; i < count; i = next)
	{
		next = i;
		while (next < count && links[next].owner == links[i].owner)
			next++;
		nbm_writer_init(&w, 0);
		nbm_writer_begin_array(&w, next - i);
		for (int j = i; j < next; j++)
		{
			JsonbValue	member;

			nbm_set_string(&member, members[links[j].member]);
			nbm_writer_value(&w, &member);
		}
		nbm_writer_end(&w);
		pairs[npairs].key = owners[links[i].owner];
		nbm_set_jsonb(&pairs[npairs++].value, nbm_writer_finish(&w));
	}
	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, pairs, npairs);
	return nbm_writer_finish(&w);
}

/* The live links of an answer, owned by the cells or by the operators. */
static LiveLink *
live_links(const NbmAnswer *answer, bool by_cell, int *count)
{
	LiveLink   *live = palloc_array(LiveLink, Max(answer->links.count, 1));

	*count = 0;
	for (int i = 0; i < answer->links.count; i++)
	{
		int			cell;
		int			op;

		if (!nbm_state_is_live(answer->states[i]))
			continue;
		cell = nbm_side_find(&answer->cells, answer->links.items[i].cell);
		op = nbm_side_find(&answer->operators, answer->links.items[i].op);
		live[*count].owner = by_cell ? cell : op;
		live[*count].member = by_cell ? op : cell;
		live[(*count)++].order = i;
	}
	return live;
}

/*
 * The live links of an answer, both halves, by the names that the items have
 * in the versions asked about.  The result is in the given context.
 */
Jsonb *
nbm_mapping_shape(const NbmAnswer *answer, MemoryContext context)
{
	NbmText    *cells = nbm_item_names(&answer->cells.version.layout);
	NbmText    *operators = nbm_item_names(&answer->operators.version.layout);
	MemoryContext outer;
	NbmPair		pairs[2];
	NbmWriter	w;
	int			count;
	LiveLink   *live;
	Jsonb	   *result;

	live = live_links(answer, false, &count);
	pairs[0].key = nbm_text("operator_to_cell");
	nbm_set_jsonb(&pairs[0].value, half(live, count, operators, cells));
	live = live_links(answer, true, &count);
	pairs[1].key = nbm_text("cell_to_operator");
	nbm_set_jsonb(&pairs[1].value, half(live, count, cells, operators));
	outer = MemoryContextSwitchTo(context);
	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, pairs, 2);
	result = nbm_writer_finish(&w);
	MemoryContextSwitchTo(outer);
	return result;
}
