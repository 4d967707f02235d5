/*
 * convert.h
 *		A checked plan as a workflow of Apache Texera.
 */
#ifndef NBM_CONVERT_H
#define NBM_CONVERT_H

#include "adopt.h"

/* A plan on its way into a workflow. */
typedef struct NbmConversion
{
	NbmPlan    *plan;
	const NbmFlow *flow;		/* NULL: the workflow is a new one */
	const NbmAdoption *adoption;	/* where there is a flow */
	NbmText    *ids;			/* by UDF; of those that are new operators */
	bool	   *is_kept;		/* by link of the flow */
	NbmEdge    *edges;			/* between nodes: kept links, then new ones */
	int			nkept;
	int			nedges;
	bool	   *has_out;		/* by node: does an edge leave it? */
	bool	   *had_out;		/* by operator of the flow: did a link? */
} NbmConversion;

extern void nbm_convert_begin(NbmConversion *conversion, NbmPlan *plan,
							  const NbmFlow *flow,
							  const NbmAdoption *adoption);
extern int	nbm_convert_node(const NbmConversion *conversion, int node);
extern Jsonb *nbm_convert_document(const NbmConversion *conversion);
extern Jsonb *nbm_convert_edits(const NbmConversion *conversion);

#endif							/* NBM_CONVERT_H */
