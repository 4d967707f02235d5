/*
 * sql_schema_diff.c
 *		SQL entry points of schemas as documents.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "args.h"
#include "compat.h"
#include "describe.h"
#include "describe_wanted.h"
#include "guard.h"
#include "query.h"
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
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	NbmDescription *before;
	NbmDescription *after;
	List	   *operations;
	ListCell   *cell;

	nbm_require_arg(fcinfo, 0, "before");
	nbm_require_arg(fcinfo, 1, "after");
	nbm_require_arg(fcinfo, 2, "renames");
	before = nbm_read_schema(PG_GETARG_JSONB_P(0), "before");
	after = nbm_read_schema(PG_GETARG_JSONB_P(1), "after");
	operations = nbm_schema_diff(before, after,
								 nbm_read_renames(PG_GETARG_JSONB_P(2)));
	nbm_operation_notices(operations);
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

/*
 * The migrations that no other one depends on, nor stands for, as text[]; but
 * for the one that is being made.  Read with the owner's rights.
 */
static Datum
heads_but(Oid owner, Datum name)
{
	static const char query[] =
	"SELECT pg_catalog.array_agg(h.name ORDER BY h.name) FROM ("
	"SELECT name FROM notebook_migrate.schema_migration"
	" EXCEPT SELECT pg_catalog.unnest(depends_on) COLLATE pg_catalog.\"C\""
	" FROM notebook_migrate.schema_migration"
	" WHERE name OPERATOR(pg_catalog.<>) $1"
	" EXCEPT SELECT pg_catalog.unnest(replaces) COLLATE pg_catalog.\"C\""
	" FROM notebook_migrate.schema_migration"
	" EXCEPT SELECT $1) AS h";
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	NbmIdentity before;
	int			level = nbm_owner_begin(owner, &before);
	bool		is_null;
	Datum		heads;

	if (SPI_execute_with_args(query, 1, types, &name, NULL, true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read the migrations");
	heads = nbm_query_column(0, 1, &is_null);
	MemoryContextSwitchTo(caller);
	heads = is_null ? PointerGetDatum(construct_empty_array(TEXTOID)) :
		PointerGetDatum(PG_DETOAST_DATUM_COPY(heads));
	nbm_owner_end(level, &before);
	return heads;
}

/* Registers a migration with its scripts, as the caller. */
static void
register_scripts(Datum name, const char *up, const char *down, Datum heads)
{
	Oid			types[4] = {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID};
	Datum		values[4] = {
		name, CStringGetTextDatum(up), CStringGetTextDatum(down), heads
	};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute_with_args("SELECT notebook_migrate.schema_register($1, $2, $3, $4)",
							  4, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not register a migration");
	SPI_finish();
}

/* The statements of operations: forwards, or backwards in reverse order. */
static char *
script_of(const List *operations, bool backwards)
{
	int			count = list_length(operations);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < count; i++)
	{
		NbmOperation *operation = list_nth(operations,
										   backwards ? count - 1 - i : i);

		appendStringInfo(&buf, "%s\n",
						 backwards ? operation->down : operation->up);
	}
	return buf.data;
}

PG_FUNCTION_INFO_V1(nbm_schema_make_sql);

/* schema_make(name, desired, renames) -> the name, or NULL: nothing to do */
Datum
nbm_schema_make_sql(PG_FUNCTION_ARGS)
{
	NbmDescription *wanted;
	NbmDescription *current;
	List	   *operations;
	Datum		name;

	nbm_require_arg(fcinfo, 0, "name");
	nbm_require_arg(fcinfo, 1, "desired");
	nbm_require_arg(fcinfo, 2, "renames");
	name = PG_GETARG_DATUM(0);
	wanted = nbm_read_schema(PG_GETARG_JSONB_P(1), "desired");
	current = nbm_read_schema(nbm_describe_schema(get_namespace_oid(wanted->name,
																	false)),
							  "current");
	nbm_settle_wanted(current, wanted);
	operations = nbm_schema_diff(current, wanted,
								 nbm_read_renames(PG_GETARG_JSONB_P(2)));
	if (operations == NIL)
		PG_RETURN_NULL();
	nbm_operation_notices(operations);
	register_scripts(name, script_of(operations, false),
					 script_of(operations, true),
					 heads_but(nbm_function_owner(fcinfo), name));
	PG_RETURN_DATUM(name);
}
