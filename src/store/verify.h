/*
 * verify.h
 *		Is everything as it was stored?
 */
#ifndef NBM_VERIFY_H
#define NBM_VERIFY_H

#include "store.h"

/* Told of each problem; version 0 and part NULL: of no version, no part. */
typedef void (*NbmProblem) (const NbmStore *store, int32 version,
							const uint64 *part, const char *problem,
							void *arg);

extern void nbm_verify(const NbmStore *store, NbmProblem report, void *arg);

#endif							/* NBM_VERIFY_H */
