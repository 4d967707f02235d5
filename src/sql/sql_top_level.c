/*
 * sql_top_level.c
 *		Entries for tests of top_level.c: no SQL object of the extension uses
 *		them, so it takes a superuser to declare them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"

#include "invalid_index.h"
#include "top_level.h"

/* The class of the marker that the worker of a test takes. */
#define PROBE_LOCK_CLASS 5499

PG_FUNCTION_INFO_V1(nbm_top_level_probe);

/*
 * CALL probe(statement, outcome, sqlstate, message, detail, hint, position,
 * invalid_index): runs a statement with itself as the payload, and sets all
 * arguments but the first.
 */
Datum
nbm_top_level_probe(PG_FUNCTION_ARGS)
{
	char	   *statement = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *outcomes[] = {"done", "unrecorded", "failed", "no worker"};
	NbmTopLevelResult result;
	TupleDesc	desc;
	LOCKTAG		marker;
	Datum		values[8] = {0};
	bool		nulls[8] = {false};
	char	   *index;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "the probe returns no row");
	SET_LOCKTAG_ADVISORY(marker, MyDatabaseId, 0, 0, PROBE_LOCK_CLASS);
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	SPI_commit();
	nbm_run_top_level(statement, &marker, statement, &result);
	index = nbm_invalid_index_of(statement);

	values[0] = CStringGetTextDatum(statement);
	values[1] = CStringGetTextDatum(outcomes[result.outcome]);
	values[2] = CStringGetTextDatum(unpack_sql_state(result.sqlstate));
	nulls[3] = result.message == NULL;
	values[3] = nulls[3] ? 0 : CStringGetTextDatum(result.message);
	nulls[4] = result.detail == NULL;
	values[4] = nulls[4] ? 0 : CStringGetTextDatum(result.detail);
	nulls[5] = result.hint == NULL;
	values[5] = nulls[5] ? 0 : CStringGetTextDatum(result.hint);
	values[6] = Int32GetDatum(result.position);
	nulls[7] = index == NULL;
	values[7] = nulls[7] ? 0 : CStringGetTextDatum(index);
	{
		HeapTupleHeader row = SPI_returntuple(heap_form_tuple(desc, values,
															  nulls), desc);

		SPI_finish();
		PG_RETURN_HEAPTUPLEHEADER(row);
	}
}

/* Records into a test's table "recorded". */
static void
record_probe(const char *payload, bool is_done,
			 const NbmTopLevelResult *result)
{
	Oid			types[3] = {TEXTOID, BOOLOID, TEXTOID};
	Datum		values[3];

	values[0] = CStringGetTextDatum(payload);
	values[1] = BoolGetDatum(is_done);
	values[2] = CStringGetTextDatum(unpack_sql_state(result->sqlstate));
	if (SPI_connect() != SPI_OK_CONNECT ||
		SPI_execute_with_args("INSERT INTO public.recorded VALUES ($1, $2, $3)",
							  3, types, values, NULL, false,
							  0) != SPI_OK_INSERT)
		elog(ERROR, "could not record");
	SPI_finish();
}

PG_FUNCTION_INFO_V1(nbm_top_level_probe_record);

/* Has what becomes of this process's statement recorded. */
Datum
nbm_top_level_probe_record(PG_FUNCTION_ARGS)
{
	nbm_top_level_record = record_probe;
	PG_RETURN_INT32(0);
}
