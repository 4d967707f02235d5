/*
 * flow.c
 *		The operators of a workflow's version and the links between them.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "flow.h"
#include "names.h"

/* What an operator could be called, and which one it is. */
typedef struct Called
{
	NbmText		name;
	int			index;
} Called;

/* qsort comparator by name. */
static int
called_cmp(const void *a, const void *b)
{
	return nbm_key_cmp(((const Called *) a)->name, ((const Called *) b)->name);
}

/*
 * Gives each operator a name that no other one has: what it displays, or
 * else its id.
 */
static void
name_operators(NbmFlow *flow)
{
	int			count = flow->layout->nitems;
	Called	   *called = palloc_array(Called, Max(2 * count, 1));
	int			n = 0;

	for (int i = 0; i < count; i++)
	{
		NbmFlowOperator *op = &flow->operators[i];

		op->name = op->display.len > 0 ? op->display : op->id;
		called[n].name = op->id;
		called[n++].index = i;
		if (op->display.len > 0)
		{
			called[n].name = op->display;
			called[n++].index = i;
		}
	}
	qsort(called, n, sizeof(Called), called_cmp);
	for (int i = 0, next; i < n; i = next)
	{
		bool		is_shared = false;

		for (next = i; next < n && called_cmp(&called[i], &called[next]) == 0; next++)
			is_shared |= called[next].index != called[i].index;
		for (int j = i; is_shared && j < next; j++)
			flow->operators[called[j].index].name =
				flow->operators[called[j].index].id;
	}
}

/* Reads what is to be known of one operator. */
static void
read_operator(NbmFlowOperator *op, Jsonb *body, NbmText id)
{
	JsonbContainer *core = &body->root;
	JsonbContainer *properties;
	NbmText		code;

	op->core = core;
	op->core_len = VARSIZE(body) - VARHDRSZ;
	op->id = id;
	op->code = nbm_item_source(&nbm_workflow, core);
	if (!nbm_get_string(core, "customDisplayName", &op->display))
		op->display.str = NULL;
	op->is_udf = nbm_key_is(nbm_item_type(&nbm_workflow, core), NBM_UDF_TYPE) &&
		nbm_get_container(core, "operatorProperties", false, &properties) &&
		nbm_get_string(properties, "code", &code);
}

/* The operator at one end of a link; -1: it names none. */
static int
end_of(const NbmNames *names, JsonbContainer *link, const char *side)
{
	JsonbContainer *end;
	NbmText		id;

	if (!nbm_get_container(link, side, false, &end) ||
		!nbm_get_string(end, "operatorID", &id))
		return -1;
	return nbm_names_find_id(names, id);
}

/* Reads the links. */
static void
read_links(NbmFlow *flow)
{
	NbmNames	names;

	if (!nbm_get_container(flow->envelope, "links", true, &flow->links))
		return;
	nbm_names_open(flow->layout, &names);
	flow->nlinks = JsonContainerSize(flow->links);
	flow->edges = palloc_array(NbmEdge, Max(flow->nlinks, 1));
	for (int i = 0; i < flow->nlinks; i++)
	{
		NbmEdge    *edge = &flow->edges[i];
		JsonbValue	link;

		CHECK_FOR_INTERRUPTS();
		nbm_element(flow->links, i, &link);
		edge->from = edge->to = -1;
		if (!nbm_is_object(&link))
			continue;
		edge->from = end_of(&names, link.val.binary.data, "source");
		edge->to = end_of(&names, link.val.binary.data, "target");
	}
}

/*
 * Reads the operators and links of a version.  Memory is of the current
 * context; texts point into bodies that belong to it, or into the layout,
 * which must stay.
 */
void
nbm_flow_open(const NbmStore *store, const NbmVersion *version, NbmFlow *flow)
{
	const NbmLayout *layout = &version->layout;
	NbmBodies  *bodies = nbm_bodies_create();
	NbmText    *ids = nbm_item_names(layout);

	memset(flow, 0, sizeof(*flow));
	flow->layout = layout;
	flow->operators = palloc0_array(NbmFlowOperator, Max(layout->nitems, 1));
	nbm_bodies_want(bodies, layout->envelope);
	for (int i = 0; i < layout->nitems; i++)
		nbm_bodies_want(bodies, layout->items[i].core);
	nbm_bodies_fetch(bodies, store);
	flow->envelope = &nbm_bodies_get(bodies, layout->envelope)->root;
	for (int i = 0; i < layout->nitems; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_operator(&flow->operators[i],
					  nbm_bodies_get(bodies, layout->items[i].core),
					  ids[i]);
	}
	name_operators(flow);
	read_links(flow);
}
