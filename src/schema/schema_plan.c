/*
 * schema_plan.c
 *		What is to be done, in which order, and why.
 *
 * A migration is satisfied where it is applied, where a squash that stands in
 * its place is, or where it is a squash all of whose parts are.  The squashes
 * none of whose parts are satisfied claim these: they are applied in their
 * place, the widest first where several could.  All others leave their parts
 * to be applied one by one.
 *
 * The graph of an up plan has every migration that is defined and not
 * applied.  A part that is claimed needs its squash, a squash that is passed
 * over needs its parts, so that what depends on either is in the right place.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "schema_graph.h"
#include "schema_plan.h"

/* Names that a reason lists, at most. */
#define LISTED 5

const char *const nbm_action_names[] = {
	[NBM_APPLY] = "apply",
	[NBM_REVERT] = "revert",
	[NBM_SKIP] = "skip",
	[NBM_BLOCKED] = "blocked"
};

/* What an up plan is made from. */
typedef struct Planner
{
	const NbmSchema *schema;
	int		   *claimed_by;		/* a squash that is applied instead, or -1 */
	bool	   *is_passed_over; /* a squash whose parts are applied instead */
	bool		claims;			/* all squashes do, or the target only */
	int			target;			/* or -1 */
	NbmNeed    *needs;
	int			nneeds;
	int			room;
	const char **missing;		/* what it needs and nobody defines, or NULL */
} Planner;

/* Some names, each in quotes; the first few of many. */
char *
nbm_quoted_names(const char *const *names, int count)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < Min(count, LISTED); i++)
		appendStringInfo(&buf, "%s\"%s\"", i > 0 ? ", " : "", names[i]);
	if (count > LISTED)
		appendStringInfo(&buf, " and %d more", count - LISTED);
	return buf.data;
}

/* Whether a squash can be applied in place of all its parts. */
static bool
is_fresh(Planner *planner, int squash)
{
	const NbmMigration *migration = &planner->schema->all[squash];

	for (int i = 0; i < migration->nreplaces; i++)
	{
		int			part = nbm_schema_find(planner->schema, migration->replaces[i]);

		if (planner->schema->all[part].is_satisfied || planner->claimed_by[part] >= 0)
			return false;
	}
	return true;
}

/* The order in which squashes claim their parts: the widest first. */
static int
compare_squashes(const void *a, const void *b, void *arg)
{
	const NbmSchema *schema = arg;
	int			x = *(const int *) a;
	int			y = *(const int *) b;
	int			wider = schema->all[y].nreplaces - schema->all[x].nreplaces;

	return wider != 0 ? wider : x - y;
}

/* Decides which squashes are applied in place of their parts. */
static void
claim(Planner *planner)
{
	const NbmSchema *schema = planner->schema;
	int		   *squashes = palloc_array(int, Max(schema->count, 1));
	int			count = 0;

	for (int i = 0; i < schema->count; i++)
	{
		planner->claimed_by[i] = -1;
		if (schema->all[i].nreplaces > 0 && !schema->all[i].is_satisfied)
			squashes[count++] = i;
	}
	qsort_arg(squashes, count, sizeof(int), compare_squashes, (void *) schema);
	for (int i = 0; i < count; i++)
	{
		const NbmMigration *squash = &schema->all[squashes[i]];

		if (planner->claimed_by[squashes[i]] >= 0)
			continue;
		if (!is_fresh(planner, squashes[i]))
		{
			planner->is_passed_over[squashes[i]] = true;
			continue;
		}
		if (!planner->claims && squashes[i] != planner->target)
			continue;
		for (int j = 0; j < squash->nreplaces; j++)
			planner->claimed_by[nbm_schema_find(schema, squash->replaces[j])] = squashes[i];
	}
}

