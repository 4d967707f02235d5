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

/*
 * The items of one version that are to be identified: what changed between it
 * and the other one.  Its other items have their keys.
 */
typedef struct NbmCandidates
{
	NbmCandidate *items;		/* in the order of the layout */
	int			nitems;
	const NbmLayout *layout;	/* all of the version; NULL: there is none */
	JsonbContainer *document;	/* whole, or its envelope: where links are;
								 * NULL where nobody knows them */
} NbmCandidates;

extern void nbm_describe(const NbmKind *kind, const NbmCandidate *candidate,
						 NbmMatchItem *item);
extern int *nbm_pair_candidates(const NbmKind *kind,
								const NbmCandidates *olds,
								const NbmCandidates *news);
extern void nbm_identify(const NbmStore *store, const NbmCandidates *olds,
						 const NbmCandidates *news, int32 version,
						 int32 *next_key);

#endif							/* NBM_IDENTITY_H */
