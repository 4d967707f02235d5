/*
 * problems.c
 *		What was left out of something that was taken in, a sentence each.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "problems.h"

/* Problems that are told one by one, at most. */
#define MAX_TOLD 1000
/* Bytes of a name that messages show, at most. */
#define MAX_SHOWN 100

/* Adds a sentence to the array, in the current context. */
static void
add_sentence(NbmProblems *problems, char *sentence)
{
	if (problems->count == problems->room)
	{
		problems->room = Max(16, problems->room * 2);
		if (problems->items == NULL)
			problems->items = palloc_array(char *, problems->room);
		else
			problems->items = repalloc_array(problems->items, char *,
											 problems->room);
	}
	problems->items[problems->count++] = sentence;
}

/* Notes a problem; the sentence is made in the current context. */
void
nbm_problem(NbmProblems *problems, const char *format,...)
{
	StringInfoData sentence;

	if (problems->total++ >= MAX_TOLD)
		return;
	initStringInfo(&sentence);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&sentence, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&sentence, needed);
	}
	add_sentence(problems, sentence.data);
}

/* Ends the list: a last sentence says how many problems it does not tell. */
void
nbm_problems_close(NbmProblems *problems)
{
	if (problems->total > MAX_TOLD)
		add_sentence(problems, psprintf("and " INT64_FORMAT " more",
										problems->total - MAX_TOLD));
}

/* A name as messages show it: in quotes, not too long; newly allocated. */
char *
nbm_clipped(NbmText name)
{
	if (name.len <= MAX_SHOWN)
		return psprintf("\"%.*s\"", name.len, name.str);
	return psprintf("\"%.*s...\"", pg_mbcliplen(name.str, name.len, MAX_SHOWN),
					name.str);
}
