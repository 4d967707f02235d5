/*
 * profile.h
 *		How similar two texts are.
 */
#ifndef NBM_PROFILE_H
#define NBM_PROFILE_H

#define NBM_ONE				10000	/* similarity and weight of equal items */
#define NBM_SIMILAR_NEAR	4000	/* needed between the same neighbours */
#define NBM_SIMILAR_FAR		7500	/* needed anywhere */

/* The set of a text's grams. */
typedef struct NbmProfile
{
	uint32	   *grams;			/* hashes, ascending, no hash twice */
	int			ngrams;
	int			nchars;			/* characters, each run of white space is one */
	bool		cut;			/* grams holds only the smallest ones */
} NbmProfile;

/* Is this byte white space in every encoding a server can have? */
static inline bool
nbm_is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

extern NbmProfile *nbm_profile_make(const char *str, int len);
extern int	nbm_profile_compare(const char *a, int alen, const NbmProfile *pa,
								const char *b, int blen, const NbmProfile *pb);

#endif							/* NBM_PROFILE_H */
