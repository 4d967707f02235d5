/*
 * jobs.c
 *		The rules of the queue: equal work, who may answer, retries, prompts.
 *
 * A job of the kind "convert" has a prompt and is completed with a model's
 * replies.  Any other kind is the application's own: it has a prompt where
 * its payload names a scope, and may be completed with no reply at all.  Of
 * every payload the members scope, workflow_id, name and strict mean the
 * arguments of migration_prompt() and migration_accept(), and are checked
 * when the job is submitted; the others mean nothing here.
 */
#include "postgres.h"

#include <math.h>

#include "commands/async.h"
#include "common/pg_prng.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "guard.h"
#include "job_equal.h"
#include "jobs.h"
#include "store.h"

#define CONVERT "convert"
#define CHANNEL "notebook_migrate_job"
/* The wait before a second attempt, and the longest one, in seconds. */
#define RETRY_FIRST 10.0
#define RETRY_LAST 3600.0

/* The four members of a payload that mean something here. */
typedef struct Payload
{
	const char *scope;			/* NULL: none given */
	bool		has_workflow;
	int64		workflow_id;
} Payload;

/* Raises 22023: a member of the payload is not what it must be. */
static void
bad_member(const char *name, const char *must_be)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the payload's \"%s\" must be %s", name, must_be),
			 errdetail("At $.%s.", name)));
}

/* A member of a payload, NULL where there is none or it is null. */
static JsonbValue *
member(Jsonb *payload, const char *name, JsonbValue *space)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&payload->root, name,
													 strlen(name), space);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* Is it this string? */
static bool
is_string(const JsonbValue *value, const char *string)
{
	return value->type == jbvString &&
		value->val.string.len == strlen(string) &&
		memcmp(value->val.string.val, string, value->val.string.len) == 0;
}

/* Takes a payload apart; raises 22023 where a member is of a wrong type. */
static Payload
read_payload(Jsonb *payload)
{
	Payload		result = {NULL};
	JsonbValue	space;
	JsonbValue *value;

	if (!JB_ROOT_IS_OBJECT(payload))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the payload must be an object")));
	if ((value = member(payload, "scope", &space)) != NULL)
	{
		if (is_string(value, "all"))
			result.scope = "all";
		else if (is_string(value, "changed"))
			result.scope = "changed";
		else
			bad_member("scope", "\"all\" or \"changed\"");
	}
	if ((value = member(payload, "workflow_id", &space)) != NULL)
	{
		Datum		number = value->type == jbvNumeric ?
		NumericGetDatum(value->val.numeric) : (Datum) 0;

		if (number == 0 || DatumGetInt32(DirectFunctionCall1(numeric_scale,
															 number)) != 0)
			bad_member("workflow_id", "a whole number");
		result.has_workflow = true;
		result.workflow_id = DatumGetInt64(DirectFunctionCall1(numeric_int8,
															   number));
	}
	if ((value = member(payload, "name", &space)) != NULL &&
		value->type != jbvString)
		bad_member("name", "a string");
	if ((value = member(payload, "strict", &space)) != NULL &&
		value->type != jbvBool)
		bad_member("strict", "true or false");
	return result;
}

/*
 * Is this error the job's fault, so that it would come again?  Or a damaged
 * notebook's, which must not keep all other jobs from being handed out.
 */
static bool
is_jobs_fault(int code)
{
	int			class = ERRCODE_TO_CATEGORY(code);

	return class == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_NO_DATA) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED) ||
		code == ERRCODE_DATA_CORRUPTED;
}

/* A look for what came of the same work. */
typedef struct Search
{
	const NbmNewJob *job;
	bool		has_workflow;
	NbmJobResult *result;
	bool		is_found;
} Search;

/* Looks among other notebooks' jobs; nothing is kept where none is found. */
static bool
look_elsewhere(void *arg)
{
	Search	   *search = arg;

	search->is_found = nbm_equal_elsewhere(search->job, search->has_workflow,
										   search->result);
	return search->is_found;
}

/*
 * Finds what came of the same work, of this notebook or of another one that is
 * equal; a change is this notebook's own.  Where the other's result cannot be
 * given, for want of rights or because somebody is just writing to one of the
 * documents, the work is to be done.
 */
