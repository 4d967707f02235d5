/*
 * schema_bundle.c
 *		Definitions of schema migrations as one document.
 *
 * A bundle has all that schema_register() takes, and none of what was done
 * with it: it goes from one database to another, or into a repository.  It is
 * the same to the byte for the same definitions.  What is read is looked at as
 * a whole before anything is registered; each migration is then registered by
 * schema_register() itself, with the caller's rights.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"
#include "part.h"
#include "paths.h"
#include "query.h"
#include "schema_bundle.h"
#include "schema_graph.h"

#define FORMAT "notebook_migrate schema bundle"
#define VERSION 1

/* Arguments of schema_register(), by their places. */
enum
{
	NAME, UP, DOWN, DEPENDS_ON, REPLACES, TRANSACTIONAL, ARGUMENTS
};

/* What a member of a migration must be. */
typedef enum MemberType
{
	A_STRING,
	A_STRING_OR_NULL,
	A_LIST,
	A_BOOLEAN,
	A_DIGEST
} MemberType;

/* The members of a migration; the first of them are arguments. */
static const struct
{
	const char *name;
	MemberType	type;
}			members[] =

{
	[NAME] = {"name", A_STRING},
	[UP] = {"up", A_STRING},
	[DOWN] = {"down", A_STRING_OR_NULL},
	[DEPENDS_ON] = {"depends_on", A_LIST},
	[REPLACES] = {"replaces", A_LIST},
	[TRANSACTIONAL] = {"transactional", A_BOOLEAN},
	[ARGUMENTS] = {"sha256", A_DIGEST}
};

static const char *const type_names[] = {
	[A_STRING] = "a string",
	[A_STRING_OR_NULL] = "a string or null",
	[A_LIST] = "an array of strings",
	[A_BOOLEAN] = "true or false",
	[A_DIGEST] = "the SHA-256 of up in UTF-8, as 64 hexadecimal digits"
};

/* A migration of a bundle that is being read. */
typedef struct Bundled
{
	Datum		values[ARGUMENTS];
	char		nulls[ARGUMENTS + 1];
	char	   *path;
	NbmText		name;			/* of the bundle, like needs */
	JsonbContainer *needs;		/* its depends_on; NULL: none is given */
} Bundled;

static void refuse(const char *path, const char *must)
			__attribute__((noreturn));

/* Raises 22023. */
static void
refuse(const char *path, const char *must)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid schema bundle"),
			 errdetail("%s must be %s.", path, must)));
}

/*
 * All definitions, in the order of their names' bytes.  Within the store, in
 * whose memory the result is.
 */
Jsonb *
nbm_bundle_export(void)
{
	const char *query =
	"SELECT pg_catalog.jsonb_build_object('format', '" FORMAT "',"
	" 'version', $1, 'migrations', COALESCE(pg_catalog.jsonb_agg("
	"pg_catalog.jsonb_build_object('name', m.name, 'up', m.up,"
	" 'down', m.down, 'depends_on', m.depends_on, 'replaces', m.replaces,"
	" 'transactional', m.transactional,"
	" 'sha256', pg_catalog.encode(m.sha256, 'hex'))"
	" ORDER BY m.name COLLATE \"C\"), '[]'))"
	" FROM notebook_migrate.schema_migration m";
	Oid			types[1] = {INT4OID};
	Datum		values[1] = {Int32GetDatum(VERSION)};

	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 0) !=
		SPI_OK_SELECT)
		elog(ERROR, "could not read the migrations");
	return DatumGetJsonbP(nbm_query_column(0, 1, NULL));
}

/* A string as SQL text. */
static Datum
text_of(const JsonbValue *string)
{
	return PointerGetDatum(cstring_to_text_with_len(string->val.string.val,
													string->val.string.len));
}

