/*
 * schema_store.c
 *		The tables of schema migrations: definitions and history.
 *
 * Nobody needs rights on them: they are read and written with those of the
 * functions' owner, between nbm_schema_begin() and nbm_schema_end(), and
 * nothing of anybody's scripts runs in between.  Memory allocated there is
 * freed at the end.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "query.h"
#include "schema_store.h"
#include "settings.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define MIGRATION "notebook_migrate.schema_migration"
#define HISTORY "notebook_migrate.schema_history"

/* Arguments of the queries that compare and write a definition. */
#define DEFINITION_ARGS 6

/* The number of a migration, by its name. */
typedef struct Number
{
	const char *name;
	int			number;
	uint32		hash;
	char		status;			/* of the table */
} Number;

#define SH_PREFIX nbm_numbers
#define SH_ELEMENT_TYPE Number
#define SH_KEY_TYPE const char *
#define SH_KEY name
#define SH_HASH_KEY(table, key) \
	hash_bytes((const unsigned char *) (key), strlen(key))
#define SH_EQUAL(table, a, b) (strcmp(a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) ((entry)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "quiet_simplehash.h"

/* The queries. */
typedef enum SchemaQuery
{
	Q_MIGRATIONS,
	Q_HISTORY,
	Q_UP,
	Q_DOWN,
	Q_SHARE_UP,
	Q_SHARE_DOWN,
	Q_RECORD,
	Q_LOCK_DEFINITION,
	Q_KNOWN,
	Q_INSERT,
	Q_REPLACE,
	Q_NEEDED,
	Q_PATH,
	SCHEMA_QUERIES
} SchemaQuery;

static const struct
{
	const char *body;
	int			nargs;
	Oid			types[13];
}			queries[SCHEMA_QUERIES] = {

	[Q_MIGRATIONS] = {
		"SELECT name, depends_on, replaces, transactional, down IS NOT NULL,"
		" sha256 FROM " MIGRATION
		" UNION ALL SELECT known.name, NULL, NULL, NULL, NULL, NULL FROM"
		" (SELECT name FROM " HISTORY " UNION SELECT pg_catalog.unnest(replaces)"
		" COLLATE \"C\" FROM " HISTORY " WHERE replaces OPERATOR(pg_catalog.<>) '{}'"
		" UNION SELECT pg_catalog.unnest(replaces)"
		" COLLATE \"C\" FROM " MIGRATION " WHERE replaces OPERATOR(pg_catalog.<>) '{}')"
		" AS known (name) WHERE known.name IS NOT NULL AND NOT EXISTS (SELECT FROM " MIGRATION
		" AS m WHERE m.name" EQ "known.name)"
		" ORDER BY 1"
	},
	[Q_HISTORY] = {
		"SELECT entry, name, state, direction, sqlstate, message, started_at,"
		" duration, applied_by, sha256, replaces, note FROM " HISTORY
		" ORDER BY entry"
	},
	[Q_UP] = {
		"SELECT up, sha256 FROM " MIGRATION " WHERE name" EQ "$1",
		1, {TEXTOID}
	},
	[Q_DOWN] = {
		"SELECT down, sha256 FROM " MIGRATION " WHERE name" EQ "$1",
		1, {TEXTOID}
	},
	[Q_SHARE_UP] = {
		"SELECT up, sha256 FROM " MIGRATION " WHERE name" EQ "$1 FOR SHARE",
		1, {TEXTOID}
	},
	[Q_SHARE_DOWN] = {
		"SELECT down, sha256 FROM " MIGRATION " WHERE name" EQ "$1 FOR SHARE",
		1, {TEXTOID}
	},
	[Q_RECORD] = {
		"INSERT INTO " HISTORY " (name, direction, state, sqlstate, message,"
		" statement, \"position\", started_at, duration, applied_by, sha256,"
		" replaces, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8,"
		" pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) $8, $9, $10, $11, $12)",
		12, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT4OID,
		TIMESTAMPTZOID, TEXTOID, BYTEAOID, TEXTARRAYOID, TEXTOID}
	},
	[Q_LOCK_DEFINITION] = {
		"SELECT FROM " MIGRATION " WHERE name" EQ "$1 FOR UPDATE",
		1, {TEXTOID}
	},
	[Q_KNOWN] = {
		"SELECT up" EQ "$2 AND down IS NOT DISTINCT FROM $3"
		" AND depends_on" EQ "$4 AND replaces" EQ "$5 AND transactional" EQ "$6,"
		/* Applied, unless it gets the text again that was. */
		" coalesce((SELECT h.state" EQ "ANY ('{applied,baseline}')"
		" AND (h.sha256" EQ "m.sha256 OR h.sha256 OPERATOR(pg_catalog.<>)"
		" notebook_migrate.schema_digest($2)) FROM " HISTORY
		" AS h WHERE h.name" EQ "$1 AND h.state OPERATOR(pg_catalog.<>) 'failed'"
		" ORDER BY h.entry DESC LIMIT 1), false)"
		" FROM " MIGRATION " AS m WHERE m.name" EQ "$1",
		6, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, BOOLOID}
	},
	[Q_INSERT] = {
		"INSERT INTO " MIGRATION " (name, up, down, depends_on, replaces,"
		" transactional) VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (name) DO NOTHING",
		6, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, BOOLOID}
	},
	[Q_REPLACE] = {
		"UPDATE " MIGRATION " SET up = $2, down = $3, depends_on = $4,"
		" replaces = $5, transactional = $6,"
		" registered_at = pg_catalog.clock_timestamp() WHERE name" EQ "$1",
		6, {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, BOOLOID}
	},
	[Q_NEEDED] = {
		"SELECT FROM " MIGRATION
		" WHERE depends_on OPERATOR(pg_catalog.@>) ARRAY[$1] LIMIT 1",
		1, {TEXTOID}
	},
	/* The way from what $2 names back to $1, if there is one. */
	[Q_PATH] = {
		"WITH RECURSIVE way (name, via) AS ("
		"SELECT d COLLATE \"C\", NULL::pg_catalog.text COLLATE \"C\""
		" FROM pg_catalog.unnest($2) AS d"
		" UNION SELECT pg_catalog.unnest(m.depends_on) COLLATE \"C\", m.name"
		" FROM way JOIN " MIGRATION " AS m ON m.name" EQ "way.name"
		" WHERE way.name OPERATOR(pg_catalog.<>) $1)"
		" SELECT name, via FROM way WHERE name IS NOT NULL",
		2, {TEXTOID, TEXTARRAYOID}
	},
};

