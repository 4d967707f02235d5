/*
 * attached_write.c
 *		What a write to an attached table does to the store.
 *
 * The application's statement must go through whatever happens here, and must
 * not wait: so everything is done in a subtransaction, waits for no lock
 * longer than LOCK_TIMEOUT, and takes no content that is larger than the
 * setting notebook_migrate.max_attached_size.  What could not be done has a
 * row in texera_problem; the workflow's next save brings its whole content
 * again.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "attached_write.h"
#include "maintain.h"
#include "take.h"

/* How long a save waits for somebody else's to the same document, in ms. */
#define LOCK_TIMEOUT "100"

/* Opens the store with the owner's rights, to wait for nobody. */
static int
begin(Oid owner, NbmIdentity *before)
{
	int			level = nbm_owner_begin(owner, before);

	(void) set_config_option("lock_timeout", LOCK_TIMEOUT,
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	return level;
}

/* The row that a write is about: the new one, or the deleted one. */
static const NbmRow *
row_of(const NbmWrite *write)
{
	return write->new.tuple != NULL ? &write->new : &write->old;
}

/* Reads the key of a row; raises 22004 for NULL. */
static int64
key_of(const NbmWrite *write, const NbmRow *row)
{
	int64		key;

	if (!nbm_row_int(row, write->attachment.key_column, &key))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("key column \"%s\" is null",
						write->attachment.key_column)));
	return key;
}

/* The columns of Texera's tables that tell a problem's row, in this order. */
static const char *const key_columns[] = {"wid", "vid", "version", "nid"};

/* The keys of a row in words, such as "wid 7 vid 12", as a new string. */
static char *
write_key(const NbmWrite *write)
{
	const NbmRow *row = row_of(write);
	StringInfoData buf;
	int64		key;

	initStringInfo(&buf);
	/* of a table that could not be looked up, the key column is not known */
	if (write->attachment.key_column != NULL &&
		write->attachment.role == NBM_ROLE_DOCUMENT)
	{
		if (nbm_row_int(row, write->attachment.key_column, &key))
			appendStringInfo(&buf, "%s " INT64_FORMAT,
							 write->attachment.key_column, key);
		return buf.data;
	}
	for (int i = 0; i < lengthof(key_columns); i++)
		if (nbm_row_has(row, key_columns[i]) &&
			nbm_row_int(row, key_columns[i], &key))
			appendStringInfo(&buf, "%s%s " INT64_FORMAT,
							 buf.len > 0 ? " " : "", key_columns[i], key);
	return buf.data;
}

/* The version of a workflow gets its label. */
static void
label(const NbmWrite *write, int64 key, int32 version, NbmTaken taken)
{
	if (write->is_present)
	{
		if (write->vid > 0)
			nbm_vid_add(key, write->vid);
		if (taken != NBM_TAKEN_EQUAL)
			nbm_label_newest(key, version);
	}
	else if (taken == NBM_TAKEN_EQUAL)
		return;
	else if (write->old.tuple == NULL)
		nbm_label_await(key, version);
	else
		nbm_label_newest(key, version);
}

/* A document was written. */
static void
take_document(NbmWrite *write)
{
	const NbmAttachment *attachment = &write->attachment;
	int64		key = key_of(write, &write->new);
	NbmStore	store = {attachment->kind, key, false};
	char	   *name = nbm_row_text(&write->new, "name");
	bool		is_update = write->old.tuple != NULL;
	NbmTaken	taken;
	int32		version;

	write->document = key;
	if (is_update && key_of(write, &write->old) != key)
	{
		NbmStore	old = {attachment->kind, key_of(write, &write->old), false};

		(void) nbm_store_delete(&old);
		is_update = false;
	}
	/* a rename writes the whole row again */
	if (is_update && nbm_row_same(&write->old, &write->new,
								  attachment->content_column))
	{
		if (nbm_row_has(&write->new, "name") &&
			!nbm_row_same(&write->old, &write->new, "name"))
			nbm_take_name(&store, name);
		return;
	}
	taken = nbm_take_document(&store, name,
							  nbm_row_jsonb(&write->new,
											attachment->content_column),
							  &version);
	write->has_new = taken != NBM_TAKEN_EQUAL;
	if (attachment->role == NBM_ROLE_WORKFLOW)
		label(write, key, version, taken);
}

/* A document was deleted. */
static void
delete_document(const NbmWrite *write)
{
	NbmStore	store = {
		write->attachment.kind, key_of(write, &write->old), false
	};

	(void) nbm_store_delete(&store);
	if (write->attachment.role == NBM_ROLE_WORKFLOW)
		nbm_vid_forget(store.id);
}

