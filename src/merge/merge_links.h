/*
 * merge_links.h
 *		Merging the links and positions of workflows.
 */
#ifndef NBM_MERGE_LINKS_H
#define NBM_MERGE_LINKS_H

#include "merge_order.h"
#include "merge_values.h"

/* The operators of three workflows: which they are, and what they are called. */
typedef struct NbmMergeOperators
{
	const NbmMergeItem *items;
	int			nitems;
	NbmText    *ids[NBM_MERGE_SIDES];	/* by item; str NULL: has none there */
	NbmText    *result_ids;		/* by item: what it is called in the result */
	struct NbmMergeName *names[NBM_MERGE_SIDES];	/* sorted by id */
	int			nnames[NBM_MERGE_SIDES];
} NbmMergeOperators;

/* A link as the three workflows have it. */
typedef struct NbmMergeLink
{
	int			ends[2];		/* items; -1: no operator of that id */
	int			at[NBM_MERGE_SIDES];	/* index in links; -1: not there */
	JsonbValue	values[NBM_MERGE_SIDES];
	bool		is_in;			/* is it in the result? */
	int			index;			/* where it is there */
} NbmMergeLink;

/* All links of three workflows. */
typedef struct NbmMergeLinks
{
	NbmMergeLink *links;
	int			nlinks;
	int			count[NBM_MERGE_SIDES];
	int		   *link_at[NBM_MERGE_SIDES];	/* which they are, in order */
} NbmMergeLinks;

extern void nbm_operators_open(NbmMergeOperators *operators);
extern int	nbm_operators_find(const NbmMergeOperators *operators,
							   NbmMergeSide side, NbmText id);
extern void nbm_links_open(NbmMergeLinks *links,
						   const NbmMergeOperators *operators,
						   JsonbContainer *const *workflows);
extern void nbm_links_find_holders(const NbmMergeLinks *links,
								   const NbmMergeOperators *operators,
								   bool *is_held);
extern bool nbm_links_merge(NbmMerging *merging, NbmMergeLinks *links,
							const NbmMergeOperators *operators,
							const JsonbValue *const *values,
							JsonbValue *result);
extern bool nbm_positions_merge(NbmMerging *merging,
								const NbmMergeOperators *operators,
								const JsonbValue *const *values,
								JsonbValue *result);

#endif							/* NBM_MERGE_LINKS_H */
