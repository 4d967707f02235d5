/*
 * layout.c
 *		The layout of a version: which item stands where, and of what parts.
 *
 * A layout is stored as bytes, in one of two forms.  A keyframe lists every
 * item.  A delta says how the layout differs from a keyframe of the same
 * document, never from another delta, so that any version, whatever its age,
 * is read from two rows.  A one-cell edit of 200 cells is a delta of about
 * 20 bytes.
 *
 * Numbers are varints (7 bits a byte, least first, as in Protocol Buffers),
 * part ids 8 bytes big-endian.  An id that ends in a lower-case UUID, as
 * nearly all of the long ones do, has it as 16 bytes.  The last 4 bytes are
 * a CRC-32C of all before them: what was changed behind the extension's back
 * is noticed at the latest here.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"

#include "compat.h"
#include "layout.h"
#include "part.h"

/* Instructions of a delta, in the low bits of a varint with an argument. */
#define DELTA_COPY		0		/* the next n items of the keyframe */
#define DELTA_SEEK		1		/* go on at item n of the keyframe */
#define DELTA_PATCH		2		/* the next item, with the fields in mask n */
#define DELTA_NEW		3		/* an item that the keyframe has not */
#define DELTA_BITS		2

/* Fields of a patch. */
#define PATCH_SINCE		0x01
#define PATCH_FLAGS		0x02
#define PATCH_COUNT		0x04
#define PATCH_CORE		0x08
#define PATCH_OUTPUTS	0x10
#define PATCH_ID(n)		(0x20 << (n))

/* What a delta's first varint says. */
#define DELTA_ENVELOPE	0x01
#define DELTA_RUNS		0x02

#define UUID_TEXT_LEN	36
#define UUID_BYTES		16

/* A place in stored bytes, from which every read is checked. */
typedef struct Reader
{
	const unsigned char *at;
	const unsigned char *end;
	bool		is_bad;			/* the bytes are not what was stored */
} Reader;

/* Notes that the bytes are not what was stored; there are no more to read. */
static void
damaged(Reader *r)
{
	r->is_bad = true;
	r->at = r->end;
}

/* Writes a number as a varint. */
static void
put_number(StringInfo buf, uint64 n)
{
	while (n >= 0x80)
	{
		appendStringInfoCharMacro(buf, (char) (n | 0x80));
		n >>= 7;
	}
	appendStringInfoCharMacro(buf, (char) n);
}

/* Reads a varint; 0 where the bytes are bad. */
static uint64
get_number(Reader *r)
{
	uint64		n = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		if (r->at >= r->end)
			break;
		n |= (uint64) (*r->at & 0x7f) << shift;
		if ((*r->at++ & 0x80) == 0)
			return n;
	}
	damaged(r);
	return 0;
}

/* Reads a number that counts, or is found at, at most max. */
static int
get_count(Reader *r, uint64 max)
{
	uint64		n = get_number(r);

	if (n <= max && n <= PG_INT32_MAX)
		return (int) n;
	damaged(r);
	return 0;
}

/* Writes a part id. */
static void
put_part(StringInfo buf, uint64 id)
{
	uint64		big = pg_hton64(id);

	appendBinaryStringInfo(buf, (char *) &big, sizeof(big));
}

/* Reads a part id; 0 where the bytes are bad. */
static uint64
get_part(Reader *r)
{
	uint64		big;

	if (r->end - r->at < (ptrdiff_t) sizeof(big))
	{
		damaged(r);
		return 0;
	}
	memcpy(&big, r->at, sizeof(big));
	r->at += sizeof(big);
	return pg_ntoh64(big);
}

