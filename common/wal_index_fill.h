/* Writes the indexes (wal_index.h) of the logs of WAL that are complete and have none yet: what the programs
 * that cron starts do at their end. Layer 3. */
#ifndef WALFERRY_WAL_INDEX_FILL_H
#define WALFERRY_WAL_INDEX_FILL_H

#include "repository.h"

struct wal_index_fill {
    uint64_t system_identifier;
    uint32_t segment_bytes;
    unsigned most;         /* so many are written, the newest ones */
    int64_t deadline;      /* monotonic_now() microseconds, after which none is begun */
    bool (*goes_on)(void); /* asked between two logs and two trailers; NULL: always */
    bool is_silent;        /* a failure is no warning: who may only read writes none */
};

/* Several trailers are read at once. A log that was begun is gone on with behind the deadline, for some
 * minutes at most: over a slow line it would never be done otherwise. The store has other limits afterwards.
 * *written may be NULL. 0, or -1 after a warning (unless silent): an index is a help, and what is left out
 * comes with the next run. */
int wal_index_fill(struct repository *repository, const struct wal_index_fill *fill, unsigned *written);

/* What a program does at its end, for all systems of a repository whose cluster is known, until a signal asks
 * it to end; whatever happens here is no failure of it. deadline, is_silent: as above. */
void wal_index_fill_all(struct repository *repository, int64_t deadline, bool is_silent);
/* A run that has something else to do should not take longer for it: half a minute from now. */
int64_t wal_index_fill_deadline(void);

#endif
