/*
 * readable_links.c
 *		The links that a workflow gained and lost, in words.
 *
 * A link is what it joins, not its own id: two ports of two operators, by
 * the operators' keys, or by the id that it states where no operator has it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "links.h"
#include "readable.h"

/* Adds one end of a link in words; key is 0 where no operator has the id. */
static void
show_end(StringInfo out, int32 key, NbmText id, NbmText port)
{
	nbm_show_check(out, 100);
	if (key > 0)
		appendStringInfo(out, "operator %d (", key);
	else
		appendStringInfoString(out, "no operator (");
	if (id.str != NULL)
		nbm_show_text(out, id, NBM_SHOWN_VALUE);
	appendStringInfoChar(out, ')');
	if (port.str != NULL)
	{
		appendStringInfoChar(out, ' ');
		nbm_show_text(out, port, NBM_SHOWN_VALUE);
	}
}

/* The id that an end of a link states: of an operator, or of none. */
static NbmText
stated_id(const NbmLayout *layout, int item, NbmText id)
{
	return item < 0 ? id : layout->items[item].id[NBM_ID_STRONG];
}

/* Adds a link of a version in words. */
static void
show_link(StringInfo out, char mark, const NbmLayout *layout,
		  const NbmWorkflowLink *link)
{
	nbm_show_check(out, 100);
	appendStringInfoChar(out, mark);
	show_end(out, link->source,
			 stated_id(layout, link->source_item, link->source_id),
			 link->source_port);
	appendStringInfoString(out, " -> ");
	show_end(out, link->target,
			 stated_id(layout, link->target_item, link->target_id),
			 link->target_port);
	appendStringInfoChar(out, '\n');
}

/*
 * Adds a section with the links that only one of two envelopes has; nothing
 * where there are none.
 */
void
nbm_show_links(StringInfo out, const NbmLayout *from_layout,
			   JsonbContainer *from, const NbmLayout *to_layout,
			   JsonbContainer *to)
{
	int			na;
	int			nb;
	NbmWorkflowLink *a = nbm_read_links(from, from_layout, &na);
	NbmWorkflowLink *b = nbm_read_links(to, to_layout, &nb);
	bool		any = false;
	int			i = 0;
	int			j = 0;

	while (i < na || j < nb)
	{
		int			order = i >= na ? 1 : j >= nb ? -1 :
		nbm_link_cmp(&a[i], &b[j]);

		CHECK_FOR_INTERRUPTS();
		if (order != 0 && !any)
			appendStringInfoString(out, "\n@@ links\n");
		any |= order != 0;
		if (order < 0)
			show_link(out, '-', from_layout, &a[i]);
		else if (order > 0)
			show_link(out, '+', to_layout, &b[j]);
		i += order <= 0;
		j += order >= 0;
	}
}
