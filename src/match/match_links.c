/*
 * match_links.c
 *		Operators told apart by what they are linked with.
 *
 * Where items are nodes of a graph, their order says little.  Pairs that are
 * linked already (here "settled", as a link is an edge of the graph) settle
 * their neighbours: those that hang at equal ports and are equal, or similar
 * without a rival, or alone of their type.  Whatever is equal and cannot be
 * told apart this way is told apart by its surroundings, three steps far; and
 * where these are equal, too, the first ones will do, as long as their
 * neighbours then follow them.
 *
 * Each pair is looked at a few times, each time for the price of sorting its
 * neighbours.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "matcher.h"
#include "miscadmin.h"

#define ROUNDS			3		/* how far surroundings reach */
#define CROWD			1024	/* pairs of neighbours that are compared */
#define COMPARISON		64		/* what one comparison costs, in grams */
#define WITNESSES		64		/* neighbours that are asked about an item */
#define MARGIN			500		/* by which a neighbour must be more similar */

/* How sure a neighbour must be. */
typedef enum Trust
{
	TRUST_EQUAL,				/* its content is equal, and no other one's */
	TRUST_SIMILAR,				/* it is similar, and no other one as much */
	TRUST_ALONE					/* there is no other one of its type, and its
								 * other neighbours agree */
} Trust;

/* A link, from its node's view.  Anchors are nodes behind the items. */
typedef struct Edge
{
	int			node;
	uint64		label;
	int			neighbour;
} Edge;

/* The graph of one side. */
typedef struct Graph
{
	Edge	   *edges;			/* by node, label, neighbour */
	int			nedges;
	int		   *first;			/* by node: its first edge; one more at the
								 * end */
	uint64	   *colours[ROUNDS + 1];	/* by item: its surroundings */
} Graph;

/* The work on both graphs. */
typedef struct Linker
{
	NbmMatcher *m;
	Graph		graph[2];
	NbmEntry   *anchors;		/* (key, number), sorted: the same on both
								 * sides */
	int			nanchors;
	NbmEntries	settled;		/* pairs of nodes, in the order they were
								 * found */
	int			done;			/* those whose neighbours were looked at */
} Linker;

/* Order of edges, and bsearch comparator. */
static int
edge_cmp(const void *a, const void *b)
{
	const Edge *ea = a;
	const Edge *eb = b;

	if (ea->node != eb->node)
		return ea->node < eb->node ? -1 : 1;
	if (ea->label != eb->label)
		return ea->label < eb->label ? -1 : 1;
	return ea->neighbour < eb->neighbour ? -1 : ea->neighbour > eb->neighbour;
}

#define ST_SORT sort_edges
#define ST_ELEMENT_TYPE Edge
#define ST_COMPARE(a, b) edge_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Numbers the anchors of both sides. */
static void
number_anchors(Linker *l)
{
	NbmEntries	list = {0};

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < l->m->side[s].nitems; i++)
		{
			const NbmMatchItem *item = &l->m->side[s].items[i];

			for (int k = 0; k < item->nlinks; k++)
				if (item->links[k].neighbour < 0 && item->links[k].anchor > 0)
					nbm_entries_add(&list, item->links[k].anchor, 0);
		}
	}
	nbm_entries_sort(list.entries, list.count);
	for (int i = 0; i < list.count; i++)
	{
		if (i > 0 && list.entries[i].key == list.entries[i - 1].key)
			continue;
		list.entries[l->nanchors].key = list.entries[i].key;
		list.entries[l->nanchors].value = l->nanchors;
		l->nanchors++;
	}
	l->anchors = list.entries;
}

