/*
 * lines.h
 *		Texts as lines, and how two of them differ.
 *
 * A plain algorithm: it knows no tables, runs no SQL and can be tested alone.
 */
#ifndef NBM_LINES_H
#define NBM_LINES_H

/*
 * A text cut at its line feeds, which belong to no line: n line feeds make
 * n + 1 lines, so that joining the lines with line feeds gives the text back,
 * and appending a line changes none before it.  The empty text has no line.
 */
typedef struct NbmLines
{
	const char *str;			/* the text: not owned, not NUL-terminated */
	int			count;
	int		   *start;			/* count + 1 offsets; line i is start[i] up to
								 * start[i + 1] - 1, its line feed left out */
} NbmLines;

/* Lines of the old text that others of the new one replace; from 0. */
typedef struct NbmHunk
{
	int			old_line;
	int			old_count;		/* 0: inserted before old_line */
	int			new_line;
	int			new_count;		/* 0: deleted */
} NbmHunk;

extern NbmLines nbm_lines_split(const char *str, int len);
extern int	nbm_line_length(const NbmLines *lines, int line);
extern NbmHunk *nbm_lines_diff(const NbmLines *a, const NbmLines *b,
							   int *count);

#endif							/* NBM_LINES_H */