static SPIPlanPtr plans[SCHEMA_QUERIES];

/*
 * Opens the tables with the rights of their owner; is_latest: as they are
 * now, even if the transaction sees an older state.  Returns what
 * nbm_schema_end() takes.
 */
int
nbm_schema_begin(Oid owner, bool is_latest, NbmIdentity *before)
{
	int			level;

	nbm_become_owner(owner, before);
	CommandCounterIncrement();
	PushActiveSnapshot(is_latest ? GetLatestSnapshot() :
					   GetTransactionSnapshot());
	level = nbm_store_begin();
	/* The index on arrays knows no other kind of scan. */
	nbm_setting_put("enable_bitmapscan", "on");
	return level;
}

/* Closes them, and gives the rights back. */
void
nbm_schema_end(int level, const NbmIdentity *before)
{
	nbm_store_end(level);
	PopActiveSnapshot();
	nbm_be_again(before);
}

/* Runs a query, and returns its number of rows. */
static uint64
run(SchemaQuery query, Datum *values, const char *nulls, bool read_only)
{
	int			code;

	if (plans[query] == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(queries[query].body,
											  queries[query].nargs,
											  (Oid *) queries[query].types,
											  CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("could not prepare a query on schema migrations")));
		plans[query] = plan;
	}
	code = SPI_execute_plan(plans[query], values, nulls, read_only, 0);
	if (code < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not run a query on schema migrations: %s",
						SPI_result_code_string(code))));
	return SPI_processed;
}

/* A column of a row of the last result. */
static Datum
column(uint64 row, int number, bool *is_null)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 number, is_null);
}

/*
 * The names in a text[], of the current context; a NULL, which only the
 * tables' owner can put there, is none.
 */
