/*
 * sql_patch.c
 *		SQL entry points of JSON Patch.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "json_diff.h"
#include "json_patch.h"

PG_FUNCTION_INFO_V1(nbm_json_patch_sql);

/* json_patch(target, patch) -> the document after the patch */
Datum
nbm_json_patch_sql(PG_FUNCTION_ARGS)
{
	NbmPatching *patching = nbm_patch_open(PG_GETARG_JSONB_P(0));
	Jsonb	   *result;
	NbmFailure	failure;

	if (!nbm_patch_apply(patching, PG_GETARG_JSONB_P(1), &failure))
		ereport(ERROR,
				(errcode(failure.sqlstate),
				 errmsg("%s", failure.message)));
	result = nbm_patch_finish(patching);
	nbm_patch_close(patching);
	PG_RETURN_JSONB_P(result);
}

PG_FUNCTION_INFO_V1(nbm_json_patch_diff_sql);

/* json_patch_diff(from, to) -> the patch that makes one of the other */
Datum
nbm_json_patch_diff_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(nbm_json_diff(PG_GETARG_JSONB_P(0),
									PG_GETARG_JSONB_P(1)));
}
