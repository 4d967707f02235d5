/*
 * jsonb_bytes.c
 *		jsonb containers read and built by their bytes.
 *
 * The server's own builder (pushJsonbValue, JsonbValueToJsonb) unpacks every
 * nested container into a tree of values and packs it again, which for a
 * document of 2 MB costs more than all the rest of a save.  A container's
 * bytes, however, do not depend on where it stands: everything inside is
 * padded relative to its own, 4-byte aligned start.  So what did not change
 * can be copied as it is.  The format is the one that utils/jsonb.h
 * describes; it is what stands on disk, and so does not change between
 * major versions.  What the writer makes is equal byte for byte to what
 * jsonb_in makes of the same text, and the rest of the project relies on
 * that: equal bytes are how it sees that something did not change.
 *
 * Values handed out point into the container they were read from.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "compat.h"
#include "jsonb_bytes.h"

/*
 * Starts a writer whose buffer has room for size_hint bytes (it grows where
 * that is not enough).  The buffer is allocated in the current context.
 */
void
nbm_writer_init(NbmWriter *w, Size size_hint)
{
	initStringInfo(&w->buf);
	if (size_hint > 0 && AllocSizeIsValid(size_hint))
		enlargeStringInfo(&w->buf, (int) size_hint);
	appendStringInfoSpaces(&w->buf, VARHDRSZ);
	w->level = -1;
	w->room = NBM_WRITER_LEVELS;
	w->frames = palloc_array(NbmWriterFrame, w->room);
}

/* Pads the writer's buffer to a multiple of four and says by how much. */
static int
writer_pad(NbmWriter *w)
{
	int			padding = INTALIGN(w->buf.len) - w->buf.len;

	if (padding > 0)
		appendBinaryStringInfo(&w->buf, "\0\0\0", padding);
	return padding;
}

/*
 * Stores the JEntry of the child that was just written: its type and length,
 * or for each 32nd child its end.  Raises 54000 where a container outgrows
 * what jsonb can hold.
 */
static void
writer_entry(NbmWriter *w, uint32 type, uint32 len)
{
	NbmWriterFrame *frame = &w->frames[w->level];
	JEntry		entry = type | len;

	Assert(frame->index < frame->count);
	if (len > JENTRY_OFFLENMASK ||
		frame->data_len + len > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("jsonb container would exceed the maximum of %u bytes",
						JENTRY_OFFLENMASK)));
	frame->data_len += len;
	if (frame->index % JB_OFFSET_STRIDE == 0)
		entry = type | frame->data_len | JENTRY_HAS_OFF;
	memcpy(w->buf.data + frame->header + sizeof(uint32) +
		   sizeof(JEntry) * frame->index, &entry, sizeof(JEntry));
	frame->index++;
}

/* Opens a container with room for its header and its JEntries. */
static void
writer_begin(NbmWriter *w, int count, uint32 flag)
{
	NbmWriterFrame *frame;
	uint32		header = (uint32) count | flag;
	int			entries = flag == JB_FOBJECT ? count * 2 : count;
	int			size = sizeof(uint32) + sizeof(JEntry) * entries;

	if (++w->level == w->room)
	{
		w->room *= 2;
		w->frames = repalloc_array(w->frames, NbmWriterFrame, w->room);
	}
	frame = &w->frames[w->level];
	frame->start = w->buf.len;
	writer_pad(w);
	frame->header = w->buf.len;
	frame->index = 0;
	frame->count = entries;
	frame->is_object = (flag == JB_FOBJECT);
	frame->data_len = 0;
	enlargeStringInfo(&w->buf, size);
	memcpy(w->buf.data + frame->header, &header, sizeof(header));
	w->buf.len += size;
}

/* Opens an array; exactly count values must follow before its end. */
void
nbm_writer_begin_array(NbmWriter *w, int count)
{
	writer_begin(w, count, JB_FARRAY);
}

/*
 * Opens an object and writes its keys, which must be in jsonb's order
 * (nbm_key_cmp); exactly count values must follow, in the keys' order.
 */
void
nbm_writer_begin_object(NbmWriter *w, int count, const NbmText *keys)
{
	writer_begin(w, count, JB_FOBJECT);
	for (int i = 0; i < count; i++)
	{
		appendBinaryStringInfo(&w->buf, keys[i].str, keys[i].len);
		writer_entry(w, JENTRY_ISSTRING, keys[i].len);
	}
}

