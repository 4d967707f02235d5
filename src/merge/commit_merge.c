/*
 * commit_merge.c
 *		Saving a document that was made on an older version than the head.
 *
 * The document is theirs, the head ours, and the version that it was made on
 * their base.
 */
#include "postgres.h"

#include "commit_merge.h"
#include "merge.h"
#include "merge_report.h"

/* Raises 40001 where a merge has conflicts that must not be stored. */
static void
check_conflicts(const NbmCommit *commit, int32 expected,
				const NbmMergeResult *result, bool mark)
{
	char	   *paths = nbm_conflict_paths(result->conflicts,
										   result->nconflicts, mark);

	if (paths == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("%s " INT64_FORMAT " is at version %d, and changes made on version %d conflict with it",
					commit->store.kind->name, commit->store.id,
					commit->head.version, expected),
			 errdetail("Both changed %s.", paths),
			 errhint("%s_merge() shows both sides of each conflict.",
					 commit->store.kind->name)));
}

/*
 * Makes a version of a document that was made on the expected version: of the
 * document itself where that is the head, else of what it changed, merged
 * with the head.  mark: texts in conflict are stored, with markers.  Returns
 * the version's number, or the head's where that has all the changes already.
 * Raises 02000 for an unknown version, 40001 for conflicts, and what
 * nbm_merge_documents() and nbm_commit_document() do.
 */
int32
nbm_commit_merged(NbmCommit *commit, Jsonb *content, int32 expected, bool mark)
{
	const NbmKind *kind = commit->store.kind;
	NbmMergeInput input;
	NbmMergeResult result;
	NbmVersion	base;
	Jsonb	   *head;

	if (expected == commit->head.version)
		return nbm_commit_document(commit, content, NULL);
	nbm_check_size(kind->name, content);
	nbm_store_version(&commit->store, expected, &base);
	head = nbm_read_document(&commit->store, &commit->parent,
							 CurrentMemoryContext);
	input.contents[NBM_BASE] = nbm_read_document(&commit->store, &base,
												 CurrentMemoryContext);
	input.contents[NBM_OURS] = head;
	input.contents[NBM_THEIRS] = content;
	input.names[NBM_BASE] = "the expected version";
	input.names[NBM_OURS] = "the newest version";
	input.names[NBM_THEIRS] = "the new content";
	result = nbm_merge_documents(kind, &input, mark ? NBM_STRATEGY_MARK :
								 NBM_STRATEGY_CONFLICT);
	check_conflicts(commit, expected, &result, mark);
	return nbm_commit_document(commit, result.content, head);
}
