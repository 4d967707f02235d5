/*
 * schema_lint.h
 *		What should be known of a script before it runs.
 */
#ifndef NBM_SCHEMA_LINT_H
#define NBM_SCHEMA_LINT_H

#include "nodes/pg_list.h"

/* Something to know of a statement. */
typedef struct NbmFinding
{
	int			statement;		/* from 1 */
	const char *rule;
	char	   *message;
} NbmFinding;

extern int	nbm_schema_big_table;

extern List *nbm_schema_lint(const char *script);

#endif							/* NBM_SCHEMA_LINT_H */
