/*
 * schema_runner.c
 *		Applying and undoing migrations.
 *
 * A procedure commits each migration with its history's row, so that what
 * was done is known whatever happens next.  The plan is made once, under the
 * runner's lock and from a snapshot taken under it; a migration's text is
 * read, and its row locked, in the transaction that runs it.
 *
 * The history is written with the rights of the functions' owner, the
 * scripts run with the caller's.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "schema_outside.h"
#include "schema_plan.h"
#include "schema_run.h"
#include "schema_runner.h"

/* After how many ms of work its progress is told, and told again. */
#define NOTICE_MS 2000

bool		nbm_schema_ignore_drift = false;

/* One migration to be done; strings outlive transactions. */
typedef struct Task
{
	char	   *name;
	char	  **replaces;
	int			nreplaces;
	bool		is_transactional;
} Task;

/* What is to be done, for whom. */
typedef struct Run
{
	Oid			owner;			/* of the tables */
	bool		is_down;
	bool		commits;
	MemoryContext context;		/* lives as long as the run */
	MemoryContext scratch;		/* of one migration */
	Task	   *tasks;
	int			count;
	char	   *note;			/* for what is applied, or NULL */
	TimestampTz told;
} Run;

/* Raises 55000 with the first step that is blocked, and what cannot be done. */
static void
check_blocked(const NbmPlan *plan, const char *what, bool can_cascade)
{
	for (int i = 0; i < plan->count; i++)
	{
		const NbmStep *step = &plan->steps[i];

		if (step->action == NBM_BLOCKED)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("schema migration \"%s\" cannot be %s: %s",
							step->migration->name, what, step->reason),
					 errdetail("Nothing was changed."),
					 can_cascade && step->migration->has_down ?
					 errhint("Undo that first, or use cascade => true.") : 0));
	}
}

/*
 * Raises 55000 where what is applied has another text by now; where that is
 * to be ignored, notes it.
 */
static void
check_drift(Run *run, const NbmSchema *schema)
{
	const char **names = palloc_array(const char *, Max(schema->count, 1));
	int			count = 0;

	for (int i = 0; i < schema->count; i++)
	{
		if (schema->all[i].has_changed)
			names[count++] = schema->all[i].name;
	}
	if (count == 0)
		return;
	if (!nbm_schema_ignore_drift)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema migrations were changed after they were applied: %s",
						nbm_quoted_names(names, count)),
				 errhint("Give them their text again, or set notebook_migrate.schema_ignore_drift.")));
	run->note = MemoryContextStrdup(run->context,
									psprintf("drift ignored: %s",
											 nbm_quoted_names(names, count)));
}

/* Takes over the steps of a plan that are to be done, max of them at most. */
static void
take_steps(Run *run, const NbmPlan *plan, int max)
{
	MemoryContext outer = MemoryContextSwitchTo(run->context);

	run->tasks = palloc0_array(Task, Max(plan->count, 1));
	for (int i = 0; i < plan->count && run->count < max; i++)
	{
		const NbmStep *step = &plan->steps[i];
		Task	   *task = &run->tasks[run->count];

		if (step->action != NBM_APPLY && step->action != NBM_REVERT)
			continue;
		run->count++;
		task->name = pstrdup(step->migration->name);
		task->is_transactional = step->migration->is_transactional;
		task->nreplaces = step->migration->nreplaces;
		task->replaces = palloc_array(char *, Max(task->nreplaces, 1));
		for (int j = 0; j < task->nreplaces; j++)
			task->replaces[j] = pstrdup(step->migration->replaces[j]);
	}
	MemoryContextSwitchTo(outer);
}

/* A row for the history of a task that began at a time. */
static NbmHistoryEntry
new_entry(const Run *run, const Task *task, TimestampTz started_at,
		  const char *state)
{
	NbmHistoryEntry entry = {.name = task->name};

	entry.is_down = run->is_down;
	entry.state = state;
	entry.started_at = started_at;
	entry.by = GetUserNameFromId(GetUserId(), false);
	entry.note = run->is_down ? NULL : run->note;
	if (!run->is_down && strcmp(state, "failed") != 0)
	{
		entry.replaces = task->replaces;
		entry.nreplaces = task->nreplaces;
	}
	return entry;
}

/* Writes it. */
static void
record(const Run *run, const NbmHistoryEntry *entry)
{
	NbmIdentity before;
	int			level = nbm_schema_begin(run->owner, true, &before);

	nbm_schema_record(entry);
	nbm_schema_end(level, &before);
}

