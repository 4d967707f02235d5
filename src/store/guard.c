/*
 * guard.c
 *		Work that must not fail its caller, and work with another role's rights.
 *
 * Guarded work runs in a subtransaction of its own: an error, a cancelled
 * query included, undoes what it did and nothing else, and is handed out.
 *
 * Who saves in an attached application has no rights on the store, so what
 * is done for him there is done with the rights of the function's owner, as
 * in a SECURITY DEFINER function, but for those statements alone; and what is
 * done in the application's tables is done with the rights of the table's
 * owner, as foreign keys do it: triggers that he put on his table never run
 * with ours.  An error gives the rights back with its (sub)transaction.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "guard.h"
#include "query.h"

/*
 * Does work in a subtransaction.  What it did is undone where it says so, or
 * where it raises: then the error is the result, of the current context, else
 * NULL.
 */
ErrorData *
nbm_attempt(NbmTrial work, void *arg)
{
	MemoryContext outer = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(outer);
	PG_TRY();
	{
		if (work(arg))
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(outer);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(outer);
	CurrentResourceOwner = owner;
	return error;
}

/* Work, and the memory that it may use. */
typedef struct Guarded
{
	NbmWork		work;
	void	   *arg;
	MemoryContext scratch;
} Guarded;

/* Does it. */
static bool
do_guarded(void *arg)
{
	const Guarded *guarded = arg;

	MemoryContextSwitchTo(guarded->scratch);
	guarded->work(guarded->arg);
	return true;
}

/*
 * Does work in a subtransaction.  True where it was done; else what it did is
 * undone, and *caught says why.  Memory of the work is freed.
 */
bool
nbm_guarded(NbmWork work, void *arg, NbmCaught *caught)
{
	Guarded		guarded = {work, arg};
	ErrorData  *error;

	guarded.scratch = AllocSetContextCreate(CurrentMemoryContext,
											"notebook_migrate guarded work",
											ALLOCSET_DEFAULT_SIZES);
	error = nbm_attempt(do_guarded, &guarded);
	MemoryContextDelete(guarded.scratch);
	if (error == NULL)
		return true;
	caught->sqlstate = error->sqlerrcode;
	caught->message = error->message;
	return false;
}

/* Takes the rights of a role, until nbm_be_again() or an error. */
void
nbm_become(Oid role, NbmIdentity *before)
{
	GetUserIdAndSecContext(&before->role, &before->context);
	SetUserIdAndSecContext(role, before->context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
}

/*
 * Takes the rights of a role whose code may run: it can leave nothing behind
 * that would run later with the session's rights, such as deferred triggers.
 */
void
nbm_become_owner(Oid role, NbmIdentity *before)
{
	nbm_become(role, before);
	SetUserIdAndSecContext(role, before->context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION |
						   SECURITY_NOFORCE_RLS);
}

/* Gives them back. */
void
nbm_be_again(const NbmIdentity *before)
{
	SetUserIdAndSecContext(before->role, before->context);
}

/*
 * Opens the store with a role's rights.  What is read there is what is there
 * by now, not when the calling statement began.  Returns what
 * nbm_owner_end() takes.
 */
int
nbm_owner_begin(Oid owner, NbmIdentity *before)
{
	nbm_become(owner, before);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	return nbm_store_begin();
}

/* Closes it. */
void
nbm_owner_end(int level, const NbmIdentity *before)
{
	nbm_store_end(level);
	PopActiveSnapshot();
	nbm_be_again(before);
}

/* The role that owns the function that is being called. */
Oid
nbm_function_owner(FunctionCallInfo fcinfo)
{
	Oid			function = fcinfo->flinfo->fn_oid;
	HeapTuple	row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(row))->proowner;
	ReleaseSysCache(row);
	return owner;
}

/* The role that owns the extension: that made it, or was given it. */
Oid
nbm_extension_owner(void)
{
	Oid			extension = get_extension_oid("notebook_migrate", false);
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	Oid			owner = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(relation, ExtensionOidIndexId, true, NULL, 1,
							  &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		owner = ((Form_pg_extension) GETSTRUCT(row))->extowner;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return owner;
}

/*
 * Raises 42501 unless the caller has the rights of the extension's owner: who
 * attaches a table lets all who write to it write to the store.
 */
void
nbm_require_administrator(void)
{
	if (!has_privs_of_role(GetUserId(), nbm_extension_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must have the rights of the owner of extension \"notebook_migrate\"")));
}
