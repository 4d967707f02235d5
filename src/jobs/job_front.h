/*
 * job_front.h
 *		Where the queue began when this session last looked.
 */
#ifndef NBM_JOB_FRONT_H
#define NBM_JOB_FRONT_H

#include "datatype/timestamp.h"

/* A place in the order in which jobs are handed out. */
typedef struct NbmPlace
{
	int64		rank;
	TimestampTz run_after;
	int64		id;
} NbmPlace;

/* A claim, from where it starts. */
typedef struct NbmFrontWatch
{
	bool		is_known;		/* from memory? else it starts at the start */
	NbmPlace	from;
	uint32		scope;			/* which kinds */
	TimestampTz began;
} NbmFrontWatch;

/* A look for what time has made ready. */
typedef struct NbmWakeWatch
{
	bool		is_done;		/* a moment ago: need not be done again */
	TimestampTz began;
} NbmWakeWatch;

extern int	nbm_place_cmp(const NbmPlace *a, const NbmPlace *b);
extern void nbm_front_forget(void);
extern NbmFrontWatch nbm_front_begin(Datum kinds);
extern void nbm_front_end(const NbmFrontWatch *watch, NbmPlace last);
extern void nbm_front_lower(NbmPlace place);
extern NbmWakeWatch nbm_wake_begin(void);
extern void nbm_wake_end(const NbmWakeWatch *watch);

#endif							/* NBM_JOB_FRONT_H */
