/*
 * catalog_read.c
 *		Reading definitions from the catalogs while others change them.
 *
 * A query sees the catalogs' rows as its snapshot does, but the functions that
 * write definitions of them look for what is there by now, and lock nothing:
 * to those it is an internal error where somebody has dropped it meanwhile.
 * To the caller it is one that another attempt does not have.
 */
#include "postgres.h"

#include "catalog_read.h"

/* Raises 40001: somebody has changed what is being read. */
void
nbm_catalogs_changed(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("the catalog was changed while it was read"),
			 detail ? errdetail_internal("%s", detail) : 0,
			 errhint("Try again.")));
}

/* Does work that reads them; raises 40001 where that is an internal error. */
void
nbm_read_catalogs(NbmWork work, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		work(arg);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_INTERNAL_ERROR)
			PG_RE_THROW();
		FlushErrorState();
		nbm_catalogs_changed(error->message);
	}
	PG_END_TRY();
}