/* The value of a lower-case hexadecimal digit, -1 for anything else. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Does a UUID's text have a hyphen here? */
static bool
uuid_hyphen(int i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

/* Reads the lower-case text of a UUID; false where it is none. */
static bool
parse_uuid(const char *s, unsigned char *bytes)
{
	int			n = 0;

	for (int i = 0; i < UUID_TEXT_LEN; i++)
	{
		if (uuid_hyphen(i))
		{
			if (s[i] != '-')
				return false;
			continue;
		}
		if (hex_value(s[i]) < 0)
			return false;
		if (n % 2 == 0)
			bytes[n / 2] = hex_value(s[i]) << 4;
		else
			bytes[n / 2] |= hex_value(s[i]);
		n++;
	}
	return true;
}

/* Writes the lower-case text of a UUID. */
static void
print_uuid(const unsigned char *bytes, char *s)
{
	int			n = 0;

	for (int i = 0; i < UUID_TEXT_LEN; i++)
	{
		if (uuid_hyphen(i))
			s[i] = '-';
		else
		{
			s[i] = "0123456789abcdef"[(bytes[n / 2] >> (n % 2 ? 0 : 4)) & 15];
			n++;
		}
	}
}

/*
 * A text in another encoding: ids are stored in UTF-8, so that a dump can be
 * restored where the encoding is another one.
 */
static NbmText
converted(NbmText string, int from, int to)
{
	char	   *result;

	if (string.str == NULL || string.len == 0)
		return string;
	result = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, string.str),
												string.len, from, to);
	return result == string.str ? string : nbm_text(result);
}

/*
 * An id: 0 for none, else (length << 1 | ends in a UUID) + 1, then the bytes
 * (the length is that of what stands before the UUID), then the UUID.
 */
static void
put_id(StringInfo buf, NbmText id)
{
	unsigned char uuid[UUID_BYTES];
	int			len;

	id = converted(id, GetDatabaseEncoding(), PG_UTF8);
	len = id.len - UUID_TEXT_LEN;
	if (id.str == NULL)
		put_number(buf, 0);
	else if (len >= 0 && parse_uuid(id.str + len, uuid))
	{
		put_number(buf, ((uint64) len << 1 | 1) + 1);
		appendBinaryStringInfo(buf, id.str, len);
		appendBinaryStringInfo(buf, (char *) uuid, UUID_BYTES);
	}
	else
	{
		put_number(buf, ((uint64) id.len << 1) + 1);
		appendBinaryStringInfo(buf, id.str, id.len);
	}
}

/* Reads an id, into new memory of the current context. */
static NbmText
get_id(Reader *r)
{
	NbmText		id = {NULL, 0};
	uint64		n = get_number(r);
	bool		has_uuid = (n - 1) & 1;
	int			len;
	char	   *str;

	if (n == 0)
		return id;
	n = (n - 1) >> 1;
	if (n + (has_uuid ? UUID_BYTES : 0) > (uint64) (r->end - r->at))
	{
		damaged(r);
		return id;
	}
	len = (int) n;
	str = palloc(len + UUID_TEXT_LEN);
	memcpy(str, r->at, len);
	r->at += len;
	if (has_uuid)
	{
		print_uuid(r->at, str + len);
		r->at += UUID_BYTES;
		len += UUID_TEXT_LEN;
	}
	id.str = str;
	id.len = len;
	return converted(id, PG_UTF8, GetDatabaseEncoding());
}

/* Writes an item's outputs: how many, then flag and part of each. */
static void
put_outputs(StringInfo buf, const NbmItem *item)
{
	put_number(buf, item->noutputs);
	for (int i = 0; i < item->noutputs; i++)
	{
		appendStringInfoCharMacro(buf, item->outputs[i].counted ? 1 : 0);
		put_part(buf, item->outputs[i].part);
	}
}

/* Reads an item's outputs, into new memory of the current context. */
static void
get_outputs(Reader *r, NbmItem *item)
{
	item->noutputs = get_count(r, r->end - r->at);
	item->outputs = NULL;
	if (item->noutputs > 0)
		item->outputs = palloc_array(NbmOutput, item->noutputs);
	for (int i = 0; i < item->noutputs; i++)
	{
		item->outputs[i].counted = get_count(r, 1) == 1;
		item->outputs[i].part = get_part(r);
	}
}

/* Writes a whole item. */
static void
put_item(StringInfo buf, const NbmItem *item)
{
	put_number(buf, item->key);
	put_number(buf, item->since);
	put_number(buf, item->flags);
	put_number(buf, item->count);
	for (int i = 0; i < NBM_IDS; i++)
		put_id(buf, item->id[i]);
	put_part(buf, item->core);
	put_outputs(buf, item);
}

/*
 * Where an output is said to have its cell's execution count, the cell must
 * have one.
 */
static void
check_counted(Reader *r, const NbmItem *item)
{
	for (int i = 0; i < item->noutputs; i++)
		if (item->outputs[i].counted && (item->flags & NBM_COUNT_MASK) == 0)
			damaged(r);
}

