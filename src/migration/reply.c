/*
 * reply.c
 *		JSON found in what a language model answered.
 *
 * A reply is prose with an object of JSON somewhere in it, mostly in a fence
 * of three backquotes.  Three readers share the work.  Our own scan finds
 * where an object begins and ends, without recursion, and refuses what cJSON
 * would take and change: nesting beyond the limit, \u0000 and broken \u
 * escapes, raw control characters, numbers that are spelt wrong or too long.
 * cJSON then says whether the slice is an object, where it is not, in which
 * order its members stand and which stand twice.  The values are jsonb_in's,
 * made of the very slice: no number passes through a double, no string ends
 * at a NUL.
 *
 * Objects in fences that say json, or nothing, go before the rest of the
 * text; the last of those that fit best is taken.  An object that has a fault
 * or is cut off is never looked into, and nothing before it is taken in its
 * place: half an answer is none.
 *
 * cJSON's trees are malloc'ed, its hooks being the whole process's; each is
 * freed by a callback of a memory context, so that an error leaks nothing.
 */
#include "postgres.h"

#include <cjson/cJSON.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "reply.h"

/* Values in an object, at most: each takes cJSON some 70 bytes. */
#define MAX_VALUES 1000000
/* Characters of a number, at most; cJSON reads no more of one. */
#define MAX_NUMBER 63
/* The largest exponent that is handed on. */
#define MAX_EXPONENT 9999

/* What is wrong with a text, and where. */
typedef struct Fault
{
	int			at;				/* offset; -1: nothing is wrong */
	int			sqlstate;
	const char *what;			/* a full sentence */
} Fault;

/* A scan of one object. */
typedef struct Scan
{
	const char *str;
	int			start;			/* of the object */
	int			limit;			/* end of what may be read */
	int			end;			/* of the object; limit where it has none */
	bool		is_whole;		/* does it end? */
	int			token;			/* where the last token began */
	int			values;
	Fault		fault;			/* the first one */
} Scan;

/* A search through a text. */
typedef struct Search
{
	const char *str;
	int			len;
	NbmReplyKind kind;
	const char *what;			/* of the text, for messages */
	int			best;			/* offset of the object taken, -1: none yet */
	int			best_end;
	int			best_rank;
	int			nbest;			/* objects of that rank */
	int			brace;			/* the first "{" that begins no object, or -1 */
	Fault		fault;			/* the last one */
} Search;

/* A tree of cJSON's, which goes with a memory context. */
typedef struct Tree
{
	cJSON	   *root;
	MemoryContextCallback callback;
} Tree;

/* Line and column, both from 1, of an offset; columns are characters. */
static void
find_position(const char *str, int offset, int *line, int *column)
{
	int			line_start = 0;

	*line = 1;
	for (int i = 0; i < offset; i++)
	{
		if (str[i] != '\n')
			continue;
		(*line)++;
		line_start = i + 1;
	}
	*column = 1 + pg_mbstrlen_with_len(str + line_start, offset - line_start);
}

/* Raises a fault, with line and column. */
static void
raise_fault(const Search *search, const Fault *fault)
{
	int			line;
	int			column;

	find_position(search->str, fault->at, &line, &column);
	ereport(ERROR,
			(errcode(fault->sqlstate),
			 errmsg("invalid JSON in the %s at line %d, column %d",
					search->what, line, column),
			 errdetail("%s", fault->what)));
}

/* Notes a fault of a scan, unless there is one already. */
static void
note_fault(Scan *scan, int at, int sqlstate, const char *what)
{
	if (scan->fault.at >= 0)
		return;
	scan->fault.at = at;
	scan->fault.sqlstate = sqlstate;
	scan->fault.what = what;
}

/* Is this white space of JSON? */
static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The first offset from at on that is not white space. */
static int
skip_space(const char *str, int at, int limit)
{
	while (at < limit && is_space(str[at]))
		at++;
	return at;
}

/* Checks the four digits after a "\u" whose "u" is at an offset. */
static void
check_escape(Scan *scan, int at)
{
	bool		is_zero = true;

	for (int i = 1; i <= 4; i++)
	{
		if (at + i >= scan->limit)
			return;
		if (!isxdigit((unsigned char) scan->str[at + i]))
		{
			note_fault(scan, at - 1, ERRCODE_INVALID_JSON_TEXT,
					   "\"\\u\" must be followed by four hexadecimal digits.");
			return;
		}
		is_zero &= scan->str[at + i] == '0';
	}
	if (is_zero)
		note_fault(scan, at - 1, ERRCODE_UNTRANSLATABLE_CHARACTER,
				   "\\u0000 cannot be stored as text.");
}

