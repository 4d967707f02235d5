/*
 * query.c
 *		The store's queries: their texts, plans and results.
 *
 * Everything goes through SPI with the caller's rights, so that grants and
 * row-level security hold.  Texts are qualified throughout; plans are
 * prepared once a backend and kept, as generic plans, and index scans are
 * preferred while they are planned: a plan made on a nearly empty table must
 * not scan it when it has grown.  A dozen parameters set and put back cost a
 * short call several per cent of its time, so they are set for planning only.
 *
 * Between nbm_store_begin() and nbm_store_end() memory is SPI's, and is
 * freed at the end; results that outlive it are allocated by the caller in a
 * context of its own.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/plancache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "query.h"
#include "settings.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define LE " OPERATOR(pg_catalog.<=) "
#define GE " OPERATOR(pg_catalog.>=) "
#define GT " OPERATOR(pg_catalog.>) "
#define LT " OPERATOR(pg_catalog.<) "
#define PLUS " OPERATOR(pg_catalog.+) "
#define OR_JSON " OPERATOR(pg_catalog.||) "

/* A jsonpath predicate: could this be a key? */
#define IS_KEY "@.type() == \"number\" && @ >= 1 && @ <= 100000000" \
	" && @.floor() == @"

#define JOB "notebook_migrate.migration_job"
#define LINE "notebook_migrate.migration_line"
#define TURN "notebook_migrate.migration_turn"
/* Turns that time has made ready, at $1, but nobody has noticed. */
#define TURN_IS_DUE "NOT t.is_ready AND t.rank" EQ "0 AND t.at" LT "$1"
/* One more entry of errors: what, of which attempt, whose, when. */
#define JOB_ERROR(at, what) \
	"coalesce(j.errors, '[]')" OR_JSON "pg_catalog.jsonb_build_array(" \
	"pg_catalog.jsonb_build_object('attempt', j.attempt, 'worker', j.worker," \
	" 'at', " at ", 'error', " what "))"
/* What came of a job, as another one is given it: the last is equal_to. */
#define JOB_RESULT \
	"j.workflow_id, j.workflow_version, j.mapping_id, j.warnings," \
	" coalesce(j.equal_to, j.job_id)"
/* Is a result what the work would come to now?  The workflow is there, and a
 * change of one is the last one. */
#define JOB_HOLDS \
	"EXISTS (SELECT FROM notebook_migrate.workflow_head h" \
	" WHERE h.workflow_id" EQ "j.workflow_id" \
	" AND (h.version" EQ "j.workflow_version OR NOT" \
	" (j.payload OPERATOR(pg_catalog.?) 'workflow_id' OR" \
	" coalesce(j.payload OPERATOR(pg_catalog.->>) 'scope', '')" EQ "'changed')))"
