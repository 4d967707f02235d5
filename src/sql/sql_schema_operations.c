/*
 * sql_schema_operations.c
 *		SQL entry point of operations on a graph's schema.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "args.h"
#include "compat.h"
#include "graph_operations.h"

PG_FUNCTION_INFO_V1(nbm_schema_operations);

/* schema_operations(operations) -> a row with up and down for each */
Datum
nbm_schema_operations(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Jsonb	   *operations;
	int			count;
	MemoryContext scratch;
	MemoryContext outer;

	nbm_require_arg(fcinfo, 0, "operations");
	operations = PG_GETARG_JSONB_P(0);
	count = nbm_graph_count(operations);
	InitMaterializedSRF(fcinfo, 0);
	scratch = AllocSetContextCreate(CurrentMemoryContext,
									"notebook_migrate graph operation",
									ALLOCSET_DEFAULT_SIZES);
	outer = MemoryContextSwitchTo(scratch);
	for (int i = 0; i < count; i++)
	{
		NbmGraphScripts scripts;
		Datum		values[2] = {0};
		bool		nulls[2] = {false};

		CHECK_FOR_INTERRUPTS();
		scripts = nbm_graph_scripts(operations, i);
		values[0] = CStringGetTextDatum(scripts.up);
		nulls[1] = scripts.down == NULL;
		if (!nulls[1])
			values[1] = CStringGetTextDatum(scripts.down);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(scratch);
	return (Datum) 0;
}
