/*
 * watch.c
 *		What a piece of work does to the schemas of the database.
 *
 * The server tells of each object that is created, altered or dropped, through
 * object_access_hook; it does so for no longer than the work lasts, and an
 * error ends it too.  What the events come to is decided afterwards, by
 * looking for each object with a snapshot from before the work and with one
 * from after it: so an object that came and went is none, and a function that
 * was replaced is changed, though the server calls that a creation.  Only what
 * is dropped must be named at once.
 *
 * An object is what has a CREATE of its own: a column, a default, a
 * constraint, a row type or a toast table is told as a change of what it
 * belongs to.  What came or went along with another object (a serial's
 * sequence, an extension's members, a dropped table's indexes) is not told.
 *
 * Grants and comments are no events, so the rows that the work wrote of them
 * are looked for.  Locks are those that this backend holds afterwards, and did
 * not hold before.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "build.h"
#include "compat.h"
#include "object_whole.h"
#include "watch.h"

/* What became of an object. */
typedef enum Action
{
	ACTION_NONE,
	ACTION_CREATED,
	ACTION_CHANGED,
	ACTION_DROPPED,
	ACTION_REWRITTEN,
} Action;

static const char *const action_words[] =
{"", "created", "changed", "dropped", "rewritten"};

/* An object that something happened to. */
typedef struct Touched
{
	ObjectAddress object;		/* the key */
	ObjectAddress whole;		/* what it is told as; class 0: nothing */
	bool		is_altered;		/* created, or given another definition */
	bool		is_dropped;
	bool		was_there;
	Action		action;
	char		relkind;		/* 0: no relation */
	const char *kind;
	const char *name;
	List	   *leaders;		/* addresses of what it comes and goes with */
} Touched;

/* A relation that is locked. */
typedef struct Locked
{
	Oid			relation;		/* the key */
	LOCKMASK	before;
	LOCKMASK	after;
} Locked;

/* The work that is being watched. */
typedef struct Watch
{
	MemoryContext context;
	Snapshot	before;
	CommandId	first_command;
	HTAB	   *by_object;		/* of Touched */
	List	   *touched;		/* the same */
	HTAB	   *locks;			/* of Locked */
} Watch;

/* Catalogs whose rows are looked at for what is no event. */
static const struct
{
	Oid			catalog;
	Oid			class;			/* of the object; 0: a column has it */
	AttrNumber	class_column;
	AttrNumber	object_column;
	AttrNumber	acl;			/* only where this one differs; 0: always */
}			quiet[] =

{
	{RelationRelationId, RelationRelationId, 0, Anum_pg_class_oid,
	Anum_pg_class_relacl},
	{NamespaceRelationId, NamespaceRelationId, 0, Anum_pg_namespace_oid,
	Anum_pg_namespace_nspacl},
	{ProcedureRelationId, ProcedureRelationId, 0, Anum_pg_proc_oid,
	Anum_pg_proc_proacl},
	{TypeRelationId, TypeRelationId, 0, Anum_pg_type_oid,
	Anum_pg_type_typacl},
	{AttributeRelationId, RelationRelationId, 0, Anum_pg_attribute_attrelid, 0},
	{DescriptionRelationId, InvalidOid, Anum_pg_description_classoid,
	Anum_pg_description_objoid, 0},
	{SecLabelRelationId, InvalidOid, Anum_pg_seclabel_classoid,
	Anum_pg_seclabel_objoid, 0},
};

static Watch *watch = NULL;		/* the innermost one at work */
static object_access_hook_type hook_before = NULL;
static bool is_hooked = false;

/*
 * Reads of the dependencies of an object what it comes and goes with.  Of what
 * an automatic one stands for, a sequence comes with its column, and everything
 * but a table goes.  True where a type that it needs is gone before it.
 */