/*
 * Reads over a string that begins at an offset; returns the offset after it,
 * or the limit where it does not end.
 */
static int
scan_string(Scan *scan, int at)
{
	scan->token = at++;
	for (; at < scan->limit; at++)
	{
		unsigned char c = scan->str[at];

		if (c == '"')
			return at + 1;
		if (c == '\\' && ++at < scan->limit && scan->str[at] == 'u')
			check_escape(scan, at);
		else if (c < ' ')
			note_fault(scan, at, ERRCODE_INVALID_JSON_TEXT,
					   "A control character in a string must be escaped, a line feed as \\n.");
	}
	return scan->limit;
}

/* How many digits stand at an offset? */
static int
count_digits(const Scan *scan, int at)
{
	int			n = 0;

	while (at + n < scan->limit && scan->str[at + n] >= '0' &&
		   scan->str[at + n] <= '9')
		n++;
	return n;
}

/* Is the token from an offset up to an end a number of JSON's? */
static bool
is_number(const Scan *scan, int at, int end, int *exponent_digits)
{
	const char *str = scan->str;
	int			n;

	*exponent_digits = 0;
	if (str[at] == '-')
		at++;
	n = count_digits(scan, at);
	if (n == 0 || (n > 1 && str[at] == '0'))
		return false;
	at += n;
	if (at < end && str[at] == '.')
	{
		n = count_digits(scan, ++at);
		if (n == 0)
			return false;
		at += n;
	}
	if (at < end && (str[at] == 'e' || str[at] == 'E'))
	{
		at++;
		if (at < end && (str[at] == '+' || str[at] == '-'))
			at++;
		n = count_digits(scan, at);
		*exponent_digits = n;
		at += n;
		if (n == 0)
			return false;
	}
	return at == end;
}

/* Reads over a number or a word; returns the offset after it. */
static int
scan_word(Scan *scan, int at)
{
	int			start = at;
	int			exponent_digits;

	scan->token = start;
	while (at < scan->limit && strchr("{}[],:\"", scan->str[at]) == NULL &&
		   (unsigned char) scan->str[at] > ' ')
		at++;
	if (scan->str[start] != '-' &&
		(scan->str[start] < '0' || scan->str[start] > '9'))
		return at;
	if (at < scan->limit && !is_number(scan, start, at, &exponent_digits))
		note_fault(scan, start, ERRCODE_INVALID_JSON_TEXT,
				   "This is no number of JSON.");
	else if (at < scan->limit &&
			 (at - start > MAX_NUMBER || exponent_digits > 4))
		note_fault(scan, start, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
				   psprintf("A number must have at most %d characters, and an exponent of at most %d.",
							MAX_NUMBER, MAX_EXPONENT));
	return at;
}

/* Raises 54000 where an object is more than can be read. */
static void
check_limits(const Search *search, const Scan *scan, int at, int depth)
{
	int			line;
	int			column;

	if (depth <= NBM_MAX_DEPTH && scan->values <= MAX_VALUES)
		return;
	find_position(search->str, at, &line, &column);
	if (depth > NBM_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("JSON in the %s is nested deeper than %d levels at line %d, column %d",
						search->what, NBM_MAX_DEPTH, line, column)));
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("JSON in the %s has more than %d values at line %d, column %d",
					search->what, MAX_VALUES, line, column)));
}

/* Finds the end of the object that begins at scan->start. */
static void
scan_object(const Search *search, Scan *scan)
{
	int			depth = 0;
	int			at = scan->start;

	while (at < scan->limit)
	{
		char		c = scan->str[at];

		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
		{
			scan->end = at + 1;
			scan->is_whole = true;
			return;
		}
		if (c == '{' || c == '[' || c == ',')
		{
			scan->values++;
			CHECK_FOR_INTERRUPTS();
			check_limits(search, scan, at, depth);
		}
		if (c == '"')
			at = scan_string(scan, at);
		else if (strchr("{}[],:", c) != NULL || is_space(c))
			scan->token = at++;
		else if ((unsigned char) c < ' ')
			note_fault(scan, at++, ERRCODE_INVALID_JSON_TEXT,
					   "A control character stands between two values.");
		else
			at = scan_word(scan, at);
	}
	scan->end = scan->limit;
}

/* Frees a tree: a callback of its memory context. */
static void
free_tree(void *arg)
{
	cJSON_Delete(((Tree *) arg)->root);
}

