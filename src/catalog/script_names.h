/*
 * script_names.h
 *		What the names in a script mean, statement by statement.
 */
#ifndef NBM_SCRIPT_NAMES_H
#define NBM_SCRIPT_NAMES_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/* What a script has made of names so far; zero at its beginning. */
typedef struct NbmScriptNames
{
	struct HTAB *relations;		/* NULL: none yet */
	List	   *schemas;		/* names of those that it created */
} NbmScriptNames;

/* What a relation's name means at some place of a script. */
typedef struct NbmScriptRelation
{
	char	   *shown;			/* quoted, as the script writes it */
	Oid			relid;			/* 0: there is none in the database */
	bool		is_new;			/* the script created it */
	char		relkind;		/* 0 where there is none */
} NbmScriptRelation;

extern void nbm_sql_name_find(const NbmScriptNames *names, const RangeVar *name,
							  NbmScriptRelation *relation);
extern void nbm_sql_name_create(NbmScriptNames *names, const RangeVar *name);
extern void nbm_sql_name_drop(NbmScriptNames *names, const RangeVar *name);
extern void nbm_sql_name_move(NbmScriptNames *names, const RangeVar *from,
							  const RangeVar *to);
extern void nbm_sql_names_set_path(const VariableSetStmt *statement);
extern double nbm_relation_rows(Oid relid);

#endif							/* NBM_SCRIPT_NAMES_H */
