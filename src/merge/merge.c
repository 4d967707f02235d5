/*
 * merge.c
 *		Merging three versions of a notebook or a workflow.
 *
 * The items of base are paired with those of ours and with those of theirs by
 * the matcher (match.h), after what is equal byte for byte at both ends.  Each
 * item of any document is then one of:
 *
 * - in base and on both sides: merged (merge_item.c), mostly by taking it as it
 *   is, for what did not change is known by its bytes;
 * - in base and on one side: the other deleted it.  It goes where the one
 *   left it untouched, its ids, outputs and execution count apart, and is a
 *   conflict where it edited or moved it;
 * - in base only: both deleted it;
 * - on one side only, or inserted equally by both: it is in the result.
 *
 * So no item goes unless somebody deleted it and nobody minds, or a conflict
 * tells of it.  merge_order.c says where items stand; the order of operators
 * means nothing, and neither conflicts nor keeps one alive.  The envelope is
 * merged by members, links and positions of workflows by merge_links.c.
 *
 * New memory is of the current context, and results point into it and into
 * the three documents.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "identity.h"
#include "match.h"
#include "merge.h"
#include "merge_item.h"
#include "merge_links.h"
#include "merge_order.h"

/* A merge of documents in progress. */
typedef struct Merge
{
	const NbmKind *kind;
	NbmMerging	items;			/* conflicts of items ... */
	NbmMerging	envelope;		/* ... and of the envelope */
	NbmDocument docs[NBM_MERGE_SIDES];
	NbmSplit   *splits[NBM_MERGE_SIDES];
	int			head[NBM_MERGE_SIDES];	/* items equal to base's, at the head */
	int			tail[NBM_MERGE_SIDES];	/* and at the tail */
	NbmMergeOrder order;
	bool	   *is_contested;	/* by item: deleted by one, edited by other */
	NbmMergeOperators operators;
	NbmMergeLinks links;
} Merge;

/* The other one of the two sides. */
static NbmMergeSide
other_side(NbmMergeSide side)
{
	return side == NBM_OURS ? NBM_THEIRS : NBM_OURS;
}

/* Error context: which document is being read. */
static void
say_document(void *name)
{
	errcontext("%s", (const char *) name);
}

/* Opens one of the documents, and takes apart what is not known from base. */
static void
open_document(Merge *merge, NbmMergeSide side, Jsonb *content)
{
	NbmDocument *doc = &merge->docs[side];
	const NbmDocument *base = &merge->docs[NBM_BASE];
	NbmWhere	whole = {NULL, 0, "$"};
	int			limit;

	nbm_document_open(merge->kind, content, doc);
	nbm_check_depth(&nbm_document_envelope(doc)->root, 0, &whole);
	merge->splits[side] = palloc_array(NbmSplit, Max(doc->nitems, 1));
	limit = side == NBM_BASE ? 0 : Min(base->nitems, doc->nitems);
	merge->head[side] = nbm_equal_items(base, doc, false, limit);
	merge->tail[side] = nbm_equal_items(base, doc, true,
										limit - merge->head[side]);
	for (int i = 0; i < doc->nitems; i++)
	{
		NbmWhere	where = {doc, i, NULL};
		int			from_end = doc->nitems - 1 - i;

		CHECK_FOR_INTERRUPTS();
		if (i < merge->head[side])
			merge->splits[side][i] = merge->splits[NBM_BASE][i];
		else if (from_end < merge->tail[side])
			merge->splits[side][i] =
				merge->splits[NBM_BASE][base->nitems - 1 - from_end];
		else
			nbm_item_split(merge->kind, &doc->items[i], &where,
						   nbm_document_depth(doc), &merge->splits[side][i]);
	}
}

/* Opens all documents; errors name the one that they are about. */
static void
open_documents(Merge *merge, const NbmMergeInput *input)
{
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		ErrorContextCallback context;

		context.callback = say_document;
		context.arg = unconstify(char *, input->names[s]);
		context.previous = error_context_stack;
		error_context_stack = &context;
		open_document(merge, s, input->contents[s]);
		error_context_stack = context.previous;
	}
}

/* The nbformat of a notebook; where it states none, what it looks like. */
static int
nbformat_of(const NbmDocument *doc)
{
	JsonbValue	value;
	int32		number;

	if (nbm_get(doc->root, "nbformat", &value) && nbm_get_int(&value, &number))
		return number;
	return nbm_get(doc->root, doc->kind->items, &value) ? 4 : 3;
}