/*
 * Parses a slice.  The tree belongs to the current context and goes with it.
 * Returns NULL, and the offset in *error, where the slice is not JSON.
 */
static const cJSON *
parse_slice(const char *slice, int len, int *error)
{
	Tree	   *tree = palloc0_object(Tree);
	const char *stop = slice;

	tree->callback.func = free_tree;
	tree->callback.arg = tree;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &tree->callback);
	tree->root = cJSON_ParseWithLengthOpts(slice, len, &stop, false);
	*error = (int) (stop - slice);
	return tree->root;
}

/*
 * Is the member "code" of an object the cells of a UDF that is called so?  A
 * workflow reply's code is no array; where either kind is wanted, one with
 * other arrays than its edges is a mapping.
 */
static bool
is_mapped_code(const cJSON *root, const cJSON *code, NbmReplyKind wanted)
{
	if (!cJSON_IsArray(code) || wanted == NBM_WORKFLOW_REPLY)
		return false;
	for (const cJSON *child = root->child; child != NULL; child = child->next)
		if (cJSON_IsArray(child) && child != code &&
			strcmp(child->string, "edges") != 0)
			return true;
	return wanted == NBM_MAPPING_REPLY;
}

/*
 * How well an object fits what is looked for: 0 not at all, more is better.
 * *kind is then what it is.
 */
static int
rank_object(const cJSON *root, NbmReplyKind wanted, NbmReplyKind *kind)
{
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(root, "code");

	if (code != NULL && !is_mapped_code(root, code, wanted))
	{
		*kind = NBM_WORKFLOW_REPLY;
		return wanted == NBM_MAPPING_REPLY ? 0 : cJSON_IsObject(code) ? 4 : 1;
	}
	*kind = NBM_MAPPING_REPLY;
	if (wanted == NBM_WORKFLOW_REPLY)
		return 0;
	for (const cJSON *child = root->child; child != NULL; child = child->next)
		if (cJSON_IsArray(child))
			return 3;
	if (wanted == NBM_ANY_REPLY)
		return 0;
	return root->child == NULL ? 2 : 1;
}

/* Notes where an object that is none fails, out of what cJSON says. */
static void
blame(Scan *scan, int error)
{
	int			end = scan->end;

	if (scan->fault.at >= 0 && scan->fault.at <= error)
		return;
	scan->fault.at = -1;
	while (end > scan->start && is_space(scan->str[end - 1]))
		end--;
	if (!scan->is_whole && error >= Min(scan->token, end - 1))
		note_fault(scan, end, ERRCODE_INVALID_JSON_TEXT,
				   "The text ends here, within an object: the reply is cut off.");
	else
		note_fault(scan, error, ERRCODE_INVALID_JSON_TEXT,
				   psprintf("A comma, colon, quote, bracket or value is missing or wrong near \"%s\".",
							pnstrdup(scan->str + error,
									 pg_mbcliplen(scan->str + error,
												  scan->end - error, 20))));
}

/*
 * Notes the fault that text after a whole object, as if it went on, is.  A
 * brace may belong to one in the prose before.
 */
static void
check_rest(const Search *search, Scan *scan)
{
	int			at = skip_space(scan->str, scan->end, scan->limit);
	int			next = skip_space(scan->str, at + 1, scan->limit);

	if (at < scan->limit &&
		((scan->str[at] == '}' && search->brace < 0) ||
		 (scan->str[at] == ',' && next < scan->limit &&
		  scan->str[next] == '"')))
		note_fault(scan, at, ERRCODE_INVALID_JSON_TEXT,
				   "The object has ended before this, but the text goes on as if it had not.");
}

/*
 * Does an object of JSON begin at this "{"?  So it is if a string and a colon
 * follow, or a "}", or the text ends before that is known.
 */
static bool
begins_object(const char *str, int at, int limit)
{
	at = skip_space(str, at + 1, limit);
	if (at == limit || str[at] == '}')
		return true;
	if (str[at] != '"')
		return false;
	for (at++; at < limit && str[at] != '"'; at++)
	{
		if (str[at] == '\n')
			return false;
		if (str[at] == '\\')
			at++;
	}
	at = skip_space(str, at + 1, limit);
	return at >= limit || str[at] == ':';
}

/*
 * Looks at the object that begins at an offset: takes it if it fits better
 * than what was found before, or as well.  Returns the offset after it.
 */
