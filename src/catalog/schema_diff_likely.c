/*
 * schema_diff_likely.c
 *		What is dropped, and looks as if it should get another name.
 *
 * Renames are never guessed, but people forget the hint.  Each new thing is
 * named once, for the first dropped one that it looks like.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/json.h"

#include "compat.h"
#include "schema_diff_likely.h"

/* A name as it stands in the key of a rename. */
static const char *
hint_name(const char *name)
{
	StringInfoData buf;

	if (strpbrk(name, ".\"") == NULL)
		return name;
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '"');
	for (; *name != '\0'; name++)
		appendStringInfo(&buf, *name == '"' ? "\"\"" : "%c", *name);
	appendStringInfoChar(&buf, '"');
	return buf.data;
}

/* A note that names the hint: a column of a table, or the table, for NULL. */
static char *
rename_note(const char *table, const char *column, const char *to)
{
	StringInfoData hint;
	const char *from = hint_name(table);

	if (column != NULL)
		from = psprintf("%s.%s", from, hint_name(column));
	initStringInfo(&hint);
	appendStringInfoChar(&hint, '{');
	escape_json(&hint, from);
	appendStringInfoString(&hint, ": ");
	escape_json(&hint, to);
	appendStringInfoChar(&hint, '}');
	return psprintf("looks like a rename to \"%s\": renames %s", to, hint.data);
}

/* Do two columns look alike, but for their names? */
static bool
is_alike(const NbmColumn *a, const NbmColumn *b)
{
	return strcmp(a->type, b->type) == 0 && a->nullable == b->nullable &&
		a->is_generated == b->is_generated && a->numbering == b->numbering &&
		nbm_same_string(a->expression, b->expression) &&
		nbm_same_string(a->collation, b->collation);
}

/* Have two tables the same columns? */
static bool
has_same_columns(const NbmTable *a, const NbmTable *b)
{
	ListCell   *cell;

	if (a->columns == NIL ||
		list_length(a->columns) != list_length(b->columns))
		return false;
	foreach(cell, a->columns)
	{
		NbmColumn  *column = lfirst(cell);
		NbmColumn  *other = nbm_find_column(b, column->name);

		CHECK_FOR_INTERRUPTS();
		if (other == NULL || strcmp(column->type, other->type) != 0)
			return false;
	}
	return true;
}

/* A note on a table that is dropped: which of the new ones it may be; or NULL. */
char *
nbm_likely_table(const List *pairs, const NbmTable *table)
{
	ListCell   *cell;

	foreach(cell, pairs)
	{
		NbmTablePair *pair = lfirst(cell);

		if (pair->old != NULL || pair->is_suggested ||
			!has_same_columns(table, pair->new))
			continue;
		pair->is_suggested = true;
		return rename_note(table->name, NULL, pair->new->name);
	}
	return NULL;
}

/* A note on a column that is dropped: which of the new ones it may be; or NULL. */
char *
nbm_likely_column(const NbmTablePair *table, const NbmColumn *column)
{
	ListCell   *cell;

	CHECK_FOR_INTERRUPTS();
	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (pair->old != NULL || pair->is_suggested ||
			!is_alike(column, pair->new))
			continue;
		pair->is_suggested = true;
		return rename_note(table->old->name, column->name, pair->new->name);
	}
	return NULL;
}
