/*
 * object_whole.c
 *		What an object of the catalogs is a part of, and its row and name.
 *
 * An object is what has a CREATE of its own.  A column's default, a constraint,
 * a row type or a view's rule are parts of one; toast tables, array types and
 * the triggers of foreign keys are nothing that anybody asked for.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "rewrite/rewriteSupport.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "object_whole.h"

/* Where a part names its whole. */
static const struct
{
	Oid			part;
	AttrNumber	column;
	Oid			whole;
}			owners[] =

{
	{AttrDefaultRelationId, Anum_pg_attrdef_adrelid, RelationRelationId},
	{ConstraintRelationId, Anum_pg_constraint_conrelid, RelationRelationId},
	{ConstraintRelationId, Anum_pg_constraint_contypid, TypeRelationId},
	{AccessMethodOperatorRelationId, Anum_pg_amop_amopfamily,
	OperatorFamilyRelationId},
	{AccessMethodProcedureRelationId, Anum_pg_amproc_amprocfamily,
	OperatorFamilyRelationId},
	{PublicationRelRelationId, Anum_pg_publication_rel_prpubid,
	PublicationRelationId},
	{PublicationNamespaceRelationId, Anum_pg_publication_namespace_pnpubid,
	PublicationRelationId},
};

/*
 * A copy of an object's row in the current context, or NULL; as a snapshot
 * sees it, or as it is now.
 */
HeapTuple
nbm_object_row(const ObjectAddress *object, Snapshot snapshot)
{
	Relation	catalog = table_open(object->classId, AccessShareLock);
	Oid			index = get_object_oid_index(object->classId);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&key, get_object_attnum_oid(object->classId),
				BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->objectId));
	scan = systable_beginscan(catalog, index, true, snapshot, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
		row = heap_copytuple(row);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return row;
}

/* A column of an object's row, which must be an OID; 0: there is none. */
static Oid
read_oid(const ObjectAddress *object, AttrNumber column)
{
	HeapTuple	row = nbm_object_row(object, NULL);
	Relation	catalog = table_open(object->classId, AccessShareLock);
	Datum		value = (Datum) 0;
	bool		is_null;

	if (HeapTupleIsValid(row))
		value = heap_getattr(row, column, RelationGetDescr(catalog), &is_null);
	table_close(catalog, AccessShareLock);
	return DatumGetObjectId(value);
}

/* What is told where something happens to a relation. */
static ObjectAddress
whole_of_relation(Oid relation)
{
	ObjectAddress whole = {RelationRelationId, relation, 0};
	char		relkind = get_rel_relkind(relation);
	Oid			table;
	int32		column;

	if (relkind == RELKIND_TOASTVALUE ||
		(relkind == RELKIND_INDEX &&
		 IsToastNamespace(get_rel_namespace(relation))))
		whole.classId = InvalidOid;
	else if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
	{
		if (OidIsValid(get_index_constraint(relation)))
			whole.objectId = IndexGetRelation(relation, true);
	}
	else if (relkind == RELKIND_SEQUENCE &&
			 sequenceIsOwned(relation, DEPENDENCY_INTERNAL, &table, &column))
		whole.objectId = table;
	return whole;
}

/* What is told where something happens to a type. */
static ObjectAddress
whole_of_type(Oid type)
{
	ObjectAddress whole = {TypeRelationId, type, 0};
	HeapTuple	row = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Form_pg_type form;

	if (!HeapTupleIsValid(row))
		return whole;
	form = (Form_pg_type) GETSTRUCT(row);
	if (OidIsValid(form->typrelid))
	{
		whole.classId = RelationRelationId;
		whole.objectId = form->typrelid;
	}
	else if (IsTrueArrayType(form) || form->typtype == TYPTYPE_MULTIRANGE)
		whole.classId = InvalidOid;
	ReleaseSysCache(row);
	return whole;
}

/* What is told where something happens to a rule: a view's own is the view. */
static void
find_whole_of_rule(HeapTuple row, ObjectAddress *whole)
{
	Form_pg_rewrite form = (Form_pg_rewrite) GETSTRUCT(row);

	if (strcmp(NameStr(form->rulename), ViewSelectRuleName) != 0)
		return;
	whole->classId = RelationRelationId;
	whole->objectId = form->ev_class;
}

/* The same for a trigger: those of foreign keys and partitions are no news. */
static void
find_whole_of_trigger(HeapTuple row, ObjectAddress *whole)
{
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(row);

	if (form->tgisinternal || OidIsValid(form->tgparentid))
		whole->classId = InvalidOid;
}

/*
 * What an object is told as: itself, what it is a part of, or nothing, which
 * is class 0.  It must be there.
 */
ObjectAddress
nbm_object_whole(const ObjectAddress *object)
{
	ObjectAddress whole = *object;
	HeapTuple	row;

	switch (object->classId)
	{
		case NamespaceRelationId:
			if (isAnyTempNamespace(object->objectId))
				whole.classId = InvalidOid;
			return whole;
		case RelationRelationId:
			return whole_of_relation(object->objectId);
		case TypeRelationId:
			return whole_of_type(object->objectId);
		case RewriteRelationId:
		case TriggerRelationId:
			row = nbm_object_row(object, NULL);
			if (HeapTupleIsValid(row) && object->classId == RewriteRelationId)
				find_whole_of_rule(row, &whole);
			else if (HeapTupleIsValid(row))
				find_whole_of_trigger(row, &whole);
			return whole;
	}
	for (int i = 0; i < lengthof(owners); i++)
	{
		if (owners[i].part != object->classId)
			continue;
		whole.classId = owners[i].whole;
		whole.objectId = read_oid(object, owners[i].column);
		if (OidIsValid(whole.objectId))
			return whole.classId == TypeRelationId ?
				whole_of_type(whole.objectId) :
				whole_of_relation(whole.objectId);
	}
	return whole;
}

/*
 * The name of an object without the types that tell it from others: those may
 * be gone, as a base type is before the functions that made it one.  NULL where
 * the object is gone as well.
 */
char *
nbm_object_short_name(const ObjectAddress *object)
{
	HeapTuple	row = nbm_object_row(object, NULL);
	Relation	catalog = table_open(object->classId, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(catalog);
	AttrNumber	name = get_object_attnum_name(object->classId);
	AttrNumber	schema = get_object_attnum_namespace(object->classId);
	char	   *result = "";
	bool		is_null;

	if (!HeapTupleIsValid(row))
		result = NULL;
	else if (name != InvalidAttrNumber && schema != InvalidAttrNumber)
		result = quote_qualified_identifier(get_namespace_name(DatumGetObjectId(heap_getattr(row, schema, desc, &is_null))),
											NameStr(*DatumGetName(heap_getattr(row, name, desc, &is_null))));
	table_close(catalog, AccessShareLock);
	return result;
}
