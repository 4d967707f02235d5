/*
 * descent.c
 *		Which items were cut in two, and which were joined.
 *
 * A split and a merge are the same thing, seen from either end of time: a
 * whole on one side stands against pieces on the other.  One piece is the rest,
 * which the matcher linked with the whole; another one, which the matcher
 * linked with nothing, is a part of it if its text is, for the most part, what
 * the whole has and the rest has not.  So a copy of a cell, or of a line that
 * stayed where it was, is no part.
 *
 * Texts are compared by their lines, which survive being moved about; a part
 * that was edited on the way, by its grams.  Wholes are found in an index of
 * the lines that they lost, and beside the part.  All of it is linear in the
 * texts of items that changed, but for sorting, and nothing is done where no
 * item is new and none is gone.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "descent.h"
#include "entries.h"
#include "miscadmin.h"
#include "profile.h"
#include "utils/memutils.h"

#define COMMON_LINE		16		/* a line that more wholes lost proposes none */
#define PROPOSED		3		/* wholes that are looked at for one part */
#define TRIVIAL_LINE	3		/* characters, at most */

/* How much of a part must come from the whole, of NBM_ONE ... */
#define SHARE_LINES		6000
#define SHARE_GRAMS		5000
#define SHARE_GRAMS_FAR 7000
/* ... and how much that must be, in characters. */
#define LEAST_LINES		4
#define LEAST_LINES_FAR 16
#define LEAST_GRAMS		10
#define LEAST_GRAMS_FAR 24
#define KEPT			5000	/* what the rest may have of it, of NBM_ONE */
#define LEAST_COMPARED	8		/* grams that say something */

/* Lines of a text: entries (hash, place and length), sorted. */
typedef NbmEntries Lines;

/* An item that may have been cut, or put together. */
typedef struct Whole
{
	int			whole;			/* its index */
	int			rest;			/* of the piece that continues it */
	Lines		lost;			/* lines that the rest has not */
	Lines		gained;			/* lines that only the rest has */
	NbmProfile *lost_profile;	/* NULL until asked for */
	NbmProfile *gained_profile;
} Whole;

/* The search for one kind of descent. */
typedef struct Search
{
	const NbmMatchItem *wholes;
	const NbmMatchItem *pieces;
	int			npieces;
	const int  *whole_of_piece; /* -1: a part of something, or just new */
	Whole	   *changed;		/* those that lost a line */
	int			nchanged;
	int		   *changed_of_piece;	/* index in changed by rest, or -1 */
	int		   *near[2];		/* the same of the nearest linked piece,
								 * before and behind */
	NbmEntries	index;			/* (hash of a line, index in changed) */
	int64	   *votes;			/* by index in changed */
} Search;

/* How much of a part comes from one whole. */
typedef struct Evidence
{
	int			changed;		/* index of the whole, -1: none */
	bool		is_near;		/* do part and rest stand side by side? */
	int			share;			/* of the part, of NBM_ONE */
	int64		found;			/* characters in the lines found */
	int64		length;			/* of all lines of the part */
} Evidence;

/* The length of a line in a list. */
static inline int
line_len(const Lines *lines, int i)
{
	return nbm_second(lines->entries[i].value);
}

/* Does this byte belong to what is cut off a line's beginning? */
static inline bool
is_margin(char c)
{
	return nbm_is_space((unsigned char) c) || c == '#';
}

/*
 * Cuts a text into lines, without the white space around them and the hashes
 * before them, so that a comment is equal to its text as markdown; blank ones
 * are left out.
 */
