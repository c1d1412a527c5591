/* Waits until the WAL that a backup needs has arrived in a repository: before that nobody could restore it.
 * What is there under a segment's name is this server's: a segment that the server still has to archive is
 * compared. */
#ifndef WALFERRY_WAL_WAIT_H
#define WALFERRY_WAL_WAIT_H

#include "common/targets.h"
#include "session.h"

struct wal_wait {
    uint32_t timeline;
    uint32_t segment_bytes;
    uint64_t start_lsn; /* of the backup: in the first segment that is needed */
    uint64_t stop_lsn;  /* the byte before it lies in the last one */
    unsigned timeout_seconds;
    const char *pg_wal;          /* the server's */
    struct server *server;       /* for the message about what its archiver does; may be NULL */
    bool from_standby;           /* another server archives, and completes segments */
    void (*tick)(void *context); /* called every second */
    void *context;
};

/* Waits for every required target that lives; one that cannot be asked, or does not get it within the time,
 * is given up. The others are looked at once: those whose WAL is not there yet get a warning; so do all that
 * lack the history of the timeline. 0, or -1: no target left (logged), or interrupted. */
int wal_wait(const struct wal_wait *wait, struct targets *targets);

#endif
