/*
 * commit.c
 *		Making versions: whole documents, layouts, first versions.
 *
 * A document that is saved whole is held against the head's document: items
 * that are equal byte for byte at both ends are recognised by one memcmp
 * each and keep their place in the layout; only the middle is taken apart.
 * There, bodies that the head has already are recognised by their bytes, and
 * only the others are printed, digested and looked up.  So a one-cell edit
 * costs little more than reading the head.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "commit.h"
#include "compare.h"
#include "identity.h"
#include "lineage.h"
#include "recent.h"

/* The setting notebook_migrate.max_document_size, in kB. */
int			nbm_max_document_size = 128 * 1024;

/* A body that was met in this save, found by a hash of its bytes. */
typedef struct KnownBody
{
	uint64		hash;
	JsonbValue	value;
	bool		is_stored;
	uint64		part;			/* where is_stored */
	int			pending;		/* else its place among the new parts */
} KnownBody;

/* Where a part's id goes once it is known. */
typedef struct PartUse
{
	uint64	   *target;
	int			pending;
} PartUse;

/* A document on its way into the store. */
typedef struct Save
{
	NbmCommit  *commit;
	NbmDocument doc;
	NbmLayout	layout;
	HTAB	   *known;
	NbmPart    *parts;			/* new ones */
	int			nparts;
	int			parts_room;
	PartUse    *uses;
	int			nuses;
	int			uses_room;
} Save;

/* Raises 54000 where what a writer brings is larger than the setting allows. */
void
nbm_check_size(const char *what, Jsonb *content)
{
	if (VARSIZE(content) / 1024 >= (Size) nbm_max_document_size)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s of %zu kB exceeds the limit of %d kB", what,
						(Size) VARSIZE(content) / 1024, nbm_max_document_size),
				 errhint("Remove large outputs, or raise \"notebook_migrate.max_document_size\".")));
}

/* Raises XX001 where the head's items have keys not given, or one twice. */
static void
check_keys(const NbmCommit *commit)
{
	const NbmLayout *layout = &commit->parent.layout;
	int32		max_key;
	int		   *index = nbm_layout_index(layout, &max_key);

	if (max_key >= commit->head.next_key)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s " INT64_FORMAT " has a key that was never given",
						commit->store.kind->name, commit->store.id),
				 errhint("store_verify() lists what is damaged.")));
	for (int i = 0; i < layout->nitems; i++)
		if (index[layout->items[i].key] != i)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("%s " INT64_FORMAT " has two %s with the key %d",
							commit->store.kind->name, commit->store.id,
							commit->store.kind->items, layout->items[i].key),
					 errhint("store_verify() lists what is damaged.")));
	pfree(index);
}

/*
 * Locks the document and reads its head.  expected, unless NULL, is the
 * version that it must be at.  Raises 02000 for an unknown document and for
 * versions below 1, 40001 where the head is another version.
 */
void
nbm_commit_begin(NbmCommit *commit, const NbmStore *store,
				 const int32 *expected, const char *message)
{
	memset(commit, 0, sizeof(*commit));
	commit->store = *store;
	commit->message = message;
	nbm_store_lock(store, &commit->head);
	if (expected != NULL && *expected < 1)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("%s " INT64_FORMAT " has no version %d",
						store->kind->name, store->id, *expected)));
	if (expected != NULL && *expected != commit->head.version)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("%s " INT64_FORMAT " is at version %d, not %d",
						store->kind->name, store->id, commit->head.version,
						*expected),
				 errhint("Read the newest version and apply the change to it.")));
	nbm_store_version(store, commit->head.version, &commit->parent);
	check_keys(commit);
	commit->has_parent = true;
	commit->next_key = commit->head.next_key;
	/* time must not run backwards along the versions */
	commit->at = Max(GetCurrentTimestamp(), commit->head.updated_at);
}

