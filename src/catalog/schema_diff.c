/*
 * schema_diff.c
 *		What makes one schema of another, as operations with SQL both ways.
 *
 * It compares two descriptions and reads no table.  The operations come in
 * the order in which they can run, which is that of the phases below; within
 * one, by the names of tables, so that equal arguments give equal bytes:
 *
 *		foreign keys are dropped; then indexes and other constraints;
 *		columns and tables are dropped;
 *		tables, columns, constraints and indexes are renamed;
 *		tables are made; columns are added and altered;
 *		constraints and indexes are added; comments; foreign keys.
 *
 * Each operation's down undoes it where it stands: all of them in reverse
 * order lead back.  Until the renames things have the names of before in both
 * directions, and after them those that are wanted.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "build.h"
#include "compat.h"
#include "schema_diff.h"
#include "schema_diff_likely.h"
#include "schema_diff_loss.h"
#include "schema_diff_pair.h"
#include "schema_diff_rename.h"
#include "schema_diff_write.h"

typedef struct Diff
{
	const char *schema;			/* where the statements work */
	List	   *tables;			/* of NbmTablePair */
	List	   *operations;
} Diff;

/* Something that gets another name. */
typedef struct Move
{
	const char *scope;			/* what has no name twice */
	const char *from;
	const char *to;
	void	   *arg;			/* for the function that writes it */
} Move;

/* Adds the rename of something to the operations. */
typedef void (*WriteMove) (Diff *diff, const Move *move);

/* Adds an operation; up and down are its SQL. */
static NbmOperation *
add(Diff *diff, const char *kind, const char *table, char *up, char *down)
{
	NbmOperation *operation = palloc0_object(NbmOperation);

	operation->kind = kind;
	operation->table = table;
	operation->up = up;
	operation->down = down;
	diff->operations = lappend(diff->operations, operation);
	return operation;
}

/* Adds an operation on a part of a table. */
static NbmOperation *
add_on(Diff *diff, const char *kind, const char *table, const char *part,
	   const char *name, char *up, char *down)
{
	NbmOperation *operation = add(diff, kind, table, up, down);

	operation->part = part;
	operation->name = name;
	return operation;
}

/* What a key is called in operations. */
static const char *
part_of(const NbmKey *key)
{
	return key->kind == NBM_KEY_INDEX ? "index" : "constraint";
}

/* Drops a key, which can be added again. */
static void
drop_key(Diff *diff, const char *table, const NbmKey *key)
{
	add_on(diff, key->kind == NBM_KEY_INDEX ? "drop_index" : "drop_constraint",
		   table, part_of(key), key->name,
		   nbm_drop_key_sql(diff->schema, table, key),
		   nbm_add_key_sql(diff->schema, table, key));
}

/* Adds a key, which can be dropped again. */
static void
add_key(Diff *diff, const char *table, const NbmKey *key)
{
	add_on(diff, key->kind == NBM_KEY_INDEX ? "add_index" : "add_constraint",
		   table, part_of(key), key->name,
		   nbm_add_key_sql(diff->schema, table, key),
		   nbm_drop_key_sql(diff->schema, table, key));
}

/*
 * Drops foreign keys, or the other keys: those that are dropped or made anew,
 * and the foreign ones of tables that are dropped.  What stands on others
 * goes first.
 */
static void
drop_keys(Diff *diff, bool foreign)
{
	ListCell   *cell;

	foreach(cell, diff->tables)
	{
		NbmTablePair *table = lfirst(cell);

		if (table->old == NULL)
			continue;
		if (table->new == NULL)
		{
			ListCell   *key;

			foreach(key, table->old->keys)
			{
				if (foreign && ((NbmKey *) lfirst(key))->kind == NBM_KEY_FOREIGN)
					drop_key(diff, table->old->name, lfirst(key));
			}
			continue;
		}
		for (int i = list_length(table->keys) - 1; i >= 0; i--)
		{
			NbmKeyPair *key = list_nth(table->keys, i);

			if (key->old != NULL && (key->new == NULL || key->is_anew) &&
				(key->old->kind == NBM_KEY_FOREIGN) == foreign)
				drop_key(diff, table->old->name, key->old);
		}
	}
}

