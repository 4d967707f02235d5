/*
 * build.h
 *		Small jsonb values put together piece by piece.
 */
#ifndef NBM_BUILD_H
#define NBM_BUILD_H

#include "jsonb_bytes.h"

/* A growing array; what the values point to must outlive it. */
typedef struct NbmValues
{
	JsonbValue *items;
	int			count;
	int			room;
} NbmValues;

/* Members of an object, at most. */
#define NBM_MAX_MEMBERS 12

/* A small object. */
typedef struct NbmMembers
{
	NbmPair		pairs[NBM_MAX_MEMBERS];
	int			count;
} NbmMembers;

extern void nbm_add_value(NbmValues *values, const JsonbValue *value);
extern void nbm_add_text(NbmValues *values, NbmText string);
extern void nbm_add_integer(NbmValues *values, int64 number);
extern void nbm_add_jsonb(NbmValues *values, Jsonb *jb);
extern Jsonb *nbm_array_of(const NbmValues *values);

extern JsonbValue *nbm_member_value(NbmMembers *members, const char *key);
extern void nbm_member_text(NbmMembers *members, const char *key,
							NbmText string);
extern void nbm_member_integer(NbmMembers *members, const char *key,
							   int64 number);
extern void nbm_member_jsonb(NbmMembers *members, const char *key, Jsonb *jb);
extern Jsonb *nbm_object_of(NbmMembers *members);
extern Jsonb *nbm_object_with(JsonbContainer *object,
							  const NbmMembers *members);

#endif							/* NBM_BUILD_H */