/* Starts the bookkeeping of a save in the current context. */
static void
save_init(Save *save, NbmCommit *commit, Jsonb *content)
{
	HASHCTL		control = {0};

	memset(save, 0, sizeof(*save));
	save->commit = commit;
	nbm_check_size(commit->store.kind->name, content);
	nbm_document_open(commit->store.kind, content, &save->doc);
	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(KnownBody);
	control.hcxt = CurrentMemoryContext;
	save->known = hash_create("notebook_migrate known bodies", 256, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	save->layout.nruns = save->doc.nruns;
	save->layout.runs = save->doc.runs;
	save->layout.nitems = save->doc.nitems;
	save->layout.items = palloc0_array(NbmItem, Max(save->doc.nitems, 1));
}

/* Notes that a body of the head is stored under an id. */
static void
know_stored(Save *save, const JsonbValue *value, uint64 part)
{
	uint64		hash = nbm_value_hash(value, 0);
	bool		found;
	KnownBody  *known = hash_search(save->known, &hash, HASH_ENTER, &found);

	if (found)
		return;
	known->value = *value;
	known->is_stored = true;
	known->part = part;
}

/* Adds a use of a part that is yet to be stored. */
static void
add_use(Save *save, int pending, uint64 *target)
{
	if (save->nuses == save->uses_room)
	{
		save->uses_room = Max(64, save->uses_room * 2);
		if (save->uses == NULL)
			save->uses = palloc_array(PartUse, save->uses_room);
		else
			save->uses = repalloc_array(save->uses, PartUse, save->uses_room);
	}
	save->uses[save->nuses].target = target;
	save->uses[save->nuses++].pending = pending;
}

/* Makes a new part of a body; returns its place among the new ones. */
static int
add_pending(Save *save, const JsonbValue *value)
{
	if (save->nparts == save->parts_room)
	{
		save->parts_room = Max(16, save->parts_room * 2);
		if (save->parts == NULL)
			save->parts = palloc_array(NbmPart, save->parts_room);
		else
			save->parts = repalloc_array(save->parts, NbmPart,
										 save->parts_room);
	}
	nbm_part_make(nbm_value_to_jsonb(value), &save->parts[save->nparts]);
	return save->nparts++;
}

/* Finds or makes the part of a body; its id goes to *target, now or later. */
static void
place_body(Save *save, const JsonbValue *value, uint64 *target)
{
	uint64		hash = nbm_value_hash(value, 0);
	bool		found;
	KnownBody  *known = hash_search(save->known, &hash, HASH_ENTER, &found);

	if (!found)
	{
		known->value = *value;
		known->is_stored = false;
		known->pending = add_pending(save, value);
	}
	else if (!nbm_value_eq(&known->value, value))
	{
		/* two bodies with one hash: the later ones are not remembered */
		add_use(save, add_pending(save, value), target);
		return;
	}
	if (known->is_stored)
		*target = known->part;
	else
		add_use(save, known->pending, target);
}

/* Takes one item of the new document apart and places its bodies. */
static void
place_item(Save *save, int index, NbmCandidate *candidate)
{
	NbmItem    *item = &save->layout.items[index];
	NbmWhere	where = {&save->doc, index, NULL};
	NbmSplit	split;

	CHECK_FOR_INTERRUPTS();
	nbm_item_split(save->doc.kind, &save->doc.items[index], &where,
				   nbm_document_depth(&save->doc), &split);
	*item = split.item;
	place_body(save, &split.core, &item->core);
	for (int i = 0; i < item->noutputs; i++)
		place_body(save, &split.outputs[i], &item->outputs[i].part);
	candidate->item = item;
	candidate->core = split.core.val.binary.data;
}

/* Takes one item of the head apart, so that its bodies are known. */
static void
know_item(Save *save, const NbmDocument *old, int index,
		  NbmCandidate *candidate)
{
	NbmItem    *item = &save->commit->parent.layout.items[index];
	NbmWhere	where = {old, index, NULL};
	NbmSplit	split;

	CHECK_FOR_INTERRUPTS();
	nbm_item_split(old->kind, &old->items[index], &where, 2, &split);
	know_stored(save, &split.core, item->core);
	for (int i = 0; i < Min(item->noutputs, split.item.noutputs); i++)
		know_stored(save, &split.outputs[i], item->outputs[i].part);
	candidate->item = item;
	candidate->core = split.core.val.binary.data;
}

/* Finds or makes the envelope's part; old is the head's envelope, or NULL. */
static void
place_envelope(Save *save, Jsonb *old)
{
	Jsonb	   *envelope = nbm_document_envelope(&save->doc);
	NbmWhere	where = {NULL, 0, "$"};
	JsonbValue	value;

	nbm_check_depth(&envelope->root, 0, &where);
	if (old != NULL)
	{
		nbm_set_jsonb(&value, old);
		know_stored(save, &value, save->commit->parent.layout.envelope);
	}
	nbm_set_jsonb(&value, envelope);
	place_body(save, &value, &save->layout.envelope);
}

/* Stores the new parts and fills in their ids. */
static void
store_parts(Save *save)
{
	nbm_store_add_parts(&save->commit->store, save->parts, save->nparts,
						!save->commit->has_parent);
	for (int i = 0; i < save->nuses; i++)
		*save->uses[i].target = save->parts[save->uses[i].pending].id;
}

/*
 * Makes a version of a whole document on the head and returns its number, or
 * the head's where the document is equal to it.  old is the head's document
 * where the caller has it already, else NULL.  Raises what nbm_item_split()
 * and nbm_store_add_parts() do.
 */
int32
nbm_commit_document(NbmCommit *commit, Jsonb *content, Jsonb *old)
{
	NbmLayout  *parent = &commit->parent.layout;
	NbmDocument before;
	NbmCandidate *olds;
	NbmCandidate *news;
	NbmCandidates old_side;
	NbmCandidates new_side;
	Save		save;
	Jsonb	   *envelope;
	int32		version;
	int			first;
	int			last;
	int			nolds;
	int			nnews;

	save_init(&save, commit, content);
	if (old == NULL)
		old = nbm_recent_get(&commit->store, commit->parent.digest);
	if (old == NULL)
		old = nbm_read_document(&commit->store, &commit->parent,
								CurrentMemoryContext);
	nbm_document_open(commit->store.kind, old, &before);
	/* a version with the digest of another one: its document is not here */
	if (before.nitems != parent->nitems)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("version %d of %s " INT64_FORMAT " has %d %s, but the digest of a document with %d",
						commit->head.version, commit->store.kind->name,
						commit->store.id, parent->nitems,
						commit->store.kind->items, before.nitems),
				 errhint("store_verify() lists what is damaged.")));
	first = nbm_equal_items(&before, &save.doc, false,
							Min(before.nitems, save.doc.nitems));
	last = nbm_equal_items(&before, &save.doc, true,
						   Min(before.nitems, save.doc.nitems) - first);
	nolds = before.nitems - first - last;
	nnews = save.doc.nitems - first - last;
	memcpy(save.layout.items, parent->items, sizeof(NbmItem) * first);
	memcpy(save.layout.items + first + nnews, parent->items + first + nolds,
		   sizeof(NbmItem) * last);
	olds = palloc_array(NbmCandidate, Max(nolds, 1));
	news = palloc_array(NbmCandidate, Max(nnews, 1));
	for (int i = 0; i < nolds; i++)
		know_item(&save, &before, first + i, &olds[i]);
	for (int i = 0; i < nnews; i++)
		place_item(&save, first + i, &news[i]);
	envelope = nbm_document_envelope(&before);
	place_envelope(&save, envelope);

	/*
	 * A trigger on the parts' table can save another document, which is then
	 * the one that is kept: old may be gone.
	 */
	store_parts(&save);
	old_side.items = olds;
	old_side.nitems = nolds;
	old_side.layout = parent;
	old_side.document = &envelope->root;
	new_side.items = news;
	new_side.nitems = nnews;
	new_side.layout = &save.layout;
	new_side.document = save.doc.root;
	nbm_identify(&commit->store, &old_side, &new_side,
				 commit->head.version + 1, &commit->next_key);
	version = nbm_commit_layout(commit, &save.layout);
	nbm_recent_put(&commit->store, commit->digest, content);
	return version;
}

