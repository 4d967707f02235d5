/*-------------------------------------------------------------------------
 *
 * pgstub.c
 *	  The few functions of the server that the matcher calls, so that it can be
 *	  driven without one.
 *
 * There is one memory context beside the caller's, never two at a time; all
 * memory is in one list.  pgstub_peak tells the most bytes in use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

/* What stands before each piece of memory. */
typedef struct Piece
{
	struct Piece *next;
	struct Piece *previous;
	MemoryContext context;
	Size		size;
} Piece;

extern Size pgstub_peak;

MemoryContext CurrentMemoryContext = NULL;
volatile sig_atomic_t InterruptPending = false;
Size		pgstub_peak = 0;
static Size pgstub_used = 0;
static Piece pieces = {&pieces, &pieces};
static int	the_context;

/* Does nothing: nobody interrupts. */
void
ProcessInterrupts(void)
{
}

/* Product of two sizes; ends the process on overflow. */
Size
mul_size(Size s1, Size s2)
{
	if (s1 != 0 && s2 > MaxAllocSize / s1)
		abort();
	return s1 * s2;
}

/* Zeroed memory for some items; newer servers' palloc_array() calls it. */
void	   *
palloc_mul(Size s1, Size s2)
{
	return palloc0(mul_size(s1, s2));
}

/* The library's own sort. */
#undef qsort
void
pg_qsort(void *base, size_t nel, size_t elsize,
		 int (*cmp) (const void *, const void *))
{
	qsort(base, nel, elsize, cmp);
}

/* Any good hash will do. */
uint64
hash_bytes_extended(const unsigned char *k, int keylen, uint64 seed)
{
	uint64		h = seed ^ UINT64CONST(0xcbf29ce484222325);

	for (int i = 0; i < keylen; i++)
		h = (h ^ k[i]) * UINT64CONST(0x100000001b3);
	return h ^ (h >> 32);
}

/* Zeroed memory in the one list. */
void	   *
palloc0(Size size)
{
	Piece	   *piece = calloc(1, sizeof(Piece) + size);

	piece->size = size;
	piece->context = CurrentMemoryContext;
	piece->next = pieces.next;
	piece->previous = &pieces;
	pieces.next->previous = piece;
	pieces.next = piece;
	pgstub_used += size;
	pgstub_peak = Max(pgstub_peak, pgstub_used);
	return piece + 1;
}

/* The same, as nobody may rely on anything else. */
void	   *
palloc(Size size)
{
	return palloc0(size);
}

/* Frees one piece. */
void
pfree(void *pointer)
{
	Piece	   *piece = (Piece *) pointer - 1;

	pgstub_used -= piece->size;
	piece->next->previous = piece->previous;
	piece->previous->next = piece->next;
	free(piece);
}

/* A larger piece with the same contents. */
void	   *
repalloc(void *pointer, Size size)
{
	Piece	   *piece = (Piece *) pointer - 1;
	void	   *result = palloc0(size);

	memcpy(result, pointer, Min(size, piece->size));
	pfree(pointer);
	return result;
}

void *
repalloc_huge(void *pointer, Size size)
{
	return repalloc(pointer, size);
}

/* The one context. */
MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name,
							  Size minContextSize, Size initBlockSize,
							  Size maxBlockSize)
{
	return (MemoryContext) &the_context;
}

/* Frees what is in a context. */
void
MemoryContextDelete(MemoryContext context)
{
	for (Piece *piece = pieces.next, *next; piece != &pieces; piece = next)
	{
		next = piece->next;
		if (piece->context == context)
			pfree(piece + 1);
	}
}

void *
palloc_extended(Size size, int flags)
{
	return palloc0(size);
}
