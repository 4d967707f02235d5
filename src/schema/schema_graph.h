/*
 * schema_graph.h
 *		The order of things that depend on each other.
 */
#ifndef NBM_SCHEMA_GRAPH_H
#define NBM_SCHEMA_GRAPH_H

/* A node of a graph needs another one before it. */
typedef struct NbmNeed
{
	int			node;
	int			needs;
} NbmNeed;

/*
 * The edges by the node at one of their ends: those of node n are
 * others[first[n]] to others[first[n + 1] - 1].
 */
typedef struct NbmNeighbours
{
	int		   *first;
	int		   *others;
} NbmNeighbours;

extern NbmNeighbours nbm_graph_neighbours(int nodes, const NbmNeed *needs,
										  int nneeds, bool by_needed);
extern int	nbm_graph_order(int nodes, const NbmNeed *needs, int nneeds,
							int *order);
extern int	nbm_graph_cycle(int nodes, const NbmNeed *needs, int nneeds,
							int *path);

#endif							/* NBM_SCHEMA_GRAPH_H */
