/*
 * attachment.h
 *		What is kept of attached tables: which they are, which row of the
 *		application each version belongs to, and what went wrong.
 *
 * The only room that knows the tables attachment, texera_version, texera_vid,
 * texera_problem and texera_backfill_progress.  All functions run with the
 * rights of the current user, between nbm_store_begin() and nbm_store_end().
 */
#ifndef NBM_ATTACHMENT_H
#define NBM_ATTACHMENT_H

#include "nodes/pg_list.h"
#include "document.h"

/* What a table is to its application; attachment.c has their names. */
typedef enum NbmRole
{
	NBM_ROLE_DOCUMENT,			/* any table with documents */
	NBM_ROLE_WORKFLOW,			/* Texera's, and so the others */
	NBM_ROLE_VID,
	NBM_ROLE_NOTEBOOK,
	NBM_ROLE_MAPPING
} NbmRole;

/* An attached table; strings of the context it was read in. */
typedef struct NbmAttachment
{
	Oid			target;
	NbmRole		role;
	const NbmKind *kind;
	const char *key_column;
	const char *content_column;
	const char *schema;			/* Texera's; NULL: another application */
	bool		maintain;		/* the application's mapping rows, too */
} NbmAttachment;

extern void nbm_attachments_lock(void);
extern void nbm_attachment_add(const NbmAttachment *attachment);
extern bool nbm_attachment_find(Oid target, NbmAttachment *attachment);
extern List *nbm_attachments(const char *schema);
extern void nbm_attachment_drop(Oid target);

extern void nbm_label_await(int64 workflow_id, int32 version);
extern void nbm_label_newest(int64 workflow_id, int32 version);
extern void nbm_label_add(int64 workflow_id, int32 version, int64 vid,
						  bool is_exact);
extern void nbm_label_shift(int64 workflow_id, int32 by);
extern int64 nbm_label_first(int64 workflow_id);
extern int32 nbm_label_version(int64 workflow_id, int64 vid);
extern void nbm_vid_add(int64 workflow_id, int64 vid);
extern void nbm_vid_forget(int64 workflow_id);

extern void nbm_problem_add(const char *table, const char *key, int sqlstate,
							const char *message);

extern void nbm_progress_add(int64 workflow_id, int32 rows, int32 versions,
							 const char *note);
extern void nbm_texera_forget_all(void);

#endif							/* NBM_ATTACHMENT_H */
