/*
 * lineage.c
 *		Items that were split or merged: found at commit, told in diffs.
 *
 * Where a cell is cut in two, its key stays with the part that holds more of
 * it, and the other part is a new item; where two are joined, one of the keys
 * is gone.  A version's row says which items these were:
 *
 *	[{"key": 7, "from": 3, "change": "split"},	-- 7 is new, 3 lives on
 *	 {"key": 2, "from": 4, "change": "merged"}]	-- 4 is gone, 2 lives on
 *
 * A diff over many versions follows them from item to item.  Read backwards,
 * a split is a merge and a merge a split.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "descent.h"
#include "identity.h"
#include "lineage.h"

/* ---------------- at commit ---------------- */

/* The items of one version that the search is given, in their order. */
typedef struct Items
{
	const NbmLayout *layout;
	bool	   *is_wanted;		/* by position */
	const NbmChange **change;	/* by position; NULL: same type and source */
	int		   *partner;		/* by position: of the same item in the other
								 * version, -1: none */
	int		   *place;			/* by position: index in items */
	NbmMatchItem *items;
	int32	   *keys;
	int			count;
} Items;

/* Did type or source of an item change? */
static bool
is_modified(const NbmChange *change)
{
	return change->name == NBM_MODIFIED || change->name == NBM_MOVED_MODIFIED;
}

/*
 * Can anything have been split or merged?  For either something must have
 * come or gone, and something else have changed.
 */
static bool
is_possible(const NbmChange *changes, int count)
{
	bool		modified = false;
	bool		came_or_went = false;

	for (int i = 0; i < count; i++)
	{
		modified |= is_modified(&changes[i]);
		came_or_went |= changes[i].name == NBM_INSERTED ||
			changes[i].name == NBM_DELETED;
	}
	return modified && came_or_went;
}

/* Prepares one side, given the other version. */
static void
open_items(Items *items, const NbmLayout *layout, const NbmLayout *other)
{
	int			n = Max(layout->nitems, 1);
	int32		max_key;
	int		   *index = nbm_layout_index(other, &max_key);

	items->layout = layout;
	items->is_wanted = palloc0_array(bool, n);
	items->change = palloc0_array(const NbmChange *, n);
	items->partner = palloc_array(int, n);
	items->place = palloc_array(int, n);
	for (int i = 0; i < layout->nitems; i++)
		items->partner[i] = layout->items[i].key <= max_key ?
			index[layout->items[i].key] : -1;
	pfree(index);
}

/* Wants the item at a position, if there is one, and the same item over there. */
static void
want_item(Items *items, Items *others, int position)
{
	if (position < 0 || position >= items->layout->nitems)
		return;
	items->is_wanted[position] = true;
	if (items->partner[position] >= 0)
		others->is_wanted[items->partner[position]] = true;
}

/*
 * Wants the items that changed, came or went, and those beside the latter,
 * which say between whom they stood; asks for the bodies of the former.
 */
static void
want_items(Items *olds, Items *news, const NbmChange *changes, int count,
		   NbmBodies *bodies)
{
	for (int i = 0; i < count; i++)
	{
		const NbmChange *change = &changes[i];
		bool		modified = is_modified(change);

		if (modified || change->name == NBM_DELETED)
		{
			olds->change[change->old_position] = change;
			nbm_bodies_want(bodies, change->old_core);
			for (int side = -1; side <= 1; side++)
				want_item(olds, news, change->old_position + side);
		}
		if (modified || change->name == NBM_INSERTED)
		{
			news->change[change->new_position] = change;
			nbm_bodies_want(bodies, change->new_core);
			for (int side = -1; side <= 1; side++)
				want_item(news, olds, change->new_position + side);
		}
	}
}

/*
 * Describes the items that are wanted.  Those that did not change need no
 * text; they are equal to themselves.
 */
static void
describe_items(Items *items, const NbmKind *kind, NbmBodies *bodies)
{
	int			n = 0;

	for (int i = 0; i < items->layout->nitems; i++)
		n += items->is_wanted[i];
	items->items = palloc0_array(NbmMatchItem, Max(n, 1));
	items->keys = palloc_array(int32, Max(n, 1));
	for (int i = 0; i < items->layout->nitems; i++)
	{
		NbmMatchItem *described = &items->items[items->count];
		NbmCandidate candidate = {&items->layout->items[i]};

		if (!items->is_wanted[i])
			continue;
		CHECK_FOR_INTERRUPTS();
		if (items->change[i] != NULL)
		{
			candidate.core = &nbm_bodies_get(bodies,
											 candidate.item->core)->root;
			nbm_describe(kind, &candidate, described);
		}
		else
		{
			described->text = "";
			described->content = candidate.item->key;
		}
		items->keys[items->count] = candidate.item->key;
		items->place[i] = items->count++;
	}
}

