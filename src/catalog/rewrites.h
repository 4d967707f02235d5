/*
 * rewrites.h
 *		What ALTER TABLE must do with the rows that are there.
 */
#ifndef NBM_REWRITES_H
#define NBM_REWRITES_H

#include "nodes/parsenodes.h"

extern bool nbm_is_serial(const TypeName *type);
extern const char *nbm_why_added_rewrites(const ColumnDef *column);
extern bool nbm_retyping_rewrites(Oid relid, const char *name,
								  const ColumnDef *column);
extern bool nbm_is_not_null(Oid relid, const char *name);

#endif							/* NBM_REWRITES_H */
