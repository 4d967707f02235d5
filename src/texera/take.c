/*
 * take.c
 *		Taking an application's documents and mappings into the store.
 *
 * The application is right: whatever it has is the newest version, whatever
 * the store had.  All of it runs with the rights of the current user, between
 * nbm_store_begin() and nbm_store_end().
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "commit.h"
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

/*
 * Takes a mapping in as authored, for the notebook's head and the version of
 * the workflow that its row was written by (NULL: the head).  What is unsound
 * is left out and listed.  Returns its id; 0 where nothing of it is sound, or
 * where it is what the store answers anyway, as after it was written by us.
 */
int64
nbm_take_mapping(int64 notebook_id, int64 workflow_id, const int64 *vid,
				 Jsonb *mapping, int *nlinks, List **problems)
{
	NbmStore	notebook = {&nbm_notebook, notebook_id, false};
	NbmStore	workflow = {&nbm_workflow, workflow_id, false};
	NbmVersion	notebook_version;
	NbmVersion	workflow_version;
	NbmMappingRow row;
	NbmLinks	links;

	/* in this order everywhere: the notebook's head, the workflow's */
	row.notebook_version = nbm_store_resolve(&notebook, true, 0);
	nbm_store_keep(&workflow);
	row.workflow_version = vid ? nbm_label_version(workflow_id, *vid) : 0;
	if (row.workflow_version == 0)
		row.workflow_version = vid != NULL && nbm_label_first(workflow_id) > 0 ?
			1 : nbm_store_resolve(&workflow, true, 0);
	nbm_store_version(&notebook, row.notebook_version, &notebook_version);
	nbm_store_version(&workflow, row.workflow_version, &workflow_version);
	*problems = nbm_mapping_salvage(&notebook_version.layout,
									&workflow_version.layout, mapping,
									&links);
	*nlinks = links.count;
	row.content = nbm_mapping_content(&links);
	if ((links.count == 0 && *problems != NIL) ||
		is_answered(notebook_id, workflow_id, &row.workflow_version,
					row.content) ||
		is_answered(notebook_id, workflow_id, NULL, row.content))
		return 0;
	return nbm_store_add_mapping(notebook_id, workflow_id, &row, "texera");
}

/* The newest notebook that is mapped to a workflow; -1: there is none. */
int64
nbm_take_notebook_of(int64 workflow_id)
{
	NbmMappedPair *pairs;
	int64		notebook_id = -1;
	int			count;

	pairs = nbm_store_mapped_pairs(NULL, &workflow_id, &count);
	for (int i = 0; i < count; i++)
		notebook_id = Max(notebook_id, pairs[i].notebook_id);
	return notebook_id;
}
