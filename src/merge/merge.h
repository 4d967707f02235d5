/*
 * merge.h
 *		Merging three versions of a notebook or a workflow.
 */
#ifndef NBM_MERGE_H
#define NBM_MERGE_H

#include "document.h"
#include "merge_values.h"

/* Three documents, and what errors call them. */
typedef struct NbmMergeInput
{
	Jsonb	   *contents[NBM_MERGE_SIDES];
	const char *names[NBM_MERGE_SIDES];
} NbmMergeInput;

/* A merged document. */
typedef struct NbmMergeResult
{
	Jsonb	   *content;
	NbmConflict *conflicts;
	int			nconflicts;
} NbmMergeResult;

extern NbmMergeResult nbm_merge_documents(const NbmKind *kind,
										  const NbmMergeInput *input,
										  NbmMergeStrategy strategy);

#endif							/* NBM_MERGE_H */
