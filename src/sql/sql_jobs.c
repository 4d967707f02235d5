/*
 * sql_jobs.c
 *		SQL entry points on jobs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

#include "args.h"
#include "compat.h"
#include "jobs.h"

/* The longest name of a kind, in bytes: it must fit a notification. */
#define MAX_KIND 200

/* Raises 22004 unless all of so many arguments are given. */
static void
require_args(FunctionCallInfo fcinfo, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (names[i] != NULL)
			nbm_require_arg(fcinfo, i, names[i]);
}

/* Raises 22023 where a number is below 1. */
static void
require_positive(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_GETARG_INT32(number) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be at least 1", name)));
}

/* An interval argument; raises 22023 for a negative one. */
static Datum
arg_interval(FunctionCallInfo fcinfo, int number, const char *name)
{
	Interval	zero = {0};
	Datum		interval = PG_GETARG_DATUM(number);

	if (DatumGetBool(DirectFunctionCall2(interval_lt, interval,
										 IntervalPGetDatum(&zero))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", name)));
	return interval;
}

/* The time so long from another one. */
static TimestampTz
later(TimestampTz at, Datum interval)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(at),
												   interval));
}

/* The kind argument; raises 22023 for an empty or too long one. */
static char *
arg_kind(FunctionCallInfo fcinfo, int number)
{
	char	   *kind = nbm_arg_text(fcinfo, number);

	if (kind[0] == '\0' || strlen(kind) > MAX_KIND)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind must have 1 to %d bytes", MAX_KIND)));
	return kind;
}

PG_FUNCTION_INFO_V1(nbm_job_submit);

/* job_submit(nb, version, kind, priority, run_after, max_attempts, payload, dedupe) -> id */
Datum
nbm_job_submit(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {
		"notebook_id", NULL, "kind", "priority", "run_after", "max_attempts",
		"payload", "dedupe"
	};
	NbmNewJob	job = {0};
	int32		version = PG_GETARG_INT32(1);
	int64		id;
	int			level;

	require_args(fcinfo, names, lengthof(names));
	require_positive(fcinfo, 5, "max_attempts");
	job.notebook_id = PG_GETARG_INT64(0);
	job.kind = arg_kind(fcinfo, 2);
	job.priority = PG_GETARG_INT32(3);
	job.run_after = PG_GETARG_TIMESTAMPTZ(4);
	job.max_attempts = PG_GETARG_INT32(5);
	job.payload = PG_GETARG_JSONB_P(6);
	job.dedupe = PG_GETARG_BOOL(7);
	level = nbm_query_begin();
	job.at = GetCurrentTimestamp();
	id = nbm_jobs_submit(&job, PG_ARGISNULL(1) ? NULL : &version);
	nbm_store_end(level);
	PG_RETURN_INT64(id);
}

/* The kinds argument: 0 for NULL.  Raises 22004 for a NULL among them. */
static Datum
arg_kinds(FunctionCallInfo fcinfo, int number)
{
	if (PG_ARGISNULL(number))
		return 0;
	if (array_contains_nulls(PG_GETARG_ARRAYTYPE_P(number)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kinds must not have null elements")));
	return PG_GETARG_DATUM(number);
}

/* Adds a row to the result of job_claim. */
static void
put_claim(ReturnSetInfo *result, const NbmClaim *claim)
{
	Datum		values[9];
	bool		nulls[9] = {false};

	values[0] = Int64GetDatum(claim->job.id);
	values[1] = UUIDPGetDatum(&claim->job.token);
	values[2] = Int64GetDatum(claim->job.notebook_id);
	values[3] = Int32GetDatum(claim->job.version);
	values[4] = CStringGetTextDatum(claim->job.kind);
	values[5] = Int32GetDatum(claim->job.attempt);
	values[6] = JsonbPGetDatum(claim->job.payload);
	values[7] = JsonbPGetDatum(claim->prompt);
	nulls[7] = claim->prompt == NULL;
	values[8] = TimestampTzGetDatum(claim->job.lease_until);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(nbm_job_claim);

/* job_claim(worker, lease, kinds, n) -> the jobs that it is given */
Datum
nbm_job_claim(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"worker", "lease", NULL, "n"};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	NbmClaimer	claimer;
	NbmClaim   *claims;
	int			count;
	int			level;

	require_args(fcinfo, names, lengthof(names));
	require_positive(fcinfo, 3, "n");
	claimer.worker = nbm_arg_text(fcinfo, 0);
	claimer.kinds = arg_kinds(fcinfo, 2);
	claimer.at = GetCurrentTimestamp();
	claimer.lease_until = later(claimer.at, arg_interval(fcinfo, 1, "lease"));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	level = nbm_query_begin();
	claims = nbm_jobs_claim(&claimer, PG_GETARG_INT32(3), &count);
	for (int i = 0; i < count; i++)
		put_claim(result, &claims[i]);
	nbm_store_end(level);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(nbm_job_heartbeat);

/* job_heartbeat(id, token, extend, progress) -> the lease's new end */
Datum
nbm_job_heartbeat(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"job_id", "token", "extend"};
	TimestampTz at = GetCurrentTimestamp();
	TimestampTz lease_until;
	NbmJob		job;
	int			level;

	require_args(fcinfo, names, lengthof(names));
	lease_until = later(at, arg_interval(fcinfo, 2, "extend"));
	level = nbm_query_begin();
	nbm_jobs_open(PG_GETARG_INT64(0), PG_GETARG_UUID_P(1), at, &job);
	nbm_job_extend(&job, lease_until,
				   PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3));
	nbm_store_end(level);
	PG_RETURN_TIMESTAMPTZ(lease_until);
}

PG_FUNCTION_INFO_V1(nbm_job_complete);

/* job_complete(id, token, workflow_reply, mapping_reply, usage) -> the result */
Datum
nbm_job_complete(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"job_id", "token"};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	NbmJobResult row;
	int			level;

	require_args(fcinfo, names, lengthof(names));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	level = nbm_query_begin();
	nbm_jobs_complete(PG_GETARG_INT64(0), PG_GETARG_UUID_P(1),
					  nbm_arg_text(fcinfo, 2), nbm_arg_text(fcinfo, 3),
					  PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4), &row);
	tuplestore_putvalues(result->setResult, result->setDesc, row.values,
						 row.nulls);
	nbm_store_end(level);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(nbm_job_fail);

