/*
 * match_neighbours.c
 *		Still step 3 of the matcher: items beside linked ones.
 */
#include "postgres.h"

#include "matcher.h"
#include "miscadmin.h"

#define TINY			24		/* characters */
#define SIMILAR_BETWEEN 300		/* needed alone between two linked pairs */
#define OF_NEIGHBOUR	6500	/* share of a text that makes it a part */
#define LEAST_OF_NEIGHBOUR	10	/* and how many characters it must have */
#define SIMILAR_RETYPED 2000	/* the same where types differ */

#define BEFORE			0
#define BEHIND			1
#define TWIN_ROUNDS		4		/* how far equal items are followed in a run */

/* Equal free items that stand on the same side of a linked pair. */
typedef struct Twins
{
	int		   *twin[2][2];		/* by side, by BEFORE or BEHIND: the pair
								 * stands there; an item of the other side, or
								 * -1 */
	int		   *run[2];			/* by side: how many of equal content stand in
								 * a row with the item */
	int		   *balance;		/* by content: how many items went, or came */
} Twins;

/* The item beside the partner of an item's neighbour, or -1. */
static int
beside_partner(const NbmMatcher *m, int s, int item, int where)
{
	const NbmSide *this = &m->side[s];
	const NbmSide *other = &m->side[1 - s];
	int			step = where == BEFORE ? -1 : 1;
	int			neighbour = item + step;
	int			partner;

	if (neighbour < 0)
		partner = -1;
	else if (neighbour == this->nitems)
		partner = other->nitems;
	else if ((partner = this->partner[neighbour]) < 0)
		return -1;
	partner -= step;
	return partner < 0 || partner >= other->nitems ? -1 : partner;
}

/* Notes for every item of a side how long the row is that it stands in. */
static void
measure_runs(const NbmSide *side, int *run)
{
	for (int i = 0, end; i < side->nitems; i = end)
	{
		for (end = i; end < side->nitems && side->content[end] == side->content[i];)
			end++;
		for (int k = i; k < end; k++)
			run[k] = end - i;
	}
}

/*
 * Has one of the new items equal to an item been inserted, and in the row that
 * this pair stands in?
 */
static inline bool
has_grown(const NbmMatcher *m, const Twins *twins, int s, int item, int twin)
{
	int			here = twins->run[s][item];
	int			there = twins->run[1 - s][twin];

	return twins->balance[m->side[s].content[item]] < 0 &&
		(s == NBM_NEW ? here > there : there > here);
}

/*
 * Finds for every free item of a side its twins: free items of equal content
 * (of equal core, if told so) with the same neighbour before them, or behind
 * them.  Where one was inserted into a row of equal items, the row's ends tell nothing.
 */
static void
find_twins(const NbmMatcher *m, Twins *twins, int s, bool cores)
{
	const int  *class = cores ? m->side[s].core : m->side[s].content;
	const int  *twin_class = cores ? m->side[1 - s].core : m->side[1 - s].content;

	for (int where = BEFORE; where <= BEHIND; where++)
	{
		for (int item = 0; item < m->side[s].nitems; item++)
		{
			int			twin = m->side[s].partner[item] >= 0 ? -1 :
			beside_partner(m, s, item, where);

			if (twin >= 0 && (m->side[1 - s].partner[twin] >= 0 ||
							  class[item] != twin_class[twin] ||
							  has_grown(m, twins, s, item, twin) ||
							  nbm_ids_differ(m, s == NBM_OLD ? item : twin,
											 s == NBM_OLD ? twin : item)))
				twin = -1;
			twins->twin[s][where][item] = twin;
		}
	}
}

/*
 * Follows a chain of twins from one of its ends, where only one neighbour is
 * the same, and cuts it up.  If it has as many items on both sides, its items
 * are linked two by two; else one of them came or went, and its place in the
 * gap will say which.  Returns the number of links made.
 */
