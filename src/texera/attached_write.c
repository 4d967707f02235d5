/*
 * attached_write.c
 *		What a write to an attached table does to the store.
 *
 * The application's statement must go through whatever happens here, and must
 * not wait: so everything is done in a subtransaction, a document that
 * somebody holds is passed over, and so is content that is larger than the
 * setting notebook_migrate.max_attached_size.  What could not be done has a
 * row in texera_problem, and a workflow a gap; its next save brings its whole
 * content again.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "attached_write.h"
#include "maintain.h"
#include "settings.h"
#include "take.h"

/* How long a save waits for locks that are not a document's, in ms. */
#define LOCK_TIMEOUT "100"

/* Lets nobody wait long for a lock until the current nest level ends. */
void
nbm_wait_briefly(void)
{
	nbm_setting_put("lock_timeout", LOCK_TIMEOUT);
}

/* Opens the store with the owner's rights, to wait for nobody long. */
static int
begin(Oid owner, NbmIdentity *before)
{
	int			level = nbm_owner_begin(owner, before);

	nbm_wait_briefly();
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
	if (row->tuple == NULL)
	{
		if (write->deleted != 0)
			appendStringInfo(&buf, "%s " INT64_FORMAT,
							 write->attachment.key_column, write->deleted);
		return buf.data;
	}
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

/*
 * Locks a document that a save is about, if it is there.  Raises 55P03 where
 * somebody else holds it: a save waits for nobody.  What attaching and
 * texera_backfill() find may take its time.
 */
static void
claim(const NbmWrite *write, const NbmKind *kind, int64 id, bool to_delete)
{
	NbmStore	store = {kind, id, false};

	if (!write->is_present)
		nbm_store_claim(&store, to_delete);
}

/*
 * A workflow is in the store as it is now.  Its version gets its label; the
 * row is used, and a gap ends with it or, where the content is not what was
 * saved with that row, after it.
 */
static void
label(const NbmWrite *write, int64 key, int32 version, NbmTaken taken)
{
	bool		is_made = taken != NBM_TAKEN_EQUAL;
	NbmCurrentVid current;

	if (write->is_present && write->vid > 0)
		nbm_vid_present(key, write->vid);
	nbm_vid_current(key, !write->is_present, &current);
	if (write->missed != NULL)
	{
		if (is_made && write->missed->vid > 0)
			nbm_label_add(key, version, write->missed->vid,
						  write->missed->is_save);
		nbm_gap_end(key, write->missed->vid, write->missed->noted_at);
		if (taken == NBM_TAKEN_FIRST)
			nbm_progress_forget(key);
		return;
	}
	if (is_made && write->old.tuple == NULL && !write->is_present)
		nbm_label_await(key, version);
	else if (is_made && current.vid > 0)
		nbm_label_add(key, version, current.vid, current.unused != 0 ||
					  (write->is_present && current.is_missing));
	if (current.unused != 0)
		nbm_vid_use(key, current.unused);
	if (current.is_behind)
		nbm_gap_end(key, current.vid +
					(current.unused == 0 && current.vid > 0 && !write->is_present),
					DT_NOEND);
	/* the past that led to what could not be read can be looked for now */
	if (current.is_behind && taken == NBM_TAKEN_FIRST)
		nbm_progress_forget(key);
}

/*
 * The content of a row is what it was.  True where that is all there is to
 * it: a rename writes the whole row again.  False for a save that changed
 * nothing, and for what is not in the store yet.
 */
static bool
is_only_renamed(const NbmWrite *write, const NbmStore *store)
{
	bool		is_renamed = nbm_row_has(&write->new, "name") &&
	!nbm_row_same(&write->old, &write->new, "name");
	NbmCurrentVid current = {0};

	if (write->attachment.role == NBM_ROLE_WORKFLOW)
		nbm_vid_current(store->id, true, &current);
	if (current.is_behind || (!is_renamed && current.unused != 0))
		return false;
	if (is_renamed)
	{
		claim(write, store->kind, store->id, false);
		nbm_take_name(store, nbm_row_text(&write->new, "name"));
	}
	return true;
}

/* A document is gone, and all that is known of it. */
static void
forget_document(const NbmWrite *write, int64 id)
{
	NbmStore	store = {write->attachment.kind, id, false};

	claim(write, store.kind, id, true);
	(void) nbm_store_delete(&store);
	nbm_attached_forget(store.kind, id);
	if (write->attachment.role == NBM_ROLE_WORKFLOW)
		nbm_workflow_forget(id);
	if (write->attachment.role == NBM_ROLE_NOTEBOOK)
		nbm_notebook_forget(id);
}

/* Forgets a document whose row is gone.  Fits NbmWork. */
static void
follow_deletion(void *arg)
{
	NbmWrite   *write = arg;
	NbmIdentity before;
	int			level = begin(write->owner, &before);

	forget_document(write, write->deleted);
	nbm_owner_end(level, &before);
}

/* The rows of some documents of a table are gone. */
void
nbm_write_deleted(NbmWrite *write, const int64 *ids, int count)
{
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write->deleted = ids[i];
		(void) nbm_write_guarded(follow_deletion, write,
								 write->attachment.target);
	}
}

