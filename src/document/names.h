/*
 * names.h
 *		Names of items, as callers see and say them.
 */
#ifndef NBM_NAMES_H
#define NBM_NAMES_H

#include "document.h"

/* All names of a version's items, to be looked up; see nbm_names_open. */
typedef struct NbmNames
{
	const NbmLayout *layout;
	struct NbmName *sorted;
	int			count;
	int		   *by_key;
	int32		max_key;
} NbmNames;

extern void nbm_names_open(const NbmLayout *layout, NbmNames *names);
extern int	nbm_names_find(const NbmNames *names, const JsonbValue *name,
						   const char **why);
extern char *nbm_shown_name(const JsonbValue *name);
extern int	nbm_names_find_id(const NbmNames *names, NbmText id);
extern NbmText *nbm_item_names(const NbmLayout *layout);
extern int	nbm_find_named(const NbmItem *first, Size stride, int count,
						   const JsonbValue *name, const char **why);

#endif							/* NBM_NAMES_H */
