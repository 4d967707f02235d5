/*
 * json_pointer.h
 *		JSON Pointers (RFC 6901): taken apart and written.
 *
 * A plain algorithm: it knows no tables and runs no SQL.
 */
#ifndef NBM_JSON_POINTER_H
#define NBM_JSON_POINTER_H

#include "jsonb_bytes.h"

/* Values that nbm_pointer_index has besides indexes. */
#define NBM_INDEX_NONE	(-1)	/* the token is no index */
#define NBM_INDEX_END	(-2)	/* the token is -, behind the last element */

/* A pointer taken apart.  Tokens are unescaped and not owned. */
typedef struct NbmPointer
{
	NbmText		str;			/* the pointer as it was written */
	int			count;			/* tokens; 0 points to the whole document */
	NbmText    *tokens;
	int		   *starts;			/* where in str each token's slash is */
} NbmPointer;

extern const char *nbm_pointer_parse(NbmText str, NbmPointer *pointer);
extern int	nbm_pointer_index(NbmText token);
extern NbmText nbm_pointer_prefix(const NbmPointer *pointer, int count);
extern bool nbm_pointer_is_inside(const NbmPointer *inner,
								  const NbmPointer *outer);
extern void nbm_pointer_append_key(StringInfo buf, NbmText key);
extern void nbm_pointer_append_index(StringInfo buf, int index);

#endif							/* NBM_JSON_POINTER_H */
