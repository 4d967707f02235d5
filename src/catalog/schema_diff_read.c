/*
 * schema_diff_read.c
 *		Descriptions and renames, read and checked.
 *
 * People write descriptions, too.  So what is left out has its default, names
 * of constraints and indexes included; int is integer; and a member that
 * nobody knows is a mistake, not a comment.  Whatever is wrong is raised as
 * 22023 with the path of the place.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "jsonb_bytes.h"
#include "paths.h"
#include "problems.h"
#include "schema_diff_names.h"
#include "schema_diff_sql.h"

/* An object of the document that is being read. */
typedef struct Place
{
	JsonbContainer *object;
	const char *path;
} Place;

/* Reads an element of an array into what the list is of. */
typedef void *(*ReadElement) (const NbmDescription *schema, Place place);

/* Raises 22023: what is at a path is not what it must be. */
void
nbm_malformed(const char *path, const char *what,...)
{
	va_list		args;
	char		message[1024];

	va_start(args, what);
	vsnprintf(message, sizeof(message), what, args);
	va_end(args);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("malformed description of a schema: %s", message),
			 errdetail("At path %s.", path)));
}

/* Is a string in a list of strings? */
bool
nbm_has_string(const List *strings, const char *string)
{
	ListCell   *cell;

	foreach(cell, strings)
	{
		if (strcmp(lfirst(cell), string) == 0)
			return true;
	}
	return false;
}

/* The path of a member of a place. */
static char *
member_path(Place place, const char *member)
{
	return nbm_path_member(place.path, nbm_text(member));
}

/* Raises unless all members of an object are among some names. */
static void
check_members(Place place, const char *const *known, int count)
{
	for (int i = 0; i < JsonContainerSize(place.object); i++)
	{
		NbmText		key;
		bool		is_known = false;

		nbm_member(place.object, i, &key, NULL);
		for (int j = 0; j < count && !is_known; j++)
			is_known = nbm_key_is(key, known[j]);
		if (!is_known)
			nbm_malformed(nbm_path_member(place.path, key),
						  "no such member is known here");
	}
}

#define CHECK_MEMBERS(place, ...) \
	do { \
		static const char *const known[] = {__VA_ARGS__}; \
		check_members(place, known, lengthof(known)); \
	} while (0)

/* A member; false where there is none, or it is null. */
static bool
get(Place place, const char *member, JsonbValue *value)
{
	return nbm_get(place.object, member, value) && value->type != jbvNull;
}

