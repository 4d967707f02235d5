/*
 * verify.c
 *		Is everything as it was stored?
 *
 * Digests are worked out again from the bodies and the layouts as they are.
 * A part's body is held against its digest, its digest against its id; a
 * version's layout against its checksum and its digest, its part ids against
 * the parts that are there; the rows of versions and mappings against their
 * seals; removed items against what the next version lacks.  So a changed
 * byte of any of these is found.  What is not: the name and the times of a
 * head, a mapping that was deleted, and whatever somebody who may write to
 * the tables has sealed anew.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/hsearch.h"

#include "verify.h"

/* A verification while it runs. */
typedef struct Verification
{
	NbmProblem	report;
	void	   *arg;
	NbmHead		head;
	HTAB	   *parts;			/* ids of those that are there */
	int32		last_version;
	NbmLayout	before;			/* of last_version, if it was sound */
	bool		has_before;
	NbmRemovedRow *removed;		/* by version and key */
	int			nremoved;
	int			next_removed;	/* the first not yet held against a version */
	Bitmapset  *reported;		/* versions that something was said of */
} Verification;

/* Tells of a problem with a version, and of a part of it unless NULL. */
static void
report_version(const NbmStore *store, int32 version, const uint64 *part,
			   const char *problem, Verification *v)
{
	if (version > 0 && version <= v->head.version)
		v->reported = bms_add_member(v->reported, version);
	v->report(store, version, part, problem, v->arg);
}

/* Checks one part; fits NbmPartVisit. */
static void
verify_part(const NbmStore *store, NbmPart *part, void *arg)
{
	Verification *v = arg;
	NbmBody		body = {part->body, part->bytes};
	uint8		digest[NBM_DIGEST_LEN];

	hash_search(v->parts, &part->id, HASH_ENTER, NULL);
	if (part->id - nbm_part_id(part->digest) > NBM_MAX_PROBES)
		v->report(store, 0, &part->id, "part_id is not of the digest", v->arg);
	if (!nbm_part_is_sound(&body))
	{
		v->report(store, 0, &part->id, "body is no part's", v->arg);
		return;
	}
	nbm_part_digest(nbm_part_whole(&body), digest);
	if (memcmp(digest, part->digest, NBM_DIGEST_LEN) != 0)
		v->report(store, 0, &part->id, "digest is not of the body", v->arg);
}

/* Reports a part that a version needs and that is not there. */
static void
need_part(const NbmStore *store, const NbmVersion *version, uint64 part,
		  Verification *v)
{
	if (hash_search(v->parts, &part, HASH_FIND, NULL) == NULL)
		report_version(store, version->version, &part, "part is missing", v);
}

/* Checks the keys of a layout: given, and each once. */
static void
verify_keys(const NbmStore *store, const NbmVersion *version, Verification *v)
{
	const NbmLayout *layout = &version->layout;
	bool	   *seen = palloc0_array(bool, Max(v->head.next_key, 1));

	for (int i = 0; i < layout->nitems; i++)
	{
		int32		key = layout->items[i].key;

		if (key < 1 || key >= v->head.next_key || seen[key])
		{
			report_version(store, version->version, NULL,
						   "a key is repeated or was never given", v);
			break;
		}
		seen[key] = true;
	}
	pfree(seen);
}

/* qsort comparator of pointers to items, by key. */
static int
item_cmp(const void *a, const void *b)
{
	int32		ka = (*(const NbmItem *const *) a)->key;
	int32		kb = (*(const NbmItem *const *) b)->key;

	return ka < kb ? -1 : ka > kb;
}

/* Is a removed item noted as it stood in the last version that had it? */
static bool
is_noted(const NbmRemovedRow *row, const NbmItem *item)
{
	bytea	   *expected = nbm_item_encode(item);
	bool		same = row->key == item->key &&
	VARSIZE_ANY_EXHDR(row->item) == VARSIZE_ANY_EXHDR(expected) &&
	memcmp(VARDATA_ANY(row->item), VARDATA_ANY(expected),
		   VARSIZE_ANY_EXHDR(expected)) == 0;

	pfree(expected);
	return same;
}

/* Passes over what is noted up to a version: it cannot be checked. */
static void
skip_removed(Verification *v, int32 version)
{
	while (v->next_removed < v->nremoved &&
		   v->removed[v->next_removed].version <= version)
		v->next_removed++;
}

/*
 * Checks that the items which this version has no more, and only they, are
 * noted as removed from the version before.
 */
