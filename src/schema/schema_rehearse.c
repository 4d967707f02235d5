/*
 * schema_rehearse.c
 *		Running migrations so that nothing is left of it.
 *
 * All is done in one subtransaction, which is undone in the end, whatever
 * comes of it, and has the runner's lock as long as it lasts.  In it, each
 * script has one of its own: what fails is undone alone, what does not is
 * there for those behind it.
 *
 * Each migration is a transaction when it is run, so what it leaves to be
 * checked at its end is checked before the next one.  But a value that is
 * added to an enum can be used by nobody before it is committed: whether a
 * migration that does so would run is not known.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "schema_leftovers.h"
#include "schema_lock.h"
#include "schema_rehearse.h"
#include "schema_settle.h"
#include "watch.h"

/*
 * Does work in a subtransaction, which stays if the work says so, and is
 * undone where it raises.
 */
void
nbm_subtransaction(NbmTrial work, void *arg)
{
	ErrorData  *error = nbm_attempt(work, arg);

	if (error != NULL)
		ReThrowError(error);
}

/* Work that is undone. */
typedef struct Rehearsing
{
	NbmWork		work;
	void	   *arg;
} Rehearsing;

/* Does it under the runner's lock, which is given back with the rest. */
static bool
rehearse_locked(void *arg)
{
	const Rehearsing *rehearsing = arg;

	nbm_runner_lock_transaction();
	rehearsing->work(rehearsing->arg);
	return false;
}

/*
 * Does work under the runner's lock, and undoes all of it.  Raises 25006 in a
 * transaction that only reads, 55P03 where the lock is not had in the time
 * that the session's lock_timeout sets.
 */
void
nbm_rehearse(NbmWork work, void *arg)
{
	Rehearsing	rehearsing = {work, arg};
	ErrorData  *error;
	List	   *before;

	PreventCommandIfReadOnly("a rehearsal of schema migrations");
	before = nbm_leftovers();
	error = nbm_attempt(rehearse_locked, &rehearsing);
	nbm_clear_leftovers(before);
	if (error != NULL)
		ReThrowError(error);
}

/* A script, and what came of it. */
typedef struct Script
{
	const char *body;
	NbmFailure *failure;
	bool		is_done;
	TimestampTz ended_at;
} Script;

/* Runs a script and what it leaves to be checked. */
static bool
run_and_settle(void *arg)
{
	Script	   *script = arg;
	char	   *statements;

	script->is_done = nbm_script_run(script->body, false, script->failure);
	if (!script->is_done)
		return false;
	statements = nbm_settling_statements();
	if (statements != NULL)
	{
		script->is_done = nbm_script_run(statements, false, script->failure);
		script->failure->statement = script->failure->position = 0;
	}
	return script->is_done;
}

/*
 * Runs a script as if a transaction ended behind it.  True where it ran; else
 * what it did is undone, and *failure says why.  A cancelled query is raised,
 * and 55000 where there is no script any more.
 */
