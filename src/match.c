/*-------------------------------------------------------------------------
 *
 * match.c
 *	  Which item of a new document is which item of the old one.
 *
 * Four steps, each of them one to one, each looking only at what the steps
 * before it left free:
 *
 *	1.	ids that are unique on both sides, unless the contents say that a tool
 *		has renumbered them;
 *	2.	contents (then cores) that are unique on both sides and not blank, and
 *		very similar texts that nothing else comes near;
 *	3.	the longest run of these links that keeps its order is the backbone;
 *		the free items between two of its links form a gap, and a gap is
 *		aligned as a whole: equal and similar items in the heaviest common
 *		order.  Neighbours of linked items follow them, and an item that is
 *		alone between the same two neighbours was rewritten;
 *	4.	what is left, wherever it stands: equal contents in order, then very
 *		similar texts, best first.
 *
 * So a blank or repeated cell is settled by its place between its neighbours.
 * Texts are compared by their profiles: sets of hashed grams (five characters in
 * a row), of which a long text keeps the smallest only (a bottom-k sketch).
 * Profiles are made when first asked for.  Where all pairs would be too many,
 * an index of rare grams proposes some.
 *
 * Everything is deterministic (weights are integers, ties go to the earlier
 * item), bounded (about n log n, plus a fixed budget), and can be cancelled.
 * All memory lives in one private context that nbm_match deletes; an ERROR
 * leaves it to the caller's context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "match.h"
#include "miscadmin.h"
#include "storage/shmem.h"		/* mul_size, in older minor releases */
#include "utils/memutils.h"

#define NBM_GRAM			5	/* characters in a gram */
#define NBM_ROLL			UINT64CONST(0x9E3779B97F4A7C15) /* odd, and random */
/* NBM_ROLL to the power of NBM_GRAM - 1 */
#define NBM_ROLL_OUT		(NBM_ROLL * NBM_ROLL * NBM_ROLL * NBM_ROLL)
#define NBM_SKETCH			512 /* grams kept of a text, at most */
#define NBM_AFFIX_LIMIT		4096	/* longest text whose ends are compared */
#define NBM_INTERRUPT_MASK	0xFFFF	/* how many steps between interrupt checks */

#define NBM_ONE				10000	/* similarity and weight of equal items */
#define NBM_SIMILAR_NEAR	4000	/* needed between the same neighbours */
#define NBM_SIMILAR_FAR		7500	/* needed anywhere */
#define NBM_SIMILAR_ALONE	5000	/* anywhere, with no rival within ... */
#define NBM_MARGIN			2000	/* ... this */
#define NBM_SIMILAR_BETWEEN	2000	/* needed alone between two linked pairs */
#define NBM_SAME_CORE		200 /* bonus for equal metadata, too */
#define NBM_BLANK			3000	/* weight of two blank items */
#define NBM_ADJACENT		100 /* bonus for following a linked pair */
#define NBM_CONTAINED		8000	/* this part of a text is in the other */
#define NBM_CONTAINED_MIN	16	/* grams that a contained text must have */
#define NBM_OTHER_TYPE		8000	/* factor where types differ */

#define NBM_GAP_WORK		INT64CONST(4000000) /* grams looked at per gap */
#define NBM_TOTAL_WORK		INT64CONST(60000000)	/* and in all */
#define NBM_INDEX_SIZE		500000	/* entries in the index of grams */
#define NBM_INDEX_GRAMS		64	/* of one item, at most */
#define NBM_RARE			16	/* items that may share a rare gram */
#define NBM_SMALL_CLASS		64	/* equal pairs of which all are proposed */
#define NBM_ELECTED			32	/* one in so many grams must be shared */
#define NBM_CANDIDATES		6	/* pairs proposed for an item */

#define NBM_OLD				0
#define NBM_NEW				1

/* What the contents say about two items with the same id. */
typedef enum NbmIdEvidence
{
	NBM_ID_NONE,				/* there is no such pair */
	NBM_ID_CONFIRMED,			/* they speak for it */
	NBM_ID_SILENT,				/* they say nothing */
	NBM_ID_REFUTED				/* they speak against it */
} NbmIdEvidence;

/* The set of a text's grams. */
typedef struct NbmProfile
{
	uint32	   *grams;			/* hashes, ascending, no hash twice */
	int			ngrams;
	int			nchars;			/* characters, each run of white space is one */
	bool		cut;			/* grams holds only the smallest ones */
} NbmProfile;

/* The characters that make a gram, while it moves over a text. */
typedef struct NbmWindow
{
	uint32		chars[NBM_GRAM];
	int			oldest;			/* where in chars the next one goes */
	uint64		hash;			/* of the characters, in order */
} NbmWindow;

/* One element to sort: by key, then by value. */
typedef struct NbmKey
{
	uint64		key;
	uint64		value;
} NbmKey;

/* A growing list of keys. */
typedef struct NbmKeyList
{
	NbmKey	   *keys;
	int			nkeys;
	int			maxkeys;
} NbmKeyList;

/*
 * Which old items of a gap have a gram: keys (gram, position in the gap), sorted,
 * and cut into buckets of equal width so that a look-up costs one step.
 */
typedef struct NbmIndex
{
	NbmKey	   *keys;
	int		   *end;			/* by bucket: the first key behind it */
	int			nbuckets;
} NbmIndex;

/* One of the two documents. */
typedef struct NbmSide
{
	const NbmMatchItem *items;
	int			nitems;
	int		   *partner;		/* index on the other side, or -1 */
	int		   *content;		/* number of the item's class of equal content */
	int		   *core;			/* the same for cores */
	bool	   *blank;			/* is the text white space only? */
	NbmProfile **profiles;		/* NULL until asked for */
} NbmSide;

/* A matching in progress. */
typedef struct NbmMatcher
{
	NbmSide		side[2];
	int			ncontents;		/* number of classes */
	int			ncores;
	bool		trusted[2];		/* do items with different ids differ? by kind */
	int64		work_left;		/* grams that may still be compared freely */
} NbmMatcher;

/* Free items between two links of the backbone. */
typedef struct NbmGap
{
	int		   *items[2];		/* their indexes, ascending */
	int			nitems[2];
} NbmGap;

/* A pair proposed within a gap; positions count within the gap. */
typedef struct NbmStep
{
	int			pos[2];
	int			weight;
	int64		score;			/* of the best chain that ends here */
	int			previous;		/* step before it in that chain, or -1 */
} NbmStep;

#define ST_SORT nbm_sort_keys
#define ST_ELEMENT_TYPE NbmKey
#define ST_COMPARE(a, b) \
	((a)->key != (b)->key ? ((a)->key < (b)->key ? -1 : 1) : \
	 (a)->value != (b)->value ? ((a)->value < (b)->value ? -1 : 1) : 0)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* ---------------- memory and lists ---------------- */

/*
 * Allocates zeroed room for n elements in the current memory context; the
 * caller owns it.  Raises an error where the size overflows.
 */
