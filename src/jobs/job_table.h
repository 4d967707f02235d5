/*
 * job_table.h
 *		The queue's tables as they are read and written without a query.
 */
#ifndef NBM_JOB_TABLE_H
#define NBM_JOB_TABLE_H

#include "access/htup.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* The columns of migration_turn, in order. */
enum
{
	TURN_NOTEBOOK = 1, TURN_JOB, TURN_RANK, TURN_AT, TURN_IS_READY, TURN_KIND,
	TURN_COLUMNS = TURN_KIND
};

/* The columns of migration_job, in order. */
enum
{
	JOB_NOTEBOOK = 1, JOB_ID, JOB_RUN_AFTER, JOB_FINISHED_AT, JOB_PRIORITY,
	JOB_KIND, JOB_CREATED_AT, JOB_STARTED_AT, JOB_LEASE_UNTIL, JOB_WORKFLOW,
	JOB_MAPPING, JOB_EQUAL_TO, JOB_VERSION, JOB_ATTEMPT, JOB_MAX_ATTEMPTS,
	JOB_WORKFLOW_VERSION, JOB_DEDUPE, JOB_STATE, JOB_WORKER, JOB_TOKEN,
	JOB_WORK, JOB_PAYLOAD, JOB_PROGRESS, JOB_ERRORS, JOB_USAGE, JOB_WARNINGS,
	JOB_COLUMNS = JOB_WARNINGS
};

extern Relation nbm_job_table_open(const char *name, LOCKMODE mode);
extern Relation nbm_job_table_open_to_update(const char *name);
extern Relation nbm_job_index_open(Relation relation, const char *name);
extern Datum nbm_job_column(HeapTuple tuple, int number, Relation relation);

#endif							/* NBM_JOB_TABLE_H */
