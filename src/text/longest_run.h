/*
 * longest_run.h
 *		The longest part of a sequence that stands in ascending order.
 *
 * A plain algorithm: what is not in that part has moved.
 */
#ifndef NBM_LONGEST_RUN_H
#define NBM_LONGEST_RUN_H

extern void nbm_longest_run(const int *values, int count, bool *is_in);

#endif							/* NBM_LONGEST_RUN_H */
