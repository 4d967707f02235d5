/*
 * merge_lines.c
 *		Merging three versions of a text by lines.
 *
 * Base is compared with ours and with theirs.  Hunks of the two differences
 * that overlap or touch form a region; what one side alone changed is taken
 * from that side; what both changed is compared, and taken where it is equal.
 * As in git, changes that touch (one side changed a line, the other the line
 * below it, or both inserted something at one place) are a conflict, and
 * lines that both sides' versions of a conflict begin or end with are not
 * part of it.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "merge_lines.h"

/* Hunks of both differences that are looked at together. */
typedef struct Region
{
	int			first[NBM_MERGE_SIDES]; /* first hunk of a side ... */
	int			end[NBM_MERGE_SIDES];	/* ... and the one behind its last */
	int			line;			/* lines of base, from ... */
	int			line_end;		/* ... up to, not including */
} Region;

/* Do both sides have an equal line there? */
static bool
same_line(const NbmLineMerge *merge, int our_line, int their_line)
{
	const NbmLines *ours = &merge->lines[NBM_OURS];
	const NbmLines *theirs = &merge->lines[NBM_THEIRS];
	int			len = nbm_line_length(ours, our_line);

	return len == nbm_line_length(theirs, their_line) &&
		memcmp(ours->str + ours->start[our_line],
			   theirs->str + theirs->start[their_line], len) == 0;
}

/*
 * Adds the piece from where the last one ended up to the given ends (empty
 * ones are left out); room was made by nbm_merge_lines().
 */
static void
add_piece(NbmLineMerge *merge, bool is_conflict, NbmMergeSide from,
		  const int *end)
{
	NbmMergePiece *piece = &merge->pieces[merge->npieces];
	bool		is_empty = true;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		const NbmMergePiece *last = merge->npieces == 0 ? NULL : piece - 1;

		piece->line[s] = last == NULL ? 0 : last->line[s] + last->count[s];
		piece->count[s] = end[s] - piece->line[s];
		is_empty &= piece->count[s] == 0;
	}
	if (is_empty)
		return;
	piece->is_conflict = is_conflict;
	piece->from = from;
	merge->npieces++;
	merge->nconflicts += is_conflict;
}

/*
 * Adds the pieces of a region that both sides changed, which lies in their
 * texts at start up to end.
 */
static void
add_changed_by_both(NbmLineMerge *merge, const int *start, const int *end)
{
	int			ours = end[NBM_OURS] - start[NBM_OURS];
	int			theirs = end[NBM_THEIRS] - start[NBM_THEIRS];
	int			limit = Min(ours, theirs);
	int			head = 0;
	int			tail = 0;
	int			middle[NBM_MERGE_SIDES];

	while (head < limit && same_line(merge, start[NBM_OURS] + head,
									 start[NBM_THEIRS] + head))
		head++;
	while (tail < limit - head && same_line(merge, end[NBM_OURS] - 1 - tail,
											end[NBM_THEIRS] - 1 - tail))
		tail++;
	if (head == ours && head == theirs)
	{
		add_piece(merge, false, NBM_OURS, end);
		return;
	}
	middle[NBM_BASE] = start[NBM_BASE];
	middle[NBM_OURS] = start[NBM_OURS] + head;
	middle[NBM_THEIRS] = start[NBM_THEIRS] + head;
	add_piece(merge, false, NBM_OURS, middle);
	middle[NBM_BASE] = end[NBM_BASE];
	middle[NBM_OURS] = end[NBM_OURS] - tail;
	middle[NBM_THEIRS] = end[NBM_THEIRS] - tail;
	add_piece(merge, true, NBM_OURS, middle);
	add_piece(merge, false, NBM_OURS, end);
}

/* Collects the hunks of the next region, which begins with the earliest. */
static void
next_region(NbmHunk *const *hunks, const int *counts, Region *region)
{
	bool		grows = true;

	region->line = PG_INT32_MAX;
	for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
	{
		region->first[s] = region->end[s];
		if (region->end[s] < counts[s])
			region->line = Min(region->line,
							   hunks[s][region->end[s]].old_line);
	}
	region->line_end = region->line;
	while (grows)
	{
		grows = false;
		for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
		{
			const NbmHunk *hunk = &hunks[s][region->end[s]];

			if (region->end[s] == counts[s] ||
				hunk->old_line > region->line_end)
				continue;
			region->line_end = Max(region->line_end,
								   hunk->old_line + hunk->old_count);
			region->end[s]++;
			grows = true;
		}
	}
}