/* Raises 22023 where notebooks are too different to be merged. */
static void
check_formats(const Merge *merge)
{
	const NbmDocument *docs = merge->docs;
	int			ours = nbformat_of(&docs[NBM_OURS]);
	int			theirs = nbformat_of(&docs[NBM_THEIRS]);
	JsonbValue	value;

	if (merge->kind == &nbm_workflow)
		return;
	if (ours != theirs)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("notebooks of nbformat %d and %d cannot be merged",
						ours, theirs),
				 errhint("Convert one of them to the other's nbformat first.")));
	/* else the result could have neither, or another number of worksheets */
	if (nbm_get(docs[NBM_OURS].root, merge->kind->items, &value) !=
		nbm_get(docs[NBM_THEIRS].root, merge->kind->items, &value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("notebooks with and without worksheets cannot be merged"),
				 errdetail("Only one of ours and theirs has $.%s.",
						   merge->kind->items)));
	if (docs[NBM_OURS].nruns != docs[NBM_BASE].nruns ||
		docs[NBM_OURS].nruns != docs[NBM_THEIRS].nruns)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("notebooks with different numbers of worksheets cannot be merged"),
				 errdetail("There are %d in base, %d in ours, %d in theirs.",
						   docs[NBM_BASE].nruns, docs[NBM_OURS].nruns,
						   docs[NBM_THEIRS].nruns)));
}

/*
 * The items of a document that are not recognised by their bytes, as the
 * matcher takes them.  The others have their place in base for a key, so that
 * links to them are known.
 */
static NbmCandidates
list_candidates(const Merge *merge, NbmMergeSide of, NbmMergeSide side)
{
	const NbmDocument *doc = &merge->docs[of];
	int			first = merge->head[side];
	int			end = doc->nitems - merge->tail[side];
	NbmLayout  *layout = palloc0_object(NbmLayout);
	NbmCandidates candidates = {NULL, end - first, layout, doc->root};

	layout->nitems = doc->nitems;
	layout->items = palloc_array(NbmItem, Max(doc->nitems, 1));
	candidates.items = palloc_array(NbmCandidate, Max(end - first, 1));
	for (int i = 0; i < doc->nitems; i++)
	{
		const NbmSplit *split = &merge->splits[of][i];
		NbmItem    *item = &layout->items[i];

		*item = split->item;
		item->key = i < first ? i + 1 :
			i + 1 + merge->docs[NBM_BASE].nitems - doc->nitems;
		if (i < first || i >= end)
			continue;
		item->key = 0;
		item->core = nbm_value_hash(&split->core, 0);
		candidates.items[i - first].item = item;
		candidates.items[i - first].core = split->core.val.binary.data;
	}
	return candidates;
}

/* Which item of base each item of a side is, -1 for none; newly allocated. */
static int *
pair_items(const Merge *merge, NbmMergeSide side)
{
	int			head = merge->head[side];
	int			nbase = merge->docs[NBM_BASE].nitems;
	int			nside = merge->docs[side].nitems;
	NbmCandidates olds = list_candidates(merge, NBM_BASE, side);
	NbmCandidates news = list_candidates(merge, side, side);
	int		   *old_of_new = nbm_pair_candidates(merge->kind, &olds, &news);
	int		   *base_of = palloc_array(int, Max(nside, 1));

	for (int i = 0; i < nside; i++)
	{
		if (i < head)
			base_of[i] = i;
		else if (i >= head + news.nitems)
			base_of[i] = i - nside + nbase;
		else
			base_of[i] = old_of_new[i - head] < 0 ? -1 :
				old_of_new[i - head] + head;
	}
	return base_of;
}

/* An item of a side that is not recognised by its bytes. */
typedef struct Changed
{
	uint64		hash;			/* of its value */
	int			index;
} Changed;

/* qsort comparator, by hash. */
static int
changed_cmp(const void *a, const void *b)
{
	uint64		ha = ((const Changed *) a)->hash;
	uint64		hb = ((const Changed *) b)->hash;

	return ha < hb ? -1 : ha > hb;
}

