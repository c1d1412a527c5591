/* The backups of one system, the oldest first: started.json before, the manifest behind all else. */
#ifndef WALFERRY_SYNC_BACKUPS_H
#define WALFERRY_SYNC_BACKUPS_H

#include "sync.h"

/* Puts the started.json of those that will be copied, so that an expiry there keeps their WAL, which comes
 * first. 0, or -1 after logging: stop. */
int sync_backups_announce(struct sync *sync);
/* The same. */
int sync_backups(struct sync *sync);

#endif
