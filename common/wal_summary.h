/* What a segment's records say of time: its commits and aborts, and its restore points (rules 20 and 23).
 * Layer 1. Pure: reads only what it is given; what it does not understand, it says. Source: PostgreSQL
 * xlog_internal.h, xlogrecord.h, xact.h, xlogreader.c, 13 to 19. */
#ifndef WALFERRY_WAL_SUMMARY_H
#define WALFERRY_WAL_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_RESTORE_POINT_BYTES 64   /* its name, with the zero */
#define WAL_RESTORE_POINTS_MOST 4096 /* of one segment, that are told one by one */
/* So much of a record that the segment's edge cuts tells its time; and the whole of a restore point, of which
 * at most so much can be on one side, since records begin at multiples of 8 bytes. */
#define WAL_EDGE_BYTES 96

/* A record that the segment's edge cuts counts in the segment where it ends, because only with that can it be
 * replayed. What is needed of it from this one: */
struct wal_edge {
    uint32_t length; /* bytes of the record that lie in this segment; 0: none is cut, or none that matters */
    unsigned char bytes[WAL_EDGE_BYTES]; /* the first of them */
    /* Where the record begins; of a record's end: behind that, or 0 where it goes on behind this segment. */
    uint64_t lsn;
};

struct wal_summary {
    bool is_whole; /* else it ends early, or a record was not understood: what is behind was not read */
    uint64_t transactions;         /* commits and aborts; the next five are set if there are any */
    int64_t least_time, most_time; /* timestamps; they don't always rise */
    uint64_t
        last_lsn; /* where the last of them begins: the recovery_target_lsn (inclusive) that reaches it */
    bool xids_are_known;          /* else one was too long to find its xid, and the next two are 0 */
    uint32_t least_xid, most_xid; /* in the order of xids, which wraps; 0: none has one */
    uint64_t restore_points;
    struct wal_edge continued; /* the end of a record that began before */
    struct wal_edge begun;     /* the beginning of one that goes on behind */
};

struct wal_restore_point {
    char name[WAL_RESTORE_POINT_BYTES]; /* any bytes: PostgreSQL's encodings need not be UTF-8 */
    int64_t time;                       /* a timestamp */
    uint64_t lsn;                       /* behind its record */
};

/* Looks through a segment as its bytes go by. */
struct wal_scan;
struct wal_scan *wal_scan_new(void);       /* NULL after logging */
void wal_scan_free(struct wal_scan *scan); /* NULL-safe */
/* Begins with a segment: a scan serves for one after the other. */
void wal_scan_begin(struct wal_scan *scan);
/* Looks for the end of a transaction, too, from the next begin on; 0: of none. */
void wal_scan_seek_xid(struct wal_scan *scan, uint32_t xid);
/* Where its commit or abort begins, as far as was read; 0: it is not there. */
uint64_t wal_scan_found_xid(const struct wal_scan *scan);
/* Where the last record begins that is there to its end, as far as was read; 0: there is none. */
uint64_t wal_scan_last_record(const struct wal_scan *scan);
/* The next bytes of it, from its first: multiples of 64 kB, but for the last. */
void wal_scan_feed(struct wal_scan *scan, const void *data, size_t length);
/* points: of the scan, until it begins anew; at most WAL_RESTORE_POINTS_MOST of summary->restore_points. */
void wal_scan_end(struct wal_scan *scan, struct wal_summary *summary,
                  const struct wal_restore_point **points);

/* May the record that the end of a segment cuts be a restore point? */
bool wal_edge_may_be_restore_point(const struct wal_edge *begun);

/* Adds the record that the edge between two neighbours cuts to the later one; where that record goes on
 * behind the later one, too, that gets its beginning. False if they do not belong together. A restore point
 * is filled; its name is empty if it is none. version: PostgreSQL's major. */
bool wal_summary_join(const struct wal_summary *earlier, unsigned version, struct wal_summary *later,
                      struct wal_restore_point *point);

/* Makes the summary of a run of segments, which begins as that of its first, longer by the next one, after
 * wal_summary_join. */
void wal_summary_extend(struct wal_summary *run, const struct wal_summary *next);

#endif
