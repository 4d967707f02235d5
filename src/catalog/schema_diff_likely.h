/*
 * schema_diff_likely.h
 *		What is dropped, and looks as if it should get another name.
 */
#ifndef NBM_SCHEMA_DIFF_LIKELY_H
#define NBM_SCHEMA_DIFF_LIKELY_H

#include "schema_diff_pair.h"

extern char *nbm_likely_table(const List *pairs, const NbmTable *table);
extern char *nbm_likely_column(const NbmTablePair *table,
							   const NbmColumn *column);

#endif							/* NBM_SCHEMA_DIFF_LIKELY_H */