/* Adds an edge. */
static void
add_need(Planner *planner, int node, int needs)
{
	if (node == needs)
		return;
	if (planner->nneeds == planner->room)
	{
		planner->room = Max(planner->room * 2, 64);
		planner->needs = planner->needs == NULL ?
			palloc_array(NbmNeed, planner->room) :
			repalloc_huge(planner->needs, sizeof(NbmNeed) * planner->room);
	}
	planner->needs[planner->nneeds].node = node;
	planner->needs[planner->nneeds++].needs = needs;
}

/* Adds the edge of a dependency, by name; notes it where it is missing. */
static void
add_dependency(Planner *planner, int node, const char *name)
{
	const NbmSchema *schema = planner->schema;
	int			other = nbm_schema_find(schema, name);

	if (other >= 0 && schema->all[other].is_satisfied)
		return;
	if (other >= 0 && planner->claimed_by[other] >= 0)
		other = planner->claimed_by[other];
	if (other >= 0 && schema->all[other].is_defined)
		add_need(planner, node, other);
	else if (planner->missing[node] == NULL)
		planner->missing[node] = name;
}

/* Adds the edges of all parts of a squash that is passed over. */
static void
add_parts_dependencies(Planner *planner, int node, const NbmMigration *squash)
{
	for (int i = 0; i < squash->nreplaces; i++)
	{
		int			part = nbm_schema_find(planner->schema, squash->replaces[i]);

		/* The parts of another such squash are parts of this one as well. */
		if (!planner->is_passed_over[part])
			add_dependency(planner, node, squash->replaces[i]);
	}
}

/*
 * Adds the edges of what a migration depends on.  A squash that is passed over
 * is none of them, its parts are: it would take a turn in the order.
 */
static void
add_dependencies(Planner *planner, int node, const NbmMigration *migration)
{
	for (int i = 0; i < migration->ndepends; i++)
	{
		int			other = nbm_schema_find(planner->schema, migration->depends_on[i]);

		if (other >= 0 && planner->is_passed_over[other])
			add_parts_dependencies(planner, node, &planner->schema->all[other]);
		else
			add_dependency(planner, node, migration->depends_on[i]);
	}
}

/*
 * Adds the edges of a migration that is not satisfied.  A squash that is
 * applied has those of its parts as well.
 */
static void
add_needs(Planner *planner, int node)
{
	const NbmSchema *schema = planner->schema;
	const NbmMigration *migration = &schema->all[node];

	if (planner->claimed_by[node] >= 0)
		add_need(planner, node, planner->claimed_by[node]);
	else if (planner->is_passed_over[node])
		add_parts_dependencies(planner, node, migration);
	else
	{
		add_dependencies(planner, node, migration);
		for (int i = 0; i < migration->nreplaces; i++)
		{
			int			part = nbm_schema_find(schema, migration->replaces[i]);

			add_dependencies(planner, node, &schema->all[part]);
		}
	}
}

/* Raises 55000 with the names of a cycle. */
static void
raise_cycle(const Planner *planner)
{
	const NbmSchema *schema = planner->schema;
	int		   *path = palloc_array(int, Max(schema->count, 1));
	int			length = nbm_graph_cycle(schema->count, planner->needs,
										 planner->nneeds, path);
	bool		has_squash = false;
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i <= length; i++)
	{
		const NbmMigration *migration = &schema->all[path[i % length]];

		appendStringInfo(&buf, "%s\"%s\"", i > 0 ? " -> " : "",
						 migration->name);
		has_squash = has_squash || migration->nreplaces > 0;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("schema migrations depend on each other in a cycle: %s",
					buf.data),
			 !has_squash ? 0 :
			 errdetail("What depends on a part of a squash depends on the squash, and the squash on what its parts depend on."),
			 errhint("Register one of them again without the dependency.")));
}

/* Whether a node is one of a plan: it is defined, and not applied itself. */
static bool
is_pending(const NbmMigration *migration)
{
	return migration->is_defined && migration->applied == 0;
}

/*
 * Marks what a target needs, itself included, with what first needs it.
 * wanted_by is -1 for what is not needed.
 */
