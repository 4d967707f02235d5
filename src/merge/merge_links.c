/*
 * merge_links.c
 *		Merging the links and positions of workflows.
 *
 * Links are a set, known by what they join: two operators and their ports,
 * whatever the operators are called on either side.  What a side added is in,
 * what a side deleted is out.  A link that went because its operator was
 * deleted comes back with the operator, where the other side's edit of that
 * keeps it.  Where one side deleted an operator and the other joined it to
 * something, that is a conflict; so is one linkID for two new links.
 *
 * Positions are merged operator by operator and never conflict: a box that
 * both sides moved stands where ours put it.
 *
 * Links of no shape that is known here are known by their bytes, positions of
 * no operator by their name.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "merge_links.h"

/* An operator under its id in one workflow. */
typedef struct NbmMergeName
{
	NbmText		id;
	int			item;			/* -1: several have it */
} NbmMergeName;

/* A link, or a position, of one workflow under what makes it the same. */
typedef struct KeyedPart
{
	NbmText		key;
	int			occurrence;		/* of this key in its workflow */
	NbmMergeSide side;
	int			index;			/* in its workflow */
	int			ends[2];
	NbmText		name;			/* of a position */
	JsonbValue	value;
} KeyedPart;

/* A merged position, and does it belong to no operator? */
typedef struct Position
{
	NbmPair		pair;
	bool		is_stray;
} Position;

/* Orders texts by length, then by bytes. */
static int
name_cmp(const void *a, const void *b)
{
	return nbm_key_cmp(((const NbmMergeName *) a)->id,
					   ((const NbmMergeName *) b)->id);
}

/* The same, and what is of one name in its own order. */
static int
name_item_cmp(const void *a, const void *b)
{
	int			cmp = name_cmp(a, b);

	return cmp != 0 ? cmp :
		((const NbmMergeName *) a)->item - ((const NbmMergeName *) b)->item;
}

/* Makes the operators of all sides findable by id. */
void
nbm_operators_open(NbmMergeOperators *operators)
{
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		NbmMergeName *names = palloc_array(NbmMergeName,
										   Max(operators->nitems, 1));
		int			count = 0;
		int			distinct = 0;

		for (int i = 0; i < operators->nitems; i++)
		{
			if (operators->ids[s][i].str == NULL)
				continue;
			names[count].id = operators->ids[s][i];
			names[count++].item = i;
		}
		qsort(names, count, sizeof(NbmMergeName), name_cmp);
		for (int i = 0; i < count; i++)
		{
			if (distinct > 0 && name_cmp(&names[distinct - 1], &names[i]) == 0)
				names[distinct - 1].item = -1;
			else
				names[distinct++] = names[i];
		}
		operators->names[s] = names;
		operators->nnames[s] = distinct;
	}
}

/* The item that an id means on a side; -1 for none, or several. */
int
nbm_operators_find(const NbmMergeOperators *operators, NbmMergeSide side,
				   NbmText id)
{
	NbmMergeName wanted = {id, -1};
	NbmMergeName *found = bsearch(&wanted, operators->names[side],
								  operators->nnames[side],
								  sizeof(NbmMergeName), name_cmp);

	return found == NULL ? -1 : found->item;
}

/* Keeps the key that was put together in a buffer, which is used again. */
static void
set_key(KeyedPart *part, const StringInfoData *key)
{
	char	   *str = palloc_extended(Max(key->len, 1), MCXT_ALLOC_HUGE);

	memcpy(str, key->data, key->len);
	part->key.str = str;
	part->key.len = key->len;
}

/* Adds a text, its length before it, to a key. */
static void
append_text(StringInfo key, NbmText name)
{
	appendStringInfo(key, "%d:", name.len);
	appendBinaryStringInfo(key, name.str, name.len);
}

/* Adds an operator to a key, by its item where it is known. */
static void
append_operator(StringInfo key, int item, NbmText id)
{
	if (item >= 0)
		appendStringInfo(key, "i%d;", item);
	else
	{
		appendStringInfoChar(key, 'x');
		append_text(key, id);
	}
}

