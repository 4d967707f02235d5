/*
 * attached_write.h
 *		What a write to an attached table does to the store.
 */
#ifndef NBM_ATTACHED_WRITE_H
#define NBM_ATTACHED_WRITE_H

#include "attached_row.h"
#include "attachment.h"
#include "guard.h"

/* A write to a row of an attached table. */
typedef struct NbmWrite
{
	NbmAttachment attachment;
	Oid			owner;			/* with whose rights the store is written */
	NbmRow		old;			/* tuple NULL: inserted */
	NbmRow		new;			/* tuple NULL: deleted */
	int64		deleted;		/* where both are NULL: the id of a document
								 * whose row is gone */
	bool		is_present;		/* the row was there before the table was
								 * attached */
	int64		vid;			/* of a row that is present; 0: none */
	const NbmMissed *missed;	/* what is present was passed over; NULL: not
								 * known */
	int64		document;		/* what was written; see has_new */
	bool		has_new;		/* has it a new version? */
} NbmWrite;

/* The triggers that attaching a table puts on it. */
#define NBM_TRIGGER_NAME "notebook_migrate"
#define NBM_TRUNCATE_TRIGGER_NAME "notebook_migrate_truncate"

extern void nbm_wait_briefly(void);
extern void nbm_write_take(void *write);
extern void nbm_write_maintain(void *write);
extern void nbm_write_emptied(NbmWrite *write);
extern void nbm_write_deleted(NbmWrite *write, const int64 *ids, int count);
extern bool nbm_write_guarded(NbmWork work, NbmWrite *write, Oid table);
extern void nbm_check_intervention(const NbmCaught *caught);
extern void nbm_write_failed(const NbmWrite *write, Oid table,
							 const NbmCaught *caught);

#endif							/* NBM_ATTACHED_WRITE_H */
