/*
 * scope.h
 *		What a notebook's version has that the mapping has not answered for.
 */
#ifndef NBM_SCOPE_H
#define NBM_SCOPE_H

#include "mapping.h"

/* The mapping that applies, and what changed since. */
typedef struct NbmScope
{
	bool		has_mapping;
	NbmAnswer	answer;			/* for the version and the workflow's newest */
	const char **changes;		/* by cell: new, changed, or NULL */
} NbmScope;

extern void nbm_scope_open(NbmScope *scope, int64 notebook_id, int32 version,
						   int64 workflow_id);

#endif							/* NBM_SCOPE_H */
