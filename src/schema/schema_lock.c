/*
 * schema_lock.c
 *		One runner of schema migrations at a time.
 *
 * Two advisory locks of a kind that SQL cannot take: the runner's, held by
 * whoever applies or undoes, and the worker's, held by a background worker
 * while it runs a statement outside of transactions for a runner, who may die
 * before it.  Who waits for them polls, and never stands in a lock's queue:
 * CREATE INDEX CONCURRENTLY waits for all who do.
 *
 * A session's lock outlives its transactions, as long as they commit: it goes
 * with the first one that is aborted, so no error leaves it behind.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "schema_lock.h"
#include "settings.h"

/* The classes of the two locks; they have no numbers of their own. */
#define RUNNER_LOCK_CLASS 5422
#define WORKER_LOCK_CLASS 5423

/* How often is looked, in ms: at first, and in the end. */
#define FIRST_WAIT_MS 5
#define LAST_WAIT_MS 200

/* The session's lock: is it held, and does it stay when a transaction aborts? */
static bool has_session_lock = false;
static bool keeps_session_lock = false;

/* One of the locks. */
static void
set_tag(LOCKTAG *tag, int class)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, 0, class);
}

/* The worker's lock. */
void
nbm_worker_locktag(LOCKTAG *tag)
{
	set_tag(tag, WORKER_LOCK_CLASS);
}

/*
 * The process that holds one of the locks; 0 where nobody does by now, or a
 * prepared transaction, whose name is *gid then.
 */
static int
holder_of(int class, char **gid)
{
	int			level = NewGUCNestLevel();
	MemoryContext outer = CurrentMemoryContext;
	int			pid = 0;
	bool		is_null;

	*gid = NULL;
	PushActiveSnapshot(GetTransactionSnapshot());
	nbm_setting_pin_path();
	SPI_connect();
	if (SPI_execute(psprintf("SELECT coalesce(l.pid, 0), x.gid"
							 " FROM pg_catalog.pg_locks AS l"
							 " LEFT JOIN pg_catalog.pg_locks AS own ON l.pid IS NULL"
							 " AND own.pid IS NULL AND own.locktype = 'transactionid'"
							 " AND own.virtualtransaction = l.virtualtransaction"
							 " LEFT JOIN pg_catalog.pg_prepared_xacts AS x"
							 " ON x.transaction = own.transactionid"
							 " WHERE l.locktype = 'advisory' AND l.granted AND"
							 " l.database = %u AND l.objsubid = %d",
							 MyDatabaseId, class), true, 1) == SPI_OK_SELECT &&
		SPI_processed > 0)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[0],
										SPI_tuptable->tupdesc, 2);

		pid = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0],
										  SPI_tuptable->tupdesc, 1, &is_null));
		*gid = name == NULL ? NULL : MemoryContextStrdup(outer, name);
	}
	SPI_finish();
	PopActiveSnapshot();
	AtEOXact_GUC(false, level);
	return pid;
}

/* Raises 55P03 with who holds a lock; returns where nobody does by now. */
static void
raise_if_held(int class)
{
	char	   *gid;
	int			pid = holder_of(class, &gid);

	if (gid != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("another schema migration is in the prepared transaction \"%s\"",
						gid),
				 errhint("COMMIT PREPARED or ROLLBACK PREPARED ends it.")));
	if (pid != 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("another schema migration is running in process %d", pid),
				 errhint(class == RUNNER_LOCK_CLASS ?
						 "Wait for it, or end it with pg_cancel_backend(%d)." :
						 "Its runner is gone, and it goes on alone; pg_terminate_backend(%d) would end it.",
						 pid)));
}

/*
 * Waits until the time is up, or a while.  False where it was up before.
 */
static bool
wait_a_while(TimestampTz started, int64 timeout_ms, long *ms)
{
	long		left = *ms;

	if (timeout_ms != NBM_WAIT_FOREVER)
	{
		long		passed = TimestampDifferenceMilliseconds(started, GetCurrentTimestamp());

		if (passed >= timeout_ms)
			return false;
		left = Min(left, timeout_ms - passed);
	}
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 left, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	*ms = Min(*ms * 2, LAST_WAIT_MS);
	return true;
}

