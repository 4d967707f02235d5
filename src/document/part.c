/*
 * part.c
 *		Parts: jsonb bodies that the store keeps once, named by their digest.
 *
 * A part's digest is the SHA-256 of its body as PostgreSQL prints it
 * (body::text), in UTF-8, so that anyone can check it with stock SQL.  Its
 * id is the digest's first 8 bytes: so the primary key finds a part by
 * content as well, and a version's digest, which covers the ids of its
 * parts, covers their content.
 *
 * Images come as base64, a third longer than their bytes, and no TOAST
 * compression helps.  Where a body has a base64 string of 8 kB or more which
 * encoding again gives back to the letter, the part holds the bytes, and a
 * marker stands in the string's place:
 *
 *		"base64"			one line (RFC 4648)
 *		"base64n"			one line and a newline
 *		"base64/76"			lines of 76 characters, newlines between them
 *		"base64/76n"		the same with a newline at the end (MIME, RFC 2045)
 *
 * One string a part, the longest, and none where the body has a string that
 * looks like a marker, so that no content can be taken for one.
 */
#include "postgres.h"

#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "part.h"

/* Base64 strings from this length on are held as bytes. */
#define BASE64_MIN_LENGTH 8192
/* Strings that lie deeper in the body are left alone. */
#define BASE64_MAX_LEVEL 6
#define BASE64_LINE 76			/* characters */
#define BASE64_LINE_BYTES 57	/* bytes in such a line */

/* The ways of writing base64 that can be given back to the letter. */
static const struct
{
	const char *marker;
	bool		lines;			/* in lines of 76 characters */
	bool		newline;		/* a newline at the end */
}			forms[] =

{
	{"base64", false, false},
	{"base64n", false, true},
	{"base64/76", true, false},
	{"base64/76n", true, true},
};

/* SHA-256 of some bytes into digest, which has NBM_DIGEST_LEN bytes. */
void
nbm_sha256(const char *data, int len, uint8 *digest)
{
	bytea	   *input = palloc(VARHDRSZ + len);
	bytea	   *result;

	SET_VARSIZE(input, VARHDRSZ + len);
	memcpy(VARDATA(input), data, len);
	result = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
												 PointerGetDatum(input)));
	memcpy(digest, VARDATA_ANY(result), NBM_DIGEST_LEN);
	pfree(result);
	pfree(input);
}

/* The digest of a whole body: SHA-256 of its text in UTF-8. */
void
nbm_part_digest(Jsonb *body, uint8 *digest)
{
	StringInfoData printed;
	char	   *utf8;

	initStringInfo(&printed);
	JsonbToCString(&printed, &body->root, VARSIZE(body));
	utf8 = (char *) pg_do_encoding_conversion((unsigned char *) printed.data,
											  printed.len, GetDatabaseEncoding(),
											  PG_UTF8);
	nbm_sha256(utf8, utf8 == printed.data ? printed.len : strlen(utf8), digest);
	if (utf8 != printed.data)
		pfree(utf8);
	pfree(printed.data);
}

/* The part id that a digest gives. */
uint64
nbm_part_id(const uint8 *digest)
{
	uint64		id = 0;

	for (int i = 0; i < 8; i++)
		id = (id << 8) | digest[i];
	return id;
}

/* Which form does a marker stand for?  -1: the text is no marker. */
static int
form_of(NbmText string)
{
	for (int i = 0; i < lengthof(forms); i++)
		if (nbm_key_is(string, forms[i].marker))
			return i;
	return -1;
}

/* Room for bytes as base64 in any form. */
static Size
encoded_room(const bytea *bytes)
{
	Size		len = VARSIZE_ANY_EXHDR(bytes);

	return pg_b64_enc_len((int) len) + len / BASE64_LINE_BYTES + 2;
}

/* Writes bytes as base64 in one of the forms; returns the length. */
static int
encode(const bytea *bytes, int form, char *out, Size room)
{
	const NbmByte *src = (const NbmByte *) VARDATA_ANY(bytes);
	int			len = VARSIZE_ANY_EXHDR(bytes);
	int			step = forms[form].lines ? BASE64_LINE_BYTES : Max(len, 1);
	int			written = 0;

	for (int done = 0; done < len; done += step)
	{
		int			n;

		if (done > 0)
			out[written++] = '\n';
		n = pg_b64_encode(src + done, Min(step, len - done), out + written,
						  (int) (room - written));
		if (n < 0)
			elog(ERROR, "could not encode base64");
		written += n;
	}
	if (forms[form].newline)
		out[written++] = '\n';
	return written;
}