static void
mark_needed(int nodes, const NbmNeighbours *needed, int target, int *wanted_by)
{
	int		   *stack = palloc_array(int, Max(nodes, 1));
	int			depth = 0;

	for (int i = 0; i < nodes; i++)
		wanted_by[i] = -1;
	wanted_by[target] = target;
	stack[depth++] = target;
	while (depth > 0)
	{
		int			node = stack[--depth];

		for (int i = needed->first[node]; i < needed->first[node + 1]; i++)
		{
			int			other = needed->others[i];

			if (wanted_by[other] < 0)
			{
				wanted_by[other] = node;
				stack[depth++] = other;
			}
		}
	}
}

/* Why a migration is to be applied. */
static char *
apply_reason(const NbmSchema *schema, const NbmMigration *migration)
{
	char	   *state = migration->last_row < 0 ? NULL :
	nbm_schema_history_text(schema, migration->last_row, NBM_HISTORY_STATE);

	if (state != NULL && strcmp(state, "failed") == 0)
		return psprintf("failed before: %s",
						nbm_schema_history_text(schema, migration->last_row,
												NBM_HISTORY_MESSAGE));
	if (migration->nreplaces > 0)
		return psprintf("in place of %s",
						nbm_quoted_names((const char *const *) migration->replaces,
										 migration->nreplaces));
	return pstrdup(state == NULL ? "not applied yet" : "was undone");
}

/* What becomes of a node, and why; blocked_by is a node that it needs, or -1. */
static void
decide(Planner *planner, int node, int blocked_by, NbmStep *step)
{
	const NbmSchema *schema = planner->schema;
	const NbmMigration *migration = &schema->all[node];
	int			claimant = planner->claimed_by[node];

	step->migration = migration;
	step->action = NBM_SKIP;
	if (planner->missing[node] != NULL || blocked_by >= 0)
	{
		step->action = NBM_BLOCKED;
		step->reason = planner->missing[node] == NULL ?
			psprintf("it needs \"%s\", which is blocked",
					 schema->all[blocked_by].name) :
			planner->is_passed_over[node] ?
			psprintf("it replaces \"%s\", which is neither applied nor registered",
					 planner->missing[node]) :
			psprintf("it depends on \"%s\", which is not registered",
					 planner->missing[node]);
	}
	else if (migration->covered_by >= 0)
		step->reason = psprintf("was applied as part of \"%s\"",
								schema->all[migration->covered_by].name);
	else if (migration->is_satisfied)
		step->reason = psprintf("all that it replaces is applied: %s",
								nbm_quoted_names((const char *const *) migration->replaces,
												 migration->nreplaces));
	else if (claimant >= 0)
		step->reason = psprintf("\"%s\" is applied in its place",
								schema->all[claimant].name);
	else if (planner->is_passed_over[node])
		step->reason = pstrdup("some of what it replaces is applied, the rest is applied as it is");
	else
	{
		step->action = NBM_APPLY;
		step->reason = apply_reason(schema, migration);
	}
}

/* The first of those that a node needs that is blocked, or -1. */
static int
find_blocked(const Planner *planner, const NbmNeighbours *needed, int node,
			 const bool *is_blocked)
{
	for (int i = needed->first[node]; i < needed->first[node + 1]; i++)
	{
		if (is_blocked[needed->others[i]])
			return needed->others[i];
	}
	return -1;
}

/* Numbers in their order. */
static int
compare_numbers(const void *a, const void *b)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	return (x > y) - (x < y);
}

/* Makes a reason longer; a long plan has many, so nothing is left behind. */
static void
extend(char **reason, const char *how, const char *names)
{
	char	   *longer = psprintf("%s%s%s", *reason, how, names);

	pfree(*reason);
	*reason = longer;
}

/* Says of a reason after which migrations, each once.  Sorts them. */
static void
add_after(const NbmSchema *schema, int *numbers, int count, char **reason)
{
	const char **names = palloc_array(const char *, count);
	int			distinct = 0;
	char	   *quoted;

	qsort(numbers, count, sizeof(int), compare_numbers);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || numbers[i] != numbers[i - 1])
			names[distinct++] = schema->all[numbers[i]].name;
	}
	quoted = nbm_quoted_names(names, distinct);
	extend(reason, "; after ", quoted);
	pfree(quoted);
	pfree(names);
}

