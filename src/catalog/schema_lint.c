/*
 * schema_lint.c
 *		What should be known of a script before it runs.
 *
 * The script is parsed, by the server's own parser, and not run.  Each
 * statement is held against the rules that docs/schema.md lists.  Whether a
 * table is big and what type a column has is looked up where the table exists;
 * of one that does not, what the statement says is all that counts.  A table
 * that the script itself creates has no rows and no readers, so nothing is
 * said of it.  What functions and DO blocks do cannot be seen.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "rewrites.h"
#include "schema_lint.h"
#include "script_names.h"
#include "settings.h"

int			nbm_schema_big_table;

/* A script that is being looked at. */
typedef struct Lint
{
	const char *script;
	int			statement;		/* the one at hand, from 1 */
	int			statements;
	NbmScriptNames names;
	List	   *columns;		/* added by the script, as "table.column" */
	List	   *unvalidated;	/* constraints that it adds NOT VALID,
								 * likewise */
	List	   *findings;
} Lint;

/* A table that ALTER TABLE changes, and how. */
typedef struct Altered
{
	NbmScriptRelation table;
	const AlterTableStmt *statement;
} Altered;

/* Adds a finding. */
static void
pg_attribute_printf(3, 4)
found(Lint *lint, const char *rule, const char *format,...)
{
	NbmFinding *finding = palloc_object(NbmFinding);
	StringInfoData message;
	int			needed;

	initStringInfo(&message);
	do
	{
		va_list		args;

		va_start(args, format);
		needed = appendStringInfoVA(&message, format, args);
		va_end(args);
		if (needed != 0)
			enlargeStringInfo(&message, needed);
	} while (needed != 0);
	finding->statement = lint->statement;
	finding->rule = rule;
	finding->message = message.data;
	lint->findings = lappend(lint->findings, finding);
}

/* "table.column", for the lists of what the script added. */
static char *
part_key(const char *table, const char *part)
{
	return psprintf("%s.%s", table, quote_identifier(part));
}

/* Is a string in a list? */
static bool
has_string(const List *list, const char *string)
{
	ListCell   *cell;

	foreach(cell, list)
	{
		if (strcmp(lfirst(cell), string) == 0)
			return true;
	}
	return false;
}

/* Is an option of a statement given, and not switched off? */
static bool
is_option_on(const List *options, const char *name)
{
	bool		is_on = false;
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, name) == 0)
			is_on = defGetBoolean(option);
	}
	return is_on;
}

/* Does a relation hold rows: a table or a materialized view? */
static bool
holds_rows(char relkind)
{
	return relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW ||
		relkind == RELKIND_PARTITIONED_TABLE;
}

/* Tells of ACCESS EXCLUSIVE on a relation, where it is big. */
static void
lock_relation(Lint *lint, const NbmScriptRelation *relation)
{
	double		rows;

	if (!holds_rows(relation->relkind))
		return;
	rows = nbm_relation_rows(relation->relid);
	if (rows >= nbm_schema_big_table)
		found(lint, "access-exclusive",
			  "locks %s, which has about %.0f rows, against reading and writing until the migration ends",
			  relation->shown, rows);
}

/* The same, by name. */
static void
lock_named(Lint *lint, const RangeVar *name)
{
	NbmScriptRelation relation;

	nbm_sql_name_find(&lint->names, name, &relation);
	lock_relation(lint, &relation);
}

/* The same for a list of names. */
static void
lock_all_named(Lint *lint, const List *names)
{
	ListCell   *cell;

	foreach(cell, names)
		lock_named(lint, lfirst(cell));
}

/*
 * Tells of a statement that no transaction takes, where others stand beside
 * it: alone it can be registered with transactional => false.
 */
static void
outside_transactions(Lint *lint, const char *what)
{
	if (lint->statements > 1)
		found(lint, "not-in-transaction",
			  "%s cannot run in a transaction, so it must be a migration of its own, with transactional => false",
			  what);
}

/* Tells of an index that is built while writers wait. */
static void
builds_index(Lint *lint, const Altered *altered, const Constraint *constraint)
{
	bool		is_primary = constraint->contype == CONSTR_PRIMARY;

	if (constraint->indexname == NULL)
		found(lint, "missing-concurrently",
			  "builds the index of a %s constraint while %s is locked; create it with CREATE UNIQUE INDEX CONCURRENTLY, then add the constraint USING INDEX",
			  is_primary ? "PRIMARY KEY" : "UNIQUE", altered->table.shown);
}