/* Drops a column. */
static void
drop_column(Diff *diff, const NbmTablePair *table, const NbmColumnPair *pair)
{
	const char *name = table->old->name;
	char	   *readd = nbm_add_column_sql(diff->schema, name, pair->old);
	char	   *drop = nbm_drop_column_sql(diff->schema, name,
										   pair->old->name);
	NbmOperation *operation;

	if (pair->new != NULL && pair->change == NBM_FREED)
	{
		add_on(diff, "drop_expression", name, "column", pair->old->name,
			   psprintf("ALTER TABLE %s ALTER COLUMN %s DROP EXPRESSION;",
						nbm_table_in(diff->schema, name),
						quote_identifier(pair->old->name)),
			   psprintf("%s\n%s", drop, readd));
		return;
	}
	operation = add_on(diff, "drop_column", name, "column", pair->old->name,
					   drop, readd);
	operation->destructive = !pair->old->is_generated;
	if (pair->new == NULL)
		operation->note = nbm_likely_column(table, pair->old);
}

/* Drops columns, those first that are generated of others; then tables. */
static void
drop_columns_and_tables(Diff *diff)
{
	ListCell   *cell;

	foreach(cell, diff->tables)
	{
		NbmTablePair *table = lfirst(cell);

		for (int plain = 0; plain < 2 && table->old && table->new; plain++)
		{
			ListCell   *column;

			foreach(column, table->columns)
			{
				NbmColumnPair *pair = lfirst(column);

				if (pair->old != NULL && pair->old->is_generated == !plain &&
					(pair->new == NULL || pair->change != NBM_ALTERED))
					drop_column(diff, table, pair);
			}
		}
	}
	foreach(cell, diff->tables)
	{
		NbmTablePair *table = lfirst(cell);
		NbmOperation *operation;

		if (table->new != NULL)
			continue;
		operation = add(diff, "drop_table", table->old->name,
						psprintf("DROP TABLE %s;",
								 nbm_table_in(diff->schema, table->old->name)),
						nbm_create_table_sql(diff->schema, table->old));
		operation->destructive = true;
		operation->note = nbm_likely_table(diff->tables, table->old);
	}
}

/* Adds a move to a list. */
static List *
add_move(List *moves, const char *scope, const char *from, const char *to,
		 void *arg)
{
	Move	   *move = palloc_object(Move);

	move->scope = scope;
	move->from = from;
	move->to = to;
	move->arg = arg;
	return lappend(moves, move);
}

/* Is a name that a move leads to still the name of something? */
static bool
is_blocked(const List *moves, const Move *move)
{
	ListCell   *cell;

	foreach(cell, moves)
	{
		Move	   *other = lfirst(cell);

		if (other != move && strcmp(other->scope, move->scope) == 0 &&
			strcmp(other->from, move->to) == 0)
			return true;
	}
	return false;
}

/*
 * Writes moves in an order in which each new name is free.  Where they go in
 * a circle one steps aside first.
 */
static void
write_moves(Diff *diff, List *moves, WriteMove write)
{
	while (moves != NIL)
	{
		int			before = list_length(moves);
		ListCell   *cell;

		foreach(cell, moves)
		{
			CHECK_FOR_INTERRUPTS();
			if (!is_blocked(moves, lfirst(cell)))
			{
				write(diff, lfirst(cell));
				moves = foreach_delete_current(moves, cell);
			}
		}
		if (list_length(moves) == before)
		{
			Move	   *first = linitial(moves);
			Move		aside = *first;

			aside.to = makeObjectName(first->from, NULL, "moving");
			write(diff, &aside);
			first->from = aside.to;
		}
	}
}

/* Renames a table. */
static void
write_table_move(Diff *diff, const Move *move)
{
	NbmOperation *operation;

	operation = add(diff, "rename_table", move->from,
					psprintf("ALTER TABLE %s RENAME TO %s;",
							 nbm_table_in(diff->schema, move->from),
							 quote_identifier(move->to)),
					psprintf("ALTER TABLE %s RENAME TO %s;",
							 nbm_table_in(diff->schema, move->to),
							 quote_identifier(move->from)));
	operation->to = move->to;
}

/* Renames a column of a table that has its new name already. */
static void
write_column_move(Diff *diff, const Move *move)
{
	const char *in = nbm_table_in(diff->schema, move->scope);
	NbmOperation *operation;

	operation = add_on(diff, "rename_column", move->scope, "column", move->from,
					   psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s;", in,
								quote_identifier(move->from),
								quote_identifier(move->to)),
					   psprintf("ALTER TABLE %s RENAME COLUMN %s TO %s;", in,
								quote_identifier(move->to),
								quote_identifier(move->from)));
	operation->to = move->to;
}

/* The table of a key's move, and the key. */
typedef struct KeyOf
{
	const char *table;
	NbmKey	   *key;
} KeyOf;

