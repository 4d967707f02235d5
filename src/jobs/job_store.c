/*
 * job_store.c
 *		The queue's table: with query.c, the only room that knows it.
 *
 * The jobs of one notebook and kind are a line, in the order of their ids.
 * Only the first unfinished one of a line can be handed out: it has the turn,
 * a narrow row beside the job's, and whoever finishes it passes that on to the
 * next.  So what can be handed out is in one index, in order, without all that
 * waits behind it, and a claim costs the same whatever else there is; and of a
 * job's own row nothing changes that an index holds, so that writing it is
 * cheap.
 *
 * That no line is ever left without a turn is a matter of locks.  While a line
 * has unfinished jobs, it has a row.  Submitters of a notebook queue on its
 * head row, so ids follow the order of commits, and each holds the line's row
 * in KEY SHARE mode to the end of the transaction.  Whoever finds no next job
 * locks the row FOR UPDATE, which waits for them, looks again with a snapshot
 * that is newer than the lock, and deletes it.  Locks of rows need no room in
 * shared memory, however many a transaction takes.
 *
 * Who changes a job locks its row first, then that of its turn.  Who comes
 * from the turn, a claim or a look at the time, passes over a job that is
 * locked.  So nobody waits in a circle.
 *
 * Time makes jobs ready, too: leases run out, retries and late starts become
 * due.  Each claim wakes what has come.
 *
 * What each job goes through, a claim and a completion, is done without
 * queries, by job_turn.c and job_row.c; what happens seldom is done here, with
 * queries.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "job_front.h"
#include "job_row.h"
#include "job_store.h"
#include "job_turn.h"
#include "store.h"

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

/* Those that say what came of one; result may be NULL. */
static void
set_result(const NbmJobResult *result, Datum *values, char *nulls)
{
	for (int i = 0; i < NBM_JOB_RESULTS; i++)
	{
		nulls[i] = result == NULL || result->nulls[i] ? 'n' : ' ';
		values[i] = result == NULL ? (Datum) 0 : result->values[i];
	}
}

/* Adds a job that is done, with the result of another one; returns its id. */
int64
nbm_job_add_done(const NbmNewJob *job, const NbmJobResult *result)
{
	Datum		values[9 + NBM_JOB_RESULTS];
	char		nulls[] = "              ";

	set_new_job(job, values);
	set_result(result, values + 9, nulls + 9);
	run(Q_JOB_ADD_EQUAL, values, nulls);
	return DatumGetInt64(nbm_query_column(0, 1, NULL));
}

/*
 * Adds a waiting job to its line, which is begun where there is none: the
 * caller holds the notebook's lock.  Returns the job's id.
 */
int64
nbm_job_add(const NbmNewJob *job)
{
	NbmPlace	place = {-(int64) job->priority, job->run_after};
	Datum		line[2] = {
		Int64GetDatum(job->notebook_id), CStringGetTextDatum(job->kind)
	};
	bool		is_first = nbm_query_run_latest(Q_JOB_JOIN, line, NULL) == 0;
	Datum		values[10];

	set_new_job(job, values);
	values[9] = BoolGetDatum(job->dedupe);
	run(Q_JOB_ADD, values, NULL);
	place.id = DatumGetInt64(nbm_query_column(0, 1, NULL));
	if (is_first)
	{
		Datum		lead[6] = {
			line[0], line[1], Int64GetDatum(place.id),
			Int64GetDatum(place.rank), TimestampTzGetDatum(job->run_after),
			TimestampTzGetDatum(job->at)
		};

		run(Q_JOB_LEAD, lead, NULL);
		nbm_front_lower(place);
	}
	return place.id;
}

/*
 * Passes the turn to the next job of a line, after one that is finished.
 * Where there is none the line ends, but only when no submitter can be adding
 * to it any more.
 */
static void
pass_turn(int64 notebook_id, const char *kind, int64 id, TimestampTz at)
{
	NbmTurn		turn = {notebook_id, kind};
	Datum		values[3] = {
		Int64GetDatum(notebook_id), CStringGetTextDatum(kind),
		Int64GetDatum(id)
	};

	turn.place.id = id;
	if (!nbm_turn_pass(&turn, at))
	{
		nbm_query_run_latest(Q_JOB_LINE_LOCK, values, NULL);
		if (!nbm_turn_pass(&turn, at))
		{
			nbm_query_run_latest(Q_JOB_LINE_END, values, NULL);
			return;
		}
	}
	if (turn.is_ready)
		nbm_front_lower(turn.place);
}

