/*
 * descent.h
 *		Which items were cut in two, and which were joined.
 *
 * A plain algorithm over texts, like the matcher (match.h), run after it.
 */
#ifndef NBM_DESCENT_H
#define NBM_DESCENT_H

#include "match.h"

/*
 * Text of one item went to another that is not its continuation.  A split: to
 * is a new item, from lives on with the rest.  A merge: from is gone, to lives
 * on.  An item has one origin in a split and one destination in a merge.
 */
typedef struct NbmDescent
{
	int			from;			/* index of an old item */
	int			to;				/* index of a new item */
	bool		is_merge;
} NbmDescent;

extern NbmDescent *nbm_find_descents(const NbmMatchItem *old_items, int nold,
									 const NbmMatchItem *new_items, int nnew,
									 const int *old_of_new, int *count);

#endif							/* NBM_DESCENT_H */
