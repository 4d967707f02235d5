/*
 * json_patch.c
 *		JSON Patch (RFC 6902): patches applied to jsonb, one or a chain.
 *
 * The operations are done one by one on a tree (json_tree.c).  Where one
 * cannot be done, the failure names its number, counted from 0, and its path:
 * "operation 3 (replace /operators/1/x): ...".
 *
 * Where the RFC leaves something open: members that an operation does not
 * have are ignored; of members of the same name jsonb has kept the last; the
 * whole document can be replaced, but not removed, and not moved anywhere.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "json_patch.h"

/* An operation being read and done. */
typedef struct Operation
{
	NbmTree    *tree;
	JsonbContainer *members;	/* of the operation */
	NbmPointer	path;
	NbmPointer	from;			/* for those that have it */
	JsonbValue	value;			/* likewise */
	NbmFailure *failure;
} Operation;

/* A kind of operation, and which members it needs besides op and path. */
typedef struct OperationKind
{
	const char *name;
	bool		has_from;
	bool		has_value;
	bool		(*run) (Operation *op);
} OperationKind;

/* Notes that what stands that many tokens deep becomes too deep. */
static bool
fail_depth(Operation *op)
{
	nbm_fail(op->failure, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
			 "the document would be nested deeper than %d levels",
			 NBM_MAX_DEPTH);
	return false;
}

/* Is there room in depth for a value, or a node, at the operation's path? */
static bool
check_depth(Operation *op, NbmNode *node, const JsonbValue *value)
{
	NbmPlace	place = {node};
	int			limit = NBM_MAX_DEPTH - op->path.count;

	if (value != NULL)
		place.value = *value;
	if (nbm_node_depth(&place, limit) > limit)
		return fail_depth(op);
	return true;
}

/* add: a value before an element, behind the last, or as a member. */
static bool
run_add(Operation *op)
{
	return check_depth(op, NULL, &op->value) &&
		nbm_tree_add(op->tree, &op->path, nbm_tree_take(op->tree, &op->value),
					 op->failure);
}

/* replace: a value in the place of another. */
static bool
run_replace(Operation *op)
{
	return check_depth(op, NULL, &op->value) &&
		nbm_tree_replace(op->tree, &op->path,
						 nbm_tree_take(op->tree, &op->value), op->failure);
}

/* remove: takes a value away. */
static bool
run_remove(Operation *op)
{
	return nbm_tree_remove(op->tree, &op->path, op->failure) != NULL;
}

/* test: is a value equal to the one given? */
static bool
run_test(Operation *op)
{
	NbmPlace	place;

	if (!nbm_tree_find(op->tree, &op->path, &place, op->failure))
		return false;
	if (nbm_node_equals(&place, &op->value))
		return true;
	nbm_fail(op->failure, ERRCODE_DATA_EXCEPTION,
			 "the value is not equal to the one tested for");
	return false;
}

/* Finds what an operation's from leads to; false, with the reason, if nothing. */
static bool
find_from(Operation *op, NbmPlace *place)
{
	if (nbm_tree_find(op->tree, &op->from, place, op->failure))
		return true;
	nbm_fail(op->failure, op->failure->sqlstate, "member \"from\": %s",
			 op->failure->message);
	return false;
}

/* copy: adds a value that stands somewhere else, too. */
static bool
run_copy(Operation *op)
{
	NbmPlace	place;
	NbmNode    *node;

	if (!find_from(op, &place))
		return false;
	node = nbm_tree_copy(op->tree, &place);
	return (op->path.count <= op->from.count ||
			check_depth(op, node, NULL)) &&
		nbm_tree_add(op->tree, &op->path, node, op->failure);
}

/* move: takes a value away and adds it somewhere else, not inside of itself. */
static bool
run_move(Operation *op)
{
	NbmPlace	place;
	NbmNode    *node;

	if (nbm_pointer_is_inside(&op->path, &op->from))
	{
		nbm_fail(op->failure, ERRCODE_INVALID_PARAMETER_VALUE,
				 "a value cannot be moved into itself");
		return false;
	}
	if (op->from.count == 0)
		return true;			/* the document to where it is */
	if (!find_from(op, &place))
		return false;
	node = nbm_tree_remove(op->tree, &op->from, op->failure);
	return node != NULL &&
		(op->path.count <= op->from.count || check_depth(op, node, NULL)) &&
		nbm_tree_add(op->tree, &op->path, node, op->failure);
}

static const OperationKind operation_kinds[] = {
	{"add", false, true, run_add},
	{"copy", true, false, run_copy},
	{"move", true, false, run_move},
	{"remove", false, false, run_remove},
	{"replace", false, true, run_replace},
	{"test", false, true, run_test},
};

/* Reads a member that must be a string; false, with the reason, if not. */
static bool
read_string(Operation *op, const char *name, NbmText *string)
{
	JsonbValue	value;

	if (!nbm_get(op->members, name, &value))
		nbm_fail(op->failure, ERRCODE_INVALID_PARAMETER_VALUE,
				 "member \"%s\" is missing", name);
	else if (value.type != jbvString)
		nbm_fail(op->failure, ERRCODE_INVALID_PARAMETER_VALUE,
				 "member \"%s\" must be a string", name);
	else
	{
		*string = nbm_text_of(&value);
		return true;
	}
	return false;
}