/*
 * Takes the turn from jobs that are over, among those that time has made
 * ready.  Whoever finishes a job passes its turn on; so these were finished or
 * deleted by hand.
 */
static void
pass_over_due(TimestampTz at)
{
	Datum		values[1] = {TimestampTzGetDatum(at)};
	uint64		rows = run(Q_JOB_DUE, values, NULL);
	SPITupleTable *due = SPI_tuptable;

	for (uint64 row = 0; row < rows; row++)
	{
		int64		id;

		SPI_tuptable = due;		/* which pass_turn() changes */
		id = DatumGetInt64(nbm_query_column(row, 3, NULL));
		if (nbm_job_row_is_over(id))
			pass_turn(DatumGetInt64(nbm_query_column(row, 1, NULL)),
					  TextDatumGetCString(nbm_query_column(row, 2, NULL)), id,
					  at);
	}
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
	if (!nbm_turns_are_due(at))
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
		SPI_tuptable = woken;	/* which pass_turn() changes */
		if (DatumGetBool(nbm_query_column(row, 4, NULL)))
			pass_turn(DatumGetInt64(nbm_query_column(row, 1, NULL)),
					  TextDatumGetCString(nbm_query_column(row, 2, NULL)),
					  DatumGetInt64(nbm_query_column(row, 3, NULL)), at);
	}
	pass_over_due(at);
	return true;
}

/*
 * Leases a job of which id, notebook and kind are known, and fills in the
 * rest; false where somebody has it locked, who is cancelling it, or where
 * the caller may not see it.
 */
static bool
lease(const NbmClaimer *claimer, NbmJob *job)
{
	NbmRowOutcome outcome = nbm_job_row_claim(claimer, job);
	Datum		values[4] = {
		Int64GetDatum(job->id), CStringGetTextDatum(claimer->worker),
		TimestampTzGetDatum(claimer->at),
		TimestampTzGetDatum(claimer->lease_until)
	};

	if (outcome != NBM_ROW_UNTRIED)
		return outcome == NBM_ROW_WRITTEN;
	if (run(Q_JOB_CLAIM, values, NULL) == 0)
		return false;
	job->token = *DatumGetUUIDP(nbm_query_column(0, 1, NULL));
	job->version = DatumGetInt32(nbm_query_column(0, 2, NULL));
	job->attempt = DatumGetInt32(nbm_query_column(0, 3, NULL));
	job->payload = DatumGetJsonbPCopy(nbm_query_column(0, 4, NULL));
	return true;
}

/* Hands out the job whose turn it is; false where lease() says so. */
static bool
hand_out(const NbmClaimer *claimer, const NbmTurn *turn, NbmClaim *claim)
{
	NbmJob	   *job = &claim->job;

	memset(claim, 0, sizeof(*claim));
	job->id = turn->place.id;
	job->notebook_id = turn->notebook_id;
	job->kind = turn->kind;
	job->state = "leased";
	job->lease_until = claimer->lease_until;
	job->has_token = true;
	return lease(claimer, job);
}

/* What a walk through the queue has handed out. */
typedef struct Taken
{
	NbmClaim   *claims;
	int			count;
	NbmPlace	last;			/* of them; not set where there are none */
	bool		has_passed;		/* a turn on, which it may not have met again */
} Taken;

/*
 * Hands out up to n jobs, from where the queue begins.  A turn whose job is
 * over is passed on.  The claims are allocated in the current context.
 */
static Taken
hand_out_from(const NbmClaimer *claimer, const NbmFrontWatch *front, int n)
{
	NbmTurns   *turns = nbm_turns_open(claimer->kinds, front->is_known ?
									   &front->from : NULL);
	int			room = 8;
	Taken		taken = {palloc_array(NbmClaim, room)};
	NbmTurn		turn;

	while (taken.count < n && nbm_turns_next(turns, &turn))
	{
		if (taken.count == room)
		{
			room *= 2;
			taken.claims = repalloc_huge(taken.claims,
										 mul_size(sizeof(NbmClaim), room));
		}
		if (hand_out(claimer, &turn, &taken.claims[taken.count]))
		{
			nbm_turns_lease(turns, claimer->lease_until);
			taken.last = turn.place;
			taken.count++;
		}
		else if (nbm_job_row_is_over(turn.place.id))
		{
			pass_turn(turn.notebook_id, turn.kind, turn.place.id, claimer->at);
			taken.has_passed = true;
		}
	}
	nbm_turns_close(turns);
	return taken;
}

