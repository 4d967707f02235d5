/*
 * graph.h
 *		Which edges of a graph would close a cycle.
 */
#ifndef NBM_GRAPH_H
#define NBM_GRAPH_H

/* From one node to another; nodes count from 0. */
typedef struct NbmEdge
{
	int			from;
	int			to;
} NbmEdge;

extern bool *nbm_graph_closing(int nnodes, const NbmEdge *edges, int nedges,
							   int nfixed);

#endif							/* NBM_GRAPH_H */
