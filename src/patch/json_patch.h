/*
 * json_patch.h
 *		JSON Patch (RFC 6902): patches applied to jsonb, one or a chain.
 *
 * A plain algorithm: it knows no tables and runs no SQL.
 *
 * nbm_patch_open takes a document, nbm_patch_apply changes it as often as
 * wanted, nbm_patch_finish gives it as it is then, as often as wanted,
 * nbm_patch_close frees everything but what nbm_patch_finish gave.
 *
 * What it costs, for a document of s bytes and a depth of at most 1,000:
 * - open: one look at each container, for the depth;
 * - apply: for each operation the length of its pointers, its value's bytes
 *   (copied for add and replace, compared for test, looked at for their depth
 *   for copy and move), and in an array 16 bytes a slot between this and the
 *   last place where something was inserted or deleted; the first change in an
 *   array 16 bytes for each of its elements; copy of what was changed before
 *   writes it, which adds to s what it takes;
 * - finish: s bytes copied, and one look at each element or member of a
 *   container in which something changed;
 * - memory: 22 s + 4 MB, one patch's values, and twice s where finish works;
 *   a chain of any length needs no more.
 *
 * A patch that cannot be applied is told by its failure, without an ERROR,
 * so that a caller needs no subtransaction to go on with something else; the
 * document is then half changed, and of no use but to be closed.  ERRORs are
 * raised for a cancelled query, and where the document becomes larger than
 * jsonb can hold (54000).
 */
#ifndef NBM_JSON_PATCH_H
#define NBM_JSON_PATCH_H

#include "json_tree.h"

/* A document that is being patched. */
typedef struct NbmPatching
{
	NbmTree    *tree;
	MemoryContext scratch;		/* of one operation */
} NbmPatching;

extern NbmPatching *nbm_patch_open(Jsonb *target);
extern bool nbm_patch_apply(NbmPatching *patching, Jsonb *patch,
							NbmFailure *failure);
extern Jsonb *nbm_patch_finish(NbmPatching *patching);
extern void nbm_patch_close(NbmPatching *patching);

#endif							/* NBM_JSON_PATCH_H */
