/*
 * describe_wanted.c
 *		A description that people wrote, as the server would have written it.
 *
 * People write age > 0, the catalogs say (age > 0).  No rule of ours would
 * know every such thing; the server does.  So the tables whose descriptions
 * differ from what there is are made in a schema that is thrown away again
 * with its subtransaction, and described there.  They are empty, and nobody
 * else sees them.  Foreign keys to tables that do not differ lead to those.
 *
 * It is done twice at most: what the server writes of an expression, such as
 * an IN over varchar, it may write in yet another way when it has read it
 * back, and the tables may have been made in either way.
 *
 * A role that may not create schemas gets what it wrote compared as it is.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "compat.h"
#include "describe.h"
#include "describe_wanted.h"
#include "guard.h"
#include "schema_diff.h"
#include "settings.h"

/* How often a table is made. */
#define ROUNDS 2

/* Is a table as it is wanted, by what the descriptions say? */
static bool
is_settled(const NbmDescription *current, NbmTable *wanted)
{
	NbmTable   *table = nbm_find_table(current, wanted->name);
	NbmDescription before = {current->name, 1, &table};
	NbmDescription after = {current->name, 1, &wanted};

	return table != NULL && nbm_schema_diff(&before, &after, NIL) == NIL;
}

/* Runs statements; raises their errors. */
static void
run(const char *statements)
{
	int			result = SPI_execute(statements, false, 0);

	if (result < 0)
		elog(ERROR, "could not run statements: %s",
			 SPI_result_code_string(result));
}

/*
 * Makes tables in a new schema and describes it.  Names that they mention are
 * looked up in the schema that they are wanted in.
 */
static Jsonb *
make_and_describe(NbmDescription *tables, const char *real_schema)
{
	NbmDescription nothing = {tables->name, 0, NULL};
	List	   *operations = nbm_schema_diff(&nothing, tables, NIL);
	ListCell   *cell;

	(void) NewGUCNestLevel();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	run(psprintf("CREATE SCHEMA %s", quote_identifier(tables->name)));
	nbm_setting_put("search_path", psprintf("pg_catalog, %s, pg_temp",
											quote_identifier(real_schema)));
	foreach(cell, operations)
		run(((NbmOperation *) lfirst(cell))->up);
	SPI_finish();
	nbm_setting_pin_path();
	return nbm_describe_schema(get_namespace_oid(tables->name, false));
}

/* Says of an error where it comes from. */
static void
add_context(void *arg)
{
	errcontext("making the tables that are wanted, to compare them with those that are there");
}

/* Tables that are wanted, and what they look like. */
typedef struct Wanted
{
	NbmDescription *tables;
	const char *real_schema;
	Jsonb	   *description;
} Wanted;

/* Makes them, describes them, and wants nothing of them to stay. */
static bool
make_tables(void *arg)
{
	Wanted	   *wanted = arg;
	ErrorContextCallback context = {error_context_stack, add_context, NULL};

	error_context_stack = &context;
	wanted->description = make_and_describe(wanted->tables, wanted->real_schema);
	error_context_stack = context.previous;
	return false;
}

/*
 * What the tables look like, of which nothing is left.  NULL: the caller has
 * not the rights.  Other errors are raised.
 */
static Jsonb *
try_tables(NbmDescription *tables, const char *real_schema)
{
	Wanted		wanted = {tables, real_schema};
	ErrorData  *error = nbm_attempt(make_tables, &wanted);

	if (error == NULL)
		return wanted.description;
	if (error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
		ReThrowError(error);
	return NULL;
}

/*
 * A copy of a table to be made elsewhere: foreign keys to tables that are not
 * made with it lead to those that are there.
 */
static NbmTable *
for_elsewhere(const NbmTable *table, const NbmDescription *made,
			  const char *real_schema)
{
	NbmTable   *copy = palloc_object(NbmTable);
	ListCell   *cell;

	*copy = *table;
	copy->keys = NIL;
	foreach(cell, table->keys)
	{
		NbmKey	   *key = palloc_object(NbmKey);

		*key = *(NbmKey *) lfirst(cell);
		if (key->kind == NBM_KEY_FOREIGN && key->ref_schema == NULL &&
			nbm_find_table(made, key->ref_table) == NULL)
			key->ref_schema = pstrdup(real_schema);
		copy->keys = lappend(copy->keys, key);
	}
	return copy;
}

/*
 * Puts what was described elsewhere in the place of what was wanted.  An event
 * trigger may have made tables beside those: they are nobody's wish.
 */
static void
put_back(NbmDescription *wanted, const NbmDescription *made)
{
	for (int i = 0; i < made->count; i++)
	{
		NbmTable   *table = nbm_find_table(wanted, made->tables[i]->name);
		ListCell   *cell;

		if (table == NULL)
			continue;
		*table = *made->tables[i];
		foreach(cell, table->keys)
		{
			NbmKey	   *key = lfirst(cell);

			if (key->ref_schema && strcmp(key->ref_schema, wanted->name) == 0)
				key->ref_schema = NULL;
		}
	}
}

/* The tables of a schema that are not as they are, to be made elsewhere. */
static NbmDescription *
unsettled(const NbmDescription *current, const NbmDescription *wanted)
{
	NbmDescription *tables = palloc0_object(NbmDescription);

	tables->name = psprintf("notebook_migrate wanted %07d", MyProcPid);
	tables->tables = palloc_array(NbmTable *, wanted->count + 1);
	for (int i = 0; i < wanted->count; i++)
		if (!is_settled(current, wanted->tables[i]))
			tables->tables[tables->count++] = wanted->tables[i];
	for (int i = 0; i < tables->count; i++)
		tables->tables[i] = for_elsewhere(tables->tables[i], tables,
										  wanted->name);
	return tables;
}

/*
 * Changes a schema that is wanted to what the server would say of it, as far
 * as it is not what there is.  The search path must be pinned to pg_catalog.
 * Raises the server's errors where it cannot be made.
 */
void
nbm_settle_wanted(const NbmDescription *current, NbmDescription *wanted)
{
	for (int round = 0; round < ROUNDS; round++)
	{
		NbmDescription *tables = unsettled(current, wanted);
		Jsonb	   *description;

		if (tables->count == 0)
			return;
		description = try_tables(tables, wanted->name);
		if (description == NULL)
			return;
		put_back(wanted, nbm_read_schema(description, "desired"));
	}
}
