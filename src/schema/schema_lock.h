/*
 * schema_lock.h
 *		One runner of schema migrations at a time.
 */
#ifndef NBM_SCHEMA_LOCK_H
#define NBM_SCHEMA_LOCK_H

#include "storage/lock.h"

/* No limit to how long a lock is waited for. */
#define NBM_WAIT_FOREVER (-1)

extern void nbm_runner_lock_session(int64 timeout_ms);
extern void nbm_runner_unlock_session(void);
extern void nbm_runner_lock_transaction(void);
extern void nbm_runner_check_lock(void);
extern void nbm_runner_keep_lock(bool keeps);
extern void nbm_worker_locktag(LOCKTAG *tag);

#endif							/* NBM_SCHEMA_LOCK_H */
