/*
 * sql_texera.c
 *		SQL entry points for users of an attached Texera.
 *
 * They need no rights on the store: what Texera's tables let them read or
 * write is asked there, with their rights, and then done with the owner's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "args.h"
#include "attached_row.h"
#include "clone.h"
#include "guard.h"
#include "maintain.h"
#include "mapping_shape.h"
#include "query.h"
#include "take.h"
#include "texera_access.h"

/* Raises 02000: no notebook is mapped to a workflow. */
static void
no_mapping(int64 workflow_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA),
			 errmsg("workflow " INT64_FORMAT " has no mapping", workflow_id)));
}

/* Raises 02000: what was saved with a row (NULL: is there now) is not known. */
static void
no_state(int64 workflow_id, const int64 *vid)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA),
			 vid == NULL ?
			 errmsg("workflow " INT64_FORMAT " as it is now is not in the store",
					workflow_id) :
			 errmsg("what was saved of workflow " INT64_FORMAT " with vid " INT64_FORMAT " is not in the store",
					workflow_id, *vid),
			 errhint("texera_backfill() takes in what was saved before Texera was attached, or was passed over; texera_problem says what cannot be read.")));
}

/* The version that a row of versions stands for; raises 02000 for none. */
static int32
version_of(int64 workflow_id, int64 vid)
{
	int32		version = nbm_label_version(workflow_id, vid);

	if (version == 0 || nbm_gap_has(workflow_id, &vid))
		no_state(workflow_id, &vid);
	return version;
}

PG_FUNCTION_INFO_V1(nbm_texera_mapping);

/* texera_mapping(wid, vid) -> the mapping as it is for that row of versions */
Datum
nbm_texera_mapping(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *attachments = nbm_texera_tables(nbm_function_owner(fcinfo));
	int64		workflow_id;
	int64		notebook_id;
	int32		version = 0;
	NbmAnswer	answer;
	NbmIdentity before;
	Jsonb	   *result;
	int			level;

	nbm_require_arg(fcinfo, 0, "wid");
	workflow_id = PG_GETARG_INT64(0);
	nbm_texera_require(attachments, workflow_id, false);
	notebook_id = nbm_texera_notebook(attachments, workflow_id);
	if (notebook_id < 0 ||
		!nbm_texera_sees_mapping(attachments, workflow_id, notebook_id))
		no_mapping(workflow_id);
	level = nbm_owner_begin(nbm_function_owner(fcinfo), &before);
	if (!nbm_take_is_mapped(notebook_id, workflow_id))
		no_mapping(workflow_id);
	if (!PG_ARGISNULL(1))
		version = version_of(workflow_id, PG_GETARG_INT64(1));
	else if (nbm_gap_has(workflow_id, NULL))
		no_state(workflow_id, NULL);
	nbm_mapping_answer(&answer, notebook_id, NULL, workflow_id,
					   PG_ARGISNULL(1) ? NULL : &version);
	result = nbm_mapping_shape(&answer, caller);
	nbm_owner_end(level, &before);
	PG_RETURN_JSONB_P(result);
}

/* Runs a query on one number as the caller; false: no row, or NULL. */
static bool
ask_number(const char *query, int64 argument, int expected, int64 *number)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(argument)};
	bool		is_null = true;
	int			level = nbm_store_begin();

	if (SPI_execute_with_args(query, 1, types, values, NULL, false, 1) !=
		expected)
		elog(ERROR, "could not use Texera's tables");
	if (SPI_processed > 0)
		*number = DatumGetInt64(nbm_query_column(0, 1, &is_null));
	nbm_store_end(level);
	return !is_null;
}

/* A list of strings as text[]. */
static Datum
strings_datum(List *strings)
{
	Datum	   *elements = palloc_array(Datum, Max(list_length(strings), 1));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, strings)
		elements[count++] = CStringGetTextDatum((char *) lfirst(cell));
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

PG_FUNCTION_INFO_V1(nbm_texera_import_mapping);

