/*
 * top_level.h
 *		Running one statement outside of the caller's transaction, as the caller.
 */
#ifndef NBM_TOP_LEVEL_H
#define NBM_TOP_LEVEL_H

#include "storage/lock.h"

/* What became of a statement that ran outside of the caller's transaction. */
typedef enum NbmTopLevelOutcome
{
	NBM_TOP_DONE,				/* it is done, and recorded */
	NBM_TOP_UNRECORDED,			/* it is done, but recording it failed */
	NBM_TOP_FAILED,				/* it failed, or nobody knows what it did */
	NBM_TOP_NO_WORKER			/* it was not begun: there is no worker for it */
} NbmTopLevelOutcome;

/* The same, with the error where there is one. */
typedef struct NbmTopLevelResult
{
	NbmTopLevelOutcome outcome;
	int			sqlstate;		/* 0 where there is no error */
	char	   *message;		/* NULL where there is none, as the next two */
	char	   *detail;
	char	   *hint;
	int			position;		/* character of the statement from 1, or 0 */
} NbmTopLevelResult;

/*
 * Records in the worker what became of a statement, in a transaction of its
 * own with a snapshot, and with the caller's rights: before anybody is told,
 * so that a caller who was killed meanwhile loses nothing.  It is not called
 * where the worker was terminated.  The payload is what the caller gave.
 */
typedef void (*NbmTopLevelRecord) (const char *payload, bool is_done,
								   const NbmTopLevelResult *result);

/* Set when the library is loaded, so that every worker has it; or NULL. */
extern NbmTopLevelRecord nbm_top_level_record;

extern void nbm_run_top_level(const char *statement, const LOCKTAG *marker,
							  const char *payload, NbmTopLevelResult *result);

#endif							/* NBM_TOP_LEVEL_H */