/* Tells of a constraint that reads all rows to see whether they comply. */
static void
checks_rows(Lint *lint, const Altered *altered, const Constraint *constraint)
{
	const char *what = constraint->contype == CONSTR_FOREIGN ? "FOREIGN KEY" :
	"CHECK";

	if (!constraint->skip_validation)
		found(lint, "missing-not-valid",
			  "checks all rows of %s for a %s constraint under its lock; add it NOT VALID, and validate it in the next migration",
			  altered->table.shown, what);
	else if (constraint->conname != NULL)
		lint->unvalidated = lappend(lint->unvalidated,
									part_key(altered->table.shown,
											 constraint->conname));
}

/* Tells of SET NOT NULL, unless the server knows that there are no nulls. */
static void
sets_not_null(Lint *lint, const Altered *altered, const char *column)
{
	if (OidIsValid(altered->table.relid) &&
		nbm_is_not_null(altered->table.relid, column))
		return;
	found(lint, "not-null-scan",
		  "reads all rows of %s for nulls in %s under its lock; a valid CHECK (%s IS NOT NULL) spares that",
		  altered->table.shown, quote_identifier(column),
		  quote_identifier(column));
}

/* ALTER TABLE … ADD constraint. */
static void
add_constraint(Lint *lint, const Altered *altered,
			   const Constraint *constraint)
{
	ListCell   *cell;

	if (constraint->contype == CONSTR_PRIMARY ||
		constraint->contype == CONSTR_UNIQUE)
		builds_index(lint, altered, constraint);
	else if (constraint->contype == CONSTR_CHECK ||
			 constraint->contype == CONSTR_FOREIGN)
		checks_rows(lint, altered, constraint);
	else if (constraint->contype == CONSTR_NOTNULL &&
			 !constraint->skip_validation)
		foreach(cell, constraint->keys)
			sets_not_null(lint, altered, strVal(lfirst(cell)));
}

/* ALTER TABLE … ADD COLUMN. */
static void
add_column(Lint *lint, const Altered *altered, const ColumnDef *column)
{
	const char *table = altered->table.shown;
	const char *why = nbm_why_added_rewrites(column);
	bool		is_not_null = false;
	bool		has_default = nbm_is_serial(column->typeName);
	ListCell   *cell;

	foreach(cell, column->constraints)
	{
		const Constraint *constraint = lfirst(cell);

		if (constraint->contype == CONSTR_NOTNULL ||
			constraint->contype == CONSTR_PRIMARY)
			is_not_null = true;
		if (constraint->contype == CONSTR_DEFAULT ||
			constraint->contype == CONSTR_IDENTITY ||
			constraint->contype == CONSTR_GENERATED)
			has_default = true;
	}
	if (why != NULL)
		found(lint, "table-rewrite", "writes all rows of %s anew to add column %s: %s",
			  table, quote_identifier(column->colname), why);
	if (is_not_null && !has_default)
		found(lint, "not-null-without-default",
			  "adds column %s to %s with NOT NULL and no default, which fails where there are rows",
			  quote_identifier(column->colname), table);
	foreach(cell, column->constraints)
	{
		const Constraint *constraint = lfirst(cell);

		/* the nulls of a new column refer to nothing, and need no look */
		if (constraint->contype != CONSTR_NOTNULL &&
			(constraint->contype != CONSTR_FOREIGN || has_default))
			add_constraint(lint, altered, constraint);
	}
	lint->columns = lappend(lint->columns, part_key(table, column->colname));
}

/* ALTER TABLE … DROP COLUMN, or a type's attribute. */
static void
drop_column(Lint *lint, const Altered *altered, const AlterTableCmd *command)
{
	bool		is_there = OidIsValid(altered->table.relid) &&
	get_attnum(altered->table.relid, command->name) != 0;

	if (has_string(lint->columns,
				   part_key(altered->table.shown, command->name)) ||
		(command->missing_ok && !is_there))
		return;
	found(lint, "drop-column",
		  "drops column %s of %s and all that is in it",
		  quote_identifier(command->name), altered->table.shown);
}

