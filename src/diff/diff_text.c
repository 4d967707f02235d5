/*
 * diff_text.c
 *		What changed between two versions, as a text to be read.
 *
 * The text is made like "diff -u" and git make theirs: two lines that say
 * what is compared, then a section for each item, which begins with "@@".
 * Remarks begin with a word, lines of sources with a space, a minus or a
 * plus.  What is the same for many items and says little (a new execution
 * count, a new id, a box that was moved) is one line for all.
 *
 * What differs inside an item is read from the item itself.  Of a change's
 * details only those of the kind "from 3" are shown, in the heading.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "diff_text.h"
#include "readable.h"

/* Keys that a line for many items names, at most. */
#define MAX_KEYS 10

/* The core that an item had, NULL where there was none. */
JsonbContainer *
nbm_diff_old_core(const NbmDiff *diff, const NbmChange *change)
{
	return change->old_position < 0 ? NULL :
		&nbm_bodies_get(diff->bodies, change->old_core)->root;
}

/* The core that an item has now, NULL where there is none. */
JsonbContainer *
nbm_diff_new_core(const NbmDiff *diff, const NbmChange *change)
{
	return change->new_position < 0 ? NULL :
		&nbm_bodies_get(diff->bodies, change->new_core)->root;
}

/* Has a change this detail? */
static bool
has_detail(const NbmChange *change, const char *name)
{
	for (int i = 0; i < change->detail.count; i++)
		if (strcmp(change->detail.items[i], name) == 0)
			return true;
	return false;
}

/* Has a change details, and none but these two? */
static bool
only_details(const NbmChange *change, const char *a, const char *b)
{
	for (int i = 0; i < change->detail.count; i++)
		if (strcmp(change->detail.items[i], a) != 0 &&
			strcmp(change->detail.items[i], b) != 0)
			return false;
	return change->detail.count > 0;
}

/* A cell that was run again with the same outcome. */
static bool
is_count_only(const NbmDiff *diff, const NbmChange *change)
{
	return change->key > 0 && change->name == NBM_OUTPUTS &&
		only_details(change, "execution_count", "execution_count");
}

/* A cell that has another id, and nothing else. */
static bool
is_id_only(const NbmDiff *diff, const NbmChange *change)
{
	return change->key > 0 && change->name == NBM_METADATA &&
		only_details(change, "id", "metadata.uuid");
}

/* An operator whose box stands elsewhere, among other changes or not. */
static bool
is_box_moved(const NbmDiff *diff, const NbmChange *change)
{
	return change->key > 0 && diff->store.kind == &nbm_workflow &&
		has_detail(change, "position");
}

/* An item that has no section of its own. */
static bool
is_told_elsewhere(const NbmDiff *diff, const NbmChange *change)
{
	return is_count_only(diff, change) || is_id_only(diff, change) ||
		(change->key > 0 && diff->store.kind == &nbm_workflow &&
		 only_details(change, "position", "links"));
}

/* A line for all items with a kind of change, unless there are none. */
static void
show_collected(StringInfo out, const NbmDiff *diff, const char *what,
			   bool (*belongs) (const NbmDiff *diff, const NbmChange *change))
{
	const char *item = diff->store.kind->item;
	int			count = 0;

	for (int i = 0; i < diff->count; i++)
		count += belongs(diff, &diff->changes[i]);
	if (count == 0)
		return;
	nbm_show_check(out, 1000);
	appendStringInfo(out, "\n@@ %s: %s%s ", what, item, count == 1 ? "" : "s");
	count = 0;
	for (int i = 0; i < diff->count; i++)
	{
		if (!belongs(diff, &diff->changes[i]))
			continue;
		if (count < MAX_KEYS)
			appendStringInfo(out, "%s%d", count > 0 ? ", " : "",
							 diff->changes[i].key);
		count++;
	}
	if (count > MAX_KEYS)
		appendStringInfo(out, " and %d more", count - MAX_KEYS);
	appendStringInfoChar(out, '\n');
}

/* One of the two lines that say what is compared. */
static void
show_version(StringInfo out, const char *mark, const NbmStore *store,
			 int32 version)
{
	NbmVersionWords words;
	TimestampTz at;

	nbm_store_version_words(store, version, &words);
	appendStringInfo(out, "%s %s " INT64_FORMAT, mark, store->kind->name,
					 store->id);
	if (words.name != NULL)
	{
		appendStringInfoString(out, " (");
		nbm_show_text(out, nbm_text(words.name), NBM_SHOWN_VALUE);
		appendStringInfoChar(out, ')');
	}
	at = words.created_at - words.created_at % USECS_PER_SEC;
	appendStringInfo(out, ", version %d, ", version);
	nbm_show_text(out, nbm_text(words.author), NBM_SHOWN_VALUE);
	appendStringInfo(out, ", %s",
					 DatumGetCString(DirectFunctionCall1(timestamptz_out,
														 TimestampTzGetDatum(at))));
	if (words.message != NULL && words.message[0] != '\0')
	{
		NbmText		message = {words.message, (int) strcspn(words.message, "\n")};

		appendStringInfoString(out, ": ");
		nbm_show_text(out, message, NBM_SHOWN_VALUE);
	}
	appendStringInfoChar(out, '\n');
}

