/*
 * schema_rehearse.h
 *		Running migrations so that nothing is left of it.
 */
#ifndef NBM_SCHEMA_REHEARSE_H
#define NBM_SCHEMA_REHEARSE_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "schema_plan.h"
#include "schema_run.h"

/* What came of a step of the plan. */
typedef enum NbmOutcome
{
	NBM_TRIAL_NONE,				/* nothing is to be done in it */
	NBM_TRIAL_DONE,
	NBM_TRIAL_FAILED,
	NBM_TRIAL_BLOCKED,			/* not tried: something that it needs is not
								 * done */
	NBM_TRIAL_IMPOSSIBLE		/* cannot be tried in a transaction, or this
								 * one */
} NbmOutcome;

/* A step of the plan that is rehearsed. */
typedef struct NbmRehearsal
{
	const NbmMigration *migration;
	NbmAction	action;
	char	   *reason;
	NbmOutcome	outcome;
	NbmFailure	failure;		/* if it failed */
	char	   *message;		/* if it is not done: why */
	TimestampTz started_at;
	TimestampTz ended_at;
	Jsonb	   *objects;		/* if it is done */
	Jsonb	   *locks;
} NbmRehearsal;

/* A plan that is rehearsed. */
typedef struct NbmRehearsals
{
	NbmSchema  *schema;			/* without its history */
	NbmRehearsal *all;
	int			count;
	NbmOutcome *outcomes;		/* of what the schema has */
} NbmRehearsals;

extern void nbm_subtransaction(NbmTrial work, void *arg);
extern void nbm_rehearse(NbmWork work, void *arg);
extern bool nbm_rehearse_script(const char *body, NbmFailure *failure);
extern bool nbm_needs_commit(const NbmFailure *failure);
extern char *nbm_failure_text(const NbmFailure *failure);
extern int	nbm_applied(const NbmSchema *schema,
						const NbmMigration ***applied);
extern const char *nbm_not_undone(const NbmMigration *migration);

extern NbmRehearsals nbm_read_plan(Oid owner, const char *target);
extern bool nbm_can_rehearse(const NbmRehearsals *plan,
							 NbmRehearsal *rehearsal);
extern void nbm_note_outcome(NbmRehearsals *plan,
							 const NbmRehearsal *rehearsal);
extern NbmRehearsals nbm_dry_run(Oid owner, const char *target);

#endif							/* NBM_SCHEMA_REHEARSE_H */