/* Raises a failure's error, as it is, saying which migration it is of. */
static void
raise_failure(const Run *run, const Task *task, const NbmFailure *failure)
{
	ErrorData  *error = failure->error;
	char	   *where = failure->statement == 0 ? "" :
	psprintf(", statement %d", failure->statement);

	where = psprintf("schema migration \"%s\"%s%s", task->name,
					 run->is_down ? ", down" : "", where);
	error->context = error->context == NULL ? where :
		psprintf("%s\n%s", error->context, where);
	ReThrowError(error);
}

/* Records a failure in a transaction of its own, and raises it. */
static void
fail(const Run *run, const Task *task, TimestampTz started_at,
	 const uint8 *digest, const NbmFailure *failure)
{
	if (run->commits)
	{
		NbmHistoryEntry entry = new_entry(run, task, started_at, "failed");

		entry.sqlstate = failure->error->sqlerrcode;
		entry.message = failure->error->message;
		entry.statement = failure->statement;
		entry.position = failure->position;
		entry.digest = digest;
		record(run, &entry);
		SPI_commit();
	}
	raise_failure(run, task, failure);
}

/*
 * Commits; what fails only then, such as a deferred constraint, is a failure
 * of the migration.
 */
static void
commit_task(const Run *run, const Task *task, TimestampTz started_at,
			const uint8 *digest)
{
	MemoryContext outer = CurrentMemoryContext;
	NbmFailure	failure = {0};

	nbm_runner_keep_lock(true);
	PG_TRY();
	{
		SPI_commit();
	}
	PG_CATCH();
	{
		/* SPI_commit() has rolled back and begun anew. */
		MemoryContextSwitchTo(outer);
		failure.error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	nbm_runner_keep_lock(false);
	if (failure.error != NULL)
		fail(run, task, started_at, digest, &failure);
}

/*
 * The text of a task, its row locked; of the current context.  Raises 55000 where it is gone, 40001
 * where the transaction is too old to see it.
 */
static char *
read_text(const Run *run, const Task *task, uint8 *digest)
{
	char	   *body = nbm_schema_text(run->owner, task->name, run->is_down,
									   true, digest);

	if (body == NULL)
		ereport(ERROR,
				(errcode(IsolationUsesXactSnapshot() ?
						 ERRCODE_T_R_SERIALIZATION_FAILURE :
						 ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema migration \"%s\" was changed meanwhile",
						task->name)));
	return body;
}

/* Does one task. */
static void
do_task(const Run *run, const Task *task)
{
	TimestampTz started_at = GetCurrentTimestamp();
	uint8		digest[NBM_DIGEST_LEN];
	char	   *body = read_text(run, task, digest);
	NbmFailure	failure = {0};
	NbmHistoryEntry entry;

	entry = new_entry(run, task, started_at,
					  run->is_down ? "reverted" : "applied");
	entry.digest = digest;
	if (!task->is_transactional)
	{
		/* The lock on the row goes, and the snapshot: it would wait for them. */
		SPI_commit();
		if (!nbm_outside_run(run->owner, body, &entry, &failure))
			fail(run, task, started_at, digest, &failure);
		return;
	}
	if (!nbm_script_run(body, run->commits, &failure))
		fail(run, task, started_at, digest, &failure);
	record(run, &entry);
	if (run->commits)
		commit_task(run, task, started_at, digest);
}

/* Tells, now and then, how far the work is. */
static void
tell(Run *run, int done)
{
	TimestampTz now = GetCurrentTimestamp();

	if (run->told == 0)
		run->told = now;
	if (!TimestampDifferenceExceeds(run->told, now, NOTICE_MS))
		return;
	run->told = now;
	ereport(NOTICE,
			(errmsg("%d of %d schema migrations %s, now \"%s\"", done,
					run->count, run->is_down ? "undone" : "applied",
					run->tasks[done].name)));
}

/* Does all tasks. */
static void
do_tasks(Run *run)
{
	for (int i = 0; i < run->count; i++)
	{
		MemoryContext outer = MemoryContextSwitchTo(run->scratch);

		tell(run, i);
		do_task(run, &run->tasks[i]);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(run->scratch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Plans what is to be applied, or only taken as applied.  Raises 55000 where
 * something stands in the way.
 */
static void
plan_up(Run *run, const char *target, int max, bool is_run)
{
	NbmIdentity before;
	int			level = nbm_schema_begin(run->owner, true, &before);
	NbmSchema  *schema = nbm_schema_read();
	NbmPlan    *plan = nbm_plan_up(schema, target, is_run);

	if (is_run)
		check_drift(run, schema);
	check_blocked(plan, is_run ? "applied" : "taken as applied", false);
	take_steps(run, plan, max);
	nbm_schema_end(level, &before);
}

/* Plans what is to be undone. */
static void
plan_down(Run *run, const char *target, int steps, bool cascade)
{
	NbmIdentity before;
	int			level = nbm_schema_begin(run->owner, true, &before);
	NbmPlan    *plan = nbm_plan_down(nbm_schema_read(), target, steps, cascade);

	check_blocked(plan, "undone", true);
	take_steps(run, plan, plan->count);
	nbm_schema_end(level, &before);
}

/* A run; its memory is that of the current context, which outlives it. */
static Run
new_run(Oid owner, bool is_down, bool commits)
{
	Run			run = {.owner = owner};

	run.is_down = is_down;
	run.commits = commits;
	run.context = CurrentMemoryContext;
	run.scratch = AllocSetContextCreate(CurrentMemoryContext,
										"notebook_migrate schema migration",
										ALLOCSET_DEFAULT_SIZES);
	return run;
}

/* What a procedure is asked for. */
typedef struct Request
{
	bool		is_down;
	const char *target;
	int			count;			/* max_count, or steps */
	bool		cascade;
	int64		timeout_ms;
} Request;

/* Runs under the session's lock, in transactions of its own. */
static void
run_procedure(Oid owner, const Request *request)
{
	Run			run;

	SPI_connect_ext(SPI_OPT_NONATOMIC);
	run = new_run(owner, request->is_down, true);
	nbm_script_refuse();
	/* The caller's snapshot goes: who waits must not hold one. */
	SPI_commit();
	nbm_runner_lock_session(request->timeout_ms);
	/* And what is read is what the runner before has left. */
	SPI_commit();
	if (request->is_down)
		plan_down(&run, request->target, request->count, request->cascade);
	else
		plan_up(&run, request->target, request->count, true);
	SPI_commit();
	do_tasks(&run);
	nbm_runner_unlock_session();
	SPI_finish();
}

/*
 * Applies all that is pending, or the target and what it needs, max_count of
 * them at most, each in a transaction of its own.  Called from a procedure
 * that may commit.  Raises 55000 where the plan is blocked, 55P03 where the
 * lock is not had in time, and whatever a script raises.
 */
void
nbm_run_up(Oid owner, const char *target, int max_count, int64 timeout_ms)
{
	Request		request = {false, target, max_count, false, timeout_ms};

	run_procedure(owner, &request);
}

/*
 * Undoes the last steps, or all back to the target.  Called and raises as
 * nbm_run_up(); waits for the lock as long as it takes.
 */
void
nbm_run_down(Oid owner, const char *target, int steps, bool cascade)
{
	Request		request = {true, target, steps, cascade, NBM_WAIT_FOREVER};

	run_procedure(owner, &request);
}

/* Raises 55000 for what a transaction cannot do. */
static void
check_transactional(const Run *run)
{
	for (int i = 0; i < run->count; i++)
	{
		if (!run->tasks[i].is_transactional)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("schema migration \"%s\" cannot run in a transaction",
							run->tasks[i].name),
					 errhint("Use CALL notebook_migrate.schema_up().")));
	}
}

/*
 * Applies what is pending in the caller's transaction, which has the lock
 * until its end, and returns how many that were.  Raises as nbm_run_up(); the
 * history has nothing of what failed, as it is undone with the transaction.
 */
int
nbm_run_up_atomic(Oid owner, const char *target)
{
	Run			run = new_run(owner, false, false);

	nbm_script_refuse();
	nbm_runner_lock_transaction();
	plan_up(&run, target, PG_INT32_MAX, true);
	check_transactional(&run);
	do_tasks(&run);
	return run.count;
}

/*
 * Takes a migration and what it needs as applied, without running them; in
 * the caller's transaction.  Returns how many were not before.  Raises 55000
 * where it is blocked, 02000 where there is none.
 */
int
nbm_take_as_applied(Oid owner, const char *name)
{
	Run			run = new_run(owner, false, false);

	nbm_script_refuse();
	nbm_runner_lock_transaction();
	plan_up(&run, name, PG_INT32_MAX, false);
	for (int i = 0; i < run.count; i++)
	{
		MemoryContext outer = MemoryContextSwitchTo(run.scratch);
		uint8		digest[NBM_DIGEST_LEN];
		NbmHistoryEntry entry = new_entry(&run, &run.tasks[i],
										  GetCurrentTimestamp(), "baseline");

		CHECK_FOR_INTERRUPTS();
		(void) read_text(&run, &run.tasks[i], digest);
		entry.digest = digest;
		record(&run, &entry);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(run.scratch);
	}
	return run.count;
}
