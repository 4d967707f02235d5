/*
 * sql_backfill.c
 *		CALL texera_backfill(): the past of all workflows, in batches.
 *
 * A batch is committed as soon as it has taken BATCH_MS: until then savers of
 * its workflows would wait, and they do not wait long.  What one of them could
 * not put into the store is looked for afterwards, so nothing is lost.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "args.h"
#include "attached_write.h"
#include "maintain.h"
#include "query.h"
#include "settings.h"
#include "store.h"
#include "texera_access.h"
#include "texera_past.h"

/* How long a batch lasts, and how often its progress is told, in ms. */
#define BATCH_MS 50
#define NOTICE_MS 5000

/* The work on one schema. */
typedef struct Backfill
{
	NbmTexeraPast past;
	NbmAttachment workflows;
	NbmAttachment mappings;		/* target 0: there are none */
	const char *present;		/* names, as they are quoted */
	const char *mapped;
	SPIPlanPtr	read_present;
	SPIPlanPtr	read_mappings;
	Oid			vtable;			/* Texera's workflow_version */
	Portal		portal;
	MemoryContext scratch;		/* of one workflow */
	List	   *batch;			/* ids of the batch, of context */
	MemoryContext context;
	TimestampTz started;
	TimestampTz told;
	TimestampTz batch_started;
	int64		total;
	int64		workflows_done;
	int64		rows;
	int64		versions;
} Backfill;

/* Tells how far the work is. */
static void
tell(Backfill *work)
{
	long		ms = TimestampDifferenceMilliseconds(work->started,
													 GetCurrentTimestamp());

	ereport(NOTICE,
			(errmsg("texera_backfill: " INT64_FORMAT " of " INT64_FORMAT
					" workflows, " INT64_FORMAT " rows, " INT64_FORMAT
					" versions, %.0f rows/s",
					work->workflows_done, work->total, work->rows,
					work->versions, work->rows * 1000.0 / Max(ms, 1))));
	work->told = GetCurrentTimestamp();
}

/*
 * Raises 42804 unless casts of a column are the server's own, 42703 where
 * there is none.
 */
static void
check_type(Oid table, const char *column, bool is_content)
{
	Oid			type = get_atttype(table, get_attnum(table, column));

	if (is_content ? type != TEXTOID && type != VARCHAROID && type != JSONOID &&
		type != JSONBOID : type >= FirstNormalObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table %s has a type that is not read",
						column, nbm_table_name(table))));
}

/*
 * Locks the tables until the next commit, so that what was prepared reads
 * what it was prepared for, whatever their owners make of them between.
 */
