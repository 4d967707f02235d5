/*
 * sql_schema.c
 *		The functions on schema migrations.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "compat.h"
#include "part.h"

PG_FUNCTION_INFO_V1(nbm_schema_digest);

/* schema_digest(body) → bytea: SHA-256 of a script, in UTF-8. */
Datum
nbm_schema_digest(PG_FUNCTION_ARGS)
{
	char	   *body = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *utf8 = pg_server_to_any(body, strlen(body), PG_UTF8);
	bytea	   *digest = palloc(VARHDRSZ + NBM_DIGEST_LEN);

	SET_VARSIZE(digest, VARHDRSZ + NBM_DIGEST_LEN);
	nbm_sha256(utf8, strlen(utf8), (uint8 *) VARDATA(digest));
	PG_RETURN_BYTEA_P(digest);
}
