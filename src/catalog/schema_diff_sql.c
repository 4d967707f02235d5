/*
 * schema_diff_sql.c
 *		Pieces of SQL that stand in a description: checked, read, rewritten.
 *
 * Types, expressions and index definitions are SQL, and go into scripts.  The
 * server's own parser says that each is one thing and nothing more: that no
 * statement, and no comment that would swallow what follows, comes with it.
 * Its errors are raised as they are, with the place in the document as their
 * context.
 *
 * All memory is of the current context.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parse_target.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "compat.h"
#include "node_walk.h"
#include "schema_diff_sql.h"

/* What a definition is the end of, to be parsed. */
#define INDEX_HEAD "CREATE INDEX ON t "

/* Where a piece of SQL stands, for the context of errors. */
typedef struct Reading
{
	ErrorContextCallback callback;
	const char *path;
	const char *sql;
} Reading;

/* A column's name in a piece of SQL. */
typedef struct Mention
{
	const char *name;
	int			location;		/* bytes from the beginning */
} Mention;

/* Adds to an error where the SQL stands that it is about. */
static void
add_context(void *arg)
{
	Reading    *reading = (Reading *) arg;

	if (geterrposition() > 0)
	{
		internalerrposition(geterrposition());
		internalerrquery(reading->sql);
		errposition(0);
	}
	if (reading->path != NULL)
		errcontext("reading the SQL at path %s", reading->path);
}

/* Errors are of the SQL at a path, until end_reading(). */
static void
begin_reading(Reading *reading, const char *path, const char *sql)
{
	reading->path = path;
	reading->sql = sql;
	reading->callback.callback = add_context;
	reading->callback.arg = reading;
	reading->callback.previous = error_context_stack;
	error_context_stack = &reading->callback;
}

/* Ends that. */
static void
end_reading(Reading *reading)
{
	error_context_stack = reading->callback.previous;
}

/* The server's parser; raises its errors. */
static List *
parse(const char *sql, RawParseMode mode, const char *path)
{
	Reading		reading;
	List	   *statements;

	begin_reading(&reading, path, sql);
	statements = raw_parser(sql, mode);
	end_reading(&reading);
	return statements;
}

/* Is a type one of the shorthands for a number with a sequence of its own? */
static Oid
serial_type(const TypeName *type)
{
	static const struct
	{
		const char *name;
		Oid			oid;
	}			serials[] = {
		{"smallserial", INT2OID}, {"serial2", INT2OID},
		{"serial", INT4OID}, {"serial4", INT4OID},
		{"bigserial", INT8OID}, {"serial8", INT8OID}
	};

	if (list_length(type->names) != 1 || type->typmods != NIL ||
		type->arrayBounds != NIL)
		return InvalidOid;
	for (int i = 0; i < lengthof(serials); i++)
		if (strcmp(strVal(linitial(type->names)), serials[i].name) == 0)
			return serials[i].oid;
	return InvalidOid;
}

/*
 * Looks a type up: in pg_catalog and then, if its name has no schema, in the
 * one that is described.  NULL: there is none.
 */
static HeapTuple
look_up(TypeName *type, const char *schema, int32 *typmod)
{
	HeapTuple	found = LookupTypeName(NULL, type, typmod, true);

	if (found == NULL && list_length(type->names) == 1)
	{
		type->names = lcons(makeString(pstrdup(schema)), type->names);
		found = LookupTypeName(NULL, type, typmod, true);
	}
	return found;
}

/*
 * Sets a column's type from its text, spelt as the server spells it.  One that
 * does not exist here stays as it is written: a description can be of another
 * database.
 */
void
nbm_sql_type(NbmColumn *column, const char *sql, const char *schema,
			 const char *path)
{
	Reading		reading;
	TypeName   *type;
	HeapTuple	found;

	begin_reading(&reading, path, sql);
	type = nbm_parse_type_name(sql);
	column->type_oid = serial_type(type);
	column->typmod = -1;
	if (OidIsValid(column->type_oid))
		column->numbering = NBM_SERIAL;
	else if ((found = look_up(type, schema, &column->typmod)) != NULL)
	{
		column->type_oid = typeTypeId(found);
		ReleaseSysCache(found);
	}
	end_reading(&reading);
	if (OidIsValid(column->type_oid))
		column->type = format_type_with_typemod(column->type_oid,
												column->typmod);
	else
	{
		nbm_sql_check(NBM_EXPRESSION, psprintf("NULL::%s", sql), path);
		column->type = pstrdup(sql);
	}
}

