/*
 * reply.h
 *		JSON found in what a language model answered.
 */
#ifndef NBM_REPLY_H
#define NBM_REPLY_H

#include "jsonb_bytes.h"

/* Replies larger than this are refused. */
#define NBM_MAX_REPLY (16 * 1024 * 1024)

/* What a reply is looked through for. */
typedef enum NbmReplyKind
{
	NBM_ANY_REPLY,				/* whichever it is */
	NBM_WORKFLOW_REPLY,			/* {"code": ..., "edges": ..., "outputs": ...} */
	NBM_MAPPING_REPLY			/* {UDF: [cell or lines, ...], ...} */
} NbmReplyKind;

/* The object that was found. */
typedef struct NbmReply
{
	NbmReplyKind kind;			/* never NBM_ANY_REPLY */
	Jsonb	   *value;			/* every number and string as it was written */
	int			line;			/* where it begins, from 1 */
	int			column;
	NbmText    *names;			/* UDFs in the order of the text, each once */
	int			nnames;
	NbmText    *repeated;		/* paths of members that stand twice */
	int			nrepeated;
	int			nothers;		/* how many others of its kind there are */
} NbmReply;

extern void nbm_reply_find(const char *str, int len, NbmReplyKind kind,
						   NbmReply *reply);

#endif							/* NBM_REPLY_H */
