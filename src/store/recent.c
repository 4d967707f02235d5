/*
 * recent.c
 *		The document that this session saved last.
 *
 * An editor saves the same notebook again and again over one connection, and
 * each save is held against the one before.  So the last saved document is
 * kept as it was: one, of at most RECENT_MAX bytes.
 *
 * It is only ever taken for a version whose row the caller has just read,
 * with his own rights, and whose digest it has: it cannot be stale, not even
 * after a rollback, and shows nobody what he may not see.  Another user of
 * the session does not get it at all.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "recent.h"

#define RECENT_MAX (16 * 1024 * 1024)

static struct
{
	MemoryContext context;
	const NbmKind *kind;		/* NULL: nothing is kept */
	int64		id;
	Oid			user;
	uint8		digest[NBM_DIGEST_LEN];
	Jsonb	   *content;
	Size		room;			/* allocated for content */
}			recent;

/*
 * The document with this digest, if it is the one kept; NULL otherwise.  It
 * belongs to this room and lives until the next nbm_recent_put().
 */
Jsonb *
nbm_recent_get(const NbmStore *store, const uint8 *digest)
{
	if (recent.kind != store->kind ||
		recent.id != store->id || recent.user != GetUserId() ||
		memcmp(recent.digest, digest, NBM_DIGEST_LEN) != 0)
		return NULL;
	return recent.content;
}

/*
 * Keeps a copy of a document, in the place of the one kept before and, where
 * that is not far from its size, in its memory.
 */
void
nbm_recent_put(const NbmStore *store, const uint8 *digest, Jsonb *content)
{
	Size		size = VARSIZE(content);

	recent.kind = NULL;
	if (recent.content != NULL &&
		(recent.room < size || recent.room / 2 > size))
	{
		pfree(recent.content);
		recent.content = NULL;
	}
	if (size > RECENT_MAX)
		return;
	if (recent.content == NULL)
	{
		if (recent.context == NULL)
			recent.context = AllocSetContextCreate(TopMemoryContext,
												   "notebook_migrate recent document",
												   ALLOCSET_SMALL_SIZES);
		/* an eighth more, for the saves that follow */
		recent.room = size + size / 8;
		recent.content = MemoryContextAlloc(recent.context, recent.room);
	}
	memcpy(recent.content, content, size);
	recent.id = store->id;
	recent.user = GetUserId();
	memcpy(recent.digest, digest, NBM_DIGEST_LEN);
	recent.kind = store->kind;
}
