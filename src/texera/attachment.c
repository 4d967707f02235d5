/*
 * attachment.c
 *		What is kept of attached tables.
 *
 * Labels: texera_version says which row of workflow_version was written by
 * the save that made a version.  The application writes that row first when
 * it saves and last when it creates a workflow, so the newest row is noted in
 * texera_vid, where a save finds it without reading the application's table,
 * which has no index for it; and a version made by a creation waits for its
 * row with a label that is NULL.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "attachment.h"
#include "query.h"

typedef enum Statement
{
	S_LOCK,
	S_ADD,
	S_FIND,
	S_LIST,
	S_DROP,
	S_AWAIT,
	S_NEWEST,
	S_LABEL,
	S_SHIFT,
	S_FIRST,
	S_VERSION,
	S_VID,
	S_ARRIVED,
	S_FORGET_VIDS,
	S_FORGET_PROGRESS,
	S_PROBLEM,
	S_PROGRESS,
	STATEMENTS
} Statement;

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
	[S_AWAIT] = {
		"INSERT INTO notebook_migrate.texera_version"
		" (workflow_id, version, vid, exact) VALUES ($1, $2, NULL, false)",
		2, {INT8OID, INT4OID}
	},
	[S_NEWEST] = {
		"INSERT INTO notebook_migrate.texera_version"
		" (workflow_id, version, vid, exact)"
		" SELECT $1, $2, n.vid, NOT EXISTS"
		" (SELECT FROM notebook_migrate.texera_version l"
		" WHERE l.workflow_id = $1 AND l.vid = n.vid)"
		" FROM (SELECT v.vid FROM notebook_migrate.texera_vid v"
		" WHERE v.workflow_id = $1 ORDER BY v.vid DESC LIMIT 1) n",
		2, {INT8OID, INT4OID}
	},
	[S_LABEL] = {
		"INSERT INTO notebook_migrate.texera_version"
		" (workflow_id, version, vid, exact) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT DO NOTHING",
		4, {INT8OID, INT4OID, INT8OID, BOOLOID}
	},
	[S_SHIFT] = {
		/* in two steps: no two rows of a workflow may share a version */
		"WITH moved AS (DELETE FROM notebook_migrate.texera_version"
		" WHERE workflow_id = $1 RETURNING version, vid, exact)"
		" SELECT version, vid, exact FROM moved",
		1, {INT8OID}
	},
	[S_FIRST] = {
		"SELECT vid FROM notebook_migrate.texera_version"
		" WHERE workflow_id = $1 AND version = 1 AND vid IS NOT NULL",
		1, {INT8OID}
	},
	[S_VERSION] = {
		/* the newest row up to the one asked for, else the oldest there is */
		"SELECT version FROM notebook_migrate.texera_version"
		" WHERE workflow_id = $1 AND vid <= $2"
		" ORDER BY vid DESC, exact DESC, version DESC LIMIT 1",
		2, {INT8OID, INT8OID}
	},
	[S_VID] = {
		"INSERT INTO notebook_migrate.texera_vid (workflow_id, vid)"
		" VALUES ($1, $2) ON CONFLICT DO NOTHING",
		2, {INT8OID, INT8OID}
	},
	[S_ARRIVED] = {
		"UPDATE notebook_migrate.texera_version SET vid = $2, exact = true"
		" WHERE workflow_id = $1 AND vid IS NULL",
		2, {INT8OID, INT8OID}
	},
	[S_FORGET_VIDS] = {
		"DELETE FROM notebook_migrate.texera_vid WHERE workflow_id = $1",
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
 * Runs a statement, prepared at first use; returns its number of rows.  SPI
 * goes over to a memory context of its own; the caller's is kept.
 */
static uint64
run(Statement id, Datum *values, const char *nulls)
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
	result = SPI_execute_plan(plans[id], values, nulls, false, 0);
	MemoryContextSwitchTo(outer);
	if (result < 0)
		elog(ERROR, "statement %d failed: %s", id,
			 SPI_result_code_string(result));
	return SPI_processed;
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

/* A version was made by a creation, whose row is yet to come. */
void
nbm_label_await(int64 workflow_id, int32 version)
{
	Datum		values[2] = {
		Int64GetDatum(workflow_id), Int32GetDatum(version)
	};

	run(S_AWAIT, values, NULL);
}

/*
 * A version was made by a save: its row is the newest one there is, unless a
 * version before it has that already.
 */
void
nbm_label_newest(int64 workflow_id, int32 version)
{
	Datum		values[2] = {
		Int64GetDatum(workflow_id), Int32GetDatum(version)
	};

	run(S_NEWEST, values, NULL);
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

/* The versions of a workflow have new numbers, all higher by the same. */
void
nbm_label_shift(int64 workflow_id, int32 by)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};
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

/* The version that a workflow was at with a row; 0: none is known. */
int32
nbm_label_version(int64 workflow_id, int64 vid)
{
	Datum		values[2] = {Int64GetDatum(workflow_id), Int64GetDatum(vid)};
	int32		version = 0;

	if (run(S_VERSION, values, NULL) > 0)
		version = DatumGetInt32(nbm_query_column(0, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	return version;
}

/* Notes a row of workflow_version; a version that waits for one gets it. */
void
nbm_vid_add(int64 workflow_id, int64 vid)
{
	Datum		values[2] = {Int64GetDatum(workflow_id), Int64GetDatum(vid)};

	run(S_VID, values, NULL);
	run(S_ARRIVED, values, NULL);
}

/* The workflow is gone, and what is known of its rows. */
void
nbm_vid_forget(int64 workflow_id)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};

	run(S_FORGET_VIDS, values, NULL);
	run(S_FORGET_PROGRESS, values, NULL);
}

/* Notes what went wrong. */
void
nbm_problem_add(const char *table, const char *key, int sqlstate,
				const char *message)
{
	Datum		values[4] = {
		CStringGetTextDatum(table), CStringGetTextDatum(key),
		CStringGetTextDatum(unpack_sql_state(sqlstate)),
		CStringGetTextDatum(message ? message : "")
	};

	run(S_PROBLEM, values, NULL);
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

/* Forgets labels, problems and progress. */
void
nbm_texera_forget_all(void)
{
	if (SPI_execute("DELETE FROM notebook_migrate.texera_vid", false, 0) < 0 ||
		SPI_execute("DELETE FROM notebook_migrate.texera_version", false, 0) < 0 ||
		SPI_execute("DELETE FROM notebook_migrate.texera_problem", false, 0) < 0 ||
		SPI_execute("DELETE FROM notebook_migrate.texera_backfill_progress", false, 0) < 0)
		elog(ERROR, "could not forget what was kept of Texera");
}
