/*
 * schema_bundle.h
 *		Definitions of schema migrations as one document.
 */
#ifndef NBM_SCHEMA_BUNDLE_H
#define NBM_SCHEMA_BUNDLE_H

#include "utils/jsonb.h"

extern Jsonb *nbm_bundle_export(void);
extern int	nbm_bundle_import(Jsonb *bundle);

#endif							/* NBM_SCHEMA_BUNDLE_H */
