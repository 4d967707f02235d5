/*
 * sequence.h
 *		What two sequences of numbers have in common, in order.
 *
 * A plain algorithm: it knows no tables and runs no SQL.
 */
#ifndef NBM_SEQUENCE_H
#define NBM_SEQUENCE_H

extern void nbm_longest_increasing(const int *values, int count, bool *is_in);
extern void nbm_common_sequence(const int *a, int na, const int *b, int nb,
								int nclasses, int *b_of_a);

#endif							/* NBM_SEQUENCE_H */
