/*
 * job_turn.c
 *		Whose turn it is: the first job of each line, found and moved on.
 *
 * The row of a turn is changed twice a job.  So it is looked up by the job:
 * versions that cannot be removed yet, as another transaction might still see
 * them, are walked through at the front of the queue only, and job_front.c has
 * more of that.  Row security of migration_turn is not heeded, that of
 * migration_job is, by job_row.c.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "job_table.h"
#include "job_turn.h"

/* The turns of one kind, or of all, in the order in which they are handed out. */
typedef struct Walk
{
	Relation	index;
	SysScanDesc scan;
	ScanKeyData place[3];
	HeapTuple	tuple;			/* the next one; NULL at the end */
	NbmPlace	at;				/* of that */
} Walk;

struct NbmTurns
{
	Relation	relation;
	Snapshot	snapshot;
	TupleTableSlot *slot;		/* the turn that was given last, locked */
	Walk	   *walks;
	int			count;
};

/* The place of a turn. */
static NbmPlace
place_of(HeapTuple tuple, Relation relation)
{
	NbmPlace	place;

	Datum		at = nbm_job_column(tuple, TURN_AT, relation);

	place.rank = DatumGetInt64(nbm_job_column(tuple, TURN_RANK, relation));
	place.run_after = DatumGetTimestampTz(at);
	place.id = DatumGetInt64(nbm_job_column(tuple, TURN_JOB, relation));
	return place;
}

/* Moves a walk on by one. */
static void
step(Walk *walk, Relation relation)
{
	walk->tuple = systable_getnext_ordered(walk->scan, ForwardScanDirection);
	if (walk->tuple != NULL)
		walk->at = place_of(walk->tuple, relation);
}

/*
 * A condition on three columns of an index, from a number on: not before a
 * place.
 */
static void
set_not_before(ScanKey key, ScanKey columns, int number, const NbmPlace *place)
{
	ScanKeyEntryInitialize(&columns[0], SK_ROW_MEMBER, number,
						   BTGreaterEqualStrategyNumber, InvalidOid,
						   InvalidOid, F_BTINT8CMP, Int64GetDatum(place->rank));
	ScanKeyEntryInitialize(&columns[1], SK_ROW_MEMBER, number + 1,
						   BTGreaterEqualStrategyNumber, InvalidOid,
						   InvalidOid, F_TIMESTAMPTZ_CMP,
						   TimestampTzGetDatum(place->run_after));
	ScanKeyEntryInitialize(&columns[2], SK_ROW_MEMBER | SK_ROW_END, number + 2,
						   BTGreaterEqualStrategyNumber, InvalidOid,
						   InvalidOid, F_BTINT8CMP, Int64GetDatum(place->id));
	memset(key, 0, sizeof(*key));
	key->sk_flags = SK_ROW_HEADER;
	key->sk_attno = TURN_RANK;
	key->sk_strategy = BTGreaterEqualStrategyNumber;
	key->sk_argument = PointerGetDatum(columns);
}

/*
 * Starts a walk through the ready turns of a kind (0: of all), from a place on
 * (NULL: from the start).
 */
static void
start_walk(NbmTurns *turns, Walk *walk, Datum kind, const NbmPlace *from)
{
	ScanKeyData keys[3];
	int			count = 0;

	walk->index = nbm_job_index_open(turns->relation,
									 kind ? "migration_turn_kind" :
									 "migration_turn_next");
	if (kind)
		ScanKeyEntryInitialize(&keys[count++], 0, TURN_KIND,
							   BTEqualStrategyNumber, InvalidOid,
							   C_COLLATION_OID, F_TEXTEQ, kind);
	ScanKeyInit(&keys[count++], TURN_IS_READY, BTEqualStrategyNumber,
				F_BOOLEQ, BoolGetDatum(true));
	if (from != NULL)
	{
		set_not_before(&keys[count], walk->place, count + 1, from);
		count++;
	}
	walk->scan = systable_beginscan_ordered(turns->relation, walk->index,
											turns->snapshot, count, keys);
	step(walk, turns->relation);
}

/*
 * Opens the queue at a place (NULL: its start), for jobs of some kinds
 * (text[], without NULLs; 0: all).  Close it before the memory context goes.
 */
NbmTurns *
nbm_turns_open(Datum kinds, const NbmPlace *from)
{
	NbmTurns   *turns = palloc0_object(NbmTurns);
	Datum		all = 0;
	Datum	   *kind = &all;

	turns->relation = nbm_job_table_open_to_update("migration_turn");
	turns->snapshot = RegisterSnapshot(GetLatestSnapshot());
	turns->slot = table_slot_create(turns->relation, NULL);
	turns->count = 1;
	if (kinds)
		deconstruct_array(DatumGetArrayTypeP(kinds), TEXTOID, -1, false,
						  TYPALIGN_INT, &kind, NULL, &turns->count);
	turns->walks = palloc0_array(Walk, Max(turns->count, 1));
	for (int i = 0; i < turns->count; i++)
		start_walk(turns, &turns->walks[i], kind[i], from);
	return turns;
}

