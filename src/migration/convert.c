/*
 * convert.c
 *		A checked plan as a workflow of Apache Texera.
 *
 * Each UDF becomes a PythonUDFV2 operator with one input and one output port,
 * each edge a link between those.  A new workflow is made as a document; for
 * one that is there an edit list is made, so that operators keep their keys
 * whatever becomes of their code, and what nothing is said of stays to the
 * letter.
 *
 * Links stay if both their ends do, but for those between two UDFs of a whole
 * conversion that has no such edge.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "build.h"
#include "compat.h"
#include "convert.h"
#include "entries.h"

/* How far apart new operators stand. */
#define STEP 140

/* An operator without what differs between two of them. */
static const char operator_template[] =
"{\"operatorType\": \"" NBM_UDF_TYPE "\","
" \"operatorVersion\": \"3d69fdcedbb409b47162c4b55406c77e54abe416\","
" \"inputPorts\": [{\"portID\": \"input-0\", \"displayName\": \"\","
" \"allowMultiInputs\": true, \"isDynamicPort\": false, \"dependencies\": []}],"
" \"outputPorts\": [{\"portID\": \"output-0\", \"displayName\": \"\","
" \"allowMultiInputs\": false, \"isDynamicPort\": false}],"
" \"showAdvanced\": false, \"isDisabled\": false,"
" \"dynamicInputPorts\": true, \"dynamicOutputPorts\": true}";

static const char properties_template[] =
"{\"workers\": 1, \"retainInputColumns\": false}";

static const char document_template[] =
"{\"commentBoxes\": [], \"settings\": {\"dataTransferBatchSize\": 400}}";

/* A constant as a value, newly allocated. */
static Jsonb *
from_template(const char *template)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(template)));
}

/* A new id: a prefix and a random UUID of version 4. */
static NbmText
new_id(const char *prefix)
{
	uint8		bytes[16];
	StringInfoData id;

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	initStringInfo(&id);
	appendStringInfoString(&id, prefix);
	for (int i = 0; i < lengthof(bytes); i++)
		appendStringInfo(&id, "%s%02x",
						 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
						 bytes[i]);
	return nbm_text(id.data);
}

/* The operator that a UDF is, -1 for a new one. */
static int
adopted(const NbmConversion *c, int udf)
{
	return c->flow == NULL ? -1 : c->adoption->operators[udf];
}

/*
 * The node that stands for a node of the plan: for a UDF that is an operator
 * already, that operator's.
 */
int
nbm_convert_node(const NbmConversion *c, int node)
{
	int			op = node < c->plan->nudfs ? adopted(c, node) : -1;

	return op < 0 ? node : c->plan->nudfs + op;
}

/* Is a node an operator that goes? */
static bool
is_removed(const NbmConversion *c, int node)
{
	return node >= c->plan->nudfs &&
		c->adoption->is_removed[node - c->plan->nudfs];
}

