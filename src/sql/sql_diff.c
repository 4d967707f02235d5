/*
 * sql_diff.c
 *		SQL entry points that say what changed: diffs and histories.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "args.h"
#include "compare.h"
#include "compat.h"
#include "lineage.h"

/* The source of a core part, which must have been fetched. */
static Datum
source_datum(const NbmKind *kind, NbmBodies *bodies, uint64 core)
{
	return nbm_text_datum(nbm_item_source(kind,
										  &nbm_bodies_get(bodies, core)->root));
}

/* The detail of a change as a text[]. */
static Datum
detail_datum(const NbmChange *change)
{
	int			count = change->detail.count;
	Datum	   *names = palloc_array(Datum, Max(count, 1));

	for (int i = 0; i < count; i++)
		names[i] = CStringGetTextDatum(change->detail.items[i]);
	return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* One row of a diff. */
static void
put_change(const NbmKind *kind, NbmBodies *bodies, const NbmChange *change,
		   ReturnSetInfo *result)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum(nbm_change_name(change->name));
	values[1] = Int32GetDatum(change->key);
	nulls[1] = change->key == 0;
	values[2] = Int32GetDatum(change->old_position);
	values[3] = Int32GetDatum(change->new_position);
	nulls[2] = nulls[4] = change->old_position < 0;
	nulls[3] = nulls[5] = change->new_position < 0;
	if (!nulls[4])
		values[4] = source_datum(kind, bodies, change->old_core);
	if (!nulls[5])
		values[5] = source_datum(kind, bodies, change->new_core);
	values[6] = detail_datum(change);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* notebook_diff(id, from_version, to_version) -> what changed, item by item */
static Datum
diff(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	NbmStore	store = nbm_arg_store(fcinfo, kind, 0, true);
	NbmBodies  *bodies;
	NbmVersion	from;
	NbmVersion	to;
	NbmChange  *changes;
	int			count;
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	level = nbm_store_begin();
	nbm_store_version(&store, nbm_store_resolve(&store, PG_ARGISNULL(1),
												PG_GETARG_INT32(1)), &from);
	nbm_store_version(&store, nbm_store_resolve(&store, PG_ARGISNULL(2),
												PG_GETARG_INT32(2)), &to);
	bodies = nbm_bodies_create();
	changes = nbm_compare(&store, &from.layout, &to.layout, 0, bodies, &count);
	nbm_lineage_tell(&store, from.version, to.version, &from.layout,
					 &to.layout, changes, count);
	for (int i = 0; i < count; i++)
	{
		if (changes[i].old_position >= 0)
			nbm_bodies_want(bodies, changes[i].old_core);
		if (changes[i].new_position >= 0)
			nbm_bodies_want(bodies, changes[i].new_core);
	}
	nbm_bodies_fetch(bodies, &store);
	for (int i = 0; i < count; i++)
		put_change(kind, bodies, &changes[i],
				   (ReturnSetInfo *) fcinfo->resultinfo);
	nbm_store_end(level);
	return (Datum) 0;
}

NBM_FOR_BOTH_KINDS(diff);

/* A row of an item's history. */
typedef struct HistoryRow
{
	int32		version;
	int			position;		/* -1: not there any more */
	NbmChangeName change;
	uint64		core;
} HistoryRow;

/* A history while it is collected. */
typedef struct History
{
	NbmStore	store;
	int32		key;
	NbmLayout	before;			/* the version before; empty at first */
	int32		before_version; /* 0 at first */
	MemoryContext scratch;		/* for one comparison */
	NbmBodies  *bodies;
	HistoryRow *rows;
	int			count;
	int			room;
} History;

/* The index of the item with a key, -1 for none. */
static int
find_key(const NbmLayout *layout, int32 key)
{
	for (int i = 0; i < layout->nitems; i++)
		if (layout->items[i].key == key)
			return i;
	return -1;
}

/* Adds a row to a history. */
static void
add_row(History *history, int32 version, const NbmChange *change)
{
	HistoryRow *row;

	if (history->count == history->room)
	{
		history->room *= 2;
		history->rows = repalloc_array(history->rows, HistoryRow,
									   history->room);
	}
	row = &history->rows[history->count++];
	row->version = version;
	row->position = change->new_position;
	row->change = change->name;
	row->core = change->new_position < 0 ? change->old_core : change->new_core;
	nbm_bodies_want(history->bodies, row->core);
}

/*
 * Can the version before and this one differ in the item at all?  A glance at
 * both layouts spares most comparisons.
 */
static bool
may_differ(const History *history, const NbmLayout *now)
{
	const NbmLayout *before = &history->before;
	int			a = find_key(before, history->key);
	int			b = find_key(now, history->key);

	if (a < 0 || b < 0)
		return a >= 0 || b >= 0;
	if (a != b || before->nitems != now->nitems ||
		!nbm_item_same(&before->items[a], &now->items[b]) ||
		(history->store.kind == &nbm_workflow &&
		 before->envelope != now->envelope))
		return true;
	for (int i = 0; i < now->nitems; i++)
		if (before->items[i].key != now->items[i].key ||
			(history->store.kind == &nbm_workflow &&
			 !nbm_text_eq(before->items[i].id[NBM_ID_STRONG],
						  now->items[i].id[NBM_ID_STRONG])))
			return true;
	return false;
}

/* Looks at one version for a history. */
static void
visit_version(const NbmStore *store, NbmVersion *version, bool is_sound,
			  void *arg)
{
	History    *history = arg;
	NbmChange  *changes;
	int			count;
	MemoryContext outer;

	if (!is_sound)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("version %d of %s " INT64_FORMAT " is damaged",
						version->version, store->kind->name, store->id),
				 errhint("store_verify() lists what is damaged.")));
	if (history->before.items == NULL)
		history->before.envelope = version->layout.envelope;
	if (may_differ(history, &version->layout))
	{
		outer = MemoryContextSwitchTo(history->scratch);
		changes = nbm_compare(store, &history->before,
							  &version->layout, history->key,
							  nbm_bodies_create(), &count);
		if (count > 0 && history->before_version > 0)
			nbm_lineage_tell(store, history->before_version, version->version,
							 &history->before, &version->layout, changes,
							 count);
		for (int i = 0; i < count; i++)
			add_row(history, version->version, &changes[i]);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(history->scratch);
	}
	history->before = version->layout;
	history->before_version = version->version;
}