/*
 * Locks the next turn that nobody else is being given; false where there is
 * none.  The turn's strings are allocated in the current context.
 */
bool
nbm_turns_next(NbmTurns *turns, NbmTurn *turn)
{
	for (;;)
	{
		Walk	   *first = NULL;
		TM_FailureData failure;
		ItemPointerData tid;
		HeapTuple	tuple;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < turns->count; i++)
			if (turns->walks[i].tuple != NULL &&
				(first == NULL || nbm_place_cmp(&turns->walks[i].at,
												&first->at) < 0))
				first = &turns->walks[i];
		if (first == NULL)
			return false;
		tid = first->tuple->t_self;
		step(first, turns->relation);
		if (table_tuple_lock(turns->relation, &tid, turns->snapshot,
							 turns->slot, GetCurrentCommandId(true),
							 LockTupleExclusive, LockWaitSkip, 0,
							 &failure) != TM_Ok)
			continue;
		tuple = ExecFetchSlotHeapTuple(turns->slot, false, NULL);
		turn->notebook_id = DatumGetInt64(nbm_job_column(tuple, TURN_NOTEBOOK,
														 turns->relation));
		turn->kind = TextDatumGetCString(nbm_job_column(tuple, TURN_KIND,
														turns->relation));
		turn->is_ready = true;
		turn->place = place_of(tuple, turns->relation);
		return true;
	}
}

/* Writes a turn over a row that is locked. */
static void
write_turn(Relation relation, TupleTableSlot *slot, int64 job_id,
		   bool is_ready, int64 rank, TimestampTz at)
{
	Datum		values[TURN_COLUMNS] = {0};
	bool		nulls[TURN_COLUMNS] = {false};
	bool		does_change[TURN_COLUMNS] = {false, true, true, true, true};
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, NULL);
	HeapTuple	fresh;

	values[TURN_JOB - 1] = Int64GetDatum(job_id);
	values[TURN_RANK - 1] = Int64GetDatum(is_ready ? rank : 0);
	values[TURN_AT - 1] = TimestampTzGetDatum(at);
	values[TURN_IS_READY - 1] = BoolGetDatum(is_ready);
	fresh = heap_modify_tuple(tuple, RelationGetDescr(relation), values, nulls,
							  does_change);
	CatalogTupleUpdate(relation, &slot->tts_tid, fresh);
	heap_freetuple(fresh);
	CommandCounterIncrement();
}

/* The job of the turn that was given last is leased until then. */
void
nbm_turns_lease(NbmTurns *turns, TimestampTz until)
{
	HeapTuple	tuple = ExecFetchSlotHeapTuple(turns->slot, false, NULL);

	write_turn(turns->relation, turns->slot,
			   DatumGetInt64(nbm_job_column(tuple, TURN_JOB, turns->relation)),
			   false, 0, until);
}

/*
 * Has time made a turn ready that nobody has noticed?  A look at one place of
 * the index, as every claim takes it.
 */
bool
nbm_turns_are_due(TimestampTz at)
{
	Relation	relation = nbm_job_table_open_to_update("migration_turn");
	Relation	index = nbm_job_index_open(relation, "migration_turn_next");
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData keys[3];
	SysScanDesc scan;
	bool		is_due;

	ScanKeyInit(&keys[0], TURN_IS_READY, BTEqualStrategyNumber, F_BOOLEQ,
				BoolGetDatum(false));
	ScanKeyInit(&keys[1], TURN_RANK, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(0));
	ScanKeyInit(&keys[2], TURN_AT, BTLessStrategyNumber, F_TIMESTAMPTZ_LT,
				TimestampTzGetDatum(at));
	scan = systable_beginscan_ordered(relation, index, snapshot, 3, keys);
	is_due = systable_getnext_ordered(scan, ForwardScanDirection) != NULL;
	systable_endscan_ordered(scan);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(relation, NoLock);
	return is_due;
}

/* Closes the queue. */
void
nbm_turns_close(NbmTurns *turns)
{
	for (int i = 0; i < turns->count; i++)
	{
		systable_endscan_ordered(turns->walks[i].scan);
		index_close(turns->walks[i].index, AccessShareLock);
	}
	ExecDropSingleTupleTableSlot(turns->slot);
	UnregisterSnapshot(turns->snapshot);
	table_close(turns->relation, NoLock);
	pfree(turns);
}

