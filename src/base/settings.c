/*
 * settings.c
 *		Parameters of the session, set for a while.
 *
 * The caller opens a level with NewGUCNestLevel() and closes it with
 * AtEOXact_GUC(); an error closes it as well.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "parser/parser.h"
#include "utils/guc.h"

#include "settings.h"

#define PINNED_PATH "pg_catalog, pg_temp"

/* Sets a parameter until the level ends. */
void
nbm_setting_put(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Has names be looked up where nobody can set traps, until the level ends.
 * SQL functions have their path pinned already: then there is nothing to do.
 */
void
nbm_setting_pin_path(void)
{
	if (strcmp(namespace_search_path, PINNED_PATH) != 0)
		nbm_setting_put("search_path", PINNED_PATH);
}

/*
 * Has a backslash in a string mean itself, as the standard says, whatever the
 * session thinks, until the level ends: a script must be one and the same for
 * who checks it and for who runs it.
 */
void
nbm_setting_pin_strings(void)
{
	if (!standard_conforming_strings)
		nbm_setting_put("standard_conforming_strings", "on");
}
