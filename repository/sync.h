/* Copies what one repository has and another lacks, each object verified on its way. What is there already is
 * passed over, so a copy that was interrupted is gone on with. */
#ifndef WALFERRY_SYNC_H
#define WALFERRY_SYNC_H

#include "common/backup.h"
#include "common/progress.h"
#include "common/rate.h"

struct sync_settings {
    unsigned jobs;
    uint64_t max_rate;  /* bytes a second; 0: no limit */
    unsigned long last; /* only the newest so many backups, and the WAL from the first of them on; 0: all */
    bool is_all;        /* also what the other's policy would not keep */
    bool is_dry;        /* nothing is copied, only counted */
};

struct sync_plan;
struct sync_workers;

struct sync {
    const struct sync_settings *settings; /* borrowed, as the next */
    struct progress *progress;
    struct rate rate;
    struct repository *from, *to; /* of the main thread; their clusters are known */
    const struct sync_plan *plan;
    const struct generation *system;
    struct sync_workers *workers; /* NULL: it is dry */
    struct json *problems;        /* an array */
    uint64_t problem_count;       /* of the main thread; see sync_workers_wait */
    uint64_t wal_copied, backups_copied, objects, bytes;
    uint64_t wal_left_out, backups_left_out; /* files, backups that the other's policy would not keep */
};

/* Both are open. document gets what was done, and what could not be. 0: the copy has all of it; -1 after
 * logging.
 */
int sync_run(struct repository *from, struct repository *to, const struct sync_settings *settings,
             struct progress *progress, struct json *document);

#endif
