/*
 * schema_script.h
 *		A script of SQL taken apart into its statements.
 */
#ifndef NBM_SCHEMA_SCRIPT_H
#define NBM_SCHEMA_SCRIPT_H

#include "nodes/parsenodes.h"

/*
 * A comment line before a statement that says that what follows was another
 * migration's script: settings begin anew there.  schema_squash writes it.
 */
#define NBM_PART_MARK "-- notebook_migrate: part"

/* One statement of a script. */
typedef struct NbmStatement
{
	RawStmt    *raw;			/* as the grammar sees it */
	int			start;			/* its first byte, comments left out */
	int			length;			/* bytes, without the semicolon */
	bool		begins_part;	/* stands behind a part mark */
} NbmStatement;

/* A script; the text is the caller's, all else is of the current context. */
typedef struct NbmScript
{
	const char *text;
	NbmStatement *statements;
	int			count;
} NbmScript;

extern NbmScript *nbm_script_parse(const char *text);
extern void nbm_script_check(const NbmScript *script, bool is_transactional);
extern char *nbm_script_statement(const NbmScript *script, int number);
extern int	nbm_script_position(const NbmScript *script, int number,
								int position);

#endif							/* NBM_SCHEMA_SCRIPT_H */
