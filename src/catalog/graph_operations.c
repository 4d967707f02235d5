/*
 * graph_operations.c
 *		Changes of a graph's schema, told as documents, as SQL scripts.
 *
 * The documents are those of Nodestream's migrations: {"operation": name,
 * "arguments": {...}}, with the twenty operations and their arguments by
 * Nodestream's names.  Each operation is there for nodes and for
 * relationships, so a table has the ten, with what each takes and the
 * templates (graph_templates.c) that its arguments are put into.
 *
 * Beyond Nodestream a property may have a type, and a relationship operation
 * may name the node types at its ends.  Node types that are named for an
 * operation that does not need them are checked, and passed over.
 *
 * Names are quoted, and types are looked up and written anew, so nothing of a
 * document gets into a script as it is.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "compat.h"
#include "graph_operations.h"
#include "graph_templates.h"
#include "jsonb_bytes.h"
#include "paths.h"
#include "problems.h"

/* A column of a type's table. */
typedef struct Column
{
	char	   *name;
	Oid			type;
	char	   *type_name;		/* as SQL */
} Column;

/* A list of them, with room for as many as a table can have. */
typedef struct Columns
{
	Column	   *items;
	int			count;
} Columns;

/* What an argument is, and where it goes. */
typedef enum Role
{
	END_OF_ARGUMENTS,
	THE_TYPE,					/* a node or relationship type */
	NEW_TYPE,
	PART,						/* a property or a part of the key */
	TYPED_PART,					/* likewise, with a type or without */
	PART_TYPE,
	NEW_PART,
	KEYS,
	PROPERTIES,
	DEFAULT,
	FROM_TYPE,
	TO_TYPE
} Role;

typedef struct Argument
{
	Role		role;
	const char *name;			/* %s is "node" or "relationship" */
	bool		is_required;
} Argument;

/* An operation, for nodes and for relationships. */
typedef struct Operation
{
	const char *name;			/* %s is "Node" or "Relationship" */
	const Argument *arguments;
	const NbmGraphTemplate *up;
	const NbmGraphTemplate *down;	/* NULL: nothing undoes it */
	bool		is_rename;		/* undone by what does it, names swapped */
} Operation;

/* A document being read. */
typedef struct Call
{
	const Operation *operation;
	bool		is_relationship;
	const char *kind;			/* "node" or "relationship" */
	char	   *name;			/* of the operation, for messages */
	char	   *path;			/* of the document */
	char	   *type;
	char	   *new_type;
	Column		part;			/* without a name: there is none */
	char	   *new_part;
	char	   *from_type;
	char	   *to_type;
	Columns		keys;
	Columns		properties;
	bool		has_default;
	JsonbValue	value;			/* the default */
} Call;

static const Argument create_arguments[] = {
	{THE_TYPE, "name", true}, {KEYS, "keys", true},
	{PROPERTIES, "properties", true}, {END_OF_ARGUMENTS}
};
static const Argument drop_arguments[] = {
	{THE_TYPE, "name", true}, {END_OF_ARGUMENTS}
};
static const Argument rename_arguments[] = {
	{THE_TYPE, "old_type", true}, {NEW_TYPE, "new_type", true},
	{END_OF_ARGUMENTS}
};
static const Argument add_property_arguments[] = {
	{THE_TYPE, "%s_type", true}, {TYPED_PART, "property_name", true},
	{PART_TYPE, "type", false}, {DEFAULT, "default", false},
	{END_OF_ARGUMENTS}
};
static const Argument drop_property_arguments[] = {
	{THE_TYPE, "%s_type", true}, {PART, "property_name", true},
	{END_OF_ARGUMENTS}
};
static const Argument rename_property_arguments[] = {
	{THE_TYPE, "%s_type", true}, {PART, "old_property_name", true},
	{NEW_PART, "new_property_name", true}, {END_OF_ARGUMENTS}
};
static const Argument index_arguments[] = {
	{THE_TYPE, "%s_type", true}, {PART, "field_name", true},
	{END_OF_ARGUMENTS}
};
static const Argument extend_key_arguments[] = {
	{THE_TYPE, "%s_type", true}, {TYPED_PART, "added_key_property", true},
	{PART_TYPE, "type", false}, {DEFAULT, "default", false},
	{END_OF_ARGUMENTS}
};
static const Argument rename_key_arguments[] = {
	{THE_TYPE, "%s_type", true}, {PART, "old_key_part_name", true},
	{NEW_PART, "new_key_part_name", true}, {END_OF_ARGUMENTS}
};

