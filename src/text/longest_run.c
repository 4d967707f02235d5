/*
 * longest_run.c
 *		The longest part of a sequence that stands in ascending order.
 *
 * Patience sorting: O(n log n), and always the same one of several that are
 * equally long.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "longest_run.h"

/*
 * Sets is_in for the values that are in the longest ascending run; values are
 * distinct.  Memory is of the current context, and freed.
 */
void
nbm_longest_run(const int *values, int count, bool *is_in)
{
	int		   *tails = palloc_array(int, Max(count, 1));
	int		   *before = palloc_array(int, Max(count, 1));
	int			length = 0;
	int			at;

	for (int i = 0; i < count; i++)
	{
		int			low = 0;
		int			high = length;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		is_in[i] = false;
		while (low < high)
		{
			int			middle = (low + high) / 2;

			if (values[tails[middle]] < values[i])
				low = middle + 1;
			else
				high = middle;
		}
		before[i] = low > 0 ? tails[low - 1] : -1;
		tails[low] = i;
		length = Max(length, low + 1);
	}
	at = length > 0 ? tails[length - 1] : -1;
	while (at >= 0)
	{
		is_in[at] = true;
		at = before[at];
	}
	pfree(tails);
	pfree(before);
}
