/*
 * sql_schema.c
 *		The functions on schema migrations: definitions, plans, runs.
 *
 * Those that run scripts do not pin the search path: the caller's is the
 * scripts'.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "args.h"
#include "compat.h"
#include "schema_definition.h"
#include "schema_plan.h"
#include "schema_runner.h"

PG_FUNCTION_INFO_V1(nbm_schema_digest);
PG_FUNCTION_INFO_V1(nbm_schema_migration_written);
PG_FUNCTION_INFO_V1(nbm_schema_history_written);
PG_FUNCTION_INFO_V1(nbm_schema_register);
PG_FUNCTION_INFO_V1(nbm_schema_plan);
PG_FUNCTION_INFO_V1(nbm_schema_status);
PG_FUNCTION_INFO_V1(nbm_schema_up);
PG_FUNCTION_INFO_V1(nbm_schema_down);
PG_FUNCTION_INFO_V1(nbm_schema_up_atomic);
PG_FUNCTION_INFO_V1(nbm_schema_baseline);

/* schema_digest(body) → bytea: SHA-256 of a script, in UTF-8. */
Datum
nbm_schema_digest(PG_FUNCTION_ARGS)
{
	char	   *body = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *utf8 = pg_server_to_any(body, strlen(body), PG_UTF8);
	bytea	   *digest = palloc(VARHDRSZ + NBM_DIGEST_LEN);

	SET_VARSIZE(digest, VARHDRSZ + NBM_DIGEST_LEN);
	nbm_sha256(utf8, strlen(utf8), (uint8 *) VARDATA(digest));
	PG_RETURN_BYTEA_P(digest);
}

/* The trigger of a table, for each statement; raises 39P01 for others. */
static TriggerData *
statement_trigger(FunctionCallInfo fcinfo, const char *table)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		strcmp(RelationGetRelationName(trigger->tg_relation), table) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this trigger function is for notebook_migrate.%s only",
						table)));
	return trigger;
}

/* Whether the caller has the rights of a table's owner, as the functions have. */
static bool
is_owner(const TriggerData *trigger)
{
	return has_privs_of_role(GetUserId(), trigger->tg_relation->rd_rel->relowner);
}

/*
 * The BEFORE trigger of the definitions: raises 42501 for who writes them past
 * the functions, whatever he was granted, but for the extension's owner.
 * Somebody else runs them with his own rights.
 */
Datum
nbm_schema_migration_written(PG_FUNCTION_ARGS)
{
	if (!is_owner(statement_trigger(fcinfo, "schema_migration")))
		nbm_require_administrator();
	return PointerGetDatum(NULL);
}

/*
 * The BEFORE trigger of the history: raises 55000 for everyone who changes it
 * or takes from it, and for who adds to it past the functions.  The
 * extension's owner may fill it while it is empty, as a restored dump does.
 */
Datum
nbm_schema_history_written(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = statement_trigger(fcinfo, "schema_history");

	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("history is append-only")));
	if (is_owner(trigger))
		return PointerGetDatum(NULL);
	nbm_require_administrator();
	if (RelationGetNumberOfBlocks(trigger->tg_relation) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("history is written by the functions only")));
	return PointerGetDatum(NULL);
}

/* A text[] argument, an empty one for NULL. */
static Datum
arg_names(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ?
		PointerGetDatum(construct_empty_array(TEXTOID)) :
		PG_GETARG_DATUM(number);
}

/* schema_register(name, up, down, depends_on, replaces, transactional) → boolean */
Datum
nbm_schema_register(PG_FUNCTION_ARGS)
{
	NbmDefinition definition = {0};

	nbm_require_arg(fcinfo, 0, "name");
	nbm_require_arg(fcinfo, 1, "up");
	PreventCommandIfReadOnly("schema_register()");
	nbm_require_arg(fcinfo, 5, "transactional");
	definition.name = nbm_arg_text(fcinfo, 0);
	definition.up = nbm_arg_text(fcinfo, 1);
	definition.down = nbm_arg_text(fcinfo, 2);
	definition.depends_on = arg_names(fcinfo, 3);
	definition.replaces = arg_names(fcinfo, 4);
	definition.is_transactional = PG_GETARG_BOOL(5);
	PG_RETURN_BOOL(nbm_register(nbm_function_owner(fcinfo), &definition));
}

