/* The WAL in the plan of retention.h: which stays for which backup, along the timelines. Pure.
 * Layer 4. */
#ifndef WALFERRY_RETENTION_WAL_H
#define WALFERRY_RETENTION_WAL_H

#include "retention.h"

/* Segments of one timeline that are on the way of a recovery. */
struct wal_stretch {
    uint32_t timeline;
    uint64_t first, last; /* UINT64_MAX: without an end */
};
/* The way along the history of a timeline, oldest first: its ancestors', then its own. Returns how many there
 * are; index counts from 0. */
size_t retention_way_length(const struct archive_timeline *path);
struct wal_stretch retention_way(const struct archive_timeline *path, size_t index, uint32_t segment_bytes);

/* Does the way along path's history pass this point of this timeline? */
bool retention_way_passes(const struct archive_timeline *path, uint32_t timeline, uint64_t lsn);

/* Is all the WAL there that makes a complete backup consistent, on any way? */
bool retention_has_wal(const struct retention_generation *generation, const struct retention_backup *backup);

/* May this timeline have been written to since? Then any instant from then on is to stay recoverable on it.
 */
bool retention_is_alive(const struct retention_generation *generation,
                        const struct retention_timeline *timeline, int64_t since, bool is_newest);

/* Sets the spans of all timelines, when it is known which backups stay. 0, or -1 after logging. */
int retention_plan_wal(struct retention *retention);

/* The backup that recovery along this timeline to the first instant of the window starts with: the newest on
 * its way that ended before; else the oldest. Of those that have their WAL; only_whole: of those that are not
 * known to be damaged either. NULL: there is none. */
const struct retention_backup *retention_base(const struct retention *retention, size_t generation,
                                              const struct archive_timeline *path, bool only_whole);

#endif
