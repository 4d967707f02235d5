/*
 * texera_past.c
 *		Putting a workflow's past before its versions.
 *
 * The chain is replayed from the first version that the store has, whose
 * label says which row wrote it: what was saved or rewritten since has its
 * versions already.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "attachment.h"
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

/* Puts the states before the versions, and labels them.  Fits NbmWork. */
static void
fill(void *arg)
{
	Filling    *filling = arg;
	NbmTexeraPast *past = filling->past;
	NbmStore	store = {&nbm_workflow, past->workflow_id, false};
	NbmHead		head;
	NbmPast		base;
	NbmIdentity before;
	int			level = nbm_owner_begin(past->owner, &before);

	past->versions = 0;
	if (filling->chain.count > 0 && nbm_store_try_lock(&store, &head) &&
		nbm_label_first(store.id) == filling->newest)
	{
		if (nbm_chain_base(&filling->chain, &base))
			nbm_label_replace(store.id, 1, base.vid, base.is_exact);
		filling->labels = palloc_array(PastLabel, filling->chain.count);
		nbm_chain_each(&filling->chain, add_state, filling);
		if (filling->prepend.kept != NIL)
		{
			past->versions = nbm_prepend_finish(&filling->prepend);
			nbm_label_shift(store.id, past->versions);
		}
		for (int i = 0; i < filling->nlabels; i++)
			nbm_label_add(store.id, filling->labels[i].version,
						  filling->labels[i].vid, filling->labels[i].is_exact);
	}
	nbm_progress_add(store.id, past->rows, past->versions,
					 filling->newest < 0 ? "not in the store, or without rows" :
					 nbm_chain_note(&filling->chain));
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

/* Raises a caught error again where somebody wants the work to end. */
static void
check_intervention(const NbmCaught *caught)
{
	if (ERRCODE_TO_CATEGORY(caught->sqlstate) == ERRCODE_OPERATOR_INTERVENTION)
		ereport(ERROR,
				(errcode(caught->sqlstate), errmsg("%s", caught->message)));
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
		check_intervention(&caught);
		add_problem(filling, 0, caught.sqlstate, caught.message);
		return;
	}
	/* rows newer than the first version have their versions */
	while (past->nvids > 0 && past->vids[0] > filling->newest)
	{
		past->vids++;
		past->nvids--;
	}
	filling->chain.read_row = past->read_row;
	filling->chain.vids = past->vids;
	filling->chain.nvids = filling->newest < 0 ? 0 : past->nvids;
	if (filling->chain.nvids > 0)
		nbm_chain_walk(&filling->chain);
	past->rows = filling->chain.rows;
	report_chain(filling);
	is_done = nbm_guarded(fill, filling, &caught);
	nbm_chain_close(&filling->chain);
	if (is_done)
		return;
	check_intervention(&caught);
	past->versions = 0;
	add_problem(filling, filling->newest, caught.sqlstate, caught.message);
}
