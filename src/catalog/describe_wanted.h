/*
 * describe_wanted.h
 *		A description that people wrote, as the server would have written it.
 */
#ifndef NBM_DESCRIBE_WANTED_H
#define NBM_DESCRIBE_WANTED_H

#include "schema_diff_model.h"

extern void nbm_settle_wanted(const NbmDescription *current,
							  NbmDescription *wanted);

#endif							/* NBM_DESCRIBE_WANTED_H */
