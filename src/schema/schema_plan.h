/*
 * schema_plan.h
 *		What is to be done, in which order, and why.
 */
#ifndef NBM_SCHEMA_PLAN_H
#define NBM_SCHEMA_PLAN_H

#include "schema_store.h"

/* What becomes of a migration. */
typedef enum NbmAction
{
	NBM_APPLY,
	NBM_REVERT,
	NBM_SKIP,
	NBM_BLOCKED
} NbmAction;

/* One step of a plan. */
typedef struct NbmStep
{
	const NbmMigration *migration;
	NbmAction	action;
	char	   *reason;
} NbmStep;

/* A plan; its memory is that of the open store. */
typedef struct NbmPlan
{
	NbmStep    *steps;
	int			count;
} NbmPlan;

extern const char *const nbm_action_names[];

extern NbmPlan *nbm_plan_up(const NbmSchema *schema, const char *target);
extern NbmPlan *nbm_plan_down(const NbmSchema *schema, const char *target,
							  int steps, bool cascade);
extern const char *nbm_migration_state(const NbmSchema *schema, int number,
									   char **note);
extern char *nbm_quoted_names(const char *const *names, int count);

#endif							/* NBM_SCHEMA_PLAN_H */
