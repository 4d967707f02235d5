/*
 * build.c
 *		Small jsonb values put together piece by piece.
 *
 * All memory is of the current context.
 */
#include "postgres.h"

#include "build.h"

/* Adds a value to an array. */
void
nbm_add_value(NbmValues *values, const JsonbValue *value)
{
	if (values->count == values->room)
	{
		values->room = Max(16, values->room * 2);
		if (values->items == NULL)
			values->items = palloc_array(JsonbValue, values->room);
		else
			values->items = repalloc_array(values->items, JsonbValue,
										   values->room);
	}
	values->items[values->count++] = *value;
}

/* Adds a string. */
void
nbm_add_text(NbmValues *values, NbmText string)
{
	JsonbValue	value;

	nbm_set_string(&value, string);
	nbm_add_value(values, &value);
}

/* Adds an integer. */
void
nbm_add_integer(NbmValues *values, int64 number)
{
	JsonbValue	value;

	nbm_set_integer(&value, number);
	nbm_add_value(values, &value);
}

/* Adds an array or object. */
void
nbm_add_jsonb(NbmValues *values, Jsonb *jb)
{
	JsonbValue	value;

	nbm_set_jsonb(&value, jb);
	nbm_add_value(values, &value);
}

/* The array: a new jsonb. */
Jsonb *
nbm_array_of(const NbmValues *values)
{
	NbmWriter	w;

	nbm_writer_init(&w, 0);
	nbm_writer_begin_array(&w, values->count);
	for (int i = 0; i < values->count; i++)
		nbm_writer_value(&w, &values->items[i]);
	nbm_writer_end(&w);
	return nbm_writer_finish(&w);
}

/* Adds a member to an object; the caller sets its value. */
JsonbValue *
nbm_member_value(NbmMembers *members, const char *key)
{
	Assert(members->count < NBM_MAX_MEMBERS);
	members->pairs[members->count].key = nbm_text(key);
	return &members->pairs[members->count++].value;
}

/* Adds a member that is a string, or null where there is none. */
void
nbm_member_text(NbmMembers *members, const char *key, NbmText string)
{
	JsonbValue *value = nbm_member_value(members, key);

	value->type = jbvNull;
	if (string.str != NULL)
		nbm_set_string(value, string);
}

/* Adds a member that is an integer. */
void
nbm_member_integer(NbmMembers *members, const char *key, int64 number)
{
	nbm_set_integer(nbm_member_value(members, key), number);
}

/* Adds a member that is an array or an object. */
void
nbm_member_jsonb(NbmMembers *members, const char *key, Jsonb *jb)
{
	nbm_set_jsonb(nbm_member_value(members, key), jb);
}

/* The object, whose keys must be distinct: a new jsonb. */
Jsonb *
nbm_object_of(NbmMembers *members)
{
	NbmWriter	w;

	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, members->pairs, members->count);
	return nbm_writer_finish(&w);
}

/* An object with some members set anew: a new jsonb. */
Jsonb *
nbm_object_with(JsonbContainer *object, const NbmMembers *members)
{
	int			size = JsonContainerSize(object);
	NbmPair    *pairs = palloc_array(NbmPair, size + members->count + 1);
	int			n = 0;
	NbmWriter	w;

	for (int i = 0; i < size; i++)
	{
		bool		is_set = false;

		nbm_member(object, i, &pairs[n].key, &pairs[n].value);
		for (int j = 0; j < members->count; j++)
			is_set |= nbm_text_eq(members->pairs[j].key, pairs[n].key);
		n += !is_set;
	}
	memcpy(pairs + n, members->pairs, sizeof(NbmPair) * members->count);
	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, pairs, n + members->count);
	pfree(pairs);
	return nbm_writer_finish(&w);
}
