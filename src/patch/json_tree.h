/*
 * json_tree.h
 *		A jsonb value that can be changed in place.
 *
 * A plain algorithm: it knows no tables and runs no SQL.  json_tree.c says
 * how it is built and what things cost.
 */
#ifndef NBM_JSON_TREE_H
#define NBM_JSON_TREE_H

#include "json_node.h"
#include "json_pointer.h"

/*
 * A value that changes.  Its nodes, and bytes that were added to it, are in a
 * memory context of its own.
 */
typedef struct NbmTree
{
	MemoryContext owner;		/* the parent of context */
	MemoryContext context;
	NbmNode    *root;
	Size		size;			/* bytes when it was last written */
} NbmTree;

/* Why something could not be done.  The message may be of the tree's context. */
typedef struct NbmFailure
{
	int			sqlstate;
	const char *message;
} NbmFailure;

extern NbmTree *nbm_tree_open(Jsonb *jb);
extern void nbm_tree_trim(NbmTree *tree);
extern Jsonb *nbm_tree_write(const NbmTree *tree);

extern bool nbm_tree_find(const NbmTree *tree, const NbmPointer *pointer,
						  NbmPlace *place, NbmFailure *failure);

extern NbmNode *nbm_tree_take(NbmTree *tree, const JsonbValue *value);
extern NbmNode *nbm_tree_copy(NbmTree *tree, const NbmPlace *place);
extern bool nbm_tree_add(NbmTree *tree, const NbmPointer *pointer,
						 NbmNode *node, NbmFailure *failure);
extern bool nbm_tree_replace(NbmTree *tree, const NbmPointer *pointer,
							 NbmNode *node, NbmFailure *failure);
extern NbmNode *nbm_tree_remove(NbmTree *tree, const NbmPointer *pointer,
								NbmFailure *failure);
extern void nbm_fail(NbmFailure *failure, int sqlstate,
					 const char *format,...) pg_attribute_printf(3, 4);
extern char *nbm_clip(NbmText str);

#endif							/* NBM_JSON_TREE_H */
