/* Segments in a server's pg_wal: are they what their names say, were they written to their ends, and what do
 * their records say. Layer 2. Source: PostgreSQL xlog.c, xlog_internal.h. */
#ifndef WALFERRY_PG_WAL_H
#define WALFERRY_PG_WAL_H

#include "wal.h"
#include "wal_summary.h"

/* A segment file in pg_wal, open. */
struct pg_wal_segment {
    int fd;
    struct wal_page page; /* its first */
};

/* 0 if the file at path is that segment of this system: name, size and first page. 1 if it is not there, or
 * something else (a file that is to be used again has the name of a later segment, and an earlier one's
 * content); nothing is logged. -1 after logging. */
int pg_wal_open(const char *path, uint64_t number, uint64_t system_identifier, uint32_t segment_bytes,
                struct pg_wal_segment *segment);
void pg_wal_close(struct pg_wal_segment *segment);

/* A server that died, or a standby that received no more, leaves its last segment in its full length: behind
 * what was written are zeros, or the pages of the segment whose file was used again. */
bool pg_wal_is_written_to_its_end(int fd, const struct wal_page *first);

/* All its bytes go through the scan, which was begun before. 0, or -1 after logging. */
int pg_wal_feed(const struct pg_wal_segment *segment, struct wal_scan *scan);

/* Numbers of the segments with a name of this timeline (0: of any) in a pg_wal: by timeline, ascending; what
 * they hold is not looked at. *names is the caller's to free. 0 (also when there is no such directory), or -1
 * after logging. */
struct pg_wal_name {
    uint32_t timeline;
    uint64_t number;
};
int pg_wal_list(const char *directory, uint32_t timeline, uint32_t segment_bytes, struct pg_wal_name **names,
                size_t *count);

#endif
