/* How what is restored gets to disk, so that every failed write is heard of: either each file and directory
 * is synced when it is done, or each file system once at the end, which is faster for many. */
#ifndef WALFERRY_RESTORE_SYNC_H
#define WALFERRY_RESTORE_SYNC_H

#include <stdbool.h>

struct restore_places;

struct restore_sync {
    bool each; /* syncfs can't be trusted on one of the file systems */
};

/* The places are open, and nothing has been written into them: syncfs tells what failed since then. */
void restore_sync_begin(struct restore_sync *sync, const struct restore_places *places);
/* A file or directory that is complete, also one that was found so (who wrote it may not have synced it): it
 * is on disk, or will be with the end. 0, or -1 with errno set and nothing logged. sync NULL: does nothing.
 */
int restore_sync_done(const struct restore_sync *sync, int fd);
/* All is on disk. 0, or -1 after logging. */
int restore_sync_end(const struct restore_sync *sync, const struct restore_places *places);

#endif
