/*
 * sql_schema_diff.c
 *		SQL entry points of schemas as documents.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "compat.h"
#include "describe.h"
#include "schema_diff.h"

PG_FUNCTION_INFO_V1(nbm_schema_describe_sql);

/* schema_describe(schema) -> its tables as a document */
Datum
nbm_schema_describe_sql(PG_FUNCTION_ARGS)
{
	Oid			schema = get_namespace_oid(NameStr(*PG_GETARG_NAME(0)), false);

	PG_RETURN_JSONB_P(nbm_describe_schema(schema));
}

PG_FUNCTION_INFO_V1(nbm_schema_diff_sql);

/* schema_diff(before, after, renames) -> operations with SQL both ways */
Datum
nbm_schema_diff_sql(PG_FUNCTION_ARGS)
{
	NbmSchema  *before = nbm_read_schema(PG_GETARG_JSONB_P(0), "before");
	NbmSchema  *after = nbm_read_schema(PG_GETARG_JSONB_P(1), "after");
	List	   *operations = nbm_schema_diff(before, after,
											 nbm_read_renames(PG_GETARG_JSONB_P(2)));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, operations)
	{
		NbmOperation *operation = lfirst(cell);
		Datum		values[5] = {
			Int32GetDatum(foreach_current_index(cell) + 1),
			JsonbPGetDatum(nbm_operation_jsonb(operation)),
			CStringGetTextDatum(operation->up),
			CStringGetTextDatum(operation->down),
			BoolGetDatum(operation->destructive)
		};
		bool		nulls[5] = {false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
