/*
 * part.h
 *		Parts: jsonb bodies that the store keeps once, named by their digest.
 */
#ifndef NBM_PART_H
#define NBM_PART_H

#include "jsonb_bytes.h"

#define NBM_DIGEST_LEN 32

/* A body with its name, ready to be stored. */
typedef struct NbmPart
{
	uint64		id;				/* first 8 bytes of the digest, big-endian */
	uint8		digest[NBM_DIGEST_LEN]; /* SHA-256 of the body's text */
	Jsonb	   *body;			/* with a marker where bytes are held apart */
	bytea	   *bytes;			/* of a long base64 string; NULL: none */
} NbmPart;

/* A body as it is stored. */
typedef struct NbmBody
{
	Jsonb	   *body;			/* with a marker where bytes are held apart */
	bytea	   *bytes;			/* NULL: none */
} NbmBody;

extern void nbm_sha256(const char *data, int len, uint8 *digest);
extern void nbm_part_digest(Jsonb *body, uint8 *digest);
extern uint64 nbm_part_id(const uint8 *digest);
extern void nbm_part_make(Jsonb *body, NbmPart *part);
extern bool nbm_part_is_sound(const NbmBody *body);
extern Jsonb *nbm_part_whole(NbmBody *body);
extern Size nbm_part_size(const NbmBody *body);
extern void nbm_part_write(NbmWriter *w, const NbmBody *body);

#endif							/* NBM_PART_H */