/* ALTER TABLE … ALTER COLUMN … TYPE. */
static void
retype_column(Lint *lint, const Altered *altered, const AlterTableCmd *command)
{
	if (nbm_retyping_rewrites(altered->table.relid, command->name,
							  (const ColumnDef *) command->def))
		found(lint, "table-rewrite",
			  "writes all rows of %s anew to give column %s another type",
			  altered->table.shown, quote_identifier(command->name));
}

/* ALTER TABLE … SET LOGGED or UNLOGGED. */
static void
set_persistence(Lint *lint, const Altered *altered, char persistence)
{
	if (!OidIsValid(altered->table.relid) ||
		get_rel_persistence(altered->table.relid) != persistence)
		found(lint, "table-rewrite", "writes all rows of %s anew to make it %s",
			  altered->table.shown,
			  persistence == RELPERSISTENCE_PERMANENT ? "logged" : "unlogged");
}

/* ALTER TABLE … ATTACH or DETACH PARTITION. */
static void
change_partition(Lint *lint, const Altered *altered,
				 const AlterTableCmd *command)
{
	const PartitionCmd *partition = (const PartitionCmd *) command->def;

	if (command->subtype == AT_AttachPartition)
		lock_named(lint, partition->name);
	else if (partition->concurrent)
		outside_transactions(lint, "DETACH PARTITION CONCURRENTLY");
	else
		found(lint, "missing-concurrently",
			  "detaches a partition of %s under its lock; DETACH PARTITION ... CONCURRENTLY lets others go on",
			  altered->table.shown);
}

/* One command of ALTER TABLE on a table with rows. */
static void
alter_command(Lint *lint, const Altered *altered,
			  const AlterTableCmd *command)
{
	const char *table = altered->table.shown;

	switch ((int) command->subtype)
	{
		case AT_AddColumn:
			add_column(lint, altered, (const ColumnDef *) command->def);
			break;
		case AT_DropColumn:
			drop_column(lint, altered, command);
			break;
		case AT_AlterColumnType:
			retype_column(lint, altered, command);
			break;
		case AT_AddConstraint:
			add_constraint(lint, altered, (const Constraint *) command->def);
			break;
		case AT_ValidateConstraint:
			if (has_string(lint->unvalidated, part_key(table, command->name)))
				found(lint, "missing-not-valid",
					  "validates constraint %s of %s in the migration that adds it, whose lock still holds; do that in the next one",
					  quote_identifier(command->name), table);
			break;
		case AT_SetNotNull:
			if (!has_string(lint->columns, part_key(table, command->name)))
				sets_not_null(lint, altered, command->name);
			break;
		case AT_SetLogged:
			set_persistence(lint, altered, RELPERSISTENCE_PERMANENT);
			break;
		case AT_SetUnLogged:
			set_persistence(lint, altered, RELPERSISTENCE_UNLOGGED);
			break;
		case AT_SetAccessMethod:
			found(lint, "table-rewrite",
				  "writes all rows of %s anew for another access method", table);
			break;
		case AT_SetTableSpace:
			found(lint, "table-rewrite", "copies %s to another tablespace", table);
			break;
		case NBM_AT_SET_EXPRESSION:
			found(lint, "table-rewrite",
				  "writes all rows of %s anew for another expression of column %s",
				  table, quote_identifier(command->name));
			break;
		case AT_AttachPartition:
		case AT_DetachPartition:
			change_partition(lint, altered, command);
			break;
		default:
			break;
	}
}

/* ALTER TABLE, and of other kinds what drops an attribute. */
static void
alter_table(Lint *lint, const AlterTableStmt *statement)
{
	Altered		altered = {.statement = statement};
	ListCell   *cell;
	bool		has_rows;

	nbm_sql_name_find(&lint->names, statement->relation, &altered.table);
	if (altered.table.is_new ||
		(statement->missing_ok && !OidIsValid(altered.table.relid)))
		return;
	has_rows = (statement->objtype == OBJECT_TABLE ||
				statement->objtype == OBJECT_MATVIEW) &&
		(altered.table.relkind == 0 || holds_rows(altered.table.relkind));
	if (has_rows &&
		AlterTableGetLockLevel(statement->cmds) == AccessExclusiveLock)
		lock_relation(lint, &altered.table);
	foreach(cell, statement->cmds)
	{
		const AlterTableCmd *command = lfirst(cell);

		if (has_rows)
			alter_command(lint, &altered, command);
		else if (command->subtype == AT_DropColumn)
			drop_column(lint, &altered, command);
	}
}

