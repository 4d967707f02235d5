/*
 * attach.c
 *		Attaching tables of applications, and letting them go.
 *
 * Attaching puts triggers on the table, and nothing else, with the caller's
 * rights, notes it in the table attachment, and takes in what is there.  The
 * trigger works for tables only that are noted: the extension's owner says
 * which tables write to the store.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/objectaddress.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "attach.h"
#include "attached_write.h"
#include "maintain.h"
#include "query.h"

/* Rows fetched at a time. */
#define FETCH_ROWS 50

/* The column that the newest row of a workflow is read under. */
#define NEWEST_VID "notebook_migrate_vid"

/* Runs a command in the application's schema, with the caller's rights. */
static void
run_command(const char *query)
{
	if (SPI_execute(query, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "statement failed: %s", query);
}

/*
 * Raises 42501 unless the caller may put triggers on a table, and change it
 * where its rows are to be written with its owner's rights.
 */
void
nbm_attachment_allow(Oid target, bool maintain)
{
	AclMode		needed[2] = {ACL_TRIGGER, ACL_UPDATE};

	for (int i = 0; i <= (int) maintain; i++)
	{
		AclResult	result = pg_class_aclcheck(target, GetUserId(), needed[i]);

		if (result != ACLCHECK_OK)
			aclcheck_error(result,
						   get_relkind_objtype(get_rel_relkind(target)),
						   get_rel_name(target));
	}
}

/*
 * Locks a table to attach it, if the caller may.  Raises 42501, 42809 for what
 * cannot be attached, 42703 and 42804 for its columns.
 */
void
nbm_attach_check(const NbmAttachment *attachment)
{
	Relation	relation;
	const char *name;

	nbm_attachment_allow(attachment->target, false);
	relation = relation_open(attachment->target, ShareRowExclusiveLock);
	name = RelationGetRelationName(relation);

	if (relation->rd_rel->relkind != RELKIND_RELATION ||
		relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP ||
		IsCatalogNamespace(RelationGetNamespace(relation)) ||
		strcmp(get_namespace_name(RelationGetNamespace(relation)),
			   "notebook_migrate") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" cannot be attached", name),
				 errdetail("Attached is an ordinary table of an application.")));
	nbm_check_column(RelationGetDescr(relation), name,
					 attachment->key_column, true);
	if (attachment->content_column != NULL)
		nbm_check_column(RelationGetDescr(relation), name,
						 attachment->content_column, false);
	if (attachment->role == NBM_ROLE_VID)
		nbm_check_column(RelationGetDescr(relation), name, "vid", true);
	relation_close(relation, NoLock);
}

/* The rows that are there, as a query. */
static char *
present_rows(const NbmAttachment *attachment)
{
	char	   *name = nbm_table_name(attachment->target);

	if (attachment->role != NBM_ROLE_WORKFLOW)
		return psprintf("SELECT t.* FROM %s t", name);
	return psprintf("SELECT t.*, v.vid AS " NEWEST_VID " FROM %s t LEFT JOIN"
					" (SELECT wid, max(vid) AS vid FROM %s GROUP BY wid) v"
					" ON v.wid = t.wid", name,
					quote_qualified_identifier(attachment->schema,
											   "workflow_version"));
}

/* Takes the rows in that are there; what cannot be is a problem noted. */
static void
take_present(const NbmAttachment *attachment, Oid owner)
{
	Portal		portal = SPI_cursor_open_with_args(NULL,
												   present_rows(attachment),
												   0, NULL, NULL, NULL, true,
												   0);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "notebook_migrate present row",
												  ALLOCSET_DEFAULT_SIZES);
	uint64		count;

	do
	{
		SPITupleTable *table;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		table = SPI_tuptable;
		count = SPI_processed;
		for (uint64 i = 0; i < count; i++)
		{
			MemoryContext outer = MemoryContextSwitchTo(scratch);
			NbmWrite	write = {*attachment, owner};

			CHECK_FOR_INTERRUPTS();
			write.is_present = true;
			write.old.desc = write.new.desc = table->tupdesc;
			write.new.tuple = table->vals[i];
			if (nbm_row_has(&write.new, NEWEST_VID))
				(void) nbm_row_int(&write.new, NEWEST_VID, &write.vid);
			(void) nbm_write_guarded(nbm_write_take, &write,
									 attachment->target);
			MemoryContextSwitchTo(outer);
			MemoryContextReset(scratch);
		}
		SPI_freetuptable(table);
	} while (count == FETCH_ROWS);
	SPI_cursor_close(portal);
	MemoryContextDelete(scratch);
}

