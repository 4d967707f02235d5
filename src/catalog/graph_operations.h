/*
 * graph_operations.h
 *		Changes of a graph's schema, told as documents, as SQL scripts.
 */
#ifndef NBM_GRAPH_OPERATIONS_H
#define NBM_GRAPH_OPERATIONS_H

#include "utils/jsonb.h"

/* What does an operation, and what undoes it. */
typedef struct NbmGraphScripts
{
	char	   *up;
	char	   *down;			/* NULL: nothing does */
} NbmGraphScripts;

extern int	nbm_graph_count(Jsonb *operations);
extern NbmGraphScripts nbm_graph_scripts(Jsonb *operations, int number);

#endif							/* NBM_GRAPH_OPERATIONS_H */