static bool
read_leaders(Touched *touched, bool is_dropped)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	bool		is_table = touched->relkind == RELKIND_RELATION ||
	touched->relkind == RELKIND_PARTITIONED_TABLE ||
	touched->relkind == RELKIND_FOREIGN_TABLE;
	bool		follows = touched->relkind == RELKIND_SEQUENCE ||
	(is_dropped && !is_table);
	bool		is_torn = false;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(touched->object.classId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(touched->object.objectId));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(row);
		ObjectAddress *leader;

		is_torn |= form->refclassid == TypeRelationId &&
			!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(form->refobjid));
		if (form->objsubid != 0 || form->deptype == DEPENDENCY_NORMAL ||
			(form->deptype == DEPENDENCY_AUTO && !follows))
			continue;
		leader = palloc0_object(ObjectAddress);
		leader->classId = form->refclassid;
		leader->objectId = form->refobjid;
		touched->leaders = lappend(touched->leaders, leader);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return is_torn;
}

/*
 * Names an object, while it is there.  The name is NULL where others have
 * dropped it at this moment.
 */
static void
name_object(Touched *touched, bool is_dropped)
{
	bool		is_torn;

	touched->whole = nbm_object_whole(&touched->object);
	if (touched->object.classId == RelationRelationId)
		touched->relkind = get_rel_relkind(touched->object.objectId);
	touched->leaders = NIL;
	is_torn = read_leaders(touched, is_dropped);
	touched->kind = getObjectTypeDescription(&touched->object, true);
	touched->name = is_torn ? nbm_object_short_name(&touched->object) :
		getObjectIdentity(&touched->object, true);
}

/* What is known of an object that something happened to. */
static Touched *
touch(Oid class, Oid object)
{
	ObjectAddress key = {class, object, 0};
	bool		is_known;
	Touched    *touched = hash_search(watch->by_object, &key, HASH_ENTER,
									  &is_known);

	if (!is_known)
	{
		memset((char *) touched + sizeof(key), 0, sizeof(*touched) - sizeof(key));
		watch->touched = lappend(watch->touched, touched);
	}
	return touched;
}

/* Takes note of an event; what is allocated is of the watch's context. */
static void
note_event(ObjectAccessType event, Oid class, Oid object, int column,
		   void *arg)
{
	Touched    *touched;

	if (class == InheritsRelationId || class == IndexRelationId ||
		class == ForeignTableRelationId)
		class = RelationRelationId;
	if (!is_objectclass_supported(class))
		return;
	touched = touch(class, object);
	if (event == OAT_DROP && column == 0)
	{
		touched->is_dropped = true;
		name_object(touched, true);
	}
	else if (event == OAT_POST_ALTER ?
			 !((ObjectAccessPostAlter *) arg)->is_internal :
			 event != OAT_TRUNCATE)
		touched->is_altered = true;
}

/* object_access_hook */
static void
on_event(ObjectAccessType event, Oid class, Oid object, int column, void *arg)
{
	if (hook_before != NULL)
		hook_before(event, class, object, column, arg);
	if (watch != NULL && (event == OAT_POST_CREATE || event == OAT_POST_ALTER ||
						  event == OAT_DROP || event == OAT_TRUNCATE))
	{
		MemoryContext outer = MemoryContextSwitchTo(watch->context);

		note_event(event, class, object, column, arg);
		MemoryContextSwitchTo(outer);
	}
}

/* Begins to listen, unless it is done already. */
static void
set_hook(void)
{
	if (is_hooked)
		return;
	hook_before = object_access_hook;
	object_access_hook = on_event;
	is_hooked = true;
}

/*
 * Goes back to the watch that was at work before, if any.  Where a library was
 * loaded meanwhile that calls our hook from its own, it stays, and does
 * nothing.
 */
static void
go_back(Watch *outer)
{
	watch = outer;
	if (watch == NULL && object_access_hook == on_event)
	{
		object_access_hook = hook_before;
		is_hooked = false;
	}
}