/*
 * Deletes the documents that came from a table and have no row there now:
 * they were deleted while it was not attached, or while somebody held them.
 * Not where policies may hide rows from the caller.
 */
static void
delete_absent(const NbmAttachment *attachment, Oid owner)
{
	NbmWrite	write = {*attachment, owner};
	int64	   *ids;
	uint64		rows;

	if (check_enable_rls(attachment->target, InvalidOid, true) == RLS_ENABLED)
		return;
	if (SPI_execute(psprintf("SELECT d.id FROM notebook_migrate.attached_document d"
							 " WHERE d.kind = %s AND d.\"table\" = %s"
							 " AND NOT EXISTS (SELECT FROM %s t WHERE t.%s = d.id)",
							 quote_literal_cstr(attachment->kind->name),
							 quote_literal_cstr(nbm_table_name(attachment->target)),
							 nbm_table_name(attachment->target),
							 quote_identifier(attachment->key_column)),
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the documents of the attached table");
	rows = SPI_processed;
	ids = palloc_array(int64, Max(rows, 1));
	for (uint64 row = 0; row < rows; row++)
		ids[row] = DatumGetInt64(nbm_query_column(row, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	write.is_present = true;
	nbm_write_deleted(&write, ids, rows);
	pfree(ids);
}

/* Puts our triggers on a table. */
static void
create_triggers(const NbmAttachment *attachment)
{
	const char *name = nbm_table_name(attachment->target);

	run_command(psprintf("CREATE TRIGGER " NBM_TRIGGER_NAME
						 " AFTER INSERT%s ON %s FOR EACH ROW"
						 " EXECUTE FUNCTION notebook_migrate.attached_write()",
						 attachment->role == NBM_ROLE_VID ? "" :
						 " OR UPDATE OR DELETE", name));
	run_command(psprintf("CREATE TRIGGER " NBM_TRUNCATE_TRIGGER_NAME
						 " AFTER TRUNCATE ON %s FOR EACH STATEMENT"
						 " EXECUTE FUNCTION notebook_migrate.attached_write()",
						 name));
}

/*
 * Attaches a table, anew where it is attached: its triggers, its row in
 * attachment, and what is in it.  The caller holds the lock on attachment and
 * has connected to SPI.
 */
void
nbm_attach_table(NbmAttachment *attachment, Oid owner)
{
	int			level;

	nbm_attach_check(attachment);
	nbm_detach_table(attachment->target);
	create_triggers(attachment);
	level = nbm_store_begin();
	nbm_attachment_add(attachment);
	nbm_store_end(level);
	CommandCounterIncrement();

	/*
	 * all that was written until it was locked: the caller's snapshot is
	 * older
	 */
	PushActiveSnapshot(GetLatestSnapshot());
	/* the rows of versions are the past: texera_backfill() reads them */
	if (attachment->role != NBM_ROLE_VID)
		take_present(attachment, owner);
	if (attachment->role != NBM_ROLE_VID &&
		attachment->role != NBM_ROLE_MAPPING)
		delete_absent(attachment, owner);
	PopActiveSnapshot();
}

/* Lets a table go: its triggers, if they are still there, and its row. */
void
nbm_detach_table(Oid target)
{
	static const char *const triggers[] = {
		NBM_TRIGGER_NAME, NBM_TRUNCATE_TRIGGER_NAME
	};
	int			level = nbm_store_begin();

	for (int i = 0; i < lengthof(triggers); i++)
		if (get_rel_name(target) != NULL &&
			OidIsValid(get_trigger_oid(target, triggers[i], true)))
			run_command(psprintf("DROP TRIGGER %s ON %s", triggers[i],
								 nbm_table_name(target)));
	nbm_attachment_drop(target);
	nbm_store_end(level);
}