/* CREATE INDEX. */
static void
create_index(Lint *lint, const IndexStmt *statement)
{
	NbmScriptRelation table;

	nbm_sql_name_find(&lint->names, statement->relation, &table);
	if (statement->concurrent)
		outside_transactions(lint, "CREATE INDEX CONCURRENTLY");
	else if (!table.is_new && table.relkind == RELKIND_PARTITIONED_TABLE)
	{
		if (statement->relation->inh)
			found(lint, "missing-concurrently",
				  "builds indexes of all partitions of %s while writers wait; create it ON ONLY %s, those of the partitions CONCURRENTLY, and attach them",
				  table.shown, table.shown);
	}
	else if (!table.is_new)
		found(lint, "missing-concurrently",
			  "builds an index of %s while writers wait; CREATE INDEX CONCURRENTLY lets them go on",
			  table.shown);
	if (statement->idxname != NULL)
	{
		RangeVar	name = *statement->relation;

		name.relname = statement->idxname;
		nbm_sql_name_create(&lint->names, &name);
	}
}

/* DROP INDEX, of one index. */
static void
drop_index(Lint *lint, const DropStmt *statement, const RangeVar *name)
{
	NbmScriptRelation index;
	NbmScriptRelation table = {0};

	nbm_sql_name_find(&lint->names, name, &index);
	nbm_sql_name_drop(&lint->names, name);
	if (index.is_new || statement->concurrent ||
		index.relkind == RELKIND_PARTITIONED_INDEX ||
		(statement->missing_ok && !OidIsValid(index.relid)))
		return;
	found(lint, "missing-concurrently",
		  "drops index %s while its table is locked; DROP INDEX CONCURRENTLY lets others go on",
		  index.shown);
	if (index.relkind != RELKIND_INDEX)
		return;
	table.relid = IndexGetRelation(index.relid, true);
	if (!OidIsValid(table.relid))
		return;
	table.relkind = get_rel_relkind(table.relid);
	table.shown = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table.relid)),
											 get_rel_name(table.relid));
	lock_relation(lint, &table);
}

/* DROP TABLE, of one table. */
static void
drop_table(Lint *lint, const DropStmt *statement, const RangeVar *name)
{
	NbmScriptRelation table;

	nbm_sql_name_find(&lint->names, name, &table);
	nbm_sql_name_drop(&lint->names, name);
	if (table.is_new || (statement->missing_ok && !OidIsValid(table.relid)))
		return;
	lock_relation(lint, &table);
	if (statement->removeType == OBJECT_TABLE)
		found(lint, "drop-table", "drops table %s and all that is in it",
			  table.shown);
}

/* DROP TRIGGER, POLICY or RULE: "table.name", which locks the table. */
static void
drop_of_table(Lint *lint, List *names)
{
	List	   *table = list_copy_head(names, list_length(names) - 1);

	lock_named(lint, makeRangeVarFromNameList(table));
}

/* DROP … CASCADE of what columns and tables can hang on. */
static void
drop_cascading(Lint *lint, const DropStmt *statement)
{
	if (statement->behavior != DROP_CASCADE)
		return;
	if (statement->removeType == OBJECT_SCHEMA)
		found(lint, "drop-table",
			  "DROP SCHEMA ... CASCADE drops all tables of the schema and all that is in them");
	else if (statement->removeType == OBJECT_EXTENSION)
		found(lint, "drop-column",
			  "DROP EXTENSION ... CASCADE drops the columns of its types and all that is in them");
	else
		found(lint, "drop-column",
			  "DROP ... CASCADE of a type drops the columns that have it and all that is in them");
}

/* DROP of anything. */
static void
drop_objects(Lint *lint, const DropStmt *statement)
{
	ListCell   *cell;

	if (statement->concurrent)
		outside_transactions(lint, "DROP INDEX CONCURRENTLY");
	foreach(cell, statement->objects)
	{
		switch (statement->removeType)
		{
			case OBJECT_TABLE:
			case OBJECT_MATVIEW:
				drop_table(lint, statement, makeRangeVarFromNameList(lfirst(cell)));
				break;
			case OBJECT_INDEX:
				drop_index(lint, statement, makeRangeVarFromNameList(lfirst(cell)));
				break;
			case OBJECT_TRIGGER:
			case OBJECT_POLICY:
			case OBJECT_RULE:
				drop_of_table(lint, lfirst(cell));
				break;
			case OBJECT_SCHEMA:
			case OBJECT_EXTENSION:
			case OBJECT_TYPE:
			case OBJECT_DOMAIN:
				drop_cascading(lint, statement);
				return;
			default:
				return;
		}
	}
}

