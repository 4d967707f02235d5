/*
 * lines.c
 *		Texts as lines, and how two of them differ.
 *
 * Lines that both texts begin and end with are cut off, by their bytes.  The
 * others get small numbers, equal lines equal ones: found by a hash, decided by
 * comparing bytes; and sequence.c finds the difference of the numbers.
 *
 * At last hunks that can slide, being the only one of several equal blocks,
 * are put where they read best.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "lines.h"
#include "sequence.h"

/* Places that are tried for a hunk that can slide, at most. */
#define MAX_SLIDES 100

/* Lines that are all equal. */
typedef struct LineClass
{
	const char *str;
	int			len;
	uint32		hash;
} LineClass;

/* All classes, and an open-addressed hash table of them. */
typedef struct Classes
{
	LineClass  *classes;
	int			count;
	int			room;
	int		   *slots;			/* -1: free; twice as many as there is room */
	uint32		mask;
} Classes;

/* One of the two texts: the lines between common beginning and end. */
typedef struct Side
{
	const NbmLines *lines;
	int			first;
	int			count;
	int		   *class_of;		/* by line, counted from first */
	bool	   *is_changed;		/* the same */
} Side;

/* A new array of the current context, which may be larger than 1 GB. */
static void *
new_array(Size size, Size count)
{
	return palloc_extended(mul_size(size, Max(count, 1)), MCXT_ALLOC_HUGE);
}

/*
 * Cuts a text into lines.  The array of offsets is new memory of the current
 * context; the text itself is not copied.
 */
NbmLines
nbm_lines_split(const char *str, int len)
{
	NbmLines	lines = {str, 0, NULL};
	const char *end = str + len;
	const char *at;

	if (len > 0)
	{
		lines.count = 1;
		for (at = str; (at = memchr(at, '\n', end - at)) != NULL; at++)
			lines.count++;
	}
	lines.start = new_array(sizeof(int), (Size) lines.count + 1);
	lines.start[0] = 0;
	at = str;
	for (int i = 1; i < lines.count; i++)
	{
		at = (const char *) memchr(at, '\n', end - at) + 1;
		lines.start[i] = at - str;
	}
	if (lines.count > 0)
		lines.start[lines.count] = len + 1;
	return lines;
}

/* The length of a line in bytes, without its line feed. */
int
nbm_line_length(const NbmLines *lines, int line)
{
	return lines->start[line + 1] - lines->start[line] - 1;
}

/* The first byte of a line. */
static const char *
line_str(const NbmLines *lines, int line)
{
	return lines->str + lines->start[line];
}

/* Are two lines equal? */
static bool
line_eq(const NbmLines *a, int i, const NbmLines *b, int j)
{
	int			len = nbm_line_length(a, i);

	return len == nbm_line_length(b, j) &&
		memcmp(line_str(a, i), line_str(b, j), len) == 0;
}

/* Cuts off the lines that both texts begin with, and those they end with. */
static void
cut_common(Side *a, Side *b)
{
	int			shorter = Min(a->lines->count, b->lines->count);
	int			before = 0;
	int			behind = 0;

	while (before < shorter &&
		   line_eq(a->lines, before, b->lines, before))
		before++;
	while (behind < shorter - before &&
		   line_eq(a->lines, a->lines->count - 1 - behind,
				   b->lines, b->lines->count - 1 - behind))
		behind++;
	a->first = b->first = before;
	a->count = a->lines->count - before - behind;
	b->count = b->lines->count - before - behind;
}

/* Gives a table of classes twice the room, or its first. */
static void
enlarge_classes(Classes *c)
{
	Size		nslots;

	c->room = Max(c->room * 2, 64);
	nslots = (Size) c->room * 2;
	c->classes = c->classes == NULL ?
		new_array(sizeof(LineClass), c->room) :
		repalloc_huge(c->classes, mul_size(sizeof(LineClass), c->room));
	if (c->slots != NULL)
		pfree(c->slots);
	c->slots = new_array(sizeof(int), nslots);
	memset(c->slots, 0xff, sizeof(int) * nslots);
	c->mask = nslots - 1;
	for (int i = 0; i < c->count; i++)
	{
		uint32		at = c->classes[i].hash & c->mask;

		while (c->slots[at] >= 0)
			at = (at + 1) & c->mask;
		c->slots[at] = i;
	}
}

