/*
 * attachment.c
 *		What is kept of attached tables.
 *
 * Labels: texera_version says which row of workflow_version was written by
 * the save that made a version.  The application writes that row first when
 * it saves and last when it creates a workflow, so the newest row is noted in
 * texera_vid, where a save finds it without reading the application's table,
 * which has no index for it; and a version made by a creation waits for its
 * row with a label that is NULL.  A row is used once the workflow was written
 * after it: what is written next is then no save, but a rewrite in place.
 *
 * Gaps: saves that were passed over have rows, and no versions.  texera_gap
 * says which rows these are, from the first one up to, and without, the next
 * whose state is known.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "attachment.h"
#include "maintain.h"
#include "part.h"
#include "query.h"

typedef enum Statement
{
	S_LOCK,
	S_ADD,
	S_FIND,
	S_LIST,
	S_DROP,
	S_MOVE_DOCUMENT,
	S_DOCUMENT,
	S_FORGET_DOCUMENT,
	S_DOCUMENTS,
	S_TEXERA_DOCUMENTS,
	S_AWAIT,
	S_LABEL,
	S_REPLACE,
	S_SHIFT,
	S_FIRST,
	S_EXACT,
	S_VERSION,
	S_ARRIVED,
	S_VID,
	S_DETACHED,
	S_NEWEST,
	S_UNDER_WAY,
	S_USE,
	S_GAP_BEGIN,
	S_GAP_END,
	S_GAP_LAST,
	S_GAP_FILL,
	S_GAP_FORGET,
	S_GAPS,
	S_GAP_HAS,
	S_ROW_FIND,
	S_ROW_NOTE,
	S_ROW_FORGET,
	S_FORGET_VIDS,
	S_FORGET_GAPS,
	S_FORGET_ROWS,
	S_FORGET_NOTEBOOK,
	S_FORGET_PROGRESS,
	S_PROBLEM,
	S_PROBLEM_ONCE,
	S_PROGRESS,
	STATEMENTS
} Statement;

/*
 * The two statements of a save are not further apart; and so many rows are
 * looked at where several save at the same time.
 */
#define UNDER_WAY "interval '5 s'"
#define MAX_UNDER_WAY "100"

#define COLUMNS "target, role, kind, key_column, content_column, schema, maintain_mapping"

/* Texts run with the search path pg_catalog. */
static const struct
{
	const char *text;
	int			nargs;
	Oid			types[7];
}			statements[STATEMENTS] =