static void
lock_tables(const Backfill *work)
{
	nbm_check_readable(work->workflows.target, "wid", NULL);
	nbm_check_readable(work->vtable, "wid", "vid");
	check_type(work->vtable, "content", true);
	check_type(work->vtable, "creation_time", false);
	if (OidIsValid(work->mappings.target))
		nbm_check_readable(work->mappings.target, "wid", NULL);
	if (strcmp(work->past.table, nbm_table_name(work->vtable)) != 0 ||
		strcmp(work->present, nbm_table_name(work->workflows.target)) != 0 ||
		(work->mapped != NULL &&
		 strcmp(work->mapped, nbm_table_name(work->mappings.target)) != 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a table of Texera was renamed meanwhile")));
}

/* Pins the search path until end_piece(), and the tables, if they are open. */
static int
begin_piece(const Backfill *work)
{
	int			level = NewGUCNestLevel();

	nbm_setting_pin_path();
	if (work->read_present != NULL)
		lock_tables(work);
	PushActiveSnapshot(GetTransactionSnapshot());
	return level;
}

/* Gives it back. */
static void
end_piece(int level)
{
	PopActiveSnapshot();
	AtEOXact_GUC(false, level);
}

/* A kept plan of a query with one bigint. */
static SPIPlanPtr
prepare(const char *query)
{
	Oid			types[1] = {INT8OID};
	SPIPlanPtr	plan = SPI_prepare(query, 1, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query,
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

/* Finds the tables of the schema and prepares what is read of them. */
static void
open_tables(Backfill *work, List *attachments)
{
	ListCell   *cell;

	foreach(cell, attachments)
	{
		NbmAttachment *attachment = lfirst(cell);

		if (strcmp(attachment->schema, work->workflows.schema) != 0)
			continue;
		if (attachment->role == NBM_ROLE_VID)
			work->vtable = attachment->target;
		if (attachment->role == NBM_ROLE_MAPPING)
			work->mappings = *attachment;
	}
	if (!OidIsValid(work->vtable))
		nbm_texera_not_attached("workflow_version");
	work->past.table = nbm_table_name(work->vtable);
	work->present = nbm_table_name(work->workflows.target);
	if (OidIsValid(work->mappings.target))
		work->mapped = nbm_table_name(work->mappings.target);
	lock_tables(work);
	work->past.read_row =
		prepare(psprintf("SELECT content::text::jsonb, %s FROM %s WHERE vid = $1",
						 get_attnum(work->vtable, "creation_time") > 0 ?
						 "creation_time::timestamptz" : "NULL::timestamptz",
						 work->past.table));
	work->read_present =
		prepare(psprintf("SELECT * FROM %s WHERE wid = $1",
						 work->present));
	if (work->mapped != NULL)
		work->read_mappings =
			prepare(psprintf("SELECT * FROM %s WHERE wid = $1",
							 work->mapped));
}

/*
 * Opens the list of workflows that are to be done, each with its rows: those
 * whose past was not taken in, and those of which something is missing since.
 */
static void
open_list(Backfill *work, const int64 *wid)
{
	char	   *which = wid ? psprintf("w.wid = " INT64_FORMAT, *wid) : "true";
	char	   *left = psprintf("%s w LEFT JOIN"
								" notebook_migrate.texera_backfill_progress p"
								" ON p.workflow_id = w.wid WHERE %s"
								" AND (p.workflow_id IS NULL OR EXISTS (SELECT"
								" FROM notebook_migrate.texera_gap g"
								" WHERE g.workflow_id = w.wid))",
								nbm_table_name(work->workflows.target), which);
	char	   *list;

	if (SPI_execute(psprintf("SELECT count(*) FROM %s", left), true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not count the workflows");
	work->total = DatumGetInt64(nbm_query_column(0, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	list = psprintf("SELECT w.wid::int8, array_agg(v.vid::int8 ORDER BY v.vid DESC)"
					" FILTER (WHERE v.vid IS NOT NULL), w.is_done"
					" FROM (SELECT w.wid, p.workflow_id IS NOT NULL AS is_done"
					" FROM %s) w LEFT JOIN %s v ON v.wid = w.wid"
					" GROUP BY w.wid, w.is_done ORDER BY w.wid",
					left, work->past.table);
	work->portal = SPI_cursor_open_with_args(NULL, list, 0, NULL, NULL, NULL,
											 true, 0);
	/* it is held over the commits */
	PinPortal(work->portal);
}

/*
 * Takes the rows in that a query finds for a workflow, as when attaching; or
 * what was passed over (missed), as the active snapshot sees it.
 */
static void
take_rows(Backfill *work, SPIPlanPtr plan, const NbmAttachment *attachment,
		  int64 workflow_id, const NbmMissed *missed)
{
	Datum		values[1] = {Int64GetDatum(workflow_id)};
	MemoryContext outer = CurrentMemoryContext;
	SPITupleTable *table;
	uint64		rows;

	if (SPI_execute_plan(plan, values, NULL, missed != NULL,
						 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read an attached table");
	MemoryContextSwitchTo(outer);	/* SPI has one of its own */
	table = SPI_tuptable;
	rows = SPI_processed;
	for (uint64 i = 0; i < rows; i++)
	{
		NbmWrite	write = {*attachment, work->past.owner};

		write.is_present = true;
		write.missed = missed;
		write.old.desc = write.new.desc = table->tupdesc;
		write.new.tuple = table->vals[i];
		(void) nbm_write_guarded(nbm_write_take, &write, attachment->target);
	}
	SPI_freetuptable(table);
}

/* The rows of a workflow, out of the list's column. */
static void
read_vids(Backfill *work, Datum column, bool is_null)
{
	Datum	   *elements;

	work->past.nvids = 0;
	if (is_null)
		return;
	deconstruct_array(DatumGetArrayTypeP(column), INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, NULL,
					  &work->past.nvids);
	{
		int64	   *vids = palloc_array(int64, Max(work->past.nvids, 1));

		for (int i = 0; i < work->past.nvids; i++)
			vids[i] = DatumGetInt64(elements[i]);
		work->past.vids = vids;
	}
}

/* Does the next workflow of the list; false where there is none. */
static bool
do_next(Backfill *work)
{
	MemoryContext outer;
	bool		is_null;
	bool		is_done;
	Datum		column;

	SPI_cursor_fetch(work->portal, true, 1);
	if (SPI_processed == 0)
		return false;
	outer = MemoryContextSwitchTo(work->scratch);
	work->past.workflow_id = DatumGetInt64(nbm_query_column(0, 1, NULL));
	column = nbm_query_column(0, 2, &is_null);
	read_vids(work, column, is_null);
	is_done = DatumGetBool(nbm_query_column(0, 3, NULL));
	SPI_freetuptable(SPI_tuptable);
	work->past.rows = work->past.versions = 0;
	if (!is_done)
		nbm_texera_take_past(&work->past);
	nbm_texera_take_gaps(&work->past);
	if (work->read_mappings != NULL)
		take_rows(work, work->read_mappings, &work->mappings,
				  work->past.workflow_id, NULL);
	MemoryContextSwitchTo(work->context);
	{
		int64	   *id = palloc_object(int64);

		*id = work->past.workflow_id;
		work->batch = lappend(work->batch, id);
	}
	MemoryContextSwitchTo(outer);
	MemoryContextReset(work->scratch);
	work->workflows_done++;
	work->rows += work->past.rows;
	work->versions += work->past.versions;
	return true;
}

/* Is a workflow as it is now not in the store?  Then its head is locked. */
static bool
lock_behind(const Backfill *work, int64 workflow_id)
{
	NbmStore	store = {&nbm_workflow, workflow_id, false};
	NbmHead		head;
	NbmIdentity before;
	bool		is_behind;
	int			level = nbm_owner_begin(work->past.owner, &before);

	is_behind = nbm_gap_has(workflow_id, NULL);
	if (is_behind)
		(void) nbm_store_try_lock(&store, &head);
	nbm_owner_end(level, &before);
	return is_behind;
}

/*
 * Takes a workflow in that is locked.  What was passed over, and what the
 * application has, are read by one snapshot: who saves just now is noted as
 * passed over, and belongs to neither.
 */
static void
take_missed(Backfill *work, int64 workflow_id)
{
	NbmMissed	missed;
	NbmIdentity before;
	bool		is_behind;
	int			level;

	PushActiveSnapshot(GetLatestSnapshot());
	nbm_become(work->past.owner, &before);
	level = nbm_store_begin();
	is_behind = nbm_gap_last(workflow_id, &missed);
	nbm_store_end(level);
	nbm_be_again(&before);
	if (is_behind)
		take_rows(work, work->read_present, &work->workflows, workflow_id,
				  &missed);
	PopActiveSnapshot();
}

/* Takes in what the workflows of the batch are by now. */
static void
catch_up(Backfill *work)
{
	int			level = begin_piece(work);
	ListCell   *cell;

	foreach(cell, work->batch)
	{
		int64		id = *(int64 *) lfirst(cell);
		MemoryContext outer = MemoryContextSwitchTo(work->scratch);

		CHECK_FOR_INTERRUPTS();
		if (lock_behind(work, id))
			take_missed(work, id);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(work->scratch);
	}
	end_piece(level);
	SPI_commit();
}

/*
 * Commits the batch, and takes in what its workflows are by now: somebody may
 * have saved one while it was locked, and not have waited; and once more, for
 * who saved meanwhile.
 */
static void
end_batch(Backfill *work)
{
	SPI_commit();
	catch_up(work);
	catch_up(work);
	list_free_deep(work->batch);
	work->batch = NIL;
	work->batch_started = GetCurrentTimestamp();
	if (TimestampDifferenceExceeds(work->told, work->batch_started, NOTICE_MS))
		tell(work);
}

/* Does all workflows of one schema, or the one that is given. */
static void
do_schema(Backfill *work, List *attachments, const int64 *wid)
{
	bool		is_more = true;
	int			level = begin_piece(work);

	open_tables(work, attachments);
	open_list(work, wid);
	end_piece(level);
	work->started = work->told = work->batch_started = GetCurrentTimestamp();
	while (is_more)
	{
		level = begin_piece(work);
		while ((is_more = do_next(work)) &&
			   !TimestampDifferenceExceeds(work->batch_started,
										   GetCurrentTimestamp(), BATCH_MS))
			CHECK_FOR_INTERRUPTS();
		end_piece(level);
		end_batch(work);
	}
	UnpinPortal(work->portal);
	SPI_cursor_close(work->portal);
	SPI_freeplan(work->past.read_row);
	SPI_freeplan(work->read_present);
	if (work->read_mappings != NULL)
		SPI_freeplan(work->read_mappings);
	tell(work);
}

/* The attached tables of Texera, in memory that outlives the batches. */
static List *
read_attachments(MemoryContext context, Oid owner)
{
	NbmIdentity before;
	int			level = nbm_owner_begin(owner, &before);
	MemoryContext outer = MemoryContextSwitchTo(context);
	List	   *attachments = nbm_attachments(NULL);

	MemoryContextSwitchTo(outer);
	nbm_owner_end(level, &before);
	return attachments;
}

PG_FUNCTION_INFO_V1(nbm_texera_backfill);

/* CALL texera_backfill(wid) */
Datum
nbm_texera_backfill(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	List	   *attachments;
	ListCell   *cell;
	int64		wid = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT32(0);
	int			nschemas = 0;

	nbm_require_administrator();
	if (!IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("texera_backfill() commits, and so cannot be called in a transaction")));
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	context = AllocSetContextCreate(CurrentMemoryContext,
									"notebook_migrate backfill",
									ALLOCSET_DEFAULT_SIZES);
	attachments = read_attachments(context, nbm_function_owner(fcinfo));
	foreach(cell, attachments)
	{
		NbmAttachment *attachment = lfirst(cell);
		MemoryContext outer = MemoryContextSwitchTo(context);
		Backfill	work = {{0}};

		if (attachment->role != NBM_ROLE_WORKFLOW)
			continue;
		nschemas++;
		work.past.owner = nbm_function_owner(fcinfo);
		work.workflows = *attachment;
		work.context = context;
		work.scratch = AllocSetContextCreate(context,
											 "notebook_migrate past",
											 ALLOCSET_DEFAULT_SIZES);
		do_schema(&work, attachments, PG_ARGISNULL(0) ? NULL : &wid);
		MemoryContextSwitchTo(outer);
	}
	SPI_finish();
	if (nschemas == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("Texera is not attached"),
				 errhint("Call texera_attach() first.")));
	PG_RETURN_VOID();
}