/* An array of strings as text[]; raises 22023 for another one. */
static Datum
texts_of(const JsonbValue *value, const char *path)
{
	JsonbContainer *array;
	Datum	   *elements;
	int			count;

	if (!nbm_is_array(value))
		refuse(path, type_names[A_LIST]);
	array = value->val.binary.data;
	count = JsonContainerSize(array);
	elements = palloc_array(Datum, Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		JsonbValue	element;

		nbm_element(array, i, &element);
		if (element.type != jbvString)
			refuse(psprintf("%s[%d]", path, i), type_names[A_STRING]);
		elements[i] = text_of(&element);
	}
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/* Raises 22023 unless a string is the SHA-256 of a script. */
static void
check_digest(const JsonbValue *given, const JsonbValue *up, const char *path)
{
	char	   *body = pnstrdup(up->val.string.val, up->val.string.len);
	char	   *utf8 = pg_server_to_any(body, up->val.string.len, PG_UTF8);
	uint8		digest[NBM_DIGEST_LEN];
	char		hex[NBM_DIGEST_LEN * 2];

	nbm_sha256(utf8, strlen(utf8), digest);
	(void) hex_encode((const char *) digest, sizeof(digest), hex);
	if (given->val.string.len != sizeof(hex) ||
		pg_strncasecmp(given->val.string.val, hex, sizeof(hex)) != 0)
		refuse(path, type_names[A_DIGEST]);
}

/* Reads a member; raises 22023 where it is none that a migration has. */
static void
read_member(Bundled *bundled, JsonbContainer *migration, NbmText key,
			const JsonbValue *value)
{
	char	   *path = nbm_path_member(bundled->path, key);
	JsonbValue	up;
	int			i = 0;

	while (i < lengthof(members) && !nbm_key_is(key, members[i].name))
		i++;
	if (i == lengthof(members))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid schema bundle"),
				 errdetail("%s is no member that is known.", path)));
	if (members[i].type == A_LIST)
		bundled->values[i] = texts_of(value, path);
	else if (members[i].type == A_BOOLEAN && value->type == jbvBool)
		bundled->values[i] = BoolGetDatum(value->val.boolean);
	else if (members[i].type == A_DIGEST && value->type == jbvString)
	{
		if (nbm_get(migration, members[UP].name, &up) && up.type == jbvString)
			check_digest(value, &up, path);
		return;
	}
	else if (members[i].type <= A_STRING_OR_NULL && value->type == jbvString)
		bundled->values[i] = text_of(value);
	else if (members[i].type == A_STRING_OR_NULL && value->type == jbvNull)
		return;
	else
		refuse(path, type_names[members[i].type]);
	bundled->nulls[i] = ' ';
}

/* Reads migration index; raises 22023 where it is none. */
static void
read_migration(JsonbContainer *migrations, int index, Bundled *bundled)
{
	JsonbValue	value;
	JsonbContainer *migration;

	bundled->path = psprintf("migrations[%d]", index);
	nbm_element(migrations, index, &value);
	if (!nbm_is_object(&value))
		refuse(bundled->path, "an object");
	migration = value.val.binary.data;
	memset(bundled->nulls, 'n', ARGUMENTS);
	bundled->nulls[ARGUMENTS] = '\0';
	bundled->values[DEPENDS_ON] = bundled->values[REPLACES] =
		PointerGetDatum(construct_empty_array(TEXTOID));
	bundled->values[TRANSACTIONAL] = BoolGetDatum(true);
	memset(&bundled->nulls[DEPENDS_ON], ' ', ARGUMENTS - DEPENDS_ON);
	for (int i = 0; i < JsonContainerSize(migration); i++)
	{
		NbmText		key;
		JsonbValue	member;

		nbm_member(migration, i, &key, &member);
		read_member(bundled, migration, key, &member);
	}
	for (int i = NAME; i <= UP; i++)
	{
		if (bundled->nulls[i] != ' ')
			refuse(nbm_path_member(bundled->path, nbm_text(members[i].name)),
				   type_names[A_STRING]);
	}
	(void) nbm_get_string(migration, members[NAME].name, &bundled->name);
	bundled->needs = NULL;
	(void) nbm_get_container(migration, members[DEPENDS_ON].name, true,
							 &bundled->needs);
}

/* Orders migrations by name, for qsort and bsearch. */
static int
by_name(const void *a, const void *b)
{
	return nbm_key_cmp(((const Bundled *) a)->name,
					   ((const Bundled *) b)->name);
}