/* A mapping was written: somebody stated it. */
static void
take_mapping(NbmWrite *write)
{
	const NbmRow *row = &write->new;
	int64		workflow_id = key_of(write, row);
	int64		notebook_id = workflow_id;
	int64		vid;
	bool		has_vid;
	List	   *problems;
	ListCell   *cell;
	int			nlinks;

	if (nbm_row_has(row, "nid"))
		(void) nbm_row_int(row, "nid", &notebook_id);
	has_vid = nbm_row_has(row, "vid") ? nbm_row_int(row, "vid", &vid) :
		nbm_row_has(row, "version") && nbm_row_int(row, "version", &vid);
	if (nbm_take_mapping(notebook_id, workflow_id, has_vid ? &vid : NULL,
						 nbm_row_jsonb(row, write->attachment.content_column),
						 &nlinks, &problems) != 0)
		write->has_new = true;
	write->document = workflow_id;
	/* of a past that is not there yet: texera_backfill() will see */
	if (has_vid && nbm_label_version(workflow_id, vid) == 0 &&
		nbm_label_first(workflow_id) > 0)
		return;
	foreach(cell, problems)
		nbm_problem_add(nbm_table_name(write->attachment.target),
						write_key(write), ERRCODE_INVALID_PARAMETER_VALUE,
						lfirst(cell));
}

/* Does what a write asks for.  Fits NbmWork. */
void
nbm_write_take(void *arg)
{
	NbmWrite   *write = arg;
	NbmIdentity before;
	int			level = begin(write->owner, &before);
	int64		vid;

	switch (write->attachment.role)
	{
		case NBM_ROLE_DOCUMENT:
		case NBM_ROLE_WORKFLOW:
		case NBM_ROLE_NOTEBOOK:
			if (write->new.tuple != NULL)
				take_document(write);
			else
				delete_document(write);
			break;
		case NBM_ROLE_VID:
			if (write->new.tuple != NULL && write->old.tuple == NULL &&
				nbm_row_int(&write->new, "vid", &vid))
				nbm_vid_add(key_of(write, &write->new), vid);
			break;
		case NBM_ROLE_MAPPING:
			if (write->new.tuple != NULL &&
				(write->old.tuple == NULL ||
				 !nbm_row_same(&write->old, &write->new,
							   write->attachment.content_column)))
				take_mapping(write);
			break;
	}
	nbm_owner_end(level, &before);
}

/* Brings the application's mapping rows up to date.  Fits NbmWork. */
void
nbm_write_maintain(void *arg)
{
	NbmWrite   *write = arg;
	bool		is_notebook = write->attachment.role == NBM_ROLE_NOTEBOOK;
	NbmIdentity before;
	int			level = begin(write->owner, &before);

	nbm_maintain_mappings(write->attachment.schema,
						  is_notebook ? &write->document : NULL,
						  is_notebook ? NULL : &write->document);
	nbm_owner_end(level, &before);
}

/* A problem on its way into its table. */
typedef struct Report
{
	Oid			owner;
	const char *table;
	const char *key;
	const NbmCaught *caught;
} Report;

/* Writes a problem down.  Fits NbmWork. */
static void
write_report(void *arg)
{
	Report	   *report = arg;
	NbmIdentity before;
	int			level = begin(report->owner, &before);

	nbm_problem_add(report->table, report->key, report->caught->sqlstate,
					report->caught->message);
	nbm_owner_end(level, &before);
}

/* Writes a problem down; where even that fails, it is a warning. */
static void
report_problem(Oid owner, const char *table, const char *key,
			   const NbmCaught *caught)
{
	Report		report = {owner, table, key, caught};
	NbmCaught	again;

	if (!nbm_guarded(write_report, &report, &again))
		ereport(WARNING,
				(errcode(caught->sqlstate),
				 errmsg("%s, %s: %s", table, key, caught->message),
				 errdetail("It could not be written to texera_problem: %s.",
						   again.message)));
}

/* The key of a write in words. */
typedef struct KeyWords
{
	const NbmWrite *write;
	MemoryContext context;
	char	   *words;
} KeyWords;

/* Finds the words, in a context that outlives the work.  Fits NbmWork. */
static void
find_words(void *arg)
{
	KeyWords   *key = arg;

	key->words = MemoryContextStrdup(key->context, write_key(key->write));
}

/* Writes down why a write could not be followed. */
void
nbm_write_failed(const NbmWrite *write, Oid table, const NbmCaught *caught)
{
	KeyWords	key = {write, CurrentMemoryContext, ""};
	NbmCaught	ignored;

	(void) nbm_guarded(find_words, &key, &ignored);
	report_problem(write->owner, nbm_table_name(table), key.words, caught);
}

/* Does work for a write; false, and a problem written down, where it fails. */
bool
nbm_write_guarded(NbmWork work, NbmWrite *write, Oid table)
{
	NbmCaught	caught;

	if (nbm_guarded(work, write, &caught))
		return true;
	nbm_write_failed(write, table, &caught);
	return false;
}