/* Adds one end of a link to its key; false where it has no such end. */
static bool
append_end(StringInfo key, const NbmMergeOperators *operators,
		   KeyedPart *part, int end)
{
	JsonbContainer *object;
	NbmText		id;
	NbmText		port = {"", 0};

	if (!nbm_is_object(&part->value) ||
		!nbm_get_container(part->value.val.binary.data,
						   end == 0 ? "source" : "target", false, &object) ||
		!nbm_get_string(object, "operatorID", &id))
		return false;
	nbm_get_string(object, "portID", &port);
	part->ends[end] = nbm_operators_find(operators, part->side, id);
	append_operator(key, part->ends[end], id);
	append_text(key, port);
	return true;
}

/*
 * Says what makes a link the same: what it joins, or else its bytes.  key is
 * a buffer to work in.
 */
static void
set_link_key(KeyedPart *part, const NbmMergeOperators *operators,
			 StringInfo key)
{
	resetStringInfo(key);
	part->ends[0] = part->ends[1] = -1;
	if (!append_end(key, operators, part, 0) ||
		!append_end(key, operators, part, 1))
	{
		Jsonb	   *bytes = nbm_value_to_jsonb(&part->value);

		resetStringInfo(key);
		part->ends[0] = part->ends[1] = -1;
		appendStringInfoChar(key, 'r');
		appendBinaryStringInfo(key, VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
		pfree(bytes);
	}
	set_key(part, key);
}

/* qsort comparator: by key, occurrence, side, index. */
static int
part_cmp(const void *a, const void *b)
{
	const KeyedPart *pa = a;
	const KeyedPart *pb = b;
	int			cmp = nbm_key_cmp(pa->key, pb->key);

	CHECK_FOR_INTERRUPTS();
	if (cmp != 0)
		return cmp;
	if (pa->occurrence != pb->occurrence)
		return pa->occurrence - pb->occurrence;
	return pa->side != pb->side ? (int) pa->side - (int) pb->side :
		pa->index - pb->index;
}

/* Sorts parts so that equal ones of all sides stand together, each once. */
static void
sort_parts(KeyedPart *parts, int count)
{
	qsort(parts, count, sizeof(KeyedPart), part_cmp);
	for (int i = 1; i < count; i++)
		if (parts[i].side == parts[i - 1].side &&
			nbm_text_eq(parts[i].key, parts[i - 1].key))
			parts[i].occurrence = parts[i - 1].occurrence + 1;
	qsort(parts, count, sizeof(KeyedPart), part_cmp);
}

/* The end of the group of equal parts that begins at first. */
static int
group_end(const KeyedPart *parts, int count, int first)
{
	int			end = first + 1;

	while (end < count && parts[end].occurrence == parts[first].occurrence &&
		   nbm_text_eq(parts[end].key, parts[first].key))
		end++;
	return end;
}

/* Finds all links of the three workflows, and which are the same. */
void
nbm_links_open(NbmMergeLinks *links, const NbmMergeOperators *operators,
			   JsonbContainer *const *workflows)
{
	JsonbContainer *arrays[NBM_MERGE_SIDES];
	StringInfoData key;
	KeyedPart  *parts;
	int			total = 0;
	int			n = 0;
	int			end;

	initStringInfo(&key);
	memset(links, 0, sizeof(*links));
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		if (nbm_get_container(workflows[s], "links", true, &arrays[s]))
			links->count[s] = JsonContainerSize(arrays[s]);
		links->link_at[s] = nbm_new_array(int, links->count[s]);
		total += links->count[s];
	}
	parts = nbm_new_array(KeyedPart, total);
	links->links = nbm_new_array(NbmMergeLink, total);
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		for (int i = 0; i < links->count[s]; i++, n++)
		{
			CHECK_FOR_INTERRUPTS();
			memset(&parts[n], 0, sizeof(KeyedPart));
			parts[n].side = s;
			parts[n].index = i;
			nbm_element(arrays[s], i, &parts[n].value);
			set_link_key(&parts[n], operators, &key);
		}
	sort_parts(parts, total);
	for (int i = 0; i < total; i = end)
	{
		NbmMergeLink *link = &links->links[links->nlinks];

		CHECK_FOR_INTERRUPTS();
		memset(link, 0, sizeof(*link));
		for (int s = 0; s < NBM_MERGE_SIDES; s++)
			link->at[s] = -1;
		memcpy(link->ends, parts[i].ends, sizeof(link->ends));
		end = group_end(parts, total, i);
		for (int j = i; j < end; j++)
		{
			link->at[parts[j].side] = parts[j].index;
			link->values[parts[j].side] = parts[j].value;
			links->link_at[parts[j].side][parts[j].index] = links->nlinks;
		}
		links->nlinks++;
	}
	for (int i = 0; i < total; i++)
		pfree(unconstify(char *, parts[i].key.str));
	pfree(parts);
	pfree(key.data);
}

