/*-------------------------------------------------------------------------
 *
 * match.h
 *	  Which item of a new document is which item of the old one.
 *
 * An item is a cell of a notebook or an operator of a workflow.  This room is
 * a plain algorithm: it knows no tables, runs no SQL, and can be tested alone
 * (see test/accuracy).  match.c explains how it decides.
 *
 *-------------------------------------------------------------------------
 */
#ifndef NBM_MATCH_H
#define NBM_MATCH_H

/*
 * A link of an item with another one of its document: of an operator with its
 * neighbour.  The neighbour is one of the items that are matched, or an anchor:
 * an item that is known to be the same in both documents.
 */
typedef struct NbmMatchLink
{
	int			neighbour;		/* its index among its side's items, or -1 */
	int32		anchor;			/* else its key, or 0: it leads nowhere */
	uint64		label;			/* hash of direction and ports, as seen from
								 * here */
} NbmMatchLink;

/* What the matcher knows of one item. Strings are not owned and not NUL-terminated. */
typedef struct NbmMatchItem
{
	const char *id[2];			/* names the document gives it, strongest
								 * first; NULL when absent */
	int			id_len[2];
	uint64		core;			/* equal for byte-equal cores (type, source,
								 * metadata, attachments) */
	uint64		content;		/* hash of type and source text: equal for
								 * equal content */
	uint32		type;			/* hash of the item's type */
	const char *text;			/* the source */
	int			text_len;
	const NbmMatchLink *links;	/* in any order; not owned */
	int			nlinks;			/* 0 for all items: their order tells more */
} NbmMatchItem;

extern void nbm_match(const NbmMatchItem *old_items, int nold,
					  const NbmMatchItem *new_items, int nnew,
					  const int *same_ids, int *old_of_new);
extern double nbm_similarity(const char *a, int alen, const char *b, int blen);

#endif							/* NBM_MATCH_H */
