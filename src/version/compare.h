/*
 * compare.h
 *		What changed between two versions of a document.
 */
#ifndef NBM_COMPARE_H
#define NBM_COMPARE_H

#include "paths.h"
#include "store.h"

/* What can happen to an item; a row of a diff names one of them. */
typedef enum NbmChangeName
{
	NBM_INSERTED,
	NBM_DELETED,
	NBM_MODIFIED,				/* type or source; of an operator, anything */
	NBM_MOVED_MODIFIED,
	NBM_MOVED,
	NBM_METADATA,
	NBM_OUTPUTS,				/* outputs or execution count */
	NBM_RENAMED,				/* operators: same operator, new id */
	NBM_RELINKED,
	NBM_LAYOUT,
	NBM_SPLIT,					/* cut off, or what was cut; see lineage.h */
	NBM_MERGED
} NbmChangeName;

/* A change of one item, or of the document itself. */
typedef struct NbmChange
{
	NbmChangeName name;
	int32		key;			/* 0: the document itself */
	int			old_position;	/* -1: not there */
	int			new_position;
	uint64		old_core;		/* part ids, where there is an item */
	uint64		new_core;
	NbmWords	detail;			/* what exactly: paths, or words */
} NbmChange;

extern const char *nbm_change_name(NbmChangeName name);
extern NbmChange *nbm_compare(const NbmStore *store, const NbmLayout *from,
							  const NbmLayout *to, int32 only_key,
							  NbmBodies *bodies, int *count);
extern void nbm_count_changes(const NbmKind *kind, const NbmChange *changes,
							  int count, int32 *counts);

#endif							/* NBM_COMPARE_H */
