/*
 * sql_mapping.c
 *		SQL entry points on mappings.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "args.h"
#include "compat.h"
#include "mapping_shape.h"
#include "names.h"

PG_FUNCTION_INFO_V1(nbm_mapping_put);

/* mapping_put(nb, nb version, wf, wf version, mapping, origin) -> id */
Datum
nbm_mapping_put(PG_FUNCTION_ARGS)
{
	NbmStore	notebook = nbm_arg_store(fcinfo, &nbm_notebook, 0, false);
	NbmStore	workflow = nbm_arg_store(fcinfo, &nbm_workflow, 2, false);
	const char *origin = PG_ARGISNULL(5) ? "manual" : nbm_arg_text(fcinfo, 5);
	NbmVersion	notebook_version;
	NbmVersion	workflow_version;
	NbmMappingRow row;
	NbmLinks	links;
	Jsonb	   *mapping;
	int			level;

	nbm_require_arg(fcinfo, 4, "mapping");
	mapping = PG_GETARG_JSONB_P(4);
	level = nbm_store_begin();
	nbm_store_keep(&workflow);
	row.notebook_version = nbm_store_resolve(&notebook, PG_ARGISNULL(1),
											 PG_GETARG_INT32(1));
	row.workflow_version = nbm_store_resolve(&workflow, PG_ARGISNULL(3),
											 PG_GETARG_INT32(3));
	nbm_store_version(&notebook, row.notebook_version, &notebook_version);
	nbm_store_version(&workflow, row.workflow_version, &workflow_version);
	nbm_mapping_parse(&notebook_version.layout, &workflow_version.layout,
					  mapping, &links);
	row.content = nbm_mapping_content(&links);
	nbm_store_add_mapping(notebook.id, workflow.id, &row, origin);
	nbm_store_end(level);
	PG_RETURN_INT64(row.mapping_id);
}

/* Answers for the pair that arguments 0 to 3 name; opens the store. */
static int
open_answer(FunctionCallInfo fcinfo, NbmAnswer *answer)
{
	NbmStore	notebook = nbm_arg_store(fcinfo, &nbm_notebook, 0, true);
	NbmStore	workflow = nbm_arg_store(fcinfo, &nbm_workflow, 2, true);
	int32		notebook_version = PG_GETARG_INT32(1);
	int32		workflow_version = PG_GETARG_INT32(3);
	int			level = nbm_store_begin();

	nbm_mapping_answer(answer, notebook.id,
					   PG_ARGISNULL(1) ? NULL : &notebook_version,
					   workflow.id,
					   PG_ARGISNULL(3) ? NULL : &workflow_version);
	return level;
}

PG_FUNCTION_INFO_V1(nbm_mapping_at);

/* mapping_at(nb, nb version, wf, wf version) -> both halves, live links only */
Datum
nbm_mapping_at(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	NbmAnswer	answer;
	int			level = open_answer(fcinfo, &answer);
	Jsonb	   *result = nbm_mapping_shape(&answer, caller);

	nbm_store_end(level);
	PG_RETURN_JSONB_P(result);
}

/* The lines of a link as int4range[]. */
static Datum
lines_datum(const NbmLink *link)
{
	TypeCacheEntry *type = lookup_type_cache(INT4RANGEOID, TYPECACHE_RANGE_INFO);
	Datum	   *ranges = palloc_array(Datum, Max(link->nlines, 1));

	for (int i = 0; i < link->nlines; i++)
	{
		RangeBound	lower = {Int32GetDatum(link->lines[2 * i]), false, true, true};
		RangeBound	upper = {Int32GetDatum(link->lines[2 * i + 1]), false, true, false};

		ranges[i] = RangeTypePGetDatum(nbm_make_range(type, &lower, &upper));
	}
	return PointerGetDatum(construct_array(ranges, link->nlines, INT4RANGEOID,
										   type->typlen, type->typbyval,
										   type->typalign));
}

/*
 * The key, id and position columns of one end of a link.  An item that is not
 * there has the id of the version that the mapping was stated for.
 */