/* Where a region of base begins and ends in the text of a side. */
static void
region_in_side(const Region *region, const NbmHunk *hunks, NbmMergeSide side,
			   int shift, int *start, int *end)
{
	const NbmHunk *first = &hunks[region->first[side]];
	const NbmHunk *last = &hunks[region->end[side] - 1];

	if (region->first[side] == region->end[side])
	{
		start[side] = region->line + shift;
		end[side] = region->line_end + shift;
		return;
	}
	start[side] = first->new_line - (first->old_line - region->line);
	end[side] = last->new_line + last->new_count +
		(region->line_end - last->old_line - last->old_count);
}

/*
 * Merges three texts, indexed by NbmMergeSide.  The result and its arrays are
 * of the current context, its texts are those given.
 */
NbmLineMerge *
nbm_merge_lines(const NbmLines *texts)
{
	NbmLineMerge *merge = palloc0_object(NbmLineMerge);
	NbmHunk    *hunks[NBM_MERGE_SIDES];
	int			counts[NBM_MERGE_SIDES];
	int			end[NBM_MERGE_SIDES] = {0};
	Region		region = {{0}};

	memcpy(merge->lines, texts, sizeof(merge->lines));
	for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
		hunks[s] = nbm_lines_diff(&texts[NBM_BASE], &texts[s], &counts[s]);
	/* a hunk makes four pieces at most: equal lines, head, conflict, tail */
	merge->pieces = palloc_extended(mul_size(sizeof(NbmMergePiece), 4 *
											 ((Size) counts[NBM_OURS] +
											  counts[NBM_THEIRS]) + 1),
									MCXT_ALLOC_HUGE);
	while (region.end[NBM_OURS] < counts[NBM_OURS] ||
		   region.end[NBM_THEIRS] < counts[NBM_THEIRS])
	{
		int			start[NBM_MERGE_SIDES];
		bool		ours;
		bool		theirs;

		CHECK_FOR_INTERRUPTS();
		next_region(hunks, counts, &region);
		start[NBM_BASE] = region.line;
		for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
			region_in_side(&region, hunks[s], s, end[s] - end[NBM_BASE],
						   start, end);
		end[NBM_BASE] = region.line_end;
		add_piece(merge, false, NBM_OURS, start);
		ours = region.first[NBM_OURS] < region.end[NBM_OURS];
		theirs = region.first[NBM_THEIRS] < region.end[NBM_THEIRS];
		if (ours && theirs)
			add_changed_by_both(merge, start, end);
		else
			add_piece(merge, false, ours ? NBM_OURS : NBM_THEIRS, end);
	}
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		end[s] = texts[s].count;
	add_piece(merge, false, NBM_OURS, end);
	return merge;
}

/* Adds a line to a text; *count lines are there already. */
static void
add_line(StringInfo buf, const char *str, int len, int *count)
{
	if ((*count)++ > 0)
		appendStringInfoChar(buf, '\n');
	appendBinaryStringInfo(buf, str, len);
}

/* Adds a side's lines of a piece to a text. */
static void
add_lines(StringInfo buf, const NbmLineMerge *merge,
		  const NbmMergePiece *piece, NbmMergeSide side, int *count)
{
	const NbmLines *lines = &merge->lines[side];

	for (int i = 0; i < piece->count[side]; i++)
	{
		int			line = piece->line[side] + i;

		add_line(buf, lines->str + lines->start[line],
				 nbm_line_length(lines, line), count);
	}
}

/* Adds a marker of git's, on a line of its own. */
static void
add_marker(StringInfo buf, const char *marker, int *count)
{
	add_line(buf, marker, (int) strlen(marker), count);
}

/*
 * The merged text, newly allocated in the current context; its length goes to
 * *len, and the pieces are told where they begin in it.
 */
char *
nbm_merge_lines_text(NbmLineMerge *merge, NbmTaken taken, int *len)
{
	StringInfoData buf;
	int			count = 0;

	initStringInfo(&buf);
	for (int i = 0; i < merge->npieces; i++)
	{
		NbmMergePiece *piece = &merge->pieces[i];
		NbmMergeSide from = piece->from;

		CHECK_FOR_INTERRUPTS();
		piece->result_line = count;
		if (piece->is_conflict && taken == NBM_TAKEN_MARKED)
		{
			add_marker(&buf, "<<<<<<< ours", &count);
			add_lines(&buf, merge, piece, NBM_OURS, &count);
			add_marker(&buf, "=======", &count);
			add_lines(&buf, merge, piece, NBM_THEIRS, &count);
			add_marker(&buf, ">>>>>>> theirs", &count);
			continue;
		}
		if (piece->is_conflict)
			from = taken == NBM_TAKEN_OURS ? NBM_OURS : NBM_THEIRS;
		add_lines(&buf, merge, piece, from, &count);
	}
	*len = buf.len;
	return buf.data;
}
