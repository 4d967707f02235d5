/*
 * texera_access.c
 *		Whether a role may use a workflow of Texera, by Texera's own tables.
 *
 * All is asked with the rights of the role itself: its grants on Texera's
 * tables, and policies that they may have, hold here as they do there.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"

#include "attached_row.h"
#include "guard.h"
#include "maintain.h"
#include "query.h"
#include "store.h"
#include "texera_access.h"

int			nbm_texera_uid = 0;

/* The attached table that has a role; NULL: there is none. */
NbmAttachment *
nbm_texera_table(List *attachments, NbmRole role)
{
	ListCell   *cell;

	foreach(cell, attachments)
	{
		NbmAttachment *attachment = lfirst(cell);

		if (attachment->role == role)
			return attachment;
	}
	return NULL;
}

/* The attached tables of Texera, in the current context. */
List *
nbm_texera_tables(Oid owner)
{
	MemoryContext context = CurrentMemoryContext;
	NbmIdentity before;
	int			level = nbm_owner_begin(owner, &before);
	List	   *attachments;

	MemoryContextSwitchTo(context);
	attachments = nbm_attachments(NULL);
	nbm_owner_end(level, &before);
	return attachments;
}

/* Has the role at all the right to read a table? */
static bool
may_select(Oid table)
{
	return OidIsValid(table) &&
		pg_class_aclcheck(table, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * May the current role use a document, by workflow_user_access?  With a user
 * named in the setting notebook_migrate.texera_uid that user's row counts,
 * else any row that the role can see.
 */
bool
nbm_texera_may(List *attachments, const NbmKind *kind, int64 id, bool write)
{
	NbmAttachment *workflows = nbm_texera_table(attachments, NBM_ROLE_WORKFLOW);
	NbmAttachment *notebooks = nbm_texera_table(attachments, NBM_ROLE_NOTEBOOK);
	bool		is_notebook = kind == &nbm_notebook;
	Datum		values[1] = {Int64GetDatum(id)};
	Oid			types[1] = {INT8OID};
	Oid			access;
	char	   *query;
	bool		may;
	int			level;

	if (workflows == NULL || (is_notebook && notebooks == NULL))
		return false;
	access = get_relname_relid("workflow_user_access",
							   get_rel_namespace(workflows->target));
	if (!may_select(workflows->target) || !may_select(access) ||
		(is_notebook && !may_select(notebooks->target)))
		return false;
	nbm_check_readable(workflows->target, "wid", NULL);
	nbm_check_readable(access, "wid", nbm_texera_uid != 0 ? "uid" : NULL);
	if (is_notebook)
		nbm_check_readable(notebooks->target, "wid", notebooks->key_column);
	/* as it is printed: a cast may be a function of the type's owner */
	query = psprintf("SELECT FROM %s w JOIN %s a ON a.wid = w.wid%s"
					 " WHERE %s = $1 AND pg_catalog.format('%%s', a.privilege)"
					 " IN (%s)%s LIMIT 1",
					 nbm_table_name(workflows->target), nbm_table_name(access),
					 is_notebook ? psprintf(" JOIN %s n ON n.wid = w.wid",
											nbm_table_name(notebooks->target)) : "",
					 is_notebook ? psprintf("n.%s", quote_identifier(notebooks->key_column)) : "w.wid",
					 write ? "'WRITE'" : "'READ', 'WRITE'",
					 nbm_texera_uid != 0 ?
					 psprintf(" AND a.uid = %d", nbm_texera_uid) : "");
	level = nbm_store_begin();
	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 1) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read workflow_user_access");
	may = SPI_processed > 0;
	nbm_store_end(level);
	return may;
}

/* Is row-level security on?  See texera_rights(). */
static bool
is_restricted(void)
{
	Oid			schema = get_namespace_oid("notebook_migrate", false);
	Relation	heads = relation_open(get_relname_relid("workflow_head", schema),
									  AccessShareLock);
	bool		result = heads->rd_rel->relrowsecurity;

	relation_close(heads, AccessShareLock);
	return result;
}

/* Runs a query on two numbers as the caller; returns its number of rows. */
static uint64
ask(const char *query, bool read_only, int64 first, int64 second,
	int64 *number)
{
	Oid			types[2] = {INT8OID, INT8OID};
	Datum		values[2] = {Int64GetDatum(first), Int64GetDatum(second)};
	int			level = nbm_store_begin();
	bool		is_null;
	uint64		rows;

	if (SPI_execute_with_args(query, 2, types, values, NULL, read_only,
							  1) != SPI_OK_SELECT)
		elog(ERROR, "could not read Texera's tables");
	rows = SPI_processed;
	if (rows > 0 && number != NULL)
	{
		*number = DatumGetInt64(nbm_query_column(0, 1, &is_null));
		rows = is_null ? 0 : rows;
	}
	nbm_store_end(level);
	return rows;
}

/* Raises 55000: a table of Texera that is needed was detached. */
void
nbm_texera_not_attached(const char *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("Texera's table \"%s\" is not attached", table),
			 errhint("Call texera_attach() again.")));
}

