/*
 * readable_outputs.c
 *		The outputs of a cell before and after, summed up in a line or two.
 *
 * A line says of each output what it is and how large: text in lines, all
 * else in bytes (of an image, not of its base64).  Where what was printed is
 * short, a line diff of it follows, set off by bars.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "readable.h"

/* Outputs that are described one by one, and forms of one of them, at most. */
#define MAX_OUTPUTS 6

/* Printed text of more lines than this, or more bytes, is not shown. */
#define MAX_TEXT_LINES 12
#define MAX_TEXT_BYTES 2000

/* What nbformat 2 and 3 call the representations of an output. */
static const char *const old_names[] = {
	"png", "jpeg", "svg", "html", "latex", "json", "javascript", "pdf"
};

/* The text of a member, empty where there is none. */
static NbmText
member_text(JsonbContainer *object, const char *name)
{
	NbmText		none = {"", 0};
	JsonbValue	value;

	return nbm_get(object, name, &value) ? nbm_multiline_text(&value) : none;
}

/* The representations of an output: data, or in old formats the output. */
static JsonbContainer *
data_of(JsonbContainer *output)
{
	JsonbContainer *data;

	return nbm_get_container(output, "data", false, &data) ? data : output;
}

/* What an output says as plain text. */
static NbmText
plain_text(JsonbContainer *output)
{
	NbmText		string = member_text(output, "text");
	JsonbValue	value;

	if (nbm_get(output, "ename", &value) && value.type == jbvString)
	{
		NbmText		reason = member_text(output, "evalue");

		return nbm_text(psprintf("%.*s: %.*s", value.val.string.len,
								 value.val.string.val, reason.len, reason.str));
	}
	if (string.len > 0)
		return string;
	return member_text(data_of(output), "text/plain");
}

/* Is this the name of a representation other than plain text? */
static bool
is_rich(NbmText name, bool is_old)
{
	if (!is_old)
		return !nbm_key_is(name, "text/plain");
	for (int i = 0; i < lengthof(old_names); i++)
		if (nbm_key_is(name, old_names[i]))
			return true;
	return false;
}

/* Is this the name of a representation that is written in base64? */
static bool
is_binary(NbmText name)
{
	return nbm_key_is(name, "png") || nbm_key_is(name, "jpeg") ||
		nbm_key_is(name, "pdf") || nbm_key_is(name, "application/pdf") ||
		(name.len > 6 && memcmp(name.str, "image/", 6) == 0 &&
		 !nbm_key_is(name, "image/svg+xml"));
}

/* Is an output a picture, beside which its plain text says nothing? */
static bool
is_picture(JsonbContainer *output)
{
	JsonbContainer *data = data_of(output);

	for (int i = 0; i < JsonContainerSize(data); i++)
	{
		NbmText		key;

		nbm_member(data, i, &key, NULL);
		if (is_binary(key) || nbm_key_is(key, "image/svg+xml") ||
			nbm_key_is(key, "svg"))
			return true;
	}
	return false;
}

/* The size of a representation in bytes, base64 decoded. */
static Size
size_of(const NbmBody *body, NbmText name, const JsonbValue *value)
{
	NbmText		string = nbm_multiline_text(value);

	if (body->bytes != NULL && string.len >= 6 && string.len <= 10 &&
		memcmp(string.str, "base64", 6) == 0)
		return VARSIZE_ANY_EXHDR(body->bytes);
	if (is_binary(name))
		return (Size) string.len / 4 * 3;
	return value->type == jbvBinary && string.len == 0 ?
		(Size) value->val.binary.len : (Size) string.len;
}