/* The number of an anchor. */
static int
find_anchor(const Linker *l, int32 key)
{
	int			low = 0;
	int			high = l->nanchors - 1;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (l->anchors[middle].key < (uint64) key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Adds an edge to a graph that has room for it. */
static void
add_edge(Graph *graph, int node, uint64 label, int neighbour)
{
	graph->edges[graph->nedges].node = node;
	graph->edges[graph->nedges].label = label;
	graph->edges[graph->nedges++].neighbour = neighbour;
}

/* Builds the graph of one side; anchors have edges back to their items. */
static void
build_graph(Linker *l, int s)
{
	const NbmSide *side = &l->m->side[s];
	Graph	   *graph = &l->graph[s];
	int			nnodes = side->nitems + l->nanchors;
	int			room = 0;

	for (int i = 0; i < side->nitems; i++)
		room += 2 * side->items[i].nlinks;
	graph->edges = nbm_alloc(room, sizeof(Edge));
	for (int i = 0; i < side->nitems; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < side->items[i].nlinks; k++)
		{
			const NbmMatchLink *link = &side->items[i].links[k];
			int			neighbour = link->neighbour;

			if (neighbour < 0 && link->anchor > 0)
			{
				neighbour = side->nitems + find_anchor(l, link->anchor);
				add_edge(graph, neighbour, link->label, i);
			}
			if (neighbour >= 0)
				add_edge(graph, i, link->label, neighbour);
		}
	}
	sort_edges(graph->edges, graph->nedges);
	graph->first = nbm_alloc_ints(nnodes + 1, graph->nedges);
	for (int e = graph->nedges - 1; e >= 0; e--)
		graph->first[graph->edges[e].node] = e;
	for (int node = nnodes - 1; node >= 0; node--)
		graph->first[node] = Min(graph->first[node], graph->first[node + 1]);
}

/*
 * Settles a pair of free items.  Where their ids speak against it, their texts
 * must be equal or very similar.
 */
static bool
settle(Linker *l, int old, int new)
{
	if (l->m->side[NBM_OLD].partner[old] >= 0 ||
		l->m->side[NBM_NEW].partner[new] >= 0)
		return false;
	if (nbm_ids_differ(l->m, old, new) && !nbm_equal_content(l->m, old, new) &&
		nbm_compare_items(l->m, old, new, NBM_SIMILAR_FAR) == 0)
		return false;
	nbm_link(l->m, old, new);
	nbm_entries_add(&l->settled, old, new);
	return true;
}

/*
 * The free items at one label of a node, from edge *e on, as entries (class,
 * item), sorted: classes are contents, or types where told so.  Moves *e behind
 * the label.  The list's room is used again and again.
 */
static void
list_neighbours(const Linker *l, int s, int *e, int end, bool types,
				NbmEntries *list)
{
	const NbmSide *side = &l->m->side[s];
	const Edge *edges = l->graph[s].edges;
	uint64		label = edges[*e].label;

	list->count = 0;
	for (int last = -1; *e < end && edges[*e].label == label; (*e)++)
	{
		int			item = edges[*e].neighbour;

		if (item == last || item >= side->nitems || side->partner[item] >= 0)
			continue;
		last = item;
		nbm_entries_add(list, types ? side->items[item].type :
						(uint64) side->content[item], item);
	}
	if (list->count > 1)
		nbm_entries_sort(list->entries, list->count);
}

/* Where in a sorted list the class ends that begins at an entry. */
static int
class_end(const NbmEntries *list, int start)
{
	int			end = start;

	while (end < list->count && list->entries[end].key == list->entries[start].key)
		end++;
	return end;
}

/*
 * The entry of b that is most similar to an item; -1 where it has a rival, or
 * where no more comparing can be afforded.
 */
static int
most_similar(Linker *l, int s, int item, const NbmEntries *b, int start, int end)
{
	int			best = -1;
	int			highest = 0;
	int			second = 0;

	l->m->work_left -= COMPARISON * (end - start);
	if (l->m->work_left < 0)
		return -1;
	for (int i = start; i < end; i++)
	{
		int			other = (int) b->entries[i].value;
		int			similarity = s == NBM_OLD ?
		nbm_compare_items(l->m, item, other, NBM_SIMILAR_NEAR) :
		nbm_compare_items(l->m, other, item, NBM_SIMILAR_NEAR);

		if (similarity > highest)
		{
			second = highest;
			highest = similarity;
			best = i;
		}
		else
			second = Max(second, similarity);
	}
	return highest > 0 && highest - second >= MARGIN ? best : -1;
}

/*
 * Settles those of one class of old and one of new neighbours that are the most
 * similar to each other.
 */
static void
settle_similar(Linker *l, const NbmEntries *a, int i, int i_end,
			   const NbmEntries *b, int j, int j_end)
{
	if ((int64) (i_end - i) * (j_end - j) > CROWD)
		return;
	for (int k = i; k < i_end; k++)
	{
		int			old = (int) a->entries[k].value;
		int			best = most_similar(l, NBM_OLD, old, b, j, j_end);

		if (best >= 0 &&
			most_similar(l, NBM_NEW, (int) b->entries[best].value, a, i, i_end) == k)
			(void) settle(l, old, (int) b->entries[best].value);
	}
}

/* Has a side's graph this edge? */
static bool
has_edge(const Graph *graph, int node, uint64 label, int neighbour)
{
	Edge		wanted = {node, label, neighbour};

	return bsearch(&wanted, graph->edges, graph->nedges, sizeof(Edge),
				   edge_cmp) != NULL;
}

/*
 * Do most settled neighbours of an old item, of the first few, stand by the new
 * one as well?
 */
static bool
neighbours_agree(const Linker *l, int old, int new)
{
	const Graph *graph = &l->graph[NBM_OLD];
	const NbmSide *a = &l->m->side[NBM_OLD];
	const NbmSide *b = &l->m->side[NBM_NEW];
	int			end = Min(graph->first[old + 1], graph->first[old] + WITNESSES);
	int			agree = 0;
	int			settled = 0;

	for (int e = graph->first[old]; e < end; e++)
	{
		int			neighbour = graph->edges[e].neighbour;
		int			partner = neighbour < a->nitems ? a->partner[neighbour] :
		neighbour - a->nitems + b->nitems;

		if (partner < 0)
			continue;
		settled++;
		agree += has_edge(&l->graph[NBM_NEW], new, graph->edges[e].label, partner);
	}
	return 2 * agree > settled;
}

/* Settles what can be of the free neighbours at one label of a pair. */
static void
settle_group(Linker *l, const NbmEntries *a, const NbmEntries *b, Trust trust)
{
	for (int i = 0, j = 0; i < a->count && j < b->count;)
	{
		int			i_end = class_end(a, i);
		int			j_end = class_end(b, j);
		uint64		ka = a->entries[i].key;
		uint64		kb = b->entries[j].key;

		if (ka == kb && trust == TRUST_SIMILAR)
			settle_similar(l, a, i, i_end, b, j, j_end);
		else if (ka == kb && i_end == i + 1 && j_end == j + 1 &&
				 (trust == TRUST_EQUAL ||
				  neighbours_agree(l, (int) a->entries[i].value,
								   (int) b->entries[j].value)))
			(void) settle(l, (int) a->entries[i].value, (int) b->entries[j].value);
		i = ka <= kb ? i_end : i;
		j = kb <= ka ? j_end : j;
	}
}

/* Settles what can be of the neighbours of a settled pair of nodes. */
static void
look_around(Linker *l, int old, int new, Trust trust, NbmEntries *a, NbmEntries *b)
{
	const Graph *ga = &l->graph[NBM_OLD];
	const Graph *gb = &l->graph[NBM_NEW];
	int			i = ga->first[old];
	int			j = gb->first[new];
	int			i_end = ga->first[old + 1];
	int			j_end = gb->first[new + 1];

	while (i < i_end && j < j_end)
	{
		if (ga->edges[i].label < gb->edges[j].label)
			i++;
		else if (ga->edges[i].label > gb->edges[j].label)
			j++;
		else
		{
			list_neighbours(l, NBM_OLD, &i, i_end, trust != TRUST_EQUAL, a);
			list_neighbours(l, NBM_NEW, &j, j_end, trust != TRUST_EQUAL, b);
			settle_group(l, a, b, trust);
		}
	}
}

/*
 * Looks around all settled pairs: around the new ones for equal neighbours,
 * until there are no more; then, if less will do, around all of them, and each
 * pair that this settles is followed at once.
 */
static void
spread(Linker *l, Trust trust)
{
	NbmEntries	a = {0};
	NbmEntries	b = {0};

	for (int i = -1; i < l->settled.count; i++)
	{
		for (; l->done < l->settled.count; l->done++)
		{
			CHECK_FOR_INTERRUPTS();
			look_around(l, (int) l->settled.entries[l->done].key,
						(int) l->settled.entries[l->done].value, TRUST_EQUAL, &a, &b);
		}
		if (trust == TRUST_EQUAL)
			break;
		CHECK_FOR_INTERRUPTS();
		if (i >= 0)
			look_around(l, (int) l->settled.entries[i].key,
						(int) l->settled.entries[i].value, trust, &a, &b);
	}
	if (a.entries != NULL)
		pfree(a.entries);
	if (b.entries != NULL)
		pfree(b.entries);
}

/* A number for a node that is the same on both sides, if the node is. */
static uint64
colour_of(const Linker *l, int s, int round, int node)
{
	const NbmSide *side = &l->m->side[s];

	if (node >= side->nitems)
		return hash_combine64(1, node - side->nitems);
	if (side->partner[node] >= 0)
		return hash_combine64(2, s == NBM_OLD ? node : side->partner[node]);
	return l->graph[s].colours[round][node];
}

/* Stirs a number, so that sums of such numbers tell their parts. */
static inline uint64
mix(uint64 x)
{
	x = (x ^ (x >> 32)) * UINT64CONST(0x9E3779B97F4A7C15);
	x = (x ^ (x >> 29)) * UINT64CONST(0x94D049BB133111EB);
	return x ^ (x >> 32);
}

/*
 * Colours the items of a side: at first by their contents, then in each round
 * by the colours around them, too.
 */
static void
paint(Linker *l, int s)
{
	const NbmSide *side = &l->m->side[s];
	Graph	   *graph = &l->graph[s];

	for (int round = 0; round <= ROUNDS; round++)
		graph->colours[round] = nbm_alloc(side->nitems, sizeof(uint64));
	for (int i = 0; i < side->nitems; i++)
		graph->colours[0][i] = hash_combine64(3, side->content[i]);
	for (int round = 1; round <= ROUNDS; round++)
	{
		for (int i = 0; i < side->nitems; i++)
		{
			uint64		around = 0;

			CHECK_FOR_INTERRUPTS();
			for (int e = graph->first[i]; e < graph->first[i + 1]; e++)
				around += mix(graph->edges[e].label ^
							  colour_of(l, s, round - 1, graph->edges[e].neighbour));
			graph->colours[round][i] =
				hash_combine64(graph->colours[round - 1][i], around);
		}
	}
}

/*
 * Settles free items of equal colour, in their order, each followed by its
 * neighbours before the next one is chosen.
 */
static void
settle_colours(Linker *l, int round)
{
	NbmEntries	list[2] = {{0}, {0}};
	int			j = 0;

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < l->m->side[s].nitems; i++)
			if (l->m->side[s].partner[i] < 0)
				nbm_entries_add(&list[s], l->graph[s].colours[round][i], i);
		if (list[s].count == 0)
			return;
		nbm_entries_sort(list[s].entries, list[s].count);
	}
	for (int i = 0; i < list[NBM_OLD].count; i++)
	{
		const NbmEntry *old = &list[NBM_OLD].entries[i];
		const NbmEntry *news = list[NBM_NEW].entries;

		if (l->m->side[NBM_OLD].partner[old->value] >= 0)
			continue;
		while (j < list[NBM_NEW].count &&
			   (news[j].key < old->key ||
				(news[j].key == old->key &&
				 l->m->side[NBM_NEW].partner[news[j].value] >= 0)))
			j++;
		if (j < list[NBM_NEW].count && news[j].key == old->key &&
			settle(l, (int) old->value, (int) news[j].value))
			spread(l, TRUST_EQUAL);
	}
}