char	  **
nbm_names_of(Datum array, int *count)
{
	Datum	   *items;
	bool	   *nulls;
	char	  **names;
	int			n = 0;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &items, &nulls, count);
	names = palloc_array(char *, Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		if (!nulls[i])
			names[n++] = TextDatumGetCString(items[i]);
	}
	*count = n;
	return names;
}

/* Names as a text[] of the current context. */
Datum
nbm_names_datum(char *const *names, int count)
{
	Datum	   *items = palloc_array(Datum, Max(count, 1));

	for (int i = 0; i < count; i++)
		items[i] = CStringGetTextDatum(names[i]);
	return PointerGetDatum(construct_array(items, count, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* Has migrations be found by name; memory of the current context. */
void
nbm_schema_index(NbmSchema *schema)
{
	schema->numbers = nbm_numbers_create(CurrentMemoryContext, schema->count,
										 NULL);
	for (int i = 0; i < schema->count; i++)
	{
		bool		is_found;

		nbm_numbers_insert(schema->numbers, schema->all[i].name,
						   &is_found)->number = i;
	}
}

/* Which migration a name is, or -1. */
int
nbm_schema_find(const NbmSchema *schema, const char *name)
{
	Number	   *found = nbm_numbers_lookup(schema->numbers, name);

	return found == NULL ? -1 : found->number;
}

/* A column of the history. */
Datum
nbm_schema_history(const NbmSchema *schema, int row, NbmHistoryColumn number,
				   bool *is_null)
{
	return SPI_getbinval(schema->history->vals[row], schema->history->tupdesc,
						 number, is_null);
}

/* A text of the history, or NULL. */
char *
nbm_schema_history_text(const NbmSchema *schema, int row,
						NbmHistoryColumn number)
{
	bool		is_null;
	Datum		value = nbm_schema_history(schema, row, number, &is_null);

	return is_null ? NULL : TextDatumGetCString(value);
}

/* Reads the definitions, and the names that only the history knows. */
static void
read_migrations(NbmSchema *schema)
{
	uint64		rows = run(Q_MIGRATIONS, NULL, NULL, true);

	schema->all = palloc0_array(NbmMigration, Max(rows, 1));
	schema->count = rows;
	for (uint64 i = 0; i < rows; i++)
	{
		NbmMigration *migration = &schema->all[i];
		bool		is_null;
		Datum		value;

		migration->name = TextDatumGetCString(column(i, 1, &is_null));
		migration->last_row = -1;
		migration->covered_by = -1;
		value = column(i, 2, &is_null);
		migration->is_defined = !is_null;
		if (is_null)
			continue;
		migration->depends_on = nbm_names_of(value, &migration->ndepends);
		migration->replaces = nbm_names_of(column(i, 3, &is_null),
										   &migration->nreplaces);
		migration->is_transactional = DatumGetBool(column(i, 4, &is_null));
		migration->has_down = DatumGetBool(column(i, 5, &is_null));
		memcpy(migration->digest,
			   VARDATA_ANY(DatumGetByteaPP(column(i, 6, &is_null))),
			   NBM_DIGEST_LEN);
	}
	nbm_schema_index(schema);
	SPI_freetuptable(SPI_tuptable);
}

/* Adds the names of a migration's parts that are not marked yet, to any depth. */
static void
add_parts(const NbmSchema *schema, const NbmMigration *migration,
		  int mark, int *marks, List **names)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < migration->nreplaces; i++)
	{
		int			part = nbm_schema_find(schema, migration->replaces[i]);

		if (marks[part] == mark)
			continue;
		marks[part] = mark;
		*names = lappend(*names, schema->all[part].name);
		add_parts(schema, &schema->all[part], mark, marks, names);
	}
}

/*
 * Has each squash name all that it stands for: the parts of its parts, too.
 * One that stands for itself in the end does not name itself.
 */
static void
widen_squashes(NbmSchema *schema)
{
	int		   *marks = palloc_array(int, Max(schema->count, 1));
	List	  **names = palloc0_array(List *, Max(schema->count, 1));

	for (int i = 0; i < schema->count; i++)
		marks[i] = -1;
	for (int i = 0; i < schema->count; i++)
	{
		marks[i] = i;
		add_parts(schema, &schema->all[i], i, marks, &names[i]);
	}
	for (int i = 0; i < schema->count; i++)
	{
		NbmMigration *migration = &schema->all[i];
		ListCell   *cell;

		if (names[i] == NIL)
			continue;
		migration->nreplaces = 0;
		migration->replaces = palloc_array(char *, list_length(names[i]));
		foreach(cell, names[i])
			migration->replaces[migration->nreplaces++] = lfirst(cell);
	}
}

/* Takes in what an applied migration stands for. */
static void
cover(NbmSchema *schema, int squash)
{
	bool		is_null;
	Datum		replaces = nbm_schema_history(schema, schema->all[squash].applied_row,
											  NBM_HISTORY_REPLACES, &is_null);
	int			count;
	char	  **names;

	if (ARR_NDIM(DatumGetArrayTypeP(replaces)) == 0)
		return;
	names = nbm_names_of(replaces, &count);
	for (int i = 0; i < count; i++)
	{
		int			other = nbm_schema_find(schema, names[i]);

		if (other >= 0 && other != squash)
			schema->all[other].covered_by = squash;
	}
}

/*
 * Whether what was applied has another text by now.  A digest of another
 * length, of a history that the tables' owner has filled, says nothing.
 */
static bool
has_changed(const NbmSchema *schema, const NbmMigration *migration)
{
	bool		is_null;
	Datum		value = nbm_schema_history(schema, migration->applied_row,
										   NBM_HISTORY_SHA256, &is_null);
	bytea	   *digest;

	if (is_null || !migration->is_defined)
		return false;
	digest = DatumGetByteaPP(value);
	return VARSIZE_ANY_EXHDR(digest) == NBM_DIGEST_LEN &&
		memcmp(VARDATA_ANY(digest), migration->digest, NBM_DIGEST_LEN) != 0;
}

/* Goes through the history, oldest first. */
static void
read_history(NbmSchema *schema)
{
	uint64		rows = run(Q_HISTORY, NULL, NULL, true);

	schema->history = SPI_tuptable;
	for (uint64 i = 0; i < rows; i++)
	{
		char	   *name = nbm_schema_history_text(schema, i, NBM_HISTORY_NAME);
		char	   *state = nbm_schema_history_text(schema, i, NBM_HISTORY_STATE);
		NbmMigration *migration = &schema->all[nbm_schema_find(schema, name)];
		bool		is_null;

		migration->last_row = i;
		if (strcmp(state, "applied") == 0 || strcmp(state, "baseline") == 0)
		{
			migration->applied = DatumGetInt64(nbm_schema_history(schema, i, NBM_HISTORY_ENTRY,
																  &is_null));
			migration->applied_row = i;
			migration->is_baseline = *state == 'b';
		}
		else if (strcmp(state, "reverted") == 0)
			migration->applied = 0;
		pfree(name);
		pfree(state);
	}
	for (int i = 0; i < schema->count; i++)
	{
		NbmMigration *migration = &schema->all[i];

		if (migration->applied != 0)
		{
			cover(schema, i);
			migration->has_changed = has_changed(schema, migration);
		}
	}
}

/*
 * Finds out whether a migration is satisfied, and returns that.  Squashes that
 * replace each other do not satisfy each other.
 */
static bool
find_satisfied(NbmSchema *schema, int number, bool *is_known)
{
	NbmMigration *migration = &schema->all[number];
	bool		has_all = migration->nreplaces > 0;

	check_stack_depth();
	if (is_known[number])
		return migration->is_satisfied;
	is_known[number] = true;
	migration->is_satisfied = migration->applied != 0 ||
		migration->covered_by >= 0;
	if (migration->is_satisfied)
		return true;
	for (int i = 0; i < migration->nreplaces && has_all; i++)
		has_all = find_satisfied(schema, nbm_schema_find(schema, migration->replaces[i]),
								 is_known);
	return migration->is_satisfied = has_all;
}

/* Reads all there is, in memory of the open store. */
NbmSchema *
nbm_schema_read(void)
{
	NbmSchema  *schema = palloc0(sizeof(NbmSchema));
	bool	   *is_known;

	read_migrations(schema);
	widen_squashes(schema);
	read_history(schema);
	is_known = palloc0_array(bool, Max(schema->count, 1));
	for (int i = 0; i < schema->count; i++)
		(void) find_satisfied(schema, i, is_known);
	return schema;
}

/* A script in the open store, of context; as nbm_schema_text(). */
static char *
read_text(const char *name, bool is_down, bool locks, MemoryContext context,
		  uint8 *digest)
{
	Datum		values[1] = {CStringGetTextDatum(name)};
	bool		is_null;
	Datum		value;

	if (run(locks ? is_down ? Q_SHARE_DOWN : Q_SHARE_UP : is_down ? Q_DOWN : Q_UP,
			values, NULL, !locks) == 0)
		return NULL;
	if (digest != NULL)
		memcpy(digest, VARDATA_ANY(DatumGetByteaPP(column(0, 2, &is_null))),
			   NBM_DIGEST_LEN);
	value = column(0, 1, &is_null);
	return is_null ? NULL :
		MemoryContextStrdup(context, TextDatumGetCString(value));
}

/*
 * A migration's script as it is now, or NULL where there is none; of the
 * current context.  With locks it stays as it is until the end of the
 * transaction.  *digest is that of its up script, unless digest is NULL.
 */
char *
nbm_schema_text(Oid owner, const char *name, bool is_down, bool locks,
				uint8 *digest)
{
	MemoryContext context = CurrentMemoryContext;
	NbmIdentity before;
	int			level = nbm_schema_begin(owner, true, &before);
	char	   *body = read_text(name, is_down, locks, context, digest);

	nbm_schema_end(level, &before);
	return body;
}

/* Adds a row to the history.  Raises 55000 where somebody has it swallowed. */
void
nbm_schema_record(const NbmHistoryEntry *entry)
{
	Datum		values[12] = {0};
	char		nulls[13] = "            ";
	bytea	   *digest;

	values[0] = CStringGetTextDatum(entry->name);
	values[1] = CStringGetTextDatum(entry->is_down ? "down" : "up");
	values[2] = CStringGetTextDatum(entry->state);
	if (entry->sqlstate != 0)
	{
		values[3] = CStringGetTextDatum(unpack_sql_state(entry->sqlstate));
		values[4] = CStringGetTextDatum(entry->message ? entry->message : "");
	}
	else
		nulls[3] = nulls[4] = 'n';
	values[5] = Int32GetDatum(entry->statement);
	nulls[5] = entry->statement > 0 ? ' ' : 'n';
	values[6] = Int32GetDatum(entry->position);
	nulls[6] = entry->position > 0 ? ' ' : 'n';
	values[7] = TimestampTzGetDatum(entry->started_at);
	values[8] = CStringGetTextDatum(entry->by);
	if (entry->digest != NULL)
	{
		digest = palloc(VARHDRSZ + NBM_DIGEST_LEN);
		SET_VARSIZE(digest, VARHDRSZ + NBM_DIGEST_LEN);
		memcpy(VARDATA(digest), entry->digest, NBM_DIGEST_LEN);
		values[9] = PointerGetDatum(digest);
	}
	else
		nulls[9] = 'n';
	values[10] = nbm_names_datum(entry->replaces, entry->nreplaces);
	if (entry->note != NULL)
		values[11] = CStringGetTextDatum(entry->note);
	else
		nulls[11] = 'n';
	if (run(Q_RECORD, values, nulls, false) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the history of schema migrations did not take a row"),
				 errhint("Look for triggers and rules on notebook_migrate.schema_history.")));
}

