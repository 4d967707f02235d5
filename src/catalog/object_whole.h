/*
 * object_whole.h
 *		What an object of the catalogs is a part of, and its row and name.
 */
#ifndef NBM_OBJECT_WHOLE_H
#define NBM_OBJECT_WHOLE_H

#include "access/htup.h"
#include "catalog/objectaddress.h"
#include "utils/snapshot.h"

extern HeapTuple nbm_object_row(const ObjectAddress *object, Snapshot snapshot);
extern ObjectAddress nbm_object_whole(const ObjectAddress *object);
extern char *nbm_object_short_name(const ObjectAddress *object);

#endif							/* NBM_OBJECT_WHOLE_H */
