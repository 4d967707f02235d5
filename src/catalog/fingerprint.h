/*
 * fingerprint.h
 *		All that the schemas of the database consist of, as lines.
 */
#ifndef NBM_FINGERPRINT_H
#define NBM_FINGERPRINT_H

/* Lines in the order of their bytes; memory of the context it was made in. */
typedef struct NbmFingerprint
{
	char	  **lines;
	int			count;
} NbmFingerprint;

extern NbmFingerprint nbm_fingerprint(void);
extern char *nbm_fingerprint_diff(const NbmFingerprint *before,
								  const NbmFingerprint *after);

#endif							/* NBM_FINGERPRINT_H */
