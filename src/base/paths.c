/*
 * paths.c
 *		Where two jsonb objects differ, by path.
 *
 * Paths are written as in PostgreSQL's jsonpath, without the "$." at their
 * beginning: metadata.tags[0], metadata."a b".  They go as deep as both sides
 * have objects, or arrays of the same length; what is deeper than a person
 * would read is named by what it stands in.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/json.h"

#include "paths.h"

/* A path longer than this is not led further down. */
#define LONGEST_PREFIX 256

static void diff_values(const JsonbValue *a, const JsonbValue *b, char *path,
						NbmWords *names);

/* Adds a name to a list; it is not copied. */
void
nbm_words_add(NbmWords *names, char *name)
{
	if (names->count == names->room)
	{
		names->room = Max(4, names->room * 2);
		if (names->items == NULL)
			names->items = palloc_array(char *, names->room);
		else
			names->items = repalloc_array(names->items, char *, names->room);
	}
	names->items[names->count++] = name;
}

/* May a key stand in a path without quotes? */
static bool
is_plain(NbmText key)
{
	for (int i = 0; i < key.len; i++)
	{
		unsigned char c = (unsigned char) key.str[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_' &&
			(i == 0 || c < '0' || c > '9'))
			return false;
	}
	return key.len > 0;
}

/* Adds a member's name to a path, quoted where it is no plain identifier. */
void
nbm_path_append(StringInfo buf, NbmText key)
{
	if (buf->len > 0)
		appendStringInfoChar(buf, '.');
	if (is_plain(key))
		appendBinaryStringInfo(buf, key.str, key.len);
	else
		escape_json(buf, pnstrdup(key.str, key.len));
}

/*
 * The path of a member of what is at prefix, newly allocated, and no larger
 * than it must be: there can be very many.
 */
char *
nbm_path_member(const char *prefix, NbmText key)
{
	StringInfoData buf;
	char	   *path;

	initStringInfo(&buf);
	appendStringInfoString(&buf, prefix);
	nbm_path_append(&buf, key);
	path = pnstrdup(buf.data, buf.len);
	pfree(buf.data);
	return path;
}

/* Is a member to be named as a whole? */
static bool
is_whole(NbmText key, const char *const *whole)
{
	for (; whole != NULL && *whole != NULL; whole++)
		if (nbm_key_is(key, *whole))
			return true;
	return false;
}

/* Names the paths in which two objects at prefix differ, in key order. */
static void
diff_objects(JsonbContainer *a, JsonbContainer *b, const char *prefix,
			 const char *const *whole, NbmWords *names)
{
	NbmBoth		both = {a, b};

	while (nbm_both_next(&both))
	{
		CHECK_FOR_INTERRUPTS();
		if (both.in_a && both.in_b && nbm_value_eq(&both.va, &both.vb))
			continue;
		if (both.in_a && both.in_b && !is_whole(both.key, whole))
			diff_values(&both.va, &both.vb, nbm_path_member(prefix, both.key),
						names);
		else
			nbm_words_add(names, nbm_path_member(prefix, both.key));
	}
}

/* The same for two arrays of one length. */
static void
diff_arrays(JsonbContainer *a, JsonbContainer *b, const char *prefix,
			NbmWords *names)
{
	for (int i = 0; i < JsonContainerSize(a); i++)
	{
		JsonbValue	va;
		JsonbValue	vb;

		CHECK_FOR_INTERRUPTS();
		nbm_element(a, i, &va);
		nbm_element(b, i, &vb);
		if (!nbm_value_eq(&va, &vb))
			diff_values(&va, &vb, psprintf("%s[%d]", prefix, i), names);
	}
}

/* The same for two values at a path that are known to differ. */
static void
diff_values(const JsonbValue *a, const JsonbValue *b, char *path,
			NbmWords *names)
{
	bool		deeper = strlen(path) <= LONGEST_PREFIX;

	check_stack_depth();
	if (deeper && nbm_is_object(a) && nbm_is_object(b))
		diff_objects(a->val.binary.data, b->val.binary.data, path, NULL,
					 names);
	else if (deeper && nbm_is_array(a) && nbm_is_array(b) &&
			 JsonContainerSize(a->val.binary.data) ==
			 JsonContainerSize(b->val.binary.data))
		diff_arrays(a->val.binary.data, b->val.binary.data, path, names);
	else
		nbm_words_add(names, path);
}

/*
 * Names the paths in which two objects differ, in the objects' key order.
 * The members listed in whole (NULL-terminated, or NULL for none) are not
 * looked into.  The names are newly allocated.
 */
void
nbm_differing_paths(JsonbContainer *a, JsonbContainer *b,
					const char *const *whole, NbmWords *names)
{
	diff_objects(a, b, "", whole, names);
}