/*
 * Hands out up to n jobs that are ready, in order, none that somebody else is
 * being given just now.  The claims are allocated in the current context.
 */
NbmClaim *
nbm_job_take(const NbmClaimer *claimer, int n, int *count)
{
	bool		is_awake = wake(claimer->at);
	NbmFrontWatch front = nbm_front_begin(claimer->kinds);
	Taken		taken = hand_out_from(claimer, &front, n);

	if (taken.count < n && (front.is_known || !is_awake || taken.has_passed))
	{
		/* take no memory's word for it that there is no more */
		nbm_front_forget();
		if (taken.count == 0)
		{
			wake(claimer->at);
			front = nbm_front_begin(claimer->kinds);
			taken = hand_out_from(claimer, &front, n);
		}
	}
	if (taken.count == n)
		nbm_front_end(&front, taken.last);
	*count = taken.count;
	return taken.claims;
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
	value = nbm_query_column(0, 7, &is_null);
	job->lease_until = is_null ? DT_NOBEGIN : DatumGetTimestampTz(value);
	value = nbm_query_column(0, 8, &is_null);
	job->has_token = !is_null;
	if (!is_null)
		job->token = *DatumGetUUIDP(value);
	job->payload = DatumGetJsonbPCopy(nbm_query_column(0, 9, NULL));
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

/* Is a job that the caller has locked the first one of its line? */
static bool
is_first(const NbmJob *job)
{
	Datum		values[2] = {
		Int64GetDatum(job->notebook_id), Int64GetDatum(job->id)
	};

	return nbm_query_run_latest(Q_JOB_IS_FIRST, values, NULL) > 0;
}

/*
 * Finishes a job, with what came of it (usage, result and error may be NULL),
 * and makes the next one of its line ready.
 */
void
nbm_job_finish(const NbmJob *job, const char *state, TimestampTz at,
			   Jsonb *usage, const NbmJobResult *result, const char *error)
{
	Datum		values[6 + NBM_JOB_RESULTS] = {
		Int64GetDatum(job->notebook_id), Int64GetDatum(job->id),
		CStringGetTextDatum(state), TimestampTzGetDatum(at),
		PointerGetDatum(usage)
	};
	char		nulls[] = "           ";

	nulls[4] = null_flag(usage);
	set_result(result, values + 5, nulls + 5);
	values[5 + NBM_JOB_RESULTS] = text_or_null(error);
	nulls[5 + NBM_JOB_RESULTS] = null_flag(error);
	run(Q_JOB_FINISH, values, nulls);
	if (is_first(job))
		pass_turn(job->notebook_id, job->kind, job->id, at);
}

/*
 * Finishes a job of another kind than one given, without a result, if it is
 * leased to whoever has this token; false where nothing was done.
 */
bool
nbm_job_done(int64 id, const pg_uuid_t *token, const char *except_kind,
			 TimestampTz at, Jsonb *usage)
{
	NbmJob		job = {.id = id};
	Datum		values[5] = {
		Int64GetDatum(id), UUIDPGetDatum(token), TimestampTzGetDatum(at),
		PointerGetDatum(usage), CStringGetTextDatum(except_kind)
	};
	char		nulls[] = "     ";

	switch (nbm_job_row_done(&job, token, except_kind, at, usage))
	{
		case NBM_ROW_REFUSED:
			return false;
		case NBM_ROW_WRITTEN:
			break;
		case NBM_ROW_UNTRIED:
			nulls[3] = null_flag(usage);
			if (run(Q_JOB_DONE, values, nulls) == 0)
				return false;
			job.notebook_id = DatumGetInt64(nbm_query_column(0, 1, NULL));
			job.kind = TextDatumGetCString(nbm_query_column(0, 2, NULL));
	}
	pass_turn(job.notebook_id, job.kind, id, at);
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
	for (int i = 0; i < NBM_JOB_RESULTS; i++)
	{
		result->nulls[i] = true;
		if (i != NBM_JOB_EQUAL_TO)
			result->values[i] = nbm_query_column(0, i + 1, &result->nulls[i]);
	}
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
