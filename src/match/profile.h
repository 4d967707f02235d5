/*
 * profile.h
 *		How similar two texts are.
 */
#ifndef NBM_PROFILE_H
#define NBM_PROFILE_H

#define NBM_ONE				10000	/* similarity and weight of equal items */
#define NBM_SIMILAR_NEAR	4000	/* needed between the same neighbours */
#define NBM_SIMILAR_FAR		7500	/* needed anywhere */

#define NBM_PROFILE_WORDS	32

/* The set of a text's grams. */
typedef struct NbmProfile
{
	uint32	   *grams;			/* hashes, ascending, no hash twice */
	int			ngrams;
	int			nchars;			/* characters, each run of white space is one */
	bool		cut;			/* grams holds only the smallest ones */
	int			nbits;			/* of these that are set: */
	uint64		bits[NBM_PROFILE_WORDS];	/* the grams, modulo the number of
											 * bits */
} NbmProfile;

/* Is this byte white space in every encoding a server can have? */
static inline bool
nbm_is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

extern NbmProfile *nbm_profile_make(const char *str, int len);
extern int	nbm_profile_share(const NbmProfile *part, const NbmProfile *whole);
extern int	nbm_profile_compare(const char *a, int alen, const NbmProfile *pa,
								const char *b, int blen, const NbmProfile *pb,
								int floor);

#endif							/* NBM_PROFILE_H */
