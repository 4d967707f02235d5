/*
 * links.h
 *		The links of a workflow, read from its envelope.
 */
#ifndef NBM_LINKS_H
#define NBM_LINKS_H

#include "layout.h"

/* A link of a workflow by what it joins, not by its own id. */
typedef struct NbmWorkflowLink
{
	int32		source;			/* operator keys; 0: no such operator */
	int32		target;
	int			source_item;	/* their places in the layout; -1: no such one */
	int			target_item;
	NbmText		source_port;
	NbmText		target_port;
	NbmText		source_id;		/* where there is no such operator */
	NbmText		target_id;
	uint64		rest;			/* hash of its own id and all else it says */
} NbmWorkflowLink;

/* An operator's id, key and place, for look-ups by id. */
typedef struct NbmIdKey
{
	NbmText		id;
	int32		key;
	int			item;			/* its place in the layout */
} NbmIdKey;

extern NbmWorkflowLink *nbm_read_links(JsonbContainer *envelope,
									   const NbmLayout *layout, int *count);
extern int	nbm_link_cmp(const void *a, const void *b);
extern int	nbm_whole_link_cmp(const void *a, const void *b);
extern void nbm_sort_whole_links(NbmWorkflowLink *links, size_t count);
extern NbmIdKey *nbm_sorted_ids(const NbmLayout *layout, int *count);
extern const NbmIdKey *nbm_find_id(const NbmIdKey *ids, int nids, NbmText id);

#endif							/* NBM_LINKS_H */