/* Renames a constraint or index. */
static void
write_key_move(Diff *diff, const Move *move)
{
	KeyOf	   *of = move->arg;
	NbmKeyKind	kind = of->key->kind;
	NbmOperation *operation;

	operation = add_on(diff, kind == NBM_KEY_INDEX ? "rename_index" :
					   "rename_constraint", of->table, part_of(of->key),
					   move->from,
					   nbm_rename_key_sql(diff->schema, of->table, kind,
										  move->from, move->to),
					   nbm_rename_key_sql(diff->schema, of->table, kind,
										  move->to, move->from));
	operation->to = move->to;
}

/*
 * The moves of a table's keys.  What has an index must have a name that no
 * other table's has; checks and foreign keys are by table.
 */
static List *
key_moves(List *moves, const NbmTablePair *table)
{
	ListCell   *cell;

	foreach(cell, table->keys)
	{
		NbmKeyPair *pair = lfirst(cell);
		KeyOf	   *of;

		if (pair->old == NULL || pair->new == NULL || pair->is_anew ||
			strcmp(pair->old->name, pair->new->name) == 0)
			continue;
		of = palloc_object(KeyOf);
		of->table = table->new->name;
		of->key = pair->new;
		moves = add_move(moves, pair->new->kind == NBM_KEY_CHECK ||
						 pair->new->kind == NBM_KEY_FOREIGN ?
						 table->new->name : "", pair->old->name,
						 pair->new->name, of);
	}
	return moves;
}

/* Renames tables, then their columns, then their constraints and indexes. */
static void
rename_all(Diff *diff)
{
	List	   *tables = NIL;
	List	   *columns = NIL;
	List	   *keys = NIL;
	ListCell   *cell;

	foreach(cell, diff->tables)
	{
		NbmTablePair *table = lfirst(cell);
		ListCell   *column;

		if (table->old == NULL || table->new == NULL)
			continue;
		if (strcmp(table->old->name, table->new->name) != 0)
			tables = add_move(tables, "", table->old->name, table->new->name,
							  NULL);
		foreach(column, table->columns)
		{
			NbmColumnPair *pair = lfirst(column);

			if (pair->old != NULL && pair->new != NULL &&
				pair->change != NBM_REPLACED &&
				strcmp(pair->old->name, pair->new->name) != 0)
				columns = add_move(columns, table->new->name, pair->old->name,
								   pair->new->name, NULL);
		}
		keys = key_moves(keys, table);
	}
	write_moves(diff, tables, write_table_move);
	write_moves(diff, columns, write_column_move);
	write_moves(diff, keys, write_key_move);
}

/* Makes new tables, without their foreign keys. */
static void
create_tables(Diff *diff)
{
	ListCell   *cell;

	foreach(cell, diff->tables)
	{
		NbmTable   *table = ((NbmTablePair *) lfirst(cell))->new;

		if (((NbmTablePair *) lfirst(cell))->old == NULL)
			add(diff, "create_table", table->name,
				nbm_create_table_sql(diff->schema, table),
				psprintf("DROP TABLE %s;",
						 nbm_table_in(diff->schema, table->name)));
	}
}

/* A column's default; what generates it is none. */
static const char *
default_of(const NbmColumn *column)
{
	return column->is_generated ? NULL : column->expression;
}

/* Does a column get a type for which its default must be out of the way? */
static bool
lifts_default(const NbmColumnPair *pair)
{
	return default_of(pair->moved) != NULL && nbm_type_changes(pair);
}

/* Takes off what must not be there when a column's type changes. */
static void
alter_before(Diff *diff, const char *table, const NbmColumnPair *pair)
{
	NbmNumbering from = pair->moved->numbering;
	NbmNumbering to = pair->new->numbering;
	const char *name = pair->new->name;

	if (from != to && from != NBM_NOT_NUMBERED &&
		(from == NBM_SERIAL || to == NBM_SERIAL || to == NBM_NOT_NUMBERED))
		add_on(diff, "drop_identity", table, "column", name,
			   nbm_drop_numbering_sql(diff->schema, table, pair->moved),
			   nbm_add_numbering_sql(diff->schema, table, pair->moved));
	if (lifts_default(pair))
		add_on(diff, "drop_default", table, "column", name,
			   nbm_default_sql(diff->schema, table, name, NULL),
			   nbm_default_sql(diff->schema, table, name,
							   pair->moved->expression));
}

/* Sets the default that a column is to have. */
static void
alter_default(Diff *diff, const char *table, const NbmColumnPair *pair)
{
	const char *from = lifts_default(pair) ? NULL : default_of(pair->moved);
	const char *to = default_of(pair->new);
	const char *name = pair->new->name;

	if (!nbm_same_string(from, to))
		add_on(diff, to ? "set_default" : "drop_default", table, "column",
			   name, nbm_default_sql(diff->schema, table, name, to),
			   nbm_default_sql(diff->schema, table, name, from));
}

