/*
 * rewrites.c
 *		What ALTER TABLE must do with the rows that are there.
 *
 * The answers are the server's own, reached as tablecmds.c reaches them, but
 * from the catalogs alone: no table is opened and nobody's function is called,
 * as simplifying an expression would call an immutable one of its author's with
 * the rights of whoever asks.  What cannot be known so, or before the script
 * has run, such as a type that it creates, counts as the worst.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "node_walk.h"
#include "rewrites.h"

/* The type that a name means, and its modifier; 0 where there is none. */
static Oid
find_type(const TypeName *name, int32 *typmod)
{
	Type		type = LookupTypeNameExtended(NULL, name, typmod, true, true);
	Oid			oid;

	if (type == NULL)
		return InvalidOid;
	oid = ((Form_pg_type) GETSTRUCT(type))->oid;
	ReleaseSysCache(type);
	return oid;
}

/* Is there a volatile function of that name, or none at all? */
static bool
may_be_volatile(const FuncCall *call)
{
	FuncCandidateList candidate = FuncnameGetCandidates(call->funcname,
														list_length(call->args),
														NIL, true, true, false,
														true);

	if (candidate == NULL)
		return true;
	for (; candidate != NULL; candidate = candidate->next)
	{
		if (OidIsValid(candidate->oid) &&
			func_volatile(candidate->oid) == PROVOLATILE_VOLATILE)
			return true;
	}
	return false;
}

/* Does an expression call a function that may be volatile? */
static bool
calls_volatile(Node *node, void *context)
{
	if (node == NULL || IsA(node, SubLink))
		return false;			/* no default has a query */
	if (IsA(node, FuncCall) && may_be_volatile((FuncCall *) node))
		return true;
	return raw_expression_tree_walker(node, calls_volatile, context);
}

