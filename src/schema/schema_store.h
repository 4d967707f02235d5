/*
 * schema_store.h
 *		The tables of schema migrations: definitions and history.
 */
#ifndef NBM_SCHEMA_STORE_H
#define NBM_SCHEMA_STORE_H

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "guard.h"
#include "part.h"

/* A migration that is defined, or whose name is known from elsewhere. */
typedef struct NbmMigration
{
	char	   *name;
	char	  **depends_on;
	int			ndepends;
	char	  **replaces;
	int			nreplaces;
	bool		is_defined;
	bool		is_transactional;
	bool		has_down;
	uint8		digest[NBM_DIGEST_LEN]; /* of up, where it is defined */

	/* What the history says. */
	int64		applied;		/* its entry; 0: it is not applied */
	int			applied_row;	/* the entry's row */
	int			last_row;		/* what last happened to it; -1: nothing */
	bool		is_baseline;	/* applied by somebody else's word */
	bool		has_changed;	/* applied with another text */
	int			covered_by;		/* the applied squash it is part of, or -1 */
	bool		is_satisfied;	/* one of both, or all that it replaces is */
} NbmMigration;

/* All there are, by name; its memory is that of the store. */
typedef struct NbmSchema
{
	NbmMigration *all;
	int			count;
	struct nbm_numbers_hash *numbers;	/* by name */
	SPITupleTable *history;
} NbmSchema;

/* Columns of the history's rows. */
typedef enum NbmHistoryColumn
{
	NBM_HISTORY_ENTRY = 1,
	NBM_HISTORY_NAME,
	NBM_HISTORY_STATE,
	NBM_HISTORY_DIRECTION,
	NBM_HISTORY_SQLSTATE,
	NBM_HISTORY_MESSAGE,
	NBM_HISTORY_STARTED,
	NBM_HISTORY_DURATION,
	NBM_HISTORY_BY,
	NBM_HISTORY_SHA256,
	NBM_HISTORY_REPLACES,
	NBM_HISTORY_NOTE
} NbmHistoryColumn;

/* A row for the history. */
typedef struct NbmHistoryEntry
{
	const char *name;
	bool		is_down;
	const char *state;			/* applied, baseline, reverted, failed */
	int			sqlstate;		/* 0: did not fail */
	const char *message;
	int			statement;		/* 0: NULL */
	int			position;		/* 0: NULL */
	TimestampTz started_at;
	const char *by;				/* who ran it */
	const uint8 *digest;		/* NULL: NULL */
	char	  **replaces;
	int			nreplaces;
	const char *note;			/* NULL: NULL */
} NbmHistoryEntry;

/* A definition as it is to be registered. */
typedef struct NbmDefinition
{
	const char *name;
	const char *up;
	const char *down;			/* NULL: none */
	Datum		depends_on;		/* text[] */
	Datum		replaces;		/* text[] */
	bool		is_transactional;
} NbmDefinition;

/* What a definition is to what is there. */
typedef enum NbmKnown
{
	NBM_UNKNOWN,
	NBM_EQUAL,
	NBM_OTHER,
	NBM_OTHER_APPLIED
} NbmKnown;

extern char **nbm_names_of(Datum array, int *count);
extern Datum nbm_names_datum(char *const *names, int count);

extern int	nbm_schema_begin(Oid owner, bool is_latest, NbmIdentity *before);
extern void nbm_schema_end(int level, const NbmIdentity *before);

extern NbmSchema *nbm_schema_read(void);
extern void nbm_schema_index(NbmSchema *schema);
extern int	nbm_schema_find(const NbmSchema *schema, const char *name);
extern Datum nbm_schema_history(const NbmSchema *schema, int row,
								NbmHistoryColumn column, bool *is_null);
extern char *nbm_schema_history_text(const NbmSchema *schema, int row,
									 NbmHistoryColumn column);
extern char *nbm_schema_text(Oid owner, const char *name, bool is_down,
							 bool locks, uint8 *digest);
extern void nbm_schema_record(const NbmHistoryEntry *entry);
extern NbmKnown nbm_schema_known(const NbmDefinition *definition);
extern bool nbm_schema_define(const NbmDefinition *definition,
							  bool replaces);
extern char **nbm_schema_ancestor_path(const char *name, Datum depends_on,
									   int *length);

#endif							/* NBM_SCHEMA_STORE_H */
