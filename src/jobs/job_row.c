/*
 * job_row.c
 *		A job's own row, claimed and finished without a query.
 *
 * These are the two changes that every job goes through.  What is done here
 * is what the statements Q_JOB_CLAIM and Q_JOB_DONE do, with the executor's
 * own function for rows that are changed without a plan: it checks the
 * constraints and keeps the indexes.  Where a statement would do more, as row
 * security or triggers ask for, or would see less, as in a transaction with a
 * snapshot of its own, nothing is tried here, and job_store.c runs the
 * statement.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "job_row.h"
#include "job_table.h"

/* Tokens that are drawn at once. */
#define TOKENS_DRAWN 64

/* A job's row, locked by this transaction. */
typedef struct Row
{
	Relation	relation;
	TupleTableSlot *slot;
	HeapTuple	tuple;			/* in the slot; NULL where none was found */
} Row;

/* Some columns' new values. */
typedef struct Change
{
	Datum		values[JOB_COLUMNS];
	bool		nulls[JOB_COLUMNS];
	bool		is_set[JOB_COLUMNS];
} Change;

/* Would a statement do no more than change the row, and see no less? */
static bool
is_plain(Relation relation)
{
	const AclMode rights = ACL_SELECT | ACL_UPDATE;
	Oid			id = RelationGetRelid(relation);

	return !IsolationUsesXactSnapshot() &&
		relation->trigdesc == NULL && relation->rd_rules == NULL &&
		pg_class_aclmask(id, GetUserId(), rights, ACLMASK_ALL) == rights &&
		check_enable_rls(id, InvalidOid, true) != RLS_ENABLED;
}

/* Finds a job's row by the index; NULL where the snapshot has none. */
static HeapTuple
find_row(Relation relation, SysScanDesc *scan, Relation *index, int64 id,
		 Snapshot snapshot)
{
	ScanKeyData key;

	*index = nbm_job_index_open(relation, "migration_job_id");
	ScanKeyInit(&key, JOB_ID, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(id));
	*scan = systable_beginscan_ordered(relation, *index, snapshot, 1, &key);
	return systable_getnext_ordered(*scan, ForwardScanDirection);
}

/* Ends what find_row() began. */
static void
end_find(SysScanDesc scan, Relation index)
{
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
}

/*
 * Locks a job's row, as it is by now, and reads it; false where only a query
 * may write it.  Close it in either case.
 */
static bool
open_row(Row *row, int64 id, LockWaitPolicy wait)
{
	Snapshot	snapshot;
	Relation	index;
	SysScanDesc scan;
	HeapTuple	found;
	TM_FailureData failure;

	row->relation = nbm_job_table_open("migration_job", RowExclusiveLock);
	row->slot = NULL;
	row->tuple = NULL;
	if (!is_plain(row->relation))
		return false;
	row->slot = table_slot_create(row->relation, NULL);
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	found = find_row(row->relation, &scan, &index, id, snapshot);
	if (found != NULL &&
		table_tuple_lock(row->relation, &found->t_self, snapshot, row->slot,
						 GetCurrentCommandId(true), LockTupleNoKeyExclusive,
						 wait, TUPLE_LOCK_FLAG_FIND_LAST_VERSION,
						 &failure) == TM_Ok)
		row->tuple = ExecFetchSlotHeapTuple(row->slot, false, NULL);
	end_find(scan, index);
	UnregisterSnapshot(snapshot);
	return true;
}

/* Closes a row; the lock is kept to the end of the transaction. */
static void
close_row(Row *row)
{
	if (row->slot != NULL)
		ExecDropSingleTupleTableSlot(row->slot);
	table_close(row->relation, NoLock);
}

/* A column that is never NULL. */
static Datum
column(const Row *row, int number)
{
	return nbm_job_column(row->tuple, number, row->relation);
}

/* Does a column of type text have this value? */
static bool
is_text(const Row *row, int number, const char *value)
{
	text	   *stored = DatumGetTextPP(column(row, number));
	Size		size = strlen(value);

	return VARSIZE_ANY_EXHDR(stored) == size &&
		memcmp(VARDATA_ANY(stored), value, size) == 0;
}

/* A column gets a value. */
static void
set(Change *change, int number, Datum value)
{
	change->values[number - 1] = value;
	change->is_set[number - 1] = true;
}

/* A column becomes NULL. */
static void
set_null(Change *change, int number)
{
	change->nulls[number - 1] = true;
	change->is_set[number - 1] = true;
}

/* Writes a changed row, and lets the rest of this transaction see it. */
static void
write_row(Row *row, Change *change)
{
	TupleDesc	descriptor = RelationGetDescr(row->relation);
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *fresh = ExecInitExtraTupleSlot(estate, descriptor,
												   &TTSOpsHeapTuple);

	ExecStoreHeapTuple(heap_modify_tuple(row->tuple, descriptor,
										 change->values, change->nulls,
										 change->is_set),
					   fresh, true);
	InitResultRelInfo(target, row->relation, 0, NULL, 0);
	ExecOpenIndices(target, false);
	ExecSimpleRelationUpdate(target, estate, NULL, row->slot, fresh);
	ExecCloseIndices(target);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	CommandCounterIncrement();
}

