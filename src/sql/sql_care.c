/*
 * sql_care.c
 *		SQL entry points that look after the store.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

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

/*
 * Verifies one document, or all of a kind; returns how many.  Raises 02000
 * for one that must exist and does not.
 */
static int
verify(const NbmKind *kind, const int64 *id, bool must_exist,
	   ReturnSetInfo *result)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "notebook_migrate verify",
												  ALLOCSET_DEFAULT_SIZES);
	int			count;
	int64	   *ids = nbm_store_ids(kind, id, &count);

	if (count == 0 && must_exist && id != NULL)
	{
		NbmStore	store = {kind, *id, true};

		nbm_store_no_document(&store);
	}
	for (int i = 0; i < count; i++)
	{
		NbmStore	store = {kind, ids[i], true};
		MemoryContext outer = MemoryContextSwitchTo(scratch);

		CHECK_FOR_INTERRUPTS();
		nbm_verify(&store, put_problem, result);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(scratch);
	}
	return count;
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
	int			found = 0;
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
	InitMaterializedSRF(fcinfo, 0);
	level = nbm_store_begin();
	for (int i = 0; i < NBM_KINDS; i++)
	{
		const NbmKind *each = i == 0 ? &nbm_notebook : &nbm_workflow;

		if (kind == NULL || kind == each)
			found += verify(each, PG_ARGISNULL(1) ? NULL : &id, kind != NULL,
							result);
	}
	if (found == 0 && !PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("there is no notebook and no workflow " INT64_FORMAT,
						id)));
	nbm_store_end(level);
	return (Datum) 0;
}
