/*
 * names.c
 *		Names of items, as callers see and say them.
 *
 * An item may be called by its strong id (metadata.uuid, operatorID), by its
 * weak one (nbformat id), or by its key: a number, or a string of digits that
 * is nobody's id.  A name that could mean two items is refused.
 *
 * Shown is the strong id, else the weak one; the key where there is neither,
 * or where that name could mean another item as well.  What is shown is
 * distinct, and can be said, but for a key that is another item's id.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "names.h"

static const char *const not_there = "does not exist";
static const char *const not_unique = "is not unique";
static const char *const not_a_name = "is neither an id nor a key";

/* One of the names of an item. */
typedef struct NbmName
{
	NbmText		name;
	int			index;			/* of the item */
	bool		is_key;
} NbmName;

/* Order of names. */
static int
name_cmp(const void *a, const void *b)
{
	return nbm_key_cmp(((const NbmName *) a)->name,
					   ((const NbmName *) b)->name);
}

/* qsort comparator: by name; of equal ones keys last, the first items first. */
static int
name_item_cmp(const void *a, const void *b)
{
	const NbmName *na = a;
	const NbmName *nb = b;
	int			order = name_cmp(a, b);

	if (order != 0)
		return order;
	if (na->is_key != nb->is_key)
		return na->is_key ? 1 : -1;
	return na->index < nb->index ? -1 : na->index > nb->index;
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

/* Reads a key written in digits; false for anything else. */
static bool
parse_key(NbmText name, int32 *key)
{
	int64		value = 0;

	if (name.len == 0 || name.len > 10)
		return false;
	for (int i = 0; i < name.len; i++)
	{
		if (name.str[i] < '0' || name.str[i] > '9')
			return false;
		value = value * 10 + (name.str[i] - '0');
	}
	*key = (int32) value;
	return name.str[0] != '0' && value <= NBM_MAX_KEY;
}

/*
 * Makes the names of a layout ready to be looked up, in the current context:
 * n log n once, log n each.
 */
void
nbm_names_open(const NbmLayout *layout, NbmNames *names)
{
	names->layout = layout;
	names->by_key = nbm_layout_index(layout, &names->max_key);
	names->sorted = palloc_extended(mul_size(sizeof(NbmName),
											 (Size) layout->nitems * (NBM_IDS + 1) + 1),
									MCXT_ALLOC_HUGE);
	names->count = 0;
	for (int i = 0; i < layout->nitems; i++)
	{
		const NbmItem *item = &layout->items[i];

		for (int j = 0; j < NBM_IDS + 1; j++)
		{
			NbmName    *name = &names->sorted[names->count];

			name->name = j < NBM_IDS ? item->id[j] : key_name(item);
			name->index = i;
			name->is_key = j == NBM_IDS;
			if (name->name.str != NULL)
				names->count++;
		}
	}
	qsort(names->sorted, names->count, sizeof(NbmName), name_item_cmp);
}

/* The first of the sorted names that is not before this one. */
static int
first_name(const NbmNames *names, NbmText name)
{
	int			low = 0;
	int			high = names->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (nbm_key_cmp(names->sorted[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The index of the item that a name of JSON means; -1 where there is none, or
 * several: *why then says, without a subject, why not.
 */
int
nbm_names_find(const NbmNames *names, const JsonbValue *name, const char **why)
{
	int			found = -1;
	int32		key;

	*why = not_there;
	if (name->type != jbvString)
	{
		if (!nbm_get_int(name, &key))
			*why = not_a_name;
		else if (key >= 1 && key <= names->max_key)
			return names->by_key[key];
		return -1;
	}
	for (int i = first_name(names, nbm_text_of(name)); i < names->count &&
		 nbm_text_eq(names->sorted[i].name, nbm_text_of(name)); i++)
	{
		if (found >= 0 && found != names->sorted[i].index)
		{
			*why = not_unique;
			return -1;
		}
		found = names->sorted[i].index;
	}
	return found;
}

/* A name of JSON as it is shown in messages, newly allocated. */
char *
nbm_shown_name(const JsonbValue *name)
{
	if (name->type == jbvString)
		return psprintf("\"%.*s\"", name->val.string.len, name->val.string.val);
	return JsonbToCString(NULL, &nbm_value_to_jsonb(name)->root, 0);
}

/* The first item with an id; -1 where none has it. */
int
nbm_names_find_id(const NbmNames *names, NbmText id)
{
	int			first = first_name(names, id);

	return first < names->count && !names->sorted[first].is_key &&
		nbm_text_eq(names->sorted[first].name, id) ?
		names->sorted[first].index : -1;
}

/*
 * The names that callers see for the items of a version, in an array of the
 * current context; they are distinct.
 */
NbmText *
nbm_item_names(const NbmLayout *layout)
{
	NbmText    *shown = palloc_array(NbmText, Max(layout->nitems, 1));
	NbmNames	names;

	nbm_names_open(layout, &names);
	for (int i = 0; i < layout->nitems; i++)
		shown[i] = own_name(&layout->items[i]);
	for (int i = 0, next; i < names.count; i = next)
	{
		bool		shared = false;

		for (next = i; next < names.count &&
			 name_cmp(&names.sorted[i], &names.sorted[next]) == 0; next++)
			shared |= names.sorted[next].index != names.sorted[i].index;
		for (int j = i; shared && j < next; j++)
			if (nbm_text_eq(shown[names.sorted[j].index], names.sorted[j].name))
				shown[names.sorted[j].index].str = NULL;
	}
	for (int i = 0; i < layout->nitems; i++)
		if (shown[i].str == NULL)
			shown[i] = key_name(&layout->items[i]);
	return shown;
}

/* Has an item this id? */
static bool
has_id(const NbmItem *item, NbmText id)
{
	for (int i = 0; i < NBM_IDS; i++)
		if (nbm_text_eq(item->id[i], id))
			return true;
	return false;
}

/*
 * The same as nbm_names_find() for a list that changes between look-ups:
 * nothing is prepared, all items, which lie stride bytes apart, are looked
 * at.
 */
int
nbm_find_named(const NbmItem *first, Size stride, int count,
			   const JsonbValue *name, const char **why)
{
	bool		is_string = name->type == jbvString;
	bool		has_key;
	int32		key = 0;
	int			found = -1;

	*why = not_there;
	has_key = is_string ? parse_key(nbm_text_of(name), &key) :
		nbm_get_int(name, &key) && key > 0;
	if (!is_string && !has_key)
	{
		*why = not_a_name;
		return -1;
	}
	for (int i = 0; i < count; i++)
	{
		const NbmItem *item = (const NbmItem *) ((const char *) first + stride * i);

		if (!(has_key && item->key == key) &&
			!(is_string && has_id(item, nbm_text_of(name))))
			continue;
		if (found >= 0)
		{
			*why = not_unique;
			return -1;
		}
		found = i;
	}
	return found;
}
