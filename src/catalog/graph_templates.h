/*
 * graph_templates.h
 *		The SQL of operations on a graph's schema.
 */
#ifndef NBM_GRAPH_TEMPLATES_H
#define NBM_GRAPH_TEMPLATES_H

#include "lib/stringinfo.h"

/* What braces in a template stand for, at most. */
#define NBM_GRAPH_WORDS 32

/* The words of a template by name; neither side is owned. */
typedef struct NbmGraphWords
{
	int			count;
	const char *names[NBM_GRAPH_WORDS];
	const char *values[NBM_GRAPH_WORDS];
} NbmGraphWords;

/*
 * A script: first a PL/pgSQL block, for what cannot be known before it runs,
 * then a statement.  Either may be NULL.
 */
typedef struct NbmGraphTemplate
{
	const char *block;
	const char *statement;
} NbmGraphTemplate;

extern const NbmGraphTemplate nbm_graph_create;
extern const NbmGraphTemplate nbm_graph_create_between;
extern const NbmGraphTemplate nbm_graph_drop;
extern const NbmGraphTemplate nbm_graph_drop_node;
extern const NbmGraphTemplate nbm_graph_rename_type;
extern const NbmGraphTemplate nbm_graph_add_property;
extern const NbmGraphTemplate nbm_graph_drop_property;
extern const NbmGraphTemplate nbm_graph_rename_property;
extern const NbmGraphTemplate nbm_graph_add_index;
extern const NbmGraphTemplate nbm_graph_drop_index;
extern const NbmGraphTemplate nbm_graph_extend_key;
extern const NbmGraphTemplate nbm_graph_restore_key;

extern void nbm_graph_word(NbmGraphWords *words, const char *name,
						   const char *value);
extern char *nbm_graph_write(const NbmGraphTemplate *template,
							 const NbmGraphWords *words);

#endif							/* NBM_GRAPH_TEMPLATES_H */