/* Lists what changed on a side, sorted; those alike are left out. */
static Changed *
list_changed(const Merge *merge, NbmMergeSide side, int *count)
{
	const NbmDocument *doc = &merge->docs[side];
	int			end = doc->nitems - merge->tail[side];
	Changed    *all = palloc_array(Changed, Max(doc->nitems, 1));
	int			n = 0;

	for (int i = merge->head[side]; i < end; i++)
	{
		all[n].hash = nbm_value_hash(&doc->items[i], 0);
		all[n++].index = i;
	}
	qsort(all, n, sizeof(Changed), changed_cmp);
	*count = 0;
	for (int i = 0; i < n; i++)
		if ((i == 0 || all[i - 1].hash != all[i].hash) &&
			(i == n - 1 || all[i + 1].hash != all[i].hash))
			all[(*count)++] = all[i];
	return all;
}

/* Marks the items of base that a side has. */
static bool *
mark_taken(const Merge *merge, const int *base_of, NbmMergeSide side)
{
	bool	   *is_taken = palloc0_array(bool,
										 Max(merge->docs[NBM_BASE].nitems, 1));

	for (int i = 0; i < merge->docs[side].nitems; i++)
		if (base_of[i] >= 0)
			is_taken[base_of[i]] = true;
	return is_taken;
}

/*
 * Makes both sides agree on what they changed alike: where both joined two
 * items, say, either could be the one that lives on, and each side was paired
 * by itself.
 */
static void
agree_on_equal(const Merge *merge, int *const base_of[NBM_MERGE_SIDES])
{
	Changed    *lists[NBM_MERGE_SIDES];
	int			counts[NBM_MERGE_SIDES];
	bool	   *is_taken[NBM_MERGE_SIDES];

	for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
	{
		lists[s] = list_changed(merge, s, &counts[s]);
		is_taken[s] = mark_taken(merge, base_of[s], s);
	}
	for (int i = 0, j = 0; i < counts[NBM_OURS] && j < counts[NBM_THEIRS];)
	{
		int			order = changed_cmp(&lists[NBM_OURS][i],
										&lists[NBM_THEIRS][j]);
		int			at[NBM_MERGE_SIDES] = {0};
		int			was[NBM_MERGE_SIDES] = {0};

		CHECK_FOR_INTERRUPTS();
		i += order <= 0;
		j += order >= 0;
		if (order != 0)
			continue;
		at[NBM_OURS] = lists[NBM_OURS][i - 1].index;
		at[NBM_THEIRS] = lists[NBM_THEIRS][j - 1].index;
		for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
			was[s] = base_of[s][at[s]];
		if (was[NBM_OURS] == was[NBM_THEIRS] ||
			!nbm_value_eq(&merge->docs[NBM_OURS].items[at[NBM_OURS]],
						  &merge->docs[NBM_THEIRS].items[at[NBM_THEIRS]]))
			continue;
		for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
		{
			int			others = was[s == NBM_OURS ? NBM_THEIRS : NBM_OURS];

			if (others < 0 || is_taken[s][others])
				continue;
			if (was[s] >= 0)
				is_taken[s][was[s]] = false;
			is_taken[s][others] = true;
			base_of[s][at[s]] = others;
			break;
		}
	}
}

/* Adds an item that is in none of the documents yet. */
static NbmMergeItem *
add_item(NbmMergeOrder *order)
{
	NbmMergeItem *item = &order->items[order->nitems++];

	memset(item, 0, sizeof(*item));
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		item->at[s] = -1;
	item->is_in = true;
	item->slot = -1;
	return item;
}

/* Makes the list of all items of the three documents. */
static void
list_items(Merge *merge)
{
	NbmMergeOrder *order = &merge->order;
	int		   *base_of[NBM_MERGE_SIDES] = {NULL};
	int			total = 0;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		order->count[s] = merge->docs[s].nitems;
		order->item_at[s] = palloc_array(int, Max(order->count[s], 1));
		total += order->count[s];
	}
	order->items = palloc_array(NbmMergeItem, Max(total, 1));
	order->theirs_win = merge->items.strategy == NBM_STRATEGY_THEIRS;
	base_of[NBM_OURS] = pair_items(merge, NBM_OURS);
	base_of[NBM_THEIRS] = pair_items(merge, NBM_THEIRS);
	agree_on_equal(merge, base_of);
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		for (int i = 0; i < order->count[s]; i++)
		{
			NbmMergeItem *item = s != NBM_BASE && base_of[s][i] >= 0 ?
			&order->items[base_of[s][i]] : add_item(order);

			item->at[s] = i;
			order->item_at[s][i] = (int) (item - order->items);
		}
}

