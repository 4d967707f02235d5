/*
 * sequence.h
 *		How two sequences of numbers differ.
 *
 * A plain algorithm: it knows no tables and runs no SQL.
 */
#ifndef NBM_SEQUENCE_H
#define NBM_SEQUENCE_H

extern void nbm_sequence_diff(const int *a, int na, const int *b, int nb,
							  int nnumbers, bool *a_changed, bool *b_changed);

#endif							/* NBM_SEQUENCE_H */
