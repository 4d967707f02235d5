/*
 * heirs.c
 *		Links that go on to the items which took an item's text over.
 *
 * A mapping was stated for one pair of versions.  Where one of its items was
 * split since, the parts are linked as the whole was; where it was merged
 * into another and is gone, its links go on to that one.  The author's word
 * goes before: a part that stood in the mapping's own version has the links
 * that were stated for it and inherits none.  An inherited link has no lines,
 * as those counted in the item that was mapped.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"

#include "heirs.h"

/* What was split or merged on one side since the mapping was stated. */
typedef struct Estate
{
	const NbmSide *side;
	NbmDescentRow *rows;		/* by the item that had the text */
	int			count;
} Estate;

/* The items that one item's links go to. */
typedef struct Heirs
{
	int32	   *keys;			/* also those that are not there */
	int			count;
	int			room;
	bool		is_merged;		/* did the item go into another one? */
} Heirs;

/* qsort comparator: by the item that had the text, then by version. */
static int
row_cmp(const void *a, const void *b)
{
	const NbmDescentRow *ra = a;
	const NbmDescentRow *rb = b;

	if (ra->from != rb->from)
		return ra->from < rb->from ? -1 : 1;
	return ra->version < rb->version ? -1 : ra->version > rb->version;
}

/* Reads what was split or merged between the two versions of a side. */
static void
open_estate(Estate *estate, const NbmSide *side)
{
	estate->side = side;
	estate->count = 0;
	if (side->authored.version >= side->version.version)
		return;
	estate->rows = nbm_store_descents(&side->store, side->authored.version,
									  side->version.version, &estate->count);
	qsort(estate->rows, estate->count, sizeof(NbmDescentRow), row_cmp);
}

/* Adds an item unless it is there already. */
static void
add_heir(Heirs *heirs, int32 key)
{
	for (int i = 0; i < heirs->count; i++)
		if (heirs->keys[i] == key)
			return;
	if (heirs->count == heirs->room)
	{
		heirs->room *= 2;
		heirs->keys = repalloc_array(heirs->keys, int32, heirs->room);
	}
	heirs->keys[heirs->count++] = key;
}

/*
 * Adds the items that took over text of one: of an item that is there its
 * parts, of one that is gone also the item it was merged into.
 */
static void
add_heirs_of(const Estate *estate, int32 key, Heirs *heirs)
{
	bool		is_there = nbm_side_find(estate->side, key) >= 0;
	int			low = 0;
	int			high = estate->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (estate->rows[middle].from < key)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < estate->count && estate->rows[low].from == key; low++)
	{
		const NbmDescentRow *row = &estate->rows[low];

		if (row->is_merge ? is_there :
			nbm_authored_find(estate->side, row->key) >= 0)
			continue;
		heirs->is_merged |= row->is_merge && key == heirs->keys[0];
		add_heir(heirs, row->key);
	}
}

/*
 * The items that the links of one go to: itself, unless it was merged into
 * one of its heirs, then its heirs that are there.  Newly allocated.
 */
static Heirs
find_heirs(const Estate *estate, int32 key)
{
	Heirs		heirs = {palloc_array(int32, 4), 1, 4};
	int			n = 1;

	heirs.keys[0] = key;
	if (estate->count == 0)
		return heirs;
	for (int i = 0; i < heirs.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_heirs_of(estate, heirs.keys[i], &heirs);
	}
	for (int i = 1; i < heirs.count; i++)
		if (nbm_side_find(estate->side, heirs.keys[i]) >= 0)
			heirs.keys[n++] = heirs.keys[i];
	heirs.count = n;
	if (heirs.is_merged && n > 1)
		heirs.keys[0] = heirs.keys[--heirs.count];
	return heirs;
}

/* Notes a link by its ends; false where it was noted before. */
static bool
note_link(HTAB *seen, int32 cell, int32 op)
{
	uint64		ends = ((uint64) (uint32) cell << 32) | (uint32) op;
	bool		found;

	hash_search(seen, &ends, HASH_ENTER, &found);
	return !found;
}

/* Adds a link without lines. */
static void
add_link(NbmLinks *links, int32 cell, int32 op)
{
	NbmLink    *link;

	if (links->count == links->room)
	{
		links->room *= 2;
		links->items = repalloc_huge(links->items,
									 mul_size(sizeof(NbmLink), links->room));
	}
	link = &links->items[links->count++];
	memset(link, 0, sizeof(*link));
	link->cell = cell;
	link->op = op;
}

/*
 * Adds to the links of an answer those that were inherited, and takes out
 * those whose item was merged into an heir.
 */
void
nbm_links_inherit(NbmAnswer *answer)
{
	NbmLinks	stated = answer->links;
	NbmLinks   *links = &answer->links;
	HASHCTL		control = {0};
	Estate		cells;
	Estate		operators;
	HTAB	   *seen;

	open_estate(&cells, &answer->cells);
	open_estate(&operators, &answer->operators);
	if (cells.count == 0 && operators.count == 0)
		return;
	control.keysize = control.entrysize = sizeof(uint64);
	control.hcxt = CurrentMemoryContext;
	seen = hash_create("notebook_migrate links", 256, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < stated.count; i++)
		note_link(seen, stated.items[i].cell, stated.items[i].op);
	links->count = 0;
	links->room = Max(stated.count, 1);
	links->items = palloc_extended(mul_size(sizeof(NbmLink), links->room),
								   MCXT_ALLOC_HUGE);
	for (int i = 0; i < stated.count; i++)
	{
		const NbmLink *link = &stated.items[i];
		Heirs		by_cell = find_heirs(&cells, link->cell);
		Heirs		by_op = find_heirs(&operators, link->op);

		for (int c = 0; c < by_cell.count; c++)
			for (int o = 0; o < by_op.count; o++)
			{
				CHECK_FOR_INTERRUPTS();
				if (by_cell.keys[c] == link->cell && by_op.keys[o] == link->op)
				{
					add_link(links, link->cell, link->op);
					links->items[links->count - 1] = *link;
				}
				else if (note_link(seen, by_cell.keys[c], by_op.keys[o]))
					add_link(links, by_cell.keys[c], by_op.keys[o]);
			}
	}
}
