/*
 * schema_diff_rename.c
 *		What a schema looks like after the renames that were asked for.
 *
 * The server follows a rename in keys, foreign keys, checks, indexes and
 * generated columns; so must what is compared with the state that is wanted.
 *
 * A hint stays in a caller's code after it was followed.  So one whose new
 * name is there already is taken as done, unless what has that name is to be
 * renamed as well.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "schema_diff_rename.h"
#include "schema_diff_sql.h"

/* The rename of a table, by its old name, that is still to be done, or NULL. */
static NbmRename *
find_rename(const List *renames, const char *table, const char *column)
{
	ListCell   *cell;

	foreach(cell, renames)
	{
		NbmRename  *rename = lfirst(cell);

		if (!rename->is_done && strcmp(rename->table, table) == 0 &&
			(column == NULL) == (rename->column == NULL) &&
			(column == NULL || strcmp(rename->column, column) == 0))
			return rename;
	}
	return NULL;
}

/*
 * The table of before that a rename speaks of: by the name that it has, or,
 * where its own rename was done already, by the one that it has now.
 */
static NbmTable *
renamed_table(const NbmDescription *before, const List *renames,
			  const NbmRename *rename)
{
	ListCell   *cell;

	foreach(cell, renames)
	{
		NbmRename  *other = lfirst(cell);

		if (other->is_done && other->column == NULL &&
			strcmp(other->table, rename->table) == 0)
			return nbm_find_table(before, other->to);
	}
	return nbm_find_table(before, rename->table);
}

/* Was a rename done before, as far as one can see? */
static bool
is_done(const NbmDescription *before, const List *renames, const NbmRename *rename)
{
	NbmTable   *table;

	if (rename->column == NULL)
		return nbm_find_table(before, rename->to) != NULL &&
			find_rename(renames, rename->to, NULL) == NULL;
	table = renamed_table(before, renames, rename);
	return table != NULL && nbm_find_column(table, rename->to) != NULL &&
		find_rename(renames, rename->table, rename->to) == NULL;
}

/* Raises where two renames lead to one name. */
static void
check_alone(const List *renames, const NbmRename *rename)
{
	ListCell   *cell;

	foreach(cell, renames)
	{
		NbmRename  *other = lfirst(cell);

		if (other != rename && !other->is_done &&
			strcmp(other->to, rename->to) == 0 &&
			(other->column == NULL) == (rename->column == NULL) &&
			(rename->column == NULL ||
			 strcmp(other->table, rename->table) == 0))
			nbm_malformed("renames", "two are renamed to \"%s\"", rename->to);
	}
}

/*
 * Finds the table that a rename is of.  Raises unless it leads from what there
 * is to what is wanted.
 */
static void
check_rename(const NbmDescription *before, const NbmDescription *after,
			 const List *renames, NbmRename *rename)
{
	NbmTable   *from = renamed_table(before, renames, rename);
	NbmRename  *of_table = find_rename(renames, rename->table, NULL);
	NbmTable   *to;

	check_alone(renames, rename);
	if (from == NULL)
		nbm_malformed("renames", "there is no table \"%s\"", rename->table);
	rename->of = from;
	to = nbm_find_table(after, of_table ? of_table->to : from->name);
	if (to == NULL)
		nbm_malformed("renames", "no table \"%s\" is wanted",
					  of_table ? of_table->to : from->name);
	if (rename->column == NULL)
		return;
	if (nbm_find_column(from, rename->column) == NULL)
		nbm_malformed("renames", "table \"%s\" has no column \"%s\"",
					  from->name, rename->column);
	if (nbm_find_column(to, rename->to) == NULL)
		nbm_malformed("renames", "no column \"%s\" of table \"%s\" is wanted",
					  rename->to, to->name);
}

/* Marks the renames that were done, and checks the others. */
static void
settle(const NbmDescription *before, const NbmDescription *after, const List *renames)
{
	bool		again = true;
	ListCell   *cell;

	while (again)
	{
		again = false;
		foreach(cell, renames)
		{
			NbmRename  *rename = lfirst(cell);

			CHECK_FOR_INTERRUPTS();
			if (rename->is_done || !is_done(before, renames, rename))
				continue;
			rename->is_done = true;
			again = true;
		}
	}
	foreach(cell, renames)
	{
		CHECK_FOR_INTERRUPTS();
		if (!((NbmRename *) lfirst(cell))->is_done)
			check_rename(before, after, renames, lfirst(cell));
	}
}

