/*
 * schema_settle.h
 *		Checking in mid-transaction what is left for its end.
 */
#ifndef NBM_SCHEMA_SETTLE_H
#define NBM_SCHEMA_SETTLE_H

extern char *nbm_settling_statements(void);

#endif							/* NBM_SCHEMA_SETTLE_H */
