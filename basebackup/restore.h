/* Restores one backup: the index first, then directories, then the parts by several workers,
 * global/pg_control last. */
#ifndef WALFERRY_RESTORE_H
#define WALFERRY_RESTORE_H

#include "common/backup.h"
#include "restore_place.h"

#include <stdbool.h>

struct restore_settings {
    unsigned jobs;
    bool progress; /* --progress */
};

struct restore_outcome {
    bool is_begun; /* something may have been written into the places */
    uint64_t files;
    uint64_t bytes; /* plain */
    int64_t microseconds;
};

/* places: planned; they are made only once the index is verified. repository: used by the calling thread;
 * each worker opens a store of its own. 0: everything is there, verified and on disk. -1 after logging
 * (without, when interrupt_signal): no global/pg_control exists then. *outcome is set in any case. */
int restore_run(struct repository *repository, const struct backup *backup, struct restore_places *places,
                const struct restore_settings *settings, struct restore_outcome *outcome);

#endif
