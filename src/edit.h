/*
 * edit.h
 *		Edit lists: item-wise writes, of which only the change travels.
 */
#ifndef NBM_EDIT_H
#define NBM_EDIT_H

#include "commit.h"

extern int32 nbm_commit_edits(NbmCommit *commit, Jsonb *edits);
extern int	nbm_find_named(const NbmKind *kind, const NbmLayout *layout,
						   const JsonbValue *name, const char **why);

#endif							/* NBM_EDIT_H */