/* texera_import_mapping(wid, mapping, vid, nid) -> what became of it */
Datum
nbm_texera_import_mapping(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *attachments = nbm_texera_tables(nbm_function_owner(fcinfo));
	int64		workflow_id;
	int64		notebook_id;
	int64		vid = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2);
	int64		mapping_id;
	int32		notebook_version = 0;
	NbmAttachment *mappings = nbm_texera_table(attachments, NBM_ROLE_MAPPING);
	List	   *problems;
	Datum		values[3];
	bool		nulls[3] = {false};
	NbmIdentity before;
	int			nlinks;
	int			level;

	nbm_require_arg(fcinfo, 0, "wid");
	nbm_require_arg(fcinfo, 1, "mapping");
	InitMaterializedSRF(fcinfo, 0);
	workflow_id = PG_GETARG_INT64(0);
	nbm_texera_require(attachments, workflow_id, true);
	/* another workflow's notebook is not for this caller to join with */
	notebook_id = nbm_texera_notebook(attachments, workflow_id);
	if (notebook_id < 0 ||
		(!PG_ARGISNULL(3) && PG_GETARG_INT64(3) != notebook_id))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 PG_ARGISNULL(3) ?
				 errmsg("workflow " INT64_FORMAT " has no notebook",
						workflow_id) :
				 errmsg("workflow " INT64_FORMAT " has no notebook " INT64_FORMAT,
						workflow_id, PG_GETARG_INT64(3))));
	nbm_texera_require_mapping(attachments, workflow_id, notebook_id);
	level = nbm_owner_begin(nbm_function_owner(fcinfo), &before);
	mapping_id = nbm_take_mapping(notebook_id, workflow_id,
								  PG_ARGISNULL(2) ? NULL : &vid,
								  PG_GETARG_JSONB_P(1), &notebook_version,
								  &nlinks, &problems);
	values[0] = Int64GetDatum(mapping_id);
	nulls[0] = mapping_id == 0;
	values[1] = Int32GetDatum(nlinks);
	values[2] = strings_datum(problems);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	nbm_owner_end(level, &before);
	/* anew, to see what was stated */
	level = nbm_owner_begin(nbm_function_owner(fcinfo), &before);
	if (mappings != NULL)
		nbm_maintain_mappings(mappings->schema, NULL, &workflow_id, true);
	nbm_owner_end(level, &before);
	return (Datum) 0;
}

/*
 * The mapping of a duplicate, in the current context; NULL: there is none.
 * Raises 02000 where one of the workflows is not in the store as it is now.
 */
static Jsonb *
mapping_of_duplicate(Oid owner, int64 notebook_id, int64 from, int64 to)
{
	MemoryContext caller = CurrentMemoryContext;
	Jsonb	   *shape = NULL;
	NbmAnswer	answer;
	NbmIdentity before;
	int			level = nbm_owner_begin(owner, &before);

	if (nbm_take_is_mapped(notebook_id, from))
	{
		if (nbm_gap_has(from, NULL))
			no_state(from, NULL);
		if (nbm_gap_has(to, NULL))
			no_state(to, NULL);
		nbm_mapping_answer(&answer, notebook_id, NULL, from, NULL);
		nbm_answer_for_duplicate(&answer, to);
		shape = nbm_mapping_shape(&answer, caller);
	}
	nbm_owner_end(level, &before);
	return shape;
}

/*
 * The newest row of versions of a workflow, as the caller.  Raises 55000 where
 * there is none, or that table (NULL) is not attached.
 */
static int64
newest_vid(const NbmAttachment *versions, int64 workflow_id)
{
	int64		vid;

	if (versions == NULL)
		nbm_texera_not_attached("workflow_version");
	nbm_check_readable(versions->target, "wid", "vid");
	if (!ask_number(psprintf("SELECT max(vid)::int8 FROM %s WHERE wid = $1",
							 nbm_table_name(versions->target)), workflow_id,
					SPI_OK_SELECT, &vid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("workflow " INT64_FORMAT " has no row in workflow_version, which a mapping needs",
						workflow_id),
				 errhint("Save it once in Texera.")));
	return vid;
}

/* Inserts the mapping row of a duplicate, with the caller's rights. */
static void
insert_mapping(const NbmAttachment *mappings, int64 workflow_id, int64 vid,
			   int64 notebook_id, Jsonb *shape)
{
	Oid			types[4] = {INT8OID, INT8OID, JSONBOID, INT8OID};
	Datum		values[4] = {
		Int64GetDatum(workflow_id), Int64GetDatum(vid), JsonbPGetDatum(shape),
		Int64GetDatum(notebook_id)
	};
	bool		has_nid = get_attnum(mappings->target, "nid") > 0;
	bool		has_vid = get_attnum(mappings->target, "vid") > 0;
	int			level = nbm_store_begin();

	if (SPI_execute_with_args(psprintf("INSERT INTO %s (wid, %s, %s%s) VALUES ($1, $2, $3%s)",
									   nbm_table_name(mappings->target),
									   has_vid ? "vid" : "version",
									   quote_identifier(mappings->content_column),
									   has_nid ? ", nid" : "",
									   has_nid ? ", $4" : ""),
							  has_nid ? 4 : 3, types, values, NULL, false,
							  0) != SPI_OK_INSERT)
		elog(ERROR, "could not write Texera's mapping");
	nbm_store_end(level);
}

/*
 * Copies a notebook to a workflow, with the caller's rights; returns the
 * copy's id.  Raises 02000 where there is none to copy, or to be found then.
 */