{
	[S_LOCK] = {
		"LOCK TABLE notebook_migrate.attachment IN SHARE ROW EXCLUSIVE MODE",
		0, {0}
	},
	[S_ADD] = {
		"INSERT INTO notebook_migrate.attachment (" COLUMNS ")"
		" VALUES ($1, $2, $3, $4, $5, $6, $7)",
		7, {REGCLASSOID, TEXTOID, TEXTOID, NAMEOID, NAMEOID, NAMEOID, BOOLOID}
	},
	[S_FIND] = {
		"SELECT " COLUMNS " FROM notebook_migrate.attachment"
		" WHERE target = $1",
		1, {REGCLASSOID}
	},
	[S_LIST] = {
		"SELECT " COLUMNS " FROM notebook_migrate.attachment"
		" WHERE schema IS NOT NULL AND ($1 IS NULL OR schema = $1)"
		" ORDER BY schema, role",
		1, {NAMEOID}
	},
	[S_DROP] = {
		"DELETE FROM notebook_migrate.attachment WHERE target = $1",
		1, {REGCLASSOID}
	},
	[S_MOVE_DOCUMENT] = {
		"UPDATE notebook_migrate.attached_document SET \"table\" = $3"
		" WHERE kind = $1 AND id = $2 AND \"table\" <> $3",
		3, {TEXTOID, INT8OID, TEXTOID}
	},
	[S_DOCUMENT] = {
		"INSERT INTO notebook_migrate.attached_document"
		" (kind, id, \"table\", is_texera)"
		" SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT"
		" FROM notebook_migrate.attached_document WHERE kind = $1 AND id = $2)",
		4, {TEXTOID, INT8OID, TEXTOID, BOOLOID}
	},
	[S_FORGET_DOCUMENT] = {
		"DELETE FROM notebook_migrate.attached_document"
		" WHERE kind = $1 AND id = $2",
		2, {TEXTOID, INT8OID}
	},
	[S_DOCUMENTS] = {
		"SELECT id FROM notebook_migrate.attached_document"
		" WHERE kind = $1 AND \"table\" = $2 ORDER BY id",
		2, {TEXTOID, TEXTOID}
	},
	[S_TEXERA_DOCUMENTS] = {
		"SELECT id FROM notebook_migrate.attached_document"
		" WHERE kind = $1 AND is_texera ORDER BY id",
		1, {TEXTOID}
	},
	[S_AWAIT] = {
		"INSERT INTO notebook_migrate.texera_version"
		" (workflow_id, version, vid, exact) VALUES ($1, $2, NULL, false)",
		2, {INT8OID, INT4OID}
	},
	[S_LABEL] = {
		"INSERT INTO notebook_migrate.texera_version"
		" (workflow_id, version, vid, exact) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT DO NOTHING",
		4, {INT8OID, INT4OID, INT8OID, BOOLOID}
	},
	[S_REPLACE] = {
		"UPDATE notebook_migrate.texera_version SET vid = $3, exact = $4"
		" WHERE workflow_id = $1 AND version = $2",
		4, {INT8OID, INT4OID, INT8OID, BOOLOID}
	},
	[S_SHIFT] = {
		/* in two steps: no two rows of a workflow may share a version */
		"WITH moved AS (DELETE FROM notebook_migrate.texera_version"
		" WHERE workflow_id = $1 AND version > $2"
		" RETURNING version, vid, exact)"
		" SELECT version, vid, exact FROM moved",
		2, {INT8OID, INT4OID}
	},
	[S_FIRST] = {
		"SELECT vid FROM notebook_migrate.texera_version"
		" WHERE workflow_id = $1 AND version = 1 AND vid IS NOT NULL",
		1, {INT8OID}
	},
	[S_EXACT] = {
		"SELECT version FROM notebook_migrate.texera_version"
		" WHERE workflow_id = $1 AND vid = $2 AND exact",
		2, {INT8OID, INT8OID}
	},
	[S_VERSION] = {
		/*
		 * Of the newest row up to the one asked for: where that is an earlier
		 * one, as it was left.  What was rewritten in place after the row is
		 * not what was saved with it; rows of the past have no such.
		 */
		"SELECT version FROM notebook_migrate.texera_version"
		" WHERE workflow_id = $1 AND vid <= $2"
		" AND (vid < $2 OR exact OR NOT EXISTS (SELECT"
		" FROM notebook_migrate.texera_vid v"
		" WHERE v.workflow_id = $1 AND v.vid = $2))"
		" ORDER BY vid DESC, exact AND vid = $2 DESC, version DESC LIMIT 1",
		2, {INT8OID, INT8OID}
	},
	[S_ARRIVED] = {
		"UPDATE notebook_migrate.texera_version SET vid = $2, exact = true"
		" WHERE workflow_id = $1 AND vid IS NULL",
		2, {INT8OID, INT8OID}
	},
	[S_VID] = {
		/* the first row of a creation that was passed over is used as well */
		"INSERT INTO notebook_migrate.texera_vid (workflow_id, vid, used)"
		" VALUES ($1, $2, $3 OR (EXISTS (SELECT"
		" FROM notebook_migrate.texera_gap g WHERE g.workflow_id = $1"
		" AND g.from_vid = 0 AND g.upto_vid IS NULL) AND NOT EXISTS (SELECT"
		" FROM notebook_migrate.texera_vid v WHERE v.workflow_id = $1)))"
		" ON CONFLICT DO NOTHING",
		3, {INT8OID, INT8OID, BOOLOID}
	},
	[S_DETACHED] = {
		"INSERT INTO notebook_migrate.texera_gap"
		" (workflow_id, from_vid, upto_vid, at_vid)"
		" SELECT $1, n.vid + CASE WHEN n.used THEN 1 ELSE 0 END, $2, $2"
		" FROM (SELECT v.vid, v.used FROM notebook_migrate.texera_vid v"
		" WHERE v.workflow_id = $1 ORDER BY v.vid DESC LIMIT 1) n"
		" WHERE n.vid < $2 AND n.vid + CASE WHEN n.used THEN 1 ELSE 0 END < $2",
		2, {INT8OID, INT8OID}
	},
	[S_NEWEST] = {
		"SELECT n.vid, n.used, (SELECT min(g.from_vid)"
		" FROM notebook_migrate.texera_gap g"
		" WHERE g.workflow_id = $1 AND g.upto_vid IS NULL)"
		" FROM (SELECT) AS one LEFT JOIN LATERAL"
		" (SELECT v.vid, v.used FROM notebook_migrate.texera_vid v"
		" WHERE v.workflow_id = $1 ORDER BY v.vid DESC LIMIT 1) n ON true",
		1, {INT8OID}
	},
	[S_UNDER_WAY] = {
		"SELECT min(r.vid) FROM (SELECT v.vid, v.used, v.noted_at"
		" FROM notebook_migrate.texera_vid v WHERE v.workflow_id = $1"
		" ORDER BY v.vid DESC LIMIT " MAX_UNDER_WAY ") r WHERE NOT r.used"
		" AND r.noted_at > clock_timestamp() - " UNDER_WAY,
		1, {INT8OID}
	},
	[S_USE] = {
		"UPDATE notebook_migrate.texera_vid SET used = true"
		" WHERE workflow_id = $1 AND vid = $2 AND NOT used",
		2, {INT8OID, INT8OID}
	},
	[S_GAP_BEGIN] = {
		"INSERT INTO notebook_migrate.texera_gap"
		" (workflow_id, from_vid, at_vid) VALUES ($1, $2, $3)",
		3, {INT8OID, INT8OID, INT8OID}
	},
	[S_GAP_END] = {
		"WITH ended AS (DELETE FROM notebook_migrate.texera_gap"
		" WHERE workflow_id = $1 AND upto_vid IS NULL AND noted_at <= $3"
		" RETURNING from_vid) INSERT INTO notebook_migrate.texera_gap"
		" (workflow_id, from_vid, upto_vid, at_vid)"
		" SELECT $1, min(from_vid), $2, $2 FROM ended"
		" HAVING min(from_vid) < $2",
		3, {INT8OID, INT8OID, TIMESTAMPTZOID}
	},
	[S_GAP_LAST] = {
		"SELECT at_vid, from_vid <= at_vid, noted_at"
		" FROM notebook_migrate.texera_gap"
		" WHERE workflow_id = $1 AND upto_vid IS NULL"
		" ORDER BY noted_at DESC LIMIT 1",
		1, {INT8OID}
	},
	[S_GAP_FILL] = {
		"WITH filled AS (DELETE FROM notebook_migrate.texera_gap"
		" WHERE workflow_id = $1 AND from_vid >= $2 AND upto_vid <= $3)"
		" INSERT INTO notebook_migrate.texera_gap"
		" (workflow_id, from_vid, upto_vid, at_vid)"
		" SELECT $1, $2, $4, $4 WHERE $2 < $4",
		4, {INT8OID, INT8OID, INT8OID, INT8OID}
	},
	[S_GAP_FORGET] = {
		"DELETE FROM notebook_migrate.texera_gap"
		" WHERE workflow_id = $1 AND upto_vid <= $2",
		2, {INT8OID, INT8OID}
	},
	[S_GAPS] = {
		/* with a rewrite in place in it, a chain does not lead through it */
		"SELECT g.from_vid, g.upto_vid FROM notebook_migrate.texera_gap g"
		" WHERE g.workflow_id = $1 AND g.upto_vid IS NOT NULL"
		" AND NOT EXISTS (SELECT FROM notebook_migrate.texera_version l"
		" WHERE l.workflow_id = $1 AND l.vid >= g.from_vid"
		" AND l.vid < g.upto_vid) ORDER BY g.from_vid",
		1, {INT8OID}
	},
	[S_GAP_HAS] = {
		"SELECT FROM notebook_migrate.texera_gap WHERE workflow_id = $1"
		" AND ($2 >= from_vid OR $2 IS NULL)"
		" AND (upto_vid IS NULL OR $2 < upto_vid) LIMIT 1",
		2, {INT8OID, INT8OID}
	},
	[S_ROW_FIND] = {
		"SELECT pending FROM notebook_migrate.texera_mapping_row"
		" WHERE workflow_id = $1 AND vid = $2 AND notebook_id = $3"
		" AND digest = $4",
		4, {INT8OID, INT8OID, INT8OID, BYTEAOID}
	},
	[S_ROW_NOTE] = {
		"INSERT INTO notebook_migrate.texera_mapping_row"
		" (workflow_id, vid, notebook_id, digest, pending)"
		" VALUES ($1, $2, $3, $4, nullif($5, 0))"
		" ON CONFLICT (workflow_id, vid, notebook_id) DO UPDATE"
		" SET digest = excluded.digest, pending = excluded.pending",
		5, {INT8OID, INT8OID, INT8OID, BYTEAOID, INT4OID}
	},
	[S_ROW_FORGET] = {
		"DELETE FROM notebook_migrate.texera_mapping_row"
		" WHERE workflow_id = $1 AND vid = $2 AND notebook_id = $3",
		3, {INT8OID, INT8OID, INT8OID}
	},
	[S_FORGET_VIDS] = {
		"DELETE FROM notebook_migrate.texera_vid WHERE workflow_id = $1",
		1, {INT8OID}
	},
	[S_FORGET_GAPS] = {
		"DELETE FROM notebook_migrate.texera_gap WHERE workflow_id = $1",
		1, {INT8OID}
	},
	[S_FORGET_ROWS] = {
		"DELETE FROM notebook_migrate.texera_mapping_row"
		" WHERE workflow_id = $1",
		1, {INT8OID}
	},
	[S_FORGET_NOTEBOOK] = {
		"DELETE FROM notebook_migrate.texera_mapping_row"
		" WHERE notebook_id = $1",
		1, {INT8OID}
	},
	[S_FORGET_PROGRESS] = {
		"DELETE FROM notebook_migrate.texera_backfill_progress"
		" WHERE workflow_id = $1",
		1, {INT8OID}
	},
	[S_PROBLEM] = {
		"INSERT INTO notebook_migrate.texera_problem"
		" (\"table\", key, sqlstate, message) VALUES ($1, $2, $3, $4)",
		4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	},
	[S_PROBLEM_ONCE] = {
		"INSERT INTO notebook_migrate.texera_problem"
		" (\"table\", key, sqlstate, message) SELECT $1, $2, $3, $4"
		" WHERE NOT EXISTS (SELECT FROM notebook_migrate.texera_problem"
		" WHERE \"table\" = $1 AND key = $2 AND sqlstate = $3"
		" AND message = $4)",
		4, {TEXTOID, TEXTOID, TEXTOID, TEXTOID}
	},
	[S_PROGRESS] = {
		"INSERT INTO notebook_migrate.texera_backfill_progress"
		" (workflow_id, rows, versions, note) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT (workflow_id) DO UPDATE SET rows = excluded.rows,"
		" versions = excluded.versions, note = excluded.note,"
		" finished_at = excluded.finished_at",
		4, {INT8OID, INT4OID, INT4OID, TEXTOID}
	},
};

