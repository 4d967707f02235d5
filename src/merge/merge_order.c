/*
 * merge_order.c
 *		Where each item stands after a three-way merge.
 *
 * What a side moved is what is not in the longest run of its items that kept
 * base's order.  Items of base that neither side moved are the backbone: they
 * stand in base's order.  All others are put after one of these:
 *
 * - a moved item after the backbone item that precedes it in the document of
 *   the side that moved it (ours, where both did and ours is to win);
 * - an inserted item after the backbone or moved item that precedes it in its
 *   own document; a moved one takes along what was inserted after it.
 *
 * What precedes is looked for among the items of the result, so that an item
 * whose predecessor was deleted stands after the nearest one that is left.
 * At one place ours comes first, and each side's items keep their order.  Equal
 * items that both sides inserted at one place are one; those that come in the
 * same order on both sides are landmarks, around which the others stand.
 *
 * All this is one sort, by a place of a few integers:
 *
 *		backbone: base index of the backbone item, -1 at the beginning
 *		run: the array of items, for notebooks with worksheets
 *		landmarks passed, whose (ours first), index in that side's document
 *		the same three again, for what was inserted after a moved item
 *
 * O(n log n), no recursion, nothing that could go in circles: a moved item's
 * place depends on the backbone only, an inserted one's on both.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "longest_run.h"
#include "merge_order.h"

/* An item that one side inserted, by the place where it did. */
typedef struct Inserted
{
	NbmMergeItem *item;
	NbmMergeSide side;
	int			index;			/* in that side's document */
} Inserted;

/* Was the item in base, and did nobody move it? */
static bool
is_backbone(const NbmMergeItem *item)
{
	return item->at[NBM_BASE] >= 0 && !item->is_moved[NBM_OURS] &&
		!item->is_moved[NBM_THEIRS];
}

/* Whose document says where a moved or inserted item stands. */
static NbmMergeSide
owner_of(const NbmMergeOrder *order, const NbmMergeItem *item)
{
	if (item->at[NBM_BASE] < 0)
		return item->at[NBM_OURS] >= 0 ? NBM_OURS : NBM_THEIRS;
	if (item->is_moved[NBM_OURS] && item->is_moved[NBM_THEIRS])
		return item->moves_differ && order->theirs_win ? NBM_THEIRS : NBM_OURS;
	return item->is_moved[NBM_THEIRS] ? NBM_THEIRS : NBM_OURS;
}

/* Do all three documents have the item? */
static bool
is_common(const NbmMergeItem *item)
{
	return item->at[NBM_BASE] >= 0 && item->at[NBM_OURS] >= 0 &&
		item->at[NBM_THEIRS] >= 0;
}

/* Finds what a side moved of the items that all three documents have. */
static void
find_common_moves(NbmMergeOrder *order, NbmMergeSide side)
{
	int			count = 0;
	int		   *values = palloc_array(int, Max(order->count[side], 1));
	bool	   *is_in = palloc_array(bool, Max(order->count[side], 1));

	for (int i = 0; i < order->count[side]; i++)
	{
		NbmMergeItem *item = &order->items[order->item_at[side][i]];

		if (is_common(item))
			values[count++] = item->at[NBM_BASE];
	}
	nbm_longest_run(values, count, is_in);
	count = 0;
	for (int i = 0; i < order->count[side]; i++)
	{
		NbmMergeItem *item = &order->items[order->item_at[side][i]];

		if (is_common(item))
			item->is_moved[side] = !is_in[count++];
	}
	pfree(values);
	pfree(is_in);
}

/*
 * Finds what a side moved of the items that the other side deleted: what
 * does not fit between the items around it that kept their order.
 */
static void
find_other_moves(NbmMergeOrder *order, NbmMergeSide side)
{
	int		   *limit = palloc_array(int, order->count[side] + 1);
	int			last = -1;

	limit[order->count[side]] = PG_INT32_MAX;
	for (int i = order->count[side] - 1; i >= 0; i--)
	{
		NbmMergeItem *item = &order->items[order->item_at[side][i]];

		limit[i] = is_common(item) && !item->is_moved[side] ?
			item->at[NBM_BASE] : limit[i + 1];
	}
	for (int i = 0; i < order->count[side]; i++)
	{
		NbmMergeItem *item = &order->items[order->item_at[side][i]];

		if (item->at[NBM_BASE] < 0 || item->is_moved[side])
			continue;
		if (item->at[NBM_BASE] > last && item->at[NBM_BASE] <= limit[i])
			last = item->at[NBM_BASE];
		else
			item->is_moved[side] = true;
	}
	pfree(limit);
}

