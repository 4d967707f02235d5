/*
 * prompt.c
 *		What a language model is shown of a notebook.
 *
 * A prompt has the cells in order, and the text of the code cells with a mark
 * before and after each, as Apache Texera's own conversion sends it.  With
 * the scope 'changed' it has only the cells that are new or changed since the
 * mapping that applies, and beside them the operators that they map to, with
 * their code, and the edges at those.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "build.h"
#include "compat.h"
#include "flow.h"
#include "prompt.h"
#include "scope.h"
#include "script.h"

/* Live links in lists, by one of their ends; each list in the mapping's order. */
typedef struct LinkLists
{
	int		   *first;			/* by cell or operator; -1: none */
	int		   *next;			/* by link */
} LinkLists;

/* A prompt that is being put together. */
typedef struct Prompt
{
	const NbmStore *notebook;
	int32		version;
	bool		only_changed;
	NbmScript	script;
	bool		has_workflow;
	NbmScope	scope;			/* where has_workflow */
	NbmFlow		flow;
	LinkLists	of_cells;		/* likewise */
	LinkLists	of_operators;
	bool	   *is_shown;		/* operators; NULL: none is */
} Prompt;

/* Is a cell part of the prompt? */
static bool
is_asked(const Prompt *p, int cell)
{
	return !p->only_changed || !p->has_workflow ||
		p->scope.changes[cell] != NULL;
}

/* The operator of a live link, -1 where the link is not live. */
static int
live_operator(const Prompt *p, int link)
{
	if (!nbm_state_is_live(p->scope.answer.states[link]))
		return -1;
	return nbm_side_find(&p->scope.answer.operators,
						 p->scope.answer.links.items[link].op);
}

/* The cell of a link. */
static int
link_cell(const Prompt *p, int link)
{
	return nbm_side_find(&p->scope.answer.cells,
						 p->scope.answer.links.items[link].cell);
}

/* Empty lists for a number of ends, in the current context. */
static void
init_lists(LinkLists *lists, int nends, int nlinks)
{
	lists->first = palloc_array(int, Max(nends, 1));
	lists->next = palloc_array(int, Max(nlinks, 1));
	for (int i = 0; i < nends; i++)
		lists->first[i] = -1;
}

/* Puts a link before the others of an end. */
static void
push_link(LinkLists *lists, int end, int link)
{
	lists->next[link] = lists->first[end];
	lists->first[end] = link;
}

/* Reads the workflow that the notebook is mapped to, if there is one. */
static void
open_workflow(Prompt *p)
{
	int64		workflow_id;
	int			nlinks;

	if (!nbm_store_nearest_workflow(p->notebook->id, p->version, &workflow_id))
		return;
	p->has_workflow = true;
	nbm_scope_open(&p->scope, p->notebook->id, p->version, workflow_id);
	nbm_flow_open(&p->scope.answer.operators.store,
				  &p->scope.answer.operators.version, &p->flow);
	nlinks = p->scope.answer.links.count;
	p->is_shown = palloc0_array(bool, Max(p->flow.layout->nitems, 1));
	init_lists(&p->of_cells, p->script.layout->nitems, nlinks);
	init_lists(&p->of_operators, p->flow.layout->nitems, nlinks);
	for (int i = nlinks - 1; i >= 0; i--)
	{
		int			op = live_operator(p, i);

		if (op < 0)
			continue;
		push_link(&p->of_cells, link_cell(p, i), i);
		push_link(&p->of_operators, op, i);
		if (is_asked(p, link_cell(p, i)))
			p->is_shown[op] = true;
	}
}

/* The names of the operators that a cell maps to. */
static Jsonb *
operators_of(const Prompt *p, int cell)
{
	NbmValues	names = {NULL, 0, 0};

	for (int i = p->of_cells.first[cell]; i >= 0; i = p->of_cells.next[i])
		nbm_add_text(&names, p->flow.operators[live_operator(p, i)].name);
	return nbm_array_of(&names);
}

/* The ids of the cells that map to an operator. */
static Jsonb *
cells_of(const Prompt *p, int op)
{
	NbmValues	ids = {NULL, 0, 0};

	for (int i = p->of_operators.first[op]; i >= 0; i = p->of_operators.next[i])
		nbm_add_text(&ids, p->script.cells[link_cell(p, i)].id);
	return nbm_array_of(&ids);
}

/* One cell. */
static Jsonb *
cell_object(const Prompt *p, int index)
{
	const NbmScriptCell *cell = &p->script.cells[index];
	NbmMembers	members = {.count = 0};
	NbmValues	lines = {NULL, 0, 0};

	nbm_member_integer(&members, "key",
					   p->script.layout->items[index].key);
	nbm_member_text(&members, "id", cell->id);
	nbm_member_text(&members, "type", cell->type);
	nbm_member_text(&members, "source", cell->source);
	if (cell->is_code && cell->nlines > 0)
	{
		nbm_add_integer(&lines, cell->first_line);
		nbm_add_integer(&lines, cell->first_line + cell->nlines - 1);
		nbm_member_jsonb(&members, "lines", nbm_array_of(&lines));
	}
	if (p->has_workflow)
	{
		nbm_member_text(&members, "change",
						nbm_text(p->scope.changes[index]));
		nbm_member_jsonb(&members, "operators", operators_of(p, index));
	}
	return nbm_object_of(&members);
}

