/*
 * clone.c
 *		A workflow's mapping, said of its duplicate.
 *
 * A duplicate has all operators under new ids, which were put in their place
 * throughout the document, and in the old order.  So an operator is the one
 * that stands at its place, if all but the id is the same; else the first
 * other one of which all is the same; else the one at its place if at least
 * the type is, since properties may name operators.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "clone.h"
#include "entries.h"

/* Is there an operator at both places that has no partner yet? */
static bool
is_free(const int *partner, const bool *is_taken, int from, int to)
{
	return partner[from] < 0 && !is_taken[to];
}

/* The type of an operator. */
static NbmText
type_of(const NbmSide *side, const NbmLayout *layout, int place)
{
	return nbm_item_type(&nbm_workflow,
						 &nbm_bodies_get(side->bodies,
										 layout->items[place].core)->root);
}

/* Fetches all operators of one side. */
static void
fetch_operators(NbmSide *side)
{
	for (int i = 0; i < side->version.layout.nitems; i++)
		nbm_bodies_want(side->bodies, side->version.layout.items[i].core);
	nbm_bodies_fetch(side->bodies, &side->store);
}

/* Pairs the operators: for each of one side its place on the other, or -1. */
static int *
pair_operators(NbmSide *from, NbmSide *to)
{
	const NbmLayout *a = &from->version.layout;
	const NbmLayout *b = &to->version.layout;
	int		   *partner = nbm_alloc_ints(a->nitems, -1);
	bool	   *is_taken = palloc0_array(bool, Max(b->nitems, 1));

	fetch_operators(from);
	fetch_operators(to);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < a->nitems; i++)
			for (int j = 0; j < b->nitems; j++)
			{
				CHECK_FOR_INTERRUPTS();
				if (round != 1 && i != j)
					continue;
				/* a part's id is its digest's, in every document */
				if (is_free(partner, is_taken, i, j) &&
					(round < 2 ? a->items[i].core == b->items[j].core :
					 nbm_text_eq(type_of(from, a, i), type_of(to, b, j))))
				{
					partner[i] = j;
					is_taken[j] = true;
					break;
				}
			}
	return partner;
}

/*
 * Makes an answer about a workflow's head one about the head of its
 * duplicate.  Links whose operator has no like there are removed ones.
 */
void
nbm_answer_for_duplicate(NbmAnswer *answer, int64 workflow_id)
{
	NbmSide    *from = &answer->operators;
	NbmSide		to = {{&nbm_workflow, workflow_id, true}};
	int		   *partner;

	nbm_store_version(&to.store, nbm_store_resolve(&to.store, true, 0),
					  &to.version);
	to.index = nbm_layout_index(&to.version.layout, &to.max_key);
	to.bodies = nbm_bodies_create();
	partner = pair_operators(from, &to);
	for (int i = 0; i < answer->links.count; i++)
	{
		NbmLink    *link = &answer->links.items[i];
		int			place = nbm_side_find(from, link->op);

		if (place < 0 || partner[place] < 0)
			answer->states[i] = NBM_OPERATOR_REMOVED;
		else
			link->op = to.version.layout.items[partner[place]].key;
	}
	answer->operators = to;
}