static void
verify_removed(const NbmStore *store, const NbmLayout *layout, Verification *v)
{
	int32		max_key;
	int		   *index = nbm_layout_index(layout, &max_key);
	const NbmItem **gone = palloc_array(const NbmItem *,
										Max(v->before.nitems, 1));
	int			count = 0;
	bool		sound = true;

	for (int i = 0; i < v->before.nitems; i++)
	{
		const NbmItem *item = &v->before.items[i];

		if (item->key > max_key || index[item->key] < 0)
			gone[count++] = item;
	}
	qsort(gone, count, sizeof(NbmItem *), item_cmp);
	for (; v->next_removed < v->nremoved &&
		 v->removed[v->next_removed].version < v->last_version;
		 v->next_removed++)
		sound = false;
	for (int i = 0; i < count && sound; i++)
	{
		sound = v->next_removed < v->nremoved &&
			v->removed[v->next_removed].version == v->last_version &&
			is_noted(&v->removed[v->next_removed], gone[i]);
		v->next_removed += sound;
	}
	for (; v->next_removed < v->nremoved &&
		 v->removed[v->next_removed].version == v->last_version;
		 v->next_removed++)
		sound = false;
	if (!sound)
		report_version(store, v->last_version, NULL,
					   psprintf("%ss removed after it are not noted as they were",
								store->kind->item), v);
	pfree(gone);
	pfree(index);
}

/* Checks one version; fits NbmVersionVisit. */
static void
verify_version(const NbmStore *store, NbmVersion *version, bool is_sound,
			   void *arg)
{
	Verification *v = arg;
	const NbmLayout *layout = &version->layout;
	uint8		digest[NBM_DIGEST_LEN];

	if (version->version < 1 || version->version > v->head.version)
	{
		v->report(store, 0, NULL, psprintf("version %d was never made",
										   version->version), v->arg);
		return;
	}
	if (version->version > v->last_version + 1)
		report_version(store, v->last_version + 1, NULL,
					   version->version == v->last_version + 2 ?
					   "version is missing" :
					   psprintf("versions up to %d are missing",
								version->version - 1), v);
	if (v->has_before && is_sound &&
		version->version == v->last_version + 1)
		verify_removed(store, layout, v);
	else
		skip_removed(v, v->last_version);
	v->has_before = is_sound;
	v->before = *layout;
	v->last_version = version->version;
	if (!is_sound)
	{
		report_version(store, version->version, NULL, "layout is damaged", v);
		return;
	}
	nbm_layout_digest(layout, digest);
	if (memcmp(digest, version->digest, NBM_DIGEST_LEN) != 0)
		report_version(store, version->version, NULL,
					   "digest is not of the layout", v);
	verify_keys(store, version, v);
	need_part(store, version, layout->envelope, v);
	for (int i = 0; i < layout->nitems; i++)
	{
		need_part(store, version, layout->items[i].core, v);
		for (int j = 0; j < layout->items[i].noutputs; j++)
			need_part(store, version, layout->items[i].outputs[j].part, v);
	}
}

/*
 * Reports a version whose row was changed, unless it was reported already;
 * fits NbmRowVisit.
 */
static void
verify_row(const NbmStore *store, int64 number, bool is_sound, void *arg)
{
	Verification *v = arg;

	if (!is_sound && number > 0 && number <= v->head.version &&
		!bms_is_member((int) number, v->reported))
		report_version(store, (int32) number, NULL,
					   "row is not as it was written", v);
}

/* Reports a mapping that was changed; fits NbmRowVisit. */
static void
verify_mapping(const NbmStore *store, int64 number, bool is_sound, void *arg)
{
	Verification *v = arg;

	if (!is_sound)
		v->report(store, 0, NULL, psprintf("mapping " INT64_FORMAT
										   " is not as it was written", number),
				  v->arg);
}

/* Verifies a document; raises 02000 where there is none. */
void
nbm_verify(const NbmStore *store, NbmProblem report, void *arg)
{
	Verification v = {report, arg};
	HASHCTL		control = {0};

	nbm_store_head(store, &v.head);
	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(uint64);
	control.hcxt = CurrentMemoryContext;
	v.parts = hash_create("notebook_migrate parts", 256, &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	nbm_store_each_part(store, verify_part, &v);
	v.removed = nbm_store_removed_rows(store, &v.nremoved);
	if (v.nremoved > 0 && v.removed[0].version < 1)
		report_version(store, v.removed[0].version, NULL,
					   "an item was noted as removed that was not", &v);
	nbm_store_each_version(store, verify_version, &v);
	if (v.next_removed < v.nremoved)
		report_version(store, v.removed[v.next_removed].version, NULL,
					   "an item was noted as removed that was not", &v);
	nbm_store_check_versions(store, verify_row, &v);
	if (store->kind == &nbm_notebook)
		nbm_store_check_mappings(store, verify_mapping, &v);
	if (v.last_version != v.head.version)
		report(store, v.head.version, NULL,
			   "is the newest by its head, but is not the last one stored",
			   arg);
	hash_destroy(v.parts);
}