/* The class of a line, a new one where no equal line was seen before. */
static int
find_class(Classes *c, const char *str, int len)
{
	uint32		hash = hash_bytes((const unsigned char *) str, len);
	uint32		at;
	LineClass  *class;

	if (c->count == c->room)
		enlarge_classes(c);
	for (at = hash & c->mask; c->slots[at] >= 0; at = (at + 1) & c->mask)
	{
		class = &c->classes[c->slots[at]];
		if (class->hash == hash && class->len == len &&
			memcmp(class->str, str, len) == 0)
			return c->slots[at];
	}
	c->slots[at] = c->count;
	class = &c->classes[c->count];
	memset(class, 0, sizeof(*class));
	class->str = str;
	class->len = len;
	class->hash = hash;
	return c->count++;
}

/* Finds the classes of one side's lines. */
static void
classify(Classes *classes, Side *side)
{
	side->class_of = new_array(sizeof(int), side->count);
	for (int i = 0; i < side->count; i++)
	{
		int			line = side->first + i;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		side->class_of[i] = find_class(classes, line_str(side->lines, line),
									   nbm_line_length(side->lines, line));
	}
	side->is_changed = new_array(sizeof(bool), side->count);
}

/* Marks the changed lines of both sides. */
static void
find_changed(Side *a, Side *b)
{
	Classes		classes = {NULL, 0, 0, NULL, 0};

	classify(&classes, a);
	classify(&classes, b);
	nbm_sequence_diff(a->class_of, a->count, b->class_of, b->count,
					  classes.count, a->is_changed, b->is_changed);
}

/*
 * The hunks of two sides whose changed lines are marked, in the given
 * context; *count of them.
 */
static NbmHunk *
collect_hunks(const Side *a, const Side *b, MemoryContext context, int *count)
{
	MemoryContext outer = MemoryContextSwitchTo(context);
	Size		room = 16;
	NbmHunk    *hunks = new_array(sizeof(NbmHunk), room);
	int			i = 0;
	int			j = 0;

	*count = 0;
	while (i < a->count || j < b->count)
	{
		int			i0 = i;
		int			j0 = j;

		while (i < a->count && a->is_changed[i])
			i++;
		while (j < b->count && b->is_changed[j])
			j++;
		if (i > i0 || j > j0)
		{
			NbmHunk		hunk = {a->first + i0, i - i0, b->first + j0, j - j0};

			if (*count == room)
			{
				room *= 2;
				hunks = repalloc_huge(hunks, mul_size(sizeof(NbmHunk), room));
			}
			hunks[(*count)++] = hunk;
		}
		else
		{
			i++;
			j++;
		}
	}
	MemoryContextSwitchTo(outer);
	return hunks;
}

/* The spaces that a line begins with, a tab for eight; -1: it is blank. */
static int
indent_of(const NbmLines *lines, int line)
{
	const char *str = line_str(lines, line);
	int			len = nbm_line_length(lines, line);
	int			indent = 0;

	for (int i = 0; i < len && indent < 200; i++)
	{
		if (str[i] == '\t')
			indent += 8 - indent % 8;
		else if (str[i] == ' ')
			indent++;
		else if (str[i] != '\r' && str[i] != '\f')
			return indent;
	}
	return indent < 200 ? -1 : indent;
}

/*
 * How badly a text reads that is cut before a line: best at its end, or where
 * a blank line stands before one that is not; worse the more that one is
 * indented, and before a blank line.
 */
static int
cut_badness(const NbmLines *lines, int line)
{
	int			indent;

	if (line == lines->count)
		return -40;
	indent = indent_of(lines, line);
	if (indent < 0)
		return 20;
	return indent * 2 -
		(line == 0 || indent_of(lines, line - 1) < 0 ? 10 : 0);
}

