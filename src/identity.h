/*
 * identity.h
 *		Which key an item of a new version gets.
 */
#ifndef NBM_IDENTITY_H
#define NBM_IDENTITY_H

#include "match.h"
#include "store.h"

/* An item whose key is looked for, or with whose key one is compared. */
typedef struct NbmCandidate
{
	NbmItem    *item;
	JsonbContainer *core;
} NbmCandidate;

extern void nbm_describe(const NbmKind *kind, const NbmCandidate *candidate,
						 NbmMatchItem *item);
extern void nbm_identify(const NbmStore *store, const NbmLayout *parent,
						 NbmCandidate *olds, int nolds,
						 NbmCandidate *news, int nnews,
						 int32 version, int32 *next_key);

#endif							/* NBM_IDENTITY_H */
