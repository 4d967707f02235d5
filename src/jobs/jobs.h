/*
 * jobs.h
 *		The rules of the queue: equal work, who may answer, retries, prompts.
 */
#ifndef NBM_JOBS_H
#define NBM_JOBS_H

#include "job_store.h"

extern int64 nbm_jobs_submit(NbmNewJob *job, const int32 *version);
extern NbmClaim *nbm_jobs_claim(const NbmClaimer *claimer, int n,
								int *count);
extern void nbm_jobs_open(int64 id, const pg_uuid_t *token, TimestampTz at,
						  NbmJob *job);
extern void nbm_jobs_complete(int64 id, const pg_uuid_t *token,
							  const char *workflow_reply,
							  const char *mapping_reply, Jsonb *usage,
							  NbmJobResult *result);
extern const char *nbm_jobs_fail(const NbmJob *job, TimestampTz at,
								 const char *error, bool retry);
extern bool nbm_jobs_cancel(int64 id, TimestampTz at);

#endif							/* NBM_JOBS_H */