/* Does a sorted list have an edge? */
static bool
has_edge(const NbmEntry *sorted, int count, int from, int to)
{
	uint64		wanted = nbm_pack(from, to);
	int			low = 0;
	int			high = count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (sorted[middle].key < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && sorted[low].key == wanted;
}

/* Edges as a sorted list. */
static NbmEntry *
sorted_edges(const NbmEdge *edges, int count)
{
	NbmEntry   *sorted = palloc_array(NbmEntry, Max(count, 1));

	for (int i = 0; i < count; i++)
	{
		sorted[i].key = nbm_pack(edges[i].from, edges[i].to);
		sorted[i].value = i;
	}
	nbm_entries_sort(sorted, count);
	return sorted;
}

/* Chooses the links of the flow that stay; they are the first edges. */
static void
keep_links(NbmConversion *c, const NbmEdge *stated, int nstated)
{
	const NbmFlow *flow = c->flow;
	NbmEntry   *sorted = sorted_edges(stated, nstated);
	int			first = c->plan->nudfs;

	c->is_kept = palloc0_array(bool, Max(flow->nlinks, 1));
	c->had_out = palloc0_array(bool, Max(flow->layout->nitems, 1));
	for (int i = 0; i < flow->nlinks; i++)
	{
		NbmEdge		edge = {flow->edges[i].from, flow->edges[i].to};
		bool		is_joined = edge.from >= 0 && edge.to >= 0;

		CHECK_FOR_INTERRUPTS();
		if (edge.from >= 0)
			c->had_out[edge.from] = true;
		if ((edge.from >= 0 && c->adoption->is_removed[edge.from]) ||
			(edge.to >= 0 && c->adoption->is_removed[edge.to]))
			continue;
		if (is_joined && c->adoption->is_whole &&
			c->adoption->udfs[edge.from] >= 0 &&
			c->adoption->udfs[edge.to] >= 0 &&
			!has_edge(sorted, nstated, first + edge.from, first + edge.to))
			continue;
		c->is_kept[i] = true;
		if (edge.from >= 0)
			c->has_out[first + edge.from] = true;
		if (!is_joined)
			continue;
		c->edges[c->nkept].from = first + edge.from;
		c->edges[c->nkept++].to = first + edge.to;
	}
	c->nedges = c->nkept;
}

/* Adds the stated edges that are no kept links, if they are sound. */
static void
add_edges(NbmConversion *c, const NbmEdge *stated, int nstated)
{
	NbmEntry   *kept = sorted_edges(c->edges, c->nkept);
	int		   *places = palloc_array(int, c->nkept + nstated + 1);
	bool	   *is_closing;
	int			n = c->nkept;

	for (int i = 0; i < nstated; i++)
	{
		const NbmEdge *edge = &stated[i];

		if (is_removed(c, edge->from) || is_removed(c, edge->to))
			nbm_problem(&c->plan->problems, "workflow reply at $.edges[%d]: the edge is at an operator that the reply leaves out",
						c->plan->places[i]);
		else if (edge->from == edge->to)
			nbm_problem(&c->plan->problems, "workflow reply at $.edges[%d]: both its ends are one operator",
						c->plan->places[i]);
		else if (!has_edge(kept, c->nkept, edge->from, edge->to))
		{
			places[c->nedges] = c->plan->places[i];
			c->edges[c->nedges++] = *edge;
		}
	}
	is_closing = nbm_graph_closing(c->plan->nudfs + (c->flow == NULL ? 0 :
													 c->flow->layout->nitems),
								   c->edges, c->nedges, c->nkept);
	for (int i = c->nkept; i < c->nedges; i++)
	{
		if (is_closing[i])
			nbm_problem(&c->plan->problems, "workflow reply at $.edges[%d]: the edge closes a cycle with links that stay",
						places[i]);
		else
		{
			c->has_out[c->edges[i].from] = true;
			c->edges[n++] = c->edges[i];
		}
	}
	c->nedges = n;
}

/*
 * Notes the output columns that are stated of operators that have none, or
 * have those that are stated of their UDF.
 */
static void
check_columns(NbmConversion *c)
{
	for (int i = 0; i < c->flow->layout->nitems; i++)
	{
		int			udf = c->adoption->udfs[i];

		if (!c->plan->columns[c->plan->nudfs + i].is_stated)
			continue;
		if (c->adoption->is_removed[i] || !c->flow->operators[i].is_udf)
			nbm_problem(&c->plan->problems, "workflow reply at $.outputs: %s is no UDF that stays",
						nbm_clipped(c->flow->operators[i].name));
		else if (udf >= 0 && c->plan->columns[udf].is_stated)
			nbm_problem(&c->plan->problems, "workflow reply at $.outputs: the outputs of %s are a duplicate of those of UDF %s",
						nbm_clipped(c->flow->operators[i].name),
						nbm_clipped(c->plan->udfs[udf].name));
	}
}

/*
 * Begins a conversion: chooses ids and links.  What does not fit the flow is
 * noted among the plan's problems.  Memory is of the current context.
 */
void
nbm_convert_begin(NbmConversion *c, NbmPlan *plan, const NbmFlow *flow,
				  const NbmAdoption *adoption)
{
	int			nlinks = flow == NULL ? 0 : flow->nlinks;
	int			nnodes = plan->nudfs + (flow == NULL ? 0 : flow->layout->nitems);
	NbmEdge    *stated = palloc_array(NbmEdge, Max(plan->nedges, 1));

	memset(c, 0, sizeof(*c));
	c->plan = plan;
	c->flow = flow;
	c->adoption = adoption;
	c->ids = palloc0_array(NbmText, Max(plan->nudfs, 1));
	for (int i = 0; i < plan->nudfs; i++)
		if (adopted(c, i) < 0)
			c->ids[i] = new_id(NBM_UDF_TYPE "-operator-");
	for (int i = 0; i < plan->nedges; i++)
	{
		stated[i].from = nbm_convert_node(c, plan->edges[i].from);
		stated[i].to = nbm_convert_node(c, plan->edges[i].to);
	}
	c->has_out = palloc0_array(bool, Max(nnodes, 1));
	c->edges = palloc_array(NbmEdge, Max(nlinks + plan->nedges, 1));
	if (flow != NULL)
		keep_links(c, stated, plan->nedges);
	add_edges(c, stated, plan->nedges);
	if (flow != NULL)
		check_columns(c);
}

/* The type of a node's output columns: strings where no link leaves it. */
static NbmText
column_type(bool has_out)
{
	return nbm_text(has_out ? "binary" : "string");
}

/* The output columns that the reply states of a node, newly allocated. */
static Jsonb *
stated_columns(const NbmColumns *stated, bool has_out)
{
	NbmText		type = column_type(has_out);
	NbmValues	columns = {NULL, 0, 0};

	for (int i = 0; i < stated->count; i++)
	{
		NbmMembers	column = {.count = 0};

		nbm_member_text(&column, "attributeName", stated->names[i]);
		nbm_member_text(&column, "attributeType", type);
		nbm_add_jsonb(&columns, nbm_object_of(&column));
	}
	return nbm_array_of(&columns);
}

/*
 * The output columns that an operator has, where it was given its first
 * outgoing link, or lost its last one: those of the type that this calls for
 * change it.  NULL where there are none.
 */
static Jsonb *
retyped_columns(JsonbContainer *properties, bool has_out)
{
	NbmText		from = column_type(!has_out);
	NbmText		to = column_type(has_out);
	NbmValues	columns = {NULL, 0, 0};
	JsonbContainer *array;

	if (!nbm_get_container(properties, "outputColumns", true, &array))
		return NULL;
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue	column;
		NbmText		type;
		NbmMembers	members = {.count = 0};

		nbm_element(array, i, &column);
		if (nbm_is_object(&column) &&
			nbm_get_string(column.val.binary.data, "attributeType", &type) &&
			nbm_text_eq(type, from))
		{
			nbm_member_text(&members, "attributeType", to);
			nbm_add_jsonb(&columns,
						  nbm_object_with(column.val.binary.data, &members));
		}
		else
			nbm_add_value(&columns, &column);
	}
	return nbm_array_of(&columns);
}