/* Lets a column be null, or not. */
static void
alter_nullable(Diff *diff, const char *table, const NbmColumnPair *pair)
{
	const char *head = psprintf("ALTER TABLE %s ALTER COLUMN %s",
								nbm_table_in(diff->schema, table),
								quote_identifier(pair->new->name));
	char	   *set = psprintf("%s SET NOT NULL;", head);
	char	   *drop = psprintf("%s DROP NOT NULL;", head);
	bool		nullable = pair->new->nullable;

	if (pair->moved->nullable == nullable)
		return;
	add_on(diff, nullable ? "drop_not_null" : "set_not_null", table, "column",
		   pair->new->name, nullable ? drop : set,
		   nullable ? set : drop)->destructive = !nullable;
}

/* Gives a column the identity that it is to have. */
static void
alter_numbering(Diff *diff, const char *table, const NbmColumnPair *pair)
{
	NbmNumbering from = pair->moved->numbering;
	NbmNumbering to = pair->new->numbering;
	const char *head = psprintf("ALTER TABLE %s ALTER COLUMN %s SET GENERATED",
								nbm_table_in(diff->schema, table),
								quote_identifier(pair->new->name));

	if (from == to || to == NBM_NOT_NUMBERED)
		return;
	if (from == NBM_NOT_NUMBERED || from == NBM_SERIAL || to == NBM_SERIAL)
		add_on(diff, "add_identity", table, "column", pair->new->name,
			   nbm_add_numbering_sql(diff->schema, table, pair->new),
			   nbm_drop_numbering_sql(diff->schema, table, pair->new));
	else
		add_on(diff, "set_identity", table, "column", pair->new->name,
			   psprintf("%s %s;", head, to == NBM_ALWAYS ? "ALWAYS" : "BY DEFAULT"),
			   psprintf("%s %s;", head, from == NBM_ALWAYS ? "ALWAYS" : "BY DEFAULT"));
}

/* Alters a column that stays. */
static void
alter_column(Diff *diff, const char *table, const NbmColumnPair *pair)
{
	alter_before(diff, table, pair);
	if (nbm_type_changes(pair))
		add_on(diff, "alter_type", table, "column", pair->new->name,
			   nbm_type_sql(diff->schema, table, pair->moved, pair->new),
			   nbm_type_sql(diff->schema, table, pair->new, pair->moved))->destructive =
			nbm_loses_values(pair->moved, pair->new);
	alter_default(diff, table, pair);
	alter_nullable(diff, table, pair);
	alter_numbering(diff, table, pair);
}

/* Adds a column. */
static void
add_column(Diff *diff, const char *table, const NbmColumn *column)
{
	add_on(diff, "add_column", table, "column", column->name,
		   nbm_add_column_sql(diff->schema, table, column),
		   nbm_drop_column_sql(diff->schema, table, column->name))->destructive =
		!column->nullable && column->expression == NULL &&
		column->numbering == NBM_NOT_NUMBERED;
}

/* Is a column one to be added, or added again? */
static bool
is_added(const NbmColumnPair *pair)
{
	return pair->new != NULL &&
		(pair->old == NULL || pair->change == NBM_REPLACED);
}

/* Adds and alters the columns of a table; those that others generate last. */
static void
change_columns(Diff *diff, const NbmTablePair *table)
{
	const char *name = table->new->name;
	ListCell   *cell;

	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (is_added(pair) && !pair->new->is_generated)
			add_column(diff, name, pair->new);
	}
	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (pair->old != NULL && pair->new != NULL &&
			pair->change != NBM_REPLACED)
			alter_column(diff, name, pair);
	}
	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (is_added(pair) && pair->new->is_generated)
			add_column(diff, name, pair->new);
	}
}

/* Adds foreign keys, or the other keys, of tables that stay. */
static void
add_keys(Diff *diff, const NbmTablePair *table, bool foreign)
{
	ListCell   *cell;

	foreach(cell, table->keys)
	{
		NbmKeyPair *pair = lfirst(cell);

		if (pair->new != NULL && (pair->old == NULL || pair->is_anew) &&
			(pair->new->kind == NBM_KEY_FOREIGN) == foreign)
			add_key(diff, table->new->name, pair->new);
	}
}

/* Comments on a part of a table, or on the table itself. */
static void
comment_on(Diff *diff, const char *table, const char *part, const char *name,
		   char *up, char *down)
{
	add_on(diff, "set_comment", table, part, name, up, down);
}