/* Puts the graph into order; the steps of what is wanted by the target. */
static NbmPlan *
order_steps(Planner *planner)
{
	const NbmSchema *schema = planner->schema;
	int			target = planner->target;
	int			nodes = schema->count;
	int		   *order = palloc_array(int, Max(nodes, 1));
	int		   *wanted_by = palloc_array(int, Max(nodes, 1));
	bool	   *is_blocked = palloc0_array(bool, Max(nodes, 1));
	NbmNeighbours needed = nbm_graph_neighbours(nodes, planner->needs,
												planner->nneeds, false);
	NbmPlan    *plan = palloc0(sizeof(NbmPlan));

	if (nbm_graph_order(nodes, planner->needs, planner->nneeds, order) < nodes)
		raise_cycle(planner);
	if (target >= 0)
		mark_needed(nodes, &needed, target, wanted_by);
	plan->steps = palloc0_array(NbmStep, Max(nodes, 1));
	for (int i = 0; i < nodes; i++)
	{
		int			node = order[i];
		int			blocked_by = find_blocked(planner, &needed, node, is_blocked);
		NbmStep    *step = &plan->steps[plan->count];

		is_blocked[node] = planner->missing[node] != NULL || blocked_by >= 0;
		if (!is_pending(&schema->all[node]) ||
			(target >= 0 && wanted_by[node] < 0))
			continue;
		plan->count++;
		decide(planner, node, blocked_by, step);
		if (step->action == NBM_APPLY && needed.first[node] < needed.first[node + 1])
			add_after(schema, needed.others + needed.first[node],
					  needed.first[node + 1] - needed.first[node], &step->reason);
		if (target >= 0 && node != target)
			step->reason = psprintf("%s; needed by \"%s\"", step->reason,
									schema->all[wanted_by[node]].name);
	}
	return plan;
}

/* Which migration a name is.  Raises 02000 where none is defined. */
static int
find_target(const NbmSchema *schema, const char *name)
{
	int			number = nbm_schema_find(schema, name);

	if (number < 0 || !(schema->all[number].is_defined ||
						schema->all[number].applied != 0))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("there is no schema migration \"%s\"", name)));
	return number;
}

/*
 * What is to be done to apply all migrations, or the target and what it
 * needs; with claims, squashes in the place of their parts, else no other than
 * the target itself.  Raises 55000 where there is a cycle, 02000 where there is
 * no target.
 */
NbmPlan *
nbm_plan_up(const NbmSchema *schema, const char *target, bool claims)
{
	Planner		planner = {.schema = schema,.claims = claims};
	int			room = Max(schema->count, 1);

	planner.target = target == NULL ? -1 : find_target(schema, target);
	planner.claimed_by = palloc_array(int, room);
	planner.is_passed_over = palloc0_array(bool, room);
	planner.missing = palloc0_array(const char *, room);
	claim(&planner);
	for (int i = 0; i < schema->count; i++)
	{
		if (is_pending(&schema->all[i]) && !schema->all[i].is_satisfied)
			add_needs(&planner, i);
	}
	return order_steps(&planner);
}

/* What is undone, and in which order. */
typedef struct Undoing
{
	const NbmSchema *schema;
	int		   *applied;		/* what is applied, the last one first */
	int			count;
	bool	   *is_undone;
	int		   *place;			/* of a migration in applied */
	int		   *kept_by;		/* what stays applied and needs it, or -1 */
} Undoing;

/* The order in which migrations were applied, the last one first. */
static int
compare_applied(const void *a, const void *b, void *arg)
{
	const NbmSchema *schema = arg;
	int64		x = schema->all[*(const int *) a].applied;
	int64		y = schema->all[*(const int *) b].applied;

	return (x < y) - (x > y);
}