/*
 * Did one side add the link, and the other delete an operator that it joins?
 * *adder is set to that side.
 */
static bool
joins_deleted(const NbmMergeLink *link, const NbmMergeOperators *operators,
			  int end, NbmMergeSide *adder)
{
	const NbmMergeItem *item;

	if (link->at[NBM_BASE] >= 0 || link->ends[end] < 0 ||
		(link->at[NBM_OURS] >= 0) == (link->at[NBM_THEIRS] >= 0))
		return false;
	*adder = link->at[NBM_OURS] >= 0 ? NBM_OURS : NBM_THEIRS;
	item = &operators->items[link->ends[end]];
	return item->at[NBM_BASE] >= 0 &&
		item->at[*adder == NBM_OURS ? NBM_THEIRS : NBM_OURS] < 0;
}

/* Marks, by item, the operators to which a side added a link. */
void
nbm_links_find_holders(const NbmMergeLinks *links,
					   const NbmMergeOperators *operators, bool *is_held)
{
	NbmMergeSide adder;

	for (int i = 0; i < links->nlinks; i++)
		for (int end = 0; end < 2; end++)
			if (joins_deleted(&links->links[i], operators, end, &adder))
				is_held[links->links[i].ends[end]] = true;
}

/* Is a link in the result? */
static bool
link_stays(const NbmMergeLink *link, const NbmMergeOperators *operators)
{
	bool		ours = link->at[NBM_OURS] >= 0;
	bool		theirs = link->at[NBM_THEIRS] >= 0;
	NbmMergeSide deleter = ours ? NBM_THEIRS : NBM_OURS;
	bool		fell = false;

	if (!ours && !theirs)
		return false;
	for (int end = 0; end < 2; end++)
	{
		const NbmMergeItem *item;

		if (link->ends[end] < 0)
			continue;
		item = &operators->items[link->ends[end]];
		if (!item->is_in)
			return false;
		fell |= item->at[deleter] < 0;
	}
	/* deleted on purpose, or only with an operator that came back? */
	return (ours && theirs) || link->at[NBM_BASE] < 0 || fell;
}

/* A link's own id; str is NULL where it has none. */
static NbmText
link_id(const NbmMergeLink *link, NbmMergeSide side)
{
	NbmText		id = {NULL, 0};

	if (nbm_is_object(&link->values[side]))
		nbm_get_string(link->values[side].val.binary.data, "linkID", &id);
	return id;
}

/* Did this side add the link, and the other not? */
static bool
is_added_by(const NbmMergeLink *link, NbmMergeSide side)
{
	return link->is_in && link->at[NBM_BASE] < 0 && link->at[side] >= 0 &&
		link->at[side == NBM_OURS ? NBM_THEIRS : NBM_OURS] < 0;
}

/*
 * Leaves out, of two different links that the sides added under one linkID,
 * that of the side that does not win, and notes it in rival: by link, the one
 * that it gave way to or -1; the first of several.
 */
