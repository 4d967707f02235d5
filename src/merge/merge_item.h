/*
 * merge_item.h
 *		Merging three versions of a cell or an operator.
 */
#ifndef NBM_MERGE_ITEM_H
#define NBM_MERGE_ITEM_H

#include "document.h"
#include "merge_values.h"

extern void nbm_merge_item(NbmMerging *merging, const NbmKind *kind,
						   const JsonbValue *const *values,
						   JsonbValue *result);
extern bool nbm_item_untouched(const NbmKind *kind, JsonbContainer *before,
							   JsonbContainer *after);

#endif							/* NBM_MERGE_ITEM_H */
