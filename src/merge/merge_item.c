/*
 * merge_item.c
 *		Merging three versions of a cell or an operator.
 *
 * An item is merged as an object (merge_values.c), member by member: a cell's
 * source and an operator's code by lines, its metadata or properties at any
 * depth.  Ids never conflict, nor the times of a run, which JupyterLab notes in
 * metadata.execution.  Neither do a cell's outputs and execution count, which
 * are the result of one run and come together, from one side.
 */
#include "postgres.h"

#include "merge_item.h"
#include "paths.h"

/* The members that a run of a cell leaves. */
static const char *const run_members[] = {
	"outputs", "execution_count", "prompt_number"
};

/* The member of metadata in which JupyterLab notes when a run was. */
static const char *const run_times[] = {"execution", NULL};

/* How the members of a cell are merged. */
static NbmMergeRule
cell_rule(const NbmMergePath *path)
{
	if (path->up == NULL)
	{
		if (nbm_key_is(path->name, "id"))
			return NBM_RULE_QUIET;
		if (nbm_key_is(path->name, "cell_type"))
			return NBM_RULE_TYPE;
		if (nbm_key_is(path->name, "source") ||
			nbm_key_is(path->name, "input"))
			return NBM_RULE_SOURCE;
	}
	else if (path->up->up == NULL &&
			 nbm_key_is(path->up->name, "metadata") &&
			 (nbm_key_is(path->name, "uuid") ||
			  nbm_key_is(path->name, run_times[0])))
		return NBM_RULE_QUIET;
	return NBM_RULE_MEMBERS;
}

/* How the members of an operator are merged. */
static NbmMergeRule
operator_rule(const NbmMergePath *path)
{
	if (path->up == NULL)
	{
		if (nbm_key_is(path->name, "operatorID"))
			return NBM_RULE_QUIET;
		if (nbm_key_is(path->name, "operatorType"))
			return NBM_RULE_TYPE;
	}
	else if (path->up->up == NULL && nbm_key_is(path->name, "code") &&
			 nbm_key_is(path->up->name, "operatorProperties"))
		return NBM_RULE_TEXT;
	return NBM_RULE_MEMBERS;
}

/* Does a run of the cell leave this member? */
static bool
is_run_member(NbmText name)
{
	for (int i = 0; i < lengthof(run_members); i++)
		if (nbm_key_is(name, run_members[i]))
			return true;
	return false;
}

/* Does a member say no more than that the cell was never run? */
static bool
is_unrun(const JsonbValue *value)
{
	return value->type == jbvNull ||
		(nbm_is_array(value) && JsonContainerSize(value->val.binary.data) == 0);
}

/* Was the cell run since base, or its outputs cleared?  No base: never run. */
static bool
is_rerun(const JsonbValue *before, const JsonbValue *after)
{
	for (int i = 0; i < lengthof(run_members); i++)
	{
		JsonbValue	old;
		JsonbValue	new;
		bool		has_old = before != NULL &&
		nbm_get(before->val.binary.data, run_members[i], &old);
		bool		has_new = nbm_get(after->val.binary.data, run_members[i],
									  &new);

		if (before == NULL ? has_new && !is_unrun(&new) :
			has_old != has_new || (has_old && !nbm_value_eq(&old, &new)))
			return true;
	}
	return false;
}

/* A member by name among pairs, NULL for none. */
static const JsonbValue *
find_pair(const NbmPair *pairs, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (nbm_key_is(pairs[i].key, name))
			return &pairs[i].value;
	return NULL;
}

/*
 * Whose outputs and execution count the merged cell gets.  They belong to a
 * type: a cell that became markdown does not get back what a run left.
 */
static NbmMergeSide
outputs_from(const JsonbValue *const *values, const NbmPair *pairs, int count)
{
	const JsonbValue *type = find_pair(pairs, count, "cell_type");
	const JsonbValue *source = find_pair(pairs, count, "source");
	JsonbContainer *ours = values[NBM_OURS]->val.binary.data;
	JsonbContainer *theirs = values[NBM_THEIRS]->val.binary.data;
	NbmText		our_type = nbm_item_type(&nbm_notebook, ours);
	NbmText		their_type = nbm_item_type(&nbm_notebook, theirs);
	NbmText		merged;

	if (!nbm_text_eq(our_type, their_type) && type != NULL)
		return nbm_text_eq(our_type, nbm_text_of(type)) ? NBM_OURS :
			NBM_THEIRS;
	if (!is_rerun(values[NBM_BASE], values[NBM_THEIRS]))
		return NBM_OURS;
	if (!is_rerun(values[NBM_BASE], values[NBM_OURS]))
		return NBM_THEIRS;
	if (source == NULL)
		source = find_pair(pairs, count, "input");
	merged = nbm_merge_text_of(source);
	if (!nbm_text_eq(nbm_item_source(&nbm_notebook, ours), merged) &&
		nbm_text_eq(nbm_item_source(&nbm_notebook, theirs), merged))
		return NBM_THEIRS;
	return NBM_OURS;
}

