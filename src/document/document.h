/*
 * document.h
 *		What a notebook and a workflow look like, and nothing else does.
 */
#ifndef NBM_DOCUMENT_H
#define NBM_DOCUMENT_H

#include "jsonb_bytes.h"
#include "layout.h"
#include "part.h"

/* The description of a kind of document. */
typedef struct NbmKind
{
	int			number;			/* 0, 1: place in per-kind arrays */
	const char *name;			/* notebook, workflow: names of tables too */
	const char *item;			/* cell, operator */
	const char *items;			/* the member that holds the items */
} NbmKind;

#define NBM_KINDS 2

/* Items of a document, and outputs of a cell, at most. */
#define NBM_MAX_ITEMS 1000000

extern const NbmKind nbm_notebook;
extern const NbmKind nbm_workflow;

/* A document that was opened: its items found, but not yet looked into. */
typedef struct NbmDocument
{
	const NbmKind *kind;
	JsonbContainer *root;
	int			nruns;			/* arrays of items, one but for worksheets */
	int		   *runs;			/* length of each */
	int		   *run_places;		/* index of its worksheet, -1 for none */
	int			nitems;
	JsonbValue *items;			/* whole items, pointing into the document */
} NbmDocument;

/* Where something stands, for errors: an item of a document, or a path. */
typedef struct NbmWhere
{
	const NbmDocument *doc;		/* NULL: path says it */
	int			index;
	const char *path;
} NbmWhere;

/*
 * An item taken apart.  The bodies point into the document, or to new memory
 * where something had to be cut out of them.  The part ids in item are not
 * yet known.
 */
typedef struct NbmSplit
{
	NbmItem		item;
	JsonbValue	core;
	JsonbValue *outputs;		/* item.noutputs of them */
} NbmSplit;

/* Finds the body of a part; see nbm_document_assemble. */
typedef NbmBody *(*NbmBodyLookup) (void *arg, uint64 part);

extern const NbmKind *nbm_kind_by_name(NbmText name);
extern void nbm_document_open(const NbmKind *kind, Jsonb *content,
							  NbmDocument *doc);
extern Jsonb *nbm_document_envelope(const NbmDocument *doc);
extern char *nbm_document_path(const NbmDocument *doc, int item);
extern int	nbm_equal_items(const NbmDocument *a, const NbmDocument *b,
							bool at_end, int limit);
extern void nbm_item_split(const NbmKind *kind, const JsonbValue *item,
						   const NbmWhere *where, int depth, NbmSplit *split);
extern int	nbm_document_depth(const NbmDocument *doc);
extern void nbm_check_depth(JsonbContainer *container, int depth,
							const NbmWhere *where);
extern Jsonb *nbm_document_assemble(const NbmKind *kind,
									const NbmLayout *layout,
									NbmBodyLookup lookup, void *arg);
extern Jsonb *nbm_document_compose(const NbmKind *kind, Jsonb *envelope,
								   int nruns, int *runs,
								   const JsonbValue *items);

extern NbmText nbm_item_type(const NbmKind *kind, JsonbContainer *core);
extern NbmText nbm_multiline_text(const JsonbValue *value);
extern NbmText nbm_item_source(const NbmKind *kind, JsonbContainer *core);
extern bool nbm_same_meaning(const NbmKind *kind, JsonbContainer *a,
							 JsonbContainer *b);
extern bool nbm_is_code(const NbmKind *kind, JsonbContainer *core);

#endif							/* NBM_DOCUMENT_H */
