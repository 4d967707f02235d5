/*
 * mapping_shape.h
 *		The answer for a pair of versions in Apache Texera's shape.
 */
#ifndef NBM_MAPPING_SHAPE_H
#define NBM_MAPPING_SHAPE_H

#include "mapping.h"

extern Jsonb *nbm_mapping_shape(const NbmAnswer *answer,
								MemoryContext context);

#endif							/* NBM_MAPPING_SHAPE_H */
