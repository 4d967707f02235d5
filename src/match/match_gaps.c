/*
 * match_gaps.c
 *		Step 3 of the matcher: the free items between two links of the
 *		backbone are aligned as a whole.
 */
#include "postgres.h"

#include "longest_run.h"
#include "matcher.h"
#include "miscadmin.h"

#define ADJACENT	100			/* bonus for following a linked pair */
#define GAP_WORK	INT64CONST(4000000) /* grams looked at per gap */

/* A pair proposed within a gap; positions count within the gap. */
typedef struct Step
{
	int			pos[2];
	int			weight;
	int64		score;			/* of the best chain that ends here */
	int			previous;		/* step before it in that chain, or -1 */
} Step;

/*
 * Finds the backbone: the longest sequence of links that ascends on both
 * sides.  Returns the new items in it, ascending, and their number; the caller
 * owns the result.
 */
static int *
find_backbone(const NbmMatcher *m, int *nbackbone)
{
	const NbmSide *side = &m->side[NBM_NEW];
	int		   *linked = nbm_alloc(side->nitems, sizeof(int));
	int		   *partners = nbm_alloc(side->nitems, sizeof(int));
	bool	   *is_in = nbm_alloc(side->nitems, sizeof(bool));
	int			count = 0;

	for (int i = 0; i < side->nitems; i++)
	{
		if (side->partner[i] < 0)
			continue;
		partners[count] = side->partner[i];
		linked[count++] = i;
	}
	nbm_longest_run(partners, count, is_in);
	*nbackbone = 0;
	for (int i = 0; i < count; i++)
	{
		if (is_in[i])
			linked[(*nbackbone)++] = linked[i];
	}
	return linked;
}

/*
 * Collects into the gap the free items of one side from first to end - 1.
 */
static void
collect_free(const NbmMatcher *m, NbmGap *gap, int s, int first, int end)
{
	gap->nitems[s] = 0;
	for (int i = first; i < end; i++)
	{
		if (m->side[s].partner[i] < 0)
			gap->items[s][gap->nitems[s]++] = i;
	}
}

/*
 * Links two items if their cores are equal.  Returns whether it did.
 */
static bool
link_twins(NbmMatcher *m, int old, int new)
{
	if (m->side[NBM_OLD].core[old] != m->side[NBM_NEW].core[new] ||
		nbm_weigh_pair(m, old, new) == 0)
		return false;
	nbm_link(m, old, new);
	return true;
}

/*
 * Links equal cores at the beginning and at the end of a gap and takes them
 * out of it.  This costs no alignment its best score, and settles long runs of
 * equal items at once.
 */
static void
trim_gap(NbmMatcher *m, NbmGap *gap)
{
	int			n = Min(gap->nitems[NBM_OLD], gap->nitems[NBM_NEW]);
	int			head = 0;

	while (head < n &&
		   link_twins(m, gap->items[NBM_OLD][head], gap->items[NBM_NEW][head]))
		head++;
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		gap->nitems[s] -= head;
		memmove(gap->items[s], gap->items[s] + head, gap->nitems[s] * sizeof(int));
	}
	while (gap->nitems[NBM_OLD] > 0 && gap->nitems[NBM_NEW] > 0 &&
		   link_twins(m, gap->items[NBM_OLD][gap->nitems[NBM_OLD] - 1],
					  gap->items[NBM_NEW][gap->nitems[NBM_NEW] - 1]))
	{
		gap->nitems[NBM_OLD]--;
		gap->nitems[NBM_NEW]--;
	}
}

/*
 * May all pairs of a gap be compared?  Takes the work from the budget if so.
 */
static bool
afford_all_pairs(NbmMatcher *m, const NbmGap *gap)
{
	int64		work = 0;

	if ((int64) gap->nitems[NBM_OLD] * gap->nitems[NBM_NEW] > GAP_WORK / 16)
		return false;
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < gap->nitems[s]; i++)
		{
			const NbmProfile *profile = nbm_matcher_profile(&m->side[s], gap->items[s][i]);

			CHECK_FOR_INTERRUPTS();
			work += (profile->ngrams + INT64CONST(16)) * gap->nitems[1 - s];
		}
	}
	if (work > GAP_WORK || work > m->work_left)
		return false;
	m->work_left -= work;
	return true;
}

/*
 * Lists the pairs of a gap that could be the same item, with their weights,
 * ordered by old and new position.  The caller owns the result, whose length
 * is stored in nsteps.
 */
static Step *
list_steps(NbmMatcher *m, const NbmGap *gap, int *nsteps)
{
	NbmEntries	pairs = {0};
	Step	   *steps;
	int			n = 0;

	if (afford_all_pairs(m, gap))
	{
		for (int i = 0; i < gap->nitems[NBM_OLD]; i++)
			for (int j = 0; j < gap->nitems[NBM_NEW]; j++)
				nbm_entries_add(&pairs, nbm_pack(i, j), 0);
	}
	else
	{
		nbm_propose_equal(m, gap, &pairs);
		nbm_propose_similar(m, gap, &pairs);
		nbm_propose_place(gap, &pairs);
		nbm_entries_sort(pairs.entries, pairs.count);
	}
	steps = nbm_alloc(pairs.count, sizeof(Step));
	for (int p = 0; p < pairs.count; p++)
	{
		int			i = (int) (pairs.entries[p].key >> 32);
		int			j = (int) (uint32) pairs.entries[p].key;
		int			weight;

		CHECK_FOR_INTERRUPTS();
		if (p > 0 && pairs.entries[p].key == pairs.entries[p - 1].key)
			continue;
		weight = nbm_weigh_pair(m, gap->items[NBM_OLD][i], gap->items[NBM_NEW][j]);
		if (weight == 0)
			continue;
		steps[n].pos[NBM_OLD] = i;
		steps[n].pos[NBM_NEW] = j;
		steps[n].weight = weight;
		n++;
	}
	pfree(pairs.entries);
	*nsteps = n;
	return steps;
}

