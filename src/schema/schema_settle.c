/*
 * schema_settle.c
 *		Checking in mid-transaction what is left for its end.
 *
 * Between two migrations that share a transaction, and that each would be one
 * of its own, deferred constraints are checked, and the triggers fired that
 * would keep the next one from altering a table.  It is asked for by the names
 * of the constraints, which are deferred again then: SET CONSTRAINTS ALL would
 * hold for all that the next one makes.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "schema_settle.h"
#include "settings.h"

/*
 * The statements that check what is left to be checked, of the current
 * context; NULL where there is nothing that could be left.  That is on tables
 * that the transaction has locked, as it has written to them: others may be
 * dropped by somebody else before the statements run.  Constraints of one name
 * in one schema are addressed together, so only those that are all deferred
 * are put back.
 */
char *
nbm_settling_statements(void)
{
	static const char query[] =
	"WITH own AS MATERIALIZED (SELECT l.relation FROM pg_catalog.pg_locks AS l"
	" WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()"
	" AND l.locktype OPERATOR(pg_catalog.=) 'relation')"
	" SELECT pg_catalog.string_agg(c.name, ', '), pg_catalog.string_agg(c.name,"
	" ', ') FILTER (WHERE c.is_deferred) FROM (SELECT pg_catalog.format('%I.%I',"
	" n.nspname, d.conname) AS name, pg_catalog.bool_and(d.condeferred) AS"
	" is_deferred FROM pg_catalog.pg_constraint AS d JOIN"
	" pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=)"
	" d.connamespace WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
	" GROUP BY 1 HAVING pg_catalog.bool_or(d.condeferrable AND"
	" (d.conrelid OPERATOR(pg_catalog.=) ANY (SELECT relation FROM own) OR"
	" d.confrelid OPERATOR(pg_catalog.=) ANY (SELECT relation FROM own)))) AS c";
	MemoryContext outer = CurrentMemoryContext;
	int			level = NewGUCNestLevel();
	char	   *statements = NULL;
	char	   *checked;
	char	   *deferred;

	nbm_setting_pin_path();
	SPI_connect();
	if (SPI_execute(query, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the constraints");
	checked = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	deferred = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	MemoryContextSwitchTo(outer);
	if (checked != NULL)
		statements = psprintf("SET CONSTRAINTS %s IMMEDIATE", checked);
	if (deferred != NULL)
		statements = psprintf("%s; SET CONSTRAINTS %s DEFERRED", statements,
							  deferred);
	SPI_finish();
	AtEOXact_GUC(false, level);
	return statements;
}