/* A string that a value must be. */
static char *
string_of(const JsonbValue *value, const char *path)
{
	if (value->type != jbvString)
		nbm_malformed(path, "must be a string");
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* Raises unless a string can be a name. */
static void
check_name(const char *name, const char *path)
{
	if (*name == '\0')
		nbm_malformed(path, "a name must not be empty");
	if (strlen(name) >= NAMEDATALEN)
		nbm_malformed(path, "a name must not be longer than %d bytes",
					  NAMEDATALEN - 1);
}

/* A name that a value must be. */
static char *
name_of(const JsonbValue *value, const char *path)
{
	char	   *name = string_of(value, path);

	check_name(name, path);
	return name;
}

/* A member that is a string; NULL: there is none. */
static char *
get_string(Place place, const char *member)
{
	JsonbValue	value;

	if (!get(place, member, &value))
		return NULL;
	return string_of(&value, member_path(place, member));
}

/* A member that is a name; where there is none, NULL or an error. */
static char *
get_name(Place place, const char *member, bool is_required)
{
	JsonbValue	value;

	if (get(place, member, &value))
		return name_of(&value, member_path(place, member));
	if (is_required)
		nbm_malformed(place.path, "\"%s\" is missing", member);
	return NULL;
}

/* A comment; an empty one is none. */
static char *
get_comment(Place place)
{
	char	   *comment = get_string(place, "comment");

	return comment && *comment ? comment : NULL;
}

/* A member that is true or false, or has a default. */
static bool
get_flag(Place place, const char *member, bool by_default)
{
	JsonbValue	value;

	if (!get(place, member, &value))
		return by_default;
	if (value.type != jbvBool)
		nbm_malformed(member_path(place, member), "must be true or false");
	return value.val.boolean;
}

/* A member that is one of some words; NULL: there is none. */
static char *
get_word(Place place, const char *member, const char *const *words, int count)
{
	char	   *word = get_string(place, member);

	if (word == NULL)
		return NULL;
	for (int i = 0; i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return word;
	nbm_malformed(member_path(place, member), "%s is not known here",
				  nbm_clipped(nbm_text(word)));
}

/* The array that a member is; NULL: there is none. */
static JsonbContainer *
get_array(Place place, const char *member)
{
	JsonbValue	value;

	if (!get(place, member, &value))
		return NULL;
	if (!nbm_is_array(&value))
		nbm_malformed(member_path(place, member), "must be an array");
	return value.val.binary.data;
}

/* A member that is a list of different names; none: an empty one. */
static List *
get_names(Place place, const char *member, bool is_required)
{
	JsonbContainer *array = get_array(place, member);
	List	   *names = NIL;

	for (int i = 0; array != NULL && i < JsonContainerSize(array); i++)
	{
		char	   *path = psprintf("%s[%d]", member_path(place, member), i);
		JsonbValue	value;
		char	   *name;

		CHECK_FOR_INTERRUPTS();
		nbm_element(array, i, &value);
		name = name_of(&value, path);
		if (nbm_has_string(names, name))
			nbm_malformed(path, "\"%s\" is there twice", name);
		names = lappend(names, name);
	}
	if (names == NIL && is_required)
		nbm_malformed(place.path, "\"%s\" is missing or empty", member);
	return names;
}

/* The object that a value must be, at a path. */
static Place
object_at(const JsonbValue *value, const char *path)
{
	Place		place = {NULL, path};

	if (!nbm_is_object(value))
		nbm_malformed(path, "must be an object");
	place.object = value->val.binary.data;
	return place;
}

/* A member that is a list of objects, each read by a function. */
static List *
get_list(const NbmDescription *schema, Place place, const char *member, ReadElement read)
{
	JsonbContainer *array = get_array(place, member);
	List	   *list = NIL;

	for (int i = 0; array != NULL && i < JsonContainerSize(array); i++)
	{
		JsonbValue	value;
		char	   *path;

		CHECK_FOR_INTERRUPTS();
		nbm_element(array, i, &value);
		path = psprintf("%s[%d]", member_path(place, member), i);
		list = lappend(list, read(schema, object_at(&value, path)));
	}
	return list;
}

/*
 * A collation as SQL: a name is one of pg_catalog, an array is a schema and a
 * name.  NULL: there is none.
 */
static char *
get_collation(Place place)
{
	JsonbValue	value;
	List	   *names;

	if (!get(place, "collation", &value))
		return NULL;
	if (value.type == jbvString)
	{
		char	   *name = get_name(place, "collation", true);

		return strcmp(name, "default") == 0 ? NULL :
			quote_qualified_identifier("pg_catalog", name);
	}
	names = get_names(place, "collation", true);
	if (list_length(names) != 2)
		nbm_malformed(member_path(place, "collation"),
					  "must be a name, or an array of a schema and a name");
	return quote_qualified_identifier(linitial(names), lsecond(names));
}

/* What numbers a column's rows. */
static NbmNumbering
get_numbering(Place place)
{
	static const char *const words[] = {"always", "by default", "serial"};
	char	   *word = get_word(place, "identity", words, lengthof(words));

	if (word == NULL)
		return NBM_NOT_NUMBERED;
	return *word == 'a' ? NBM_ALWAYS : *word == 'b' ? NBM_BY_DEFAULT :
		NBM_SERIAL;
}

/* Reads a column. */
static void *
read_column(const NbmDescription *schema, Place place)
{
	NbmColumn  *column = palloc0_object(NbmColumn);
	const char *type = get_string(place, "type");
	const char *of = "default";

	CHECK_MEMBERS(place, "name", "type", "collation", "nullable", "default",
				  "generated", "virtual", "identity", "comment");
	column->name = get_name(place, "name", true);
	if (type == NULL)
		nbm_malformed(place.path, "\"type\" is missing");
	column->numbering = get_numbering(place);
	nbm_sql_type(column, type, schema->name,
				 member_path(place, "type"));
	column->collation = get_collation(place);
	column->expression = get_string(place, "generated");
	column->is_generated = column->expression != NULL;
	column->is_virtual = get_flag(place, "virtual", false);
	if (column->is_generated)
		of = "generated";
	else
		column->expression = get_string(place, "default");
	if (column->expression != NULL)
		nbm_sql_check(NBM_EXPRESSION, column->expression,
					  member_path(place, of));
	if ((column->numbering != NBM_NOT_NUMBERED) + (column->expression != NULL) +
		(column->is_generated && get_string(place, "default") != NULL) > 1)
		nbm_malformed(place.path,
					  "a column has one of \"default\", \"generated\" and \"identity\"");
	if (column->is_virtual && !column->is_generated)
		nbm_malformed(place.path, "only a generated column is virtual");
	if (column->numbering != NBM_NOT_NUMBERED &&
		column->type_oid != INT2OID && column->type_oid != INT4OID &&
		column->type_oid != INT8OID)
		nbm_malformed(place.path,
					  "the type of an identity must be smallint, integer or bigint");
	column->nullable = get_flag(place, "nullable", true) &&
		column->numbering == NBM_NOT_NUMBERED;
	column->comment = get_comment(place);
	return column;
}

/* When a constraint is checked. */
static char *
get_deferrable(Place place)
{
	static const char *const words[] = {"immediate", "deferred"};

	return get_word(place, "deferrable", words, lengthof(words));
}

/* A key with the members that all have. */
static NbmKey *
new_key(NbmKeyKind kind, Place place)
{
	NbmKey	   *key = palloc0_object(NbmKey);

	key->kind = kind;
	key->name = get_name(place, "name", false);
	key->comment = get_comment(place);
	return key;
}

/* Reads a unique constraint. */
static void *
read_unique(const NbmDescription *schema, Place place)
{
	NbmKey	   *key = new_key(NBM_KEY_UNIQUE, place);

	CHECK_MEMBERS(place, "name", "columns", "include", "nulls_not_distinct",
				  "deferrable", "comment");
	key->columns = get_names(place, "columns", true);
	key->include = get_names(place, "include", false);
	key->nulls_not_distinct = get_flag(place, "nulls_not_distinct", false);
	key->deferrable = get_deferrable(place);
	return key;
}

/* Reads a primary key, which is like one. */
static NbmKey *
read_primary(const NbmDescription *schema, Place place)
{
	NbmKey	   *key = read_unique(schema, place);

	if (key->nulls_not_distinct)
		nbm_malformed(member_path(place, "nulls_not_distinct"),
					  "a primary key has no nulls");
	key->kind = NBM_KEY_PRIMARY;
	return key;
}

/* Reads a check. */
static void *
read_check(const NbmDescription *schema, Place place)
{
	NbmKey	   *key = new_key(NBM_KEY_CHECK, place);

	CHECK_MEMBERS(place, "name", "expression", "no_inherit", "not_valid",
				  "comment");
	key->sql = get_string(place, "expression");
	if (key->sql == NULL)
		nbm_malformed(place.path, "\"expression\" is missing");
	nbm_sql_check(NBM_EXPRESSION, key->sql, member_path(place, "expression"));
	key->no_inherit = get_flag(place, "no_inherit", false);
	key->not_valid = get_flag(place, "not_valid", false);
	return key;
}

/* Reads an index.  A definition may begin with its list of columns. */
static void *
read_index(const NbmDescription *schema, Place place)
{
	NbmKey	   *key = new_key(NBM_KEY_INDEX, place);

	CHECK_MEMBERS(place, "name", "unique", "definition", "invalid", "comment");
	key->sql = get_string(place, "definition");
	if (key->sql == NULL)
		nbm_malformed(place.path, "\"definition\" is missing");
	nbm_sql_check(NBM_INDEX_DEFINITION, key->sql,
				  member_path(place, "definition"));
	if (*key->sql == '(')
		key->sql = psprintf("USING btree %s", key->sql);
	key->is_unique = get_flag(place, "unique", false);
	key->is_invalid = get_flag(place, "invalid", false);
	return key;
}

/* Reads a foreign key. */
static void *
read_foreign(const NbmDescription *schema, Place place)
{
	static const char *const actions[] = {
		"no action", "restrict", "cascade", "set null", "set default"
	};
	static const char *const matches[] = {"simple", "full"};
	NbmKey	   *key = new_key(NBM_KEY_FOREIGN, place);
	JsonbValue	references;
	Place		other;
	char	   *match = get_word(place, "match", matches, lengthof(matches));

	CHECK_MEMBERS(place, "name", "columns", "references", "match",
				  "on_delete", "on_delete_columns", "on_update", "not_valid",
				  "deferrable", "comment");
	key->columns = get_names(place, "columns", true);
	if (!get(place, "references", &references))
		nbm_malformed(place.path, "\"references\" is missing");
	other = object_at(&references, member_path(place, "references"));
	CHECK_MEMBERS(other, "schema", "table", "columns");
	key->ref_schema = get_name(other, "schema", false);
	if (key->ref_schema && strcmp(key->ref_schema, schema->name) == 0)
		key->ref_schema = NULL;
	key->ref_table = get_name(other, "table", true);
	key->ref_columns = get_names(other, "columns", false);
	key->match_full = match && strcmp(match, "full") == 0;
	key->on_delete = get_word(place, "on_delete", actions, lengthof(actions));
	key->on_update = get_word(place, "on_update", actions, lengthof(actions));
	if (key->on_delete && strcmp(key->on_delete, "no action") == 0)
		key->on_delete = NULL;
	if (key->on_update && strcmp(key->on_update, "no action") == 0)
		key->on_update = NULL;
	key->on_delete_columns = get_names(place, "on_delete_columns", false);
	if (key->on_delete_columns &&
		(!key->on_delete || strncmp(key->on_delete, "set", 3) != 0))
		nbm_malformed(member_path(place, "on_delete_columns"),
					  "columns are set only by \"set null\" and \"set default\"");
	key->not_valid = get_flag(place, "not_valid", false);
	key->deferrable = get_deferrable(place);
	return key;
}

/* Raises unless a table has all of some columns. */
static void
check_columns(const NbmTable *table, const List *columns, const char *path)
{
	ListCell   *cell;

	foreach(cell, columns)
	{
		CHECK_FOR_INTERRUPTS();
		if (nbm_find_column(table, lfirst(cell)) == NULL)
			nbm_malformed(path, "table \"%s\" has no column \"%s\"",
						  table->name, (char *) lfirst(cell));
	}
}

/* Orders strings. */
static int
by_text(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Raises 54011 where there are more columns than a table can have. */
static void
check_count(const NbmTable *table, const char *path)
{
	if (list_length(table->columns) > MaxHeapAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("tables can have at most %d columns",
						MaxHeapAttributeNumber),
				 errdetail("There are %d at path %s.",
						   list_length(table->columns), path)));
}

/* Raises where two columns have one name. */
static void
check_distinct(const NbmTable *table, const char *path)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, table->columns)
		names = lappend(names, ((NbmColumn *) lfirst(cell))->name);
	list_sort(names, by_text);
	for (int i = 1; i < list_length(names); i++)
		if (strcmp(list_nth(names, i - 1), list_nth(names, i)) == 0)
			nbm_malformed(path, "column \"%s\" is there twice",
						  (char *) list_nth(names, i));
}

