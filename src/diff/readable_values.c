/*
 * readable_values.c
 *		How JSON values differ, as remarks for people: path by path.
 *
 * A remark is a line "path: old -> new", "path: added new" or "path: removed
 * old"; a text of several lines is shown by lines.  Paths are those of
 * jsonpath without their "$.".  What is small is shown whole, what is large
 * by its members, but for lists of plain values, which are cut.  Arrays are
 * compared between the elements that they begin and end with alike.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/json.h"

#include "paths.h"
#include "readable.h"

/* Remarks under one heading, at most; of more only the number is told. */
#define MAX_REMARKS 50

/* Arrays and objects up to this size, as jsonb, are shown whole. */
#define MAX_WHOLE 160

/* Bytes of a string that are escaped between two looks for a cancellation. */
#define ESCAPED_AT_ONCE (1 << 20)

static void compare_values(NbmRemarks *remarks, StringInfo path,
						   const JsonbValue *from, const JsonbValue *to);

/* Counts a remark; is there room to show it? */
bool
nbm_remark(NbmRemarks *remarks)
{
	CHECK_FOR_INTERRUPTS();
	return ++remarks->count <= MAX_REMARKS;
}

/* Tells how many remarks were left out. */
void
nbm_remarks_end(NbmRemarks *remarks)
{
	nbm_show_check(remarks->out, 100);
	if (remarks->count > MAX_REMARKS)
		appendStringInfo(remarks->out, "and %d more\n",
						 remarks->count - MAX_REMARKS);
}

/* Takes what was added to a path off again. */
static void
shorten(StringInfo path, int len)
{
	path->len = len;
	path->data[len] = '\0';
}

/* Is a value told by its members?  Lists of plain values are cut instead. */
static bool
is_large(const JsonbValue *value)
{
	JsonbContainer *container;

	if (value == NULL || value->type != jbvBinary ||
		value->val.binary.len <= MAX_WHOLE)
		return false;
	container = value->val.binary.data;
	if (!JsonContainerIsArray(container))
		return true;
	for (int i = 0; i < JsonContainerSize(container); i++)
		if (JBE_ISCONTAINER(container->children[i]))
			return true;
	return false;
}

/* Has a string several lines? */
static bool
has_lines(const JsonbValue *value)
{
	return value != NULL && value->type == jbvString &&
		memchr(value->val.string.val, '\n', value->val.string.len) != NULL;
}

/* Adds a string as JSON writes it; escape_json() alone cannot be cancelled. */
static void
escape_string(StringInfo out, NbmText string)
{
	StringInfoData piece;

	initStringInfo(&piece);
	appendStringInfoChar(out, '"');
	for (int at = 0; at < string.len; at += ESCAPED_AT_ONCE)
	{
		char	   *raw = pnstrdup(string.str + at,
								   Min(string.len - at, ESCAPED_AT_ONCE));

		CHECK_FOR_INTERRUPTS();
		resetStringInfo(&piece);
		escape_json(&piece, raw);
		appendBinaryStringInfo(out, piece.data + 1, piece.len - 2);
		pfree(raw);
	}
	appendStringInfoChar(out, '"');
	pfree(piece.data);
}

/* Adds a value, cut where it is long. */
static void
show_value(StringInfo out, const JsonbValue *value)
{
	NbmText		string;

	if (value->type == jbvString)
	{
		StringInfoData quoted;

		initStringInfo(&quoted);
		escape_string(&quoted, nbm_text_of(value));
		string.str = quoted.data;
		string.len = quoted.len;
	}
	else
		string = nbm_text(JsonbToCString(NULL, &nbm_value_to_jsonb(value)->root,
										 0));
	nbm_show_text(out, string, NBM_SHOWN_VALUE);
}

/* Makes the remark on a value that changed, came (from NULL) or went. */
static void
remark_value(NbmRemarks *remarks, StringInfo path, const JsonbValue *from,
			 const JsonbValue *to)
{
	StringInfo	out = remarks->out;
	NbmText		name = {path->data, path->len};

	if (!nbm_remark(remarks))
		return;
	nbm_show_text(out, name, NBM_SHOWN_LINE);
	appendStringInfoString(out, ": ");
	if (from != NULL && to != NULL && from->type == jbvString &&
		to->type == jbvString && (has_lines(from) || has_lines(to)))
	{
		appendStringInfoString(out, "changed\n");
		nbm_show_hunks(out, "| ", nbm_text_of(from), nbm_text_of(to));
		return;
	}
	if (from == NULL || to == NULL)
		appendStringInfoString(out, from == NULL ? "added " : "removed ");
	if (from != NULL)
		show_value(out, from);
	if (from != NULL && to != NULL)
		appendStringInfoString(out, " -> ");
	if (to != NULL)
		show_value(out, to);
	appendStringInfoChar(out, '\n');
}

