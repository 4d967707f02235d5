/*
 * sql_attach.c
 *		SQL entry points that attach tables and let them go.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "args.h"
#include "attach.h"
#include "attached_write.h"
#include "maintain.h"
#include "query.h"
#include "store.h"

/* A table of Texera, as one of its releases had it. */
typedef struct TexeraTable
{
	const char *name;
	NbmRole		role;
	const NbmKind *kind;
	const char *key_column;
	const char *content_column;
} TexeraTable;

/* Of each role the first that is there; the last two shapes are older. */
static const TexeraTable texera_tables[] = {
	{"workflow", NBM_ROLE_WORKFLOW, &nbm_workflow, "wid", "content"},
	{"workflow_version", NBM_ROLE_VID, &nbm_workflow, "wid", NULL},
	{"notebook", NBM_ROLE_NOTEBOOK, &nbm_notebook, "nid", "notebook"},
	{"workflow_notebook_source", NBM_ROLE_NOTEBOOK, &nbm_notebook, "wid", "notebook"},
	{"notebook_migration_notebook_data", NBM_ROLE_NOTEBOOK, &nbm_notebook, "wid", "notebook"},
	{"workflow_notebook_mapping", NBM_ROLE_MAPPING, &nbm_workflow, "wid", "mapping"},
	{"notebook_migration_mapping_data", NBM_ROLE_MAPPING, &nbm_workflow, "wid", "mapping"},
};

/* Connects to SPI, for the application's tables; the caller's rights. */
static void
connect_caller(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/* Locks out other changes of what is attached. */
static void
lock_attachments(void)
{
	int			level = nbm_store_begin();

	nbm_attachments_lock();
	nbm_store_end(level);
}

/*
 * Lets the tables of a schema go, or (NULL) all of Texera: those too that were
 * dropped, or whose role another table has by now.
 */
static void
detach_texera(const char *schema)
{
	int			level = nbm_store_begin();
	ListCell   *cell;

	foreach(cell, nbm_attachments(schema))
		nbm_detach_table(((NbmAttachment *) lfirst(cell))->target);
	nbm_store_end(level);
}

/* Brings all mapping rows of the application up to date. */
static void
maintain_all(const char *schema, Oid owner)
{
	NbmIdentity before;
	int			level = nbm_owner_begin(owner, &before);

	nbm_maintain_mappings(schema, NULL, NULL, true);
	nbm_owner_end(level, &before);
}

PG_FUNCTION_INFO_V1(nbm_texera_attach);

/* texera_attach(schema, maintain_mapping) */
Datum
nbm_texera_attach(PG_FUNCTION_ARGS)
{
	Oid			owner = nbm_function_owner(fcinfo);
	const char *schema;
	Oid			namespace;
	NbmAttachment attachments[lengthof(texera_tables)];
	int			taken = -1;
	int			count = 0;

	nbm_require_arg(fcinfo, 0, "schema");
	nbm_require_arg(fcinfo, 1, "maintain_mapping");
	nbm_require_administrator();
	schema = NameStr(*PG_GETARG_NAME(0));
	namespace = get_namespace_oid(schema, false);
	connect_caller();
	lock_attachments();
	for (int i = 0; i < lengthof(texera_tables); i++)
	{
		const TexeraTable *table = &texera_tables[i];
		NbmAttachment *attachment = &attachments[count];
		Oid			target = get_relname_relid(table->name, namespace);

		if ((int) table->role == taken)
			continue;
		if (!OidIsValid(target) && i < 2)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("schema \"%s\" has no table \"%s\"", schema,
							table->name),
					 errhint("Name the schema that Texera's tables are in.")));
		if (!OidIsValid(target))
			continue;
		*attachment = (NbmAttachment)
		{
			target, table->role, table->kind, table->key_column,
				table->content_column, schema, PG_GETARG_BOOL(1)
		};
		nbm_attach_check(attachment);
		taken = table->role;
		count++;
	}
	detach_texera(schema);
	/* one is read along with another: not before all are checked, and locked */
	for (int i = 0; i < count; i++)
		nbm_attach_table(&attachments[i], owner);
	if (PG_GETARG_BOOL(1))
		maintain_all(schema, owner);
	SPI_finish();
	PG_RETURN_VOID();
}