/* TRUNCATE. */
static void
truncate_tables(Lint *lint, const TruncateStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->relations)
	{
		NbmScriptRelation table;

		nbm_sql_name_find(&lint->names, lfirst(cell), &table);
		if (table.is_new)
			continue;
		lock_relation(lint, &table);
		found(lint, "truncate", "deletes all rows of %s", table.shown);
	}
}

/* Do programs name objects of that kind in their queries? */
static bool
is_named_in_queries(ObjectType type)
{
	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_FOREIGN_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_COLUMN:
		case OBJECT_ATTRIBUTE:
		case OBJECT_SCHEMA:
		case OBJECT_SEQUENCE:
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
		case OBJECT_FUNCTION:
		case OBJECT_PROCEDURE:
		case OBJECT_ROUTINE:
		case OBJECT_AGGREGATE:
			return true;
		default:
			return false;
	}
}

/* Is it an index, by whatever statement it is called something else? */
static bool
is_index(char relkind)
{
	return relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX;
}

/*
 * RENAME or SET SCHEMA of a relation, or of a part of it: new_name is the
 * relation's, or NULL for that of a part.
 */
static void
rename_relation(Lint *lint, const RangeVar *name, const RangeVar *new_name,
				bool is_in_queries, bool missing_ok)
{
	NbmScriptRelation relation;

	nbm_sql_name_find(&lint->names, name, &relation);
	if (new_name != NULL)
		nbm_sql_name_move(&lint->names, name, new_name);
	if (relation.is_new || is_index(relation.relkind) ||
		(missing_ok && !OidIsValid(relation.relid)))
		return;
	lock_relation(lint, &relation);
	if (is_in_queries)
		found(lint, "rename",
			  "what uses %s by its old name fails from then on",
			  new_name == NULL ? psprintf("a column of %s", relation.shown) :
			  relation.shown);
}

/* RENAME. */
static void
rename_object(Lint *lint, const RenameStmt *statement)
{
	bool		is_in_queries = is_named_in_queries(statement->renameType);
	bool		is_part = statement->subname != NULL;

	if (statement->relation != NULL &&
		(is_part || statement->renameType != OBJECT_INDEX))
	{
		RangeVar   *new_name = makeRangeVar(statement->relation->schemaname,
											statement->newname, -1);

		rename_relation(lint, statement->relation, is_part ? NULL : new_name,
						is_in_queries, statement->missing_ok);
	}
	else if (is_in_queries)
		found(lint, "rename",
			  "what uses the old name instead of %s fails from then on",
			  quote_identifier(statement->newname));
}

/* SET SCHEMA. */
static void
move_object(Lint *lint, const AlterObjectSchemaStmt *statement)
{
	if (statement->relation != NULL)
		rename_relation(lint, statement->relation,
						makeRangeVar(statement->newschema,
									 statement->relation->relname, -1),
						true, statement->missing_ok);
	else if (is_named_in_queries(statement->objectType))
		found(lint, "rename",
			  "what is moved to schema %s is not found by its old name from then on",
			  quote_identifier(statement->newschema));
}

/* CREATE TABLE; schema is that of a CREATE SCHEMA around it, or NULL. */
static void
create_table(Lint *lint, const CreateStmt *statement, char *schema)
{
	RangeVar	name = *statement->relation;
	NbmScriptRelation existing;

	if (name.schemaname == NULL)
		name.schemaname = schema;
	nbm_sql_name_find(&lint->names, &name, &existing);
	if (statement->if_not_exists && OidIsValid(existing.relid))
		return;
	nbm_sql_name_create(&lint->names, &name);
	if (statement->partbound != NULL)
		lock_all_named(lint, statement->inhRelations);
}

/* CREATE TABLE AS, CREATE MATERIALIZED VIEW, SELECT INTO. */
static void
create_table_as(Lint *lint, const IntoClause *into, bool if_not_exists)
{
	NbmScriptRelation existing;

	nbm_sql_name_find(&lint->names, into->rel, &existing);
	if (!if_not_exists || !OidIsValid(existing.relid))
		nbm_sql_name_create(&lint->names, into->rel);
}