/* What relationship operations take as well. */
static const Argument end_arguments[] = {
	{FROM_TYPE, "from_node_type", false}, {TO_TYPE, "to_node_type", false},
	{END_OF_ARGUMENTS}
};

static const Operation operations_known[] = {
	{"Create%sType", create_arguments, &nbm_graph_create, &nbm_graph_drop},
	{"Drop%sType", drop_arguments, &nbm_graph_drop_node, NULL},
	{"Rename%sType", rename_arguments, &nbm_graph_rename_type,
	&nbm_graph_rename_type, true},
	{"Add%sProperty", add_property_arguments, &nbm_graph_add_property,
	&nbm_graph_drop_property},
	{"Drop%sProperty", drop_property_arguments, &nbm_graph_drop_property,
	NULL},
	{"Rename%sProperty", rename_property_arguments,
	&nbm_graph_rename_property, &nbm_graph_rename_property, true},
	{"AddAdditional%sPropertyIndex", index_arguments, &nbm_graph_add_index,
	&nbm_graph_drop_index},
	{"DropAdditional%sPropertyIndex", index_arguments, &nbm_graph_drop_index,
	&nbm_graph_add_index},
	{"%sKeyExtended", extend_key_arguments, &nbm_graph_extend_key,
	&nbm_graph_restore_key},
	{"%sKeyPartRenamed", rename_key_arguments, &nbm_graph_rename_property,
	&nbm_graph_rename_property, true}
};

static const char *const kinds[] = {"Node", "Relationship"};
static const char *const lower_kinds[] = {"node", "relationship"};

/* A sentence that names all operations, new memory. */
static char *
all_operations(void)
{
	StringInfoData list;

	initStringInfo(&list);
	appendStringInfoString(&list, "An operation has \"operation\" and \"arguments\". There are ");
	for (int i = 0; i < lengthof(operations_known); i++)
		for (int j = 0; j < lengthof(kinds); j++)
		{
			bool		is_last = i == lengthof(operations_known) - 1 &&
			j == lengthof(kinds) - 1;

			if (i + j > 0)
				appendStringInfoString(&list, is_last ? " and " : ", ");
			appendStringInfo(&list, operations_known[i].name, kinds[j]);
		}
	appendStringInfoChar(&list, '.');
	return list.data;
}

/* Adds arguments' names to a list of them. */
static void
list_arguments(StringInfo list, const Call *call, const Argument *argument)
{
	for (; argument->role != END_OF_ARGUMENTS; argument++)
	{
		if (list->len > 0)
			appendStringInfoString(list, ", ");
		appendStringInfoChar(list, '"');
		appendStringInfo(list, argument->name, call->kind);
		appendStringInfoString(list, argument->is_required ? "\"" :
							   "\" (optional)");
	}
}

/* A sentence that names the arguments of an operation, new memory. */
static char *
all_arguments(const Call *call)
{
	StringInfoData list;

	initStringInfo(&list);
	list_arguments(&list, call, call->operation->arguments);
	if (call->is_relationship)
		list_arguments(&list, call, end_arguments);
	return psprintf("%s takes %s.", call->name, list.data);
}

/*
 * Raises 22023: something at a path is wrong.  The hint is what the operation
 * takes, or what operations there are as long as none is known.
 */
static void
wrong(const Call *call, const char *path, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid graph operation"),
			 errdetail("The value at %s %s.", path, what),
			 errhint("%s", call->operation == NULL ? all_operations() :
					 all_arguments(call))));
}

/*
 * A value that names a type or a column, new memory.  Raises 22023, and 42622
 * where a name is so long that the server would cut it.
 */
static char *
read_name(const Call *call, const char *path, const JsonbValue *value)
{
	if (value->type != jbvString)
		wrong(call, path, "must be a string");
	if (value->val.string.len == 0)
		wrong(call, path, "must not be empty");
	if (value->val.string.len >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the name %s is too long",
						nbm_clipped(nbm_text_of(value))),
				 errdetail("The value at %s has %d bytes, of which the server would keep %d.",
						   path, value->val.string.len, NAMEDATALEN - 1)));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* Says where a type stands that the server does not understand. */
