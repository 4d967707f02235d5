/*
 * sql_schema_rehearse.c
 *		The functions on schema migrations: rehearsals, verification, squashes.
 *
 * They run scripts, so they do not pin the search path: the caller's is the
 * scripts'.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "compat.h"
#include "schema_rehearse.h"
#include "schema_squash.h"
#include "schema_verify.h"

PG_FUNCTION_INFO_V1(nbm_schema_dry_run);
PG_FUNCTION_INFO_V1(nbm_schema_verify);
PG_FUNCTION_INFO_V1(nbm_schema_squash);

/* How long a rehearsal took. */
static Datum
duration_of(const NbmRehearsal *rehearsal)
{
	Interval   *duration = palloc0_object(Interval);

	duration->time = rehearsal->ended_at - rehearsal->started_at;
	return IntervalPGetDatum(duration);
}

/* Puts the row of a step, if it has one. */
static void
put_rehearsal(FunctionCallInfo fcinfo, int ordinal,
			  const NbmRehearsal *rehearsal)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[9] = {Int32GetDatum(ordinal)};
	bool		nulls[9] = {false, false, false, true, true, true, true, true, true};

	if (rehearsal->action == NBM_SKIP)
		return;
	values[1] = CStringGetTextDatum(rehearsal->migration->name);
	values[2] = BoolGetDatum(rehearsal->outcome == NBM_TRIAL_DONE);
	nulls[2] = rehearsal->outcome == NBM_TRIAL_IMPOSSIBLE;
	if (rehearsal->message != NULL)
	{
		values[4] = CStringGetTextDatum(rehearsal->message);
		nulls[4] = false;
	}
	if (rehearsal->outcome == NBM_TRIAL_FAILED)
	{
		values[3] = CStringGetTextDatum(unpack_sql_state(rehearsal->failure.error->sqlerrcode));
		values[5] = Int32GetDatum(rehearsal->failure.statement);
		nulls[3] = false;
		nulls[5] = rehearsal->failure.statement == 0;
	}
	if (rehearsal->outcome == NBM_TRIAL_DONE ||
		rehearsal->outcome == NBM_TRIAL_FAILED)
	{
		values[6] = duration_of(rehearsal);
		nulls[6] = false;
	}
	if (rehearsal->outcome == NBM_TRIAL_DONE)
	{
		values[7] = JsonbPGetDatum(rehearsal->objects);
		values[8] = JsonbPGetDatum(rehearsal->locks);
		nulls[7] = nulls[8] = false;
	}
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* schema_dry_run(target) → rows */
Datum
nbm_schema_dry_run(PG_FUNCTION_ARGS)
{
	NbmRehearsals plan;

	InitMaterializedSRF(fcinfo, 0);
	plan = nbm_dry_run(nbm_function_owner(fcinfo), nbm_arg_text(fcinfo, 0));
	for (int i = 0; i < plan.count; i++)
		put_rehearsal(fcinfo, i + 1, &plan.all[i]);
	return (Datum) 0;
}

/* schema_verify(check_down) → rows */
Datum
nbm_schema_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	nbm_require_arg(fcinfo, 0, "check_down");
	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, nbm_verify_schema(nbm_function_owner(fcinfo), PG_GETARG_BOOL(0)))
	{
		const NbmSchemaProblem *problem = lfirst(cell);
		Datum		values[3] = {
			CStringGetTextDatum(problem->name),
			CStringGetTextDatum(problem->problem),
			CStringGetTextDatum(problem->detail)
		};
		bool		nulls[3] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* schema_squash(from_name, to_name, new_name, check) → int */
Datum
nbm_schema_squash(PG_FUNCTION_ARGS)
{
	static const char *const names[] =
	{"from_name", "to_name", "new_name", "check"};

	for (int i = 0; i < lengthof(names); i++)
		nbm_require_arg(fcinfo, i, names[i]);
	PG_RETURN_INT32(nbm_squash(nbm_function_owner(fcinfo),
							   nbm_arg_text(fcinfo, 0), nbm_arg_text(fcinfo, 1),
							   nbm_arg_text(fcinfo, 2), PG_GETARG_BOOL(3)));
}