static void
find_rivals(const NbmMerging *merging, NbmMergeLinks *links, int *rival)
{
	NbmMergeSide winner = nbm_merge_winner(merging) == NBM_TAKEN_OURS ?
	NBM_OURS : NBM_THEIRS;
	NbmMergeSide loser = winner == NBM_OURS ? NBM_THEIRS : NBM_OURS;
	NbmMergeName *names = nbm_new_array(NbmMergeName, links->nlinks);
	int			count = 0;
	int			distinct = 0;

	for (int i = 0; i < links->nlinks; i++)
	{
		NbmText		id = link_id(&links->links[i], winner);

		rival[i] = -1;
		if (!is_added_by(&links->links[i], winner) || id.str == NULL)
			continue;
		names[count].id = id;
		names[count++].item = i;
	}
	qsort(names, count, sizeof(NbmMergeName), name_item_cmp);
	for (int i = 0; i < count; i++)
	{
		if (distinct == 0 || name_cmp(&names[distinct - 1], &names[i]) != 0)
			names[distinct++] = names[i];
	}
	for (int i = 0; i < links->nlinks; i++)
	{
		NbmMergeName wanted = {link_id(&links->links[i], loser), -1};
		NbmMergeName *found;

		if (!is_added_by(&links->links[i], loser) || wanted.id.str == NULL)
			continue;
		found = bsearch(&wanted, names, distinct, sizeof(NbmMergeName),
						name_cmp);
		if (found == NULL)
			continue;
		links->links[i].is_in = false;
		rival[i] = found->item;
	}
	pfree(names);
}

/*
 * Makes one end of a link name its operator as the result does; as before,
 * where the operator has no id there.
 */
static void
rename_end(JsonbValue *link, const char *name, NbmText id)
{
	JsonbValue	values[2];
	NbmText		old;
	JsonbValue	end;

	if (id.str == NULL || !nbm_get(link->val.binary.data, name, &end) ||
		!nbm_get_string(end.val.binary.data, "operatorID", &old) ||
		nbm_text_eq(old, id))
		return;
	nbm_set_string(&values[0], id);
	for (int level = 0; level < 2; level++)
	{
		const JsonbValue *object = level == 0 ? &end : link;
		const char *member = level == 0 ? "operatorID" : name;
		int			count = JsonContainerSize(object->val.binary.data);
		NbmPair    *pairs = palloc_array(NbmPair, Max(count, 1));

		for (int i = 0; i < count; i++)
		{
			nbm_member(object->val.binary.data, i, &pairs[i].key,
					   &pairs[i].value);
			if (nbm_key_is(pairs[i].key, member))
				pairs[i].value = values[level];
		}
		nbm_merge_object(pairs, count, level == 0 ? &values[1] : link);
	}
}

/* The value of a link in the result; both sides' differences: ours. */
static JsonbValue
link_value(const NbmMergeLink *link, const NbmMergeOperators *operators)
{
	const JsonbValue *values[NBM_MERGE_SIDES];
	const JsonbValue *taken;
	JsonbValue	result;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		values[s] = link->at[s] < 0 ? NULL : &link->values[s];
	if (!nbm_merge_resolve(values, &taken))
		taken = values[NBM_OURS];
	/* one side deleted it, but it stays */
	if (taken == NULL)
		taken = values[NBM_OURS] ? values[NBM_OURS] : values[NBM_THEIRS];
	result = *taken;
	for (int end = 0; end < 2; end++)
		if (link->ends[end] >= 0)
			rename_end(&result, end == 0 ? "source" : "target",
					   operators->result_ids[link->ends[end]]);
	return result;
}

