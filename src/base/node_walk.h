/*
 * node_walk.h
 *		The server's walkers of parse trees.
 *
 * Up to 15 their header declares functions without prototypes, which the
 * compiler is told to refuse in all that is ours.
 */
#ifndef NBM_NODE_WALK_H
#define NBM_NODE_WALK_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include "nodes/nodeFuncs.h"
#pragma GCC diagnostic pop

#endif							/* NBM_NODE_WALK_H */