/* Notes the items that the new layout has no more. */
static void
note_removed(NbmCommit *commit, const NbmLayout *layout)
{
	int32		max_key;
	int		   *index = nbm_layout_index(layout, &max_key);

	for (int i = 0; i < commit->parent.layout.nitems; i++)
	{
		const NbmItem *item = &commit->parent.layout.items[i];

		if (item->key > max_key || index[item->key] < 0)
			nbm_store_add_removed(&commit->store, item, commit->head.version);
	}
}

/*
 * Makes a layout the first version of a document whose head is there, though
 * its versions were taken out.  The caller writes the head.
 */
static int32
commit_first_again(NbmCommit *commit, NbmLayout *layout)
{
	NbmNewVersion version = {1};

	memcpy(version.digest, commit->digest, NBM_DIGEST_LEN);
	for (int i = 0; i < layout->nitems; i++)
		layout->items[i].since = 1;
	version.created_at = commit->at;
	version.author = commit->author;
	version.message = commit->message;
	version.layout = layout;
	version.counts[0] = layout->nitems;
	nbm_store_add_version(&commit->store, NULL, &version);
	return 1;
}

/*
 * Makes a version of a layout whose parts are stored and whose items have
 * their keys.  Returns its number, or the head's where nothing changed.
 */
int32
nbm_commit_layout(NbmCommit *commit, NbmLayout *layout)
{
	NbmNewVersion version = {0};
	NbmBodies  *bodies = nbm_bodies_create();
	NbmChange  *changes;
	int			count;

	nbm_layout_digest(layout, version.digest);
	memcpy(commit->digest, version.digest, NBM_DIGEST_LEN);
	if (commit->is_first)
		return commit_first_again(commit, layout);
	if (memcmp(version.digest, commit->parent.digest, NBM_DIGEST_LEN) == 0 &&
		!commit->is_forced)
	{
		commit->at = commit->head.updated_at;
		return commit->head.version;
	}
	changes = nbm_compare(&commit->store, &commit->parent.layout, layout, 0,
						  bodies, &count);
	nbm_count_changes(commit->store.kind, changes, count, version.counts);
	version.version = commit->head.version + 1;
	version.next_key = commit->next_key;
	version.created_at = commit->at;
	version.keeps_head = commit->keeps_head;
	version.author = commit->author;
	version.message = commit->message;
	version.layout = layout;
	version.descents = nbm_lineage_find(&commit->store,
										&commit->parent.layout, layout,
										changes, count, bodies);
	note_removed(commit, layout);
	nbm_store_add_version(&commit->store, &commit->parent, &version);
	return version.version;
}