static void
tell_type(void *path)
{
	errcontext("type at %s", (char *) path);
}

/*
 * A value that names a type.  Raises 22023, and what the server raises where
 * there is no such type (42704) or it is none (42601).
 */
static void
read_type(const Call *call, char *path, const JsonbValue *value,
		  Column *column)
{
	ErrorContextCallback callback = {error_context_stack, tell_type, path};
	int32		typmod;

	if (value->type != jbvString)
		wrong(call, path, "must be a string");
	error_context_stack = &callback;
	nbm_parse_type(pnstrdup(value->val.string.val, value->val.string.len),
				   &column->type, &typmod);
	error_context_stack = callback.previous;
	if (get_typtype(column->type) == TYPTYPE_PSEUDO)
		wrong(call, path, "must be a type that a column can have");
	column->type_name = format_type_extended(column->type, typmod,
											 FORMAT_TYPE_TYPEMOD_GIVEN);
}

/* Makes a column one of text. */
static void
set_text(Column *column)
{
	column->type = TEXTOID;
	column->type_name = "text";
}

/* Reads a column: its name, or {"name": ..., "type": ...}.  Raises 22023. */
static void
read_column(const Call *call, char *path, const JsonbValue *value,
			Column *column)
{
	static const char shape[] = "must be a name, or an object with \"name\" and, if it is not text, \"type\"";
	JsonbContainer *object;
	JsonbValue	member;
	bool		has_type;

	set_text(column);
	if (value->type == jbvString)
	{
		column->name = read_name(call, path, value);
		return;
	}
	if (!nbm_is_object(value))
		wrong(call, path, shape);
	object = value->val.binary.data;
	if (!nbm_get(object, "name", &member))
		wrong(call, path, shape);
	column->name = read_name(call, psprintf("%s.name", path), &member);
	has_type = nbm_get(object, "type", &member);
	if (has_type)
		read_type(call, psprintf("%s.type", path), &member, column);
	if (JsonContainerSize(object) > 1 + has_type)
		wrong(call, path, shape);
}

/* Adds room for a column; raises 54011 where no table could have so many. */
static Column *
add_column(const char *path, Columns *columns)
{
	if (columns->items == NULL)
		columns->items = palloc0_array(Column, MaxHeapAttributeNumber);
	if (columns->count == MaxHeapAttributeNumber)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("tables can have at most %d columns",
						MaxHeapAttributeNumber),
				 errdetail("There are more at %s.", path)));
	return &columns->items[columns->count++];
}

/*
 * Reads keys or properties: a list of columns, or an object whose members are
 * columns with their types, null for text, as a set is in YAML.  Raises 22023.
 */
static void
read_columns(const Call *call, char *path, const JsonbValue *value,
			 Columns *columns)
{
	JsonbContainer *list;
	bool		is_object = nbm_is_object(value);

	if (!is_object && !nbm_is_array(value))
		wrong(call, path, "must be an array, or an object of names and types");
	list = value->val.binary.data;
	for (int i = 0; i < JsonContainerSize(list); i++)
	{
		Column	   *column = add_column(path, columns);
		JsonbValue	element;
		NbmText		key;

		CHECK_FOR_INTERRUPTS();
		if (is_object)
		{
			JsonbValue	name;
			char	   *at;

			nbm_member(list, i, &key, &element);
			nbm_set_string(&name, key);
			at = nbm_path_member(path, key);
			set_text(column);
			column->name = read_name(call, at, &name);
			if (element.type != jbvNull)
				read_type(call, at, &element, column);
		}
		else
		{
			nbm_element(list, i, &element);
			read_column(call, psprintf("%s[%d]", path, i), &element, column);
		}
	}
}

