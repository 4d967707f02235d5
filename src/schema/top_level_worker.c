/*
 * top_level_worker.c
 *		The background worker that runs one statement for top_level.c.
 *
 * It connects as the role that its caller connected as, takes on the caller's
 * settings, SET SESSION AUTHORIZATION and SET ROLE among them, and runs the
 * statement as the main loop of a backend runs what a client sends
 * (exec_simple_query() of postgres.c), so that the statement finds itself at
 * top level.  Whatever it has to say to its client goes to the caller.
 *
 * A statement that is done must not be forgotten: from its commit until it is
 * recorded nothing interrupts the worker.
 */
#include "postgres.h"

#include "access/xact.h"
#include "libpq/pqmq.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "compat.h"
#include "top_level.h"
#include "top_level_call.h"

/* The worker's side of a call; all of it in the segment. */
typedef struct Task
{
	NbmTopLevelCall *call;
	const char *statement;
	const char *payload;
	char	   *settings;
} Task;

extern PGDLLEXPORT void nbm_top_level_main(Datum arg);

/*
 * Maps the segment of a call for the rest of the worker's life, and sends what
 * a client would get there.  False where the caller is gone.
 */
static bool
attach_to_call(Datum arg, Task *task)
{
	dsm_segment *segment = dsm_attach(DatumGetUInt32(arg));
	shm_toc    *toc;
	shm_mq	   *queue;

	if (segment == NULL)
		return false;
	toc = shm_toc_attach(NBM_CALL_MAGIC, dsm_segment_address(segment));
	if (toc == NULL)
		elog(ERROR, "the segment is none of a schema worker");
	task->call = shm_toc_lookup(toc, NBM_CALL_HEAD, false);
	task->statement = shm_toc_lookup(toc, NBM_CALL_STATEMENT, false);
	task->payload = shm_toc_lookup(toc, NBM_CALL_PAYLOAD, false);
	task->settings = shm_toc_lookup(toc, NBM_CALL_SETTINGS, false);
	queue = shm_toc_lookup(toc, NBM_CALL_QUEUE, false);
	shm_mq_set_sender(queue, MyProc);
	pq_redirect_to_shm_mq(segment, shm_mq_attach(queue, segment, NULL));
	return true;
}

/* Takes on a role as SET would, unless the worker has it already. */
static void
take_role(const char *setting, Oid role, Oid present)
{
	if (role != present)
		(void) set_config_option(setting, GetUserNameFromId(role, false),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET,
								 true, 0, false);
}

/*
 * Becomes the caller: all his settings, each with the right by which it was
 * set, and his roles.  Takes the marker.  Raises 55P03, and what SET raises.
 */
static void
become_caller(const Task *task)
{
	const NbmTopLevelCall *call = task->call;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	RestoreGUCState(task->settings);
	/* what is sent is read by a backend of this database */
	SetClientEncoding(GetDatabaseEncoding());
	take_role("session_authorization", call->session_role, GetSessionUserId());
	take_role("role", call->role, GetUserId());
	if (GetSessionUserId() != call->session_role || GetUserId() != call->role)
		elog(ERROR, "the worker has not become its caller");
	if (LockAcquire(&call->marker, ExclusiveLock, true, true) ==
		LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("another background worker still runs a statement")));
	CommitTransactionCommand();
}

/*
 * The one statement of a text.  Raises 42601 unless there is exactly one, and
 * refuses those that would go on after it: transactions, and the client's
 * part of a COPY.
 */
static RawStmt *
parse_statement(const char *source)
{
	List	   *statements = pg_parse_query(source);
	Node	   *node;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("exactly one statement can run outside of a transaction, not %d",
						list_length(statements))));
	node = linitial_node(RawStmt, statements)->stmt;
	if (IsA(node, TransactionStmt))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("%s cannot run by itself outside of a transaction",
						GetCommandTagName(CreateCommandTag(node)))));
	if (IsA(node, CopyStmt) && castNode(CopyStmt, node)->filename == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot COPY from or to a client outside of a transaction")));
	return linitial_node(RawStmt, statements);
}

/* Logs a statement where the server is set to, as it does for clients. */
static void
log_statement_if_asked(const char *source, const RawStmt *statement)
{
	if (log_statement != LOGSTMT_NONE &&
		GetCommandLogLevel(statement->stmt) <= log_statement)
		ereport(LOG,
				(errmsg("statement: %s", source), errhidestmt(true)));
}