/*
 * Raises 42501 where the current role may not use Texera's table of workflows,
 * or may read the workflow only, and 02000 where it does not see it there.
 */
void
nbm_texera_require(List *attachments, int64 workflow_id, bool write)
{
	NbmAttachment *workflows = nbm_texera_table(attachments, NBM_ROLE_WORKFLOW);
	NbmStore	store = {&nbm_workflow, workflow_id, true};
	bool		is_asked = is_restricted() && !superuser();

	if (workflows == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("Texera is not attached"),
				 errhint("Call texera_attach() first.")));
	nbm_check_readable(workflows->target, "wid", NULL);
	/* a row lock asks for the right to update; this one disturbs nobody */
	if (ask(psprintf("SELECT %s IS NULL FROM %s WHERE wid = $1%s",
					 quote_identifier(workflows->content_column),
					 nbm_table_name(workflows->target),
					 write ? " FOR KEY SHARE" : ""), !write, workflow_id, 0,
			NULL) == 0 ||
		(is_asked && !nbm_texera_may(attachments, &nbm_workflow, workflow_id,
									 false)))
		nbm_store_no_document(&store);
	if (write && is_asked && !nbm_texera_may(attachments, &nbm_workflow,
											 workflow_id, true))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to write to workflow " INT64_FORMAT,
						workflow_id),
				 errhint("WRITE in workflow_user_access is needed.")));
}

/*
 * The newest notebook of a workflow that the current role can read in
 * Texera's tables; -1: none.  Raises 42501 where it has no right to read them.
 */
int64
nbm_texera_notebook(List *attachments, int64 workflow_id)
{
	NbmAttachment *notebooks = nbm_texera_table(attachments, NBM_ROLE_NOTEBOOK);
	int64		notebook_id;

	if (notebooks == NULL)
		return -1;
	nbm_check_readable(notebooks->target, "wid", notebooks->key_column);
	if (ask(psprintf("SELECT max(%s)::int8, count(%s) FROM %s WHERE wid = $1",
					 quote_identifier(notebooks->key_column),
					 quote_identifier(notebooks->content_column),
					 nbm_table_name(notebooks->target)), true, workflow_id, 0,
			&notebook_id) == 0)
		return -1;
	return notebook_id;
}

/* The rows of a pair's mappings, as a query. */
static char *
mapping_rows(const NbmAttachment *mappings, const char *lock)
{
	nbm_check_readable(mappings->target, mappings->key_column, NULL);
	return psprintf("SELECT %s IS NULL FROM %s WHERE %s = $1%s%s",
					quote_identifier(mappings->content_column),
					nbm_table_name(mappings->target),
					quote_identifier(mappings->key_column),
					get_attnum(mappings->target, "nid") > 0 ?
					" AND nid = $2" : "", lock);
}

/* Do policies say which rows of a table the current role sees? */
static bool
has_policies(const NbmAttachment *attachment)
{
	return check_enable_rls(attachment->target, InvalidOid, true) ==
		RLS_ENABLED;
}

/*
 * Does the current role see the mapping of a pair in Texera's tables?  One
 * that has no row there, as after an import, is seen by all who may read the
 * table, and whom no policies keep from it.  Raises 42501 for others.
 */
bool
nbm_texera_sees_mapping(List *attachments, int64 workflow_id,
						int64 notebook_id)
{
	NbmAttachment *mappings = nbm_texera_table(attachments, NBM_ROLE_MAPPING);

	return mappings == NULL ||
		ask(mapping_rows(mappings, ""), true, workflow_id, notebook_id,
			NULL) > 0 ||
		!has_policies(mappings);
}

/* Raises 42501 unless the current role may change the mapping of a pair. */
void
nbm_texera_require_mapping(List *attachments, int64 workflow_id,
						   int64 notebook_id)
{
	NbmAttachment *mappings = nbm_texera_table(attachments, NBM_ROLE_MAPPING);

	if (mappings != NULL &&
		ask(mapping_rows(mappings, " FOR KEY SHARE"), false, workflow_id,
			notebook_id, NULL) == 0 &&
		has_policies(mappings))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change the mapping of workflow " INT64_FORMAT,
						workflow_id),
				 errdetail("Policies of Texera's table keep it from you.")));
}
