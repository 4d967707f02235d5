/*
 * scope.c
 *		What a notebook's version has that the mapping has not answered for.
 *
 * The mapping that applies is the one that answers for the version and the
 * newest version of a workflow.  A cell is new if it was not in the version
 * that this mapping was stated for, and changed if its type or source was
 * another one there; whether it is mapped does not matter.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "scope.h"

/* Says of each cell what happened to it since the mapping was stated. */
static void
find_changes(NbmScope *scope)
{
	const NbmSide *cells = &scope->answer.cells;
	const NbmLayout *layout = &cells->version.layout;
	NbmBodies  *bodies = nbm_bodies_create();

	for (int i = 0; i < layout->nitems; i++)
	{
		int			then = nbm_authored_find(cells, layout->items[i].key);

		if (then < 0)
			scope->changes[i] = "new";
		else if (cells->authored.layout.items[then].core != layout->items[i].core)
		{
			nbm_bodies_want(bodies, layout->items[i].core);
			nbm_bodies_want(bodies, cells->authored.layout.items[then].core);
		}
	}
	nbm_bodies_fetch(bodies, &cells->store);
	for (int i = 0; i < layout->nitems; i++)
	{
		int			then = nbm_authored_find(cells, layout->items[i].key);
		uint64		core;

		CHECK_FOR_INTERRUPTS();
		if (then < 0)
			continue;
		core = cells->authored.layout.items[then].core;
		if (core != layout->items[i].core &&
			!nbm_same_meaning(&nbm_notebook, &nbm_bodies_get(bodies, core)->root,
							  &nbm_bodies_get(bodies, layout->items[i].core)->root))
			scope->changes[i] = "changed";
	}
}

/*
 * Finds what changed in a version since the mapping onto a workflow.  Where
 * there is no mapping, all cells are new.  Memory is of the current context.
 */
void
nbm_scope_open(NbmScope *scope, int64 notebook_id, int32 version,
			   int64 workflow_id)
{
	int			count;

	nbm_mapping_answer(&scope->answer, notebook_id, &version, workflow_id,
					   NULL);
	count = scope->answer.cells.version.layout.nitems;
	scope->has_mapping = scope->answer.has_mapping;
	scope->changes = palloc0_array(const char *, Max(count, 1));
	if (!scope->has_mapping)
	{
		for (int i = 0; i < count; i++)
			scope->changes[i] = "new";
	}
	else if (!scope->answer.is_exact)
		find_changes(scope);
}
