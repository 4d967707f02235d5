/*
 * prepend.c
 *		Putting a past before the versions of a document.
 *
 * The history is append-only, and a past that becomes known later belongs
 * before it.  So the versions are taken out, the past is committed as if it
 * were saved now, state by state, and the versions are made again on top of
 * it, with the layouts, times, authors and messages that they had.
 *
 * Keys: the items of the first state get them from the first version, as if
 * they had been saved after it.  And all items of the versions are noted as
 * removed, in a version 0 that is gone at the end: what a later state has of
 * them is recognised just as items that come back are.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"

#include "prepend.h"
#include "query.h"

/* A version that was taken out. */
typedef struct KeptVersion
{
	int32		version;
	bytea	   *layout;
	NbmVersionWords words;
} KeptVersion;

/* Keeps a version; fits NbmVersionVisit.  Raises XX001 for a damaged one. */
static void
keep_version(const NbmStore *store, NbmVersion *version, bool is_sound,
			 void *arg)
{
	NbmPrepend *prepend = arg;
	MemoryContext outer = MemoryContextSwitchTo(prepend->context);
	KeptVersion *kept = palloc_object(KeptVersion);

	if (!is_sound)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("version %d of %s " INT64_FORMAT " is damaged",
						version->version, store->kind->name, store->id)));
	kept->version = version->version;
	kept->layout = nbm_layout_encode(&version->layout);
	prepend->kept = lappend(prepend->kept, kept);
	MemoryContextSwitchTo(outer);
}

/* Reads a kept version's layout into the current context. */
static void
read_kept(const KeptVersion *kept, NbmLayout *layout)
{
	if (!nbm_layout_decode(kept->layout, layout))
		elog(ERROR, "could not read the layout of version %d", kept->version);
}

/* Notes each item that the kept versions have, as removed in version 0. */
static void
note_kept_items(NbmPrepend *prepend)
{
	bool	   *is_noted = palloc0_array(bool, prepend->head.next_key);
	ListCell   *cell;

	foreach(cell, prepend->kept)
	{
		int			level = nbm_store_begin();	/* for its memory */
		NbmLayout	layout;

		read_kept(lfirst(cell), &layout);
		for (int i = 0; i < layout.nitems; i++)
		{
			NbmItem    *item = &layout.items[i];

			if (item->key >= prepend->head.next_key || is_noted[item->key])
				continue;
			is_noted[item->key] = true;
			nbm_store_add_removed(&prepend->store, item, 0);
		}
		nbm_store_end(level);
	}
	pfree(is_noted);
}

/*
 * Locks a document and takes its versions out, into memory of the current
 * context.  Raises 02000 where there is no such document, XX001 where versions
 * are missing or damaged.
 */
void
nbm_prepend_begin(NbmPrepend *prepend, const NbmStore *store)
{
	MemoryContext context = CurrentMemoryContext;
	ListCell   *cell;

	memset(prepend, 0, sizeof(*prepend));
	prepend->store = *store;
	prepend->context = context;
	nbm_store_lock(store, &prepend->head);
	prepend->now = prepend->head;
	nbm_store_each_version(store, keep_version, prepend);
	if (list_length(prepend->kept) != prepend->head.version)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s " INT64_FORMAT " is at version %d, but %d versions are stored",
						store->kind->name, store->id, prepend->head.version,
						list_length(prepend->kept)),
				 errhint("store_verify() lists what is damaged.")));
	foreach(cell, prepend->kept)
	{
		KeptVersion *kept = lfirst(cell);
		int			level = nbm_store_begin();
		NbmVersionWords words;

		nbm_store_version_words(store, kept->version, &words);
		kept->words = words;
		kept->words.author = MemoryContextStrdup(context, words.author);
		if (words.message != NULL)
			kept->words.message = MemoryContextStrdup(context, words.message);
		nbm_store_end(level);
	}
	nbm_store_take_versions(store);
	note_kept_items(prepend);
	MemoryContextSwitchTo(context);
}

