/*
 * edit.h
 *		Edit lists: item-wise writes, of which only the change travels.
 */
#ifndef NBM_EDIT_H
#define NBM_EDIT_H

#include "commit.h"

extern int32 nbm_commit_edits(NbmCommit *commit, Jsonb *edits);

#endif							/* NBM_EDIT_H */
