/*
 * entries.h
 *		Lists of pairs of numbers that are sorted and searched.
 */
#ifndef NBM_ENTRIES_H
#define NBM_ENTRIES_H

/* One element to sort: by key, then by value. */
typedef struct NbmEntry
{
	uint64		key;
	uint64		value;
} NbmEntry;

/* A growing list of them. */
typedef struct NbmEntries
{
	NbmEntry   *entries;
	int			count;
	int			room;
} NbmEntries;

/* Packs two indexes into one number that sorts by the first, then the second. */
static inline uint64
nbm_pack(int first, int second)
{
	return ((uint64) first << 32) | (uint32) second;
}

/* The two indexes in such a number. */
static inline int
nbm_first(uint64 packed)
{
	return (int) (packed >> 32);
}

static inline int
nbm_second(uint64 packed)
{
	return (int) (uint32) packed;
}

extern void *nbm_alloc(int n, Size size);
extern int *nbm_alloc_ints(int n, int value);
extern void nbm_entries_add(NbmEntries *list, uint64 key, uint64 value);
extern void nbm_entries_sort(NbmEntry *entries, size_t count);

#endif							/* NBM_ENTRIES_H */