/* Reads a table. */
static void *
read_table(const NbmDescription *schema, Place place)
{
	NbmTable   *table = palloc0_object(NbmTable);
	JsonbValue	primary;
	ListCell   *cell;

	CHECK_MEMBERS(place, "name", "columns", "primary_key", "unique", "checks",
				  "foreign_keys", "indexes", "comment");
	table->path = place.path;
	table->name = get_name(place, "name", true);
	table->comment = get_comment(place);
	table->columns = get_list(schema, place, "columns", read_column);
	check_count(table, place.path);
	check_distinct(table, place.path);
	if (get(place, "primary_key", &primary))
		table->keys = list_make1(read_primary(schema,
											  object_at(&primary,
														member_path(place, "primary_key"))));
	foreach(cell, table->keys ? ((NbmKey *) linitial(table->keys))->columns : NIL)
	{
		NbmColumn  *column = nbm_find_column(table, lfirst(cell));

		if (column != NULL)
			column->nullable = false;
	}
	table->keys = list_concat(table->keys,
							  get_list(schema, place, "unique", read_unique));
	table->keys = list_concat(table->keys,
							  get_list(schema, place, "checks", read_check));
	table->keys = list_concat(table->keys,
							  get_list(schema, place, "indexes", read_index));
	table->keys = list_concat(table->keys,
							  get_list(schema, place, "foreign_keys",
									   read_foreign));
	foreach(cell, table->keys)
	{
		NbmKey	   *key = lfirst(cell);

		check_columns(table, key->columns, place.path);
		check_columns(table, key->include, place.path);
		check_columns(table, key->on_delete_columns, place.path);
	}
	return table;
}

