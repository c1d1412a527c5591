/* Restores one backup: the index first, then directories, then the parts by several workers,
 * global/pg_control last. */
#ifndef WALFERRY_RESTORE_H
#define WALFERRY_RESTORE_H

#include "common/backup.h"
#include "restore_databases.h"
#include "restore_place.h"

#include <stdbool.h>

struct restore_settings {
    unsigned jobs;
    uint64_t max_rate; /* bytes of files in a second; 0: no limit */
    bool progress;     /* --progress */
    bool ignore_space; /* --ignore-space */
    const struct former *former;
    const struct database_choice *databases;
};

struct restore_outcome {
    bool is_begun;         /* something may have been written into the places */
    bool is_repository;    /* it failed because the repository has no good copy, or can't be asked */
    uint64_t files, bytes; /* of the backup; plain */
    uint64_t kept_files, kept_bytes;
    uint64_t requests, fetched_bytes; /* of parts; stored */
    int64_t microseconds;
};

/* places: planned; they are made only once the index is verified, and there is room. What is in them already
 * is used, or removed, if the former is not nothing. repository: used by the calling thread; each worker
 * opens a store of its own. 0: everything is there, verified and on disk. -1 after logging (without, when
 * interrupt_signal): if it is begun no global/pg_control exists then. *outcome is set in any case. */
int restore_run(struct repository *repository, const struct backup *backup, struct restore_places *places,
                const struct restore_settings *settings, struct restore_outcome *outcome);

#endif