static void *
nbm_alloc(int n, Size size)
{
	return palloc0(mul_size(Max(n, 1), size));
}

/*
 * Allocates n integers, all of them value.  The caller owns them.
 */
static int *
nbm_alloc_ints(int n, int value)
{
	int		   *ints = nbm_alloc(n, sizeof(int));

	for (int i = 0; i < n; i++)
		ints[i] = value;
	return ints;
}

/*
 * Appends one key to a list, whose memory stays in the context it is in.
 */
static void
nbm_append_key(NbmKeyList *list, uint64 key, uint64 value)
{
	if (list->nkeys == list->maxkeys)
	{
		list->maxkeys = Max(64, list->maxkeys * 2);
		if (list->keys == NULL)
			list->keys = nbm_alloc(list->maxkeys, sizeof(NbmKey));
		else
			list->keys = repalloc(list->keys,
								  mul_size(list->maxkeys, sizeof(NbmKey)));
	}
	list->keys[list->nkeys].key = key;
	list->keys[list->nkeys].value = value;
	list->nkeys++;
}

/*
 * Packs two indexes into one number that sorts by the first, then the second.
 */
static inline uint64
nbm_pack(int first, int second)
{
	return ((uint64) first << 32) | (uint32) second;
}

/* ---------------- profiles ---------------- */

/*
 * Is this byte white space in every encoding a server can have?
 */
static inline bool
nbm_is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Reads one character from str at *pos and moves *pos behind it.  A run of
 * white space counts as one space; bytes that are no UTF-8 count as
 * characters of their own kind, so that any bytes will do.
 */
static inline uint32
nbm_next_char(const char *str, int len, int *pos)
{
	unsigned char c = (unsigned char) str[(*pos)++];
	uint32		result = c;

	if (nbm_is_space(c))
	{
		while (*pos < len && nbm_is_space((unsigned char) str[*pos]))
			(*pos)++;
		return ' ';
	}
	if (c >= 0xC0)
	{
		while (*pos < len && result < 0x1000000 &&
			   ((unsigned char) str[*pos] & 0xC0) == 0x80)
			result = (result << 8) | (unsigned char) str[(*pos)++];
	}
	return result;
}

/*
 * Moves a window of NBM_GRAM characters on by one, and returns the hash of what
 * it then shows.  All zeroes are an empty window before the text.
 */
static inline uint32
nbm_roll(NbmWindow *window, uint32 c)
{
	uint64		h;

	h = window->hash - window->chars[window->oldest] * NBM_ROLL_OUT;
	h = h * NBM_ROLL + c;
	window->hash = h;
	window->chars[window->oldest] = c;
	window->oldest = (window->oldest + 1) % NBM_GRAM;
	h = (h ^ (h >> 32)) * UINT64CONST(0x94D049BB133111EB);
	return (uint32) (h >> 32);
}

/*
 * Sorts at most 2 * NBM_SKETCH grams, ascending: byte by byte, as they are many
 * and this is where a profile's time goes.
 */
static void
nbm_sort_grams(uint32 *grams, int ngrams)
{
	uint32		other[2 * NBM_SKETCH];
	uint32	   *from = grams;
	uint32	   *to = other;

	for (int shift = 0; shift < 32; shift += 8)
	{
		int			start[257] = {0};
		uint32	   *swap = from;

		for (int i = 0; i < ngrams; i++)
			start[((from[i] >> shift) & 0xFF) + 1]++;
		for (int i = 1; i < 256; i++)
			start[i] += start[i - 1];
		for (int i = 0; i < ngrams; i++)
			to[start[(from[i] >> shift) & 0xFF]++] = from[i];
		from = to;
		to = swap;
	}
}

/*
 * Sorts grams, drops repetitions, and keeps the smallest of them if they are
 * too many; in that case sets cut, and limit to the greatest one kept.
 * Returns how many are left.
 */
static int
nbm_cut_grams(uint32 *grams, int ngrams, bool *cut, uint32 *limit)
{
	int			n = 0;

	nbm_sort_grams(grams, ngrams);
	for (int i = 0; i < ngrams; i++)
	{
		if (n == 0 || grams[n - 1] != grams[i])
			grams[n++] = grams[i];
	}
	if (n <= NBM_SKETCH)
		return n;
	*cut = true;
	*limit = grams[NBM_SKETCH - 1];
	return NBM_SKETCH;
}

/*
 * Makes the profile of a text, in the current memory context; the caller owns
 * it, and it does not point into the text.  Leading and trailing white space
 * is ignored.  A small table of recent hashes keeps repetitions out, so that a
 * long and dull text costs no more sorting than a lively one.
 */
static NbmProfile *
nbm_make_profile(const char *str, int len)
{
	NbmProfile *profile = palloc0(sizeof(NbmProfile));
	uint32		grams[2 * NBM_SKETCH];
	uint32		recent[1024] = {0};
	uint32		limit = PG_UINT32_MAX;
	NbmWindow	window = {0};
	bool		done = false;
	int			n = 0;
	int			pos = 0;

	while (len > 0 && nbm_is_space((unsigned char) str[len - 1]))
		len--;
	while (pos < len && nbm_is_space((unsigned char) str[pos]))
		pos++;
	while (len > 0 && !done)
	{
		uint32		gram;

		done = pos >= len;
		gram = nbm_roll(&window, done ? 0 : nbm_next_char(str, len, &pos));
		profile->nchars += !done;
		if ((profile->nchars & NBM_INTERRUPT_MASK) == 0)
			CHECK_FOR_INTERRUPTS();
		if (gram > limit || recent[gram % lengthof(recent)] == gram)
			continue;
		recent[gram % lengthof(recent)] = gram;
		grams[n++] = gram;
		if (n == lengthof(grams))
			n = nbm_cut_grams(grams, n, &profile->cut, &limit);
	}
	profile->ngrams = nbm_cut_grams(grams, n, &profile->cut, &limit);
	profile->grams = nbm_alloc(profile->ngrams, sizeof(uint32));
	memcpy(profile->grams, grams, profile->ngrams * sizeof(uint32));
	return profile;
}

/*
 * The profile of one item, made when first asked for.  It belongs to the
 * matcher's context, which must be the current one.
 */
static const NbmProfile *
nbm_get_profile(NbmSide *side, int item)
{
	if (side->profiles[item] == NULL)
		side->profiles[item] = nbm_make_profile(side->items[item].text,
												side->items[item].text_len);
	return side->profiles[item];
}

/*
 * How much two sets of grams have in common, from 0 to NBM_ONE: Dice's measure,
 * exact for complete profiles; and into contained, which part of the smaller
 * set is in the other one (0 where it is too small to say).  Of sketches only
 * the range of hashes that both cover is compared, which estimates the same.
 */
