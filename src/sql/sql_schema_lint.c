/*
 * sql_schema_lint.c
 *		SQL entry points of looking at scripts, and of bundles of them.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "args.h"
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
