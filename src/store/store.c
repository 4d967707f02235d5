/*
 * store.c
 *		The store's tables: heads, versions, parts, removed items, mappings.
 *
 * The only room, with query.c, that knows the tables.  Writers hold the lock
 * on the document's head row from nbm_store_lock() to the end of their
 * transaction; so what they read of the document afterwards does not change
 * under them.
 */
#include "postgres.h"

#include "access/toast_compression.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "query.h"
#include "store.h"

/* Bodies from this size on, and too small for TOAST, are compressed here. */
#define COMPRESS_MIN 200
#define COMPRESS_MAX 2000
/* Rows fetched from a cursor at a time. */
#define FETCH_ROWS 64

/* Is this backend deleting a document's history with the document? */
static bool deleting = false;

/* Is it giving mappings the new numbers of their versions? */
static bool shifting = false;

/* The setting notebook_migrate.author; empty: session_user. */
char	   *nbm_author = NULL;

/* Runs a query for a store. */
static uint64
run(const NbmStore *store, NbmQuery id, Datum *values, const char *nulls)
{
	return nbm_query_run(store->kind, id, values, nulls, store->read_only);
}

/* Raises 02000: there is no such document. */
void
nbm_store_no_document(const NbmStore *store)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA),
			 errmsg("%s " INT64_FORMAT " does not exist",
					store->kind->name, store->id)));
}

/* Raises XX001: something in the store is not as it was stored. */
static void
damaged(const NbmStore *store, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("%s of %s " INT64_FORMAT " is damaged", what,
					store->kind->name, store->id),
			 errhint("store_verify() lists what is damaged.")));
}

/* Reads or locks the head row; false where there is none. */
static bool
read_head(const NbmStore *store, NbmQuery query, NbmHead *head)
{
	Datum		values[1] = {Int64GetDatum(store->id)};

	if (run(store, query, values, NULL) == 0)
		return false;
	head->version = DatumGetInt32(nbm_query_column(0, 1, NULL));
	head->next_key = DatumGetInt32(nbm_query_column(0, 2, NULL));
	head->created_at = DatumGetTimestampTz(nbm_query_column(0, 3, NULL));
	head->updated_at = DatumGetTimestampTz(nbm_query_column(0, 4, NULL));
	SPI_freetuptable(SPI_tuptable);
	if (head->version < 1 || head->next_key < 1 ||
		head->next_key > NBM_MAX_KEY + 1)
		damaged(store, "the head");
	return true;
}

/* Reads the head row; raises 02000 where there is none. */
void
nbm_store_head(const NbmStore *store, NbmHead *head)
{
	if (!read_head(store, Q_HEAD, head))
		nbm_store_no_document(store);
}

/*
 * Locks the head row against other writers until the end of the transaction
 * and reads it as it is then.  Raises 02000 where there is none, 42501 where
 * policies keep the caller from it, 40001 where the transaction's snapshot is
 * older than the row.
 */
void
nbm_store_lock(const NbmStore *store, NbmHead *head)
{
	head->version = 0;
	if (read_head(store, Q_LOCK, head))
		return;
	/* once more: it may have been made just now */
	if (read_head(store, Q_HEAD, head) && !read_head(store, Q_LOCK, head))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to change %s " INT64_FORMAT,
						store->kind->name, store->id),
				 errdetail("Policies let it be read only.")));
	if (head->version == 0)
		nbm_store_no_document(store);
}

/* The same; false where there is no such document. */
bool
nbm_store_try_lock(const NbmStore *store, NbmHead *head)
{
	return read_head(store, Q_LOCK, head);
}

/*
 * Locks a document, if it is there, to change or to delete it.  Waits for
 * nobody: raises 55P03 where somebody else holds it.  Has this transaction
 * written its head already?
 */
bool
nbm_store_claim(const NbmStore *store, bool to_delete)
{
	Datum		values[1] = {Int64GetDatum(store->id)};

	return run(store, to_delete ? Q_CLAIM_TO_DELETE : Q_CLAIM, values, NULL) > 0 &&
		TransactionIdIsCurrentTransactionId(DatumGetTransactionId(nbm_query_column(0, 1, NULL)));
}

/* Writes what a head is now; the caller holds its lock. */
void
nbm_store_advance(const NbmStore *store, const NbmHead *head)
{
	Datum		values[4] = {
		Int64GetDatum(store->id), Int32GetDatum(head->version),
		Int32GetDatum(head->next_key), TimestampTzGetDatum(head->updated_at)
	};

	run(store, Q_ADVANCE, values, NULL);
}

/*
 * Raises 40001 where the transaction's snapshot still shows the document that
 * had this id before and was deleted since: its rows and the new ones could
 * not be told apart.
 */
static void
check_only_one(const NbmStore *store)
{
	Datum		values[1] = {Int64GetDatum(store->id)};

	if (IsolationUsesXactSnapshot() && run(store, Q_HEAD, values, NULL) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent delete of %s " INT64_FORMAT,
						store->kind->name, store->id)));
}

/*
 * Makes the head row of a new document and returns its id: the one given, or
 * else the next that is free.  Raises 23505 where the one given is taken.
 */
