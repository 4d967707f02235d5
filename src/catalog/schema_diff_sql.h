/*
 * schema_diff_sql.h
 *		Pieces of SQL that stand in a description: checked, read, rewritten.
 */
#ifndef NBM_SCHEMA_DIFF_SQL_H
#define NBM_SCHEMA_DIFF_SQL_H

#include "schema_diff_model.h"

/* What a piece is. */
typedef enum NbmPiece
{
	NBM_EXPRESSION,
	NBM_INDEX_DEFINITION
} NbmPiece;

/* A column's name, and the one it is to have. */
typedef struct NbmMove
{
	const char *from;
	const char *to;
} NbmMove;

extern void nbm_sql_type(NbmColumn *column, const char *sql,
						 const char *schema, const char *path);
extern void nbm_sql_check(NbmPiece piece, const char *sql, const char *path);
extern List *nbm_sql_columns(NbmPiece piece, const char *sql);
extern List *nbm_sql_index_names(const char *definition);
extern char *nbm_sql_rename(NbmPiece piece, char *sql, const List *moves);
extern bool nbm_sql_stands_alone(const char *expression);

#endif							/* NBM_SCHEMA_DIFF_SQL_H */
