/*
 * schema_run.h
 *		Running a script, so that it fails as a whole and leaves no setting.
 */
#ifndef NBM_SCHEMA_RUN_H
#define NBM_SCHEMA_RUN_H

#include "utils/elog.h"

/* Why a script failed. */
typedef struct NbmFailure
{
	ErrorData  *error;			/* of the caller's context */
	int			statement;		/* which; 0: none of them */
	int			position;		/* of the script; 0: the server does not say */
} NbmFailure;

extern bool nbm_script_run(const char *body, bool settle, NbmFailure *failure);

#endif							/* NBM_SCHEMA_RUN_H */
