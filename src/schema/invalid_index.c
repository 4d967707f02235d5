/*
 * invalid_index.c
 *		The invalid index that a statement left, or would rest content with.
 *
 * CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY leave an invalid index
 * where they fail, which IF NOT EXISTS then takes for the one that it was to
 * make.  It is found by the name that the statement gives, or that the server
 * gives where the statement does not, and for REINDEX by those that it works
 * under.  Names are looked up as the caller sees them, but without his rights:
 * a statement may have failed for lack of them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_target.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "invalid_index.h"
#include "schema_script.h"
#include "settings.h"

/* Which indexes a statement may have left: those for which all this holds. */
typedef struct Search
{
	Oid			table;			/* on this table; 0: on any */
	Oid			schema;			/* in this schema; 0: in any */
	const char *names[2];		/* whose names begin so, or so; none: any */
} Search;

/*
 * The one statement of a text, as it is parsed; NULL where it cannot be, or
 * there are several.
 */
static Node *
parse_one(const char *script)
{
	MemoryContext outer = CurrentMemoryContext;
	List	   *volatile statements = NIL;
	int			level = NewGUCNestLevel();

	nbm_setting_pin_strings();
	PG_TRY();
	{
		statements = raw_parser(script, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		/* The parser holds nothing but memory, and cannot be cancelled. */
		MemoryContextSwitchTo(outer);
		FlushErrorState();
	}
	PG_END_TRY();
	AtEOXact_GUC(false, level);
	if (list_length(statements) != 1)
		return NULL;
	return linitial_node(RawStmt, statements)->stmt;
}

/* The relation of a name, or 0: no rights are asked for. */
static Oid
find_relation(const RangeVar *name)
{
	Oid			schema;

	if (name->schemaname == NULL)
		return RelnameGetRelid(name->relname);
	schema = get_namespace_oid(name->schemaname, true);
	return OidIsValid(schema) ? get_relname_relid(name->relname, schema) :
		InvalidOid;
}

/*
 * Is an index there, but of no use?  One of a partitioned table that waits for
 * those of the partitions is as it should be.
 */
static bool
is_invalid(Form_pg_index row)
{
	return (!row->indisvalid || !row->indisready) &&
		get_rel_relkind(row->indexrelid) == RELKIND_INDEX;
}

/* The index itself if it is invalid, else 0. */
static Oid
if_invalid(Oid index)
{
	HeapTuple	row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		is_one;

	if (!HeapTupleIsValid(row))
		return InvalidOid;
	is_one = is_invalid((Form_pg_index) GETSTRUCT(row));
	ReleaseSysCache(row);
	return is_one ? index : InvalidOid;
}

/* Does an index have one of the names that are looked for? */
static bool
has_name(Oid index, const Search *search)
{
	const char *name;

	if (search->names[0] == NULL)
		return true;
	name = get_rel_name(index);
	for (int i = 0; name != NULL && i < lengthof(search->names); i++)
		if (search->names[i] != NULL &&
			strncmp(name, search->names[i], strlen(search->names[i])) == 0)
			return true;
	return false;
}

/* The newest invalid index of those that are looked for, or 0. */
static Oid
find_invalid(const Search *search)
{
	Relation	indexes = table_open(IndexRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	Oid			newest = InvalidOid;

	ScanKeyInit(&key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(search->table));
	scan = systable_beginscan(indexes, IndexIndrelidIndexId,
							  OidIsValid(search->table), NULL,
							  OidIsValid(search->table) ? 1 : 0, &key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_index index = (Form_pg_index) GETSTRUCT(row);

		CHECK_FOR_INTERRUPTS();
		if (index->indexrelid > newest && is_invalid(index) &&
			(!OidIsValid(search->schema) ||
			 get_rel_namespace(index->indexrelid) == search->schema) &&
			has_name(index->indexrelid, search))
			newest = index->indexrelid;
	}
	systable_endscan(scan);
	table_close(indexes, AccessShareLock);
	return newest;
}

/* The TOAST table of a table, or 0. */
static Oid
toast_table(Oid table)
{
	HeapTuple	row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	Oid			toast;

	if (!HeapTupleIsValid(row))
		return InvalidOid;
	toast = ((Form_pg_class) GETSTRUCT(row))->reltoastrelid;
	ReleaseSysCache(row);
	return toast;
}

/* What the server calls an index without a name, or how that begins. */
static char *
default_name(const IndexStmt *statement)
{
	List	   *columns = list_concat_copy(statement->indexParams,
										   statement->indexIncludingParams);
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, columns)
	{
		IndexElem  *column = lfirst_node(IndexElem, cell);
		const char *name = column->name;

		if (name == NULL)
			name = FigureIndexColname(column->expr);
		appendStringInfo(&names, "%s%s", names.len > 0 ? "_" : "",
						 name != NULL ? name : "expr");
	}
	return makeObjectName(statement->relation->relname, names.data, "idx");
}

/* The invalid index of CREATE INDEX, or 0. */
static Oid
invalid_of_create(const IndexStmt *statement)
{
	Search		search = {0};

	search.table = find_relation(statement->relation);
	if (!OidIsValid(search.table))
		return InvalidOid;
	if (statement->idxname != NULL)
		return if_invalid(get_relname_relid(statement->idxname,
											get_rel_namespace(search.table)));
	search.names[0] = default_name(statement);
	return find_invalid(&search);
}

/* The invalid index of REINDEX of an index: itself, or one in its place. */
static Oid
invalid_of_reindex(const RangeVar *name)
{
	Search		search = {0};
	Oid			index = find_relation(name);

	if (!OidIsValid(index))
		return InvalidOid;
	if (OidIsValid(if_invalid(index)))
		return index;
	search.table = IndexGetRelation(index, true);
	search.names[0] = makeObjectName(name->relname, NULL, "ccnew");
	search.names[1] = makeObjectName(name->relname, NULL, "ccold");
	return OidIsValid(search.table) ? find_invalid(&search) : InvalidOid;
}

/* The invalid index of any REINDEX, or 0. */
static Oid
invalid_of_any_reindex(const ReindexStmt *statement)
{
	Search		search = {0};
	Oid			found;

	switch (statement->kind)
	{
		case REINDEX_OBJECT_INDEX:
			return invalid_of_reindex(statement->relation);
		case REINDEX_OBJECT_TABLE:
			search.table = find_relation(statement->relation);
			if (!OidIsValid(search.table))
				return InvalidOid;
			found = find_invalid(&search);
			search.table = toast_table(search.table);
			if (OidIsValid(found) || !OidIsValid(search.table))
				return found;
			return find_invalid(&search);
		case REINDEX_OBJECT_SCHEMA:
			search.schema = get_namespace_oid(statement->name, true);
			return OidIsValid(search.schema) ? find_invalid(&search) :
				InvalidOid;
		default:
			return find_invalid(&search);
	}
}

/* The invalid index of DROP INDEX CONCURRENTLY, which takes one, or 0. */
static Oid
invalid_of_drop(const DropStmt *statement)
{
	if (statement->removeType != OBJECT_INDEX ||
		list_length(statement->objects) != 1)
		return InvalidOid;
	return if_invalid(find_relation(makeRangeVarFromNameList(linitial(statement->objects))));
}

/*
 * The index, as it is quoted, that is there but not valid after a statement
 * that failed, or that says IF NOT EXISTS; NULL where there is none.  Must be
 * called in a transaction.  Returns new memory of the current context.
 */
char *
nbm_invalid_index_of(const char *statement)
{
	Node	   *node = parse_one(statement);
	Oid			index = InvalidOid;

	if (node == NULL)
		return NULL;
	if (IsA(node, IndexStmt))
		index = invalid_of_create(castNode(IndexStmt, node));
	else if (IsA(node, ReindexStmt))
		index = invalid_of_any_reindex(castNode(ReindexStmt, node));
	else if (IsA(node, DropStmt))
		index = invalid_of_drop(castNode(DropStmt, node));
	if (!OidIsValid(index))
		return NULL;
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(index)),
									  get_rel_name(index));
}
