/*
 * schema_verify.c
 *		What is not as the schema migrations have it.
 *
 * Most of it is read.  Whether each down takes back what its up did is found
 * by doing it, in a rehearsal: all that is applied is undone, the last one
 * first, as far down as that goes, and is applied again one by one; and then
 * what is pending.  Before and behind each, the catalog must be the same.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "fingerprint.h"
#include "schema_rehearse.h"
#include "schema_verify.h"

/* A verification at work. */
typedef struct Verification
{
	Oid			owner;
	List	   *problems;		/* of NbmSchemaProblem, of context */
	MemoryContext context;
	NbmRehearsals plan;			/* of what is pending */
} Verification;

/* Adds a problem. */
static void
add_problem(Verification *work, const char *name, const char *problem,
			const char *detail)
{
	MemoryContext outer = MemoryContextSwitchTo(work->context);
	NbmSchemaProblem *one = palloc_object(NbmSchemaProblem);

	one->name = pstrdup(name);
	one->problem = problem;
	one->detail = pstrdup(detail);
	work->problems = lappend(work->problems, one);
	MemoryContextSwitchTo(outer);
}

/* The first digits of a digest. */
static char *
short_digest(const uint8 *digest)
{
	char	   *hex = palloc0(2 * 4 + 1);

	(void) hex_encode((const char *) digest, 4, hex);
	return hex;
}

/* Looks at the text of a migration that is applied. */
static void
check_text(Verification *work, const NbmSchema *schema,
		   const NbmMigration *migration)
{
	bool		is_null;
	Datum		digest;

	if (!migration->has_changed)
		return;
	digest = nbm_schema_history(schema, migration->applied_row,
								NBM_HISTORY_SHA256, &is_null);
	add_problem(work, migration->name, "changed",
				psprintf("its SHA-256 was %s... when it was applied, and is %s...",
						 short_digest((uint8 *) VARDATA_ANY(DatumGetByteaPP(digest))),
						 short_digest(migration->digest)));
}

/* Looks at what a migration that is applied depends on. */
static void
check_dependencies(Verification *work, const NbmSchema *schema,
				   const NbmMigration *migration)
{
	for (int i = 0; i < migration->ndepends; i++)
	{
		int			needed = nbm_schema_find(schema, migration->depends_on[i]);

		if (needed < 0 || !schema->all[needed].is_satisfied)
			add_problem(work, migration->name, "dependency",
						psprintf("it depends on \"%s\", which is not applied",
								 migration->depends_on[i]));
	}
}

/* What is defined in the place of others. */
static bool *
find_replaced(const NbmSchema *schema)
{
	bool	   *replaced = palloc0_array(bool, Max(schema->count, 1));

	for (int i = 0; i < schema->count; i++)
	{
		for (int j = 0; j < schema->all[i].nreplaces; j++)
		{
			int			part = nbm_schema_find(schema, schema->all[i].replaces[j]);

			if (part >= 0)
				replaced[part] = true;
		}
	}
	return replaced;
}

/* Looks at the definitions of what is applied. */
static void
check_definitions(Verification *work)
{
	NbmSchema  *schema = nbm_schema_read();
	bool	   *replaced = find_replaced(schema);

	for (int i = 0; i < schema->count; i++)
	{
		const NbmMigration *migration = &schema->all[i];

		CHECK_FOR_INTERRUPTS();
		if (migration->applied == 0)
			continue;
		check_text(work, schema, migration);
		if (!migration->is_defined && !replaced[i])
			add_problem(work, migration->name, "missing",
						"it is applied, and not registered any more");
		check_dependencies(work, schema, migration);
	}
}

/* Looks for indexes that are not used. */
static void
check_indexes(Verification *work)
{
	static const char query[] =
	"SELECT i.indexrelid::pg_catalog.regclass::pg_catalog.text,"
	" pg_catalog.concat('on ', i.indrelid::pg_catalog.regclass,"
	" CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'I' THEN"
	" ', has none of its kind on some partition' ELSE"
	" ', was not built to its end: drop it and create it again' END)"
	" FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c"
	" ON c.oid OPERATOR(pg_catalog.=) i.indexrelid"
	" JOIN pg_catalog.pg_namespace AS n"
	" ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
	" WHERE NOT i.indisvalid AND n.nspname OPERATOR(pg_catalog.!~) '^pg_'"
	" ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the indexes");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		add_problem(work, SPI_getvalue(row, desc, 1), "invalid index",
					SPI_getvalue(row, desc, 2));
	}
}

/* Compares the catalog with what it was before; true where it is the same. */
static bool
is_restored(const NbmFingerprint *before, char **diff)
{
	NbmFingerprint after = nbm_fingerprint();

	*diff = nbm_fingerprint_diff(before, &after);
	return *diff == NULL;
}

