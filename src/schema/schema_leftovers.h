/*
 * schema_leftovers.h
 *		What a session keeps of a transaction that was undone.
 */
#ifndef NBM_SCHEMA_LEFTOVERS_H
#define NBM_SCHEMA_LEFTOVERS_H

#include "nodes/pg_list.h"

extern List *nbm_leftovers(void);
extern void nbm_clear_leftovers(List *before);

#endif							/* NBM_SCHEMA_LEFTOVERS_H */
