/*
 * compare.c
 *		What changed between two versions of a document.
 *
 * Items are paired by key, so that a comparison is a look-up, not a search;
 * only the bodies of cores and envelopes that differ are fetched.  A cell has
 * moved if it is not in the longest run of cells that kept their order, so
 * that an insertion above it moves nothing.  Operators and links are sets:
 * their order in the arrays is no change.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compare.h"
#include "links.h"
#include "longest_run.h"

/* What is known of a comparison while it runs. */
typedef struct Comparison
{
	const NbmKind *kind;
	const NbmLayout *from;
	const NbmLayout *to;
	NbmBodies  *bodies;
	int		   *old_of_new;		/* index of the same item, -1: inserted */
	bool	   *is_deleted;		/* by old index */
	bool	   *is_moved;		/* by new index */
	bool		needs_envelopes;
	bool	   *is_relinked;	/* by key; NULL: links are not compared */
	JsonbContainer *old_places; /* operatorPositions, NULL: none */
	JsonbContainer *new_places;
	NbmWords	document_detail;	/* what changed of the document itself */
	NbmChange  *changes;
	int			count;
} Comparison;

/* Members that are told about as a whole, in a source or by other means. */
static const char *const whole_members[] = {
	"source", "input", "links", "operatorPositions", NULL
};

/* The name that a diff shows for a change. */
const char *
nbm_change_name(NbmChangeName name)
{
	static const char *const names[] = {
		[NBM_INSERTED] = "inserted",
		[NBM_DELETED] = "deleted",
		[NBM_MODIFIED] = "modified",
		[NBM_MOVED_MODIFIED] = "moved_modified",
		[NBM_MOVED] = "moved",
		[NBM_METADATA] = "metadata",
		[NBM_OUTPUTS] = "outputs",
		[NBM_RENAMED] = "renamed",
		[NBM_RELINKED] = "relinked",
		[NBM_LAYOUT] = "layout",
		[NBM_SPLIT] = "split",
		[NBM_MERGED] = "merged",
	};

	return names[name];
}

/*
 * Adds the changes of a comparison to the columns of the version row: for
 * notebooks inserted, deleted, modified, moved, outputs, metadata; for
 * workflows inserted, deleted, modified, relinked, layout, renamed.  A cell
 * that moved and was modified counts as both.
 */
void
nbm_count_changes(const NbmKind *kind, const NbmChange *changes, int count,
				  int32 *counts)
{
	static const NbmChangeName columns[NBM_KINDS][NBM_COUNTS] = {
		{NBM_INSERTED, NBM_DELETED, NBM_MODIFIED, NBM_MOVED, NBM_OUTPUTS,
		NBM_METADATA},
		{NBM_INSERTED, NBM_DELETED, NBM_MODIFIED, NBM_RELINKED, NBM_LAYOUT,
		NBM_RENAMED},
	};

	for (int i = 0; i < count; i++)
	{
		bool		both = changes[i].name == NBM_MOVED_MODIFIED;

		for (int j = 0; j < NBM_COUNTS; j++)
		{
			NbmChangeName name = columns[kind->number][j];

			if (changes[i].name == name ||
				(both && (name == NBM_MODIFIED || name == NBM_MOVED)))
				counts[j]++;
		}
	}
}

/*
 * Puts right what nbm_differing_paths() said of a cell's source: where only its form
 * differs (one string, or lines; source, or input), that is said instead.
 */
static void
name_source(NbmChange *change, bool same_text)
{
	bool		seen = false;
	int			n = 0;

	for (int i = 0; i < change->detail.count; i++)
	{
		char	   *name = change->detail.items[i];

		if (strcmp(name, "source") == 0 || strcmp(name, "input") == 0)
		{
			if (seen)
				continue;
			seen = true;
			name = same_text ? "source_form" : "source";
		}
		change->detail.items[n++] = name;
	}
	change->detail.count = n;
}

/* Compares the cores of an item; true where they differ in meaning. */
static bool
compare_cores(Comparison *c, NbmChange *change)
{
	JsonbContainer *a;
	JsonbContainer *b;

	if (change->old_core == change->new_core)
		return false;
	a = &nbm_bodies_get(c->bodies, change->old_core)->root;
	b = &nbm_bodies_get(c->bodies, change->new_core)->root;
	nbm_differing_paths(a, b, whole_members, &change->detail);
	if (c->kind == &nbm_notebook)
		name_source(change, nbm_text_eq(nbm_item_source(c->kind, a),
										nbm_item_source(c->kind, b)));
	return !nbm_same_meaning(c->kind, a, b);
}

