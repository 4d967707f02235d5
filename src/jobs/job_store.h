/*
 * job_store.h
 *		The queue's table: with query.c, the only room that knows it.
 */
#ifndef NBM_JOB_STORE_H
#define NBM_JOB_STORE_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* A job as it is asked for. */
typedef struct NbmNewJob
{
	int64		notebook_id;
	int32		version;
	const char *kind;
	int32		priority;
	TimestampTz at;				/* now */
	TimestampTz run_after;
	int32		max_attempts;
	bool		dedupe;			/* may other jobs be answered with it? */
	Jsonb	   *payload;
	Datum		work;			/* bytea: digest of what is to be done */
} NbmNewJob;

/* A job as it stands, its row locked. */
typedef struct NbmJob
{
	int64		id;
	int64		notebook_id;
	int32		version;
	const char *kind;
	const char *state;
	int32		attempt;
	int32		max_attempts;
	bool		has_token;
	pg_uuid_t	token;
	TimestampTz lease_until;
	Jsonb	   *payload;
} NbmJob;

/* What came of a job, and the other one that did the work, where one did. */
enum NbmJobResultColumn
{
	NBM_JOB_WORKFLOW, NBM_JOB_WORKFLOW_VERSION, NBM_JOB_MAPPING,
	NBM_JOB_WARNINGS, NBM_JOB_EQUAL_TO, NBM_JOB_RESULTS
};

/* The values of these; NULLs are SQL's. */
typedef struct NbmJobResult
{
	Datum		values[NBM_JOB_RESULTS];
	bool		nulls[NBM_JOB_RESULTS];
} NbmJobResult;

/* A job that a worker is given; values are those of job_claim's row. */
typedef struct NbmClaim
{
	NbmJob		job;
	Jsonb	   *prompt;			/* NULL: none */
} NbmClaim;

/* Who asks for jobs, and for which. */
typedef struct NbmClaimer
{
	const char *worker;
	TimestampTz at;				/* now */
	TimestampTz lease_until;
	Datum		kinds;			/* text[]; 0: all */
} NbmClaimer;

extern int64 nbm_job_add(const NbmNewJob *job);
extern int64 nbm_job_add_done(const NbmNewJob *job, const NbmJobResult *result);

extern NbmClaim *nbm_job_take(const NbmClaimer *claimer, int n, int *count);

extern void nbm_job_lock(int64 id, NbmJob *job);
extern void nbm_job_extend(const NbmJob *job, TimestampTz lease_until,
						   Jsonb *progress);
extern void nbm_job_finish(const NbmJob *job, const char *state,
						   TimestampTz at, Jsonb *usage,
						   const NbmJobResult *result, const char *error);
extern bool nbm_job_done(int64 id, const pg_uuid_t *token,
						 const char *except_kind, TimestampTz at,
						 Jsonb *usage);
extern void nbm_job_retry(const NbmJob *job, TimestampTz at,
						  TimestampTz run_after, const char *error);

extern Jsonb *nbm_job_prompt(const NbmJob *job, const char *scope);
extern void nbm_job_accept(const NbmJob *job, const char *workflow_reply,
						   const char *mapping_reply, NbmJobResult *result);

extern Jsonb *nbm_job_status(int64 id);
extern uint64 nbm_job_prune(TimestampTz before);

#endif							/* NBM_JOB_STORE_H */
