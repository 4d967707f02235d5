/*
 * match_neighbours.c
 *		Still step 3 of the matcher: items beside linked ones.
 */
#include "postgres.h"

#include "matcher.h"
#include "miscadmin.h"

#define SIMILAR_BETWEEN 2000	/* needed alone between two linked pairs */

/*
 * Links a pair beside a linked one if both exist, are free, and are equal or
 * similar.  Returns whether it did.
 */
static bool
follow_neighbour(NbmMatcher *m, int old, int new)
{
	if (old < 0 || old >= m->side[NBM_OLD].nitems ||
		new < 0 || new >= m->side[NBM_NEW].nitems ||
		m->side[NBM_OLD].partner[old] >= 0 || m->side[NBM_NEW].partner[new] >= 0 ||
		nbm_weigh_pair(m, old, new) == 0)
		return false;
	nbm_link(m, old, new);
	return true;
}

/*
 * Still step 3: items beside a moved item have moved with it.  One pass
 * forward and one backward, each carrying on from the links it makes.
 */
void
nbm_match_neighbours(NbmMatcher *m)
{
	const int  *partner = m->side[NBM_NEW].partner;
	int			nnew = m->side[NBM_NEW].nitems;

	for (int new = 0; new < nnew - 1; new++)
	{
		CHECK_FOR_INTERRUPTS();
		if (partner[new] >= 0)
			follow_neighbour(m, partner[new] + 1, new + 1);
	}
	for (int new = nnew - 1; new > 0; new--)
	{
		CHECK_FOR_INTERRUPTS();
		if (partner[new] >= 0)
			follow_neighbour(m, partner[new] - 1, new - 1);
	}
}

/*
 * Still step 3: one free item on each side, alone between the same two
 * neighbours, is most likely one item that was rewritten, so little evidence
 * will do; where one of the two is blank, it was filled or emptied.  The ends
 * of a document are neighbours, too.
 */
void
nbm_match_between(NbmMatcher *m)
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];

	for (int new = 0; new < b->nitems; new++)
	{
		int			before = new > 0 ? b->partner[new - 1] : -1;
		int			after = new < b->nitems - 1 ? b->partner[new + 1] : a->nitems;
		int			old = before + 1;

		CHECK_FOR_INTERRUPTS();
		if (b->partner[new] >= 0 || (new > 0 && before < 0) || after != old + 1 ||
			a->partner[old] >= 0 || nbm_ids_differ(m, old, new))
			continue;
		if (a->blank[old] || b->blank[new] ? a->items[old].type == b->items[new].type :
			nbm_compare_items(m, old, new, SIMILAR_BETWEEN) > 0)
			nbm_link(m, old, new);
	}
}