/* A hash table of the current context; the key comes first in an entry. */
static HTAB *
new_table(const char *name, Size key_size, Size entry_size)
{
	HASHCTL		control = {0};

	control.keysize = key_size;
	control.entrysize = entry_size;
	control.hcxt = CurrentMemoryContext;
	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Takes note of the locks that are held by now. */
static void
read_locks(bool is_after)
{
	LockData   *all = GetLockStatusData();

	for (int i = 0; i < all->nelements; i++)
	{
		const LockInstanceData *lock = &all->locks[i];
		Oid			relation = lock->locktag.locktag_field2;
		bool		is_known;
		Locked	   *locked;

		if (lock->pid != MyProcPid ||
			lock->locktag.locktag_type != LOCKTAG_RELATION ||
			lock->locktag.locktag_field1 != MyDatabaseId)
			continue;
		locked = hash_search(watch->locks, &relation, HASH_ENTER, &is_known);
		if (!is_known)
			locked->before = locked->after = 0;
		/* the fast path and the lock table may each have some of the modes */
		if (is_after)
			locked->after |= lock->holdMask;
		else
			locked->before |= lock->holdMask;
	}
	pfree(all->locks);
	pfree(all);
}

/* Relations that may have got another file: they are locked as for that. */
static void
touch_locked(void)
{
	HASH_SEQ_STATUS scan;
	Locked	   *locked;

	hash_seq_init(&scan, watch->locks);
	while ((locked = hash_seq_search(&scan)) != NULL)
		if ((locked->after & ~locked->before & LOCKBIT_ON(AccessExclusiveLock)) != 0)
			(void) touch(RelationRelationId, locked->relation);
}

/* Was a row written by the work? */
static bool
is_written(HeapTuple row)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row->t_data)) &&
		HeapTupleHeaderGetCmin(row->t_data) >= watch->first_command;
}

/* Does a column of an object's row differ from what it was before? */
static bool
differs_from_before(const ObjectAddress *object, HeapTuple row,
					AttrNumber column, TupleDesc desc)
{
	HeapTuple	old = nbm_object_row(object, watch->before);
	Datum		values[2];
	bool		nulls[2];

	if (!HeapTupleIsValid(old))
		return false;
	values[0] = heap_getattr(old, column, desc, &nulls[0]);
	values[1] = heap_getattr(row, column, desc, &nulls[1]);
	return nulls[0] != nulls[1] ||
		(!nulls[0] && !datumIsEqual(values[0], values[1], false, -1));
}

