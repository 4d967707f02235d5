/*
 * catalog_read.h
 *		Reading definitions from the catalogs while others change them.
 */
#ifndef NBM_CATALOG_READ_H
#define NBM_CATALOG_READ_H

#include "guard.h"

extern void nbm_read_catalogs(NbmWork work, void *arg);
extern void nbm_catalogs_changed(const char *detail)
			__attribute__((noreturn));

#endif							/* NBM_CATALOG_READ_H */
