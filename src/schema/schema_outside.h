/*
 * schema_outside.h
 *		Running a migration's one statement outside of transactions.
 */
#ifndef NBM_SCHEMA_OUTSIDE_H
#define NBM_SCHEMA_OUTSIDE_H

#include "schema_run.h"
#include "schema_store.h"
#include "top_level.h"

extern bool nbm_outside_run(Oid owner, const char *body,
							const NbmHistoryEntry *entry,
							NbmFailure *failure);
extern void nbm_outside_record(const char *payload, bool is_done,
							   const NbmTopLevelResult *result);

#endif							/* NBM_SCHEMA_OUTSIDE_H */