/* Puts an argument where it belongs. */
static void
take_argument(Call *call, Role role, char *path, const JsonbValue *value)
{
	switch (role)
	{
		case THE_TYPE:
			call->type = read_name(call, path, value);
			break;
		case NEW_TYPE:
			call->new_type = read_name(call, path, value);
			break;
		case PART:
			call->part.name = read_name(call, path, value);
			break;
		case TYPED_PART:
			read_column(call, path, value, &call->part);
			break;
		case PART_TYPE:
			read_type(call, path, value, &call->part);
			break;
		case NEW_PART:
			call->new_part = read_name(call, path, value);
			break;
		case KEYS:
			read_columns(call, path, value, &call->keys);
			break;
		case PROPERTIES:
			read_columns(call, path, value, &call->properties);
			break;
		case DEFAULT:
			call->has_default = value->type != jbvNull;
			call->value = *value;
			break;
		case FROM_TYPE:
			if (value->type != jbvNull)
				call->from_type = read_name(call, path, value);
			break;
		case TO_TYPE:
			if (value->type != jbvNull)
				call->to_type = read_name(call, path, value);
			break;
		default:
			elog(ERROR, "unexpected role %d of an argument", role);
	}
}

/* Takes the arguments that a list names; raises 22023. */
static void
take_arguments(Call *call, JsonbContainer *given, const Argument *argument)
{
	for (; argument->role != END_OF_ARGUMENTS; argument++)
	{
		char	   *name = psprintf(argument->name, call->kind);
		char	   *path = psprintf("%s.arguments.%s", call->path, name);
		JsonbValue	value;

		if (nbm_get(given, name, &value))
			take_argument(call, argument->role, path, &value);
		else if (argument->is_required)
			wrong(call, path, "is missing");
	}
}

/* Is an argument of that name in the list? */
static bool
is_listed(const Call *call, const Argument *argument, NbmText name)
{
	for (; argument->role != END_OF_ARGUMENTS; argument++)
		if (nbm_key_is(name, psprintf(argument->name, call->kind)))
			return true;
	return false;
}

/* Reads the arguments; raises 22023 where they are not the operation's. */
static void
read_arguments(Call *call, JsonbContainer *given)
{
	const Argument *ends = call->is_relationship ? end_arguments :
	&end_arguments[lengthof(end_arguments) - 1];
	const Argument *arguments = call->operation->arguments;

	for (int i = 0; i < JsonContainerSize(given); i++)
	{
		NbmText		name;

		nbm_member(given, i, &name, NULL);
		if (!is_listed(call, arguments, name) && !is_listed(call, ends, name))
			wrong(call, nbm_path_member(psprintf("%s.arguments", call->path), name),
				  "is no argument of this operation");
	}
	take_arguments(call, given, arguments);
	take_arguments(call, given, ends);
	if ((call->from_type == NULL) != (call->to_type == NULL))
		wrong(call, psprintf("%s.arguments", call->path),
			  "must have both \"from_node_type\" and \"to_node_type\", or neither");
}

/* Finds the operation by its name; raises 22023 where there is none. */
static void
find_operation(Call *call, const JsonbValue *name)
{
	char	   *path = psprintf("%s.operation", call->path);

	if (name->type != jbvString)
		wrong(call, path, "must be a string");
	for (int i = 0; i < lengthof(operations_known); i++)
		for (int j = 0; j < lengthof(kinds); j++)
		{
			call->name = psprintf(operations_known[i].name, kinds[j]);
			if (!nbm_key_is(nbm_text_of(name), call->name))
				continue;
			call->operation = &operations_known[i];
			call->is_relationship = j == 1;
			call->kind = lower_kinds[j];
			return;
		}
	wrong(call, path, psprintf("must be an operation, not %s",
							   nbm_clipped(nbm_text_of(name))));
}

/* Reads a document; raises 22023. */
static void
read_call(Call *call, const JsonbValue *document)
{
	static const char shape[] = "must be an object with \"operation\" and \"arguments\", and nothing else";
	JsonbContainer *object;
	JsonbContainer *arguments;
	JsonbValue	name;

	if (!nbm_is_object(document))
		wrong(call, call->path, shape);
	object = document->val.binary.data;
	if (!nbm_get(object, "operation", &name))
		wrong(call, call->path, shape);
	find_operation(call, &name);
	if (!nbm_get_container(object, "arguments", false, &arguments) ||
		JsonContainerSize(object) > 2)
		wrong(call, call->path, shape);
	read_arguments(call, arguments);
}

