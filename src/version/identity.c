/*
 * identity.c
 *		Which key an item of a new version gets.
 *
 * First the items of the version before, by the matcher (match.c); then, for
 * what is still new, all items that the document has ever lost: a cell that
 * comes back, restored or undone, gets its old key.  A key is never used for
 * another item, so what is left gets the next one.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"

#include "identity.h"
#include "links.h"

/* Ids from this length on are generated ones, not "cell-1". */
#define GENERATED_ID_LENGTH 8

/* Characters of a UUID, and of its first group. */
#define UUID_LENGTH 36
#define UUID_HEAD 8

/* Is this a UUID? */
static bool
is_uuid(const char *str)
{
	for (int i = 0; i < UUID_LENGTH; i++)
	{
		bool		dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? str[i] != '-' : !isxdigit((unsigned char) str[i]))
			return false;
	}
	return true;
}

/*
 * The text of an operator without the UUIDs in it: where an application clones
 * a workflow, it replaces the operators' ids wherever they stand, so that they
 * are no part of what an operator says.  Makes a copy only where there are any.
 */
static NbmText
without_uuids(NbmText source)
{
	const char *end = source.str + source.len;
	const char *rest = source.str;	/* not copied yet */
	char	   *copy = NULL;
	int			len = 0;

	for (const char *dash = source.str; dash < end; dash++)
	{
		const char *start;

		dash = memchr(dash, '-', end - dash);
		if (dash == NULL)
			break;
		start = dash - UUID_HEAD;
		if (start < rest || end - start < UUID_LENGTH || !is_uuid(start))
			continue;
		if (copy == NULL)
			copy = palloc(source.len);
		memcpy(copy + len, rest, start - rest);
		len += start - rest;
		rest = start + UUID_LENGTH;
		dash = rest - 1;
	}
	if (copy == NULL)
		return source;
	memcpy(copy + len, rest, end - rest);
	source.str = copy;
	source.len = len + (end - rest);
	return source;
}

/*
 * What the matcher needs to know of an item, but for its links; it points to
 * where the candidate points, or to new memory of the current context.
 */
void
nbm_describe(const NbmKind *kind, const NbmCandidate *candidate,
			 NbmMatchItem *item)
{
	NbmText		type = nbm_item_type(kind, candidate->core);
	NbmText		source = nbm_item_source(kind, candidate->core);
	NbmText		meaning = kind == &nbm_workflow ? without_uuids(source) : source;

	for (int i = 0; i < NBM_IDS; i++)
	{
		item->id[i] = candidate->item->id[i].str;
		item->id_len[i] = candidate->item->id[i].len;
	}
	item->core = candidate->item->core;
	item->type = type.str == NULL ? 0 :
		hash_bytes((const unsigned char *) type.str, type.len);
	item->content = hash_bytes_extended((const unsigned char *) meaning.str,
										meaning.len, item->type);
	item->text = source.str;
	item->text_len = source.len;
	item->links = NULL;
	item->nlinks = 0;
}

/* Adds to an item's links the one that leads to another item of the layout. */
static void
add_link(NbmMatchItem *item, NbmMatchLink *links, const NbmCandidates *side,
		 int first, int other, uint64 label)
{
	NbmMatchLink *link = &links[item->nlinks++];

	link->neighbour = other >= first && other < first + side->nitems ?
		other - first : -1;
	link->anchor = other >= 0 && link->neighbour < 0 ?
		side->layout->items[other].key : 0;
	link->label = label;
}

/* A number for a direction and the ports on the way. */
static uint64
link_label(const NbmWorkflowLink *link, bool is_source)
{
	NbmText		own = is_source ? link->source_port : link->target_port;
	NbmText		others = is_source ? link->target_port : link->source_port;
	uint64		hash = is_source;

	if (own.str != NULL)
		hash = hash_bytes_extended((const unsigned char *) own.str, own.len,
								   hash);
	if (others.str != NULL)
		hash = hash_bytes_extended((const unsigned char *) others.str,
								   others.len, hash);
	return hash;
}

