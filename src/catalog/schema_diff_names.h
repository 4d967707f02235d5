/*
 * schema_diff_names.h
 *		Names of constraints and indexes that a description leaves out.
 */
#ifndef NBM_SCHEMA_DIFF_NAMES_H
#define NBM_SCHEMA_DIFF_NAMES_H

#include "schema_diff_model.h"

extern void nbm_name_keys(NbmDescription *schema);

#endif							/* NBM_SCHEMA_DIFF_NAMES_H */