/* Reads a member that must be a JSON Pointer. */
static bool
read_pointer(Operation *op, const char *name, NbmPointer *pointer)
{
	NbmText		string;
	const char *wrong;

	if (!read_string(op, name, &string))
		return false;
	wrong = nbm_pointer_parse(string, pointer);
	if (wrong != NULL)
		nbm_fail(op->failure, ERRCODE_INVALID_PARAMETER_VALUE,
				 "member \"%s\" %s", name, wrong);
	return wrong == NULL;
}

/* Reads an operation and does it. */
static bool
run_operation(Operation *op)
{
	NbmText		name;

	if (!read_string(op, "op", &name))
		return false;
	for (int i = 0; i < lengthof(operation_kinds); i++)
	{
		const OperationKind *kind = &operation_kinds[i];

		if (!nbm_key_is(name, kind->name))
			continue;
		if (!read_pointer(op, "path", &op->path) ||
			(kind->has_from && !read_pointer(op, "from", &op->from)))
			return false;
		if (kind->has_value && !nbm_get(op->members, "value", &op->value))
		{
			nbm_fail(op->failure, ERRCODE_INVALID_PARAMETER_VALUE,
					 "member \"value\" is missing");
			return false;
		}
		return kind->run(op);
	}
	nbm_fail(op->failure, ERRCODE_INVALID_PARAMETER_VALUE,
			 "there is no operation \"%s\"", nbm_clip(name));
	return false;
}

/* Which operation a failure is of: its number, and op and path if it has any. */
static char *
operation_title(const Operation *op, int number)
{
	NbmText		name;
	NbmText		path;
	bool		has_name;
	bool		has_path;

	if (op->members == NULL)
		return psprintf("operation %d", number);
	has_name = nbm_get_string(op->members, "op", &name);
	has_path = nbm_get_string(op->members, "path", &path);
	if (!has_name && !has_path)
		return psprintf("operation %d", number);
	return psprintf("operation %d (%s %s)", number,
					has_name ? nbm_clip(name) : "?",
					!has_path ? "?" : path.len == 0 ? "\"\"" : nbm_clip(path));
}

/* Does the operation that is element number of a patch; fills op for errors. */
static bool
apply_operation(Operation *op, JsonbContainer *patch, int number)
{
	JsonbValue	element;

	nbm_element(patch, number, &element);
	if (nbm_is_object(&element))
	{
		op->members = element.val.binary.data;
		return run_operation(op);
	}
	nbm_fail(op->failure, ERRCODE_INVALID_PARAMETER_VALUE,
			 "it must be an object");
	return false;
}

/*
 * Begins to patch a document, which is pointed to and must live as long.  All
 * memory is of the current context.  Raises 54000 where it is too deep.
 */
NbmPatching *
nbm_patch_open(Jsonb *target)
{
	NbmPatching *patching = palloc(sizeof(NbmPatching));

	if (nbm_depth(&target->root, NBM_MAX_DEPTH) > NBM_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the document is nested deeper than %d levels",
						NBM_MAX_DEPTH)));
	patching->tree = nbm_tree_open(target);
	patching->scratch = AllocSetContextCreate(CurrentMemoryContext,
											  "notebook_migrate json patch",
											  ALLOCSET_DEFAULT_SIZES);
	return patching;
}

/*
 * Applies a patch, which may be freed afterwards.  False, with the reason in
 * the current context, where it cannot be applied: then the document must not
 * be used any more.
 */
bool
nbm_patch_apply(NbmPatching *patching, Jsonb *patch, NbmFailure *failure)
{
	MemoryContext outer = CurrentMemoryContext;

	if (!JB_ROOT_IS_ARRAY(patch) || JB_ROOT_IS_SCALAR(patch))
	{
		nbm_fail(failure, ERRCODE_INVALID_PARAMETER_VALUE,
				 "a JSON Patch must be an array of operations");
		return false;
	}
	for (int i = 0; i < JB_ROOT_COUNT(patch); i++)
	{
		Operation	op = {patching->tree};
		bool		done;

		CHECK_FOR_INTERRUPTS();
		op.failure = failure;
		MemoryContextSwitchTo(patching->scratch);
		done = apply_operation(&op, &patch->root, i);
		MemoryContextSwitchTo(outer);
		if (!done)
		{
			nbm_fail(failure, failure->sqlstate, "%s: %s",
					 operation_title(&op, i), failure->message);
			return false;
		}
		MemoryContextReset(patching->scratch);
		nbm_tree_trim(patching->tree);
	}
	return true;
}

/*
 * The document as it is now, new memory of the current context; it can be
 * patched further.  Raises 54000 where it is larger than jsonb can hold.
 */
Jsonb *
nbm_patch_finish(NbmPatching *patching)
{
	return nbm_tree_write(patching->tree);
}

/* Ends the patching of a document and frees what it took. */
void
nbm_patch_close(NbmPatching *patching)
{
	MemoryContextDelete(patching->scratch);
	MemoryContextDelete(patching->tree->context);
	pfree(patching->tree);
	pfree(patching);
}