/*
 * Begins the next version: on the one before or, for the first, with the first
 * kept one, from which its items get their keys.
 */
static void
begin_version(const NbmPrepend *prepend, NbmCommit *commit, TimestampTz at)
{
	memset(commit, 0, sizeof(*commit));
	commit->store = prepend->store;
	commit->head = prepend->now;
	commit->next_key = prepend->now.next_key;
	commit->has_parent = true;
	commit->keeps_head = true;
	if (prepend->made == 0 && prepend->put_back == 0)
	{
		commit->at = Min(at, prepend->head.updated_at);
		commit->is_first = true;
		read_kept(linitial(prepend->kept), &commit->parent.layout);
		nbm_layout_digest(&commit->parent.layout, commit->parent.digest);
		return;
	}
	commit->at = Max(at, prepend->now.updated_at);
	nbm_store_version(&prepend->store, prepend->now.version, &commit->parent);
}

/* Notes what the head is after a version. */
static void
end_version(NbmPrepend *prepend, const NbmCommit *commit, int32 version)
{
	prepend->now.version = version;
	prepend->now.next_key = commit->next_key;
	prepend->now.updated_at = commit->at;
}

/* Puts one version back, on top of what is there by now. */
static void
put_back(NbmPrepend *prepend, const KeptVersion *kept)
{
	int			level = nbm_store_begin();
	NbmCommit	commit;
	NbmLayout	layout;
	int32		max_key;
	int		   *index;

	CHECK_FOR_INTERRUPTS();
	read_kept(kept, &layout);
	begin_version(prepend, &commit, kept->words.created_at);
	index = nbm_layout_index(&commit.parent.layout, &max_key);
	commit.author = kept->words.author;
	commit.message = kept->words.message;
	commit.is_forced = true;
	for (int i = 0; i < layout.nitems; i++)
	{
		NbmItem    *item = &layout.items[i];
		int			before = item->key <= max_key ? index[item->key] : -1;

		item->since = before < 0 ? commit.head.version + 1 :
			commit.parent.layout.items[before].since;
	}
	end_version(prepend, &commit, nbm_commit_layout(&commit, &layout));
	nbm_store_end(level);
}

/*
 * Puts the versions up to one back, before any state of the past: that belongs
 * behind them.
 */
void
nbm_prepend_keep(NbmPrepend *prepend, int32 version)
{
	for (; prepend->put_back < version; prepend->put_back++)
		put_back(prepend, list_nth(prepend->kept, prepend->put_back));
	prepend->made = version;
}

/*
 * Makes the next version of the past, and returns its number; where the state
 * is equal to the one before, that one's.  at: when it was saved, if known to
 * be later than the state before.
 */
int32
nbm_prepend_state(NbmPrepend *prepend, Jsonb *state, TimestampTz at)
{
	int			level = nbm_store_begin();	/* for its memory */
	NbmCommit	commit;

	CHECK_FOR_INTERRUPTS();
	begin_version(prepend, &commit, at);
	prepend->made = nbm_commit_document(&commit, state, NULL);
	end_version(prepend, &commit, prepend->made);
	nbm_store_end(level);
	return prepend->made;
}

/*
 * Puts the other versions back behind the past, of which there is at least one
 * state, and returns by how much their numbers are higher.
 */
int32
nbm_prepend_finish(NbmPrepend *prepend)
{
	int32		by = prepend->made - prepend->put_back;

	Assert(prepend->made > 0);
	for (int i = prepend->put_back; i < list_length(prepend->kept); i++)
		put_back(prepend, list_nth(prepend->kept, i));
	nbm_store_advance(&prepend->store, &prepend->now);
	nbm_store_drop_removed(&prepend->store, 0);
	nbm_store_shift_mappings(&prepend->store, prepend->put_back, by);
	return by;
}
