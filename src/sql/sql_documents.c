/*
 * sql_documents.c
 *		SQL entry points that write and read documents.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "args.h"
#include "commit.h"
#include "commit_merge.h"
#include "compat.h"
#include "edit.h"
#include "names.h"

/* Makes a version out of argument 1, in the way of a function. */
static Datum
write_version(FunctionCallInfo fcinfo, const NbmKind *kind, const char *name,
			  int32 (*write) (NbmCommit *work, Jsonb *value))
{
	NbmStore	store = nbm_arg_store(fcinfo, kind, 0, false);
	Jsonb	   *value;
	NbmCommit	work;
	int32		space;
	int32		version;
	int			level;

	nbm_require_arg(fcinfo, 1, name);
	value = PG_GETARG_JSONB_P(1);
	level = nbm_store_begin();
	nbm_commit_begin(&work, &store, nbm_arg_expected(fcinfo, 3, &space),
					 nbm_arg_text(fcinfo, 2));
	version = write(&work, value);
	nbm_store_end(level);
	PG_RETURN_INT32(version);
}

/* Makes a version of a whole document; the head is read. */
static int32
write_document(NbmCommit *work, Jsonb *content)
{
	return nbm_commit_document(work, content, NULL);
}

/* What a commit does where the head is not the version it expects. */
typedef enum OnConflict
{
	ON_CONFLICT_ERROR,
	ON_CONFLICT_MERGE,
	ON_CONFLICT_MARK
} OnConflict;

/* Reads on_conflict, which goes with expected_version before it. */
static OnConflict
arg_on_conflict(FunctionCallInfo fcinfo, int number)
{
	static const char *const names[] = {
		[ON_CONFLICT_ERROR] = "error",
		[ON_CONFLICT_MERGE] = "merge",
		[ON_CONFLICT_MARK] = "mark",
	};
	char	   *name;
	int			found = 0;

	nbm_require_arg(fcinfo, number, "on_conflict");
	name = nbm_arg_text(fcinfo, number);
	while (found < lengthof(names) && strcmp(name, names[found]) != 0)
		found++;
	if (found == lengthof(names))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_conflict must be \"error\", \"merge\" or \"mark\", not \"%s\"",
						name)));
	if (found != ON_CONFLICT_ERROR && PG_ARGISNULL(number - 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on_conflict \"%s\" needs an expected_version", name),
				 errhint("It is the version that the content was made on.")));
	return found;
}

/* notebook_commit(id, content, message, expected_version, on_conflict) */
static Datum
commit(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	NbmStore	store = nbm_arg_store(fcinfo, kind, 0, false);
	OnConflict	on_conflict;
	Jsonb	   *content;
	NbmCommit	work;
	int32		version;
	int			level;

	nbm_require_arg(fcinfo, 1, "content");
	on_conflict = arg_on_conflict(fcinfo, 4);
	if (on_conflict == ON_CONFLICT_ERROR)
		return write_version(fcinfo, kind, "content", write_document);
	content = PG_GETARG_JSONB_P(1);
	level = nbm_store_begin();
	nbm_commit_begin(&work, &store, NULL, nbm_arg_text(fcinfo, 2));
	version = nbm_commit_merged(&work, content, PG_GETARG_INT32(3),
								on_conflict == ON_CONFLICT_MARK);
	nbm_store_end(level);
	PG_RETURN_INT32(version);
}

NBM_FOR_BOTH_KINDS(commit);

/* notebook_edit(id, edits, message, expected_version) -> version */
static Datum
edit(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	return write_version(fcinfo, kind, "edits", nbm_commit_edits);
}

NBM_FOR_BOTH_KINDS(edit);

/* notebook_restore(id, version, message) -> version */
static Datum
restore(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	NbmStore	store = nbm_arg_store(fcinfo, kind, 0, false);
	NbmCommit	work;
	int32		version;
	int			level;

	level = nbm_store_begin();
	nbm_commit_begin(&work, &store, NULL, nbm_arg_text(fcinfo, 2));
	version = nbm_commit_restore(&work, PG_ARGISNULL(1) ? work.head.version :
								 PG_GETARG_INT32(1));
	nbm_store_end(level);
	PG_RETURN_INT32(version);
}

NBM_FOR_BOTH_KINDS(restore);

