/*
 * paths.h
 *		Where two jsonb objects differ, by path.
 */
#ifndef NBM_PATHS_H
#define NBM_PATHS_H

#include "jsonb_bytes.h"

/* A growing list of strings; neither is owned. */
typedef struct NbmWords
{
	char	  **items;
	int			count;
	int			room;
} NbmWords;

extern void nbm_words_add(NbmWords *words, char *name);
extern void nbm_path_append(StringInfo buf, NbmText key);
extern char *nbm_path_member(const char *prefix, NbmText key);
extern void nbm_differing_paths(JsonbContainer *a, JsonbContainer *b,
								const char *const *whole, NbmWords *words);

#endif							/* NBM_PATHS_H */