/* Raises 22023 where two migrations, which are sorted, have one name. */
static void
check_names(const Bundled *bundled, int count)
{
	for (int i = 1; i < count; i++)
	{
		if (by_name(&bundled[i - 1], &bundled[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid schema bundle"),
					 errdetail("%s and %s have one name.",
							   bundled[i - 1].path, bundled[i].path)));
	}
}

/*
 * Which migration needs which of the bundle's others, all of them sorted.  The
 * caller frees the result with its context.
 */
static NbmNeed *
find_needs(const Bundled *bundled, int count, int *nneeds)
{
	int			room = 64;
	NbmNeed    *needs = palloc_array(NbmNeed, room);

	*nneeds = 0;
	for (int i = 0; i < count; i++)
	{
		JsonbContainer *names = bundled[i].needs;

		for (int j = 0; names != NULL && j < JsonContainerSize(names); j++)
		{
			Bundled		key;
			const Bundled *found;
			JsonbValue	name;

			nbm_element(names, j, &name);
			key.name = nbm_text_of(&name);
			found = bsearch(&key, bundled, count, sizeof(Bundled), by_name);
			if (found == NULL)
				continue;
			if (*nneeds == room)
				needs = repalloc_array(needs, NbmNeed, room *= 2);
			needs[(*nneeds)++] = (NbmNeed)
			{
				i, found - bundled
			};
		}
	}
	return needs;
}

/*
 * The order in which migrations, which are sorted by name, are registered: what
 * others need comes first, so that no definition that is still to be replaced
 * closes a cycle.  A cycle of the bundle's own is schema_register()'s to tell.
 */
static int *
registration_order(const Bundled *bundled, int count)
{
	int		   *order = palloc_array(int, Max(count, 1));
	int			nneeds;
	NbmNeed    *needs = find_needs(bundled, count, &nneeds);

	if (nbm_graph_order(count, needs, nneeds, order) < count)
	{
		for (int i = 0; i < count; i++)
			order[i] = i;
	}
	return order;
}

/* The bundle's migrations; raises 22023 for what is no bundle. */
static JsonbContainer *
read_bundle(Jsonb *bundle)
{
	JsonbValue	value;
	NbmText		key;
	int32		version;

	if (!JB_ROOT_IS_OBJECT(bundle))
		refuse("bundle", "an object");
	if (!nbm_get(&bundle->root, "format", &value) ||
		value.type != jbvString || !nbm_key_is(nbm_text_of(&value), FORMAT))
		refuse("format", "\"" FORMAT "\"");
	if (!nbm_get(&bundle->root, "version", &value) ||
		!nbm_get_int(&value, &version) || version != VERSION)
		refuse("version", "1, the only one that is known");
	if (!nbm_get(&bundle->root, "migrations", &value) || !nbm_is_array(&value))
		refuse("migrations", "an array");
	for (int i = 0; i < JB_ROOT_COUNT(bundle); i++)
	{
		nbm_member(&bundle->root, i, &key, NULL);
		if (!nbm_key_is(key, "format") && !nbm_key_is(key, "version") &&
			!nbm_key_is(key, "migrations"))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid schema bundle"),
					 errdetail("%s is no member that is known.",
							   nbm_path_member("", key))));
	}
	return value.val.binary.data;
}

/* Says which migration an error is about. */
static void
name_migration(void *arg)
{
	Bundled   **bundled = arg;

	if (*bundled != NULL)
		errcontext("%s of the bundle, \"%.*s\"", (*bundled)->path,
				   (*bundled)->name.len, (*bundled)->name.str);
}

/* Registers migrations, sorted by name; returns how many were not known yet. */
static int
register_all(Bundled *bundled, int count)
{
	Oid			types[ARGUMENTS] = {
		TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, BOOLOID
	};
	SPIPlanPtr	plan = SPI_prepare("SELECT notebook_migrate.schema_register("
								   "$1, $2, $3, $4, $5, $6)",
								   ARGUMENTS, types);
	Bundled    *current = NULL;
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = name_migration,
		.arg = &current
	};
	int		   *order = registration_order(bundled, count);
	int			added = 0;

	if (plan == NULL)
		elog(ERROR, "could not prepare schema_register()");
	error_context_stack = &context;
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		current = &bundled[order[i]];
		if (SPI_execute_plan(plan, current->values,
							 current->nulls, false, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not register a migration");
		added += DatumGetBool(nbm_query_column(0, 1, NULL));
		SPI_freetuptable(SPI_tuptable);
	}
	error_context_stack = context.previous;
	return added;
}

/*
 * Registers all migrations of a bundle; returns how many were new or replaced
 * one that is not applied.  Raises 22023 for what is no bundle, and whatever
 * schema_register() raises.  Within the store.
 */
int
nbm_bundle_import(Jsonb *bundle)
{
	JsonbContainer *migrations = read_bundle(bundle);
	int			count = JsonContainerSize(migrations);
	Bundled    *bundled = palloc_array(Bundled, Max(count, 1));

	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		read_migration(migrations, i, &bundled[i]);
	}
	qsort(bundled, count, sizeof(Bundled), by_name);
	check_names(bundled, count);
	return register_all(bundled, count);
}
