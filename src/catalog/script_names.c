/*
 * script_names.c
 *		What the names in a script mean, statement by statement.
 *
 * Nothing of a script is run here, so what it creates, drops and renames is
 * kept in a list that is looked at before the catalogs are.  Names without a
 * schema go along the search path, which the script may set; schemas are kept
 * by name, as the script may create them too.  Relations are looked up without
 * a lock, and without asking for rights on their schemas.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "script_names.h"

/* A relation's name; all bytes behind the strings are zero. */
typedef struct FullName
{
	char		schema[NAMEDATALEN];
	char		name[NAMEDATALEN];
} FullName;

/* What the script has made of a name. */
typedef struct ScriptName
{
	FullName	name;
	Oid			relid;			/* of the database; 0: the script created it */
	bool		is_gone;
} ScriptName;

/* The schemas that names without one are looked for in, in their order. */
static List *
search_schemas(void)
{
	List	   *schemas = list_make2("pg_temp", "pg_catalog");
	List	   *path;
	ListCell   *cell;

	if (!SplitIdentifierString(pstrdup(namespace_search_path), ',', &path))
		return schemas;
	foreach(cell, path)
	{
		char	   *schema = lfirst(cell);

		if (strcmp(schema, "$user") == 0)
			schema = GetUserNameFromId(GetUserId(), true);
		if (schema != NULL)
			schemas = lappend(schemas, schema);
	}
	return schemas;
}

/* Does a schema exist, or has the script created it? */
static bool
schema_exists(const NbmScriptNames *names, const char *schema)
{
	ListCell   *cell;

	foreach(cell, names->schemas)
	{
		if (strcmp(lfirst(cell), schema) == 0)
			return true;
	}
	return OidIsValid(LookupNamespaceNoError(schema));
}

/* Where a relation is created: its schema's name; NULL where there is none. */
static const char *
creation_schema(const NbmScriptNames *names, const RangeVar *name)
{
	ListCell   *cell;

	if (name->schemaname != NULL)
		return name->schemaname;
	if (name->relpersistence == RELPERSISTENCE_TEMP)
		return "pg_temp";
	for_each_from(cell, search_schemas(), 2)
	{
		if (schema_exists(names, lfirst(cell)))
			return lfirst(cell);
	}
	return NULL;
}

/* What the script has made of a name in a schema; NULL for nothing. */
static const ScriptName *
find_made(const NbmScriptNames *names, const char *schema, const char *name)
{
	FullName	key = {{0}};

	if (names->relations == NULL)
		return NULL;
	strlcpy(key.schema, schema, NAMEDATALEN);
	strlcpy(key.name, name, NAMEDATALEN);
	return hash_search(names->relations, &key, HASH_FIND, NULL);
}

/* Looks for a name in one schema; false where nothing is there. */
static bool
find_in(const NbmScriptNames *names, const char *schema, const char *name,
		NbmScriptRelation *relation)
{
	const ScriptName *made = find_made(names, schema, name);
	Oid			namespace;

	if (made != NULL && made->is_gone)
		return false;
	if (made != NULL)
	{
		relation->relid = made->relid;
		relation->is_new = !OidIsValid(made->relid);
		return true;
	}
	namespace = LookupNamespaceNoError(schema);
	if (OidIsValid(namespace))
		relation->relid = get_relname_relid(name, namespace);
	return OidIsValid(relation->relid);
}

/*
 * What a name means.  Where neither the script nor the database has it, all
 * but shown is zero: another database, where the script will run, may have it.
 */
void
nbm_sql_name_find(const NbmScriptNames *names, const RangeVar *name,
				  NbmScriptRelation *relation)
{
	ListCell   *cell;

	memset(relation, 0, sizeof(*relation));
	relation->shown = quote_qualified_identifier(name->schemaname,
												 name->relname);
	if (name->schemaname != NULL)
		(void) find_in(names, name->schemaname, name->relname, relation);
	else
		foreach(cell, search_schemas())
	{
		if (find_in(names, lfirst(cell), name->relname, relation))
			break;
	}
	if (OidIsValid(relation->relid))
		relation->relkind = get_rel_relkind(relation->relid);
}

