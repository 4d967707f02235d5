/*
 * store.h
 *		The store's tables: the only room that knows them.
 */
#ifndef NBM_STORE_H
#define NBM_STORE_H

#include "datatype/timestamp.h"
#include "document.h"
#include "part.h"
#include "query.h"

/* A document that the store is asked about. */
typedef struct NbmStore
{
	const NbmKind *kind;
	int64		id;
	bool		read_only;		/* sees what the calling query sees */
} NbmStore;

/* The row of a document. */
typedef struct NbmHead
{
	int32		version;
	int32		next_key;
	TimestampTz created_at;
	TimestampTz updated_at;
} NbmHead;

/* What changed in a version, by kind of change: columns of the version row. */
#define NBM_COUNTS 6

/* A version as it is read. */
typedef struct NbmVersion
{
	int32		version;
	uint8		digest[NBM_DIGEST_LEN];
	NbmLayout	layout;
	int32		keyframe;		/* version whose layout is stored whole */
	int			keyframe_size;	/* its bytes */
	NbmLayout	base;			/* the keyframe's layout */
} NbmVersion;

/* What people know a version by; strings of the context it was read in. */
typedef struct NbmVersionWords
{
	TimestampTz created_at;
	const char *author;
	const char *message;		/* NULL: none */
	const char *name;			/* of the document; NULL: none */
} NbmVersionWords;

/* A version as it is written. */
typedef struct NbmNewVersion
{
	int32		version;
	int32		next_key;
	TimestampTz created_at;
	bool		keeps_head;		/* the caller writes the head, later */
	const char *author;			/* NULL: who is writing */
	const char *message;		/* NULL: none */
	uint8		digest[NBM_DIGEST_LEN];
	NbmLayout  *layout;
	Jsonb	   *descents;		/* NULL: none; lineage.c has the shape */
	int32		counts[NBM_COUNTS];
} NbmNewVersion;

/* What was written of one item that was split or merged. */
typedef struct NbmDescentRow
{
	int32		version;		/* in which it happened */
	int32		key;			/* the item that has the text now */
	int32		from;			/* and that had it before */
	bool		is_merge;		/* from is gone; else it lives on */
} NbmDescentRow;

/* An authored mapping as it stands in the store. */
typedef struct NbmMappingRow
{
	int64		mapping_id;
	int32		notebook_version;
	int32		workflow_version;
	Jsonb	   *content;		/* NULL where not asked for */
} NbmMappingRow;

/* Two documents that an authored mapping joins. */
typedef struct NbmMappedPair
{
	int64		notebook_id;
	int64		workflow_id;
} NbmMappedPair;

typedef struct NbmBodies NbmBodies;

/* Called for each version, oldest first, and for each part of a document. */
typedef void (*NbmVersionVisit) (const NbmStore *store, NbmVersion *version,
								 bool is_sound, void *arg);
typedef void (*NbmPartVisit) (const NbmStore *store, NbmPart *part, void *arg);

/* A removed item as it was noted: the last version that had it. */
typedef struct NbmRemovedRow
{
	int32		key;
	int32		version;
	bytea	   *item;			/* by nbm_item_encode() */
} NbmRemovedRow;

/* Called for each row of a table: its number, and is it as it was written? */
typedef void (*NbmRowVisit) (const NbmStore *store, int64 number,
							 bool is_sound, void *arg);

/* A part id that another digest has already is counted up, this far. */
#define NBM_MAX_PROBES 16

extern void nbm_store_head(const NbmStore *store, NbmHead *head);
extern void nbm_store_lock(const NbmStore *store, NbmHead *head);
extern bool nbm_store_claim(const NbmStore *store, bool to_delete);
extern bool nbm_store_try_lock(const NbmStore *store, NbmHead *head);
extern void nbm_store_advance(const NbmStore *store, const NbmHead *head);
extern int64 nbm_store_create(const NbmKind *kind, const int64 *id,
							  const char *name, const NbmHead *head);
extern void nbm_store_keep(const NbmStore *store);
extern void nbm_store_rename(const NbmStore *store, const char *name,
							 TimestampTz at);
extern bool nbm_store_delete(const NbmStore *store);
extern void nbm_store_delete_contents(const NbmStore *store);
extern bool nbm_store_is_deleting(void);
extern void nbm_store_take_versions(const NbmStore *store);
extern void nbm_store_drop_removed(const NbmStore *store, int32 version);
extern void nbm_store_shift_mappings(const NbmStore *store, int32 after,
									 int32 by);
extern bool nbm_store_is_shifting(void);

extern int32 nbm_store_version_at(const NbmStore *store, TimestampTz at);
extern int32 nbm_store_resolve(const NbmStore *store, bool is_null,
							   int32 version);
extern void nbm_store_equal_versions(const NbmStore *store, int32 version,
									 const int32 *versions, int count,
									 bool *is_equal);
extern void nbm_store_version(const NbmStore *store, int32 version,
							  NbmVersion *result);
extern void nbm_store_version_words(const NbmStore *store, int32 version,
									NbmVersionWords *words);
extern void nbm_store_each_version(const NbmStore *store,
								   NbmVersionVisit visit, void *arg);
extern void nbm_store_each_part(const NbmStore *store, NbmPartVisit visit,
								void *arg);
extern void nbm_store_check_versions(const NbmStore *store,
									 NbmRowVisit visit, void *arg);
extern void nbm_store_check_mappings(const NbmStore *store,
									 NbmRowVisit visit, void *arg);
extern NbmDescentRow *nbm_store_descents(const NbmStore *store, int32 after,
										 int32 upto, int *count);
extern NbmRemovedRow *nbm_store_removed_rows(const NbmStore *store,
											 int *count);
extern void nbm_store_add_version(const NbmStore *store,
								  const NbmVersion *parent,
								  NbmNewVersion *version);

extern void nbm_store_add_parts(const NbmStore *store, NbmPart *parts,
								int count, bool is_new);
extern NbmBodies *nbm_bodies_create(void);
extern void nbm_bodies_want(NbmBodies *bodies, uint64 part);
extern void nbm_bodies_want_layout(NbmBodies *bodies,
								   const NbmLayout *layout);
extern void nbm_bodies_fetch(NbmBodies *bodies, const NbmStore *store);
extern NbmBody *nbm_bodies_stored(void *bodies, uint64 part);
extern Jsonb *nbm_bodies_get(NbmBodies *bodies, uint64 part);

extern NbmItem *nbm_store_removed(const NbmStore *store, int *count);
extern void nbm_store_add_removed(const NbmStore *store, const NbmItem *item,
								  int32 version);

extern int64 nbm_store_add_mapping(int64 notebook_id, int64 workflow_id,
								   NbmMappingRow *row, const char *origin);
extern NbmMappingRow *nbm_store_mappings(int64 notebook_id, int64 workflow_id,
										 int *count);
extern Jsonb *nbm_store_mapping_content(int64 notebook_id, int64 mapping_id);
extern NbmMappedPair *nbm_store_mapped_pairs(const int64 *notebook_id,
											 const int64 *workflow_id,
											 int *count);
extern bool nbm_store_nearest_workflow(int64 notebook_id, int32 version,
									   int64 *workflow_id);

extern void nbm_store_no_document(const NbmStore *store);
extern char *nbm_author;

extern int64 *nbm_store_ids(const NbmKind *kind, const int64 *id, int *count);

#endif							/* NBM_STORE_H */
