/*
 * plan.h
 *		A conversion as a language model's replies state it, checked.
 */
#ifndef NBM_PLAN_H
#define NBM_PLAN_H

#include "graph.h"
#include "problems.h"
#include "reply.h"
#include "script.h"

/* A UDF that the workflow reply has code for. */
typedef struct NbmUdf
{
	NbmText		name;
	NbmText		code;
} NbmUdf;

/* The output columns of a node. */
typedef struct NbmColumns
{
	bool		is_stated;		/* does the reply say which? */
	NbmText    *names;
	int			count;
} NbmColumns;

/* What an operator that is there already may be called. */
typedef struct NbmCalled
{
	NbmText		names[2];		/* str NULL: none */
} NbmCalled;

/* A node and a cell, or some of its lines, that the mapping reply joins. */
typedef struct NbmPlanLink
{
	int			node;
	int			cell;			/* index in the notebook's version */
	int			from;			/* line of the cell, from 1; 0: the whole cell */
	int			to;
} NbmPlanLink;

/*
 * The sound parts of the replies.  Nodes are numbered: first the UDFs, then
 * the operators that are there already.
 */
typedef struct NbmPlan
{
	NbmUdf	   *udfs;
	int			nudfs;
	int			nstated;		/* UDFs that the reply names, sound or not */
	NbmColumns *columns;		/* of each node */
	NbmEdge    *edges;			/* between nodes; each once */
	int		   *places;			/* of each edge in the reply */
	int			nedges;
	NbmPlanLink *links;
	int			nlinks;
	int			links_room;
	struct NbmKnown *known;		/* names of nodes, sorted */
	int			nknown;
	NbmProblems problems;
} NbmPlan;

extern void nbm_plan_read(const NbmReply *reply, const NbmCalled *others,
						  int nothers, NbmPlan *plan);
extern void nbm_plan_map(const NbmReply *reply, const NbmScript *script,
						 NbmPlan *plan);
extern int	nbm_plan_called(const NbmPlan *plan, NbmText name);

#endif							/* NBM_PLAN_H */
