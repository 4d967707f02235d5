/*
 * describe.c
 *		A schema read from the catalogs, as a document.
 *
 * docs/schema.md has the document's shape.  What has the value that it has
 * when nobody says anything is left out, and so is what no document can say:
 * partitions, tables with parents, typed tables, members of extensions.
 *
 * It is one query, whatever the number of tables, after another one that finds
 * those that are to be locked.  Expressions and types come
 * as the server writes them under a search path of pg_catalog alone, which the
 * callers pin: every name of a schema of users is qualified in them, so that
 * they mean the same wherever they run.  The callers pin what else the server
 * heeds when it writes: how it quotes, and how values are printed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog_read.h"
#include "compat.h"
#include "describe.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "
#define GT " OPERATOR(pg_catalog.>) "
#define CLASS_OF(name) "'pg_catalog." name "'::pg_catalog.regclass"
#define OBJECT "pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("

/* The names of a relation's columns, of an array of their numbers. */
#define COLUMNS_WHERE(relation, numbers, condition) \
	"(SELECT pg_catalog.jsonb_agg(a.attname ORDER BY k.n)" \
	" FROM pg_catalog.unnest(" numbers ") WITH ORDINALITY AS k (attnum, n)" \
	" JOIN pg_catalog.pg_attribute AS a ON a.attrelid" EQ relation \
	" AND a.attnum" EQ "k.attnum" condition ")"
#define COLUMNS(relation, numbers) COLUMNS_WHERE(relation, numbers, "")

/* The comment on an object; of a column with its number. */
#define COMMENT_ON(catalog, object, number) \
	" LEFT JOIN pg_catalog.pg_description AS d ON d.objoid" EQ object \
	" AND d.classoid" EQ CLASS_OF(catalog) " AND d.objsubid" EQ number

/* What a foreign key does; nothing where it does nothing. */
#define ACTION(column) \
	"CASE WHEN " column EQ "'r' THEN 'restrict'" \
	" WHEN " column EQ "'c' THEN 'cascade'" \
	" WHEN " column EQ "'n' THEN 'set null'" \
	" WHEN " column EQ "'d' THEN 'set default' END"

#define KEYS(kind) \
	"pg_catalog.jsonb_agg(k.key ORDER BY k.name)" \
	" FILTER (WHERE k.kind" EQ "'" kind "')"

/* The tables that a document can say everything of. */
#define TABLES \
	"tab AS MATERIALIZED (SELECT c.oid, c.relname AS name" \
	" FROM pg_catalog.pg_class AS c" \
	" WHERE c.relnamespace" EQ "$1 AND c.relkind" EQ "'r'" \
	" AND c.reloftype" EQ "0" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i" \
	" WHERE i.inhrelid" EQ "c.oid)" \
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d" \
	" WHERE d.classid" EQ CLASS_OF("pg_class") " AND d.objid" EQ "c.oid" \
	" AND d.deptype" EQ "'e'))"

/* Columns that own a sequence, and the default that draws from it. */
#define SERIALS \
	"serial AS MATERIALIZED (SELECT d.refobjid, d.refobjsubid," \
	" pg_catalog.concat('nextval(''', pg_catalog.replace(" \
	"s.oid::pg_catalog.regclass::pg_catalog.text, '''', '''''')," \
	" '''::regclass)') AS expression" \
	" FROM tab JOIN pg_catalog.pg_depend AS d ON d.refobjid" EQ "tab.oid" \
	" AND d.refclassid" EQ CLASS_OF("pg_class") " AND d.refobjsubid" GT "0" \
	" AND d.classid" EQ CLASS_OF("pg_class") " AND d.deptype" EQ "'a'" \
	" JOIN pg_catalog.pg_class AS s ON s.oid" EQ "d.objid" \
	" AND s.relkind" EQ "'S')"

