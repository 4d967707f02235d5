/*
 * invalid_index.h
 *		The invalid index that a statement left, or would rest content with.
 */
#ifndef NBM_INVALID_INDEX_H
#define NBM_INVALID_INDEX_H

extern char *nbm_invalid_index_of(const char *statement);

#endif							/* NBM_INVALID_INDEX_H */