/* An empty list of names, in the current context. */
static HTAB *
make_list(void)
{
	HASHCTL		control = {
		.keysize = sizeof(FullName),
		.entrysize = sizeof(ScriptName),
		.hcxt = CurrentMemoryContext
	};

	return hash_create("names of a script", 64, &control,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Keeps what a name means from now on. */
static void
set_name(NbmScriptNames *names, const RangeVar *name, Oid relid, bool is_gone)
{
	const char *schema = creation_schema(names, name);
	FullName	key = {{0}};
	ScriptName *made;

	if (schema == NULL)
		return;
	if (names->relations == NULL)
		names->relations = make_list();
	strlcpy(key.schema, schema, NAMEDATALEN);
	strlcpy(key.name, name->relname, NAMEDATALEN);
	made = hash_search(names->relations, &key, HASH_ENTER, NULL);
	made->relid = relid;
	made->is_gone = is_gone;
}

/* The schema of a relation that exists; for others, as it was named. */
static RangeVar
with_schema(const RangeVar *name, const NbmScriptRelation *relation)
{
	RangeVar	full = *name;

	if (full.schemaname == NULL && OidIsValid(relation->relid))
		full.schemaname =
			get_namespace_name(get_rel_namespace(relation->relid));
	return full;
}

/* A relation of that name is created. */
void
nbm_sql_name_create(NbmScriptNames *names, const RangeVar *name)
{
	set_name(names, name, InvalidOid, false);
}

/* It is dropped. */
void
nbm_sql_name_drop(NbmScriptNames *names, const RangeVar *name)
{
	NbmScriptRelation relation;
	RangeVar	full;

	nbm_sql_name_find(names, name, &relation);
	full = with_schema(name, &relation);
	set_name(names, &full, InvalidOid, true);
}

/* It gets another name, in its schema where that is not given. */
void
nbm_sql_name_move(NbmScriptNames *names, const RangeVar *from,
				  const RangeVar *to)
{
	NbmScriptRelation relation;
	RangeVar	full;
	RangeVar	moved = *to;

	nbm_sql_name_find(names, from, &relation);
	full = with_schema(from, &relation);
	set_name(names, &full, InvalidOid, true);
	if (moved.schemaname == NULL)
		moved.schemaname = full.schemaname;
	set_name(names, &moved, relation.relid, false);
}

/*
 * SET search_path, or RESET: holds until the caller's GUC nest level ends.  A
 * value that the server refuses changes nothing.
 */
void
nbm_sql_names_set_path(const VariableSetStmt *statement)
{
	char	   *value = NULL;

	if (statement->name == NULL ||
		pg_strcasecmp(statement->name, "search_path") != 0)
		return;
	if (statement->kind == VAR_SET_VALUE)
		value = ExtractSetVariableArgs(unconstify(VariableSetStmt *,
												  statement));
	else if (statement->kind != VAR_SET_DEFAULT &&
			 statement->kind != VAR_RESET)
		return;
	(void) set_config_option("search_path", value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, DEBUG1, false);
}

/*
 * How many rows a relation has, as far as the server knows: with those of its
 * partitions, or the tables that inherit from it.  Locks nothing.
 */
double
nbm_relation_rows(Oid relid)
{
	double		rows = 0;
	ListCell   *cell;

	foreach(cell, find_all_inheritors(relid, NoLock, NULL))
	{
		HeapTuple	tuple = SearchSysCache1(RELOID,
											ObjectIdGetDatum(lfirst_oid(cell)));
		Form_pg_class class;

		CHECK_FOR_INTERRUPTS();
		if (!HeapTupleIsValid(tuple))
			continue;
		class = (Form_pg_class) GETSTRUCT(tuple);
		/* a partitioned table's own number has those of its partitions */
		if (class->relkind != RELKIND_PARTITIONED_TABLE)
			rows += Max(class->reltuples, 0);
		ReleaseSysCache(tuple);
	}
	return rows;
}
