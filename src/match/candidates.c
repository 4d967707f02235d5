/*
 * candidates.c
 *		Proposes pairs of items that could be the same, where all pairs would
 *		be too many.
 *
 * Similar ones are found in an index of grams: those that few items share.
 */
#include "postgres.h"

#include "matcher.h"
#include "miscadmin.h"

#define INDEX_SIZE	500000		/* entries in the index of grams */
#define INDEX_GRAMS 64			/* of one item, at most */
#define RARE		16			/* items that may share a rare gram */
#define SMALL_CLASS 64			/* equal pairs of which all are proposed */
#define ELECTED		32			/* one in so many grams must be shared */
#define CANDIDATES	6			/* pairs proposed for an item */

/*
 * Which old items of a gap have a gram: entries (gram, position in the gap),
 * sorted, and cut into buckets of equal width so that a look-up costs one step.
 */
typedef struct GramIndex
{
	NbmEntry   *entries;
	int		   *end;			/* by bucket: the first entry behind it */
	int			nbuckets;
} GramIndex;

/*
 * The bucket of a gram.  Buckets are in the order of the grams.
 */
static inline int
bucket_of(const GramIndex *index, uint32 gram)
{
	return (int) (((uint64) gram * index->nbuckets) >> 32);
}

/*
 * Enters the grams of one old item of a gap, the first most of them, into the
 * index, or only counts them per bucket while there is no room for them yet.
 */
static void
index_item(GramIndex *index, const NbmProfile *profile, int most, int pos)
{
	for (int k = 0; k < Min(profile->ngrams, most); k++)
	{
		int		   *end = &index->end[bucket_of(index, profile->grams[k])];

		if (index->entries != NULL)
		{
			index->entries[*end].key = profile->grams[k];
			index->entries[*end].value = pos;
		}
		(*end)++;
	}
}

/*
 * Makes the index of the grams of the old items in a gap, most of each at the
 * utmost: counts them per bucket, then fills the buckets, then sorts each of
 * them.  The caller frees its two arrays.
 */
static GramIndex
make_index(NbmMatcher *m, const NbmGap *gap, int most)
{
	NbmSide    *side = &m->side[NBM_OLD];
	const int  *items = gap->items[NBM_OLD];
	int			nold = gap->nitems[NBM_OLD];
	GramIndex	index = {0};
	int			nkeys = 0;

	for (int i = 0; i < nold; i++)
	{
		CHECK_FOR_INTERRUPTS();
		nkeys += Min(nbm_matcher_profile(side, items[i])->ngrams, most);
	}
	index.nbuckets = nkeys / 2 + 1;
	index.end = nbm_alloc_ints(index.nbuckets, 0);
	for (int i = 0; i < nold; i++)
		index_item(&index, nbm_matcher_profile(side, items[i]), most, i);
	for (int bucket = 0, start = 0; bucket < index.nbuckets; bucket++)
	{
		int			count = index.end[bucket];

		index.end[bucket] = start;
		start += count;
	}
	index.entries = nbm_alloc(nkeys, sizeof(NbmEntry));
	for (int i = 0; i < nold; i++)
		index_item(&index, nbm_matcher_profile(side, items[i]), most, i);
	for (int bucket = 0, start = 0; bucket < index.nbuckets; bucket++)
	{
		if (index.end[bucket] - start > 1)
			nbm_entries_sort(index.entries + start, index.end[bucket] - start);
		start = index.end[bucket];
	}
	return index;
}

/*
 * Gives a vote to every old item that has this gram, if it is rare, and enters
 * those without a vote so far in found.  Returns the new number found.
 */
static int
vote(const GramIndex *index, uint32 gram, int *votes, NbmEntry *found, int nfound)
{
	int			bucket = bucket_of(index, gram);
	int			low = bucket > 0 ? index->end[bucket - 1] : 0;
	int			end = index->end[bucket];
	int			high = end;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (index->entries[middle].key < gram)
			low = middle + 1;
		else
			high = middle;
	}
	if (low + RARE < end && index->entries[low + RARE].key == gram)
		return nfound;
	for (; low < end && index->entries[low].key == gram; low++)
	{
		int			old = (int) index->entries[low].value;

		if (votes[old]++ == 0)
			found[nfound++].value = old;
	}
	return nfound;
}