/* Sets the comments of what stays. */
static void
change_comments(Diff *diff, const NbmTablePair *table)
{
	const char *schema = diff->schema;
	const char *name = table->new->name;
	ListCell   *cell;

	if (!nbm_same_string(table->moved->comment, table->new->comment))
		comment_on(diff, name, NULL, NULL,
				   nbm_table_comment_sql(schema, name, table->new->comment),
				   nbm_table_comment_sql(schema, name, table->moved->comment));
	foreach(cell, table->columns)
	{
		NbmColumnPair *pair = lfirst(cell);

		if (pair->old != NULL && pair->new != NULL &&
			pair->change != NBM_REPLACED &&
			!nbm_same_string(pair->moved->comment, pair->new->comment))
			comment_on(diff, name, "column", pair->new->name,
					   nbm_column_comment_sql(schema, name, pair->new->name,
											  pair->new->comment),
					   nbm_column_comment_sql(schema, name, pair->new->name,
											  pair->moved->comment));
	}
	foreach(cell, table->keys)
	{
		NbmKeyPair *pair = lfirst(cell);

		if (pair->old != NULL && pair->new != NULL && !pair->is_anew &&
			!nbm_same_string(pair->moved->comment, pair->new->comment))
			comment_on(diff, name, part_of(pair->new), pair->new->name,
					   nbm_key_comment_sql(schema, name, pair->new,
										   pair->new->comment),
					   nbm_key_comment_sql(schema, name, pair->new,
										   pair->moved->comment));
	}
}

/* Adds the foreign keys of tables that stay and of new ones. */
static void
add_foreign_keys(Diff *diff)
{
	ListCell   *cell;

	foreach(cell, diff->tables)
	{
		NbmTablePair *table = lfirst(cell);
		ListCell   *key;

		if (table->old != NULL && table->new != NULL)
			add_keys(diff, table, true);
		if (table->old != NULL)
			continue;
		foreach(key, table->new->keys)
		{
			if (((NbmKey *) lfirst(key))->kind == NBM_KEY_FOREIGN)
				add_key(diff, table->new->name, lfirst(key));
		}
	}
}

/*
 * The operations that make one schema of another: a list of NbmOperation in
 * the current context.  They work in the schema of before, whatever the other
 * one is called.  Raises 22023 for renames that fit neither.
 */
List *
nbm_schema_diff(const NbmDescription *before, const NbmDescription *after,
				const List *renames)
{
	Diff		diff = {before->name, NIL, NIL};
	ListCell   *cell;

	diff.tables = nbm_pair_tables(before, nbm_renamed(before, after, renames),
								  after);
	drop_keys(&diff, true);
	drop_keys(&diff, false);
	drop_columns_and_tables(&diff);
	rename_all(&diff);
	create_tables(&diff);
	foreach(cell, diff.tables)
	{
		if (((NbmTablePair *) lfirst(cell))->columns != NIL)
			change_columns(&diff, lfirst(cell));
	}
	foreach(cell, diff.tables)
		add_keys(&diff, lfirst(cell), false);
	foreach(cell, diff.tables)
	{
		NbmTablePair *table = lfirst(cell);

		if (table->old != NULL && table->new != NULL)
			change_comments(&diff, table);
	}
	add_foreign_keys(&diff);
	return diff.operations;
}

/* Raises as notices what people are to know of operations. */
void
nbm_operation_notices(const List *operations)
{
	ListCell   *cell;

	foreach(cell, operations)
	{
		NbmOperation *operation = lfirst(cell);

		if (operation->note != NULL && operation->name == NULL)
			ereport(NOTICE,
					(errmsg("dropping table \"%s\" %s", operation->table,
							operation->note)));
		else if (operation->note != NULL)
			ereport(NOTICE,
					(errmsg("dropping column \"%s\" of table \"%s\" %s",
							operation->name, operation->table,
							operation->note)));
	}
}

/* An operation as a document. */
Jsonb *
nbm_operation_jsonb(const NbmOperation *operation)
{
	NbmMembers	members = {.count = 0};

	nbm_member_text(&members, "operation", nbm_text(operation->kind));
	nbm_member_text(&members, "table", nbm_text(operation->table));
	if (operation->part != NULL)
		nbm_member_text(&members, operation->part, nbm_text(operation->name));
	if (operation->to != NULL)
		nbm_member_text(&members, "to", nbm_text(operation->to));
	if (operation->note != NULL)
		nbm_member_text(&members, "note", nbm_text(operation->note));
	return nbm_object_of(&members);
}
