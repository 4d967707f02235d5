/*
 * schema_diff_write.h
 *		The statements that make and change tables.
 */
#ifndef NBM_SCHEMA_DIFF_WRITE_H
#define NBM_SCHEMA_DIFF_WRITE_H

#include "schema_diff_model.h"

extern const char *nbm_table_in(const char *schema, const char *table);
extern bool nbm_key_equal(const char *schema, const NbmKey *a,
						  const NbmKey *b);
extern char *nbm_add_key_sql(const char *schema, const char *table,
							 const NbmKey *key);
extern char *nbm_drop_key_sql(const char *schema, const char *table,
							  const NbmKey *key);
extern char *nbm_rename_key_sql(const char *schema, const char *table,
								NbmKeyKind kind, const char *from,
								const char *to);
extern char *nbm_add_column_sql(const char *schema, const char *table,
								const NbmColumn *column);
extern char *nbm_drop_column_sql(const char *schema, const char *table,
								 const char *column);
extern char *nbm_create_table_sql(const char *schema, const NbmTable *table);
extern char *nbm_table_comment_sql(const char *schema, const char *table,
								   const char *comment);
extern char *nbm_column_comment_sql(const char *schema, const char *table,
									const char *column, const char *comment);
extern char *nbm_key_comment_sql(const char *schema, const char *table,
								 const NbmKey *key, const char *comment);
extern char *nbm_default_sql(const char *schema, const char *table,
							 const char *column, const char *expression);
extern char *nbm_add_numbering_sql(const char *schema, const char *table,
								   const NbmColumn *column);
extern char *nbm_drop_numbering_sql(const char *schema, const char *table,
									const NbmColumn *column);
extern char *nbm_type_sql(const char *schema, const char *table,
						  const NbmColumn *from, const NbmColumn *to);

#endif							/* NBM_SCHEMA_DIFF_WRITE_H */
