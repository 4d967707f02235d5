/*
 * job_front.c
 *		Where the queue began when this session last looked.
 *
 * Each job that was handed out leaves a dead entry at the front of an index.
 * Normally the next scan marks it, and later ones pass it for nothing.  But
 * while any transaction of the server holds an old snapshot, none can be
 * marked, and each claim would walk over all that were handed out since.  So
 * a session that notices how long the way has become remembers where the
 * first job was, and starts there for a while.
 *
 * Memory is not to be trusted: jobs can appear before that place, by a higher
 * priority or a claim that was rolled back.  It lasts FRONT_LASTS times as
 * long as the walk took that it saves.  So walks cost a session a few per cent
 * of its time at most, and a job that should have come first is overtaken for
 * a moment only; where a claim from memory finds nothing, it is made again
 * from the start.  What the session itself makes ready forgets the place at
 * once.  Without an old snapshot walks are short, and nothing is remembered.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "job_front.h"

/* Walks from this long on, in microseconds, are worth remembering. */
#define FRONT_FAR 400
/* How often the time of a walk its result is believed. */
#define FRONT_LASTS 50

typedef struct Memory
{
	uint32		scope;			/* which kinds; of claims only */
	NbmPlace	place;
	TimestampTz since;			/* by the clock, from when */
	TimestampTz until;			/* to when to believe it */
} Memory;

static const NbmPlace start = {PG_INT64_MIN, DT_NOBEGIN, PG_INT64_MIN};
static Memory front;
static Memory waking;

/* Is there something in memory that still holds?  (The clock may be set.) */
static bool
is_fresh(const Memory *memory, TimestampTz now)
{
	return now >= memory->since && now < memory->until;
}

/* Lets a memory last, in proportion to what it took to get it. */
static void
keep(Memory *memory, TimestampTz began)
{
	memory->since = GetCurrentTimestamp();
	memory->until = memory->since + FRONT_LASTS * (memory->since - began);
}

/* Forgets all: something was made ready, which may be before the place. */
void
nbm_front_forget(void)
{
	front.until = front.since;
	waking.until = waking.since;
}

/* Begins a claim of some kinds (0: all): from where is it to start? */
NbmFrontWatch
nbm_front_begin(Datum kinds)
{
	NbmFrontWatch watch = {start, false, 0, GetCurrentTimestamp()};

	if (kinds != 0)
	{
		struct varlena *array = PG_DETOAST_DATUM(kinds);

		watch.scope = hash_bytes((unsigned char *) array, VARSIZE(array)) | 1;
	}
	if (is_fresh(&front, watch.began) && front.scope == watch.scope)
	{
		watch.from = front.place;
		watch.is_known = true;
	}
	return watch;
}

/* The front has moved on; what is remembered lasts no longer for it. */
void
nbm_front_move(NbmFrontWatch *watch, NbmPlace place)
{
	watch->from = place;
	front.place = place;
}

/* Was the way from the start so long that it is worth looking again? */
bool
nbm_front_is_far(NbmFrontWatch *watch)
{
	TimestampTz now = GetCurrentTimestamp();

	if (watch->is_known || now - watch->began < FRONT_FAR)
		return false;
	watch->began = now;
	return true;
}

/* Remembers a place that was found since nbm_front_is_far(). */
void
nbm_front_learn(const NbmFrontWatch *watch, NbmPlace place)
{
	if (GetCurrentTimestamp() - watch->began < FRONT_FAR)
		return;
	front.scope = watch->scope;
	front.place = place;
	keep(&front, watch->began);
}

/* Begins a look for what time has made ready: from when on? */
NbmWakeWatch
nbm_wake_begin(void)
{
	NbmWakeWatch watch = {DT_NOBEGIN, GetCurrentTimestamp()};

	if (is_fresh(&waking, watch.began))
		watch.from = waking.place.run_after;
	return watch;
}

/* Ends a look that found nothing before a time. */
void
nbm_wake_end(const NbmWakeWatch *watch, TimestampTz at)
{
	if (watch->from != DT_NOBEGIN ||
		GetCurrentTimestamp() - watch->began < FRONT_FAR)
		return;
	waking.place.run_after = at;
	keep(&waking, watch->began);
}
