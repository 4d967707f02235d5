/*
 * script.h
 *		The cells of a notebook's version, and their code as one script.
 */
#ifndef NBM_SCRIPT_H
#define NBM_SCRIPT_H

#include "names.h"
#include "store.h"

/* A cell with its text. */
typedef struct NbmScriptCell
{
	NbmText		id;				/* as callers see it */
	NbmText		type;			/* str NULL: none */
	NbmText		source;
	bool		is_code;
	int			first_line;		/* of the script, from 1; of what has none
								 * there, where it would be */
	int			nlines;
} NbmScriptCell;

/* A version's cells in order. */
typedef struct NbmScript
{
	const NbmLayout *layout;
	NbmNames	names;			/* to find a cell by what it is called */
	NbmScriptCell *cells;		/* layout->nitems of them */
	int			nlines;			/* of all code */
} NbmScript;

extern void nbm_script_open(const NbmStore *store, const NbmVersion *version,
							NbmScript *script);
extern int	nbm_script_cell_at(const NbmScript *script, int line);

#endif							/* NBM_SCRIPT_H */
