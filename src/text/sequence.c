/*
 * sequence.c
 *		How two sequences of numbers differ.
 *
 * The difference is E. W. Myers' (An O(ND) Difference Algorithm and Its
 * Variations, Algorithmica 1, 1986), in its linear-space form: the middle of
 * a shortest edit script is searched from both ends at once, and what lies
 * before and behind it is solved in the same way.  Before that, elements that
 * only one sequence has are left out: they are changed whatever the script is,
 * and no shortest script becomes longer by this.
 *
 * A script is shortest while half of it is below a limit, which falls with
 * the length of the sequences: search_limit().  Where one is longer, the
 * search goes on from the furthest point it got to; the result is still a
 * script that leads from one to the other.  The work is at most some 2^25
 * steps, or 256 for each element where there are more than 131,072.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "sequence.h"

/* Steps that a search may take in all, about; MIN_LIMIT can make it more. */
#define MAX_WORK (1 << 25)

/* The limit of a search's depth is never below this. */
#define MIN_LIMIT 256

/* Pending boxes: each is at most half of the one before. */
#define MAX_PENDING 64

/* One of the two sequences: the elements that the other one has, too. */
typedef struct Side
{
	int			nshared;
	int		   *shared;
	int		   *place;			/* where in the sequence they are */
	bool	   *is_changed;		/* by place; the caller's */
} Side;

/* A part of the problem: shared elements of both sides, ends excluded. */
typedef struct Box
{
	int			x0;				/* of the old sequence */
	int			x1;
	int			y0;				/* of the new sequence */
	int			y1;
} Box;

/* A point between elements of both sequences. */
typedef struct Point
{
	int			x;
	int			y;
} Point;

/*
 * The points that a search from one corner has reached: by diagonal x - y the
 * furthest x.  Every second diagonal from low to high belongs to one depth.
 */
typedef struct Front
{
	int		   *reach;			/* points at the entry of diagonal 0 */
	int			low;
	int			high;
} Front;

/* A difference while it is worked out. */
typedef struct Search
{
	Side		a;				/* old */
	Side		b;				/* new */
	Front		forward;
	Front		backward;
	int			limit;
} Search;

/* A new array of the current context, which may be larger than 1 GB. */
static void *
new_array(Size size, Size count)
{
	return palloc_extended(mul_size(size, Max(count, 1)), MCXT_ALLOC_HUGE);
}

/* Notes which numbers a sequence has. */
static void
note_numbers(const int *numbers, int count, bool *is_there)
{
	for (int i = 0; i < count; i++)
		is_there[numbers[i]] = true;
}

/* Marks the elements that the other sequence has not, and keeps the others. */
static void
keep_shared(Side *side, const int *numbers, int count, const bool *others,
			bool *is_changed)
{
	side->shared = new_array(sizeof(int), count);
	side->place = new_array(sizeof(int), count);
	side->is_changed = is_changed;
	side->nshared = 0;
	for (int i = 0; i < count; i++)
	{
		is_changed[i] = !others[numbers[i]];
		if (is_changed[i])
			continue;
		side->shared[side->nshared] = numbers[i];
		side->place[side->nshared++] = i;
	}
}

/*
 * How deep a search from each end may go before it gives up to be shortest.
 * Giving up takes limit^2 steps and gets at least limit lines further, hence
 * limit times the number of elements in all: MAX_WORK, unless MIN_LIMIT is more.
 * Sequences of up to 8,192 shared elements between them are never given up on: half
 * of a script is not more than half of those.
 */
static int
search_limit(int count)
{
	return Max(MIN_LIMIT, MAX_WORK / Max(count, 1));
}

/*
 * Goes one step deeper: widens a front by a diagonal on each side, or leaves
 * the box's edge where it stands there.  outside is what no point can beat.
 */
static void
widen(Front *front, const Box *box, int outside)
{
	if (front->low > box->x0 - box->y1)
		front->reach[--front->low - 1] = outside;
	else
		front->low++;
	if (front->high < box->x1 - box->y0)
		front->reach[++front->high + 1] = outside;
	else
		front->high--;
}

/* One step of the search from the beginning; true where it met the other. */
static bool
step_forward(Search *s, const Box *box, bool may_meet, Point *middle)
{
	const int  *xs = s->a.shared;
	const int  *ys = s->b.shared;
	int		   *reach = s->forward.reach;

	widen(&s->forward, box, -1);
	for (int k = s->forward.high; k >= s->forward.low; k -= 2)
	{
		int			x = Max(reach[k - 1] + 1, reach[k + 1]);

		while (x < box->x1 && x - k < box->y1 && xs[x] == ys[x - k])
			x++;
		reach[k] = x;
		if (may_meet && k >= s->backward.low && k <= s->backward.high &&
			s->backward.reach[k] <= x)
		{
			middle->x = x;
			middle->y = x - k;
			return true;
		}
	}
	return false;
}

/* One step of the search from the end; true where it met the other. */
static bool
step_backward(Search *s, const Box *box, bool may_meet, Point *middle)
{
	const int  *xs = s->a.shared;
	const int  *ys = s->b.shared;
	int		   *reach = s->backward.reach;

	widen(&s->backward, box, PG_INT32_MAX);
	for (int k = s->backward.high; k >= s->backward.low; k -= 2)
	{
		int			x = Min(reach[k - 1], reach[k + 1] - 1);

		while (x > box->x0 && x - k > box->y0 && xs[x - 1] == ys[x - 1 - k])
			x--;
		reach[k] = x;
		if (may_meet && k >= s->forward.low && k <= s->forward.high &&
			s->forward.reach[k] >= x)
		{
			middle->x = x;
			middle->y = x - k;
			return true;
		}
	}
	return false;
}

