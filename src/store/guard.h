/*
 * guard.h
 *		Work that must not fail its caller, and work with another role's rights.
 */
#ifndef NBM_GUARD_H
#define NBM_GUARD_H

#include "fmgr.h"
#include "utils/elog.h"

/* An error that was caught; strings of the context guarded work was begun in. */
typedef struct NbmCaught
{
	int			sqlstate;
	const char *message;
} NbmCaught;

/* Whose rights a backend had before nbm_become(). */
typedef struct NbmIdentity
{
	Oid			role;
	int			context;
} NbmIdentity;

typedef void (*NbmWork) (void *arg);

/* Work that says whether what it did is to stay. */
typedef bool (*NbmTrial) (void *arg);

extern ErrorData *nbm_attempt(NbmTrial work, void *arg);
extern bool nbm_guarded(NbmWork work, void *arg, NbmCaught *caught);
extern void nbm_become(Oid role, NbmIdentity *before);
extern void nbm_become_owner(Oid role, NbmIdentity *before);
extern void nbm_be_again(const NbmIdentity *before);
extern int	nbm_owner_begin(Oid owner, NbmIdentity *before);
extern void nbm_owner_end(int level, const NbmIdentity *before);
extern Oid	nbm_function_owner(FunctionCallInfo fcinfo);
extern Oid	nbm_extension_owner(void);
extern void nbm_require_administrator(void);

#endif							/* NBM_GUARD_H */
