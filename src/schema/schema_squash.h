/*
 * schema_squash.h
 *		One migration in place of several.
 */
#ifndef NBM_SCHEMA_SQUASH_H
#define NBM_SCHEMA_SQUASH_H

extern int	nbm_squash(Oid owner, const char *from, const char *to,
					   const char *name, bool checks);

#endif							/* NBM_SCHEMA_SQUASH_H */
