/*
 * job_row.h
 *		A job's own row, claimed and finished without a query.
 */
#ifndef NBM_JOB_ROW_H
#define NBM_JOB_ROW_H

#include "job_store.h"

/* What became of an attempt to write a row. */
typedef enum NbmRowOutcome
{
	NBM_ROW_WRITTEN,
	NBM_ROW_REFUSED,			/* the job is not what the caller wants */
	NBM_ROW_UNTRIED				/* only a query may write it */
} NbmRowOutcome;

extern NbmRowOutcome nbm_job_row_claim(const NbmClaimer *claimer, NbmJob *job);
extern NbmRowOutcome nbm_job_row_done(NbmJob *job, const pg_uuid_t *token,
									  const char *except_kind, TimestampTz at,
									  Jsonb *usage);
extern bool nbm_job_row_is_over(int64 id);

#endif							/* NBM_JOB_ROW_H */