/* An item as one side has it, taken apart; NULL where it has it not. */
static const NbmSplit *
split_of(const Merge *merge, const NbmMergeItem *item, NbmMergeSide side)
{
	return item->at[side] < 0 ? NULL : &merge->splits[side][item->at[side]];
}

/* An item as one side has it; NULL where it has it not. */
static const JsonbValue *
value_of(const Merge *merge, const NbmMergeItem *item, NbmMergeSide side)
{
	return item->at[side] < 0 ? NULL :
		&merge->docs[side].items[item->at[side]];
}

/* Finds the operators' ids on each side. */
static void
list_operators(Merge *merge)
{
	NbmMergeOperators *operators = &merge->operators;

	operators->items = merge->order.items;
	operators->nitems = merge->order.nitems;
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		operators->ids[s] = palloc0_array(NbmText,
										  Max(operators->nitems, 1));
		for (int i = 0; i < operators->nitems; i++)
		{
			const NbmSplit *split = split_of(merge, &operators->items[i], s);

			if (split != NULL)
				operators->ids[s][i] = split->item.id[NBM_ID_STRONG];
		}
	}
	nbm_operators_open(operators);
}

/* Makes one of operators that both sides inserted under one id. */
static void
unify_operators(Merge *merge)
{
	NbmMergeOrder *order = &merge->order;

	list_operators(merge);
	for (int i = 0; i < order->nitems; i++)
	{
		NbmMergeItem *ours = &order->items[i];
		NbmText		id = merge->operators.ids[NBM_OURS][i];
		NbmMergeItem *theirs;
		int			found;

		if (ours->at[NBM_BASE] >= 0 || id.str == NULL ||
			nbm_operators_find(&merge->operators, NBM_OURS, id) != i)
			continue;
		found = nbm_operators_find(&merge->operators, NBM_THEIRS, id);
		if (found < 0 || order->items[found].at[NBM_BASE] >= 0)
			continue;
		theirs = &order->items[found];
		ours->at[NBM_THEIRS] = theirs->at[NBM_THEIRS];
		order->item_at[NBM_THEIRS][ours->at[NBM_THEIRS]] = i;
		theirs->at[NBM_THEIRS] = -1;
		theirs->is_gone = true;
		theirs->is_in = false;
	}
	list_operators(merge);
}

/* What the operators are called in the result: ours, or what theirs changed. */
static void
name_operators(Merge *merge)
{
	NbmMergeOperators *operators = &merge->operators;

	operators->result_ids = palloc0_array(NbmText, Max(operators->nitems, 1));
	for (int i = 0; i < operators->nitems; i++)
	{
		const NbmMergeItem *item = &operators->items[i];
		NbmText		base = operators->ids[NBM_BASE][i];
		NbmText		ours = operators->ids[NBM_OURS][i];
		NbmText		theirs = operators->ids[NBM_THEIRS][i];

		if (item->at[NBM_OURS] < 0 ||
			(item->at[NBM_THEIRS] >= 0 && nbm_text_eq(base, ours)))
			operators->result_ids[i] = theirs;
		else
			operators->result_ids[i] = ours;
	}
}

/* Did the one side that still has an item edit or move it? */
static bool
is_touched(const Merge *merge, const NbmMergeItem *item, NbmMergeSide keeper)
{
	const NbmSplit *before = split_of(merge, item, NBM_BASE);
	const NbmSplit *after = split_of(merge, item, keeper);

	if (merge->kind == &nbm_notebook && item->is_moved[keeper])
		return true;
	return !nbm_value_eq(&before->core, &after->core) &&
		!nbm_item_untouched(merge->kind, before->core.val.binary.data,
							after->core.val.binary.data);
}

