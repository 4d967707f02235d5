/*
 * accept.c
 *		A language model's replies taken into the store.
 *
 * Both replies are read and checked before anything is written; then the
 * workflow is made, or a version of the one given, and the mapping is stated
 * for the notebook's version and the new one of the workflow.  All of it is
 * one statement, so there is never one without the other.
 *
 * An operator that stays and that the replies say nothing of keeps the links
 * to cells that it has by the mapping that applies.  So does one that a part
 * of a conversion has code for, with the cells that were not asked about.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"

#include "accept.h"
#include "build.h"
#include "commit.h"
#include "convert.h"
#include "edit.h"

/* Problems that an error tells, at most. */
#define MAX_LISTED 50

/* Replies on their way into the store. */
typedef struct Accept
{
	const NbmReplies *replies;
	NbmVersion	notebook;
	NbmScript	script;
	NbmStore	workflow;
	NbmCommit	commit;			/* where the workflow was given */
	NbmFlow		flow;
	NbmScope	scope;
	NbmPlan		plan;
	NbmAdoption adoption;
	NbmConversion conversion;
} Accept;

/*
 * Locks the workflow that was given and reads it, with the mapping that
 * applies.  The mapping is read by a snapshot that sees what the lock waited
 * for.
 */
static void
open_workflow(Accept *a)
{
	a->workflow.kind = &nbm_workflow;
	a->workflow.id = *a->replies->workflow_id;
	a->workflow.read_only = false;
	nbm_commit_begin(&a->commit, &a->workflow, NULL, NULL);
	nbm_store_keep(&a->workflow);
	PushActiveSnapshot(GetTransactionSnapshot());
	nbm_scope_open(&a->scope, a->replies->notebook.id, a->notebook.version,
				   a->workflow.id);
	PopActiveSnapshot();
	nbm_flow_open(&a->workflow, &a->commit.parent, &a->flow);
}

/* What the operators that are there may be called in the replies. */
static NbmCalled *
called(const NbmFlow *flow)
{
	NbmCalled  *names = palloc_array(NbmCalled, Max(flow->layout->nitems, 1));

	for (int i = 0; i < flow->layout->nitems; i++)
	{
		names[i].names[0] = flow->operators[i].display;
		names[i].names[1] = flow->operators[i].id;
	}
	return names;
}

/* The first problems, each on a line after a line feed; newly allocated. */
static char *
list_problems(const NbmProblems *problems)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < Min(problems->count, MAX_LISTED); i++)
		appendStringInfo(&list, "\n%s", problems->items[i]);
	if (problems->count > MAX_LISTED)
		appendStringInfoString(&list, "\n...");
	return list.data;
}

/* Reads and checks both replies. */
static void
read_replies(Accept *a)
{
	NbmReply	workflow;
	NbmReply	mapping;
	bool		is_new = a->replies->workflow_id == NULL;

	nbm_reply_find(a->replies->workflow, a->replies->workflow_len,
				   NBM_WORKFLOW_REPLY, &workflow);
	nbm_reply_find(a->replies->mapping, a->replies->mapping_len,
				   NBM_MAPPING_REPLY, &mapping);
	nbm_store_version(&a->replies->notebook,
					  nbm_store_resolve(&a->replies->notebook,
										a->replies->at_head,
										a->replies->version), &a->notebook);
	nbm_script_open(&a->replies->notebook, &a->notebook, &a->script);
	if (!is_new)
		open_workflow(a);
	nbm_plan_read(&workflow, is_new ? NULL : called(&a->flow),
				  is_new ? 0 : a->flow.layout->nitems, &a->plan);
	if (a->plan.nudfs == 0 && (is_new || a->plan.nstated > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the workflow reply has no UDF with code"),
				 errdetail("The reply's JSON begins at line %d, column %d.%s",
						   workflow.line, workflow.column,
						   list_problems(&a->plan.problems))));
	nbm_plan_map(&mapping, &a->script, &a->plan);
	if (!is_new)
		nbm_adopt(&a->plan, &a->flow, &a->scope, &a->adoption);
	nbm_convert_begin(&a->conversion, &a->plan, is_new ? NULL : &a->flow,
					  &a->adoption);
}

/* Raises 22023 where the replies have to be sound and are not. */
static void
refuse_problems(const NbmProblems *problems)
{
	if (problems->total == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_plural("the replies have " INT64_FORMAT " part that is not sound",
						   "the replies have " INT64_FORMAT " parts that are not sound",
						   (unsigned long) problems->total, problems->total),
			 errdetail("%s", list_problems(problems) + 1),
			 errhint("Without \"strict\" all other parts are taken.")));
}

/* Writes the workflow; returns its version. */
static int32
write_workflow(Accept *a)
{
	TimestampTz at;
	int32		version;

	if (a->replies->workflow_id == NULL)
	{
		a->workflow.kind = &nbm_workflow;
		a->workflow.read_only = false;
		a->workflow.id = nbm_commit_first(&nbm_workflow, NULL,
										  a->replies->name,
										  nbm_convert_document(&a->conversion),
										  &at);
		return 1;
	}
	version = nbm_commit_edits(&a->commit, nbm_convert_edits(&a->conversion));
	if (a->replies->name != NULL)
		nbm_store_rename(&a->workflow, a->replies->name, a->commit.at);
	return version;
}

/* The mapping while it is put together. */
typedef struct Mapping
{
	const NbmLayout *layout;	/* of the workflow's new version */
	NbmNames	names;
	NbmValues	links;
	HTAB	   *stated;			/* operator key and cell, of the replies */
} Mapping;

