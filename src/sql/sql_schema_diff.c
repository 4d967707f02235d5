/*
 * sql_schema_diff.c
 *		SQL entry points of schemas as documents.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "fmgr.h"

#include "compat.h"
#include "describe.h"

PG_FUNCTION_INFO_V1(nbm_schema_describe_sql);

/* schema_describe(schema) -> its tables as a document */
Datum
nbm_schema_describe_sql(PG_FUNCTION_ARGS)
{
	Oid			schema = get_namespace_oid(NameStr(*PG_GETARG_NAME(0)), false);

	PG_RETURN_JSONB_P(nbm_describe_schema(schema));
}
