/*
 * schema_diff_loss.c
 *		What a change of a column's type may lose.
 *
 * The scripts change types with USING, which casts explicitly: it cuts, and
 * rounds, and raises.  Where every value of the old type is one of the new
 * nothing is lost.  The server would do those changes unasked, but for a few
 * that it does unasked although not every value fits.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "schema_diff_loss.h"

/* The digits before the point, and after it, that a numeric has room for. */
static void
numeric_room(int32 typmod, int *before, int *after)
{
	int			scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;

	*before = (((typmod - VARHDRSZ) >> 16) & 0xffff) - scale;
	*after = scale;
}

/* May values of a type be too large for the same type with another limit? */
static bool
is_narrower(Oid type, int32 from, int32 to)
{
	int			before[2];
	int			after[2];

	if (to == from || to == -1)
		return false;
	if (from == -1 || (type != NUMERICOID && type != VARCHAROID &&
					   type != BPCHAROID && type != VARBITOID &&
					   type != TIMESTAMPOID && type != TIMESTAMPTZOID &&
					   type != TIMEOID && type != TIMETZOID))
		return true;
	if (type != NUMERICOID)
		return to < from;
	numeric_room(from, &before[0], &after[0]);
	numeric_room(to, &before[1], &after[1]);
	return before[1] < before[0] || after[1] < after[0];
}

/* Does the server cast to a type unasked although some values may not fit? */
static bool
takes_only_some(Oid type)
{
	return type == NAMEOID || type == OIDOID || type == REGCLASSOID ||
		type == MACADDROID;
}

/*
 * May a value of one type have no equal of another one?  Of domains it is
 * what they are over that counts, of arrays what is in them.
 */
static bool
may_not_fit(Oid from, Oid to, int32 typmod)
{
	Oid			function;

	if (DomainHasConstraints(to))
		return true;
	to = getBaseTypeAndTypmod(to, &typmod);
	from = getBaseType(from);
	if (typmod != -1)
		return true;
	if (from == to || to == TEXTOID || to == VARCHAROID)
		return false;
	if (OidIsValid(get_element_type(from)) && OidIsValid(get_element_type(to)))
		return may_not_fit(get_element_type(from), get_element_type(to), -1);
	if (to == FLOAT4OID || to == FLOAT8OID)
		return from != INT2OID && (to != FLOAT8OID ||
								   (from != INT4OID && from != FLOAT4OID));
	return takes_only_some(to) ||
		find_coercion_pathway(to, from, COERCION_IMPLICIT,
							  &function) == COERCION_PATH_NONE;
}

/* Can a change of a column's type lose something?  Of unknown ones, yes. */
bool
nbm_loses_values(const NbmColumn *from, const NbmColumn *to)
{
	if (strcmp(from->type, to->type) == 0)
		return false;
	if (!OidIsValid(from->type_oid) || !OidIsValid(to->type_oid))
		return true;
	if (from->type_oid == to->type_oid)
		return is_narrower(from->type_oid, from->typmod, to->typmod);
	return may_not_fit(from->type_oid, to->type_oid, to->typmod);
}
