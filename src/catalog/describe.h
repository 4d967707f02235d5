/*
 * describe.h
 *		A schema read from the catalogs, as a document.
 */
#ifndef NBM_DESCRIBE_H
#define NBM_DESCRIBE_H

#include "utils/jsonb.h"

extern Jsonb *nbm_describe_schema(Oid schema);

#endif							/* NBM_DESCRIBE_H */
