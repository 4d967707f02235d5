/*
 * mapping.c
 *		What an authored mapping answers for other pairs of versions.
 *
 * A mapping is stated once, for one pair of versions, and its links are kept
 * by key.  For any other pair the nearest authored mapping is taken, its
 * links looked up by key in the versions asked about, and what changed is
 * found by comparing the items there with those it was stated for; where
 * their cores are one part, without reading anything.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "heirs.h"
#include "mapping.h"

/* The name of a state in SQL. */
const char *
nbm_state_name(NbmState state)
{
	static const char *const names[] = {
		[NBM_EXACT] = "exact",
		[NBM_CARRIED] = "carried",
		[NBM_CELL_CHANGED] = "cell_changed",
		[NBM_OPERATOR_CHANGED] = "operator_changed",
		[NBM_BOTH_CHANGED] = "both_changed",
		[NBM_CELL_REMOVED] = "cell_removed",
		[NBM_OPERATOR_REMOVED] = "operator_removed",
		[NBM_BOTH_REMOVED] = "both_removed",
	};

	return names[state];
}

/* Are both ends of a link there? */
bool
nbm_state_is_live(NbmState state)
{
	return state < NBM_CELL_REMOVED;
}

/* The index of an item in the version asked about, -1: not there. */
int
nbm_side_find(const NbmSide *side, int32 key)
{
	return key <= side->max_key ? side->index[key] : -1;
}

/* The index of an item in the authored version, -1: not there. */
int
nbm_authored_find(const NbmSide *side, int32 key)
{
	return key <= side->authored_max ? side->authored_index[key] : -1;
}

/* Reads the version asked about of one side. */
static void
open_side(NbmSide *side, const NbmKind *kind, int64 id, const int32 *version)
{
	side->store.kind = kind;
	side->store.id = id;
	side->store.read_only = true;
	nbm_store_version(&side->store,
					  nbm_store_resolve(&side->store, version == NULL,
										version ? *version : 0),
					  &side->version);
	side->index = nbm_layout_index(&side->version.layout, &side->max_key);
	side->bodies = nbm_bodies_create();
	side->change = palloc0_array(int8, Max(side->version.layout.nitems, 1));
}

/* Reads the version that the mapping was stated for. */
static void
open_authored(NbmSide *side, int32 version)
{
	if (version == side->version.version)
		side->authored = side->version;
	else
		nbm_store_version(&side->store, version, &side->authored);
	side->authored_index = nbm_layout_index(&side->authored.layout,
											&side->authored_max);
}

/* Which of the mappings were stated for a document equal to the one asked? */
static bool *
equal_documents(const NbmSide *side, const NbmMappingRow *rows, int count)
{
	bool	   *is_equal = palloc_array(bool, Max(count, 1));
	int32	   *versions = palloc_array(int32, Max(count, 1));

	for (int i = 0; i < count; i++)
		versions[i] = side->store.kind == &nbm_notebook ?
			rows[i].notebook_version : rows[i].workflow_version;
	nbm_store_equal_versions(&side->store, side->version.version, versions,
							 count, is_equal);
	return is_equal;
}

/*
 * The nearest mapping by ancestry: the smallest sum of distances among those
 * whose two versions are the asked ones or before them, else among all; the
 * newest on a tie.  A document's history is a line, so a distance is a
 * difference of version numbers.
 */
static int
nearest_mapping(const NbmAnswer *answer, const NbmMappingRow *rows, int count)
{
	int			best = -1;
	int64		best_distance = 0;
	bool		best_before = false;

	for (int i = 0; i < count; i++)
	{
		int64		a = (int64) answer->cells.version.version -
		rows[i].notebook_version;
		int64		b = (int64) answer->operators.version.version -
		rows[i].workflow_version;
		bool		before = a >= 0 && b >= 0;
		int64		distance = (a < 0 ? -a : a) + (b < 0 ? -b : b);

		if (best >= 0 && (best_before > before ||
						  (best_before == before && best_distance <= distance)))
			continue;
		best = i;
		best_distance = distance;
		best_before = before;
	}
	return best;
}

/*
 * Which authored mapping answers, -1: there is none.  rows are newest first.
 * Sets is_exact for the pair itself, or one of equal documents.
 */
