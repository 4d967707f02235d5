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

/* 16 gave parseTypeString a place for soft errors. */
#if PG_VERSION_NUM >= 160000
#define nbm_parse_type(string, type, typmod) \
	((void) parseTypeString(string, type, typmod, NULL))
#else
#define nbm_parse_type(string, type, typmod) \
	parseTypeString(string, type, typmod, false)
#endif

#endif							/* NBM_COMPAT_H */
