/*
 * merge_lines.h
 *		Merging three versions of a text by lines.
 *
 * A plain algorithm over the line diff (lines.h); merge_lines.c explains it.
 */
#ifndef NBM_MERGE_LINES_H
#define NBM_MERGE_LINES_H

#include "lines.h"

/* The versions that are merged: indexes of arrays, and who said something. */
typedef enum NbmMergeSide
{
	NBM_BASE,
	NBM_OURS,
	NBM_THEIRS
} NbmMergeSide;

#define NBM_MERGE_SIDES 3

/* What content has where both sides changed the same thing differently. */
typedef enum NbmTaken
{
	NBM_TAKEN_OURS,
	NBM_TAKEN_THEIRS,
	NBM_TAKEN_MARKED			/* both, between markers */
} NbmTaken;

/* Lines of the three texts that belong together. */
typedef struct NbmMergePiece
{
	bool		is_conflict;
	NbmMergeSide from;			/* whose lines are taken, where it is none */
	int			line[NBM_MERGE_SIDES];
	int			count[NBM_MERGE_SIDES];
	int			result_line;	/* where it is in the result, from 0 */
} NbmMergePiece;

/* Three texts, cut into pieces that follow on each other. */
typedef struct NbmLineMerge
{
	NbmLines	lines[NBM_MERGE_SIDES];
	int			npieces;
	NbmMergePiece *pieces;
	int			nconflicts;
} NbmLineMerge;

extern NbmLineMerge *nbm_merge_lines(const NbmLines *texts);
extern char *nbm_merge_lines_text(NbmLineMerge *merge, NbmTaken taken,
								  int *len);

#endif							/* NBM_MERGE_LINES_H */