#define COLUMN_LISTS \
	"col AS (SELECT a.attrelid AS oid, pg_catalog.jsonb_agg(" OBJECT \
	"'name', a.attname," \
	"'type', pg_catalog.format_type(a.atttypid, a.atttypmod)," \
	"'collation', CASE WHEN a.attcollation" EQ "t.typcollation THEN NULL" \
	" WHEN o.collnamespace" EQ "'pg_catalog'::pg_catalog.regnamespace" \
	" THEN pg_catalog.to_jsonb(o.collname)" \
	" ELSE pg_catalog.jsonb_build_array(n.nspname, o.collname) END," \
	"'nullable', CASE WHEN a.attnotnull THEN false END," \
	"'default', CASE WHEN a.attgenerated" EQ "'' AND s.expression IS NULL" \
	" THEN e.expression END," \
	"'generated', CASE WHEN a.attgenerated" NE "'' THEN e.expression END," \
	"'virtual', CASE WHEN a.attgenerated" EQ "'v' THEN true END," \
	"'identity', CASE WHEN a.attidentity" EQ "'a' THEN 'always'" \
	" WHEN a.attidentity" EQ "'d' THEN 'by default'" \
	" WHEN s.expression IS NOT NULL THEN 'serial' END," \
	"'comment', d.description)) ORDER BY a.attnum) AS list" \
	" FROM tab" \
	" JOIN pg_catalog.pg_attribute AS a ON a.attrelid" EQ "tab.oid" \
	" AND a.attnum" GT "0 AND NOT a.attisdropped" \
	" JOIN pg_catalog.pg_type AS t ON t.oid" EQ "a.atttypid" \
	" LEFT JOIN pg_catalog.pg_collation AS o ON o.oid" EQ "a.attcollation" \
	" LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid" EQ "o.collnamespace" \
	" LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid" EQ "a.attrelid" \
	" AND f.adnum" EQ "a.attnum" \
	" LEFT JOIN LATERAL (SELECT pg_catalog.pg_get_expr(f.adbin, f.adrelid)" \
	" AS expression OFFSET 0) AS e ON true" \
	" LEFT JOIN serial AS s ON s.refobjid" EQ "a.attrelid" \
	" AND s.refobjsubid" EQ "a.attnum AND s.expression" EQ "e.expression" \
	" AND a.attnotnull AND a.atttypid" EQ "ANY (ARRAY[20, 21, 23])" \
	COMMENT_ON("pg_class", "a.attrelid", "a.attnum") \
	" GROUP BY a.attrelid)"

#define CONSTRAINTS \
	"con AS (SELECT c.conrelid AS oid, c.conname AS name, c.contype AS kind," \
	" " OBJECT \
	"'name', c.conname," \
	"'columns', CASE WHEN c.contype" NE "'c' THEN " \
	COLUMNS("c.conrelid", "c.conkey") " END," \
	"'include', CASE WHEN c.contype" NE "'f' THEN " \
	COLUMNS_WHERE("i.indrelid", "i.indkey::pg_catalog.int2[]", \
				  " AND k.n" GT "i.indnkeyatts") " END," \
	"'nulls_not_distinct'," \
	" CASE WHEN c.contype" EQ "'u' AND i.indnullsnotdistinct THEN true END," \
	"'references', CASE WHEN c.contype" EQ "'f' THEN " OBJECT \
	"'schema', CASE WHEN r.relnamespace" NE "$1 THEN n.nspname END," \
	"'table', r.relname," \
	"'columns', " COLUMNS("c.confrelid", "c.confkey") ")) END," \
	"'match', CASE WHEN c.confmatchtype" EQ "'f' THEN 'full' END," \
	"'on_delete', " ACTION("c.confdeltype") "," \
	"'on_delete_columns', " COLUMNS("c.conrelid", "c.confdelsetcols") "," \
	"'on_update', " ACTION("c.confupdtype") "," \
	"'expression', pg_catalog.pg_get_expr(c.conbin, c.conrelid)," \
	"'no_inherit', CASE WHEN c.contype" EQ "'c' AND c.connoinherit" \
	" THEN true END," \
	"'not_valid', CASE WHEN NOT c.convalidated THEN true END," \
	"'deferrable', CASE WHEN c.condeferred THEN 'deferred'" \
	" WHEN c.condeferrable THEN 'immediate' END," \
	"'comment', d.description)) AS key" \
	" FROM tab" \
	" JOIN pg_catalog.pg_constraint AS c ON c.conrelid" EQ "tab.oid" \
	" AND c.contype" EQ "ANY ('{p,u,f,c}') AND c.conparentid" EQ "0" \
	NBM_IS_PLAIN_CONSTRAINT \
	" LEFT JOIN pg_catalog.pg_class AS r ON r.oid" EQ "c.confrelid" \
	" LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid" EQ "r.relnamespace" \
	" LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid" EQ "c.conindid" \
	COMMENT_ON("pg_constraint", "c.oid", "0") ")"

/* A name as the server writes it. */
#define NAME "(?:[^\" .]+|\"(?:[^\"]|\"\")*\")"

/*
 * Indexes without those of constraints; their definition from USING on.  One
 * that is dropped meanwhile, CONCURRENTLY, which no lock of ours prevents, has
 * none.
 */
#define INDEXES \
	"ind AS MATERIALIZED (SELECT i.indrelid AS oid, c.relname AS name, 'i' AS kind, " \
	OBJECT \
	"'name', c.relname," \
	"'unique', CASE WHEN i.indisunique THEN true END," \
	"'definition', pg_catalog.substring(pg_catalog.pg_get_indexdef(c.oid)," \
	" '^CREATE (?:UNIQUE )?INDEX " NAME " ON " NAME "[.]" NAME " (.*)$')," \
	"'invalid', CASE WHEN NOT i.indisvalid THEN true END," \
	"'comment', d.description)) AS key" \
	" FROM tab" \
	" JOIN pg_catalog.pg_index AS i ON i.indrelid" EQ "tab.oid" \
	" JOIN pg_catalog.pg_class AS c ON c.oid" EQ "i.indexrelid" \
	COMMENT_ON("pg_class", "c.oid", "0") \
	" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS p" \
	" WHERE p.conrelid" EQ "i.indrelid AND p.conindid" EQ "i.indexrelid" \
	" AND p.contype" EQ "ANY ('{p,u,x}')))"