/* CREATE SCHEMA, and the tables in it. */
static void
create_schema(Lint *lint, const CreateSchemaStmt *statement)
{
	char	   *schema = statement->schemaname;
	ListCell   *cell;

	if (schema == NULL && statement->authrole->roletype == ROLESPEC_CSTRING)
		schema = statement->authrole->rolename;
	if (schema == NULL)
		return;
	lint->names.schemas = lappend(lint->names.schemas, schema);
	foreach(cell, statement->schemaElts)
	{
		if (IsA(lfirst(cell), CreateStmt))
			create_table(lint, lfirst(cell), schema);
	}
}

/* REINDEX. */
static void
reindex(Lint *lint, const ReindexStmt *statement)
{
	NbmScriptRelation relation = {0};

	if (is_option_on(statement->params, "concurrently"))
	{
		outside_transactions(lint, "REINDEX CONCURRENTLY");
		return;
	}
	if (statement->relation == NULL)
	{
		outside_transactions(lint, "REINDEX of more than one table");
		return;
	}
	nbm_sql_name_find(&lint->names, statement->relation, &relation);
	if (!relation.is_new)
		found(lint, "missing-concurrently",
			  "builds %s anew while writers wait; REINDEX CONCURRENTLY lets them go on",
			  relation.shown);
}

/* Tells of a table that is written anew by VACUUM FULL or CLUSTER. */
static void
rewrite_table(Lint *lint, const RangeVar *name, const char *how)
{
	NbmScriptRelation table;

	nbm_sql_name_find(&lint->names, name, &table);
	if (table.is_new)
		return;
	lock_relation(lint, &table);
	found(lint, "table-rewrite", "%s writes all rows of %s anew", how,
		  table.shown);
}

/* VACUUM. */
static void
vacuum(Lint *lint, const VacuumStmt *statement)
{
	ListCell   *cell;

	if (!statement->is_vacuumcmd)
		return;
	outside_transactions(lint, "VACUUM");
	if (!is_option_on(statement->options, "full"))
		return;
	foreach(cell, statement->rels)
		rewrite_table(lint, ((VacuumRelation *) lfirst(cell))->relation,
					  "VACUUM FULL");
	if (statement->rels == NIL)
		found(lint, "table-rewrite",
			  "VACUUM FULL writes all tables of the database anew");
}

/* CLUSTER. */
static void
cluster(Lint *lint, const ClusterStmt *statement)
{
	if (statement->relation != NULL)
		rewrite_table(lint, statement->relation, "CLUSTER");
	else
	{
		outside_transactions(lint, "CLUSTER of all tables");
		found(lint, "table-rewrite",
			  "CLUSTER writes all tables anew that were clustered before");
	}
}

/* REFRESH MATERIALIZED VIEW. */
static void
refresh(Lint *lint, const RefreshMatViewStmt *statement)
{
	NbmScriptRelation view;

	nbm_sql_name_find(&lint->names, statement->relation, &view);
	if (view.is_new || statement->concurrent)
		return;
	lock_relation(lint, &view);
	found(lint, "missing-concurrently",
		  "refreshes %s while readers wait; REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index, lets them go on",
		  view.shown);
}

/* Statements that registration refuses, and those no transaction takes. */
static void
check_acceptable(Lint *lint, Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_TransactionStmt:
			found(lint, "transaction-control",
				  "a migration is a transaction already, or no transaction at all; leave the statement out");
			break;
		case T_CopyStmt:
			if (castNode(CopyStmt, statement)->filename == NULL)
				found(lint, "copy-client",
					  "COPY from or to the client needs one that sends or takes rows; write them as INSERT");
			break;
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_AlterSystemStmt:
			outside_transactions(lint, "the statement");
			break;
		default:
			break;
	}
}

