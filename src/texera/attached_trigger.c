/*
 * attached_trigger.c
 *		The trigger that attaching a table puts on it.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/rel.h"

#include "attached_write.h"
#include "maintain.h"
#include "query.h"

/* Raises 39P01 unless the function was fired as attaching asks for. */
static TriggerData *
check_trigger(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("attached_write() must be called as a trigger")));
	if (!TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ==
		TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("attached_write() must be fired after a write, for each row, or after TRUNCATE")));
	return trigger;
}

/* What is looked up of the trigger's table. */
typedef struct Lookup
{
	NbmWrite   *write;
	Oid			table;
	MemoryContext context;		/* for the attachment's strings */
	bool		is_attached;
} Lookup;

/* Copies a string that may be NULL. */
static const char *
keep(const Lookup *lookup, const char *string)
{
	return string ? MemoryContextStrdup(lookup->context, string) : NULL;
}

/* Looks up how the table is attached.  Fits NbmWork. */
static void
look_up(void *arg)
{
	Lookup	   *lookup = arg;
	NbmAttachment *attachment = &lookup->write->attachment;
	NbmIdentity before;
	int			level;

	nbm_become(lookup->write->owner, &before);
	level = nbm_store_begin();
	nbm_wait_briefly();
	lookup->is_attached = nbm_attachment_find(lookup->table, attachment);
	if (lookup->is_attached)
	{
		attachment->key_column = keep(lookup, attachment->key_column);
		attachment->content_column = keep(lookup, attachment->content_column);
		attachment->schema = keep(lookup, attachment->schema);
	}
	nbm_store_end(level);
	nbm_be_again(&before);
}

/*
 * Is the table attached?  Where it is not: 39P01, if somebody put the trigger
 * there; a warning, if its attachment was lost, as in a restored database
 * whose data was left out: the application's write goes through.
 */
static bool
find_attachment(TriggerData *trigger, NbmWrite *write)
{
	Relation	relation = trigger->tg_relation;
	Lookup		lookup = {write, RelationGetRelid(relation), CurrentMemoryContext, false};
	NbmCaught	caught;

	if (!nbm_guarded(look_up, &lookup, &caught))
	{
		nbm_write_failed(write, lookup.table, &caught);
		return false;
	}
	if (lookup.is_attached)
		return true;
	if (strcmp(trigger->tg_trigger->tgname, NBM_TRIGGER_NAME) != 0 &&
		strcmp(trigger->tg_trigger->tgname, NBM_TRUNCATE_TRIGGER_NAME) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("table \"%s\" is not attached",
						RelationGetRelationName(relation)),
				 errhint("attach() and texera_attach() make the triggers.")));
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is not attached any more",
					RelationGetRelationName(relation)),
			 errhint("Attach it again, or drop its trigger \"%s\".",
					 trigger->tg_trigger->tgname)));
	return false;
}

PG_FUNCTION_INFO_V1(nbm_attached_write);

/*
 * The AFTER INSERT, UPDATE, DELETE and TRUNCATE triggers of attached tables:
 * the store follows.  Raises errors for those only who misuse it.
 */
Datum
nbm_attached_write(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = check_trigger(fcinfo);
	Oid			table = RelationGetRelid(trigger->tg_relation);
	NbmWrite	write = {{0}};

	write.owner = nbm_function_owner(fcinfo);
	write.old.desc = write.new.desc = RelationGetDescr(trigger->tg_relation);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		write.new.tuple = trigger->tg_trigtuple;
	else if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		write.old.tuple = trigger->tg_trigtuple;
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		write.new.tuple = trigger->tg_newtuple;
	if (!find_attachment(trigger, &write) ||
		(write.attachment.role == NBM_ROLE_MAPPING && nbm_is_maintaining()))
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		nbm_write_emptied(&write);
	else if (nbm_write_guarded(nbm_write_take, &write, table) && write.has_new &&
			 write.attachment.maintain)
		(void) nbm_write_guarded(nbm_write_maintain, &write, table);
	return PointerGetDatum(NULL);
}