/* Decides which items that a side deleted are in the result all the same. */
static void
decide_deleted(Merge *merge)
{
	NbmMergeOrder *order = &merge->order;
	bool	   *is_held = palloc0_array(bool, Max(order->nitems, 1));

	merge->is_contested = palloc0_array(bool, Max(order->nitems, 1));
	if (merge->kind == &nbm_workflow)
		nbm_links_find_holders(&merge->links, &merge->operators, is_held);
	for (int i = 0; i < order->nitems; i++)
	{
		NbmMergeItem *item = &order->items[i];
		NbmMergeSide keeper = item->at[NBM_OURS] >= 0 ? NBM_OURS : NBM_THEIRS;

		CHECK_FOR_INTERRUPTS();
		if (item->at[NBM_BASE] < 0 ||
			(item->at[NBM_OURS] >= 0 && item->at[NBM_THEIRS] >= 0))
			continue;
		item->is_in = false;
		if (item->at[keeper] < 0)
			continue;
		merge->is_contested[i] = is_touched(merge, item, keeper);
		if (!merge->is_contested[i] && !is_held[i])
			continue;
		switch (merge->items.strategy)
		{
			case NBM_STRATEGY_CONFLICT:
			case NBM_STRATEGY_MARK:
				item->is_in = true;
				break;
			case NBM_STRATEGY_OURS:
				item->is_in = keeper == NBM_OURS;
				break;
			case NBM_STRATEGY_THEIRS:
				item->is_in = keeper == NBM_THEIRS;
				break;
		}
	}
}

/* The array of a document that holds each of its items; newly allocated. */
static int *
runs_of(const NbmDocument *doc)
{
	int		   *runs = palloc_array(int, Max(doc->nitems, 1));
	int			item = 0;

	for (int r = 0; r < doc->nruns; r++)
		for (int i = 0; i < doc->runs[r]; i++)
			runs[item++] = r;
	return runs;
}

/* Sets which array each item is to be in: ours', or where theirs put it. */
static void
set_runs(Merge *merge)
{
	int		   *runs[NBM_MERGE_SIDES];

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		runs[s] = runs_of(&merge->docs[s]);
	for (int i = 0; i < merge->order.nitems; i++)
	{
		NbmMergeItem *item = &merge->order.items[i];
		int			run[NBM_MERGE_SIDES];

		for (int s = 0; s < NBM_MERGE_SIDES; s++)
			run[s] = item->at[s] < 0 ? -1 : runs[s][item->at[s]];
		item->run = run[NBM_OURS];
		if (run[NBM_OURS] < 0 ||
			(run[NBM_THEIRS] >= 0 && run[NBM_OURS] == run[NBM_BASE]))
			item->run = run[NBM_THEIRS];
		item->run = Max(item->run, 0);
	}
}

/* A hash of a cell's type and source. */
static uint64
hash_of_cell(JsonbContainer *core)
{
	NbmText		type = nbm_item_type(&nbm_notebook, core);
	NbmText		source = nbm_item_source(&nbm_notebook, core);
	uint64		hash = type.str == NULL ? 0 :
	hash_bytes_extended((const unsigned char *) type.str, type.len, 1);

	return hash_bytes_extended((const unsigned char *) source.str, source.len,
							   hash);
}

/*
 * Sets what tells inserted items that may be equal: a cell's type and source.
 * Operators are equal only where they are so under one id: those that have
 * one to themselves were found by it.
 */
static void
set_contents(Merge *merge)
{
	for (int i = 0; i < merge->order.nitems; i++)
	{
		NbmMergeItem *item = &merge->order.items[i];
		NbmMergeSide side = item->at[NBM_OURS] >= 0 ? NBM_OURS : NBM_THEIRS;

		if (item->at[NBM_BASE] >= 0 || item->is_gone)
			continue;
		if (merge->kind == &nbm_workflow)
			item->content = nbm_value_hash(value_of(merge, item, side), 0);
		else
			item->content =
				hash_of_cell(split_of(merge, item, side)->core.val.binary.data);
	}
}

/* Did both sides insert the same? */
static bool
same_inserted(void *arg, const NbmMergeItem *ours, const NbmMergeItem *theirs)
{
	Merge	   *merge = arg;

	if (merge->kind == &nbm_workflow)
		return nbm_value_eq(value_of(merge, ours, NBM_OURS),
							value_of(merge, theirs, NBM_THEIRS));
	return nbm_same_meaning(merge->kind,
							split_of(merge, ours, NBM_OURS)->core.val.binary.data,
							split_of(merge, theirs, NBM_THEIRS)->core.val.binary.data);
}

/* How the members of an envelope are merged. */
static NbmMergeRule
envelope_rule(const NbmMergePath *path)
{
	if (path->up != NULL && path->up->up == NULL &&
		nbm_key_is(path->name, "language_info") &&
		nbm_key_is(path->up->name, "metadata"))
		return NBM_RULE_QUIET;
	return NBM_RULE_MEMBERS;
}

