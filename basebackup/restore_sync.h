/* How what is restored gets to disk, so that every failed write is heard of: either each file and directory
 * is synced when it is done, or each file system once at the end, which is faster for many. */
#ifndef WALFERRY_RESTORE_SYNC_H
#define WALFERRY_RESTORE_SYNC_H

#include <stdatomic.h>
#include <stdbool.h>

struct restore_places;

struct restore_sync {
    bool each;         /* syncfs can't be trusted on one of the file systems */
    bool may_be_few;   /* so the first ones are synced one by one, in the hope that no more come */
    atomic_uint count; /* that were to be synced so far */
};

/* The places are open, and nothing has been written into them: syncfs tells what failed since then. */
void restore_sync_begin(struct restore_sync *sync, const struct restore_places *places, bool may_be_few);
/* A file or directory that is complete: it is on disk, or will be with the end. 0, or -1 with errno set and
 * nothing logged. sync NULL: does nothing. */
int restore_sync_done(struct restore_sync *sync, int fd);
/* All is on disk. 0, or -1 after logging. */
int restore_sync_end(struct restore_sync *sync, const struct restore_places *places);

#endif
