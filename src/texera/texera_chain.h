/*
 * texera_chain.h
 *		The past of a workflow, out of its chain of reverse patches.
 */
#ifndef NBM_TEXERA_CHAIN_H
#define NBM_TEXERA_CHAIN_H

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include "guard.h"

/* The chain of a workflow; nbm_chain_walk() finds out what is in it. */
typedef struct NbmChain
{
	/* given */
	SPIPlanPtr	read_row;		/* of a vid: its patch, its time or NULL */
	const int64 *vids;			/* newest first */
	int			nvids;
	bool		is_part;		/* the oldest row's patch leads out of what is
								 * looked for, and is not read */
	Jsonb	   *base;			/* the state after the newest */

	/* found */
	TimestampTz *times;			/* of the rows; 0: unknown */
	Tuplestorestate *states;	/* before each row, newest first */
	struct TupleDescData *desc;
	int			count;			/* states that are sound */
	int			rows;			/* rows that were read */
	int			unchanged;		/* newest rows whose saves changed nothing */
	int			marker;			/* newest row that is []; -1: none */
	bool		starts_empty;	/* the state before the first row is {} */
	bool		is_damaged;		/* at the row after the last sound state */
	NbmCaught	damage;
} NbmChain;

/* One state of the past. */
typedef struct NbmPast
{
	Jsonb	   *state;
	int64		vid;			/* of the save that made it; 0: unknown */
	TimestampTz at;				/* when; 0: unknown */
	bool		is_exact;
	bool		is_repeated;	/* the state after it, once more */
} NbmPast;

extern void nbm_chain_walk(NbmChain *chain);
extern bool nbm_chain_base(const NbmChain *chain, NbmPast *past);
extern void nbm_chain_each(const NbmChain *chain,
						   void (*visit) (const NbmPast *past, void *arg),
						   void *arg);
extern void nbm_chain_close(NbmChain *chain);
extern const char *nbm_chain_note(const NbmChain *chain);

#endif							/* NBM_TEXERA_CHAIN_H */
