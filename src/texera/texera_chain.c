/*
 * texera_chain.c
 *		The past of a workflow, out of its chain of reverse patches.
 *
 * A row of workflow_version holds the patch from the state after the save
 * that wrote it to the state before.  So, with rows 1 to n and row n the
 * newest, and T(0) the present state, T(j) is T(j-1) with the patch of row
 * n-j+1 applied: the state after the save that wrote row n-j, and whose label
 * is that row.  T(n) is {}.
 *
 * Until 2024 a save wrote an empty row [] for the state that it made, and the
 * patch into the row before.  Below the newest [] row of such a chain T(j) is
 * the state that belongs to row n-j+1 itself.  There T(n) is the state of the
 * first row, and no {}; that is how the two designs are told apart, since a
 * save without a change makes a row [] as well.
 *
 * The newest saves may have changed nothing: the state after them was made by
 * the one before, and no save among them has a state of its own.
 *
 * The states come newest first and are wanted oldest first, so they go
 * through a tuplestore, which keeps in memory what fits into work_mem.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "commit.h"
#include "json_patch.h"
#include "jsonb_bytes.h"
#include "take.h"
#include "texera_chain.h"

/*
 * Reads a row's patch, and its time into the chain.  Raises 02000 where it was
 * deleted since the rows were listed, and class 22 for what is no patch.
 */
static Jsonb *
read_row(NbmChain *chain, int index)
{
	MemoryContext outer = CurrentMemoryContext;
	Datum		values[1] = {Int64GetDatum(chain->vids[index])};
	bool		is_null;
	Datum		value;
	Jsonb	   *patch;

	if (SPI_execute_plan(chain->read_row, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a row of workflow_version");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("the row was deleted meanwhile")));
	MemoryContextSwitchTo(outer);	/* SPI has one of its own */
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						  &is_null);
	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the row has no patch")));
	patch = DatumGetJsonbPCopy(value);
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
						  &is_null);
	chain->times[index] = is_null ? 0 : DatumGetTimestampTz(value);
	SPI_freetuptable(SPI_tuptable);
	return patch;
}

/*
 * Raises 22023 where a state is no workflow, or has an operator twice, and 54000
 * where it is beyond the limits of the store: there the sound part ends.
 */
static void
check_state(Jsonb *state)
{
	JsonbContainer *operators;
	NbmDocument doc;
	NbmWhere	where = {NULL, 0, "$"};

	if (!JB_ROOT_IS_OBJECT(state) ||
		!nbm_get_container(&state->root, "operators", true, &operators))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the state before the row is no workflow")));
	for (int i = 0; i < JsonContainerSize(operators); i++)
	{
		JsonbValue	op;

		nbm_element(operators, i, &op);
		if (!nbm_is_object(&op))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("operator %d of the state before the row is no object",
							i)));
	}
	nbm_check_operators(state);
	nbm_check_size(nbm_workflow.name, state);
	nbm_check_depth(&state->root, 0, &where);
	nbm_document_open(&nbm_workflow, state, &doc);
}

/* Is a patch without operations? */
static bool
is_empty_patch(Jsonb *patch)
{
	return JB_ROOT_IS_ARRAY(patch) && !JB_ROOT_IS_SCALAR(patch) &&
		JsonContainerSize(&patch->root) == 0;
}

