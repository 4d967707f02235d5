/*
 * maintain.c
 *		The application's own mapping rows, brought up to date.
 *
 * The application reads a mapping row of a workflow's notebook and does not
 * look which version it is of; so all rows of the pair get what holds for the
 * newest versions.  They are written with the rights of the table's owner,
 * and what is written is not taken for something that somebody stated.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "attached_row.h"
#include "guard.h"
#include "maintain.h"
#include "mapping_shape.h"
#include "query.h"
#include "store.h"

/* Is what is written to the application's mappings our own? */
static bool maintaining = false;

/* Is what fires the trigger of a mapping table written by this room? */
bool
nbm_is_maintaining(void)
{
	return maintaining;
}

/* The role that owns a table. */
static Oid
table_owner(Oid table)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			owner;

	if (!HeapTupleIsValid(row))
		nbm_table_gone(table);
	owner = ((Form_pg_class) GETSTRUCT(row))->relowner;
	ReleaseSysCache(row);
	return owner;
}

/* A table's name with its schema's, quoted, as a new string. */
char *
nbm_table_name(Oid table)
{
	char	   *name = get_rel_name(table);

	if (name == NULL)
		nbm_table_gone(table);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
									  name);
}

/* The table of a schema that has a role; NULL: there is none. */
static NbmAttachment *
find_table(const char *schema, NbmRole role)
{
	ListCell   *cell;

	foreach(cell, nbm_attachments(schema))
		if (((NbmAttachment *) lfirst(cell))->role == role)
		return lfirst(cell);
	return NULL;
}

/*
 * Raises 22023 where a notebook is another workflow's in the application's
 * table.  Of one that is not there it says nothing.
 */
void
nbm_check_notebook_of(const char *schema, int64 notebook_id,
					  int64 workflow_id)
{
	NbmAttachment *notebooks = find_table(schema, NBM_ROLE_NOTEBOOK);
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {
		Int64GetDatum(notebook_id), Int64GetDatum(workflow_id)
	};
	NbmIdentity before;

	if (notebooks == NULL)
		return;
	nbm_check_readable(notebooks->target, "wid", notebooks->key_column);
	nbm_become_owner(table_owner(notebooks->target), &before);
	if (SPI_execute_with_args(psprintf("SELECT FROM %s WHERE %s = $1 AND wid <> $2",
									   nbm_table_name(notebooks->target),
									   quote_identifier(notebooks->key_column)),
							  2, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the application's notebooks");
	nbm_be_again(&before);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("notebook " INT64_FORMAT " is not of workflow " INT64_FORMAT,
						notebook_id, workflow_id)));
}

/* Notes what the rows of the last result hold, so that nobody stated it. */
static void
note_rows(const NbmMappedPair *pair, Jsonb *shape)
{
	SPITupleTable *table = SPI_tuptable;
	uint64		rows = SPI_processed;
	NbmMappingKey key = {pair->workflow_id, 0, pair->notebook_id};

	for (uint64 i = 0; i < rows; i++)
	{
		NbmRow		row = {table->vals[i], table->tupdesc};

		if (!nbm_row_has(&row, "vid") || nbm_row_int(&row, "vid", &key.vid))
			nbm_mapping_row_note(&key, shape, 0);
	}
	SPI_freetuptable(table);
}

/* The column of a mapping table that names the row of versions; NULL: none. */
static const char *
vid_column(const NbmAttachment *mappings)
{
	static const char *const columns[] = {"vid", "version"};

	for (int i = 0; i < lengthof(columns); i++)
		if (get_attnum(mappings->target, columns[i]) > 0)
			return columns[i];
	return NULL;
}

/*
 * Writes what holds now to the rows of one pair.  Waits for who holds one of
 * them, or raises 55P03.
 */
static void
write_rows(const NbmAttachment *mappings, const NbmMappedPair *pair,
		   Jsonb *shape, bool wait)
{
	bool		has_nid = get_attnum(mappings->target, "nid") > 0;
	const char *column = quote_identifier(mappings->content_column);
	const char *vid = vid_column(mappings);
	Oid			types[3] = {JSONBOID, INT8OID, INT8OID};
	Datum		values[3] = {
		JsonbPGetDatum(shape), Int64GetDatum(pair->workflow_id),
		Int64GetDatum(pair->notebook_id)
	};
	bool		was_maintaining = maintaining;
	NbmIdentity before;
	char	   *where;
	char	   *query;

	/* where rows name no notebook, it has the workflow's id */
	if (!has_nid && pair->notebook_id != pair->workflow_id)
		return;
	nbm_check_readable(mappings->target, mappings->key_column, vid);
	/* by its text: a row may hold what is no JSON */
	where = psprintf("WHERE %s = $2%s AND %s::text IS DISTINCT FROM $1::text",
					 quote_identifier(mappings->key_column),
					 has_nid ? " AND nid = $3" : "", column);
	query = psprintf("UPDATE %s SET %s = $1::text::%s %s%s",
					 nbm_table_name(mappings->target), column,
					 format_type_be(get_atttype(mappings->target,
												get_attnum(mappings->target,
														   mappings->content_column))),
					 where, vid == NULL ? " RETURNING true AS written" :
					 psprintf(" RETURNING %s AS vid", vid));
	maintaining = true;
	PG_TRY();
	{
		nbm_become_owner(table_owner(mappings->target), &before);
		if (SPI_execute_with_args(psprintf("SELECT FROM %s %s FOR NO KEY UPDATE%s",
										   nbm_table_name(mappings->target), where,
										   wait ? "" : " NOWAIT"),
								  has_nid ? 3 : 2, types, values, NULL,
								  false, 0) != SPI_OK_SELECT ||
			SPI_execute_with_args(query, has_nid ? 3 : 2, types, values, NULL,
								  false, 0) != SPI_OK_UPDATE_RETURNING)
			elog(ERROR, "could not write the application's mapping");
		nbm_be_again(&before);
	}
	PG_FINALLY();
	{
		maintaining = was_maintaining;	/* a trigger may have led here */
	}
	PG_END_TRY();
	note_rows(pair, shape);
}

/*
 * Brings the application's mapping rows of a notebook, or of a workflow, up
 * to date; waits for who holds one, or raises 55P03.  Between
 * nbm_store_begin() and nbm_store_end(), with rights to the store.
 */
void
nbm_maintain_mappings(const char *schema, const int64 *notebook_id,
					  const int64 *workflow_id, bool wait)
{
	NbmAttachment *mappings = find_table(schema, NBM_ROLE_MAPPING);
	NbmMappedPair *pairs;
	int			count;

	if (mappings == NULL || !mappings->maintain)
		return;
	pairs = nbm_store_mapped_pairs(notebook_id, workflow_id, &count);
	for (int i = 0; i < count; i++)
	{
		int			level = nbm_query_begin();	/* for its memory */
		NbmAnswer	answer;

		CHECK_FOR_INTERRUPTS();
		nbm_mapping_answer(&answer, pairs[i].notebook_id, NULL,
						   pairs[i].workflow_id, NULL);
		if (answer.has_mapping)
			write_rows(mappings, &pairs[i],
					   nbm_mapping_shape(&answer, CurrentMemoryContext), wait);
		nbm_store_end(level);
	}
}