static SPIPlanPtr plans[STATEMENTS];

/* The names of the roles in the table. */
static const char *const role_names[] = {
	[NBM_ROLE_DOCUMENT] = "document",
	[NBM_ROLE_WORKFLOW] = "texera workflow",
	[NBM_ROLE_VID] = "texera version",
	[NBM_ROLE_NOTEBOOK] = "texera notebook",
	[NBM_ROLE_MAPPING] = "texera mapping",
};

/*
 * Runs a statement, prepared at first use; returns its number of rows.  Sees
 * what the active snapshot sees, or what is there by now.  SPI goes over to a
 * memory context of its own; the caller's is kept.
 */
static uint64
run_as_of(Statement id, Datum *values, const char *nulls, bool snapshot)
{
	MemoryContext outer = CurrentMemoryContext;
	int			result;

	if (plans[id] == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(statements[id].text,
											  statements[id].nargs,
											  (Oid *) statements[id].types,
											  CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL)
			elog(ERROR, "could not prepare statement %d: %s", id,
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		plans[id] = plan;
	}
	result = SPI_execute_plan(plans[id], values, nulls, snapshot, 0);
	MemoryContextSwitchTo(outer);
	if (result < 0)
		elog(ERROR, "statement %d failed: %s", id,
			 SPI_result_code_string(result));
	return SPI_processed;
}

/* Runs a statement on what is there by now. */
static uint64
run(Statement id, Datum *values, const char *nulls)
{
	return run_as_of(id, values, nulls, false);
}

/* A name as a datum of the current context. */
static Datum
name_datum(const char *name)
{
	return DirectFunctionCall1(namein, CStringGetDatum(name ? name : ""));
}

/* Keeps others from attaching and detaching until the transaction ends. */
void
nbm_attachments_lock(void)
{
	run(S_LOCK, NULL, NULL);
}

/* Notes that a table is attached. */
void
nbm_attachment_add(const NbmAttachment *attachment)
{
	char		nulls[] = "       ";
	Datum		values[7] = {
		ObjectIdGetDatum(attachment->target),
		CStringGetTextDatum(role_names[attachment->role]),
		CStringGetTextDatum(attachment->kind->name),
		name_datum(attachment->key_column),
		name_datum(attachment->content_column),
		name_datum(attachment->schema),
		BoolGetDatum(attachment->maintain)
	};

	if (attachment->content_column == NULL)
		nulls[4] = 'n';
	if (attachment->schema == NULL)
		nulls[5] = 'n';
	run(S_ADD, values, nulls);
}

/* A column that holds a name, as a new string; NULL for NULL. */
static char *
name_column(uint64 row, int number)
{
	bool		is_null;
	Datum		value = nbm_query_column(row, number, &is_null);

	return is_null ? NULL : pstrdup(NameStr(*DatumGetName(value)));
}

/* Reads a row of the last result. */
static void
read_attachment(uint64 row, NbmAttachment *attachment)
{
	char	   *role = TextDatumGetCString(nbm_query_column(row, 2, NULL));
	char	   *kind = TextDatumGetCString(nbm_query_column(row, 3, NULL));

	memset(attachment, 0, sizeof(*attachment));
	attachment->target = DatumGetObjectId(nbm_query_column(row, 1, NULL));
	while (attachment->role < lengthof(role_names) - 1 &&
		   strcmp(role_names[attachment->role], role) != 0)
		attachment->role++;
	attachment->kind = strcmp(kind, nbm_notebook.name) == 0 ?
		&nbm_notebook : &nbm_workflow;
	attachment->key_column = name_column(row, 4);
	attachment->content_column = name_column(row, 5);
	attachment->schema = name_column(row, 6);
	attachment->maintain = DatumGetBool(nbm_query_column(row, 7, NULL));
}

/* Is a table attached?  Then *attachment says how. */
bool
nbm_attachment_find(Oid target, NbmAttachment *attachment)
{
	Datum		values[1] = {ObjectIdGetDatum(target)};

	if (run(S_FIND, values, NULL) == 0)
		return false;
	read_attachment(0, attachment);
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* The attached tables of Texera, of one schema or (NULL) of all. */
List *
nbm_attachments(const char *schema)
{
	Datum		values[1] = {name_datum(schema)};
	uint64		rows = run(S_LIST, values, schema ? NULL : "n");
	List	   *result = NIL;

	for (uint64 row = 0; row < rows; row++)
	{
		NbmAttachment *attachment = palloc_object(NbmAttachment);

		read_attachment(row, attachment);
		result = lappend(result, attachment);
	}
	SPI_freetuptable(SPI_tuptable);
	return result;
}

/* A table is attached no more. */
void
nbm_attachment_drop(Oid target)
{
	Datum		values[1] = {ObjectIdGetDatum(target)};

	run(S_DROP, values, NULL);
}

/* Notes that a document came from a table. */
void
nbm_attached_note(const NbmAttachment *attachment, int64 id)
{
	Datum		values[4] = {
		CStringGetTextDatum(attachment->kind->name), Int64GetDatum(id),
		CStringGetTextDatum(nbm_table_name(attachment->target)),
		BoolGetDatum(attachment->schema != NULL)
	};

	run(S_MOVE_DOCUMENT, values, NULL);
	run(S_DOCUMENT, values, NULL);
}

/* Forgets it. */
void
nbm_attached_forget(const NbmKind *kind, int64 id)
{
	Datum		values[2] = {
		CStringGetTextDatum(kind->name), Int64GetDatum(id)
	};

	run(S_FORGET_DOCUMENT, values, NULL);
}

/*
 * The documents of a kind that came from a table, or (NULL) from any of
 * Texera's; in the current context.
 */
int64 *
nbm_attached_documents(const NbmKind *kind, const char *table, int *count)
{
	Datum		values[2] = {
		CStringGetTextDatum(kind->name),
		table ? CStringGetTextDatum(table) : (Datum) 0
	};
	uint64		rows = run(table ? S_DOCUMENTS : S_TEXERA_DOCUMENTS, values,
						   NULL);
	int64	   *ids = palloc_array(int64, Max(rows, 1));

	for (uint64 row = 0; row < rows; row++)
		ids[row] = DatumGetInt64(nbm_query_column(row, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	*count = rows;
	return ids;
}

/* A version was made by a creation, whose row is yet to come. */
void
nbm_label_await(int64 workflow_id, int32 version)
{
	Datum		values[2] = {
		Int64GetDatum(workflow_id), Int32GetDatum(version)
	};

	run(S_AWAIT, values, NULL);
}

/* Labels a version, unless it is labelled. */
void
nbm_label_add(int64 workflow_id, int32 version, int64 vid, bool is_exact)
{
	Datum		values[4] = {
		Int64GetDatum(workflow_id), Int32GetDatum(version),
		Int64GetDatum(vid), BoolGetDatum(is_exact)
	};

	run(S_LABEL, values, NULL);
}

/* Gives a version that is labelled another label. */
void
nbm_label_replace(int64 workflow_id, int32 version, int64 vid, bool is_exact)
{
	Datum		values[4] = {
		Int64GetDatum(workflow_id), Int32GetDatum(version),
		Int64GetDatum(vid), BoolGetDatum(is_exact)
	};

	run(S_REPLACE, values, NULL);
}

/* The versions of a workflow after one have new numbers, higher by the same. */
void
nbm_label_shift(int64 workflow_id, int32 after, int32 by)
{
	Datum		values[2] = {
		Int64GetDatum(workflow_id), Int32GetDatum(after)
	};
	uint64		rows = run(S_SHIFT, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	for (uint64 row = 0; row < rows; row++)
	{
		bool		is_null;
		int32		version;
		Datum		vid;
		bool		is_exact;

		SPI_tuptable = table;
		version = DatumGetInt32(nbm_query_column(row, 1, NULL)) + by;
		vid = nbm_query_column(row, 2, &is_null);
		is_exact = DatumGetBool(nbm_query_column(row, 3, NULL));
		if (is_null)
			nbm_label_await(workflow_id, version);
		else
			nbm_label_add(workflow_id, version, DatumGetInt64(vid), is_exact);
	}
	SPI_freetuptable(table);
}

/* The row of the first version of a workflow; -1: it has none. */
int64
nbm_label_first(int64 workflow_id)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};
	int64		vid = -1;

	if (run(S_FIRST, values, NULL) > 0)
		vid = DatumGetInt64(nbm_query_column(0, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	return vid;
}

/* The number that a query finds for a workflow and a row; 0: none. */
static int32
find_version(Statement query, int64 workflow_id, int64 vid)
{
	Datum		values[2] = {Int64GetDatum(workflow_id), Int64GetDatum(vid)};
	int32		version = 0;

	if (run(query, values, NULL) > 0)
		version = DatumGetInt32(nbm_query_column(0, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	return version;
}

/* The version that a workflow was at with a row; 0: none is known. */
int32
nbm_label_version(int64 workflow_id, int64 vid)
{
	return find_version(S_VERSION, workflow_id, vid);
}

/* The version whose save wrote a row; 0: none is known. */
int32
nbm_label_exact(int64 workflow_id, int64 vid)
{
	return find_version(S_EXACT, workflow_id, vid);
}

/* Notes a row of workflow_version; a version that waits for one gets it. */
void
nbm_vid_add(int64 workflow_id, int64 vid)
{
	Datum		values[3] = {Int64GetDatum(workflow_id), Int64GetDatum(vid)};

	values[2] = BoolGetDatum(run(S_ARRIVED, values, NULL) > 0);
	run(S_VID, values, NULL);
}

/*
 * Notes the newest row that there is when a table is attached.  Rows between
 * it and what was known before were written while it was not.
 */
void
nbm_vid_present(int64 workflow_id, int64 vid)
{
	Datum		values[2] = {Int64GetDatum(workflow_id), Int64GetDatum(vid)};

	run(S_DETACHED, values, NULL);
	nbm_vid_add(workflow_id, vid);
}

/*
 * The row that belongs to what is written to a workflow: the newest.  It was
 * written by the same save if it is not used; or, where several save at the
 * same time, if another one is not that was written just now.
 */
void
nbm_vid_current(int64 workflow_id, bool is_save, NbmCurrentVid *current)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};
	bool		is_null;
	Datum		value;

	run(S_NEWEST, values, NULL);
	value = nbm_query_column(0, 1, &is_null);
	current->vid = is_null ? 0 : DatumGetInt64(value);
	value = nbm_query_column(0, 2, &is_null);
	current->unused = is_null || DatumGetBool(value) ? 0 : current->vid;
	value = nbm_query_column(0, 3, &is_null);
	current->is_behind = !is_null;
	current->is_missing = !is_null && DatumGetInt64(value) <= current->vid;
	SPI_freetuptable(SPI_tuptable);
	if (current->unused != 0 || current->vid == 0 || !is_save)
		return;
	run(S_UNDER_WAY, values, NULL);
	value = nbm_query_column(0, 1, &is_null);
	current->unused = is_null ? 0 : DatumGetInt64(value);
	SPI_freetuptable(SPI_tuptable);
}

/* The workflow was written after a row. */
void
nbm_vid_use(int64 workflow_id, int64 vid)
{
	Datum		values[2] = {Int64GetDatum(workflow_id), Int64GetDatum(vid)};

	run(S_USE, values, NULL);
}

/* What is saved from now on, up to nbm_gap_end(), is not in the store. */
void
nbm_gap_begin(int64 workflow_id, const NbmCurrentVid *current)
{
	Datum		values[3] = {
		Int64GetDatum(workflow_id),
		Int64GetDatum(current->vid == 0 ? 0 :
					  current->vid + (current->unused == 0)),
		Int64GetDatum(current->vid)
	};

	run(S_GAP_BEGIN, values, NULL);
}

/*
 * The workflow is in the store as it was since a row, and no later than
 * noted_at: what was passed over after that is still missing.
 */
void
nbm_gap_end(int64 workflow_id, int64 vid, TimestampTz noted_at)
{
	Datum		values[3] = {
		Int64GetDatum(workflow_id), Int64GetDatum(vid),
		TimestampTzGetDatum(noted_at)
	};

	run(S_GAP_END, values, NULL);
}

/*
 * What was last passed over of a workflow, by the active snapshot; false:
 * nothing since it was last taken in.
 */
bool
nbm_gap_last(int64 workflow_id, NbmMissed *missed)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};

	if (run_as_of(S_GAP_LAST, values, NULL, true) == 0)
		return false;
	missed->vid = DatumGetInt64(nbm_query_column(0, 1, NULL));
	missed->is_save = DatumGetBool(nbm_query_column(0, 2, NULL));
	missed->noted_at = DatumGetTimestampTz(nbm_query_column(0, 3, NULL));
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/*
 * The gaps of a workflow that a chain of patches may lead through, in the
 * current context.
 */
NbmVidGap *
nbm_gaps(int64 workflow_id, int *count)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};
	uint64		rows = run(S_GAPS, values, NULL);
	NbmVidGap  *gaps = palloc_array(NbmVidGap, Max(rows, 1));

	for (uint64 row = 0; row < rows; row++)
	{
		gaps[row].from = DatumGetInt64(nbm_query_column(row, 1, NULL));
		gaps[row].upto = DatumGetInt64(nbm_query_column(row, 2, NULL));
	}
	SPI_freetuptable(SPI_tuptable);
	*count = rows;
	return gaps;
}

/* What was saved is known from a row of a gap on. */
void
nbm_gap_fill(int64 workflow_id, const NbmVidGap *gap, int64 upto)
{
	Datum		values[4] = {
		Int64GetDatum(workflow_id), Int64GetDatum(gap->from),
		Int64GetDatum(gap->upto), Int64GetDatum(upto)
	};

	run(S_GAP_FILL, values, NULL);
}

/* The past before a row was taken in: what of it is known has its labels. */
void
nbm_gap_forget(int64 workflow_id, int64 vid)
{
	Datum		values[2] = {Int64GetDatum(workflow_id), Int64GetDatum(vid)};

	run(S_GAP_FORGET, values, NULL);
}

/* Is what was saved with a row (NULL: what is there now) not in the store? */
bool
nbm_gap_has(int64 workflow_id, const int64 *vid)
{
	Datum		values[2] = {
		Int64GetDatum(workflow_id), vid ? Int64GetDatum(*vid) : 0
	};

	return run(S_GAP_HAS, values, vid ? NULL : " n") > 0;
}

/* The digest of a mapping. */
static Datum
content_digest(Jsonb *content)
{
	bytea	   *digest = palloc(VARHDRSZ + NBM_DIGEST_LEN);

	SET_VARSIZE(digest, VARHDRSZ + NBM_DIGEST_LEN);
	nbm_sha256((char *) &content->root, VARSIZE(content) - VARHDRSZ,
			   (uint8 *) VARDATA(digest));
	return PointerGetDatum(digest);
}

/*
 * Is a row of Texera's mappings as it was when it was last taken in, or
 * written by us?  Then *pending is the notebook's version that it is for, if
 * the workflow's was not known yet, and else 0.
 */
bool
nbm_mapping_row_find(const NbmMappingKey *key, Jsonb *content, int32 *pending)
{
	Datum		values[4] = {
		Int64GetDatum(key->workflow_id), Int64GetDatum(key->vid),
		Int64GetDatum(key->notebook_id), content_digest(content)
	};
	bool		is_null;
	Datum		value;

	if (run(S_ROW_FIND, values, NULL) == 0)
		return false;
	value = nbm_query_column(0, 1, &is_null);
	*pending = is_null ? 0 : DatumGetInt32(value);
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* Notes what a row of Texera's mappings holds. */
void
nbm_mapping_row_note(const NbmMappingKey *key, Jsonb *content, int32 pending)
{
	Datum		values[5] = {
		Int64GetDatum(key->workflow_id), Int64GetDatum(key->vid),
		Int64GetDatum(key->notebook_id), content_digest(content),
		Int32GetDatum(pending)
	};

	run(S_ROW_NOTE, values, NULL);
}

/* Forgets it. */
void
nbm_mapping_row_forget(const NbmMappingKey *key)
{
	Datum		values[3] = {
		Int64GetDatum(key->workflow_id), Int64GetDatum(key->vid),
		Int64GetDatum(key->notebook_id)
	};

	run(S_ROW_FORGET, values, NULL);
}

/* The workflow is gone, and what is known of its rows. */
void
nbm_workflow_forget(int64 workflow_id)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};

	run(S_FORGET_VIDS, values, NULL);
	run(S_FORGET_GAPS, values, NULL);
	run(S_FORGET_ROWS, values, NULL);
	run(S_FORGET_PROGRESS, values, NULL);
}

/* The notebook is gone, and what is known of its mappings' rows. */
void
nbm_notebook_forget(int64 notebook_id)
{
	Datum		values[1] = {Int64GetDatum(notebook_id)};

	run(S_FORGET_NOTEBOOK, values, NULL);
}

/* The past of a workflow is to be looked at again. */
void
nbm_progress_forget(int64 workflow_id)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};

	run(S_FORGET_PROGRESS, values, NULL);
}

