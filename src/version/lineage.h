/*
 * lineage.h
 *		Items that were split or merged: found at commit, told in diffs.
 */
#ifndef NBM_LINEAGE_H
#define NBM_LINEAGE_H

#include "compare.h"
#include "store.h"

extern Jsonb *nbm_lineage_find(const NbmStore *store, const NbmLayout *from,
							   const NbmLayout *to, const NbmChange *changes,
							   int count, NbmBodies *bodies);
extern void nbm_lineage_tell(const NbmStore *store, int32 from_version,
							 int32 to_version, const NbmLayout *from,
							 const NbmLayout *to, NbmChange *changes,
							 int count);

#endif							/* NBM_LINEAGE_H */
