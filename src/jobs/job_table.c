/*
 * job_table.c
 *		The queue's tables as they are read and written without a query.
 *
 * Each job is claimed and finished once at least, so what these two do is
 * worth doing without a statement of SQL, whose start and end cost several
 * times what it does.  job_turn.c and job_row.c do it; they find their tables
 * and columns here.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "job_table.h"

/* Opens a table of the queue. */
Relation
nbm_job_table_open(const char *name, LOCKMODE mode)
{
	Oid			schema = get_namespace_oid("notebook_migrate", false);

	return table_open(get_relname_relid(name, schema), mode);
}

/* The same, to change its rows; raises 42501 where the caller may not. */
Relation
nbm_job_table_open_to_update(const char *name)
{
	Relation	relation = nbm_job_table_open(name, RowExclusiveLock);
	AclResult	result = pg_class_aclcheck(RelationGetRelid(relation),
										   GetUserId(), ACL_UPDATE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, name);
	return relation;
}

/* Opens an index of such a table. */
Relation
nbm_job_index_open(Relation relation, const char *name)
{
	return index_open(get_relname_relid(name, RelationGetNamespace(relation)),
					  AccessShareLock);
}

/* A column of a row that is never NULL. */
Datum
nbm_job_column(HeapTuple tuple, int number, Relation relation)
{
	bool		is_null;

	return heap_getattr(tuple, number, RelationGetDescr(relation), &is_null);
}
