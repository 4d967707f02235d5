/*
 * matcher.h
 *		What the steps of the matcher share.  For them alone; everybody else
 *		calls match.h.
 */
#ifndef NBM_MATCHER_H
#define NBM_MATCHER_H

#include "entries.h"
#include "match.h"
#include "profile.h"

#define NBM_OLD				0
#define NBM_NEW				1

/* One of the two documents. */
typedef struct NbmSide
{
	const NbmMatchItem *items;
	int			nitems;
	int		   *partner;		/* index on the other side, or -1 */
	int		   *content;		/* number of the item's class of equal content */
	int		   *core;			/* the same for cores */
	bool	   *blank;			/* is the text white space only? */
	NbmProfile **profiles;		/* NULL until asked for */
} NbmSide;

/* Free pairs that could be the same wherever they stand. */
typedef struct NbmRanking
{
	NbmEntries	pairs;			/* (difference, old and new item), sorted */
	int		   *second[2];		/* by item: similarity of its second best
								 * partner */
	int			nitems[2];		/* free ones that were looked at */
} NbmRanking;

/* A matching in progress. */
typedef struct NbmMatcher
{
	NbmSide		side[2];
	int			ncontents;		/* number of classes */
	int			ncores;
	const int  *same_ids;		/* by kind: in items beside these; or NULL */
	bool		trusted[2];		/* do items with different ids differ? by kind */
	int64		work_left;		/* grams that may still be compared freely */
	NbmRanking	ranking;		/* the last one that was made */
} NbmMatcher;

/* Free items between two links of the backbone. */
typedef struct NbmGap
{
	int		   *items[2];		/* their indexes, ascending */
	int			nitems[2];
} NbmGap;

/* Says that two items are the same.  Both must be free. */
static inline void
nbm_link(NbmMatcher *m, int old, int new)
{
	Assert(m->side[NBM_OLD].partner[old] < 0);
	Assert(m->side[NBM_NEW].partner[new] < 0);
	m->side[NBM_OLD].partner[old] = new;
	m->side[NBM_NEW].partner[new] = old;
}

/* Are the contents of these two items equal? */
static inline bool
nbm_equal_content(const NbmMatcher *m, int old, int new)
{
	return m->side[NBM_OLD].content[old] == m->side[NBM_NEW].content[new];
}

/* Have two items the same id of a kind?  Both must have one. */
static inline bool
nbm_same_id(const NbmMatchItem *a, const NbmMatchItem *b, int kind)
{
	return a->id_len[kind] == b->id_len[kind] &&
		memcmp(a->id[kind], b->id[kind], a->id_len[kind]) == 0;
}

/* matcher.c */
extern void nbm_matcher_init_side(NbmSide *side, const NbmMatchItem *items,
								  int nitems);
extern int	nbm_matcher_number_classes(NbmMatcher *m, Size field,
									   int *classes[2]);
extern const NbmProfile *nbm_matcher_profile(NbmSide *side, int item);
extern int	nbm_compare_items(NbmMatcher *m, int old, int new, int floor);
extern int *nbm_count_balance(const NbmMatcher *m);
extern bool nbm_ids_differ(const NbmMatcher *m, int old, int new);
extern int	nbm_weigh_pair(NbmMatcher *m, int old, int new);

/* candidates.c */
extern void nbm_propose_similar(NbmMatcher *m, const NbmGap *gap,
								NbmEntries *pairs);
extern void nbm_propose_equal(const NbmMatcher *m, const NbmGap *gap,
							  NbmEntries *pairs);
extern void nbm_propose_place(const NbmGap *gap, NbmEntries *pairs);

/* The steps, each in its file. */
extern void nbm_match_ids(NbmMatcher *m, int kind);
extern void nbm_match_unique(NbmMatcher *m, int *classes[2], int nclasses);
extern void nbm_match_twins(NbmMatcher *m);
extern void nbm_match_gaps(NbmMatcher *m);
extern void nbm_match_neighbours(NbmMatcher *m);
extern void nbm_match_between(NbmMatcher *m);
extern bool nbm_has_links(const NbmMatcher *m);
extern void nbm_match_links(NbmMatcher *m);
extern void nbm_match_equal(NbmMatcher *m);
extern void nbm_match_emptied(NbmMatcher *m);
extern void nbm_match_blank(NbmMatcher *m);
extern void nbm_match_similar(NbmMatcher *m, bool clear);

#endif							/* NBM_MATCHER_H */
