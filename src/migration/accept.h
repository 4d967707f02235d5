/*
 * accept.h
 *		A language model's replies taken into the store.
 */
#ifndef NBM_ACCEPT_H
#define NBM_ACCEPT_H

#include "problems.h"
#include "store.h"

/* What the replies are for. */
typedef struct NbmReplies
{
	NbmStore	notebook;
	bool		at_head;		/* of the notebook; else version says */
	int32		version;
	const char *workflow;		/* the texts */
	int			workflow_len;
	const char *mapping;
	int			mapping_len;
	const int64 *workflow_id;	/* NULL: a new workflow */
	const char *name;			/* of the workflow; NULL: none, or as it is */
	bool		is_strict;
} NbmReplies;

/* What was made of them. */
typedef struct NbmAccepted
{
	int64		workflow_id;
	int32		workflow_version;
	int64		mapping_id;
	NbmProblems problems;		/* in the context of the call */
} NbmAccepted;

extern void nbm_accept(const NbmReplies *replies, NbmAccepted *accepted);

#endif							/* NBM_ACCEPT_H */