/* Could this string be base64, by its length and its first characters? */
static bool
looks_like_base64(NbmText string)
{
	if (string.len < BASE64_MIN_LENGTH)
		return false;
	for (int i = 0; i < 64; i++)
		if (!isalnum((unsigned char) string.str[i]) &&
			string.str[i] != '+' && string.str[i] != '/')
			return false;
	return true;
}

/*
 * The bytes of a base64 string and the form it is in; NULL where it is none,
 * or not in a form that encode() would give back to the letter.
 */
static bytea *
decode(NbmText string, int *form)
{
	bool		newline = string.str[string.len - 1] == '\n';
	bool		lines = string.str[BASE64_LINE] == '\n';
	char	   *packed = palloc(string.len);
	int			packed_len = 0;
	bytea	   *bytes;
	int			len;
	NbmText		again;
	Size		room;
	char	   *out;

	for (int i = 0; i < string.len; i += BASE64_LINE + 1)
	{
		int			n = Min(lines ? BASE64_LINE : string.len, string.len - i);

		memcpy(packed + packed_len, string.str + i, n);
		packed_len += n;
		if (!lines)
			break;
	}
	if (packed_len > 0 && packed[packed_len - 1] == '\n')
		packed_len--;
	bytes = palloc(VARHDRSZ + pg_b64_dec_len(packed_len));
	len = pg_b64_decode(packed, packed_len, (NbmByte *) VARDATA(bytes),
						pg_b64_dec_len(packed_len));
	pfree(packed);
	if (len < 0)
		return NULL;
	SET_VARSIZE(bytes, VARHDRSZ + len);
	*form = (lines ? 2 : 0) + (newline ? 1 : 0);
	room = encoded_room(bytes);
	again.str = out = palloc(room);
	again.len = encode(bytes, *form, out, room);
	if (!nbm_text_eq(again, string))
		bytes = NULL;
	pfree(out);
	return bytes;
}

/* What a search through a body's strings has found. */
typedef struct StringSearch
{
	NbmText		longest;		/* that looks like base64 */
	NbmText		marker;			/* any marker */
	int			form;			/* of the marker */
} StringSearch;

/* Looks through the strings of a container, some levels down. */
static void
search_strings(JsonbContainer *container, int levels, StringSearch *search)
{
	bool		is_object = JsonContainerIsObject(container);
	int			count = JsonContainerSize(container);

	for (int i = 0; i < count; i++)
	{
		JsonbValue	value;
		NbmText		key;
		NbmText		string;
		int			form;

		if (is_object)
			nbm_member(container, i, &key, &value);
		else
			nbm_element(container, i, &value);
		if (value.type == jbvBinary && levels > 1)
			search_strings(value.val.binary.data, levels - 1, search);
		if (value.type != jbvString)
			continue;
		string = nbm_text_of(&value);
		if ((form = form_of(string)) >= 0)
		{
			search->marker = string;
			search->form = form;
		}
		if (string.len > search->longest.len && looks_like_base64(string))
			search->longest = string;
	}
}

/* A string that takes another's place while a container is written. */
typedef struct Replacement
{
	NbmText		from;			/* known by its address and length */
	NbmText		to;				/* or, where bytes is not NULL, ... */
	const bytea *bytes;			/* ... these, encoded */
	int			form;
} Replacement;

/* Writes the string that takes the other's place. */
static void
write_replacement(NbmWriter *w, const Replacement *r)
{
	JsonbValue	value;
	Size		room;

	if (r->bytes == NULL)
	{
		nbm_set_string(&value, r->to);
		nbm_writer_value(w, &value);
		return;
	}
	room = encoded_room(r->bytes);
	nbm_writer_end_string(w, encode(r->bytes, r->form,
									nbm_writer_begin_string(w, room), room));
}

/*
 * Writes a container with a string replaced.  Only what holds the string is
 * written anew, all else is copied whole.
 */
