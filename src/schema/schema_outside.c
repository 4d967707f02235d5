/*
 * schema_outside.c
 *		Running a migration's one statement outside of transactions.
 *
 * A background worker runs it (top_level.c), and it is that worker who writes
 * a success into the history, so that nothing is lost where the runner goes
 * meanwhile.  What the runner knows of the migration reaches it as a text:
 * numbers, the digest, and three strings behind their lengths.
 *
 * A statement that says IF NOT EXISTS is content with an index that another
 * attempt has left invalid; that is no success.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "invalid_index.h"
#include "schema_lock.h"
#include "schema_outside.h"

/* How what the worker is told begins; other users of workers say something else. */
#define NOTE_MARK "migration "

/* What the worker is told, beside the statement. */
typedef struct Note
{
	Oid			owner;
	NbmHistoryEntry entry;
	char	   *body;
	uint8		digest[NBM_DIGEST_LEN];
} Note;

/* Appends a string behind its length; -1 for NULL. */
static void
append_string(StringInfo buf, const char *string)
{
	appendStringInfo(buf, "%d:%s", string == NULL ? -1 : (int) strlen(string),
					 string == NULL ? "" : string);
}

/* Reads it back; moves *at behind it. */
static char *
read_string(char **at)
{
	char	   *end;
	long		length = strtol(*at, &end, 10);
	char	   *start = end + 1;

	*at = length < 0 ? start : start + length;
	return length < 0 ? NULL : pnstrdup(start, length);
}

/* What the worker is told, as a text. */
static char *
write_note(Oid owner, const char *body, const NbmHistoryEntry *entry)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, NOTE_MARK "%u %d " INT64_FORMAT " %d ", owner, entry->is_down,
					 entry->started_at, entry->nreplaces);
	for (int i = 0; i < NBM_DIGEST_LEN; i++)
		appendStringInfo(&buf, "%02x", entry->digest[i]);
	append_string(&buf, entry->name);
	append_string(&buf, entry->note);
	append_string(&buf, body);
	for (int i = 0; i < entry->nreplaces; i++)
		append_string(&buf, entry->replaces[i]);
	return buf.data;
}

/* Reads it. */
static void
read_note(const char *payload, Note *note)
{
	NbmHistoryEntry *entry = &note->entry;
	char	   *at;

	note->owner = strtoul(payload, &at, 10);
	entry->is_down = strtol(at, &at, 10) != 0;
	entry->started_at = strtoi64(at, &at, 10);
	entry->nreplaces = strtol(at, &at, 10);
	at++;
	hex_decode(at, NBM_DIGEST_LEN * 2, (char *) note->digest);
	at += NBM_DIGEST_LEN * 2;
	entry->digest = note->digest;
	entry->name = read_string(&at);
	entry->note = read_string(&at);
	note->body = read_string(&at);
	entry->replaces = palloc_array(char *, Max(entry->nreplaces, 1));
	for (int i = 0; i < entry->nreplaces; i++)
		entry->replaces[i] = read_string(&at);
}

/*
 * Called in the worker: writes a success into the history.  Raises 55000 where
 * it is none, as an index is not valid.
 */
void
nbm_outside_record(const char *payload, bool is_done,
				   const NbmTopLevelResult *result)
{
	Note		note = {0};
	NbmIdentity before;
	int			level;
	char	   *index;

	if (strncmp(payload, NOTE_MARK, strlen(NOTE_MARK)) != 0)
		return;
	if (!is_done)
		return;					/* the runner writes failures */
	read_note(payload + strlen(NOTE_MARK), &note);
	index = nbm_invalid_index_of(note.body);
	if (index != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index %s is there, but is not valid", index),
				 errhint("Drop it, and apply the migration again.")));
	note.entry.state = note.entry.is_down ? "reverted" : "applied";
	note.entry.by = GetUserNameFromId(GetUserId(), false);
	level = nbm_schema_begin(note.owner, true, &before);
	nbm_schema_record(&note.entry);
	nbm_schema_end(level, &before);
}

/* Raises what the worker could not do. */
static void
raise_result(const char *body, const NbmHistoryEntry *entry,
			 const NbmTopLevelResult *result)
{
	const char *hint = result->hint;
	const char *detail = result->detail;
	char	   *index = NULL;

	if (result->outcome != NBM_TOP_NO_WORKER)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		index = nbm_invalid_index_of(body);
		PopActiveSnapshot();
	}
	if (hint == NULL && index != NULL)
		hint = psprintf("There is the invalid index %s; drop it before the next attempt.", index);
	if (detail == NULL && index == NULL && result->outcome == NBM_TOP_UNRECORDED)
		detail = "It was done, but could not be recorded.";
	if (result->outcome == NBM_TOP_NO_WORKER)
		hint = psprintf("Raise max_worker_processes, or run it in psql: "
						"SELECT %s FROM notebook_migrate.schema_migration WHERE name = %s \\gexec%s",
						entry->is_down ? "down" : "up",
						quote_literal_cstr(entry->name),
						entry->is_down ? "" :
						psprintf(" and then: SELECT notebook_migrate.schema_baseline(%s)",
								 quote_literal_cstr(entry->name)));
	ereport(ERROR,
			(errcode(result->sqlstate),
			 errmsg_internal("%s", result->message),
			 detail == NULL ? 0 : errdetail_internal("%s", detail),
			 hint == NULL ? 0 : errhint("%s", hint),
			 result->position == 0 ? 0 : internalerrposition(result->position),
			 result->position == 0 ? 0 : internalerrquery(body)));
}

/* A statement that is to be run. */
typedef struct Running
{
	Oid			owner;
	const char *body;
	const NbmHistoryEntry *entry;
	int			position;		/* where its error is, or 0 */
} Running;

/* Runs it, and raises what came of it. */
static bool
run_outside(void *arg)
{
	Running    *running = arg;
	NbmTopLevelResult result = {0};
	LOCKTAG		marker;

	nbm_worker_locktag(&marker);
	nbm_run_top_level(running->body, &marker,
					  write_note(running->owner, running->body, running->entry),
					  &result);
	running->position = result.position;
	if (result.outcome != NBM_TOP_DONE)
		raise_result(running->body, running->entry, &result);
	return true;
}

/*
 * Runs the one statement of a migration as the caller, who must hold no
 * snapshot.  True where it is done and in the history; else *failure says
 * why, and what it did is whatever the server leaves of such a statement.
 */
bool
nbm_outside_run(Oid owner, const char *body, const NbmHistoryEntry *entry,
				NbmFailure *failure)
{
	Running		running = {owner, body, entry, 0};

	failure->error = nbm_attempt(run_outside, &running);
	failure->statement = 1;
	failure->position = running.position;
	return failure->error == NULL;
}