/* Resolves what the foreign keys of a table lead to. */
static void
resolve_references(const NbmDescription *schema, const NbmTable *table)
{
	ListCell   *cell;

	foreach(cell, table->keys)
	{
		NbmKey	   *key = lfirst(cell);
		NbmTable   *other;

		if (key->kind != NBM_KEY_FOREIGN)
			continue;
		other = key->ref_schema ? NULL : nbm_find_table(schema, key->ref_table);
		if (other != NULL && key->ref_columns == NIL && other->keys != NIL &&
			((NbmKey *) linitial(other->keys))->kind == NBM_KEY_PRIMARY)
			key->ref_columns = ((NbmKey *) linitial(other->keys))->columns;
		if (list_length(key->ref_columns) != list_length(key->columns))
			nbm_malformed(table->path,
						  "a foreign key leads to as many columns as it has");
		if (other != NULL)
			check_columns(other, key->ref_columns, table->path);
	}
}

/* Orders tables by name. */
static int
by_name(const void *a, const void *b)
{
	return strcmp((*(NbmTable *const *) a)->name,
				  (*(NbmTable *const *) b)->name);
}

/* A table by its name; NULL: there is none. */
NbmTable *
nbm_find_table(const NbmDescription *schema, const char *name)
{
	NbmTable	wanted = {.name = unconstify(char *, name)};
	NbmTable   *key = &wanted;
	NbmTable  **found;

	if (schema->count == 0)
		return NULL;
	found = bsearch(&key, schema->tables, schema->count, sizeof(NbmTable *),
					by_name);
	return found ? *found : NULL;
}

