/*
 * schema_diff_loss.h
 *		What a change of a column's type may lose.
 */
#ifndef NBM_SCHEMA_DIFF_LOSS_H
#define NBM_SCHEMA_DIFF_LOSS_H

#include "schema_diff_model.h"

extern bool nbm_loses_values(const NbmColumn *from, const NbmColumn *to);

#endif							/* NBM_SCHEMA_DIFF_LOSS_H */
