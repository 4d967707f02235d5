/*
 * schema_diff_model.h
 *		A schema's description as structures.
 */
#ifndef NBM_SCHEMA_DIFF_MODEL_H
#define NBM_SCHEMA_DIFF_MODEL_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* What numbers the rows of a column. */
typedef enum NbmNumbering
{
	NBM_NOT_NUMBERED,
	NBM_ALWAYS,
	NBM_BY_DEFAULT,
	NBM_SERIAL
} NbmNumbering;

typedef struct NbmColumn
{
	char	   *name;
	char	   *type;			/* as the server writes it, where it knows it */
	Oid			type_oid;		/* InvalidOid where it does not */
	int32		typmod;
	char	   *collation;		/* SQL; NULL: the type's */
	bool		nullable;
	char	   *expression;		/* its default, or what generates it; or NULL */
	bool		is_generated;
	bool		is_virtual;
	NbmNumbering numbering;
	char	   *comment;		/* NULL: none; so for all comments */
} NbmColumn;

/* In the order in which they are made. */
typedef enum NbmKeyKind
{
	NBM_KEY_PRIMARY,
	NBM_KEY_UNIQUE,
	NBM_KEY_CHECK,
	NBM_KEY_INDEX,
	NBM_KEY_FOREIGN
} NbmKeyKind;

/* A constraint or an index. */
typedef struct NbmKey
{
	NbmKeyKind	kind;
	char	   *name;
	List	   *columns;		/* names; for a check or index: none */
	List	   *include;
	char	   *sql;			/* a check's expression, an index's definition */
	bool		is_unique;		/* an index */
	bool		is_invalid;		/* an index */
	bool		nulls_not_distinct;
	bool		no_inherit;
	bool		not_valid;
	bool		match_full;
	char	   *deferrable;		/* NULL, immediate or deferred */
	char	   *ref_schema;		/* NULL: the own one */
	char	   *ref_table;
	List	   *ref_columns;
	char	   *on_delete;		/* NULL: nothing */
	List	   *on_delete_columns;
	char	   *on_update;
	char	   *comment;
} NbmKey;

typedef struct NbmTable
{
	const char *path;			/* where it stands in its document */
	char	   *name;
	char	   *comment;
	List	   *columns;		/* of NbmColumn, in their order */
	List	   *keys;			/* of NbmKey, by kind and name */
} NbmTable;

typedef struct NbmDescription
{
	char	   *name;
	int			count;
	NbmTable  **tables;			/* by name */
} NbmDescription;

/* A hint: what was called from is to be called to. */
typedef struct NbmRename
{
	char	   *table;			/* by its old name */
	char	   *column;			/* NULL: it is the table that is renamed */
	char	   *to;
	bool		is_done;		/* it has that name already */
	NbmTable   *of;				/* the table of before, where it is not */
} NbmRename;

extern NbmDescription *nbm_read_schema(Jsonb *description,
									   const char *argument);
extern List *nbm_read_renames(Jsonb *renames);
extern void nbm_malformed(const char *path, const char *what,...)
			pg_attribute_printf(2, 3) __attribute__((noreturn));
extern NbmTable *nbm_find_table(const NbmDescription *schema,
								const char *name);
extern NbmColumn *nbm_find_column(const NbmTable *table, const char *name);
extern bool nbm_has_string(const List *strings, const char *string);

#endif							/* NBM_SCHEMA_DIFF_MODEL_H */
