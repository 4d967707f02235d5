/*
 * jsonb_bytes.h
 *		jsonb containers read and built by their bytes.
 */
#ifndef NBM_JSONB_BYTES_H
#define NBM_JSONB_BYTES_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/* A piece of text that somebody else owns; not NUL-terminated. */
typedef struct NbmText
{
	const char *str;			/* NULL: there is none */
	int			len;
} NbmText;

/* The deepest document that the store takes. */
#define NBM_MAX_DEPTH 1000

/* A container that the writer has begun and not yet ended. */
typedef struct NbmWriterFrame
{
	int			start;			/* offset before the container's padding */
	int			header;			/* offset of its header */
	int			index;			/* next JEntry to write */
	int			count;			/* JEntries in all */
	bool		is_object;
	uint32		data_len;		/* bytes of children so far */
} NbmWriterFrame;

/* Levels that a writer begins with room for; it makes more as it needs them. */
#define NBM_WRITER_LEVELS 16

/*
 * Writes one jsonb value front to back into one buffer, copying each child
 * once.  The levels are those that our own code opens; whatever hangs below
 * a child is copied whole.
 */
typedef struct NbmWriter
{
	StringInfoData buf;
	int			level;			/* -1: nothing begun */
	int			room;			/* levels that frames has room for */
	NbmWriterFrame *frames;
} NbmWriter;

/* A member of an object that is being put together. */
typedef struct NbmPair
{
	NbmText		key;
	JsonbValue	value;			/* a scalar or a jbvBinary */
} NbmPair;

extern void nbm_writer_init(NbmWriter *w, Size size_hint);
extern void nbm_writer_begin_array(NbmWriter *w, int count);
extern void nbm_writer_begin_object(NbmWriter *w, int count,
									const NbmText *keys);
extern void nbm_writer_value(NbmWriter *w, const JsonbValue *value);
extern char *nbm_writer_begin_string(NbmWriter *w, Size room);
extern void nbm_writer_end_string(NbmWriter *w, int len);
extern void nbm_writer_end(NbmWriter *w);
extern Jsonb *nbm_writer_finish(NbmWriter *w);
extern void nbm_writer_object(NbmWriter *w, NbmPair *pairs, int count);

extern int	nbm_key_cmp(NbmText a, NbmText b);
extern bool nbm_key_is(NbmText key, const char *name);
extern NbmText nbm_text(const char *cstring);
extern NbmText nbm_text_of(const JsonbValue *string);
extern bool nbm_text_eq(NbmText a, NbmText b);
extern void nbm_set_string(JsonbValue *value, NbmText text);
extern void nbm_set_jsonb(JsonbValue *value, Jsonb *jb);
extern void nbm_set_integer(JsonbValue *value, int64 number);

/*
 * Two objects walked side by side, in key order.  Zero all but a and b, either
 * of which may be NULL, and call nbm_both_next().
 */
typedef struct NbmBoth
{
	JsonbContainer *a;
	JsonbContainer *b;
	int			next_a;
	int			next_b;
	NbmText		key;			/* of the member at hand */
	bool		in_a;
	bool		in_b;
	JsonbValue	va;				/* set where it is in a */
	JsonbValue	vb;
} NbmBoth;

extern bool nbm_both_next(NbmBoth *both);
extern void nbm_element(JsonbContainer *array, int index, JsonbValue *value);
extern void nbm_member(JsonbContainer *object, int index, NbmText *key,
					   JsonbValue *value);
extern bool nbm_get(JsonbContainer *object, const char *key,
					JsonbValue *value);
extern bool nbm_get_container(JsonbContainer *object, const char *key,
							  bool is_array, JsonbContainer **container);
extern bool nbm_get_string(JsonbContainer *object, const char *key,
						   NbmText *string);
extern bool nbm_get_int(const JsonbValue *value, int32 *number);
extern bool nbm_value_eq(const JsonbValue *a, const JsonbValue *b);
extern uint64 nbm_value_hash(const JsonbValue *value, uint64 seed);
extern bool nbm_is_object(const JsonbValue *value);
extern bool nbm_is_array(const JsonbValue *value);
extern int	nbm_depth(JsonbContainer *container, int limit);
extern Jsonb *nbm_copy_container(JsonbContainer *container, int len);
extern Jsonb *nbm_value_to_jsonb(const JsonbValue *value);

#endif							/* NBM_JSONB_BYTES_H */
