/*
 * flow.h
 *		The operators of a workflow's version and the links between them.
 */
#ifndef NBM_FLOW_H
#define NBM_FLOW_H

#include "graph.h"
#include "store.h"

/* The type of operators that a conversion makes. */
#define NBM_UDF_TYPE "PythonUDFV2"

/* An operator with what is known of it. */
typedef struct NbmFlowOperator
{
	JsonbContainer *core;
	int			core_len;
	NbmText		id;				/* as callers see it */
	NbmText		display;		/* str NULL: none */
	NbmText		name;			/* what prompts call it: no other is called so */
	NbmText		code;			/* or its properties as text */
	bool		is_udf;			/* may a reply rewrite it? */
} NbmFlowOperator;

/* A version's operators in order, and its links. */
typedef struct NbmFlow
{
	const NbmLayout *layout;
	NbmFlowOperator *operators; /* layout->nitems of them */
	JsonbContainer *envelope;
	JsonbContainer *links;		/* NULL: none */
	NbmEdge    *edges;			/* of each link; -1: no such operator */
	int			nlinks;
} NbmFlow;

extern void nbm_flow_open(const NbmStore *store, const NbmVersion *version,
						  NbmFlow *flow);

#endif							/* NBM_FLOW_H */
