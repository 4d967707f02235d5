/*
 * merge_values.c
 *		Merging three versions of a JSON value, and noting conflicts.
 *
 * What both sides have equal, byte for byte, or what only one side changed,
 * is taken as it is.  Where both changed it, objects are merged member by
 * member, texts by lines, and everything else, arrays among it, is one value
 * and a conflict.  A member that is not there is a value like others.  What
 * is a text, and what never conflicts, the caller says by a rule.
 *
 * Values are pointers to JsonbValue, indexed by NbmMergeSide, NULL for what is
 * not there.  Results point into the documents or to new memory of the
 * current context.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "document.h"
#include "merge_values.h"
#include "paths.h"

/* Starts walking through the members of three values; no object, no members. */
void
nbm_members_open(NbmMergeMembers *members, const JsonbValue *const *values)
{
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		bool		is_object = values[s] != NULL && nbm_is_object(values[s]);

		members->objects[s] = is_object ? values[s]->val.binary.data : NULL;
		members->next[s] = 0;
	}
}

/* Goes to the next member that any of the objects has; false at the end. */
bool
nbm_members_next(NbmMergeMembers *members)
{
	NbmText		keys[NBM_MERGE_SIDES];
	bool		found = false;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		JsonbContainer *object = members->objects[s];

		keys[s].str = NULL;
		if (object == NULL || members->next[s] == JsonContainerSize(object))
			continue;
		nbm_member(object, members->next[s], &keys[s], &members->space[s]);
		if (!found || nbm_key_cmp(keys[s], members->key) < 0)
			members->key = keys[s];
		found = true;
	}
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		bool		has = found && keys[s].str != NULL &&
		nbm_text_eq(keys[s], members->key);

		members->values[s] = has ? &members->space[s] : NULL;
		members->next[s] += has;
	}
	return found;
}

/* Room for as many members as the merged object can have. */
NbmPair *
nbm_members_pairs(const NbmMergeMembers *members)
{
	Size		count = 1;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		if (members->objects[s] != NULL)
			count += JsonContainerSize(members->objects[s]);
	return nbm_new_array(NbmPair, count);
}

/*
 * Makes a value an object of these members, which it sorts.  It is copied out
 * of a writer's buffer that is half empty: of small objects there can be many.
 */
void
nbm_merge_object(NbmPair *pairs, int count, JsonbValue *result)
{
	NbmWriter	w;
	Jsonb	   *object;

	nbm_writer_init(&w, 0);
	nbm_writer_object(&w, pairs, count);
	object = nbm_writer_finish(&w);
	nbm_set_jsonb(result, object);
	if (w.buf.len > w.buf.maxlen / 2)
		return;
	nbm_set_jsonb(result, nbm_value_to_jsonb(result));
	pfree(object);
}

/* Are both not there, or equal byte for byte? */
static bool
same_value(const JsonbValue *a, const JsonbValue *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return nbm_value_eq(a, b);
}

/*
 * Takes the value where at most one side changed it, or both changed it
 * equally; *result may be NULL.  False where both changed it differently.
 */
bool
nbm_merge_resolve(const JsonbValue *const *values, const JsonbValue **result)
{
	*result = values[NBM_OURS];
	if (same_value(values[NBM_OURS], values[NBM_THEIRS]) ||
		same_value(values[NBM_BASE], values[NBM_THEIRS]))
		return true;
	*result = values[NBM_THEIRS];
	return same_value(values[NBM_BASE], values[NBM_OURS]);
}

/* Adds the names of a place, outermost first, to a JSON path. */
static void
append_path(StringInfo buf, const NbmMergePath *path)
{
	check_stack_depth();
	if (path == NULL)
		return;
	append_path(buf, path->up);
	nbm_path_append(buf, path->name);
}

/* The JSON path of a place, newly allocated, and no larger than it must be. */
static char *
path_text(const NbmMerging *merging, const NbmMergePath *path)
{
	StringInfoData buf;
	char	   *result;

	initStringInfo(&buf);
	appendStringInfoString(&buf, merging->prefix);
	append_path(&buf, path);
	result = pnstrdup(buf.data, buf.len);
	pfree(buf.data);
	return result;
}

/* Whose value content has where there is a conflict and no marking. */
NbmTaken
nbm_merge_winner(const NbmMerging *merging)
{
	return merging->strategy == NBM_STRATEGY_THEIRS ? NBM_TAKEN_THEIRS :
		NBM_TAKEN_OURS;
}

