/*
 * schema_diff_names.c
 *		Names of constraints and indexes that a description leaves out.
 *
 * They are those that the server would choose, so that a description written
 * by hand is one with what the server says of the tables.  A name is free where
 * no table, constraint or index of the description has it.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/hsearch.h"

#include "schema_diff_names.h"
#include "schema_diff_sql.h"

/* A name that something in the schema has. */
typedef struct UsedName
{
	char		name[NAMEDATALEN];	/* the key */
	int			tried;			/* numbers that made no free name of it */
} UsedName;

/* Notes that a name is used; *was_used tells whether it was already. */
static UsedName *
use_name(HTAB *names, const char *name, bool *was_used)
{
	UsedName   *used = hash_search(names, name, HASH_ENTER, was_used);

	if (!*was_used)
		used->tried = 0;
	return used;
}

/* Puts some names together as the server does it. */
static char *
joined(const List *strings)
{
	StringInfoData buf;
	ListCell   *cell;

	initStringInfo(&buf);
	foreach(cell, strings)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "_" : "",
						 (char *) lfirst(cell));
	buf.data[pg_mbcliplen(buf.data, buf.len, NAMEDATALEN - 1)] = '\0';
	return buf.data;
}

/* Gives a key that was left without a name the one that the server would. */
static void
name_key(HTAB *names, const NbmTable *table, NbmKey *key)
{
	static const char *const labels[] = {"pkey", "key", "check", "idx", "fkey"};
	List	   *columns = key->columns;
	const char *label = labels[key->kind];
	char	   *addition;
	char	   *name;
	UsedName   *first;
	bool		was_used;

	if (key->name != NULL)
		return;
	if (key->kind == NBM_KEY_PRIMARY)
		columns = NIL;
	else if (key->kind == NBM_KEY_UNIQUE)
		columns = list_concat_copy(columns, key->include);
	else if (key->kind == NBM_KEY_CHECK)
	{
		columns = nbm_sql_columns(NBM_EXPRESSION, key->sql);
		if (list_length(columns) != 1)
			columns = NIL;
	}
	else if (key->kind == NBM_KEY_INDEX)
		columns = nbm_sql_index_names(key->sql);
	addition = columns ? joined(columns) : NULL;
	name = makeObjectName(table->name, addition, label);
	first = use_name(names, name, &was_used);
	while (was_used)
	{
		CHECK_FOR_INTERRUPTS();
		pfree(name);
		name = makeObjectName(table->name, addition,
							  psprintf("%s%d", label, ++first->tried));
		(void) use_name(names, name, &was_used);
	}
	key->name = name;
}

/* Orders keys by kind, and then by name. */
static int
by_kind_and_name(const ListCell *a, const ListCell *b)
{
	const NbmKey *x = lfirst(a);
	const NbmKey *y = lfirst(b);

	return x->kind != y->kind ? (int) x->kind - (int) y->kind :
		strcmp(x->name, y->name);
}

/* Do two keys of a table get into each other's way? */
static bool
is_same_name(const NbmKey *a, const NbmKey *b)
{
	return (a->kind == NBM_KEY_INDEX) == (b->kind == NBM_KEY_INDEX) &&
		strcmp(a->name, b->name) == 0;
}

/*
 * Names what has no name, where all that has one is known, and puts the keys of
 * each table in order.  Raises 22023 where two of a table have one name.
 */
void
nbm_name_keys(NbmDescription *schema)
{
	HASHCTL		control = {
		.keysize = NAMEDATALEN,
		.entrysize = sizeof(UsedName),
		.hcxt = CurrentMemoryContext
	};
	HTAB	   *names = hash_create("notebook_migrate names of a schema", 128,
									&control, HASH_ELEM | HASH_STRINGS |
									HASH_CONTEXT);

	for (int i = 0; i < schema->count; i++)
	{
		List	   *keys = schema->tables[i]->keys;
		ListCell   *cell;
		bool		was_used;

		(void) use_name(names, schema->tables[i]->name, &was_used);
		foreach(cell, keys)
		{
			NbmKey	   *key = lfirst(cell);

			CHECK_FOR_INTERRUPTS();
			if (key->name == NULL)
				continue;
			(void) use_name(names, key->name, &was_used);
			for (int j = 0; j < foreach_current_index(cell); j++)
			{
				NbmKey	   *other = list_nth(keys, j);

				if (other->name != NULL && is_same_name(key, other))
					nbm_malformed(schema->tables[i]->path,
								  "table \"%s\" has two constraints or indexes \"%s\"",
								  schema->tables[i]->name, key->name);
			}
		}
	}
	for (int i = 0; i < schema->count; i++)
	{
		ListCell   *cell;

		foreach(cell, schema->tables[i]->keys)
			name_key(names, schema->tables[i], lfirst(cell));
		list_sort(schema->tables[i]->keys, by_kind_and_name);
	}
	hash_destroy(names);
}
