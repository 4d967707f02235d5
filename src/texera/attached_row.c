/*
 * attached_row.c
 *		Rows of attached tables: their columns by name.
 *
 * Nothing is assumed of the application's tables but the columns that were
 * named: others come and go, and keys are of any integer type.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "attached_row.h"
#include "compat.h"

int			nbm_max_attached_size = 16 * 1024;

/* Is there a column of that name? */
bool
nbm_row_has(const NbmRow *row, const char *column)
{
	return SPI_fnumber(row->desc, column) > 0;
}

/* A column's value and number; raises 42703 where there is no such column. */
static Datum
get_column(const NbmRow *row, const char *column, int *number, bool *is_null)
{
	*number = SPI_fnumber(row->desc, column);
	if (*number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of the attached table is gone",
						column)));
	return SPI_getbinval(row->tuple, row->desc, *number, is_null);
}

/* Reads an integer; false for NULL.  Raises 42703, or 42804 for other types. */
bool
nbm_row_int(const NbmRow *row, const char *column, int64 *value)
{
	int			number;
	bool		is_null;
	Datum		datum = get_column(row, column, &number, &is_null);

	if (is_null)
		return false;
	switch (SPI_gettypeid(row->desc, number))
	{
		case INT2OID:
			*value = DatumGetInt16(datum);
			break;
		case INT4OID:
			*value = DatumGetInt32(datum);
			break;
		case INT8OID:
			*value = DatumGetInt64(datum);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of the attached table is no integer",
							column)));
	}
	return true;
}

/* A column's text, in the current context; NULL for NULL or no such column. */
char *
nbm_row_text(const NbmRow *row, const char *column)
{
	int			number = SPI_fnumber(row->desc, column);

	return number <= 0 ? NULL : SPI_getvalue(row->tuple, row->desc, number);
}

/* Raises 54000 for a content that attached tables may not bring. */
static void
check_size(Size size)
{
	if (size / 1024 >= (Size) nbm_max_attached_size)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("content of %zu kB exceeds the limit of %d kB for attached tables",
						size / 1024, nbm_max_attached_size),
				 errhint("Raise \"notebook_migrate.max_attached_size\".")));
}

/* A text as jsonb.  Raises what jsonb's input does, and 54000. */
Jsonb *
nbm_parse_jsonb(text *string)
{
	check_size(VARSIZE_ANY_EXHDR(string));
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(text_to_cstring(string))));
}

/* Can a content be of a type? */
static bool
is_content_type(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == JSONOID ||
		type == JSONBOID;
}

/*
 * A column as jsonb, in the current context; raises 22004 for NULL, and 42804
 * for a type that it was given since the table was attached.
 */
Jsonb *
nbm_row_jsonb(const NbmRow *row, const char *column)
{
	int			number;
	bool		is_null;
	Datum		datum = get_column(row, column, &number, &is_null);

	if (!is_content_type(SPI_gettypeid(row->desc, number)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the attached table is no text, json or jsonb",
						column)));
	if (is_null)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("column \"%s\" of the attached table is null",
						column)));
	/* before it is read at all */
	check_size(toast_raw_datum_size(datum) - VARHDRSZ);
	if (SPI_gettypeid(row->desc, number) == JSONBOID)
		return DatumGetJsonbPCopy(datum);
	return nbm_parse_jsonb(DatumGetTextPP(datum));
}

/* Is a column of two rows of a table the same, byte for byte? */
bool
nbm_row_same(const NbmRow *a, const NbmRow *b, const char *column)
{
	int			number;
	bool		a_null;
	bool		b_null;
	Datum		va = get_column(a, column, &number, &a_null);
	Datum		vb = get_column(b, column, &number, &b_null);
	Form_pg_attribute attribute = TupleDescAttr(a->desc, number - 1);

	if (a_null || b_null)
		return a_null == b_null;
	return datum_image_eq(va, vb, attribute->attbyval, attribute->attlen);
}

/* Raises 42P01: an attached table was dropped. */
void
nbm_table_gone(Oid table)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("the attached table %u is gone", table),
			 errhint("Attach the application again.")));
}

/*
 * Locks a table of the application that is about to be read with the caller's
 * rights.  Raises 42P01 where it is gone, 42809 where it has become a view, and
 * 42703 or 42804 where a column (the second may be NULL) is no integer: else
 * code of the table's owner, such as a cast, would run with those rights.
 */
void
nbm_check_readable(Oid target, const char *key, const char *other)
{
	Relation	relation = try_relation_open(target, AccessShareLock);
	const char *name;

	if (relation == NULL)
		nbm_table_gone(target);
	name = RelationGetRelationName(relation);
	if (relation->rd_rel->relkind != RELKIND_RELATION &&
		relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is no table", name)));
	nbm_check_column(RelationGetDescr(relation), name, key, true);
	if (other != NULL)
		nbm_check_column(RelationGetDescr(relation), name, other, true);
	relation_close(relation, NoLock);
}

/* Raises 42703 or 42804 where a column cannot be a key, or a content. */
void
nbm_check_column(TupleDesc desc, const char *table, const char *column,
				 bool is_key)
{
	int			number = SPI_fnumber(desc, column);
	Oid			type;

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column \"%s\"", table, column)));
	type = SPI_gettypeid(desc, number);
	if (is_key && type != INT2OID && type != INT4OID && type != INT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("key column \"%s\" of table \"%s\" must be an integer",
						column, table)));
	if (!is_key && !is_content_type(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("content column \"%s\" of table \"%s\" must be text, json or jsonb",
						column, table)));
}