/* What the reply states of the columns of an operator, or of its UDF. */
static const NbmColumns *
columns_for(const NbmConversion *c, int op)
{
	int			udf = c->adoption->udfs[op];

	return udf >= 0 && c->plan->columns[udf].is_stated ?
		&c->plan->columns[udf] : &c->plan->columns[c->plan->nudfs + op];
}

/* An operator's properties with what the reply says of them. */
static Jsonb *
changed_properties(const NbmConversion *c, JsonbContainer *properties, int op)
{
	int			udf = c->adoption->udfs[op];
	bool		has_out = c->has_out[c->plan->nudfs + op];
	const NbmColumns *stated = columns_for(c, op);
	NbmMembers	members = {.count = 0};
	Jsonb	   *columns = NULL;

	if (udf >= 0)
		nbm_member_text(&members, "code", c->plan->udfs[udf].code);
	if (stated->is_stated)
		columns = stated_columns(stated, has_out);
	else if (has_out != c->had_out[op])
		columns = retyped_columns(properties, has_out);
	if (columns != NULL)
		nbm_member_jsonb(&members, "outputColumns", columns);
	return nbm_object_with(properties, &members);
}

/* A new operator. */
static Jsonb *
new_operator(const NbmConversion *c, int udf)
{
	NbmMembers	members = {.count = 0};
	NbmMembers	properties = {.count = 0};

	nbm_member_text(&properties, "code", c->plan->udfs[udf].code);
	nbm_member_jsonb(&properties, "outputColumns",
					 stated_columns(&c->plan->columns[udf], c->has_out[udf]));
	nbm_member_text(&members, "operatorID", c->ids[udf]);
	nbm_member_text(&members, "customDisplayName", c->plan->udfs[udf].name);
	nbm_member_jsonb(&members, "operatorProperties",
					 nbm_object_with(&from_template(properties_template)->root,
									 &properties));
	return nbm_object_with(&from_template(operator_template)->root, &members);
}