/* A migration that is undone. */
typedef struct Undoing
{
	Verification *work;
	const NbmMigration *migration;
	NbmFingerprint before;
} Undoing;

/* Undoes one, and looks at what is there then; to be undone. */
static bool
try_down(void *arg)
{
	const Undoing *undoing = arg;
	Verification *work = undoing->work;
	const char *name = undoing->migration->name;
	NbmFailure	failure;
	char	   *diff;

	if (!nbm_rehearse_script(nbm_schema_text(work->owner, name, true, false, NULL),
							 &failure))
		add_problem(work, name, "down fails", nbm_failure_text(&failure));
	else if (!is_restored(&undoing->before, &diff))
		add_problem(work, name, "down differs", diff);
	return false;
}

/* Says that a migration was not checked, and why. */
static void
tell_unchecked(const NbmMigration *migration, const char *which,
			   const char *why)
{
	ereport(NOTICE,
			(errmsg("schema migration \"%s\"%s not checked: %s",
					migration->name, which, why)));
}

/* Applies one, and tries its down if it has one. */
static NbmOutcome
try_up_and_down(Verification *work, const NbmMigration *migration)
{
	Undoing		undoing = {work, migration};
	NbmFailure	failure;

	if (migration->has_down)
		undoing.before = nbm_fingerprint();
	if (!nbm_rehearse_script(nbm_schema_text(work->owner, migration->name, false,
											 false, NULL), &failure))
	{
		if (nbm_needs_commit(&failure))
		{
			tell_unchecked(migration, " was", failure.error->message);
			return NBM_TRIAL_IMPOSSIBLE;
		}
		if (migration->applied != 0)
			add_problem(work, migration->name, "down differs",
						psprintf("applied again after it, the up script fails: %s",
								 nbm_failure_text(&failure)));
		else
			add_problem(work, migration->name, "up fails",
						nbm_failure_text(&failure));
		return NBM_TRIAL_FAILED;
	}
	if (migration->has_down)
		nbm_subtransaction(try_down, &undoing);
	return NBM_TRIAL_DONE;
}

/* Rehearses one, if what it depends on is there. */
static void
rehearse(Verification *work, NbmRehearsal *rehearsal)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "notebook_migrate verification",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer;

	CHECK_FOR_INTERRUPTS();
	if (nbm_can_rehearse(&work->plan, rehearsal))
	{
		outer = MemoryContextSwitchTo(scratch);
		rehearsal->outcome = try_up_and_down(work, rehearsal->migration);
		MemoryContextSwitchTo(outer);
	}
	nbm_note_outcome(&work->plan, rehearsal);
	MemoryContextDelete(scratch);
}

/* Undoes what is applied, as far down as it goes; how many these are. */
static int
undo_applied(Verification *work, const NbmMigration **applied, int count)
{
	for (int i = 0; i < count; i++)
	{
		const char *obstacle = nbm_not_undone(applied[i]);
		NbmFailure	failure;

		CHECK_FOR_INTERRUPTS();
		if (obstacle != NULL)
		{
			tell_unchecked(applied[i], " and those applied before it were",
						   obstacle);
			return i;
		}
		if (!nbm_rehearse_script(nbm_schema_text(work->owner, applied[i]->name,
												 true, false, NULL), &failure))
		{
			add_problem(work, applied[i]->name, "down fails",
						nbm_failure_text(&failure));
			return i;
		}
	}
	return count;
}

/* Looks whether downs restore the catalog; to be undone. */
static void
check_downs(void *arg)
{
	Verification *work = arg;
	const NbmMigration **applied;
	int			count;

	work->plan = nbm_read_plan(work->owner, NULL);
	count = nbm_applied(work->plan.schema, &applied);
	count = undo_applied(work, applied, count);
	for (int i = count - 1; i >= 0; i--)
	{
		NbmRehearsal rehearsal = {applied[i], NBM_APPLY};

		rehearse(work, &rehearsal);
	}
	for (int i = 0; i < work->plan.count; i++)
		rehearse(work, &work->plan.all[i]);
}

/*
 * What is not as the schema migrations have it: a list of NbmSchemaProblem of
 * the current context.  With check_down, raises as nbm_rehearse().
 */
List *
nbm_verify_schema(Oid owner, bool check_down)
{
	Verification work = {.owner = owner,.context = CurrentMemoryContext};
	NbmIdentity before;
	int			level = nbm_schema_begin(owner, true, &before);

	check_definitions(&work);
	check_indexes(&work);
	nbm_schema_end(level, &before);
	if (check_down)
		nbm_rehearse(check_downs, &work);
	return work.problems;
}
