/*
 * verify.c
 *		Is everything as it was stored?
 *
 * Digests are worked out again from the bodies and the layouts as they are.
 * A part's body is held against its digest, its digest against its id; a
 * version's layout against its checksum and its digest, its part ids against
 * the parts that are there; the rows of versions and mappings against their
 * seals; removed items against their checksums.  So a changed byte of any of
 * these is found.  What is not: the name and the times of a head, a mapping
 * that was deleted, and whatever somebody who may write to the tables has
 * sealed anew.
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
	Bitmapset  *reported;		/* versions that something was said of */
} Verification;

/* Tells of a problem with a version, and of a part of it unless NULL. */
static void
report_version(const NbmStore *store, int32 version, const uint64 *part,
			   const char *problem, Verification *v)
{
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

/* Checks one version; fits NbmVersionVisit. */
static void
verify_version(const NbmStore *store, NbmVersion *version, bool is_sound,
			   void *arg)
{
	Verification *v = arg;
	const NbmLayout *layout = &version->layout;
	uint8		digest[NBM_DIGEST_LEN];

	for (int32 i = v->last_version + 1; i < version->version; i++)
		report_version(store, i, NULL, "version is missing", v);
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

	if (!is_sound && !bms_is_member((int) number, v->reported))
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

/* Reports a removed item that was changed; fits NbmRowVisit. */
static void
verify_removed(const NbmStore *store, int64 number, bool is_sound, void *arg)
{
	Verification *v = arg;

	if (!is_sound)
		v->report(store, 0, NULL, psprintf("removed %s " INT64_FORMAT
										   " is not as it was noted",
										   store->kind->item, number), v->arg);
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
	nbm_store_each_version(store, verify_version, &v);
	nbm_store_check_versions(store, verify_row, &v);
	nbm_store_check_removed(store, verify_removed, &v);
	if (store->kind == &nbm_notebook)
		nbm_store_check_mappings(store, verify_mapping, &v);
	if (v.last_version != v.head.version)
		report(store, v.head.version, NULL,
			   "is the newest by its head, but is not the last one stored",
			   arg);
	hash_destroy(v.parts);
}
