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
#include "entries.h"
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

/* A part of a conversion, and what its UDFs are told by. */
typedef struct Part
{
	const NbmPlan *plan;
	const NbmFlow *flow;
	NbmAdoption *adoption;
	bool	   *is_asked;		/* operators that map to a new or changed cell */
	NbmEntries	linked;			/* (cell, operator) by the mapping at hand */
	NbmEntries	mapped;			/* (UDF, cell) by the mapping reply; each once */
} Part;

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

/* A hash of a piece of code. */
static uint64
code_hash(NbmText code)
{
	return hash_bytes_extended((const unsigned char *) code.str, code.len, 0);
}

/* What the matcher is to know of a piece of code. */
static void
describe(NbmText code, NbmMatchItem *item)
{
	memset(item, 0, sizeof(*item));
	item->text = code.str;
	item->text_len = code.len;
	item->content = item->core = code_hash(code);
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

/* The first of sorted entries whose key is not below one. */
static int
first_entry(const NbmEntries *sorted, uint64 key)
{
	int			low = 0;
	int			high = sorted->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (sorted->entries[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Sorts entries and leaves each key once. */
static void
sort_keys(NbmEntries *list)
{
	int			n = 0;

	if (list->count > 0)
		nbm_entries_sort(list->entries, list->count);
	for (int i = 0; i < list->count; i++)
		if (n == 0 || list->entries[n - 1].key != list->entries[i].key)
			list->entries[n++] = list->entries[i];
	list->count = n;
}

/* Prepares the links of the mapping that applies and of the mapping reply. */
static void
open_part(Part *part, const NbmScope *scope)
{
	const NbmAnswer *answer = &scope->answer;

	part->is_asked = palloc0_array(bool, Max(part->flow->layout->nitems, 1));
	for (int i = 0; i < answer->links.count; i++)
	{
		int			cell;
		int			op;

		if (!nbm_state_is_live(answer->states[i]))
			continue;
		cell = nbm_side_find(&answer->cells, answer->links.items[i].cell);
		op = nbm_side_find(&answer->operators, answer->links.items[i].op);
		nbm_entries_add(&part->linked, nbm_pack(cell, op), 0);
		part->is_asked[op] |= scope->changes[cell] != NULL;
	}
	for (int i = 0; i < part->plan->nlinks; i++)
		if (part->plan->links[i].node < part->plan->nudfs)
			nbm_entries_add(&part->mapped,
							nbm_pack(part->plan->links[i].node,
									 part->plan->links[i].cell), 0);
	sort_keys(&part->linked);
	sort_keys(&part->mapped);
}

/* How similar are a UDF's code and an operator's?  0 to 1. */
static double
similarity(const Part *part, int udf, int op)
{
	NbmText		a = part->plan->udfs[udf].code;
	NbmText		b = part->flow->operators[op].code;

	CHECK_FOR_INTERRUPTS();
	return nbm_text_eq(a, b) ? 1 : nbm_similarity(a.str, a.len, b.str, b.len);
}

/* Is an operator one that a UDF could still be? */
static bool
is_free(const Part *part, int op)
{
	return part->adoption->udfs[op] < 0 && part->flow->operators[op].is_udf;
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
adopt_by_cells(const Part *part)
{
	NbmAdoption *adoption = part->adoption;
	NbmEntries	pairs = {NULL, 0, 0};	/* (UDF, operator) */
	Candidate  *candidates;
	int			count = 0;

	for (int i = 0; i < part->mapped.count; i++)
	{
		int			udf = nbm_first(part->mapped.entries[i].key);
		int			cell = nbm_second(part->mapped.entries[i].key);

		CHECK_FOR_INTERRUPTS();
		if (adoption->operators[udf] >= 0)
			continue;
		for (int j = first_entry(&part->linked, nbm_pack(cell, 0));
			 j < part->linked.count &&
			 nbm_first(part->linked.entries[j].key) == cell; j++)
		{
			int			op = nbm_second(part->linked.entries[j].key);

			if (part->is_asked[op] && is_free(part, op))
				nbm_entries_add(&pairs, nbm_pack(udf, op), 0);
		}
	}
	sort_keys(&pairs);
	candidates = palloc_extended(mul_size(sizeof(Candidate),
										  Max(pairs.count, 1)),
								 MCXT_ALLOC_HUGE);
	for (int i = 0; i < pairs.count; i++)
	{
		Candidate  *candidate = &candidates[count];

		candidate->udf = nbm_first(pairs.entries[i].key);
		candidate->op = nbm_second(pairs.entries[i].key);
		candidate->similarity = similarity(part, candidate->udf, candidate->op);
		count += candidate->similarity >= SIMILAR_WITH_CELL;
	}
	qsort(candidates, count, sizeof(Candidate), candidate_cmp);
	for (int i = 0; i < count; i++)
		if (adoption->operators[candidates[i].udf] < 0 &&
			adoption->udfs[candidates[i].op] < 0)
			adopt(adoption, candidates[i].udf, candidates[i].op);
}

/* Matches UDFs with operators that have the very code, in order. */
static void
adopt_by_equal_code(const Part *part)
{
	const NbmFlow *flow = part->flow;
	NbmEntries	codes = {NULL, 0, 0};	/* hash of the code, operator */

	for (int op = 0; op < flow->layout->nitems; op++)
		if (is_free(part, op))
			nbm_entries_add(&codes, code_hash(flow->operators[op].code), op);
	if (codes.count > 0)
		nbm_entries_sort(codes.entries, codes.count);
	for (int i = 0; i < part->plan->nudfs; i++)
	{
		NbmText		code = part->plan->udfs[i].code;
		uint64		hash = code_hash(code);

		CHECK_FOR_INTERRUPTS();
		for (int j = first_entry(&codes, hash);
			 part->adoption->operators[i] < 0 && j < codes.count &&
			 codes.entries[j].key == hash; j++)
		{
			int			op = (int) codes.entries[j].value;

			if (is_free(part, op) &&
				nbm_text_eq(code, flow->operators[op].code))
				adopt(part->adoption, i, op);
		}
	}
}

/*
 * Can a UDF be the operator of its name, by the cells that the mapping reply
 * gives it?  So it can if that is none at all, or one of the operator's.
 */
static bool
cells_agree(const Part *part, int udf, int op)
{
	int			first = first_entry(&part->mapped, nbm_pack(udf, 0));
	int			i = first;

	for (; i < part->mapped.count &&
		 nbm_first(part->mapped.entries[i].key) == udf; i++)
	{
		uint64		link = nbm_pack(nbm_second(part->mapped.entries[i].key), op);
		int			found = first_entry(&part->linked, link);

		if (found < part->linked.count &&
			part->linked.entries[found].key == link)
			return true;
	}
	return i == first;
}

/*
 * Matches UDFs with operators of the same name: those that were asked about;
 * or, with any set, every other one that it can be.
 */
static void
adopt_by_name(const Part *part, bool any)
{
	for (int i = 0; i < part->plan->nudfs; i++)
	{
		int			op;

		CHECK_FOR_INTERRUPTS();
		if (part->adoption->operators[i] >= 0)
			continue;
		op = nbm_plan_called(part->plan, part->plan->udfs[i].name);
		if (op < 0 || !is_free(part, op))
			continue;
		if (part->is_asked[op] ||
			(any && (cells_agree(part, i, op) ||
					 similarity(part, i, op) >= SIMILAR_ALONE)))
			adopt(part->adoption, i, op);
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
	Part		part = {plan, flow, adoption};

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
	open_part(&part, scope);
	adopt_by_name(&part, false);
	adopt_by_cells(&part);
	adopt_by_equal_code(&part);
	adopt_by_name(&part, true);
}