static int
try_object(Search *search, int at, int limit)
{
	MemoryContext mine = AllocSetContextCreate(CurrentMemoryContext,
											   "notebook_migrate reply",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer;
	Scan		scan = {search->str, at, limit};
	NbmReplyKind kind;
	const cJSON *root;
	bool		is_json;
	int			error;
	int			rank;

	scan.fault.at = -1;
	scan_object(search, &scan);
	outer = MemoryContextSwitchTo(mine);
	root = parse_slice(search->str + at, scan.end - at, &error);
	is_json = root != NULL;
	rank = is_json ? rank_object(root, search->kind, &kind) : 0;
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(mine);
	if (!is_json)
		blame(&scan, at + error);
	else
		check_rest(search, &scan);
	if (scan.fault.at >= 0)
		search->fault = scan.fault;
	else if (rank > 0 && rank >= search->best_rank)
	{
		search->nbest = rank > search->best_rank ? 1 : search->nbest + 1;
		search->best_rank = rank;
		search->best = at;
		search->best_end = scan.end;
	}
	return scan.end;
}

/* Looks through a part of the text. */
static void
search_region(Search *search, int from, int limit)
{
	while (from < limit)
	{
		const char *brace = memchr(search->str + from, '{', limit - from);

		if (brace == NULL)
			return;
		from = (int) (brace - search->str);
		if (begins_object(search->str, from, limit))
			from = try_object(search, from, limit);
		else
		{
			if (search->brace < 0)
				search->brace = from;
			from++;
		}
		CHECK_FOR_INTERRUPTS();
	}
}

/* Where the line after this offset begins; the end where there is none. */
static int
next_line(const Search *search, int at)
{
	const char *feed = memchr(search->str + at, '\n', search->len - at);

	return feed == NULL ? search->len : (int) (feed - search->str) + 1;
}

/* Is the line at an offset a fence?  *info is then the offset after it. */
static bool
is_fence(const Search *search, int at, int *info)
{
	while (at < search->len && (search->str[at] == ' ' || search->str[at] == '\t'))
		at++;
	if (search->len - at < 3 || memcmp(search->str + at, "```", 3) != 0)
		return false;
	*info = at + 3;
	return true;
}

/* Does a fence, by what follows it on its line, hold JSON? */
static bool
holds_json(const Search *search, int info, int end)
{
	int			last;

	info = skip_space(search->str, info, end);
	for (last = end; last > info && is_space(search->str[last - 1]); last--)
		;
	return last == info ||
		(last - info >= 4 && pg_strncasecmp(search->str + info, "json", 4) == 0 &&
		 memchr(search->str + info, '{', last - info) == NULL);
}

/* Looks through the fences that hold JSON. */
static void
search_fences(Search *search)
{
	int			at = 0;

	while (at < search->len)
	{
		int			body = next_line(search, at);
		int			end = body;
		int			info;
		int			ignored;

		if (!is_fence(search, at, &info))
		{
			at = body;
			continue;
		}
		while (end < search->len && !is_fence(search, end, &ignored))
			end = next_line(search, end);
		if (holds_json(search, info, body))
			search_region(search, body, end);
		at = next_line(search, end);
	}
}

/* Are cJSON's names, which are UTF-8, to be converted for the server? */
static bool
is_converted(void)
{
	return GetDatabaseEncoding() != PG_UTF8 &&
		GetDatabaseEncoding() != PG_SQL_ASCII;
}

/* A name of cJSON's in the server's encoding, newly allocated. */
static char *
name_of(const cJSON *member)
{
	char	   *name = pstrdup(member->string);

	return is_converted() ?
		pg_any_to_server(name, strlen(name), PG_UTF8) : name;
}

/* Adds a name, which is kept, to an array of names. */
static void
add_name(NbmText **names, int *count, char *name)
{
	if (*names == NULL)
		*names = palloc_array(NbmText, 16);
	else if (*count >= 16 && (*count & (*count - 1)) == 0)
		*names = repalloc_array(*names, NbmText, *count * 2);
	(*names)[(*count)++] = nbm_text(name);
}

/* A member of an object and its place. */
typedef struct Place
{
	const cJSON *member;
	int			place;
} Place;

/* qsort comparator: by name, then by place. */
static int
name_cmp(const void *a, const void *b)
{
	int			order = strcmp(((const Place *) a)->member->string,
							   ((const Place *) b)->member->string);

	return order != 0 ? order :
		((const Place *) a)->place - ((const Place *) b)->place;
}

/*
 * Reads the names of an object's members: into names, unless NULL, each once
 * in the order of the text; what stands twice into the reply's repeated, as
 * a path with the given prefix.
 */
static void
read_names(const cJSON *object, const char *path, NbmText **names,
		   int *nnames, NbmReply *reply)
{
	int			count = cJSON_GetArraySize(object);
	Place	   *places = palloc_array(Place, Max(count, 1));
	bool	   *is_again = palloc0_array(bool, Max(count, 1));
	int			n = 0;

	if (!cJSON_IsObject(object))
		return;
	for (const cJSON *child = object->child; child != NULL; child = child->next)
	{
		places[n].member = child;
		places[n].place = n;
		n++;
	}
	qsort(places, count, sizeof(Place), name_cmp);
	for (int i = 1; i < count; i++)
	{
		if (strcmp(places[i - 1].member->string,
				   places[i].member->string) != 0)
			continue;
		is_again[places[i].place] = true;
		if (i == 1 || !is_again[places[i - 1].place])
			add_name(&reply->repeated, &reply->nrepeated,
					 psprintf("%s.%s", path, name_of(places[i].member)));
	}
	n = 0;
	for (const cJSON *child = object->child; child != NULL; child = child->next)
		if (!is_again[n++] && names != NULL)
			add_name(names, nnames, name_of(child));
}

/*
 * Reads the object that was taken into the reply.  cJSON makes UTF-8 of \u
 * escapes, so that is what it is given: names must not mix two encodings.
 */
static void
read_reply(const Search *search, NbmReply *reply)
{
	int			len = search->best_end - search->best;
	char	   *slice = pnstrdup(search->str + search->best, len);
	char	   *utf8 = is_converted() ?
	pg_server_to_any(slice, len, PG_UTF8) : slice;
	int			error;
	const cJSON *root = parse_slice(utf8, strlen(utf8), &error);

	if (root == NULL)			/* it was parsed before, so it is JSON */
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	find_position(search->str, search->best, &reply->line, &reply->column);
	reply->nothers = search->nbest - 1;
	rank_object(root, search->kind, &reply->kind);
	if (reply->kind == NBM_WORKFLOW_REPLY)
	{
		read_names(root, "$", NULL, NULL, reply);
		read_names(cJSON_GetObjectItemCaseSensitive(root, "code"), "$.code",
				   &reply->names, &reply->nnames, reply);
		read_names(cJSON_GetObjectItemCaseSensitive(root, "outputs"),
				   "$.outputs", NULL, NULL, reply);
	}
	else
		read_names(root, "$", &reply->names, &reply->nnames, reply);
	reply->value = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
													  CStringGetDatum(slice)));
}