/* Raises 22023 where a new table would have two columns of a name. */
static void
check_distinct(const Call *call, const Columns *a, const Columns *b)
{
	for (int i = 0; i < b->count; i++)
		for (int j = 0; j < (a == b ? i : a->count); j++)
			if (strcmp(b->items[i].name, a->items[j].name) == 0)
				wrong(call, psprintf("%s.arguments", call->path),
					  psprintf("has the column %s twice",
							   nbm_clipped(nbm_text(b->items[i].name))));
}

/* A default as SQL: a literal that is read as the column's type; new memory. */
static char *
default_literal(const Call *call)
{
	const JsonbValue *value = &call->value;
	Oid			type = getBaseType(call->part.type);
	Datum		number;

	if (type == JSONOID || type == JSONBOID)
	{
		Jsonb	   *jb = nbm_value_to_jsonb(value);

		return quote_literal_cstr(JsonbToCString(NULL, &jb->root,
												 VARSIZE(jb)));
	}
	if (value->type == jbvBool)
		return value->val.boolean ? "'true'" : "'false'";
	if (value->type == jbvString)
		return quote_literal_cstr(pnstrdup(value->val.string.val,
										   value->val.string.len));
	if (value->type != jbvNumeric)
		wrong(call, psprintf("%s.arguments.default", call->path),
			  "must be a string, a number or a boolean, unless the type is jsonb");
	number = DirectFunctionCall1(numeric_out,
								 NumericGetDatum(value->val.numeric));
	return quote_literal_cstr(DatumGetCString(number));
}

/* Adds columns to a list of columns with types, and to one of names. */
static void
put_columns(StringInfo definitions, StringInfo names, const char *separator,
			const Columns *columns)
{
	for (int i = 0; i < columns->count; i++)
	{
		const char *name = quote_identifier(columns->items[i].name);

		if (definitions->len > 0)
			appendStringInfoChar(definitions, ',');
		appendStringInfo(definitions, "%s%s %s", separator, name,
						 columns->items[i].type_name);
		if (names == NULL)
			continue;
		if (names->len > 0)
			appendStringInfoString(names, ", ");
		appendStringInfoString(names, name);
	}
}

/* Sets a word to a literal of what is given. */
static void
set_literal(NbmGraphWords *words, const char *name, const char *value)
{
	nbm_graph_word(words, name, quote_literal_cstr(value));
}

/*
 * Sets the words for a relationship's table between two node types: pieces of
 * the statement that makes it, as literals.
 */
static void
set_between_words(const Call *call, NbmGraphWords *words, const char *columns,
				  const char *key)
{
	const char *type = quote_identifier(call->type);
	const char *from = quote_identifier(call->from_type);
	const char *to = quote_identifier(call->to_type);

	set_literal(words, "'from_node_type'", from);
	set_literal(words, "'to_node_type'", to);
	set_literal(words, "'create'", psprintf("CREATE TABLE %s (", type));
	set_literal(words, "'columns'", columns[0] == '\0' ? "" :
				psprintf(",%s", columns));
	set_literal(words, "'key'", key[0] == '\0' ? "" :
				psprintf(", %s", key));
	set_literal(words, "'references from'",
				psprintf(") REFERENCES %s", from));
	set_literal(words, "'references to'", psprintf(") REFERENCES %s", to));
}

/* Sets the words of an operation that makes a table. */
static void
set_table_words(const Call *call, NbmGraphWords *words)
{
	Column		both[] = {{"from_id", TEXTOID, "text"}, {"to_id", TEXTOID, "text"}};
	Columns		ends = {both, lengthof(both)};
	bool		is_between = call->from_type != NULL;
	const char *separator = is_between ? " " : "\n  ";
	StringInfoData columns;
	StringInfoData key;

	initStringInfo(&columns);
	initStringInfo(&key);
	if (call->is_relationship && !is_between)
	{
		check_distinct(call, &ends, &call->keys);
		check_distinct(call, &ends, &call->properties);
		put_columns(&columns, &key, separator, &ends);
	}
	check_distinct(call, &call->keys, &call->keys);
	check_distinct(call, &call->keys, &call->properties);
	check_distinct(call, &call->properties, &call->properties);
	put_columns(&columns, &key, separator, &call->keys);
	put_columns(&columns, NULL, separator, &call->properties);
	if (is_between)
		set_between_words(call, words, columns.data, key.data);
	nbm_graph_word(words, "columns", columns.data);
	nbm_graph_word(words, "key", key.len == 0 ? "" :
				   psprintf(",\n  PRIMARY KEY (%s)", key.data));
}

