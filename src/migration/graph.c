/*
 * graph.c
 *		Which edges of a graph would close a cycle.
 *
 * A plain algorithm.  Most graphs have no cycle, and one pass in topological
 * order says so.  Only where that fails are the edges taken one by one: each
 * closes a cycle if its end reaches its beginning by the edges taken so far.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "graph.h"

/* The edges that leave each node, as lists. */
typedef struct Leaving
{
	const NbmEdge *edges;
	int		   *first;			/* by node; -1: none */
	int		   *next;			/* by edge */
} Leaving;

/* Adds an edge to the list of its node. */
static void
add_edge(Leaving *leaving, int edge)
{
	leaving->next[edge] = leaving->first[leaving->edges[edge].from];
	leaving->first[leaving->edges[edge].from] = edge;
}

/* An empty list for each node, in the current context. */
static void
init_leaving(Leaving *leaving, int nnodes, const NbmEdge *edges, int nedges)
{
	leaving->edges = edges;
	leaving->first = palloc_array(int, Max(nnodes, 1));
	leaving->next = palloc_array(int, Max(nedges, 1));
	for (int i = 0; i < nnodes; i++)
		leaving->first[i] = -1;
}

/* Can all nodes be put in an order in which every edge leads onwards? */
static bool
is_acyclic(int nnodes, const NbmEdge *edges, int nedges)
{
	Leaving		leaving;
	int		   *arriving = palloc0_array(int, Max(nnodes, 1));
	int		   *queue = palloc_array(int, Max(nnodes, 1));
	int			done = 0;
	int			count = 0;

	init_leaving(&leaving, nnodes, edges, nedges);
	for (int i = 0; i < nedges; i++)
	{
		add_edge(&leaving, i);
		arriving[edges[i].to]++;
	}
	for (int i = 0; i < nnodes; i++)
		if (arriving[i] == 0)
			queue[count++] = i;
	for (; done < count; done++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int e = leaving.first[queue[done]]; e >= 0; e = leaving.next[e])
			if (--arriving[edges[e].to] == 0)
				queue[count++] = edges[e].to;
	}
	return count == nnodes;
}

/*
 * Does a path lead from one node to another?  seen has a number for each
 * node, none of them mark; stack has room for all nodes.
 */
static bool
reaches(const Leaving *leaving, int from, int to, int *seen, int mark,
		int *stack)
{
	int			depth = 0;

	stack[depth++] = from;
	seen[from] = mark;
	while (depth > 0)
	{
		int			node = stack[--depth];

		CHECK_FOR_INTERRUPTS();
		if (node == to)
			return true;
		for (int e = leaving->first[node]; e >= 0; e = leaving->next[e])
		{
			int			next = leaving->edges[e].to;

			if (seen[next] == mark)
				continue;
			seen[next] = mark;
			stack[depth++] = next;
		}
	}
	return false;
}

/*
 * Says of each edge, taken in order, whether it would close a cycle with the
 * ones taken before; such an edge is not taken.  The first nfixed are taken
 * whatever they do.  The answer is new memory of the current context.
 */
bool *
nbm_graph_closing(int nnodes, const NbmEdge *edges, int nedges, int nfixed)
{
	bool	   *is_closing = palloc0_array(bool, Max(nedges, 1));
	Leaving		leaving;
	int		   *seen;
	int		   *stack;

	if (is_acyclic(nnodes, edges, nedges))
		return is_closing;
	seen = palloc_array(int, Max(nnodes, 1));
	stack = palloc_array(int, Max(nnodes, 1));
	init_leaving(&leaving, nnodes, edges, nedges);
	for (int i = 0; i < nnodes; i++)
		seen[i] = -1;
	for (int i = 0; i < nedges; i++)
	{
		is_closing[i] = i >= nfixed &&
			reaches(&leaving, edges[i].to, edges[i].from, seen, i, stack);
		if (!is_closing[i])
			add_edge(&leaving, i);
	}
	return is_closing;
}