/* The migration to be undone that a name stands for, or -1. */
static int
find_undone(const Undoing *undoing, const char *name)
{
	const NbmSchema *schema = undoing->schema;
	int			number = nbm_schema_find(schema, name);
	const NbmMigration *migration;

	if (number < 0)
		return -1;
	migration = &schema->all[number];
	if (migration->applied == 0 && migration->covered_by >= 0)
		number = migration->covered_by;
	if (schema->all[number].applied != 0)
		return undoing->is_undone[number] ? number : -1;
	/* A squash whose parts were applied. */
	for (int i = 0; i < migration->nreplaces; i++)
	{
		int			part = nbm_schema_find(schema, migration->replaces[i]);

		if (part >= 0 && schema->all[part].applied != 0 && undoing->is_undone[part])
			return part;
	}
	return -1;
}

/* The migration to be undone that an applied one needs, or -1. */
static int
find_needed(const Undoing *undoing, const NbmMigration *migration)
{
	for (int i = 0; i < migration->ndepends; i++)
	{
		int			needed = find_undone(undoing, migration->depends_on[i]);

		if (needed >= 0)
			return needed;
	}
	return -1;
}

/* Adds all that needs what is undone. */
static void
cascade_undoing(Undoing *undoing)
{
	bool		has_grown = true;

	while (has_grown)
	{
		has_grown = false;
		for (int i = undoing->count - 1; i >= 0; i--)
		{
			int			number = undoing->applied[i];

			if (!undoing->is_undone[number] &&
				find_needed(undoing, &undoing->schema->all[number]) >= 0)
				undoing->is_undone[number] = has_grown = true;
		}
	}
}

/* Why a migration cannot be undone, or NULL. */
static char *
undoing_obstacle(const Undoing *undoing, int number)
{
	const NbmMigration *migration = &undoing->schema->all[number];

	if (!migration->is_defined)
		return pstrdup("it is no longer defined");
	if (!migration->has_down)
		return pstrdup("it has no down script");
	if (undoing->kept_by[number] >= 0)
		return psprintf("it is needed by \"%s\", which is applied",
						undoing->schema->all[undoing->kept_by[number]].name);
	return NULL;
}