/* Descents as they are stored; NULL for none. */
static Jsonb *
write_descents(const NbmDescent *descents, int count, const Items *olds,
			   const Items *news)
{
	NbmWriter	w;

	if (count == 0)
		return NULL;
	nbm_writer_init(&w, 0);
	nbm_writer_begin_array(&w, count);
	for (int i = 0; i < count; i++)
	{
		NbmPair		pairs[3];

		pairs[0].key = nbm_text("key");
		nbm_set_integer(&pairs[0].value, news->keys[descents[i].to]);
		pairs[1].key = nbm_text("from");
		nbm_set_integer(&pairs[1].value, olds->keys[descents[i].from]);
		pairs[2].key = nbm_text("change");
		nbm_set_string(&pairs[2].value, nbm_text(descents[i].is_merge ?
												 "merged" : "split"));
		nbm_writer_object(&w, pairs, 3);
	}
	nbm_writer_end(&w);
	return nbm_writer_finish(&w);
}

/*
 * Finds what was split or merged between two layouts, given their changes,
 * as the version's row holds it; NULL where there is nothing.  Fetches bodies
 * into the given set; the result is of the current context.
 */
Jsonb *
nbm_lineage_find(const NbmStore *store, const NbmLayout *from,
				 const NbmLayout *to, const NbmChange *changes, int count,
				 NbmBodies *bodies)
{
	Items		olds = {0};
	Items		news = {0};
	int		   *old_of_new;
	NbmDescent *descents;
	int			ndescents;

	if (!is_possible(changes, count))
		return NULL;
	open_items(&olds, from, to);
	open_items(&news, to, from);
	want_items(&olds, &news, changes, count, bodies);
	nbm_bodies_fetch(bodies, store);
	describe_items(&olds, store->kind, bodies);
	describe_items(&news, store->kind, bodies);
	old_of_new = palloc_array(int, Max(news.count, 1));
	for (int i = 0; i < to->nitems; i++)
		if (news.is_wanted[i])
			old_of_new[news.place[i]] = news.partner[i] < 0 ? -1 :
				olds.place[news.partner[i]];
	descents = nbm_find_descents(olds.items, olds.count, news.items,
								 news.count, old_of_new, &ndescents);
	return write_descents(descents, ndescents, &olds, &news);
}

/* ---------------- in diffs ---------------- */

/* An item that came or went, and the one that its text came from or went to. */
typedef struct Step
{
	int32		key;
	int32		other;
	int32		order;			/* in the direction of the diff */
} Step;

/* The steps of a diff in one of its directions. */
typedef struct Steps
{
	Step	   *items;
	int			count;
} Steps;

/* The two versions of a diff, and its changes by key. */
typedef struct Diff
{
	int		   *index[2];		/* of the old and the new layout, by key */
	int32		max_key[2];
	NbmChange **by_key;
	int			count;
} Diff;

/* Is an item in the old, or the new, version? */
static bool
is_in(const Diff *diff, int side, int32 key)
{
	return key <= diff->max_key[side] && diff->index[side][key] >= 0;
}

/* qsort comparator of steps: by key, then in the diff's direction. */
static int
step_cmp(const void *a, const void *b)
{
	const Step *sa = a;
	const Step *sb = b;

	if (sa->key != sb->key)
		return sa->key < sb->key ? -1 : 1;
	return sa->order < sb->order ? -1 : sa->order > sb->order;
}

