/*
 * merge_report.c
 *		The conflicts of a merge, as jsonb and in words.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "merge_report.h"

/* Paths that an error message names, at most. */
#define MAX_PATHS 20

/* The name of a kind of conflict. */
static const char *
kind_name(NbmConflictKind kind)
{
	static const char *const names[] = {
		[NBM_CONFLICT_SOURCE] = "source",
		[NBM_CONFLICT_DELETED] = "deleted",
		[NBM_CONFLICT_TYPE] = "type",
		[NBM_CONFLICT_METADATA] = "metadata",
		[NBM_CONFLICT_POSITION] = "position",
		[NBM_CONFLICT_DOCUMENT] = "document",
	};

	return names[kind];
}

/* Writes a string. */
static void
write_string(NbmWriter *w, NbmText string)
{
	JsonbValue	value;

	nbm_set_string(&value, string);
	nbm_writer_value(w, &value);
}

/* Writes the lines of a piece that one side has, as an array. */
static void
write_lines(NbmWriter *w, const NbmLineMerge *merge,
			const NbmMergePiece *piece, NbmMergeSide side)
{
	const NbmLines *lines = &merge->lines[side];

	nbm_writer_begin_array(w, piece->count[side]);
	for (int i = 0; i < piece->count[side]; i++)
	{
		int			line = piece->line[side] + i;
		NbmText		string = {lines->str + lines->start[line],
		nbm_line_length(lines, line)};

		write_string(w, string);
	}
	nbm_writer_end(w);
}

/* Writes where the lines of a text conflict. */
static void
write_pieces(NbmWriter *w, const NbmLineMerge *merge)
{
	NbmText		keys[] = {nbm_text("base"), nbm_text("line"),
	nbm_text("ours"), nbm_text("theirs")};
	JsonbValue	number;

	nbm_writer_begin_array(w, merge->nconflicts);
	for (int i = 0; i < merge->npieces; i++)
	{
		const NbmMergePiece *piece = &merge->pieces[i];

		CHECK_FOR_INTERRUPTS();
		if (!piece->is_conflict)
			continue;
		nbm_writer_begin_object(w, lengthof(keys), keys);
		write_lines(w, merge, piece, NBM_BASE);
		nbm_set_integer(&number, piece->result_line + 1);
		nbm_writer_value(w, &number);
		write_lines(w, merge, piece, NBM_OURS);
		write_lines(w, merge, piece, NBM_THEIRS);
		nbm_writer_end(w);
	}
	nbm_writer_end(w);
}

/* Writes one conflict. */
static void
write_conflict(NbmWriter *w, const NbmConflict *conflict)
{
	static const char *const taken[] = {
		[NBM_TAKEN_OURS] = "ours",
		[NBM_TAKEN_THEIRS] = "theirs",
		[NBM_TAKEN_MARKED] = "marked",
	};
	NbmText		keys[7];
	int			count = 0;

	keys[count++] = nbm_text("base");
	keys[count++] = nbm_text("kind");
	keys[count++] = nbm_text("ours");
	keys[count++] = nbm_text("path");
	if (conflict->lines != NULL)
		keys[count++] = nbm_text("lines");
	keys[count++] = nbm_text("taken");
	keys[count++] = nbm_text("theirs");
	nbm_writer_begin_object(w, count, keys);
	nbm_writer_value(w, &conflict->values[NBM_BASE]);
	write_string(w, nbm_text(kind_name(conflict->kind)));
	nbm_writer_value(w, &conflict->values[NBM_OURS]);
	write_string(w, nbm_text(conflict->path));
	if (conflict->lines != NULL)
		write_pieces(w, conflict->lines);
	write_string(w, nbm_text(taken[conflict->taken]));
	nbm_writer_value(w, &conflict->values[NBM_THEIRS]);
	nbm_writer_end(w);
}

/* The conflicts as a jsonb array, newly allocated in the current context. */
Jsonb *
nbm_conflicts_to_jsonb(const NbmConflict *conflicts, int count)
{
	NbmWriter	w;

	nbm_writer_init(&w, 0);
	nbm_writer_begin_array(&w, count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_conflict(&w, &conflicts[i]);
	}
	nbm_writer_end(&w);
	return nbm_writer_finish(&w);
}

/*
 * The paths of conflicts, newly allocated, for an error message; NULL where
 * there are none.  without_sources leaves out what can be marked.
 */
char *
nbm_conflict_paths(const NbmConflict *conflicts, int count,
				   bool without_sources)
{
	StringInfoData buf;
	int			n = 0;

	initStringInfo(&buf);
	for (int i = 0; i < count; i++)
	{
		if (without_sources && conflicts[i].taken == NBM_TAKEN_MARKED)
			continue;
		if (n++ < MAX_PATHS)
			appendStringInfo(&buf, "%s%s", n > 1 ? ", " : "",
							 conflicts[i].path);
	}
	if (n > MAX_PATHS)
		appendStringInfo(&buf, " and %d more", n - MAX_PATHS);
	return n == 0 ? NULL : buf.data;
}