/* Deletes the documents of a kind that came from Texera, as the owner. */
static void
drop_documents(const NbmKind *kind, Oid owner)
{
	NbmIdentity before;
	int64	   *ids;
	int			count;
	int			level = nbm_owner_begin(owner, &before);

	ids = nbm_attached_documents(kind, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		NbmStore	store = {kind, ids[i], false};

		CHECK_FOR_INTERRUPTS();
		(void) nbm_store_delete(&store);
		nbm_attached_forget(kind, ids[i]);
	}
	nbm_owner_end(level, &before);
}

PG_FUNCTION_INFO_V1(nbm_texera_detach);

/* texera_detach(drop_data) */
Datum
nbm_texera_detach(PG_FUNCTION_ARGS)
{
	Oid			owner = nbm_function_owner(fcinfo);
	int			level;

	nbm_require_arg(fcinfo, 0, "drop_data");
	nbm_require_administrator();
	connect_caller();
	lock_attachments();
	detach_texera(NULL);
	if (PG_GETARG_BOOL(0))
	{
		drop_documents(&nbm_workflow, owner);
		drop_documents(&nbm_notebook, owner);
		level = nbm_store_begin();
		nbm_texera_forget_all();
		nbm_store_end(level);
	}
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(nbm_attach);

/* attach(kind, target, key_column, content_column) */
Datum
nbm_attach(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {
		"kind", "target", "key_column", "content_column"
	};
	NbmAttachment attachment = {0};
	char	   *kind;

	for (int i = 0; i < lengthof(names); i++)
		nbm_require_arg(fcinfo, i, names[i]);
	nbm_require_administrator();
	kind = nbm_arg_text(fcinfo, 0);
	attachment.kind = nbm_kind_by_name(nbm_text(kind));
	if (attachment.kind == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind must be \"notebook\" or \"workflow\", not \"%s\"",
						kind)));
	attachment.role = NBM_ROLE_DOCUMENT;
	attachment.target = PG_GETARG_OID(1);
	attachment.key_column = NameStr(*PG_GETARG_NAME(2));
	attachment.content_column = NameStr(*PG_GETARG_NAME(3));
	connect_caller();
	lock_attachments();
	nbm_attach_table(&attachment, nbm_function_owner(fcinfo));
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(nbm_detach);

/* detach(target) */
Datum
nbm_detach(PG_FUNCTION_ARGS)
{
	NbmAttachment attachment;
	bool		is_attached;
	int			level;

	nbm_require_arg(fcinfo, 0, "target");
	nbm_require_administrator();
	connect_caller();
	lock_attachments();
	level = nbm_store_begin();
	is_attached = nbm_attachment_find(PG_GETARG_OID(0), &attachment);
	nbm_store_end(level);
	if (!is_attached)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table %s is not attached",
						get_rel_name(PG_GETARG_OID(0)) ?
						nbm_table_name(PG_GETARG_OID(0)) : "that is gone")));
	nbm_detach_table(PG_GETARG_OID(0));
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(nbm_attachment_guard);

/* Checks a row of the table attachment: see nbm_attachment_allow(). */
static void
check_attachment(const TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
	trigger->tg_newtuple : trigger->tg_trigtuple;
	bool		is_null;
	Oid			target;
	bool		maintain;

	target = DatumGetObjectId(SPI_getbinval(row, desc, SPI_fnumber(desc, "target"),
											&is_null));
	maintain = DatumGetBool(SPI_getbinval(row, desc,
										  SPI_fnumber(desc, "maintain_mapping"),
										  &is_null));
	if (get_rel_name(target) != NULL)
		nbm_attachment_allow(target, maintain);
}

/*
 * The BEFORE triggers of the table attachment: who has rights to all tables of
 * the extension still does not say which tables write to the store; and who
 * says it, not of tables that he has no rights to.
 */
Datum
nbm_attachment_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("attachment_guard() must be called as a trigger")));
	if (!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		strcmp(RelationGetRelationName(trigger->tg_relation), "attachment") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("attachment_guard() is for the table attachment only")));
	nbm_require_administrator();
	if (!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		return PointerGetDatum(NULL);
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		check_attachment(trigger);
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ?
						   trigger->tg_newtuple : trigger->tg_trigtuple);
}
