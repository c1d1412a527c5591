/* Has a repository what the server has under a segment's name? Where two histories use it (COLLISIONS in
 * wal-push(1)) a backup could not be recovered, or only with what another server wrote. */
#ifndef WALFERRY_WAL_COMPARE_H
#define WALFERRY_WAL_COMPARE_H

#include "common/targets.h"

/* Of a segment that waits to be archived. 0, also when it does not wait any more; or -1 after logging. */
int wal_compare(const char *pg_wal, struct target *target, uint64_t system_identifier, const char *name);

#endif
