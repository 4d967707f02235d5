/*
 * job_store.c
 *		The queue's table: with query.c, the only room that knows it.
 *
 * The jobs of one notebook and kind are a line, in the order of their ids.
 * Only the first unfinished one of a line can be handed out, and is marked so
 * (is_first); whoever finishes it marks the next.  So what can be handed out
 * is in one index, in order, without all that waits behind it, and a claim
 * costs the same whatever else there is.
 *
 * That no line is ever left without a first one is a matter of two locks.
 * Submitters of a notebook queue on its head row, so ids follow the order of
 * commits.  And who adds to a line, or finishes its first one, holds the
 * line's lock to the end of the transaction, and then looks with a snapshot
 * that is newer than the lock: so either a submitter sees that no job is left
 * before its own, or whoever finished that one sees the submitter's.  It is
 * an advisory lock of a class of its own, which no user can take.  Handing out
 * does not need it, so a submitter who takes his time stops no worker.
 *
 * Time makes jobs ready, too: leases run out, retries and late starts become
 * due.  Each claim wakes what has come.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "job_front.h"
#include "job_store.h"
#include "store.h"

/* Candidates looked at beyond those asked for, where kinds are merged. */
#define SPARE_CANDIDATES 64
/* Users' advisory locks are of the classes 1 and 2. */
#define LINE_LOCK_CLASS 5421

/* Runs a query of the queue. */
static uint64
run(NbmQuery id, Datum *values, const char *nulls)
{
	return nbm_query_run(&nbm_notebook, id, values, nulls, false);
}

/* A C string as SQL text, or nothing for NULL. */
static Datum
text_or_null(const char *string)
{
	return string ? CStringGetTextDatum(string) : (Datum) 0;
}

/* 'n' where there is nothing, as SPI wants it. */
static char
null_flag(const void *pointer)
{
	return pointer ? ' ' : 'n';
}

/*
 * What a job is to do, as a SHA-256 over the version's digest, the kind and
 * the payload: equal for equal work.  Raises 02000 for an unknown version.
 */
Datum
nbm_job_work(const NbmNewJob *job)
{
	NbmStore	store = {&nbm_notebook, job->notebook_id, false};
	NbmVersion	version;
	Datum		values[4] = {
		Int64GetDatum(job->notebook_id), Int32GetDatum(job->version),
		CStringGetTextDatum(job->kind), JsonbPGetDatum(job->payload)
	};

	if (run(Q_JOB_WORK, values, NULL) == 0)
		nbm_store_version(&store, job->version, &version);	/* raises */
	return datumCopy(nbm_query_column(0, 1, NULL), false, -1);
}

/*
 * A job of the notebook that did the same work, or that is to do it; 0 where
 * there is none.
 */
int64
nbm_job_find_equal(const NbmNewJob *job, bool is_done)
{
	Datum		values[2] = {Int64GetDatum(job->notebook_id), job->work};

	if (run(is_done ? Q_JOB_EQUAL_DONE : Q_JOB_EQUAL_OPEN, values, NULL) == 0)
		return 0;
	return DatumGetInt64(nbm_query_column(0, 1, NULL));
}

/*
 * Locks the line of a notebook and kind to the end of the transaction.
 */
