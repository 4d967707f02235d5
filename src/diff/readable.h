/*
 * readable.h
 *		Text for people: what is long is cut, what is no text is described.
 */
#ifndef NBM_READABLE_H
#define NBM_READABLE_H

#include "document.h"

/* What lines of source and JSON values may take in a readable text. */
#define NBM_SHOWN_LINE 2000
#define NBM_SHOWN_VALUE 100

/* The remarks under a heading, of which only so many are shown. */
typedef struct NbmRemarks
{
	StringInfo	out;
	int			count;			/* those left out included */
} NbmRemarks;

/* readable.c */
extern void nbm_show_check(StringInfo out, Size more);
extern void nbm_show_text(StringInfo out, NbmText string, int max);
extern void nbm_show_size(StringInfo out, Size size);
extern int	nbm_count_lines(NbmText string);
extern void nbm_show_lines(StringInfo out, const char *prefix, NbmText string);
extern void nbm_show_hunks(StringInfo out, const char *prefix, NbmText from,
						   NbmText to);

/* readable_values.c */
extern bool nbm_remark(NbmRemarks *remarks);
extern void nbm_remarks_end(NbmRemarks *remarks);
extern void nbm_remark_change(NbmRemarks *remarks, const char *path,
							  const JsonbValue *from, const JsonbValue *to);
extern void nbm_remark_members(NbmRemarks *remarks, const char *prefix,
							   JsonbContainer *from, JsonbContainer *to,
							   bool (*skip) (NbmText key));

/* readable_outputs.c */
extern void nbm_remark_outputs(NbmRemarks *remarks, NbmBody *const *from,
							   int nfrom, NbmBody *const *to, int nto);

/* readable_links.c */
extern void nbm_show_links(StringInfo out, const NbmLayout *from_layout,
						   JsonbContainer *from, const NbmLayout *to_layout,
						   JsonbContainer *to);

#endif							/* NBM_READABLE_H */