/* Is a name one that a model numbers its UDFs with, and nobody gave? */
static bool
is_numbered(NbmText name)
{
	if (name.len < 4 || memcmp(name.str, "UDF", 3) != 0)
		return name.len <= 0;
	for (int i = 3; i < name.len; i++)
		if (name.str[i] < '0' || name.str[i] > '9')
			return false;
	return true;
}

/*
 * An operator that is there with a UDF's code and columns, without its id; NULL
 * where it is as it was.
 */
static Jsonb *
changed_core(const NbmConversion *c, int op)
{
	const NbmFlowOperator *o = &c->flow->operators[op];
	int			udf = c->adoption->udfs[op];
	NbmMembers	members = {.count = 0};
	JsonbContainer *properties;
	JsonbValue	display;
	Jsonb	   *core;

	if ((udf < 0 && !o->is_udf) ||
		!nbm_get_container(o->core, "operatorProperties", false, &properties))
		return NULL;
	nbm_member_jsonb(&members, "operatorProperties",
					 changed_properties(c, properties, op));
	if (udf >= 0 && c->adoption->is_whole && is_numbered(o->display) &&
		(!nbm_get(o->core, "customDisplayName", &display) ||
		 display.type == jbvString))
		nbm_member_text(&members, "customDisplayName",
						c->plan->udfs[udf].name);
	core = nbm_object_with(o->core, &members);
	return VARSIZE(core) - VARHDRSZ == o->core_len &&
		memcmp(&core->root, o->core, o->core_len) == 0 ? NULL : core;
}

/* The first port that an operator has on a side, or else the one given. */
static NbmText
first_port(JsonbContainer *core, const char *side, const char *otherwise)
{
	NbmText		port = nbm_text(otherwise);
	JsonbContainer *ports;
	JsonbValue	first;

	if (nbm_get_container(core, side, true, &ports) &&
		JsonContainerSize(ports) > 0)
	{
		nbm_element(ports, 0, &first);
		if (nbm_is_object(&first))
			nbm_get_string(first.val.binary.data, "portID", &port);
	}
	return port;
}

/* A link's end, on the side of the node's output or input ports. */
static Jsonb *
link_end(const NbmConversion *c, int node, const char *side, const char *port)
{
	NbmMembers	members = {.count = 0};
	int			op = node - c->plan->nudfs;

	if (op < 0)
	{
		nbm_member_text(&members, "operatorID", c->ids[node]);
		nbm_member_text(&members, "portID", nbm_text(port));
	}
	else
	{
		NbmText		id = c->flow->layout->items[op].id[NBM_ID_STRONG];

		nbm_member_text(&members, "operatorID",
						id.str != NULL ? id : c->flow->operators[op].id);
		nbm_member_text(&members, "portID",
						first_port(c->flow->operators[op].core, side, port));
	}
	return nbm_object_of(&members);
}

/* Adds the links that are new. */
static void
add_new_links(const NbmConversion *c, NbmValues *links)
{
	for (int i = c->nkept; i < c->nedges; i++)
	{
		NbmMembers	link = {.count = 0};

		CHECK_FOR_INTERRUPTS();
		nbm_member_text(&link, "linkID", new_id("link-"));
		nbm_member_jsonb(&link, "source",
						 link_end(c, c->edges[i].from, "outputPorts",
								  "output-0"));
		nbm_member_jsonb(&link, "target",
						 link_end(c, c->edges[i].to, "inputPorts",
								  "input-0"));
		nbm_add_jsonb(links, nbm_object_of(&link));
	}
}

/* The greatest x of the flow's positions, 0 where there is none. */
static int32
rightmost(const NbmFlow *flow)
{
	JsonbContainer *positions;
	int32		right = 0;

	if (!nbm_get_container(flow->envelope, "operatorPositions", false,
						   &positions))
		return 0;
	for (int i = 0; i < JsonContainerSize(positions); i++)
	{
		NbmText		key;
		JsonbValue	position;
		JsonbValue	x;
		bool		failed = false;
		int32		number;

		nbm_member(positions, i, &key, &position);
		if (!nbm_is_object(&position) ||
			!nbm_get(position.val.binary.data, "x", &x) ||
			x.type != jbvNumeric)
			continue;
		number = numeric_int4_opt_error(x.val.numeric, &failed);
		if (!failed)
			right = Max(right, number);
	}
	return right;
}