/* Is a detail of the kind "from 3", which no remark repeats? */
static bool
names_item(const char *detail)
{
	const char *space = strchr(detail, ' ');

	return space != NULL && space > detail && space[1] != '\0' &&
		strspn(detail, "abcdefghijklmnopqrstuvwxyz") == space - detail &&
		strspn(space + 1, "0123456789") == strlen(space + 1);
}

/* Adds the words for what happened: "moved and modified", "split into 7". */
static void
show_what(StringInfo out, const NbmChange *change)
{
	const char *name = nbm_change_name(change->name);
	bool		any = false;

	for (const char *c = name; *c != '\0'; c++)
	{
		if (*c == '_')
			appendStringInfoString(out, " and ");
		else
			appendStringInfoChar(out, *c);
	}
	if (change->name == NBM_METADATA || change->name == NBM_OUTPUTS)
		appendStringInfoString(out, " changed");
	for (int i = 0; i < change->detail.count; i++)
	{
		if (!names_item(change->detail.items[i]))
			continue;
		nbm_show_check(out, strlen(change->detail.items[i]) + 100);
		appendStringInfo(out, "%s%s", any ? ", " : " ", change->detail.items[i]);
		any = true;
	}
}

/* The heading of an item's section. */
static void
show_heading(StringInfo out, const NbmDiff *diff, const NbmChange *change)
{
	const NbmKind *kind = diff->store.kind;
	JsonbContainer *core = nbm_diff_new_core(diff, change);
	const NbmItem *item = change->new_position < 0 ?
	&diff->from.layout.items[change->old_position] :
	&diff->to.layout.items[change->new_position];
	NbmText		name = {NULL, 0};
	NbmText		type;

	if (core == NULL)
		core = nbm_diff_old_core(diff, change);
	type = nbm_item_type(kind, core);
	nbm_show_check(out, 1000);
	appendStringInfo(out, "\n@@ %s %d (", kind->item, change->key);
	if (type.str == NULL)
		type = nbm_text("no type");
	nbm_show_text(out, type, NBM_SHOWN_VALUE);
	if (kind == &nbm_workflow)
	{
		if (nbm_get_string(core, "customDisplayName", &name) && name.len > 0)
		{
			appendStringInfoString(out, " \"");
			nbm_show_text(out, name, NBM_SHOWN_VALUE);
			appendStringInfoChar(out, '"');
		}
		if (item->id[NBM_ID_STRONG].str != NULL)
		{
			appendStringInfoString(out, ", ");
			nbm_show_text(out, item->id[NBM_ID_STRONG], NBM_SHOWN_VALUE);
		}
	}
	appendStringInfoString(out, ") ");
	show_what(out, change);
	if (kind == &nbm_notebook)
	{
		appendStringInfo(out, ", position %d", change->old_position < 0 ?
						 change->new_position : change->old_position);
		if (change->old_position >= 0 && change->new_position >= 0 &&
			change->old_position != change->new_position)
			appendStringInfo(out, " -> %d", change->new_position);
	}
	appendStringInfoChar(out, '\n');
}

/* Members of a cell that are told as its source. */
static bool
is_source(NbmText key)
{
	return nbm_key_is(key, "source") || nbm_key_is(key, "input");
}

/* The same, what a heading tells already, and what is looked into apart. */
static bool
is_told_of_whole_cell(NbmText key)
{
	return is_source(key) || nbm_key_is(key, "cell_type") ||
		nbm_key_is(key, "metadata");
}

/* The member of an operator's properties that is told line by line. */
static bool
is_code(NbmText key)
{
	return nbm_key_is(key, "code");
}

/* The member of an operator that is looked into apart. */
static bool
is_properties(NbmText key)
{
	return nbm_key_is(key, "operatorProperties");
}

/* Members of a workflow that are told operator by operator, and as links. */
static bool
is_told_of_operators(NbmText key)
{
	return nbm_key_is(key, "links") || nbm_key_is(key, "operatorPositions");
}

