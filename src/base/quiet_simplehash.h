/*
 * quiet_simplehash.h
 *		The server's lib/simplehash.h, which has a variable that hides another
 *		of its own.  As that one, it is included once for each table.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "lib/simplehash.h"
#pragma GCC diagnostic pop