static int
nbm_compare_grams(const NbmProfile *a, const NbmProfile *b, int *contained)
{
	uint32		limit = PG_UINT32_MAX;
	int			i = 0,
				j = 0,
				common = 0;

	if (a->cut)
		limit = a->grams[a->ngrams - 1];
	if (b->cut)
		limit = Min(limit, b->grams[b->ngrams - 1]);
	while (i < a->ngrams && j < b->ngrams &&
		   a->grams[i] <= limit && b->grams[j] <= limit)
	{
		uint32		x = a->grams[i];
		uint32		y = b->grams[j];

		common += x == y;
		i += x <= y;
		j += y <= x;
	}
	while (i < a->ngrams && a->grams[i] <= limit)
		i++;
	while (j < b->ngrams && b->grams[j] <= limit)
		j++;
	*contained = Min(i, j) < NBM_CONTAINED_MIN ? 0 :
		(int) ((int64) common * NBM_ONE / Min(i, j));
	if (i + j == 0)
		return 0;
	return (int) ((int64) common * 2 * NBM_ONE / (i + j));
}

/*
 * Which part of two short texts is a common beginning or end, from 0 to
 * NBM_ONE; 0 for long texts, whose grams are enough.
 */
static int
nbm_compare_ends(const char *a, int alen, const char *b, int blen)
{
	int			len = Min(alen, blen);
	int			head = 0,
				tail = 0;

	if (Max(alen, blen) > NBM_AFFIX_LIMIT || len == 0)
		return 0;
	while (head < len && a[head] == b[head])
		head++;
	while (tail < len - head && a[alen - 1 - tail] == b[blen - 1 - tail])
		tail++;
	return (int) ((int64) (head + tail) * 2 * NBM_ONE / (alen + blen));
}

/*
 * Similarity of two texts with their profiles, from 0 to NBM_ONE.  What the
 * lengths make impossible is cut off: sets do not see repetitions.  A text that
 * contains the other one is just similar enough between the same neighbours,
 * however much it has grown.
 */
static int
nbm_compare_texts(const char *a, int alen, const NbmProfile *pa,
				  const char *b, int blen, const NbmProfile *pb)
{
	int64		total = (int64) pa->nchars + pb->nchars;
	int64		most = Min(pa->nchars, pb->nchars) * INT64CONST(2) * NBM_ONE;
	int			contained;
	int			result;

	if (total == 0)
		return NBM_ONE;
	result = nbm_compare_grams(pa, pb, &contained);
	result = Max(result, nbm_compare_ends(a, alen, b, blen));
	result = Min(result, (int) (most / total));
	return contained >= NBM_CONTAINED ? Max(result, NBM_SIMILAR_NEAR) : result;
}

/*
 * Similarity of two texts, from 0 (nothing in common) to 1 (equal but for the
 * amount of white space).  Leaves nothing behind in memory.
 */
double
nbm_similarity(const char *a, int alen, const char *b, int blen)
{
	NbmProfile *pa = nbm_make_profile(a, alen);
	NbmProfile *pb = nbm_make_profile(b, blen);
	double		result = nbm_compare_texts(a, alen, pa, b, blen, pb) / (double) NBM_ONE;

	pfree(pa->grams);
	pfree(pa);
	pfree(pb->grams);
	pfree(pb);
	return result;
}

/*
 * Similarity of an old and a new item, from 0 to NBM_ONE.  An item of another
 * type is less similar than its text.  0 if it is less than floor, without
 * looking closer where the lengths rule out more than that.
 */
static int
nbm_compare_items(NbmMatcher *m, int old, int new, int floor)
{
	const NbmMatchItem *a = &m->side[NBM_OLD].items[old];
	const NbmMatchItem *b = &m->side[NBM_NEW].items[new];
	const NbmProfile *pa = nbm_get_profile(&m->side[NBM_OLD], old);
	const NbmProfile *pb = nbm_get_profile(&m->side[NBM_NEW], new);
	int64		factor = a->type == b->type ? NBM_ONE : NBM_OTHER_TYPE;
	int			result;

	if (floor > NBM_SIMILAR_NEAR && Min(pa->nchars, pb->nchars) * factor * 2 <
		(int64) floor * (pa->nchars + pb->nchars))
		return 0;
	result = nbm_compare_texts(a->text, a->text_len, pa,
							   b->text, b->text_len, pb);
	result = (int) (result * factor / NBM_ONE);
	return result >= floor ? result : 0;
}

/* ---------------- what the steps share ---------------- */

/*
 * Is an item's text white space only?
 */
static bool
nbm_is_blank(const NbmMatchItem *item)
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
static int
nbm_number_classes(NbmMatcher *m, Size field, int *classes[2])
{
	int			nold = m->side[NBM_OLD].nitems;
	int			n = nold + m->side[NBM_NEW].nitems;
	NbmKey	   *keys = nbm_alloc(n, sizeof(NbmKey));
	int			nclasses = 0;

	for (int i = 0; i < n; i++)
	{
		const NbmMatchItem *item = i < nold ? &m->side[NBM_OLD].items[i] :
		&m->side[NBM_NEW].items[i - nold];

		keys[i].key = *(const uint64 *) ((const char *) item + field);
		if (field == offsetof(NbmMatchItem, content) && nbm_is_blank(item))
			keys[i].key = item->type;
		keys[i].value = i;
	}
	nbm_sort_keys(keys, n);
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
static void
nbm_init_side(NbmSide *side, const NbmMatchItem *items, int nitems)
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
		side->blank[i] = nbm_is_blank(&items[i]);
	}
}

/*
 * Says that two items are the same.  Both must be free.
 */
static inline void
nbm_link(NbmMatcher *m, int old, int new)
{
	Assert(m->side[NBM_OLD].partner[old] < 0);
	Assert(m->side[NBM_NEW].partner[new] < 0);
	m->side[NBM_OLD].partner[old] = new;
	m->side[NBM_NEW].partner[new] = old;
}

/*
 * Are the contents of these two items equal?
 */
static inline bool
nbm_equal_content(const NbmMatcher *m, int old, int new)
{
	return m->side[NBM_OLD].content[old] == m->side[NBM_NEW].content[new];
}

/*
 * Have two items the same id of a kind?  Both must have one.
 */
static inline bool
nbm_same_id(const NbmMatchItem *a, const NbmMatchItem *b, int kind)
{
	return a->id_len[kind] == b->id_len[kind] &&
		memcmp(a->id[kind], b->id[kind], a->id_len[kind]) == 0;
}

/*
 * Have both items an id of a kind that has proved itself, and not the same?
 * Then they may be one only on good evidence.
 */
static bool
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

/* ---------------- step 1: ids ---------------- */

/*
 * Lists the ids of one kind, sorted: keys (hash of the id, side and index).
 */
static NbmKeyList
nbm_list_ids(const NbmMatcher *m, int kind)
{
	NbmKeyList	list = {0};

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < m->side[s].nitems; i++)
		{
			const NbmMatchItem *item = &m->side[s].items[i];
			const unsigned char *id = (const unsigned char *) item->id[kind];

			if (id != NULL)
				nbm_append_key(&list, hash_bytes_extended(id, item->id_len[kind], 0),
							   nbm_pack(s, i));
		}
	}
	if (list.nkeys > 0)
		nbm_sort_keys(list.keys, list.nkeys);
	return list;
}