/*
 * Makes a document with its first version and returns its id: the one given,
 * or the next free one.  *at is set to its time.
 */
int64
nbm_commit_first(const NbmKind *kind, const int64 *id, const char *name,
				 Jsonb *content, TimestampTz *at)
{
	NbmCommit	commit = {{kind, 0, false}};
	NbmNewVersion version = {1};
	NbmCandidate *news;
	NbmCandidates old_side = {NULL};
	NbmCandidates new_side = {NULL};
	Save		save;

	save_init(&save, &commit, content);
	commit.at = GetCurrentTimestamp();
	commit.next_key = 1;
	news = palloc_array(NbmCandidate, Max(save.doc.nitems, 1));
	for (int i = 0; i < save.doc.nitems; i++)
		place_item(&save, i, &news[i]);
	place_envelope(&save, NULL);
	new_side.items = news;
	new_side.nitems = save.doc.nitems;
	nbm_identify(&commit.store, &old_side, &new_side, 1, &commit.next_key);
	commit.head.version = 1;
	commit.head.next_key = commit.next_key;
	commit.head.created_at = commit.head.updated_at = commit.at;
	commit.store.id = nbm_store_create(kind, id, name, &commit.head);
	store_parts(&save);
	nbm_layout_digest(&save.layout, version.digest);
	version.created_at = commit.at;
	version.layout = &save.layout;
	version.counts[0] = save.doc.nitems;
	nbm_store_add_version(&commit.store, NULL, &version);
	*at = commit.at;
	return commit.store.id;
}

/*
 * Makes a version equal to an older one, its items with their old keys.
 * Returns its number, or the head's where the head is equal to it.
 */
int32
nbm_commit_restore(NbmCommit *commit, int32 version)
{
	NbmVersion	wanted;
	int32		max_key;
	int		   *index = nbm_layout_index(&commit->parent.layout, &max_key);

	nbm_store_version(&commit->store, version, &wanted);
	for (int i = 0; i < wanted.layout.nitems; i++)
	{
		NbmItem    *item = &wanted.layout.items[i];
		int			now = item->key <= max_key ? index[item->key] : -1;

		item->since = now < 0 ? commit->head.version + 1 :
			commit->parent.layout.items[now].since;
	}
	return nbm_commit_layout(commit, &wanted.layout);
}

/* Puts a version's document together, in the given context. */
Jsonb *
nbm_read_document(const NbmStore *store, const NbmVersion *version,
				  MemoryContext context)
{
	NbmBodies  *bodies;
	MemoryContext outer;
	Jsonb	   *content = nbm_recent_get(store, version->digest);

	if (content != NULL)
	{
		Jsonb	   *copy = MemoryContextAlloc(context, VARSIZE(content));

		memcpy(copy, content, VARSIZE(content));
		return copy;
	}
	bodies = nbm_bodies_create();
	nbm_bodies_want_layout(bodies, &version->layout);
	nbm_bodies_fetch(bodies, store);
	outer = MemoryContextSwitchTo(context);
	content = nbm_document_assemble(store->kind, &version->layout,
									nbm_bodies_stored, bodies);
	MemoryContextSwitchTo(outer);
	return content;
}
