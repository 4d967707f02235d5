/*
 * entries.c
 *		Lists of pairs of numbers that are sorted and searched.
 *
 * What the matcher and the search for descents have in common below the level
 * of items and texts.
 */
#include "postgres.h"

#include "entries.h"
#include "miscadmin.h"
#include "storage/shmem.h"		/* mul_size, in older minor releases */

#define ST_SORT nbm_entries_sort
#define ST_ELEMENT_TYPE NbmEntry
#define ST_COMPARE(a, b) \
	((a)->key != (b)->key ? ((a)->key < (b)->key ? -1 : 1) : \
	 (a)->value != (b)->value ? ((a)->value < (b)->value ? -1 : 1) : 0)
#define ST_SCOPE extern
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Allocates zeroed room for n elements in the current memory context; the
 * caller owns it.  Raises an error where the size overflows.
 */
void *
nbm_alloc(int n, Size size)
{
	return palloc_extended(mul_size(Max(n, 1), size),
						   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * Allocates n integers, all of them value.  The caller owns them.
 */
int *
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
void
nbm_entries_add(NbmEntries *list, uint64 key, uint64 value)
{
	if (list->count == list->room)
	{
		list->room = Max(64, list->room * 2);
		if (list->entries == NULL)
			list->entries = nbm_alloc(list->room, sizeof(NbmEntry));
		else
			list->entries = repalloc_huge(list->entries,
										  mul_size(list->room, sizeof(NbmEntry)));
	}
	list->entries[list->count].key = key;
	list->entries[list->count].value = value;
	list->count++;
}