int64
nbm_store_create(const NbmKind *kind, const int64 *id, const char *name,
				 const NbmHead *head)
{
	NbmStore	store = {kind, id ? *id : 0, false};
	char		nulls[] = "      ";
	Datum		values[6] = {
		name ? CStringGetTextDatum(name) : (Datum) 0,
		Int32GetDatum(head->version), Int32GetDatum(head->next_key),
		TimestampTzGetDatum(head->created_at),
		TimestampTzGetDatum(head->updated_at), Int64GetDatum(store.id)
	};

	if (name == NULL)
		nulls[0] = 'n';
	if (id != NULL)
	{
		run(&store, Q_CREATE_WITH_ID, values, nulls);
		check_only_one(&store);
		return *id;
	}
	/* ids that somebody chose may be in the sequence's way */
	while (run(&store, Q_CREATE, values, nulls) == 0)
		CHECK_FOR_INTERRUPTS();
	store.id = DatumGetInt64(nbm_query_column(0, 1, NULL));
	check_only_one(&store);
	return store.id;
}

/*
 * Keeps the document from being deleted until the end of the transaction, and
 * after it by transactions that do not see what was done.
 */
void
nbm_store_keep(const NbmStore *store)
{
	Datum		values[1] = {Int64GetDatum(store->id)};

	if (run(store, Q_KEEP, values, NULL) == 0)
		nbm_store_no_document(store);
}

/* Sets the name (NULL: none) and the time of the last change. */
void
nbm_store_rename(const NbmStore *store, const char *name, TimestampTz at)
{
	Datum		values[3] = {
		Int64GetDatum(store->id),
		name ? CStringGetTextDatum(name) : (Datum) 0,
		TimestampTzGetDatum(at)
	};

	run(store, Q_RENAME, values, name ? NULL : " n ");
}

/*
 * Deletes a document; the trigger on its head row deletes the rest.  False
 * where it is gone already.
 */
bool
nbm_store_delete(const NbmStore *store)
{
	Datum		values[1] = {Int64GetDatum(store->id)};

	return run(store, Q_DELETE_HEAD, values, NULL) > 0;
}

/* Deletes the versions, parts and mappings of a document; a notebook's jobs. */
void
nbm_store_delete_contents(const NbmStore *store)
{
	Datum		values[1] = {Int64GetDatum(store->id)};
	bool		outer = deleting;

	deleting = true;
	PG_TRY();
	{
		run(store, Q_DELETE_VERSIONS, values, NULL);
		run(store, Q_DELETE_PARTS, values, NULL);
		run(store, Q_DELETE_REMOVED, values, NULL);
		run(store, Q_DELETE_MAPPINGS, values, NULL);
		if (store->kind == &nbm_notebook)
			run(store, Q_DELETE_JOBS, values, NULL);
	}
	PG_FINALLY();
	{
		deleting = outer;
	}
	PG_END_TRY();
}

/*
 * Takes all versions out of a document whose head the caller has locked, to
 * put them back behind others, in the same transaction.  Parts and mappings
 * stay.
 */
void
nbm_store_take_versions(const NbmStore *store)
{
	Datum		values[1] = {Int64GetDatum(store->id)};
	bool		outer = deleting;

	deleting = true;
	PG_TRY();
	{
		run(store, Q_DELETE_VERSIONS, values, NULL);
		run(store, Q_DELETE_REMOVED, values, NULL);
	}
	PG_FINALLY();
	{
		deleting = outer;
	}
	PG_END_TRY();
}

/* Takes back what was noted as removed with a version that was never made. */
void
nbm_store_drop_removed(const NbmStore *store, int32 version)
{
	Datum		values[2] = {Int64GetDatum(store->id), Int32GetDatum(version)};
	bool		outer = deleting;

	deleting = true;
	PG_TRY();
	{
		run(store, Q_DROP_REMOVED, values, NULL);
	}
	PG_FINALLY();
	{
		deleting = outer;
	}
	PG_END_TRY();
}

/* Is the history being deleted together with its document? */
bool
nbm_store_is_deleting(void)
{
	return deleting;
}

/* The newest version at a time; raises 02000 where there is none. */
int32
nbm_store_version_at(const NbmStore *store, TimestampTz at)
{
	Datum		values[2] = {Int64GetDatum(store->id), TimestampTzGetDatum(at)};

	if (run(store, Q_VERSION_AT, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("%s " INT64_FORMAT " has no version at %s",
						store->kind->name, store->id,
						timestamptz_to_str(at))));
	return DatumGetInt32(nbm_query_column(0, 1, NULL));
}

/* A version as it was asked for: NULL means the head.  Raises 02000. */
int32
nbm_store_resolve(const NbmStore *store, bool is_null, int32 version)
{
	NbmHead		head;

	if (!is_null)
		return version;
	nbm_store_head(store, &head);
	return head.version;
}

/* Copies a digest out of a column; all zeros where it is none. */
static void
copy_digest(Datum value, uint8 *digest)
{
	bytea	   *bytes = DatumGetByteaPP(value);

	memset(digest, 0, NBM_DIGEST_LEN);
	if (VARSIZE_ANY_EXHDR(bytes) == NBM_DIGEST_LEN)
		memcpy(digest, VARDATA_ANY(bytes), NBM_DIGEST_LEN);
}

/*
 * Which of some versions have the digest of the given one?  Sets is_equal for
 * each.
 */