/* Merges one member of the envelope; false where the result has none. */
static bool
merge_envelope_member(Merge *merge, NbmText key,
					  const JsonbValue *const *values, JsonbValue *result)
{
	NbmMergePath path = {NULL, key};

	if (merge->kind == &nbm_workflow && nbm_key_is(key, "links"))
		return nbm_links_merge(&merge->envelope, &merge->links,
							   &merge->operators, values, result);
	if (merge->kind == &nbm_workflow && nbm_key_is(key, "operatorPositions"))
		return nbm_positions_merge(&merge->envelope, &merge->operators, values,
								   result);
	return nbm_merge_value(&merge->envelope, &path, values, result);
}

/* Merges the envelopes. */
static Jsonb *
merge_envelope(Merge *merge)
{
	JsonbValue	envelopes[NBM_MERGE_SIDES];
	const JsonbValue *values[NBM_MERGE_SIDES];
	NbmMergeMembers members;
	NbmPair    *pairs;
	JsonbValue	result;
	int			count = 0;

	merge->envelope.prefix = "$";
	merge->envelope.kind = NBM_CONFLICT_DOCUMENT;
	merge->envelope.rule = envelope_rule;
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		nbm_set_jsonb(&envelopes[s], nbm_document_envelope(&merge->docs[s]));
		values[s] = &envelopes[s];
	}
	nbm_members_open(&members, values);
	pairs = nbm_members_pairs(&members);
	while (nbm_members_next(&members))
	{
		pairs[count].key = members.key;
		if (merge_envelope_member(merge, members.key, members.values,
								  &pairs[count].value))
			count++;
	}
	nbm_merge_object(pairs, count, &result);
	return nbm_value_to_jsonb(&result);
}

/* Notes that one side deleted an item and the other edited or moved it. */
static void
note_deleted(Merge *merge, const NbmMergeItem *item,
			 const JsonbValue *const *values)
{
	NbmMergeSide keeper = item->at[NBM_OURS] >= 0 ? NBM_OURS : NBM_THEIRS;
	NbmMergeSide taken = item->is_in ? keeper : other_side(keeper);
	char	   *path = pstrdup(merge->items.prefix);
	NbmConflict *conflict = nbm_merge_note(&merge->items,
										   NBM_CONFLICT_DELETED, path, values);

	conflict->taken = taken == NBM_OURS ? NBM_TAKEN_OURS : NBM_TAKEN_THEIRS;
}

/* Notes that both sides moved an item, to different places. */
static void
note_position(Merge *merge, const NbmMergeItem *item)
{
	JsonbValue	numbers[NBM_MERGE_SIDES];
	const JsonbValue *values[NBM_MERGE_SIDES];

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		nbm_set_integer(&numbers[s], item->at[s]);
		values[s] = &numbers[s];
	}
	nbm_merge_note(&merge->items, NBM_CONFLICT_POSITION,
				   pstrdup(merge->items.prefix), values);
}

/*
 * Merges one item, which stands at an index of a document: of the result, or
 * where it is not in that, of the side that has it.
 */
static void
merge_item(Merge *merge, const NbmMergeItem *item, const NbmDocument *doc,
		   int index, JsonbValue *result)
{
	const JsonbValue *values[NBM_MERGE_SIDES];
	bool		is_contested = merge->is_contested[item - merge->order.items];
	bool		is_clear = !is_contested && !item->moves_differ;
	const JsonbValue *taken;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		values[s] = value_of(merge, item, s);
	if (item->at[NBM_OURS] < 0 || item->at[NBM_THEIRS] < 0)
		taken = values[NBM_OURS] ? values[NBM_OURS] : values[NBM_THEIRS];
	else
		is_clear &= nbm_merge_resolve(values, &taken);
	if (is_clear)
	{
		*result = *taken;
		return;
	}
	merge->items.prefix = nbm_document_path(doc, index);
	if (is_contested)
		note_deleted(merge, item, values);
	if (item->moves_differ && merge->kind == &nbm_notebook)
		note_position(merge, item);
	if (values[NBM_OURS] != NULL && values[NBM_THEIRS] != NULL)
		nbm_merge_item(&merge->items, merge->kind, values, result);
	else if (item->is_in)
		*result = *taken;
}

