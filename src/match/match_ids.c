/*
 * match_ids.c
 *		Step 1 of the matcher: the ids that the documents give their items,
 *		unless the contents say that a tool has renumbered them.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "matcher.h"
#include "miscadmin.h"

/* What the contents say about two items with the same id. */
typedef enum IdEvidence
{
	ID_NONE,					/* there is no such pair */
	ID_CONFIRMED,				/* they speak for it */
	ID_SILENT,					/* they say nothing */
	ID_REFUTED					/* they speak against it */
} IdEvidence;

/*
 * Lists the ids of one kind, sorted: keys (hash of the id, side and index).
 */
static NbmEntries
list_ids(const NbmMatcher *m, int kind)
{
	NbmEntries	list = {0};

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < m->side[s].nitems; i++)
		{
			const NbmMatchItem *item = &m->side[s].items[i];
			const unsigned char *id = (const unsigned char *) item->id[kind];

			if (id != NULL)
				nbm_entries_add(&list, hash_bytes_extended(id, item->id_len[kind], 0),
								nbm_pack(s, i));
		}
	}
	if (list.count > 0)
		nbm_entries_sort(list.entries, list.count);
	return list;
}

/*
 * Finds the pairs of free items whose ids (of the given kind) are equal and
 * unique on both sides.  Returns for each new item the old one or -1, in an
 * array that the caller owns; sets repeated if any id stands twice on a side.
 */
static int *
pair_ids(const NbmMatcher *m, int kind, bool *repeated)
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];
	int		   *old_of_new = nbm_alloc_ints(b->nitems, -1);
	NbmEntries	list = list_ids(m, kind);

	for (int i = 0, end; i < list.count; i = end)
	{
		int			old = (int) (uint32) list.entries[i].value;
		int			new;

		end = i + 1;
		while (end < list.count && list.entries[end].key == list.entries[i].key)
			end++;
		if (end == i + 1)
			continue;
		if (end > i + 2 ||
			list.entries[i].value >> 32 == list.entries[i + 1].value >> 32)
		{
			*repeated = true;
			continue;
		}
		new = (int) (uint32) list.entries[i + 1].value;
		if (a->partner[old] < 0 && b->partner[new] < 0 &&
			nbm_same_id(&a->items[old], &b->items[new], kind))
			old_of_new[new] = old;
	}
	return old_of_new;
}

/*
 * Counts per class of content the items of one side, and into unsettled those
 * that are not yet the same as an item of equal content, linked already or
 * paired by id.  Blank items do not count.
 */
static void
count_contents(const NbmMatcher *m, int s, const int *old_of_new,
			   int *all, int *unsettled)
{
	const NbmSide *side = &m->side[s];

	for (int i = 0; i < side->nitems; i++)
	{
		if (side->blank[i])
			continue;
		all[side->content[i]]++;
		if (side->partner[i] < 0)
			unsettled[side->content[i]]++;
	}
	for (int new = 0; new < m->side[NBM_NEW].nitems; new++)
	{
		if (old_of_new[new] >= 0 && !m->side[NBM_NEW].blank[new] &&
			nbm_equal_content(m, old_of_new[new], new))
			unsettled[m->side[NBM_NEW].content[new]]--;
	}
}

/*
 * What do the contents say about a pair of equal ids?  Against it: the texts
 * are unlike and the types differ, or the texts differ and one of them stands
 * elsewhere on the other side, waiting for its partner; a similar text excuses
 * this on one side, not on both.  Repeated contents say nothing.
 */
static IdEvidence
judge_id(NbmMatcher *m, int old, int new, int *const all[2],
		 int *const unsettled[2])
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];
	int			old_content = a->content[old];
	int			new_content = b->content[new];
	int			elsewhere;
	int			similarity;

	if (old_content == new_content)
		return all[NBM_OLD][old_content] == 1 && all[NBM_NEW][new_content] == 1 ?
			ID_CONFIRMED : ID_SILENT;
	elsewhere = (!a->blank[old] && unsettled[NBM_NEW][old_content] > 0) +
		(!b->blank[new] && unsettled[NBM_OLD][new_content] > 0);
	if (elsewhere == 2)
		return ID_REFUTED;
	similarity = nbm_compare_items(m, old, new, NBM_SIMILAR_NEAR);
	if (similarity == 0)
		return elsewhere == 1 || a->items[old].type != b->items[new].type ?
			ID_REFUTED : ID_SILENT;
	return elsewhere == 0 && similarity >= NBM_SIMILAR_FAR ?
		ID_CONFIRMED : ID_SILENT;
}

/*
 * Judges all pairs of ids.  Returns the evidence for each new item; the caller
 * owns it.
 */
