/*
 * readable.c
 *		Text for people: what is long is cut, what is no text is described.
 *
 * A readable text says what there is, and is not the thing itself: lines are
 * cut after NBM_SHOWN_LINE bytes, control characters are shown as ^M is, and
 * base64 is never shown, only that it is there.  It may not grow to more than
 * a value can hold: every function here that adds to it raises 54000 then.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "lines.h"
#include "readable.h"

/* Unchanged lines around changed ones. */
#define CONTEXT_LINES 3

/* A word of this many characters of base64's can be base64. */
#define BASE64_RUN 128

/* Makes sure that so many bytes can still be added; raises 54000 otherwise. */
void
nbm_show_check(StringInfo out, Size more)
{
	if (out->len + more > MaxAllocSize - VARHDRSZ - 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the difference is too long for one text"),
				 errdetail("A text can have 1 GB at most."),
				 errhint("notebook_diff_lines() and workflow_diff_lines() return it line by line.")));
}

/* Is this a character that base64 is written in? */
static bool
is_base64_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
}

/* How many characters that base64 is written in stand here in a row? */
static int
base64_run(NbmText string, int at)
{
	int			end = at;

	while (end < string.len && is_base64_char(string.str[end]))
		end++;
	return end - at;
}

/* Is so long a word base64?  (A ruler made of equals signs is not.) */
static bool
is_base64_word(const char *str, int len)
{
	bool		upper = false;
	bool		lower = false;

	if (len < BASE64_RUN)
		return false;
	for (int i = 0; i < len; i++)
	{
		upper |= str[i] >= 'A' && str[i] <= 'Z';
		lower |= str[i] >= 'a' && str[i] <= 'z';
	}
	return upper && lower;
}

