/*
 * recent.h
 *		The document that this session saved last.
 */
#ifndef NBM_RECENT_H
#define NBM_RECENT_H

#include "store.h"

extern Jsonb *nbm_recent_get(const NbmStore *store, const uint8 *digest);
extern void nbm_recent_put(const NbmStore *store, const uint8 *digest,
						   Jsonb *content);

#endif							/* NBM_RECENT_H */
