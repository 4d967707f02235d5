/*
 * attached_row.h
 *		Rows of attached tables: their columns by name.
 */
#ifndef NBM_ATTACHED_ROW_H
#define NBM_ATTACHED_ROW_H

#include "access/htup_details.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"

/* A row of a table. */
typedef struct NbmRow
{
	HeapTuple	tuple;
	TupleDesc	desc;
} NbmRow;

/* The setting notebook_migrate.max_attached_size, in kB. */
extern int	nbm_max_attached_size;

extern bool nbm_row_has(const NbmRow *row, const char *column);
extern bool nbm_row_int(const NbmRow *row, const char *column, int64 *value);
extern char *nbm_row_text(const NbmRow *row, const char *column);
extern Jsonb *nbm_row_jsonb(const NbmRow *row, const char *column);
extern bool nbm_row_same(const NbmRow *a, const NbmRow *b,
						 const char *column);
extern void nbm_table_gone(Oid table) __attribute__((noreturn));
extern void nbm_check_column(TupleDesc desc, const char *table,
							 const char *column, bool is_key);
extern void nbm_check_readable(Oid target, const char *key,
							   const char *other);
extern Jsonb *nbm_parse_jsonb(text *string);

#endif							/* NBM_ATTACHED_ROW_H */
