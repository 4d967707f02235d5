/*
 * profile.c
 *		How similar two texts are.
 *
 * A text is known by its profile: the set of its hashed grams (five characters
 * in a row), of which a long text keeps the smallest only (a bottom-k sketch).
 */
#include "postgres.h"

#include "entries.h"
#include "match.h"
#include "miscadmin.h"
#include "profile.h"

#define GRAM		5			/* characters in a gram */
#define ROLL		UINT64CONST(0x9E3779B97F4A7C15) /* odd, and random */
#define ROLL_OUT	(ROLL * ROLL * ROLL * ROLL) /* to the power of GRAM - 1 */
#define SKETCH		512			/* grams kept of a text, at most */
#define AFFIX_LIMIT 4096		/* longest text whose ends are compared */
#define CONTAINED	8000		/* this part of a text is in the other */
#define CONTAINED_MIN	16		/* grams that a contained text must have */
#define INTERRUPT_MASK	0xFFFF	/* how many steps between interrupt checks */

/* The characters that make a gram, while it moves over a text. */
typedef struct Window
{
	uint32		chars[GRAM];
	int			oldest;			/* where in chars the next one goes */
	uint64		hash;			/* of the characters, in order */
} Window;

/*
 * Reads one character from str at *pos and moves *pos behind it.  A run of
 * white space counts as one space; bytes that are no UTF-8 count as
 * characters of their own kind, so that any bytes will do.
 */
static inline uint32
next_char(const char *str, int len, int *pos)
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
 * Moves a window of GRAM characters on by one, and returns the hash of what
 * it then shows.  All zeroes are an empty window before the text.
 */
static inline uint32
roll(Window *window, uint32 c)
{
	uint64		h;

	h = window->hash - window->chars[window->oldest] * ROLL_OUT;
	h = h * ROLL + c;
	window->hash = h;
	window->chars[window->oldest] = c;
	window->oldest = (window->oldest + 1) % GRAM;
	h = (h ^ (h >> 32)) * UINT64CONST(0x94D049BB133111EB);
	return (uint32) (h >> 32);
}

/*
 * Sorts at most 2 * SKETCH grams, ascending: byte by byte, as they are many
 * and this is where a profile's time goes.
 */
static void
sort_grams(uint32 *grams, int ngrams)
{
	uint32		other[2 * SKETCH];
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
cut_grams(uint32 *grams, int ngrams, bool *cut, uint32 *limit)
{
	int			n = 0;

	sort_grams(grams, ngrams);
	for (int i = 0; i < ngrams; i++)
	{
		if (n == 0 || grams[n - 1] != grams[i])
			grams[n++] = grams[i];
	}
	if (n <= SKETCH)
		return n;
	*cut = true;
	*limit = grams[SKETCH - 1];
	return SKETCH;
}

/* How many bits of a word are set. */
static inline int
count_bits(uint64 x)
{
	x = x - ((x >> 1) & UINT64CONST(0x5555555555555555));
	x = (x & UINT64CONST(0x3333333333333333)) +
		((x >> 2) & UINT64CONST(0x3333333333333333));
	x = (x + (x >> 4)) & UINT64CONST(0x0F0F0F0F0F0F0F0F);
	return (int) ((x * UINT64CONST(0x0101010101010101)) >> 56);
}

/* Sets the bits of a profile's grams. */
static void
set_bits(NbmProfile *profile)
{
	for (int i = 0; i < profile->ngrams; i++)
	{
		uint32		bit = profile->grams[i] % (64 * NBM_PROFILE_WORDS);

		profile->bits[bit / 64] |= UINT64CONST(1) << (bit % 64);
	}
	for (int i = 0; i < NBM_PROFILE_WORDS; i++)
		profile->nbits += count_bits(profile->bits[i]);
}

/*
 * Makes the profile of a text, in the current memory context; the caller owns
 * it, and it does not point into the text.  Leading and trailing white space
 * is ignored.  A small table of recent hashes keeps repetitions out, so that a
 * long and dull text costs no more sorting than a lively one.
 */
NbmProfile *
nbm_profile_make(const char *str, int len)
{
	NbmProfile *profile = palloc0(sizeof(NbmProfile));
	uint32		grams[2 * SKETCH];
	uint32		recent[1024] = {0};
	uint32		limit = PG_UINT32_MAX;
	Window		window = {0};
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
		gram = roll(&window, done ? 0 : next_char(str, len, &pos));
		profile->nchars += !done;
		if ((profile->nchars & INTERRUPT_MASK) == 0)
			CHECK_FOR_INTERRUPTS();
		if (gram > limit || recent[gram % lengthof(recent)] == gram)
			continue;
		recent[gram % lengthof(recent)] = gram;
		grams[n++] = gram;
		if (n == lengthof(grams))
			n = cut_grams(grams, n, &profile->cut, &limit);
	}
	profile->ngrams = cut_grams(grams, n, &profile->cut, &limit);
	profile->grams = nbm_alloc(profile->ngrams, sizeof(uint32));
	memcpy(profile->grams, grams, profile->ngrams * sizeof(uint32));
	set_bits(profile);
	return profile;
}

