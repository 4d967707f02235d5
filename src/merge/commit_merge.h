/*
 * commit_merge.h
 *		Saving a document that was made on an older version than the head.
 */
#ifndef NBM_COMMIT_MERGE_H
#define NBM_COMMIT_MERGE_H

#include "commit.h"

extern int32 nbm_commit_merged(NbmCommit *commit, Jsonb *content,
							   int32 expected, bool mark);

#endif							/* NBM_COMMIT_MERGE_H */
