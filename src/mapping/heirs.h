/*
 * heirs.h
 *		Links that go on to the items which took an item's text over.
 */
#ifndef NBM_HEIRS_H
#define NBM_HEIRS_H

#include "mapping.h"

extern void nbm_links_inherit(NbmAnswer *answer);

#endif							/* NBM_HEIRS_H */
