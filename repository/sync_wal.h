/* The WAL of one system: histories, restore points, then folder by folder, in the order of the WAL. */
#ifndef WALFERRY_SYNC_WAL_H
#define WALFERRY_SYNC_WAL_H

#include "sync.h"

/* first_lsn: WAL before it is left out. 0, or -1 after logging: stop. */
int sync_wal(struct sync *sync, uint64_t first_lsn);

/* Has the other the WAL that makes this backup consistent, from its start to its end? 1; 0: *missing is not
 * there; -1 after logging: it could not be asked. */
int sync_wal_has(struct sync *sync, const struct backup *backup, char missing[WAL_SEGMENT_NAME_BYTES]);

#endif