/* Reads the document of a version into the caller's context. */
static Datum
read_version(const NbmStore *store, int32 number, MemoryContext context)
{
	NbmVersion	version;

	nbm_store_version(store, number, &version);
	return PointerGetDatum(nbm_read_document(store, &version, context));
}

/* notebook_at(id, version) -> content */
static Datum
at(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	MemoryContext caller = CurrentMemoryContext;
	NbmStore	store = nbm_arg_store(fcinfo, kind, 0, true);
	int			level = nbm_store_begin();
	Datum		content;

	content = read_version(&store,
						   nbm_store_resolve(&store, PG_ARGISNULL(1),
											 PG_GETARG_INT32(1)), caller);
	nbm_store_end(level);
	return content;
}

NBM_FOR_BOTH_KINDS(at);

/* notebook_at(id, as_of) -> content */
static Datum
at_time(FunctionCallInfo fcinfo, const NbmKind *kind)
{
	MemoryContext caller = CurrentMemoryContext;
	NbmStore	store = nbm_arg_store(fcinfo, kind, 0, true);
	int			level = nbm_store_begin();
	NbmHead		head;
	Datum		content;

	nbm_store_head(&store, &head);
	content = read_version(&store, PG_ARGISNULL(1) ? head.version :
						   nbm_store_version_at(&store,
												PG_GETARG_TIMESTAMPTZ(1)),
						   caller);
	nbm_store_end(level);
	return content;
}

NBM_FOR_BOTH_KINDS(at_time);

/* A version with the bodies of all its cores, or of its envelope. */
typedef struct OpenVersion
{
	NbmStore	store;
	NbmVersion	version;
	NbmBodies  *bodies;
	ReturnSetInfo *result;
} OpenVersion;

/* Reads the version that arguments 0 and 1 name, for a set-returning call. */
static int
open_version(FunctionCallInfo fcinfo, const NbmKind *kind, bool cores,
			 OpenVersion *open)
{
	int			level;

	open->store = nbm_arg_store(fcinfo, kind, 0, true);
	InitMaterializedSRF(fcinfo, 0);
	open->result = (ReturnSetInfo *) fcinfo->resultinfo;
	level = nbm_store_begin();
	nbm_store_version(&open->store,
					  nbm_store_resolve(&open->store, PG_ARGISNULL(1),
										PG_GETARG_INT32(1)), &open->version);
	open->bodies = nbm_bodies_create();
	for (int i = 0; cores && i < open->version.layout.nitems; i++)
		nbm_bodies_want(open->bodies, open->version.layout.items[i].core);
	if (!cores)
		nbm_bodies_want(open->bodies, open->version.layout.envelope);
	nbm_bodies_fetch(open->bodies, &open->store);
	return level;
}

/* A text column, NULL where there is no text. */
static void
put_text(Datum *values, bool *nulls, int column, NbmText string)
{
	nulls[column] = string.str == NULL;
	if (string.str != NULL)
		values[column] = nbm_text_datum(string);
}

PG_FUNCTION_INFO_V1(nbm_notebook_cells);