/*
 * A fresh token: a random UUID, version 4.  What is random is drawn for many
 * at once, as the source takes longer to be asked than to answer.
 */
static pg_uuid_t
fresh_token(void)
{
	static pg_uuid_t drawn[TOKENS_DRAWN];
	static int	used = TOKENS_DRAWN;
	pg_uuid_t	token;

	if (used == TOKENS_DRAWN)
	{
		if (!pg_strong_random(drawn, sizeof(drawn)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		used = 0;
	}
	token = drawn[used++];
	token.data[6] = (token.data[6] & 0x0f) | 0x40;
	token.data[8] = (token.data[8] & 0x3f) | 0x80;
	return token;
}

/* A waiting job becomes the claimer's; fills in the rest of the job. */
static void
claim_row(Row *row, const NbmClaimer *claimer, NbmJob *job)
{
	Change		change = {{0}};

	job->version = DatumGetInt32(column(row, JOB_VERSION));
	job->attempt = DatumGetInt32(column(row, JOB_ATTEMPT)) + 1;
	job->payload = DatumGetJsonbPCopy(column(row, JOB_PAYLOAD));
	job->token = fresh_token();
	set(&change, JOB_STATE, CStringGetTextDatum("leased"));
	set(&change, JOB_WORKER, CStringGetTextDatum(claimer->worker));
	set(&change, JOB_STARTED_AT, TimestampTzGetDatum(claimer->at));
	set(&change, JOB_LEASE_UNTIL, TimestampTzGetDatum(claimer->lease_until));
	set(&change, JOB_ATTEMPT, Int32GetDatum(job->attempt));
	set(&change, JOB_TOKEN, UUIDPGetDatum(&job->token));
	write_row(row, &change);
}

/*
 * Leases a waiting job, of which the caller knows the id; refused where
 * somebody has it locked.  Version, attempt, payload (in the current context)
 * and token are filled in.
 */
NbmRowOutcome
nbm_job_row_claim(const NbmClaimer *claimer, NbmJob *job)
{
	NbmRowOutcome outcome = NBM_ROW_UNTRIED;
	Row			row;

	if (open_row(&row, job->id, LockWaitSkip))
	{
		outcome = NBM_ROW_REFUSED;
		if (row.tuple != NULL && is_text(&row, JOB_STATE, "waiting"))
		{
			claim_row(&row, claimer, job);
			outcome = NBM_ROW_WRITTEN;
		}
	}
	close_row(&row);
	return outcome;
}

/* Is a job leased to whoever has this token, still? */
static bool
is_leased(const Row *row, const pg_uuid_t *token, TimestampTz at)
{
	TupleDesc	descriptor = RelationGetDescr(row->relation);

	return !heap_attisnull(row->tuple, JOB_TOKEN, descriptor) &&
		memcmp(DatumGetUUIDP(column(row, JOB_TOKEN)), token,
			   sizeof(*token)) == 0 &&
		DatumGetTimestampTz(column(row, JOB_LEASE_UNTIL)) > at;
}

/*
 * Finishes a job, of which the caller knows the id, without a result, if it
 * is of another kind than one given and leased to whoever has this token.
 * Notebook and kind (in the current context) are filled in.
 */
NbmRowOutcome
nbm_job_row_done(NbmJob *job, const pg_uuid_t *token, const char *except_kind,
				 TimestampTz at, Jsonb *usage)
{
	NbmRowOutcome outcome = NBM_ROW_UNTRIED;
	Row			row;

	if (open_row(&row, job->id, LockWaitBlock))
	{
		outcome = NBM_ROW_REFUSED;
		if (row.tuple != NULL && is_leased(&row, token, at) &&
			!is_text(&row, JOB_KIND, except_kind))
		{
			Change		change = {{0}};

			job->notebook_id = DatumGetInt64(column(&row, JOB_NOTEBOOK));
			job->kind = TextDatumGetCString(column(&row, JOB_KIND));
			set(&change, JOB_STATE, CStringGetTextDatum("done"));
			set(&change, JOB_FINISHED_AT, TimestampTzGetDatum(at));
			set(&change, JOB_DEDUPE, BoolGetDatum(true));
			set_null(&change, JOB_LEASE_UNTIL);
			set_null(&change, JOB_TOKEN);
			if (usage != NULL)
				set(&change, JOB_USAGE, JsonbPGetDatum(usage));
			else
				set_null(&change, JOB_USAGE);
			write_row(&row, &change);
			outcome = NBM_ROW_WRITTEN;
		}
	}
	close_row(&row);
	return outcome;
}

/*
 * Is a job finished by now, or gone, whoever did that and however?  Row
 * security is not asked, as a job that the caller cannot see is not over.
 */
bool
nbm_job_row_is_over(int64 id)
{
	Relation	relation = nbm_job_table_open("migration_job", AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Relation	index;
	SysScanDesc scan;
	HeapTuple	found = find_row(relation, &scan, &index, id, snapshot);
	bool		is_over = found == NULL ||
	!heap_attisnull(found, JOB_FINISHED_AT, RelationGetDescr(relation));

	end_find(scan, index);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return is_over;
}
