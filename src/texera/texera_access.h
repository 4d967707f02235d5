/*
 * texera_access.h
 *		Whether a role may use a workflow of Texera, by Texera's own tables.
 */
#ifndef NBM_TEXERA_ACCESS_H
#define NBM_TEXERA_ACCESS_H

#include "attachment.h"

/* The setting notebook_migrate.texera_uid; 0: none. */
extern int	nbm_texera_uid;

extern NbmAttachment *nbm_texera_table(List *attachments, NbmRole role);
extern List *nbm_texera_tables(Oid owner);
extern bool nbm_texera_may(List *attachments, const NbmKind *kind, int64 id,
						   bool write);
extern void nbm_texera_not_attached(const char *table)
			__attribute__((noreturn));
extern void nbm_texera_require(List *attachments, int64 workflow_id,
							   bool write);
extern int64 nbm_texera_notebook(List *attachments, int64 workflow_id);
extern bool nbm_texera_sees_mapping(List *attachments, int64 workflow_id,
									int64 notebook_id);
extern void nbm_texera_require_mapping(List *attachments, int64 workflow_id,
									   int64 notebook_id);

#endif							/* NBM_TEXERA_ACCESS_H */
