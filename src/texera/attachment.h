/*
 * attachment.h
 *		What is kept of attached tables: which they are, which row of the
 *		application each version belongs to, and what went wrong.
 *
 * The only room that knows the tables attachment, attached_document and those
 * whose names begin with texera_.  All functions run with the
 * rights of the current user, between nbm_store_begin() and nbm_store_end().
 */
#ifndef NBM_ATTACHMENT_H
#define NBM_ATTACHMENT_H

#include "datatype/timestamp.h"
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

/* The row of workflow_version that belongs to what is written now. */
typedef struct NbmCurrentVid
{
	int64		vid;			/* 0: none */
	int64		unused;			/* the row that it uses up; 0: it is no save */
	bool		is_behind;		/* is the workflow as it is now not in the
								 * store? */
	bool		is_missing;		/* nor what was saved with that row? */
} NbmCurrentVid;

/* What was last passed over of a workflow. */
typedef struct NbmMissed
{
	int64		vid;			/* the newest row then */
	bool		is_save;		/* which wrote it; else in place */
	TimestampTz noted_at;
} NbmMissed;

/* Rows of which it is not known what was saved: up to, and without, the last. */
typedef struct NbmVidGap
{
	int64		from;
	int64		upto;
} NbmVidGap;

/* What tells a row of Texera's mappings; vid 0 where they have none. */
typedef struct NbmMappingKey
{
	int64		workflow_id;
	int64		vid;
	int64		notebook_id;
} NbmMappingKey;

extern void nbm_attachments_lock(void);
extern void nbm_attachment_add(const NbmAttachment *attachment);
extern bool nbm_attachment_find(Oid target, NbmAttachment *attachment);
extern List *nbm_attachments(const char *schema);
extern void nbm_attachment_drop(Oid target);

extern void nbm_attached_note(const NbmAttachment *attachment, int64 id);
extern void nbm_attached_forget(const NbmKind *kind, int64 id);
extern int64 *nbm_attached_documents(const NbmKind *kind, const char *table,
									 int *count);

extern void nbm_label_await(int64 workflow_id, int32 version);
extern void nbm_label_add(int64 workflow_id, int32 version, int64 vid,
						  bool is_exact);
extern void nbm_label_replace(int64 workflow_id, int32 version, int64 vid,
							  bool is_exact);
extern void nbm_label_shift(int64 workflow_id, int32 after, int32 by);
extern int32 nbm_label_exact(int64 workflow_id, int64 vid);
extern int64 nbm_label_first(int64 workflow_id);
extern int32 nbm_label_version(int64 workflow_id, int64 vid);

extern void nbm_vid_add(int64 workflow_id, int64 vid);
extern void nbm_vid_present(int64 workflow_id, int64 vid);
extern void nbm_vid_current(int64 workflow_id, bool is_save,
							NbmCurrentVid *current);
extern void nbm_vid_use(int64 workflow_id, int64 vid);
extern void nbm_vid_forget_all(void);

extern void nbm_gap_begin(int64 workflow_id, const NbmCurrentVid *current);
extern void nbm_gap_end(int64 workflow_id, int64 vid, TimestampTz noted_at);
extern bool nbm_gap_last(int64 workflow_id, NbmMissed *missed);
extern NbmVidGap *nbm_gaps(int64 workflow_id, int *count);
extern void nbm_gap_fill(int64 workflow_id, const NbmVidGap *gap, int64 upto);
extern void nbm_gap_forget(int64 workflow_id, int64 vid);
extern bool nbm_gap_has(int64 workflow_id, const int64 *vid);

extern bool nbm_mapping_row_find(const NbmMappingKey *key, Jsonb *content,
								 int32 *pending);
extern void nbm_mapping_row_note(const NbmMappingKey *key, Jsonb *content,
								 int32 pending);
extern void nbm_mapping_row_forget(const NbmMappingKey *key);
extern void nbm_mapping_row_forget_all(void);

extern void nbm_workflow_forget(int64 workflow_id);
extern void nbm_notebook_forget(int64 notebook_id);
extern void nbm_progress_forget(int64 workflow_id);

extern void nbm_problem_add(const char *table, const char *key, int sqlstate,
							const char *message, bool once);

extern void nbm_progress_add(int64 workflow_id, int32 rows, int32 versions,
							 const char *note);
extern void nbm_texera_forget_all(void);

#endif							/* NBM_ATTACHMENT_H */
