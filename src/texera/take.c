/*
 * take.c
 *		Taking an application's documents and mappings into the store.
 *
 * The application is right: whatever it has is the newest version, whatever
 * the store had.  All of it runs with the rights of the current user, between
 * nbm_store_begin() and nbm_store_end().
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "attached_row.h"
#include "commit.h"
#include "guard.h"
#include "jsonb_bytes.h"
#include "mapping_shape.h"
#include "mapping_tolerant.h"
#include "take.h"

/*
 * Makes a document, or a version of it, of what the application has.  The
 * head's version after goes to *version.
 */
NbmTaken
nbm_take_document(const NbmStore *store, const char *name, Jsonb *content,
				  int32 *version)
{
	NbmHead		head;
	NbmCommit	commit;
	TimestampTz at;

	if (!nbm_store_try_lock(store, &head))
	{
		(void) nbm_commit_first(store->kind, &store->id, name, content, &at);
		*version = 1;
		return NBM_TAKEN_FIRST;
	}
	nbm_commit_begin(&commit, store, NULL, NULL);
	*version = nbm_commit_document(&commit, content, NULL);
	return *version == head.version ? NBM_TAKEN_EQUAL : NBM_TAKEN_NEXT;
}

/* qsort comparator of texts. */
static int
text_cmp(const void *a, const void *b)
{
	return nbm_key_cmp(*(const NbmText *) a, *(const NbmText *) b);
}

/*
 * Raises 22023 where a workflow has an operator twice, as parallel saves leave
 * it.  Of what is no workflow it says nothing: taking it in will.
 */
void
nbm_check_operators(Jsonb *workflow)
{
	JsonbContainer *operators;
	NbmText    *ids;
	int			count = 0;

	if (!JB_ROOT_IS_OBJECT(workflow) ||
		!nbm_get_container(&workflow->root, "operators", true, &operators))
		return;
	ids = palloc_array(NbmText, Max(JsonContainerSize(operators), 1));
	for (int i = 0; i < JsonContainerSize(operators); i++)
	{
		JsonbValue	op;

		nbm_element(operators, i, &op);
		if (nbm_is_object(&op) &&
			nbm_get_string(op.val.binary.data, "operatorID", &ids[count]))
			count++;
	}
	qsort(ids, count, sizeof(NbmText), text_cmp);
	for (int i = 1; i < count; i++)
		if (nbm_text_eq(ids[i - 1], ids[i]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("operator \"%.*s\" stands twice in the workflow",
							ids[i].len, ids[i].str)));
	pfree(ids);
}

/* Gives a document, if it is there, the name that it has there. */
void
nbm_take_name(const NbmStore *store, const char *name)
{
	NbmHead		head;

	if (nbm_store_try_lock(store, &head))
		nbm_store_rename(store, name,
						 Max(GetCurrentTimestamp(), head.updated_at));
}

/* Is this what a pair of versions is answered anyway? */
static bool
is_answered(int64 notebook_id, int64 workflow_id, const int32 *version,
			Jsonb *content)
{
	NbmAnswer	answer;
	Jsonb	   *shape;
	NbmLinks	links;

	nbm_mapping_answer(&answer, notebook_id, NULL, workflow_id, version);
	if (!answer.has_mapping)
		return false;
	shape = nbm_mapping_shape(&answer, CurrentMemoryContext);
	(void) nbm_mapping_salvage(&answer.cells.version.layout,
							   &answer.operators.version.layout, shape,
							   &links);
	shape = nbm_mapping_content(&links);
	return VARSIZE(shape) == VARSIZE(content) &&
		memcmp(shape, content, VARSIZE(content)) == 0;
}

/* Is the string in a list? */
static bool
has_string(List *strings, const char *string)
{
	ListCell   *cell;

	foreach(cell, strings)
		if (strcmp(lfirst(cell), string) == 0)
		return true;
	return false;
}

