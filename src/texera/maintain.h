/*
 * maintain.h
 *		The application's own mapping rows, brought up to date.
 */
#ifndef NBM_MAINTAIN_H
#define NBM_MAINTAIN_H

#include "attachment.h"

extern void nbm_maintain_mappings(const char *schema,
								  const int64 *notebook_id,
								  const int64 *workflow_id, bool wait);
extern void nbm_check_notebook_of(const char *schema, int64 notebook_id,
								  int64 workflow_id);
extern bool nbm_is_maintaining(void);
extern char *nbm_table_name(Oid table);

#endif							/* NBM_MAINTAIN_H */
