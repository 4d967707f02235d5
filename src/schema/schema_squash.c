/*
 * schema_squash.c
 *		One migration in place of several.
 *
 * A squash takes what stands between two migrations in the order in which all
 * would be applied to an empty database.  Between them nothing of what it
 * leaves out can be needed, so its parts can be applied at once.  What another
 * squash replaces is not in that order; the squash is.
 *
 * Its script is theirs, one behind the other, byte for byte, each behind a
 * comment that the runner knows.
 *
 * To check one, its parts are undone where they are applied, and what depends
 * on them; then they are applied one by one, the squash is applied instead,
 * and the two catalogs compared, and so what their downs leave.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "fingerprint.h"
#include "schema_definition.h"
#include "schema_graph.h"
#include "schema_rehearse.h"
#include "schema_script.h"
#include "schema_squash.h"

/* A squash that is being made. */
typedef struct Squash
{
	Oid			owner;
	const NbmSchema *schema;
	const char *name;
	int			own;			/* which of the schema's it is, or -1 */
	int		   *top;			/* what a migration is in the order; -1: it is
								 * not */
	int		   *order;			/* those that are, in their order */
	int			ordered;
	int		   *place;			/* of each in the order */
	NbmNeed    *needs;			/* between those in the order */
	int			nneeds;
	int			first;			/* the parts, by their place */
	int			last;
	NbmDefinition definition;
} Squash;

/* The order is one of these alone: squashes stand for their parts. */
static void
find_tops(Squash *squash)
{
	const NbmSchema *schema = squash->schema;
	int		   *replaced_by = palloc_array(int, Max(schema->count, 1));

	for (int i = 0; i < schema->count; i++)
		replaced_by[i] = -1;
	for (int i = 0; i < schema->count; i++)
	{
		const NbmMigration *migration = &schema->all[i];

		for (int j = 0; j < migration->nreplaces && i != squash->own; j++)
		{
			int			part = nbm_schema_find(schema, migration->replaces[j]);

			if (part >= 0)
				replaced_by[part] = i;
		}
	}
	squash->top = palloc_array(int, Max(schema->count, 1));
	for (int i = 0; i < schema->count; i++)
	{
		int			top = i;

		/* those that replace each other come to nothing */
		for (int steps = 0; replaced_by[top] >= 0 && steps < schema->count; steps++)
			top = replaced_by[top];
		squash->top[i] = schema->all[top].is_defined && top != squash->own &&
			replaced_by[top] < 0 ? top : -1;
	}
}

/* Finds what needs what. */
static void
find_needs(Squash *squash)
{
	const NbmSchema *schema = squash->schema;
	int			room = 0;

	for (int i = 0; i < schema->count; i++)
		room += schema->all[i].ndepends;
	squash->needs = palloc_array(NbmNeed, Max(room, 1));
	for (int i = 0; i < schema->count; i++)
	{
		const NbmMigration *migration = &schema->all[i];

		for (int j = 0; j < migration->ndepends && squash->top[i] >= 0; j++)
		{
			int			other = nbm_schema_find(schema, migration->depends_on[j]);
			NbmNeed    *need = &squash->needs[squash->nneeds];

			if (other < 0 || squash->top[other] < 0 ||
				squash->top[other] == squash->top[i])
				continue;
			need->node = squash->top[i];
			need->needs = squash->top[other];
			squash->nneeds++;
		}
	}
}

/* Puts all there is into its order.  Raises 55000 where it has none. */
static void
find_order(Squash *squash)
{
	const NbmSchema *schema = squash->schema;
	int		   *order = palloc_array(int, Max(schema->count, 1));

	find_tops(squash);
	find_needs(squash);
	if (nbm_graph_order(schema->count, squash->needs, squash->nneeds, order) <
		schema->count)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema migrations depend on each other in a cycle"),
				 errhint("notebook_migrate.schema_plan() tells which.")));
	squash->order = palloc_array(int, Max(schema->count, 1));
	squash->place = palloc_array(int, Max(schema->count, 1));
	for (int i = 0; i < schema->count; i++)
	{
		squash->place[order[i]] = -1;
		if (squash->top[order[i]] != order[i])
			continue;
		squash->place[order[i]] = squash->ordered;
		squash->order[squash->ordered++] = order[i];
	}
}

/* The migration at a place of the order. */
static const NbmMigration *
at_place(const Squash *squash, int place)
{
	return &squash->schema->all[squash->order[place]];
}