static int
link_chain(NbmMatcher *m, Twins *twins, int s, int item)
{
	int			where = twins->twin[s][BEFORE][item] >= 0 ? BEFORE : BEHIND;
	int			length = 0;
	int			nlinks = 0;

	for (int side = s, i = item, w = where; i >= 0; side = 1 - side, w = 1 - w)
	{
		length++;
		i = twins->twin[side][w][i];
	}
	for (int i = item, w = where; i >= 0;)
	{
		int			twin = twins->twin[s][w][i];
		int			next = twin < 0 ? -1 : twins->twin[1 - s][1 - w][twin];

		if (twin >= 0 && length % 2 == 0)
		{
			nbm_link(m, s == NBM_OLD ? i : twin, s == NBM_OLD ? twin : i);
			nlinks++;
		}
		for (int w2 = BEFORE; w2 <= BEHIND; w2++)
		{
			twins->twin[s][w2][i] = -1;
			if (twin >= 0)
				twins->twin[1 - s][w2][twin] = -1;
		}
		i = next;
	}
	return nlinks;
}

/*
 * Step 2, too: repeated and blank items that stand between the same neighbours,
 * or beside one that is the same, wherever it went.  An item has at most two
 * twins, and they have no other ones than it and one more each, so that the
 * twins form chains and rings.  Equal cores go first.
 */
void
nbm_match_twins(NbmMatcher *m)
{
	Twins		twins;
	int			nlinks = 1;

	twins.balance = nbm_count_balance(m);
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		twins.run[s] = nbm_alloc(m->side[s].nitems, sizeof(int));
		measure_runs(&m->side[s], twins.run[s]);
		for (int where = BEFORE; where <= BEHIND; where++)
			twins.twin[s][where] = nbm_alloc(m->side[s].nitems, sizeof(int));
	}
	for (int round = 0; round < 2 * TWIN_ROUNDS; round++)
	{
		bool		cores = round < TWIN_ROUNDS;

		if (nlinks == 0 && round != TWIN_ROUNDS)
			continue;
		nlinks = 0;
		for (int s = NBM_OLD; s <= NBM_NEW; s++)
			find_twins(m, &twins, s, cores);
		for (int old = 0; old < m->side[NBM_OLD].nitems; old++)
		{
			int			before = twins.twin[NBM_OLD][BEFORE][old];
			int			behind = twins.twin[NBM_OLD][BEHIND][old];

			CHECK_FOR_INTERRUPTS();
			if (before >= 0 && before == behind)
			{
				nbm_link(m, old, before);
				nlinks++;
			}
			else if ((before >= 0) != (behind >= 0))
				nlinks += link_chain(m, &twins, NBM_OLD, old);
		}
	}
}

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
 * One old item and one of a row of new ones, first to end - 1, which stand
 * between the same neighbours: the only one that is blank, if the old one was
 * emptied, or the only one that is not, if it was filled.  -1: none, or several.
 */
static int
find_emptied(const NbmMatcher *m, int old, int first, int end)
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];
	int			only = -1;

	for (int new = first; new < end; new++)
	{
		if (b->blank[new] == a->blank[old])
			continue;
		if (only >= 0)
			return -1;
		only = new;
	}
	if (only >= 0 && (a->items[old].type != b->items[only].type ||
					  nbm_ids_differ(m, old, only)))
		return -1;
	return only;
}

/* Is a text so short that an edit may leave nothing of it? */
static bool
is_tiny(NbmSide *side, int item)
{
	return nbm_matcher_profile(side, item)->nchars <= TINY;
}

/*
 * Is a text, for the most part, what the other side of a neighbour has and this
 * side of it has not?
 */