/*
 * Finds the pairs of free items whose ids (of the given kind) are equal and
 * unique on both sides.  Returns for each new item the old one or -1, in an
 * array that the caller owns; sets repeated if any id stands twice on a side.
 */
static int *
nbm_pair_ids(const NbmMatcher *m, int kind, bool *repeated)
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];
	int		   *old_of_new = nbm_alloc_ints(b->nitems, -1);
	NbmKeyList	list = nbm_list_ids(m, kind);

	for (int i = 0, end; i < list.nkeys; i = end)
	{
		int			old = (int) (uint32) list.keys[i].value;
		int			new;

		end = i + 1;
		while (end < list.nkeys && list.keys[end].key == list.keys[i].key)
			end++;
		if (end == i + 1)
			continue;
		if (end > i + 2 ||
			list.keys[i].value >> 32 == list.keys[i + 1].value >> 32)
		{
			*repeated = true;
			continue;
		}
		new = (int) (uint32) list.keys[i + 1].value;
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
nbm_count_contents(const NbmMatcher *m, int s, const int *old_of_new,
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
static NbmIdEvidence
nbm_judge_id(NbmMatcher *m, int old, int new, int *const all[2],
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
			NBM_ID_CONFIRMED : NBM_ID_SILENT;
	elsewhere = (!a->blank[old] && unsettled[NBM_NEW][old_content] > 0) +
		(!b->blank[new] && unsettled[NBM_OLD][new_content] > 0);
	if (elsewhere == 2)
		return NBM_ID_REFUTED;
	similarity = nbm_compare_items(m, old, new, NBM_SIMILAR_NEAR);
	if (similarity == 0)
		return elsewhere == 1 || a->items[old].type != b->items[new].type ?
			NBM_ID_REFUTED : NBM_ID_SILENT;
	return elsewhere == 0 && similarity >= NBM_SIMILAR_FAR ?
		NBM_ID_CONFIRMED : NBM_ID_SILENT;
}

/*
 * Judges all pairs of ids.  Returns the evidence for each new item; the caller
 * owns it.
 */
static NbmIdEvidence *
nbm_judge_ids(NbmMatcher *m, const int *old_of_new)
{
	int			nnew = m->side[NBM_NEW].nitems;
	NbmIdEvidence *evidence = nbm_alloc(nnew, sizeof(NbmIdEvidence));
	int		   *all[2];
	int		   *unsettled[2];

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		all[s] = nbm_alloc_ints(m->ncontents, 0);
		unsettled[s] = nbm_alloc_ints(m->ncontents, 0);
		nbm_count_contents(m, s, old_of_new, all[s], unsettled[s]);
	}
	for (int new = 0; new < nnew; new++)
	{
		CHECK_FOR_INTERRUPTS();
		if (old_of_new[new] >= 0)
			evidence[new] = nbm_judge_id(m, old_of_new[new], new, all, unsettled);
	}
	return evidence;
}

/*
 * Marks as doubted the pairs whose nearest telling pair before them (step 1) or
 * behind them (step -1) is refuted: tools that number cells give all cells
 * behind an insertion another's id.
 */
static void
nbm_spread_doubt(const NbmIdEvidence *evidence, bool *doubted, int nnew, int step)
{
	bool		doubt = false;

	for (int i = 0, new = step > 0 ? 0 : nnew - 1; i < nnew; i++, new += step)
	{
		if (evidence[new] == NBM_ID_CONFIRMED || evidence[new] == NBM_ID_REFUTED)
			doubt = evidence[new] == NBM_ID_REFUTED;
		doubted[new] |= doubt;
	}
}

/*
 * Step 1: links items by ids of one kind, where the contents confirm them, or
 * are silent and give no cause for doubt.  Ids that link half of a document,
 * none repeated and none refuted, are trusted from now on.
 */
static void
nbm_match_ids(NbmMatcher *m, int kind)
{
	int			nnew = m->side[NBM_NEW].nitems;
	bool		repeated = false;
	int		   *old_of_new = nbm_pair_ids(m, kind, &repeated);
	NbmIdEvidence *evidence = nbm_judge_ids(m, old_of_new);
	bool	   *doubted = nbm_alloc(nnew, sizeof(bool));
	int			linked = 0;
	int			refuted = 0;

	nbm_spread_doubt(evidence, doubted, nnew, 1);
	nbm_spread_doubt(evidence, doubted, nnew, -1);
	for (int new = 0; new < nnew; new++)
	{
		refuted += evidence[new] == NBM_ID_REFUTED;
		if (evidence[new] == NBM_ID_CONFIRMED ||
			(evidence[new] == NBM_ID_SILENT && !doubted[new]))
		{
			nbm_link(m, old_of_new[new], new);
			linked++;
		}
	}
	m->trusted[kind] = refuted == 0 && !repeated &&
		linked >= (Min(m->side[NBM_OLD].nitems, nnew) + 1) / 2;
}

/* ---------------- step 2: unique contents ---------------- */

/*
 * Finds for every class the only free, non-blank item of one side in it: its
 * index, or -1 when there is none, or -2 when there are several.  The caller
 * owns the result.
 */
static int *
nbm_find_unique(const NbmSide *side, const int *classes, int nclasses)
{
	int		   *only = nbm_alloc_ints(nclasses, -1);

	for (int i = 0; i < side->nitems; i++)
	{
		if (side->partner[i] < 0 && !side->blank[i])
			only[classes[i]] = only[classes[i]] == -1 ? i : -2;
	}
	return only;
}

/*
 * Step 2: links the free items whose class has one item on each side.
 */
static void
nbm_match_unique(NbmMatcher *m, int *classes[2], int nclasses)
{
	int		   *old = nbm_find_unique(&m->side[NBM_OLD], classes[NBM_OLD], nclasses);
	int		   *new = nbm_find_unique(&m->side[NBM_NEW], classes[NBM_NEW], nclasses);

	for (int c = 0; c < nclasses; c++)
	{
		if (old[c] >= 0 && new[c] >= 0)
			nbm_link(m, old[c], new[c]);
	}
}

/* ---------------- step 3: gaps ---------------- */

/*
 * Finds the backbone: the longest sequence of links that ascends on both
 * sides.  Returns the new items in it, ascending, and their number; the caller
 * owns the result.
 */
static int *
nbm_find_backbone(const NbmMatcher *m, int *nbackbone)
{
	const NbmSide *side = &m->side[NBM_NEW];
	int		   *last = nbm_alloc(side->nitems, sizeof(int));	/* by length - 1 */
	int		   *before = nbm_alloc(side->nitems, sizeof(int));
	int		   *result;
	int			length = 0;

	for (int new = 0; new < side->nitems; new++)
	{
		int			low = 0,
					high = length;

		if (side->partner[new] < 0)
			continue;
		while (low < high)
		{
			int			middle = (low + high) / 2;

			if (side->partner[last[middle]] < side->partner[new])
				low = middle + 1;
			else
				high = middle;
		}
		before[new] = low > 0 ? last[low - 1] : -1;
		last[low] = new;
		length = Max(length, low + 1);
	}
	result = nbm_alloc(length, sizeof(int));
	for (int i = length - 1, new = length > 0 ? last[length - 1] : -1; i >= 0; i--)
	{
		result[i] = new;
		new = before[new];
	}
	*nbackbone = length;
	return result;
}

/*
 * Collects into the gap the free items of one side from first to end - 1.
 */
static void
nbm_collect_free(const NbmMatcher *m, NbmGap *gap, int s, int first, int end)
{
	gap->nitems[s] = 0;
	for (int i = first; i < end; i++)
	{
		if (m->side[s].partner[i] < 0)
			gap->items[s][gap->nitems[s]++] = i;
	}
}

/*
 * Weight of a pair inside a gap, 0 for a pair that cannot be: the fourth power
 * of its similarity, so that one good pair outweighs several doubtful ones.
 * Two blank items weigh more than a doubtful pair, which may still be found
 * anywhere, as blank ones are not.
 */
static int
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
		return (blank ? NBM_BLANK : NBM_ONE) +
			(a->core[old] == b->core[new] ? NBM_SAME_CORE : 0);
	similarity = nbm_compare_items(m, old, new,
								   differ ? NBM_SIMILAR_FAR : NBM_SIMILAR_NEAR);
	similarity = (int) ((int64) similarity * similarity / NBM_ONE);
	return (int) ((int64) similarity * similarity / NBM_ONE);
}