/* The arguments that a definition's queries have. */
static void
set_definition(const NbmDefinition *definition, Datum *values, char *nulls)
{
	values[0] = CStringGetTextDatum(definition->name);
	values[1] = CStringGetTextDatum(definition->up);
	values[2] = definition->down == NULL ? (Datum) 0 :
		CStringGetTextDatum(definition->down);
	values[3] = definition->depends_on;
	values[4] = definition->replaces;
	values[5] = BoolGetDatum(definition->is_transactional);
	memset(nulls, ' ', DEFINITION_ARGS);
	if (definition->down == NULL)
		nulls[2] = 'n';
}

/* What a definition, as arguments, is to what is there by now. */
static NbmKnown
compare_definition(Datum *values, const char *nulls)
{
	bool		is_null;
	uint64		rows;

	PushActiveSnapshot(GetLatestSnapshot());
	rows = run(Q_KNOWN, values, nulls, true);
	PopActiveSnapshot();
	if (rows == 0)
		return NBM_UNKNOWN;
	if (DatumGetBool(column(0, 1, &is_null)))
		return NBM_EQUAL;
	return DatumGetBool(column(0, 2, &is_null)) ? NBM_OTHER_APPLIED : NBM_OTHER;
}

/*
 * Whether a definition is there, equal or not; one that is not equal is locked
 * until the end of the transaction, so that it is not applied meanwhile.  Who
 * has nothing to change waits for nobody.
 */
