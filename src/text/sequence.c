/*
 * sequence.c
 *		What two sequences of numbers have in common, in order.
 *
 * The longest common subsequence is found as E. W. Myers does it (An O(ND)
 * Difference Algorithm and Its Variations, Algorithmica 1, 1986), keeping the
 * furthest points of each depth to walk back along.  That is quick for
 * sequences that differ little.  Where they differ in more than MAX_DEPTH
 * places, the first occurrence of each number in one is paired with the first
 * in the other, the second with the second and so on, and the longest list of
 * pairs that are in order in both is taken: the longest one where no number
 * repeats, otherwise a good one.  Work is at most O(MAX_DEPTH n + n log n),
 * memory O(MAX_DEPTH^2 + n).
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "sequence.h"

/* Numbers that may be only in one sequence for the search to be exact. */
#define MAX_DEPTH 512

/* Two sequences, and the search's rows: row d has d + 1 points. */
typedef struct Search
{
	const int  *a;
	int			na;
	const int  *b;
	int			nb;
	int		   *points;
} Search;

/* A new array of the current context, which may be larger than 1 GB. */
static int *
new_ints(Size count)
{
	return palloc_extended(mul_size(sizeof(int), Max(count, 1)),
						   MCXT_ALLOC_HUGE);
}

/*
 * Marks the values of a longest list that increases from left to right.  The
 * values must be distinct.  O(n log n).
 */
void
nbm_longest_increasing(const int *values, int count, bool *is_in)
{
	int		   *last = new_ints(count); /* by length, where the list ends */
	int		   *before = new_ints(count);
	int			longest = 0;

	for (int i = 0; i < count; i++)
	{
		int			low = 0;
		int			high = longest;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		is_in[i] = false;
		while (low < high)
		{
			int			middle = (low + high) / 2;

			if (values[last[middle]] < values[i])
				low = middle + 1;
			else
				high = middle;
		}
		before[i] = low > 0 ? last[low - 1] : -1;
		last[low] = i;
		longest = Max(longest, low + 1);
	}
	for (int i = longest > 0 ? last[longest - 1] : -1; i >= 0; i = before[i])
		is_in[i] = true;
	pfree(last);
	pfree(before);
}

/* The points of a depth; the point at j is on the diagonal x - y = 2j - d. */
static int *
row_of(const Search *s, int depth)
{
	return s->points + (Size) depth * (depth + 1) / 2;
}

/*
 * Where depth d begins on its diagonal j: one number of a left out, or one of
 * b, behind the furthest points of the depth before.  -1 where neither can be.
 */
static int
begin_of(const Search *s, int depth, int j, bool *leaves_b)
{
	const int  *row = row_of(s, depth - 1);
	int			from_a = j > 0 && row[j - 1] >= 0 && row[j - 1] < s->na ?
	row[j - 1] + 1 : -1;
	int			from_b = j < depth ? row[j] : -1;

	if (from_b >= 0 && from_b - (2 * j - depth) > s->nb)
		from_b = -1;
	*leaves_b = from_b >= from_a;
	return Max(from_a, from_b);
}

/* Searches for the end; returns its depth, or -1 where it is too deep. */
static int
search_end(const Search *s)
{
	for (int depth = 0; depth <= Min(MAX_DEPTH, s->na + s->nb); depth++)
	{
		int		   *row = row_of(s, depth);

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j <= depth; j++)
		{
			bool		leaves_b;
			int			x = depth == 0 ? 0 : begin_of(s, depth, j, &leaves_b);
			int			y = x - (2 * j - depth);

			while (x >= 0 && x < s->na && y < s->nb && s->a[x] == s->b[y])
				x++, y++;
			row[j] = x;
			if (x == s->na && y == s->nb)
				return depth;
		}
	}
	return -1;
}

/* Pairs what the search passed on its way, from its end back. */
static void
walk_back(const Search *s, int depth, int *b_of_a)
{
	int			j = (s->na - s->nb + depth) / 2;

	for (; depth >= 0; depth--)
	{
		int			end = row_of(s, depth)[j];
		bool		leaves_b = false;
		int			begin = depth == 0 ? 0 : begin_of(s, depth, j, &leaves_b);

		for (int x = begin; x < end; x++)
			b_of_a[x] = x - (2 * j - depth);
		if (!leaves_b)
			j--;
	}
}

/*
 * Pairs the n-th occurrence of each number with the n-th in the other one, as
 * far as that is in order.
 */
static void
pair_occurrences(const Search *s, int nclasses, int *b_of_a)
{
	int		   *first = new_ints(nclasses); /* next of its class in b */
	int		   *next = new_ints(s->nb);
	int		   *values = new_ints(s->na);
	int		   *places = new_ints(s->na);
	bool	   *is_in = palloc_extended(Max(s->na, 1), MCXT_ALLOC_HUGE);
	int			count = 0;

	for (int i = 0; i < nclasses; i++)
		first[i] = -1;
	for (int y = s->nb - 1; y >= 0; y--)
	{
		next[y] = first[s->b[y]];
		first[s->b[y]] = y;
	}
	for (int x = 0; x < s->na; x++)
	{
		int			y = first[s->a[x]];

		if (y < 0)
			continue;
		first[s->a[x]] = next[y];
		values[count] = y;
		places[count++] = x;
	}
	nbm_longest_increasing(values, count, is_in);
	for (int i = 0; i < count; i++)
		if (is_in[i])
			b_of_a[places[i]] = values[i];
	pfree(first);
	pfree(next);
	pfree(values);
	pfree(places);
	pfree(is_in);
}

/*
 * Pairs numbers of two sequences with equal ones, in order: b_of_a has room
 * for na numbers, and gets the place in b, or -1.  The numbers are from 0 to
 * nclasses - 1.
 */
void
nbm_common_sequence(const int *a, int na, const int *b, int nb, int nclasses,
					int *b_of_a)
{
	Search		s = {a, na, b, nb};
	int			depth = Min(MAX_DEPTH, na + nb);

	for (int i = 0; i < na; i++)
		b_of_a[i] = -1;
	s.points = new_ints((Size) (depth + 1) * (depth + 2) / 2);
	depth = search_end(&s);
	if (depth >= 0)
		walk_back(&s, depth, b_of_a);
	else
		pair_occurrences(&s, nclasses, b_of_a);
	pfree(s.points);
}
