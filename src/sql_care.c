/*
 * sql_care.c
 *		SQL entry points that look after the store.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "args.h"
#include "compat.h"
#include "verify.h"

/* Adds a row to the result of store_verify; fits NbmProblem. */
static void
put_problem(const NbmStore *store, int32 version, const uint64 *part,
			const char *problem, void *arg)
{
	ReturnSetInfo *result = arg;
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = CStringGetTextDatum(store->kind->name);
	values[1] = Int64GetDatum(store->id);
	values[2] = Int32GetDatum(version);
	nulls[2] = version <= 0;
	nulls[3] = part == NULL;
	if (part != NULL)
		values[3] = Int64GetDatum((int64) *part);
	values[4] = CStringGetTextDatum(problem);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* Verifies one document, or all of a kind. */
static void
verify(const NbmKind *kind, const int64 *id, ReturnSetInfo *result)
{
	int64		one = id ? *id : 0;
	int64	   *ids = &one;
	int			count = 1;

	if (id == NULL)
		ids = nbm_store_ids(kind, &count);
	for (int i = 0; i < count; i++)
	{
		NbmStore	store = {kind, ids[i], true};

		CHECK_FOR_INTERRUPTS();
		nbm_verify(&store, put_problem, result);
	}
}

PG_FUNCTION_INFO_V1(nbm_store_verify_sql);

/* store_verify(kind, id) -> what is not as it was stored */
Datum
nbm_store_verify_sql(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = nbm_arg_text(fcinfo, 0);
	const NbmKind *kind = NULL;
	int64		id = PG_GETARG_INT64(1);
	int			level;

	if (name != NULL)
	{
		kind = nbm_kind_by_name(nbm_text(name));
		if (kind == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("there is no kind of document \"%s\"", name),
					 errhint("The kinds are notebook and workflow.")));
	}
	else if (!PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("kind must not be null where an id is given")));
	InitMaterializedSRF(fcinfo, 0);
	level = nbm_store_begin();
	if (kind == NULL || kind == &nbm_notebook)
		verify(&nbm_notebook, PG_ARGISNULL(1) ? NULL : &id, result);
	if (kind == NULL || kind == &nbm_workflow)
		verify(&nbm_workflow, PG_ARGISNULL(1) ? NULL : &id, result);
	nbm_store_end(level);
	return (Datum) 0;
}
