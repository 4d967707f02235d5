/*
 * matcher.c
 *		What the steps of the matcher share: items, their classes, their
 *		similarity.
 */
#include "postgres.h"

#include "matcher.h"
#include "miscadmin.h"

#define SAME_CORE	200			/* bonus for equal metadata, too */
#define BLANK		3000		/* weight of two blank items */
#define OTHER_TYPE	8000		/* factor where types differ */

/*
 * The profile of one item, made when first asked for.  It belongs to the
 * matcher's context, which must be the current one.
 */
const NbmProfile *
nbm_matcher_profile(NbmSide *side, int item)
{
	if (side->profiles[item] == NULL)
		side->profiles[item] = nbm_profile_make(side->items[item].text,
												side->items[item].text_len);
	return side->profiles[item];
}

/*
 * Similarity of an old and a new item, from 0 to NBM_ONE.  An item of another
 * type is less similar than its text.  0 if it is less than floor, without
 * looking closer where the lengths rule out more than that.
 */
int
nbm_compare_items(NbmMatcher *m, int old, int new, int floor)
{
	const NbmMatchItem *a = &m->side[NBM_OLD].items[old];
	const NbmMatchItem *b = &m->side[NBM_NEW].items[new];
	const NbmProfile *pa = nbm_matcher_profile(&m->side[NBM_OLD], old);
	const NbmProfile *pb = nbm_matcher_profile(&m->side[NBM_NEW], new);
	int64		factor = a->type == b->type ? NBM_ONE : OTHER_TYPE;
	int			result;

	if (floor > NBM_SIMILAR_NEAR && Min(pa->nchars, pb->nchars) * factor * 2 <
		(int64) floor * (pa->nchars + pb->nchars))
		return 0;
	result = nbm_profile_compare(a->text, a->text_len, pa,
								 b->text, b->text_len, pb, floor);
	result = (int) (result * factor / NBM_ONE);
	return result >= floor ? result : 0;
}

/*
 * Is an item's text white space only?
 */
static bool
is_blank(const NbmMatchItem *item)
{
	int			pos = 0;

	while (pos < item->text_len && nbm_is_space((unsigned char) item->text[pos]))
		pos++;
	return pos == item->text_len;
}

/*
 * Numbers the classes of items with equal keys (contents or cores, by the
 * offset of the field) over both sides.  Blank contents of a type are equal,
 * whatever white space they consist of.  Fills classes[side][item]; returns
 * the number of classes.
 */
int
nbm_matcher_number_classes(NbmMatcher *m, Size field, int *classes[2])
{
	int			nold = m->side[NBM_OLD].nitems;
	int			n = nold + m->side[NBM_NEW].nitems;
	NbmEntry   *keys = nbm_alloc(n, sizeof(NbmEntry));
	int			nclasses = 0;

	for (int i = 0; i < n; i++)
	{
		const NbmMatchItem *item = i < nold ? &m->side[NBM_OLD].items[i] :
		&m->side[NBM_NEW].items[i - nold];

		keys[i].key = *(const uint64 *) ((const char *) item + field);
		if (field == offsetof(NbmMatchItem, content) && is_blank(item))
			keys[i].key = item->type;
		keys[i].value = i;
	}
	nbm_entries_sort(keys, n);
	for (int i = 0; i < n; i++)
	{
		int			item = (int) keys[i].value;

		if (i > 0 && keys[i].key != keys[i - 1].key)
			nclasses++;
		if (item < nold)
			classes[NBM_OLD][item] = nclasses;
		else
			classes[NBM_NEW][item - nold] = nclasses;
	}
	pfree(keys);
	return nclasses + 1;
}

/*
 * Prepares one side of the matching in the current memory context.
 */
void
nbm_matcher_init_side(NbmSide *side, const NbmMatchItem *items, int nitems)
{
	side->items = items;
	side->nitems = nitems;
	side->partner = nbm_alloc_ints(nitems, -1);
	side->content = nbm_alloc(nitems, sizeof(int));
	side->core = nbm_alloc(nitems, sizeof(int));
	side->blank = nbm_alloc(nitems, sizeof(bool));
	side->profiles = nbm_alloc(nitems, sizeof(NbmProfile *));
	for (int i = 0; i < nitems; i++)
	{
		CHECK_FOR_INTERRUPTS();
		side->blank[i] = is_blank(&items[i]);
	}
}

/*
 * Have both items an id of a kind that has proved itself, and not the same?
 * Then they may be one only on good evidence.
 */
bool
nbm_ids_differ(const NbmMatcher *m, int old, int new)
{
	const NbmMatchItem *a = &m->side[NBM_OLD].items[old];
	const NbmMatchItem *b = &m->side[NBM_NEW].items[new];

	for (int kind = 0; kind < 2; kind++)
	{
		if (m->trusted[kind] && a->id[kind] != NULL && b->id[kind] != NULL)
			return !nbm_same_id(a, b, kind);
	}
	return false;
}

/*
 * Weight of a pair inside a gap, 0 for a pair that cannot be: the fourth power
 * of its similarity, so that one good pair outweighs several doubtful ones.
 * Two blank items weigh more than a doubtful pair, which may still be found
 * anywhere, as blank ones are not.
 */
int
nbm_weigh_pair(NbmMatcher *m, int old, int new)
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];
	bool		blank = a->blank[old] || b->blank[new];
	bool		differ = nbm_ids_differ(m, old, new);
	int			similarity;

	if (blank && (differ || !nbm_equal_content(m, old, new)))
		return 0;
	if (nbm_equal_content(m, old, new))
		return (blank ? BLANK : NBM_ONE) +
			(a->core[old] == b->core[new] ? SAME_CORE : 0);
	similarity = nbm_compare_items(m, old, new,
								   differ ? NBM_SIMILAR_FAR : NBM_SIMILAR_NEAR);
	similarity = (int) ((int64) similarity * similarity / NBM_ONE);
	return (int) ((int64) similarity * similarity / NBM_ONE);
}

/*
 * How many more old items than new ones each class of equal content has.  The
 * caller owns the result.
 */
int *
nbm_count_balance(const NbmMatcher *m)
{
	int		   *balance = nbm_alloc_ints(m->ncontents, 0);

	for (int i = 0; i < m->side[NBM_OLD].nitems; i++)
		balance[m->side[NBM_OLD].content[i]]++;
	for (int i = 0; i < m->side[NBM_NEW].nitems; i++)
		balance[m->side[NBM_NEW].content[i]]--;
	return balance;
}