/* Remarks on ids, of which an item has one on both sides or not. */
static void
remark_ids(NbmRemarks *remarks, const NbmDiff *diff, const NbmChange *change)
{
	bool		cell = diff->store.kind == &nbm_notebook;

	if (change->old_position < 0 || change->new_position < 0)
		return;
	for (int i = 0; i < NBM_IDS; i++)
	{
		NbmText		a = diff->from.layout.items[change->old_position].id[i];
		NbmText		b = diff->to.layout.items[change->new_position].id[i];
		JsonbValue	va;
		JsonbValue	vb;

		if (nbm_text_eq(a, b))
			continue;
		if (a.str != NULL)
			nbm_set_string(&va, a);
		if (b.str != NULL)
			nbm_set_string(&vb, b);
		nbm_remark_change(remarks, i == NBM_ID_WEAK ? "id" : cell ?
						  "metadata.uuid" : "operatorID",
						  a.str != NULL ? &va : NULL,
						  b.str != NULL ? &vb : NULL);
	}
}

/* Is the source of a cell the same text, but not the same JSON? */
static bool
has_other_form(JsonbContainer *a, JsonbContainer *b)
{
	static const char *const names[] = {"source", "input"};

	if (!nbm_text_eq(nbm_item_source(&nbm_notebook, a),
					 nbm_item_source(&nbm_notebook, b)))
		return false;
	for (int i = 0; i < lengthof(names); i++)
	{
		JsonbValue	va;
		JsonbValue	vb;
		bool		in_a = nbm_get(a, names[i], &va);
		bool		in_b = nbm_get(b, names[i], &vb);

		if (in_a != in_b || (in_a && !nbm_value_eq(&va, &vb)))
			return true;
	}
	return false;
}

/* Remarks on a cell but for its source. */
static void
remark_cell(NbmRemarks *remarks, JsonbContainer *a, JsonbContainer *b)
{
	JsonbContainer *ma = NULL;
	JsonbContainer *mb = NULL;

	if (a != NULL && b != NULL)
		nbm_remark_members(remarks, "", a, b, is_source);
	else
	{
		if (a != NULL)
			nbm_get_container(a, "metadata", false, &ma);
		if (b != NULL)
			nbm_get_container(b, "metadata", false, &mb);
		nbm_remark_members(remarks, "metadata", ma, mb, NULL);
		nbm_remark_members(remarks, "", a, b, is_told_of_whole_cell);
	}
	if (a != NULL && b != NULL && has_other_form(a, b) && nbm_remark(remarks))
		appendStringInfoString(remarks->out,
							   "source: the same text in another form\n");
}

/* The properties of an operator, NULL where they are none or no object. */
static JsonbContainer *
properties_of(JsonbContainer *core)
{
	JsonbContainer *properties;

	return core != NULL &&
		nbm_get_container(core, "operatorProperties", false, &properties) ?
		properties : NULL;
}

/* Is an operator's code a text that can be shown by lines, or not there? */
static bool
has_lines(JsonbContainer *core)
{
	JsonbContainer *properties = properties_of(core);
	JsonbValue	value;

	return properties == NULL || !nbm_get(properties, "code", &value) ||
		value.type == jbvString;
}

/* Remarks on an operator but for its code. */
static void
remark_operator(NbmRemarks *remarks, JsonbContainer *a, JsonbContainer *b)
{
	JsonbContainer *pa = properties_of(a);
	JsonbContainer *pb = properties_of(b);
	JsonbValue	va;
	JsonbValue	vb;
	bool		in_a = a != NULL && nbm_get(a, "operatorProperties", &va);
	bool		in_b = b != NULL && nbm_get(b, "operatorProperties", &vb);

	if (a != NULL && b != NULL)
		nbm_remark_members(remarks, "", a, b, is_properties);
	if ((in_a && pa == NULL) || (in_b && pb == NULL))
		nbm_remark_change(remarks, "operatorProperties", in_a ? &va : NULL,
						  in_b ? &vb : NULL);
	else
		nbm_remark_members(remarks, "operatorProperties", pa, pb,
						   has_lines(a) && has_lines(b) ? is_code : NULL);
}

/* The text of an item that is shown by lines: a source, an operator's code. */
static NbmText
shown_source(const NbmKind *kind, JsonbContainer *core)
{
	NbmText		source = {"", 0};

	if (core == NULL)
		return source;
	if (kind == &nbm_notebook)
		return nbm_item_source(kind, core);
	if (properties_of(core) != NULL)
		nbm_get_string(properties_of(core), "code", &source);
	return source;
}

/* Adds how the source of an item changed, or all of it. */
static void
show_source(StringInfo out, const NbmKind *kind, JsonbContainer *a,
			JsonbContainer *b)
{
	NbmText		from = shown_source(kind, a);
	NbmText		to = shown_source(kind, b);

	if (kind == &nbm_workflow && (!has_lines(a) || !has_lines(b)))
		return;
	if (a == NULL)
		nbm_show_lines(out, "+", to);
	else if (b == NULL)
		nbm_show_lines(out, "-", from);
	else
		nbm_show_hunks(out, "", from, to);
}

