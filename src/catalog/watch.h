/*
 * watch.h
 *		What a piece of work does to the schemas of the database.
 */
#ifndef NBM_WATCH_H
#define NBM_WATCH_H

#include "utils/jsonb.h"

#include "guard.h"

/* What was seen; of the context that nbm_watch() was called in. */
typedef struct NbmSeen
{
	Jsonb	   *objects;		/* [{"kind", "name", "action"}] */
	Jsonb	   *locks;			/* [{"relation", "mode"}] */
} NbmSeen;

extern void nbm_watch(NbmWork work, void *arg, NbmSeen *seen);

#endif							/* NBM_WATCH_H */