/*
 * Proposes pairs of free items that share rare grams, the best few for each
 * new item, as keys (position of old, position of new) with value 0; positions
 * count within the gap.  Only the smallest hashes of each profile are looked
 * at, as many as the size of the index allows: being smallest, they are the
 * same ones on both sides.
 */
void
nbm_propose_similar(NbmMatcher *m, const NbmGap *gap, NbmEntries *pairs)
{
	int			nold = gap->nitems[NBM_OLD];
	int			nnew = gap->nitems[NBM_NEW];
	int			most = Min(INDEX_GRAMS, Max(8, INDEX_SIZE / Max(nold, nnew)));
	int		   *votes = nbm_alloc_ints(nold, 0);
	NbmEntry   *found = nbm_alloc(most * RARE, sizeof(NbmEntry));
	GramIndex	index = make_index(m, gap, most);

	for (int j = 0; j < nnew; j++)
	{
		const NbmProfile *profile = nbm_matcher_profile(&m->side[NBM_NEW],
														gap->items[NBM_NEW][j]);
		int			looked = Min(profile->ngrams, most);
		int			nfound = 0;

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < looked; k++)
			nfound = vote(&index, profile->grams[k], votes, found, nfound);
		for (int f = 0; f < nfound; f++)
		{
			found[f].key = PG_UINT64_MAX - votes[found[f].value];
			votes[found[f].value] = 0;
		}
		nbm_entries_sort(found, nfound);
		for (int f = 0; f < Min(nfound, CANDIDATES); f++)
		{
			if ((PG_UINT64_MAX - found[f].key) * ELECTED >= looked)
				nbm_entries_add(pairs, nbm_pack((int) found[f].value, j), 0);
		}
	}
	pfree(found);
	pfree(votes);
	pfree(index.entries);
	pfree(index.end);
}

/*
 * Proposes the pairs of one class of equal content, given its old and its new
 * items as keys whose values end in the position within the gap: all pairs of
 * a small class, else the n-th with the n-th, from the front and from the back.
 */
static void
propose_class(const NbmEntry *olds, int nold, const NbmEntry *news, int nnew,
			  NbmEntries *pairs)
{
	bool		all = (int64) nold * nnew <= SMALL_CLASS;

	for (int i = 0; all && i < nold; i++)
	{
		for (int j = 0; j < nnew; j++)
			nbm_entries_add(pairs, nbm_pack((int) (uint32) olds[i].value,
											(int) (uint32) news[j].value), 0);
	}
	for (int k = 0; !all && k < Min(nold, nnew); k++)
	{
		nbm_entries_add(pairs, nbm_pack((int) (uint32) olds[k].value,
										(int) (uint32) news[k].value), 0);
		nbm_entries_add(pairs, nbm_pack((int) (uint32) olds[nold - 1 - k].value,
										(int) (uint32) news[nnew - 1 - k].value), 0);
	}
}

/*
 * Proposes the pairs of equal content in a gap, class by class.
 */
void
nbm_propose_equal(const NbmMatcher *m, const NbmGap *gap, NbmEntries *pairs)
{
	NbmEntries	list = {0};
	NbmEntry   *keys;

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < gap->nitems[s]; i++)
			nbm_entries_add(&list, m->side[s].content[gap->items[s][i]],
							nbm_pack(s, i));
	}
	keys = list.entries;
	nbm_entries_sort(keys, list.count);
	for (int i = 0, end; i < list.count; i = end)
	{
		int			nold = 0;

		for (end = i; end < list.count && keys[end].key == keys[i].key; end++)
			nold += keys[end].value >> 32 == NBM_OLD;
		propose_class(keys + i, nold, keys + i + nold, end - i - nold, pairs);
	}
	pfree(keys);
}

/*
 * Proposes the pairs of items that have the same distance from the beginning
 * or from the end of a gap.
 */
void
nbm_propose_place(const NbmGap *gap, NbmEntries *pairs)
{
	int			nold = gap->nitems[NBM_OLD];
	int			nnew = gap->nitems[NBM_NEW];

	for (int k = 0; k < Min(nold, nnew); k++)
	{
		nbm_entries_add(pairs, nbm_pack(k, k), 0);
		nbm_entries_add(pairs, nbm_pack(nold - 1 - k, nnew - 1 - k), 0);
	}
}