/* Takes note of what is no event, in one catalog. */
static void
touch_quiet(int i)
{
	Relation	catalog = table_open(quiet[i].catalog, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(catalog);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0,
										  NULL);
	HeapTuple	row;
	bool		is_null;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		ObjectAddress object = {quiet[i].class, InvalidOid, 0};

		CHECK_FOR_INTERRUPTS();
		if (!is_written(row))
			continue;
		if (!OidIsValid(object.classId))
			object.classId = DatumGetObjectId(heap_getattr(row, quiet[i].class_column,
														   desc, &is_null));
		object.objectId = DatumGetObjectId(heap_getattr(row, quiet[i].object_column,
														desc, &is_null));
		if (is_objectclass_supported(object.classId) &&
			(quiet[i].acl == 0 ||
			 differs_from_before(&object, row, quiet[i].acl, desc)))
			touch(object.classId, object.objectId)->is_altered = true;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * Finds what each object is told as.  The list grows by those that only parts
 * of were touched.
 */
static void
find_wholes(void)
{
	for (int i = 0; i < list_length(watch->touched); i++)
	{
		Touched    *touched = list_nth(watch->touched, i);
		bool		is_there = HeapTupleIsValid(nbm_object_row(&touched->object, NULL));

		CHECK_FOR_INTERRUPTS();
		touched->was_there = HeapTupleIsValid(nbm_object_row(&touched->object,
															 watch->before));
		if (is_there)
		{
			touched->is_dropped = false;
			name_object(touched, false);
		}
		else if (touched->kind == NULL)
			touched->whole.classId = InvalidOid;	/* was undone at once */
		if (OidIsValid(touched->whole.classId) &&
			OidIsValid(touched->whole.objectId) &&
			(touched->whole.classId != touched->object.classId ||
			 touched->whole.objectId != touched->object.objectId))
		{
			touch(touched->whole.classId,
				  touched->whole.objectId)->is_altered |= touched->is_altered |
				touched->is_dropped;
			touched->whole.classId = InvalidOid;
		}
	}
}

/* What became of an object that is told as itself. */
static Action
action_of(const Touched *touched)
{
	if (!OidIsValid(touched->whole.classId))
		return ACTION_NONE;
	if (touched->is_dropped)
		return touched->was_there ? ACTION_DROPPED : ACTION_NONE;
	if (!touched->was_there)
		return ACTION_CREATED;
	return touched->is_altered ? ACTION_CHANGED : ACTION_NONE;
}

/* Did the same become of one that it comes and goes with? */
static bool
follows_another(const Touched *touched)
{
	ListCell   *cell;

	foreach(cell, touched->leaders)
	{
		const Touched *leader = hash_search(watch->by_object, lfirst(cell),
											HASH_FIND, NULL);

		if (leader != NULL && leader->action == touched->action)
			return true;
	}
	return false;
}

/* Has a table, of any kind that has rows, got another file? */
static bool
is_rewritten(const Touched *touched)
{
	HeapTuple	old;
	HeapTuple	new;

	if (touched->is_dropped || !touched->was_there ||
		(touched->relkind != RELKIND_RELATION &&
		 touched->relkind != RELKIND_MATVIEW))
		return false;
	old = nbm_object_row(&touched->object, watch->before);
	new = nbm_object_row(&touched->object, NULL);
	return HeapTupleIsValid(old) && HeapTupleIsValid(new) &&
		((Form_pg_class) GETSTRUCT(old))->relfilenode !=
		((Form_pg_class) GETSTRUCT(new))->relfilenode;
}

/* One entry of the answer. */
typedef struct Told
{
	const char *kind;
	const char *name;
	Action		action;
} Told;

/* qsort: by kind, name and word of the action, byte by byte. */
static int
compare_told(const void *a, const void *b)
{
	const Told *x = a;
	const Told *y = b;
	int			result = strcmp(x->kind, y->kind);

	if (result == 0)
		result = strcmp(x->name, y->name);
	if (result == 0)
		result = strcmp(action_words[x->action], action_words[y->action]);
	return result;
}

/*
 * Makes one of those that are of one name: what went and came again under it
 * was changed.  Returns how many are left.
 */
static int
join_told(Told *told, int count)
{
	int			n = 0;

	for (int i = 0; i < count; i++)
	{
		Told	   *last = n > 0 ? &told[n - 1] : NULL;

		if (last != NULL && told[i].action != ACTION_REWRITTEN &&
			strcmp(last->kind, told[i].kind) == 0 &&
			strcmp(last->name, told[i].name) == 0)
			last->action = ACTION_CHANGED;
		else
			told[n++] = told[i];
	}
	return n;
}

/* The objects, in the current context. */
static Jsonb *
tell_objects(void)
{
	Told	   *told = palloc_array(Told, 2 * list_length(watch->touched) + 1);
	int			count = 0;
	NbmValues	values = {0};
	ListCell   *cell;

	foreach(cell, watch->touched)
	{
		Touched    *touched = lfirst(cell);

		touched->action = action_of(touched);
	}
	foreach(cell, watch->touched)
	{
		const Touched *touched = lfirst(cell);
		Told		one = {touched->kind, touched->name, touched->action};

		if (touched->kind == NULL || touched->name == NULL)
			continue;
		if (one.action != ACTION_NONE && !follows_another(touched))
			told[count++] = one;
		one.action = ACTION_REWRITTEN;
		if (is_rewritten(touched))
			told[count++] = one;
	}
	qsort(told, count, sizeof(Told), compare_told);
	count = join_told(told, count);
	for (int i = 0; i < count; i++)
	{
		NbmMembers	object = {0};

		nbm_member_text(&object, "kind", nbm_text(told[i].kind));
		nbm_member_text(&object, "name", nbm_text(told[i].name));
		nbm_member_text(&object, "action", nbm_text(action_words[told[i].action]));
		nbm_add_jsonb(&values, nbm_object_of(&object));
	}
	return nbm_array_of(&values);
}

/*
 * The row of a relation from before the work if locks on it are told, else
 * NULL: it must be of the user, and no index.
 */
static HeapTuple
row_of_lockable(Oid relation)
{
	ObjectAddress object = {RelationRelationId, relation, 0};
	HeapTuple	row = nbm_object_row(&object, watch->before);
	Form_pg_class form;
	char	   *schema;

	if (!HeapTupleIsValid(row))
		return NULL;
	form = (Form_pg_class) GETSTRUCT(row);
	if (form->relkind == RELKIND_INDEX || form->relkind == RELKIND_TOASTVALUE ||
		form->relkind == RELKIND_PARTITIONED_INDEX)
		return NULL;
	schema = get_namespace_name(form->relnamespace);
	if (schema != NULL && (IsCatalogNamespace(form->relnamespace) ||
						   strcmp(schema, "information_schema") == 0 ||
						   strcmp(schema, "notebook_migrate") == 0))
		return NULL;
	return row;
}

/* The strongest lock of a set. */
static LOCKMODE
strongest_of(LOCKMASK mask)
{
	LOCKMODE	mode = MaxLockMode;

	while ((mask & LOCKBIT_ON(mode)) == 0)
		mode--;
	return mode;
}

/*
 * A lock that the work took, by the relation's name; false where it took none
 * that is told.  On one that it changed, what was held before counts as well:
 * the work may have taken that once more.
 */
static bool
tell_lock(const Locked *locked, Told *told)
{
	ObjectAddress object = {RelationRelationId, locked->relation, 0};
	LOCKMASK	taken = locked->after & ~locked->before;
	const Touched *touched = hash_search(watch->by_object, &object, HASH_FIND,
										 NULL);

	if (touched != NULL &&
		(touched->action != ACTION_NONE || is_rewritten(touched)))
		taken = locked->after;
	if (taken == 0 || row_of_lockable(locked->relation) == NULL)
		return false;
	told->name = touched != NULL && touched->name != NULL ? touched->name :
		getObjectIdentity(&object, true);
	told->kind = GetLockmodeName(DEFAULT_LOCKMETHOD, strongest_of(taken));
	return told->name != NULL;
}

/* qsort: by name, byte by byte. */
static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const Told *) a)->name, ((const Told *) b)->name);
}