/* What came from a table that is empty now. */
typedef struct Emptied
{
	NbmWrite   *write;
	MemoryContext context;		/* of ids */
	int64	   *ids;
	int			count;
} Emptied;

/* Finds its documents, or forgets what is known of its rows.  Fits NbmWork. */
static void
follow_truncate(void *arg)
{
	Emptied    *emptied = arg;
	NbmWrite   *write = emptied->write;
	NbmIdentity before;
	int			level = begin(write->owner, &before);
	int64	   *ids;

	switch (write->attachment.role)
	{
		case NBM_ROLE_DOCUMENT:
		case NBM_ROLE_WORKFLOW:
		case NBM_ROLE_NOTEBOOK:
			ids = nbm_attached_documents(write->attachment.kind,
										 nbm_table_name(write->attachment.target),
										 &emptied->count);
			emptied->ids = MemoryContextAlloc(emptied->context,
											  sizeof(int64) * Max(emptied->count, 1));
			memcpy(emptied->ids, ids, sizeof(int64) * emptied->count);
			break;
		case NBM_ROLE_VID:
			nbm_vid_forget_all();
			break;
		case NBM_ROLE_MAPPING:
			nbm_mapping_row_forget_all();
			break;
	}
	nbm_owner_end(level, &before);
}

/* All rows of an attached table are gone. */
void
nbm_write_emptied(NbmWrite *write)
{
	Emptied		emptied = {write, CurrentMemoryContext, NULL, 0};
	NbmCaught	caught;

	if (nbm_guarded(follow_truncate, &emptied, &caught))
		nbm_write_deleted(write, emptied.ids, emptied.count);
	else
		nbm_write_failed(write, write->attachment.target, &caught);
}

/* A document was written. */
static void
take_document(NbmWrite *write)
{
	const NbmAttachment *attachment = &write->attachment;
	int64		key = key_of(write, &write->new);
	NbmStore	store = {attachment->kind, key, false};
	bool		is_workflow = attachment->role == NBM_ROLE_WORKFLOW;
	bool		is_new = write->old.tuple == NULL;
	Jsonb	   *content;
	NbmTaken	taken;
	int32		version;

	write->document = key;
	if (!is_new && key_of(write, &write->old) != key)
	{
		forget_document(write, key_of(write, &write->old));
		is_new = true;
	}
	if (!is_new && nbm_row_same(&write->old, &write->new,
								attachment->content_column) &&
		is_only_renamed(write, &store))
		return;
	claim(write, store.kind, key, false);
	content = nbm_row_jsonb(&write->new, attachment->content_column);
	if (is_workflow)
		nbm_check_operators(content);
	taken = nbm_take_document(&store, nbm_row_text(&write->new, "name"),
							  content, &version);
	write->has_new = taken != NBM_TAKEN_EQUAL;
	if (is_new || taken == NBM_TAKEN_FIRST)
		nbm_attached_note(attachment, key);
	if (is_workflow)
		label(write, key, version, taken);
}

/* Which of Texera's mappings a row is; false where it has no vid. */
static bool
mapping_key(const NbmWrite *write, const NbmRow *row, NbmMappingKey *key)
{
	bool		has_vid;

	key->workflow_id = key_of(write, row);
	key->notebook_id = key->workflow_id;
	key->vid = 0;
	if (nbm_row_has(row, "nid"))
		(void) nbm_row_int(row, "nid", &key->notebook_id);
	has_vid = nbm_row_has(row, "vid") ? nbm_row_int(row, "vid", &key->vid) :
		nbm_row_has(row, "version") && nbm_row_int(row, "version", &key->vid);
	return has_vid;
}

/*
 * A mapping was written: somebody stated it.  Not so one that is found as it
 * was when it was last taken in, or written by us.
 */