/* Puts a row into a function's result. */
static void
put_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Puts a step of a plan. */
static void
put_step(FunctionCallInfo fcinfo, const NbmStep *step, int ordinal)
{
	Datum		values[4] = {
		Int32GetDatum(ordinal), CStringGetTextDatum(step->migration->name),
		CStringGetTextDatum(nbm_action_names[step->action]),
		CStringGetTextDatum(step->reason)
	};
	bool		nulls[4] = {false};

	put_row(fcinfo, values, nulls);
	for (int i = 1; i < lengthof(values); i++)
		pfree(DatumGetPointer(values[i]));	/* a plan can be long */
}

/* Puts what has changed since it was applied: it blocks all else. */
static void
put_changed(FunctionCallInfo fcinfo, const NbmSchema *schema, int *ordinal)
{
	for (int i = 0; i < schema->count; i++)
	{
		NbmStep		step = {&schema->all[i], NBM_BLOCKED,
			"it was changed after it was applied"
		};

		if (schema->all[i].has_changed)
			put_step(fcinfo, &step, ++*ordinal);
	}
}

/* schema_plan(target, direction) → rows */
Datum
nbm_schema_plan(PG_FUNCTION_ARGS)
{
	char	   *target = nbm_arg_text(fcinfo, 0);
	char	   *direction = nbm_arg_text(fcinfo, 1);
	NbmIdentity before;
	NbmSchema  *schema;
	NbmPlan    *plan;
	int			level;
	int			ordinal = 0;

	nbm_require_arg(fcinfo, 1, "direction");
	if (strcmp(direction, "up") != 0 && strcmp(direction, "down") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("direction must be \"up\" or \"down\", not \"%s\"",
						direction)));
	InitMaterializedSRF(fcinfo, 0);
	level = nbm_schema_begin(nbm_function_owner(fcinfo), false, &before);
	schema = nbm_schema_read();
	if (*direction == 'u' && !nbm_schema_ignore_drift)
		put_changed(fcinfo, schema, &ordinal);
	plan = *direction == 'u' ? nbm_plan_up(schema, target, true) :
		nbm_plan_down(schema, target, 1, false);
	for (int i = 0; i < plan->count; i++)
		put_step(fcinfo, &plan->steps[i], ++ordinal);
	nbm_schema_end(level, &before);
	return (Datum) 0;
}

/* A text[] of what a migration depends on. */
static Datum
depends_on(const NbmMigration *migration)
{
	Datum	   *names = palloc_array(Datum, Max(migration->ndepends, 1));

	for (int i = 0; i < migration->ndepends; i++)
		names[i] = CStringGetTextDatum(migration->depends_on[i]);
	return PointerGetDatum(construct_array(names, migration->ndepends, TEXTOID,
										   -1, false, TYPALIGN_INT));
}

/* Puts a migration's row, if it has one. */
static void
put_status(FunctionCallInfo fcinfo, const NbmSchema *schema, int number)
{
	const NbmMigration *migration = &schema->all[number];
	char	   *note;
	Datum		values[7] = {CStringGetTextDatum(migration->name)};
	bool		nulls[7] = {false, false, true, true, true, false, false};

	if (!migration->is_defined && migration->applied == 0)
		return;
	values[1] = CStringGetTextDatum(nbm_migration_state(schema, number, &note));
	if (migration->applied != 0)
	{
		int			row = migration->applied_row;

		values[2] = nbm_schema_history(schema, row, NBM_HISTORY_STARTED, &nulls[2]);
		values[3] = nbm_schema_history(schema, row, NBM_HISTORY_BY, &nulls[3]);
		values[4] = nbm_schema_history(schema, row, NBM_HISTORY_DURATION, &nulls[4]);
	}
	values[5] = depends_on(migration);
	nulls[6] = note == NULL;
	if (note != NULL)
		values[6] = CStringGetTextDatum(note);
	put_row(fcinfo, values, nulls);
}