/*
 * The better of two chains, given by their last steps or -1: the heavier one,
 * on a tie the one found first.
 */
static inline int
better_chain(const Step *steps, int a, int b)
{
	if (a < 0 || b < 0)
		return Max(a, b);
	if (steps[a].score != steps[b].score)
		return steps[a].score > steps[b].score ? a : b;
	return Min(a, b);
}

/*
 * The best chain that ends at a new position before j, in a tree of prefix
 * maxima (a Fenwick tree over new positions): its last step, or -1.
 */
static int
best_chain(const Step *steps, const int *tree, int j)
{
	int			best = -1;

	for (; j > 0; j -= j & -j)
		best = better_chain(steps, best, tree[j]);
	return best;
}

/*
 * Enters a step into that tree of size nnew.
 */
static void
enter_chain(const Step *steps, int *tree, int nnew, int step)
{
	for (int j = steps[step].pos[NBM_NEW] + 1; j <= nnew; j += j & -j)
		tree[j] = better_chain(steps, tree[j], step);
}

/*
 * Scores one step: its weight, and the best chain before it.  A step next to
 * the one before it, or at the edge of the gap, earns a bonus.  diagonal is the
 * step one before on both sides, or -1.
 */
static void
score_step(Step *steps, const int *tree, const NbmGap *gap, int step,
		   int diagonal)
{
	Step	   *this = &steps[step];
	int64		before = 0;

	this->previous = best_chain(steps, tree, this->pos[NBM_NEW]);
	if (this->previous >= 0)
		before = steps[this->previous].score;
	if (this->pos[NBM_OLD] == 0 && this->pos[NBM_NEW] == 0)
		before += ADJACENT;
	if (diagonal >= 0 && steps[diagonal].score + ADJACENT > before)
	{
		before = steps[diagonal].score + ADJACENT;
		this->previous = diagonal;
	}
	this->score = before + this->weight;
	if (this->pos[NBM_OLD] == gap->nitems[NBM_OLD] - 1 &&
		this->pos[NBM_NEW] == gap->nitems[NBM_NEW] - 1)
		this->score += ADJACENT;
}

/*
 * Aligns a gap: links the pairs of the chain of steps, ascending on both
 * sides, that has the greatest weight.  Steps of one old item are scored
 * before any of them is entered into the tree.
 */
static void
align_gap(NbmMatcher *m, const NbmGap *gap)
{
	int			nnew = gap->nitems[NBM_NEW];
	int			nsteps;
	Step	   *steps = list_steps(m, gap, &nsteps);
	int		   *tree = nbm_alloc_ints(nnew + 1, -1);
	int			last = 0;		/* first step of the row before */

	for (int row = 0, end; row < nsteps; last = row, row = end)
	{
		int			diagonal = last;

		CHECK_FOR_INTERRUPTS();
		for (end = row; end < nsteps &&
			 steps[end].pos[NBM_OLD] == steps[row].pos[NBM_OLD]; end++)
		{
			int			i = steps[end].pos[NBM_OLD] - 1;
			int			j = steps[end].pos[NBM_NEW] - 1;

			while (diagonal < row && (steps[diagonal].pos[NBM_OLD] < i ||
									  steps[diagonal].pos[NBM_NEW] < j))
				diagonal++;
			if (diagonal < row && steps[diagonal].pos[NBM_NEW] == j)
				score_step(steps, tree, gap, end, diagonal);
			else
				score_step(steps, tree, gap, end, -1);
		}
		for (int step = row; step < end; step++)
			enter_chain(steps, tree, nnew, step);
	}
	for (int step = best_chain(steps, tree, nnew); step >= 0;
		 step = steps[step].previous)
		nbm_link(m, gap->items[NBM_OLD][steps[step].pos[NBM_OLD]],
				 gap->items[NBM_NEW][steps[step].pos[NBM_NEW]]);
	pfree(steps);
	pfree(tree);
}

/*
 * Step 3: aligns every gap between two neighbours on the backbone.
 */
void
nbm_match_gaps(NbmMatcher *m)
{
	int			nbackbone;
	int		   *backbone = find_backbone(m, &nbackbone);
	int			nold = m->side[NBM_OLD].nitems;
	int			nnew = m->side[NBM_NEW].nitems;
	int			old = 0,
				new = 0;
	NbmGap		gap;

	gap.items[NBM_OLD] = nbm_alloc(nold, sizeof(int));
	gap.items[NBM_NEW] = nbm_alloc(nnew, sizeof(int));
	for (int i = 0; i <= nbackbone; i++)
	{
		int			new_end = i < nbackbone ? backbone[i] : nnew;
		int			old_end = i < nbackbone ? m->side[NBM_NEW].partner[new_end] : nold;

		CHECK_FOR_INTERRUPTS();
		collect_free(m, &gap, NBM_OLD, old, old_end);
		collect_free(m, &gap, NBM_NEW, new, new_end);
		trim_gap(m, &gap);
		if (gap.nitems[NBM_OLD] > 0 && gap.nitems[NBM_NEW] > 0)
			align_gap(m, &gap);
		old = old_end + 1;
		new = new_end + 1;
	}
}