/*
 * How far a block of lines can slide up (step -1) or down (1), max at most:
 * as long as the line that it takes in equals the one that it leaves.
 */
static int
slide_room(const NbmLines *lines, int begin, int end, int step, int max)
{
	int			room = 0;

	if (step < 0)
		while (room < max && line_eq(lines, begin - 1 - room,
									 lines, end - 1 - room))
			room++;
	else
		while (room < max && line_eq(lines, begin + room, lines, end + room))
			room++;
	return room;
}

/*
 * Puts a block that was only inserted or only deleted where it reads best,
 * the lowest such place.  It may slide over up lines above it and down lines
 * below it; where it can slide over all of them, nothing is done and -1 or 1
 * returned, for up and down: it then touches the next hunk, or an end.
 */
static int
slide(const NbmLines *lines, NbmHunk *hunk, int up, int down,
	  const bool *may_merge)
{
	bool		is_new = hunk->old_count == 0;
	int			begin = is_new ? hunk->new_line : hunk->old_line;
	int			end = begin + (is_new ? hunk->new_count : hunk->old_count);
	int			low = slide_room(lines, begin, end, -1, up);
	int			high = slide_room(lines, begin, end, 1, down);
	int			best = 0;
	int			best_badness = PG_INT32_MAX;

	if (low == up && may_merge[0])
		return -1;
	if (high == down && may_merge[1])
		return 1;
	for (int by = high; by >= Max(-low, high - MAX_SLIDES); by--)
	{
		int			badness = cut_badness(lines, begin + by) +
		cut_badness(lines, end + by);

		if (badness < best_badness)
		{
			best_badness = badness;
			best = by;
		}
	}
	hunk->old_line += best;
	hunk->new_line += best;
	return 0;
}

/*
 * Slides the hunks that can slide; those that come to touch become one.
 * Works in place; the number of lines that are changed stays the same.
 */
static void
slide_hunks(const NbmLines *a, const NbmLines *b, NbmHunk *hunks, int *count)
{
	int			n = 0;

	for (int i = 0; i < *count; i++)
	{
		NbmHunk		hunk = hunks[i];
		NbmHunk    *next = i + 1 < *count ? &hunks[i + 1] : NULL;
		bool		may_merge[2] = {n > 0, next != NULL};
		int			up = hunk.old_line;
		int			down = next ? next->old_line : a->count;
		int			way = 0;

		CHECK_FOR_INTERRUPTS();
		if (n > 0)
			up -= hunks[n - 1].old_line + hunks[n - 1].old_count;
		down -= hunk.old_line + hunk.old_count;
		if (hunk.old_count == 0 || hunk.new_count == 0)
			way = slide(hunk.old_count == 0 ? b : a, &hunk, up, down,
						may_merge);
		if (way < 0)
		{
			hunks[n - 1].old_count += hunk.old_count;
			hunks[n - 1].new_count += hunk.new_count;
		}
		else if (way > 0)
		{
			next->old_line -= hunk.old_count;
			next->new_line -= hunk.new_count;
			next->old_count += hunk.old_count;
			next->new_count += hunk.new_count;
		}
		else
			hunks[n++] = hunk;
	}
	*count = n;
}

/*
 * How the lines of a become those of b: hunks in ascending order, between
 * which the lines are equal, one at least.  The array is new memory of the
 * current context; *count of them, 0 for equal texts.  The result depends on
 * nothing but the texts.  Can be cancelled.
 */
NbmHunk *
nbm_lines_diff(const NbmLines *a, const NbmLines *b, int *count)
{
	Side		old = {a};
	Side		new = {b};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "notebook_migrate lines",
												  ALLOCSET_DEFAULT_SIZES);
	NbmHunk    *hunks;

	MemoryContextSwitchTo(context);
	cut_common(&old, &new);
	find_changed(&old, &new);
	hunks = collect_hunks(&old, &new, caller, count);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	slide_hunks(a, b, hunks, count);
	return hunks;
}