/* Compares what a cell has beside its core; true where outputs differ. */
static bool
compare_outputs(const NbmItem *a, const NbmItem *b, NbmChange *change)
{
	uint32		differ = a->flags ^ b->flags;
	bool		outputs = (differ & NBM_HAS_OUTPUTS) || !nbm_outputs_same(a, b);
	bool		counts = (differ & ~NBM_HAS_OUTPUTS) || a->count != b->count;

	if (outputs)
		nbm_words_add(&change->detail, "outputs");
	if (counts)
		nbm_words_add(&change->detail, "execution_count");
	return outputs || counts;
}

/* Compares a cell; false where nothing changed. */
static bool
compare_cell(Comparison *c, const NbmItem *a, const NbmItem *b, bool moved,
			 NbmChange *change)
{
	bool		modified = compare_cores(c, change);
	bool		metadata = a->core != b->core;
	bool		outputs;

	if (!nbm_text_eq(a->id[NBM_ID_STRONG], b->id[NBM_ID_STRONG]))
	{
		nbm_words_add(&change->detail, "metadata.uuid");
		metadata = true;
	}
	if (!nbm_text_eq(a->id[NBM_ID_WEAK], b->id[NBM_ID_WEAK]))
	{
		nbm_words_add(&change->detail, "id");
		metadata = true;
	}
	outputs = compare_outputs(a, b, change);
	if (moved)
		nbm_words_add(&change->detail, "position");
	change->name = modified && moved ? NBM_MOVED_MODIFIED :
		modified ? NBM_MODIFIED : moved ? NBM_MOVED :
		metadata ? NBM_METADATA : NBM_OUTPUTS;
	return moved || metadata || outputs;
}

/* Has an operator's box another place, or one where it had none? */
static bool
is_relocated(const Comparison *c, const NbmItem *a, const NbmItem *b)
{
	NbmText		old_id = a->id[NBM_ID_STRONG];
	NbmText		new_id = b->id[NBM_ID_STRONG];
	JsonbValue	va;
	JsonbValue	vb;
	bool		in_a;
	bool		in_b;

	in_a = c->old_places != NULL && old_id.str != NULL &&
		getKeyJsonValueFromContainer(c->old_places, old_id.str, old_id.len, &va);
	in_b = c->new_places != NULL && new_id.str != NULL &&
		getKeyJsonValueFromContainer(c->new_places, new_id.str, new_id.len, &vb);
	return in_a != in_b || (in_a && !nbm_value_eq(&va, &vb));
}

/* Compares an operator; false where nothing changed. */
static bool
compare_operator(Comparison *c, const NbmItem *a, const NbmItem *b,
				 NbmChange *change)
{
	bool		modified = a->core != b->core;
	bool		renamed = !nbm_text_eq(a->id[NBM_ID_STRONG],
									   b->id[NBM_ID_STRONG]);
	bool		relinked = c->is_relinked && c->is_relinked[b->key];
	bool		layout = is_relocated(c, a, b);

	(void) compare_cores(c, change);
	if (renamed)
		nbm_words_add(&change->detail, "operatorID");
	if (relinked)
		nbm_words_add(&change->detail, "links");
	if (layout)
		nbm_words_add(&change->detail, "position");
	change->name = modified ? NBM_MODIFIED : renamed ? NBM_RENAMED :
		relinked ? NBM_RELINKED : NBM_LAYOUT;
	return modified || renamed || relinked || layout;
}

/* Marks the items that are not in the longest run which kept its order. */
static void
mark_moved(Comparison *c)
{
	int			n = c->to->nitems;
	int		   *kept = palloc_array(int, Max(n, 1));	/* new indexes */
	int		   *values = palloc_array(int, Max(n, 1));
	bool	   *is_in = palloc_array(bool, Max(n, 1));
	int			count = 0;

	for (int i = 0; i < n; i++)
	{
		if (c->old_of_new[i] < 0)
			continue;
		kept[count] = i;
		values[count++] = c->old_of_new[i];
	}
	nbm_longest_run(values, count, is_in);
	for (int i = 0; i < count; i++)
		c->is_moved[kept[i]] = !is_in[i];
	pfree(kept);
	pfree(values);
	pfree(is_in);
}

