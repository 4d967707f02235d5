/*
 * args.h
 *		Arguments and results of SQL-callable functions.
 */
#ifndef NBM_ARGS_H
#define NBM_ARGS_H

#include "fmgr.h"
#include "store.h"

/*
 * Defines the SQL-callable functions nbm_notebook_NAME and nbm_workflow_NAME,
 * which call NAME with the kind of document that they are for.
 */
#define NBM_FOR_BOTH_KINDS(name) \
PG_FUNCTION_INFO_V1(nbm_notebook_##name); \
Datum nbm_notebook_##name(PG_FUNCTION_ARGS) \
{ return name(fcinfo, &nbm_notebook); } \
PG_FUNCTION_INFO_V1(nbm_workflow_##name); \
Datum nbm_workflow_##name(PG_FUNCTION_ARGS) \
{ return name(fcinfo, &nbm_workflow); } \
extern int	nbm_semicolon_##name

extern void nbm_require_arg(FunctionCallInfo fcinfo, int number,
							const char *name);
extern NbmStore nbm_arg_store(FunctionCallInfo fcinfo, const NbmKind *kind,
							  int number, bool read_only);
extern char *nbm_arg_text(FunctionCallInfo fcinfo, int number);
extern const int32 *nbm_arg_expected(FunctionCallInfo fcinfo, int number,
									 int32 *space);
extern Datum nbm_text_datum(NbmText string);



#endif							/* NBM_ARGS_H */
