/*
 * schema_script.c
 *		A script of SQL taken apart into its statements.
 *
 * The server's own grammar does it, so a semicolon within a string, a dollar
 * quoted body or a BEGIN ATOMIC function ends no statement.  Statements count
 * from 1, positions are characters of the script and count from 1 as well.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "parser/parser.h"
#include "utils/guc.h"

#include "schema_script.h"
#include "settings.h"

/* What the script of the error that is being raised is. */
typedef struct ParseContext
{
	const char *body;
} ParseContext;

/* The byte behind a comment or white space that begins at body, or body. */
static const char *
skip_gap(const char *body)
{
	if (strchr(" \t\n\r\f\v", *body) != NULL && *body != '\0')
		return body + 1;
	if (body[0] == '-' && body[1] == '-')
		return body + strcspn(body, "\n\r");
	if (body[0] == '/' && body[1] == '*')
	{
		int			depth = 0;

		do
		{
			bool		opens = body[0] == '/' && body[1] == '*';
			bool		closes = body[0] == '*' && body[1] == '/';

			depth += opens ? 1 : closes ? -1 : 0;
			body += opens || closes ? 2 : 1;
		} while (depth > 0 && *body != '\0');
	}
	return body;
}

/*
 * The first byte of a statement in the body from byte on; *is_marked is set
 * where a part mark stands before it.
 */
static int
find_start(const char *body, int byte, bool *is_marked)
{
	const char *at = body + byte;
	const char *next;

	while ((next = skip_gap(at)) != at)
	{
		if (strncmp(at, NBM_PART_MARK, strlen(NBM_PART_MARK)) == 0)
			*is_marked = true;
		at = next;
	}
	return at - body;
}

/* Whether the body before an error is a COPY that reads what follows it. */
static bool
is_after_copy(const char *body, int position)
{
	int			end = pg_mbcharcliplen(body, strlen(body), position - 1);
	int			start;
	bool		is_marked = false;
	char	   *last;
	const char *from;

	while (end > 0 && body[end - 1] != ';')
		end--;
	for (start = end - 1; start > 0 && body[start - 1] != ';';)
		start--;
	if (start < 0)
		return false;
	start = find_start(body, start, &is_marked);
	if (start >= end)
		return false;
	last = pnstrdup(body + start, end - start);
	if (pg_strncasecmp(last, "copy", 4) != 0)
		return false;
	for (from = last; *from != '\0'; from++)
	{
		if (pg_strncasecmp(from, "from", 4) == 0 &&
			strspn(from + 4, " \t\r\n") > 0 &&
			pg_strncasecmp(from + 4 + strspn(from + 4, " \t\r\n"), "stdin", 5) == 0)
			return true;
	}
	return false;
}

/* Makes the position of a syntax error one of the script, with a hint. */
static void
say_position(void *arg)
{
	const char *body = ((ParseContext *) arg)->body;
	int			position = geterrposition();
	const char *at;

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery(body);
	at = body + pg_mbcharcliplen(body, strlen(body), position - 1);
	if (*at == '\\')
		errhint("Commands of psql are not SQL; a script has statements only.");
	else if (is_after_copy(body, position))
		errhint("COPY FROM STDIN has no input here; use INSERT ... VALUES.");
}

/*
 * Takes a script apart.  Raises 42601 with the position where it is none.
 * The result is of the current context.
 */
NbmScript *
nbm_script_parse(const char *body)
{
	NbmScript  *script = palloc0(sizeof(NbmScript));
	ParseContext context = {body};
	ErrorContextCallback callback;
	List	   *list;
	ListCell   *cell;
	int			gap = 0;
	int			level = NewGUCNestLevel();

	nbm_setting_pin_strings();

	callback.callback = say_position;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	list = raw_parser(body, RAW_PARSE_DEFAULT);
	error_context_stack = callback.previous;
	AtEOXact_GUC(false, level);

	script->text = body;
	script->statements = palloc0(sizeof(NbmStatement) * Max(list_length(list), 1));
	foreach(cell, list)
	{
		NbmStatement *statement = &script->statements[script->count++];
		int			end;

		statement->raw = lfirst_node(RawStmt, cell);
		end = statement->raw->stmt_len > 0 ?
			statement->raw->stmt_location + statement->raw->stmt_len :
			strlen(body);

		/*
		 * Empty statements are none, and the mark of a part may stand before
		 * one.
		 */
		while (body[statement->start = find_start(body, gap,
												  &statement->begins_part)] == ';')
			gap = statement->start + 1;
		statement->length = end - statement->start;
		gap = end;
	}
	return script;
}

/* Raises 22023 for a statement that no script can have. */
static void
refuse(const NbmScript *script, int number, const char *what,
	   const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a schema migration cannot have %s", what),
			 errdetail("It is statement %d, at character %d.", number,
					   nbm_script_position(script, number, 1)),
			 errhint("%s", hint)));
}

/*
 * Raises 22023 where a script has what cannot run in one: statements that
 * begin or end transactions, COPY from or to the client; and, if it is not
 * transactional, anything but one statement.
 */
void
nbm_script_check(const NbmScript *script, bool is_transactional)
{
	for (int i = 0; i < script->count; i++)
	{
		Node	   *node = script->statements[i].raw->stmt;

		if (IsA(node, TransactionStmt))
			refuse(script, i + 1, "statements that begin or end a transaction",
				   "Each migration is one transaction; split it where it must commit in between.");
		if (IsA(node, CopyStmt) && ((CopyStmt *) node)->filename == NULL)
			refuse(script, i + 1, ((CopyStmt *) node)->is_from ?
				   "COPY FROM STDIN" : "COPY TO STDOUT",
				   "There is no client to copy from or to; use INSERT ... VALUES, or a server's file.");
	}
	if (!is_transactional && script->count == 1 &&
		IsA(script->statements[0].raw->stmt, DiscardStmt))
		refuse(script, 1, "DISCARD", "It would only concern the process that runs it.");
	if (!is_transactional && script->count != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a migration that is not transactional must have one statement, not %d",
						script->count),
				 errhint("Register each statement as a migration of its own.")));
}

/* A statement's text, of the current context. */
char *
nbm_script_statement(const NbmScript *script, int number)
{
	const NbmStatement *statement = &script->statements[number - 1];

	return pnstrdup(script->text +statement->start, statement->length);
}

/* Which character of the script a character of a statement is. */
int
nbm_script_position(const NbmScript *script, int number, int position)
{
	return pg_mbstrlen_with_len(script->text,
								script->statements[number - 1].start) + position;
}