/* Adds what an output is: "stdout, 3 lines", "image/png, 12 kB". */
static void
describe(StringInfo out, const NbmBody *body)
{
	JsonbContainer *output = &body->body->root;
	JsonbContainer *data = data_of(output);
	NbmText		string = plain_text(output);
	NbmText		name = {"text", 4};
	JsonbValue	value;
	int			shown = 0;
	int			lines;

	if (nbm_get(output, "ename", &value))
	{
		appendStringInfoString(out, "error ");
		nbm_show_text(out, string, NBM_SHOWN_VALUE);
		return;
	}
	for (int i = 0; i < JsonContainerSize(data); i++)
	{
		NbmText		key;

		nbm_member(data, i, &key, &value);
		CHECK_FOR_INTERRUPTS();
		if (!is_rich(key, data == output) || shown++ >= MAX_OUTPUTS)
			continue;
		appendStringInfoString(out, shown > 1 ? " and " : "");
		nbm_show_text(out, key, NBM_SHOWN_VALUE);
		appendStringInfoString(out, ", ");
		nbm_show_size(out, size_of(body, key, &value));
	}
	if (shown > MAX_OUTPUTS)
		appendStringInfo(out, " and %d more", shown - MAX_OUTPUTS);
	if (shown > 0)
		return;
	if (string.len == 0 && !nbm_get_string(output, "name", &name))
		nbm_get_string(output, "output_type", &name);
	nbm_get_string(output, "name", &name);
	nbm_show_text(out, name, NBM_SHOWN_VALUE);
	lines = nbm_count_lines(string);
	appendStringInfo(out, ", %d line%s", lines, lines == 1 ? "" : "s");
}

/* What some outputs are, in one line; new memory. */
static char *
describe_all(NbmBody *const *bodies, int count)
{
	StringInfoData buf;
	int			shown = Min(count, MAX_OUTPUTS);

	initStringInfo(&buf);
	for (int i = 0; i < shown; i++)
	{
		if (i > 0)
			appendStringInfoString(&buf, "; ");
		describe(&buf, bodies[i]);
	}
	if (shown < count)
		appendStringInfo(&buf, "; and %d more", count - shown);
	return buf.data;
}

/*
 * All that some outputs say as plain text, pictures left out, without the line
 * feed at its end, if it is short; else false.
 */
static bool
short_text(NbmBody *const *bodies, int count, StringInfo buf)
{
	NbmText		all;

	initStringInfo(buf);
	for (int i = 0; i < count; i++)
	{
		NbmText		string = plain_text(&bodies[i]->body->root);

		CHECK_FOR_INTERRUPTS();
		if (is_picture(&bodies[i]->body->root))
			continue;
		if (string.len > MAX_TEXT_BYTES || buf->len > MAX_TEXT_BYTES)
			return false;
		appendBinaryStringInfo(buf, string.str, string.len);
		if (string.len > 0 && string.str[string.len - 1] != '\n' &&
			i + 1 < count)
			appendStringInfoChar(buf, '\n');
	}
	if (buf->len > 0 && buf->data[buf->len - 1] == '\n')
		buf->data[--buf->len] = '\0';
	all.str = buf->data;
	all.len = buf->len;
	return nbm_count_lines(all) <= MAX_TEXT_LINES;
}

/*
 * Remarks on the outputs of a cell, which differ: the bodies of those before
 * and of those after, as they are stored.
 */
void
nbm_remark_outputs(NbmRemarks *remarks, NbmBody *const *from, int nfrom,
				   NbmBody *const *to, int nto)
{
	char	   *before = describe_all(from, nfrom);
	char	   *after = describe_all(to, nto);
	StringInfoData a;
	StringInfoData b;

	if (!nbm_remark(remarks))
		return;
	nbm_show_check(remarks->out, strlen(before) + strlen(after) + 100);
	if (nfrom == 0 || nto == 0)
		appendStringInfo(remarks->out, "outputs: %s %s\n",
						 nfrom == 0 ? "added" : "removed",
						 nfrom == 0 ? after : before);
	else if (strcmp(before, after) == 0)
		appendStringInfo(remarks->out, "outputs: %s, changed\n", after);
	else
		appendStringInfo(remarks->out, "outputs: %s -> %s\n", before, after);
	if (short_text(from, nfrom, &a) && short_text(to, nto, &b))
	{
		NbmText		old_text = {a.data, a.len};
		NbmText		new_text = {b.data, b.len};

		nbm_show_hunks(remarks->out, "| ", old_text, new_text);
	}
}
