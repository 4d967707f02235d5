/*
 * mapping_tolerant.h
 *		Mappings as they were stored by others, sound or not.
 */
#ifndef NBM_MAPPING_TOLERANT_H
#define NBM_MAPPING_TOLERANT_H

#include "nodes/pg_list.h"

#include "mapping.h"

extern List *nbm_mapping_salvage(const NbmLayout *notebook,
								 const NbmLayout *workflow, Jsonb *mapping,
								 NbmLinks *links);

#endif							/* NBM_MAPPING_TOLERANT_H */
