/*
 * plan.c
 *		A conversion as a language model's replies state it, checked.
 *
 * Nothing in a reply is trusted.  What is sound goes into the plan; each
 * other thing is left out, and a sentence says where it stood and why.
 *
 * Strings and arrays point into the replies, which must outlive the plan.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "entries.h"
#include "paths.h"
#include "plan.h"

/* Names longer than this are no names. */
#define MAX_NAME 255
/* Links between UDFs and cells, at most: a range of lines is one in each cell. */
#define MAX_LINKS 1000000

/* A name of a node. */
typedef struct NbmKnown
{
	NbmText		name;
	int			node;
	bool		is_udf;
} NbmKnown;

/* A text and its place, to be sorted. */
typedef struct PlacedText
{
	NbmText		string;
	int			place;
} PlacedText;

/* qsort comparator: by text, then by place. */
static int
placed_cmp(const void *a, const void *b)
{
	const PlacedText *pa = a;
	const PlacedText *pb = b;
	int			order = nbm_key_cmp(pa->string, pb->string);

	return order != 0 ? order : pa->place - pb->place;
}

/* qsort comparator of known names: by name, UDFs first. */
static int
known_cmp(const void *a, const void *b)
{
	const NbmKnown *ka = a;
	const NbmKnown *kb = b;
	int			order = nbm_key_cmp(ka->name, kb->name);

	return order != 0 ? order : kb->is_udf - ka->is_udf;
}

/* The path of a member, its name clipped. */
static char *
path_of(const char *prefix, NbmText name)
{
	NbmText		clipped = name;

	if (name.len > MAX_NAME)
		clipped = nbm_text("...");
	return nbm_path_member(prefix, clipped);
}

/* Notes what the search for the object has found odd. */
static void
note_oddities(const NbmReply *reply, const char *what, NbmPlan *plan)
{
	if (reply->nothers > 0)
		nbm_problem(&plan->problems,
					"%s: has %d objects of this kind; the last one, at line %d, was taken",
					what, reply->nothers + 1, reply->line);
	for (int i = 0; i < reply->nrepeated; i++)
		nbm_problem(&plan->problems,
					"%s: a member stands twice, %s; the last one was taken",
					what, nbm_clipped(reply->repeated[i]));
}

/* Is there nothing but white space in it? */
static bool
is_blank(NbmText code)
{
	for (int i = 0; i < code.len; i++)
		if ((unsigned char) code.str[i] > ' ')
			return false;
	return true;
}

/* Takes a UDF with its code. */
static void
read_udf(NbmPlan *plan, NbmText name, const JsonbValue *code)
{
	const char *why = NULL;

	if (name.len == 0 || name.len > MAX_NAME)
		why = "a UDF must have a name of 1 to 255 bytes";
	else if (code->type != jbvString)
		why = "the code of a UDF must be a string";
	else if (is_blank(nbm_text_of(code)))
		why = "the UDF has no code";
	if (why != NULL)
	{
		nbm_problem(&plan->problems, "workflow reply at %s: %s",
					path_of("$.code", name), why);
		return;
	}
	memset(&plan->udfs[plan->nudfs], 0, sizeof(NbmUdf));
	plan->udfs[plan->nudfs].name = name;
	plan->udfs[plan->nudfs++].code = nbm_text_of(code);
}

/* Is a name among those of the reply? */
static bool
is_listed(const NbmReply *reply, NbmText name)
{
	for (int i = 0; i < reply->nnames; i++)
		if (nbm_text_eq(reply->names[i], name))
			return true;
	return false;
}

/* Takes the UDFs, in the order of the text. */
static void
read_udfs(const NbmReply *reply, NbmPlan *plan)
{
	JsonbContainer *code;
	JsonbValue	value;
	int			count;
	int			found = 0;

	if (!nbm_get_container(&reply->value->root, "code", false, &code))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"code\" of the workflow reply must be an object"),
				 errdetail("The reply's JSON begins at line %d, column %d.",
						   reply->line, reply->column)));
	count = plan->nstated = JsonContainerSize(code);
	plan->udfs = palloc_array(NbmUdf, Max(count, 1));
	for (int i = 0; i < reply->nnames; i++)
	{
		if (!nbm_get(code, reply->names[i].str, &value))
			continue;
		found++;
		read_udf(plan, reply->names[i], &value);
	}
	/* names that cJSON spells otherwise, where the server is not UTF-8 */
	for (int i = 0; found < count && i < count; i++)
	{
		NbmText		name;

		nbm_member(code, i, &name, &value);
		if (!is_listed(reply, name))
			read_udf(plan, name, &value);
	}
}

