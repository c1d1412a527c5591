/* What is there of one system's WAL: timelines, their histories, segments, gap markers, and what the records
 * say of time. Mostly that of one repository; for a proof also the union of several and of a pg_wal, which is
 * what a recovery has. Downloads no WAL: one listing each, then indexes (wal_index.h), and trailers where
 * there is no index yet. Layer 4. Belongs to one thread. */
#ifndef WALFERRY_WAL_ARCHIVE_H
#define WALFERRY_WAL_ARCHIVE_H

#include "readers.h"
#include "wal_summary.h"

#define ARCHIVE_SOURCES_MOST 64
#define ARCHIVE_PG_WAL UINT16_MAX /* source of a segment: the pg_wal */

/* Small, for there may be a million. */
struct archive_segment {
    uint64_t number;
    uint64_t stored_bytes;
    uint16_t source;       /* who has it: index of wal_archive.sources, or ARCHIVE_PG_WAL */
    bool is_partial_there; /* a .partial of this name is there too */
};

/* A missing stretch, or a marked one. */
struct archive_gap {
    uint64_t first, last; /* segment numbers */
};

struct archive_timeline {
    uint32_t timeline;
    bool has_history;                 /* timeline 1 never has */
    struct timeline_history history;  /* without one: just the timeline's number */
    struct archive_segment *segments; /* owned; by number */
    size_t count, capacity;
    struct archive_gap *gaps; /* markers (gap.h): let go of on purpose; by first */
    size_t gap_count;
    uint64_t *partials; /* numbers of .partial files without their segment; ascending */
    size_t partial_count;
};

struct wal_archive {
    struct repository *repository;                    /* the first source; borrowed; NULL: none */
    struct repository *sources[ARCHIVE_SOURCES_MOST]; /* borrowed */
    size_t source_count;
    size_t unasked_count; /* of those that a recovery would ask too, and that could not be: the caller's */
    char *pg_wal;         /* path; NULL: none */
    uint64_t system_identifier;
    uint32_t segment_bytes;
    unsigned postgresql_version;        /* major; 0: not known */
    struct archive_timeline *timelines; /* owned; ascending */
    size_t count;
    uint64_t segment_count, stored_bytes;
    uint64_t object_count, object_bytes; /* all that was listed, also what is no segment */
    size_t foreign_count;                /* names below wal/ that are none of ours: logged at debug level */
    size_t damaged_count;                /* trailers and histories; logged */
    struct readers *readers;             /* owned; of trailers; NULL until they are needed */
};

/* One recursive listing of wal/, and the histories. OK (also when there is nothing), DAMAGED (a history; all
 * else is there) or FAILED after logging. wal_archive_close in any case. */
enum repository_result wal_archive_load(struct repository *repository, uint64_t system_identifier,
                                        uint32_t segment_bytes, struct wal_archive *archive);
void wal_archive_close(struct wal_archive *archive);
/* A living archiver stores out of order: what is missing right before segments that were stored within the
 * last [wal-fetch] hole_wait seconds is asked for again until they are older, for hole_wait seconds in all.
 * 0, or -1 after logging. */
int wal_archive_settle(struct wal_archive *archive);

/* The same step by step, for a union, and for a part: with a history only what lies on its timelines from
 * segment first on is listed, and no histories are read: as much as there is since then, not since ever. OK
 * or FAILED. */
void wal_archive_begin(uint64_t system_identifier, uint32_t segment_bytes, struct wal_archive *archive);
enum repository_result wal_archive_add(struct wal_archive *archive, struct repository *repository,
                                       const struct timeline_history *history, uint64_t first);
/* The histories of all timelines, each from the first source that has it. As wal_archive_load. */
enum repository_result wal_archive_load_histories(struct wal_archive *archive);
/* Adds what nobody else has and recovery would take from a pg_wal (rule 4): segments written to their ends,
 * and of a timeline the last one as it is. 0, or -1 after logging. */
int wal_archive_add_pg_wal(struct wal_archive *archive, const char *directory);