/*
 * Do the bits rule out that two complete sets are that similar, or one contained
 * in the other?  As many grams can be common as there are common bits, and as grams
 * that share a bit with another one.
 */
static bool
are_unlike(const NbmProfile *a, const NbmProfile *b, int floor)
{
	int			most = Min(a->ngrams - a->nbits, b->ngrams - b->nbits);

	if (a->cut || b->cut)
		return false;
	for (int i = 0; i < NBM_PROFILE_WORDS; i++)
		most += count_bits(a->bits[i] & b->bits[i]);
	return (int64) most * NBM_ONE <
		(int64) Min(a->ngrams, b->ngrams) * Min(floor, CONTAINED);
}

/*
 * How much two sets of grams have in common, from 0 to NBM_ONE: Dice's measure,
 * exact for complete profiles; and into contained, which part of the smaller
 * set is in the other one (0 where it is too small to say).  Of sketches only
 * the range of hashes that both cover is compared, which estimates the same.
 */
static int
compare_grams(const NbmProfile *a, const NbmProfile *b, int *contained)
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
	*contained = Min(i, j) < CONTAINED_MIN ? 0 :
		(int) ((int64) common * NBM_ONE / Min(i, j));
	if (i + j == 0)
		return 0;
	return (int) ((int64) common * 2 * NBM_ONE / (i + j));
}

/*
 * Which part of a text's grams another one has, from 0 to NBM_ONE.  Of sketches
 * only the range of hashes that both cover is compared.
 */
int
nbm_profile_share(const NbmProfile *part, const NbmProfile *whole)
{
	uint32		limit = whole->cut ? whole->grams[whole->ngrams - 1] :
	PG_UINT32_MAX;
	int			compared = 0;
	int			common = 0;

	for (int j = 0; compared < part->ngrams && part->grams[compared] <= limit;
		 compared++)
	{
		while (j < whole->ngrams && whole->grams[j] < part->grams[compared])
			j++;
		common += j < whole->ngrams && whole->grams[j] == part->grams[compared];
	}
	return compared == 0 ? 0 : (int) ((int64) common * NBM_ONE / compared);
}

/*
 * Which part of two short texts is a common beginning or end, from 0 to
 * NBM_ONE; 0 for long texts, whose grams are enough.
 */
static int
compare_ends(const char *a, int alen, const char *b, int blen)
{
	int			len = Min(alen, blen);
	int			head = 0,
				tail = 0;

	if (Max(alen, blen) > AFFIX_LIMIT || len == 0)
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
 * however much it has grown; of several parts of a text the greatest one is the
 * most similar.  What is less than floor may be said to be even less.
 */
int
nbm_profile_compare(const char *a, int alen, const NbmProfile *pa,
					const char *b, int blen, const NbmProfile *pb,
					int floor)
{
	int64		total = (int64) pa->nchars + pb->nchars;
	int64		most = Min(pa->nchars, pb->nchars) * INT64CONST(2) * NBM_ONE;
	int			contained = 0;
	int			result = 0;

	if (total == 0)
		return NBM_ONE;
	if (!are_unlike(pa, pb, floor))
		result = compare_grams(pa, pb, &contained);
	result = Max(result, compare_ends(a, alen, b, blen));
	result = Min(result, (int) (most / total));
	if (contained >= CONTAINED)
		result = Max(result, NBM_SIMILAR_NEAR + result / 16);
	return result;
}

/*
 * Similarity of two texts, from 0 (nothing in common) to 1 (equal but for the
 * amount of white space).  Leaves nothing behind in memory.
 */
double
nbm_similarity(const char *a, int alen, const char *b, int blen)
{
	NbmProfile *pa = nbm_profile_make(a, alen);
	NbmProfile *pb = nbm_profile_make(b, blen);
	int			result = nbm_profile_compare(a, alen, pa, b, blen, pb, 0);

	pfree(pa->grams);
	pfree(pa);
	pfree(pb->grams);
	pfree(pb);
	return result / (double) NBM_ONE;
}
