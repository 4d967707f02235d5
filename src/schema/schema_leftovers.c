/*
 * schema_leftovers.c
 *		What a session keeps of a transaction that was undone.
 *
 * Those are prepared statements, and the advisory locks that last as long as
 * the session.  Each is known by the statement that would end it.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "schema_leftovers.h"
#include "settings.h"

static const char query[] =
"SELECT pg_catalog.concat('DEALLOCATE ', pg_catalog.quote_ident(name))"
" FROM pg_catalog.pg_prepared_statements"
" UNION ALL SELECT pg_catalog.concat('SELECT pg_catalog.pg_advisory_unlock',"
" CASE WHEN mode OPERATOR(pg_catalog.=) 'ShareLock' THEN '_shared' END, '(',"
" CASE WHEN objsubid OPERATOR(pg_catalog.=) 1 THEN"
" pg_catalog.concat('(', classid, '::bigint << 32) | ', objid)"
" ELSE pg_catalog.concat('(', classid, '::bigint::bit(32))::int, (', objid,"
" '::bigint::bit(32))::int') END, ')')"
" FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory'"
" AND objsubid OPERATOR(pg_catalog.<=) 2"
" AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()";

/* Opens SPI with a search path of our own; returns what close() takes. */
static int
open_spi(void)
{
	int			level = NewGUCNestLevel();

	nbm_setting_pin_path();
	SPI_connect();
	return level;
}

/* Closes it. */
static void
close_spi(int level)
{
	SPI_finish();
	AtEOXact_GUC(false, level);
}

/* What the session has: statements that would end it, of the current context. */
List *
nbm_leftovers(void)
{
	MemoryContext context = CurrentMemoryContext;
	int			level = open_spi();
	List	   *result = NIL;

	if (SPI_execute(query, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read what the session has");
	MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		result = lappend(result, makeString(SPI_getvalue(SPI_tuptable->vals[i],
														 SPI_tuptable->tupdesc, 1)));
	close_spi(level);
	return result;
}

/* Ends one thing; false where it was not there to be ended. */
static bool
end_one(const char *statement)
{
	bool		is_null;

	if (SPI_execute(statement, false, 0) != SPI_OK_SELECT)
		return true;
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
									  SPI_tuptable->tupdesc, 1, &is_null));
}

/*
 * Ends all that the session has now, and did not have before.  What was locked
 * several times is unlocked as often.
 */
void
nbm_clear_leftovers(List *before)
{
	bool		has_ended = true;
	List	   *left;

	while (has_ended &&
		   (left = list_difference(nbm_leftovers(), before)) != NIL)
	{
		int			level = open_spi();
		ListCell   *cell;

		has_ended = false;
		foreach(cell, left)
		{
			CHECK_FOR_INTERRUPTS();
			has_ended |= end_one(strVal(lfirst(cell)));
		}
		close_spi(level);
	}
}