/* cell_history(id, key) -> version, position, change, source */
static Datum
history(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	History		h = {nbm_arg_store(fcinfo, kind, 0, true)};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	NbmHead		head;
	int			level;

	nbm_require_arg(fcinfo, 1, psprintf("%s_key", kind->item));
	h.key = PG_GETARG_INT32(1);
	InitMaterializedSRF(fcinfo, 0);
	level = nbm_store_begin();
	nbm_store_head(&h.store, &head);
	if (h.key < 1 || h.key >= head.next_key)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("%s " INT64_FORMAT " has never had %s %d", kind->name,
						h.store.id, kind->item, h.key)));
	h.bodies = nbm_bodies_create();
	h.scratch = AllocSetContextCreate(CurrentMemoryContext,
									  "notebook_migrate comparison",
									  ALLOCSET_DEFAULT_SIZES);
	h.room = 16;
	h.rows = palloc_array(HistoryRow, h.room);
	nbm_store_each_version(&h.store, visit_version, &h);
	nbm_bodies_fetch(h.bodies, &h.store);
	for (int i = 0; i < h.count; i++)
	{
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = Int32GetDatum(h.rows[i].version);
		values[1] = Int32GetDatum(h.rows[i].position);
		nulls[1] = nulls[3] = h.rows[i].position < 0;
		values[2] = CStringGetTextDatum(nbm_change_name(h.rows[i].change));
		if (!nulls[3])
			values[3] = source_datum(kind, h.bodies, h.rows[i].core);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	nbm_store_end(level);
	return (Datum) 0;
}

NBM_FOR_BOTH_KINDS(history);