/* Is a parsed statement nothing but one expression?  Which? */
static Node *
sole_expression(List *statements)
{
	SelectStmt *select;
	ResTarget  *target;

	if (list_length(statements) != 1)
		return NULL;
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt) || list_length(select->targetList) != 1 ||
		select->distinctClause || select->fromClause || select->whereClause ||
		select->groupClause || select->havingClause || select->windowClause ||
		select->sortClause || select->limitOffset || select->limitCount ||
		select->lockingClause || select->withClause ||
		select->op != SETOP_NONE)
		return NULL;
	target = linitial_node(ResTarget, select->targetList);
	return target->name == NULL ? target->val : NULL;
}

/*
 * The index that a definition makes, parsed; NULL: it is not one, or goes on
 * with the table's name.
 */
static IndexStmt *
sole_index(List *statements, int expected)
{
	IndexStmt  *index;

	if (list_length(statements) != expected)
		return NULL;
	index = (IndexStmt *) linitial_node(RawStmt, statements)->stmt;
	return IsA(index, IndexStmt) && index->relation->schemaname == NULL ?
		index : NULL;
}

/*
 * Raises 42601, or 22023 with the path, unless a text is one expression, or
 * one index definition, in any place where it may be put.
 */
void
nbm_sql_check(NbmPiece piece, const char *sql, const char *path)
{
	bool		is_one;

	if (piece == NBM_EXPRESSION)
	{
		is_one = sole_expression(parse(sql, RAW_PARSE_PLPGSQL_EXPR, path)) &&
			sole_expression(parse(psprintf("(%s)", sql),
								  RAW_PARSE_PLPGSQL_EXPR, path));
		if (!is_one)
			nbm_malformed(path, "must be one SQL expression");
		return;
	}
	is_one = sole_index(parse(psprintf(INDEX_HEAD "%s", sql),
							  RAW_PARSE_DEFAULT, path), 1) &&
		sole_index(parse(psprintf(INDEX_HEAD "%s; SELECT", sql),
						 RAW_PARSE_DEFAULT, path), 2);
	if (!is_one)
		nbm_malformed(path,
					  "must be the end of one CREATE INDEX, from USING or the list of columns on");
}

/* Collects the columns that stand in an expression, with their places. */
static bool
collect(Node *node, void *arg)
{
	List	  **mentions = (List **) arg;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		ColumnRef  *column = (ColumnRef *) node;

		if (list_length(column->fields) == 1 &&
			IsA(linitial(column->fields), String))
		{
			Mention    *mention = palloc_object(Mention);

			mention->name = strVal(linitial(column->fields));
			mention->location = column->location;
			*mentions = lappend(*mentions, mention);
		}
		return false;
	}
	return raw_expression_tree_walker(node, collect, arg);
}

/* The end of a name that begins at a place: of an identifier, quoted or not. */
static const char *
skip_name(const char *at)
{
	if ((*at == 'U' || *at == 'u') && at[1] == '&' && at[2] == '"')
		at += 2;
	if (*at == '"')
	{
		for (at++; *at != '\0'; at++)
			if (*at == '"' && *++at != '"')
				break;
		return at;
	}
	while (IS_HIGHBIT_SET(*at) || isalnum((unsigned char) *at) ||
		   *at == '_' || *at == '$')
		at++;
	return at;
}

/*
 * The end of a string literal that begins at a place of a text.  Backslashes
 * escape where an E stands before it.
 */
static const char *
skip_string(const char *sql, const char *at)
{
	bool		has_escapes = at > sql && pg_tolower(at[-1]) == 'e';

	if (has_escapes && at - 1 > sql)
		has_escapes = !isalnum((unsigned char) at[-2]);
	for (at++; *at != '\0'; at++)
	{
		if (has_escapes && *at == '\\' && at[1] != '\0')
			at++;
		else if (*at == '\'' && *++at != '\'')
			break;
	}
	return at;
}

/*
 * Adds those columns of an index that are named without more, whose places
 * the parser does not tell: one begins each element of its lists.
 */
static void
collect_elements(const char *definition, const List *elements,
				 List **mentions)
{
	const char *at = definition;
	int			depth = 0;
	int			next = 0;
	bool		begins = false;

	while (*at != '\0' && next < list_length(elements))
	{
		if (isspace((unsigned char) *at))
		{
			at++;
			continue;
		}
		if (begins)
		{
			IndexElem  *element = list_nth(elements, next++);

			if (element->name != NULL)
			{
				Mention    *mention = palloc_object(Mention);

				mention->name = element->name;
				mention->location = at - definition;
				*mentions = lappend(*mentions, mention);
			}
			begins = false;
		}
		if (*at == '\'')
			at = skip_string(definition, at);
		else if (*at == '"' || IS_HIGHBIT_SET(*at) ||
				 isalpha((unsigned char) *at) || *at == '_')
			at = skip_name(at);
		else
		{
			if (*at == '(')
				begins = ++depth == 1;
			else if (*at == ')')
				depth--;
			else if (*at == ',')
				begins = depth == 1;
			at++;
		}
	}
}