/* The key of an operator in the new version, by the plan's node; 0: gone. */
static int32
node_key(const Accept *a, const Mapping *m, int node)
{
	int			converted = nbm_convert_node(&a->conversion, node);
	int			op = converted - a->plan.nudfs;
	int			index;

	if (op >= 0)
		return a->adoption.is_removed[op] ? 0 : a->flow.layout->items[op].key;
	index = nbm_names_find_id(&m->names, a->conversion.ids[node]);
	return m->layout->items[index].key;
}

/* Adds a link; nlines pairs of lines, or none for the whole cell. */
static void
state_link(const Accept *a, Mapping *m, int cell, int32 op,
		   const int32 *lines, int nlines)
{
	NbmMembers	link = {.count = 0};
	NbmValues	ranges = {NULL, 0, 0};

	nbm_member_integer(&link, "cell", a->script.layout->items[cell].key);
	nbm_member_integer(&link, "operator", op);
	for (int i = 0; i < nlines; i++)
	{
		NbmValues	range = {NULL, 0, 0};

		nbm_add_integer(&range, lines[2 * i]);
		nbm_add_integer(&range, lines[2 * i + 1]);
		nbm_add_jsonb(&ranges, nbm_array_of(&range));
	}
	if (nlines > 0)
		nbm_member_jsonb(&link, "lines", nbm_array_of(&ranges));
	nbm_add_jsonb(&m->links, nbm_object_of(&link));
}

/* Is a cell joined to an operator by the replies?  With add, it is now. */
static bool
is_stated(Mapping *m, int32 op, int cell, bool add)
{
	uint64		pair = ((uint64) op << 32) | (uint32) cell;
	bool		found;

	hash_search(m->stated, &pair, add ? HASH_ENTER : HASH_FIND, &found);
	return found;
}

/* Adds the links of the replies. */
static void
state_replied(Accept *a, Mapping *m)
{
	for (int i = 0; i < a->plan.nlinks; i++)
	{
		const NbmPlanLink *link = &a->plan.links[i];
		int32		lines[2] = {link->from, link->to};
		int32		op = node_key(a, m, link->node);

		CHECK_FOR_INTERRUPTS();
		if (op == 0)
			continue;
		is_stated(m, op, link->cell, true);
		state_link(a, m, link->cell, op, lines, link->from > 0);
	}
}

/* Adds the links that operators keep. */
static void
state_carried(Accept *a, Mapping *m)
{
	const NbmAnswer *answer = &a->scope.answer;
	bool	   *is_mapped = palloc0_array(bool, a->plan.nudfs + 1);

	for (int i = 0; i < a->plan.nlinks; i++)
		if (a->plan.links[i].node < a->plan.nudfs)
			is_mapped[a->plan.links[i].node] = true;
	for (int i = 0; i < answer->links.count; i++)
	{
		const NbmLink *link = &answer->links.items[i];
		bool		is_changed;
		int			cell;
		int			op;
		int			udf;

		CHECK_FOR_INTERRUPTS();
		if (!nbm_state_is_live(answer->states[i]))
			continue;
		cell = nbm_side_find(&answer->cells, link->cell);
		op = nbm_side_find(&answer->operators, link->op);
		udf = a->adoption.udfs[op];
		is_changed = a->scope.changes[cell] != NULL;
		if (a->adoption.is_removed[op] ||
			(udf >= 0 && (a->adoption.is_whole ||
						  (is_changed && is_mapped[udf]))) ||
			is_stated(m, link->op, cell, false))
			continue;
		state_link(a, m, cell, link->op, link->lines,
				   is_changed ? 0 : link->nlines);
	}
}

/* Puts the mapping for the two versions; returns its id. */
static int64
write_mapping(Accept *a, int32 workflow_version)
{
	HASHCTL		control = {0};
	Mapping		m = {0};
	NbmMembers	mapping = {.count = 0};
	NbmVersion	workflow;
	NbmMappingRow row;
	NbmLinks	links;

	nbm_store_version(&a->workflow, workflow_version, &workflow);
	m.layout = &workflow.layout;
	nbm_names_open(m.layout, &m.names);
	control.keysize = control.entrysize = sizeof(uint64);
	control.hcxt = CurrentMemoryContext;
	m.stated = hash_create("notebook_migrate stated links", 256, &control,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	state_replied(a, &m);
	if (a->replies->workflow_id != NULL)
		state_carried(a, &m);
	nbm_member_jsonb(&mapping, "links", nbm_array_of(&m.links));
	nbm_mapping_parse(&a->notebook.layout, m.layout, nbm_object_of(&mapping),
					  &links);
	row.notebook_version = a->notebook.version;
	row.workflow_version = workflow_version;
	row.content = nbm_mapping_content(&links);
	return nbm_store_add_mapping(a->replies->notebook.id, a->workflow.id, &row,
								 "llm");
}

/*
 * Takes two replies in.  The store must be open.  Raises 22032, 22P05, 22003
 * or 54000 for a text that is at fault, 22023 for one that has nothing to
 * take or, with is_strict, for each part that is not sound; 02000 for a
 * notebook, version or workflow that is not there.
 */
void
nbm_accept(const NbmReplies *replies, NbmAccepted *accepted)
{
	Accept	   *a = palloc0_object(Accept);

	a->replies = replies;
	read_replies(a);
	nbm_problems_close(&a->plan.problems);
	if (replies->is_strict)
		refuse_problems(&a->plan.problems);
	accepted->workflow_version = write_workflow(a);
	accepted->workflow_id = a->workflow.id;
	accepted->mapping_id = write_mapping(a, accepted->workflow_version);
	accepted->problems = a->plan.problems;
}