/* schema_status() → rows */
Datum
nbm_schema_status(PG_FUNCTION_ARGS)
{
	NbmIdentity before;
	NbmSchema  *schema;
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	level = nbm_schema_begin(nbm_function_owner(fcinfo), false, &before);
	schema = nbm_schema_read();
	for (int i = 0; i < schema->count; i++)
		put_status(fcinfo, schema, i);
	nbm_schema_end(level, &before);
	return (Datum) 0;
}

/* Raises 25001 where a procedure was called in a transaction. */
static void
require_no_transaction(FunctionCallInfo fcinfo, const char *name,
					   const char *hint)
{
	if (fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("%s commits, and so cannot be called in a transaction",
					name),
			 hint == NULL ? 0 : errhint("%s", hint)));
}

/* A limit that must not be negative; without_limit for NULL. */
static int
arg_count(FunctionCallInfo fcinfo, int number, const char *name,
		  int without_limit)
{
	int			count = PG_ARGISNULL(number) ? without_limit :
	PG_GETARG_INT32(number);

	if (count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", name)));
	return count;
}

/* A time to wait at most, in ms. */
static int64
arg_timeout(FunctionCallInfo fcinfo, int number)
{
	Interval   *timeout;
	int64		ms;

	if (PG_ARGISNULL(number))
		return NBM_WAIT_FOREVER;
	timeout = PG_GETARG_INTERVAL_P(number);
	ms = timeout->time / 1000 +
		((int64) timeout->month * DAYS_PER_MONTH + timeout->day) * SECS_PER_DAY * 1000;
	if (ms < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lock_timeout must not be negative")));
	return ms;
}

/* CALL schema_up(target, max_count, lock_timeout) */
Datum
nbm_schema_up(PG_FUNCTION_ARGS)
{
	require_no_transaction(fcinfo, "schema_up()",
						   "Use notebook_migrate.schema_up_atomic() within a transaction.");
	PreventCommandIfReadOnly("schema_up()");
	nbm_run_up(nbm_function_owner(fcinfo), nbm_arg_text(fcinfo, 0),
			   arg_count(fcinfo, 1, "max_count", PG_INT32_MAX),
			   arg_timeout(fcinfo, 2));
	PG_RETURN_VOID();
}

/* CALL schema_down(target, steps, cascade) */
Datum
nbm_schema_down(PG_FUNCTION_ARGS)
{
	nbm_require_arg(fcinfo, 2, "cascade");
	require_no_transaction(fcinfo, "schema_down()", NULL);
	PreventCommandIfReadOnly("schema_down()");
	nbm_run_down(nbm_function_owner(fcinfo), nbm_arg_text(fcinfo, 0),
				 arg_count(fcinfo, 1, "steps", 1), PG_GETARG_BOOL(2));
	PG_RETURN_VOID();
}

/* schema_up_atomic(target) → int */
Datum
nbm_schema_up_atomic(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("schema_up_atomic()");
	PG_RETURN_INT32(nbm_run_up_atomic(nbm_function_owner(fcinfo),
									  nbm_arg_text(fcinfo, 0)));
}

/* schema_baseline(name) → int */
Datum
nbm_schema_baseline(PG_FUNCTION_ARGS)
{
	nbm_require_arg(fcinfo, 0, "name");
	PreventCommandIfReadOnly("schema_baseline()");
	PG_RETURN_INT32(nbm_take_as_applied(nbm_function_owner(fcinfo),
										nbm_arg_text(fcinfo, 0)));
}