/* notebook_cells(id, version) -> position, key, id, type, source, count */
Datum
nbm_notebook_cells(PG_FUNCTION_ARGS)
{
	OpenVersion open;
	int			level = open_version(fcinfo, &nbm_notebook, true, &open);
	const NbmLayout *layout = &open.version.layout;
	NbmText    *names = nbm_item_names(layout);

	for (int i = 0; i < layout->nitems; i++)
	{
		const NbmItem *item = &layout->items[i];
		JsonbContainer *core = &nbm_bodies_get(open.bodies, item->core)->root;
		Datum		values[6];
		bool		nulls[6] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = Int32GetDatum(i);
		values[1] = Int32GetDatum(item->key);
		put_text(values, nulls, 2, names[i]);
		put_text(values, nulls, 3, nbm_item_type(&nbm_notebook, core));
		put_text(values, nulls, 4, nbm_item_source(&nbm_notebook, core));
		values[5] = Int32GetDatum(item->count);
		nulls[5] = (item->flags & NBM_COUNT_MASK) != NBM_COUNT_NUMBER;
		tuplestore_putvalues(open.result->setResult, open.result->setDesc,
							 values, nulls);
	}
	nbm_store_end(level);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(nbm_workflow_operators);

/* workflow_operators(id, version) -> position, key, id, type, name, properties */
Datum
nbm_workflow_operators(PG_FUNCTION_ARGS)
{
	OpenVersion open;
	int			level = open_version(fcinfo, &nbm_workflow, true, &open);
	const NbmLayout *layout = &open.version.layout;
	NbmText    *names = nbm_item_names(layout);

	for (int i = 0; i < layout->nitems; i++)
	{
		const NbmItem *item = &layout->items[i];
		JsonbContainer *core = &nbm_bodies_get(open.bodies, item->core)->root;
		NbmText		display = {NULL, 0};
		JsonbValue	properties;
		Datum		values[6];
		bool		nulls[6] = {false};

		CHECK_FOR_INTERRUPTS();
		values[0] = Int32GetDatum(i);
		values[1] = Int32GetDatum(item->key);
		put_text(values, nulls, 2, names[i]);
		put_text(values, nulls, 3, nbm_item_type(&nbm_workflow, core));
		nbm_get_string(core, "customDisplayName", &display);
		put_text(values, nulls, 4, display);
		nulls[5] = !nbm_get(core, "operatorProperties", &properties);
		if (!nulls[5])
			values[5] = PointerGetDatum(nbm_value_to_jsonb(&properties));
		tuplestore_putvalues(open.result->setResult, open.result->setDesc,
							 values, nulls);
	}
	nbm_store_end(level);
	return (Datum) 0;
}

/* The three columns of one end of a link: key, id, port. */
static void
put_end(const NbmNames *names, JsonbContainer *link, const char *name,
		Datum *values, bool *nulls, int column)
{
	JsonbContainer *end;
	NbmText		id = {NULL, 0};
	NbmText		port = {NULL, 0};
	int			index = -1;

	if (nbm_get_container(link, name, false, &end))
	{
		nbm_get_string(end, "operatorID", &id);
		nbm_get_string(end, "portID", &port);
	}
	if (id.str != NULL)
		index = nbm_names_find_id(names, id);
	nulls[column] = index < 0;
	if (index >= 0)
		values[column] = Int32GetDatum(names->layout->items[index].key);
	put_text(values, nulls, column + 1, id);
	put_text(values, nulls, column + 2, port);
}

PG_FUNCTION_INFO_V1(nbm_workflow_links);

/* workflow_links(id, version) -> link id, source key, id, port, target ... */
Datum
nbm_workflow_links(PG_FUNCTION_ARGS)
{
	OpenVersion open;
	int			level = open_version(fcinfo, &nbm_workflow, false, &open);
	const NbmLayout *layout = &open.version.layout;
	JsonbContainer *envelope = &nbm_bodies_get(open.bodies,
											   layout->envelope)->root;
	JsonbContainer *links = NULL;
	NbmNames	names;
	int			count = 0;

	nbm_names_open(layout, &names);
	if (nbm_get_container(envelope, "links", true, &links))
		count = JsonContainerSize(links);
	for (int i = 0; i < count; i++)
	{
		JsonbValue	link;
		NbmText		id = {NULL, 0};
		Datum		values[7];
		bool		nulls[7] = {false};

		CHECK_FOR_INTERRUPTS();
		nbm_element(links, i, &link);
		if (!nbm_is_object(&link))
			continue;
		nbm_get_string(link.val.binary.data, "linkID", &id);
		put_text(values, nulls, 0, id);
		put_end(&names, link.val.binary.data, "source", values, nulls, 1);
		put_end(&names, link.val.binary.data, "target", values, nulls, 4);
		tuplestore_putvalues(open.result->setResult, open.result->setDesc,
							 values, nulls);
	}
	nbm_store_end(level);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(nbm_part_body_sql);

/* part_body(body, bytes) -> the whole body of a stored part */
Datum
nbm_part_body_sql(PG_FUNCTION_ARGS)
{
	NbmBody		body = {NULL, NULL};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	body.body = PG_GETARG_JSONB_P_COPY(0);
	if (PG_ARGISNULL(1))
		PG_RETURN_JSONB_P(body.body);
	body.bytes = PG_GETARG_BYTEA_P(1);
	if (!nbm_part_is_sound(&body))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("body has no marker for the place of the bytes")));
	PG_RETURN_JSONB_P(nbm_part_whole(&body));
}
