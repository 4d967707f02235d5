/*
 * query.h
 *		The store's queries: their texts, plans and results.
 */
#ifndef NBM_QUERY_H
#define NBM_QUERY_H

#include "executor/spi.h"
#include "document.h"

/* The queries, by name; query.c has their texts. */
typedef enum NbmQuery
{
	Q_HEAD,
	Q_LOCK,
	Q_CLAIM,
	Q_CLAIM_TO_DELETE,
	Q_CREATE,
	Q_CREATE_WITH_ID,
	Q_ADVANCE,
	Q_RENAME,
	Q_DELETE_HEAD,
	Q_DELETE_VERSIONS,
	Q_DELETE_PARTS,
	Q_DELETE_REMOVED,
	Q_DROP_REMOVED,
	Q_DELETE_MAPPINGS,
	Q_VERSION_AT,
	Q_VERSION,
	Q_VERSION_WORDS,
	Q_EQUAL_VERSIONS,
	Q_KEEP,
	Q_VERSIONS,
	Q_ADD_VERSION,
	Q_VERSION_ROWS,
	Q_DESCENTS,
	Q_PARTS,
	Q_DIGESTS,
	Q_ADD_PART,
	Q_ALL_PARTS,
	Q_REMOVED,
	Q_ADD_REMOVED,
	Q_REMOVED_ROWS,
	Q_NEXT_MAPPING,
	Q_ADD_MAPPING,
	Q_MAPPING_ROWS,
	Q_SHIFT_MAPPING,
	Q_MAPPINGS,
	Q_MAPPING_CONTENT,
	Q_MAPPED_PAIRS,
	Q_NEAREST_WORKFLOW,
	Q_IDS,
	Q_DELETE_JOBS,
	Q_JOB_WORK,
	Q_JOB_EQUAL_DONE,
	Q_JOB_EQUAL_RESULT,
	Q_JOB_EQUAL_BARE,
	Q_JOB_EQUAL_OPEN,
	Q_JOB_ASKED,
	Q_JOB_HASTEN,
	Q_JOB_JOIN,
	Q_JOB_ADD,
	Q_JOB_LEAD,
	Q_JOB_ADD_EQUAL,
	Q_JOB_DUE,
	Q_JOB_WAKE,
	Q_JOB_CLAIM,
	Q_JOB_LOCK,
	Q_JOB_EXTEND,
	Q_JOB_FINISH,
	Q_JOB_DONE,
	Q_JOB_RETRY,
	Q_JOB_IS_FIRST,
	Q_JOB_LINE_LOCK,
	Q_JOB_LINE_END,
	Q_JOB_PROMPT,
	Q_JOB_ACCEPT,
	Q_JOB_STATUS,
	Q_JOB_STATS,
	Q_JOB_PRUNE,
	QUERIES
} NbmQuery;

/* Arguments of a query, at most. */
#define NBM_MAX_ARGS 18

extern int	nbm_query_begin(void);
extern int	nbm_store_begin(void);
extern void nbm_store_end(int guc_level);
extern SPIPlanPtr nbm_query_plan(const NbmKind *kind, NbmQuery query);
extern uint64 nbm_query_run(const NbmKind *kind, NbmQuery query,
							Datum *values, const char *nulls, bool read_only);
extern uint64 nbm_query_run_latest(NbmQuery query, Datum *values,
								   const char *nulls);
extern Datum nbm_query_column(uint64 row, int number, bool *is_null);
extern const Oid *nbm_query_types(NbmQuery query, int *count);

#endif							/* NBM_QUERY_H */
