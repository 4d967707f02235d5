/*
 * prompt.h
 *		What a language model is shown of a notebook.
 */
#ifndef NBM_PROMPT_H
#define NBM_PROMPT_H

#include "store.h"

extern Jsonb *nbm_prompt_make(const NbmStore *notebook, int32 version,
							  bool only_changed, MemoryContext context);

#endif							/* NBM_PROMPT_H */
