/*
 * layout.h
 *		The layout of a version: which item stands where, and of what parts.
 */
#ifndef NBM_LAYOUT_H
#define NBM_LAYOUT_H

#include "jsonb_bytes.h"

/* What an item says of its execution count, in NbmItem.flags. */
#define NBM_COUNT_NONE		0x00	/* no count, or one that the core keeps */
#define NBM_COUNT_NULL		0x01	/* null */
#define NBM_COUNT_NUMBER	0x02	/* a number: NbmItem.count */
#define NBM_COUNT_MASK		0x03
#define NBM_COUNT_PROMPT	0x04	/* named prompt_number (nbformat 2, 3) */
#define NBM_HAS_OUTPUTS		0x08	/* has an array of outputs of its own */
#define NBM_FLAGS_MASK		0x0f

/* The names that a document can give an item. */
#define NBM_ID_STRONG		0	/* metadata.uuid, operatorID */
#define NBM_ID_WEAK			1	/* nbformat id */
#define NBM_IDS				2

/* Keys go up to here, and so does the memory that an index by key takes. */
#define NBM_MAX_KEY			100000000

/* One output of a cell. */
typedef struct NbmOutput
{
	uint64		part;
	bool		counted;		/* has its cell's execution count */
} NbmOutput;

/* One item at its place in one version. */
typedef struct NbmItem
{
	int32		key;			/* its identity in the document, from 1 */
	int32		since;			/* version from which it stands unbroken */
	uint32		flags;			/* NBM_COUNT_..., NBM_HAS_OUTPUTS */
	int32		count;
	NbmText		id[NBM_IDS];
	uint64		core;			/* part id */
	int			noutputs;
	NbmOutput  *outputs;
} NbmItem;

/* A version of a document, without the bodies of its parts. */
typedef struct NbmLayout
{
	uint64		envelope;		/* part id */
	int			nruns;			/* arrays that hold the items: worksheets */
	int		   *runs;			/* how many items each holds */
	int			nitems;
	NbmItem    *items;
} NbmLayout;

extern bytea *nbm_layout_encode(const NbmLayout *layout);
extern bool nbm_layout_decode(const bytea *bytes, NbmLayout *layout);
extern bytea *nbm_layout_encode_delta(const NbmLayout *layout,
									  const NbmLayout *keyframe);
extern bool nbm_layout_decode_delta(const bytea *bytes,
									const NbmLayout *keyframe,
									NbmLayout *layout);
extern bytea *nbm_item_encode(const NbmItem *item);
extern bool nbm_item_decode(const bytea *bytes, NbmItem *item);
extern void nbm_layout_digest(const NbmLayout *layout, uint8 *digest);
extern bool nbm_item_same(const NbmItem *a, const NbmItem *b);
extern bool nbm_outputs_same(const NbmItem *a, const NbmItem *b);
extern int *nbm_layout_index(const NbmLayout *layout, int32 *max_key);

#endif							/* NBM_LAYOUT_H */
