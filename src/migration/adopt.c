/*
 * adopt.c
 *		Which UDF of a reply is which operator that is there already.
 *
 * A reply for a workflow that is there is either a whole conversion of the
 * notebook or a part of one, an answer to what changed.  It says so by the
 * cells that it names: it is whole if the mapping reply names every cell that
 * the mapping that applies links to the workflow, or if there is no such
 * mapping.
 *
 * In a whole conversion names mean nothing, as a model numbers its UDFs anew;
 * what is what is told by the code.  An operator that was made of cells and is
 * not in the reply goes; one that never was, put in by hand, stays.
 *
 * In a part a UDF is called what the prompt called its operator.  Where it is
 * not, it is one that was asked about and has one of its cells and similar
 * code, or any that has the very code.  An operator that was not asked about
 * is meant by its name only if cells or code do not speak against it.  What
 * matches nothing is new, and nothing goes.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "adopt.h"
#include "match.h"

/* How similar the code of one operator must be: with a cell, or without. */
#define SIMILAR_WITH_CELL 0.4
#define SIMILAR_ALONE 0.75

/* A UDF and an operator that may be the same. */
typedef struct Candidate
{
	int			udf;
	int			op;
	double		similarity;
} Candidate;

/* Says that a UDF is an operator. */
static void
adopt(NbmAdoption *adoption, int udf, int op)
{
	adoption->operators[udf] = op;
	adoption->udfs[op] = udf;
}

/* Does the mapping reply name every cell that is linked to the workflow? */
static bool
is_whole(const NbmPlan *plan, const NbmScope *scope)
{
	const NbmAnswer *answer = &scope->answer;
	bool	   *is_named;

	if (!scope->has_mapping)
		return true;
	is_named = palloc0_array(bool, Max(answer->cells.version.layout.nitems, 1));
	for (int i = 0; i < plan->nlinks; i++)
		is_named[plan->links[i].cell] = true;
	for (int i = 0; i < answer->links.count; i++)
		if (nbm_state_is_live(answer->states[i]) &&
			!is_named[nbm_side_find(&answer->cells,
									answer->links.items[i].cell)])
			return false;
	return true;
}

/* What the matcher is to know of a piece of code. */
static void
describe(NbmText code, NbmMatchItem *item)
{
	memset(item, 0, sizeof(*item));
	item->text = code.str;
	item->text_len = code.len;
	item->content = hash_bytes_extended((const unsigned char *) code.str,
										code.len, 0);
	item->core = item->content;
}

/* Matches a whole conversion by its code. */
static void
adopt_by_code(const NbmPlan *plan, const NbmFlow *flow, NbmAdoption *adoption)
{
	int			count = flow->layout->nitems;
	NbmMatchItem *olds = palloc_array(NbmMatchItem, Max(count, 1));
	NbmMatchItem *news = palloc_array(NbmMatchItem, Max(plan->nudfs, 1));
	int		   *places = palloc_array(int, Max(count, 1));
	int		   *old_of_new = palloc_array(int, Max(plan->nudfs, 1));
	int			nolds = 0;

	for (int i = 0; i < count; i++)
	{
		if (!flow->operators[i].is_udf)
			continue;
		describe(flow->operators[i].code, &olds[nolds]);
		places[nolds++] = i;
	}
	for (int i = 0; i < plan->nudfs; i++)
		describe(plan->udfs[i].code, &news[i]);
	nbm_match(olds, nolds, news, plan->nudfs, NULL, old_of_new);
	for (int i = 0; i < plan->nudfs; i++)
		if (old_of_new[i] >= 0)
			adopt(adoption, i, places[old_of_new[i]]);
}

/* Removes the operators that were made of cells and are not in the reply. */
static void
remove_unanswered(const NbmFlow *flow, const NbmScope *scope,
				  NbmAdoption *adoption)
{
	const NbmAnswer *answer = &scope->answer;

	for (int i = 0; i < answer->links.count; i++)
	{
		int			op = nbm_side_find(&answer->operators,
									   answer->links.items[i].op);

		if (op >= 0 && flow->operators[op].is_udf && adoption->udfs[op] < 0)
			adoption->is_removed[op] = true;
	}
}