/* Sets the words of an operation that adds a column. */
static void
set_column_words(const Call *call, NbmGraphWords *words)
{
	const char *name = quote_identifier(call->part.name);
	char	   *column = psprintf("%s %s", name, call->part.type_name);
	char	   *fill = "";

	if (call->has_default)
	{
		char	   *literal = default_literal(call);

		column = psprintf("%s DEFAULT %s", column, literal);
		fill = psprintf("  ELSE\n    UPDATE %s SET %s = %s WHERE %s IS NULL;\n",
						quote_identifier(call->type), name, literal, name);
	}
	nbm_graph_word(words, "column", column);
	set_literal(words, "'column type'", call->part.type_name);
	nbm_graph_word(words, "fill", fill);
}

/* Sets the words for names. */
static void
set_name_words(const Call *call, NbmGraphWords *words)
{
	const char *type = quote_identifier(call->type);

	nbm_graph_word(words, "type", type);
	set_literal(words, "'type'", type);
	if (call->part.name != NULL)
	{
		nbm_graph_word(words, "part", quote_identifier(call->part.name));
		set_literal(words, "'part'", call->part.name);
	}
	if (call->new_type != NULL)
		nbm_graph_word(words, "new type", quote_identifier(call->new_type));
	if (call->new_part != NULL)
		nbm_graph_word(words, "new part", quote_identifier(call->new_part));
}

/* Exchanges two names. */
static void
swap_names(char **a, char **b)
{
	char	   *name = *a;

	*a = *b;
	*b = name;
}

/* The script that a template makes of a document, new memory. */
static char *
write_script(const Call *call, const NbmGraphTemplate *template)
{
	NbmGraphWords words = {0};

	set_name_words(call, &words);
	if (call->operation->up == &nbm_graph_create)
		set_table_words(call, &words);
	if (call->part.type_name != NULL)
		set_column_words(call, &words);
	return nbm_graph_write(template, &words);
}

/* Which template does an operation; relationships differ in two of them. */
static const NbmGraphTemplate *
up_template(const Call *call)
{
	const NbmGraphTemplate *up = call->operation->up;

	if (up == &nbm_graph_create && call->from_type != NULL)
		return &nbm_graph_create_between;
	if (up == &nbm_graph_drop_node && call->is_relationship)
		return &nbm_graph_drop;
	return up;
}

/*
 * How many documents there are: the elements of an array, or the one that it
 * is.  Raises 22023 where it is neither.
 */
int
nbm_graph_count(Jsonb *operations)
{
	Call		call = {NULL};

	if (JB_ROOT_IS_SCALAR(operations))
		wrong(&call, "$", "must be an array of operations, or one");
	return JB_ROOT_IS_ARRAY(operations) ? JB_ROOT_COUNT(operations) : 1;
}

/*
 * The scripts of document number, in the current context, where all else that
 * is used is left.  Raises 22023 where the document is not what it must be,
 * 42622 for names that are too long, and what the server says of types.
 */
NbmGraphScripts
nbm_graph_scripts(Jsonb *operations, int number)
{
	NbmGraphScripts scripts = {NULL, NULL};
	Call		call = {NULL};
	JsonbValue	document;

	if (JB_ROOT_IS_ARRAY(operations))
	{
		call.path = psprintf("$[%d]", number);
		nbm_element(&operations->root, number, &document);
	}
	else
	{
		call.path = "$";
		nbm_set_jsonb(&document, operations);
	}
	read_call(&call, &document);
	scripts.up = write_script(&call, up_template(&call));
	if (call.operation->is_rename)
	{
		if (call.new_type != NULL)
			swap_names(&call.type, &call.new_type);
		else
			swap_names(&call.part.name, &call.new_part);
	}
	if (call.operation->down != NULL)
		scripts.down = write_script(&call, call.operation->down);
	return scripts;
}
