/*
 * sql_schema_lint.c
 *		SQL entry points of looking at scripts, and of bundles of them.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "args.h"
#include "guard.h"
#include "query.h"
#include "schema_bundle.h"
#include "schema_lint.h"

PG_FUNCTION_INFO_V1(nbm_schema_lint_sql);

/* schema_lint(sql) -> a row for each finding */
Datum
nbm_schema_lint_sql(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	nbm_require_arg(fcinfo, 0, "sql");
	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, nbm_schema_lint(nbm_arg_text(fcinfo, 0)))
	{
		const NbmFinding *finding = lfirst(cell);
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = Int32GetDatum(finding->statement);
		values[1] = CStringGetTextDatum(finding->rule);
		values[2] = CStringGetTextDatum(finding->message);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(nbm_schema_bundle_export);

/* schema_bundle_export() -> the definitions, read with the owner's rights */
Datum
nbm_schema_bundle_export(PG_FUNCTION_ARGS)
{
	NbmIdentity before;
	Datum		bundle;
	int			level;

	nbm_become_owner(nbm_function_owner(fcinfo), &before);
	level = nbm_store_begin();
	bundle = SPI_datumTransfer(JsonbPGetDatum(nbm_bundle_export()), false, -1);
	nbm_store_end(level);
	nbm_be_again(&before);
	PG_RETURN_DATUM(bundle);
}

PG_FUNCTION_INFO_V1(nbm_schema_bundle_import_sql);

/* schema_bundle_import(bundle) -> how many were new */
Datum
nbm_schema_bundle_import_sql(PG_FUNCTION_ARGS)
{
	int			added;
	int			level;

	nbm_require_arg(fcinfo, 0, "bundle");
	level = nbm_store_begin();
	added = nbm_bundle_import(PG_GETARG_JSONB_P(0));
	nbm_store_end(level);
	PG_RETURN_INT32(added);
}
