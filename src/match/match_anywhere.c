/*
 * match_anywhere.c
 *		Steps 2 and 4 of the matcher: equal and very similar items, wherever
 *		they stand.
 */
#include "postgres.h"

#include "matcher.h"
#include "miscadmin.h"

#define SIMILAR_ALONE	5000	/* enough with no rival within ... */
#define MARGIN			2000	/* ... this */

/*
 * Finds for every class the only free, non-blank item of one side in it: its
 * index, or -1 when there is none, or -2 when there are several.  The caller
 * owns the result.
 */
static int *
find_unique(const NbmSide *side, const int *classes, int nclasses)
{
	int		   *only = nbm_alloc_ints(nclasses, -1);

	for (int i = 0; i < side->nitems; i++)
	{
		if (side->partner[i] < 0 && !side->blank[i])
			only[classes[i]] = only[classes[i]] == -1 ? i : -2;
	}
	return only;
}

/*
 * Step 2: links the free items whose class has one item on each side.
 */
void
nbm_match_unique(NbmMatcher *m, int *classes[2], int nclasses)
{
	int		   *old = find_unique(&m->side[NBM_OLD], classes[NBM_OLD], nclasses);
	int		   *new = find_unique(&m->side[NBM_NEW], classes[NBM_NEW], nclasses);

	for (int c = 0; c < nclasses; c++)
	{
		if (old[c] >= 0 && new[c] >= 0)
			nbm_link(m, old[c], new[c]);
	}
}

/*
 * Links the free items of equal content that are not blank, in order.
 */
void
nbm_match_equal(NbmMatcher *m)
{
	NbmSide    *old = &m->side[NBM_OLD];
	NbmSide    *new = &m->side[NBM_NEW];
	int		   *first = nbm_alloc_ints(m->ncontents, -1);
	int		   *next = nbm_alloc_ints(old->nitems, -1);

	for (int i = old->nitems - 1; i >= 0; i--)
	{
		if (old->partner[i] >= 0 || old->blank[i])
			continue;
		next[i] = first[old->content[i]];
		first[old->content[i]] = i;
	}
	for (int j = 0; j < new->nitems; j++)
	{
		int			i = first[new->content[j]];

		if (new->partner[j] >= 0 || i < 0)
			continue;
		first[new->content[j]] = next[i];
		nbm_link(m, i, j);
	}
}

/*
 * Links the free blank items of a type, in order, where there are as many on
 * both sides, free or not: then one was moved, rather than one deleted and
 * another one inserted.
 */
void
nbm_match_blank(NbmMatcher *m)
{
	const NbmSide *old = &m->side[NBM_OLD];
	const NbmSide *new = &m->side[NBM_NEW];
	int		   *balance = nbm_count_balance(m);
	int		   *next = nbm_alloc_ints(m->ncontents, 0); /* old item to try */

	for (int j = 0; j < new->nitems; j++)
	{
		int		   *i = &next[new->content[j]];

		CHECK_FOR_INTERRUPTS();
		if (new->partner[j] >= 0 || !new->blank[j] || balance[new->content[j]] != 0)
			continue;
		while (*i < old->nitems &&
			   (old->partner[*i] >= 0 || !nbm_equal_content(m, *i, j)))
			(*i)++;
		if (*i < old->nitems && !nbm_ids_differ(m, *i, j))
			nbm_link(m, *i, j);
	}
}

/*
 * Notes how similar the best and the second best partner of an item is.
 */
static inline void
note_best(int *best, int *second, int similarity)
{
	if (similarity > *best)
	{
		*second = *best;
		*best = similarity;
	}
	else if (similarity > *second)
		*second = similarity;
}

/*
 * Collects, as if they were one gap, the free items that are not blank, but for
 * those whose content has as many free items on the other side: these will find
 * each other.  Where there are more on one side, all must be there as rivals.
 */
