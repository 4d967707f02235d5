/*
 * identity.c
 *		Which key an item of a new version gets.
 *
 * First the items of the version before, by the matcher (match.c); then, for
 * what is still new, all items that the document has ever lost: a cell that
 * comes back, restored or undone, gets its old key.  A key is never used for
 * another item, so what is left gets the next one.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "identity.h"
#include "match.h"

/* Ids from this length on are generated ones, not "cell-1". */
#define GENERATED_ID_LENGTH 8

/* What the matcher needs to know of an item. */
static void
describe(const NbmKind *kind, const NbmCandidate *candidate,
		 NbmMatchItem *item)
{
	NbmText		type = nbm_item_type(kind, candidate->core);
	NbmText		source = nbm_item_source(kind, candidate->core);

	for (int i = 0; i < NBM_IDS; i++)
	{
		item->id[i] = candidate->item->id[i].str;
		item->id_len[i] = candidate->item->id[i].len;
	}
	item->core = candidate->item->core;
	item->type = type.str == NULL ? 0 :
		hash_bytes((const unsigned char *) type.str, type.len);
	item->content = hash_bytes_extended((const unsigned char *) source.str,
										source.len, item->type);
	item->text = source.str;
	item->text_len = source.len;
}

/* Is there nothing but white space in it? */
static bool
is_blank(NbmText source)
{
	for (int i = 0; i < source.len; i++)
		if (!isspace((unsigned char) source.str[i]))
			return false;
	return true;
}

/* Is this a generated id, and do both items have it? */
static bool
share_id(const NbmItem *a, const NbmItem *b)
{
	for (int i = 0; i < NBM_IDS; i++)
		if (a->id[i].len >= GENERATED_ID_LENGTH &&
			nbm_text_eq(a->id[i], b->id[i]))
			return true;
	return false;
}

/*
 * Is this new item the removed one?  In the first round by id and core, in
 * the second by a core that says something, in the third by id alone.
 */
static bool
has_returned(const NbmKind *kind, const NbmCandidate *candidate,
			 const NbmItem *removed, int round)
{
	bool		same_core = candidate->item->core == removed->core;
	bool		same_id = share_id(candidate->item, removed);

	switch (round)
	{
		case 0:
			return same_core && same_id;
		case 1:
			return same_core &&
				!is_blank(nbm_item_source(kind, candidate->core));
		default:
			return same_id;
	}
}

/* Gives old keys to new items that were removed once and come back. */
static void
find_returned(const NbmStore *store, const NbmLayout *parent,
			  NbmCandidate *news, int nnews, int32 version, int32 next_key)
{
	int			nremoved;
	NbmItem    *removed = nbm_store_removed(store, &nremoved);
	bool	   *is_taken = palloc0_array(bool, next_key);

	for (int i = 0; i < parent->nitems; i++)
		is_taken[parent->items[i].key] = true;
	for (int i = 0; i < nremoved; i++)
		if (removed[i].key <= 0 || removed[i].key >= next_key)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("a removed item has a key that was never given")));
	for (int round = 0; round < 3; round++)
	{
		for (int i = 0; i < nnews; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (news[i].item->key != 0)
				continue;
			for (int j = 0; j < nremoved; j++)
			{
				if (is_taken[removed[j].key] ||
					!has_returned(store->kind, &news[i], &removed[j], round))
					continue;
				is_taken[removed[j].key] = true;
				news[i].item->key = removed[j].key;
				news[i].item->since = version;
				break;
			}
		}
	}
}

/*
 * Sets key and since of the new items.  olds are the parent's items that may
 * be theirs; parent (NULL: none) has all that live.  version is the new one's
 * number; *next_key is the first key never used, and is moved on.
 */
void
nbm_identify(const NbmStore *store, const NbmLayout *parent,
			 NbmCandidate *olds, int nolds, NbmCandidate *news, int nnews,
			 int32 version, int32 *next_key)
{
	int		   *old_of_new = palloc_array(int, Max(nnews, 1));
	bool		any_new = false;

	for (int i = 0; i < nnews; i++)
		old_of_new[i] = -1;
	if (nolds > 0 && nnews > 0)
	{
		NbmMatchItem *a = palloc_array(NbmMatchItem, nolds);
		NbmMatchItem *b = palloc_array(NbmMatchItem, nnews);

		for (int i = 0; i < nolds; i++)
			describe(store->kind, &olds[i], &a[i]);
		for (int i = 0; i < nnews; i++)
			describe(store->kind, &news[i], &b[i]);
		nbm_match(a, nolds, b, nnews, old_of_new);
	}
	for (int i = 0; i < nnews; i++)
	{
		const NbmItem *old = old_of_new[i] < 0 ? NULL :
		olds[old_of_new[i]].item;

		news[i].item->key = old ? old->key : 0;
		news[i].item->since = old ? old->since : version;
		any_new |= old == NULL;
	}
	/* some keys that were given live no more: look among those */
	if (any_new && parent != NULL && *next_key - 1 > parent->nitems)
		find_returned(store, parent, news, nnews, version, *next_key);
	for (int i = 0; i < nnews; i++)
	{
		if (news[i].item->key != 0)
			continue;
		if (*next_key == PG_INT32_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s " INT64_FORMAT " has no keys left",
							store->kind->name, store->id)));
		news[i].item->key = (*next_key)++;
	}
}
