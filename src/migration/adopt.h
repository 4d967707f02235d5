/*
 * adopt.h
 *		Which UDF of a reply is which operator that is there already.
 */
#ifndef NBM_ADOPT_H
#define NBM_ADOPT_H

#include "flow.h"
#include "plan.h"
#include "scope.h"

/* What becomes of the UDFs and of the operators. */
typedef struct NbmAdoption
{
	bool		is_whole;		/* a whole conversion, not a part of one? */
	int		   *operators;		/* by UDF; -1: a new one */
	int		   *udfs;			/* by operator; -1: none */
	bool	   *is_removed;		/* by operator */
} NbmAdoption;

extern void nbm_adopt(const NbmPlan *plan, const NbmFlow *flow,
					  const NbmScope *scope, NbmAdoption *adoption);

#endif							/* NBM_ADOPT_H */
