/* Is all of it readable? Every relation of every database is read from its first page to its last, or
 * pg_amcheck does what it does. */
#ifndef WALFERRY_SCAN_H
#define WALFERRY_SCAN_H

#include "databases.h"

/* 0, or -1 after logging what could not be read. */
int scan_relations(struct drill *drill, const struct databases *databases);
int scan_with_amcheck(struct drill *drill, const struct databases *databases);

#endif