/*
 * Links two items if their cores are equal.  Returns whether it did.
 */
static bool
nbm_link_twins(NbmMatcher *m, int old, int new)
{
	if (m->side[NBM_OLD].core[old] != m->side[NBM_NEW].core[new] ||
		nbm_weigh_pair(m, old, new) == 0)
		return false;
	nbm_link(m, old, new);
	return true;
}

/*
 * Links equal cores at the beginning and at the end of a gap and takes them
 * out of it.  This costs no alignment its best score, and settles long runs of
 * equal items at once.
 */
static void
nbm_trim_gap(NbmMatcher *m, NbmGap *gap)
{
	int			n = Min(gap->nitems[NBM_OLD], gap->nitems[NBM_NEW]);
	int			head = 0;

	while (head < n &&
		   nbm_link_twins(m, gap->items[NBM_OLD][head], gap->items[NBM_NEW][head]))
		head++;
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		gap->nitems[s] -= head;
		memmove(gap->items[s], gap->items[s] + head, gap->nitems[s] * sizeof(int));
	}
	while (gap->nitems[NBM_OLD] > 0 && gap->nitems[NBM_NEW] > 0 &&
		   nbm_link_twins(m, gap->items[NBM_OLD][gap->nitems[NBM_OLD] - 1],
						  gap->items[NBM_NEW][gap->nitems[NBM_NEW] - 1]))
	{
		gap->nitems[NBM_OLD]--;
		gap->nitems[NBM_NEW]--;
	}
}

/*
 * May all pairs of a gap be compared?  Takes the work from the budget if so.
 */
static bool
nbm_afford_all_pairs(NbmMatcher *m, const NbmGap *gap)
{
	int64		work = 0;

	if ((int64) gap->nitems[NBM_OLD] * gap->nitems[NBM_NEW] > NBM_GAP_WORK / 16)
		return false;
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < gap->nitems[s]; i++)
		{
			const NbmProfile *profile = nbm_get_profile(&m->side[s], gap->items[s][i]);

			CHECK_FOR_INTERRUPTS();
			work += (profile->ngrams + INT64CONST(16)) * gap->nitems[1 - s];
		}
	}
	if (work > NBM_GAP_WORK || work > m->work_left)
		return false;
	m->work_left -= work;
	return true;
}

/*
 * The bucket of a gram.  Buckets are in the order of the grams.
 */
static inline int
nbm_bucket(const NbmIndex *index, uint32 gram)
{
	return (int) (((uint64) gram * index->nbuckets) >> 32);
}

/*
 * Enters the grams of one old item of a gap, the first most of them, into the
 * index, or only counts them per bucket while there is no room for them yet.
 */
static void
nbm_index_item(NbmIndex *index, const NbmProfile *profile, int most, int pos)
{
	for (int k = 0; k < Min(profile->ngrams, most); k++)
	{
		int		   *end = &index->end[nbm_bucket(index, profile->grams[k])];

		if (index->keys != NULL)
		{
			index->keys[*end].key = profile->grams[k];
			index->keys[*end].value = pos;
		}
		(*end)++;
	}
}

/*
 * Makes the index of the grams of the old items in a gap, most of each at the
 * utmost: counts them per bucket, then fills the buckets, then sorts each of
 * them.  The caller frees its two arrays.
 */
static NbmIndex
nbm_make_index(NbmMatcher *m, const NbmGap *gap, int most)
{
	NbmSide    *side = &m->side[NBM_OLD];
	const int  *items = gap->items[NBM_OLD];
	int			nold = gap->nitems[NBM_OLD];
	NbmIndex	index = {0};
	int			nkeys = 0;

	for (int i = 0; i < nold; i++)
	{
		CHECK_FOR_INTERRUPTS();
		nkeys += Min(nbm_get_profile(side, items[i])->ngrams, most);
	}
	index.nbuckets = nkeys / 2 + 1;
	index.end = nbm_alloc_ints(index.nbuckets, 0);
	for (int i = 0; i < nold; i++)
		nbm_index_item(&index, nbm_get_profile(side, items[i]), most, i);
	for (int bucket = 0, start = 0; bucket < index.nbuckets; bucket++)
	{
		int			count = index.end[bucket];

		index.end[bucket] = start;
		start += count;
	}
	index.keys = nbm_alloc(nkeys, sizeof(NbmKey));
	for (int i = 0; i < nold; i++)
		nbm_index_item(&index, nbm_get_profile(side, items[i]), most, i);
	for (int bucket = 0, start = 0; bucket < index.nbuckets; bucket++)
	{
		if (index.end[bucket] - start > 1)
			nbm_sort_keys(index.keys + start, index.end[bucket] - start);
		start = index.end[bucket];
	}
	return index;
}

/*
 * Gives a vote to every old item that has this gram, if it is rare, and enters
 * those without a vote so far in found.  Returns the new number found.
 */
