/*
 * prepend.h
 *		Putting a past before the versions of a document.
 *
 * nbm_prepend_begin takes the versions out, nbm_prepend_state is called with
 * each earlier state, oldest first, and nbm_prepend_finish puts the versions
 * back behind them; where the states belong between two versions,
 * nbm_prepend_keep puts those before them back first; all in one transaction and with the head's lock held.
 * Items keep their keys, and what the past has of them gets the same ones;
 * versions move up by what nbm_prepend_finish returns, and mappings with them.
 */
#ifndef NBM_PREPEND_H
#define NBM_PREPEND_H

#include "nodes/pg_list.h"

#include "commit.h"

typedef struct NbmPrepend
{
	NbmStore	store;
	MemoryContext context;		/* of what was taken out */
	NbmHead		head;			/* as it was */
	NbmHead		now;			/* as it will be; written once, at the end,
								 * since nobody clears a row's many old states
								 * away before the transaction ends */
	List	   *kept;			/* of KeptVersion, oldest first */
	int32		made;			/* versions before those still kept */
	int32		put_back;		/* versions before the past */
} NbmPrepend;

extern void nbm_prepend_begin(NbmPrepend *prepend, const NbmStore *store);
extern void nbm_prepend_keep(NbmPrepend *prepend, int32 version);
extern int32 nbm_prepend_state(NbmPrepend *prepend, Jsonb *state,
							   TimestampTz at);
extern int32 nbm_prepend_finish(NbmPrepend *prepend);

#endif							/* NBM_PREPEND_H */