/* Is a migration one of the parts, or of what they replace? */
static bool
is_part(const Squash *squash, int number)
{
	int			place = squash->top[number] < 0 ? -1 :
	squash->place[squash->top[number]];

	return place >= squash->first && place <= squash->last;
}

/* The place of one of the ends.  Raises 02000 or 22023 where it has none. */
static int
find_end(const Squash *squash, const char *name)
{
	int			number = nbm_schema_find(squash->schema, name);

	if (number < 0 || !squash->schema->all[number].is_defined)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("there is no schema migration \"%s\"", name)));
	if (number == squash->own)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema migration \"%s\" cannot be a part of itself",
						name)));
	if (squash->place[number] < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema migration \"%s\" is replaced by another one",
						name),
				 squash->top[number] < 0 ? 0 :
				 errhint("Use \"%s\", which stands in its place.",
						 squash->schema->all[squash->top[number]].name)));
	return squash->place[number];
}

/* Finds the parts.  Raises 22023 or 55000 where they are none. */
static void
find_parts(Squash *squash, const char *from, const char *to)
{
	squash->first = find_end(squash, from);
	squash->last = find_end(squash, to);
	if (squash->first > squash->last)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema migration \"%s\" is applied after \"%s\"",
						from, to),
				 errhint("Give them the other way round.")));
	for (int i = squash->first; i <= squash->last; i++)
	{
		if (!at_place(squash, i)->is_transactional)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("schema migration \"%s\" cannot be a part of another one, as it cannot run in a transaction",
							at_place(squash, i)->name),
					 errhint("Squash those before it, and those behind it.")));
	}
}

/*
 * Adds a script behind others.  The last statement of a script may lack its
 * semicolon, and a comment its end.
 */
static void
add_part(StringInfo joined, const char *name, const NbmScript *script)
{
	const char *body = script->text;
	const char *line = strrchr(body, '\n');

	appendStringInfoString(joined, NBM_PART_MARK " ");
	for (const char *c = name; *c != '\0'; c++)
		appendStringInfoChar(joined, *c == '\n' || *c == '\r' ? ' ' : *c);
	appendStringInfoChar(joined, '\n');
	appendStringInfoString(joined, body);
	if (script->count > 0 &&
		script->statements[script->count - 1].raw->stmt_len == 0)
		appendStringInfoString(joined, strstr(line ? line : body, "--") ?
							   "\n;" : ";");
	appendStringInfoChar(joined, '\n');
}

/* Tells where a part adds a value to an enum, which those behind it may use. */
static void
tell_enum(const Squash *squash, const char *name, const NbmScript *script)
{
	for (int i = 0; i < script->count; i++)
	{
		Node	   *node = script->statements[i].raw->stmt;

		if (IsA(node, AlterEnumStmt) && ((AlterEnumStmt *) node)->oldVal == NULL)
			ereport(NOTICE,
					(errmsg("schema migration \"%s\" adds a value to an enum, which can be used once it is committed",
							name),
					 errdetail("As a part of \"%s\" it is committed with those behind it.",
							   squash->name),
					 errhint("Check the squash, or begin another one behind it.")));
	}
}

/*
 * The scripts of all parts as one; NULL where one has no down script.  Nobody
 * changes the parts until the end of the transaction.  Raises 55000 where one
 * is gone.
 */
static char *
join_scripts(const Squash *squash, bool is_down)
{
	StringInfoData joined;
	int			count = squash->last - squash->first + 1;

	initStringInfo(&joined);
	for (int i = 0; i < count; i++)
	{
		int			place = is_down ? squash->last - i : squash->first + i;
		const char *name = at_place(squash, place)->name;
		char	   *body = nbm_schema_text(squash->owner, name, is_down, true, NULL);
		const NbmScript *script;

		CHECK_FOR_INTERRUPTS();
		if (body == NULL && is_down)
			return NULL;
		if (body == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("schema migration \"%s\" was changed meanwhile",
							name)));
		script = nbm_script_parse(body);
		add_part(&joined, name, script);
		if (!is_down && place < squash->last)
			tell_enum(squash, name, script);
	}
	return joined.data;
}