/* The locks, in the current context. */
static Jsonb *
tell_locks(void)
{
	Told	   *told = palloc_array(Told, hash_get_num_entries(watch->locks) + 1);
	int			count = 0;
	NbmValues	values = {0};
	HASH_SEQ_STATUS scan;
	Locked	   *locked;

	hash_seq_init(&scan, watch->locks);
	while ((locked = hash_seq_search(&scan)) != NULL)
		count += tell_lock(locked, &told[count]);
	qsort(told, count, sizeof(Told), compare_names);
	for (int i = 0; i < count; i++)
	{
		NbmMembers	lock = {0};

		nbm_member_text(&lock, "relation", nbm_text(told[i].name));
		nbm_member_text(&lock, "mode", nbm_text(told[i].kind));
		nbm_add_jsonb(&values, nbm_object_of(&lock));
	}
	return nbm_array_of(&values);
}

/* Looks at what the work left; *seen is of the given context. */
static void
look_back(MemoryContext context, NbmSeen *seen)
{
	CommandCounterIncrement();
	read_locks(true);
	touch_locked();
	for (int i = 0; i < lengthof(quiet); i++)
		touch_quiet(i);
	find_wholes();
	seen->objects = tell_objects();
	seen->locks = tell_locks();
	MemoryContextSwitchTo(context);
	seen->objects = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(seen->objects));
	seen->locks = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(seen->locks));
}

/*
 * Does work and looks at what it does; *seen is of the current context.  The
 * work may raise, or undo what it did: then nothing is seen of it but locks.
 */
void
nbm_watch(NbmWork work, void *arg, NbmSeen *seen)
{
	MemoryContext context = CurrentMemoryContext;
	Watch	   *outer = watch;
	Watch	   *this;
	MemoryContext own = AllocSetContextCreate(context, "notebook_migrate watch",
											  ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(own);
	this = palloc0_object(Watch);
	this->context = own;
	this->by_object = new_table("notebook_migrate objects",
								sizeof(ObjectAddress), sizeof(Touched));
	this->locks = new_table("notebook_migrate locks", sizeof(Oid),
							sizeof(Locked));
	CommandCounterIncrement();
	this->first_command = GetCurrentCommandId(false);
	this->before = RegisterSnapshot(GetLatestSnapshot());
	PG_TRY();
	{
		watch = this;
		read_locks(false);
		set_hook();
		MemoryContextSwitchTo(context);
		work(arg);
		MemoryContextSwitchTo(own);
		look_back(context, seen);
	}
	PG_FINALLY();
	{
		go_back(outer);
	}
	PG_END_TRY();
	UnregisterSnapshot(this->before);
	MemoryContextSwitchTo(context);
	MemoryContextDelete(own);
}
