/*
 * texera_past.c
 *		Putting a workflow's past before its versions, and what was passed over
 *		between them.
 *
 * The chain is replayed from the first version that the store has, whose
 * label says which row wrote it: what was saved or rewritten since has its
 * versions already.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "attached_write.h"
#include "commit.h"
#include "prepend.h"
#include "query.h"
#include "texera_chain.h"
#include "texera_past.h"

/* A label that the past gets once the versions have their new numbers. */
typedef struct PastLabel
{
	int32		version;
	int64		vid;
	bool		is_exact;
} PastLabel;

/* What is being done, for guarded work. */
typedef struct Filling
{
	NbmTexeraPast *past;
	MemoryContext context;		/* of the workflow */
	NbmChain	chain;
	int64		newest;			/* vid of the first version; -1: it has none */
	int32		after;			/* version that the states are put behind; 0:
								 * none */
	NbmVidGap	gap;			/* what they are of, if after is not 0 */
	bool		is_back;		/* after the gap the version was as before */
	NbmPrepend	prepend;
	PastLabel  *labels;
	int			nlabels;
} Filling;

/* Reads the first version and its label.  Fits NbmWork. */
static void
read_base(void *arg)
{
	Filling    *filling = arg;
	NbmStore	store = {&nbm_workflow, filling->past->workflow_id, false};
	NbmVersion	version;
	NbmIdentity before;
	int			level = nbm_owner_begin(filling->past->owner, &before);

	filling->newest = nbm_label_first(store.id);
	if (filling->newest >= 0)
	{
		nbm_store_version(&store, 1, &version);
		filling->chain.base = nbm_read_document(&store, &version,
												filling->context);
	}
	nbm_owner_end(level, &before);
}

/* Makes a version of one state.  Fits nbm_chain_each(). */
static void
add_state(const NbmPast *state, void *arg)
{
	Filling    *filling = arg;
	PastLabel  *label = &filling->labels[filling->nlabels];
	int32		version;

	if (state->is_repeated)
		return;
	if (filling->prepend.kept == NIL)
	{
		NbmStore	store = {&nbm_workflow, filling->past->workflow_id, false};
		MemoryContext outer = MemoryContextSwitchTo(filling->context);

		nbm_prepend_begin(&filling->prepend, &store);
		nbm_prepend_keep(&filling->prepend, filling->after);
		MemoryContextSwitchTo(outer);
	}
	version = nbm_prepend_state(&filling->prepend, state->state,
								state->at != 0 ? state->at :
								filling->prepend.head.created_at);
	if (state->vid == 0)
		return;
	label->version = version;
	label->vid = state->vid;
	label->is_exact = state->is_exact;
	filling->nlabels++;
}

/* Makes versions of all states, and labels them.  The head is locked. */
static void
add_states(Filling *filling)
{
	NbmTexeraPast *past = filling->past;
	int64		id = past->workflow_id;
	NbmPast		base = {NULL, filling->chain.vids[0], 0, true, false};
	bool		is_earlier = nbm_chain_base(&filling->chain, &base);
	int32		by = 0;

	filling->labels = palloc_array(PastLabel, filling->chain.count + 1);
	nbm_chain_each(&filling->chain, add_state, filling);
	if (filling->is_back)
	{
		base.state = filling->chain.base;
		base.at = filling->chain.times[0];
		add_state(&base, filling);
	}
	else if (is_earlier)
		nbm_label_replace(id, filling->after + 1, base.vid, base.is_exact);
	if (filling->prepend.kept != NIL)
	{
		by = nbm_prepend_finish(&filling->prepend);
		nbm_label_shift(id, filling->after, by);
	}
	for (int i = 0; i < filling->nlabels; i++)
		nbm_label_add(id, filling->labels[i].version, filling->labels[i].vid,
					  filling->labels[i].is_exact);
	past->versions += by;
}

/* Puts the states before the versions.  Fits NbmWork. */
static void
fill(void *arg)
{
	Filling    *filling = arg;
	NbmTexeraPast *past = filling->past;
	NbmStore	store = {&nbm_workflow, past->workflow_id, false};
	NbmHead		head;
	NbmIdentity before;
	int			level = nbm_owner_begin(past->owner, &before);

	past->versions = 0;
	if (filling->chain.count > 0 && nbm_store_try_lock(&store, &head) &&
		nbm_label_first(store.id) == filling->newest)
		add_states(filling);
	if (filling->newest >= 0)
		nbm_gap_forget(store.id, filling->newest);
	nbm_progress_add(store.id, past->rows, past->versions,
					 filling->newest < 0 ? "not in the store, or without rows" :
					 nbm_chain_note(&filling->chain));
	nbm_owner_end(level, &before);
}

/* Puts the states of a gap between the versions.  Fits NbmWork. */
static void
fill_gap(void *arg)
{
	Filling    *filling = arg;
	NbmChain   *chain = &filling->chain;
	NbmStore	store = {&nbm_workflow, filling->past->workflow_id, false};
	NbmHead		head;
	NbmIdentity before;
	int			level = nbm_owner_begin(filling->past->owner, &before);

	if (nbm_store_try_lock(&store, &head) &&
		nbm_label_exact(store.id, filling->gap.upto) ==
		(filling->is_back ? 0 : filling->after + 1))
	{
		if (chain->count > 0)
			add_states(filling);
		nbm_gap_fill(store.id, &filling->gap,
					 chain->is_damaged ? chain->vids[chain->count] :
					 filling->gap.from);
	}
	nbm_owner_end(level, &before);
}

