/*
 * job_equal.h
 *		Work that was done already, or is to be done: whose result is given.
 */
#ifndef NBM_JOB_EQUAL_H
#define NBM_JOB_EQUAL_H

#include "job_store.h"

extern Datum nbm_equal_work(const NbmNewJob *job);
extern bool nbm_equal_asked(const NbmJob *job, NbmNewJob *asked);
extern bool nbm_equal_here(const NbmNewJob *job, NbmJobResult *result);
extern bool nbm_equal_elsewhere(const NbmNewJob *job, bool has_workflow,
								NbmJobResult *result);
extern int64 nbm_equal_waiting(const NbmNewJob *job);
extern void nbm_equal_hasten(int64 id, const NbmNewJob *job);

#endif							/* NBM_JOB_EQUAL_H */