/* Plans a statement, with a snapshot for that alone. */
static List *
plan_statement(const char *source, RawStmt *statement)
{
	bool		needs_snapshot = analyze_requires_snapshot(statement);
	List	   *queries;
	List	   *plans;

	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	queries = pg_analyze_and_rewrite_fixedparams(statement, source, NULL, 0,
												 NULL);
	plans = pg_plan_queries(queries, source, CURSOR_OPT_PARALLEL_OK, NULL);
	if (needs_snapshot)
		PopActiveSnapshot();
	return plans;
}

/*
 * Runs a statement as a client's own, and commits.  Its memory is the current
 * context's, which outlives the statement's transactions.
 */
static void
run_statement(const char *source)
{
	MemoryContext context = CurrentMemoryContext;
	RawStmt    *statement;
	Portal		portal;
	List	   *plans;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (StatementTimeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
	MemoryContextSwitchTo(context);
	/* A script is read in one way only, see nbm_setting_pin_strings(). */
	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
	statement = parse_statement(source);
	log_statement_if_asked(source, statement);
	plans = plan_statement(source, statement);
	CHECK_FOR_INTERRUPTS();
	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, source, CreateCommandTag(statement->stmt),
					  plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	MemoryContextSwitchTo(CurTransactionContext);
	nbm_portal_run_all(portal, None_Receiver);
	PortalDrop(portal, false);
	CommitTransactionCommand();
	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	disable_timeout(STATEMENT_TIMEOUT, false);
}

/*
 * Ends what an error has interrupted, and logs and sends it.  Returns it, of
 * the given context.
 */
static ErrorData *
catch_error(MemoryContext context)
{
	ErrorData  *error;

	HOLD_INTERRUPTS();
	disable_all_timeouts(false);
	QueryCancelPending = false;
	SetClientEncoding(GetDatabaseEncoding());
	EmitErrorReport();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(context);
	RESUME_INTERRUPTS();
	return error;
}

/* Runs the statement; false where it failed, and why is in the result. */
static bool
do_task(const Task *task, NbmTopLevelResult *result)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool is_done = false;

	PG_TRY();
	{
		process_session_preload_libraries();
		become_caller(task);
		MemoryContextSwitchTo(context);
		run_statement(task->statement);
		is_done = true;
	}
	PG_CATCH();
	{
		result->outcome = NBM_TOP_FAILED;
		nbm_top_level_error(catch_error(context), result);
	}
	PG_END_TRY();
	return is_done;
}

/*
 * Records what became of the statement; false where that failed.  The caller
 * is told why only if the statement was done: else he has its error.
 */
static bool
record_task(const Task *task, bool is_done, const NbmTopLevelResult *result)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool is_recorded = false;

	if (nbm_top_level_record == NULL)
		return true;
	if (!is_done)
		whereToSendOutput = DestNone;
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		nbm_top_level_record(task->payload, is_done, result);
		PopActiveSnapshot();
		CommitTransactionCommand();
		is_recorded = true;
	}
	PG_CATCH();
	{
		(void) catch_error(context);
	}
	PG_END_TRY();
	return is_recorded;
}

/* Whether this process is such a worker. */
bool
nbm_is_top_level_worker(void)
{
	return MyBgworkerEntry != NULL &&
		strcmp(MyBgworkerEntry->bgw_function_name, "nbm_top_level_main") == 0;
}

/* The worker: runs a call's statement, records what came of it, and ends. */
void
nbm_top_level_main(Datum arg)
{
	Task		task;
	NbmTopLevelResult result = {0};
	bool		is_done;
	bool		is_recorded;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	if (!attach_to_call(arg, &task))
		return;
	BackgroundWorkerInitializeConnectionByOid(task.call->database,
											  task.call->login_role,
											  NBM_WORKER_CONNECTION);
	CurrentMemoryContext = AllocSetContextCreate(TopMemoryContext,
												 "notebook_migrate statement",
												 ALLOCSET_DEFAULT_SIZES);
	debug_query_string = task.statement;
	pgstat_report_activity(STATE_RUNNING, task.statement);
	is_done = do_task(&task, &result);
	task.call->is_done = is_done;
	is_recorded = record_task(&task, is_done, &result);
	task.call->is_recorded = is_done && is_recorded;
}
