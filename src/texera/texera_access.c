/*
 * texera_access.c
 *		Whether a role may use a workflow of Texera, by Texera's own tables.
 *
 * All is asked with the rights of the role itself: its grants on Texera's
 * tables, and policies that they may have, hold here as they do there.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "access/relation.h"
#include "catalog/namespace.h"
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

/*
 * Raises 42501 where the current role may not use Texera's table of workflows,
 * and 02000 where it does not see the workflow there, or may not use it.
 */
void
nbm_texera_require(List *attachments, int64 workflow_id, bool write)
{
	NbmAttachment *workflows = nbm_texera_table(attachments, NBM_ROLE_WORKFLOW);
	NbmStore	store = {&nbm_workflow, workflow_id, true};
	Datum		values[1] = {Int64GetDatum(workflow_id)};
	Oid			types[1] = {INT8OID};
	bool		is_there;
	int			level;

	if (workflows == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("Texera is not attached"),
				 errhint("Call texera_attach() first.")));
	nbm_check_readable(workflows->target, "wid", NULL);
	level = nbm_store_begin();
	/* a row lock asks for the right to update; this one disturbs nobody */
	if (SPI_execute_with_args(psprintf("SELECT FROM %s WHERE wid = $1%s",
									   nbm_table_name(workflows->target),
									   write ? " FOR KEY SHARE" : ""),
							  1, types, values, NULL, !write, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read Texera's workflows");
	is_there = SPI_processed > 0;
	nbm_store_end(level);
	if (!is_there || (is_restricted() && !superuser() &&
					  !nbm_texera_may(attachments, &nbm_workflow, workflow_id,
									  write)))
		nbm_store_no_document(&store);
}