/* The names of an operator's output columns. */
static Jsonb *
outputs_of(JsonbContainer *core)
{
	NbmValues	names = {NULL, 0, 0};
	JsonbContainer *properties;
	JsonbContainer *columns;

	if (nbm_get_container(core, "operatorProperties", false, &properties) &&
		nbm_get_container(properties, "outputColumns", true, &columns))
		for (int i = 0; i < JsonContainerSize(columns); i++)
		{
			JsonbValue	column;
			NbmText		name;

			nbm_element(columns, i, &column);
			if (nbm_is_object(&column) &&
				nbm_get_string(column.val.binary.data, "attributeName", &name))
				nbm_add_text(&names, name);
		}
	return nbm_array_of(&names);
}

/* One operator. */
static Jsonb *
operator_object(const Prompt *p, int index)
{
	const NbmFlowOperator *op = &p->flow.operators[index];
	NbmMembers	members = {.count = 0};

	nbm_member_integer(&members, "key",
					   p->flow.layout->items[index].key);
	nbm_member_text(&members, "id", op->id);
	nbm_member_text(&members, "name", op->name);
	nbm_member_text(&members, "type", nbm_item_type(&nbm_workflow, op->core));
	nbm_member_text(&members, "code", op->code);
	nbm_member_jsonb(&members, "outputs", outputs_of(op->core));
	nbm_member_jsonb(&members, "cells", cells_of(p, index));
	return nbm_object_of(&members);
}

/* The edges at the operators that are shown, by name. */
static Jsonb *
edges_array(const Prompt *p)
{
	NbmValues	edges = {NULL, 0, 0};

	for (int i = 0; i < p->flow.nlinks; i++)
	{
		const NbmEdge *edge = &p->flow.edges[i];
		NbmValues	pair = {NULL, 0, 0};

		if (edge->from < 0 || edge->to < 0 ||
			!(p->is_shown[edge->from] || p->is_shown[edge->to]))
			continue;
		nbm_add_text(&pair, p->flow.operators[edge->from].name);
		nbm_add_text(&pair, p->flow.operators[edge->to].name);
		nbm_add_jsonb(&edges, nbm_array_of(&pair));
	}
	return nbm_array_of(&edges);
}

/* Adds what is said of the workflow that the notebook is mapped to. */
static void
add_workflow(const Prompt *p, NbmMembers *members)
{
	NbmValues	operators = {NULL, 0, 0};

	for (int i = 0; i < p->flow.layout->nitems; i++)
		if (p->is_shown[i])
			nbm_add_jsonb(&operators, operator_object(p, i));
	nbm_member_integer(members, "workflow_id",
					   p->scope.answer.operators.store.id);
	nbm_member_integer(members, "workflow_version",
					   p->scope.answer.operators.version.version);
	nbm_member_integer(members, "mapping_id",
					   p->scope.answer.mapping_id);
	nbm_member_jsonb(members, "operators", nbm_array_of(&operators));
	nbm_member_jsonb(members, "edges", edges_array(p));
}

/* The code cells of the prompt, each between its marks. */
static NbmText
marked_text(const Prompt *p)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < p->script.layout->nitems; i++)
	{
		const NbmScriptCell *cell = &p->script.cells[i];

		if (!cell->is_code || !is_asked(p, i))
			continue;
		appendStringInfo(&buf, "%s# START %.*s\n", buf.len > 0 ? "\n\n" : "",
						 cell->id.len, cell->id.str);
		appendBinaryStringInfo(&buf, cell->source.str, cell->source.len);
		appendStringInfo(&buf, "\n# END %.*s", cell->id.len, cell->id.str);
	}
	return nbm_text(buf.data);
}

/*
 * Makes the prompt for a version, in the given context.  Raises 02000 for an
 * unknown notebook or version.
 */
Jsonb *
nbm_prompt_make(const NbmStore *notebook, int32 version, bool only_changed,
				MemoryContext context)
{
	Prompt		p = {notebook, version, only_changed};
	NbmMembers	members = {.count = 0};
	NbmValues	cells = {NULL, 0, 0};
	NbmVersion	read;
	Jsonb	   *result;

	nbm_store_version(notebook, version, &read);
	nbm_script_open(notebook, &read, &p.script);
	if (only_changed)
		open_workflow(&p);
	for (int i = 0; i < p.script.layout->nitems; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_asked(&p, i))
			nbm_add_jsonb(&cells, cell_object(&p, i));
	}
	nbm_member_integer(&members, "notebook_id", notebook->id);
	nbm_member_integer(&members, "version", version);
	nbm_member_text(&members, "scope", nbm_text(only_changed ? "changed" : "all"));
	nbm_member_jsonb(&members, "cells", nbm_array_of(&cells));
	nbm_member_text(&members, "text", marked_text(&p));
	if (p.has_workflow)
		add_workflow(&p, &members);
	result = nbm_object_of(&members);
	return memcpy(MemoryContextAlloc(context, VARSIZE(result)), result,
				  VARSIZE(result));
}
