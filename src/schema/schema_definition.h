/*
 * schema_definition.h
 *		Registering migrations.
 */
#ifndef NBM_SCHEMA_DEFINITION_H
#define NBM_SCHEMA_DEFINITION_H

#include "schema_store.h"

extern bool nbm_register(Oid owner, const NbmDefinition *definition);

#endif							/* NBM_SCHEMA_DEFINITION_H */