/* A column of a table by its name; NULL: there is none. */
NbmColumn *
nbm_find_column(const NbmTable *table, const char *name)
{
	ListCell   *cell;

	foreach(cell, table->columns)
	{
		if (strcmp(((NbmColumn *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	}
	return NULL;
}

/* Puts the tables that were read into order. */
static void
set_tables(NbmDescription *schema, const List *tables)
{
	ListCell   *cell;

	schema->tables = palloc_array(NbmTable *, list_length(tables) + 1);
	foreach(cell, tables)
		schema->tables[schema->count++] = lfirst(cell);
	qsort(schema->tables, schema->count, sizeof(NbmTable *), by_name);
	for (int i = 1; i < schema->count; i++)
		if (by_name(&schema->tables[i - 1], &schema->tables[i]) == 0)
			nbm_malformed(schema->tables[i]->path,
						  "table \"%s\" is there twice",
						  schema->tables[i]->name);
}

/*
 * Reads a description that an argument holds, in the current context.  Raises
 * 22023 where it is malformed, and the parser's errors where its SQL is.
 */
NbmDescription *
nbm_read_schema(Jsonb *description, const char *argument)
{
	Place		place = {&description->root, argument};
	NbmDescription *schema;

	if (!JB_ROOT_IS_OBJECT(description))
		nbm_malformed(argument, "must be an object");
	CHECK_MEMBERS(place, "schema", "tables");
	schema = palloc0_object(NbmDescription);
	schema->name = get_name(place, "schema", true);
	set_tables(schema, get_list(schema, place, "tables", read_table));
	nbm_name_keys(schema);
	for (int i = 0; i < schema->count; i++)
		resolve_references(schema, schema->tables[i]);
	return schema;
}

/*
 * Takes a name off the front of a rename's key: as it stands, or in double
 * quotes where a dot or a quote is in it.  Returns what comes after it.
 */
static const char *
take_name(const char *at, char **name, const char *path)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (*at == '"')
	{
		for (at++;; at++)
		{
			if (*at == '\0')
				nbm_malformed(path, "a quote has no end");
			if (*at == '"' && *++at != '"')
				break;
			appendStringInfoChar(&buf, *at);
		}
	}
	else
		for (; *at != '\0' && *at != '.'; at++)
		{
			if (*at == '"')
				nbm_malformed(path, "a name with a quote must be quoted");
			appendStringInfoChar(&buf, *at);
		}
	check_name(buf.data, path);
	*name = buf.data;
	return at;
}

/* Reads renames: a list of NbmRename, those of tables first.  Raises 22023. */
List *
nbm_read_renames(Jsonb *renames)
{
	List	   *tables = NIL;
	List	   *columns = NIL;

	if (!JB_ROOT_IS_OBJECT(renames))
		nbm_malformed("renames", "must be an object");
	for (int i = 0; i < JB_ROOT_COUNT(renames); i++)
	{
		NbmRename  *rename = palloc0_object(NbmRename);
		NbmText		key;
		JsonbValue	value;
		const char *path;
		const char *rest;

		nbm_member(&renames->root, i, &key, &value);
		path = nbm_path_member("renames", key);
		rename->to = name_of(&value, path);
		rest = take_name(pnstrdup(key.str, key.len), &rename->table, path);
		if (*rest == '.')
			rest = take_name(rest + 1, &rename->column, path);
		if (*rest != '\0')
			nbm_malformed(path,
						  "must be a table, or a table and a column with a dot between them");
		if (rename->column == NULL)
			tables = lappend(tables, rename);
		else
			columns = lappend(columns, rename);
	}
	return list_concat(tables, columns);
}
