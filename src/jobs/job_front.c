/*
 * job_front.c
 *		Where the queue began when this session last looked.
 *
 * Each job that was handed out leaves a dead entry at the front of an index.
 * A scan from there passes them one by one, until a VACUUM takes them away;
 * and while any transaction of the server holds an old snapshot, none can be
 * taken away, nor be marked as dead for everyone.  So a session that notices
 * how long the way has become remembers the place of the job that it was
 * given last, and goes on from there for a while.
 *
 * Memory is not to be trusted: jobs can appear before that place, by a higher
 * priority, or because a claim was rolled back.  It lasts FRONT_LASTS times
 * as long as the walk took that it saves.  So walks cost a session two per
 * cent of its time at most, and what should have come first is overtaken for
 * a moment only; where a claim from memory finds nothing, it is made again
 * from the start.  What the session itself makes ready moves the place back.
 * Where the way is short nothing is remembered.
 *
 * The same goes for the look for leases that ran out and retries that are
 * due: for as many times as long as it took it is not made again.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "job_front.h"

/* Walks from this long on, in microseconds, are worth remembering. */
#define FRONT_FAR 60
/* How often the time of a walk its result is believed. */
#define FRONT_LASTS 50

typedef struct Memory
{
	uint32		scope;			/* which kinds; of claims only */
	NbmPlace	place;
	TimestampTz since;			/* by the clock, from when */
	TimestampTz until;			/* to when to believe it */
} Memory;

static Memory front;
static Memory waking;

/* Is there something in memory that still holds?  (The clock may be set.) */
static bool
is_fresh(const Memory *memory, TimestampTz now)
{
	return now >= memory->since && now < memory->until;
}

/* Which of two places is before the other? */
int
nbm_place_cmp(const NbmPlace *a, const NbmPlace *b)
{
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	if (a->run_after != b->run_after)
		return a->run_after < b->run_after ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
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
	NbmFrontWatch watch = {.began = GetCurrentTimestamp()};

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

/*
 * Ends a claim that was given all it asked for, up to a place: the next one
 * starts there, if the way was long or was known already.
 */
void
nbm_front_end(const NbmFrontWatch *watch, NbmPlace last)
{
	if (watch->is_known)
		front.place = last;
	else if (GetCurrentTimestamp() - watch->began >= FRONT_FAR)
	{
		front.scope = watch->scope;
		front.place = last;
		keep(&front, watch->began);
	}
}

/* A job was made ready at a place: the queue begins there at the latest. */
void
nbm_front_lower(NbmPlace place)
{
	if (nbm_place_cmp(&place, &front.place) < 0)
		front.place = place;
}

/* Begins a look for what time has made ready, unless that was done just now. */
NbmWakeWatch
nbm_wake_begin(void)
{
	NbmWakeWatch watch;

	watch.began = GetCurrentTimestamp();
	watch.is_done = is_fresh(&waking, watch.began);
	return watch;
}

/* Ends a look that found nothing. */
void
nbm_wake_end(const NbmWakeWatch *watch)
{
	keep(&waking, watch->began);
}
