/*
 * args.c
 *		Arguments and results of SQL-callable functions.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "args.h"

/* Raises 22004 where an argument is NULL that must not be. */
void
nbm_require_arg(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

/* The document that an argument names; raises 22004 for NULL. */
NbmStore
nbm_arg_store(FunctionCallInfo fcinfo, const NbmKind *kind, int number,
			  bool read_only)
{
	NbmStore	store = {kind, 0, read_only};

	nbm_require_arg(fcinfo, number, kind == &nbm_notebook ? "notebook_id" :
					"workflow_id");
	store.id = PG_GETARG_INT64(number);
	return store;
}

/* A text argument as a C string of the current context; NULL for NULL. */
char *
nbm_arg_text(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(number));
}

/* An expected_version argument: a pointer to space, or NULL for NULL. */
const int32 *
nbm_arg_expected(FunctionCallInfo fcinfo, int number, int32 *space)
{
	if (PG_ARGISNULL(number))
		return NULL;
	*space = PG_GETARG_INT32(number);
	return space;
}

/* A new SQL text of a piece of text. */
Datum
nbm_text_datum(NbmText string)
{
	return PointerGetDatum(cstring_to_text_with_len(string.str, string.len));
}

/* The name that a document gives an item: the strong id, else the weak one. */
static NbmText
own_name(const NbmItem *item)
{
	return item->id[NBM_ID_STRONG].str != NULL ? item->id[NBM_ID_STRONG] :
		item->id[NBM_ID_WEAK];
}

/* The key as a name, newly allocated. */
static NbmText
key_name(const NbmItem *item)
{
	return nbm_text(psprintf("%d", item->key));
}

/* An item's own name with its place, to be sorted. */
typedef struct NamedItem
{
	NbmText		name;
	int			index;
} NamedItem;

/* qsort comparator of names. */
static int
named_cmp(const void *a, const void *b)
{
	return nbm_key_cmp(((const NamedItem *) a)->name,
					   ((const NamedItem *) b)->name);
}

/*
 * The names that callers see for the items of a version: the id, or the key
 * as text where there is no id, where it stands twice, or where it looks like
 * another item's key.  They are unique.  The array is of the current context.
 */
NbmText *
nbm_item_names(const NbmLayout *layout)
{
	NbmText    *names = palloc_array(NbmText, Max(layout->nitems, 1));
	NamedItem  *sorted = palloc_array(NamedItem, Max(layout->nitems * 2, 1));
	int			n = 0;

	for (int i = 0; i < layout->nitems; i++)
	{
		NbmText		key = key_name(&layout->items[i]);

		names[i] = own_name(&layout->items[i]);
		sorted[n].name = key;
		sorted[n++].index = i;
		if (names[i].str == NULL || nbm_text_eq(names[i], key))
			continue;
		sorted[n].name = names[i];
		sorted[n++].index = i;
	}
	qsort(sorted, n, sizeof(NamedItem), named_cmp);
	for (int i = 0; i < n; i++)
		if ((i > 0 && named_cmp(&sorted[i - 1], &sorted[i]) == 0) ||
			(i + 1 < n && named_cmp(&sorted[i], &sorted[i + 1]) == 0))
			names[sorted[i].index].str = NULL;
	for (int i = 0; i < layout->nitems; i++)
		if (names[i].str == NULL)
			names[i] = key_name(&layout->items[i]);
	pfree(sorted);
	return names;
}