/* The bodies of an item's outputs, which must have been fetched; new array. */
static NbmBody **
output_bodies(NbmBodies *bodies, const NbmItem *item)
{
	NbmBody   **list = palloc_array(NbmBody *, Max(item->noutputs, 1));

	for (int i = 0; i < item->noutputs; i++)
		list[i] = nbm_bodies_stored(bodies, item->outputs[i].part);
	return list;
}

/* Remarks on the outputs of a cell where they differ; fetches them. */
static void
remark_outputs(NbmRemarks *remarks, const NbmDiff *diff,
			   const NbmChange *change)
{
	static const NbmItem none = {0};
	const NbmItem *a = change->old_position < 0 ? &none :
	&diff->from.layout.items[change->old_position];
	const NbmItem *b = change->new_position < 0 ? &none :
	&diff->to.layout.items[change->new_position];
	NbmBodies  *bodies;

	if (nbm_outputs_same(a, b) || diff->store.kind == &nbm_workflow)
		return;
	bodies = nbm_bodies_create();
	for (int i = 0; i < a->noutputs; i++)
		nbm_bodies_want(bodies, a->outputs[i].part);
	for (int i = 0; i < b->noutputs; i++)
		nbm_bodies_want(bodies, b->outputs[i].part);
	nbm_bodies_fetch(bodies, &diff->store);
	nbm_remark_outputs(remarks, output_bodies(bodies, a), a->noutputs,
					   output_bodies(bodies, b), b->noutputs);
}

/* The section of an item. */
static void
show_item(StringInfo out, const NbmDiff *diff, const NbmChange *change)
{
	const NbmKind *kind = diff->store.kind;
	JsonbContainer *a = nbm_diff_old_core(diff, change);
	JsonbContainer *b = nbm_diff_new_core(diff, change);
	NbmRemarks	remarks = {out, 0};

	show_heading(out, diff, change);
	remark_ids(&remarks, diff, change);
	if (kind == &nbm_notebook)
		remark_cell(&remarks, a, b);
	else
		remark_operator(&remarks, a, b);
	remark_outputs(&remarks, diff, change);
	nbm_remarks_end(&remarks);
	show_source(out, kind, a, b);
}

/* The section of the document itself. */
static void
show_document(StringInfo out, const NbmDiff *diff, const NbmChange *change)
{
	bool		workflow = diff->store.kind == &nbm_workflow;
	uint64		a = diff->from.layout.envelope;
	uint64		b = diff->to.layout.envelope;
	NbmRemarks	remarks = {out, 0};

	nbm_show_check(out, 1000);
	appendStringInfo(out, "\n@@ %s\n", diff->store.kind->name);
	nbm_remark_members(&remarks, "", &nbm_bodies_get(diff->bodies, a)->root,
					   &nbm_bodies_get(diff->bodies, b)->root,
					   workflow ? is_told_of_operators : NULL);
	nbm_remarks_end(&remarks);
	if (workflow && has_detail(change, "links"))
		appendStringInfoString(out, "links: their ids, or more than what they join\n");
	if (workflow && has_detail(change, "operatorPositions"))
		appendStringInfoString(out, "operatorPositions: of what is no operator\n");
	if (a == b && has_detail(change, "worksheets"))
		appendStringInfoString(out, "worksheets: how many cells are in each\n");
}

/*
 * Adds the whole text: what is compared, and all sections.  The diff must have
 * changes, and the bodies of both envelopes.
 */
void
nbm_diff_show(StringInfo out, NbmDiff *diff)
{
	MemoryContext outer = MemoryContextSwitchTo(diff->scratch);
	const NbmLayout *from = &diff->from.layout;
	const NbmLayout *to = &diff->to.layout;

	show_version(out, "---", &diff->store, diff->from.version);
	show_version(out, "+++", &diff->store, diff->to.version);
	for (int i = 0; i < diff->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (diff->changes[i].key == 0)
			show_document(out, diff, &diff->changes[i]);
		else if (!is_told_elsewhere(diff, &diff->changes[i]))
			show_item(out, diff, &diff->changes[i]);
		MemoryContextReset(diff->scratch);
	}
	if (diff->store.kind == &nbm_workflow)
		nbm_show_links(out, from,
					   &nbm_bodies_get(diff->bodies, from->envelope)->root, to,
					   &nbm_bodies_get(diff->bodies, to->envelope)->root);
	show_collected(out, diff, "layout, boxes moved", is_box_moved);
	show_collected(out, diff, "new ids", is_id_only);
	show_collected(out, diff, "new execution counts", is_count_only);
	MemoryContextSwitchTo(outer);
}