static Lines
cut_lines(const NbmMatchItem *item)
{
	Lines		lines = {0};

	for (int pos = 0; pos < item->text_len;)
	{
		const char *feed = memchr(item->text +pos, '\n', item->text_len - pos);
		int			end = feed == NULL ? item->text_len : feed - item->text;
		int			start = pos;
		int			len;

		pos = end + 1;
		while (start < end && is_margin(item->text[start]))
			start++;
		while (end > start && nbm_is_space((unsigned char) item->text[end - 1]))
			end--;
		len = end - start;
		if (len == 0)
			continue;
		if ((lines.count & 0xFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		nbm_entries_add(&lines,
						hash_bytes_extended((const unsigned char *) item->text +
											start, len, 0),
						nbm_pack(start, len));
	}
	nbm_entries_sort(lines.entries, lines.count);
	return lines;
}

/* The lines of a that are not in b, each as often as it is missing there. */
static Lines
subtract_lines(const Lines *a, const Lines *b)
{
	Lines		left = {0};
	int			j = 0;

	for (int i = 0; i < a->count; i++)
	{
		while (j < b->count && b->entries[j].key < a->entries[i].key)
			j++;
		if (j < b->count && b->entries[j].key == a->entries[i].key)
			j++;
		else
			nbm_entries_add(&left, a->entries[i].key, a->entries[i].value);
	}
	return left;
}

/* The first entry not before (hash, value), in a sorted list. */
static int
look_up(const NbmEntries *list, uint64 hash, uint64 value)
{
	int			low = 0;
	int			high = list->count;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const NbmEntry *e = &list->entries[middle];

		if (e->key < hash || (e->key == hash && e->value < value))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * How many characters are in those of a part's lines that a whole lost.  take
 * says that these are the whole's no more: a line that was taken has length 0,
 * and so is still sorted, before its equals that were not.
 */
static int64
find_lines(const Lines *lines, Lines *lost, bool take)
{
	int64		found = 0;

	for (int i = 0, next = 0; i < lines->count; i++)
	{
		uint64		hash = lines->entries[i].key;

		if (i == 0 || hash != lines->entries[i - 1].key)
			next = look_up(lost, hash, 1);
		if (next == lost->count || lost->entries[next].key != hash)
			continue;
		found += line_len(lines, i);
		if (take)
			lost->entries[next].value = 0;
		next++;
	}
	return found;
}

/* The profile of some lines of a text, in their order. */
static NbmProfile *
profile_lines(const NbmMatchItem *item, const Lines *lines)
{
	NbmEntry   *places = nbm_alloc(lines->count, sizeof(NbmEntry));
	Size		size = 1;
	char	   *joined;
	int			len = 0;
	NbmProfile *profile;

	for (int i = 0; i < lines->count; i++)
	{
		places[i].key = lines->entries[i].value;
		size += line_len(lines, i) + 1;
	}
	nbm_entries_sort(places, lines->count);
	joined = palloc(size);
	for (int i = 0; i < lines->count; i++)
	{
		memcpy(joined + len, item->text +nbm_first(places[i].key),
			   nbm_second(places[i].key));
		len += nbm_second(places[i].key);
		joined[len++] = '\n';
	}
	profile = nbm_profile_make(joined, len);
	pfree(joined);
	pfree(places);
	return profile;
}

/*
 * Finds the wholes: items that are linked with a piece of another content and
 * have lines that it has not.
 */
static void
find_wholes(Search *s)
{
	s->changed = nbm_alloc(s->npieces, sizeof(Whole));
	s->changed_of_piece = nbm_alloc_ints(s->npieces, -1);
	for (int piece = 0; piece < s->npieces; piece++)
	{
		int			whole = s->whole_of_piece[piece];
		Whole	   *changed = &s->changed[s->nchanged];
		Lines		a;
		Lines		b;

		CHECK_FOR_INTERRUPTS();
		if (whole < 0 || s->wholes[whole].content == s->pieces[piece].content)
			continue;
		a = cut_lines(&s->wholes[whole]);
		b = cut_lines(&s->pieces[piece]);
		changed->lost = subtract_lines(&a, &b);
		if (changed->lost.count == 0)
			continue;
		changed->gained = subtract_lines(&b, &a);
		changed->whole = whole;
		changed->rest = piece;
		s->changed_of_piece[piece] = s->nchanged++;
	}
}

/* Makes the index of the lines that wholes lost, each line of a whole once. */
static void
index_wholes(Search *s)
{
	s->votes = nbm_alloc(s->nchanged, sizeof(int64));
	for (int w = 0; w < s->nchanged; w++)
	{
		const Lines *lost = &s->changed[w].lost;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < lost->count; i++)
		{
			if (line_len(lost, i) > TRIVIAL_LINE &&
				(i == 0 || lost->entries[i].key != lost->entries[i - 1].key))
				nbm_entries_add(&s->index, lost->entries[i].key, w);
		}
	}
	nbm_entries_sort(s->index.entries, s->index.count);
}

/* Adds a whole to the few that are looked at, once; -1 is none. */
static void
propose(int *proposed, int *count, int changed)
{
	for (int i = 0; i < *count; i++)
		if (proposed[i] == changed)
			return;
	if (changed >= 0)
		proposed[(*count)++] = changed;
}

/* The whole that lost most of these lines, the first of several; or -1. */
static int
vote(const Search *s, const Lines *lines)
{
	NbmEntries	voted = {0};
	int			best = -1;

	for (int i = 0; i < lines->count; i++)
	{
		uint64		hash = lines->entries[i].key;
		int			at = look_up(&s->index, hash, 0);

		if (at + COMMON_LINE < s->index.count &&
			s->index.entries[at + COMMON_LINE].key == hash)
			continue;
		for (; at < s->index.count && s->index.entries[at].key == hash; at++)
		{
			int			changed = (int) s->index.entries[at].value;

			if (s->votes[changed] == 0)
				nbm_entries_add(&voted, changed, 0);
			s->votes[changed] += line_len(lines, i);
		}
	}
	for (int i = 0; i < voted.count; i++)
	{
		int			changed = (int) voted.entries[i].key;

		if (best < 0 || s->votes[changed] > s->votes[best] ||
			(s->votes[changed] == s->votes[best] && changed < best))
			best = changed;
	}
	for (int i = 0; i < voted.count; i++)
		s->votes[voted.entries[i].key] = 0;
	if (voted.entries != NULL)
		pfree(voted.entries);
	return best;
}

/*
 * Notes for each piece which changed whole the nearest linked pieces before and
 * behind it continue; -1: none, or one that lost no line.
 */
static void
find_neighbours(Search *s)
{
	for (int side = 0; side < 2; side++)
	{
		int			nearest = -1;

		s->near[side] = nbm_alloc_ints(s->npieces, -1);
		for (int i = 0; i < s->npieces; i++)
		{
			int			piece = side == 0 ? i : s->npieces - 1 - i;

			if (s->whole_of_piece[piece] >= 0)
				nearest = s->changed_of_piece[piece];
			s->near[side][piece] = nearest;
		}
	}
}

/* The smallest limit of the grams that some profiles cover. */
static uint32
common_limit(const NbmProfile *const *profiles, int count)
{
	uint32		limit = PG_UINT32_MAX;

	for (int i = 0; i < count; i++)
		if (profiles[i] != NULL && profiles[i]->cut)
			limit = Min(limit, profiles[i]->grams[profiles[i]->ngrams - 1]);
	return limit;
}

/*
 * Which share of a part's grams is in one profile and not in another one (NULL:
 * none), of NBM_ONE; 0 where it cannot be said.  Of sketches only the range that
 * all of them cover is compared.
 */
static int
share_grams(const NbmProfile *part, const NbmProfile *in,
			const NbmProfile *not_in)
{
	const NbmProfile *all[] = {part, in, not_in};
	uint32		limit = common_limit(all, lengthof(all));
	int			common = 0;
	int			compared = 0;
	int			j = 0;
	int			k = 0;

	for (; compared < part->ngrams && part->grams[compared] <= limit; compared++)
	{
		uint32		gram = part->grams[compared];

		while (j < in->ngrams && in->grams[j] < gram)
			j++;
		while (not_in != NULL && k < not_in->ngrams && not_in->grams[k] < gram)
			k++;
		common += j < in->ngrams && in->grams[j] == gram &&
			(not_in == NULL || k == not_in->ngrams || not_in->grams[k] != gram);
	}
	if (compared < LEAST_COMPARED)
		return 0;
	return (int) ((int64) common * NBM_ONE / compared);
}

/* The profile of what only the rest has. */
static const NbmProfile *
gained_profile(const Search *s, Whole *w)
{
	if (w->gained_profile == NULL)
		w->gained_profile = profile_lines(&s->pieces[w->rest], &w->gained);
	return w->gained_profile;
}

/*
 * Looks how much of a part comes from a whole: by lines, or by the grams of
 * what is left of the lost lines.
 */
static void
weigh(Search *s, const Lines *lines, const NbmProfile *profile, bool grams,
	  Evidence *evidence)
{
	Whole	   *w = &s->changed[evidence->changed];

	evidence->length = 0;
	for (int i = 0; i < lines->count; i++)
		evidence->length += line_len(lines, i);
	if (!grams)
	{
		evidence->found = find_lines(lines, &w->lost, false);
		evidence->share = (int) (evidence->found * NBM_ONE / evidence->length);
		return;
	}
	if (w->lost_profile == NULL)
		w->lost_profile = profile_lines(&s->wholes[w->whole], &w->lost);
	evidence->found = 0;
	evidence->share = share_grams(profile, w->lost_profile, gained_profile(s, w));
}

/*
 * Has the rest kept the part's text, only slightly edited?  Then the part is a
 * copy.
 */
static bool
is_kept(const Search *s, const NbmProfile *profile, int changed)
{
	const NbmProfile *gained = gained_profile(s, &s->changed[changed]);

	return share_grams(profile, gained, NULL) >= KEPT;
}

/* Is that enough for a part of this whole? */
static bool
is_enough(const Evidence *e, bool grams)
{
	if (grams)
		return e->is_near ?
			e->share >= SHARE_GRAMS && e->length >= LEAST_GRAMS :
			e->share >= SHARE_GRAMS_FAR && e->length >= LEAST_GRAMS_FAR;
	return e->share >= SHARE_LINES &&
		(e->is_near ? e->found >= LEAST_LINES || e->found == e->length :
		 e->found >= LEAST_LINES_FAR);
}

/*
 * Finds the whole that a part comes from: its index in changed, or -1.  The
 * lines it took of the whole are the whole's no more, and no other part's.
 */
static int
find_origin(Search *s, int part, bool grams)
{
	const NbmMatchItem *item = &s->pieces[part];
	Lines		lines = cut_lines(item);
	NbmProfile *profile;
	int			proposed[PROPOSED];
	int			nproposed = 0;
	Evidence	best = {-1};

	if (lines.count == 0)
		return -1;
	propose(proposed, &nproposed, s->near[0][part]);
	propose(proposed, &nproposed, s->near[1][part]);
	propose(proposed, &nproposed, vote(s, &lines));
	if (nproposed == 0)
		return -1;
	profile = nbm_profile_make(item->text, item->text_len);
	for (int i = 0; i < nproposed; i++)
	{
		Evidence	evidence = {proposed[i]};

		evidence.is_near = proposed[i] == s->near[0][part] ||
			proposed[i] == s->near[1][part];
		weigh(s, &lines, profile, grams, &evidence);
		if (is_enough(&evidence, grams) && evidence.share > best.share &&
			!is_kept(s, profile, evidence.changed))
			best = evidence;
	}
	if (best.changed >= 0)
		(void) find_lines(&lines, &s->changed[best.changed].lost, true);
	pfree(lines.entries);
	return best.changed;
}

/* Is there any piece that continues nothing? */
static bool
has_parts(const Search *s)
{
	for (int piece = 0; piece < s->npieces; piece++)
		if (s->whole_of_piece[piece] < 0)
			return true;
	return false;
}

/*
 * Finds the descents of one kind, and appends them to the result, by part.
 * Whole lines go before grams, so that what a part has taken is not thought to
 * be another one's.
 */
static void
search_parts(Search *s, bool is_merge, NbmDescent *result, int *count)
{
	int		   *origin;

	if (!has_parts(s))
		return;
	find_wholes(s);
	if (s->nchanged == 0)
		return;
	index_wholes(s);
	find_neighbours(s);
	origin = nbm_alloc_ints(s->npieces, -1);
	for (int grams = 0; grams < 2; grams++)
	{
		for (int piece = 0; piece < s->npieces; piece++)
		{
			CHECK_FOR_INTERRUPTS();
			if (s->whole_of_piece[piece] < 0 && origin[piece] < 0)
				origin[piece] = find_origin(s, piece, grams == 1);
		}
	}
	for (int piece = 0; piece < s->npieces; piece++)
	{
		if (origin[piece] < 0)
			continue;
		result[*count].from = is_merge ? piece : s->changed[origin[piece]].whole;
		result[*count].to = is_merge ? s->changed[origin[piece]].whole : piece;
		result[(*count)++].is_merge = is_merge;
	}
}

/*
 * Finds the splits, by new item, then the merges, by old item, given the
 * matching old_of_new: for each new item its old one, or -1.  Stores their
 * number in count.  The result is in the current memory context and the
 * caller's, NULL where there is none.  Raises an error only when cancelled or
 * out of memory.
 */
NbmDescent *
nbm_find_descents(const NbmMatchItem *old_items, int nold,
				  const NbmMatchItem *new_items, int nnew,
				  const int *old_of_new, int *count)
{
	MemoryContext callers = CurrentMemoryContext;
	MemoryContext mine;
	Search		split = {old_items, new_items, nnew, old_of_new};
	Search		merge = {new_items, old_items, nold};
	NbmDescent *found;
	NbmDescent *result = NULL;
	int		   *new_of_old;
	int			nlinked = 0;

	*count = 0;
	for (int new = 0; new < nnew; new++)
		nlinked += old_of_new[new] >= 0;
	if (nlinked == 0 || (nlinked == nold && nlinked == nnew))
		return NULL;
	mine = AllocSetContextCreate(callers, "notebook_migrate descents",
								 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(mine);
	new_of_old = nbm_alloc_ints(nold, -1);
	for (int new = 0; new < nnew; new++)
		if (old_of_new[new] >= 0)
			new_of_old[old_of_new[new]] = new;
	merge.whole_of_piece = new_of_old;
	found = nbm_alloc(nold + nnew - 2 * nlinked, sizeof(NbmDescent));
	search_parts(&split, false, found, count);
	search_parts(&merge, true, found, count);
	MemoryContextSwitchTo(callers);
	if (*count > 0)
	{
		result = nbm_alloc(*count, sizeof(NbmDescent));
		memcpy(result, found, *count * sizeof(NbmDescent));
	}
	MemoryContextDelete(mine);
	return result;
}
