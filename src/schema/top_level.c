/*
 * top_level.c
 *		Running one statement outside of the caller's transaction, as the caller.
 *
 * CREATE INDEX CONCURRENTLY, VACUUM and their like refuse to run within a
 * function, whatever its transaction.  So they are handed to a background
 * worker (top_level_worker.c), which runs them as a client's statement is run,
 * with the caller's identity and settings: nothing is gained by it, and no
 * password is needed.
 *
 * The caller waits for all that time, and must stand in nobody's way: a
 * statement that waits for older snapshots, or for a lock that the caller has,
 * would wait for ever, and no deadlock would be seen.  So he has to have
 * committed before.
 *
 * Where the caller goes, by an error or for good, the worker is terminated; an
 * error is raised only when the worker is gone.  Whoever is killed so hard
 * that he can do nothing takes the server with him.  What remains is the time
 * in which the worker of a terminated caller ends: until then it holds the
 * marker, a lock that others can look for.
 */
#include "postgres.h"

#include "access/xact.h"
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "top_level.h"
#include "top_level_call.h"

/* Room for messages that are on their way. */
#define QUEUE_SIZE 16384

#define WORKER_NAME "notebook_migrate schema worker"

/* A call that is being made. */
typedef struct Launch
{
	dsm_segment *segment;
	NbmTopLevelCall *call;		/* in the segment */
	shm_mq	   *queue;			/* in the segment */
	shm_mq_handle *listener;
	BackgroundWorkerHandle *worker;
} Launch;

NbmTopLevelRecord nbm_top_level_record;

/*
 * Fills in a result's error, of an ErrorData whose strings it then shares.
 */
void
nbm_top_level_error(const ErrorData *error, NbmTopLevelResult *result)
{
	result->sqlstate = error->sqlerrcode;
	result->message = error->message;
	result->detail = error->detail;
	result->hint = error->hint;
	result->position = Max(error->cursorpos, 0);
}

/* Fills in a result that is not the worker's own. */
static void
set_error(NbmTopLevelResult *result, NbmTopLevelOutcome outcome, int sqlstate,
		  const char *message, const char *hint)
{
	memset(result, 0, sizeof(*result));
	result->outcome = outcome;
	result->sqlstate = sqlstate;
	result->message = pstrdup(message);
	result->hint = pstrdup(hint);
}

/* Raises 25000 where the worker's statement could wait for the caller. */
static void
require_nothing_held(void)
{
	InvalidateCatalogSnapshot();
	if (TransactionIdIsValid(MyProc->xmin) ||
		TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("a statement cannot run outside of a transaction that has begun its work"),
				 errhint("Close the session's cursors.")));
}

/* Puts a string into the segment. */
static void
put_string(shm_toc *toc, int key, const char *string)
{
	Size		size = strlen(string) + 1;
	char	   *place = shm_toc_allocate(toc, size);

	memcpy(place, string, size);
	shm_toc_insert(toc, key, place);
}

/*
 * Makes the segment, which belongs to the transaction; false where the server
 * has no more of them.
 */
static bool
make_segment(Launch *launch, const char *statement, const LOCKTAG *marker,
			 const char *payload)
{
	shm_toc_estimator estimator;
	Size		settings_size = EstimateGUCStateSpace();
	Size		size;
	shm_toc    *toc;
	char	   *settings;

	shm_toc_initialize_estimator(&estimator);
	shm_toc_estimate_chunk(&estimator, sizeof(NbmTopLevelCall));
	shm_toc_estimate_chunk(&estimator, strlen(statement) + 1);
	shm_toc_estimate_chunk(&estimator, strlen(payload) + 1);
	shm_toc_estimate_chunk(&estimator, settings_size);
	shm_toc_estimate_chunk(&estimator, QUEUE_SIZE);
	shm_toc_estimate_keys(&estimator, 5);
	size = shm_toc_estimate(&estimator);
	launch->segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (launch->segment == NULL)
		return false;
	toc = shm_toc_create(NBM_CALL_MAGIC, dsm_segment_address(launch->segment),
						 size);

	launch->call = shm_toc_allocate(toc, sizeof(NbmTopLevelCall));
	memset(launch->call, 0, sizeof(NbmTopLevelCall));
	launch->call->database = MyDatabaseId;
	launch->call->login_role = GetAuthenticatedUserId();
	launch->call->session_role = GetSessionUserId();
	launch->call->role = GetUserId();
	launch->call->marker = *marker;
	shm_toc_insert(toc, NBM_CALL_HEAD, launch->call);
	put_string(toc, NBM_CALL_STATEMENT, statement);
	put_string(toc, NBM_CALL_PAYLOAD, payload);
	settings = shm_toc_allocate(toc, settings_size);
	SerializeGUCState(settings_size, settings);
	shm_toc_insert(toc, NBM_CALL_SETTINGS, settings);
	launch->queue = shm_mq_create(shm_toc_allocate(toc, QUEUE_SIZE),
								  QUEUE_SIZE);
	shm_toc_insert(toc, NBM_CALL_QUEUE, launch->queue);

	shm_mq_set_receiver(launch->queue, MyProc);
	launch->listener = shm_mq_attach(launch->queue, launch->segment, NULL);
	return true;
}