/* Writes one child: a scalar, or a container whose bytes are copied. */
void
nbm_writer_value(NbmWriter *w, const JsonbValue *value)
{
	int			padding;

	switch (value->type)
	{
		case jbvNull:
			writer_entry(w, JENTRY_ISNULL, 0);
			break;
		case jbvBool:
			writer_entry(w, value->val.boolean ?
						 JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE, 0);
			break;
		case jbvString:
			appendBinaryStringInfo(&w->buf, value->val.string.val,
								   value->val.string.len);
			writer_entry(w, JENTRY_ISSTRING, value->val.string.len);
			break;
		case jbvNumeric:
			padding = writer_pad(w);
			appendBinaryStringInfo(&w->buf, (char *) value->val.numeric,
								   VARSIZE_ANY(value->val.numeric));
			writer_entry(w, JENTRY_ISNUMERIC,
						 padding + VARSIZE_ANY(value->val.numeric));
			break;
		case jbvBinary:
			padding = writer_pad(w);
			appendBinaryStringInfo(&w->buf, (char *) value->val.binary.data,
								   value->val.binary.len);
			writer_entry(w, JENTRY_ISCONTAINER,
						 padding + value->val.binary.len);
			break;
		default:
			elog(ERROR, "unexpected jsonb value type %d", value->type);
	}
}

/* Room for a string child of at most room bytes, to be written by the caller. */
char *
nbm_writer_begin_string(NbmWriter *w, Size room)
{
	if (room > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("jsonb container would exceed the maximum of %u bytes",
						JENTRY_OFFLENMASK)));
	enlargeStringInfo(&w->buf, (int) room);
	return w->buf.data + w->buf.len;
}

/* Ends the string child begun last, which has len bytes. */
void
nbm_writer_end_string(NbmWriter *w, int len)
{
	w->buf.len += len;
	w->buf.data[w->buf.len] = '\0';
	writer_entry(w, JENTRY_ISSTRING, len);
}

/* Closes the container begun last. */
void
nbm_writer_end(NbmWriter *w)
{
	NbmWriterFrame *frame = &w->frames[w->level];

	if (frame->index != frame->count)
		elog(ERROR, "jsonb container has %d of %d entries",
			 frame->index, frame->count);
	w->level--;
	if (w->level >= 0)
		writer_entry(w, JENTRY_ISCONTAINER, w->buf.len - frame->start);
}

/* Hands over the finished value; it lives in the writer's context. */
Jsonb *
nbm_writer_finish(NbmWriter *w)
{
	Assert(w->level == -1);
	pfree(w->frames);
	SET_VARSIZE(w->buf.data, w->buf.len);
	return (Jsonb *) w->buf.data;
}

/* qsort comparator of pairs by key. */
static int
pair_cmp(const void *a, const void *b)
{
	return nbm_key_cmp(((const NbmPair *) a)->key, ((const NbmPair *) b)->key);
}

/* Writes a whole object from pairs, which it sorts; keys must be distinct. */
void
nbm_writer_object(NbmWriter *w, NbmPair *pairs, int count)
{
	NbmText    *keys = palloc_array(NbmText, Max(count, 1));

	qsort(pairs, count, sizeof(NbmPair), pair_cmp);
	for (int i = 0; i < count; i++)
		keys[i] = pairs[i].key;
	nbm_writer_begin_object(w, count, keys);
	for (int i = 0; i < count; i++)
		nbm_writer_value(w, &pairs[i].value);
	nbm_writer_end(w);
	pfree(keys);
}

/* Orders keys as jsonb does: by length, then by bytes. */
int
nbm_key_cmp(NbmText a, NbmText b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return memcmp(a.str, b.str, a.len);
}

/* Is the key this name? */
bool
nbm_key_is(NbmText key, const char *name)
{
	return key.len == (int) strlen(name) && memcmp(key.str, name, key.len) == 0;
}

/* A C string as a text; it points to the string. */
NbmText
nbm_text(const char *cstring)
{
	NbmText		string = {cstring, (int) strlen(cstring)};

	return string;
}

/* The text of a string value; it points to where the value points. */
NbmText
nbm_text_of(const JsonbValue *value)
{
	NbmText		string = {value->val.string.val, value->val.string.len};

	Assert(value->type == jbvString);
	return string;
}

/* Are both absent, or both the same bytes? */
bool
nbm_text_eq(NbmText a, NbmText b)
{
	if (a.str == NULL || b.str == NULL)
		return a.str == b.str;
	return a.len == b.len && memcmp(a.str, b.str, a.len) == 0;
}

