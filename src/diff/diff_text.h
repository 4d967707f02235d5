/*
 * diff_text.h
 *		What changed between two versions, as a text to be read.
 */
#ifndef NBM_DIFF_TEXT_H
#define NBM_DIFF_TEXT_H

#include "compare.h"

/* Two versions of a document and what changed between them. */
typedef struct NbmDiff
{
	NbmStore	store;
	NbmVersion	from;
	NbmVersion	to;
	NbmBodies  *bodies;			/* has the cores of all changes */
	NbmChange  *changes;
	int			count;
	MemoryContext scratch;		/* for one item */
} NbmDiff;

extern JsonbContainer *nbm_diff_old_core(const NbmDiff *diff,
										 const NbmChange *change);
extern JsonbContainer *nbm_diff_new_core(const NbmDiff *diff,
										 const NbmChange *change);
extern void nbm_diff_show(StringInfo out, NbmDiff *diff);

#endif							/* NBM_DIFF_TEXT_H */
