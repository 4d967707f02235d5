/*
 * schema_verify.h
 *		What is not as the schema migrations have it.
 */
#ifndef NBM_SCHEMA_VERIFY_H
#define NBM_SCHEMA_VERIFY_H

#include "nodes/pg_list.h"

/* A thing that is not as it should be. */
typedef struct NbmSchemaProblem
{
	const char *name;			/* of a migration, or an index */
	const char *problem;
	const char *detail;
} NbmSchemaProblem;

extern List *nbm_verify_schema(Oid owner, bool check_down);

#endif							/* NBM_SCHEMA_VERIFY_H */
