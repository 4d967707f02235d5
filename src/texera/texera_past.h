/*
 * texera_past.h
 *		Putting a workflow's past before its versions.
 */
#ifndef NBM_TEXERA_PAST_H
#define NBM_TEXERA_PAST_H

#include "executor/spi.h"

/* A workflow whose past is taken in. */
typedef struct NbmTexeraPast
{
	Oid			owner;			/* with whose rights the store is written */
	const char *table;			/* its workflow_version, as it is quoted */
	SPIPlanPtr	read_row;
	int64		workflow_id;
	const int64 *vids;			/* newest first */
	int			nvids;

	int			rows;			/* done: rows that were read */
	int			versions;		/* versions that were made */
} NbmTexeraPast;

extern void nbm_texera_take_past(NbmTexeraPast *past);
extern void nbm_texera_take_gaps(NbmTexeraPast *past);

#endif							/* NBM_TEXERA_PAST_H */