static bool
find_done(const NbmNewJob *job, const char *scope, NbmJobResult *result)
{
	Search		search = {job, strcmp(job->kind, CONVERT) == 0, result};
	ErrorData  *error;

	if (nbm_equal_here(job, result))
		return true;
	if (scope != NULL && strcmp(scope, "changed") == 0)
		return false;
	error = nbm_attempt(look_elsewhere, &search);
	if (error == NULL)
		return search.is_found;
	if (!is_jobs_fault(error->sqlerrcode) &&
		error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE &&
		error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
		error->sqlerrcode != ERRCODE_T_R_SERIALIZATION_FAILURE)
		ReThrowError(error);
	return false;
}

/*
 * Submits a job for a version of its notebook (NULL: the head).  Where equal
 * work was done, the job is done at once, with the same result; where it is
 * to be done already, that job is the answer, and comes as early as this one
 * would have.  Returns the id.  Raises 02000
 * where notebook, version or workflow do not exist.
 */
int64
nbm_jobs_submit(NbmNewJob *job, const int32 *version)
{
	Payload		payload = read_payload(job->payload);
	NbmStore	notebook = {&nbm_notebook, job->notebook_id, false};
	NbmStore	workflow = {&nbm_workflow, payload.workflow_id, false};
	NbmHead		head;
	NbmJobResult result;
	int64		id = 0;

	if (payload.has_workflow)
		nbm_store_head(&workflow, &head);
	nbm_store_lock(&notebook, &head);
	job->version = version ? *version : head.version;
	job->work = nbm_equal_work(job);
	if (job->dedupe)
	{
		if (find_done(job, payload.scope, &result))
			return nbm_job_add_done(job, &result);
		id = nbm_equal_waiting(job);
		if (id != 0)
			nbm_equal_hasten(id, job);
	}
	if (id == 0)
		id = nbm_job_add(job);
	Async_Notify(CHANNEL, job->kind);
	return id;
}

/* A claim that is to have a prompt. */
typedef struct Asking
{
	NbmClaim   *claim;
	const char *scope;
} Asking;

/* Makes it. */
static bool
ask_prompt(void *arg)
{
	const Asking *asking = arg;

	asking->claim->prompt = nbm_job_prompt(&asking->claim->job, asking->scope);
	return true;
}

/*
 * Makes the prompt of a job, in a subtransaction.  Returns NULL, or what was
 * wrong where it was the job's fault; other errors are raised.
 */
static const char *
make_prompt(NbmClaim *claim, const char *scope)
{
	Asking		asking = {claim, scope};
	ErrorData  *error = nbm_attempt(ask_prompt, &asking);

	if (error == NULL)
		return NULL;
	if (!is_jobs_fault(error->sqlerrcode))
		ReThrowError(error);
	return error->message;
}

/* The scope of a job's prompt; NULL where it has none. */
static const char *
prompt_scope(const NbmJob *job)
{
	JsonbValue	space;
	JsonbValue *value = NULL;

	if (JB_ROOT_IS_OBJECT(job->payload))
		value = member(job->payload, "scope", &space);
	if (value != NULL && value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	return strcmp(job->kind, CONVERT) == 0 ? "all" : NULL;
}

/*
 * Finishes a job that was just taken, instead of handing it out: one of which
 * the same work was done since it was submitted, or no prompt can be made.
 * False where it is to be handed out.
 */
static bool
settle(NbmClaim *claim, TimestampTz at)
{
	const char *scope = prompt_scope(&claim->job);
	const char *error;
	NbmNewJob	asked;
	NbmJobResult result;

	if (scope == NULL)
		return false;
	if (nbm_equal_asked(&claim->job, &asked) &&
		find_done(&asked, scope, &result))
	{
		nbm_job_finish(&claim->job, "done", at, NULL, &result, NULL);
		return true;
	}
	error = make_prompt(claim, scope);
	if (error != NULL)
		nbm_job_finish(&claim->job, "failed", at, NULL, NULL, error);
	return error != NULL;
}

/*
 * Hands out up to n jobs, with their prompts.  Where there is nothing to do
 * for one, or no prompt can be made of it, the next one is taken.  The claims
 * are allocated in the current context.
 */
NbmClaim *
nbm_jobs_claim(const NbmClaimer *claimer, int n, int *count)
{
	NbmClaim   *claims = NULL;
	int			kept = 0;
	int			taken;

	do
	{
		NbmClaim   *more = nbm_job_take(claimer, n - kept, &taken);

		claims = claims == NULL ? more :
			repalloc_huge(claims, mul_size(sizeof(NbmClaim),
										   Max(kept + taken, 1)));
		for (int i = 0; i < taken; i++)
			if (!settle(&more[i], claimer->at))
				claims[kept++] = more[i];
	} while (kept < n && taken > 0);
	*count = kept;
	return claims;
}

/*
 * Raises 55000 unless the job is leased to whoever has this token.  That a
 * lease ran out counts at once, also where nobody has noticed yet.
 */
static void
check_lease(const NbmJob *job, const pg_uuid_t *token, TimestampTz at)
{
	const char *detail;

	if (strcmp(job->state, "leased") != 0)
		detail = psprintf("It is %s.", job->state);
	else if (!job->has_token ||
			 memcmp(&job->token, token, sizeof(*token)) != 0)
		detail = "The token is not that of the lease: it was handed out again.";
	else if (job->lease_until <= at)
		detail = psprintf("The lease ran out at %s.",
						  timestamptz_to_str(job->lease_until));
	else
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("job " INT64_FORMAT " is not leased to this worker",
					job->id),
			 errdetail_internal("%s", detail)));
}