/* Reads a whole item; ids and outputs are new memory of the current context. */
static void
get_item(Reader *r, NbmItem *item)
{
	item->key = get_count(r, NBM_MAX_KEY);
	if (item->key < 1)
		damaged(r);
	item->since = get_count(r, PG_INT32_MAX);
	item->flags = get_count(r, NBM_FLAGS_MASK);
	item->count = get_count(r, PG_INT32_MAX);
	for (int i = 0; i < NBM_IDS; i++)
		item->id[i] = get_id(r);
	item->core = get_part(r);
	get_outputs(r, item);
	check_counted(r, item);
}

/* Writes how many items each array of the document holds. */
static void
put_runs(StringInfo buf, const NbmLayout *layout)
{
	put_number(buf, layout->nruns);
	for (int i = 0; i < layout->nruns; i++)
		put_number(buf, layout->runs[i]);
}

/* Reads what put_runs() wrote, into new memory of the current context. */
static void
get_runs(Reader *r, NbmLayout *layout)
{
	layout->nruns = get_count(r, r->end - r->at);
	layout->runs = palloc_array(int, Max(layout->nruns, 1));
	for (int i = 0; i < layout->nruns; i++)
		layout->runs[i] = get_count(r, PG_INT32_MAX);
}

/* Are there as many items as the runs say? */
static bool
runs_fit(const NbmLayout *layout)
{
	int64		sum = 0;

	for (int i = 0; i < layout->nruns; i++)
		sum += layout->runs[i];
	return sum == layout->nitems;
}

/* Starts stored bytes: a varlena header that finish() fills in. */
static void
start(StringInfo buf)
{
	initStringInfo(buf);
	appendStringInfoSpaces(buf, VARHDRSZ);
}

/* Ends stored bytes with their checksum. */
static bytea *
finish(StringInfo buf)
{
	pg_crc32c	crc;
	uint32		big;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, buf->data + VARHDRSZ, buf->len - VARHDRSZ);
	FIN_CRC32C(crc);
	big = pg_hton32(crc);
	appendBinaryStringInfo(buf, (char *) &big, sizeof(big));
	SET_VARSIZE(buf->data, buf->len);
	return (bytea *) buf->data;
}

/* Starts reading stored bytes, which are bad if their checksum says so. */
static Reader
reader_of(const bytea *bytes)
{
	Reader		r = {NULL, NULL, true};
	pg_crc32c	crc;
	uint32		big;

	if (VARSIZE_ANY_EXHDR(bytes) < sizeof(big))
		return r;
	r.at = (const unsigned char *) VARDATA_ANY(bytes);
	r.end = r.at + VARSIZE_ANY_EXHDR(bytes) - sizeof(big);
	memcpy(&big, r.end, sizeof(big));
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, r.at, r.end - r.at);
	FIN_CRC32C(crc);
	r.is_bad = pg_ntoh32(big) != crc;
	if (r.is_bad)
		r.at = r.end;
	return r;
}

/* A layout as a keyframe, in the current context. */
bytea *
nbm_layout_encode(const NbmLayout *layout)
{
	StringInfoData buf;

	start(&buf);
	put_part(&buf, layout->envelope);
	put_runs(&buf, layout);
	put_number(&buf, layout->nitems);
	for (int i = 0; i < layout->nitems; i++)
		put_item(&buf, &layout->items[i]);
	return finish(&buf);
}

/*
 * Reads a keyframe into a layout of new memory of the current context; false
 * where the bytes are damaged.
 */
bool
nbm_layout_decode(const bytea *bytes, NbmLayout *layout)
{
	Reader		r = reader_of(bytes);

	layout->envelope = get_part(&r);
	get_runs(&r, layout);
	layout->nitems = get_count(&r, r.end - r.at);
	layout->items = palloc_array(NbmItem, Max(layout->nitems, 1));
	for (int i = 0; i < layout->nitems; i++)
		get_item(&r, &layout->items[i]);
	return !r.is_bad && r.at == r.end && runs_fit(layout);
}

/* One item as bytes, in the current context. */
bytea *
nbm_item_encode(const NbmItem *item)
{
	StringInfoData buf;

	start(&buf);
	put_item(&buf, item);
	return finish(&buf);
}

/* Reads what nbm_item_encode() made; false where it is damaged. */
bool
nbm_item_decode(const bytea *bytes, NbmItem *item)
{
	Reader		r = reader_of(bytes);

	get_item(&r, item);
	return !r.is_bad && r.at == r.end;
}