/* Locks a row and reads it as it is by now, or skips it where it is gone. */
static bool
lock_row(Relation relation, ItemPointer tid, Snapshot snapshot,
		 LockTupleMode mode, TupleTableSlot *slot)
{
	TM_FailureData failure;

	return table_tuple_lock(relation, tid, snapshot, slot,
							GetCurrentCommandId(true), mode, LockWaitBlock,
							TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
							&failure) == TM_Ok;
}

/* The place of a job while it waits. */
static NbmPlace
place_of_job(HeapTuple tuple, Relation relation)
{
	NbmPlace	place;
	Datum		priority = nbm_job_column(tuple, JOB_PRIORITY, relation);
	Datum		at = nbm_job_column(tuple, JOB_RUN_AFTER, relation);

	place.rank = -(int64) DatumGetInt32(priority);
	place.run_after = DatumGetTimestampTz(at);
	place.id = DatumGetInt64(nbm_job_column(tuple, JOB_ID, relation));
	return place;
}

/* Is a job finished? */
static bool
is_finished(HeapTuple tuple, Relation relation)
{
	return !heap_attisnull(tuple, JOB_FINISHED_AT, RelationGetDescr(relation));
}

/*
 * The job after a turn's in its line that is not finished, locked: its id and
 * place are put in the turn.  False where there is none.
 */
static bool
find_next(NbmTurn *turn, Snapshot snapshot)
{
	Relation	relation = nbm_job_table_open_to_update("migration_job");
	Relation	index = nbm_job_index_open(relation, "migration_job_pkey");
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		is_found = false;

	ScanKeyInit(&keys[0], JOB_NOTEBOOK, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(turn->notebook_id));
	ScanKeyEntryInitialize(&keys[1], 0, JOB_KIND, BTEqualStrategyNumber,
						   InvalidOid, C_COLLATION_OID, F_TEXTEQ,
						   CStringGetTextDatum(turn->kind));
	ScanKeyInit(&keys[2], JOB_ID, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(turn->place.id));
	scan = systable_beginscan_ordered(relation, index, snapshot, 3, keys);
	while (!is_found &&
		   (tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_finished(tuple, relation) ||
			!lock_row(relation, &tuple->t_self, snapshot,
					  LockTupleNoKeyExclusive, slot))
			continue;
		tuple = ExecFetchSlotHeapTuple(slot, false, NULL);
		if (is_finished(tuple, relation))
			continue;			/* cancelled while we waited for its lock */
		turn->place = place_of_job(tuple, relation);
		is_found = true;
	}
	systable_endscan_ordered(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(relation, NoLock);
	return is_found;
}

/* Locks the row of a job's turn; false where it has none. */
static bool
find_turn(Relation relation, int64 notebook_id, int64 job_id,
		  Snapshot snapshot, TupleTableSlot *slot)
{
	Relation	index = nbm_job_index_open(relation, "migration_turn_pkey");
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		is_found;

	ScanKeyInit(&keys[0], TURN_NOTEBOOK, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(notebook_id));
	ScanKeyInit(&keys[1], TURN_JOB, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(job_id));
	scan = systable_beginscan_ordered(relation, index, snapshot, 2, keys);
	tuple = systable_getnext_ordered(scan, ForwardScanDirection);
	is_found = tuple != NULL && lock_row(relation, &tuple->t_self, snapshot,
										 LockTupleNoKeyExclusive, slot);
	if (is_found)
	{
		/* somebody may have passed it on while we waited for the lock */
		tuple = ExecFetchSlotHeapTuple(slot, false, NULL);
		is_found = DatumGetInt64(nbm_job_column(tuple, TURN_JOB,
												relation)) == job_id;
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	return is_found;
}

/*
 * Passes the turn from a job, whose row the caller has locked, to the next
 * one of its line, and says whose it is now.  False where there is none: then
 * nothing is changed.
 */
bool
nbm_turn_pass(NbmTurn *turn, TimestampTz at)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	int64		from = turn->place.id;
	bool		is_found = find_next(turn, snapshot);

	if (is_found)
	{
		Relation	relation = nbm_job_table_open_to_update("migration_turn");
		TupleTableSlot *slot = table_slot_create(relation, NULL);

		turn->is_ready = turn->place.run_after <= at;
		if (find_turn(relation, turn->notebook_id, from, snapshot, slot))
			write_turn(relation, slot, turn->place.id, turn->is_ready,
					   turn->place.rank, turn->place.run_after);
		ExecDropSingleTupleTableSlot(slot);
		table_close(relation, NoLock);
	}
	UnregisterSnapshot(snapshot);
	return is_found;
}