/* Is it one of the names that stand for a sequence? */
bool
nbm_is_serial(const TypeName *type)
{
	static const char *const names[] = {
		"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"
	};

	if (list_length(type->names) != 1)
		return false;
	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(strVal(linitial(type->names)), names[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Why ADD COLUMN must write all rows anew; NULL where a value in the catalogs
 * is enough.
 */
const char *
nbm_why_added_rewrites(const ColumnDef *column)
{
	int32		typmod;
	Oid			type;
	ListCell   *cell;

	if (nbm_is_serial(column->typeName))
		return "its default is a sequence";
	foreach(cell, column->constraints)
	{
		const Constraint *constraint = lfirst(cell);

		if (constraint->contype == CONSTR_IDENTITY)
			return "it is an identity";
		if (constraint->contype == CONSTR_GENERATED &&
			nbm_is_stored(constraint))
			return "it is generated";
		if (constraint->contype == CONSTR_DEFAULT &&
			calls_volatile(constraint->raw_expr, NULL))
			return "its default is volatile";
	}
	type = find_type(column->typeName, &typmod);
	if (OidIsValid(type) && DomainHasConstraints(type))
		return "its type is a domain with constraints";
	return NULL;
}

/* Is it a column's name and no more? */
static bool
is_column(const Node *node, const char *name)
{
	const ColumnRef *ref = (const ColumnRef *) node;

	return IsA(node, ColumnRef) && list_length(ref->fields) == 1 &&
		IsA(linitial(ref->fields), String) &&
		strcmp(strVal(linitial(ref->fields)), name) == 0;
}

/* Does an expression over a column yield other bytes than the column has? */
static bool
makes_other_bytes(Node *expr, AttrNumber attnum)
{
	while (!IsA(expr, Var) || ((Var *) expr)->varattno != attnum)
	{
		if (IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		else if (IsA(expr, CoerceToDomain) &&
				 !DomainHasConstraints(((CoerceToDomain *) expr)->resulttype))
			expr = (Node *) ((CoerceToDomain *) expr)->arg;
		else if (IsA(expr, FuncExpr) &&
				 (((FuncExpr *) expr)->funcid == F_TIMESTAMPTZ_TIMESTAMP ||
				  ((FuncExpr *) expr)->funcid == F_TIMESTAMP_TIMESTAMPTZ) &&
				 !TimestampTimestampTzRequiresRewrite())
			expr = linitial(((FuncExpr *) expr)->args);
		else
			return true;
	}
	return false;
}

/* The value cast to a type; NULL where there is no such type or cast. */
static Node *
cast_to(Node *value, const TypeName *name, CoercionContext context)
{
	int32		typmod;
	Oid			type = find_type(name, &typmod);

	if (value == NULL || !OidIsValid(type))
		return NULL;
	return coerce_to_target_type(NULL, value, exprType(value), type, typmod,
								 context, COERCE_IMPLICIT_CAST, -1);
}

/* Is a function none of the server's own? */
static bool
is_foreign(Oid function, void *context)
{
	return function >= FirstNormalObjectId;
}

/* Does an expression call such a one? */
static bool
calls_foreign(Node *node, void *context)
{
	return node != NULL &&
		(check_functions_in_node(node, is_foreign, context) ||
		 expression_tree_walker(node, calls_foreign, context));
}

/* Does ALTER COLUMN TYPE write all rows anew?  relid 0: it may. */
bool
nbm_retyping_rewrites(Oid relid, const char *name, const ColumnDef *column)
{
	AttrNumber	attnum = OidIsValid(relid) ? get_attnum(relid, name) : 0;
	const Node *using = column->raw_default;
	Oid			type;
	int32		typmod;
	Oid			collation;
	Node	   *value;

	if (attnum <= 0)
		return true;
	get_atttypetypmodcoll(relid, attnum, &type, &typmod, &collation);
	value = (Node *) makeVar(1, attnum, type, typmod, collation, 0);
	if (using != NULL && IsA(using, TypeCast) &&
		is_column(((const TypeCast *) using)->arg, name))
		value = cast_to(value, ((const TypeCast *) using)->typeName,
						COERCION_EXPLICIT);
	else if (using != NULL && !is_column(using, name))
		return true;
	value = cast_to(value, column->typeName, COERCION_ASSIGNMENT);
	return value == NULL || calls_foreign(value, NULL) ||
		makes_other_bytes((Node *) expression_planner((Expr *) value), attnum);
}

/* What the valid checks of a table say together, as a list of conditions. */
static List *
valid_checks(Oid relid)
{
	Relation	relation = table_open(ConstraintRelationId, AccessShareLock);
	List	   *conditions = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(relation, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &key);
	while ((row = systable_getnext(scan)) != NULL)
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(row);
		bool		is_null;
		Datum		source;
		Node	   *check;

		if (form->contype != CONSTRAINT_CHECK || !form->convalidated)
			continue;
		source = heap_getattr(row, Anum_pg_constraint_conbin,
							  RelationGetDescr(relation), &is_null);
		if (is_null)
			continue;
		check = stringToNode(TextDatumGetCString(source));
		if (!calls_foreign(check, NULL))
			check = eval_const_expressions(NULL, check);
		check = (Node *) canonicalize_qual((Expr *) check, true);
		conditions = list_concat(conditions,
								 make_ands_implicit((Expr *) check));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return conditions;
}

/* Does the server know already that a column has no nulls? */
bool
nbm_is_not_null(Oid relid, const char *name)
{
	HeapTuple	row = SearchSysCacheAttName(relid, name);
	NullTest   *test = makeNode(NullTest);
	Form_pg_attribute form;
	bool		is_marked;

	if (!HeapTupleIsValid(row))
		return false;
	form = (Form_pg_attribute) GETSTRUCT(row);
	is_marked = form->attnotnull;
	test->arg = (Expr *) makeVar(1, form->attnum, form->atttypid,
								 form->atttypmod, form->attcollation, 0);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	ReleaseSysCache(row);
	return is_marked ||
		predicate_implied_by(list_make1(test), valid_checks(relid), true);
}
