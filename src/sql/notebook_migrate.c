/*
 * notebook_migrate.c
 *		The module: its magic and its settings.
 *
 * Rooms, and which way the arrows run:
 *
 *		sql_*, view, attached_trigger	SQL entry points: arguments, results
 *		accept, prompt	a language model's replies, and what it is shown
 *		convert, adopt	a checked plan as a workflow
 *		plan, reply		what the replies say, without a table
 *		scope, script, flow	a version's changes, code, operators and links
 *		attach, attached_write, texera_past, clone, maintain, take
 *						attached tables of applications
 *		texera_access, attachment, attached_row, texera_chain
 *						what is known of them, and read from them
 *		prepend			a past that is put before the versions
 *		guard			work that must not fail, or with another role's rights
 *		mapping*		authored mappings, and answers for other pairs
 *		edit, commit	making versions
 *		compare			what changed between versions
 *		identity		which key an item gets
 *		jobs			the rules of the queue
 *		job_store, job_front	its table, and where it begins
 *		verify			is everything as it was stored?
 *		recent			the document that this session saved last
 *		schema_lint, rewrites, script_names	what a script will do
 *		store, query	the tables
 *		document, names, match, layout, part, jsonb_bytes	plain algorithms
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "attached_row.h"
#include "commit.h"
#include "compat.h"
#include "schema_lint.h"
#include "schema_outside.h"
#include "schema_runner.h"
#include "texera_access.h"

NBM_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/* Defines the settings. */
void
_PG_init(void)
{
	DefineCustomStringVariable("notebook_migrate.author",
							   "Who is named as the author of new versions and mappings.",
							   "Empty: the session's user.",
							   &nbm_author, "", PGC_USERSET, 0,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("notebook_migrate.max_document_size",
							"The largest document that can be stored.",
							NULL, &nbm_max_document_size, 128 * 1024, 1,
							1024 * 1024, PGC_SUSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("notebook_migrate.max_attached_size",
							"The largest content that is taken from an attached table.",
							"Larger ones are not versioned, and have a row in texera_problem.",
							&nbm_max_attached_size, 16 * 1024, 1,
							1024 * 1024, PGC_SUSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("notebook_migrate.texera_uid",
							"The user of Texera whose rights hold where texera_rights() is on.",
							"0: any row of workflow_user_access counts that the role can see.",
							&nbm_texera_uid, 0, 0, PG_INT32_MAX, PGC_SUSET, 0,
							NULL, NULL, NULL);
	DefineCustomIntVariable("notebook_migrate.schema_big_table",
							"From how many rows on schema_lint() takes a table for big.",
							NULL, &nbm_schema_big_table, 1000000, 0,
							PG_INT32_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("notebook_migrate.schema_ignore_drift",
							 "Applies schema migrations although the text of applied ones has changed.",
							 "It is noted in the history.",
							 &nbm_schema_ignore_drift, false, PGC_USERSET, 0,
							 NULL, NULL, NULL);
	MarkGUCPrefixReserved("notebook_migrate");
	nbm_top_level_record = nbm_outside_record;
}