/*
 * Locks a job for the worker that has it.  Raises 02000 where there is none,
 * 55000 where it is not this worker's.
 */
void
nbm_jobs_open(int64 id, const pg_uuid_t *token, TimestampTz at, NbmJob *job)
{
	nbm_job_lock(id, job);
	check_lease(job, token, at);
}

/*
 * A worker's answer.  Where there are replies, they are taken in, and the
 * result is what became of them; errors of that are raised, and leave the job
 * as it was.  Raises what nbm_jobs_open() raises.
 */
void
nbm_jobs_complete(int64 id, const pg_uuid_t *token,
				  const char *workflow_reply, const char *mapping_reply,
				  Jsonb *usage, NbmJobResult *result)
{
	TimestampTz at = GetCurrentTimestamp();
	bool		is_empty = workflow_reply == NULL && mapping_reply == NULL;
	NbmJob		job;

	for (int i = 0; i < NBM_JOB_RESULTS; i++)
		result->nulls[i] = true;
	if (usage != NULL && !JB_ROOT_IS_OBJECT(usage))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("usage must be an object")));
	if (is_empty && nbm_job_done(id, token, CONVERT, at, usage))
		return;
	nbm_jobs_open(id, token, at, &job);
	if (!is_empty || strcmp(job.kind, CONVERT) == 0)
		nbm_job_accept(&job, workflow_reply, mapping_reply, result);
	nbm_job_finish(&job, "done", GetCurrentTimestamp(), usage, result, NULL);
}

/*
 * When a job that failed is tried again: after twice the time of the last
 * wait, up to an hour, by up to a half less or more, so that jobs that failed
 * together do not come back together.
 */
static TimestampTz
next_run(const NbmJob *job, TimestampTz at)
{
	double		seconds = Min(RETRY_LAST,
							  RETRY_FIRST * pow(2, job->attempt - 1));

	seconds *= 0.5 + pg_prng_double(&pg_global_prng_state);
	return at + (TimestampTz) (seconds * USECS_PER_SEC);
}

/* A worker could not: what state is the job in now? */
const char *
nbm_jobs_fail(const NbmJob *job, TimestampTz at, const char *error,
			  bool retry)
{
	const char *state = retry ? "dead" : "failed";

	if (retry && job->attempt < job->max_attempts)
	{
		nbm_job_retry(job, at, next_run(job, at), error);
		return "waiting";
	}
	nbm_job_finish(job, state, at, NULL, NULL, error);
	return state;
}

/* Cancels a job; false where it is finished already.  Raises 02000. */
bool
nbm_jobs_cancel(int64 id, TimestampTz at)
{
	NbmJob		job;

	nbm_job_lock(id, &job);
	if (strcmp(job.state, "waiting") != 0 && strcmp(job.state, "leased") != 0)
		return false;
	nbm_job_finish(&job, "cancelled", at, NULL, NULL, NULL);
	return true;
}