/* Notes what went wrong; once: unless the same is noted already. */
void
nbm_problem_add(const char *table, const char *key, int sqlstate,
				const char *message, bool once)
{
	Datum		values[4] = {
		CStringGetTextDatum(table), CStringGetTextDatum(key),
		CStringGetTextDatum(unpack_sql_state(sqlstate)),
		CStringGetTextDatum(message ? message : "")
	};

	run(once ? S_PROBLEM_ONCE : S_PROBLEM, values, NULL);
}

/* Notes that the past of a workflow was taken in. */
void
nbm_progress_add(int64 workflow_id, int32 rows, int32 versions,
				 const char *note)
{
	Datum		values[4] = {
		Int64GetDatum(workflow_id), Int32GetDatum(rows),
		Int32GetDatum(versions), note ? CStringGetTextDatum(note) : 0
	};

	run(S_PROGRESS, values, note ? NULL : "   n");
}

/* Empties a table of this room. */
static void
empty(const char *table)
{
	if (SPI_execute(psprintf("DELETE FROM notebook_migrate.%s", table), false,
					0) < 0)
		elog(ERROR, "could not empty the table %s", table);
}

/* All rows of workflow_version are gone. */
void
nbm_vid_forget_all(void)
{
	empty("texera_vid");
}

/* All rows of Texera's mappings are gone. */
void
nbm_mapping_row_forget_all(void)
{
	empty("texera_mapping_row");
}

/* Forgets all that is kept of Texera but its documents. */
void
nbm_texera_forget_all(void)
{
	static const char *const tables[] = {
		"texera_vid", "texera_version", "texera_gap", "texera_mapping_row",
		"texera_problem", "texera_backfill_progress"
	};

	for (int i = 0; i < lengthof(tables); i++)
		empty(tables[i]);
}
