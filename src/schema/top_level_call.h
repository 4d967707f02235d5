/*
 * top_level_call.h
 *		What the caller of a statement and its worker share.
 *
 * One segment of dynamic shared memory holds the call, the statement, the
 * payload, the caller's settings, and a queue for what the worker has to say,
 * which is errors and notices as they are sent to clients.
 */
#ifndef NBM_TOP_LEVEL_CALL_H
#define NBM_TOP_LEVEL_CALL_H

#include "storage/lock.h"
#include "utils/elog.h"

#include "top_level.h"

/* The table of contents of the segment: its magic number and its keys. */
#define NBM_CALL_MAGIC 0x6e626d74
#define NBM_CALL_HEAD 0
#define NBM_CALL_STATEMENT 1
#define NBM_CALL_PAYLOAD 2
#define NBM_CALL_SETTINGS 3
#define NBM_CALL_QUEUE 4

/* Who calls, and how far the worker came. */
typedef struct NbmTopLevelCall
{
	Oid			database;
	Oid			login_role;		/* who connected */
	Oid			session_role;	/* SET SESSION AUTHORIZATION */
	Oid			role;			/* SET ROLE */
	LOCKTAG		marker;
	/* The worker's; read when it has left the queue. */
	volatile bool is_done;
	volatile bool is_recorded;
} NbmTopLevelCall;

extern void nbm_top_level_error(const ErrorData *error,
								NbmTopLevelResult *result);

#endif							/* NBM_TOP_LEVEL_CALL_H */