/* Can a piece of text be shown as it is?  Most can. */
static bool
is_short_and_plain(NbmText string, int max)
{
	if (string.len >= Min(max, BASE64_RUN))
		return false;
	for (int i = 0; i < string.len; i++)
	{
		unsigned char c = string.str[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/*
 * Adds a piece of text on one line: max bytes of it, about, then an ellipsis
 * and how many more there are.
 */
void
nbm_show_text(StringInfo out, NbmText string, int max)
{
	int			begin = out->len;
	int			word_end = 0;
	int			at = 0;

	nbm_show_check(out, max + 200);
	if (is_short_and_plain(string, max))
	{
		appendBinaryStringInfo(out, string.str, string.len);
		return;
	}
	while (at < string.len)
	{
		unsigned char c = string.str[at];
		int			len = Min(pg_mblen(string.str + at), string.len - at);

		if (out->len - begin >= max)
		{
			appendStringInfo(out, "... (%d more bytes)", string.len - at);
			return;
		}
		if (at >= word_end && is_base64_char(c))
		{
			word_end = at + base64_run(string, at);
			if (is_base64_word(string.str + at, word_end - at))
			{
				appendStringInfo(out, "[%d characters of base64]",
								 word_end - at);
				at = word_end;
				continue;
			}
		}
		if ((c < ' ' && c != '\t') || c == 0x7f)
			appendStringInfo(out, "^%c", c ^ 0x40);
		else
			appendBinaryStringInfo(out, string.str + at, len);
		at += len;
	}
}

/* Adds a number of bytes in the unit that suits it. */
void
nbm_show_size(StringInfo out, Size size)
{
	if (size < 1024)
		appendStringInfo(out, "%d bytes", (int) size);
	else if (size < 1024 * 1024)
		appendStringInfo(out, "%.*f kB", size < 10240, size / 1024.0);
	else
		appendStringInfo(out, "%.1f MB", size / 1048576.0);
}

/* The lines of a text as people count them: a line feed ends the last one. */
int
nbm_count_lines(NbmText string)
{
	int			count = 0;

	for (int i = 0; i < string.len; i++)
		count += string.str[i] == '\n';
	return count + (string.len > 0 && string.str[string.len - 1] != '\n');
}

/* A line of a text, from a byte on. */
static NbmText
line_from(const NbmLines *lines, int line, int from)
{
	NbmText		string;

	string.str = lines->str + lines->start[line] + from;
	string.len = nbm_line_length(lines, line) - from;
	return string;
}

/*
 * Adds one line of a text, with what stands before it, leaving out its first
 * bytes.
 */
static void
show_line(StringInfo out, const char *prefix, char mark, const NbmLines *lines,
		  int line, int from)
{
	nbm_show_check(out, 100);
	appendStringInfoString(out, prefix);
	if (mark != '\0')
		appendStringInfoChar(out, mark);
	if (from > 0)
		appendStringInfo(out, "(%d bytes) ...", from);
	nbm_show_text(out, line_from(lines, line, from), NBM_SHOWN_LINE);
	appendStringInfoChar(out, '\n');
	CHECK_FOR_INTERRUPTS();
}

/* Adds all lines of a text. */
void
nbm_show_lines(StringInfo out, const char *prefix, NbmText string)
{
	NbmLines	lines = nbm_lines_split(string.str, string.len);

	for (int i = 0; i < lines.count; i++)
		show_line(out, prefix, '\0', &lines, i, 0);
	pfree(lines.start);
}

/* Adds where a hunk is in one text, as "diff -u" does. */
static void
show_range(StringInfo out, char mark, int line, int count)
{
	appendStringInfo(out, " %c%d", mark, count == 0 ? line : line + 1);
	if (count != 1)
		appendStringInfo(out, ",%d", count);
}

/*
 * How many bytes to leave out of two lines of which one became the other, so
 * that what differs is seen although they are long.
 */
static int
hidden_start(NbmText a, NbmText b)
{
	int			shorter = Min(a.len, b.len);
	int			same = 0;

	if (Max(a.len, b.len) <= NBM_SHOWN_LINE)
		return 0;
	while (same < shorter && a.str[same] == b.str[same])
		same++;
	return same < NBM_SHOWN_LINE / 2 ? 0 :
		pg_mbcliplen(a.str, a.len, same - NBM_SHOWN_LINE / 10);
}

/* Adds the lines of a hunk. */
static void
show_hunk(StringInfo out, const char *prefix, const NbmLines *a,
		  const NbmLines *b, const NbmHunk *hunk)
{
	int			pairs = Min(hunk->old_count, hunk->new_count);

	for (int i = 0; i < hunk->old_count; i++)
		show_line(out, prefix, '-', a, hunk->old_line + i, i >= pairs ? 0 :
				  hidden_start(line_from(a, hunk->old_line + i, 0),
							   line_from(b, hunk->new_line + i, 0)));
	for (int i = 0; i < hunk->new_count; i++)
		show_line(out, prefix, '+', b, hunk->new_line + i, i >= pairs ? 0 :
				  hidden_start(line_from(a, hunk->old_line + i, 0),
							   line_from(b, hunk->new_line + i, 0)));
}

/*
 * Adds hunks that share their context: the first and those up to the last.
 * The heading is left out where a prefix says that this is an inset.
 */
static void
show_group(StringInfo out, const char *prefix, const NbmLines *a,
		   const NbmLines *b, const NbmHunk *first, const NbmHunk *last)
{
	int			before = Min(CONTEXT_LINES, first->old_line);
	int			behind = Min(CONTEXT_LINES, a->count - last->old_line -
							 last->old_count);
	int			line = first->old_line - before;
	int			end = last->old_line + last->old_count + behind;
	int			new_line = first->new_line - before;

	if (prefix[0] == '\0')
	{
		nbm_show_check(out, 100);
		appendStringInfoString(out, "@@");
		show_range(out, '-', line, end - line);
		show_range(out, '+', new_line, last->new_line + last->new_count +
				   behind - new_line);
		appendStringInfoString(out, " @@\n");
	}
	for (const NbmHunk *hunk = first; hunk <= last; hunk++)
	{
		for (; line < hunk->old_line; line++)
			show_line(out, prefix, ' ', a, line, 0);
		show_hunk(out, prefix, a, b, hunk);
		line += hunk->old_count;
	}
	for (; line < end; line++)
		show_line(out, prefix, ' ', a, line, 0);
}

/*
 * Adds how one text becomes another, as unified hunks; every line begins with
 * the prefix.
 */
void
nbm_show_hunks(StringInfo out, const char *prefix, NbmText from, NbmText to)
{
	NbmLines	a = nbm_lines_split(from.str, from.len);
	NbmLines	b = nbm_lines_split(to.str, to.len);
	int			count;
	NbmHunk    *hunks = nbm_lines_diff(&a, &b, &count);
	int			first = 0;

	while (first < count)
	{
		int			last = first;

		while (last + 1 < count &&
			   hunks[last + 1].old_line - hunks[last].old_line -
			   hunks[last].old_count <= 2 * CONTEXT_LINES)
			last++;
		show_group(out, prefix, &a, &b, &hunks[first], &hunks[last]);
		first = last + 1;
	}
	pfree(hunks);
	pfree(a.start);
	pfree(b.start);
}
