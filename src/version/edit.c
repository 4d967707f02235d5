/*
 * edit.c
 *		Edit lists: item-wise writes, of which only the change travels.
 *
 * An edit list is an array of objects, applied in order to the head's layout:
 *
 *		{"op": "replace", "cell": <key or id>, "value": {...}}
 *		{"op": "insert", "before" | "after": <key or id>, "value": {...}}
 *		{"op": "delete", "cell": <key or id>}
 *		{"op": "move", "cell": <key or id>, "before" | "after": <key or id>}
 *
 * An insert without a place appends.  For workflows the item is named by
 * "operator", and an edit may have, with or without an "op",
 *
 *		"links": [link, ...] | {"add": [link, ...], "remove": [linkID, ...]}
 *		"layout": {"operatorPositions": {id: position | null, ...}, ...}
 *
 * where positions are merged by operator and the layout's other members
 * replace the document's.  Deleting an operator deletes the links at it and
 * its position.  No body is read but those of the values given, and, where
 * links or layout change, the envelope.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"		/* mul_size, in older minor releases */
#include "utils/builtins.h"

#include "build.h"
#include "commit.h"
#include "compare.h"
#include "edit.h"
#include "entries.h"
#include "identity.h"
#include "names.h"

/*
 * Containers around a cell, at most: what an edit brings is held against it,
 * as which notebook it goes to is not looked at.
 */
#define DEEPEST_CELL 4

/* An item while the list is applied, with the worksheet that it is in. */
typedef struct Place
{
	NbmItem		item;
	int			run;
	Jsonb	   *core;			/* of a new item; NULL for others */
} Place;

/* An edit list while it is applied. */
typedef struct Editing
{
	NbmCommit  *commit;
	const NbmKind *kind;
	Place	   *places;
	int			count;
	int			room;
	Jsonb	   *envelope;		/* once it is needed */
	bool		new_envelope;
	NbmText    *gone;			/* ids of deleted operators, of which the
								 * envelope still speaks */
	int			ngone;
	int			gone_room;
	int			number;			/* of the edit, from 0 */
} Editing;

/* Raises 22023 for the edit at hand; what is a full sentence. */
static void
bad_edit(const Editing *e, const char *member, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid edit of %s " INT64_FORMAT, e->kind->name,
					e->commit->store.id),
			 errdetail("At $[%d]%s%s: %s", e->number, member[0] ? "." : "",
					   member, what)));
}

/* The item that a member of the edit names; raises 22023. */
static int
named_item(Editing *e, JsonbContainer *edit, const char *member)
{
	JsonbValue	name;
	const char *why;
	int			index;

	if (!nbm_get(edit, member, &name))
		bad_edit(e, "", psprintf("There is no \"%s\".", member));
	index = nbm_find_named(&e->places[0].item, sizeof(Place), e->count, &name,
						   &why);
	if (index < 0)
		bad_edit(e, member, psprintf("The %s %s %s.", e->kind->item,
									 nbm_shown_name(&name), why));
	return index;
}

/*
 * Where an insert or a move goes: *index of the item that it stands before
 * then, and the worksheet.  False where the edit names no place.
 */
static bool
named_place(Editing *e, JsonbContainer *edit, int *index, int *run)
{
	JsonbValue	value;
	bool		before = nbm_get(edit, "before", &value);
	bool		after = nbm_get(edit, "after", &value);

	if (before && after)
		bad_edit(e, "", "There are both \"before\" and \"after\".");
	if (!before && !after)
		return false;
	*index = named_item(e, edit, before ? "before" : "after");
	*run = e->places[*index].run;
	if (after)
		(*index)++;
	return true;
}

/* Takes the edit's value apart and stores its parts. */
static void
read_value(Editing *e, JsonbContainer *edit, Place *place)
{
	NbmWhere	where = {NULL, 0, NULL};
	JsonbValue	value;
	NbmSplit	split;
	NbmPart    *parts;

	if (!nbm_get(edit, "value", &value))
		bad_edit(e, "", "There is no \"value\".");
	where.path = psprintf("$[%d].value", e->number);
	nbm_item_split(e->kind, &value, &where,
				   e->kind == &nbm_notebook ? DEEPEST_CELL : 2, &split);
	parts = palloc_array(NbmPart, 1 + split.item.noutputs);
	place->core = nbm_value_to_jsonb(&split.core);
	nbm_part_make(place->core, &parts[0]);
	for (int i = 0; i < split.item.noutputs; i++)
		nbm_part_make(nbm_value_to_jsonb(&split.outputs[i]), &parts[1 + i]);
	nbm_store_add_parts(&e->commit->store, parts, 1 + split.item.noutputs,
						false);
	split.item.core = parts[0].id;
	for (int i = 0; i < split.item.noutputs; i++)
		split.item.outputs[i].part = parts[1 + i].id;
	split.item.key = place->item.key;
	split.item.since = place->item.since;
	place->item = split.item;
}

