/*
 * merge_report.h
 *		The conflicts of a merge, as jsonb and in words.
 */
#ifndef NBM_MERGE_REPORT_H
#define NBM_MERGE_REPORT_H

#include "merge_values.h"

extern Jsonb *nbm_conflicts_to_jsonb(const NbmConflict *conflicts, int count);
extern char *nbm_conflict_paths(const NbmConflict *conflicts, int count,
								bool without_sources);

#endif							/* NBM_MERGE_REPORT_H */