/* The one operator that is called so, -1: none, or several. */
static int
find_called(const NbmFlow *flow, NbmText name)
{
	int			found = -1;

	for (int i = 0; i < flow->layout->nitems; i++)
	{
		const NbmFlowOperator *op = &flow->operators[i];

		if (!nbm_text_eq(op->id, name) && !nbm_text_eq(op->display, name))
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found;
}

/* Which operators map to a cell that is new or changed? */
static bool *
asked_operators(const NbmFlow *flow, const NbmScope *scope)
{
	const NbmAnswer *answer = &scope->answer;
	bool	   *is_asked = palloc0_array(bool, Max(flow->layout->nitems, 1));

	for (int i = 0; i < answer->links.count; i++)
		if (nbm_state_is_live(answer->states[i]) &&
			scope->changes[nbm_side_find(&answer->cells,
										 answer->links.items[i].cell)] != NULL)
			is_asked[nbm_side_find(&answer->operators,
								   answer->links.items[i].op)] = true;
	return is_asked;
}

/* How similar are a UDF's code and an operator's?  0 to 1. */
static double
similarity(const NbmPlan *plan, int udf, const NbmFlow *flow, int op)
{
	NbmText		a = plan->udfs[udf].code;
	NbmText		b = flow->operators[op].code;

	CHECK_FOR_INTERRUPTS();
	return nbm_text_eq(a, b) ? 1 : nbm_similarity(a.str, a.len, b.str, b.len);
}

/* qsort comparator: most similar first, then in order. */
static int
candidate_cmp(const void *a, const void *b)
{
	const Candidate *ca = a;
	const Candidate *cb = b;

	if (ca->similarity != cb->similarity)
		return ca->similarity > cb->similarity ? -1 : 1;
	return ca->udf != cb->udf ? ca->udf - cb->udf : ca->op - cb->op;
}

/*
 * Matches UDFs with operators that were asked about, are linked to one of
 * their cells and have similar code, most similar first.
 */
static void
adopt_by_cells(const NbmPlan *plan, const NbmFlow *flow,
			   const NbmScope *scope, const bool *is_asked,
			   NbmAdoption *adoption)
{
	const NbmAnswer *answer = &scope->answer;
	Candidate  *candidates = palloc_array(Candidate, 16);
	int			count = 0;
	int			room = 16;

	for (int i = 0; i < plan->nlinks; i++)
	{
		int			udf = plan->links[i].node;

		if (udf >= plan->nudfs || adoption->operators[udf] >= 0)
			continue;
		for (int j = 0; j < answer->links.count; j++)
		{
			int			op = nbm_side_find(&answer->operators,
										   answer->links.items[j].op);

			if (nbm_side_find(&answer->cells, answer->links.items[j].cell) !=
				plan->links[i].cell || op < 0 || !is_asked[op] ||
				adoption->udfs[op] >= 0 || !flow->operators[op].is_udf)
				continue;
			if (count == room)
			{
				room *= 2;
				candidates = repalloc_array(candidates, Candidate, room);
			}
			candidates[count].udf = udf;
			candidates[count].op = op;
			candidates[count++].similarity = similarity(plan, udf, flow, op);
		}
	}
	qsort(candidates, count, sizeof(Candidate), candidate_cmp);
	for (int i = 0; i < count; i++)
		if (candidates[i].similarity >= SIMILAR_WITH_CELL &&
			adoption->operators[candidates[i].udf] < 0 &&
			adoption->udfs[candidates[i].op] < 0)
			adopt(adoption, candidates[i].udf, candidates[i].op);
}

/* Matches UDFs with operators that have the very code, in order. */
static void
adopt_by_equal_code(const NbmPlan *plan, const NbmFlow *flow,
					NbmAdoption *adoption)
{
	for (int i = 0; i < plan->nudfs; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int op = 0; adoption->operators[i] < 0 &&
			 op < flow->layout->nitems; op++)
			if (adoption->udfs[op] < 0 && flow->operators[op].is_udf &&
				nbm_text_eq(plan->udfs[i].code, flow->operators[op].code))
				adopt(adoption, i, op);
	}
}

/* Is an operator linked to a cell? */
static bool
has_cell(const NbmScope *scope, int op, int cell)
{
	const NbmAnswer *answer = &scope->answer;

	for (int i = 0; i < answer->links.count; i++)
		if (nbm_side_find(&answer->cells, answer->links.items[i].cell) == cell &&
			nbm_side_find(&answer->operators, answer->links.items[i].op) == op)
			return true;
	return false;
}

/*
 * Can a UDF be the operator of its name, by the cells that the mapping reply
 * gives it?  So it can if that is none at all, or one of the operator's.
 */
static bool
cells_agree(const NbmPlan *plan, const NbmScope *scope, int udf, int op)
{
	bool		is_mapped = false;

	for (int i = 0; i < plan->nlinks; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (plan->links[i].node != udf)
			continue;
		is_mapped = true;
		if (has_cell(scope, op, plan->links[i].cell))
			return true;
	}
	return !is_mapped;
}

/*
 * Matches UDFs with operators of the same name: those that were asked about;
 * or, with any set, every other one that it can be.
 */
static void
adopt_by_name(const NbmPlan *plan, const NbmFlow *flow,
			  const NbmScope *scope, const bool *is_asked, bool any,
			  NbmAdoption *adoption)
{
	for (int i = 0; i < plan->nudfs; i++)
	{
		int			op;

		CHECK_FOR_INTERRUPTS();
		if (adoption->operators[i] >= 0)
			continue;
		op = find_called(flow, plan->udfs[i].name);
		if (op < 0 || !flow->operators[op].is_udf || adoption->udfs[op] >= 0)
			continue;
		if (is_asked[op] ||
			(any && (cells_agree(plan, scope, i, op) ||
					 similarity(plan, i, flow, op) >= SIMILAR_ALONE)))
			adopt(adoption, i, op);
	}
}

/*
 * Says what becomes of a plan's UDFs and of the operators that are there, in
 * new memory of the current context.
 */
void
nbm_adopt(const NbmPlan *plan, const NbmFlow *flow, const NbmScope *scope,
		  NbmAdoption *adoption)
{
	int			count = flow->layout->nitems;
	bool	   *is_asked;

	adoption->operators = palloc_array(int, Max(plan->nudfs, 1));
	adoption->udfs = palloc_array(int, Max(count, 1));
	adoption->is_removed = palloc0_array(bool, Max(count, 1));
	for (int i = 0; i < plan->nudfs; i++)
		adoption->operators[i] = -1;
	for (int i = 0; i < count; i++)
		adoption->udfs[i] = -1;
	adoption->is_whole = is_whole(plan, scope);
	if (adoption->is_whole)
	{
		adopt_by_code(plan, flow, adoption);
		remove_unanswered(flow, scope, adoption);
		return;
	}
	is_asked = asked_operators(flow, scope);
	adopt_by_name(plan, flow, scope, is_asked, false, adoption);
	adopt_by_cells(plan, flow, scope, is_asked, adoption);
	adopt_by_equal_code(plan, flow, adoption);
	adopt_by_name(plan, flow, scope, is_asked, true, adoption);
}