/* Makes a value a string that points to the text. */
void
nbm_set_string(JsonbValue *value, NbmText string)
{
	value->type = jbvString;
	value->val.string.val = unconstify(char *, string.str);
	value->val.string.len = string.len;
}

/* Makes a value the container of a detoasted jsonb, which it points to. */
void
nbm_set_jsonb(JsonbValue *value, Jsonb *jb)
{
	value->type = jbvBinary;
	value->val.binary.data = &jb->root;
	value->val.binary.len = VARSIZE(jb) - VARHDRSZ;
}

/* Makes a value an integer, newly allocated in the current context. */
void
nbm_set_integer(JsonbValue *value, int64 number)
{
	value->type = jbvNumeric;
	value->val.numeric = int64_to_numeric(number);
}

/* Reads the child behind one JEntry; the value points into the container. */
static void
child(JsonbContainer *container, int index, char *base, JsonbValue *value)
{
	JEntry		entry = container->children[index];
	uint32		offset = getJsonbOffset(container, index);

	if (JBE_ISNULL(entry))
		value->type = jbvNull;
	else if (JBE_ISSTRING(entry))
	{
		value->type = jbvString;
		value->val.string.val = base + offset;
		value->val.string.len = getJsonbLength(container, index);
	}
	else if (JBE_ISNUMERIC(entry))
	{
		value->type = jbvNumeric;
		value->val.numeric = (Numeric) (base + INTALIGN(offset));
	}
	else if (JBE_ISBOOL(entry))
	{
		value->type = jbvBool;
		value->val.boolean = JBE_ISBOOL_TRUE(entry);
	}
	else
	{
		value->type = jbvBinary;
		value->val.binary.data = (JsonbContainer *) (base + INTALIGN(offset));
		value->val.binary.len = getJsonbLength(container, index) -
			(INTALIGN(offset) - offset);
	}
}

/* Reads element index of an array; index must be in range. */
void
nbm_element(JsonbContainer *array, int index, JsonbValue *value)
{
	Assert(JsonContainerIsArray(array) && index < JsonContainerSize(array));
	child(array, index, (char *) &array->children[JsonContainerSize(array)],
		  value);
}

/* Reads member index, in key order, of an object; index must be in range. */
void
nbm_member(JsonbContainer *object, int index, NbmText *key, JsonbValue *value)
{
	int			count = JsonContainerSize(object);
	char	   *base = (char *) &object->children[count * 2];
	JsonbValue	name;

	Assert(JsonContainerIsObject(object) && index < count);
	child(object, index, base, &name);
	*key = nbm_text_of(&name);
	if (value != NULL)
		child(object, index + count, base, value);
}

/* Finds a member by name; false where the object has none. */
bool
nbm_get(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return JsonContainerIsObject(object) &&
		getKeyJsonValueFromContainer(object, key, strlen(key), value) != NULL;
}

/* Finds a member that is an array, or an object; false for all others. */
bool
nbm_get_container(JsonbContainer *object, const char *key, bool is_array,
				  JsonbContainer **container)
{
	JsonbValue	value;

	if (!nbm_get(object, key, &value) ||
		!(is_array ? nbm_is_array(&value) : nbm_is_object(&value)))
		return false;
	*container = value.val.binary.data;
	return true;
}

/* Finds a member that is a string; false for all others. */
bool
nbm_get_string(JsonbContainer *object, const char *key, NbmText *string)
{
	JsonbValue	value;

	if (!nbm_get(object, key, &value) || value.type != jbvString)
		return false;
	*string = nbm_text_of(&value);
	return true;
}

/*
 * Reads a number that is an int4 and spelt as one: 5, but neither 5.0 nor
 * 5000000000.  False for everything else.
 */
bool
nbm_get_int(const JsonbValue *value, int32 *number)
{
	bool		failed = false;
	Numeric		again;

	if (value->type != jbvNumeric)
		return false;
	*number = numeric_int4_opt_error(value->val.numeric, &failed);
	if (failed)
		return false;
	again = int64_to_numeric(*number);
	return VARSIZE_ANY(again) == VARSIZE_ANY(value->val.numeric) &&
		memcmp(again, value->val.numeric, VARSIZE_ANY(again)) == 0;
}