/* job_fail(id, token, error, retry) -> the job's state */
Datum
nbm_job_fail(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"job_id", "token", "error", "retry"};
	TimestampTz at = GetCurrentTimestamp();
	const char *state;
	NbmJob		job;
	int			level;

	require_args(fcinfo, names, lengthof(names));
	level = nbm_query_begin();
	nbm_jobs_open(PG_GETARG_INT64(0), PG_GETARG_UUID_P(1), at, &job);
	state = nbm_jobs_fail(&job, at, nbm_arg_text(fcinfo, 2),
						  PG_GETARG_BOOL(3));
	nbm_store_end(level);
	PG_RETURN_TEXT_P(cstring_to_text(state));
}

PG_FUNCTION_INFO_V1(nbm_job_cancel);

/* job_cancel(id) -> was it unfinished? */
Datum
nbm_job_cancel(PG_FUNCTION_ARGS)
{
	bool		is_cancelled;
	int			level;

	nbm_require_arg(fcinfo, 0, "job_id");
	level = nbm_query_begin();
	is_cancelled = nbm_jobs_cancel(PG_GETARG_INT64(0), GetCurrentTimestamp());
	nbm_store_end(level);
	PG_RETURN_BOOL(is_cancelled);
}

PG_FUNCTION_INFO_V1(nbm_job_status_sql);

/* job_status(id) -> all about it */
Datum
nbm_job_status_sql(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	Jsonb	   *status;
	int			level;

	nbm_require_arg(fcinfo, 0, "job_id");
	level = nbm_query_begin();
	status = nbm_job_status(PG_GETARG_INT64(0));
	status = (Jsonb *) DatumGetPointer(SPI_datumTransfer(JsonbPGetDatum(status),
														 false, -1));
	nbm_store_end(level);
	MemoryContextSwitchTo(caller);
	PG_RETURN_JSONB_P(status);
}

PG_FUNCTION_INFO_V1(nbm_job_stats);

/* job_stats() -> a row for each kind and state */
Datum
nbm_job_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64		rows;
	int			level;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	level = nbm_query_begin();
	rows = nbm_query_run(&nbm_notebook, Q_JOB_STATS, NULL, NULL, true);
	for (uint64 row = 0; row < rows; row++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[row]);
	nbm_store_end(level);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(nbm_job_prune_sql);

/* job_prune(older_than) -> how many jobs it deleted */
Datum
nbm_job_prune_sql(PG_FUNCTION_ARGS)
{
	uint64		count;
	Datum		before;
	int			level;

	nbm_require_arg(fcinfo, 0, "older_than");
	before = DirectFunctionCall2(timestamptz_mi_interval,
								 TimestampTzGetDatum(GetCurrentTimestamp()),
								 arg_interval(fcinfo, 0, "older_than"));
	level = nbm_query_begin();
	count = nbm_job_prune(DatumGetTimestampTz(before));
	nbm_store_end(level);
	PG_RETURN_INT64((int64) count);
}