static void
collect_unlike(const NbmMatcher *m, NbmGap *gap)
{
	int		   *free_items[2];

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		const NbmSide *side = &m->side[s];

		free_items[s] = nbm_alloc_ints(m->ncontents, 0);
		for (int i = 0; i < side->nitems; i++)
			free_items[s][side->content[i]] += side->partner[i] < 0;
	}
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		const NbmSide *side = &m->side[s];

		gap->items[s] = nbm_alloc(side->nitems, sizeof(int));
		gap->nitems[s] = 0;
		for (int i = 0; i < side->nitems; i++)
		{
			if (side->partner[i] < 0 && !side->blank[i] &&
				free_items[0][side->content[i]] != free_items[1][side->content[i]])
				gap->items[s][gap->nitems[s]++] = i;
		}
	}
}

/*
 * Ranks the pairs of items that could be the same wherever they stand.  Where
 * no item was linked since the last time, that ranking still holds.  It
 * belongs to the matcher.
 */
static const NbmRanking *
rank_pairs(NbmMatcher *m)
{
	NbmRanking *ranking = &m->ranking;
	NbmEntries *pairs = &ranking->pairs;
	NbmGap		all;
	int		   *best[2];
	int			n = 0;

	collect_unlike(m, &all);
	if (ranking->nitems[NBM_OLD] == all.nitems[NBM_OLD] &&
		ranking->nitems[NBM_NEW] == all.nitems[NBM_NEW])
		return ranking;
	pairs->count = 0;
	if (all.nitems[NBM_OLD] > 0 && all.nitems[NBM_NEW] > 0)
		nbm_propose_similar(m, &all, pairs);
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		best[s] = nbm_alloc_ints(m->side[s].nitems, 0);
		ranking->second[s] = nbm_alloc_ints(m->side[s].nitems, 0);
		ranking->nitems[s] = all.nitems[s];
	}
	for (int p = 0; p < pairs->count; p++)
	{
		int			old = all.items[NBM_OLD][nbm_first(pairs->entries[p].key)];
		int			new = all.items[NBM_NEW][nbm_second(pairs->entries[p].key)];
		int			similarity;

		CHECK_FOR_INTERRUPTS();
		similarity = nbm_compare_items(m, old, new, SIMILAR_ALONE - MARGIN);
		if (similarity == 0)
			continue;
		note_best(&best[NBM_OLD][old], &ranking->second[NBM_OLD][old], similarity);
		note_best(&best[NBM_NEW][new], &ranking->second[NBM_NEW][new], similarity);
		pairs->entries[n].key = NBM_ONE - similarity;
		pairs->entries[n++].value = nbm_pack(old, new);
	}
	pairs->count = n;
	if (n > 0)
		nbm_entries_sort(pairs->entries, n);
	return ranking;
}

/*
 * Links the free items that are very similar, wherever they stand: the most
 * similar pair first, on a tie the earlier one.  A less similar pair will do
 * if nothing else comes near for either of its items; when only what is clear
 * is wanted, pairs must be very similar and without rivals.
 */
void
nbm_match_similar(NbmMatcher *m, bool clear)
{
	const NbmRanking *ranking = rank_pairs(m);

	for (int p = 0; p < ranking->pairs.count; p++)
	{
		const NbmEntry *pair = &ranking->pairs.entries[p];
		int			old = nbm_first(pair->value);
		int			new = nbm_second(pair->value);
		int			similarity = NBM_ONE - (int) pair->key;
		int			rival = Max(ranking->second[NBM_OLD][old],
								ranking->second[NBM_NEW][new]);
		bool		alone;

		if (similarity < (clear ? NBM_SIMILAR_FAR : SIMILAR_ALONE))
			break;
		if (m->side[NBM_OLD].partner[old] >= 0 || m->side[NBM_NEW].partner[new] >= 0)
			continue;
		alone = similarity - rival >= MARGIN && !nbm_ids_differ(m, old, new);
		if (alone || (similarity >= NBM_SIMILAR_FAR && !clear))
			nbm_link(m, old, new);
	}
}