/* The moves of a table's columns, by the name that it has before. */
static List *
moves_of(const List *renames, const char *table)
{
	List	   *moves = NIL;
	ListCell   *cell;

	foreach(cell, renames)
	{
		NbmRename  *rename = lfirst(cell);
		NbmMove    *move;

		if (rename->column == NULL || rename->is_done ||
			strcmp(rename->of->name, table) != 0)
			continue;
		move = palloc_object(NbmMove);
		move->from = rename->column;
		move->to = rename->to;
		moves = lappend(moves, move);
	}
	return moves;
}

/* The name that something has after the moves. */
static char *
moved(const List *moves, char *name)
{
	ListCell   *cell;

	foreach(cell, moves)
	{
		NbmMove    *move = lfirst(cell);

		if (strcmp(move->from, name) == 0)
			return pstrdup(move->to);
	}
	return name;
}

/* The same for a list of names: a new list. */
static List *
moved_names(const List *moves, const List *names)
{
	List	   *list = NIL;
	ListCell   *cell;

	foreach(cell, names)
		list = lappend(list, moved(moves, lfirst(cell)));
	return list;
}

/* A key after the renames. */
static NbmKey *
moved_key(const List *renames, const List *moves, const NbmKey *key)
{
	NbmKey	   *copy = palloc_object(NbmKey);
	NbmRename  *of_table;

	*copy = *key;
	copy->columns = moved_names(moves, key->columns);
	copy->include = moved_names(moves, key->include);
	copy->on_delete_columns = moved_names(moves, key->on_delete_columns);
	if (key->sql != NULL && moves != NIL)
		copy->sql = nbm_sql_rename(key->kind == NBM_KEY_INDEX ?
								   NBM_INDEX_DEFINITION : NBM_EXPRESSION,
								   key->sql, moves);
	if (key->kind != NBM_KEY_FOREIGN || key->ref_schema != NULL)
		return copy;
	copy->ref_columns = moved_names(moves_of(renames, key->ref_table),
									key->ref_columns);
	of_table = find_rename(renames, key->ref_table, NULL);
	if (of_table != NULL)
		copy->ref_table = of_table->to;
	return copy;
}

/* A column after the renames. */
static NbmColumn *
moved_column(const List *moves, const NbmColumn *column)
{
	NbmColumn  *copy = palloc_object(NbmColumn);

	*copy = *column;
	copy->name = moved(moves, column->name);
	if (column->is_generated && moves != NIL)
		copy->expression = nbm_sql_rename(NBM_EXPRESSION, column->expression,
										  moves);
	return copy;
}

/*
 * A copy of a schema after the renames that are still to be done; its tables,
 * their columns and keys are in the same order as they were.  Raises 22023
 * where a rename fits neither of the two.
 */
NbmDescription *
nbm_renamed(const NbmDescription *before, const NbmDescription *after,
			const List *renames)
{
	NbmDescription *schema = palloc_object(NbmDescription);

	settle(before, after, renames);
	*schema = *before;
	schema->tables = palloc_array(NbmTable *, before->count + 1);
	for (int i = 0; i < before->count; i++)
	{
		NbmTable   *old = before->tables[i];
		NbmTable   *table = palloc_object(NbmTable);
		List	   *moves = moves_of(renames, old->name);
		NbmRename  *of_table = find_rename(renames, old->name, NULL);
		ListCell   *cell;

		CHECK_FOR_INTERRUPTS();
		*table = *old;
		if (of_table != NULL)
			table->name = of_table->to;
		table->columns = NIL;
		table->keys = NIL;
		foreach(cell, old->columns)
			table->columns = lappend(table->columns,
									 moved_column(moves, lfirst(cell)));
		foreach(cell, old->keys)
			table->keys = lappend(table->keys,
								  moved_key(renames, moves, lfirst(cell)));
		schema->tables[i] = table;
	}
	return schema;
}
