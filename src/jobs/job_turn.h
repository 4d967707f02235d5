/*
 * job_turn.h
 *		Whose turn it is: the first job of each line, found and moved on.
 */
#ifndef NBM_JOB_TURN_H
#define NBM_JOB_TURN_H

#include "job_front.h"

/* The first job of a line. */
typedef struct NbmTurn
{
	int64		notebook_id;
	const char *kind;
	bool		is_ready;		/* to be handed out */
	NbmPlace	place;			/* the job, and when it is handed out */
} NbmTurn;

typedef struct NbmTurns NbmTurns;

extern bool nbm_turns_are_due(TimestampTz at);
extern NbmTurns *nbm_turns_open(Datum kinds, const NbmPlace *from);
extern bool nbm_turns_next(NbmTurns *turns, NbmTurn *turn);
extern void nbm_turns_lease(NbmTurns *turns, TimestampTz until);
extern void nbm_turns_close(NbmTurns *turns);
extern bool nbm_turn_pass(NbmTurn *turn, TimestampTz at);

#endif							/* NBM_JOB_TURN_H */