/* Adds what a run left on one side to the members of the merged cell. */
static void
add_run_members(const JsonbValue *from, NbmPair *pairs, int *count)
{
	for (int i = 0; i < lengthof(run_members); i++)
	{
		pairs[*count].key = nbm_text(run_members[i]);
		if (nbm_get(from->val.binary.data, run_members[i],
					&pairs[*count].value))
			(*count)++;
	}
}

/*
 * Merges an item that both sides have, and base where it is not NULL; all are
 * objects.  Conflicts are noted at merging->prefix.
 */
void
nbm_merge_item(NbmMerging *merging, const NbmKind *kind,
			   const JsonbValue *const *values, JsonbValue *result)
{
	bool		is_cell = kind == &nbm_notebook;
	const JsonbValue *taken;
	NbmMergeMembers members;
	NbmPair    *pairs;
	JsonbValue	input;
	int			count = 0;

	if (nbm_merge_resolve(values, &taken))
	{
		*result = *taken;
		return;
	}
	merging->kind = NBM_CONFLICT_METADATA;
	merging->rule = is_cell ? cell_rule : operator_rule;
	nbm_members_open(&members, values);
	pairs = nbm_members_pairs(&members);
	while (nbm_members_next(&members))
	{
		NbmMergePath path = {NULL, members.key};

		if (is_cell && is_run_member(members.key))
			continue;
		/* nbformat 4 renamed it, and both sides may be newer than base */
		if (is_cell && members.values[NBM_BASE] == NULL &&
			values[NBM_BASE] != NULL && nbm_key_is(members.key, "source") &&
			nbm_get(values[NBM_BASE]->val.binary.data, "input", &input))
			members.values[NBM_BASE] = &input;
		pairs[count].key = members.key;
		if (nbm_merge_value(merging, &path, members.values,
							&pairs[count].value))
			count++;
	}
	if (is_cell)
		add_run_members(values[outputs_from(values, pairs, count)], pairs,
						&count);
	nbm_merge_object(pairs, count, result);
}

/* Do two values of metadata differ only in the times of a run? */
static bool
only_times_differ(const JsonbValue *a, const JsonbValue *b)
{
	NbmWords	paths = {0};

	if (!nbm_is_object(a) || !nbm_is_object(b))
		return false;
	nbm_differing_paths(a->val.binary.data, b->val.binary.data, run_times,
						&paths);
	return paths.count == 1 && strcmp(paths.items[0], run_times[0]) == 0;
}

/*
 * Is this member the source of the cells that have it?  Beside "source" an
 * "input" is a member like any other.
 */
static bool
is_source(const NbmMergeMembers *members)
{
	JsonbValue	value;

	if (nbm_key_is(members->key, "source"))
		return true;
	if (!nbm_key_is(members->key, "input"))
		return false;
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		if (members->values[s] != NULL &&
			nbm_get(members->objects[s], "source", &value))
			return false;
	return true;
}

/*
 * Is an item the same but for its ids, its outputs, execution count and times
 * of a run, and the form of its source?  Both are cores.
 */
bool
nbm_item_untouched(const NbmKind *kind, JsonbContainer *before,
				   JsonbContainer *after)
{
	JsonbValue	cores[2];
	const JsonbValue *values[NBM_MERGE_SIDES] = {&cores[0], &cores[1], NULL};
	NbmMergeMembers members;

	cores[0].type = cores[1].type = jbvBinary;
	cores[0].val.binary.data = before;
	cores[1].val.binary.data = after;
	nbm_members_open(&members, values);
	while (nbm_members_next(&members))
	{
		const JsonbValue *old = members.values[0];
		const JsonbValue *new = members.values[1];

		if (old != NULL && new != NULL && nbm_value_eq(old, new))
			continue;
		if (kind == &nbm_notebook && nbm_key_is(members.key, "metadata") &&
			old != NULL && new != NULL && only_times_differ(old, new))
			continue;
		if (kind == &nbm_workflow || !is_source(&members))
			return false;
	}
	return kind == &nbm_workflow ||
		nbm_text_eq(nbm_item_source(kind, before),
					nbm_item_source(kind, after));
}
