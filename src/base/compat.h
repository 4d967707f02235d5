/*
 * compat.h
 *		Every difference between server versions, in one place.
 *
 * Each wrapper names the server version that made it necessary.  No other
 * file of the project looks at PG_VERSION_NUM.
 */
#ifndef NBM_COMPAT_H
#define NBM_COMPAT_H

#include "common/base64.h"
#include "fmgr.h"

/* 16 moved the varlena macros out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 added a module magic that carries a name and a version. */
#if PG_VERSION_NUM >= 180000
#define NBM_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "notebook_migrate", .version = NBM_VERSION)
#else
#define NBM_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 18 types the binary side of base64 as uint8. */
#if PG_VERSION_NUM >= 180000
typedef uint8 NbmByte;
#else
typedef char NbmByte;
#endif

/* 16 gave make_range a place for soft errors. */
#if PG_VERSION_NUM >= 160000
#define nbm_make_range(typcache, lower, upper) \
	make_range(typcache, lower, upper, false, NULL)
#else
#define nbm_make_range(typcache, lower, upper) \
	make_range(typcache, lower, upper, false)
#endif

/* 17 lets a generated column get another expression, which writes all rows. */
#if PG_VERSION_NUM >= 170000
#define NBM_AT_SET_EXPRESSION AT_SetExpression
#else
#define NBM_AT_SET_EXPRESSION (-1)
#endif

/* 18 has generated columns that are not stored. */
#if PG_VERSION_NUM >= 180000
#define nbm_is_stored(constraint) \
	((constraint)->generated_kind == ATTRIBUTE_GENERATED_STORED)
#else
#define nbm_is_stored(constraint) true
#endif

/* 16 gave parseTypeString a place for soft errors. */
#if PG_VERSION_NUM >= 160000
#define nbm_parse_type(string, type, typmod) \
	((void) parseTypeString(string, type, typmod, NULL))
#else
#define nbm_parse_type(string, type, typmod) \
	parseTypeString(string, type, typmod, false)
#endif

/* 17 lets a worker connect as a role that may not log in, as its caller has. */
#if PG_VERSION_NUM >= 170000
#define NBM_WORKER_CONNECTION BGWORKER_BYPASS_ROLELOGINCHECK
#else
#define NBM_WORKER_CONNECTION 0
#endif

/* 18 runs a portal once without being told; all of it, as a top-level one. */
#if PG_VERSION_NUM >= 180000
#define nbm_portal_run_all(portal, receiver) \
	PortalRun(portal, FETCH_ALL, true, receiver, receiver, NULL)
#else
#define nbm_portal_run_all(portal, receiver) \
	PortalRun(portal, FETCH_ALL, true, true, receiver, receiver, NULL)
#endif

/* 16 gave the parser of type names a place for soft errors. */
#if PG_VERSION_NUM >= 160000
#define nbm_parse_type_name(text) typeStringToTypeName(text, NULL)
#else
#define nbm_parse_type_name(text) typeStringToTypeName(text)
#endif

/* 18 brought keys over periods and constraints that nothing enforces: c. */
#if PG_VERSION_NUM >= 180000
#define NBM_IS_PLAIN_CONSTRAINT " AND NOT c.conperiod AND c.conenforced"
#else
#define NBM_IS_PLAIN_CONSTRAINT ""
#endif

#endif							/* NBM_COMPAT_H */