/* Puts a place in before an index. */
static void
insert_place(Editing *e, int index, const Place *place)
{
	if (e->count >= NBM_MAX_ITEMS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s has more than %d %s", e->kind->name,
						NBM_MAX_ITEMS, e->kind->items)));
	if (e->count == e->room)
	{
		e->room *= 2;
		e->places = repalloc_huge(e->places, mul_size(sizeof(Place), e->room));
	}
	memmove(e->places + index + 1, e->places + index,
			sizeof(Place) * (e->count - index));
	e->places[index] = *place;
	e->count++;
}

/* Takes a place out. */
static void
remove_place(Editing *e, int index)
{
	e->count--;
	memmove(e->places + index, e->places + index + 1,
			sizeof(Place) * (e->count - index));
}

/* Fetches the envelope, once. */
static JsonbContainer *
envelope_of(Editing *e)
{
	if (e->envelope == NULL)
	{
		NbmBodies  *bodies = nbm_bodies_create();

		nbm_bodies_want(bodies, e->commit->parent.layout.envelope);
		nbm_bodies_fetch(bodies, &e->commit->store);
		e->envelope = nbm_bodies_get(bodies,
									 e->commit->parent.layout.envelope);
	}
	return &e->envelope->root;
}

/*
 * Takes another value for the envelope.  The one before is freed if it was made
 * here: a list can have many edits, each of which makes one.
 */
static void
set_envelope(Editing *e, Jsonb *envelope)
{
	if (e->new_envelope)
		pfree(e->envelope);
	e->envelope = envelope;
	e->new_envelope = true;
}

/* Sets a member of the envelope, and frees the value. */
static void
set_member(Editing *e, const char *key, Jsonb *value)
{
	NbmMembers	members;

	members.count = 0;
	nbm_member_jsonb(&members, key, value);
	set_envelope(e, nbm_object_with(envelope_of(e), &members));
	pfree(value);
}

/* An array that grows. */
typedef struct Values
{
	JsonbValue *items;
	int			count;
} Values;

/* Adds all elements of an array. */
static void
add_values(Values *values, JsonbContainer *array)
{
	int			count = JsonContainerSize(array);

	if (values->items == NULL)
		values->items = nbm_alloc(count, sizeof(JsonbValue));
	else
		values->items = repalloc_huge(values->items,
									  mul_size(sizeof(JsonbValue),
											   Max(values->count + count, 1)));
	for (int i = 0; i < count; i++)
		nbm_element(array, i, &values->items[values->count++]);
}

/* Sets the envelope's links. */
static void
set_links(Editing *e, const Values *links)
{
	NbmWriter	w;

	nbm_writer_init(&w, 0);
	nbm_writer_begin_array(&w, links->count);
	for (int i = 0; i < links->count; i++)
		nbm_writer_value(&w, &links->items[i]);
	nbm_writer_end(&w);
	set_member(e, "links", nbm_writer_finish(&w));
}

/* The envelope's links, in an array of their own. */
static Values
get_links(Editing *e)
{
	Values		links = {NULL, 0};
	JsonbContainer *array;

	if (nbm_get_container(envelope_of(e), "links", true, &array))
		add_values(&links, array);
	return links;
}

/* qsort comparator of ids. */
static int
id_cmp(const void *a, const void *b)
{
	return nbm_key_cmp(*(const NbmText *) a, *(const NbmText *) b);
}

/* Was an operator with this id deleted? */
static bool
is_gone(const Editing *e, NbmText id)
{
	return bsearch(&id, e->gone, e->ngone, sizeof(NbmText), id_cmp) != NULL;
}

/* Does this end of a link name an operator that was deleted? */
static bool
ends_at_gone(const Editing *e, const JsonbValue *link, const char *end)
{
	JsonbContainer *object;
	NbmText		id;

	return nbm_is_object(link) &&
		nbm_get_container(link->val.binary.data, end, false, &object) &&
		nbm_get_string(object, "operatorID", &id) && is_gone(e, id);
}

