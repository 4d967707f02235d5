/*-------------------------------------------------------------------------
 *
 * match.c
 *	  Which item of a new document is which item of the old one.
 *
 * Four steps, each of them one to one, each looking only at what the steps
 * before it left free:
 *
 *	1.	ids that are unique on both sides, unless the contents say that a tool
 *		has renumbered them;
 *	2.	contents (then cores) that are unique on both sides and not blank, and
 *		very similar texts that nothing else comes near;
 *	3.	what stands beside a linked pair.  Cells: repeated ones between the same
 *		neighbours; then the longest run of links that keeps its order is the
 *		backbone; the free items between two of its links form a gap, and a gap
 *		is aligned as a whole: equal and similar items in the heaviest common
 *		order.  Neighbours of linked items follow them, and an item that is
 *		alone between the same two neighbours was rewritten.  Operators:
 *		neighbours in the graph instead, as their order says little;
 *	4.	what is left, wherever it stands: equal contents in order, then very
 *		similar texts, best first, then blank items that were moved, emptied or
 *		filled.
 *
 * Each step has its file: match_ids.c, match_anywhere.c (2 and 4), and for step 3
 * match_gaps.c, match_neighbours.c and match_links.c; matcher.h is what they
 * share.
 *
 * So a blank or repeated cell is settled by its place between its neighbours.
 * Texts are compared by their profiles: sets of hashed grams (five characters in
 * a row), of which a long text keeps the smallest only (a bottom-k sketch).
 * Profiles are made when first asked for.  Where all pairs would be too many,
 * an index of rare grams proposes some.
 *
 * Everything is deterministic (weights are integers, ties go to the earlier
 * item), bounded (about n log n, plus a fixed budget), and can be cancelled.
 * All memory lives in one private context that nbm_match deletes; an ERROR
 * leaves it to the caller's context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "matcher.h"
#include "utils/memutils.h"

#define TOTAL_WORK	INT64CONST(30000000)	/* grams compared freely in all */

/*
 * Step 3, where the order of the items says something.
 */
static void
match_by_order(NbmMatcher *m)
{
	nbm_match_twins(m);
	nbm_match_gaps(m);
	nbm_match_neighbours(m);
	nbm_match_between(m);
}

/*
 * Says for each new item which old item it is: fills old_of_new[0 .. nnew - 1]
 * with indexes of old items, each at most once, or -1 for an item that is new.
 * same_ids has, for each kind of id, how many items beside these are known to be
 * the same and have kept one; NULL for none.
 * The items and their strings stay the caller's; nothing is left in memory.
 * Raises an error only when cancelled or out of memory.
 */
void
nbm_match(const NbmMatchItem *old_items, int nold,
		  const NbmMatchItem *new_items, int nnew,
		  const int *same_ids, int *old_of_new)
{
	MemoryContext mine = AllocSetContextCreate(CurrentMemoryContext,
											   "notebook_migrate matcher",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext callers = MemoryContextSwitchTo(mine);
	NbmMatcher	m = {0};
	int		   *contents[2];
	int		   *cores[2];

	nbm_matcher_init_side(&m.side[NBM_OLD], old_items, nold);
	nbm_matcher_init_side(&m.side[NBM_NEW], new_items, nnew);
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		contents[s] = m.side[s].content;
		cores[s] = m.side[s].core;
	}
	m.same_ids = same_ids;
	m.work_left = TOTAL_WORK;
	m.ncontents = nbm_matcher_number_classes(&m, offsetof(NbmMatchItem, content),
											 contents);
	m.ncores = nbm_matcher_number_classes(&m, offsetof(NbmMatchItem, core),
										  cores);
	nbm_match_ids(&m, 0);
	nbm_match_ids(&m, 1);
	nbm_match_unique(&m, contents, m.ncontents);
	nbm_match_unique(&m, cores, m.ncores);
	nbm_match_similar(&m, true);
	if (nbm_has_links(&m))
		nbm_match_links(&m);
	else
		match_by_order(&m);
	nbm_match_equal(&m);
	nbm_match_similar(&m, false);
	nbm_match_blank(&m);
	if (!nbm_has_links(&m))
		nbm_match_emptied(&m);
	for (int new = 0; new < nnew; new++)
		old_of_new[new] = m.side[NBM_NEW].partner[new];
	MemoryContextSwitchTo(callers);
	MemoryContextDelete(mine);
}
