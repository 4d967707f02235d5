/*
 * args.c
 *		Arguments and results of SQL-callable functions.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "args.h"

/* Raises 22004 where an argument is NULL that must not be. */
void
nbm_require_arg(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

/* The document that an argument names; raises 22004 for NULL. */
NbmStore
nbm_arg_store(FunctionCallInfo fcinfo, const NbmKind *kind, int number,
			  bool read_only)
{
	NbmStore	store = {kind, 0, read_only};

	nbm_require_arg(fcinfo, number, kind == &nbm_notebook ? "notebook_id" :
					"workflow_id");
	store.id = PG_GETARG_INT64(number);
	return store;
}

/* A text argument as a C string of the current context; NULL for NULL. */
char *
nbm_arg_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/* An expected_version argument: a pointer to space, or NULL for NULL. */
const int32 *
nbm_arg_expected(FunctionCallInfo fcinfo, int number, int32 *space)
{
	if (PG_ARGISNULL(number))
		return NULL;
	*space = PG_GETARG_INT32(number);
	return space;
}

/* A new SQL text of a piece of text. */
Datum
nbm_text_datum(NbmText string)
{
	return PointerGetDatum(cstring_to_text_with_len(string.str, string.len));
}
