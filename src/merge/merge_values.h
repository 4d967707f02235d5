/*
 * merge_values.h
 *		Merging three versions of a JSON value, and noting conflicts.
 *
 * A plain algorithm over jsonb bytes; merge_values.c explains it.
 */
#ifndef NBM_MERGE_VALUES_H
#define NBM_MERGE_VALUES_H

#include "jsonb_bytes.h"
#include "merge_lines.h"

/* What to do where both sides changed the same thing differently. */
typedef enum NbmMergeStrategy
{
	NBM_STRATEGY_CONFLICT,		/* content has ours */
	NBM_STRATEGY_MARK,			/* texts have both, between markers */
	NBM_STRATEGY_OURS,
	NBM_STRATEGY_THEIRS
} NbmMergeStrategy;

/* What a conflict is about. */
typedef enum NbmConflictKind
{
	NBM_CONFLICT_SOURCE,
	NBM_CONFLICT_DELETED,
	NBM_CONFLICT_TYPE,
	NBM_CONFLICT_METADATA,		/* any other member of an item */
	NBM_CONFLICT_POSITION,
	NBM_CONFLICT_DOCUMENT		/* a member of the envelope */
} NbmConflictKind;

/* A conflict that was found; it points into the documents or new memory. */
typedef struct NbmConflict
{
	NbmConflictKind kind;
	char	   *path;			/* JSON path */
	JsonbValue	values[NBM_MERGE_SIDES];	/* jbvNull where there is none */
	NbmTaken	taken;
	NbmLineMerge *lines;		/* NULL but for texts */
} NbmConflict;

/* How a value at some place is merged. */
typedef enum NbmMergeRule
{
	NBM_RULE_MEMBERS,			/* objects by members, all else as a whole */
	NBM_RULE_QUIET,				/* as a whole, ours where both changed it */
	NBM_RULE_TEXT,				/* a string by lines */
	NBM_RULE_SOURCE,			/* a string or an array of lines, by lines */
	NBM_RULE_TYPE				/* as a whole, a conflict is of kind type */
} NbmMergeRule;

/* A place inside what is being merged, from the innermost name outwards. */
typedef struct NbmMergePath
{
	const struct NbmMergePath *up;	/* NULL: the outermost */
	NbmText		name;
} NbmMergePath;

/* A merge in progress. */
typedef struct NbmMerging
{
	NbmMergeStrategy strategy;
	const char *prefix;			/* JSON path of what is being merged now */
	NbmConflictKind kind;		/* what its conflicts are about */
	NbmMergeRule (*rule) (const NbmMergePath *path);
	NbmConflict *conflicts;
	int			count;
	int			room;
} NbmMerging;

/* The members of three objects side by side, in key order. */
typedef struct NbmMergeMembers
{
	NbmText		key;
	const JsonbValue *values[NBM_MERGE_SIDES];	/* NULL: has none */
	JsonbContainer *objects[NBM_MERGE_SIDES];	/* NULL: no object */
	int			next[NBM_MERGE_SIDES];
	JsonbValue	space[NBM_MERGE_SIDES];
} NbmMergeMembers;

/* A new array of the current context, not set, which may be of more than 1 GB. */
#define nbm_new_array(type, count) \
	((type *) palloc_extended(mul_size(sizeof(type), Max(count, 1)), \
							  MCXT_ALLOC_HUGE))

extern void nbm_members_open(NbmMergeMembers *members,
							 const JsonbValue *const *values);
extern bool nbm_members_next(NbmMergeMembers *members);
extern NbmPair *nbm_members_pairs(const NbmMergeMembers *members);

extern bool nbm_merge_resolve(const JsonbValue *const *values,
							  const JsonbValue **result);
extern bool nbm_merge_value(NbmMerging *merging, const NbmMergePath *path,
							const JsonbValue *const *values,
							JsonbValue *result);
extern NbmConflict *nbm_merge_note(NbmMerging *merging, NbmConflictKind kind,
								   char *path,
								   const JsonbValue *const *values);
extern NbmTaken nbm_merge_winner(const NbmMerging *merging);
extern void nbm_merge_object(NbmPair *pairs, int count, JsonbValue *result);
extern NbmText nbm_merge_text_of(const JsonbValue *value);

#endif							/* NBM_MERGE_VALUES_H */