/* Are two values equal byte for byte?  (1.0 and 1 are not.) */
bool
nbm_value_eq(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type)
	{
		case jbvNull:
			return true;
		case jbvBool:
			return a->val.boolean == b->val.boolean;
		case jbvString:
			return nbm_text_eq(nbm_text_of(a), nbm_text_of(b));
		case jbvNumeric:
			return VARSIZE_ANY(a->val.numeric) == VARSIZE_ANY(b->val.numeric) &&
				memcmp(a->val.numeric, b->val.numeric,
					   VARSIZE_ANY(a->val.numeric)) == 0;
		case jbvBinary:
			return a->val.binary.len == b->val.binary.len &&
				memcmp(a->val.binary.data, b->val.binary.data,
					   a->val.binary.len) == 0;
		default:
			elog(ERROR, "unexpected jsonb value type %d", a->type);
	}
	return false;
}

/* A hash of a value's bytes, equal for values that nbm_value_eq finds equal. */
uint64
nbm_value_hash(const JsonbValue *value, uint64 seed)
{
	const char *data = "";
	int			len = 0;

	if (value->type == jbvString)
	{
		data = value->val.string.val;
		len = value->val.string.len;
	}
	else if (value->type == jbvNumeric)
	{
		data = (const char *) value->val.numeric;
		len = VARSIZE_ANY(value->val.numeric);
	}
	else if (value->type == jbvBinary)
	{
		data = (const char *) value->val.binary.data;
		len = value->val.binary.len;
	}
	else if (value->type == jbvBool)
		seed += value->val.boolean ? 1 : 2;
	return hash_bytes_extended((const unsigned char *) data, len,
							   seed + value->type);
}

/* Is the value an object? */
bool
nbm_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsObject(value->val.binary.data);
}

/* Is the value an array? */
bool
nbm_is_array(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data) &&
		!JsonContainerIsScalar(value->val.binary.data);
}

/*
 * How many containers deep is this one, itself included?  Stops looking, and
 * answers limit + 1, as soon as it is deeper than the limit.
 */
int
nbm_depth(JsonbContainer *container, int limit)
{
	bool		is_object = JsonContainerIsObject(container);
	int			count = JsonContainerSize(container);
	int			first = is_object ? count : 0;
	char	   *base;
	int			deepest = 0;

	check_stack_depth();
	if (limit <= 0)
		return limit + 1;
	base = (char *) &container->children[first + count];
	for (int i = first; i < first + count; i++)
	{
		JsonbValue	value;
		int			depth;

		if (!JBE_ISCONTAINER(container->children[i]))
			continue;
		CHECK_FOR_INTERRUPTS();
		child(container, i, base, &value);
		depth = nbm_depth(value.val.binary.data, limit - 1);
		if (depth > limit - 1)
			return limit + 1;
		deepest = Max(deepest, depth);
	}
	return deepest + 1;
}

/* A jsonb of its own, in the current context, of a container's bytes. */
Jsonb *
nbm_copy_container(JsonbContainer *container, int len)
{
	Jsonb	   *jb = palloc(VARHDRSZ + len);

	memcpy(&jb->root, container, len);
	SET_VARSIZE(jb, VARHDRSZ + len);
	return jb;
}

/* A jsonb of its own, in the current context, of any value. */
Jsonb *
nbm_value_to_jsonb(const JsonbValue *value)
{
	if (value->type == jbvBinary)
		return nbm_copy_container(value->val.binary.data,
								  value->val.binary.len);
	return JsonbValueToJsonb(unconstify(JsonbValue *, value));
}

/* Goes on to the next member of either object; false where there is none. */
bool
nbm_both_next(NbmBoth *both)
{
	int			na = both->a == NULL ? 0 : JsonContainerSize(both->a);
	int			nb = both->b == NULL ? 0 : JsonContainerSize(both->b);
	NbmText		ka;
	NbmText		kb;
	int			order;

	both->in_a = both->next_a < na;
	both->in_b = both->next_b < nb;
	if (both->in_a)
		nbm_member(both->a, both->next_a, &ka, &both->va);
	if (both->in_b)
		nbm_member(both->b, both->next_b, &kb, &both->vb);
	if (!both->in_a && !both->in_b)
		return false;
	order = !both->in_a ? 1 : !both->in_b ? -1 : nbm_key_cmp(ka, kb);
	both->in_a = order <= 0;
	both->in_b = order >= 0;
	both->next_a += both->in_a;
	both->next_b += both->in_b;
	both->key = both->in_a ? ka : kb;
	return true;
}