/* Have two items the same outputs? */
bool
nbm_outputs_same(const NbmItem *a, const NbmItem *b)
{
	if (a->noutputs != b->noutputs)
		return false;
	for (int i = 0; i < a->noutputs; i++)
		if (a->outputs[i].part != b->outputs[i].part ||
			a->outputs[i].counted != b->outputs[i].counted)
			return false;
	return true;
}

/* The mask of fields in which an item differs from another of its key. */
static uint32
patch_mask(const NbmItem *from, const NbmItem *to)
{
	uint32		mask = 0;

	if (from->since != to->since)
		mask |= PATCH_SINCE;
	if (from->flags != to->flags)
		mask |= PATCH_FLAGS;
	if (from->count != to->count)
		mask |= PATCH_COUNT;
	if (from->core != to->core)
		mask |= PATCH_CORE;
	if (!nbm_outputs_same(from, to))
		mask |= PATCH_OUTPUTS;
	for (int i = 0; i < NBM_IDS; i++)
		if (!nbm_text_eq(from->id[i], to->id[i]))
			mask |= PATCH_ID(i);
	return mask;
}

/* Are two items of one key the same in all that a document shows? */
bool
nbm_item_same(const NbmItem *a, const NbmItem *b)
{
	return (patch_mask(a, b) & ~PATCH_SINCE) == 0;
}

/* Writes the fields in mask of an item. */
static void
put_patch(StringInfo buf, const NbmItem *item, uint32 mask)
{
	put_number(buf, (uint64) mask << DELTA_BITS | DELTA_PATCH);
	if (mask & PATCH_SINCE)
		put_number(buf, item->since);
	if (mask & PATCH_FLAGS)
		put_number(buf, item->flags);
	if (mask & PATCH_COUNT)
		put_number(buf, item->count);
	if (mask & PATCH_CORE)
		put_part(buf, item->core);
	if (mask & PATCH_OUTPUTS)
		put_outputs(buf, item);
	for (int i = 0; i < NBM_IDS; i++)
		if (mask & PATCH_ID(i))
			put_id(buf, item->id[i]);
}

/* Changes the fields in mask of an item, which starts as its keyframe's. */
static void
get_patch(Reader *r, NbmItem *item, uint32 mask)
{
	if (mask & PATCH_SINCE)
		item->since = get_count(r, PG_INT32_MAX);
	if (mask & PATCH_FLAGS)
		item->flags = get_count(r, NBM_FLAGS_MASK);
	if (mask & PATCH_COUNT)
		item->count = get_count(r, PG_INT32_MAX);
	if (mask & PATCH_CORE)
		item->core = get_part(r);
	if (mask & PATCH_OUTPUTS)
		get_outputs(r, item);
	for (int i = 0; i < NBM_IDS; i++)
		if (mask & PATCH_ID(i))
			item->id[i] = get_id(r);
	check_counted(r, item);
}

/*
 * For each key the index of its item, -1 for none: an array of *max_key + 1
 * entries in the current context.
 */
int *
nbm_layout_index(const NbmLayout *layout, int32 *max_key)
{
	int		   *index;

	*max_key = 0;
	for (int i = 0; i < layout->nitems; i++)
		*max_key = Max(*max_key, layout->items[i].key);
	index = palloc_extended(mul_size(sizeof(int), (Size) *max_key + 1),
							MCXT_ALLOC_HUGE);
	memset(index, -1, mul_size(sizeof(int), (Size) *max_key + 1));
	for (int i = 0; i < layout->nitems; i++)
		index[layout->items[i].key] = i;
	return index;
}

/* Writes a pending run of copied items. */
static void
put_copies(StringInfo buf, int *ncopies)
{
	if (*ncopies > 0)
		put_number(buf, (uint64) *ncopies << DELTA_BITS | DELTA_COPY);
	*ncopies = 0;
}

