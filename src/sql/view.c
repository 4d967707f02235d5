/*
 * view.c
 *		Triggers: writes to the views notebook and workflow, deletion of whole
 *		documents, and the guard of the history.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "args.h"
#include "commit.h"
#include "compat.h"

/* Columns of the views, by number from 1. */
typedef struct ViewColumns
{
	int			id;
	int			name;
	int			version;
	int			content;
	int			created_at;
	int			updated_at;
} ViewColumns;

/* Raises 39P01 unless this is the trigger call that it must be. */
static TriggerData *
check_trigger(FunctionCallInfo fcinfo, const char *function,
			  TriggerEvent timing, bool per_row)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s() must be called as a trigger", function)));
	if ((trigger->tg_event & TRIGGER_EVENT_TIMINGMASK) != timing ||
		(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0) != per_row)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s() must be fired %s, for each %s", function,
						timing == TRIGGER_EVENT_INSTEAD ? "instead of a write" :
						timing == TRIGGER_EVENT_BEFORE ? "before a write" :
						"after a write", per_row ? "row" : "statement")));
	return trigger;
}

/*
 * Raises 39P01 unless the trigger is on the extension's own relation: it
 * believes what an old row says, which nobody else may make up.
 */
static void
check_relation(TriggerData *trigger, const char *name)
{
	Relation	relation = trigger->tg_relation;
	char	   *schema = get_namespace_name(RelationGetNamespace(relation));

	if (schema == NULL || strcmp(schema, "notebook_migrate") != 0 ||
		strcmp(RelationGetRelationName(relation), name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("this trigger function is for notebook_migrate.%s only",
						name)));
}

/* Finds a column by name and checks its type; raises 42703 or 42804. */
static int
find_column(TupleDesc desc, const char *name, Oid type)
{
	int			number = SPI_fnumber(desc, name);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the trigger's relation has no column \"%s\"", name)));
	if (SPI_gettypeid(desc, number) != type)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" has the wrong type", name)));
	return number;
}

/* Finds the columns of a view. */
static ViewColumns
find_columns(TupleDesc desc, const NbmKind *kind)
{
	ViewColumns columns;

	columns.id = find_column(desc, psprintf("%s_id", kind->name), INT8OID);
	columns.name = find_column(desc, "name", TEXTOID);
	columns.version = find_column(desc, "version", INT4OID);
	columns.content = find_column(desc, "content", JSONBOID);
	columns.created_at = find_column(desc, "created_at", TIMESTAMPTZOID);
	columns.updated_at = find_column(desc, "updated_at", TIMESTAMPTZOID);
	return columns;
}

/* The content that a row brings; raises 22004 for NULL. */
static Jsonb *
get_content(HeapTuple row, TupleDesc desc, const ViewColumns *columns)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, columns->content, &is_null);

	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("content must not be null")));
	return DatumGetJsonbP(value);
}

/* The name that a row brings, NULL for NULL. */
static char *
get_name(HeapTuple row, TupleDesc desc, const ViewColumns *columns)
{
	bool		is_null;
	Datum		value = SPI_getbinval(row, desc, columns->name, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

/* The row as it is after the write, for RETURNING. */
static HeapTuple
written_row(HeapTuple row, TupleDesc desc, const ViewColumns *columns,
			int64 id, int32 version, const TimestampTz *created_at,
			TimestampTz updated_at)
{
	int			numbers[4] = {
		columns->id, columns->version, columns->updated_at, columns->created_at
	};
	Datum		values[4] = {
		Int64GetDatum(id), Int32GetDatum(version),
		TimestampTzGetDatum(updated_at),
		TimestampTzGetDatum(created_at ? *created_at : 0)
	};
	bool		nulls[4] = {false, false, false, false};

	return heap_modify_tuple_by_cols(row, desc, created_at ? 4 : 3, numbers,
									 values, nulls);
}

/* INSERT INTO the view: a new document. */
static HeapTuple
insert_row(const NbmKind *kind, TriggerData *trigger,
		   const ViewColumns *columns)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	row = trigger->tg_trigtuple;
	Jsonb	   *content = get_content(row, desc, columns);
	char	   *name = get_name(row, desc, columns);
	TimestampTz at;
	bool		no_id;
	Datum		value = SPI_getbinval(row, desc, columns->id, &no_id);
	int64		id = no_id ? 0 : DatumGetInt64(value);
	int			level = nbm_store_begin();

	id = nbm_commit_first(kind, no_id ? NULL : &id, name, content, &at);
	nbm_store_end(level);
	return written_row(row, desc, columns, id, 1, &at, at);
}

/* Is a column of both rows the same? */
static bool
same_column(TriggerData *trigger, int number, bool by_value, int len)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool		old_null;
	bool		new_null;
	Datum		a = SPI_getbinval(trigger->tg_trigtuple, desc, number,
								  &old_null);
	Datum		b = SPI_getbinval(trigger->tg_newtuple, desc, number,
								  &new_null);

	if (old_null || new_null)
		return old_null == new_null;
	return datum_image_eq(a, b, by_value, len);
}

/* Raises 428C9 where an UPDATE sets a column that the store sets. */
static void
check_kept(TriggerData *trigger, int number, int len)
{
	if (!same_column(trigger, number, true, len))
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("column \"%s\" of \"%s\" cannot be updated",
						SPI_fname(RelationGetDescr(trigger->tg_relation),
								  number),
						RelationGetRelationName(trigger->tg_relation)),
				 errhint("Only content and name can be.")));
}

/*
 * Raises 40001 where the row was read of another document, which had the same
 * id and was deleted since.
 */