void
nbm_store_equal_versions(const NbmStore *store, int32 version,
						 const int32 *versions, int count, bool *is_equal)
{
	Datum	   *elements = palloc_array(Datum, Max(count, 1));
	Datum		values[3] = {Int64GetDatum(store->id), Int32GetDatum(version)};
	uint64		rows;

	for (int i = 0; i < count; i++)
	{
		elements[i] = Int32GetDatum(versions[i]);
		is_equal[i] = false;
	}
	values[2] = PointerGetDatum(construct_array(elements, count, INT4OID,
												sizeof(int32), true,
												TYPALIGN_INT));
	rows = run(store, Q_EQUAL_VERSIONS, values, NULL);
	for (uint64 row = 0; row < rows; row++)
	{
		int32		found = DatumGetInt32(nbm_query_column(row, 1, NULL));

		for (int i = 0; i < count; i++)
			is_equal[i] |= versions[i] == found;
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Reads a version and its keyframe.  Raises 02000 where there is none, XX001
 * where it is damaged.
 */
void
nbm_store_version(const NbmStore *store, int32 version, NbmVersion *result)
{
	Datum		values[2] = {Int64GetDatum(store->id), Int32GetDatum(version)};
	bytea	   *layout;
	bytea	   *keyframe;
	bool		is_null;
	bool		is_sound;
	Datum		value;

	if (run(store, Q_VERSION, values, NULL) == 0)
	{
		NbmHead		head;

		nbm_store_head(store, &head);
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("%s " INT64_FORMAT " has no version %d",
						store->kind->name, store->id, version),
				 errdetail("Its newest version is %d.", head.version)));
	}
	result->version = version;
	result->keyframe = DatumGetInt32(nbm_query_column(0, 2, NULL));
	copy_digest(nbm_query_column(0, 3, NULL), result->digest);
	layout = DatumGetByteaPCopy(nbm_query_column(0, 4, NULL));
	value = nbm_query_column(0, 5, &is_null);
	if (is_null && result->keyframe != version)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s " INT64_FORMAT " has lost version %d, on which version %d builds",
						store->kind->name, store->id, result->keyframe, version)));
	if (is_null)
	{
		is_sound = nbm_layout_decode(layout, &result->layout);
		result->base = result->layout;
		result->keyframe_size = VARSIZE_ANY(layout);
	}
	else
	{
		keyframe = DatumGetByteaPCopy(value);
		is_sound = nbm_layout_decode(keyframe, &result->base) &&
			nbm_layout_decode_delta(layout, &result->base, &result->layout);
		result->keyframe_size = VARSIZE_ANY(keyframe);
	}
	if (!is_sound)
		damaged(store, psprintf("version %d", version));
	SPI_freetuptable(SPI_tuptable);
}