/* A layout as a delta against a keyframe, in the current context. */
bytea *
nbm_layout_encode_delta(const NbmLayout *layout, const NbmLayout *keyframe)
{
	StringInfoData buf;
	int32		max_key;
	int		   *index = nbm_layout_index(keyframe, &max_key);
	bool		new_runs = layout->nruns != keyframe->nruns ||
	memcmp(layout->runs, keyframe->runs,
		   sizeof(int) * layout->nruns) != 0;
	bool		new_envelope = layout->envelope != keyframe->envelope;
	int			cursor = 0;
	int			ncopies = 0;

	start(&buf);
	put_number(&buf, (new_envelope ? DELTA_ENVELOPE : 0) |
			   (new_runs ? DELTA_RUNS : 0));
	if (new_envelope)
		put_part(&buf, layout->envelope);
	if (new_runs)
		put_runs(&buf, layout);
	put_number(&buf, layout->nitems);
	for (int i = 0; i < layout->nitems; i++)
	{
		const NbmItem *item = &layout->items[i];
		int			from = item->key <= max_key ? index[item->key] : -1;
		uint32		mask;

		if (from < 0)
		{
			put_copies(&buf, &ncopies);
			put_number(&buf, DELTA_NEW);
			put_item(&buf, item);
			continue;
		}
		if (from != cursor)
		{
			put_copies(&buf, &ncopies);
			put_number(&buf, (uint64) from << DELTA_BITS | DELTA_SEEK);
		}
		mask = patch_mask(&keyframe->items[from], item);
		if (mask == 0)
			ncopies++;
		else
		{
			put_copies(&buf, &ncopies);
			put_patch(&buf, item, mask);
		}
		cursor = from + 1;
	}
	put_copies(&buf, &ncopies);
	pfree(index);
	return finish(&buf);
}

/*
 * Reads a delta into a layout of new memory of the current context; items
 * that did not change share ids and outputs with the keyframe.  False where
 * the bytes are damaged.
 */
bool
nbm_layout_decode_delta(const bytea *bytes, const NbmLayout *keyframe,
						NbmLayout *layout)
{
	Reader		r = reader_of(bytes);
	int			what = get_count(&r, DELTA_ENVELOPE | DELTA_RUNS);
	int			cursor = 0;
	int			n = 0;

	*layout = *keyframe;
	if (what & DELTA_ENVELOPE)
		layout->envelope = get_part(&r);
	if (what & DELTA_RUNS)
		get_runs(&r, layout);
	layout->nitems = get_count(&r, (uint64) keyframe->nitems +
							   (r.end - r.at));
	layout->items = palloc_array(NbmItem, Max(layout->nitems, 1));
	while (r.at < r.end)
	{
		uint64		word = get_number(&r);
		uint64		arg = word >> DELTA_BITS;
		int			op = word & ((1 << DELTA_BITS) - 1);
		uint64		left = keyframe->nitems - cursor;

		if (arg > PG_INT32_MAX ||
			(op == DELTA_SEEK && arg > (uint64) keyframe->nitems) ||
			(op == DELTA_COPY && arg > Min(left, (uint64) (layout->nitems - n))) ||
			(op == DELTA_PATCH && (left == 0 || n >= layout->nitems)) ||
			(op == DELTA_NEW && n >= layout->nitems))
			return false;
		switch (op)
		{
			case DELTA_COPY:
				memcpy(layout->items + n, keyframe->items + cursor,
					   sizeof(NbmItem) * arg);
				n += (int) arg;
				cursor += (int) arg;
				break;
			case DELTA_SEEK:
				cursor = (int) arg;
				break;
			case DELTA_PATCH:
				layout->items[n] = keyframe->items[cursor++];
				get_patch(&r, &layout->items[n++], (uint32) arg);
				break;
			case DELTA_NEW:
				get_item(&r, &layout->items[n++]);
				break;
		}
	}
	return !r.is_bad && n == layout->nitems && runs_fit(layout);
}

/*
 * The digest of a version: SHA-256 over all that its document shows, which
 * is the keyframe's bytes without keys and ages.  Equal documents have equal
 * digests.
 */
void
nbm_layout_digest(const NbmLayout *layout, uint8 *digest)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "notebook_migrate 1\n");
	put_part(&buf, layout->envelope);
	put_runs(&buf, layout);
	put_number(&buf, layout->nitems);
	for (int i = 0; i < layout->nitems; i++)
	{
		const NbmItem *item = &layout->items[i];

		put_number(&buf, item->flags);
		put_number(&buf, item->count);
		for (int j = 0; j < NBM_IDS; j++)
			put_id(&buf, item->id[j]);
		put_part(&buf, item->core);
		put_outputs(&buf, item);
	}
	nbm_sha256(buf.data, buf.len, digest);
	pfree(buf.data);
}
