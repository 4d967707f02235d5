/*
 * schema_definition.c
 *		Registering migrations.
 *
 * What can be said of a script without running it is said here: whether it
 * is SQL, whether it has what no migration can have, and whether the names
 * make sense.  A name that is not registered yet may be depended on; the plan
 * tells where it stays missing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "schema_definition.h"
#include "schema_run.h"
#include "schema_script.h"

/* Bytes of a name, at most. */
#define MAX_NAME 255

/* Raises 22023 for a name that is empty or too long to be looked up. */
static void
check_name(const char *what, const char *name)
{
	if (*name == '\0' || strlen(name) > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have 1 to %d bytes", what, MAX_NAME)));
}

/* Checks a list of names: none is NULL, none the migration's own. */
static void
check_names(const char *what, Datum array, const char *own)
{
	ArrayType  *names = DatumGetArrayTypeP(array);
	Datum	   *items;
	bool	   *nulls;
	int			count;

	if (ARR_NDIM(names) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a list of names", what)));
	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls,
					  &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not have a name that is null", what)));
		name = TextDatumGetCString(items[i]);
		check_name(psprintf("a name in %s", what), name);
		if (strcmp(name, own) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("schema migration \"%s\" cannot be in its own %s",
							own, what)));
	}
}

/* Orders names by their bytes, for qsort and bsearch. */
static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Raises 22023 for a name that is depended on and replaced at once. */
static void
check_disjoint(const NbmDefinition *definition)
{
	int			nneeded;
	int			nreplaced;
	char	  **needed = nbm_names_of(definition->depends_on, &nneeded);
	char	  **replaced = nbm_names_of(definition->replaces, &nreplaced);

	qsort(replaced, nreplaced, sizeof(char *), compare_names);
	for (int i = 0; i < nneeded; i++)
	{
		if (bsearch(&needed[i], replaced, nreplaced, sizeof(char *),
					compare_names) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("schema migration \"%s\" cannot depend on \"%s\", which it replaces",
							definition->name, needed[i])));
	}
}

/* Raises 22023 with the names of a cycle that a definition would close. */
static void
check_cycle(const NbmDefinition *definition)
{
	int			length;
	char	  **path = nbm_schema_ancestor_path(definition->name,
												definition->depends_on, &length);
	StringInfoData buf;

	if (path == NULL)
		return;
	initStringInfo(&buf);
	appendStringInfo(&buf, "\"%s\"", definition->name);
	for (int i = 0; i < length; i++)
		appendStringInfo(&buf, " -> \"%s\"", path[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("schema migrations would depend on each other in a cycle: %s",
					buf.data)));
}

/* Raises what is wrong with a definition, whatever else is registered. */
static void
check_definition(const NbmDefinition *definition)
{
	check_name("the name of a schema migration", definition->name);
	check_names("depends_on", definition->depends_on, definition->name);
	check_names("replaces", definition->replaces, definition->name);
	check_disjoint(definition);
	nbm_script_check(nbm_script_parse(definition->up),
					 definition->is_transactional);
	if (definition->down != NULL)
		nbm_script_check(nbm_script_parse(definition->down),
						 definition->is_transactional);
}

/*
 * Writes a definition, unless it is there already: *known tells.  False where
 * it was not taken in.
 */
static bool
define(const NbmDefinition *definition, NbmKnown *known)
{
	*known = nbm_schema_known(definition);
	if (*known == NBM_EQUAL)
		return true;
	if (*known == NBM_OTHER_APPLIED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema migration \"%s\" was applied, and cannot be changed",
						definition->name),
				 errhint("Register the change as a new migration.")));
	if (*known == NBM_OTHER)
		nbm_script_refuse();	/* it may be this one */
	check_cycle(definition);
	return nbm_schema_define(definition, *known == NBM_OTHER);
}

/*
 * Registers a migration, or replaces its definition if it was not applied.
 * False where it is known already, and equal.  Raises 22023, 22004 or 42601
 * for a definition that cannot be, 55000 where another one of its name was
 * applied, or somebody has the row swallowed.
 */
bool
nbm_register(Oid owner, const NbmDefinition *definition)
{
	NbmKnown	known;
	NbmIdentity before;
	int			level;

	check_definition(definition);
	level = nbm_schema_begin(owner, true, &before);
	/* The second time it replaces what somebody else has just registered. */
	if (!define(definition, &known) && !define(definition, &known))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the definitions of schema migrations did not take a row"),
				 errhint("Look for triggers and rules on notebook_migrate.schema_migration.")));
	nbm_schema_end(level, &before);
	return known != NBM_EQUAL;
}
