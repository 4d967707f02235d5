/*
 * json_node.h
 *		The nodes of a jsonb value that can be changed in place.
 *
 * A plain algorithm: it knows no tables and runs no SQL.  json_node.c says
 * how nodes are built and what things cost.
 */
#ifndef NBM_JSON_NODE_H
#define NBM_JSON_NODE_H

#include "jsonb_bytes.h"

/* As many elements and members as the server itself puts into a container. */
#define NBM_JSONB_ELEMENTS	((int) (MaxAllocSize / sizeof(JsonbValue)))
#define NBM_JSONB_MEMBERS	((int) (MaxAllocSize / sizeof(JsonbPair)))

typedef struct NbmNode NbmNode;

/* A value in a tree: a node, or bytes below the nodes. */
typedef struct NbmPlace
{
	NbmNode    *node;			/* NULL: value says it */
	JsonbValue	value;			/* a scalar or a jbvBinary */
} NbmPlace;

extern NbmNode *nbm_node_make(const JsonbValue *value);
extern void nbm_node_freeze(NbmNode *node, Jsonb *written);
extern void nbm_node_look(NbmPlace *place);
extern bool nbm_node_is_array(const NbmPlace *place);
extern bool nbm_node_is_object(const NbmPlace *place);
extern int	nbm_node_count(const NbmPlace *place);
extern int	nbm_node_depth(const NbmPlace *place, int limit);
extern bool nbm_node_equals(const NbmPlace *place, const JsonbValue *value);
extern void nbm_node_write(NbmWriter *w, const NbmNode *node);

extern void nbm_node_element(const NbmPlace *array, int index,
							 NbmPlace *element);
extern bool nbm_node_member(const NbmPlace *object, NbmText key,
							NbmPlace *member);

extern void nbm_node_open(NbmNode *node);
extern NbmNode *nbm_node_open_element(NbmNode *array, int index);
extern void nbm_node_insert(NbmNode *array, int index, NbmNode *element);
extern void nbm_node_set_element(NbmNode *array, int index, NbmNode *element);
extern void nbm_node_delete(NbmNode *array, int index);
extern NbmNode *nbm_node_open_member(NbmNode *object, NbmText key);
extern void nbm_node_set(NbmNode *object, NbmText key, NbmNode *member);
extern void nbm_node_unset(NbmNode *object, NbmText key);

#endif							/* NBM_JSON_NODE_H */
