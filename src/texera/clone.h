/*
 * clone.h
 *		A workflow's mapping, said of its duplicate.
 */
#ifndef NBM_CLONE_H
#define NBM_CLONE_H

#include "mapping.h"

extern void nbm_answer_for_duplicate(NbmAnswer *answer, int64 workflow_id);

#endif							/* NBM_CLONE_H */