/* qsort: names by their bytes. */
static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* What the parts depend on, and is none of them. */
static Datum
find_depends(const Squash *squash)
{
	char	  **names;
	int			room = 1;
	int			count = 0;
	int			n = 0;

	for (int i = squash->first; i <= squash->last; i++)
		room += at_place(squash, i)->ndepends;
	names = palloc_array(char *, room);
	for (int i = squash->first; i <= squash->last; i++)
	{
		const NbmMigration *part = at_place(squash, i);

		for (int j = 0; j < part->ndepends; j++)
		{
			int			other = nbm_schema_find(squash->schema, part->depends_on[j]);

			if (other < 0 || !is_part(squash, other))
				names[count++] = part->depends_on[j];
		}
	}
	qsort(names, count, sizeof(char *), compare_names);
	for (int i = 0; i < count; i++)
	{
		if (n == 0 || strcmp(names[n - 1], names[i]) != 0)
			names[n++] = names[i];
	}
	return nbm_names_datum(names, n);
}

/* The parts, and what those of them replace that are squashes; *count of them. */
static Datum
find_replaces(const Squash *squash, int *count)
{
	const NbmSchema *schema = squash->schema;
	bool	   *is_known = palloc0_array(bool, Max(schema->count, 1));
	char	  **names = palloc_array(char *, Max(schema->count, 1));

	*count = 0;
	for (int i = squash->first; i <= squash->last; i++)
	{
		const NbmMigration *part = at_place(squash, i);

		names[(*count)++] = part->name;
		for (int j = 0; j < part->nreplaces; j++)
		{
			int			other = nbm_schema_find(schema, part->replaces[j]);

			if (other < 0 || is_known[other])
				continue;
			is_known[other] = true;
			names[(*count)++] = part->replaces[j];
		}
	}
	return nbm_names_datum(names, *count);
}

/* Puts the definition together.  Returns how many it replaces. */
static int
define(Squash *squash)
{
	int			count;

	squash->definition.name = squash->name;
	squash->definition.up = join_scripts(squash, false);
	squash->definition.down = join_scripts(squash, true);
	squash->definition.depends_on = find_depends(squash);
	squash->definition.replaces = find_replaces(squash, &count);
	squash->definition.is_transactional = true;
	return count;
}

/* Raises 55000 where the check comes to an end before its time. */
static void
raise_unchecked(const Squash *squash, const char *name, const char *why,
				const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the check of schema migration \"%s\" cannot go on at \"%s\"",
					squash->name, name),
			 errdetail("%s", why),
			 hint == NULL ? 0 : errhint("%s", hint)));
}

/* Runs a script, which is one of a migration's. */
static void
run_script(const Squash *squash, const char *name, const char *body,
		   bool is_down)
{
	NbmFailure	failure;

	CHECK_FOR_INTERRUPTS();
	if (!nbm_rehearse_script(body, &failure))
		raise_unchecked(squash, name,
						psprintf("Its %s script fails with %s.",
								 is_down ? "down" : "up",
								 nbm_failure_text(&failure)),
						nbm_needs_commit(&failure) ?
						"One transaction cannot do it; squash those before it, and those behind it." :
						NULL);
}

/* Runs one of the scripts of a migration that is registered. */
static void
run_registered(const Squash *squash, const char *name, bool is_down)
{
	run_script(squash, name,
			   nbm_schema_text(squash->owner, name, is_down, false, NULL),
			   is_down);
}

/* Marks the parts, and all that depends on them, by their place. */
static bool *
mark_dependents(const Squash *squash)
{
	bool	   *marked = palloc0_array(bool, Max(squash->ordered, 1));
	NbmNeighbours needed = nbm_graph_neighbours(squash->schema->count,
												squash->needs, squash->nneeds,
												false);

	for (int i = squash->first; i < squash->ordered; i++)
	{
		int			node = squash->order[i];

		marked[i] = i <= squash->last;
		for (int j = needed.first[node]; j < needed.first[node + 1]; j++)
			marked[i] |= marked[squash->place[needed.others[j]]];
	}
	return marked;
}

/* Marks what the parts need before them, by its place. */
static bool *
mark_ancestors(const Squash *squash)
{
	bool	   *marked = palloc0_array(bool, Max(squash->ordered, 1));
	NbmNeighbours needed = nbm_graph_neighbours(squash->schema->count,
												squash->needs, squash->nneeds,
												false);

	for (int i = squash->last; i >= 0; i--)
	{
		int			node = squash->order[i];

		if (i < squash->first && !marked[i])
			continue;
		for (int j = needed.first[node]; j < needed.first[node + 1]; j++)
			marked[squash->place[needed.others[j]]] = true;
	}
	return marked;
}