static void
take_mapping(NbmWrite *write)
{
	Jsonb	   *content = nbm_row_jsonb(&write->new,
										write->attachment.content_column);
	NbmMappingKey key;
	bool		has_vid = mapping_key(write, &write->new, &key);
	bool		is_past;
	int32		notebook_version = 0;
	List	   *problems;
	ListCell   *cell;
	int			nlinks;

	/* of a past that is not there yet: texera_backfill() will see */
	is_past = has_vid && nbm_label_version(key.workflow_id, key.vid) == 0 &&
		nbm_label_first(key.workflow_id) > 0;
	if (write->is_present &&
		nbm_mapping_row_find(&key, content, &notebook_version) &&
		(notebook_version == 0 || is_past))
		return;
	nbm_check_notebook_of(write->attachment.schema, key.notebook_id,
						  key.workflow_id);
	claim(write, &nbm_notebook, key.notebook_id, false);
	claim(write, &nbm_workflow, key.workflow_id, false);
	if (nbm_take_mapping(key.notebook_id, key.workflow_id,
						 has_vid ? &key.vid : NULL, content, &notebook_version,
						 &nlinks, &problems) != 0)
		write->has_new = true;
	write->document = key.workflow_id;
	nbm_mapping_row_note(&key, content, is_past ? notebook_version : 0);
	if (is_past)
		return;
	foreach(cell, problems)
		nbm_problem_add(nbm_table_name(write->attachment.target),
						write_key(write), ERRCODE_INVALID_PARAMETER_VALUE,
						lfirst(cell), write->is_present);
}

/* A row of Texera's mappings was written, or deleted. */
static void
write_mapping(NbmWrite *write)
{
	NbmMappingKey key;
	NbmMappingKey new_key;

	if (write->old.tuple != NULL)
	{
		(void) mapping_key(write, &write->old, &key);
		if (write->new.tuple != NULL)
		{
			(void) mapping_key(write, &write->new, &new_key);
			if (memcmp(&key, &new_key, sizeof(key)) == 0 &&
				nbm_row_same(&write->old, &write->new,
							 write->attachment.content_column))
				return;
		}
		nbm_mapping_row_forget(&key);
	}
	if (write->new.tuple != NULL)
		take_mapping(write);
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
				forget_document(write, key_of(write, &write->old));
			break;
		case NBM_ROLE_VID:
			if (write->new.tuple != NULL && write->old.tuple == NULL &&
				nbm_row_int(&write->new, "vid", &vid))
				nbm_vid_add(key_of(write, &write->new), vid);
			break;
		case NBM_ROLE_MAPPING:
			write_mapping(write);
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
						  is_notebook ? NULL : &write->document, false);
	nbm_owner_end(level, &before);
}

/* A problem on its way into its table. */
typedef struct Report
{
	Oid			owner;
	const char *table;
	const char *key;
	const NbmCaught *caught;
	bool		once;			/* unless it is there already */
} Report;

/* Writes a problem down.  Fits NbmWork. */
static void
write_report(void *arg)
{
	Report	   *report = arg;
	NbmIdentity before;
	int			level = begin(report->owner, &before);

	nbm_problem_add(report->table, report->key, report->caught->sqlstate,
					report->caught->message, report->once);
	nbm_owner_end(level, &before);
}

/* Writes a problem down; where even that fails, it is a warning. */
static void
report_problem(const NbmWrite *write, const char *table, const char *key,
			   const NbmCaught *caught)
{
	Report		report = {write->owner, table, key, caught, write->is_present};
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

/* Notes that a workflow is not in the store as it is now.  Fits NbmWork. */
static void
begin_gap(void *arg)
{
	const NbmWrite *write = arg;
	NbmIdentity before;
	int			level = begin(write->owner, &before);
	int64		key = key_of(write, &write->new);
	NbmCurrentVid current;

	if (write->is_present && write->vid > 0)
		nbm_vid_present(key, write->vid);
	nbm_vid_current(key, !write->is_present, &current);
	nbm_gap_begin(key, &current);
	if (current.unused != 0)
		nbm_vid_use(key, current.unused);
	nbm_owner_end(level, &before);
}

/* Writes down why a write could not be followed. */
void
nbm_write_failed(const NbmWrite *write, Oid table, const NbmCaught *caught)
{
	KeyWords	key = {write, CurrentMemoryContext, ""};
	NbmCaught	ignored;

	(void) nbm_guarded(find_words, &key, &ignored);
	report_problem(write, nbm_table_name(table), key.words, caught);
}

/* Raises a caught error again where somebody wants the work to end. */
void
nbm_check_intervention(const NbmCaught *caught)
{
	if (ERRCODE_TO_CATEGORY(caught->sqlstate) == ERRCODE_OPERATOR_INTERVENTION)
		ereport(ERROR,
				(errcode(caught->sqlstate), errmsg("%s", caught->message)));
}

/*
 * Does work for a write; false, and a problem written down, where it fails.
 * A cancel stops no save, but those who attach a table, or take its past in.
 */
bool
nbm_write_guarded(NbmWork work, NbmWrite *write, Oid table)
{
	NbmCaught	caught;

	if (nbm_guarded(work, write, &caught))
		return true;
	if (write->is_present)
		nbm_check_intervention(&caught);
	nbm_write_failed(write, table, &caught);
	if (work == nbm_write_take && write->new.tuple != NULL &&
		write->missed == NULL &&
		write->attachment.role == NBM_ROLE_WORKFLOW)
		(void) nbm_write_guarded(begin_gap, write, table);
	return false;
}