/*
 * Notes a conflict, whose path is newly allocated.  What is returned can be
 * changed until the next one is noted.
 */
NbmConflict *
nbm_merge_note(NbmMerging *merging, NbmConflictKind kind, char *path,
			   const JsonbValue *const *values)
{
	NbmConflict *conflict;

	if (merging->count == merging->room)
	{
		merging->room = Max(8, merging->room * 2);
		if (merging->conflicts == NULL)
			merging->conflicts = nbm_new_array(NbmConflict, merging->room);
		else
			merging->conflicts = repalloc_huge(merging->conflicts,
											   mul_size(sizeof(NbmConflict),
														merging->room));
	}
	conflict = &merging->conflicts[merging->count++];
	conflict->kind = kind;
	conflict->path = path;
	conflict->taken = nbm_merge_winner(merging);
	conflict->lines = NULL;
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		conflict->values[s].type = jbvNull;
		if (values[s] != NULL)
			conflict->values[s] = *values[s];
	}
	return conflict;
}

/* Notes a conflict of whole values, and takes the winner's. */
static bool
conflict_of_values(NbmMerging *merging, NbmConflictKind kind,
				   const NbmMergePath *path, const JsonbValue *const *values,
				   JsonbValue *result)
{
	NbmMergeSide side = nbm_merge_winner(merging) == NBM_TAKEN_OURS ?
	NBM_OURS : NBM_THEIRS;

	nbm_merge_note(merging, kind, path_text(merging, path), values);
	if (values[side] == NULL)
		return false;
	*result = *values[side];
	return true;
}

/* Can a value be merged by lines under this rule?  Nothing can. */
static bool
is_text(const JsonbValue *value, NbmMergeRule rule)
{
	if (value == NULL || value->type == jbvString)
		return true;
	if (rule != NBM_RULE_SOURCE || !nbm_is_array(value))
		return false;
	for (int i = 0; i < JsonContainerSize(value->val.binary.data); i++)
	{
		JsonbValue	line;

		nbm_element(value->val.binary.data, i, &line);
		if (line.type != jbvString)
			return false;
	}
	return true;
}

/* The text of a value that is_text(); "" for nothing. */
NbmText
nbm_merge_text_of(const JsonbValue *value)
{
	NbmText		none = {"", 0};

	return value == NULL ? none : nbm_multiline_text(value);
}

/* Makes a value an array of the lines of a text, each with its line feed. */
static void
set_lines(JsonbValue *value, NbmText joined)
{
	NbmLines	lines = nbm_lines_split(joined.str, joined.len);
	int			count = lines.count;
	NbmWriter	w;

	/* a text that ends with a line feed has no line behind it here */
	if (count > 0 && nbm_line_length(&lines, count - 1) == 0)
		count--;
	nbm_writer_init(&w, joined.len);
	nbm_writer_begin_array(&w, count);
	for (int i = 0; i < count; i++)
	{
		int			end = i + 1 < lines.count ? lines.start[i + 1] : joined.len;
		NbmText		line = {joined.str + lines.start[i], end - lines.start[i]};
		JsonbValue	string;

		nbm_set_string(&string, line);
		nbm_writer_value(&w, &string);
	}
	nbm_writer_end(&w);
	nbm_set_jsonb(value, nbm_writer_finish(&w));
}

/* Merges three texts by lines, and notes where they conflict. */
static NbmText
merge_texts(NbmMerging *merging, const NbmMergePath *path,
			const JsonbValue *const *values, const NbmText *texts)
{
	NbmLines	lines[NBM_MERGE_SIDES];
	JsonbValue	strings[NBM_MERGE_SIDES];
	const JsonbValue *noted[NBM_MERGE_SIDES];
	NbmTaken	taken = merging->strategy == NBM_STRATEGY_MARK ?
	NBM_TAKEN_MARKED : nbm_merge_winner(merging);
	NbmLineMerge *merge;
	NbmConflict *conflict;
	NbmText		merged;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
	{
		lines[s] = nbm_lines_split(texts[s].str, texts[s].len);
		nbm_set_string(&strings[s], texts[s]);
		noted[s] = values[s] == NULL ? NULL : &strings[s];
	}
	merge = nbm_merge_lines(lines);
	merged.str = nbm_merge_lines_text(merge, taken, &merged.len);
	if (merge->nconflicts > 0)
	{
		conflict = nbm_merge_note(merging, NBM_CONFLICT_SOURCE,
								  path_text(merging, path), noted);
		conflict->taken = taken;
		conflict->lines = merge;
	}
	return merged;
}