/* Is it a string?  Then *string is set to it. */
static bool
is_string(Jsonb *value, JsonbValue *string)
{
	if (!JB_ROOT_IS_SCALAR(value))
		return false;
	nbm_element(&value->root, 0, string);
	return string->type == jbvString;
}

/* A string that should be JSON. */
typedef struct Parsing
{
	MemoryContext context;		/* of the result */
	JsonbValue	string;
	Jsonb	   *result;
} Parsing;

/* Parses it.  Fits NbmWork. */
static void
parse_string(void *arg)
{
	Parsing    *parsing = arg;
	Jsonb	   *result = nbm_parse_jsonb(cstring_to_text_with_len(parsing->string.val.string.val,
																  parsing->string.val.string.len));

	parsing->result = MemoryContextAlloc(parsing->context, VARSIZE(result));
	memcpy(parsing->result, result, VARSIZE(result));
}

/*
 * Reads what is sound of a mapping, and returns what is not, each thing once:
 * both halves of a mapping may name it.
 */
static List *
salvage(const NbmLayout *cells, const NbmLayout *operators, Jsonb *mapping,
		NbmLinks *links)
{
	Parsing		parsing = {CurrentMemoryContext};
	NbmCaught	caught;
	List	   *problems = NIL;
	List	   *once = NIL;
	ListCell   *cell;

	while (is_string(mapping, &parsing.string))
	{
		CHECK_FOR_INTERRUPTS();
		if (!nbm_guarded(parse_string, &parsing, &caught))
		{
			memset(links, 0, sizeof(*links));
			return list_make1(psprintf("the mapping is a string that is no JSON: %s",
									   caught.message));
		}
		mapping = parsing.result;
	}
	problems = nbm_mapping_salvage(cells, operators, mapping, links);
	foreach(cell, problems)
		if (!has_string(once, lfirst(cell)))
		once = lappend(once, lfirst(cell));
	return once;
}

/*
 * Takes a mapping in as authored, for *notebook_version (0: the head's goes
 * there) and the version of the workflow that its row was written by (NULL:
 * the head).  What is unsound is left out and listed.  Returns its id; 0 where
 * nothing of it is sound, or where it is what the store answers anyway, as
 * after it was written by us.
 */
int64
nbm_take_mapping(int64 notebook_id, int64 workflow_id, const int64 *vid,
				 Jsonb *mapping, int32 *notebook_version, int *nlinks,
				 List **problems)
{
	NbmStore	notebook = {&nbm_notebook, notebook_id, false};
	NbmStore	workflow = {&nbm_workflow, workflow_id, false};
	NbmVersion	cells;
	NbmVersion	operators;
	NbmMappingRow row;
	NbmLinks	links;

	/* in this order everywhere: the notebook's head, the workflow's */
	row.notebook_version = nbm_store_resolve(&notebook, *notebook_version == 0,
											 *notebook_version);
	*notebook_version = row.notebook_version;
	nbm_store_keep(&workflow);
	row.workflow_version = vid ? nbm_label_version(workflow_id, *vid) : 0;
	if (row.workflow_version == 0)
		row.workflow_version = vid != NULL && nbm_label_first(workflow_id) > 0 ?
			1 : nbm_store_resolve(&workflow, true, 0);
	nbm_store_version(&notebook, row.notebook_version, &cells);
	nbm_store_version(&workflow, row.workflow_version, &operators);
	*problems = salvage(&cells.layout, &operators.layout, mapping, &links);
	*nlinks = links.count;
	row.content = nbm_mapping_content(&links);
	if ((links.count == 0 && *problems != NIL) ||
		is_answered(notebook_id, workflow_id, &row.workflow_version,
					row.content) ||
		is_answered(notebook_id, workflow_id, NULL, row.content))
		return 0;
	return nbm_store_add_mapping(notebook_id, workflow_id, &row, "texera");
}

/* Was a mapping of a notebook and a workflow ever stated? */
bool
nbm_take_is_mapped(int64 notebook_id, int64 workflow_id)
{
	int			count;

	(void) nbm_store_mapped_pairs(&notebook_id, &workflow_id, &count);
	return count > 0;
}