bool
nbm_rehearse_script(const char *body, NbmFailure *failure)
{
	Script		script = {body, failure};

	if (body == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a script deleted the definition of one behind it")));
	nbm_subtransaction(run_and_settle, &script);
	if (!script.is_done &&
		failure->error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(failure->error);
	return script.is_done;
}

/* Did a script fail that would not if what is before it were committed? */
bool
nbm_needs_commit(const NbmFailure *failure)
{
	return failure->error->sqlerrcode == ERRCODE_UNSAFE_NEW_ENUM_VALUE_USAGE;
}

/* A failure in one line, of the current context. */
char *
nbm_failure_text(const NbmFailure *failure)
{
	const ErrorData *error = failure->error;

	return psprintf("%s: %s%s", unpack_sql_state(error->sqlerrcode),
					error->message, failure->statement == 0 ? "" :
					psprintf(" (statement %d)", failure->statement));
}

/* qsort: what was applied last comes first. */
static int
compare_applied(const void *a, const void *b)
{
	int64		x = (*(const NbmMigration *const *) a)->applied;
	int64		y = (*(const NbmMigration *const *) b)->applied;

	return (x < y) - (x > y);
}

/*
 * What is applied, in an array of the current context: the last one first.
 * Returns how many there are.
 */
int
nbm_applied(const NbmSchema *schema, const NbmMigration ***applied)
{
	int			count = 0;

	*applied = palloc_array(const NbmMigration *, Max(schema->count, 1));
	for (int i = 0; i < schema->count; i++)
	{
		if (schema->all[i].applied != 0)
			(*applied)[count++] = &schema->all[i];
	}
	qsort(*applied, count, sizeof(const NbmMigration *), compare_applied);
	return count;
}

/* Why a migration that is applied cannot be undone here, or NULL. */
const char *
nbm_not_undone(const NbmMigration *migration)
{
	return !migration->is_defined ? "it is not registered any more" :
		!migration->is_transactional ? "it cannot run in a transaction" :
		!migration->has_down ? "nothing undoes it" : NULL;
}

/* A copy of names, of the current context. */
static char **
copy_names(char **names, int count)
{
	char	  **copy = palloc_array(char *, Max(count, 1));

	for (int i = 0; i < count; i++)
		copy[i] = pstrdup(names[i]);
	return copy;
}

/* A copy of what was read, of the current context; without the history. */
static NbmSchema *
copy_schema(const NbmSchema *schema)
{
	NbmSchema  *copy = palloc0_object(NbmSchema);

	copy->count = schema->count;
	copy->all = palloc_array(NbmMigration, Max(schema->count, 1));
	for (int i = 0; i < schema->count; i++)
	{
		NbmMigration *migration = &copy->all[i];

		*migration = schema->all[i];
		migration->name = pstrdup(migration->name);
		migration->depends_on = copy_names(migration->depends_on,
										   migration->ndepends);
		migration->replaces = copy_names(migration->replaces,
										 migration->nreplaces);
	}
	nbm_schema_index(copy);
	return copy;
}

/*
 * What is defined and applied, and the plan of what is pending, or of the
 * target and what it needs; all of the current context.  Without the history.
 */
NbmRehearsals
nbm_read_plan(Oid owner, const char *target)
{
	MemoryContext context = CurrentMemoryContext;
	NbmIdentity before;
	int			level = nbm_schema_begin(owner, true, &before);
	NbmSchema  *schema = nbm_schema_read();
	NbmPlan    *plan = nbm_plan_up(schema, target, true);
	MemoryContext store = MemoryContextSwitchTo(context);
	NbmRehearsals result = {copy_schema(schema)};

	result.all = palloc0_array(NbmRehearsal, Max(plan->count, 1));
	result.count = plan->count;
	result.outcomes = palloc0_array(NbmOutcome, Max(schema->count, 1));
	for (int i = 0; i < plan->count; i++)
	{
		const NbmStep *step = &plan->steps[i];

		result.all[i].migration = result.schema->all + (step->migration - schema->all);
		result.all[i].action = step->action;
		result.all[i].reason = pstrdup(step->reason);
	}
	MemoryContextSwitchTo(store);
	nbm_schema_end(level, &before);
	return result;
}

/* The place of a migration in what the schema has. */
static int
number_of(const NbmRehearsals *plan, const NbmRehearsal *rehearsal)
{
	return rehearsal->migration - plan->schema->all;
}

/* What came of the first one of some names that came to such an end, or -1. */
static int
find_outcome(const NbmRehearsals *plan, char **names, int count,
			 bool is_impossible)
{
	for (int i = 0; i < count; i++)
	{
		int			number = nbm_schema_find(plan->schema, names[i]);
		NbmOutcome	outcome = number < 0 ? NBM_TRIAL_NONE : plan->outcomes[number];

		if (is_impossible ? outcome == NBM_TRIAL_IMPOSSIBLE :
			outcome == NBM_TRIAL_FAILED || outcome == NBM_TRIAL_BLOCKED)
			return number;
	}
	return -1;
}

/*
 * The first one that a migration needs and that came to such an end, or -1: of
 * those that it depends on itself, and of those that its parts do.
 */
static int
find_needed(const NbmRehearsals *plan, const NbmMigration *migration,
			bool is_impossible)
{
	int			found = find_outcome(plan, migration->depends_on,
									 migration->ndepends, is_impossible);

	for (int i = 0; i < migration->nreplaces && found < 0; i++)
	{
		int			part = nbm_schema_find(plan->schema, migration->replaces[i]);

		if (part >= 0)
			found = find_outcome(plan, plan->schema->all[part].depends_on,
								 plan->schema->all[part].ndepends,
								 is_impossible);
	}
	return found;
}

/* Decides whether a step can be tried; where not, says why. */
bool
nbm_can_rehearse(const NbmRehearsals *plan, NbmRehearsal *rehearsal)
{
	const NbmMigration *migration = rehearsal->migration;
	int			needed = find_needed(plan, migration, false);

	if (rehearsal->action == NBM_SKIP)
	{
		/* a squash that its parts are applied for fails with one of them */
		if (find_outcome(plan, migration->replaces, migration->nreplaces,
						 false) >= 0)
			rehearsal->outcome = NBM_TRIAL_FAILED;
		return false;
	}
	rehearsal->outcome = NBM_TRIAL_BLOCKED;
	if (rehearsal->action == NBM_BLOCKED)
		rehearsal->message = rehearsal->reason;
	else if (needed >= 0)
		rehearsal->message = psprintf("not run: \"%s\", which it depends on, was not applied",
									  plan->schema->all[needed].name);
	else if (!migration->is_transactional)
	{
		rehearsal->outcome = NBM_TRIAL_IMPOSSIBLE;
		rehearsal->message = pstrdup("not run: it cannot run in a transaction");
	}
	else
		return true;
	return false;
}

/* Takes note of what came of a step, for those behind it. */
void
nbm_note_outcome(NbmRehearsals *plan, const NbmRehearsal *rehearsal)
{
	const NbmMigration *migration = rehearsal->migration;

	if (rehearsal->outcome == NBM_TRIAL_NONE)
		return;
	plan->outcomes[number_of(plan, rehearsal)] = rehearsal->outcome;
	for (int i = 0; i < migration->nreplaces; i++)
	{
		int			part = nbm_schema_find(plan->schema, migration->replaces[i]);

		if (part >= 0 && rehearsal->action != NBM_SKIP)
			plan->outcomes[part] = rehearsal->outcome;
	}
}

/* Runs a script while it is watched. */
static void
run_script(void *arg)
{
	Script	   *script = arg;

	script->is_done = nbm_rehearse_script(script->body, script->failure);
	script->ended_at = GetCurrentTimestamp();
}

/* Says why a step failed, and what may be to blame. */
static char *
failure_message(const NbmRehearsals *plan, const NbmRehearsal *rehearsal)
{
	int			untried = find_needed(plan, rehearsal->migration, true);

	if (nbm_needs_commit(&rehearsal->failure))
		return psprintf("not known before a commit: %s",
						rehearsal->failure.error->message);
	return untried < 0 ? rehearsal->failure.error->message :
		psprintf("%s (\"%s\", which it depends on, was not run)",
				 rehearsal->failure.error->message,
				 plan->schema->all[untried].name);
}

/* Rehearses one step. */
static void
rehearse_step(Oid owner, const NbmRehearsals *plan, NbmRehearsal *rehearsal)
{
	Script		script = {NULL, &rehearsal->failure};
	NbmSeen		seen;

	script.body = nbm_schema_text(owner, rehearsal->migration->name, false,
								  false, NULL);
	rehearsal->started_at = GetCurrentTimestamp();
	nbm_watch(run_script, &script, &seen);
	rehearsal->ended_at = script.ended_at;
	if (script.is_done)
	{
		rehearsal->outcome = NBM_TRIAL_DONE;
		rehearsal->objects = seen.objects;
		rehearsal->locks = seen.locks;
	}
	else
	{
		rehearsal->outcome = nbm_needs_commit(&rehearsal->failure) ?
			NBM_TRIAL_IMPOSSIBLE : NBM_TRIAL_FAILED;
		rehearsal->message = failure_message(plan, rehearsal);
	}
}

/* What a dry run is asked for. */
typedef struct DryRun
{
	Oid			owner;
	const char *target;
	NbmRehearsals plan;
} DryRun;

/* Rehearses the plan. */
static void
dry_run(void *arg)
{
	DryRun	   *run = arg;

	run->plan = nbm_read_plan(run->owner, run->target);
	for (int i = 0; i < run->plan.count; i++)
	{
		NbmRehearsal *rehearsal = &run->plan.all[i];

		CHECK_FOR_INTERRUPTS();
		if (nbm_can_rehearse(&run->plan, rehearsal))
			rehearse_step(run->owner, &run->plan, rehearsal);
		nbm_note_outcome(&run->plan, rehearsal);
	}
}

/*
 * Rehearses what is pending, or the target and what it needs; nothing is left
 * of it.  All of the current context.  Raises as nbm_rehearse(), and 02000
 * where there is no target.
 */
NbmRehearsals
nbm_dry_run(Oid owner, const char *target)
{
	DryRun		run = {.owner = owner,.target = target};

	nbm_rehearse(dry_run, &run);
	return run.plan;
}
