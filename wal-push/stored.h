/* What wal-push has stored without having been asked for it yet, remembered between calls: so the call for it
 * returns at once. Source: rule 17 of docs/postgresql.md.
 *
 * One small text file in state_dir, made anew by each call that looks ahead. Its head names the repositories;
 * a line tells of one segment what the file's inode said (device, number, size, times in nanoseconds), its
 * first bytes and its hash. It is believed only for that very file, unchanged, and these very repositories,
 * for an hour. Losing it costs a request for each segment, no more. */
#ifndef WALFERRY_STORED_H
#define WALFERRY_STORED_H

#include "source.h"

#include "common/config.h"
#include "common/state.h"

#include <pthread.h>

/* Is the file at path, as it is now, known to be stored in every required repository? Asks nobody. */
bool stored_has(const struct config *config, const struct state *state, const char *path);

/* How many of the segments behind this one, up to so many further on, are known to be stored? Asks nobody. */
uint64_t stored_behind(const struct config *config, const struct state *state, const struct source *source,
                       uint64_t reach);

struct stored {
    int fd;
    char *path;
    pthread_mutex_t lock;
    struct buffer earlier; /* lines of the calls before that may still be asked for */
};

/* Begins a new memory, whose writer must be the only one; it keeps what is known of segments that still wait
 * in directory (pg_wal). 0, or -1 when nothing can be remembered (logged at debug level). stored_end if 0. */
int stored_begin(const struct config *config, const struct state *state, const char *directory,
                 struct stored *stored);
/* From any thread: the file that source has read is stored. */
void stored_add(struct stored *stored, const struct source *source, const unsigned char sha256[SHA256_BYTES]);
/* As stored_has, of what was known when this memory was begun. */
bool stored_had(const struct stored *stored, const char *path);
/* Makes it durable. */
void stored_end(struct stored *stored);

#endif