/* Takes out the links at deleted operators. */
static void
forget_links(Editing *e)
{
	Values		links = get_links(e);
	int			n = 0;

	for (int i = 0; i < links.count; i++)
		if (!ends_at_gone(e, &links.items[i], "source") &&
			!ends_at_gone(e, &links.items[i], "target"))
			links.items[n++] = links.items[i];
	if (n < links.count)
	{
		links.count = n;
		set_links(e, &links);
	}
	if (links.items != NULL)
		pfree(links.items);
}

/* Takes out the positions of deleted operators. */
static void
forget_positions(Editing *e)
{
	JsonbContainer *places;
	NbmPair    *pairs;
	NbmWriter	w;
	int			n = 0;

	if (!nbm_get_container(envelope_of(e), "operatorPositions", false, &places))
		return;
	pairs = palloc_array(NbmPair, Max(JsonContainerSize(places), 1));
	for (int i = 0; i < JsonContainerSize(places); i++)
	{
		nbm_member(places, i, &pairs[n].key, &pairs[n].value);
		n += !is_gone(e, pairs[n].key);
	}
	if (n < JsonContainerSize(places))
	{
		nbm_writer_init(&w, 0);
		nbm_writer_object(&w, pairs, n);
		set_member(e, "operatorPositions", nbm_writer_finish(&w));
	}
	pfree(pairs);
}

/*
 * Takes out what the envelope has of the operators that were deleted.  Done
 * once for all that are deleted in a row, before anything else looks at the
 * envelope: to write it anew for each would take its size times their number.
 */
static void
forget_operators(Editing *e)
{
	if (e->ngone == 0)
		return;
	qsort(e->gone, e->ngone, sizeof(NbmText), id_cmp);
	forget_links(e);
	forget_positions(e);
	e->ngone = 0;
}

/* Notes that an operator was deleted. */
static void
note_gone(Editing *e, NbmText id)
{
	if (e->ngone == e->gone_room)
	{
		e->gone_room = Max(16, e->gone_room * 2);
		e->gone = e->gone == NULL ? palloc_array(NbmText, e->gone_room) :
			repalloc_array(e->gone, NbmText, e->gone_room);
	}
	e->gone[e->ngone++] = id;
}

/* Takes out the link with an id; false where there is none. */
static bool
remove_link(Values *links, NbmText id)
{
	for (int i = 0; i < links->count; i++)
	{
		NbmText		link_id = {NULL, 0};

		if (nbm_is_object(&links->items[i]))
			nbm_get_string(links->items[i].val.binary.data, "linkID", &link_id);
		if (!nbm_text_eq(link_id, id))
			continue;
		links->count--;
		memmove(links->items + i, links->items + i + 1,
				sizeof(JsonbValue) * (links->count - i));
		return true;
	}
	return false;
}

/* Raises 22023 where a change of links is not made of "add" and "remove". */
static void
check_links_change(Editing *e, JsonbContainer *change)
{
	for (int i = 0; i < JsonContainerSize(change); i++)
	{
		NbmText		key;
		JsonbValue	value;

		nbm_member(change, i, &key, &value);
		if (!nbm_key_is(key, "add") && !nbm_key_is(key, "remove"))
			bad_edit(e, "links", "It must be an array of links, or an object with \"add\" and \"remove\".");
		if (!nbm_is_array(&value))
			bad_edit(e, psprintf("links.%.*s", key.len, key.str),
					 nbm_key_is(key, "add") ? "It must be an array of links." :
					 "It must be an array of link ids.");
	}
}

/* Applies the "links" of an edit. */
static void
edit_links(Editing *e, const JsonbValue *change)
{
	Values		links = {NULL, 0};
	JsonbContainer *array;
	JsonbValue	id;

	if (nbm_is_array(change))
		add_values(&links, change->val.binary.data);
	else if (nbm_is_object(change))
	{
		check_links_change(e, change->val.binary.data);
		links = get_links(e);
		if (nbm_get_container(change->val.binary.data, "remove", true, &array))
			for (int i = 0; i < JsonContainerSize(array); i++)
			{
				CHECK_FOR_INTERRUPTS();
				nbm_element(array, i, &id);
				if (id.type != jbvString ||
					!remove_link(&links, nbm_text_of(&id)))
					bad_edit(e, psprintf("links.remove[%d]", i),
							 "There is no link with this id.");
			}
		if (nbm_get_container(change->val.binary.data, "add", true, &array))
			add_values(&links, array);
	}
	else
		bad_edit(e, "links", "It must be an array of links, or an object with \"add\" and \"remove\".");
	for (int i = 0; i < links.count; i++)
		if (!nbm_is_object(&links.items[i]))
			bad_edit(e, "links", "A link must be an object.");
	set_links(e, &links);
	pfree(links.items);
}