static void
write_replaced(NbmWriter *w, JsonbContainer *container, const Replacement *r)
{
	bool		is_object = JsonContainerIsObject(container);
	int			count = JsonContainerSize(container);
	NbmText    *keys = palloc_array(NbmText, Max(count, 1));

	for (int i = 0; is_object && i < count; i++)
		nbm_member(container, i, &keys[i], NULL);
	if (is_object)
		nbm_writer_begin_object(w, count, keys);
	else
		nbm_writer_begin_array(w, count);
	for (int i = 0; i < count; i++)
	{
		JsonbValue	value;
		char	   *data;

		if (is_object)
			nbm_member(container, i, &keys[i], &value);
		else
			nbm_element(container, i, &value);
		data = (char *) value.val.binary.data;
		if (value.type == jbvString && value.val.string.val == r->from.str &&
			value.val.string.len == r->from.len)
			write_replacement(w, r);
		else if (value.type == jbvBinary && data <= r->from.str &&
				 r->from.str < data + value.val.binary.len)
			write_replaced(w, value.val.binary.data, r);
		else
			nbm_writer_value(w, &value);
	}
	nbm_writer_end(w);
	pfree(keys);
}

/*
 * Fills in a part from its whole body: digest, id, and the bytes of its
 * longest base64 string.  The part points to the body or to new memory of
 * the current context.
 */
void
nbm_part_make(Jsonb *body, NbmPart *part)
{
	StringSearch search = {{NULL, 0}, {NULL, 0}, -1};
	Replacement r = {{NULL, 0}};
	NbmWriter	w;

	nbm_part_digest(body, part->digest);
	part->id = nbm_part_id(part->digest);
	part->body = body;
	part->bytes = NULL;
	if (VARSIZE(body) < BASE64_MIN_LENGTH)
		return;
	search_strings(&body->root, BASE64_MAX_LEVEL, &search);
	if (search.longest.str == NULL || search.marker.str != NULL)
		return;
	part->bytes = decode(search.longest, &r.form);
	if (part->bytes == NULL)
		return;
	r.from = search.longest;
	r.to = nbm_text(forms[r.form].marker);
	nbm_writer_init(&w, VARSIZE(body) - r.from.len + 64);
	write_replaced(&w, &body->root, &r);
	part->body = nbm_writer_finish(&w);
}

/* Finds the place of the bytes in a stored body; false where it has none. */
static bool
find_place(const NbmBody *body, Replacement *r)
{
	StringSearch search = {{NULL, 0}, {NULL, 0}, -1};

	search_strings(&body->body->root, BASE64_MAX_LEVEL, &search);
	r->from = search.marker;
	r->bytes = body->bytes;
	r->form = search.form;
	return search.marker.str != NULL;
}

/* Is a stored body an object and, where bytes are held apart, has a marker? */
bool
nbm_part_is_sound(const NbmBody *body)
{
	Replacement r;

	return JB_ROOT_IS_OBJECT(body->body) &&
		(body->bytes == NULL || find_place(body, &r));
}

/*
 * The whole body of a stored, sound part, which from then on is held whole;
 * new memory is of the body's context.
 */
Jsonb *
nbm_part_whole(NbmBody *body)
{
	MemoryContext outer;
	NbmWriter	w;

	if (body->bytes == NULL)
		return body->body;
	outer = MemoryContextSwitchTo(GetMemoryChunkContext(body->body));
	nbm_writer_init(&w, nbm_part_size(body));
	nbm_part_write(&w, body);
	body->body = nbm_writer_finish(&w);
	body->bytes = NULL;
	MemoryContextSwitchTo(outer);
	return body->body;
}

/* About how many bytes the whole body has. */
Size
nbm_part_size(const NbmBody *body)
{
	return VARSIZE(body->body) +
		(body->bytes == NULL ? 0 : encoded_room(body->bytes) + 64);
}

/* Writes the whole body of a stored, sound part. */
void
nbm_part_write(NbmWriter *w, const NbmBody *body)
{
	JsonbValue	value;
	Replacement r = {{NULL, 0}};

	if (body->bytes != NULL && find_place(body, &r))
		write_replaced(w, &body->body->root, &r);
	else
	{
		nbm_set_jsonb(&value, body->body);
		nbm_writer_value(w, &value);
	}
}
