/*
 * merge_order.h
 *		Where each item stands after a three-way merge.
 *
 * A plain algorithm over indexes; merge_order.c explains it.
 */
#ifndef NBM_MERGE_ORDER_H
#define NBM_MERGE_ORDER_H

#include "merge_lines.h"

#define NBM_PLACE_PARTS 8

/* An item of any of the three documents. */
typedef struct NbmMergeItem
{
	int			at[NBM_MERGE_SIDES];	/* its index there; -1: not there */
	bool		is_in;			/* is it in the result? */
	bool		is_gone;		/* another one stands for it */
	bool		is_moved[NBM_MERGE_SIDES];
	bool		moves_differ;	/* both sides moved it, to different places */
	int			run;			/* array that holds it, for worksheets */
	uint64		content;		/* equal for items that could be unified */
	/* for merge_order.c */
	int			backbone;		/* base index of the one it stands after */
	int			slot;			/* moved item that it stands after, or -1 */
	bool		is_shared;		/* inserted by both sides, and a landmark */
	int			place[NBM_PLACE_PARTS];
} NbmMergeItem;

/* The items of three documents that are to be put in order. */
typedef struct NbmMergeOrder
{
	NbmMergeItem *items;
	int			nitems;
	int			count[NBM_MERGE_SIDES]; /* items of each document */
	int		   *item_at[NBM_MERGE_SIDES];	/* which they are, in order */
	bool		theirs_win;		/* where both moved an item */
} NbmMergeOrder;

/* Are two items that have equal content really the same? */
typedef bool (*NbmMergeSame) (void *arg, const NbmMergeItem *a,
							  const NbmMergeItem *b);

extern void nbm_order_find_moves(NbmMergeOrder *order);
extern void nbm_order_unify(NbmMergeOrder *order, NbmMergeSame same,
							void *arg);
extern NbmMergeItem **nbm_order_sort(NbmMergeOrder *order);

#endif							/* NBM_MERGE_ORDER_H */