static void
lock_line(int64 notebook_id, const char *kind)
{
	uint64		line = hash_bytes_extended((const unsigned char *) kind,
										   strlen(kind), notebook_id);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (line >> 32),
						 (uint32) line, LINE_LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * Joins a job's line, until the end of the transaction: is there an
 * unfinished one before it?
 */
bool
nbm_job_join_line(const NbmNewJob *job)
{
	Datum		values[2] = {
		Int64GetDatum(job->notebook_id), CStringGetTextDatum(job->kind)
	};

	lock_line(job->notebook_id, job->kind);
	return nbm_query_run_latest(Q_JOB_LAST, values, NULL) > 0;
}

/* The arguments that all ways of adding a job have in common. */
static void
set_new_job(const NbmNewJob *job, Datum *values)
{
	values[0] = Int64GetDatum(job->notebook_id);
	values[1] = Int32GetDatum(job->version);
	values[2] = CStringGetTextDatum(job->kind);
	values[3] = Int32GetDatum(job->priority);
	values[4] = TimestampTzGetDatum(job->at);
	values[5] = TimestampTzGetDatum(job->run_after);
	values[6] = Int32GetDatum(job->max_attempts);
	values[7] = JsonbPGetDatum(job->payload);
	values[8] = job->work;
}

/* Adds a waiting job to its line; returns its id. */
int64
nbm_job_add(const NbmNewJob *job, bool is_first)
{
	NbmPlace	place = {-(int64) job->priority, job->run_after};
	Datum		values[11];

	set_new_job(job, values);
	values[9] = BoolGetDatum(is_first);
	values[10] = BoolGetDatum(job->dedupe);
	run(Q_JOB_ADD, values, NULL);
	place.id = DatumGetInt64(nbm_query_column(0, 1, NULL));
	nbm_front_lower(place);
	return place.id;
}

/*
 * Adds a job that is done, with the result of another one; returns its id, or
 * 0 where the other one is gone.
 */
int64
nbm_job_add_equal(const NbmNewJob *job, int64 equal_to)
{
	Datum		values[10];

	set_new_job(job, values);
	values[9] = Int64GetDatum(equal_to);
	if (run(Q_JOB_ADD_EQUAL, values, NULL) == 0)
		return 0;
	return DatumGetInt64(nbm_query_column(0, 1, NULL));
}

/* A job's place in the queue: three columns of a row, from a number on. */
static NbmPlace
read_place(uint64 row, int number)
{
	NbmPlace	place;

	place.rank = DatumGetInt64(nbm_query_column(row, number, NULL));
	place.run_after = DatumGetTimestampTz(nbm_query_column(row, number + 1,
														   NULL));
	place.id = DatumGetInt64(nbm_query_column(row, number + 2, NULL));
	return place;
}

/*
 * Makes the next job of a line the first one, after a job that was that is
 * finished.
 */
static void
promote(int64 notebook_id, const char *kind, int64 after, TimestampTz at)
{
	Datum		values[4] = {
		Int64GetDatum(notebook_id), CStringGetTextDatum(kind),
		Int64GetDatum(after), TimestampTzGetDatum(at)
	};

	lock_line(notebook_id, kind);
	if (nbm_query_run_latest(Q_JOB_PROMOTE, values, NULL) > 0)
		nbm_front_lower(read_place(0, 1));
}

/*
 * Wakes what time has made ready: retries whose time has come, and leases
 * that ran out, which are dead if it was their last attempt.  False where it
 * was done a moment ago and is not done again.
 */
static bool
wake(TimestampTz at)
{
	NbmWakeWatch watch = nbm_wake_begin();
	Datum		values[1] = {TimestampTzGetDatum(at)};
	SPITupleTable *woken;
	uint64		rows;

	if (watch.is_done)
		return false;
	if (run(Q_JOB_DUE, values, NULL) == 0)
	{
		nbm_wake_end(&watch);
		return true;
	}
	rows = run(Q_JOB_WAKE, values, NULL);
	woken = SPI_tuptable;
	if (rows > 0)
		nbm_front_forget();
	for (uint64 row = 0; row < rows; row++)
	{
		SPI_tuptable = woken;	/* which promote() changes */
		if (DatumGetBool(nbm_query_column(row, 4, NULL)))
			promote(DatumGetInt64(nbm_query_column(row, 1, NULL)),
					TextDatumGetCString(nbm_query_column(row, 2, NULL)),
					DatumGetInt64(nbm_query_column(row, 3, NULL)), at);
	}
	return true;
}

/* Reads a row of the last result of a claim. */
static void
read_claim(uint64 row, NbmClaim *claim)
{
	NbmJob	   *job = &claim->job;

	memset(claim, 0, sizeof(*claim));
	job->id = DatumGetInt64(nbm_query_column(row, 1, NULL));
	job->has_token = true;
	job->token = *DatumGetUUIDP(nbm_query_column(row, 2, NULL));
	job->notebook_id = DatumGetInt64(nbm_query_column(row, 3, NULL));
	job->version = DatumGetInt32(nbm_query_column(row, 4, NULL));
	job->kind = TextDatumGetCString(nbm_query_column(row, 5, NULL));
	job->state = pstrdup("leased");
	job->attempt = DatumGetInt32(nbm_query_column(row, 6, NULL));
	job->payload = DatumGetJsonbPCopy(nbm_query_column(row, 7, NULL));
	job->lease_until = DatumGetTimestampTz(nbm_query_column(row, 8, NULL));
	job->is_first = true;
}

/* The arguments of a claim that starts at a place in the queue. */
static void
set_place(const NbmPlace *place, Datum *values)
{
	values[0] = Int64GetDatum(place->rank);
	values[1] = TimestampTzGetDatum(place->run_after);
	values[2] = Int64GetDatum(place->id);
}

/*
 * Hands out up to n jobs from a place in the queue on; rows are in
 * SPI_tuptable.
 */
static uint64
hand_out(const NbmClaimer *claimer, int64 n, const NbmPlace *from)
{
	Datum		values[9] = {
		CStringGetTextDatum(claimer->worker),
		TimestampTzGetDatum(claimer->at), Int64GetDatum(n),
		TimestampTzGetDatum(claimer->lease_until)
	};

	set_place(from, &values[4]);
	if (claimer->kinds == 0)
		return run(n == 1 ? Q_JOB_CLAIM_ONE : Q_JOB_CLAIM, values, NULL);
	values[7] = claimer->kinds;
	values[8] = Int64GetDatum(n > PG_INT64_MAX - SPARE_CANDIDATES ? n :
							  n + SPARE_CANDIDATES);
	return run(Q_JOB_CLAIM_KINDS, values, NULL);
}

/*
 * Hands out up to n jobs that are ready, in order, none that somebody else is
 * being given just now.  The claims are allocated in the current context.
 */
NbmClaim *
nbm_job_take(const NbmClaimer *claimer, int64 n, int *count)
{
	NbmFrontWatch watch;
	NbmClaim   *claims;
	bool		is_awake;
	uint64		rows;

	is_awake = wake(claimer->at);
	watch = nbm_front_begin(claimer->kinds);
	rows = hand_out(claimer, n, &watch.from);
	if (rows < n && (watch.is_known || !is_awake))
	{
		/* take no memory's word for it that there is no more */
		nbm_front_forget();
		if (rows == 0)
		{
			wake(claimer->at);
			watch = nbm_front_begin(claimer->kinds);
			rows = hand_out(claimer, n, &watch.from);
		}
	}
	if (rows == n)
		nbm_front_end(&watch, read_place(rows - 1, 10));
	claims = palloc_array(NbmClaim, Max(rows, 1));
	for (uint64 row = 0; row < rows; row++)
		read_claim(row, &claims[row]);
	*count = rows;
	return claims;
}

/*
 * Locks a job's row until the end of the transaction and reads it.  Raises
 * 02000 where there is none.
 */
void
nbm_job_lock(int64 id, NbmJob *job)
{
	Datum		values[1] = {Int64GetDatum(id)};
	Datum		value;
	bool		is_null;

	if (run(Q_JOB_LOCK, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("job " INT64_FORMAT " does not exist", id)));
	memset(job, 0, sizeof(*job));
	job->id = id;
	job->notebook_id = DatumGetInt64(nbm_query_column(0, 1, NULL));
	job->version = DatumGetInt32(nbm_query_column(0, 2, NULL));
	job->kind = TextDatumGetCString(nbm_query_column(0, 3, NULL));
	job->state = TextDatumGetCString(nbm_query_column(0, 4, NULL));
	job->attempt = DatumGetInt32(nbm_query_column(0, 5, NULL));
	job->max_attempts = DatumGetInt32(nbm_query_column(0, 6, NULL));
	job->is_first = DatumGetBool(nbm_query_column(0, 7, NULL));
	value = nbm_query_column(0, 8, &is_null);
	job->lease_until = is_null ? DT_NOBEGIN : DatumGetTimestampTz(value);
	value = nbm_query_column(0, 9, &is_null);
	job->has_token = !is_null;
	if (!is_null)
		job->token = *DatumGetUUIDP(value);
	job->payload = DatumGetJsonbPCopy(nbm_query_column(0, 10, NULL));
}

/* Moves a lease's end; progress is kept where there is no new one (NULL). */
void
nbm_job_extend(const NbmJob *job, TimestampTz lease_until, Jsonb *progress)
{
	Datum		values[4] = {
		Int64GetDatum(job->notebook_id), Int64GetDatum(job->id),
		TimestampTzGetDatum(lease_until), PointerGetDatum(progress)
	};
	char		nulls[] = "    ";

	nulls[3] = null_flag(progress);
	run(Q_JOB_EXTEND, values, nulls);
}

/*
 * Finishes a job, with what came of it (usage, result and error may be NULL),
 * and makes the next one of its line ready.
 */
void
nbm_job_finish(const NbmJob *job, const char *state, TimestampTz at,
			   Jsonb *usage, const NbmJobResult *result, const char *error)
{
	Datum		values[10] = {
		Int64GetDatum(job->notebook_id), Int64GetDatum(job->id),
		CStringGetTextDatum(state), TimestampTzGetDatum(at),
		PointerGetDatum(usage)
	};
	char		nulls[] = "          ";

	nulls[4] = null_flag(usage);
	for (int i = 0; i < 4; i++)
	{
		nulls[5 + i] = result == NULL || result->nulls[i] ? 'n' : ' ';
		values[5 + i] = result == NULL ? (Datum) 0 : result->values[i];
	}
	values[9] = text_or_null(error);
	nulls[9] = null_flag(error);
	run(Q_JOB_FINISH, values, nulls);
	if (job->is_first)
		promote(job->notebook_id, job->kind, job->id, at);
}

/*
 * Finishes a job of another kind than one given, without a result, if it is
 * leased to whoever has this token; false where nothing was done.
 */
bool
nbm_job_done(int64 id, const pg_uuid_t *token, const char *except_kind,
			 TimestampTz at, Jsonb *usage)
{
	Datum		values[5] = {
		Int64GetDatum(id), UUIDPGetDatum(token), TimestampTzGetDatum(at),
		PointerGetDatum(usage), CStringGetTextDatum(except_kind)
	};
	char		nulls[] = "     ";

	nulls[3] = null_flag(usage);
	if (run(Q_JOB_DONE, values, nulls) == 0)
		return false;
	if (DatumGetBool(nbm_query_column(0, 3, NULL)))
		promote(DatumGetInt64(nbm_query_column(0, 1, NULL)),
				TextDatumGetCString(nbm_query_column(0, 2, NULL)), id, at);
	return true;
}

/* Lets a job wait for another attempt, still the first of its line. */
void
nbm_job_retry(const NbmJob *job, TimestampTz at, TimestampTz run_after,
			  const char *error)
{
	Datum		values[5] = {
		Int64GetDatum(job->notebook_id), Int64GetDatum(job->id),
		TimestampTzGetDatum(at), TimestampTzGetDatum(run_after),
		CStringGetTextDatum(error)
	};

	run(Q_JOB_RETRY, values, NULL);
	nbm_front_forget();
}

/* What the model is to be shown; raises what migration_prompt() raises. */
Jsonb *
nbm_job_prompt(const NbmJob *job, const char *scope)
{
	Datum		values[3] = {
		Int64GetDatum(job->notebook_id), Int32GetDatum(job->version),
		CStringGetTextDatum(scope)
	};

	run(Q_JOB_PROMPT, values, NULL);
	return DatumGetJsonbPCopy(nbm_query_column(0, 1, NULL));
}

/*
 * Takes a model's replies in, as the job's payload says; raises what
 * migration_accept() raises.  The result is allocated in the current context.
 */
void
nbm_job_accept(const NbmJob *job, const char *workflow_reply,
			   const char *mapping_reply, NbmJobResult *result)
{
	Datum		values[5] = {
		Int64GetDatum(job->notebook_id), Int32GetDatum(job->version),
		text_or_null(workflow_reply), text_or_null(mapping_reply),
		JsonbPGetDatum(job->payload)
	};
	char		nulls[] = "     ";

	nulls[2] = null_flag(workflow_reply);
	nulls[3] = null_flag(mapping_reply);
	if (run(Q_JOB_ACCEPT, values, nulls) != 1)
		elog(ERROR, "migration_accept() returned no row");
	for (int i = 0; i < 4; i++)
		result->values[i] = nbm_query_column(0, i + 1, &result->nulls[i]);
}

/* All about a job, as jsonb in the current context.  Raises 02000. */
Jsonb *
nbm_job_status(int64 id)
{
	Datum		values[1] = {Int64GetDatum(id)};

	if (nbm_query_run(&nbm_notebook, Q_JOB_STATUS, values, NULL, true) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("job " INT64_FORMAT " does not exist", id)));
	return DatumGetJsonbPCopy(nbm_query_column(0, 1, NULL));
}

/* Deletes the jobs that were finished before a time; returns how many. */
uint64
nbm_job_prune(TimestampTz before)
{
	Datum		values[1] = {TimestampTzGetDatum(before)};

	return run(Q_JOB_PRUNE, values, NULL);
}