static void
put_item(const NbmSide *side, int32 key, const NbmText *names,
		 const NbmText *authored_names, Datum *values, bool *nulls,
		 int key_column, int position_column)
{
	int			now = nbm_side_find(side, key);
	int			then = nbm_authored_find(side, key);
	NbmText		name = {NULL, 0};

	if (now >= 0)
		name = names[now];
	else if (then >= 0)
		name = authored_names[then];
	values[key_column] = Int32GetDatum(key);
	nulls[key_column + 1] = name.str == NULL;
	if (name.str != NULL)
		values[key_column + 1] = nbm_text_datum(name);
	if (position_column >= 0)
	{
		nulls[position_column] = now < 0;
		values[position_column] = Int32GetDatum(now);
	}
}

/* A link with the place of its cell, to be sorted. */
typedef struct OrderedLink
{
	int			link;
	int			cell;			/* PG_INT32_MAX where it is not there */
	int			op;
} OrderedLink;

/* qsort comparator: by the cell's place, the operator's, the link's. */
static int
ordered_cmp(const void *a, const void *b)
{
	const OrderedLink *la = a;
	const OrderedLink *lb = b;

	if (la->cell != lb->cell)
		return la->cell < lb->cell ? -1 : 1;
	if (la->op != lb->op)
		return la->op < lb->op ? -1 : 1;
	return la->link < lb->link ? -1 : la->link > lb->link;
}

/* The order in which links are shown: removed ends last. */
static OrderedLink *
ordered_links(const NbmAnswer *answer)
{
	OrderedLink *ordered = palloc_array(OrderedLink,
										Max(answer->links.count, 1));

	for (int i = 0; i < answer->links.count; i++)
	{
		int			cell = nbm_side_find(&answer->cells,
										 answer->links.items[i].cell);
		int			op = nbm_side_find(&answer->operators,
									   answer->links.items[i].op);

		ordered[i].link = i;
		ordered[i].cell = cell < 0 ? PG_INT32_MAX : cell;
		ordered[i].op = op < 0 ? PG_INT32_MAX : op;
	}
	qsort(ordered, answer->links.count, sizeof(OrderedLink), ordered_cmp);
	return ordered;
}

PG_FUNCTION_INFO_V1(nbm_mapping_links);