/* Asks the server for a worker; false where it has none free. */
static bool
start_worker(Launch *launch)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	/* not later: a standby must refuse the statement, not wait for its end */
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "notebook_migrate",
			sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "nbm_top_level_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, WORKER_NAME, sizeof(worker.bgw_name));
	worker.bgw_main_arg =
		UInt32GetDatum(dsm_segment_handle(launch->segment));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &launch->worker))
		return false;
	shm_mq_set_handle(launch->listener, launch->worker);
	return true;
}

/* Gives the segment back. */
static void
close_segment(Launch *launch)
{
	shm_mq_detach(launch->listener);
	dsm_detach(launch->segment);
}

/*
 * Terminates the worker, for a caller who raises an error or goes.  Before an
 * error it waits until the worker is gone, which cannot itself wait for a
 * listener who has left; but not while it records what is done.
 */
static void
stop_worker(int code, Datum arg)
{
	Launch	   *launch = (Launch *) DatumGetPointer(arg);

	TerminateBackgroundWorker(launch->worker);
	if (proc_exit_inprogress || launch->call->is_done)
		return;
	shm_mq_detach(launch->listener);
	HOLD_INTERRUPTS();
	(void) WaitForBackgroundWorkerShutdown(launch->worker);
	RESUME_INTERRUPTS();
}

/*
 * Takes a message of the worker: an error into *error, which is of the current
 * context and the last one's if there are several; notices are passed on.
 */
static void
take_message(char *data, Size len, ErrorData *error)
{
	StringInfoData message;
	ErrorData	notice;

	message.data = data;
	message.len = message.maxlen = len;
	message.cursor = 0;
	switch (pq_getmsgbyte(&message))
	{
		case 'E':
			pq_parse_errornotice(&message, error);
			break;
		case 'N':
			pq_parse_errornotice(&message, &notice);
			ThrowErrorData(&notice);
			break;
		default:
			break;				/* nothing that we asked for */
	}
}

/* Listens to the worker until it has no more to say. */
static void
listen_to_worker(Launch *launch, ErrorData *error)
{
	Size		len;
	void	   *data;

	while (shm_mq_receive(launch->listener, &len, &data, false) ==
		   SHM_MQ_SUCCESS)
	{
		take_message(data, len, error);
		InvalidateCatalogSnapshot();
	}
	(void) WaitForBackgroundWorkerShutdown(launch->worker);
}

/* What came of it, now that the worker is gone. */
static void
set_result(const Launch *launch, const ErrorData *error,
		   NbmTopLevelResult *result)
{
	if (error->sqlerrcode != 0)
		nbm_top_level_error(error, result);
	if (launch->call->is_recorded)
		result->outcome = NBM_TOP_DONE;
	else if (launch->call->is_done)
		result->outcome = NBM_TOP_UNRECORDED;
	else if (error->sqlerrcode != 0)
	{
		result->outcome = NBM_TOP_FAILED;
		if (error->sqlerrcode == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION &&
			result->hint == NULL)
			result->hint = pstrdup("The statement needs a connection of its own, of the role that this session connected as.");
	}
	else if (shm_mq_get_sender(launch->queue) != NULL)
		set_error(result, NBM_TOP_FAILED,
				  ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				  "lost connection to the background worker",
				  "The statement may or may not have been done; the server's log may tell why.");
	else
		set_error(result, NBM_TOP_NO_WORKER, ERRCODE_INSUFFICIENT_RESOURCES,
				  "could not start a background worker",
				  "The server's log may tell why.");
}

/*
 * Runs one statement as a client's own, with the caller's rights and settings,
 * in another process, and waits for it.  Must be called from a procedure that
 * has just committed (25000 is raised otherwise); temporary tables of the
 * session are not seen by it.
 *
 * marker is an advisory lock that the worker holds for as long as it lives; it
 * fails with 55P03 where somebody else has it.  The payload goes to
 * nbm_top_level_record() in the worker.  The result's strings are of the
 * current context.  Errors of the statement are in the result; what is raised
 * is the caller's own: that he was cancelled, for example.
 */
void
nbm_run_top_level(const char *statement, const LOCKTAG *marker,
				  const char *payload, NbmTopLevelResult *result)
{
	Launch		launch;
	ErrorData	error;

	Assert(marker->locktag_lockmethodid == USER_LOCKMETHOD);
	memset(result, 0, sizeof(*result));
	memset(&launch, 0, sizeof(launch));
	memset(&error, 0, sizeof(error));
	require_nothing_held();
	if (!make_segment(&launch, statement, marker, payload))
	{
		set_error(result, NBM_TOP_NO_WORKER, ERRCODE_INSUFFICIENT_RESOURCES,
				  "too many dynamic shared memory segments",
				  "Try again when other statements have ended.");
		return;
	}
	if (!start_worker(&launch))
	{
		close_segment(&launch);
		set_error(result, NBM_TOP_NO_WORKER,
				  ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
				  "no background worker is free",
				  "Increase max_worker_processes, or run the statement by itself.");
		return;
	}
	PG_ENSURE_ERROR_CLEANUP(stop_worker, PointerGetDatum(&launch));
	{
		listen_to_worker(&launch, &error);
	}
	PG_END_ENSURE_ERROR_CLEANUP(stop_worker, PointerGetDatum(&launch));
	set_result(&launch, &error, result);
	close_segment(&launch);
}