/* The positions of the new operators, from left to right. */
static Jsonb *
new_positions(const NbmConversion *c, int *count)
{
	int64		x = c->flow == NULL ? 0 : rightmost(c->flow);
	NbmPair    *pairs = palloc_array(NbmPair, Max(c->plan->nudfs, 1));
	NbmWriter	w;

	*count = 0;
	for (int i = 0; i < c->plan->nudfs; i++)
	{
		NbmMembers	position = {.count = 0};

		if (adopted(c, i) >= 0)
			continue;
		x += STEP;
		nbm_member_integer(&position, "x", x);
		nbm_member_integer(&position, "y", 0);
		pairs[*count].key = c->ids[i];
		nbm_set_jsonb(&pairs[(*count)++].value, nbm_object_of(&position));
	}
	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, pairs, *count);
	return nbm_writer_finish(&w);
}

/* A new workflow, as a new value of the current context. */
Jsonb *
nbm_convert_document(const NbmConversion *c)
{
	NbmValues	operators = {NULL, 0, 0};
	NbmValues	links = {NULL, 0, 0};
	NbmMembers	members = {.count = 0};
	int			count;

	for (int i = 0; i < c->plan->nudfs; i++)
	{
		CHECK_FOR_INTERRUPTS();
		nbm_add_jsonb(&operators, new_operator(c, i));
	}
	add_new_links(c, &links);
	nbm_member_jsonb(&members, "operators", nbm_array_of(&operators));
	nbm_member_jsonb(&members, "operatorPositions", new_positions(c, &count));
	nbm_member_jsonb(&members, "links", nbm_array_of(&links));
	return nbm_object_with(&from_template(document_template)->root, &members);
}

/* Adds the edits that change and delete operators. */
static void
edit_operators(const NbmConversion *c, NbmValues *edits)
{
	for (int i = 0; i < c->flow->layout->nitems; i++)
	{
		const NbmItem *item = &c->flow->layout->items[i];
		NbmMembers	edit = {.count = 0};
		bool		is_removed = c->adoption->is_removed[i];
		Jsonb	   *core = is_removed ? NULL : changed_core(c, i);

		CHECK_FOR_INTERRUPTS();
		if (core == NULL && !is_removed)
			continue;
		nbm_member_text(&edit, "op", nbm_text(core ? "replace" : "delete"));
		nbm_member_integer(&edit, "operator", item->key);
		if (core != NULL)
		{
			NbmMembers	id = {.count = 0};

			if (item->id[NBM_ID_STRONG].str != NULL)
				nbm_member_text(&id, "operatorID", item->id[NBM_ID_STRONG]);
			nbm_member_jsonb(&edit, "value", nbm_object_with(&core->root, &id));
		}
		nbm_add_jsonb(edits, nbm_object_of(&edit));
	}
}

/* Adds the edit that sets links and positions, if any are other than before. */
static void
edit_envelope(const NbmConversion *c, NbmValues *edits)
{
	NbmValues	links = {NULL, 0, 0};
	NbmMembers	edit = {.count = 0};
	NbmMembers	layout = {.count = 0};
	Jsonb	   *positions;
	bool		is_changed = false;
	int			count;

	for (int i = 0; i < c->flow->nlinks; i++)
	{
		JsonbValue	link;

		nbm_element(c->flow->links, i, &link);
		is_changed |= !c->is_kept[i];
		if (c->is_kept[i] && nbm_is_object(&link))
			nbm_add_value(&links, &link);
	}
	add_new_links(c, &links);
	if (is_changed || c->nedges > c->nkept)
		nbm_member_jsonb(&edit, "links", nbm_array_of(&links));
	positions = new_positions(c, &count);
	nbm_member_jsonb(&layout, "operatorPositions", positions);
	if (count > 0)
		nbm_member_jsonb(&edit, "layout", nbm_object_of(&layout));
	if (edit.count > 0)
		nbm_add_jsonb(edits, nbm_object_of(&edit));
}

/* An edit list for the workflow that is there, a new value. */
Jsonb *
nbm_convert_edits(const NbmConversion *c)
{
	NbmValues	edits = {NULL, 0, 0};

	edit_operators(c, &edits);
	for (int i = 0; i < c->plan->nudfs; i++)
	{
		NbmMembers	edit = {.count = 0};

		if (adopted(c, i) >= 0)
			continue;
		nbm_member_text(&edit, "op", nbm_text("insert"));
		nbm_member_jsonb(&edit, "value", new_operator(c, i));
		nbm_add_jsonb(&edits, nbm_object_of(&edit));
	}
	edit_envelope(c, &edits);
	return nbm_array_of(&edits);
}