/* A problem of a workflow's past, by its row, on its way into its table. */
static void
add_problem(const Filling *filling, int64 vid, int sqlstate,
			const char *message)
{
	NbmIdentity before;
	int			level = nbm_owner_begin(filling->past->owner, &before);

	nbm_problem_add(filling->past->table,
					psprintf("wid " INT64_FORMAT " vid " INT64_FORMAT,
							 filling->past->workflow_id, vid),
					sqlstate, message, true);
	nbm_owner_end(level, &before);
}

/* Reports what is unsound about a chain. */
static void
report_chain(const Filling *filling)
{
	const NbmChain *chain = &filling->chain;

	if (chain->is_damaged)
		add_problem(filling, chain->vids[chain->rows - 1],
					chain->damage.sqlstate, chain->damage.message);
	else if (!chain->starts_empty && chain->nvids > 0 && chain->marker < 0)
		add_problem(filling, chain->vids[chain->nvids - 1],
					ERRCODE_INVALID_PARAMETER_VALUE,
					"the first row of the chain does not replay to {}");
}

/*
 * Takes the past of a workflow in; what cannot be is reported in
 * texera_problem.  The caller has connected to SPI, and an active snapshot.
 */
void
nbm_texera_take_past(NbmTexeraPast *past)
{
	Filling    *filling = palloc0_object(Filling);
	NbmCaught	caught;
	bool		is_done;

	filling->past = past;
	filling->context = CurrentMemoryContext;
	if (!nbm_guarded(read_base, filling, &caught))
	{
		nbm_check_intervention(&caught);
		add_problem(filling, 0, caught.sqlstate, caught.message);
		return;
	}
	filling->chain.read_row = past->read_row;
	filling->chain.vids = past->vids;
	filling->chain.nvids = filling->newest < 0 ? 0 : past->nvids;
	/* rows newer than the first version have their versions */
	while (filling->chain.nvids > 0 &&
		   filling->chain.vids[0] > filling->newest)
	{
		filling->chain.vids++;
		filling->chain.nvids--;
	}
	if (filling->chain.nvids > 0)
		nbm_chain_walk(&filling->chain);
	past->rows = filling->chain.rows;
	report_chain(filling);
	is_done = nbm_guarded(fill, filling, &caught);
	nbm_chain_close(&filling->chain);
	if (is_done)
		return;
	nbm_check_intervention(&caught);
	past->versions = 0;
	add_problem(filling, filling->newest, caught.sqlstate, caught.message);
}

/* Finds the rows of a gap, and the one that it ends with; false: too few. */
static bool
find_rows(Filling *filling, const NbmTexeraPast *past)
{
	int			first = 0;
	int			last;

	while (first < past->nvids && past->vids[first] > filling->gap.upto)
		first++;
	last = first;
	while (last < past->nvids && past->vids[last] >= filling->gap.from)
		last++;
	filling->chain.vids = past->vids + first;
	filling->chain.nvids = last - first;
	return filling->chain.nvids > 1 && past->vids[first] == filling->gap.upto;
}

/* Reads the version that a gap ends with.  Fits NbmWork. */
static void
read_end(void *arg)
{
	Filling    *filling = arg;
	NbmStore	store = {&nbm_workflow, filling->past->workflow_id, false};
	NbmVersion	version;
	NbmIdentity before;
	int			level = nbm_owner_begin(filling->past->owner, &before);
	int32		end = nbm_label_exact(store.id, filling->gap.upto);

	filling->is_back = end == 0;
	if (end == 0)
		end = nbm_label_version(store.id, filling->gap.upto);
	filling->after = filling->is_back ? end : end - 1;
	if (end > 0)
	{
		nbm_store_version(&store, end, &version);
		filling->chain.base = nbm_read_document(&store, &version,
												filling->context);
	}
	nbm_owner_end(level, &before);
}

/* Takes in what was saved in one gap. */
static void
take_gap(NbmTexeraPast *past, const NbmVidGap *gap)
{
	Filling    *filling = palloc0_object(Filling);
	NbmCaught	caught;

	filling->past = past;
	filling->context = CurrentMemoryContext;
	filling->gap = *gap;
	filling->chain.read_row = past->read_row;
	filling->chain.is_part = true;
	if (!find_rows(filling, past))
		return;
	if (nbm_guarded(read_end, filling, &caught))
	{
		if (filling->after == 0)
			return;				/* it is the past */
		nbm_chain_walk(&filling->chain);
		past->rows += filling->chain.rows;
		if (filling->chain.is_damaged)
			report_chain(filling);
		if (nbm_guarded(fill_gap, filling, &caught))
		{
			nbm_chain_close(&filling->chain);
			return;
		}
		nbm_chain_close(&filling->chain);
	}
	nbm_check_intervention(&caught);
	add_problem(filling, gap->from, caught.sqlstate, caught.message);
}

/*
 * Takes in what was saved of a workflow while its saves were passed over, or
 * Texera was not attached.  The caller has connected to SPI, and an active
 * snapshot.
 */
void
nbm_texera_take_gaps(NbmTexeraPast *past)
{
	MemoryContext context = CurrentMemoryContext;
	NbmIdentity before;
	int			level = nbm_owner_begin(past->owner, &before);
	NbmVidGap  *gaps;
	int			count;

	MemoryContextSwitchTo(context);
	gaps = nbm_gaps(past->workflow_id, &count);
	nbm_owner_end(level, &before);
	for (int i = 0; i < count; i++)
		take_gap(past, &gaps[i]);
}
