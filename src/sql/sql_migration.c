/*
 * sql_migration.c
 *		SQL entry points from notebook to workflow.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "accept.h"
#include "args.h"
#include "build.h"
#include "compat.h"
#include "plan.h"
#include "prompt.h"

PG_FUNCTION_INFO_V1(nbm_migration_prompt);

/* migration_prompt(notebook_id, version, scope) -> what a model is shown */
Datum
nbm_migration_prompt(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	NbmStore	store = nbm_arg_store(fcinfo, &nbm_notebook, 0, true);
	const char *scope = PG_ARGISNULL(2) ? "all" : nbm_arg_text(fcinfo, 2);
	int			level;
	Jsonb	   *prompt;

	if (strcmp(scope, "all") != 0 && strcmp(scope, "changed") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("scope must be \"all\" or \"changed\", not \"%s\"",
						scope)));
	level = nbm_store_begin();
	prompt = nbm_prompt_make(&store,
							 nbm_store_resolve(&store, PG_ARGISNULL(1),
											   PG_GETARG_INT32(1)),
							 strcmp(scope, "changed") == 0, caller);
	nbm_store_end(level);
	PG_RETURN_JSONB_P(prompt);
}

/* Adds a member of the reply as it was found, or else an empty value. */
static void
add_found(NbmMembers *members, JsonbContainer *reply, const char *key,
		  Jsonb *otherwise)
{
	JsonbValue *value = nbm_member_value(members, key);

	if (!nbm_get(reply, key, value))
		nbm_set_jsonb(value, otherwise);
}

/* Adds what was found in a reply. */
static void
add_reply(NbmMembers *members, const NbmReply *reply)
{
	NbmMembers	no_members = {.count = 0};
	NbmValues	no_values = {NULL, 0, 0};

	if (reply->kind == NBM_MAPPING_REPLY)
	{
		nbm_member_text(members, "kind", nbm_text("mapping"));
		nbm_member_jsonb(members, "mapping", reply->value);
		return;
	}
	nbm_member_text(members, "kind", nbm_text("workflow"));
	add_found(members, &reply->value->root, "code",
			  nbm_object_of(&no_members));
	add_found(members, &reply->value->root, "edges", nbm_array_of(&no_values));
	add_found(members, &reply->value->root, "outputs",
			  nbm_object_of(&no_members));
}

PG_FUNCTION_INFO_V1(nbm_workflow_parse_reply);

/* workflow_parse_reply(reply) -> what is found in it, and what is odd */
Datum
nbm_workflow_parse_reply(PG_FUNCTION_ARGS)
{
	struct varlena *reply = PG_GETARG_TEXT_PP(0);
	NbmMembers	members = {.count = 0};
	NbmValues	udfs = {NULL, 0, 0};
	NbmValues	warnings = {NULL, 0, 0};
	NbmReply	found;
	NbmPlan		plan = {0};

	nbm_reply_find(VARDATA_ANY(reply), VARSIZE_ANY_EXHDR(reply),
				   NBM_ANY_REPLY, &found);
	if (found.kind == NBM_WORKFLOW_REPLY)
		nbm_plan_read(&found, NULL, 0, &plan);
	else
		nbm_plan_map(&found, NULL, &plan);
	nbm_problems_close(&plan.problems);
	for (int i = 0; i < found.nnames; i++)
		nbm_add_text(&udfs, found.names[i]);
	for (int i = 0; i < plan.problems.count; i++)
		nbm_add_text(&warnings, nbm_text(plan.problems.items[i]));
	add_reply(&members, &found);
	nbm_member_integer(&members, "line", found.line);
	nbm_member_integer(&members, "column", found.column);
	nbm_member_jsonb(&members, "udfs", nbm_array_of(&udfs));
	nbm_member_jsonb(&members, "warnings", nbm_array_of(&warnings));
	PG_RETURN_JSONB_P(nbm_object_of(&members));
}

/* The problems as text[]. */
static Datum
problems_datum(const NbmProblems *problems)
{
	Datum	   *items = palloc_array(Datum, Max(problems->count, 1));

	for (int i = 0; i < problems->count; i++)
		items[i] = CStringGetTextDatum(problems->items[i]);
	return PointerGetDatum(construct_array(items, problems->count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/* A text argument that must not be NULL, its length in *len. */
static const char *
reply_arg(FunctionCallInfo fcinfo, int number, const char *name, int *len)
{
	struct varlena *reply;

	nbm_require_arg(fcinfo, number, name);
	reply = PG_GETARG_TEXT_PP(number);
	*len = VARSIZE_ANY_EXHDR(reply);
	return VARDATA_ANY(reply);
}

PG_FUNCTION_INFO_V1(nbm_migration_accept);

/* migration_accept(nb, version, replies, wf, name, strict) -> one row */
Datum
nbm_migration_accept(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int64		workflow_id = PG_GETARG_INT64(4);
	NbmReplies	replies = {nbm_arg_store(fcinfo, &nbm_notebook, 0, false)};
	NbmAccepted accepted;
	Datum		values[4];
	bool		nulls[4] = {false};
	int			level;

	replies.at_head = PG_ARGISNULL(1);
	replies.version = PG_GETARG_INT32(1);
	replies.workflow = reply_arg(fcinfo, 2, "workflow_reply",
								 &replies.workflow_len);
	replies.mapping = reply_arg(fcinfo, 3, "mapping_reply",
								&replies.mapping_len);
	replies.workflow_id = PG_ARGISNULL(4) ? NULL : &workflow_id;
	replies.name = nbm_arg_text(fcinfo, 5);
	replies.is_strict = !PG_ARGISNULL(6) && PG_GETARG_BOOL(6);
	InitMaterializedSRF(fcinfo, 0);
	level = nbm_store_begin();
	nbm_accept(&replies, &accepted);
	values[0] = Int64GetDatum(accepted.workflow_id);
	values[1] = Int32GetDatum(accepted.workflow_version);
	values[2] = Int64GetDatum(accepted.mapping_id);
	values[3] = problems_datum(&accepted.problems);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	nbm_store_end(level);
	return (Datum) 0;
}
