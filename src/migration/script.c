/*
 * script.c
 *		The cells of a notebook's version, and their code as one script.
 *
 * Where a reply names lines of the notebook instead of cells, they count in
 * the sources of the code cells one after the other, each beginning a line of
 * its own; nothing that a prompt puts between them counts.  A line feed ends
 * a line, so a source that ends in one has no empty line after it, and an
 * empty source has no line.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "script.h"

/* How many lines a source has. */
static int
count_lines(NbmText source)
{
	int			n = 0;

	for (int i = 0; i < source.len; i++)
		n += source.str[i] == '\n';
	return source.len > 0 && source.str[source.len - 1] != '\n' ? n + 1 : n;
}

/*
 * Reads the cells of a version.  Memory is of the current context; the texts
 * point into bodies that belong to it, ids into the layout, which must stay.
 */
void
nbm_script_open(const NbmStore *store, const NbmVersion *version,
				NbmScript *script)
{
	const NbmLayout *layout = &version->layout;
	NbmBodies  *bodies = nbm_bodies_create();
	NbmText    *ids = nbm_item_names(layout);

	script->layout = layout;
	script->nlines = 0;
	script->cells = palloc0_array(NbmScriptCell, Max(layout->nitems, 1));
	nbm_names_open(layout, &script->names);
	for (int i = 0; i < layout->nitems; i++)
		nbm_bodies_want(bodies, layout->items[i].core);
	nbm_bodies_fetch(bodies, store);
	for (int i = 0; i < layout->nitems; i++)
	{
		NbmScriptCell *cell = &script->cells[i];
		JsonbContainer *core = &nbm_bodies_get(bodies,
											   layout->items[i].core)->root;

		CHECK_FOR_INTERRUPTS();
		cell->id = ids[i];
		cell->type = nbm_item_type(&nbm_notebook, core);
		cell->source = nbm_item_source(&nbm_notebook, core);
		cell->is_code = nbm_is_code(&nbm_notebook, core);
		cell->nlines = count_lines(cell->source);
		cell->first_line = script->nlines + 1;
		if (cell->is_code)
			script->nlines += cell->nlines;
	}
}

/* The index of the code cell that has a line, which the script must have. */
int
nbm_script_cell_at(const NbmScript *script, int line)
{
	int			low = 0;
	int			high = script->layout->nitems;

	Assert(line >= 1 && line <= script->nlines);
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (script->cells[middle].first_line <= line)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}