static int
nbm_vote(const NbmIndex *index, uint32 gram, int *votes, NbmKey *found, int nfound)
{
	int			bucket = nbm_bucket(index, gram);
	int			low = bucket > 0 ? index->end[bucket - 1] : 0;
	int			end = index->end[bucket];
	int			high = end;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (index->keys[middle].key < gram)
			low = middle + 1;
		else
			high = middle;
	}
	if (low + NBM_RARE < end && index->keys[low + NBM_RARE].key == gram)
		return nfound;
	for (; low < end && index->keys[low].key == gram; low++)
	{
		int			old = (int) index->keys[low].value;

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
static void
nbm_propose_similar(NbmMatcher *m, const NbmGap *gap, NbmKeyList *pairs)
{
	int			nold = gap->nitems[NBM_OLD];
	int			nnew = gap->nitems[NBM_NEW];
	int			most = Min(NBM_INDEX_GRAMS, Max(8, NBM_INDEX_SIZE / Max(nold, nnew)));
	int		   *votes = nbm_alloc_ints(nold, 0);
	NbmKey	   *found = nbm_alloc(most * NBM_RARE, sizeof(NbmKey));
	NbmIndex	index = nbm_make_index(m, gap, most);

	for (int j = 0; j < nnew; j++)
	{
		const NbmProfile *profile = nbm_get_profile(&m->side[NBM_NEW],
													gap->items[NBM_NEW][j]);
		int			looked = Min(profile->ngrams, most);
		int			nfound = 0;

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < looked; k++)
			nfound = nbm_vote(&index, profile->grams[k], votes, found, nfound);
		for (int f = 0; f < nfound; f++)
		{
			found[f].key = PG_UINT64_MAX - votes[found[f].value];
			votes[found[f].value] = 0;
		}
		nbm_sort_keys(found, nfound);
		for (int f = 0; f < Min(nfound, NBM_CANDIDATES); f++)
		{
			if ((PG_UINT64_MAX - found[f].key) * NBM_ELECTED >= looked)
				nbm_append_key(pairs, nbm_pack((int) found[f].value, j), 0);
		}
	}
	pfree(found);
	pfree(votes);
	pfree(index.keys);
	pfree(index.end);
}

/*
 * Proposes the pairs of one class of equal content, given its old and its new
 * items as keys whose values end in the position within the gap: all pairs of
 * a small class, else the n-th with the n-th, from the front and from the back.
 */
static void
nbm_propose_class(const NbmKey *olds, int nold, const NbmKey *news, int nnew,
				  NbmKeyList *pairs)
{
	bool		all = (int64) nold * nnew <= NBM_SMALL_CLASS;

	for (int i = 0; all && i < nold; i++)
	{
		for (int j = 0; j < nnew; j++)
			nbm_append_key(pairs, nbm_pack((int) (uint32) olds[i].value,
										   (int) (uint32) news[j].value), 0);
	}
	for (int k = 0; !all && k < Min(nold, nnew); k++)
	{
		nbm_append_key(pairs, nbm_pack((int) (uint32) olds[k].value,
									   (int) (uint32) news[k].value), 0);
		nbm_append_key(pairs, nbm_pack((int) (uint32) olds[nold - 1 - k].value,
									   (int) (uint32) news[nnew - 1 - k].value), 0);
	}
}

/*
 * Proposes the pairs of equal content in a gap, class by class.
 */
static void
nbm_propose_equal(const NbmMatcher *m, const NbmGap *gap, NbmKeyList *pairs)
{
	NbmKeyList	list = {0};
	NbmKey	   *keys;

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		for (int i = 0; i < gap->nitems[s]; i++)
			nbm_append_key(&list, m->side[s].content[gap->items[s][i]],
						   nbm_pack(s, i));
	}
	keys = list.keys;
	nbm_sort_keys(keys, list.nkeys);
	for (int i = 0, end; i < list.nkeys; i = end)
	{
		int			nold = 0;

		for (end = i; end < list.nkeys && keys[end].key == keys[i].key; end++)
			nold += keys[end].value >> 32 == NBM_OLD;
		nbm_propose_class(keys + i, nold, keys + i + nold, end - i - nold, pairs);
	}
	pfree(keys);
}

/*
 * Proposes the pairs of items that have the same distance from the beginning
 * or from the end of a gap.
 */
static void
nbm_propose_place(const NbmGap *gap, NbmKeyList *pairs)
{
	int			nold = gap->nitems[NBM_OLD];
	int			nnew = gap->nitems[NBM_NEW];

	for (int k = 0; k < Min(nold, nnew); k++)
	{
		nbm_append_key(pairs, nbm_pack(k, k), 0);
		nbm_append_key(pairs, nbm_pack(nold - 1 - k, nnew - 1 - k), 0);
	}
}

/*
 * Lists the pairs of a gap that could be the same item, with their weights,
 * ordered by old and new position.  The caller owns the result, whose length
 * is stored in nsteps.
 */
static NbmStep *
nbm_list_steps(NbmMatcher *m, const NbmGap *gap, int *nsteps)
{
	NbmKeyList	pairs = {0};
	NbmStep    *steps;
	int			n = 0;

	if (nbm_afford_all_pairs(m, gap))
	{
		for (int i = 0; i < gap->nitems[NBM_OLD]; i++)
			for (int j = 0; j < gap->nitems[NBM_NEW]; j++)
				nbm_append_key(&pairs, nbm_pack(i, j), 0);
	}
	else
	{
		nbm_propose_equal(m, gap, &pairs);
		nbm_propose_similar(m, gap, &pairs);
		nbm_propose_place(gap, &pairs);
		nbm_sort_keys(pairs.keys, pairs.nkeys);
	}
	steps = nbm_alloc(pairs.nkeys, sizeof(NbmStep));
	for (int p = 0; p < pairs.nkeys; p++)
	{
		int			i = (int) (pairs.keys[p].key >> 32);
		int			j = (int) (uint32) pairs.keys[p].key;
		int			weight;

		CHECK_FOR_INTERRUPTS();
		if (p > 0 && pairs.keys[p].key == pairs.keys[p - 1].key)
			continue;
		weight = nbm_weigh_pair(m, gap->items[NBM_OLD][i], gap->items[NBM_NEW][j]);
		if (weight == 0)
			continue;
		steps[n].pos[NBM_OLD] = i;
		steps[n].pos[NBM_NEW] = j;
		steps[n].weight = weight;
		n++;
	}
	pfree(pairs.keys);
	*nsteps = n;
	return steps;
}

/*
 * The better of two chains, given by their last steps or -1: the heavier one,
 * on a tie the one found first.
 */
static inline int
nbm_better_chain(const NbmStep *steps, int a, int b)
{
	if (a < 0 || b < 0)
		return Max(a, b);
	if (steps[a].score != steps[b].score)
		return steps[a].score > steps[b].score ? a : b;
	return Min(a, b);
}

/*
 * The best chain that ends at a new position before j, in a tree of prefix
 * maxima (a Fenwick tree over new positions): its last step, or -1.
 */
static int
nbm_best_chain(const NbmStep *steps, const int *tree, int j)
{
	int			best = -1;

	for (; j > 0; j -= j & -j)
		best = nbm_better_chain(steps, best, tree[j]);
	return best;
}

/*
 * Enters a step into that tree of size nnew.
 */
static void
nbm_enter_chain(const NbmStep *steps, int *tree, int nnew, int step)
{
	for (int j = steps[step].pos[NBM_NEW] + 1; j <= nnew; j += j & -j)
		tree[j] = nbm_better_chain(steps, tree[j], step);
}

