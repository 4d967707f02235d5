/*
 * schema_graph.c
 *		The order of things that depend on each other.
 *
 * Plain algorithms on numbers; they know nothing of names and tables.  Kahn's
 * algorithm with a heap in place of its queue: among the nodes that are ready
 * the one with the smallest number comes first, so the order depends on the
 * graph alone.
 */
#include "postgres.h"

#include "lib/binaryheap.h"
#include "miscadmin.h"

#include "schema_graph.h"

/*
 * The edges by what is needed, with what needs it, or the other way round; of
 * the current context.
 */
NbmNeighbours
nbm_graph_neighbours(int nodes, const NbmNeed *needs, int nneeds,
					 bool by_needed)
{
	NbmNeighbours result;
	int		   *room;

	result.first = palloc0_array(int, nodes + 1);
	result.others = palloc_array(int, Max(nneeds, 1));
	for (int i = 0; i < nneeds; i++)
		result.first[(by_needed ? needs[i].needs : needs[i].node) + 1]++;
	for (int i = 0; i < nodes; i++)
		result.first[i + 1] += result.first[i];
	room = palloc_array(int, nodes + 1);
	memcpy(room, result.first, sizeof(int) * (nodes + 1));
	for (int i = 0; i < nneeds; i++)
	{
		int			end = by_needed ? needs[i].needs : needs[i].node;

		result.others[room[end]++] = by_needed ? needs[i].node : needs[i].needs;
	}
	pfree(room);
	return result;
}

/* The heap's order: the smallest number on top. */
static int
compare_nodes(Datum a, Datum b, void *arg)
{
	int			x = DatumGetInt32(a);
	int			y = DatumGetInt32(b);

	return (x < y) - (x > y);
}

/*
 * Puts the nodes 0 to nodes - 1 into an order in which each stands behind
 * what it needs, and returns how many could be placed: all of them, unless
 * there is a cycle.  order has room for all.  O(n log n + edges).
 */
int
nbm_graph_order(int nodes, const NbmNeed *needs, int nneeds, int *order)
{
	NbmNeighbours behind = nbm_graph_neighbours(nodes, needs, nneeds, true);
	int		   *missing = palloc0_array(int, Max(nodes, 1));
	binaryheap *ready = binaryheap_allocate(Max(nodes, 1), compare_nodes, NULL);
	int			placed = 0;

	for (int i = 0; i < nneeds; i++)
		missing[needs[i].node]++;
	for (int i = 0; i < nodes; i++)
	{
		if (missing[i] == 0)
			binaryheap_add(ready, Int32GetDatum(i));
	}
	while (!binaryheap_empty(ready))
	{
		int			node = DatumGetInt32(binaryheap_remove_first(ready));

		CHECK_FOR_INTERRUPTS();
		order[placed++] = node;
		for (int i = behind.first[node]; i < behind.first[node + 1]; i++)
		{
			if (--missing[behind.others[i]] == 0)
				binaryheap_add(ready, Int32GetDatum(behind.others[i]));
		}
	}
	binaryheap_free(ready);
	pfree(missing);
	pfree(behind.first);
	pfree(behind.others);
	return placed;
}

/*
 * A cycle of a graph that has one: each node of the path needs the next one,
 * and the last one needs the first.  Returns its length, 0 where there is
 * none; path has room for all nodes.  It is the same one each time: the first
 * that is met from the smallest node on.
 */
int
nbm_graph_cycle(int nodes, const NbmNeed *needs, int nneeds, int *path)
{
	NbmNeighbours before = nbm_graph_neighbours(nodes, needs, nneeds, false);
	int		   *next = palloc_array(int, Max(nodes, 1));
	int		   *place = palloc_array(int, Max(nodes, 1));	/* on the path */
	enum
	{
		UNSEEN = -1, DONE = -2
	};

	for (int i = 0; i < nodes; i++)
	{
		next[i] = before.first[i];
		place[i] = UNSEEN;
	}
	for (int root = 0; root < nodes; root++)
	{
		int			depth = 0;

		if (place[root] != UNSEEN)
			continue;
		place[root] = 0;
		path[depth++] = root;
		while (depth > 0)
		{
			int			node = path[depth - 1];
			int			other;

			CHECK_FOR_INTERRUPTS();
			if (next[node] == before.first[node + 1])
			{
				place[node] = DONE;
				depth--;
				continue;
			}
			other = before.others[next[node]++];
			if (place[other] == UNSEEN)
			{
				place[other] = depth;
				path[depth++] = other;
			}
			else if (place[other] != DONE)
			{
				memmove(path, path + place[other],
						sizeof(int) * (depth - place[other]));
				return depth - place[other];
			}
		}
	}
	return 0;
}
