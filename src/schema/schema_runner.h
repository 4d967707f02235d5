/*
 * schema_runner.h
 *		Applying and undoing migrations.
 */
#ifndef NBM_SCHEMA_RUNNER_H
#define NBM_SCHEMA_RUNNER_H

#include "schema_lock.h"

/* The setting notebook_migrate.schema_ignore_drift. */
extern bool nbm_schema_ignore_drift;

extern void nbm_run_up(Oid owner, const char *target, int max_count,
					   int64 timeout_ms);
extern void nbm_run_down(Oid owner, const char *target, int steps,
						 bool cascade);
extern int	nbm_run_up_atomic(Oid owner, const char *target);
extern int	nbm_take_as_applied(Oid owner, const char *name);

#endif							/* NBM_SCHEMA_RUNNER_H */