/* mapping_links(nb, nb version, wf, wf version) -> every link and its state */
Datum
nbm_mapping_links(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	NbmAnswer	answer;
	NbmText    *names[4];
	OrderedLink *ordered;
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	level = open_answer(fcinfo, &answer);
	names[0] = nbm_item_names(&answer.cells.version.layout);
	names[1] = nbm_item_names(&answer.operators.version.layout);
	names[2] = nbm_item_names(&answer.cells.authored.layout);
	names[3] = nbm_item_names(&answer.operators.authored.layout);
	ordered = ordered_links(&answer);
	for (int i = 0; i < answer.links.count; i++)
	{
		const NbmLink *link = &answer.links.items[ordered[i].link];
		Datum		values[8];
		bool		nulls[8] = {false};

		CHECK_FOR_INTERRUPTS();
		put_item(&answer.cells, link->cell, names[0], names[2], values, nulls,
				 0, 2);
		put_item(&answer.operators, link->op, names[1], names[3], values,
				 nulls, 3, -1);
		nulls[5] = link->nlines == 0;
		if (!nulls[5])
			values[5] = lines_datum(link);
		values[6] = CStringGetTextDatum(nbm_state_name(answer.states[ordered[i].link]));
		values[7] = Int64GetDatum(answer.mapping_id);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	nbm_store_end(level);
	return (Datum) 0;
}

/* Marks the items of one side that have a live link. */
static bool *
mapped_items(const NbmAnswer *answer, const NbmSide *side)
{
	bool	   *is_mapped = palloc0_array(bool, Max(side->version.layout.nitems, 1));

	for (int i = 0; i < answer->links.count; i++)
	{
		const NbmLink *link = &answer->links.items[i];

		if (nbm_state_is_live(answer->states[i]))
			is_mapped[nbm_side_find(side, side == &answer->cells ?
									link->cell : link->op)] = true;
	}
	return is_mapped;
}

/*
 * Finds the code cells, or operators, without a live link: their indexes, in
 * order, in the current context.
 */
static int *
unmapped_items(NbmAnswer *answer, NbmSide *side, int *count)
{
	const NbmLayout *layout = &side->version.layout;
	bool	   *is_mapped = mapped_items(answer, side);
	int		   *indexes = palloc_array(int, Max(layout->nitems, 1));

	*count = 0;
	for (int i = 0; i < layout->nitems; i++)
		if (!is_mapped[i])
			nbm_bodies_want(side->bodies, layout->items[i].core);
	nbm_bodies_fetch(side->bodies, &side->store);
	for (int i = 0; i < layout->nitems; i++)
		if (!is_mapped[i] &&
			nbm_is_code(side->store.kind,
						&nbm_bodies_get(side->bodies,
										layout->items[i].core)->root))
			indexes[(*count)++] = i;
	return indexes;
}

PG_FUNCTION_INFO_V1(nbm_mapping_unmapped);

/* mapping_unmapped(nb, nb version, wf, wf version) -> items without a link */
Datum
nbm_mapping_unmapped(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	NbmAnswer	answer;
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	level = open_answer(fcinfo, &answer);
	for (int s = 0; s < 2; s++)
	{
		NbmSide    *side = s == 0 ? &answer.cells : &answer.operators;
		const NbmLayout *layout = &side->version.layout;
		NbmText    *names = nbm_item_names(layout);
		int			count;
		int		   *indexes = unmapped_items(&answer, side, &count);

		for (int i = 0; i < count; i++)
		{
			Datum		values[4];
			bool		nulls[4] = {false};

			values[0] = CStringGetTextDatum(side->store.kind->item);
			values[1] = Int32GetDatum(layout->items[indexes[i]].key);
			values[2] = nbm_text_datum(names[indexes[i]]);
			values[3] = Int32GetDatum(layout->items[indexes[i]].since);
			tuplestore_putvalues(result->setResult, result->setDesc, values,
								 nulls);
		}
	}
	nbm_store_end(level);
	return (Datum) 0;
}

/* One row of mapping_health: how a pair of documents stands at the heads. */
static void
put_health(ReturnSetInfo *result, const NbmMappedPair *pair)
{
	NbmAnswer	answer;
	int			counts[4] = {0};	/* exact, carried, changed, removed */
	int			unmapped[2];
	Datum		values[11];
	bool		nulls[11] = {false};

	nbm_mapping_answer(&answer, pair->notebook_id, NULL, pair->workflow_id,
					   NULL);
	for (int i = 0; i < answer.links.count; i++)
	{
		NbmState	state = answer.states[i];

		counts[state == NBM_EXACT ? 0 : state == NBM_CARRIED ? 1 :
			   nbm_state_is_live(state) ? 2 : 3]++;
	}
	unmapped_items(&answer, &answer.cells, &unmapped[0]);
	unmapped_items(&answer, &answer.operators, &unmapped[1]);
	values[0] = Int64GetDatum(pair->notebook_id);
	values[1] = Int64GetDatum(pair->workflow_id);
	values[2] = Int32GetDatum(answer.cells.version.version);
	values[3] = Int32GetDatum(answer.operators.version.version);
	values[4] = Int32GetDatum(answer.links.count);
	for (int i = 0; i < 4; i++)
		values[5 + i] = Int32GetDatum(counts[i]);
	values[9] = Int32GetDatum(unmapped[0]);
	values[10] = Int32GetDatum(unmapped[1]);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(nbm_mapping_health);

/* mapping_health(notebook_id, workflow_id) -> a row for each mapped pair */
Datum
nbm_mapping_health(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		notebook_id = PG_GETARG_INT64(0);
	int64		workflow_id = PG_GETARG_INT64(1);
	NbmStore	notebook = {&nbm_notebook, notebook_id, true};
	NbmStore	workflow = {&nbm_workflow, workflow_id, true};
	NbmHead		head;
	NbmMappedPair *pairs;
	MemoryContext scratch;
	MemoryContext outer;
	int			count;
	int			level;

	InitMaterializedSRF(fcinfo, 0);
	level = nbm_store_begin();
	if (!PG_ARGISNULL(0))
		nbm_store_head(&notebook, &head);
	if (!PG_ARGISNULL(1))
		nbm_store_head(&workflow, &head);
	pairs = nbm_store_mapped_pairs(PG_ARGISNULL(0) ? NULL : &notebook_id,
								   PG_ARGISNULL(1) ? NULL : &workflow_id,
								   &count);
	scratch = AllocSetContextCreate(CurrentMemoryContext,
									"notebook_migrate pair",
									ALLOCSET_DEFAULT_SIZES);
	outer = MemoryContextSwitchTo(scratch);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_health(result, &pairs[i]);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(outer);
	nbm_store_end(level);
	return (Datum) 0;
}