static int
choose_mapping(NbmAnswer *answer, const NbmMappingRow *rows, int count)
{
	bool	   *equal_cells;
	bool	   *equal_operators;

	if (count == 0)
		return -1;
	answer->is_exact = true;
	for (int i = 0; i < count; i++)
		if (rows[i].notebook_version == answer->cells.version.version &&
			rows[i].workflow_version == answer->operators.version.version)
			return i;
	equal_cells = equal_documents(&answer->cells, rows, count);
	equal_operators = equal_documents(&answer->operators, rows, count);
	for (int i = 0; i < count; i++)
		if (equal_cells[i] && equal_operators[i])
			return i;
	answer->is_exact = false;
	return nearest_mapping(answer, rows, count);
}

/* Raises XX001: the stored content of a mapping is damaged. */
static void
damaged(int64 mapping_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored mapping " INT64_FORMAT " is damaged", mapping_id)));
}

/* Reads the stored lines of a link. */
static void
read_lines(JsonbContainer *array, NbmLink *link, int64 mapping_id)
{
	link->nlines = JsonContainerSize(array);
	link->lines = palloc_array(int32, Max(2 * link->nlines, 1));
	for (int i = 0; i < link->nlines; i++)
	{
		JsonbValue	pair;

		nbm_element(array, i, &pair);
		if (!nbm_is_array(&pair) || JsonContainerSize(pair.val.binary.data) != 2)
			damaged(mapping_id);
		for (int j = 0; j < 2; j++)
		{
			JsonbValue	number;

			nbm_element(pair.val.binary.data, j, &number);
			if (!nbm_get_int(&number, &link->lines[2 * i + j]))
				damaged(mapping_id);
		}
		if (link->lines[2 * i] < 1 ||
			link->lines[2 * i] > link->lines[2 * i + 1] ||
			link->lines[2 * i + 1] == PG_INT32_MAX)
			damaged(mapping_id);
	}
}

/*
 * The key that an item has in the version asked about, which is equal to the
 * authored one as a document: its place is the same, its key need not be.
 */
static int32
translate_key(const NbmSide *side, int32 key)
{
	int			place = nbm_authored_find(side, key);

	return place >= 0 && place < side->version.layout.nitems ?
		side->version.layout.items[place].key : key;
}

/* Reads the stored content of a mapping. */
static void
read_links(NbmAnswer *answer, Jsonb *content)
{
	JsonbContainer *array;
	JsonbContainer *lines;

	if (!nbm_get_container(&content->root, "links", true, &array))
		damaged(answer->mapping_id);
	answer->links.count = JsonContainerSize(array);
	answer->links.items = palloc0_array(NbmLink, Max(answer->links.count, 1));
	for (int i = 0; i < answer->links.count; i++)
	{
		NbmLink    *link = &answer->links.items[i];
		JsonbValue	value;
		JsonbValue	cell;
		JsonbValue	op;

		CHECK_FOR_INTERRUPTS();
		nbm_element(array, i, &value);
		if (!nbm_is_object(&value) ||
			!nbm_get(value.val.binary.data, "cell", &cell) ||
			!nbm_get(value.val.binary.data, "operator", &op) ||
			!nbm_get_int(&cell, &link->cell) || link->cell < 1 ||
			!nbm_get_int(&op, &link->op) || link->op < 1)
			damaged(answer->mapping_id);
		if (answer->is_exact)
		{
			link->cell = translate_key(&answer->cells, link->cell);
			link->op = translate_key(&answer->operators, link->op);
		}
		if (nbm_get_container(value.val.binary.data, "lines", true, &lines))
			read_lines(lines, link, answer->mapping_id);
	}
}

/* Asks for the two cores of an item where they are different parts. */
static void
want_cores(NbmSide *side, int32 key)
{
	int			now = nbm_side_find(side, key);
	int			then = nbm_authored_find(side, key);

	if (now < 0 || then < 0 || side->version.layout.items[now].core ==
		side->authored.layout.items[then].core)
		return;
	nbm_bodies_want(side->bodies, side->version.layout.items[now].core);
	nbm_bodies_want(side->bodies, side->authored.layout.items[then].core);
}

