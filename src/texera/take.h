/*
 * take.h
 *		Taking an application's documents and mappings into the store.
 */
#ifndef NBM_TAKE_H
#define NBM_TAKE_H

#include "nodes/pg_list.h"

#include "attachment.h"
#include "store.h"

/* What became of a document. */
typedef enum NbmTaken
{
	NBM_TAKEN_FIRST,			/* it is new */
	NBM_TAKEN_NEXT,				/* it has a new version */
	NBM_TAKEN_EQUAL				/* it was so already */
} NbmTaken;

extern NbmTaken nbm_take_document(const NbmStore *store, const char *name,
								  Jsonb *content, int32 *version);
extern void nbm_take_name(const NbmStore *store, const char *name);
extern int64 nbm_take_mapping(int64 notebook_id, int64 workflow_id,
							  const int64 *vid, Jsonb *mapping,
							  int32 *notebook_version, int *nlinks,
							  List **problems);
extern bool nbm_take_is_mapped(int64 notebook_id, int64 workflow_id);
extern void nbm_check_operators(Jsonb *workflow);

#endif							/* NBM_TAKE_H */