static int64
copy_notebook(const NbmAttachment *notebooks, int64 notebook_id,
			  int64 workflow_id)
{
	const char *name = nbm_table_name(notebooks->target);
	const char *key = quote_identifier(notebooks->key_column);
	int64		copy;

	if (!ask_number(psprintf("INSERT INTO %s (wid, notebook) SELECT " INT64_FORMAT
							 ", n.notebook FROM %s n WHERE n.%s = $1 RETURNING %s::int8",
							 name, workflow_id, name, key, key), notebook_id,
					SPI_OK_INSERT_RETURNING, &copy))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("notebook " INT64_FORMAT " was not copied", notebook_id),
				 errdetail("It was deleted meanwhile, or a trigger of Texera's table left the copy out.")));
	return copy;
}

PG_FUNCTION_INFO_V1(nbm_texera_clone);

/* texera_clone(from_wid, to_wid) -> the nid of the duplicate's notebook */
Datum
nbm_texera_clone(PG_FUNCTION_ARGS)
{
	Oid			owner = nbm_function_owner(fcinfo);
	List	   *attachments = nbm_texera_tables(owner);
	NbmAttachment *notebooks = nbm_texera_table(attachments, NBM_ROLE_NOTEBOOK);
	NbmAttachment *mappings = nbm_texera_table(attachments, NBM_ROLE_MAPPING);
	NbmAttachment *versions = nbm_texera_table(attachments, NBM_ROLE_VID);
	int64		from;
	int64		to;
	int64		old_id;
	int64		new_id;
	int64		vid = 0;
	Jsonb	   *shape = NULL;

	nbm_require_arg(fcinfo, 0, "from_wid");
	nbm_require_arg(fcinfo, 1, "to_wid");
	from = PG_GETARG_INT64(0);
	to = PG_GETARG_INT64(1);
	nbm_texera_require(attachments, from, false);
	nbm_texera_require(attachments, to, true);
	old_id = nbm_texera_notebook(attachments, from);
	if (old_id < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("workflow " INT64_FORMAT " has no notebook", from)));
	if (mappings != NULL && nbm_texera_sees_mapping(attachments, from, old_id))
		shape = mapping_of_duplicate(owner, old_id, from, to);
	if (shape != NULL)
		vid = newest_vid(versions, to);
	new_id = copy_notebook(notebooks, old_id, to);
	if (shape != NULL)
		insert_mapping(mappings, to, vid, new_id, shape);
	PG_RETURN_INT64(new_id);
}

/* What texera_may() remembers between the rows of a query. */
typedef struct MayCache
{
	List	   *attachments;
	bool		is_filled;
	const NbmKind *kind;
	bool		write;
	int64		id;
	Oid			role;
	bool		may;
} MayCache;

PG_FUNCTION_INFO_V1(nbm_texera_may_sql);

/* texera_may(kind, id, privilege) -> may the current role use a document? */
Datum
nbm_texera_may_sql(PG_FUNCTION_ARGS)
{
	MayCache   *cache = fcinfo->flinfo->fn_extra;
	const NbmKind *kind = nbm_kind_by_name(nbm_text(nbm_arg_text(fcinfo, 0)));
	int64		id = PG_GETARG_INT64(1);
	bool		write = strcmp(nbm_arg_text(fcinfo, 2), "READ") != 0;

	if (cache == NULL)
	{
		MemoryContext outer = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		cache = palloc0_object(MayCache);
		cache->attachments = nbm_texera_tables(nbm_function_owner(fcinfo));
		MemoryContextSwitchTo(outer);
		fcinfo->flinfo->fn_extra = cache;
	}
	if (!cache->is_filled || cache->id != id || cache->kind != kind ||
		cache->write != write || cache->role != GetUserId())
	{
		cache->is_filled = false;
		cache->may = kind != NULL &&
			nbm_texera_may(cache->attachments, kind, id, write);
		cache->kind = kind;
		cache->id = id;
		cache->write = write;
		cache->role = GetUserId();
		cache->is_filled = true;
	}
	PG_RETURN_BOOL(cache->may);
}

PG_FUNCTION_INFO_V1(nbm_texera_rights);

/* texera_rights(on) */
Datum
nbm_texera_rights(PG_FUNCTION_ARGS)
{
	static const char *const tables[] = {
		"workflow_head", "workflow_version", "workflow_part",
		"workflow_removed", "notebook_head", "notebook_version",
		"notebook_part", "notebook_removed", "mapping", "migration_job",
		"texera_version",
		"texera_vid", "texera_gap", "texera_mapping_row", "attached_document",
		"texera_problem", "texera_backfill_progress"
	};
	NbmIdentity before;
	int			level;

	nbm_require_arg(fcinfo, 0, "on");
	nbm_require_administrator();
	level = nbm_owner_begin(nbm_function_owner(fcinfo), &before);
	for (int i = 0; i < lengthof(tables); i++)
		if (SPI_execute(psprintf("ALTER TABLE notebook_migrate.%s %s ROW LEVEL SECURITY",
								 tables[i], PG_GETARG_BOOL(0) ? "ENABLE" :
								 "DISABLE"), false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not alter table %s", tables[i]);
	nbm_owner_end(level, &before);
	PG_RETURN_VOID();
}