/* Which item is which, by key; asks for the bodies that differ. */
static void
pair_items(Comparison *c, int32 only_key)
{
	int32		max_key;
	int		   *index = nbm_layout_index(c->from, &max_key);
	bool		same_ids = c->from->nitems == c->to->nitems;

	for (int i = 0; i < c->from->nitems; i++)
		c->is_deleted[i] = true;
	for (int i = 0; i < c->to->nitems; i++)
	{
		const NbmItem *item = &c->to->items[i];
		int			old = item->key <= max_key ? index[item->key] : -1;

		c->old_of_new[i] = old;
		same_ids &= old >= 0 &&
			nbm_text_eq(c->from->items[old].id[NBM_ID_STRONG],
						item->id[NBM_ID_STRONG]);
		if (old < 0)
			continue;
		c->is_deleted[old] = false;
		if (c->from->items[old].core != item->core &&
			(only_key == 0 || only_key == item->key))
		{
			nbm_bodies_want(c->bodies, c->from->items[old].core);
			nbm_bodies_want(c->bodies, item->core);
		}
	}

	/*
	 * Links and positions name operators by id: they can change without a
	 * change of the envelope.
	 */
	c->needs_envelopes = c->from->envelope != c->to->envelope ||
		(c->kind == &nbm_workflow && !same_ids);
	if (c->needs_envelopes)
	{
		nbm_bodies_want(c->bodies, c->from->envelope);
		nbm_bodies_want(c->bodies, c->to->envelope);
	}
	pfree(index);
}

/* The highest key of two layouts. */
static int32
highest_key(const NbmLayout *a, const NbmLayout *b)
{
	int32		highest = 0;

	for (int i = 0; i < a->nitems; i++)
		highest = Max(highest, a->items[i].key);
	for (int i = 0; i < b->nitems; i++)
		highest = Max(highest, b->items[i].key);
	return highest;
}

/*
 * Marks the operators at links that only one version has.  False where
 * something else about the links changed, other than their order.
 */
static bool
mark_relinked(Comparison *c, JsonbContainer *old_env, JsonbContainer *new_env)
{
	int			na;
	int			nb;
	NbmWorkflowLink *a = nbm_read_links(old_env, c->from, &na);
	NbmWorkflowLink *b = nbm_read_links(new_env, c->to, &nb);
	bool		any = false;
	int			i = 0;
	int			j = 0;

	c->is_relinked = palloc0_array(bool, highest_key(c->from, c->to) + 1);
	while (i < na || j < nb)
	{
		int			order = i >= na ? 1 : j >= nb ? -1 :
		nbm_link_cmp(&a[i], &b[j]);

		CHECK_FOR_INTERRUPTS();
		if (order != 0)
		{
			const NbmWorkflowLink *link = order < 0 ? &a[i] : &b[j];

			c->is_relinked[link->source] = true;
			c->is_relinked[link->target] = true;
			any = true;
		}
		i += order <= 0;
		j += order >= 0;
	}
	if (any)
		return true;
	nbm_sort_whole_links(a, na);
	nbm_sort_whole_links(b, nb);
	for (i = 0; i < na; i++)
		if (nbm_whole_link_cmp(&a[i], &b[i]) != 0)
			return false;
	return true;
}

/* The next position, from *index on, of something that is no operator. */
static bool
next_stray(JsonbContainer *places, const NbmIdKey *ids, int nids, int *index,
		   NbmText *key, JsonbValue *value)
{
	while (places != NULL && *index < JsonContainerSize(places))
	{
		nbm_member(places, (*index)++, key, value);
		if (nbm_find_id(ids, nids, *key) == NULL)
			return true;
	}
	return false;
}

/* Are the positions the same that belong to no operator? */
static bool
strays_kept(const Comparison *c)
{
	int			na;
	int			nb;
	NbmIdKey   *a = nbm_sorted_ids(c->from, &na);
	NbmIdKey   *b = nbm_sorted_ids(c->to, &nb);
	int			i = 0;
	int			j = 0;

	for (;;)
	{
		NbmText		ka;
		NbmText		kb;
		JsonbValue	va;
		JsonbValue	vb;
		bool		more_a = next_stray(c->old_places, a, na, &i, &ka, &va);
		bool		more_b = next_stray(c->new_places, b, nb, &j, &kb, &vb);

		if (!more_a || !more_b)
			return more_a == more_b;
		if (nbm_key_cmp(ka, kb) != 0 || !nbm_value_eq(&va, &vb))
			return false;
	}
}

/*
 * Compares the envelopes of workflows: marks what is told operator by
 * operator, and keeps the names of other members.
 */
static void
compare_workflow_envelopes(Comparison *c, JsonbContainer *a, JsonbContainer *b)
{
	bool		links_told = mark_relinked(c, a, b);
	NbmWords	names = {0};

	if (!nbm_get_container(a, "operatorPositions", false, &c->old_places))
		c->old_places = NULL;
	if (!nbm_get_container(b, "operatorPositions", false, &c->new_places))
		c->new_places = NULL;
	nbm_differing_paths(a, b, whole_members, &names);
	for (int i = 0; i < names.count; i++)
	{
		const char *name = names.items[i];

		if ((strcmp(name, "links") == 0 && links_told) ||
			(strcmp(name, "operatorPositions") == 0 && strays_kept(c)))
			continue;
		nbm_words_add(&c->document_detail, names.items[i]);
	}
}

