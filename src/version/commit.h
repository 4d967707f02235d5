/*
 * commit.h
 *		Making versions: whole documents, layouts, first versions.
 */
#ifndef NBM_COMMIT_H
#define NBM_COMMIT_H

#include "store.h"

/* A new version that is being put together. */
typedef struct NbmCommit
{
	NbmStore	store;
	NbmHead		head;
	bool		has_parent;
	NbmVersion	parent;			/* the head's version */
	int32		next_key;
	const char *author;			/* NULL: who is writing */
	const char *message;		/* NULL: none */
	bool		keeps_head;		/* the caller writes the head, later */
	bool		is_forced;		/* make a version even of equal content */
	bool		is_first;		/* make version 1; the parent is where items
								 * get their keys from */
	TimestampTz at;				/* when the version was made */
	uint8		digest[NBM_DIGEST_LEN]; /* of the version made */
} NbmCommit;

extern int	nbm_max_document_size;

extern void nbm_check_size(const char *what, Jsonb *content);
extern void nbm_commit_begin(NbmCommit *commit, const NbmStore *store,
							 const int32 *expected, const char *message);
extern int32 nbm_commit_document(NbmCommit *commit, Jsonb *content,
								 Jsonb *old);
extern int32 nbm_commit_layout(NbmCommit *commit, NbmLayout *layout);
extern int64 nbm_commit_first(const NbmKind *kind, const int64 *id,
							  const char *name, Jsonb *content,
							  TimestampTz *at);
extern int32 nbm_commit_restore(NbmCommit *commit, int32 version);
extern Jsonb *nbm_read_document(const NbmStore *store,
								const NbmVersion *version,
								MemoryContext context);

#endif							/* NBM_COMMIT_H */
