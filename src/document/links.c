/*
 * links.c
 *		The links of a workflow, read from its envelope.
 *
 * Links name operators by id; here they are resolved, so that links of two
 * versions can be compared by what they join.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"		/* mul_size, in older minor releases */

#include "links.h"

/* Total order of texts, absent ones first. */
static int
text_cmp(NbmText a, NbmText b)
{
	if (a.str == NULL || b.str == NULL)
		return (a.str != NULL) - (b.str != NULL);
	return nbm_key_cmp(a, b);
}

/* Order of links by what they join. */
int
nbm_link_cmp(const void *a, const void *b)
{
	const NbmWorkflowLink *la = a;
	const NbmWorkflowLink *lb = b;
	int			order;

	if (la->source != lb->source)
		return la->source < lb->source ? -1 : 1;
	if (la->target != lb->target)
		return la->target < lb->target ? -1 : 1;
	if ((order = text_cmp(la->source_port, lb->source_port)) != 0 ||
		(order = text_cmp(la->target_port, lb->target_port)) != 0 ||
		(order = text_cmp(la->source_id, lb->source_id)) != 0)
		return order;
	return text_cmp(la->target_id, lb->target_id);
}

/* Order of links by all they say. */
int
nbm_whole_link_cmp(const void *a, const void *b)
{
	uint64		ra = ((const NbmWorkflowLink *) a)->rest;
	uint64		rb = ((const NbmWorkflowLink *) b)->rest;
	int			order = nbm_link_cmp(a, b);

	return order != 0 ? order : ra < rb ? -1 : ra > rb;
}

/* A million links take seconds to sort, so that it must be possible to cancel. */
#define ST_SORT sort_links
#define ST_ELEMENT_TYPE NbmWorkflowLink
#define ST_COMPARE(a, b) nbm_link_cmp(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Sorts links by all they say. */
#define ST_SORT nbm_sort_whole_links
#define ST_ELEMENT_TYPE NbmWorkflowLink
#define ST_COMPARE(a, b) nbm_whole_link_cmp(a, b)
#define ST_SCOPE extern
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* bsearch comparator of ids. */
static int
id_cmp(const void *a, const void *b)
{
	return nbm_key_cmp(((const NbmIdKey *) a)->id, ((const NbmIdKey *) b)->id);
}

/*
 * qsort comparator of ids; of repeated ones the lowest key is first, and the
 * first item where there are no keys yet.
 */
static int
id_key_cmp(const void *a, const void *b)
{
	int			order = id_cmp(a, b);
	const NbmIdKey *ka = a;
	const NbmIdKey *kb = b;

	if (order != 0)
		return order;
	if (ka->key != kb->key)
		return ka->key < kb->key ? -1 : 1;
	return ka->item < kb->item ? -1 : ka->item > kb->item;
}

/*
 * The operators' ids in order, each once, for nbm_find_id(); *count of them, in
 * the current context.
 */
NbmIdKey *
nbm_sorted_ids(const NbmLayout *layout, int *count)
{
	NbmIdKey   *ids = palloc_array(NbmIdKey, Max(layout->nitems, 1));
	int			n = 0;

	*count = 0;
	for (int i = 0; i < layout->nitems; i++)
	{
		if (layout->items[i].id[NBM_ID_STRONG].str == NULL)
			continue;
		ids[*count].id = layout->items[i].id[NBM_ID_STRONG];
		ids[*count].item = i;
		ids[(*count)++].key = layout->items[i].key;
	}
	qsort(ids, *count, sizeof(NbmIdKey), id_key_cmp);
	for (int i = 0; i < *count; i++)
		if (n == 0 || id_cmp(&ids[n - 1], &ids[i]) != 0)
			ids[n++] = ids[i];
	*count = n;
	return ids;
}

/* The operator with this id; NULL where there is none. */
const NbmIdKey *
nbm_find_id(const NbmIdKey *ids, int nids, NbmText id)
{
	NbmIdKey	wanted = {id};

	return bsearch(&wanted, ids, nids, sizeof(NbmIdKey), id_cmp);
}

/* One end of a link: the operator's key and place, or else its id, and the port. */
static void
read_end(JsonbContainer *link, const char *name, const NbmIdKey *ids, int nids,
		 int32 *key, int *item, NbmText *id, NbmText *port)
{
	JsonbContainer *end;
	NbmText		wanted;
	const NbmIdKey *found;

	if (!nbm_get_container(link, name, false, &end))
		return;
	nbm_get_string(end, "portID", port);
	if (!nbm_get_string(end, "operatorID", &wanted))
		return;
	found = nbm_find_id(ids, nids, wanted);
	if (found != NULL)
	{
		*key = found->key;
		*item = found->item;
	}
	else
		*id = wanted;
}

/* A hash of a link's members but for its ends. */
static uint64
hash_rest(JsonbContainer *link)
{
	uint64		hash = 0;

	for (int i = 0; i < JsonContainerSize(link); i++)
	{
		NbmText		key;
		JsonbValue	value;
		JsonbValue	name;

		nbm_member(link, i, &key, &value);
		if (nbm_key_is(key, "source") || nbm_key_is(key, "target"))
			continue;
		nbm_set_string(&name, key);
		hash = nbm_value_hash(&value, nbm_value_hash(&name, hash));
	}
	return hash;
}

/*
 * The links of an envelope, or of a whole document, sorted by what they join.
 * They point into it; the array is of the current context.
 */
NbmWorkflowLink *
nbm_read_links(JsonbContainer *envelope, const NbmLayout *layout, int *count)
{
	JsonbContainer *array;
	int			nids;
	NbmIdKey   *ids = nbm_sorted_ids(layout, &nids);
	NbmWorkflowLink *links;

	*count = 0;
	if (!nbm_get_container(envelope, "links", true, &array))
		return NULL;
	links = palloc_extended(mul_size(sizeof(NbmWorkflowLink),
									 Max(JsonContainerSize(array), 1)),
							MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue	value;
		NbmWorkflowLink *link = &links[*count];

		CHECK_FOR_INTERRUPTS();
		nbm_element(array, i, &value);
		if (!nbm_is_object(&value))
			continue;
		link->source_item = -1;
		link->target_item = -1;
		read_end(value.val.binary.data, "source", ids, nids, &link->source,
				 &link->source_item, &link->source_id, &link->source_port);
		read_end(value.val.binary.data, "target", ids, nids, &link->target,
				 &link->target_item, &link->target_id, &link->target_port);
		links[(*count)++].rest = hash_rest(value.val.binary.data);
	}
	sort_links(links, *count);
	return links;
}