/* Compares what is not in the items. */
static void
compare_envelopes(Comparison *c)
{
	JsonbContainer *a;
	JsonbContainer *b;

	if (!c->needs_envelopes)
		return;
	a = &nbm_bodies_get(c->bodies, c->from->envelope)->root;
	b = &nbm_bodies_get(c->bodies, c->to->envelope)->root;
	if (c->kind == &nbm_workflow)
		compare_workflow_envelopes(c, a, b);
	else
		nbm_differing_paths(a, b, whole_members, &c->document_detail);
}

/* The next row of the result. */
static NbmChange *
next_change(Comparison *c)
{
	NbmChange  *change = &c->changes[c->count];

	memset(change, 0, sizeof(*change));
	change->old_position = -1;
	change->new_position = -1;
	return change;
}

/* Adds the deleted items that stood before an old position. */
static void
add_deleted(Comparison *c, int *next, int before)
{
	for (; *next < before; (*next)++)
	{
		NbmChange  *change = next_change(c);

		if (!c->is_deleted[*next])
			continue;
		change->name = NBM_DELETED;
		change->key = c->from->items[*next].key;
		change->old_core = c->from->items[*next].core;
		change->old_position = *next;
		c->count++;
	}
}

/* Adds what happened to one item of the new version. */
static void
add_item(Comparison *c, int position)
{
	NbmChange  *change = next_change(c);
	const NbmItem *item = &c->to->items[position];
	int			old = c->old_of_new[position];
	bool		changed = true;

	change->key = item->key;
	change->new_core = item->core;
	change->new_position = position;
	if (old < 0)
		change->name = NBM_INSERTED;
	else
	{
		const NbmItem *before = &c->from->items[old];

		change->old_core = before->core;
		change->old_position = old;
		if (c->kind == &nbm_workflow)
			changed = compare_operator(c, before, item, change);
		else
			changed = (c->is_moved[position] || !nbm_item_same(before, item)) &&
				compare_cell(c, before, item, c->is_moved[position], change);
	}
	if (changed)
		c->count++;
}

/* Adds the row of the document itself, if anything of it changed. */
static void
add_document(Comparison *c)
{
	NbmChange  *change = next_change(c);

	/* cells that came or went change the lengths of worksheets, too */
	if (c->document_detail.count == 0 && c->from->nitems == c->to->nitems &&
		(c->from->nruns != c->to->nruns ||
		 memcmp(c->from->runs, c->to->runs, sizeof(int) * c->to->nruns) != 0))
		nbm_words_add(&c->document_detail, "worksheets");
	if (c->document_detail.count == 0)
		return;
	change->name = c->kind == &nbm_workflow ? NBM_LAYOUT : NBM_METADATA;
	change->detail = c->document_detail;
	c->count++;
}

/*
 * What changed from one layout to another of the same document: the row of
 * the document itself first, then the items in their new order, deleted ones
 * where they stood.  only_key, unless 0, restricts it to one item.  Bodies
 * are fetched into the given set; the result is of the current context.
 */
NbmChange *
nbm_compare(const NbmStore *store, const NbmLayout *from, const NbmLayout *to,
			int32 only_key, NbmBodies *bodies, int *count)
{
	Comparison	c = {store->kind, from, to, bodies};
	int			next_deleted = 0;

	c.old_of_new = palloc_array(int, Max(to->nitems, 1));
	c.is_moved = palloc0_array(bool, Max(to->nitems, 1));
	c.is_deleted = palloc_array(bool, Max(from->nitems, 1));
	c.changes = palloc_extended(mul_size(sizeof(NbmChange), (Size) from->nitems +
										 to->nitems + 2), MCXT_ALLOC_HUGE);
	pair_items(&c, only_key);
	if (store->kind == &nbm_notebook)
		mark_moved(&c);
	nbm_bodies_fetch(bodies, store);
	compare_envelopes(&c);
	if (only_key == 0)
		add_document(&c);
	for (int i = 0; i < to->nitems; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (c.old_of_new[i] >= 0 && !c.is_moved[i])
			add_deleted(&c, &next_deleted, c.old_of_new[i]);
		if (only_key == 0 || only_key == to->items[i].key)
			add_item(&c, i);
	}
	add_deleted(&c, &next_deleted, from->nitems);
	*count = c.count;
	if (only_key != 0)
	{
		*count = 0;
		for (int i = 0; i < c.count; i++)
			if (c.changes[i].key == only_key)
				c.changes[(*count)++] = c.changes[i];
	}
	return c.changes;
}