/* NULL when it is not there. */
const struct archive_timeline *wal_archive_timeline(const struct wal_archive *archive, uint32_t timeline);
const struct archive_segment *wal_archive_segment(const struct wal_archive *archive, uint32_t timeline,
                                                  uint64_t number);

/* Where the first segment with this number or a later one stands; count: there is none. */
size_t archive_segment_index(const struct archive_timeline *timeline, uint64_t number);

/* The newest timeline, as PostgreSQL finds "latest": from this one up to the first gap in the histories. */
uint32_t wal_archive_latest(const struct wal_archive *archive, uint32_t from);

/* The first stretch without segments at or behind number from, with segments of that timeline before and
 * behind it. False if there is none. */
bool wal_archive_next_hole(const struct archive_timeline *timeline, uint64_t from, struct archive_gap *hole);

/* On which timeline recovery looks for a segment. *last: the last number for which that is so. */
uint32_t wal_archive_way(const struct timeline_history *history, uint32_t segment_bytes, uint64_t number,
                         uint64_t *last);

/* The way of recovery along one timeline's history. */
struct archive_run {
    uint32_t first_timeline, timeline; /* of the first and the last segment */
    uint64_t first, last; /* segment numbers, both there, and all between; last < first: not even the first */
    bool has_later;       /* a later segment on the way is there ... */
    uint64_t next;        /* ... the nearest of these, ... */
    uint32_t next_timeline;    /* ... on this timeline */
    bool is_hole;              /* so, or by its history WAL goes on behind last: else that is the end */
    uint32_t missing_timeline; /* on which segment last + 1 would be looked for */
    bool is_marked;            /* a gap marker tells of last + 1 */
    bool is_partial;           /* a .partial of last + 1 is there */
};
/* How far from segment first the WAL goes on without a hole. history NULL: that of a timeline without one,
 * start_timeline. */
void wal_archive_follow(const struct wal_archive *archive, const struct timeline_history *history,
                        uint32_t start_timeline, uint64_t first, struct archive_run *run);
/* The run ends before segment number, whatever is there behind it. */
void archive_run_cut(struct archive_run *run, const struct timeline_history *history, uint32_t segment_bytes,
                     uint64_t number);

/* All bytes of a segment of the archive go through the scan, which was begun before. OK, ABSENT, DAMAGED or
 * FAILED. */
enum repository_result wal_archive_feed(const struct wal_archive *archive, uint32_t timeline, uint64_t number,
                                        struct wal_scan *scan);

/* The records' summaries of a run, from the last segment to the first, each with what the edge before it cuts
 * (but the first's). summary NULL: its records are unknown, or not wholly known. history as above. Until each
 * returns false. OK or FAILED. */
typedef bool archive_each(void *context, uint32_t timeline, uint64_t number,
                          const struct wal_summary *summary);
enum repository_result wal_archive_read(struct wal_archive *archive, const struct timeline_history *history,
                                        const struct archive_run *run, archive_each *each, void *context);

/* What the records of a run say. Reading goes back from the end, and stops at a segment without a summary. */
struct archive_times {
    bool is_known; /* of every segment; else what was read is "at least" */
    bool has_commit;
    int64_t most_time;     /* of commits and aborts */
    uint64_t last_lsn;     /* where the last one begins: the recovery_target_lsn that reaches it */
    uint64_t last_segment; /* in which that is */
};
enum repository_result wal_archive_times(struct wal_archive *archive, const struct timeline_history *history,
                                         const struct archive_run *run, struct archive_times *times);
/* The same, but the rest is not read when one of these is so. */
struct archive_enough {
    int64_t time;     /* a commit or abort later than this was found */
    uint64_t segment; /* any was found, and all from this segment on was read */
};
enum repository_result wal_archive_times_enough(struct wal_archive *archive,
                                                const struct timeline_history *history,
                                                const struct archive_run *run,
                                                const struct archive_enough *enough,
                                                struct archive_times *times);
/* The first segment of the run that holds a commit or abort later than time: reads all of it. OK, ABSENT
 * (none) or FAILED. */
enum repository_result wal_archive_find_later(struct wal_archive *archive,
                                              const struct timeline_history *history,
                                              const struct archive_run *run, int64_t time, uint64_t *number);

#endif