/* Has an item, by index, another meaning than when it was mapped? */
static bool
find_change(const NbmSide *side, int now)
{
	int			then = nbm_authored_find(side, side->version.layout.items[now].key);
	uint64		now_core = side->version.layout.items[now].core;
	uint64		then_core;

	if (then < 0)
		return true;
	then_core = side->authored.layout.items[then].core;
	return now_core != then_core &&
		!nbm_same_meaning(side->store.kind,
						  &nbm_bodies_get(side->bodies, then_core)->root,
						  &nbm_bodies_get(side->bodies, now_core)->root);
}

/* The same by key, of one that is there; found once, however many its links. */
static bool
is_changed(const NbmSide *side, int32 key)
{
	int			now = nbm_side_find(side, key);

	if (side->change[now] == 0)
		side->change[now] = find_change(side, now) ? 1 : -1;
	return side->change[now] > 0;
}

/* What has become of a link.  Removed beats changed. */
static NbmState
link_state(const NbmAnswer *answer, const NbmLink *link)
{
	bool		no_cell = nbm_side_find(&answer->cells, link->cell) < 0;
	bool		no_operator = nbm_side_find(&answer->operators, link->op) < 0;
	bool		cell;
	bool		op;

	if (no_cell || no_operator)
		return no_cell && no_operator ? NBM_BOTH_REMOVED :
			no_cell ? NBM_CELL_REMOVED : NBM_OPERATOR_REMOVED;
	if (answer->is_exact)
		return NBM_EXACT;
	cell = is_changed(&answer->cells, link->cell);
	op = is_changed(&answer->operators, link->op);
	return cell && op ? NBM_BOTH_CHANGED : cell ? NBM_CELL_CHANGED :
		op ? NBM_OPERATOR_CHANGED : NBM_CARRIED;
}

/*
 * Answers for a pair of versions; NULL versions are the newest.  Raises 02000
 * for unknown documents and versions.  Memory is of the current context.
 */
void
nbm_mapping_answer(NbmAnswer *answer, int64 notebook_id,
				   const int32 *notebook_version, int64 workflow_id,
				   const int32 *workflow_version)
{
	NbmMappingRow *rows;
	int			count;
	int			chosen;

	memset(answer, 0, sizeof(*answer));
	open_side(&answer->cells, &nbm_notebook, notebook_id, notebook_version);
	open_side(&answer->operators, &nbm_workflow, workflow_id, workflow_version);
	rows = nbm_store_mappings(notebook_id, workflow_id, &count);
	chosen = choose_mapping(answer, rows, count);
	if (chosen < 0)
		return;
	answer->has_mapping = true;
	answer->mapping_id = rows[chosen].mapping_id;
	open_authored(&answer->cells, rows[chosen].notebook_version);
	open_authored(&answer->operators, rows[chosen].workflow_version);
	read_links(answer, nbm_store_mapping_content(notebook_id,
												 answer->mapping_id));
	if (!answer->is_exact)
		nbm_links_inherit(answer);
	for (int i = 0; !answer->is_exact && i < answer->links.count; i++)
	{
		want_cores(&answer->cells, answer->links.items[i].cell);
		want_cores(&answer->operators, answer->links.items[i].op);
	}
	nbm_bodies_fetch(answer->cells.bodies, &answer->cells.store);
	nbm_bodies_fetch(answer->operators.bodies, &answer->operators.store);
	answer->states = palloc_array(NbmState, Max(answer->links.count, 1));
	for (int i = 0; i < answer->links.count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		answer->states[i] = link_state(answer, &answer->links.items[i]);
	}
}

/*
 * The content that a mapping has for a copy: for a version, of any notebook,
 * that is equal as a document to the one that it was stated for.  The operators
 * stay, as the workflow's version does.  A new value; raises XX001.
 */
Jsonb *
nbm_mapping_for_copy(int64 mapping_id, Jsonb *content,
					 const NbmVersion *original, const NbmVersion *copy)
{
	NbmAnswer	answer = {.mapping_id = mapping_id,.is_exact = true};

	answer.cells.version = *copy;
	answer.cells.authored = *original;
	answer.cells.authored_index = nbm_layout_index(&original->layout,
												   &answer.cells.authored_max);
	read_links(&answer, content);
	return nbm_mapping_content(&answer.links);
}