/* The common item that precedes each item in a side's document; -1: none. */
static int *
common_before(const NbmMergeOrder *order, NbmMergeSide side)
{
	int		   *before = palloc_array(int, Max(order->nitems, 1));
	int			last = -1;

	for (int i = 0; i < order->count[side]; i++)
	{
		int			item = order->item_at[side][i];

		before[item] = last;
		if (is_common(&order->items[item]))
			last = item;
	}
	return before;
}

/* Finds what each side moved, and what both moved to different places. */
void
nbm_order_find_moves(NbmMergeOrder *order)
{
	int		   *ours;
	int		   *theirs;

	for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
	{
		find_common_moves(order, s);
		find_other_moves(order, s);
	}
	ours = common_before(order, NBM_OURS);
	theirs = common_before(order, NBM_THEIRS);
	for (int i = 0; i < order->nitems; i++)
	{
		NbmMergeItem *item = &order->items[i];

		item->moves_differ = item->is_moved[NBM_OURS] &&
			item->is_moved[NBM_THEIRS] && ours[i] != theirs[i];
	}
	pfree(ours);
	pfree(theirs);
}

/* Finds after which items those stand that a side inserted. */
static void
find_slots(NbmMergeOrder *order, NbmMergeSide side)
{
	int			backbone = -1;
	int			slot = -1;

	for (int i = 0; i < order->count[side]; i++)
	{
		int			index = order->item_at[side][i];
		NbmMergeItem *item = &order->items[index];

		if (!item->is_in)
			continue;
		if (is_backbone(item))
		{
			backbone = item->at[NBM_BASE];
			slot = -1;
		}
		else if (item->at[NBM_BASE] >= 0)
			slot = index;
		else if (owner_of(order, item) == side)
		{
			item->backbone = slot < 0 ? backbone : -1;
			item->slot = slot;
		}
	}
}

/* Compares the places of two inserted items, regardless of whose they are. */
static int
slot_cmp(const Inserted *a, const Inserted *b)
{
	if (a->item->slot != b->item->slot)
		return a->item->slot < b->item->slot ? -1 : 1;
	if (a->item->backbone != b->item->backbone)
		return a->item->backbone < b->item->backbone ? -1 : 1;
	return 0;
}

/* qsort comparator: by place, then in the document's order. */
static int
inserted_cmp(const void *a, const void *b)
{
	const Inserted *ia = a;
	const Inserted *ib = b;
	int			cmp = slot_cmp(ia, ib);

	return cmp != 0 ? cmp : ia->index - ib->index;
}

/* qsort comparator: by place, then content, then side, then order. */
static int
content_cmp(const void *a, const void *b)
{
	const Inserted *ia = a;
	const Inserted *ib = b;
	int			cmp = slot_cmp(ia, ib);

	if (cmp != 0)
		return cmp;
	if (ia->item->content != ib->item->content)
		return ia->item->content < ib->item->content ? -1 : 1;
	if (ia->side != ib->side)
		return ia->side < ib->side ? -1 : 1;
	return ia->index - ib->index;
}

/* All items that exactly one side has, in no order; *count is set. */
static Inserted *
collect_inserted(const NbmMergeOrder *order, int *count)
{
	Inserted   *list = palloc_array(Inserted, Max(order->nitems, 1));

	*count = 0;
	for (int i = 0; i < order->nitems; i++)
	{
		NbmMergeItem *item = &order->items[i];

		if (item->at[NBM_BASE] >= 0 || !item->is_in ||
			(item->at[NBM_OURS] >= 0 && item->at[NBM_THEIRS] >= 0))
			continue;
		list[*count].item = item;
		list[*count].side = owner_of(order, item);
		list[*count].index = item->at[list[*count].side];
		(*count)++;
	}
	return list;
}

/* Makes two items one, which stands where ours does. */
static void
unify(NbmMergeOrder *order, NbmMergeItem *ours, NbmMergeItem *theirs)
{
	ours->at[NBM_THEIRS] = theirs->at[NBM_THEIRS];
	order->item_at[NBM_THEIRS][ours->at[NBM_THEIRS]] =
		(int) (ours - order->items);
	theirs->is_gone = true;
	theirs->is_in = false;
}

/*
 * Marks the unified items that come in the same order on both sides, slot by
 * slot.  list is sorted by place.
 */
static void
mark_shared(const Inserted *list, int count)
{
	int		   *values = palloc_array(int, Max(count, 1));
	bool	   *is_in = palloc_array(bool, Max(count, 1));
	int			end;

	for (int i = 0; i < count; i = end)
	{
		for (end = i; end < count && slot_cmp(&list[i], &list[end]) == 0; end++)
			values[end - i] = list[end].item->at[NBM_THEIRS];
		nbm_longest_run(values, end - i, is_in);
		for (int j = i; j < end; j++)
			list[j].item->is_shared = is_in[j - i];
	}
	pfree(values);
	pfree(is_in);
}

