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
 *
 * The text is followed in the order of the versions: what was cut off an item
 * before it took the text over has none of it.
 */
#include "postgres.h"

#include "lib/pairingheap.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

#include "heirs.h"

/* What was split or merged on one side since the mapping was stated. */
typedef struct Estate
{
	const NbmSide *side;
	NbmDescentRow *rows;		/* by the item that had the text */
	int			count;
	HTAB	   *known;			/* Heirs of items that were asked for */
} Estate;

/* The items that one item's links go to. */
typedef struct Heirs
{
	int32		key;			/* whose heirs; the key of the hash table */
	int32	   *keys;
	int			count;
	int			room;
	bool		is_merged;		/* does one that is there have the text of the
								 * item it was merged into? */
} Heirs;

/* A version in which an item took the text over. */
typedef struct Arrival
{
	pairingheap_node node;
	int32		key;
	int32		version;
	bool		by_merge;		/* because the first item was merged */
} Arrival;

/* A search for the heirs of one item. */
typedef struct Search
{
	const Estate *estate;
	Heirs	   *heirs;
	pairingheap *arrivals;		/* those to come, the earliest first */
	HTAB	   *seen;			/* (key, by_merge) of those that were followed */
} Search;

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

/* A hash table in the current context. */
static HTAB *
make_table(const char *name, Size key_size, Size entry_size)
{
	HASHCTL		control = {0};

	control.keysize = key_size;
	control.entrysize = entry_size;
	control.hcxt = CurrentMemoryContext;
	return hash_create(name, 256, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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

/* Adds an item to the end of a list. */
static void
add_heir(Heirs *heirs, int32 key)
{
	if (heirs->count == heirs->room)
	{
		heirs->room *= 2;
		heirs->keys = repalloc_array(heirs->keys, int32, heirs->room);
	}
	heirs->keys[heirs->count++] = key;
}

/* Notes two numbers; false where they were noted before. */
static bool
note_pair(HTAB *seen, int32 first, int32 second)
{
	uint64		pair = ((uint64) (uint32) first << 32) | (uint32) second;
	bool		found;

	hash_search(seen, &pair, HASH_ENTER, &found);
	return !found;
}

/* pairingheap comparator: the earliest comes out first. */
static int
arrival_cmp(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	int32		va = pairingheap_const_container(Arrival, node, a)->version;
	int32		vb = pairingheap_const_container(Arrival, node, b)->version;

	return va < vb ? 1 : va > vb ? -1 : 0;
}

/* Enters an item that took the text over. */
static void
add_arrival(Search *search, int32 key, int32 version, bool by_merge)
{
	Arrival    *arrival = palloc(sizeof(Arrival));

	arrival->key = key;
	arrival->version = version;
	arrival->by_merge = by_merge;
	pairingheap_add(search->arrivals, &arrival->node);
}

/*
 * Enters the items that took the text over from one that has it since a
 * version: from an item that is there its parts, from one that is gone also
 * the item it was merged into.  What was cut off before was not of this text.
 */
static void
follow(Search *search, const Arrival *had)
{
	const Estate *estate = search->estate;
	bool		is_there = nbm_side_find(estate->side, had->key) >= 0;
	int			low = 0;
	int			high = estate->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const NbmDescentRow *row = &estate->rows[middle];

		if (row->from < had->key ||
			(row->from == had->key && row->version <= had->version))
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < estate->count && estate->rows[low].from == had->key; low++)
	{
		const NbmDescentRow *row = &estate->rows[low];

		if (row->is_merge ? is_there :
			nbm_authored_find(estate->side, row->key) >= 0)
			continue;
		add_arrival(search, row->key, row->version, had->by_merge ||
					(row->is_merge && had->key == search->heirs->key));
	}
}

/* Finds the heirs of an item that are there, in the current context. */
static void
search_heirs(const Estate *estate, Heirs *heirs)
{
	Search		search = {estate, heirs};

	search.arrivals = pairingheap_allocate(arrival_cmp, NULL);
	search.seen = make_table("notebook_migrate heirs", sizeof(uint64),
							 sizeof(uint64));
	add_arrival(&search, heirs->key, estate->side->authored.version, false);
	while (!pairingheap_is_empty(search.arrivals))
	{
		Arrival    *next = pairingheap_container(Arrival, node,
												 pairingheap_remove_first(search.arrivals));
		bool		is_there = nbm_side_find(estate->side, next->key) >= 0;

		CHECK_FOR_INTERRUPTS();
		if (note_pair(search.seen, next->key, next->by_merge))
		{
			if (is_there && next->key != heirs->key)
				heirs->is_merged |= next->by_merge;
			if (is_there && note_pair(search.seen, next->key, -1) &&
				next->key != heirs->key)
				add_heir(heirs, next->key);
			follow(&search, next);
		}
		pfree(next);
	}
	hash_destroy(search.seen);
	pairingheap_free(search.arrivals);
}

/*
 * The items that the links of one go to: itself, unless it was merged into
 * one that is there, or that has an heir there; then its heirs that are there.
 */
static const Heirs *
find_heirs(Estate *estate, int32 key)
{
	bool		found;
	Heirs	   *heirs = hash_search(estate->known, &key, HASH_ENTER, &found);

	if (found)
		return heirs;
	heirs->room = 4;
	heirs->keys = palloc_array(int32, heirs->room);
	heirs->keys[0] = key;
	heirs->count = 1;
	heirs->is_merged = false;
	if (estate->count > 0)
		search_heirs(estate, heirs);
	if (heirs->is_merged)
		heirs->keys[0] = heirs->keys[--heirs->count];
	return heirs;
}

/* Adds a link without lines. */
static void
add_link(NbmLinks *links, int32 cell, int32 op)
{
	NbmLink    *link;

	if (links->count == NBM_MAX_LINKS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("splits have made more than %d links of a mapping's",
						NBM_MAX_LINKS),
				 errhint("State a mapping for newer versions.")));
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
	Estate		cells;
	Estate		operators;
	HTAB	   *seen;

	open_estate(&cells, &answer->cells);
	open_estate(&operators, &answer->operators);
	if (cells.count == 0 && operators.count == 0)
		return;
	cells.known = make_table("notebook_migrate cells", sizeof(int32),
							 sizeof(Heirs));
	operators.known = make_table("notebook_migrate operators", sizeof(int32),
								 sizeof(Heirs));
	seen = make_table("notebook_migrate links", sizeof(uint64), sizeof(uint64));
	for (int i = 0; i < stated.count; i++)
		note_pair(seen, stated.items[i].cell, stated.items[i].op);
	links->count = 0;
	links->room = Max(stated.count, 1);
	links->items = palloc_extended(mul_size(sizeof(NbmLink), links->room),
								   MCXT_ALLOC_HUGE);
	for (int i = 0; i < stated.count; i++)
	{
		const NbmLink *link = &stated.items[i];
		const Heirs *by_cell = find_heirs(&cells, link->cell);
		const Heirs *by_op = find_heirs(&operators, link->op);

		for (int c = 0; c < by_cell->count; c++)
			for (int o = 0; o < by_op->count; o++)
			{
				CHECK_FOR_INTERRUPTS();
				if (by_cell->keys[c] == link->cell && by_op->keys[o] == link->op)
				{
					add_link(links, link->cell, link->op);
					links->items[links->count - 1] = *link;
				}
				else if (note_pair(seen, by_cell->keys[c], by_op->keys[o]))
					add_link(links, by_cell->keys[c], by_op->keys[o]);
			}
	}
}