/* Adds the pairs that were linked elsewhere to the settled ones. */
static void
add_linked(Linker *l)
{
	const NbmSide *side = &l->m->side[NBM_NEW];
	bool	   *known = nbm_alloc(side->nitems, sizeof(bool));

	for (int i = 0; i < l->settled.count; i++)
		if (l->settled.entries[i].value < (uint64) side->nitems)
			known[l->settled.entries[i].value] = true;
	for (int new = 0; new < side->nitems; new++)
		if (side->partner[new] >= 0 && !known[new])
			nbm_entries_add(&l->settled, side->partner[new], new);
	pfree(known);
}

/* Have items of both sides links? */
bool
nbm_has_links(const NbmMatcher *m)
{
	bool		has[2] = {false, false};

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
		for (int i = 0; i < m->side[s].nitems; i++)
			has[s] |= m->side[s].items[i].nlinks > 0;
	return has[NBM_OLD] && has[NBM_NEW];
}

/* Steps 3 and 4 for items with links. */
void
nbm_match_links(NbmMatcher *m)
{
	Linker		l = {m};

	number_anchors(&l);
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
		build_graph(&l, s);
	for (int i = 0; i < l.nanchors; i++)
		nbm_entries_add(&l.settled, m->side[NBM_OLD].nitems + i,
						m->side[NBM_NEW].nitems + i);
	add_linked(&l);
	spread(&l, TRUST_EQUAL);
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
		paint(&l, s);
	for (int round = ROUNDS; round > 0; round--)
		settle_colours(&l, round);
	spread(&l, TRUST_SIMILAR);
	nbm_match_similar(m, false);
	add_linked(&l);
	spread(&l, TRUST_SIMILAR);
	settle_colours(&l, 0);
	spread(&l, TRUST_SIMILAR);
	spread(&l, TRUST_ALONE);
}