/* Orders mentions by place. */
static int
by_location(const ListCell *a, const ListCell *b)
{
	return ((Mention *) lfirst(a))->location -
		((Mention *) lfirst(b))->location;
}

/* All columns that a piece of SQL mentions, in order: a list of Mention. */
static List *
find_mentions(NbmPiece piece, const char *sql)
{
	List	   *mentions = NIL;
	IndexStmt  *index;
	List	   *elements;
	ListCell   *cell;

	if (piece == NBM_EXPRESSION)
	{
		collect(sole_expression(parse(sql, RAW_PARSE_PLPGSQL_EXPR, NULL)),
				&mentions);
		list_sort(mentions, by_location);
		return mentions;
	}
	index = sole_index(parse(psprintf(INDEX_HEAD "%s", sql),
							 RAW_PARSE_DEFAULT, NULL), 1);
	elements = list_concat_copy(index->indexParams,
								index->indexIncludingParams);
	foreach(cell, elements)
		collect(((IndexElem *) lfirst(cell))->expr, &mentions);
	collect(index->whereClause, &mentions);
	foreach(cell, mentions)
		((Mention *) lfirst(cell))->location -= strlen(INDEX_HEAD);
	collect_elements(sql, elements, &mentions);
	list_sort(mentions, by_location);
	return mentions;
}

/* The names of the columns that a piece mentions, each once. */
List *
nbm_sql_columns(NbmPiece piece, const char *sql)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, find_mentions(piece, sql))
	{
		const char *name = ((Mention *) lfirst(cell))->name;

		CHECK_FOR_INTERRUPTS();
		if (!nbm_has_string(names, name))
			names = lappend(names, pstrdup(name));
	}
	return names;
}

/* A name that a list does not have: with a number at its end where it does. */
static char *
distinct_name(const List *names, const char *name)
{
	char	   *distinct = pstrdup(name);

	for (int i = 1; nbm_has_string(names, distinct); i++)
	{
		char		number[12];
		int			room = NAMEDATALEN - 1 - pg_snprintf(number, sizeof(number), "%d", i);

		distinct = psprintf("%.*s%s", pg_mbcliplen(name, strlen(name), room),
							name, number);
	}
	return distinct;
}

/*
 * What the server calls an index's columns when it makes a name for it: none
 * of two alike, as ChooseIndexColumnNames() does it.
 */
List *
nbm_sql_index_names(const char *definition)
{
	IndexStmt  *index = sole_index(parse(psprintf(INDEX_HEAD "%s", definition),
										 RAW_PARSE_DEFAULT, NULL), 1);
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, list_concat_copy(index->indexParams,
								   index->indexIncludingParams))
	{
		IndexElem  *element = lfirst(cell);
		char	   *name = element->name;

		if (name == NULL)
			name = FigureIndexColname(element->expr);
		names = lappend(names, distinct_name(names, name ? name : "expr"));
	}
	return names;
}

/* The new name of a column; NULL: it keeps its own. */
static const char *
moved_to(const List *moves, const char *name)
{
	ListCell   *cell;

	foreach(cell, moves)
	{
		if (strcmp(((NbmMove *) lfirst(cell))->from, name) == 0)
			return ((NbmMove *) lfirst(cell))->to;
	}
	return NULL;
}

/*
 * A piece of SQL with its columns renamed, all at once: new memory, or the
 * text itself where none of them stands in it.
 */
char *
nbm_sql_rename(NbmPiece piece, char *sql, const List *moves)
{
	const char *done = sql;
	StringInfoData buf;
	ListCell   *cell;

	initStringInfo(&buf);
	foreach(cell, find_mentions(piece, sql))
	{
		Mention    *mention = lfirst(cell);
		const char *to = moved_to(moves, mention->name);

		if (to == NULL)
			continue;
		appendBinaryStringInfo(&buf, done, sql + mention->location - done);
		appendStringInfoString(&buf, quote_identifier(to));
		done = skip_name(sql + mention->location);
	}
	if (done == sql)
		return sql;
	appendStringInfoString(&buf, done);
	return buf.data;
}

/* May an expression stand as a default without parentheses around it? */
bool
nbm_sql_stands_alone(const char *expression)
{
	Node	   *node = sole_expression(parse(expression,
											 RAW_PARSE_PLPGSQL_EXPR, NULL));

	if (IsA(node, FuncCall))
		return ((FuncCall *) node)->funcformat == COERCE_EXPLICIT_CALL;
	return IsA(node, A_Const) || IsA(node, SQLValueFunction) ||
		IsA(node, TypeCast);
}