/* Undoes the parts that are applied, and what depends on them. */
static void
undo_parts(const Squash *squash)
{
	const NbmSchema *schema = squash->schema;
	bool	   *marked = mark_dependents(squash);
	const NbmMigration **applied;
	int			count = nbm_applied(schema, &applied);

	for (int i = 0; i < count; i++)
	{
		int			number = applied[i] - schema->all;
		int			top = squash->top[number];
		const char *obstacle = nbm_not_undone(applied[i]);

		if (number != squash->own && (top < 0 || !marked[squash->place[top]]))
			continue;
		if (obstacle != NULL)
			raise_unchecked(squash, applied[i]->name,
							psprintf("It is applied, and %s.", obstacle),
							"Check it in a database where nothing of it is applied.");
		run_registered(squash, applied[i]->name, true);
	}
}

/* Applies what the parts need and is not there. */
static void
apply_ancestors(const Squash *squash)
{
	bool	   *marked = mark_ancestors(squash);

	for (int i = 0; i < squash->first; i++)
	{
		const NbmMigration *ancestor = at_place(squash, i);

		if (!marked[i] || ancestor->is_satisfied)
			continue;
		if (!ancestor->is_transactional)
			raise_unchecked(squash, ancestor->name,
							"It is not applied, and cannot run in a transaction.",
							"Apply it before.");
		run_registered(squash, ancestor->name, false);
	}
}

/* One of the two ways, and where it leads to. */
typedef struct Way
{
	const Squash *squash;
	bool		is_squash;
	NbmFingerprint up;
	NbmFingerprint down;		/* where there is one */
} Way;

/* Runs the scripts of a way, in one direction. */
static void
run_scripts(const Way *way, bool is_down)
{
	const Squash *squash = way->squash;
	int			count = squash->last - squash->first + 1;

	if (way->is_squash)
		run_script(squash, squash->name, is_down ? squash->definition.down :
				   squash->definition.up, is_down);
	for (int i = 0; i < count && !way->is_squash; i++)
		run_registered(squash, at_place(squash, is_down ? squash->last - i :
										squash->first + i)->name, is_down);
}

/* Goes a way, and back; to be undone. */
static bool
go_way(void *arg)
{
	Way		   *way = arg;

	run_scripts(way, false);
	way->up = nbm_fingerprint();
	if (way->squash->definition.down != NULL)
	{
		run_scripts(way, true);
		way->down = nbm_fingerprint();
	}
	return false;
}

/* Raises 55000 where two catalogs differ. */
static void
compare_ways(const Squash *squash, const NbmFingerprint *parts,
			 const NbmFingerprint *whole, const char *script)
{
	char	   *diff = nbm_fingerprint_diff(parts, whole);

	if (diff != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the %s script of schema migration \"%s\" would not come to the same as its parts",
						script, squash->name),
				 errdetail("%s", diff)));
}

/* Checks that both ways lead to the same catalog; to be undone. */
static void
check_ways(void *arg)
{
	Squash	   *squash = arg;
	Way			parts = {squash, false};
	Way			whole = {squash, true};

	undo_parts(squash);
	apply_ancestors(squash);
	nbm_subtransaction(go_way, &parts);
	nbm_subtransaction(go_way, &whole);
	compare_ways(squash, &parts.up, &whole.up, "up");
	if (squash->definition.down != NULL)
		compare_ways(squash, &parts.down, &whole.down, "down");
}

/* Raises 42710 where the name is that of a migration, and no squash. */
static void
check_name(const Squash *squash)
{
	if (squash->own >= 0 && squash->schema->all[squash->own].is_defined &&
		squash->schema->all[squash->own].nreplaces == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("there is a schema migration \"%s\" already",
						squash->name)));
}

/*
 * Registers a migration in place of all from one to another, and returns how
 * many it replaces.  With checks, only if it comes to the same as they.
 * Raises 02000 for unknown ends, 22023 or 55000 for parts that cannot be
 * joined, 55000 where they are not the same, and as nbm_register() and
 * nbm_rehearse().
 */
int
nbm_squash(Oid owner, const char *from, const char *to, const char *name,
		   bool checks)
{
	Squash		squash = {.owner = owner,.name = name};
	int			count;

	squash.schema = nbm_read_plan(owner, NULL).schema;
	squash.own = nbm_schema_find(squash.schema, name);
	check_name(&squash);
	find_order(&squash);
	find_parts(&squash, from, to);
	count = define(&squash);
	if (checks)
		nbm_rehearse(check_ways, &squash);
	(void) nbm_register(owner, &squash.definition);
	return count;
}