static const char tables_query[] =
"WITH " TABLES " SELECT oid FROM tab ORDER BY oid";

static const char describe_query[] =
"WITH " TABLES ", " SERIALS ", " COLUMN_LISTS ", " CONSTRAINTS ", " INDEXES
", keys AS (SELECT k.oid,"
" " KEYS("p") " AS primary_key, " KEYS("u") " AS unique_keys,"
" " KEYS("f") " AS foreign_keys, " KEYS("c") " AS checks,"
" " KEYS("i") " AS indexes"
" FROM (SELECT oid, name, kind::pg_catalog.text, key FROM con"
" UNION ALL SELECT oid, name, kind, key FROM ind"
" WHERE pg_catalog.jsonb_exists(key, 'definition')) AS k GROUP BY k.oid)"
" SELECT pg_catalog.jsonb_build_object("
"'schema', (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid" EQ "$1),"
" 'tables', coalesce(pg_catalog.jsonb_agg(" OBJECT
"'name', tab.name,"
"'columns', coalesce(col.list, '[]'),"
"'primary_key', keys.primary_key OPERATOR(pg_catalog.->) 0,"
"'unique', keys.unique_keys,"
"'foreign_keys', keys.foreign_keys,"
"'checks', keys.checks,"
"'indexes', keys.indexes,"
"'comment', d.description)) ORDER BY tab.name), '[]'))"
" FROM tab LEFT JOIN col ON col.oid" EQ "tab.oid"
" LEFT JOIN keys ON keys.oid" EQ "tab.oid"
COMMENT_ON("pg_class", "tab.oid", "0");

/* A schema, and its description in the context that it is wanted in. */
typedef struct Reading
{
	Oid			schema;
	MemoryContext context;
	Jsonb	   *description;
} Reading;

/* Runs a query on the schema as the active snapshot sees the catalogs. */
static void
query(const char *sql, Oid schema)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(schema)};

	if (SPI_execute_with_args(sql, 1, types, values, NULL, true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read the catalogs");
}

/* Locks a table as a SELECT does; false where this backend has done so before. */
static bool
lock_table(Oid table, List **locked)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);
	if (LockAcquire(&tag, AccessShareLock, false, false) != LOCKACQUIRE_OK)
	{
		LockRelease(&tag, AccessShareLock, false);
		return false;
	}
	*locked = lappend_oid(*locked, table);
	return true;
}

/*
 * Locks the schema's tables, and makes a snapshot active that was taken when
 * all that it shows were locked.  It is new even where the transaction has an
 * older one: what is written of the catalogs' rows is as it is now.  The
 * result is what is to be unlocked.
 */
static List *
lock_tables(Oid schema)
{
	List	   *locked = NIL;
	bool		is_complete = false;

	while (!is_complete)
	{
		CHECK_FOR_INTERRUPTS();
		InvalidateCatalogSnapshot();
		PushActiveSnapshot(GetCatalogSnapshot(RelationRelationId));
		query(tables_query, schema);
		is_complete = true;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		is_null;
			Datum		table = SPI_getbinval(SPI_tuptable->vals[i],
											  SPI_tuptable->tupdesc, 1,
											  &is_null);

			if (lock_table(DatumGetObjectId(table), &locked))
				is_complete = false;
		}
		SPI_freetuptable(SPI_tuptable);
		if (!is_complete)
			PopActiveSnapshot();
	}
	AcceptInvalidationMessages();
	return locked;
}

/* Reads the description. */
static void
read_description(void *arg)
{
	Reading    *reading = arg;
	List	   *locked;
	ListCell   *cell;
	Datum		description;
	bool		is_null;

	CommandCounterIncrement();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	locked = lock_tables(reading->schema);
	query(describe_query, reading->schema);
	description = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
								1, &is_null);
	MemoryContextSwitchTo(reading->context);
	reading->description = DatumGetJsonbPCopy(description);
	PopActiveSnapshot();
	foreach(cell, locked)
		UnlockRelationOid(lfirst_oid(cell), AccessShareLock);
	SPI_finish();
}

/*
 * The description of a schema, in the current context.  The search path must
 * be pinned to pg_catalog.  Its tables are locked while they are read, as a
 * SELECT locks them, lest half of the description be from before a change.
 * Raises 40001 where something else that is being read is dropped.
 */
Jsonb *
nbm_describe_schema(Oid schema)
{
	Reading		reading = {schema, CurrentMemoryContext, NULL};

	nbm_read_catalogs(read_description, &reading);
	if (!SearchSysCacheExists1(NAMESPACEOID, ObjectIdGetDatum(schema)))
		nbm_catalogs_changed(NULL);
	return reading.description;
}