/* Notes what conflicts about a link, once its place is known. */
static void
note_link(NbmMerging *merging, const NbmMergeLinks *links,
		  const NbmMergeOperators *operators, int index, int rival)
{
	const NbmMergeLink *link = &links->links[index];
	const NbmMergeLink *shown = link->is_in || rival < 0 ? link :
	&links->links[rival];
	const JsonbValue *values[NBM_MERGE_SIDES] = {NULL, NULL, NULL};
	NbmMergeSide adder = link->at[NBM_OURS] >= 0 ? NBM_OURS : NBM_THEIRS;
	NbmMergeSide taken;
	bool		conflicts = rival >= 0;
	NbmConflict *conflict;

	for (int end = 0; end < 2; end++)
		conflicts |= joins_deleted(link, operators, end, &adder);
	if (!conflicts)
		return;
	values[adder] = &link->values[adder];
	taken = (adder == NBM_OURS) == link->is_in ? NBM_OURS : NBM_THEIRS;
	if (rival >= 0)
		values[taken] = &links->links[rival].values[taken];
	conflict = nbm_merge_note(merging, NBM_CONFLICT_DOCUMENT,
							  psprintf("$.links[%d]", shown->is_in ?
									   shown->index : link->at[adder]),
							  values);
	conflict->taken = taken == NBM_OURS ? NBM_TAKEN_OURS : NBM_TAKEN_THEIRS;
}

/*
 * The links of the result in order: those of one side, then what the other
 * one added.  Returns how many.
 */
static int
order_links(NbmMergeLinks *links, bool theirs_lead, int *sorted)
{
	int			count = 0;

	for (int turn = 0; turn < 2; turn++)
	{
		NbmMergeSide side = (turn == 0) == theirs_lead ? NBM_THEIRS : NBM_OURS;
		NbmMergeSide other = side == NBM_OURS ? NBM_THEIRS : NBM_OURS;

		for (int i = 0; i < links->count[side]; i++)
		{
			NbmMergeLink *link = &links->links[links->link_at[side][i]];

			if (!link->is_in || (turn == 1 && link->at[other] >= 0))
				continue;
			link->index = count;
			sorted[count++] = links->link_at[side][i];
		}
	}
	return count;
}

/*
 * Is the order of the links theirs?  Where theirs has them all and ours has
 * not, or has not changed them.
 */
static bool
do_theirs_lead(const NbmMergeLinks *links, const JsonbValue *const *values)
{
	bool		lead = values[NBM_OURS] == NULL ||
	(values[NBM_BASE] != NULL &&
	 nbm_value_eq(values[NBM_BASE], values[NBM_OURS]));

	for (int i = 0; i < links->nlinks; i++)
	{
		const NbmMergeLink *link = &links->links[i];

		if (!link->is_in)
			continue;
		if (link->at[NBM_THEIRS] < 0)
			return false;
		lead |= link->at[NBM_OURS] < 0;
	}
	return lead;
}

/*
 * Merges the links, once it is known which operators are in the result; values
 * are the three members "links".  False where the result has no such member.
 */
bool
nbm_links_merge(NbmMerging *merging, NbmMergeLinks *links,
				const NbmMergeOperators *operators,
				const JsonbValue *const *values, JsonbValue *result)
{
	int		   *sorted = nbm_new_array(int, links->nlinks);
	int		   *rival = nbm_new_array(int, links->nlinks);
	int			count;
	NbmWriter	w;

	for (int i = 0; i < links->nlinks; i++)
		links->links[i].is_in = link_stays(&links->links[i], operators);
	find_rivals(merging, links, rival);
	count = order_links(links, do_theirs_lead(links, values), sorted);
	for (int i = 0; i < links->nlinks; i++)
		note_link(merging, links, operators, i, rival[i]);
	if (count == 0 && (values[NBM_OURS] == NULL || values[NBM_THEIRS] == NULL) &&
		(values[NBM_BASE] != NULL ||
		 (values[NBM_OURS] == NULL && values[NBM_THEIRS] == NULL)))
		return false;
	nbm_writer_init(&w, 0);
	nbm_writer_begin_array(&w, count);
	for (int i = 0; i < count; i++)
	{
		JsonbValue	link = link_value(&links->links[sorted[i]], operators);

		nbm_writer_value(&w, &link);
	}
	nbm_writer_end(&w);
	nbm_set_jsonb(result, nbm_writer_finish(&w));
	return true;
}

/* qsort comparator: by name, an operator's own position first. */
static int
position_cmp(const void *a, const void *b)
{
	const Position *pa = a;
	const Position *pb = b;
	int			cmp = nbm_key_cmp(pa->pair.key, pb->pair.key);

	return cmp != 0 ? cmp : (int) pa->is_stray - (int) pb->is_stray;
}

