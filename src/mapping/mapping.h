/*
 * mapping.h
 *		Authored mappings, and what they answer for other pairs of versions.
 */
#ifndef NBM_MAPPING_H
#define NBM_MAPPING_H

#include "store.h"

/* Links of a mapping, inherited ones included, at most. */
#define NBM_MAX_LINKS 10000000

/* A link of a mapping, by key. */
typedef struct NbmLink
{
	int32		cell;
	int32		op;
	int			nlines;
	int32	   *lines;			/* from, to: 1-based, inclusive */
} NbmLink;

typedef struct NbmLinks
{
	NbmLink    *items;
	int			count;
	int			room;
} NbmLinks;

/* What has become of a link. */
typedef enum NbmState
{
	NBM_EXACT,
	NBM_CARRIED,
	NBM_CELL_CHANGED,
	NBM_OPERATOR_CHANGED,
	NBM_BOTH_CHANGED,
	NBM_CELL_REMOVED,
	NBM_OPERATOR_REMOVED,
	NBM_BOTH_REMOVED
} NbmState;

/* One side of a pair of versions. */
typedef struct NbmSide
{
	NbmStore	store;
	NbmVersion	version;		/* the one that was asked about */
	NbmVersion	authored;		/* the one that the mapping was stated for */
	NbmBodies  *bodies;
	int		   *index;			/* by key, of the version asked about */
	int32		max_key;
	int		   *authored_index; /* by key, of the authored version */
	int32		authored_max;
	int8	   *change;			/* by index: has it changed?  0: not yet
								 * known, -1: no, 1: yes */
} NbmSide;

/* The answer for a pair of versions. */
typedef struct NbmAnswer
{
	NbmSide		cells;
	NbmSide		operators;
	bool		has_mapping;
	bool		is_exact;
	int64		mapping_id;
	NbmLinks	links;			/* of the authored mapping */
	NbmState   *states;
} NbmAnswer;

extern void nbm_mapping_parse(const NbmLayout *notebook,
							  const NbmLayout *workflow, Jsonb *mapping,
							  NbmLinks *links);
extern Jsonb *nbm_mapping_content(const NbmLinks *links);
extern Jsonb *nbm_mapping_for_copy(int64 mapping_id, Jsonb *content,
								   const NbmVersion *original,
								   const NbmVersion *copy);
extern void nbm_mapping_answer(NbmAnswer *answer, int64 notebook_id,
							   const int32 *notebook_version,
							   int64 workflow_id,
							   const int32 *workflow_version);
extern const char *nbm_state_name(NbmState state);
extern bool nbm_state_is_live(NbmState state);
extern int	nbm_side_find(const NbmSide *side, int32 key);
extern int	nbm_authored_find(const NbmSide *side, int32 key);

#endif							/* NBM_MAPPING_H */