static void
check_same_document(const NbmStore *store, const NbmHead *head,
					TimestampTz created_at)
{
	if (head->created_at != created_at)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("%s " INT64_FORMAT " was deleted and made anew",
						store->kind->name, store->id)));
}

/* UPDATE of the view: a new version, a new name, or both. */
static HeapTuple
update_row(const NbmKind *kind, TriggerData *trigger,
		   const ViewColumns *columns)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	row = trigger->tg_newtuple;
	bool		is_null;
	Datum		version = SPI_getbinval(trigger->tg_trigtuple, desc,
										columns->version, &is_null);
	Datum		id = SPI_getbinval(trigger->tg_trigtuple, desc, columns->id,
								   &is_null);
	NbmStore	store = {kind, DatumGetInt64(id), false};
	Datum		created_at = SPI_getbinval(trigger->tg_trigtuple, desc,
										   columns->created_at, &is_null);
	int32		expected = DatumGetInt32(version);
	bool		same_content;
	bool		same_name;
	int32		head = expected;
	TimestampTz at;
	int			level;

	check_kept(trigger, columns->id, sizeof(int64));
	check_kept(trigger, columns->version, sizeof(int32));
	check_kept(trigger, columns->created_at, sizeof(int64));
	check_kept(trigger, columns->updated_at, sizeof(int64));
	same_content = same_column(trigger, columns->content, false, -1);
	same_name = same_column(trigger, columns->name, false, -1);
	if (same_content && same_name)
		return row;
	level = nbm_store_begin();
	if (same_content)
	{
		NbmHead		now;

		nbm_store_lock(&store, &now);
		check_same_document(&store, &now, DatumGetTimestampTz(created_at));
		at = Max(GetCurrentTimestamp(), now.updated_at);
	}
	else
	{
		NbmCommit	commit;

		nbm_commit_begin(&commit, &store, &expected, NULL);
		check_same_document(&store, &commit.head,
							DatumGetTimestampTz(created_at));
		head = nbm_commit_document(&commit, get_content(row, desc, columns),
								   get_content(trigger->tg_trigtuple, desc,
											   columns));
		at = commit.at;
	}
	if (!same_name)
		nbm_store_rename(&store, get_name(row, desc, columns), at);
	nbm_store_end(level);
	return written_row(row, desc, columns, store.id, head, NULL, at);
}

/*
 * DELETE FROM the view: the document with its whole history.  NULL where it is
 * gone already, which is how a trigger says that it did nothing.
 */
static HeapTuple
delete_row(const NbmKind *kind, TriggerData *trigger,
		   const ViewColumns *columns)
{
	bool		is_null;
	Datum		id = SPI_getbinval(trigger->tg_trigtuple,
								   RelationGetDescr(trigger->tg_relation),
								   columns->id, &is_null);
	NbmStore	store = {kind, DatumGetInt64(id), false};
	bool		is_there;
	int			level = nbm_store_begin();

	is_there = nbm_store_delete(&store);
	nbm_store_end(level);
	return is_there ? trigger->tg_trigtuple : NULL;
}

/* The INSTEAD OF trigger of the views notebook and workflow. */
static Datum
view_write(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	TriggerData *trigger = check_trigger(fcinfo,
										 psprintf("%s_view_write", kind->name),
										 TRIGGER_EVENT_INSTEAD, true);
	ViewColumns columns;
	HeapTuple	row;

	check_relation(trigger, kind->name);
	columns = find_columns(RelationGetDescr(trigger->tg_relation), kind);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		row = insert_row(kind, trigger, &columns);
	else if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		row = update_row(kind, trigger, &columns);
	else
		row = delete_row(kind, trigger, &columns);
	return PointerGetDatum(row);
}

NBM_FOR_BOTH_KINDS(view_write);

/* The AFTER DELETE trigger of the head tables: the rest goes, too. */
static Datum
head_deleted(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	TriggerData *trigger = check_trigger(fcinfo,
										 psprintf("%s_head_deleted", kind->name),
										 TRIGGER_EVENT_AFTER, true);
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	NbmStore	store = {kind, 0, false};
	bool		is_null;
	int			level;

	check_relation(trigger, psprintf("%s_head", kind->name));
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s_head_deleted() must be fired by DELETE",
						kind->name)));
	store.id = DatumGetInt64(SPI_getbinval(trigger->tg_trigtuple, desc,
										   find_column(desc, psprintf("%s_id",
																	  kind->name),
													   INT8OID), &is_null));
	level = nbm_store_begin();
	nbm_store_delete_contents(&store);
	nbm_store_end(level);
	return PointerGetDatum(NULL);
}

NBM_FOR_BOTH_KINDS(head_deleted);

PG_FUNCTION_INFO_V1(nbm_append_only);

/*
 * The BEFORE UPDATE, DELETE or TRUNCATE trigger of the history's tables:
 * raises 55000 for everyone, but lets a document's history go with it, and
 * versions move up where a past is put before them.
 */
Datum
nbm_append_only(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = check_trigger(fcinfo, "append_only",
										 TRIGGER_EVENT_BEFORE, false);

	if (!(TRIGGER_FIRED_BY_DELETE(trigger->tg_event) &&
		  nbm_store_is_deleting()) &&
		!(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		  nbm_store_is_shifting()))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("history is append-only"),
				 errdetail("Rows of \"%s\" go only with their document.",
						   RelationGetRelationName(trigger->tg_relation)),
				 errhint("Delete the whole document from the view notebook or workflow.")));
	return PointerGetDatum(NULL);
}
