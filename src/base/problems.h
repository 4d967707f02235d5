/*
 * problems.h
 *		What was left out of something that was taken in, a sentence each.
 */
#ifndef NBM_PROBLEMS_H
#define NBM_PROBLEMS_H

#include "jsonb_bytes.h"

/* A list that grows; beyond a limit problems are counted only. */
typedef struct NbmProblems
{
	char	  **items;
	int			count;			/* in items */
	int			room;
	int64		total;
} NbmProblems;

extern void nbm_problem(NbmProblems *problems, const char *format,...)
			pg_attribute_printf(2, 3);
extern void nbm_problems_close(NbmProblems *problems);
extern char *nbm_clipped(NbmText name);

#endif							/* NBM_PROBLEMS_H */
