/*
 * schema_diff_pair.c
 *		What of one schema is what of another, and what must be made anew.
 *
 * After the renames, tables and columns are the same by name.  Constraints
 * and indexes are by name and, of those that are left, by what they say: such
 * a one has another name only.
 *
 * Made anew is what the server cannot alter: a generated column with another
 * expression, or over a column whose type changes; what stands on a column
 * that is made anew; a foreign key whose columns change their types, on one
 * side at a time, or whose key on the other side is dropped for a moment.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"

#include "compat.h"
#include "schema_diff_pair.h"
#include "schema_diff_sql.h"
#include "schema_diff_write.h"

/* Are two strings equal, either of which may be missing? */
bool
nbm_same_string(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Does a column that stays get another type? */
bool
nbm_type_changes(const NbmColumnPair *pair)
{
	return strcmp(pair->moved->type, pair->new->type) != 0 ||
		!nbm_same_string(pair->moved->collation, pair->new->collation);
}

/* Is a column's new type another one, not the old one with another limit? */
static bool
is_other_type(const NbmColumnPair *pair)
{
	return pair->old != NULL && pair->new != NULL &&
		(pair->old->type_oid == InvalidOid ? nbm_type_changes(pair) :
		 pair->old->type_oid != pair->new->type_oid ||
		 !nbm_same_string(pair->old->collation, pair->new->collation));
}

/* Does an expression read a column that changes its type or is made anew? */
static bool
reads_changed(const NbmTablePair *table, const char *expression)
{
	List	   *names = NIL;
	ListCell   *cell;

	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (pair->old == NULL || pair->new == NULL || !nbm_type_changes(pair))
			continue;
		if (names == NIL)
			names = nbm_sql_columns(NBM_EXPRESSION, expression);
		if (nbm_has_string(names, pair->new->name))
			return true;
	}
	return false;
}

/* How does a column that is in both become what it is to be? */
static NbmColumnChange
column_change(const NbmTablePair *table, const NbmColumnPair *pair)
{
	NbmColumn  *from = pair->moved;
	NbmColumn  *to = pair->new;

	if (!to->is_generated)
		return !from->is_generated ? NBM_ALTERED :
			from->is_virtual ? NBM_REPLACED : NBM_FREED;
	if (!from->is_generated || nbm_type_changes(pair) ||
		from->is_virtual != to->is_virtual ||
		strcmp(from->expression, to->expression) != 0 ||
		reads_changed(table, to->expression))
		return NBM_REPLACED;
	return NBM_ALTERED;
}

/* Pairs the columns of a table: those of before first. */
static void
pair_columns(NbmTablePair *table)
{
	ListCell   *old;
	ListCell   *moved;
	ListCell   *cell;

	forboth(old, table->old->columns, moved, table->moved->columns)
	{
		NbmColumnPair *pair = palloc0_object(NbmColumnPair);

		CHECK_FOR_INTERRUPTS();
		pair->old = lfirst(old);
		pair->moved = lfirst(moved);
		pair->new = nbm_find_column(table->new, pair->moved->name);
		table->columns = lappend(table->columns, pair);
	}
	foreach(cell, table->new->columns)
	{
		NbmColumn  *column = lfirst(cell);

		if (nbm_find_column(table->moved, column->name) == NULL)
		{
			NbmColumnPair *pair = palloc0_object(NbmColumnPair);

			pair->new = column;
			table->columns = lappend(table->columns, pair);
		}
	}
	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (pair->old != NULL && pair->new != NULL)
			pair->change = column_change(table, pair);
	}
}

/* Do two keys have one name among those of their kind? */
static bool
has_same_name(const NbmKey *a, const NbmKey *b)
{
	return (a->kind == NBM_KEY_INDEX) == (b->kind == NBM_KEY_INDEX) &&
		strcmp(a->name, b->name) == 0;
}

/* Pairs each key of before that has no partner with one that fits. */
static void
match_keys(const char *schema, List *pairs, List **left, bool by_name)
{
	ListCell   *cell;

	foreach(cell, pairs)
	{
		NbmKeyPair *pair = lfirst(cell);
		ListCell   *other;

		CHECK_FOR_INTERRUPTS();
		foreach(other, *left)
		{
			NbmKey	   *key = lfirst(other);

			if (pair->new != NULL ||
				!(by_name ? has_same_name(pair->moved, key) :
				  nbm_key_equal(schema, pair->moved, key)))
				continue;
			pair->new = key;
			pair->is_anew = by_name &&
				!nbm_key_equal(schema, pair->moved, key);
			*left = foreach_delete_current(*left, other);
		}
	}
}

/* Pairs the constraints and indexes of a table: those of before first. */
static void
pair_keys(const char *schema, NbmTablePair *table)
{
	List	   *left = list_copy(table->new->keys);
	ListCell   *old;
	ListCell   *moved;
	ListCell   *cell;

	forboth(old, table->old->keys, moved, table->moved->keys)
	{
		NbmKeyPair *pair = palloc0_object(NbmKeyPair);

		pair->old = lfirst(old);
		pair->moved = lfirst(moved);
		table->keys = lappend(table->keys, pair);
	}
	match_keys(schema, table->keys, &left, true);
	match_keys(schema, table->keys, &left, false);
	foreach(cell, left)
	{
		NbmKeyPair *pair = palloc0_object(NbmKeyPair);

		pair->new = lfirst(cell);
		table->keys = lappend(table->keys, pair);
	}
}