/* Merges one position; false where the result has none. */
static bool
merge_position(const KeyedPart *parts, int count,
			   const NbmMergeOperators *operators, Position *position)
{
	const NbmMergeItem *item = parts->ends[0] < 0 ? NULL :
	&operators->items[parts->ends[0]];
	const JsonbValue *values[NBM_MERGE_SIDES] = {NULL, NULL, NULL};
	const JsonbValue *taken;

	for (int i = 0; i < count; i++)
		values[parts[i].side] = &parts[i].value;
	if (item != NULL && !item->is_in)
		return false;
	/* where a side has not the operator, it says nothing of its position */
	for (int s = NBM_OURS; s <= NBM_THEIRS; s++)
		if (item != NULL && item->at[s] < 0)
			values[s] = values[s == NBM_OURS ? NBM_THEIRS : NBM_OURS];
	if (!nbm_merge_resolve(values, &taken))
		taken = values[NBM_OURS] ? values[NBM_OURS] : values[NBM_THEIRS];
	if (taken == NULL)
		return false;
	position->pair.key = parts->name;
	if (item != NULL && operators->result_ids[parts->ends[0]].str != NULL)
		position->pair.key = operators->result_ids[parts->ends[0]];
	position->pair.value = *taken;
	position->is_stray = item == NULL;
	return true;
}

/* Collects the positions of all sides; *total is set. */
static KeyedPart *
collect_positions(const NbmMergeOperators *operators,
				  const JsonbValue *const *values, int *total)
{
	StringInfoData key;
	KeyedPart  *parts;
	int			room = 0;

	initStringInfo(&key);
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		if (values[s] != NULL)
			room += JsonContainerSize(values[s]->val.binary.data);
	parts = nbm_new_array(KeyedPart, room);
	*total = 0;
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		int			count = values[s] == NULL ? 0 :
		JsonContainerSize(values[s]->val.binary.data);

		for (int i = 0; i < count; i++)
		{
			KeyedPart  *part = &parts[(*total)++];

			CHECK_FOR_INTERRUPTS();
			memset(part, 0, sizeof(*part));
			part->side = s;
			part->index = i;
			nbm_member(values[s]->val.binary.data, i, &part->name,
					   &part->value);
			part->ends[0] = nbm_operators_find(operators, s, part->name);
			resetStringInfo(&key);
			append_operator(&key, part->ends[0], part->name);
			set_key(part, &key);
		}
	}
	pfree(key.data);
	return parts;
}

/*
 * Merges the members "operatorPositions", at least one of which is there.
 * False where the result has no such member.
 */
bool
nbm_positions_merge(NbmMerging *merging, const NbmMergeOperators *operators,
					const JsonbValue *const *values, JsonbValue *result)
{
	NbmMergePath path = {NULL, nbm_text("operatorPositions")};
	Position   *positions;
	NbmPair    *pairs;
	KeyedPart  *parts;
	int			total;
	int			count = 0;
	int			distinct = 0;
	int			end;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		if (values[s] == NULL ? s != NBM_BASE : !nbm_is_object(values[s]))
			return nbm_merge_value(merging, &path, values, result);
	parts = collect_positions(operators, values, &total);
	sort_parts(parts, total);
	positions = nbm_new_array(Position, total);
	for (int i = 0; i < total; i = end)
	{
		CHECK_FOR_INTERRUPTS();
		end = group_end(parts, total, i);
		if (merge_position(&parts[i], end - i, operators, &positions[count]))
			count++;
	}
	qsort(positions, count, sizeof(Position), position_cmp);
	pairs = nbm_new_array(NbmPair, count);
	for (int i = 0; i < count; i++)
		if (distinct == 0 || nbm_key_cmp(pairs[distinct - 1].key,
										 positions[i].pair.key) != 0)
			pairs[distinct++] = positions[i].pair;
	nbm_merge_object(pairs, distinct, result);
	return true;
}