NbmKnown
nbm_schema_known(const NbmDefinition *definition)
{
	Datum		values[DEFINITION_ARGS];
	char		nulls[DEFINITION_ARGS];
	NbmKnown	known;

	set_definition(definition, values, nulls);
	known = compare_definition(values, nulls);
	if (known == NBM_EQUAL || known == NBM_UNKNOWN)
		return known;
	if (run(Q_LOCK_DEFINITION, values, nulls, false) == 0)
		return NBM_UNKNOWN;
	/* Whoever had the lock may have applied it. */
	return compare_definition(values, nulls);
}

/*
 * Writes a definition, in place of that of its name if replaces.  False where
 * somebody else has just written one of this name.
 */
bool
nbm_schema_define(const NbmDefinition *definition, bool replaces)
{
	Datum		values[DEFINITION_ARGS];
	char		nulls[DEFINITION_ARGS];

	set_definition(definition, values, nulls);
	return run(replaces ? Q_REPLACE : Q_INSERT, values, nulls, false) > 0;
}

/* A step of a way back: a name, and who needs it; NULL: the one who asks. */
typedef struct Step
{
	char	   *name;
	char	   *via;
	uint64		row;
} Step;

/* Orders steps by name, and those of one name as they were found. */
static int
compare_steps(const void *a, const void *b)
{
	const Step *x = a;
	const Step *y = b;
	int			order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

/* The first step to a name, or NULL; steps are in order. */
static const Step *
find_step(const Step *steps, uint64 count, const char *name)
{
	uint64		low = 0;
	uint64		high = count;

	while (low < high)
	{
		uint64		middle = low + (high - low) / 2;

		if (strcmp(steps[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && strcmp(steps[low].name, name) == 0 ? &steps[low] : NULL;
}

/*
 * The cycle that a migration would close: the names from what it depends on
 * to itself, each needing the next one; NULL where there is none.  It is a
 * shortest one.
 */
char	  **
nbm_schema_ancestor_path(const char *name, Datum depends_on, int *length)
{
	Datum		values[2] = {CStringGetTextDatum(name), depends_on};
	const Step *step;
	Step	   *steps;
	List	   *names = NIL;
	char	  **path;
	uint64		count;

	*length = 0;
	if (run(Q_NEEDED, values, NULL, true) == 0)
		return NULL;
	count = run(Q_PATH, values, NULL, true);
	steps = palloc_array(Step, Max(count, 1));
	for (uint64 i = 0; i < count; i++)
	{
		bool		is_null;
		Datum		via;

		CHECK_FOR_INTERRUPTS();
		steps[i].name = TextDatumGetCString(column(i, 1, &is_null));
		via = column(i, 2, &is_null);
		steps[i].via = is_null ? NULL : TextDatumGetCString(via);
		steps[i].row = i;
	}
	qsort(steps, count, sizeof(Step), compare_steps);
	step = find_step(steps, count, name);
	if (step == NULL)
		return NULL;
	for (; step->via != NULL; step = find_step(steps, count, step->via))
		names = lappend(names, step->name);
	names = lappend(names, step->name);
	path = palloc_array(char *, list_length(names));
	for (int i = list_length(names) - 1; i >= 0; i--)
		path[(*length)++] = list_nth(names, i);
	return path;
}