/* Raises 22032: there is no object of the kind that is looked for. */
static void
nothing_found(const Search *search)
{
	Fault		fault = {search->brace, ERRCODE_INVALID_JSON_TEXT,
	"A brace must be followed by a name in double quotes."};
	int			line;
	int			column;

	if (search->brace >= 0)
		raise_fault(search, &fault);
	find_position(search->str, search->len, &line, &column);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_JSON_TEXT),
			 errmsg("no %s was found in the %s, which ends at line %d, column %d",
					search->kind == NBM_WORKFLOW_REPLY ? "object with \"code\"" :
					search->kind == NBM_MAPPING_REPLY ? "object of UDFs and their cells" :
					"object of JSON", search->what, line, column),
			 errhint("A workflow reply has \"code\", \"edges\" and \"outputs\"; a mapping reply has an array for each UDF.")));
}

/*
 * Finds the object in a text.  The reply is new memory of the current
 * context, to which some of cJSON's is bound.  Raises 22032 with line and
 * column where there is none or where it is cut off or faulty (22P05 for
 * \u0000, 22003 for a number that is too long), 54000 where it is too deep or
 * too large.
 */
void
nbm_reply_find(const char *str, int len, NbmReplyKind kind, NbmReply *reply)
{
	Search		search = {str, len, kind};

	memset(reply, 0, sizeof(*reply));
	search.what = kind == NBM_WORKFLOW_REPLY ? "workflow reply" :
		kind == NBM_MAPPING_REPLY ? "mapping reply" : "reply";
	search.best = search.brace = search.fault.at = -1;
	if (len > NBM_MAX_REPLY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s of %d kB exceeds the limit of %d kB", search.what,
						len / 1024, NBM_MAX_REPLY / 1024)));
	search_fences(&search);
	if (search.best < 0 && search.fault.at < 0)
	{
		search.brace = -1;
		search_region(&search, 0, len);
	}
	if (search.fault.at >= 0 && search.fault.at > search.best)
		raise_fault(&search, &search.fault);
	if (search.best < 0)
		nothing_found(&search);
	read_reply(&search, reply);
}
