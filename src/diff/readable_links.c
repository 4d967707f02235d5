/*
 * readable_links.c
 *		The links that a workflow gained and lost, in words.
 *
 * A link is what it joins, not its own id: two ports of two operators, by
 * the operators' keys, or by the id that it states where no operator has it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "names.h"
#include "readable.h"

/* One end of a link. */
typedef struct End
{
	int32		key;			/* 0: no operator has that id */
	NbmText		id;				/* as the link states it */
	NbmText		port;
} End;

/* A link of one version. */
typedef struct LinkEnds
{
	End			ends[2];		/* source, target */
} LinkEnds;

/* Total order of texts, absent ones first. */
static int
text_cmp(NbmText a, NbmText b)
{
	if (a.str == NULL || b.str == NULL)
		return (a.str != NULL) - (b.str != NULL);
	return nbm_key_cmp(a, b);
}

/* Order of links by what they join. */
static int
link_cmp(const void *a, const void *b)
{
	for (int i = 0; i < 2; i++)
	{
		const End  *ea = &((const LinkEnds *) a)->ends[i];
		const End  *eb = &((const LinkEnds *) b)->ends[i];
		int			order;

		if (ea->key != eb->key)
			return ea->key < eb->key ? -1 : 1;
		if (ea->key == 0 && (order = text_cmp(ea->id, eb->id)) != 0)
			return order;
		if ((order = text_cmp(ea->port, eb->port)) != 0)
			return order;
	}
	return 0;
}

#define ST_SORT sort_links
#define ST_ELEMENT_TYPE LinkEnds
#define ST_COMPARE(a, b) link_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Reads one end of a link. */
static void
read_end(JsonbContainer *link, const char *name, const NbmNames *names,
		 End *end)
{
	JsonbContainer *object;
	int			index;

	if (!nbm_get_container(link, name, false, &object))
		return;
	nbm_get_string(object, "portID", &end->port);
	if (!nbm_get_string(object, "operatorID", &end->id))
		return;
	index = nbm_names_find_id(names, end->id);
	if (index >= 0)
		end->key = names->layout->items[index].key;
}

/* The links of an envelope, sorted; *count of them. */
static LinkEnds *
read_links(const NbmLayout *layout, JsonbContainer *envelope, int *count)
{
	JsonbContainer *array;
	LinkEnds   *links;
	NbmNames	names;

	*count = 0;
	if (!nbm_get_container(envelope, "links", true, &array))
		return NULL;
	nbm_names_open(layout, &names);
	links = palloc_extended(mul_size(sizeof(LinkEnds),
									 Max(JsonContainerSize(array), 1)),
							MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue	value;

		CHECK_FOR_INTERRUPTS();
		nbm_element(array, i, &value);
		if (!nbm_is_object(&value))
			continue;
		read_end(value.val.binary.data, "source", &names,
				 &links[*count].ends[0]);
		read_end(value.val.binary.data, "target", &names,
				 &links[(*count)++].ends[1]);
	}
	sort_links(links, *count);
	return links;
}

/* Adds a link in words. */
static void
show_link(StringInfo out, char mark, const LinkEnds *link)
{
	for (int i = 0; i < 2; i++)
	{
		const End  *end = &link->ends[i];

		nbm_show_check(out, 100);
		if (i == 0)
			appendStringInfoChar(out, mark);
		else
			appendStringInfoString(out, " -> ");
		if (end->key > 0)
			appendStringInfo(out, "operator %d (", end->key);
		else
			appendStringInfoString(out, "no operator (");
		if (end->id.str != NULL)
			nbm_show_text(out, end->id, NBM_SHOWN_VALUE);
		appendStringInfoChar(out, ')');
		if (end->port.str != NULL)
		{
			appendStringInfoChar(out, ' ');
			nbm_show_text(out, end->port, NBM_SHOWN_VALUE);
		}
	}
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
	LinkEnds   *a = read_links(from_layout, from, &na);
	LinkEnds   *b = read_links(to_layout, to, &nb);
	bool		any = false;
	int			i = 0;
	int			j = 0;

	while (i < na || j < nb)
	{
		int			order = i >= na ? 1 : j >= nb ? -1 :
		link_cmp(&a[i], &b[j]);

		if (order != 0)
		{
			if (!any)
				appendStringInfoString(out, "\n@@ links\n");
			any = true;
			show_link(out, order < 0 ? '-' : '+', order < 0 ? &a[i] : &b[j]);
		}
		i += order <= 0;
		j += order >= 0;
	}
}