/*
 * The point of a search given up that is furthest from where one of its two
 * fronts began.
 */
static Point
furthest_point(const Search *s, const Box *box)
{
	Point		best = {box->x0, box->y0};
	int			most = 0;

	for (int k = s->forward.high; k >= s->forward.low; k -= 2)
	{
		int			x = Min(Min(s->forward.reach[k], box->x1), box->y1 + k);
		int			way = (x - box->x0) + (x - k - box->y0);

		if (way > most)
		{
			most = way;
			best.x = x;
			best.y = x - k;
		}
	}
	for (int k = s->backward.high; k >= s->backward.low; k -= 2)
	{
		int			x = Max(Max(s->backward.reach[k], box->x0), box->y0 + k);
		int			way = (box->x1 - x) + (box->y1 - (x - k));

		if (way > most)
		{
			most = way;
			best.x = x;
			best.y = x - k;
		}
	}
	return best;
}

/*
 * A point that a shortest script within a box goes through, or a good one
 * where the search is given up.  The box must differ in its first elements
 * and in its last, and have some of both sequences.
 */
static Point
find_middle(Search *s, const Box *box)
{
	int			from = box->x0 - box->y0;
	int			to = box->x1 - box->y1;
	bool		is_odd = (from - to) % 2 != 0;
	Point		middle;

	s->forward.low = s->forward.high = from;
	s->forward.reach[from] = box->x0;
	s->backward.low = s->backward.high = to;
	s->backward.reach[to] = box->x1;
	for (int depth = 1; depth <= s->limit; depth++)
	{
		CHECK_FOR_INTERRUPTS();
		if (step_forward(s, box, is_odd, &middle) ||
			step_backward(s, box, !is_odd, &middle))
			return middle;
	}
	return furthest_point(s, box);
}

/* Takes off a box what both sequences begin and end with in it. */
static void
trim(const Search *s, Box *box)
{
	const int  *xs = s->a.shared;
	const int  *ys = s->b.shared;

	while (box->x0 < box->x1 && box->y0 < box->y1 &&
		   xs[box->x0] == ys[box->y0])
	{
		box->x0++;
		box->y0++;
	}
	while (box->x0 < box->x1 && box->y0 < box->y1 &&
		   xs[box->x1 - 1] == ys[box->y1 - 1])
	{
		box->x1--;
		box->y1--;
	}
}

/* Elements of both sequences in a box. */
static int
box_size(const Box *box)
{
	return (box->x1 - box->x0) + (box->y1 - box->y0);
}

/* Marks the elements of a box as changed; one sequence has none there. */
static void
mark_changed(Search *s, const Box *box)
{
	for (int x = box->x0; x < box->x1; x++)
		s->a.is_changed[s->a.place[x]] = true;
	for (int y = box->y0; y < box->y1; y++)
		s->b.is_changed[s->b.place[y]] = true;
}

/*
 * Marks the shared elements that the common subsequence does not keep.  Of the two halves
 * of a box the smaller is solved at once, so that few are ever pending.
 */
static void
solve(Search *s)
{
	Box			pending[MAX_PENDING];
	int			npending = 1;

	pending[0].x0 = pending[0].y0 = 0;
	pending[0].x1 = s->a.nshared;
	pending[0].y1 = s->b.nshared;
	while (npending > 0)
	{
		Box			box = pending[--npending];
		Box			half;
		Point		middle;

		trim(s, &box);
		if (box.x0 == box.x1 || box.y0 == box.y1)
		{
			mark_changed(s, &box);
			continue;
		}
		middle = find_middle(s, &box);
		half = box;
		half.x1 = box.x0 = middle.x;
		half.y1 = box.y0 = middle.y;
		Assert(npending + 2 <= MAX_PENDING);
		Assert(box_size(&half) > 0 && box_size(&box) > 0);
		pending[npending++] = box_size(&half) > box_size(&box) ? half : box;
		pending[npending++] = box_size(&half) > box_size(&box) ? box : half;
	}
}

/* Prepares the fronts of a search: diagonals from -ny - 1 to nx + 1. */
static void
open_fronts(Search *s)
{
	Size		nx = s->a.nshared;
	Size		ny = s->b.nshared;

	s->forward.reach = (int *) new_array(sizeof(int), nx + ny + 3) + ny + 1;
	s->backward.reach = (int *) new_array(sizeof(int), nx + ny + 3) + ny + 1;
	s->limit = search_limit(nx + ny);
}

/*
 * Marks the elements of both sequences that are not in a common subsequence,
 * the longest one within the bounds above: those that are not marked are the
 * same ones, in the same order.  The numbers are from 0 to nnumbers - 1.  The
 * arrays of marks are the caller's; nothing is left in memory.  Raises an
 * error only when cancelled or out of memory.
 */
void
nbm_sequence_diff(const int *a, int na, const int *b, int nb, int nnumbers,
				  bool *a_changed, bool *b_changed)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller,
												  "notebook_migrate sequences",
												  ALLOCSET_DEFAULT_SIZES);
	Search		s = {{0}};
	bool	   *in_a;
	bool	   *in_b;

	MemoryContextSwitchTo(context);
	in_a = palloc_extended(Max(nnumbers, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	in_b = palloc_extended(Max(nnumbers, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	note_numbers(a, na, in_a);
	note_numbers(b, nb, in_b);
	keep_shared(&s.a, a, na, in_b, a_changed);
	keep_shared(&s.b, b, nb, in_a, b_changed);
	open_fronts(&s);
	solve(&s);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