/*
 * Merges texts that both sides changed, be it the text or only its form.  The
 * result has the form of ours, if ours has the text at all.
 */
static bool
merge_text(NbmMerging *merging, const NbmMergePath *path,
		   const JsonbValue *const *values, JsonbValue *result)
{
	const JsonbValue *ours = values[NBM_OURS];
	const JsonbValue *form = ours != NULL ? ours : values[NBM_THEIRS];
	NbmText		texts[NBM_MERGE_SIDES];
	NbmText		merged;

	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		texts[s] = nbm_merge_text_of(values[s]);
	if (nbm_text_eq(texts[NBM_OURS], texts[NBM_THEIRS]) ||
		nbm_text_eq(texts[NBM_BASE], texts[NBM_THEIRS]))
	{
		if (ours != NULL)
			*result = *ours;
		return ours != NULL;
	}
	if (nbm_text_eq(texts[NBM_BASE], texts[NBM_OURS]))
		merged = texts[NBM_THEIRS];
	else
		merged = merge_texts(merging, path, values, texts);
	if (merged.len == 0 && ours == NULL)
		return false;
	if (form->type == jbvString)
		nbm_set_string(result, merged);
	else
		set_lines(result, merged);
	return true;
}

/* Is a merged value an object that was put together, not one side's? */
static bool
is_new_object(const JsonbValue *const *values, const JsonbValue *result)
{
	if (!nbm_is_object(result))
		return false;
	for (int s = 0; s < NBM_MERGE_SIDES; s++)
		if (values[s] != NULL && values[s]->type == jbvBinary &&
			values[s]->val.binary.data == result->val.binary.data)
			return false;
	return true;
}

/*
 * Merges objects that both sides changed, member by member.  What is new in a
 * member is copied and freed, for otherwise each level of a deep document
 * would hold all those below it.
 */
static void
merge_members(NbmMerging *merging, const NbmMergePath *path,
			  const JsonbValue *const *values, JsonbValue *result)
{
	NbmMergeMembers members;
	NbmPair    *pairs;
	void	  **fresh;
	int			nfresh = 0;
	int			count = 0;

	check_stack_depth();
	nbm_members_open(&members, values);
	pairs = nbm_members_pairs(&members);
	fresh = nbm_new_array(void *, JsonContainerSize(members.objects[NBM_OURS]));
	while (nbm_members_next(&members))
	{
		NbmMergePath place = {path, members.key};
		JsonbValue *value = &pairs[count].value;

		CHECK_FOR_INTERRUPTS();
		pairs[count].key = members.key;
		if (!nbm_merge_value(merging, &place, members.values, value))
			continue;
		if (is_new_object(members.values, value))
			fresh[nfresh++] = (char *) value->val.binary.data - VARHDRSZ;
		count++;
	}
	nbm_merge_object(pairs, count, result);
	while (nfresh > 0)
		pfree(fresh[--nfresh]);
	pfree(fresh);
	pfree(pairs);
}

/*
 * Merges three versions of the value at a place, at least one of which is
 * there.  False where the result has no such value.
 */
bool
nbm_merge_value(NbmMerging *merging, const NbmMergePath *path,
				const JsonbValue *const *values, JsonbValue *result)
{
	const JsonbValue *ours = values[NBM_OURS];
	const JsonbValue *theirs = values[NBM_THEIRS];
	NbmMergeRule rule = merging->rule(path);
	NbmConflictKind kind = merging->kind;
	const JsonbValue *taken;
	bool		is_clear = nbm_merge_resolve(values, &taken);

	if (!is_clear && rule == NBM_RULE_QUIET)
	{
		taken = ours;
		is_clear = true;
	}
	if (is_clear)
	{
		if (taken != NULL)
			*result = *taken;
		return taken != NULL;
	}
	if ((rule == NBM_RULE_TEXT || rule == NBM_RULE_SOURCE) &&
		is_text(values[NBM_BASE], rule) && is_text(ours, rule) &&
		is_text(theirs, rule))
		return merge_text(merging, path, values, result);
	if (rule == NBM_RULE_TYPE)
		kind = NBM_CONFLICT_TYPE;
	else if (ours != NULL && nbm_is_object(ours) &&
			 theirs != NULL && nbm_is_object(theirs))
	{
		merge_members(merging, path, values, result);
		return true;
	}
	return conflict_of_values(merging, kind, path, values, result);
}