#define JOB_IS_DEAD "(j.state" EQ "'leased' AND j.attempt" GE "j.max_attempts)"


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
	[Q_CLAIM] = {
		"SELECT xmin FROM notebook_migrate.%1$s_head WHERE %1$s_id" EQ "$1"
		" FOR NO KEY UPDATE NOWAIT",
		1, {INT8OID}
	},
	[Q_CLAIM_TO_DELETE] = {
		"SELECT xmin FROM notebook_migrate.%1$s_head WHERE %1$s_id" EQ "$1"
		" FOR UPDATE NOWAIT",
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
		/*
		 * A merge was undone where the item came back and went once more.
		 * What is no list of keys has a NULL for one, not an error of its
		 * own.
		 */
		"SELECT v.version, d.key, d.\"from\", d.change" EQ "'merged'"
		" FROM notebook_migrate.%1$s_version v"
		" CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset("
		"CASE WHEN NOT v.descents OPERATOR(pg_catalog.@?)"
		" 'strict $[*] ? (@.type() != \"object\" ||"
		" !exists(@.key ? (" IS_KEY ")) || !exists(@.from ? (" IS_KEY ")))'"
		" THEN v.descents ELSE '[{}]' END)"
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
	[Q_NEAREST_WORKFLOW] = {
		"SELECT m.workflow_id FROM notebook_migrate.mapping m"
		" JOIN notebook_migrate.workflow_head w"
		" ON w.workflow_id" EQ "m.workflow_id"
		" WHERE m.notebook_id" EQ "$1"
		" ORDER BY m.notebook_version OPERATOR(pg_catalog.>) $2,"
		" pg_catalog.abs(m.notebook_version OPERATOR(pg_catalog.-) $2),"
		" m.mapping_id DESC LIMIT 1",
		2, {INT8OID, INT4OID}
	},
	[Q_IDS] = {
		"SELECT %1$s_id FROM notebook_migrate.%1$s_head"
		" WHERE $1 IS NULL OR %1$s_id" EQ "$1 ORDER BY 1",
		1, {INT8OID}
	},
	[Q_DELETE_JOBS] = {
		"WITH t AS (DELETE FROM " TURN " WHERE notebook_id" EQ "$1),"
		" l AS (DELETE FROM " LINE " WHERE notebook_id" EQ "$1)"
		" DELETE FROM " JOB " WHERE notebook_id" EQ "$1",
		1, {INT8OID}
	},
	[Q_JOB_WORK] = {
		"SELECT pg_catalog.sha256(digest" OR_JSON
		"pg_catalog.sha256(pg_catalog.convert_to($3, 'UTF8'))" OR_JSON
		"pg_catalog.convert_to($4::text, 'UTF8'))"
		" FROM notebook_migrate.notebook_version"
		" WHERE notebook_id" EQ "$1 AND version" EQ "$2",
		4, {INT8OID, INT4OID, TEXTOID, JSONBOID}
	},
	[Q_JOB_EQUAL_DONE] = {
		"SELECT " JOB_RESULT " FROM " JOB " j"
		" WHERE j.work" EQ "$1 AND j.notebook_id" EQ "$2"
		" AND j.dedupe AND j.state" EQ "'done'"
		" AND (j.workflow_id IS NULL OR " JOB_HOLDS ")"
		" ORDER BY j.job_id DESC LIMIT 1",
		2, {BYTEAOID, INT8OID}
	},
	[Q_JOB_EQUAL_RESULT] = {
		/*
		 * Nothing but jobs with a result is in the index, and so of the jobs
		 * that did this work only; the newest most likely still holds.
		 */
		"SELECT " JOB_RESULT ", m.workflow_version, m.notebook_id,"
		" m.notebook_version, m.content"
		" FROM " JOB " j JOIN notebook_migrate.mapping m"
		" ON m.notebook_id" EQ "j.notebook_id"
		" AND m.mapping_id" EQ "j.mapping_id"
		" WHERE j.work" EQ "$1 AND j.workflow_id IS NOT NULL"
		" AND j.state" EQ "'done' AND " JOB_HOLDS
		" AND EXISTS (SELECT FROM notebook_migrate.notebook_version v"
		" WHERE v.notebook_id" EQ "m.notebook_id"
		" AND v.version" EQ "m.notebook_version)"
		" ORDER BY j.job_id DESC LIMIT 1",
		1, {BYTEAOID}
	},
	[Q_JOB_EQUAL_BARE] = {
		/*
		 * What is done is among what waits: an index that told them apart
		 * would have to be written when a job is done.  So some are looked
		 * at, those of the oldest notebooks.
		 */
		"SELECT " JOB_RESULT " FROM (SELECT * FROM " JOB
		" WHERE work" EQ "$1 AND dedupe"
		" ORDER BY notebook_id, job_id LIMIT 50) j"
		" WHERE j.state" EQ "'done' AND j.workflow_id IS NULL LIMIT 1",
		1, {BYTEAOID}
	},
	[Q_JOB_EQUAL_OPEN] = {
		"SELECT job_id FROM " JOB " WHERE work" EQ "$1"
		" AND notebook_id" EQ "$2 AND dedupe AND finished_at IS NULL"
		" ORDER BY job_id DESC LIMIT 1",
		2, {BYTEAOID, INT8OID}
	},
	[Q_JOB_ASKED] = {
		"SELECT work FROM " JOB " WHERE job_id" EQ "$1 AND dedupe",
		1, {INT8OID}
	},
	[Q_JOB_HASTEN] = {
		/*
		 * Waits for nobody: who has the row locked is handing the job out, or
		 * finishing it.  A retry keeps its time.
		 */
		"WITH c AS MATERIALIZED (SELECT notebook_id, job_id,"
		" GREATEST(priority, $2) AS priority,"
		" CASE WHEN attempt" EQ "0 THEN LEAST(run_after, $3)"
		" ELSE run_after END AS run_after"
		" FROM " JOB " WHERE job_id" EQ "$1 AND state" EQ "'waiting'"
		" AND (priority" LT "$2 OR attempt" EQ "0 AND run_after" GT "$3)"
		" FOR NO KEY UPDATE SKIP LOCKED),"
		" t AS (UPDATE " TURN " t SET at = c.run_after,"
		" rank = CASE WHEN t.is_ready"
		" THEN OPERATOR(pg_catalog.-) c.priority::bigint ELSE 0 END FROM c"
		" WHERE t.notebook_id" EQ "c.notebook_id AND t.job_id" EQ "c.job_id)"
		" UPDATE " JOB " j SET priority = c.priority, run_after = c.run_after"
		" FROM c WHERE j.job_id" EQ "c.job_id",
		3, {INT8OID, INT4OID, TIMESTAMPTZOID}
	},
	[Q_JOB_JOIN] = {
		"SELECT true FROM " LINE " WHERE notebook_id" EQ "$1"
		" AND kind" EQ "$2 FOR KEY SHARE",
		2, {INT8OID, TEXTOID}
	},
	[Q_JOB_ADD] = {
		"INSERT INTO " JOB " (notebook_id, version, kind, priority,"
		" created_at, run_after, max_attempts, payload, work, dedupe)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
		" RETURNING job_id",
		10, {INT8OID, INT4OID, TEXTOID, INT4OID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, INT4OID, JSONBOID, BYTEAOID, BOOLOID}
	},
	[Q_JOB_LEAD] = {
		"WITH l AS (INSERT INTO " LINE " (notebook_id, kind) VALUES ($1, $2))"
		" INSERT INTO " TURN " (notebook_id, kind, job_id, is_ready, rank, at)"
		" VALUES ($1, $2, $3, $5" LE "$6, CASE WHEN $5" LE "$6 THEN $4 ELSE 0"
		" END, $5)",
		6, {INT8OID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	[Q_JOB_ADD_EQUAL] = {
		"INSERT INTO " JOB " (notebook_id, version, kind, priority,"
		" created_at, run_after, max_attempts, payload, work, state,"
		" finished_at, workflow_id, workflow_version, mapping_id, warnings,"
		" equal_to, dedupe)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'done', $5, $10, $11,"
		" $12, $13, $14, true) RETURNING job_id",
		14, {INT8OID, INT4OID, TEXTOID, INT4OID, TIMESTAMPTZOID,
			TIMESTAMPTZOID, INT4OID, JSONBOID, BYTEAOID,
		INT8OID, INT4OID, INT8OID, TEXTARRAYOID, INT8OID}
	},
	[Q_JOB_DUE] = {
		"SELECT t.notebook_id, t.kind, t.job_id FROM " TURN " t"
		" WHERE " TURN_IS_DUE " ORDER BY t.is_ready, t.rank, t.at, t.job_id"
		" LIMIT 100",
		1, {TIMESTAMPTZOID}
	},
	[Q_JOB_WAKE] = {
		"WITH d AS MATERIALIZED (SELECT t.notebook_id, t.job_id FROM " TURN " t"
		" WHERE " TURN_IS_DUE " ORDER BY t.is_ready, t.rank, t.at, t.job_id"
		" LIMIT 100),"
		" c AS MATERIALIZED (SELECT j.notebook_id, j.job_id, j.run_after, j.priority"
		" FROM d, LATERAL (SELECT * FROM " JOB " j WHERE j.job_id" EQ "d.job_id"
		" AND (j.state" EQ "'leased' AND j.lease_until" LT "$1"
		" OR j.state" EQ "'waiting' AND j.run_after" LT "$1)"
		" FOR NO KEY UPDATE SKIP LOCKED) AS j),"
		" t AS (UPDATE " TURN " t SET is_ready = true, at = c.run_after,"
		" rank = OPERATOR(pg_catalog.-) c.priority::bigint FROM c"
		" WHERE t.notebook_id" EQ "c.notebook_id AND t.job_id" EQ "c.job_id)"
		" UPDATE " JOB " j SET token = NULL, lease_until = NULL,"
		" state = CASE WHEN " JOB_IS_DEAD " THEN 'dead' ELSE 'waiting' END,"
		" finished_at = CASE WHEN " JOB_IS_DEAD " THEN $1 END,"
		" work = CASE WHEN NOT " JOB_IS_DEAD " THEN j.work END,"
		" errors = CASE WHEN j.state" EQ "'leased' THEN "
		JOB_ERROR("j.lease_until", "'the lease ran out'")
		" ELSE j.errors END FROM c WHERE j.job_id" EQ "c.job_id"
		" RETURNING j.notebook_id, j.kind, j.job_id,"
		" j.finished_at IS NOT NULL",
		1, {TIMESTAMPTZOID}
	},
	[Q_JOB_CLAIM] = {
		/* if nobody has it locked */
		"UPDATE " JOB " j SET state = 'leased', worker = $2, started_at = $3,"
		" lease_until = $4, attempt = j.attempt" PLUS "1,"
		" token = pg_catalog.gen_random_uuid()"
		" WHERE j.job_id" EQ "(SELECT job_id FROM " JOB
		" WHERE job_id" EQ "$1 AND state" EQ "'waiting'"
		" FOR NO KEY UPDATE SKIP LOCKED)"
		" RETURNING j.token, j.version, j.attempt, j.payload",
		4, {INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	},
	[Q_JOB_LOCK] = {
		"SELECT notebook_id, version, kind, state, attempt, max_attempts,"
		" lease_until, token, payload FROM " JOB
		" WHERE job_id" EQ "$1 FOR NO KEY UPDATE",
		1, {INT8OID}
	},
	[Q_JOB_EXTEND] = {
		"WITH j AS (UPDATE " JOB " SET lease_until = $3,"
		" progress = coalesce($4, progress) WHERE job_id" EQ "$2)"
		" UPDATE " TURN " SET at = $3"
		" WHERE notebook_id" EQ "$1 AND job_id" EQ "$2",
		4, {INT8OID, INT8OID, TIMESTAMPTZOID, JSONBOID}
	},
	[Q_JOB_FINISH] = {
		"UPDATE " JOB " j SET state = $3, finished_at = $4, token = NULL,"
		" lease_until = NULL, usage = $5, workflow_id = $6,"
		" workflow_version = $7, mapping_id = $8, warnings = $9,"
		" equal_to = $10, work = CASE WHEN $3" EQ "'done' THEN j.work END,"
		" dedupe = j.dedupe OR $3" EQ "'done',"
		" errors = CASE WHEN $11 IS NULL THEN j.errors ELSE "
		JOB_ERROR("$4", "$11") " END"
		" WHERE j.notebook_id" EQ "$1 AND j.job_id" EQ "$2",
		11, {INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, JSONBOID, INT8OID,
		INT4OID, INT8OID, TEXTARRAYOID, INT8OID, TEXTOID}
	},
	[Q_JOB_DONE] = {
		/* the same without a result, if it is leased: else it has no token */
		"UPDATE " JOB " SET state = 'done', finished_at = $3, token = NULL,"
		" lease_until = NULL, dedupe = true, usage = $4"
		" WHERE job_id" EQ "$1 AND token" EQ "$2 AND lease_until" GT "$3"
		" AND kind OPERATOR(pg_catalog.<>) $5"
		" RETURNING notebook_id, kind",
		5, {INT8OID, UUIDOID, TIMESTAMPTZOID, JSONBOID, TEXTOID}
	},
	[Q_JOB_RETRY] = {
		"WITH j AS (UPDATE " JOB " j SET state = 'waiting', token = NULL,"
		" lease_until = NULL, run_after = $4,"
		" errors = " JOB_ERROR("$3", "$5") " WHERE j.job_id" EQ "$2)"
		" UPDATE " TURN " SET at = $4"
		" WHERE notebook_id" EQ "$1 AND job_id" EQ "$2",
		5, {INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}
	},
	[Q_JOB_IS_FIRST] = {
		"SELECT true FROM " TURN " WHERE notebook_id" EQ "$1"
		" AND job_id" EQ "$2",
		2, {INT8OID, INT8OID}
	},
	[Q_JOB_LINE_LOCK] = {
		"SELECT true FROM " LINE " WHERE notebook_id" EQ "$1"
		" AND kind" EQ "$2 FOR UPDATE",
		2, {INT8OID, TEXTOID}
	},
	[Q_JOB_LINE_END] = {
		/* only who takes the turn away: else the line is a new one */
		"WITH t AS (DELETE FROM " TURN " WHERE notebook_id" EQ "$1"
		" AND job_id" EQ "$3 RETURNING kind)"
		" DELETE FROM " LINE " USING t WHERE notebook_id" EQ "$1"
		" AND " LINE ".kind" EQ "$2",
		3, {INT8OID, TEXTOID, INT8OID}
	},
	[Q_JOB_PROMPT] = {
		"SELECT notebook_migrate.migration_prompt($1, $2, $3)",
		3, {INT8OID, INT4OID, TEXTOID}
	},
	[Q_JOB_ACCEPT] = {
		"SELECT a.* FROM notebook_migrate.migration_accept($1, $2, $3, $4,"
		" coalesce(($5 OPERATOR(pg_catalog.->>) 'workflow_id')::bigint,"
		" CASE WHEN $5 OPERATOR(pg_catalog.->>) 'scope'" EQ "'changed'"
		" THEN (notebook_migrate.migration_prompt($1, $2, 'changed')"
		" OPERATOR(pg_catalog.->>) 'workflow_id')::bigint END),"
		" $5 OPERATOR(pg_catalog.->>) 'name',"
		" coalesce(($5 OPERATOR(pg_catalog.->>) 'strict')::boolean, false)) AS a",
		5, {INT8OID, INT4OID, TEXTOID, TEXTOID, JSONBOID}
	},
	[Q_JOB_STATUS] = {
		"SELECT pg_catalog.jsonb_build_object('job_id', job_id,"
		" 'notebook_id', notebook_id, 'version', version, 'kind', kind,"
		" 'state', state, 'priority', priority, 'attempts', attempt,"
		" 'max_attempts', max_attempts, 'created_at', created_at,"
		" 'run_after', run_after, 'started_at', started_at,"
		" 'lease_until', lease_until, 'finished_at', finished_at,"
		" 'worker', worker, 'payload', payload, 'progress', progress,"
		" 'usage', usage, 'workflow_id', workflow_id,"
		" 'workflow_version', workflow_version, 'mapping_id', mapping_id,"
		" 'warnings', warnings, 'equal_to', equal_to,"
		" 'error', errors OPERATOR(pg_catalog.->) -1"
		" OPERATOR(pg_catalog.->>) 'error',"
		" 'errors', coalesce(errors, '[]'))"
		" FROM " JOB " WHERE job_id" EQ "$1",
		1, {INT8OID}
	},
	[Q_JOB_STATS] = {
		"SELECT g.*, u.usage"
		" FROM (SELECT kind, state, pg_catalog.count(*),"
		" pg_catalog.min(created_at), pg_catalog.sum(attempt)"
		" FROM " JOB " GROUP BY 1, 2) g"
		" LEFT JOIN (SELECT s.kind, s.state,"
		" pg_catalog.jsonb_object_agg(s.key, s.total) AS usage"
		" FROM (SELECT j.kind, j.state, e.key,"
		" pg_catalog.sum(e.value::numeric) AS total"
		" FROM " JOB " j, LATERAL pg_catalog.jsonb_each(j.usage) e"
		" WHERE pg_catalog.jsonb_typeof(e.value)" EQ "'number'"
		" GROUP BY 1, 2, 3) s GROUP BY 1, 2) u"
		" ON u.kind" EQ "g.kind AND u.state" EQ "g.state"
		" ORDER BY g.kind COLLATE pg_catalog.\"C\", g.state COLLATE pg_catalog.\"C\"",
		0, {0}
	},
	[Q_JOB_PRUNE] = {
		"DELETE FROM " JOB " WHERE finished_at" LT "$1",
		1, {TIMESTAMPTZOID}
	},
};

/* A query's plan, and which of those that it had was made with our settings. */
typedef struct KeptPlan
{
	SPIPlanPtr	plan;
	int			generation;
} KeptPlan;

static KeptPlan plans[NBM_KINDS][QUERIES];

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

/* Prefers index scans until the current nest level ends. */
static void
prefer_indexes(void)
{
	for (int i = 0; i < lengthof(plan_settings); i++)
		nbm_setting_put(plan_settings[i], "off");
}

/*
 * Opens the store for a call that runs no other queries than those in here:
 * SPI, and a search path that nobody can set traps in, which functions have
 * set already.  Returns what nbm_store_end() takes; on error the end of the
 * (sub)transaction undoes it all.
 */
int
nbm_query_begin(void)
{
	int			level = NewGUCNestLevel();

	nbm_setting_pin_path();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	return level;
}

/* The same for any call: plans that are made elsewhere prefer indexes, too. */
int
nbm_store_begin(void)
{
	int			level = nbm_query_begin();

	prefer_indexes();
	return level;
}

/* Closes the store; memory allocated since it was opened is freed. */
void
nbm_store_end(int guc_level)
{
	SPI_finish();
	AtEOXact_GUC(false, guc_level);
}

/* Where the server keeps what belongs to a query's plan. */
static CachedPlanSource *
source_of(const KeptPlan *kept)
{
	return (CachedPlanSource *) linitial(SPI_plan_get_plan_sources(kept->plan));
}

/* Does a query's plan hold for this role, as far as that matters? */
static bool
is_for_role(const CachedPlanSource *source)
{
	Oid			role = GetUserId();

	return (!source->dependsOnRLS ||
			(source->rewriteRoleId == role &&
			 source->rewriteRowSecurity == row_security)) &&
		(!source->gplan->dependsOnRole || source->gplan->planRoleId == role);
}

/* Will the server run a plan that was made with our settings? */
static bool
is_planned(const KeptPlan *kept)
{
	const CachedPlanSource *source = source_of(kept);
	const CachedPlan *plan = source->gplan;

	return kept->generation == source->generation && source->is_valid &&
		plan != NULL && plan->is_valid && is_for_role(source) &&
		!TransactionIdIsValid(plan->saved_xmin);
}

/* Makes a query's plan with our settings, unless it has one that holds. */
static void
make_plan(KeptPlan *kept)
{
	CachedPlanSource *source = source_of(kept);
	int			level = NewGUCNestLevel();

	prefer_indexes();
	if (source->gplan != NULL && kept->generation != source->generation)
		ResetPlanCache();
	ReleaseCachedPlan(SPI_plan_get_cached_plan(kept->plan),
					  CurrentResourceOwner);
	kept->generation = source->generation;
	AtEOXact_GUC(false, level);
}

/*
 * The kept plan of a query, prepared at first use.  The server makes it anew
 * once a table or its statistics were changed, and may notice that between
 * here and running it only: then our settings are missing, so that plan is
 * not used a second time.
 */
SPIPlanPtr
nbm_query_plan(const NbmKind *kind, NbmQuery id)
{
	const QueryText *query = &queries[id];
	KeptPlan   *kept = &plans[kind->number][id];

	if (kept->plan == NULL)
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
		kept->plan = fresh;
	}
	if (!is_planned(kept))
		make_plan(kept);
	return kept->plan;
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

/*
 * Runs a query that sees what is committed by now, whatever the transaction's
 * snapshot: for what must not be missed in silence under REPEATABLE READ.
 */
uint64
nbm_query_run_latest(NbmQuery id, Datum *values, const char *nulls)
{
	int			result;

	result = SPI_execute_snapshot(nbm_query_plan(&nbm_notebook, id), values,
								  nulls, GetLatestSnapshot(),
								  InvalidSnapshot, false, true, 0);
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