/*
 * An object (NULL: an empty one) with the members of another one but for the
 * one left out, if any, in the place of its own: a new value.  drops_nulls: a
 * null takes a member out.
 */
static Jsonb *
with_members(JsonbContainer *object, JsonbContainer *changes,
			 const char *left_out, bool drops_nulls)
{
	NbmBoth		both = {object, changes};
	Size		size = JsonContainerSize(changes) +
	(object == NULL ? 0 : JsonContainerSize(object));
	NbmPair    *pairs = palloc_extended(mul_size(sizeof(NbmPair), size + 1),
										MCXT_ALLOC_HUGE);
	int			n = 0;
	NbmWriter	w;

	while (nbm_both_next(&both))
	{
		bool		changes_it = both.in_b &&
		!(left_out != NULL && nbm_key_is(both.key, left_out));

		CHECK_FOR_INTERRUPTS();
		if (changes_it ? drops_nulls && both.vb.type == jbvNull : !both.in_a)
			continue;
		pairs[n].key = both.key;
		pairs[n++].value = changes_it ? both.vb : both.va;
	}
	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, pairs, n);
	pfree(pairs);
	return nbm_writer_finish(&w);
}

/* Applies the "layout" of an edit: positions by operator, all else as it is. */
static void
edit_layout(Editing *e, const JsonbValue *change)
{
	static const char *const positions = "operatorPositions";
	JsonbContainer *layout;
	JsonbContainer *places = NULL;
	JsonbValue	value;
	bool		has_positions;

	if (!nbm_is_object(change))
		bad_edit(e, "layout", "It must be an object.");
	layout = change->val.binary.data;
	if (nbm_get(layout, "operators", &value) || nbm_get(layout, "links", &value))
		bad_edit(e, "layout", "Operators and links are no layout.");
	has_positions = nbm_get(layout, positions, &value);
	if (has_positions && !nbm_is_object(&value))
		bad_edit(e, "layout.operatorPositions", "It must be an object.");
	if (has_positions)
	{
		(void) nbm_get_container(envelope_of(e), positions, false, &places);
		set_member(e, positions, with_members(places, value.val.binary.data,
											  NULL, true));
	}
	if (JsonContainerSize(layout) > (has_positions ? 1 : 0))
		set_envelope(e, with_members(envelope_of(e), layout, positions, false));
}

/* Applies an insert. */
static void
edit_insert(Editing *e, JsonbContainer *edit)
{
	Place		place = {{0}};
	int			index = e->count;

	place.run = e->commit->parent.layout.nruns - 1;
	if (place.run < 0)
		bad_edit(e, "", "The notebook has no worksheet to insert into.");
	(void) named_place(e, edit, &index, &place.run);
	read_value(e, edit, &place);
	insert_place(e, index, &place);
}

/* Applies a move. */
static void
edit_move(Editing *e, JsonbContainer *edit)
{
	int			from = named_item(e, edit, e->kind->item);
	Place		place = e->places[from];
	int			index;

	if (!named_place(e, edit, &index, &place.run))
		bad_edit(e, "", "A move needs \"before\" or \"after\".");
	remove_place(e, from);
	insert_place(e, index > from ? index - 1 : index, &place);
}

/* Applies a delete. */
static void
edit_delete(Editing *e, JsonbContainer *edit)
{
	int			index = named_item(e, edit, e->kind->item);
	NbmText		id = e->places[index].item.id[NBM_ID_STRONG];

	if (e->kind == &nbm_workflow && id.str != NULL)
		note_gone(e, id);
	remove_place(e, index);
}

/* Raises 22023 where the edit has a member that no edit has. */
static void
check_members(Editing *e, JsonbContainer *edit)
{
	static const char *const names[] = {"op", "before", "after", "value"};

	for (int i = 0; i < JsonContainerSize(edit); i++)
	{
		NbmText		key;
		bool		known;

		nbm_member(edit, i, &key, NULL);
		known = nbm_key_is(key, e->kind->item) ||
			(e->kind == &nbm_workflow && (nbm_key_is(key, "links") ||
										  nbm_key_is(key, "layout")));
		for (int j = 0; j < lengthof(names); j++)
			known |= nbm_key_is(key, names[j]);
		if (!known)
			bad_edit(e, "", psprintf("An edit has no member \"%.*s\".",
									 key.len, key.str));
	}
}