/* Tells the matcher of the links of the candidates, which stand in a row. */
static void
describe_links(const NbmCandidates *side, NbmMatchItem *items)
{
	int			first = side->items[0].item - side->layout->items;
	int			count;
	NbmWorkflowLink *links = nbm_read_links(side->document, side->layout, &count);
	NbmMatchLink **room = palloc0_array(NbmMatchLink *, side->nitems);
	int		   *degree = palloc0_array(int, side->nitems);

	for (int i = 0; i < 2 * count; i++)
	{
		int			own = i % 2 ? links[i / 2].target_item :
		links[i / 2].source_item;

		if (own >= first && own < first + side->nitems)
			degree[own - first]++;
	}
	for (int i = 0; i < side->nitems; i++)
	{
		room[i] = palloc_array(NbmMatchLink, Max(degree[i], 1));
		items[i].links = room[i];
	}
	for (int i = 0; i < 2 * count; i++)
	{
		const NbmWorkflowLink *link = &links[i / 2];
		bool		is_source = i % 2 == 0;
		int			own = is_source ? link->source_item : link->target_item;
		int			other = is_source ? link->target_item : link->source_item;

		if (own >= first && own < first + side->nitems)
			add_link(&items[own - first], room[own - first], side, first,
					 other, link_label(link, is_source));
	}
}

/*
 * Describes all candidates of a version for the matcher, in the current
 * context; the texts stay where they are.
 */
static NbmMatchItem *
describe_all(const NbmKind *kind, const NbmCandidates *side)
{
	NbmMatchItem *items = palloc_array(NbmMatchItem, Max(side->nitems, 1));

	for (int i = 0; i < side->nitems; i++)
		nbm_describe(kind, &side->items[i], &items[i]);
	if (kind == &nbm_workflow && side->document != NULL && side->nitems > 0)
		describe_links(side, items);
	return items;
}

/* Is there nothing but white space in it? */
static bool
is_blank(NbmText source)
{
	for (int i = 0; i < source.len; i++)
		if (!isspace((unsigned char) source.str[i]))
			return false;
	return true;
}

/* A removed item under one of the numbers that it can be found by. */
typedef struct RemovedEntry
{
	uint64		number;			/* its core, or a hash of a generated id */
	int			index;			/* newest first */
} RemovedEntry;

/* The items that a document has lost, to be looked up. */
typedef struct Removed
{
	NbmItem    *items;
	RemovedEntry *by_core;
	int			ncores;
	RemovedEntry *by_id;
	int			nids;
	bool	   *is_taken;		/* by key */
} Removed;

/* qsort comparator: by number, newest first. */
static int
entry_cmp(const void *a, const void *b)
{
	const RemovedEntry *ea = a;
	const RemovedEntry *eb = b;

	if (ea->number != eb->number)
		return ea->number < eb->number ? -1 : 1;
	return ea->index < eb->index ? -1 : ea->index > eb->index;
}

/* A number for an id; 0 where there is none, or none that was generated. */
static uint64
id_number(NbmText id)
{
	if (id.str == NULL || id.len < GENERATED_ID_LENGTH)
		return 0;
	return hash_bytes_extended((const unsigned char *) id.str, id.len, 0) | 1;
}

/* Do both items have the same generated id? */
static bool
share_id(const NbmItem *a, const NbmItem *b)
{
	for (int i = 0; i < NBM_IDS; i++)
		if (id_number(a->id[i]) != 0 && nbm_text_eq(a->id[i], b->id[i]))
			return true;
	return false;
}

/* Reads what a document has lost and the keys that live. */
static void
open_removed(const NbmStore *store, const NbmLayout *parent, int32 next_key,
			 Removed *removed)
{
	int			count;
	bool		is_sound = true;

	removed->items = nbm_store_removed(store, &count);
	removed->is_taken = palloc0(next_key);
	removed->by_core = palloc_array(RemovedEntry, Max(count, 1));
	removed->by_id = palloc_array(RemovedEntry, Max(count * NBM_IDS, 1));
	removed->ncores = count;
	removed->nids = 0;
	for (int i = 0; i < parent->nitems; i++)
		if (parent->items[i].key >= next_key)
			is_sound = false;
		else
			removed->is_taken[parent->items[i].key] = true;
	for (int i = 0; i < count; i++)
	{
		is_sound &= removed->items[i].key < next_key;
		removed->by_core[i].number = removed->items[i].core;
		removed->by_core[i].index = i;
		for (int j = 0; j < NBM_IDS; j++)
		{
			uint64		number = id_number(removed->items[i].id[j]);

			if (number == 0)
				continue;
			removed->by_id[removed->nids].number = number;
			removed->by_id[removed->nids++].index = i;
		}
	}
	if (!is_sound)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("%s " INT64_FORMAT " has a key that was never given",
						store->kind->name, store->id)));
	qsort(removed->by_core, count, sizeof(RemovedEntry), entry_cmp);
	qsort(removed->by_id, removed->nids, sizeof(RemovedEntry), entry_cmp);
}

/*
 * The newest removed item under a number, not yet taken, that has the core
 * asked for, or shares an id, or both; NULL where there is none.
 */