static IdEvidence *
judge_ids(NbmMatcher *m, const int *old_of_new)
{
	int			nnew = m->side[NBM_NEW].nitems;
	IdEvidence *evidence = nbm_alloc(nnew, sizeof(IdEvidence));
	int		   *all[2];
	int		   *unsettled[2];

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		all[s] = nbm_alloc_ints(m->ncontents, 0);
		unsettled[s] = nbm_alloc_ints(m->ncontents, 0);
		count_contents(m, s, old_of_new, all[s], unsettled[s]);
	}
	for (int new = 0; new < nnew; new++)
	{
		CHECK_FOR_INTERRUPTS();
		if (old_of_new[new] >= 0)
			evidence[new] = judge_id(m, old_of_new[new], new, all, unsettled);
	}
	return evidence;
}

/*
 * Marks as doubted the pairs whose nearest telling pair before them (step 1) or
 * behind them (step -1) is refuted: tools that number cells give all cells
 * behind an insertion another's id.
 */
static void
spread_doubt(const IdEvidence *evidence, bool *doubted, int nnew, int step)
{
	bool		doubt = false;

	for (int i = 0, new = step > 0 ? 0 : nnew - 1; i < nnew; i++, new += step)
	{
		if (evidence[new] == ID_CONFIRMED || evidence[new] == ID_REFUTED)
			doubt = evidence[new] == ID_REFUTED;
		doubted[new] |= doubt;
	}
}

/*
 * Are two ids equal but for the decimal digits in them, and have they any?
 */
static bool
are_counted(const char *a, int alen, const char *b, int blen)
{
	bool		any = false;
	int			i = 0,
				j = 0;

	for (;;)
	{
		while (i < alen && isdigit((unsigned char) a[i]))
			any = true, i++;
		while (j < blen && isdigit((unsigned char) b[j]))
			j++;
		if (i == alen || j == blen)
			return any && i == alen && j == blen;
		if (a[i++] != b[j++])
			return false;
	}
}

/*
 * May the ids say no more than the places do?  Tools that number cells anew with
 * each save give the n-th cell the n-th id, whatever it is.  Such ids are
 * counted: random ones are no places, even where they stand in their old ones.
 */
static bool
may_be_places(const NbmMatcher *m, int kind, const int *old_of_new)
{
	const NbmMatchItem *first = NULL;

	for (int new = 0; new < m->side[NBM_NEW].nitems; new++)
	{
		if (old_of_new[new] >= 0 && old_of_new[new] != new)
			return false;
	}
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < m->side[s].nitems; i++)
		{
			const NbmMatchItem *item = &m->side[s].items[i];

			if (item->id[kind] == NULL)
				continue;
			if (first == NULL)
				first = item;
			if (!are_counted(item->id[kind], item->id_len[kind],
							 first->id[kind], first->id_len[kind]))
				return false;
		}
	}
	return true;
}

/*
 * Step 1: links items by ids of one kind, where the contents confirm them, or
 * are silent and give no cause for doubt: no id near by is refuted.  Where the
 * ids may be places, a refuted one anywhere is a cause, and so is an item that
 * came or went without moving the ids behind it.  Ids that link half of a
 * document, none repeated and none refuted, are trusted from now on; the items
 * that are known to be the same count in that.
 */
void
nbm_match_ids(NbmMatcher *m, int kind)
{
	int			nnew = m->side[NBM_NEW].nitems;
	bool		repeated = false;
	int		   *old_of_new = pair_ids(m, kind, &repeated);
	IdEvidence *evidence = judge_ids(m, old_of_new);
	bool	   *doubted = nbm_alloc(nnew, sizeof(bool));
	int			same = m->same_ids ? m->same_ids[kind] : 0;
	int			linked = 0;
	int			refuted = 0;
	bool		only_confirmed;

	spread_doubt(evidence, doubted, nnew, 1);
	spread_doubt(evidence, doubted, nnew, -1);
	for (int new = 0; new < nnew; new++)
		refuted += evidence[new] == ID_REFUTED;
	only_confirmed = (refuted > 0 || nnew != m->side[NBM_OLD].nitems) &&
		may_be_places(m, kind, old_of_new);
	for (int new = 0; new < nnew; new++)
	{
		if (evidence[new] == ID_CONFIRMED ||
			(evidence[new] == ID_SILENT && !doubted[new] && !only_confirmed))
		{
			nbm_link(m, old_of_new[new], new);
			linked++;
		}
	}
	m->trusted[kind] = refuted == 0 && !repeated && !only_confirmed &&
		linked + same >= (Min(m->side[NBM_OLD].nitems, nnew) + same + 1) / 2;
}