/* The place of the first step of a key at or after an order. */
static int
find_step(const Steps *steps, int32 key, int32 order)
{
	int			low = 0;
	int			high = steps->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const Step *step = &steps->items[middle];

		if (step->key < key || (step->key == key && step->order < order))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Follows an item that came to the one it came from and that the old version
 * has: backwards, step by step.  0 where there is none.
 */
static int32
find_origin(const Diff *diff, const Steps *came, int32 key)
{
	int32		order = PG_INT32_MAX;

	for (;;)
	{
		int			at = find_step(came, key, order) - 1;

		CHECK_FOR_INTERRUPTS();
		if (at < 0 || came->items[at].key != key)
			return 0;
		key = came->items[at].other;
		order = came->items[at].order;
		if (is_in(diff, 0, key))
			return key;
	}
}

/*
 * Follows an item that went to the one it went to and that the new version
 * has.  0 where there is none.
 */
static int32
find_destination(const Diff *diff, const Steps *went, int32 key)
{
	int32		order = PG_INT32_MIN;

	for (;;)
	{
		int			at = find_step(went, key, order);

		CHECK_FOR_INTERRUPTS();
		if (at >= went->count || went->items[at].key != key)
			return 0;
		key = went->items[at].other;
		order = went->items[at].order + 1;
		if (is_in(diff, 1, key))
			return key;
	}
}

/* Sorts what was written into steps of items that came and that went. */
static void
sort_steps(const NbmDescentRow *rows, int count, bool backwards, Steps *came,
		   Steps *went)
{
	came->items = palloc_array(Step, count);
	went->items = palloc_array(Step, count);
	came->count = went->count = 0;
	for (int i = 0; i < count; i++)
	{
		const NbmDescentRow *row = &rows[i];
		bool		comes = row->is_merge == backwards;
		Steps	   *steps = comes ? came : went;
		Step	   *step = &steps->items[steps->count++];

		/* a split's new item is its key, a merge's lost one its from */
		step->key = row->is_merge ? row->from : row->key;
		step->other = row->is_merge ? row->key : row->from;
		step->order = backwards ? -row->version : row->version;
	}
	qsort(came->items, came->count, sizeof(Step), step_cmp);
	qsort(went->items, went->count, sizeof(Step), step_cmp);
}

/* qsort comparator of pointers to changes, by key. */
static int
change_cmp(const void *a, const void *b)
{
	int32		ka = (*(NbmChange *const *) a)->key;
	int32		kb = (*(NbmChange *const *) b)->key;

	return ka < kb ? -1 : ka > kb;
}

/* The change of an item, NULL for none. */
static NbmChange *
find_change(const Diff *diff, int32 key)
{
	NbmChange	wanted = {0};
	NbmChange  *pointer = &wanted;
	NbmChange **found;

	wanted.key = key;
	found = bsearch(&pointer, diff->by_key, diff->count, sizeof(NbmChange *), change_cmp);
	return found ? *found : NULL;
}

/* Says of an item that came or went where from, or where to. */
static void
tell_item(NbmChange *change, NbmChangeName name, int32 other)
{
	if (change == NULL)
		return;
	change->name = name;
	nbm_words_add(&change->detail,
				  psprintf(name == NBM_SPLIT ? "from %d" : "into %d", other));
}

/* Says it of the other item, which is in both versions and has changed. */
static void
tell_other(NbmChange *change, NbmChangeName name, int32 item)
{
	if (change == NULL || change->old_position < 0 ||
		change->new_position < 0 ||
		(!is_modified(change) && change->name != NBM_SPLIT &&
		 change->name != NBM_MERGED))
		return;
	change->name = name;
	nbm_words_add(&change->detail,
				  psprintf(name == NBM_SPLIT ? "into %d" : "with %d", item));
}

/* Tells of the items that came, or that went. */
static void
tell_steps(const Diff *diff, const Steps *steps, bool came)
{
	for (int i = 0; i < steps->count; i++)
	{
		int32		key = steps->items[i].key;
		int32		other;
		NbmChangeName name = came ? NBM_SPLIT : NBM_MERGED;

		if (i > 0 && steps->items[i - 1].key == key)
			continue;
		if (is_in(diff, 0, key) == came || is_in(diff, 1, key) != came)
			continue;
		other = came ? find_origin(diff, steps, key) :
			find_destination(diff, steps, key);
		if (other == 0)
			continue;
		tell_item(find_change(diff, key), name, other);
		tell_other(find_change(diff, other), name, key);
	}
}

/*
 * Names the splits and merges among the changes from one version to another,
 * and says in their details which items they were.
 */
void
nbm_lineage_tell(const NbmStore *store, int32 from_version, int32 to_version,
				 const NbmLayout *from, const NbmLayout *to,
				 NbmChange *changes, int count)
{
	bool		backwards = from_version > to_version;
	Diff		diff;
	int			nrows;
	NbmDescentRow *rows;
	Steps		came;
	Steps		went;

	rows = nbm_store_descents(store, Min(from_version, to_version),
							  Max(from_version, to_version), &nrows);
	if (nrows == 0)
		return;
	sort_steps(rows, nrows, backwards, &came, &went);
	diff.index[0] = nbm_layout_index(from, &diff.max_key[0]);
	diff.index[1] = nbm_layout_index(to, &diff.max_key[1]);
	diff.by_key = palloc_array(NbmChange *, Max(count, 1));
	diff.count = count;
	for (int i = 0; i < count; i++)
		diff.by_key[i] = &changes[i];
	qsort(diff.by_key, count, sizeof(NbmChange *), change_cmp);
	/* an item may be in both; what is told last names it, either way round */
	tell_steps(&diff, backwards ? &went : &came, !backwards);
	tell_steps(&diff, backwards ? &came : &went, backwards);
}
