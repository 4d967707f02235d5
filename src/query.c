/*
 * query.c
 *		The store's queries: their texts, plans and results.
 *
 * Everything goes through SPI with the caller's rights, so that grants and
 * row-level security hold.  Texts are qualified throughout; plans are
 * prepared once a backend and kept, as generic plans, and index scans are
 * preferred while they are planned: a plan made on a nearly empty table must
 * not scan it when it has grown.
 *
 * Between nbm_store_begin() and nbm_store_end() memory is SPI's, and is
 * freed at the end; results that outlive it are allocated by the caller in a
 * context of its own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/guc.h"

#include "compat.h"
#include "query.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define LE " OPERATOR(pg_catalog.<=) "


typedef struct QueryText
{
	const char *text;			/* %1$s: kind, %2$s: item */
	int			nargs;
	Oid			types[NBM_MAX_ARGS];
} QueryText;

/* The same texts serve both kinds of document. */
static const QueryText queries[QUERIES] =
{
	[Q_HEAD] = {
		"SELECT version, next_key, created_at, updated_at"
		" FROM notebook_migrate.%1$s_head WHERE %1$s_id" EQ "$1",
		1, {INT8OID}
	},
	[Q_LOCK] = {
		"SELECT version, next_key, created_at, updated_at"
		" FROM notebook_migrate.%1$s_head WHERE %1$s_id" EQ "$1"
		" FOR NO KEY UPDATE",
		1, {INT8OID}
	},
	[Q_CREATE] = {
		"INSERT INTO notebook_migrate.%1$s_head"
		" (name, version, next_key, created_at, updated_at)"
		" VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
		" RETURNING %1$s_id",
		5, {TEXTOID, INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	[Q_CREATE_WITH_ID] = {
		"INSERT INTO notebook_migrate.%1$s_head"
		" (name, version, next_key, created_at, updated_at, %1$s_id)"
		" VALUES ($1, $2, $3, $4, $5, $6)",
		6, {TEXTOID, INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID}
	},
	[Q_ADVANCE] = {
		"UPDATE notebook_migrate.%1$s_head"
		" SET version = $2, next_key = $3, updated_at = $4"
		" WHERE %1$s_id" EQ "$1",
		4, {INT8OID, INT4OID, INT4OID, TIMESTAMPTZOID}
	},
	[Q_RENAME] = {
		"UPDATE notebook_migrate.%1$s_head SET name = $2, updated_at = $3"
		" WHERE %1$s_id" EQ "$1",
		3, {INT8OID, TEXTOID, TIMESTAMPTZOID}
	},
	[Q_DELETE_HEAD] = {
		"DELETE FROM notebook_migrate.%1$s_head WHERE %1$s_id" EQ "$1",
		1, {INT8OID}
	},
	[Q_DELETE_VERSIONS] = {
		"DELETE FROM notebook_migrate.%1$s_version WHERE %1$s_id" EQ "$1",
		1, {INT8OID}
	},
	[Q_DELETE_PARTS] = {
		"DELETE FROM notebook_migrate.%1$s_part WHERE %1$s_id" EQ "$1",
		1, {INT8OID}
	},
	[Q_DELETE_REMOVED] = {
		"DELETE FROM notebook_migrate.%1$s_removed WHERE %1$s_id" EQ "$1",
		1, {INT8OID}
	},
	[Q_DROP_REMOVED] = {
		"DELETE FROM notebook_migrate.%1$s_removed"
		" WHERE %1$s_id" EQ "$1 AND version" EQ "$2",
		2, {INT8OID, INT4OID}
	},
	[Q_DELETE_MAPPINGS] = {
		"DELETE FROM notebook_migrate.mapping WHERE %1$s_id" EQ "$1",
		1, {INT8OID}
	},
	[Q_VERSION_AT] = {
		"SELECT version FROM notebook_migrate.%1$s_version"
		" WHERE %1$s_id" EQ "$1 AND created_at" LE "$2"
		" ORDER BY version DESC LIMIT 1",
		2, {INT8OID, TIMESTAMPTZOID}
	},
	[Q_VERSION] = {
		"SELECT v.version, v.keyframe, v.digest, v.layout_bytes, k.layout_bytes"
		" FROM notebook_migrate.%1$s_version v"
		" LEFT JOIN notebook_migrate.%1$s_version k"
		" ON k.%1$s_id" EQ "$1 AND k.version" EQ "v.keyframe"
		" AND v.keyframe OPERATOR(pg_catalog.<>) v.version"
		" WHERE v.%1$s_id" EQ "$1 AND v.version" EQ "$2",
		2, {INT8OID, INT4OID}
	},
	[Q_VERSION_WORDS] = {
		"SELECT v.created_at, v.author, v.message, h.name"
		" FROM notebook_migrate.%1$s_version v"
		" JOIN notebook_migrate.%1$s_head h ON h.%1$s_id" EQ "$1"
		" WHERE v.%1$s_id" EQ "$1 AND v.version" EQ "$2",
		2, {INT8OID, INT4OID}
	},
	[Q_EQUAL_VERSIONS] = {
		"SELECT v.version FROM pg_catalog.unnest($3) AS a(version),"
		" LATERAL (SELECT version, digest FROM notebook_migrate.%1$s_version"
		" WHERE %1$s_id" EQ "$1 AND version" EQ "a.version OFFSET 0) v"
		" WHERE v.digest" EQ "(SELECT digest"
		" FROM notebook_migrate.%1$s_version WHERE %1$s_id" EQ "$1"
		" AND version" EQ "$2)",
		3, {INT8OID, INT4OID, INT4ARRAYOID}
	},
	[Q_KEEP] = {
		"UPDATE notebook_migrate.%1$s_head SET version = version"
		" WHERE %1$s_id" EQ "$1 RETURNING version",
		1, {INT8OID}
	},
	[Q_VERSIONS] = {
		"SELECT version, keyframe, digest, layout_bytes"
		" FROM notebook_migrate.%1$s_version WHERE %1$s_id" EQ "$1"
		" ORDER BY version",
		1, {INT8OID}
	},
	[Q_ADD_VERSION] = {
		"INSERT INTO notebook_migrate.%1$s_version VALUES"
		" ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
		" $13, $14, $15, $16, $17, $18)",
		18, {INT8OID, INT4OID, INT4OID, TIMESTAMPTZOID, INT4OID, INT4OID,
			INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID,
		TEXTOID, TEXTOID, JSONBOID, BYTEAOID, BYTEAOID, INT8OID}
	},
	[Q_DESCENTS] = {
		/* a merge was undone where the item came back and went once more */
		"SELECT v.version, d.key, d.\"from\", d.change" EQ "'merged'"
		" FROM notebook_migrate.%1$s_version v"
		" CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(v.descents)"
		" AS d (key int, \"from\" int, change text)"
		" WHERE v.%1$s_id" EQ "$1"
		" AND v.version OPERATOR(pg_catalog.>) $2 AND v.version" LE "$3"
		" AND v.descents IS NOT NULL"
		" AND NOT (d.change" EQ "'merged' AND EXISTS"
		" (SELECT FROM notebook_migrate.%1$s_removed r"
		" WHERE r.%1$s_id" EQ "$1 AND r.%2$s_key" EQ "d.\"from\""
		" AND r.version OPERATOR(pg_catalog.>=) v.version"
		" AND r.version OPERATOR(pg_catalog.<) $3)) ORDER BY 1, 2, 3",
		3, {INT8OID, INT4OID, INT4OID}
	},
	[Q_VERSION_ROWS] = {
		"SELECT v.* FROM notebook_migrate.%1$s_version v"
		" WHERE v.%1$s_id" EQ "$1 ORDER BY v.version",
		1, {INT8OID}
	},
	[Q_MAPPING_ROWS] = {
		"SELECT m.* FROM notebook_migrate.mapping m"
		" WHERE m.%1$s_id" EQ "$1 ORDER BY m.mapping_id",
		1, {INT8OID}
	},
	[Q_SHIFT_MAPPING] = {
		"UPDATE notebook_migrate.mapping SET workflow_version = $3, seal = $4"
		" WHERE notebook_id" EQ "$1 AND mapping_id" EQ "$2",
		4, {INT8OID, INT8OID, INT4OID, INT8OID}
	},
	[Q_REMOVED_ROWS] = {
		"SELECT %2$s_key, version, item FROM notebook_migrate.%1$s_removed"
		" WHERE %1$s_id" EQ "$1 ORDER BY version, %2$s_key",
		1, {INT8OID}
	},
	[Q_PARTS] = {
		"SELECT p.* FROM pg_catalog.unnest($2) AS w(part_id),"
		" LATERAL (SELECT part_id, body, bytes FROM notebook_migrate.%1$s_part"
		" WHERE %1$s_id" EQ "$1 AND part_id" EQ "w.part_id OFFSET 0) p",
		2, {INT8OID, INT8ARRAYOID}
	},
	[Q_DIGESTS] = {
		"SELECT p.* FROM pg_catalog.unnest($2) AS w(part_id),"
		" LATERAL (SELECT part_id, digest FROM notebook_migrate.%1$s_part"
		" WHERE %1$s_id" EQ "$1 AND part_id" EQ "w.part_id OFFSET 0) p",
		2, {INT8OID, INT8ARRAYOID}
	},
	[Q_ADD_PART] = {
		"INSERT INTO notebook_migrate.%1$s_part"
		" (%1$s_id, part_id, digest, body, bytes) VALUES ($1, $2, $3, $4, $5)",
		5, {INT8OID, INT8OID, BYTEAOID, JSONBOID, BYTEAOID}
	},
	[Q_ALL_PARTS] = {
		"SELECT part_id, digest, body, bytes"
		" FROM notebook_migrate.%1$s_part WHERE %1$s_id" EQ "$1"
		" ORDER BY part_id",
		1, {INT8OID}
	},
	[Q_REMOVED] = {
		"SELECT item FROM notebook_migrate.%1$s_removed WHERE %1$s_id" EQ "$1"
		" ORDER BY version DESC, %2$s_key",
		1, {INT8OID}
	},
	[Q_ADD_REMOVED] = {
		"INSERT INTO notebook_migrate.%1$s_removed"
		" (%1$s_id, %2$s_key, version, item) VALUES ($1, $2, $3, $4)",
		4, {INT8OID, INT4OID, INT4OID, BYTEAOID}
	},
	[Q_NEXT_MAPPING] = {
		"UPDATE notebook_migrate.notebook_head"
		" SET next_mapping = next_mapping OPERATOR(pg_catalog.+) 1"
		" WHERE notebook_id" EQ "$1"
		" RETURNING next_mapping OPERATOR(pg_catalog.-) 1",
		1, {INT8OID}
	},
	[Q_ADD_MAPPING] = {
		"INSERT INTO notebook_migrate.mapping VALUES"
		" ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		10, {INT8OID, INT8OID, INT4OID, INT8OID, INT4OID, TIMESTAMPTZOID,
		TEXTOID, TEXTOID, JSONBOID, INT8OID}
	},
	[Q_MAPPINGS] = {
		"SELECT mapping_id, notebook_version, workflow_version"
		" FROM notebook_migrate.mapping"
		" WHERE notebook_id" EQ "$1 AND workflow_id" EQ "$2"
		" ORDER BY mapping_id DESC",
		2, {INT8OID, INT8OID}
	},
	[Q_MAPPING_CONTENT] = {
		"SELECT content FROM notebook_migrate.mapping"
		" WHERE notebook_id" EQ "$1 AND mapping_id" EQ "$2",
		2, {INT8OID, INT8OID}
	},
	[Q_MAPPED_PAIRS] = {
		"SELECT DISTINCT m.notebook_id, m.workflow_id"
		" FROM notebook_migrate.mapping m"
		" JOIN notebook_migrate.notebook_head n"
		" ON n.notebook_id" EQ "m.notebook_id"
		" JOIN notebook_migrate.workflow_head w"
		" ON w.workflow_id" EQ "m.workflow_id"
		" WHERE ($1 IS NULL OR m.notebook_id" EQ "$1)"
		" AND ($2 IS NULL OR m.workflow_id" EQ "$2) ORDER BY 1, 2",
		2, {INT8OID, INT8OID}
	},
	[Q_IDS] = {
		"SELECT %1$s_id FROM notebook_migrate.%1$s_head"
		" WHERE $1 IS NULL OR %1$s_id" EQ "$1 ORDER BY 1",
		1, {INT8OID}
	},
};

static SPIPlanPtr plans[NBM_KINDS][QUERIES];

/*
 * Ways of running a query that grow with the tables, not with what is asked:
 * off while our plans are made.  (Where a list of ids is looked up, OFFSET 0
 * keeps the planner from turning the look-up round.)
 */
static const char *const plan_settings[] = {
	"enable_seqscan", "enable_bitmapscan", "enable_hashjoin",
	"enable_mergejoin", "enable_material",
	/* what is scanned all the same has a price that would have it compiled */
	"jit"
};

/*
 * Opens the store for a call: SPI, a search path that nobody can set traps
 * in, and index scans preferred.  Returns what nbm_store_end() takes; on
 * error the end of the (sub)transaction undoes it all.
 */
int
nbm_store_begin(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	for (int i = 0; i < lengthof(plan_settings); i++)
		(void) set_config_option(plan_settings[i], "off",
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	return level;
}

/* Closes the store; memory allocated since it was opened is freed. */
void
nbm_store_end(int guc_level)
{
	SPI_finish();
	AtEOXact_GUC(false, guc_level);
}

/* The kept plan of a query, prepared at first use. */
SPIPlanPtr
nbm_query_plan(const NbmKind *kind, NbmQuery id)
{
	const QueryText *query = &queries[id];
	SPIPlanPtr *plan = &plans[kind->number][id];

	if (*plan == NULL)
	{
		SPIPlanPtr	fresh;

		fresh = SPI_prepare_cursor(psprintf(query->text, kind->name, kind->item),
								   query->nargs,
								   (Oid *) query->types,
								   CURSOR_OPT_GENERIC_PLAN);
		if (fresh == NULL)
			elog(ERROR, "could not prepare query %d: %s", id,
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(fresh);
		*plan = fresh;
	}
	return *plan;
}

/* Runs a query; returns the number of rows, which are in SPI_tuptable. */
uint64
nbm_query_run(const NbmKind *kind, NbmQuery id, Datum *values,
			  const char *nulls, bool read_only)
{
	int			result = SPI_execute_plan(nbm_query_plan(kind, id), values,
										  nulls, read_only, 0);

	if (result < 0)
		elog(ERROR, "query %d failed: %s", id, SPI_result_code_string(result));
	return SPI_processed;
}

/* A column, counted from 1, of a row of the last result. */
Datum
nbm_query_column(uint64 row, int number, bool *is_null)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, number, &null);

	if (is_null != NULL)
		*is_null = null;
	else if (null)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("unexpected NULL in a table of the store")));
	return value;
}

/* The types of a query's arguments; *count of them. */
const Oid  *
nbm_query_types(NbmQuery query, int *count)
{
	*count = queries[query].nargs;
	return queries[query].types;
}