/* Compares two objects member by member; skip, unless NULL, leaves some out. */
static void
compare_objects(NbmRemarks *remarks, StringInfo path, JsonbContainer *a,
				JsonbContainer *b, bool (*skip) (NbmText key))
{
	NbmBoth		both = {a, b};
	int			len = path->len;

	while (nbm_both_next(&both))
	{
		if (skip != NULL && skip(both.key))
			continue;
		nbm_path_append(path, both.key);
		compare_values(remarks, path, both.in_a ? &both.va : NULL,
					   both.in_b ? &both.vb : NULL);
		shorten(path, len);
	}
}

/* The elements that two arrays begin with alike, or, backwards, end with. */
static int
common_elements(JsonbContainer *a, JsonbContainer *b, bool backwards, int max)
{
	int			na = JsonContainerSize(a);
	int			nb = JsonContainerSize(b);
	int			count = 0;

	for (; count < max; count++)
	{
		JsonbValue	va;
		JsonbValue	vb;

		nbm_element(a, backwards ? na - 1 - count : count, &va);
		nbm_element(b, backwards ? nb - 1 - count : count, &vb);
		if (!nbm_value_eq(&va, &vb))
			break;
	}
	return count;
}

/* Compares two arrays; NULL for one that is not there. */
static void
compare_arrays(NbmRemarks *remarks, StringInfo path, JsonbContainer *a,
			   JsonbContainer *b)
{
	int			na = a == NULL ? 0 : JsonContainerSize(a);
	int			nb = b == NULL ? 0 : JsonContainerSize(b);
	int			len = path->len;
	int			begin = 0;
	int			end = 0;

	if (a != NULL && b != NULL)
	{
		begin = common_elements(a, b, false, Min(na, nb));
		end = common_elements(a, b, true, Min(na, nb) - begin);
	}
	for (int i = begin; i < Max(na, nb) - end; i++)
	{
		JsonbValue	va;
		JsonbValue	vb;

		if (i < na - end)
			nbm_element(a, i, &va);
		if (i < nb - end)
			nbm_element(b, i, &vb);
		appendStringInfo(path, "[%d]", i);
		compare_values(remarks, path, i < na - end ? &va : NULL,
					   i < nb - end ? &vb : NULL);
		shorten(path, len);
	}
}

/* The container of a value; NULL for a value that is not there. */
static JsonbContainer *
container_of(const JsonbValue *value)
{
	return value == NULL ? NULL : value->val.binary.data;
}

/* Compares two values, of which one may be NULL: not there. */
static void
compare_values(NbmRemarks *remarks, StringInfo path, const JsonbValue *from,
			   const JsonbValue *to)
{
	const JsonbValue *either = from != NULL ? from : to;
	bool		whole = from == NULL || to == NULL;
	bool		objects = nbm_is_object(either) &&
	(whole || nbm_is_object(to));
	bool		arrays = nbm_is_array(either) && (whole || nbm_is_array(to));

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (!whole && nbm_value_eq(from, to))
		return;
	if (objects && (!whole || is_large(either)))
		compare_objects(remarks, path, container_of(from), container_of(to),
						NULL);
	else if (arrays && (!whole || is_large(either)))
		compare_arrays(remarks, path, container_of(from), container_of(to));
	else if (!whole && (is_large(from) || is_large(to)))
	{
		compare_values(remarks, path, from, NULL);
		compare_values(remarks, path, NULL, to);
	}
	else
		remark_value(remarks, path, from, to);
}

/* Remarks on how a value differs; NULL for one that is not there. */
void
nbm_remark_change(NbmRemarks *remarks, const char *path,
				  const JsonbValue *from, const JsonbValue *to)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name, path);
	if (from != NULL || to != NULL)
		compare_values(remarks, &name, from, to);
}

/*
 * Remarks on how two objects differ, member by member but for those that skip
 * names.  prefix is their path, or empty; NULL stands for no object.
 */
void
nbm_remark_members(NbmRemarks *remarks, const char *prefix,
				   JsonbContainer *from, JsonbContainer *to,
				   bool (*skip) (NbmText key))
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfoString(&name, prefix);
	compare_objects(remarks, &name, from, to, skip);
}
