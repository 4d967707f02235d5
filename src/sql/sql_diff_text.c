/*
 * sql_diff_text.c
 *		SQL entry points that show changes as people read them: line by line,
 *		and as one text.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "args.h"
#include "compat.h"
#include "diff_text.h"
#include "lineage.h"
#include "lines.h"

/*
 * Compares the versions that arguments 0 to 2 name; raises 22004 and 02000.
 * Returns what nbm_store_end() takes.
 */
static int
open_diff(FunctionCallInfo fcinfo, const NbmKind *kind, NbmDiff *diff)
{
	int			level;

	diff->store = nbm_arg_store(fcinfo, kind, 0, true);
	level = nbm_store_begin();
	nbm_store_version(&diff->store,
					  nbm_store_resolve(&diff->store, PG_ARGISNULL(1),
										PG_GETARG_INT32(1)), &diff->from);
	nbm_store_version(&diff->store,
					  nbm_store_resolve(&diff->store, PG_ARGISNULL(2),
										PG_GETARG_INT32(2)), &diff->to);
	diff->bodies = nbm_bodies_create();
	diff->changes = nbm_compare(&diff->store, &diff->from.layout,
								&diff->to.layout, 0, diff->bodies,
								&diff->count);
	nbm_lineage_tell(&diff->store, diff->from.version, diff->to.version,
					 &diff->from.layout, &diff->to.layout, diff->changes,
					 diff->count);
	for (int i = 0; i < diff->count; i++)
	{
		if (diff->changes[i].old_position >= 0)
			nbm_bodies_want(diff->bodies, diff->changes[i].old_core);
		if (diff->changes[i].new_position >= 0)
			nbm_bodies_want(diff->bodies, diff->changes[i].new_core);
	}
	nbm_bodies_fetch(diff->bodies, &diff->store);
	diff->scratch = AllocSetContextCreate(CurrentMemoryContext,
										  "notebook_migrate difference",
										  ALLOCSET_DEFAULT_SIZES);
	return level;
}

/* One row of notebook_diff_lines(). */
static void
put_line(ReturnSetInfo *result, int32 key, int old_line, int new_line,
		 const NbmLines *lines, int line)
{
	Datum		values[5];
	bool		nulls[5] = {false};
	NbmText		string;

	CHECK_FOR_INTERRUPTS();
	string.str = lines->str + lines->start[line];
	string.len = nbm_line_length(lines, line);
	values[0] = Int32GetDatum(key);
	values[1] = Int32GetDatum(old_line + 1);
	values[2] = Int32GetDatum(new_line + 1);
	nulls[1] = old_line < 0;
	nulls[2] = new_line < 0;
	values[3] = CStringGetTextDatum(old_line < 0 ? "+" :
									new_line < 0 ? "-" : " ");
	values[4] = nbm_text_datum(string);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	pfree(DatumGetPointer(values[3]));
	pfree(DatumGetPointer(values[4]));
}

/* The rows of one item. */
static void
put_lines(ReturnSetInfo *result, int32 key, NbmText from, NbmText to)
{
	NbmLines	a = nbm_lines_split(from.str, from.len);
	NbmLines	b = nbm_lines_split(to.str, to.len);
	int			count;
	NbmHunk    *hunks = nbm_lines_diff(&a, &b, &count);
	int			i = 0;
	int			j = 0;

	for (int k = 0; k <= count; k++)
	{
		int			stop = k < count ? hunks[k].old_line : a.count;

		for (; i < stop; i++, j++)
			put_line(result, key, i, j, &a, i);
		if (k == count)
			break;
		for (stop = i + hunks[k].old_count; i < stop; i++)
			put_line(result, key, i, -1, &a, i);
		for (stop = j + hunks[k].new_count; j < stop; j++)
			put_line(result, key, -1, j, &b, j);
	}
}

/* notebook_diff_lines(id, from_version, to_version) -> sources by line */
static Datum
diff_lines(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	static const NbmText none = {"", 0};
	NbmDiff		diff;
	int			level;
	MemoryContext outer;

	InitMaterializedSRF(fcinfo, 0);
	level = open_diff(fcinfo, kind, &diff);
	outer = MemoryContextSwitchTo(diff.scratch);
	for (int i = 0; i < diff.count; i++)
	{
		const NbmChange *change = &diff.changes[i];
		JsonbContainer *a = nbm_diff_old_core(&diff, change);
		JsonbContainer *b = nbm_diff_new_core(&diff, change);
		NbmText		from = a == NULL ? none : nbm_item_source(kind, a);
		NbmText		to = b == NULL ? none : nbm_item_source(kind, b);

		if (!nbm_text_eq(from, to))
			put_lines((ReturnSetInfo *) fcinfo->resultinfo, change->key, from,
					  to);
		MemoryContextReset(diff.scratch);
	}
	MemoryContextSwitchTo(outer);
	nbm_store_end(level);
	return (Datum) 0;
}

NBM_FOR_BOTH_KINDS(diff_lines);

/*
 * notebook_diff_text(id, from_version, to_version) -> a readable difference
 *
 * The text is built behind room for its own header, in the caller's context,
 * so that it is never copied.
 */
static Datum
diff_text(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	static const char header[VARHDRSZ] = {0};
	StringInfoData out;
	NbmDiff		diff;
	int			level;

	initStringInfo(&out);
	appendBinaryStringInfo(&out, header, VARHDRSZ);
	level = open_diff(fcinfo, kind, &diff);
	if (diff.count > 0)
	{
		nbm_bodies_want(diff.bodies, diff.from.layout.envelope);
		nbm_bodies_want(diff.bodies, diff.to.layout.envelope);
		nbm_bodies_fetch(diff.bodies, &diff.store);
		nbm_diff_show(&out, &diff);
		out.len--;				/* the last line feed */
	}
	nbm_store_end(level);
	SET_VARSIZE(out.data, out.len);
	return PointerGetDatum(out.data);
}

NBM_FOR_BOTH_KINDS(diff_text);