/* Merges all items and puts the result together. */
static Jsonb *
merge_items(Merge *merge, NbmMergeItem *const *sorted, Jsonb *envelope)
{
	NbmDocument doc;
	JsonbValue *values = palloc_array(JsonbValue, Max(merge->order.nitems, 1));
	int			count = 0;

	nbm_document_open(merge->kind, envelope, &doc);
	if (doc.nruns != merge->docs[NBM_OURS].nruns)
		elog(ERROR, "merged document has %d arrays of items, not %d",
			 doc.nruns, merge->docs[NBM_OURS].nruns);
	for (int i = 0; i < merge->order.nitems; i++)
		if (sorted[i]->is_in)
			doc.runs[sorted[i]->run]++;
	for (int i = 0; i < merge->order.nitems; i++)
	{
		const NbmMergeItem *item = sorted[i];
		NbmMergeSide keeper = item->at[NBM_OURS] >= 0 ? NBM_OURS : NBM_THEIRS;

		CHECK_FOR_INTERRUPTS();
		if (item->is_in)
		{
			merge_item(merge, item, &doc, count, &values[count]);
			count++;
		}
		else if (merge->is_contested[item - merge->order.items])
			merge_item(merge, item, &merge->docs[keeper], item->at[keeper],
					   NULL);
	}
	return nbm_document_compose(merge->kind, envelope, doc.nruns, doc.runs,
								values);
}

/* Where all documents but one are equal there is nothing to merge. */
static bool
is_trivial(const NbmMergeInput *input, Jsonb **content)
{
	JsonbValue	roots[NBM_MERGE_SIDES];
	const JsonbValue *values[NBM_MERGE_SIDES];
	const JsonbValue *taken;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		nbm_set_jsonb(&roots[s], input->contents[s]);
		values[s] = &roots[s];
	}
	if (!nbm_merge_resolve(values, &taken))
		return false;
	*content = input->contents[taken == &roots[NBM_OURS] ?
							   NBM_OURS : NBM_THEIRS];
	return true;
}

/* Adds the conflicts of the envelope to those of the items. */
static void
add_envelope_conflicts(const Merge *merge, NbmMergeResult *result)
{
	int			count = merge->items.count + merge->envelope.count;

	result->conflicts = nbm_new_array(NbmConflict, count);
	result->nconflicts = count;
	if (merge->items.count > 0)
		memcpy(result->conflicts, merge->items.conflicts,
			   sizeof(NbmConflict) * merge->items.count);
	if (merge->envelope.count > 0)
		memcpy(result->conflicts + merge->items.count,
			   merge->envelope.conflicts,
			   sizeof(NbmConflict) * merge->envelope.count);
}

/*
 * Merges three documents.  The result is new, or one of them where the others
 * have no change to add to it.  Raises what nbm_document_open() and
 * nbm_item_split() do, 22023 for notebooks of different nbformat, one with
 * worksheets and one without, or with different numbers of them, 54000 where
 * the result is too large.
 */
NbmMergeResult
nbm_merge_documents(const NbmKind *kind, const NbmMergeInput *input,
					NbmMergeStrategy strategy)
{
	Merge		merge = {kind};
	NbmMergeResult result = {NULL, NULL, 0};
	NbmMergeItem **sorted;
	Jsonb	   *envelope;

	merge.items.strategy = merge.envelope.strategy = strategy;
	open_documents(&merge, input);
	if (is_trivial(input, &result.content))
		return result;
	check_formats(&merge);
	list_items(&merge);
	if (kind == &nbm_workflow)
	{
		JsonbContainer *roots[NBM_MERGE_SIDES];

		for (int s = 0; s < NBM_MERGE_SIDES; s++)
			roots[s] = merge.docs[s].root;
		unify_operators(&merge);
		name_operators(&merge);
		nbm_links_open(&merge.links, &merge.operators, roots);
	}
	nbm_order_find_moves(&merge.order);
	decide_deleted(&merge);
	set_runs(&merge);
	set_contents(&merge);
	nbm_order_unify(&merge.order, same_inserted, &merge);
	sorted = nbm_order_sort(&merge.order);
	envelope = merge_envelope(&merge);
	result.content = merge_items(&merge, sorted, envelope);
	add_envelope_conflicts(&merge, &result);
	return result;
}