/* Makes the names of all nodes ready to be looked up. */
static void
open_names(NbmPlan *plan, const NbmCalled *others, int nothers)
{
	plan->known = palloc_array(NbmKnown, Max(plan->nudfs + 2 * nothers, 1));
	for (int i = 0; i < plan->nudfs; i++)
	{
		NbmKnown   *known = &plan->known[plan->nknown++];

		known->name = plan->udfs[i].name;
		known->node = i;
		known->is_udf = true;
	}
	for (int i = 0; i < 2 * nothers; i++)
	{
		NbmKnown   *known = &plan->known[plan->nknown];

		known->name = others[i / 2].names[i % 2];
		known->node = plan->nudfs + i / 2;
		known->is_udf = false;
		if (known->name.str != NULL)
			plan->nknown++;
	}
	qsort(plan->known, plan->nknown, sizeof(NbmKnown), known_cmp);
}

/* The first of the known names that is not before this one. */
static int
first_known(const NbmPlan *plan, NbmText name)
{
	int			low = 0;
	int			high = plan->nknown;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (nbm_key_cmp(plan->known[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The one operator, of those that are there already, that is called so; -1:
 * none, or several.
 */
int
nbm_plan_called(const NbmPlan *plan, NbmText name)
{
	int			found = -1;

	for (int i = first_known(plan, name); i < plan->nknown &&
		 nbm_text_eq(plan->known[i].name, name); i++)
	{
		int			op = plan->known[i].node - plan->nudfs;

		if (plan->known[i].is_udf || op == found)
			continue;
		if (found >= 0)
			return -1;
		found = op;
	}
	return found;
}

/* The node that a name means: a UDF of the reply before all others; -1: none. */
static int
find_node(const NbmPlan *plan, NbmText name)
{
	int			first = first_known(plan, name);
	int			op;

	if (first < plan->nknown && plan->known[first].is_udf &&
		nbm_text_eq(plan->known[first].name, name))
		return plan->known[first].node;
	op = nbm_plan_called(plan, name);
	return op < 0 ? -1 : plan->nudfs + op;
}

/* Reads one edge; false, and a problem noted, where it is not sound. */
static bool
read_edge(NbmPlan *plan, const JsonbValue *value, int index, NbmEdge *edge)
{
	JsonbValue	ends[2];
	int			nodes[2];

	if (!nbm_is_array(value) || JsonContainerSize(value->val.binary.data) != 2)
	{
		nbm_problem(&plan->problems, "workflow reply at $.edges[%d]: an edge must be an array of two UDFs",
					index);
		return false;
	}
	for (int i = 0; i < 2; i++)
	{
		nbm_element(value->val.binary.data, i, &ends[i]);
		nodes[i] = ends[i].type == jbvString ?
			find_node(plan, nbm_text_of(&ends[i])) : -1;
		if (ends[i].type != jbvString)
			nbm_problem(&plan->problems, "workflow reply at $.edges[%d][%d]: the name of a UDF must be a string",
						index, i);
		else if (nodes[i] < 0)
			nbm_problem(&plan->problems, "workflow reply at $.edges[%d]: there is no code for UDF %s",
						index, nbm_clipped(nbm_text_of(&ends[i])));
		if (nodes[i] < 0)
			return false;
	}
	if (nodes[0] == nodes[1])
	{
		nbm_problem(&plan->problems, "workflow reply at $.edges[%d]: %s cannot be joined to itself",
					index, nbm_clipped(nbm_text_of(&ends[0])));
		return false;
	}
	edge->from = nodes[0];
	edge->to = nodes[1];
	return true;
}

/* Which edges repeat one before them? */
static bool *
repeated_edges(const NbmEdge *edges, int count)
{
	bool	   *is_repeated = palloc0_array(bool, Max(count, 1));
	NbmEntry   *entries = palloc_array(NbmEntry, Max(count, 1));

	for (int i = 0; i < count; i++)
	{
		entries[i].key = nbm_pack(edges[i].from, edges[i].to);
		entries[i].value = i;
	}
	nbm_entries_sort(entries, count);
	for (int i = 1; i < count; i++)
		if (entries[i].key == entries[i - 1].key)
			is_repeated[entries[i].value] = true;
	return is_repeated;
}

/* Keeps the edges that neither repeat another one nor close a cycle. */
static void
drop_edges(NbmPlan *plan, int nnodes)
{
	bool	   *is_repeated = repeated_edges(plan->edges, plan->nedges);
	bool	   *is_closing = nbm_graph_closing(nnodes, plan->edges,
											   plan->nedges, 0);
	int			n = 0;

	for (int i = 0; i < plan->nedges; i++)
	{
		if (is_repeated[i])
			nbm_problem(&plan->problems, "workflow reply at $.edges[%d]: the edge is a duplicate",
						plan->places[i]);
		else if (is_closing[i])
			nbm_problem(&plan->problems, "workflow reply at $.edges[%d]: the edge closes a cycle",
						plan->places[i]);
		else
		{
			plan->places[n] = plan->places[i];
			plan->edges[n++] = plan->edges[i];
		}
	}
	plan->nedges = n;
}

/* Takes the edges. */
static void
read_edges(const NbmReply *reply, int nnodes, NbmPlan *plan)
{
	JsonbContainer *array;
	JsonbValue	value;
	int			count;

	if (!nbm_get(&reply->value->root, "edges", &value))
		return;
	if (!nbm_is_array(&value))
	{
		nbm_problem(&plan->problems, "workflow reply at $.edges: the edges must be an array");
		return;
	}
	array = value.val.binary.data;
	count = JsonContainerSize(array);
	plan->places = palloc_array(int, Max(count, 1));
	plan->edges = palloc_array(NbmEdge, Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		nbm_element(array, i, &value);
		plan->places[plan->nedges] = i;
		if (read_edge(plan, &value, i, &plan->edges[plan->nedges]))
			plan->nedges++;
	}
	drop_edges(plan, nnodes);
}

/* Takes the output columns of one node. */
static void
read_columns(NbmPlan *plan, NbmColumns *columns, NbmText name,
			 JsonbContainer *array)
{
	int			count = JsonContainerSize(array);
	PlacedText *sorted = palloc_array(PlacedText, Max(count, 1));
	bool	   *is_taken = palloc0_array(bool, Max(count, 1));
	int			n = 0;

	columns->is_stated = true;
	columns->count = 0;
	columns->names = palloc_array(NbmText, Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		JsonbValue	value;

		CHECK_FOR_INTERRUPTS();
		nbm_element(array, i, &value);
		is_taken[i] = value.type == jbvString && value.val.string.len > 0;
		if (is_taken[i])
		{
			sorted[n].string = nbm_text_of(&value);
			sorted[n++].place = i;
		}
		else
			nbm_problem(&plan->problems, "workflow reply at %s[%d]: a column must be a string that is not empty",
						path_of("$.outputs", name), i);
	}
	qsort(sorted, n, sizeof(PlacedText), placed_cmp);
	for (int i = 1; i < n; i++)
	{
		if (!nbm_text_eq(sorted[i].string, sorted[i - 1].string))
			continue;
		is_taken[sorted[i].place] = false;
		nbm_problem(&plan->problems, "workflow reply at %s[%d]: the column is a duplicate",
					path_of("$.outputs", name), sorted[i].place);
	}
	for (int i = 0; i < count; i++)
	{
		JsonbValue	value;

		nbm_element(array, i, &value);
		if (is_taken[i])
			columns->names[columns->count++] = nbm_text_of(&value);
	}
}

/* Takes the outputs. */
static void
read_outputs(const NbmReply *reply, int nnodes, NbmPlan *plan)
{
	JsonbContainer *object;
	JsonbValue	value;

	plan->columns = palloc0_array(NbmColumns, Max(nnodes, 1));
	if (!nbm_get(&reply->value->root, "outputs", &value))
		return;
	if (!nbm_is_object(&value))
	{
		nbm_problem(&plan->problems, "workflow reply at $.outputs: the outputs must be an object");
		return;
	}
	object = value.val.binary.data;
	for (int i = 0; i < JsonContainerSize(object); i++)
	{
		NbmText		name;
		int			node;

		CHECK_FOR_INTERRUPTS();
		nbm_member(object, i, &name, &value);
		node = find_node(plan, name);
		if (node < 0)
			nbm_problem(&plan->problems, "workflow reply at %s: there is no code for this UDF",
						path_of("$.outputs", name));
		else if (!nbm_is_array(&value))
			nbm_problem(&plan->problems, "workflow reply at %s: the outputs of a UDF must be an array",
						path_of("$.outputs", name));
		else if (plan->columns[node].is_stated)
			nbm_problem(&plan->problems, "workflow reply at %s: the outputs are a duplicate: the operator has its own by another name",
						path_of("$.outputs", name));
		else
			read_columns(plan, &plan->columns[node], name,
						 value.val.binary.data);
	}
}

/*
 * Reads a workflow reply.  others are the operators that are there already,
 * which edges and outputs may name too.  Raises 22023 where "code" is no object.
 */
void
nbm_plan_read(const NbmReply *reply, const NbmCalled *others, int nothers,
			  NbmPlan *plan)
{
	memset(plan, 0, sizeof(*plan));
	note_oddities(reply, "workflow reply", plan);
	read_udfs(reply, plan);
	open_names(plan, others, nothers);
	read_edges(reply, plan->nudfs + nothers, plan);
	read_outputs(reply, plan->nudfs + nothers, plan);
}

/* Adds a link of the mapping reply; raises 54000 where there are too many. */
static void
add_link(NbmPlan *plan, int node, int cell, int from, int to)
{
	NbmPlanLink *link;

	if (plan->nlinks == MAX_LINKS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the mapping reply joins UDFs with cells more than %d times",
						MAX_LINKS)));
	if (plan->nlinks == plan->links_room)
	{
		plan->links_room = Max(32, plan->links_room * 2);
		if (plan->links == NULL)
			plan->links = palloc_array(NbmPlanLink, plan->links_room);
		else
			plan->links = repalloc_array(plan->links, NbmPlanLink,
										 plan->links_room);
	}
	link = &plan->links[plan->nlinks++];
	link->node = node;
	link->cell = cell;
	link->from = from;
	link->to = to;
}

/* Is a value [first, last], two line numbers? */
static bool
read_range(const JsonbValue *value, int32 *range)
{
	JsonbValue	number;

	if (!nbm_is_array(value) || JsonContainerSize(value->val.binary.data) != 2)
		return false;
	for (int i = 0; i < 2; i++)
	{
		nbm_element(value->val.binary.data, i, &number);
		if (!nbm_get_int(&number, &range[i]))
			return false;
	}
	return true;
}

/* Links lines of the script: in each cell that has some of them. */
static void
map_lines(NbmPlan *plan, const NbmScript *script, int node,
		  const int32 *range, const char *path)
{
	int			cell;

	if (range[0] < 1 || range[0] > range[1] || range[1] > script->nlines)
	{
		nbm_problem(&plan->problems, "mapping reply at %s: there are no lines %d to %d in the notebook's code, which has %d",
					path, range[0], range[1], script->nlines);
		return;
	}
	cell = nbm_script_cell_at(script, range[0]);
	for (; cell < script->layout->nitems; cell++)
	{
		const NbmScriptCell *c = &script->cells[cell];
		int			before = c->first_line - 1;

		if (!c->is_code || c->nlines == 0)
			continue;
		if (before >= range[1])
			break;
		add_link(plan, node, cell, Max(range[0] - before, 1),
				 Min(range[1] - before, c->nlines));
	}
}

/* Finds a cell by what it is called; -1, and a problem noted, where none. */
static int
find_cell(NbmPlan *plan, const NbmScript *script, const JsonbValue *name,
		  const char *path)
{
	const char *why;
	int			cell = nbm_names_find(&script->names, name, &why);

	if (cell < 0)
		nbm_problem(&plan->problems, "mapping reply at %s: cell %s %s", path,
					nbm_clipped(nbm_text_of(name)), why);
	return cell;
}

/* Links lines of one cell: {"cell": ..., "lines": [[first, last], ...]}. */
static void
map_cell_lines(NbmPlan *plan, const NbmScript *script, int node,
			   JsonbContainer *object, const char *path)
{
	JsonbContainer *lines;
	JsonbValue	name;
	int			cell;

	if (!nbm_get(object, "cell", &name) || name.type != jbvString ||
		!nbm_get_container(object, "lines", true, &lines))
	{
		nbm_problem(&plan->problems, "mapping reply at %s: an object must have a \"cell\", a string, and \"lines\", an array",
					path);
		return;
	}
	if (script == NULL)
		return;
	cell = find_cell(plan, script, &name, path);
	for (int i = 0; cell >= 0 && i < JsonContainerSize(lines); i++)
	{
		JsonbValue	pair;
		int32		range[2];

		nbm_element(lines, i, &pair);
		if (!read_range(&pair, range))
			nbm_problem(&plan->problems, "mapping reply at %s.lines[%d]: lines must be an array of two numbers",
						path, i);
		else if (range[0] < 1 || range[0] > range[1] ||
				 range[1] > script->cells[cell].nlines)
			nbm_problem(&plan->problems, "mapping reply at %s.lines[%d]: there are no lines %d to %d in the cell, which has %d",
						path, i, range[0], range[1],
						script->cells[cell].nlines);
		else
			add_link(plan, node, cell, range[0], range[1]);
	}
}

/* Takes one element of a UDF's array. */
static void
map_element(NbmPlan *plan, const NbmScript *script, int node,
			const JsonbValue *value, const char *path)
{
	int32		range[2];
	int			cell;

	if (value->type == jbvString)
	{
		cell = script == NULL ? -1 : find_cell(plan, script, value, path);
		if (cell >= 0)
			add_link(plan, node, cell, 0, 0);
	}
	else if (read_range(value, range))
	{
		if (script != NULL)
			map_lines(plan, script, node, range, path);
	}
	else if (nbm_is_object(value))
		map_cell_lines(plan, script, node, value->val.binary.data, path);
	else
		nbm_problem(&plan->problems, "mapping reply at %s: must be the id of a cell or an array of two line numbers",
					path);
}

/* Drops the links of one UDF, from first on, that were stated before. */
static void
drop_repeated(NbmPlan *plan, int first, const char *path)
{
	int			count = plan->nlinks - first;
	NbmEntry   *entries = palloc_array(NbmEntry, Max(count, 1));
	bool	   *is_repeated = palloc0_array(bool, Max(count, 1));
	int			n = first;

	for (int i = 0; i < count; i++)
	{
		const NbmPlanLink *link = &plan->links[first + i];

		entries[i].key = nbm_pack(link->cell, link->from);
		entries[i].value = nbm_pack(link->to, i);
	}
	nbm_entries_sort(entries, count);
	for (int i = 1; i < count; i++)
		is_repeated[nbm_second(entries[i].value)] =
			entries[i].key == entries[i - 1].key &&
			nbm_first(entries[i].value) == nbm_first(entries[i - 1].value);
	for (int i = 0; i < count; i++)
	{
		if (is_repeated[i])
			nbm_problem(&plan->problems, "mapping reply at %s: a cell or lines are a duplicate",
						path);
		else
			plan->links[n++] = plan->links[first + i];
	}
	plan->nlinks = n;
	pfree(entries);
	pfree(is_repeated);
}

/* Takes what the mapping reply says of one UDF. */
static void
map_udf(NbmPlan *plan, const NbmScript *script, NbmText name,
		const JsonbValue *value)
{
	const char *path = path_of("$", name);
	int			node = find_node(plan, name);
	int			first = plan->nlinks;

	if (script != NULL && node < 0)
	{
		nbm_problem(&plan->problems, "mapping reply at %s: there is no code for this UDF",
					path);
		return;
	}
	if (!nbm_is_array(value))
	{
		nbm_problem(&plan->problems, "mapping reply at %s: the cells of a UDF must be an array",
					path);
		return;
	}
	for (int i = 0; i < JsonContainerSize(value->val.binary.data); i++)
	{
		JsonbValue	element;

		char	   *at;

		CHECK_FOR_INTERRUPTS();
		nbm_element(value->val.binary.data, i, &element);
		at = psprintf("%s[%d]", path, i);
		map_element(plan, script, node, &element, at);
		pfree(at);
	}
	drop_repeated(plan, first, path);
}

/*
 * Reads a mapping reply for the plan's nodes and a script's cells.  With no
 * script only its shape is looked at, and the plan may be empty.  Raises 54000
 * where it joins more than can be taken.
 */
void
nbm_plan_map(const NbmReply *reply, const NbmScript *script, NbmPlan *plan)
{
	JsonbContainer *root = &reply->value->root;
	JsonbValue	value;
	int			found = 0;

	note_oddities(reply, "mapping reply", plan);
	for (int i = 0; i < reply->nnames; i++)
	{
		if (!nbm_get(root, reply->names[i].str, &value))
			continue;
		found++;
		map_udf(plan, script, reply->names[i], &value);
	}
	for (int i = 0; found < JsonContainerSize(root) &&
		 i < JsonContainerSize(root); i++)
	{
		NbmText		name;

		nbm_member(root, i, &name, &value);
		if (!is_listed(reply, name))
			map_udf(plan, script, name, &value);
	}
}