/* The steps: the last one applied first, each behind what depends on it. */
static NbmPlan *
undoing_steps(const Undoing *undoing)
{
	const NbmSchema *schema = undoing->schema;
	NbmPlan    *plan = palloc0(sizeof(NbmPlan));
	int		   *order = palloc_array(int, Max(undoing->count, 1));
	NbmNeed    *needs;
	int			nneeds = 0;
	int			room = 0;

	for (int i = 0; i < undoing->count; i++)
		room += schema->all[undoing->applied[i]].ndepends;
	needs = palloc_extended(sizeof(NbmNeed) * Max(room, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < undoing->count; i++)
	{
		const NbmMigration *migration = &schema->all[undoing->applied[i]];

		for (int j = 0; j < migration->ndepends; j++)
		{
			int			needed = find_undone(undoing, migration->depends_on[j]);

			if (needed < 0 || undoing->place[needed] == i)
				continue;
			needs[nneeds].node = undoing->place[needed];
			needs[nneeds++].needs = i;
		}
	}
	if (nbm_graph_order(undoing->count, needs, nneeds, order) < undoing->count)
		for (int i = 0; i < undoing->count; i++)
			order[i] = i;		/* definitions changed: history's order */
	plan->steps = palloc0_array(NbmStep, Max(undoing->count, 1));
	for (int i = 0; i < undoing->count; i++)
	{
		int			number = undoing->applied[order[i]];
		NbmStep    *step = &plan->steps[plan->count];

		if (!undoing->is_undone[number])
			continue;
		plan->count++;
		step->migration = &schema->all[number];
		step->reason = undoing_obstacle(undoing, number);
		step->action = step->reason == NULL ? NBM_REVERT : NBM_BLOCKED;
		if (step->reason == NULL)
			step->reason = pstrdup(plan->count == 1 ? "was applied last" :
								   "was applied before");
	}
	return plan;
}

/*
 * What is to be done to undo the last migrations, as many as steps, or all
 * from the last one back to the target; with cascade, all that depends on
 * them as well.  Raises 02000 where there is no target, 55000 where it is
 * not applied.
 */
NbmPlan *
nbm_plan_down(const NbmSchema *schema, const char *target, int steps,
			  bool cascade)
{
	Undoing		undoing = {.schema = schema};
	int			last = target == NULL ? -1 : find_target(schema, target);

	if (last >= 0 && schema->all[last].applied == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema migration \"%s\" is not applied", target),
				 schema->all[last].covered_by < 0 ? 0 :
				 errhint("Its squash \"%s\" is.",
						 schema->all[schema->all[last].covered_by].name)));
	undoing.applied = palloc_array(int, Max(schema->count, 1));
	undoing.is_undone = palloc0_array(bool, Max(schema->count, 1));
	undoing.place = palloc0_array(int, Max(schema->count, 1));
	for (int i = 0; i < schema->count; i++)
	{
		if (schema->all[i].applied != 0)
			undoing.applied[undoing.count++] = i;
	}
	qsort_arg(undoing.applied, undoing.count, sizeof(int), compare_applied,
			  (void *) schema);
	for (int i = 0; i < undoing.count; i++)
	{
		int			number = undoing.applied[i];

		undoing.place[number] = i;
		undoing.is_undone[number] = last < 0 ? i < steps :
			schema->all[number].applied >= schema->all[last].applied;
	}
	if (cascade)
		cascade_undoing(&undoing);
	undoing.kept_by = palloc_array(int, Max(schema->count, 1));
	for (int i = 0; i < schema->count; i++)
		undoing.kept_by[i] = -1;
	for (int i = 0; i < undoing.count; i++)
	{
		int			number = undoing.applied[i];
		int			needed = undoing.is_undone[number] ? -1 :
		find_needed(&undoing, &schema->all[number]);

		if (needed >= 0)
			undoing.kept_by[needed] = number;
	}
	return undoing_steps(&undoing);
}

/* The state of a migration, and what else is to be said of it, or NULL. */
const char *
nbm_migration_state(const NbmSchema *schema, int number, char **note)
{
	const NbmMigration *migration = &schema->all[number];
	char	   *last = migration->last_row < 0 ? NULL :
	nbm_schema_history_text(schema, migration->last_row, NBM_HISTORY_STATE);

	*note = NULL;
	if (migration->applied != 0)
	{
		*note = nbm_schema_history_text(schema, migration->applied_row, NBM_HISTORY_NOTE);
		if (strcmp(last, "failed") == 0 &&
			strcmp(nbm_schema_history_text(schema, migration->last_row, NBM_HISTORY_DIRECTION), "down") == 0)
			*note = psprintf("could not be undone: %s",
							 nbm_schema_history_text(schema, migration->last_row,
													 NBM_HISTORY_MESSAGE));
		if (migration->has_changed)
			*note = pstrdup("its text was changed since");
		return !migration->is_defined ? "missing" :
			migration->is_baseline ? "baseline" : "applied";
	}
	if (migration->covered_by >= 0)
	{
		*note = psprintf("applied as part of \"%s\"",
						 schema->all[migration->covered_by].name);
		return "replaced";
	}
	if (migration->is_satisfied)
	{
		*note = psprintf("all that it replaces is applied: %s",
						 nbm_quoted_names((const char *const *) migration->replaces,
										  migration->nreplaces));
		return "replaced";
	}
	if (last != NULL && strcmp(last, "failed") == 0)
	{
		*note = psprintf("%s: %s",
						 nbm_schema_history_text(schema, migration->last_row, NBM_HISTORY_SQLSTATE),
						 nbm_schema_history_text(schema, migration->last_row, NBM_HISTORY_MESSAGE));
		return "failed";
	}
	return last == NULL ? "pending" : "reverted";
}
