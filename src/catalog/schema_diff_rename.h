/*
 * schema_diff_rename.h
 *		What a schema looks like after the renames that were asked for.
 */
#ifndef NBM_SCHEMA_DIFF_RENAME_H
#define NBM_SCHEMA_DIFF_RENAME_H

#include "schema_diff_model.h"

extern NbmDescription *nbm_renamed(const NbmDescription *before, const NbmDescription *after,
								   const List *renames);

#endif							/* NBM_SCHEMA_DIFF_RENAME_H */