/* Takes a lock, if nobody else has it. */
static bool
try_lock(int class, bool is_session)
{
	LOCKTAG		tag;

	set_tag(&tag, class);
	return LockAcquire(&tag, ExclusiveLock, is_session, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Whether a background worker is at work.  Who has the runner's lock takes
 * the worker's to see, and gives it back: no other runner can be starting one
 * meanwhile.
 */
static bool
is_worker_there(bool is_runner)
{
	LOCKTAG		tag;
	char	   *gid;

	if (!is_runner)
		return holder_of(WORKER_LOCK_CLASS, &gid) != 0;
	if (!try_lock(WORKER_LOCK_CLASS, false))
		return true;
	set_tag(&tag, WORKER_LOCK_CLASS);
	LockRelease(&tag, ExclusiveLock, false);
	return false;
}

/* Gives the lock back: the session's, or the transaction's. */
static void
unlock_runner(bool is_session)
{
	LOCKTAG		tag;

	set_tag(&tag, RUNNER_LOCK_CLASS);
	(void) LockRelease(&tag, ExclusiveLock, is_session);
	if (is_session)
		has_session_lock = false;
}

/* Gives the session's lock back. */
void
nbm_runner_unlock_session(void)
{
	unlock_runner(true);
}

/* Lets the session's lock stay when a transaction aborts, or not any more. */
void
nbm_runner_keep_lock(bool keeps)
{
	keeps_session_lock = keeps;
}

/* The end of a transaction of this session. */
static void
on_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT && has_session_lock && !keeps_session_lock)
		unlock_runner(true);
}

/*
 * Raises 55000 where the session's lock is not held any more: a script can
 * give it back, with all others of the session.  Another runner may have begun.
 */
void
nbm_runner_check_lock(void)
{
	LOCKTAG		tag;
	LockAcquireResult result;

	if (!has_session_lock)
		return;
	set_tag(&tag, RUNNER_LOCK_CLASS);
	result = LockAcquire(&tag, ExclusiveLock, true, true);
	if (result == LOCKACQUIRE_ALREADY_HELD || result == LOCKACQUIRE_ALREADY_CLEAR)
	{
		(void) LockRelease(&tag, ExclusiveLock, true);
		return;
	}
	has_session_lock = result == LOCKACQUIRE_OK;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a schema migration cannot release all advisory locks of its session"),
			 errhint("Release those that it has taken, one by one.")));
}

/* Takes the runner's lock, if nobody else has it. */
static bool
try_runner_lock(bool is_session)
{
	static bool is_registered = false;

	if (!is_registered)
		RegisterXactCallback(on_transaction_end, NULL);
	is_registered = true;
	if (!try_lock(RUNNER_LOCK_CLASS, is_session))
		return false;
	if (is_session)
		has_session_lock = true;
	return true;
}

/*
 * Takes the runner's lock, for the session or the transaction.  Raises 55P03
 * once the time is up, having nothing; 55000 where the session is running
 * migrations already: a trigger that a script deferred to its commit would
 * apply what is about to be applied.
 */
static void
lock_runner(bool is_session, int64 timeout_ms)
{
	TimestampTz started = GetCurrentTimestamp();
	long		ms = FIRST_WAIT_MS;

	if (has_session_lock)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a schema migration cannot apply, undo or replace migrations")));
	for (;;)
	{
		int			held = RUNNER_LOCK_CLASS;

		if (try_runner_lock(is_session))
		{
			if (!is_worker_there(true))
				return;
			held = WORKER_LOCK_CLASS;
			unlock_runner(is_session);
		}
		else if (!is_session && is_worker_there(false))
			held = WORKER_LOCK_CLASS;
		if ((held == WORKER_LOCK_CLASS && !is_session) ||
			!wait_a_while(started, timeout_ms, &ms))
			raise_if_held(held);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Takes the runner's lock until nbm_runner_unlock_session(), or the first
 * transaction that is aborted.  The session must hold no snapshot while it
 * waits.  Raises as lock_runner().
 */
void
nbm_runner_lock_session(int64 timeout_ms)
{
	lock_runner(true, timeout_ms);
}

/*
 * Takes the runner's lock to the end of the transaction; waits as long as the
 * session's lock_timeout says, but not for a background worker, which may wait
 * for this transaction's snapshot.  Raises as lock_runner().
 */
void
nbm_runner_lock_transaction(void)
{
	lock_runner(false, LockTimeout > 0 ? LockTimeout : NBM_WAIT_FOREVER);
}
