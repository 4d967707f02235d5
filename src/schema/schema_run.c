/*
 * schema_run.c
 *		Running a script, so that it fails as a whole and leaves no setting.
 *
 * A script runs in a subtransaction of its own, with the caller's rights and
 * search path.  Whatever it sets, the role included, is given back at its
 * end; a squash, being several scripts in one, has this at the end of each.
 */
#include "postgres.h"

#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/guc.h"

#include "guard.h"
#include "schema_lock.h"
#include "schema_run.h"
#include "schema_script.h"
#include "schema_settle.h"
#include "settings.h"
#include "top_level.h"

/* Whether this session is running one. */
static bool is_running = false;

/* Raises 0A000 where the server's interface would not run a statement. */
static void
check_ran(int code)
{
	if (code < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("statement cannot run in a schema migration: %s",
						SPI_result_code_string(code))));
}

/* Runs a statement; what it returns is thrown away. */
static void
run_statement(const char *body)
{
	SPIExecuteOptions options = {0};

	options.dest = None_Receiver;
	check_ran(SPI_execute_extended(body, &options));
}

/* Checks what a part of a script leaves to be checked. */
static void
settle_part(void)
{
	char	   *statements = nbm_settling_statements();

	if (statements != NULL)
		run_statement(statements);
}

/* Runs the statements of a script; *number is the one at work, or 0. */
static void
run_statements(const NbmScript *script, bool settle, volatile int *number)
{
	int			level = NewGUCNestLevel();

	for (int i = 0; i < script->count; i++)
	{
		if (script->statements[i].begins_part)
		{
			AtEOXact_GUC(false, level);
			*number = 0;
			settle_part();
			level = NewGUCNestLevel();
		}
		*number = i + 1;
		nbm_setting_pin_strings();
		run_statement(nbm_script_statement(script, i + 1));
		CHECK_FOR_INTERRUPTS();
	}
	*number = 0;
	AtEOXact_GUC(false, level);
	if (!OidIsValid(get_extension_oid("notebook_migrate", true)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a schema migration cannot drop the extension that runs it")));
	if (settle)
		run_statement("SET CONSTRAINTS ALL IMMEDIATE");
	nbm_runner_check_lock();
}

/* Where in the script an error is; 0 where it is somewhere else. */
static int
error_position(const char *body, const NbmScript *script,
			   const ErrorData *error, int number)
{
	if (error->internalpos <= 0 || error->internalquery == NULL)
		return 0;
	if (number == 0)
		return strcmp(error->internalquery, body) == 0 ? error->internalpos : 0;
	if (strcmp(error->internalquery, nbm_script_statement(script, number)) != 0)
		return 0;
	return nbm_script_position(script, number, error->internalpos);
}

/*
 * Raises 55000 where a script calls this, or the statement that a worker runs
 * for one: it would wait for itself, or change what is being run.
 */
void
nbm_script_refuse(void)
{
	if (is_running || nbm_is_top_level_worker())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a schema migration cannot apply, undo or replace migrations")));
}

/* A script that is being run. */
typedef struct Running
{
	const char *body;
	bool		settle;
	NbmScript  *script;			/* NULL until it is parsed */
	volatile int number;		/* of the statement at work, or 0 */
} Running;

/* Runs it. */
static bool
run_script(void *arg)
{
	Running    *running = arg;

	is_running = true;
	running->script = nbm_script_parse(running->body);
	nbm_script_check(running->script, true);
	SPI_connect();
	run_statements(running->script, running->settle, &running->number);
	SPI_finish();
	return true;
}

/*
 * Runs a script.  With settle, deferred constraints are checked at its end,
 * all that the transaction has.  True where it ran; else what it did is
 * undone, and *failure says why.  Raises 55000 where a script calls this.
 */
bool
nbm_script_run(const char *body, bool settle, NbmFailure *failure)
{
	Running		running = {body, settle};
	ErrorData  *error;

	nbm_script_refuse();
	error = nbm_attempt(run_script, &running);
	is_running = false;
	if (error == NULL)
		return true;
	failure->error = error;
	failure->statement = running.number;
	failure->position = error_position(body, running.script, error,
									   running.number);
	if (error->sqlerrcode == ERRCODE_ACTIVE_SQL_TRANSACTION &&
		error->hint == NULL)
		error->hint = pstrdup("Register it as a migration of its own with transactional => false.");
	return false;
}