/*
 * Scores one step: its weight, and the best chain before it.  A step next to
 * the one before it, or at the edge of the gap, earns a bonus.  diagonal is the
 * step one before on both sides, or -1.
 */
static void
nbm_score_step(NbmStep *steps, const int *tree, const NbmGap *gap, int step,
			   int diagonal)
{
	NbmStep    *this = &steps[step];
	int64		before = 0;

	this->previous = nbm_best_chain(steps, tree, this->pos[NBM_NEW]);
	if (this->previous >= 0)
		before = steps[this->previous].score;
	if (this->pos[NBM_OLD] == 0 && this->pos[NBM_NEW] == 0)
		before += NBM_ADJACENT;
	if (diagonal >= 0 && steps[diagonal].score + NBM_ADJACENT > before)
	{
		before = steps[diagonal].score + NBM_ADJACENT;
		this->previous = diagonal;
	}
	this->score = before + this->weight;
	if (this->pos[NBM_OLD] == gap->nitems[NBM_OLD] - 1 &&
		this->pos[NBM_NEW] == gap->nitems[NBM_NEW] - 1)
		this->score += NBM_ADJACENT;
}

/*
 * Aligns a gap: links the pairs of the chain of steps, ascending on both
 * sides, that has the greatest weight.  Steps of one old item are scored
 * before any of them is entered into the tree.
 */
static void
nbm_align_gap(NbmMatcher *m, const NbmGap *gap)
{
	int			nnew = gap->nitems[NBM_NEW];
	int			nsteps;
	NbmStep    *steps = nbm_list_steps(m, gap, &nsteps);
	int		   *tree = nbm_alloc_ints(nnew + 1, -1);
	int			last = 0;		/* first step of the row before */

	for (int row = 0, end; row < nsteps; last = row, row = end)
	{
		int			diagonal = last;

		CHECK_FOR_INTERRUPTS();
		for (end = row; end < nsteps &&
			 steps[end].pos[NBM_OLD] == steps[row].pos[NBM_OLD]; end++)
		{
			int			i = steps[end].pos[NBM_OLD] - 1;
			int			j = steps[end].pos[NBM_NEW] - 1;

			while (diagonal < row && (steps[diagonal].pos[NBM_OLD] < i ||
									  steps[diagonal].pos[NBM_NEW] < j))
				diagonal++;
			if (diagonal < row && steps[diagonal].pos[NBM_NEW] == j)
				nbm_score_step(steps, tree, gap, end, diagonal);
			else
				nbm_score_step(steps, tree, gap, end, -1);
		}
		for (int step = row; step < end; step++)
			nbm_enter_chain(steps, tree, nnew, step);
	}
	for (int step = nbm_best_chain(steps, tree, nnew); step >= 0;
		 step = steps[step].previous)
		nbm_link(m, gap->items[NBM_OLD][steps[step].pos[NBM_OLD]],
				 gap->items[NBM_NEW][steps[step].pos[NBM_NEW]]);
	pfree(steps);
	pfree(tree);
}

/*
 * Step 3: aligns every gap between two neighbours on the backbone.
 */
static void
nbm_match_gaps(NbmMatcher *m)
{
	int			nbackbone;
	int		   *backbone = nbm_find_backbone(m, &nbackbone);
	int			nold = m->side[NBM_OLD].nitems;
	int			nnew = m->side[NBM_NEW].nitems;
	int			old = 0,
				new = 0;
	NbmGap		gap;

	gap.items[NBM_OLD] = nbm_alloc(nold, sizeof(int));
	gap.items[NBM_NEW] = nbm_alloc(nnew, sizeof(int));
	for (int i = 0; i <= nbackbone; i++)
	{
		int			new_end = i < nbackbone ? backbone[i] : nnew;
		int			old_end = i < nbackbone ? m->side[NBM_NEW].partner[new_end] : nold;

		CHECK_FOR_INTERRUPTS();
		nbm_collect_free(m, &gap, NBM_OLD, old, old_end);
		nbm_collect_free(m, &gap, NBM_NEW, new, new_end);
		nbm_trim_gap(m, &gap);
		if (gap.nitems[NBM_OLD] > 0 && gap.nitems[NBM_NEW] > 0)
			nbm_align_gap(m, &gap);
		old = old_end + 1;
		new = new_end + 1;
	}
}

/*
 * Links a pair beside a linked one if both exist, are free, and are equal or
 * similar.  Returns whether it did.
 */
static bool
nbm_follow_neighbour(NbmMatcher *m, int old, int new)
{
	if (old < 0 || old >= m->side[NBM_OLD].nitems ||
		new < 0 || new >= m->side[NBM_NEW].nitems ||
		m->side[NBM_OLD].partner[old] >= 0 || m->side[NBM_NEW].partner[new] >= 0 ||
		nbm_weigh_pair(m, old, new) == 0)
		return false;
	nbm_link(m, old, new);
	return true;
}

/*
 * Still step 3: items beside a moved item have moved with it.  One pass
 * forward and one backward, each carrying on from the links it makes.
 */
static void
nbm_match_neighbours(NbmMatcher *m)
{
	const int  *partner = m->side[NBM_NEW].partner;
	int			nnew = m->side[NBM_NEW].nitems;

	for (int new = 0; new < nnew - 1; new++)
	{
		CHECK_FOR_INTERRUPTS();
		if (partner[new] >= 0)
			nbm_follow_neighbour(m, partner[new] + 1, new + 1);
	}
	for (int new = nnew - 1; new > 0; new--)
	{
		CHECK_FOR_INTERRUPTS();
		if (partner[new] >= 0)
			nbm_follow_neighbour(m, partner[new] - 1, new - 1);
	}
}

/*
 * Still step 3: one free item on each side, alone between the same two
 * neighbours, is most likely one item that was rewritten, so little evidence
 * will do; where one of the two is blank, it was filled or emptied.  The ends
 * of a document are neighbours, too.
 */
static void
nbm_match_between(NbmMatcher *m)
{
	const NbmSide *a = &m->side[NBM_OLD];
	const NbmSide *b = &m->side[NBM_NEW];

	for (int new = 0; new < b->nitems; new++)
	{
		int			before = new > 0 ? b->partner[new - 1] : -1;
		int			after = new < b->nitems - 1 ? b->partner[new + 1] : a->nitems;
		int			old = before + 1;

		CHECK_FOR_INTERRUPTS();
		if (b->partner[new] >= 0 || (new > 0 && before < 0) || after != old + 1 ||
			a->partner[old] >= 0 || nbm_ids_differ(m, old, new))
			continue;
		if (a->blank[old] || b->blank[new] ? a->items[old].type == b->items[new].type :
			nbm_compare_items(m, old, new, NBM_SIMILAR_BETWEEN) > 0)
			nbm_link(m, old, new);
	}
}

/* ---------------- step 4, and 2: anywhere ---------------- */

/*
 * Links the free items of equal content that are not blank, in order.
 */