/* A text column of the first row as a C string; NULL for NULL. */
static const char *
text_column(int number)
{
	bool		is_null;
	Datum		value = nbm_query_column(0, number, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

/* Reads what people know a version by.  Raises 02000 where there is none. */
void
nbm_store_version_words(const NbmStore *store, int32 version,
						NbmVersionWords *words)
{
	Datum		values[2] = {Int64GetDatum(store->id), Int32GetDatum(version)};

	if (run(store, Q_VERSION_WORDS, values, NULL) == 0)
		nbm_store_no_document(store);
	words->created_at = DatumGetTimestampTz(nbm_query_column(0, 1, NULL));
	words->author = TextDatumGetCString(nbm_query_column(0, 2, NULL));
	words->message = text_column(3);
	words->name = text_column(4);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Memory for walking along the versions: what is read of a version lives
 * until the second next one is read, and so does a keyframe.
 */
typedef struct WalkMemory
{
	MemoryContext contexts[2];
	int			current;
} WalkMemory;

/* Makes the walk's two contexts. */
static void
walk_memory_init(WalkMemory *memory)
{
	for (int i = 0; i < 2; i++)
		memory->contexts[i] = AllocSetContextCreate(CurrentMemoryContext,
													"notebook_migrate versions",
													ALLOCSET_DEFAULT_SIZES);
	memory->current = 0;
}

/* Frees the older of the two and hands it out for what is read next. */
static MemoryContext
walk_memory_next(WalkMemory *memory)
{
	memory->current = 1 - memory->current;
	MemoryContextReset(memory->contexts[memory->current]);
	return memory->contexts[memory->current];
}

/*
 * Reads a row of Q_VERSIONS on top of the row before; false where its layout
 * is damaged.
 */
static bool
read_walked(uint64 row, NbmVersion *version, WalkMemory *keyframes,
			WalkMemory *deltas)
{
	MemoryContext outer;
	bool		is_keyframe;
	bool		is_sound;

	version->version = DatumGetInt32(nbm_query_column(row, 1, NULL));
	version->keyframe = DatumGetInt32(nbm_query_column(row, 2, NULL));
	is_keyframe = version->keyframe == version->version;
	outer = MemoryContextSwitchTo(walk_memory_next(is_keyframe ? keyframes :
												   deltas));
	copy_digest(nbm_query_column(row, 3, NULL), version->digest);
	if (is_keyframe)
	{
		is_sound = nbm_layout_decode(DatumGetByteaPCopy(nbm_query_column(row, 4, NULL)),
									 &version->base);
		version->layout = version->base;
	}
	else
		is_sound = nbm_layout_decode_delta(DatumGetByteaPCopy(nbm_query_column(row, 4, NULL)),
										   &version->base, &version->layout);
	MemoryContextSwitchTo(outer);
	return is_sound;
}

/*
 * Calls visit for each version, oldest first.  What it is given lives until
 * the call after the next; is_sound is false where the layout could not be
 * read, and must not be used.
 */
void
nbm_store_each_version(const NbmStore *store, NbmVersionVisit visit, void *arg)
{
	Datum		values[1] = {Int64GetDatum(store->id)};
	Portal		portal = SPI_cursor_open(NULL, nbm_query_plan(store->kind, Q_VERSIONS),
										 values, NULL, store->read_only);
	NbmVersion	version = {0};
	WalkMemory	keyframes;
	WalkMemory	deltas;
	uint64		count;

	walk_memory_init(&keyframes);
	walk_memory_init(&deltas);
	do
	{
		SPITupleTable *rows;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		rows = SPI_tuptable;
		count = SPI_processed;
		for (uint64 i = 0; i < count; i++)
		{
			bool		is_sound;

			CHECK_FOR_INTERRUPTS();
			SPI_tuptable = rows;	/* visit may have run queries */
			is_sound = read_walked(i, &version, &keyframes, &deltas);
			visit(store, &version, is_sound, arg);
		}
		SPI_freetuptable(rows);
	} while (count == FETCH_ROWS);
	SPI_cursor_close(portal);
}

/* Calls visit for each part, in the order of their ids, one at a time. */
void
nbm_store_each_part(const NbmStore *store, NbmPartVisit visit, void *arg)
{
	Datum		values[1] = {Int64GetDatum(store->id)};
	Portal		portal = SPI_cursor_open(NULL, nbm_query_plan(store->kind, Q_ALL_PARTS),
										 values, NULL, store->read_only);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "notebook_migrate part",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(scratch);

	for (;;)
	{
		NbmPart		part;
		Datum		bytes;
		bool		no_bytes;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, 1);
		if (SPI_processed == 0)
			break;
		part.id = (uint64) DatumGetInt64(nbm_query_column(0, 1, NULL));
		copy_digest(nbm_query_column(0, 2, NULL), part.digest);
		part.body = DatumGetJsonbPCopy(nbm_query_column(0, 3, NULL));
		bytes = nbm_query_column(0, 4, &no_bytes);
		part.bytes = no_bytes ? NULL : DatumGetByteaPCopy(bytes);
		SPI_freetuptable(SPI_tuptable);
		visit(store, &part, arg);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(outer);
	SPI_cursor_close(portal);
}

/* A string in UTF-8, whatever the database's encoding. */
static char *
in_utf8(char *string)
{
	return (char *) pg_do_encoding_conversion((unsigned char *) string,
											  strlen(string),
											  GetDatabaseEncoding(), PG_UTF8);
}

/* Adds a column of a row to the bytes that its seal is of. */
static void
seal_column(StringInfo buf, Oid type, Datum value)
{
	struct varlena *bytes;
	char	   *printed;

	switch (type)
	{
		case INT4OID:
			appendStringInfo(buf, "%d|", DatumGetInt32(value));
			break;
		case INT8OID:
		case TIMESTAMPTZOID:
			appendStringInfo(buf, INT64_FORMAT "|", DatumGetInt64(value));
			break;
		case JSONBOID:
			printed = in_utf8(JsonbToCString(NULL, &DatumGetJsonbP(value)->root, 0));
			appendStringInfo(buf, "%zu|%s", strlen(printed), printed);
			break;
		case TEXTOID:
			printed = in_utf8(TextDatumGetCString(value));
			appendStringInfo(buf, "%zu|%s", strlen(printed), printed);
			break;
		default:
			bytes = PG_DETOAST_DATUM_PACKED(value);
			appendStringInfo(buf, "%zu|", (Size) VARSIZE_ANY_EXHDR(bytes));
			appendBinaryStringInfo(buf, VARDATA_ANY(bytes),
								   VARSIZE_ANY_EXHDR(bytes));
	}
}

/*
 * The seal of a row that is written by a query: the first 8 bytes of the
 * SHA-256 over all its columns but the last, which is the seal.
 */
static int64
seal_of(NbmQuery id, const Datum *values, const char *nulls)
{
	StringInfoData buf;
	uint8		digest[NBM_DIGEST_LEN];
	int			count;
	const Oid  *types = nbm_query_types(id, &count);

	initStringInfo(&buf);
	for (int i = 0; i < count - 1; i++)
	{
		if (nulls != NULL && nulls[i] == 'n')
			appendStringInfoString(&buf, "null|");
		else
			seal_column(&buf, types[i], values[i]);
	}
	nbm_sha256(buf.data, buf.len, digest);
	pfree(buf.data);
	return (int64) nbm_part_id(digest);
}

/* Is a row of the last result, written by a query, as it was written? */
static bool
is_sealed(uint64 row, NbmQuery id)
{
	int			count;
	Datum		values[NBM_MAX_ARGS];
	char		nulls[NBM_MAX_ARGS];

	(void) nbm_query_types(id, &count);
	for (int i = 0; i < count; i++)
	{
		bool		is_null;

		values[i] = nbm_query_column(row, i + 1, &is_null);
		nulls[i] = is_null ? 'n' : ' ';
	}
	return seal_of(id, values, nulls) == DatumGetInt64(values[count - 1]);
}

/*
 * Calls visit with a row's number and whether it is sealed, for the rows of
 * one query, which another wrote; the number is in column number.
 */
static void
each_row(const NbmStore *store, NbmQuery id, NbmQuery writer, int number,
		 NbmRowVisit visit, void *arg)
{
	Datum		values[1] = {Int64GetDatum(store->id)};
	Portal		portal = SPI_cursor_open(NULL, nbm_query_plan(store->kind, id), values,
										 NULL, store->read_only);
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "notebook_migrate row",
												  ALLOCSET_DEFAULT_SIZES);
	uint64		count;

	do
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		count = SPI_processed;
		for (uint64 row = 0; row < count; row++)
		{
			MemoryContext outer = MemoryContextSwitchTo(scratch);
			int64		key;

			CHECK_FOR_INTERRUPTS();
			key = SPI_gettypeid(SPI_tuptable->tupdesc, number) == INT8OID ?
				DatumGetInt64(nbm_query_column(row, number, NULL)) :
				DatumGetInt32(nbm_query_column(row, number, NULL));
			visit(store, key, is_sealed(row, writer), arg);
			MemoryContextSwitchTo(outer);
			MemoryContextReset(scratch);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (count == FETCH_ROWS);
	SPI_cursor_close(portal);
}

/* Is each row of the version table as it was written? */
void
nbm_store_check_versions(const NbmStore *store, NbmRowVisit visit, void *arg)
{
	each_row(store, Q_VERSION_ROWS, Q_ADD_VERSION, 2, visit, arg);
}

/* Is each row of the mapping table, of this document, as it was written? */
void
nbm_store_check_mappings(const NbmStore *store, NbmRowVisit visit, void *arg)
{
	each_row(store, Q_MAPPING_ROWS, Q_ADD_MAPPING, 1, visit, arg);
}

/*
 * What was split or merged in the versions after one and up to another, by
 * version; merges that were undone before the last one are left out.
 */
NbmDescentRow *
nbm_store_descents(const NbmStore *store, int32 after, int32 upto, int *count)
{
	Datum		values[3] = {
		Int64GetDatum(store->id), Int32GetDatum(after), Int32GetDatum(upto)
	};
	uint64		rows = run(store, Q_DESCENTS, values, NULL);
	NbmDescentRow *result = palloc_array(NbmDescentRow, Max(rows, 1));

	for (uint64 row = 0; row < rows; row++)
	{
		bool		no_key;
		bool		no_from;
		bool		no_change;

		result[row].version = DatumGetInt32(nbm_query_column(row, 1, NULL));
		result[row].key = DatumGetInt32(nbm_query_column(row, 2, &no_key));
		result[row].from = DatumGetInt32(nbm_query_column(row, 3, &no_from));
		result[row].is_merge = DatumGetBool(nbm_query_column(row, 4, &no_change));
		if (no_key || no_from || no_change)
			damaged(store, "what was split or merged");
	}
	SPI_freetuptable(SPI_tuptable);
	*count = (int) rows;
	return result;
}

/* All removed items as they were noted, by version and key. */
NbmRemovedRow *
nbm_store_removed_rows(const NbmStore *store, int *count)
{
	Datum		values[1] = {Int64GetDatum(store->id)};
	uint64		rows = run(store, Q_REMOVED_ROWS, values, NULL);
	NbmRemovedRow *result = palloc_extended(mul_size(sizeof(NbmRemovedRow),
													 Max(rows, 1)),
											MCXT_ALLOC_HUGE);

	for (uint64 row = 0; row < rows; row++)
	{
		result[row].key = DatumGetInt32(nbm_query_column(row, 1, NULL));
		result[row].version = DatumGetInt32(nbm_query_column(row, 2, NULL));
		result[row].item = DatumGetByteaPCopy(nbm_query_column(row, 3, NULL));
	}
	SPI_freetuptable(SPI_tuptable);
	*count = (int) rows;
	return result;
}

/*
 * One mapping's row, of the last result: its version, if it is after one,
 * moves, under a new seal.
 */
static void
shift_mapping(uint64 row, int32 after, int32 by)
{
	NbmStore	notebook = {&nbm_notebook, 0, false};
	Datum		columns[NBM_MAX_ARGS];
	Datum		values[4];
	int			count;

	(void) nbm_query_types(Q_ADD_MAPPING, &count);
	for (int i = 0; i < count; i++)
		columns[i] = nbm_query_column(row, i + 1, NULL);
	if (DatumGetInt32(columns[4]) <= after)
		return;
	columns[4] = Int32GetDatum(DatumGetInt32(columns[4]) + by);
	values[0] = columns[1];
	values[1] = columns[0];
	values[2] = columns[4];
	values[3] = Int64GetDatum(seal_of(Q_ADD_MAPPING, columns, NULL));
	run(&notebook, Q_SHIFT_MAPPING, values, NULL);
}

/*
 * The versions of a workflow after one (0: all) have new numbers, higher by
 * the same: its mappings go with them.
 */
void
nbm_store_shift_mappings(const NbmStore *store, int32 after, int32 by)
{
	Datum		values[1] = {Int64GetDatum(store->id)};
	bool		outer = shifting;
	uint64		rows = run(store, Q_MAPPING_ROWS, values, NULL);
	SPITupleTable *table = SPI_tuptable;

	shifting = true;
	PG_TRY();
	{
		for (uint64 row = 0; row < rows; row++)
		{
			SPI_tuptable = table;
			shift_mapping(row, after, by);
		}
	}
	PG_FINALLY();
	{
		shifting = outer;
	}
	PG_END_TRY();
	SPI_freetuptable(table);
}

/* Are mappings being given the new numbers of their versions? */
bool
nbm_store_is_shifting(void)
{
	return shifting;
}

/* Who is writing: the setting, or else the session's user. */
static Datum
author_datum(void)
{
	if (nbm_author != NULL && nbm_author[0] != '\0')
		return CStringGetTextDatum(nbm_author);
	return CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
}

/* A digest as a bytea of the current context. */
static Datum
digest_datum(const uint8 *digest)
{
	bytea	   *bytes = palloc(VARHDRSZ + NBM_DIGEST_LEN);

	SET_VARSIZE(bytes, VARHDRSZ + NBM_DIGEST_LEN);
	memcpy(VARDATA(bytes), digest, NBM_DIGEST_LEN);
	return PointerGetDatum(bytes);
}

/*
 * The layout's bytes: a delta against the parent's keyframe or, where that
 * has grown too far from it, a new keyframe.  Deltas grow with their distance
 * from the keyframe, by about the same each time; the sum of all is least
 * where a new keyframe costs as much as the deltas since the last one, which
 * is about half of (newest delta) x (how many).
 */
static bytea *
choose_layout(const NbmVersion *parent, const NbmNewVersion *version,
			  int32 *keyframe)
{
	bytea	   *delta;

	if (parent != NULL)
	{
		uint64		since = version->version - parent->keyframe;

		delta = nbm_layout_encode_delta(version->layout, &parent->base);
		*keyframe = parent->keyframe;
		if (VARSIZE(delta) * since / 2 < (uint64) parent->keyframe_size)
			return delta;
	}
	*keyframe = version->version;
	return nbm_layout_encode(version->layout);
}

/*
 * Adds a version on its parent (NULL: the first one) and, where there is a
 * parent, moves the head.  The caller holds the head's lock, or has just made
 * it.
 */
void
nbm_store_add_version(const NbmStore *store, const NbmVersion *parent,
					  NbmNewVersion *version)
{
	char		nulls[] = "                  ";
	Datum		values[18];
	int32		keyframe;
	bytea	   *layout = choose_layout(parent, version, &keyframe);

	values[0] = Int64GetDatum(store->id);
	values[1] = Int32GetDatum(version->version);
	values[2] = Int32GetDatum(parent ? parent->version : 0);
	if (parent == NULL)
		nulls[2] = 'n';
	values[3] = TimestampTzGetDatum(version->created_at);
	values[4] = Int32GetDatum(keyframe);
	values[5] = Int32GetDatum(version->layout->nitems);
	for (int i = 0; i < NBM_COUNTS; i++)
		values[6 + i] = Int32GetDatum(version->counts[i]);
	values[12] = version->author ? CStringGetTextDatum(version->author) :
		author_datum();
	values[13] = version->message ? CStringGetTextDatum(version->message) : 0;
	if (version->message == NULL)
		nulls[13] = 'n';
	values[14] = JsonbPGetDatum(version->descents);
	if (version->descents == NULL)
		nulls[14] = 'n';
	values[15] = digest_datum(version->digest);
	values[16] = PointerGetDatum(layout);
	values[17] = Int64GetDatum(seal_of(Q_ADD_VERSION, values, nulls));
	run(store, Q_ADD_VERSION, values, nulls);
	if (parent != NULL && !version->keeps_head)
	{
		values[2] = Int32GetDatum(version->next_key);
		run(store, Q_ADVANCE, values, NULL);
	}
}

/* An array of part ids, as a datum of the current context. */
static Datum
ids_datum(const uint64 *ids, int count)
{
	Datum	   *elements = palloc_array(Datum, Max(count, 1));

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum((int64) ids[i]);
	return PointerGetDatum(construct_array(elements, count, INT8OID,
										   sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/*
 * A body as it goes into the row: what TOAST would leave alone, since the row
 * is short, is compressed here where that saves something.
 */
static Datum
body_datum(Jsonb *body)
{
	Datum		value = PointerGetDatum(body);
	Datum		packed;
#ifdef USE_LZ4
	char		method = TOAST_LZ4_COMPRESSION;
#else
	char		method = TOAST_PGLZ_COMPRESSION;
#endif

	if (VARSIZE(body) < COMPRESS_MIN || VARSIZE(body) > COMPRESS_MAX)
		return value;
	packed = toast_compress_datum(value, method);
	return DatumGetPointer(packed) == NULL ? value : packed;
}

/* Writes one part. */
static void
add_part(const NbmStore *store, const NbmPart *part)
{
	Datum		values[5] = {
		Int64GetDatum(store->id), Int64GetDatum((int64) part->id),
		digest_datum(part->digest), body_datum(part->body),
		PointerGetDatum(part->bytes)
	};

	run(store, Q_ADD_PART, values, part->bytes ? NULL : "    n");
}

/* qsort comparator of pointers to parts: by id, then by digest. */
static int
part_cmp(const void *a, const void *b)
{
	const NbmPart *pa = *(NbmPart *const *) a;
	const NbmPart *pb = *(NbmPart *const *) b;

	if (pa->id != pb->id)
		return pa->id < pb->id ? -1 : 1;
	return memcmp(pa->digest, pb->digest, NBM_DIGEST_LEN);
}

/*
 * Marks those of the parts, sorted by id, that are there twice.  A part whose
 * id another digest has gets the next one; true where that happened, so that
 * the caller must sort and look again.
 */
static bool
find_repeated(NbmPart **sorted, int count, bool *found)
{
	for (int i = 0; i < count; i++)
	{
		found[i] = i > 0 && part_cmp(&sorted[i - 1], &sorted[i]) == 0;
		if (i > 0 && !found[i] && sorted[i - 1]->id == sorted[i]->id)
		{
			sorted[i]->id++;
			return true;
		}
	}
	return false;
}

/* The same for the parts that the store has already. */
static bool
find_stored(const NbmStore *store, NbmPart **sorted, int count, bool *found)
{
	uint64	   *ids = palloc_array(uint64, Max(count, 1));
	bool		moved = false;
	Datum		values[2];
	uint64		rows;

	for (int i = 0; i < count; i++)
		ids[i] = sorted[i]->id;
	values[0] = Int64GetDatum(store->id);
	values[1] = ids_datum(ids, count);
	rows = run(store, Q_DIGESTS, values, NULL);
	for (uint64 row = 0; row < rows; row++)
	{
		uint64		id = (uint64) DatumGetInt64(nbm_query_column(row, 1, NULL));
		uint8		digest[NBM_DIGEST_LEN];
		int			low = 0;
		int			high = count;

		copy_digest(nbm_query_column(row, 2, NULL), digest);
		while (low < high)
		{
			int			middle = (low + high) / 2;

			if (ids[middle] < id)
				low = middle + 1;
			else
				high = middle;
		}
		for (; low < count && ids[low] == id; low++)
		{
			found[low] = true;
			if (sorted[low]->id != id ||
				memcmp(sorted[low]->digest, digest, NBM_DIGEST_LEN) == 0)
				continue;
			sorted[low]->id++;
			moved = true;
		}
	}
	SPI_freetuptable(SPI_tuptable);
	return moved;
}

/*
 * Stores those of the parts that the document has not yet.  A part's id may
 * change: read it afterwards.  The caller holds the head's lock.  A document
 * that is new has none yet, and is not asked: an older snapshot could still
 * see those of a deleted one.
 */
void
nbm_store_add_parts(const NbmStore *store, NbmPart *parts, int count,
					bool is_new)
{
	NbmPart   **sorted = palloc_array(NbmPart *, Max(count, 1));
	bool	   *found = palloc_array(bool, Max(count, 1));
	int			probes = 0;

	if (count == 0)
		return;
	for (int i = 0; i < count; i++)
		sorted[i] = &parts[i];
	do
	{
		if (probes++ > NBM_MAX_PROBES)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("too many parts of %s " INT64_FORMAT " share one id",
							store->kind->name, store->id)));
		qsort(sorted, count, sizeof(NbmPart *), part_cmp);
	} while (find_repeated(sorted, count, found) ||
			 (!is_new && find_stored(store, sorted, count, found)));
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!found[i])
			add_part(store, sorted[i]);
	}
}

/* A wanted body: its part, and the body once it is fetched. */
typedef struct BodyEntry
{
	uint64		part;
	NbmBody		body;
} BodyEntry;

/* Bodies of parts, by id. */
struct NbmBodies
{
	HTAB	   *entries;
};

/* An empty set of bodies, in the current context. */
NbmBodies *
nbm_bodies_create(void)
{
	NbmBodies  *bodies = palloc_object(NbmBodies);
	HASHCTL		control = {0};

	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(BodyEntry);
	control.hcxt = CurrentMemoryContext;
	bodies->entries = hash_create("notebook_migrate bodies", 256, &control,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return bodies;
}

/* Asks for a body; nbm_bodies_fetch() gets it. */
void
nbm_bodies_want(NbmBodies *bodies, uint64 part)
{
	bool		found;
	BodyEntry  *entry = hash_search(bodies->entries, &part, HASH_ENTER, &found);

	if (!found)
		entry->body.body = NULL;
}

/* Asks for all bodies of a layout. */
void
nbm_bodies_want_layout(NbmBodies *bodies, const NbmLayout *layout)
{
	nbm_bodies_want(bodies, layout->envelope);
	for (int i = 0; i < layout->nitems; i++)
	{
		nbm_bodies_want(bodies, layout->items[i].core);
		for (int j = 0; j < layout->items[i].noutputs; j++)
			nbm_bodies_want(bodies, layout->items[i].outputs[j].part);
	}
}

/* Fetches the bodies that were asked for and are not there yet. */
void
nbm_bodies_fetch(NbmBodies *bodies, const NbmStore *store)
{
	long		wanted = hash_get_num_entries(bodies->entries);
	uint64	   *ids = palloc_array(uint64, Max(wanted, 1));
	int			count = 0;
	HASH_SEQ_STATUS scan;
	BodyEntry  *entry;
	Datum		values[2];
	uint64		rows;

	hash_seq_init(&scan, bodies->entries);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (entry->body.body == NULL)
			ids[count++] = entry->part;
	if (count == 0)
		return;
	values[0] = Int64GetDatum(store->id);
	values[1] = ids_datum(ids, count);
	rows = run(store, Q_PARTS, values, NULL);
	for (uint64 row = 0; row < rows; row++)
	{
		Datum		bytes;
		uint64		part;
		bool		no_bytes;

		CHECK_FOR_INTERRUPTS();
		part = (uint64) DatumGetInt64(nbm_query_column(row, 1, NULL));
		entry = hash_search(bodies->entries, &part, HASH_FIND, NULL);
		entry->body.body = DatumGetJsonbPCopy(nbm_query_column(row, 2, NULL));
		bytes = nbm_query_column(row, 3, &no_bytes);
		entry->body.bytes = no_bytes ? NULL : DatumGetByteaPCopy(bytes);
		if (!nbm_part_is_sound(&entry->body))
			damaged(store, psprintf("part " INT64_FORMAT, (int64) part));
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * A part that was fetched, as it is stored; it belongs to the set.  Raises
 * XX001 where the store has lost it.  Fits NbmBodyLookup.
 */
NbmBody *
nbm_bodies_stored(void *bodies, uint64 part)
{
	BodyEntry  *entry = hash_search(((NbmBodies *) bodies)->entries, &part,
									HASH_FIND, NULL);

	if (entry == NULL || entry->body.body == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the store has lost part " INT64_FORMAT, (int64) part),
				 errhint("store_verify() lists what is damaged.")));
	return &entry->body;
}

/* The whole body of a part that was fetched; as nbm_bodies_stored(). */
Jsonb *
nbm_bodies_get(NbmBodies *bodies, uint64 part)
{
	return nbm_part_whole(nbm_bodies_stored(bodies, part));
}

/* All items that were ever removed from the document, newest first. */
NbmItem *
nbm_store_removed(const NbmStore *store, int *count)
{
	Datum		values[1] = {Int64GetDatum(store->id)};
	uint64		rows = run(store, Q_REMOVED, values, NULL);
	NbmItem    *items = palloc_extended(mul_size(sizeof(NbmItem), Max(rows, 1)),
										MCXT_ALLOC_HUGE);

	for (uint64 row = 0; row < rows; row++)
		if (!nbm_item_decode(DatumGetByteaPCopy(nbm_query_column(row, 1, NULL)),
							 &items[row]))
			damaged(store, "a removed item");
	SPI_freetuptable(SPI_tuptable);
	*count = (int) rows;
	return items;
}

/* Notes an item that version, the last one with it, had and the next has not. */
void
nbm_store_add_removed(const NbmStore *store, const NbmItem *item,
					  int32 version)
{
	Datum		values[4] = {
		Int64GetDatum(store->id), Int32GetDatum(item->key),
		Int32GetDatum(version), PointerGetDatum(nbm_item_encode(item))
	};

	run(store, Q_ADD_REMOVED, values, NULL);
}

/* Adds an authored mapping and returns its id, which its notebook counts. */
int64
nbm_store_add_mapping(int64 notebook_id, int64 workflow_id,
					  NbmMappingRow *row, const char *origin)
{
	NbmStore	store = {&nbm_notebook, notebook_id, false};
	Datum		values[10] = {Int64GetDatum(notebook_id)};

	if (run(&store, Q_NEXT_MAPPING, values, NULL) == 0)
		nbm_store_no_document(&store);
	row->mapping_id = DatumGetInt64(nbm_query_column(0, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	values[0] = Int64GetDatum(row->mapping_id);
	values[1] = Int64GetDatum(notebook_id);
	values[2] = Int32GetDatum(row->notebook_version);
	values[3] = Int64GetDatum(workflow_id);
	values[4] = Int32GetDatum(row->workflow_version);
	values[5] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[6] = CStringGetTextDatum(origin);
	values[7] = author_datum();
	values[8] = PointerGetDatum(row->content);
	values[9] = Int64GetDatum(seal_of(Q_ADD_MAPPING, values, NULL));
	run(&store, Q_ADD_MAPPING, values, NULL);
	return row->mapping_id;
}

/* All authored mappings of a pair of documents, newest first, no contents. */
NbmMappingRow *
nbm_store_mappings(int64 notebook_id, int64 workflow_id, int *count)
{
	NbmStore	store = {&nbm_notebook, notebook_id, true};
	Datum		values[2] = {
		Int64GetDatum(notebook_id), Int64GetDatum(workflow_id)
	};
	uint64		rows = run(&store, Q_MAPPINGS, values, NULL);
	NbmMappingRow *result = palloc_array(NbmMappingRow, Max(rows, 1));

	for (uint64 row = 0; row < rows; row++)
	{
		result[row].mapping_id = DatumGetInt64(nbm_query_column(row, 1, NULL));
		result[row].notebook_version = DatumGetInt32(nbm_query_column(row, 2, NULL));
		result[row].workflow_version = DatumGetInt32(nbm_query_column(row, 3, NULL));
		result[row].content = NULL;
	}
	SPI_freetuptable(SPI_tuptable);
	*count = (int) rows;
	return result;
}

/* The content of an authored mapping. */
Jsonb *
nbm_store_mapping_content(int64 notebook_id, int64 mapping_id)
{
	NbmStore	store = {&nbm_notebook, notebook_id, true};
	Datum		values[2] = {
		Int64GetDatum(notebook_id), Int64GetDatum(mapping_id)
	};

	if (run(&store, Q_MAPPING_CONTENT, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("notebook " INT64_FORMAT " has no mapping " INT64_FORMAT,
						notebook_id, mapping_id)));
	return DatumGetJsonbPCopy(nbm_query_column(0, 1, NULL));
}

/* The pairs of documents that authored mappings join; NULL ids mean any. */
NbmMappedPair *
nbm_store_mapped_pairs(const int64 *notebook_id, const int64 *workflow_id,
					   int *count)
{
	NbmStore	store = {&nbm_notebook, 0, true};
	char		nulls[3] = {
		notebook_id ? ' ' : 'n', workflow_id ? ' ' : 'n', '\0'
	};
	Datum		values[2] = {
		Int64GetDatum(notebook_id ? *notebook_id : 0),
		Int64GetDatum(workflow_id ? *workflow_id : 0)
	};
	uint64		rows = run(&store, Q_MAPPED_PAIRS, values, nulls);
	NbmMappedPair *pairs = palloc_array(NbmMappedPair, Max(rows, 1));

	for (uint64 row = 0; row < rows; row++)
	{
		pairs[row].notebook_id = DatumGetInt64(nbm_query_column(row, 1, NULL));
		pairs[row].workflow_id = DatumGetInt64(nbm_query_column(row, 2, NULL));
	}
	*count = (int) rows;
	return pairs;
}

/*
 * Finds the workflow that a notebook was mapped to for the version nearest to
 * this one, earlier ones before later ones, the newest mapping on a tie.
 * False where it was never mapped.
 */
bool
nbm_store_nearest_workflow(int64 notebook_id, int32 version,
						   int64 *workflow_id)
{
	NbmStore	store = {&nbm_notebook, notebook_id, true};
	Datum		values[2] = {
		Int64GetDatum(notebook_id), Int32GetDatum(version)
	};
	bool		found = run(&store, Q_NEAREST_WORKFLOW, values, NULL) > 0;

	if (found)
		*workflow_id = DatumGetInt64(nbm_query_column(0, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* The ids of all documents of a kind, or of the one given if it is there. */
int64 *
nbm_store_ids(const NbmKind *kind, const int64 *id, int *count)
{
	NbmStore	store = {kind, 0, true};
	Datum		values[1] = {Int64GetDatum(id ? *id : 0)};
	uint64		rows = run(&store, Q_IDS, values, id ? NULL : "n");
	int64	   *ids = palloc_array(int64, Max(rows, 1));

	for (uint64 row = 0; row < rows; row++)
		ids[row] = DatumGetInt64(nbm_query_column(row, 1, NULL));
	SPI_freetuptable(SPI_tuptable);
	*count = (int) rows;
	return ids;
}