/*
 * Finds the places of inserted items, and makes one of equal ones that both
 * sides inserted at one place: the first of ours and the first of theirs, and
 * so on.
 */
void
nbm_order_unify(NbmMergeOrder *order, NbmMergeSame same, void *arg)
{
	Inserted   *list;
	int			count;
	int			nunified = 0;
	int			end;

	find_slots(order, NBM_OURS);
	find_slots(order, NBM_THEIRS);
	list = collect_inserted(order, &count);
	qsort(list, count, sizeof(Inserted), content_cmp);
	for (int i = 0; i < count; i = end)
	{
		int			theirs;

		CHECK_FOR_INTERRUPTS();
		for (end = i; end < count && list[end].side == list[i].side &&
			 list[end].item->content == list[i].item->content &&
			 slot_cmp(&list[i], &list[end]) == 0; end++)
			;
		if (list[i].side != NBM_OURS)
			continue;
		for (theirs = end; i < end && theirs < count; theirs++, i++)
		{
			if (list[theirs].side != NBM_THEIRS ||
				list[theirs].item->content != list[i].item->content ||
				slot_cmp(&list[i], &list[theirs]) != 0)
				break;
			if (!same(arg, list[i].item, list[theirs].item))
				continue;
			unify(order, list[i].item, list[theirs].item);
			list[nunified++] = list[i];
		}
	}
	qsort(list, nunified, sizeof(Inserted), inserted_cmp);
	mark_shared(list, nunified);
	pfree(list);
}

/* Writes three parts of a place, from a part on. */
static void
set_place(NbmMergeItem *item, int part, int landmarks, int whose, int index)
{
	item->place[part] = landmarks;
	item->place[part + 1] = whose;
	item->place[part + 2] = index;
}

/*
 * Gives the items that a side placed their places.  Of what was inserted
 * after a moved item only the last three parts are set.
 */
static void
place_items(NbmMergeOrder *order, NbmMergeSide side)
{
	int			backbone = -1;
	bool		is_direct = true;	/* not after a moved item */
	int			landmarks[2] = {0, 0};	/* after a moved item, directly */

	for (int i = 0; i < order->count[side]; i++)
	{
		NbmMergeItem *item = &order->items[order->item_at[side][i]];
		bool		is_own = owner_of(order, item) == side;

		if (!item->is_in)
			continue;
		if (is_backbone(item))
		{
			backbone = item->at[NBM_BASE];
			is_direct = true;
			landmarks[true] = 0;
			continue;
		}
		if (item->at[NBM_BASE] >= 0)
		{
			is_direct = false;
			landmarks[false] = 0;
		}
		else
			landmarks[is_direct] += item->is_shared;
		if (!is_own)
			continue;
		item->place[0] = backbone;
		item->place[1] = item->run;
		if (item->at[NBM_BASE] >= 0)
			set_place(item, 2, landmarks[true], side, i);
		else
			set_place(item, is_direct ? 2 : 5, landmarks[is_direct],
					  item->is_shared ? 0 : (int) side, i);
	}
}

/* qsort comparator of pointers to items: by place. */
static int
place_cmp(const void *a, const void *b)
{
	const NbmMergeItem *ia = *(NbmMergeItem *const *) a;
	const NbmMergeItem *ib = *(NbmMergeItem *const *) b;

	for (int i = 0; i < NBM_PLACE_PARTS; i++)
		if (ia->place[i] != ib->place[i])
			return ia->place[i] < ib->place[i] ? -1 : 1;
	return 0;
}

/*
 * The items in the order of the result, newly allocated: order->nitems
 * pointers, among them, where they would stand, those that are not in it.
 * Runs are raised where an item would come before those of an earlier one.
 */
NbmMergeItem **
nbm_order_sort(NbmMergeOrder *order)
{
	NbmMergeItem **sorted = palloc_array(NbmMergeItem *,
										 Max(order->nitems, 1));
	int			run = 0;

	for (int i = 0; i < order->nitems; i++)
	{
		NbmMergeItem *item = &order->items[i];

		sorted[i] = item;
		item->place[0] = item->at[NBM_BASE];
		item->place[1] = -1;
	}
	place_items(order, NBM_OURS);
	place_items(order, NBM_THEIRS);
	for (int i = 0; i < order->nitems; i++)
	{
		NbmMergeItem *item = &order->items[i];

		if (item->is_in && item->at[NBM_BASE] < 0 && item->slot >= 0)
			memcpy(item->place, order->items[item->slot].place,
				   sizeof(int) * 5);
	}
	qsort(sorted, order->nitems, sizeof(NbmMergeItem *), place_cmp);
	for (int i = 0; i < order->nitems; i++)
		if (sorted[i]->is_in)
			run = sorted[i]->run = Max(sorted[i]->run, run);
	return sorted;
}
