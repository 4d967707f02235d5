/*
 * job_equal.c
 *		Work that was done already, or is to be done: whose result is given.
 *
 * Equal work has one digest, so equal work is next to each other in two
 * indexes, of which nothing changes while a job is handed out, or done without
 * a result.  In the one are all jobs, by notebook.  In the other are those that
 * made a workflow, of any notebook, so that those which wait cost nothing.
 *
 * A result is a workflow and a mapping of the notebook to it.  Another notebook
 * is given the workflow, and a mapping of its own: the same one, of the cells
 * that stand in the same places.  All is done with the caller's rights, and
 * only what he may see counts.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/timestamp.h"

#include "job_equal.h"
#include "job_front.h"
#include "mapping.h"

/* Where the mapping of a result stands: columns of Q_JOB_EQUAL_RESULT. */
enum Source
{
	SOURCE_WORKFLOW_VERSION = NBM_JOB_RESULTS + 1, SOURCE_NOTEBOOK,
	SOURCE_NOTEBOOK_VERSION, SOURCE_CONTENT
};

/* Runs a query of the queue. */
static uint64
run(NbmQuery id, Datum *values)
{
	return nbm_query_run(&nbm_notebook, id, values, NULL, false);
}

/*
 * What a job is to do, as a SHA-256 over the version's digest, the kind and
 * the payload: equal for equal work.  Raises 02000 for an unknown version.
 */
Datum
nbm_equal_work(const NbmNewJob *job)
{
	NbmStore	store = {&nbm_notebook, job->notebook_id, false};
	NbmVersion	version;
	Datum		values[4] = {
		Int64GetDatum(job->notebook_id), Int32GetDatum(job->version),
		CStringGetTextDatum(job->kind), JsonbPGetDatum(job->payload)
	};

	if (run(Q_JOB_WORK, values) == 0)
		nbm_store_version(&store, job->version, &version);	/* raises */
	return datumCopy(nbm_query_column(0, 1, NULL), false, -1);
}

/*
 * What was asked for with a job that is leased, as far as equal work needs it;
 * false where it is to be done in any case.
 */
bool
nbm_equal_asked(const NbmJob *job, NbmNewJob *asked)
{
	Datum		values[1] = {Int64GetDatum(job->id)};

	memset(asked, 0, sizeof(*asked));
	asked->notebook_id = job->notebook_id;
	asked->version = job->version;
	asked->kind = job->kind;
	if (run(Q_JOB_ASKED, values) == 0)
		return false;
	asked->work = datumCopy(nbm_query_column(0, 1, NULL), false, -1);
	return true;
}

/* Finds a result by the work, and by the notebook where the query asks for it. */
static bool
find(NbmQuery query, const NbmNewJob *job, NbmJobResult *result)
{
	Datum		values[2] = {job->work, Int64GetDatum(job->notebook_id)};

	if (run(query, values) == 0)
		return false;
	for (int i = 0; i < NBM_JOB_RESULTS; i++)
		result->values[i] = nbm_query_column(0, i + 1, &result->nulls[i]);
	return true;
}

/* What came of the same work of the same notebook; false: it was not done. */
bool
nbm_equal_here(const NbmNewJob *job, NbmJobResult *result)
{
	return find(Q_JOB_EQUAL_DONE, job, result);
}

/* The mapping of the job's notebook for this pair of versions; 0: there is none. */
static int64
own_mapping(const NbmNewJob *job, int64 workflow_id, int32 workflow_version)
{
	int			count;
	NbmMappingRow *rows = nbm_store_mappings(job->notebook_id, workflow_id,
											 &count);

	for (int i = 0; i < count; i++)
		if (rows[i].notebook_version == job->version &&
			rows[i].workflow_version == workflow_version)
			return rows[i].mapping_id;
	return 0;
}

/*
 * States the mapping that was found last for the job's own notebook, unless it
 * has one for that pair of versions, and puts it in the result.  False where
 * the notebooks are not equal after all.
 */
static bool
state_mapping(const NbmNewJob *job, NbmJobResult *result)
{
	NbmStore	notebook = {&nbm_notebook, job->notebook_id, false};
	NbmStore	original = {&nbm_notebook, 0, false};
	NbmStore	workflow = {&nbm_workflow, 0, false};
	int64		mapping_id;
	int32		original_version;
	Jsonb	   *content;
	NbmVersion	from;
	NbmVersion	to;
	NbmMappingRow row;

	workflow.id = DatumGetInt64(result->values[NBM_JOB_WORKFLOW]);
	original.id = DatumGetInt64(nbm_query_column(0, SOURCE_NOTEBOOK, NULL));
	original_version = DatumGetInt32(nbm_query_column(0, SOURCE_NOTEBOOK_VERSION,
													  NULL));
	content = DatumGetJsonbPCopy(nbm_query_column(0, SOURCE_CONTENT, NULL));
	row.notebook_version = job->version;
	row.workflow_version =
		DatumGetInt32(nbm_query_column(0, SOURCE_WORKFLOW_VERSION, NULL));
	nbm_store_claim(&notebook, false);
	if (!nbm_store_claim(&workflow, false))
		nbm_store_keep(&workflow);
	nbm_store_version(&original, original_version, &from);
	nbm_store_version(&notebook, job->version, &to);
	if (memcmp(from.digest, to.digest, NBM_DIGEST_LEN) != 0)
		return false;
	mapping_id = own_mapping(job, workflow.id, row.workflow_version);
	if (mapping_id == 0)
	{
		row.content =
			nbm_mapping_for_copy(DatumGetInt64(result->values[NBM_JOB_MAPPING]),
								 content, &from, &to);
		mapping_id = nbm_store_add_mapping(job->notebook_id, workflow.id, &row,
										   "llm");
	}
	result->values[NBM_JOB_MAPPING] = Int64GetDatum(mapping_id);
	result->values[NBM_JOB_WORKFLOW_VERSION] =
		Int32GetDatum(row.workflow_version);
	return true;
}

/*
 * What came of the same work of any notebook, with a mapping of the job's own;
 * false where it was not done, or not so that it can be given.  has_workflow:
 * the kind is one of which nothing is done without one.  Waits for nobody:
 * raises 55P03 where the notebook or the workflow is being written, and what
 * stands in the way of stating the mapping, such as 42501.
 */
bool
nbm_equal_elsewhere(const NbmNewJob *job, bool has_workflow,
					NbmJobResult *result)
{
	if (find(Q_JOB_EQUAL_RESULT, job, result))
		return state_mapping(job, result);
	return !has_workflow && find(Q_JOB_EQUAL_BARE, job, result);
}

/* A job of the notebook that is to do the same work; 0 where there is none. */
int64
nbm_equal_waiting(const NbmNewJob *job)
{
	Datum		values[2] = {job->work, Int64GetDatum(job->notebook_id)};

	if (run(Q_JOB_EQUAL_OPEN, values) == 0)
		return 0;
	return DatumGetInt64(nbm_query_column(0, 1, NULL));
}

/*
 * Lets a waiting job come as early as another one that asks for the same work
 * would have: by the higher priority, and at the earlier time.
 */
void
nbm_equal_hasten(int64 id, const NbmNewJob *job)
{
	Datum		values[3] = {
		Int64GetDatum(id), Int32GetDatum(job->priority),
		TimestampTzGetDatum(job->run_after)
	};

	if (run(Q_JOB_HASTEN, values) > 0)
		nbm_front_forget();
}
