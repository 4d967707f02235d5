/*
 * json_diff.h
 *		The JSON Patch (RFC 6902) that makes one jsonb of another.
 *
 * A plain algorithm: it knows no tables and runs no SQL.
 */
#ifndef NBM_JSON_DIFF_H
#define NBM_JSON_DIFF_H

#include "jsonb_bytes.h"

extern Jsonb *nbm_json_diff(Jsonb *from, Jsonb *to);

#endif							/* NBM_JSON_DIFF_H */