static void
nbm_match_equal(NbmMatcher *m)
{
	NbmSide    *old = &m->side[NBM_OLD];
	NbmSide    *new = &m->side[NBM_NEW];
	int		   *first = nbm_alloc_ints(m->ncontents, -1);
	int		   *next = nbm_alloc_ints(old->nitems, -1);

	for (int i = old->nitems - 1; i >= 0; i--)
	{
		if (old->partner[i] >= 0 || old->blank[i])
			continue;
		next[i] = first[old->content[i]];
		first[old->content[i]] = i;
	}
	for (int j = 0; j < new->nitems; j++)
	{
		int			i = first[new->content[j]];

		if (new->partner[j] >= 0 || i < 0)
			continue;
		first[new->content[j]] = next[i];
		nbm_link(m, i, j);
	}
}

/*
 * Notes how similar the best and the second best partner of an item is.
 */
static inline void
nbm_note_best(int *best, int *second, int similarity)
{
	if (similarity > *best)
	{
		*second = *best;
		*best = similarity;
	}
	else if (similarity > *second)
		*second = similarity;
}

/*
 * Collects, as if they were one gap, the free items that are not blank, but for
 * those whose content has as many free items on the other side: these will find
 * each other.  Where there are more on one side, all must be there as rivals.
 */
static void
nbm_collect_unlike(const NbmMatcher *m, NbmGap *gap)
{
	int		   *free_items[2];

	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		const NbmSide *side = &m->side[s];

		free_items[s] = nbm_alloc_ints(m->ncontents, 0);
		for (int i = 0; i < side->nitems; i++)
			free_items[s][side->content[i]] += side->partner[i] < 0;
	}
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		const NbmSide *side = &m->side[s];

		gap->items[s] = nbm_alloc(side->nitems, sizeof(int));
		gap->nitems[s] = 0;
		for (int i = 0; i < side->nitems; i++)
		{
			if (side->partner[i] < 0 && !side->blank[i] &&
				free_items[0][side->content[i]] != free_items[1][side->content[i]])
				gap->items[s][gap->nitems[s]++] = i;
		}
	}
}

/*
 * Lists pairs of items that could be the same wherever they stand, the most
 * similar first, as keys (difference, old and new item), and for each item the
 * similarity of its second best partner.  The caller owns all of it.
 */
static NbmKeyList
nbm_rank_pairs(NbmMatcher *m, int *second[2])
{
	NbmGap		all;
	NbmKeyList	pairs = {0};
	int		   *best[2];

	nbm_collect_unlike(m, &all);
	if (all.nitems[NBM_OLD] > 0 && all.nitems[NBM_NEW] > 0)
		nbm_propose_similar(m, &all, &pairs);
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		best[s] = nbm_alloc_ints(m->side[s].nitems, 0);
		second[s] = nbm_alloc_ints(m->side[s].nitems, 0);
	}
	for (int p = 0; p < pairs.nkeys; p++)
	{
		int			old = all.items[NBM_OLD][pairs.keys[p].key >> 32];
		int			new = all.items[NBM_NEW][(uint32) pairs.keys[p].key];
		int			similarity;

		CHECK_FOR_INTERRUPTS();
		similarity = nbm_compare_items(m, old, new, NBM_SIMILAR_ALONE - NBM_MARGIN);
		nbm_note_best(&best[NBM_OLD][old], &second[NBM_OLD][old], similarity);
		nbm_note_best(&best[NBM_NEW][new], &second[NBM_NEW][new], similarity);
		pairs.keys[p].key = NBM_ONE - similarity;
		pairs.keys[p].value = nbm_pack(old, new);
	}
	if (pairs.nkeys > 0)
		nbm_sort_keys(pairs.keys, pairs.nkeys);
	return pairs;
}

/*
 * Links the free items that are very similar, wherever they stand: the most
 * similar pair first, on a tie the earlier one.  A less similar pair will do
 * if nothing else comes near for either of its items; when only what is clear
 * is wanted, pairs must be very similar and without rivals.
 */
static void
nbm_match_similar(NbmMatcher *m, bool clear)
{
	int		   *second[2];
	NbmKeyList	pairs = nbm_rank_pairs(m, second);

	for (int p = 0; p < pairs.nkeys; p++)
	{
		int			old = (int) (pairs.keys[p].value >> 32);
		int			new = (int) (uint32) pairs.keys[p].value;
		int			similarity = NBM_ONE - (int) pairs.keys[p].key;
		int			rival = Max(second[NBM_OLD][old], second[NBM_NEW][new]);
		bool		alone;

		if (similarity < (clear ? NBM_SIMILAR_FAR : NBM_SIMILAR_ALONE))
			break;
		if (m->side[NBM_OLD].partner[old] >= 0 || m->side[NBM_NEW].partner[new] >= 0)
			continue;
		alone = similarity - rival >= NBM_MARGIN && !nbm_ids_differ(m, old, new);
		if (alone || (similarity >= NBM_SIMILAR_FAR && !clear))
			nbm_link(m, old, new);
	}
}

/* ---------------- the whole ---------------- */

/*
 * Says for each new item which old item it is: fills old_of_new[0 .. nnew - 1]
 * with indexes of old items, each at most once, or -1 for an item that is new.
 * The items and their strings stay the caller's; nothing is left in memory.
 * Raises an error only when cancelled or out of memory.
 */
void
nbm_match(const NbmMatchItem *old_items, int nold,
		  const NbmMatchItem *new_items, int nnew, int *old_of_new)
{
	MemoryContext mine = AllocSetContextCreate(CurrentMemoryContext,
											   "notebook_migrate matcher",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext callers = MemoryContextSwitchTo(mine);
	NbmMatcher	m = {0};
	int		   *contents[2];
	int		   *cores[2];

	nbm_init_side(&m.side[NBM_OLD], old_items, nold);
	nbm_init_side(&m.side[NBM_NEW], new_items, nnew);
	for (int s = NBM_OLD; s <= NBM_NEW; s++)
	{
		contents[s] = m.side[s].content;
		cores[s] = m.side[s].core;
	}
	m.work_left = NBM_TOTAL_WORK;
	m.ncontents = nbm_number_classes(&m, offsetof(NbmMatchItem, content), contents);
	m.ncores = nbm_number_classes(&m, offsetof(NbmMatchItem, core), cores);
	nbm_match_ids(&m, 0);
	nbm_match_ids(&m, 1);
	nbm_match_unique(&m, contents, m.ncontents);
	nbm_match_unique(&m, cores, m.ncores);
	nbm_match_similar(&m, true);
	nbm_match_gaps(&m);
	nbm_match_neighbours(&m);
	nbm_match_between(&m);
	nbm_match_equal(&m);
	nbm_match_similar(&m, false);
	for (int new = 0; new < nnew; new++)
		old_of_new[new] = m.side[NBM_NEW].partner[new];
	MemoryContextSwitchTo(callers);
	MemoryContextDelete(mine);
}
