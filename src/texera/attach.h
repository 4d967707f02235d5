/*
 * attach.h
 *		Attaching tables of applications, and letting them go.
 */
#ifndef NBM_ATTACH_H
#define NBM_ATTACH_H

#include "attachment.h"

extern void nbm_attach_table(NbmAttachment *attachment, Oid owner);
extern void nbm_attach_check(const NbmAttachment *attachment);
extern void nbm_attachment_allow(Oid target, bool maintain);
extern void nbm_detach_table(Oid target);

#endif							/* NBM_ATTACH_H */