/* The columns of a key under the names before, those that SQL reads included. */
static List *
columns_of(const NbmKey *key)
{
	if (key->kind == NBM_KEY_CHECK)
		return nbm_sql_columns(NBM_EXPRESSION, key->sql);
	if (key->kind == NBM_KEY_INDEX)
		return nbm_sql_columns(NBM_INDEX_DEFINITION, key->sql);
	return list_concat_copy(key->columns, key->include);
}

/* Is any of some columns, by the names before, made anew in a table? */
static bool
any_anew(const NbmTablePair *table, const List *names, bool for_foreign)
{
	ListCell   *cell;

	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (pair->old != NULL && pair->new != NULL &&
			(pair->change != NBM_ALTERED ||
			 (for_foreign && is_other_type(pair))) &&
			nbm_has_string(names, pair->old->name))
			return true;
	}
	return false;
}

/* Does a table have a column that is made anew, or that gets another type? */
static bool
is_reshaped(const NbmTablePair *table)
{
	ListCell   *cell;

	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (pair->old != NULL && pair->new != NULL &&
			(pair->change != NBM_ALTERED || is_other_type(pair)))
			return true;
	}
	return false;
}

/* Makes what stands on columns that are made anew be made anew as well. */
static void
renew_keys(NbmTablePair *table)
{
	ListCell   *cell;

	if (!is_reshaped(table))
		return;
	foreach(cell, table->keys)
	{
		NbmKeyPair *pair = lfirst(cell);

		if (pair->old != NULL && pair->new != NULL && !pair->is_anew)
			pair->is_anew = any_anew(table, columns_of(pair->old),
									 pair->old->kind == NBM_KEY_FOREIGN);
	}
}

/* Have two lists the same names? */
static bool
same_names(const List *a, const List *b)
{
	ListCell   *cell;

	if (list_length(a) != list_length(b))
		return false;
	foreach(cell, a)
	{
		if (!nbm_has_string(b, lfirst(cell)))
			return false;
	}
	return true;
}

/* Does a foreign key lose, for a moment at least, what it stands on? */
static bool
loses_its_key(const NbmTablePair *other, const List *names)
{
	ListCell   *cell;

	foreach(cell, other->keys)
	{
		NbmKeyPair *pair = lfirst(cell);
		NbmKey	   *key = pair->old;

		if (key == NULL || (pair->new != NULL && !pair->is_anew))
			continue;
		if ((key->kind == NBM_KEY_PRIMARY || key->kind == NBM_KEY_UNIQUE ||
			 (key->kind == NBM_KEY_INDEX && key->is_unique)) &&
			same_names(key->kind == NBM_KEY_INDEX ? columns_of(key) :
					   key->columns, names))
			return true;
	}
	return false;
}

/* The pair with a table of before; NULL: the table is not shown. */
static NbmTablePair *
find_pair(const NbmDescription *before, const List *pairs, const char *table)
{
	int			low = 0;
	int			high = before->count - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		NbmTablePair *pair = list_nth(pairs, middle);
		int			cmp = strcmp(table, pair->old->name);

		if (cmp == 0)
			return pair;
		if (cmp < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Makes foreign keys anew for what happens at their other ends. */
static void
renew_foreign(const NbmDescription *before, const List *pairs, NbmTablePair *table)
{
	ListCell   *cell;

	foreach(cell, table->keys)
	{
		NbmKeyPair *pair = lfirst(cell);
		NbmTablePair *other;

		if (pair->old == NULL || pair->new == NULL || pair->is_anew ||
			pair->old->kind != NBM_KEY_FOREIGN || pair->old->ref_schema)
			continue;
		other = find_pair(before, pairs, pair->old->ref_table);
		pair->is_anew = other != NULL &&
			(any_anew(other, pair->old->ref_columns, true) ||
			 loses_its_key(other, pair->old->ref_columns));
	}
}

/* The names of a schema's tables, which need not be in order; in new memory. */
static HTAB *
hash_of_names(const NbmDescription *schema)
{
	HASHCTL		control = {.keysize = NAMEDATALEN};
	HTAB	   *names;

	control.entrysize = NAMEDATALEN;
	control.hcxt = CurrentMemoryContext;
	names = hash_create("notebook_migrate names of tables", schema->count + 1,
						&control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	for (int i = 0; i < schema->count; i++)
		(void) hash_search(names, schema->tables[i]->name, HASH_ENTER, NULL);
	return names;
}

/*
 * Pairs all tables: those of before first, in their order, then those that
 * are new.  before and moved are one schema, before and after the renames.
 */
List *
nbm_pair_tables(const NbmDescription *before, const NbmDescription *moved,
				const NbmDescription *after)
{
	List	   *pairs = NIL;
	HTAB	   *taken = hash_of_names(moved);
	ListCell   *cell;

	for (int i = 0; i < before->count; i++)
	{
		NbmTablePair *pair = palloc0_object(NbmTablePair);

		CHECK_FOR_INTERRUPTS();
		pair->old = before->tables[i];
		pair->moved = moved->tables[i];
		pair->new = nbm_find_table(after, pair->moved->name);
		pairs = lappend(pairs, pair);
		if (pair->new == NULL)
			continue;
		pair_columns(pair);
		pair_keys(before->name, pair);
		renew_keys(pair);
	}
	foreach(cell, pairs)
		renew_foreign(before, pairs, lfirst(cell));
	for (int i = 0; i < after->count; i++)
	{
		NbmTablePair *pair = palloc0_object(NbmTablePair);

		pair->new = after->tables[i];
		if (hash_search(taken, pair->new->name, HASH_FIND, NULL) == NULL)
			pairs = lappend(pairs, pair);
	}
	return pairs;
}
