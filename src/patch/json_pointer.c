/*
 * json_pointer.c
 *		JSON Pointers (RFC 6901): taken apart and written.
 *
 * A pointer is empty, or a list of tokens with a slash before each.  In a
 * token ~1 stands for a slash and ~0 for a tilde, and a tilde before anything
 * else is an error.  What a token means depends on what it is looked up in: a
 * member's name in an object, an index in an array.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "json_pointer.h"

/*
 * Unescapes the token between two places in a pointer's text: in the text
 * itself where nothing is escaped, otherwise in new memory of the current
 * context.  False where a tilde stands before something else than 0 and 1.
 */
static bool
unescape(const char *from, const char *to, NbmText *token)
{
	const char *tilde = memchr(from, '~', to - from);
	char	   *out;

	token->str = from;
	token->len = to - from;
	if (tilde == NULL)
		return true;
	out = palloc(to - from);
	token->str = out;
	while (from < to)
	{
		char		c = *from++;

		if (c == '~')
		{
			if (from == to || (*from != '0' && *from != '1'))
				return false;
			c = *from++ == '0' ? '~' : '/';
		}
		*out++ = c;
	}
	token->len = out - token->str;
	return true;
}

/* How many tokens has a pointer?  It must be empty or begin with a slash. */
static int
count_tokens(NbmText str)
{
	const char *end = str.str + str.len;
	int			count = 0;

	for (const char *at = str.str;
		 at < end && (at = memchr(at, '/', end - at)) != NULL; at++)
		count++;
	return count;
}

/*
 * Takes a pointer apart.  Returns NULL, or what is wrong with it: it is no
 * pointer, or is longer than any document is deep.  The lists are new memory
 * of the current context; the text is pointed to.
 */
const char *
nbm_pointer_parse(NbmText str, NbmPointer *pointer)
{
	const char *end = str.str + str.len;
	const char *at = str.str;

	pointer->str = str;
	pointer->count = 0;
	pointer->tokens = NULL;
	pointer->starts = NULL;
	if (str.len == 0)
		return NULL;
	if (*at != '/')
		return "must be empty or begin with a slash";
	if (count_tokens(str) > NBM_MAX_DEPTH)
		return "goes deeper than any document";
	pointer->tokens = palloc_array(NbmText, count_tokens(str));
	pointer->starts = palloc_array(int, count_tokens(str));
	while (at < end)
	{
		const char *from = at + 1;
		const char *to = memchr(from, '/', end - from);

		if (to == NULL)
			to = end;
		pointer->starts[pointer->count] = at - str.str;
		if (!unescape(from, to, &pointer->tokens[pointer->count++]))
			return "has a tilde that is followed by neither 0 nor 1";
		at = to;
	}
	return NULL;
}

/*
 * The index that a token is, or one of NBM_INDEX_NONE and NBM_INDEX_END.  An
 * index has digits only, and no leading zero; one that is larger than any
 * array is PG_INT32_MAX.
 */
int
nbm_pointer_index(NbmText token)
{
	int64		index = 0;

	if (token.len == 1 && token.str[0] == '-')
		return NBM_INDEX_END;
	if (token.len == 0 || (token.len > 1 && token.str[0] == '0'))
		return NBM_INDEX_NONE;
	for (int i = 0; i < token.len; i++)
	{
		if (token.str[i] < '0' || token.str[i] > '9')
			return NBM_INDEX_NONE;
		index = Min(index * 10 + (token.str[i] - '0'), PG_INT32_MAX);
	}
	return (int) index;
}

/* The text of a pointer's first tokens; it points into the pointer's text. */
NbmText
nbm_pointer_prefix(const NbmPointer *pointer, int count)
{
	NbmText		prefix = pointer->str;

	if (count < pointer->count)
		prefix.len = pointer->starts[count];
	return prefix;
}

/* Does a pointer lead to something inside of what the other one points to? */
bool
nbm_pointer_is_inside(const NbmPointer *inner, const NbmPointer *outer)
{
	if (inner->count <= outer->count)
		return false;
	for (int i = 0; i < outer->count; i++)
		if (!nbm_text_eq(inner->tokens[i], outer->tokens[i]))
			return false;
	return true;
}

/* Appends a member's name to a pointer that is being written. */
void
nbm_pointer_append_key(StringInfo buf, NbmText key)
{
	appendStringInfoChar(buf, '/');
	for (int i = 0; i < key.len; i++)
	{
		if (key.str[i] == '~')
			appendStringInfoString(buf, "~0");
		else if (key.str[i] == '/')
			appendStringInfoString(buf, "~1");
		else
			appendStringInfoChar(buf, key.str[i]);
	}
}

/* Appends an index to a pointer that is being written. */
void
nbm_pointer_append_index(StringInfo buf, int index)
{
	appendStringInfo(buf, "/%d", index);
}
