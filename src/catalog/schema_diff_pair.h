/*
 * schema_diff_pair.h
 *		What of one schema is what of another, and what must be made anew.
 */
#ifndef NBM_SCHEMA_DIFF_PAIR_H
#define NBM_SCHEMA_DIFF_PAIR_H

#include "schema_diff_model.h"

/* How a column becomes another one. */
typedef enum NbmColumnChange
{
	NBM_ALTERED,				/* it stays, whatever is altered */
	NBM_FREED,					/* its values stay, nothing generates them now */
	NBM_REPLACED				/* it is dropped, and another one added */
} NbmColumnChange;

/* old and moved are NULL for what is new, new for what is dropped. */
typedef struct NbmColumnPair
{
	NbmColumn  *old;			/* under the names before */
	NbmColumn  *moved;			/* the same under those after the renames */
	NbmColumn  *new;
	NbmColumnChange change;
	bool		is_suggested;	/* as the new name of one that is dropped */
} NbmColumnPair;

typedef struct NbmKeyPair
{
	NbmKey	   *old;
	NbmKey	   *moved;
	NbmKey	   *new;
	bool		is_anew;		/* in both, but dropped and added */
} NbmKeyPair;

typedef struct NbmTablePair
{
	NbmTable   *old;
	NbmTable   *moved;
	NbmTable   *new;
	List	   *columns;		/* of NbmColumnPair, where it is in both */
	List	   *keys;			/* of NbmKeyPair, where it is in both */
	bool		is_suggested;	/* as the new name of one that is dropped */
} NbmTablePair;

extern List *nbm_pair_tables(const NbmDescription *before, const NbmDescription *moved,
							 const NbmDescription *after);
extern bool nbm_same_string(const char *a, const char *b);
extern bool nbm_type_changes(const NbmColumnPair *pair);

#endif							/* NBM_SCHEMA_DIFF_PAIR_H */
