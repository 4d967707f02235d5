/*
 * schema_diff.h
 *		What makes one schema of another, as operations with SQL both ways.
 */
#ifndef NBM_SCHEMA_DIFF_H
#define NBM_SCHEMA_DIFF_H

#include "schema_diff_model.h"

typedef struct NbmOperation
{
	const char *kind;			/* add_column and so on */
	const char *table;			/* its name at that moment */
	const char *part;			/* column, constraint or index; or NULL */
	const char *name;			/* the part's */
	const char *to;				/* its new name, where it gets one */
	char	   *note;			/* for people; or NULL */
	char	   *up;
	char	   *down;
	bool		destructive;
} NbmOperation;

extern List *nbm_schema_diff(const NbmDescription *before,
							 const NbmDescription *after,
							 const List *renames);
extern void nbm_operation_notices(const List *operations);
extern Jsonb *nbm_operation_jsonb(const NbmOperation *operation);

#endif							/* NBM_SCHEMA_DIFF_H */