/* Applies one edit. */
static void
apply_edit(Editing *e, JsonbContainer *edit)
{
	NbmText		op;
	JsonbValue	value;
	JsonbValue	links;
	JsonbValue	layout;
	bool		has_links;
	bool		has_layout;

	check_members(e, edit);
	has_links = nbm_get(edit, "links", &links);
	has_layout = nbm_get(edit, "layout", &layout);
	if (nbm_get(edit, "op", &value))
	{
		if (value.type != jbvString)
			bad_edit(e, "op", "It must be a string.");
		op = nbm_text_of(&value);
		if (nbm_key_is(op, "replace"))
			read_value(e, edit, &e->places[named_item(e, edit, e->kind->item)]);
		else if (nbm_key_is(op, "insert"))
			edit_insert(e, edit);
		else if (nbm_key_is(op, "delete"))
			edit_delete(e, edit);
		else if (nbm_key_is(op, "move"))
			edit_move(e, edit);
		else
			bad_edit(e, "op", "It must be replace, insert, delete or move.");
	}
	else if (!has_links && !has_layout)
		bad_edit(e, "", "There is no \"op\".");
	if (has_links || has_layout)
		forget_operators(e);
	if (has_links)
		edit_links(e, &links);
	if (has_layout)
		edit_layout(e, &layout);
}

/* Copies the head's items to a list that can be edited. */
static void
start_editing(Editing *e, NbmCommit *commit)
{
	const NbmLayout *layout = &commit->parent.layout;
	int			index = 0;

	memset(e, 0, sizeof(*e));
	e->commit = commit;
	e->kind = commit->store.kind;
	e->room = layout->nitems + 16;
	e->places = palloc_extended(mul_size(sizeof(Place), e->room),
								MCXT_ALLOC_HUGE);
	for (int run = 0; run < layout->nruns; run++)
		for (int i = 0; i < layout->runs[run]; i++, index++)
		{
			e->places[index].item = layout->items[index];
			e->places[index].run = run;
			e->places[index].core = NULL;
		}
	e->count = index;
}

/* Gives the inserted items their keys: old ones to those that come back. */
static void
identify_new(Editing *e, NbmLayout *layout)
{
	NbmCandidates olds = {NULL};
	NbmCandidates news = {NULL};

	olds.layout = &e->commit->parent.layout;
	news.items = palloc_array(NbmCandidate, Max(e->count, 1));
	for (int i = 0; i < e->count; i++)
	{
		if (layout->items[i].key != 0)
			continue;
		news.items[news.nitems].item = &layout->items[i];
		news.items[news.nitems++].core = &e->places[i].core->root;
	}
	nbm_identify(&e->commit->store, &olds, &news, e->commit->head.version + 1,
				 &e->commit->next_key);
}

/* Stores the new envelope and returns its part id. */
static uint64
store_envelope(Editing *e)
{
	NbmWhere	where = {NULL, 0, "$"};
	NbmPart		part;

	nbm_check_depth(&e->envelope->root, 0, &where);
	nbm_part_make(e->envelope, &part);
	nbm_store_add_parts(&e->commit->store, &part, 1, false);
	return part.id;
}

/*
 * Makes a version of the head with an edit list applied, all of it or, on
 * error, nothing.  Returns its number, or the head's where nothing changed.
 * Raises 22023 where the list has a wrong shape or names what is not there.
 */
int32
nbm_commit_edits(NbmCommit *commit, Jsonb *edits)
{
	Editing		e;
	NbmLayout	layout;
	JsonbValue	edit;

	nbm_check_size("edit list", edits);
	start_editing(&e, commit);
	if (!JB_ROOT_IS_ARRAY(edits) || JB_ROOT_IS_SCALAR(edits))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("edits must be a JSON array"),
				 errdetail("The value at $ is not.")));
	for (e.number = 0; e.number < JB_ROOT_COUNT(edits); e.number++)
	{
		CHECK_FOR_INTERRUPTS();
		nbm_element(&edits->root, e.number, &edit);
		if (!nbm_is_object(&edit))
			bad_edit(&e, "", "An edit must be an object.");
		apply_edit(&e, edit.val.binary.data);
	}
	forget_operators(&e);
	layout = commit->parent.layout;
	layout.runs = palloc0_array(int, Max(layout.nruns, 1));
	layout.nitems = e.count;
	layout.items = palloc_array(NbmItem, Max(e.count, 1));
	for (int i = 0; i < e.count; i++)
	{
		layout.items[i] = e.places[i].item;
		layout.runs[e.places[i].run]++;
	}
	if (e.new_envelope)
		layout.envelope = store_envelope(&e);
	identify_new(&e, &layout);
	return nbm_commit_layout(commit, &layout);
}