static const NbmItem *
look_up(const Removed *removed, const RemovedEntry *entries, int count,
		uint64 number, const NbmItem *item, bool core, bool id)
{
	int			low = 0;
	int			high = count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (entries[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count && entries[low].number == number; low++)
	{
		const NbmItem *old = &removed->items[entries[low].index];

		CHECK_FOR_INTERRUPTS();
		if (!removed->is_taken[old->key] &&
			(!core || old->core == item->core) && (!id || share_id(old, item)))
			return old;
	}
	return NULL;
}

/* Looks a new item up by its ids. */
static const NbmItem *
look_up_id(const Removed *removed, const NbmItem *item, bool core)
{
	for (int i = 0; i < NBM_IDS; i++)
	{
		uint64		number = id_number(item->id[i]);
		const NbmItem *old = number == 0 ? NULL :
		look_up(removed, removed->by_id, removed->nids, number, item,
				core, true);

		if (old != NULL)
			return old;
	}
	return NULL;
}

/*
 * Gives old keys to new items that were removed once and come back: in the
 * first round by id and core, in the second by a core that says something, in
 * the third by id alone.
 */
static void
find_returned(const NbmStore *store, const NbmLayout *parent,
			  NbmCandidate *news, int nnews, int32 version, int32 next_key)
{
	Removed		removed;

	open_removed(store, parent, next_key, &removed);
	for (int round = 0; round < 3; round++)
	{
		for (int i = 0; i < nnews; i++)
		{
			NbmItem    *item = news[i].item;
			const NbmItem *old = NULL;

			CHECK_FOR_INTERRUPTS();
			if (item->key != 0)
				continue;
			if (round != 1)
				old = look_up_id(&removed, item, round == 0);
			else if (!is_blank(nbm_item_source(store->kind, news[i].core)))
				old = look_up(&removed, removed.by_core, removed.ncores,
							  item->core, item, true, false);
			if (old == NULL)
				continue;
			removed.is_taken[old->key] = true;
			item->key = old->key;
			item->since = version;
		}
	}
}

/* How many ids of each kind do the items beside the candidates have? */
static void
count_other_ids(const NbmCandidates *side, int *counts)
{
	for (int kind = 0; kind < NBM_IDS; kind++)
	{
		counts[kind] = 0;
		for (int i = 0; side->layout != NULL && i < side->layout->nitems; i++)
			counts[kind] += side->layout->items[i].id[kind].str != NULL;
		for (int i = 0; side->layout != NULL && i < side->nitems; i++)
			counts[kind] -= side->items[i].item->id[kind].str != NULL;
	}
}

/*
 * Which of the old candidates each new one is: its index, or -1.  The result
 * is of the current context, where what the matcher needs is left, too.
 */
int *
nbm_pair_candidates(const NbmKind *kind, const NbmCandidates *olds,
					const NbmCandidates *news)
{
	int		   *old_of_new = palloc_array(int, Max(news->nitems, 1));
	int			same_ids[NBM_IDS];

	for (int i = 0; i < news->nitems; i++)
		old_of_new[i] = -1;
	count_other_ids(news, same_ids);
	if (olds->nitems > 0 && news->nitems > 0)
		nbm_match(describe_all(kind, olds), olds->nitems,
				  describe_all(kind, news), news->nitems, same_ids,
				  old_of_new);
	return old_of_new;
}

/*
 * Sets key and since of the new candidates.  The old ones are the parent's
 * items that may be theirs; the parent's layout (NULL: no parent) has all that
 * live.  version is the new one's number; *next_key is the first key never
 * used, and is moved on.
 */
void
nbm_identify(const NbmStore *store, const NbmCandidates *olds,
			 const NbmCandidates *news, int32 version, int32 *next_key)
{
	int		   *old_of_new = nbm_pair_candidates(store->kind, olds, news);
	const NbmLayout *parent = olds->layout;
	bool		any_new = false;

	for (int i = 0; i < news->nitems; i++)
	{
		const NbmItem *old = old_of_new[i] < 0 ? NULL :
		olds->items[old_of_new[i]].item;

		news->items[i].item->key = old ? old->key : 0;
		news->items[i].item->since = old ? old->since : version;
		any_new |= old == NULL;
	}
	/* some keys that were given live no more: look among those */
	if (any_new && parent != NULL && *next_key - 1 > parent->nitems)
		find_returned(store, parent, news->items, news->nitems, version,
					  *next_key);
	for (int i = 0; i < news->nitems; i++)
	{
		if (news->items[i].item->key != 0)
			continue;
		if (*next_key > NBM_MAX_KEY)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s " INT64_FORMAT " has no keys left",
							store->kind->name, store->id)));
		news->items[i].item->key = (*next_key)++;
	}
}