/* What changes tables and their parts. */
static void
check_changes(Lint *lint, Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			alter_table(lint, castNode(AlterTableStmt, statement));
			break;
		case T_RenameStmt:
			rename_object(lint, castNode(RenameStmt, statement));
			break;
		case T_AlterObjectSchemaStmt:
			move_object(lint, castNode(AlterObjectSchemaStmt, statement));
			break;
		case T_AlterTableMoveAllStmt:
			found(lint, "table-rewrite",
				  "copies all that is in tablespace %s to another one",
				  quote_identifier(castNode(AlterTableMoveAllStmt,
											statement)->orig_tablespacename));
			break;
		case T_DropStmt:
			drop_objects(lint, castNode(DropStmt, statement));
			break;
		case T_DropOwnedStmt:
			found(lint, "drop-table",
				  "DROP OWNED drops all tables of the role and all that is in them");
			break;
		case T_TruncateStmt:
			truncate_tables(lint, castNode(TruncateStmt, statement));
			break;
		case T_CreatePolicyStmt:
			lock_named(lint, castNode(CreatePolicyStmt, statement)->table);
			break;
		case T_AlterPolicyStmt:
			lock_named(lint, castNode(AlterPolicyStmt, statement)->table);
			break;
		case T_RuleStmt:
			lock_named(lint, castNode(RuleStmt, statement)->relation);
			break;
		case T_LockStmt:
			if (castNode(LockStmt, statement)->mode == AccessExclusiveLock)
				lock_all_named(lint, castNode(LockStmt, statement)->relations);
			break;
		case T_ReindexStmt:
			reindex(lint, castNode(ReindexStmt, statement));
			break;
		case T_VacuumStmt:
			vacuum(lint, castNode(VacuumStmt, statement));
			break;
		case T_ClusterStmt:
			cluster(lint, castNode(ClusterStmt, statement));
			break;
		case T_RefreshMatViewStmt:
			refresh(lint, castNode(RefreshMatViewStmt, statement));
			break;
		default:
			break;
	}
}

/* The INTO of a query, which is its first SELECT's; NULL where there is none. */
static const IntoClause *
into_of(const SelectStmt *query)
{
	while (query->larg != NULL)
		query = query->larg;
	return query->intoClause;
}

/* What makes tables, and what makes names mean something else. */
static void
check_creations(Lint *lint, Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateStmt:
			create_table(lint, castNode(CreateStmt, statement), NULL);
			break;
		case T_CreateTableAsStmt:
			create_table_as(lint, castNode(CreateTableAsStmt, statement)->into,
							castNode(CreateTableAsStmt, statement)->if_not_exists);
			break;
		case T_SelectStmt:
			if (into_of(castNode(SelectStmt, statement)) != NULL)
				create_table_as(lint, into_of(castNode(SelectStmt, statement)),
								false);
			break;
		case T_CreateSchemaStmt:
			create_schema(lint, castNode(CreateSchemaStmt, statement));
			break;
		case T_IndexStmt:
			create_index(lint, castNode(IndexStmt, statement));
			break;
		case T_VariableSetStmt:
			nbm_sql_names_set_path(castNode(VariableSetStmt, statement));
			break;
		default:
			break;
	}
}

/* Is the character at a position, from 1, a backslash? */
static bool
is_backslash(const char *script, int position)
{
	while (--position > 0 && *script != '\0')
		script += pg_mblen(script);
	return *script == '\\';
}

/* Makes an error's position one in the script, not in the caller's query. */
static void
point_into_script(void *arg)
{
	const Lint *lint = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(lint->script);
		if (is_backslash(lint->script, position))
			errhint("Commands of psql are not SQL.");
	}
	else if (lint->statement > 0)
		errcontext("statement %d of the script", lint->statement);
}

/*
 * The findings of a script, as NbmFinding, in the order of its statements.
 * Raises 42601, with the position in the script, where it is no SQL.
 */
List *
nbm_schema_lint(const char *script)
{
	Lint		lint = {.script = script};
	ErrorContextCallback context = {
		.previous = error_context_stack,
		.callback = point_into_script,
		.arg = &lint
	};
	int			level = NewGUCNestLevel();	/* the script may set the path */
	List	   *statements;
	ListCell   *cell;

	/* strings mean what they will mean when the script runs */
	nbm_setting_pin_strings();
	error_context_stack = &context;
	statements = raw_parser(script, RAW_PARSE_DEFAULT);
	lint.statements = list_length(statements);
	foreach(cell, statements)
	{
		Node	   *statement = lfirst_node(RawStmt, cell)->stmt;

		CHECK_FOR_INTERRUPTS();
		lint.statement++;
		check_acceptable(&lint, statement);
		check_changes(&lint, statement);
		check_creations(&lint, statement);
	}
	error_context_stack = context.previous;
	AtEOXact_GUC(false, level);
	return lint.findings;
}