static bool
is_of_neighbour(NbmMatcher *m, int s, int item, int neighbour)
{
	NbmSide    *side = &m->side[s];
	NbmSide    *other = &m->side[1 - s];
	const NbmProfile *profile = nbm_matcher_profile(side, item);
	int			there;

	if (neighbour < 0 || neighbour >= side->nitems)
		return false;
	there = side->partner[neighbour];
	return there >= 0 && side->content[neighbour] != other->content[there] &&
		profile->nchars >= LEAST_OF_NEIGHBOUR &&
		nbm_profile_share(profile, nbm_matcher_profile(other, there)) >= OF_NEIGHBOUR &&
		nbm_profile_share(profile, nbm_matcher_profile(side, neighbour)) < OF_NEIGHBOUR;
}

/*
 * Was the old item joined with a neighbour, or the new one cut off one?  Then
 * one is gone and the other one new, wherever they stand.
 */
static bool
is_joined_or_cut(NbmMatcher *m, int old, int new)
{
	return is_of_neighbour(m, NBM_OLD, old, old - 1) ||
		is_of_neighbour(m, NBM_OLD, old, old + 1) ||
		is_of_neighbour(m, NBM_NEW, new, new - 1) ||
		is_of_neighbour(m, NBM_NEW, new, new + 1);
}

/*
 * Links a free old item that stands between the same neighbours as the free new
 * items first to end - 1.  Where there is only one of them, and it has the
 * least bit of the old text, that was rewritten.
 */
static void
match_row(NbmMatcher *m, int old, int first, int end)
{
	int			new = find_emptied(m, old, first, end);

	if (new < 0 && end == first + 1 && !nbm_ids_differ(m, old, first))
	{
		bool		retyped = m->side[NBM_OLD].items[old].type !=
		m->side[NBM_NEW].items[first].type;

		if (nbm_compare_items(m, old, first,
							  retyped ? SIMILAR_RETYPED : SIMILAR_BETWEEN) > 0 ||
			(!retyped && is_tiny(&m->side[NBM_OLD], old) &&
			 is_tiny(&m->side[NBM_NEW], first)))
			new = is_joined_or_cut(m, old, first) ? -1 : first;
	}
	if (new >= 0)
		nbm_link(m, old, new);
}

/*
 * Still step 3: a free old item, alone between two neighbours that are linked
 * with the neighbours of a row of free new items, is most likely one of these.
 * The ends of a document are neighbours, too.
 */
void
nbm_match_between(NbmMatcher *m)
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];

	for (int new = 0, end; new < b->nitems; new = end + 1)
	{
		int			before = new > 0 ? b->partner[new - 1] : -1;
		int			behind;

		CHECK_FOR_INTERRUPTS();
		for (end = new; end < b->nitems && b->partner[end] < 0;)
			end++;
		behind = end < b->nitems ? b->partner[end] : a->nitems;
		if (end > new && behind == before + 2 && a->partner[before + 1] < 0)
			match_row(m, before + 1, new, end);
	}
}

/*
 * Was the old item of this pair, both free, emptied, or was it filled?  Then
 * there are more blank ones now, or less.
 */
static bool
is_turned_blank(const NbmMatcher *m, const int *balance, int old, int new)
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];

	return old >= 0 && old < a->nitems && a->partner[old] < 0 &&
		a->blank[old] != b->blank[new] &&
		(b->blank[new] ? balance[b->content[new]] < 0 : balance[a->content[old]] > 0) &&
		a->items[old].type == b->items[new].type && !nbm_ids_differ(m, old, new);
}

/*
 * At last: an item that stands beside a linked one, and is blank where the one
 * beside its partner was not, or the other way round.
 */
void
nbm_match_emptied(NbmMatcher *m)
{
	const NbmSide *side = &m->side[NBM_NEW];
	int		   *balance = nbm_count_balance(m);

	for (int new = 0; new < side->nitems; new++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int where = BEFORE; where <= BEHIND && side->partner[new] < 0; where++)
		{
			int			old = beside_partner(m, NBM_NEW, new, where);

			if (is_turned_blank(m, balance, old, new))
				nbm_link(m, old, new);
		}
	}
}