/* Are two states the same, byte for byte? */
static bool
is_same(const Jsonb *a, const Jsonb *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/* Replays one row; false where the chain ends with it, as it should. */
static bool
replay_row(NbmChain *chain, NbmPatching *patching, int index)
{
	Jsonb	   *patch = read_row(chain, index);
	Jsonb	   *state;
	NbmFailure	failure;
	Datum		value;
	bool		is_null = false;

	if (chain->marker < 0 && is_empty_patch(patch))
		chain->marker = index;
	if (!nbm_patch_apply(patching, patch, &failure))
		ereport(ERROR,
				(errcode(failure.sqlstate),
				 errmsg("%s", failure.message)));
	state = nbm_patch_finish(patching);
	if (index == chain->nvids - 1 && JB_ROOT_IS_OBJECT(state) &&
		JsonContainerSize(&state->root) == 0)
	{
		chain->starts_empty = true;
		return false;
	}
	check_state(state);
	if (chain->unchanged == index && is_same(chain->base, state))
		chain->unchanged++;
	value = JsonbPGetDatum(state);
	tuplestore_putvalues(chain->states, chain->desc, &value, &is_null);
	chain->count++;
	return true;
}

/* Replays the rows, newest first.  Fits NbmWork. */
static void
replay(void *arg)
{
	NbmChain   *chain = arg;
	NbmPatching *patching = nbm_patch_open(chain->base);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "notebook_migrate patch",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(scratch);

	for (int i = 0; i < chain->nvids - chain->is_part; i++)
	{
		CHECK_FOR_INTERRUPTS();
		chain->rows = i + 1;
		if (!replay_row(chain, patching, i))
			break;
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(outer);
}

/*
 * Finds all sound states of a chain, from the newest back to the first that
 * is damaged.  Raises those errors only that are not about the data.  What is
 * found is of the current context.
 */
void
nbm_chain_walk(NbmChain *chain)
{
	chain->times = palloc0_array(TimestampTz, Max(chain->nvids, 1));
	chain->desc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(chain->desc, 1, "state", JSONBOID, -1, 0);
	chain->states = tuplestore_begin_heap(true, false, work_mem);
	chain->marker = -1;
	if (nbm_guarded(replay, chain, &chain->damage))
		return;
	switch (ERRCODE_TO_CATEGORY(chain->damage.sqlstate))
	{
		case ERRCODE_NO_DATA:
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			chain->is_damaged = true;
			break;
		default:
			ereport(ERROR,
					(errcode(chain->damage.sqlstate),
					 errmsg("%s", chain->damage.message)));
	}
}

/* Does the chain end in rows of the older design? */
static bool
is_older(const NbmChain *chain)
{
	return chain->marker >= 0 && !chain->starts_empty && !chain->is_part;
}

/* What is known of state T(j), but for the state. */
static NbmPast
describe(const NbmChain *chain, int j)
{
	NbmPast		past = {NULL, 0, 0, true, false};
	int			row = j;

	if (is_older(chain))
	{
		past.is_exact = j < chain->marker;
		past.is_repeated = j == chain->marker + 1;
		if (j > chain->marker)
			row = j - 1;
	}
	if (row < chain->nvids)
	{
		past.vid = chain->vids[row];
		/* a row that was not read is older than the last that was */
		past.at = chain->times[Min(row, chain->rows - 1)];
	}
	else
		past.at = chain->times[chain->nvids - 1];
	return past;
}

/*
 * The save that made the state after the chain, where those that followed
 * changed nothing; false where it was the newest.
 */
bool
nbm_chain_base(const NbmChain *chain, NbmPast *past)
{
	for (int j = chain->unchanged; j > 0; j--)
	{
		*past = describe(chain, j);
		if (past->vid != 0 && !past->is_repeated)
			return true;
	}
	return false;
}

/*
 * Calls visit for each sound state, oldest first, but for those that were the
 * state after the chain already.
 */
void
nbm_chain_each(const NbmChain *chain,
			   void (*visit) (const NbmPast *past, void *arg), void *arg)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(chain->desc,
													&TTSOpsMinimalTuple);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "notebook_migrate state",
												  ALLOCSET_DEFAULT_SIZES);

	tuplestore_rescan(chain->states);
	while (tuplestore_advance(chain->states, true))
		CHECK_FOR_INTERRUPTS();
	for (int j = chain->count; j > chain->unchanged; j--)
	{
		MemoryContext outer = MemoryContextSwitchTo(scratch);
		NbmPast		past = describe(chain, j);
		bool		is_null;

		if (!tuplestore_gettupleslot(chain->states, false, false, slot))
			elog(ERROR, "state %d of the past is lost", j);
		past.state = DatumGetJsonbP(slot_getattr(slot, 1, &is_null));
		visit(&past, arg);
		ExecClearTuple(slot);	/* of scratch, where it came from a file */
		MemoryContextSwitchTo(outer);
		MemoryContextReset(scratch);
	}
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(scratch);
}

/* Frees what a walk has found, and the file it may be in. */
void
nbm_chain_close(NbmChain *chain)
{
	if (chain->states != NULL)
		tuplestore_end(chain->states);
	chain->states = NULL;
}

/* What is special about a chain, in words; NULL: nothing. */
const char *
nbm_chain_note(const NbmChain *chain)
{
	if (chain->is_damaged)
		return psprintf("damaged at vid " INT64_FORMAT,
						chain->vids[chain->rows - 1]);
	if (is_older(chain))
		return psprintf("2022-24 design up to vid " INT64_FORMAT,
						chain->vids[chain->marker]);
	if (!chain->starts_empty && chain->nvids > 0)
		return "begins with a state that is not {}";
	return NULL;
}
