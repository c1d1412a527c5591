/* The WAL that a backup needs, as files of pg_wal in the backup itself: such a backup can be started without
 * an archive. The server must keep the WAL until the end; a temporary physical replication slot sees to that
 * (session_hold_wal). It goes with its session, however that ends, and the server's own
 * max_slot_wal_keep_size still limits it. Copying segments while the backup runs would hold none back while
 * the workers are busy. Where there is no slot, or it was taken away, the repositories have what was
 * recycled.
 */
#ifndef WALFERRY_WAL_INCLUDE_H
#define WALFERRY_WAL_INCLUDE_H

#include "common/targets.h"
#include "data_directory.h"

struct wal_include {
    const struct backup *backup;            /* with its stop_lsn */
    const struct data_directory *directory; /* whose pg_wal */
    bool is_held;                           /* by a slot: pg_wal comes first, else the repositories */
    struct targets *targets;
    struct ship *ship;
    struct part_series *series;
    const char *spool_directory; /* for unnamed files; NULL: $TMPDIR or /tmp */
    int (*tick)(void *context);  /* between segments; -1 after logging */
    void *context;
};

/* Ships the segments from the backup's start to its end, each verified by its header, and the history of the
 * timeline. 0, or -1 after logging. */
int wal_include_ship(const struct wal_include *include);

#endif
