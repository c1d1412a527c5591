/* WAL file names, page headers and timelines. Layer 1. Pure: reads only what it is given.
 * Source: PostgreSQL xlog_internal.h, xlogdefs.h, timeline.c. */
#ifndef WALFERRY_WAL_H
#define WALFERRY_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_SEGMENT_NAME_BYTES 25  /* 24 hex digits and a zero */
#define WAL_PARTIAL_NAME_LENGTH 32 /* of <segment>.partial */
#define WAL_NAME_BYTES 64          /* the longest name of any kind, with its zero */

#define WAL_SEGMENT_LEAST_BYTES (1024u * 1024u)
#define WAL_SEGMENT_MOST_BYTES (1024u * 1024u * 1024u)

enum wal_kind {
    WAL_NOT,     /* no name that PostgreSQL archives or asks for */
    WAL_SEGMENT, /* 000000010000000A000000FF */
    WAL_PARTIAL, /* <segment>.partial, also with a dot and 8 hex digits of its SHA-256 behind it (rule 18) */
    WAL_HISTORY, /* 00000002.history */
    WAL_BACKUP,  /* <segment>.00000028.backup */
};

struct wal_name {
    enum wal_kind kind;
    uint32_t timeline;
    uint32_t log;     /* the middle 8 digits; 0 for a history file */
    uint32_t segment; /* the last 8 digits, not yet checked against the segment size */
};

/* Digits must be upper case, as PostgreSQL writes them. kind is WAL_NOT if it is none of the four. */
struct wal_name wal_name_parse(const char *name);
const char *wal_kind_name(enum wal_kind kind); /* "segment", "partial", "history", "backup" */

bool wal_segment_size_is_legal(uint64_t bytes);
uint64_t wal_segments_per_log(uint32_t segment_bytes);
/* Number of the segment in the stream of its timeline; false if the low part is impossible with this segment
 * size. */
bool wal_segment_number(const struct wal_name *name, uint32_t segment_bytes, uint64_t *number);
void wal_segment_name(uint32_t timeline, uint64_t number, uint32_t segment_bytes,
                      char out[WAL_SEGMENT_NAME_BYTES]);
void wal_history_name(uint32_t timeline, char out[WAL_SEGMENT_NAME_BYTES]);

/* The name of a gap marker (gap.h) in a repository: "<first segment>-<last segment>.gap". Both begin with the
 * same WAL_GAP_COMMON digits: the markers that may cover a segment are found among 256 segments of its
 * folder. */
#define WAL_GAP_NAME_BYTES 54
#define WAL_GAP_COMMON 22
/* False for any other name. */
bool wal_gap_name_parse(const char *name, char first[WAL_SEGMENT_NAME_BYTES],
                        char last[WAL_SEGMENT_NAME_BYTES]);

/* The name of a document of restore points (restore_point.h): "<segment>.<8 hex of the segment's SHA-256>".
 */
#define WAL_POINTS_NAME_BYTES 34
/* False for any other name. */
bool wal_points_name_parse(const char *name, char segment[WAL_SEGMENT_NAME_BYTES]);

/* "0/3000028". False unless it is well formed. */
bool lsn_parse(const char *text, uint64_t *lsn);
void lsn_format(uint64_t lsn, char out[24]);

/* The header of a segment's first page. */
#define WAL_LONG_HEADER_BYTES 40
struct wal_page {
    uint16_t magic;
    uint32_t timeline; /* xlp_tli: the timeline's or an ancestor's (rule 14) */
    uint64_t address;  /* xlp_pageaddr */
    uint64_t system_identifier;
    uint32_t segment_bytes;
    uint32_t block_bytes;
};
/* False when it is no long page header at all: flag missing, impossible sizes, all zero. */
bool wal_page_parse(const void *first_page, size_t length, struct wal_page *page);

/* All other pages' headers, and those of records: nothing but this of their format is needed in two places.
 */
#define WAL_SHORT_HEADER_BYTES 24 /* with its padding */
#define WAL_RECORD_HEADER_BYTES 24
#define WAL_RECORD_INFO 16 /* where it stands in the header */
#define WAL_RECORD_MANAGER 17
#define WAL_RM_XLOG 0
#define WAL_XLOG_OPERATION 0xF0 /* of the info */
#define WAL_XLOG_SWITCH 0x40
static inline bool wal_record_is_switch(const unsigned char *header)
{
    return header[WAL_RECORD_MANAGER] == WAL_RM_XLOG &&
           (header[WAL_RECORD_INFO] & WAL_XLOG_OPERATION) == WAL_XLOG_SWITCH;
}

/* Major version that writes this page magic (13..19), or 0 when unknown: a newer server is not refused for
 * it. */
unsigned wal_magic_version(uint16_t magic);

/* The ancestors of one timeline, oldest first, out of a .history file. */
struct timeline_switch {
    uint32_t timeline; /* which was left ... */
    uint64_t lsn;      /* ... here: the first byte that belongs to a later one; never before an older one's */
};
struct timeline_history {
    uint32_t timeline;                 /* whose file this is */
    struct timeline_switch *ancestors; /* owned */
    size_t count;
};

#define TIMELINE_HISTORY_MOST_BYTES (1024u * 1024) /* a longer file is none */

/* text: the file's content. *problem says what is wrong in a few words. A history that names a timeline at or
 * above its own, or in descending order, is malformed. 0 or -1 (also when out of memory); nothing is logged.
 */
int timeline_history_parse(uint32_t timeline, const char *text, size_t length,
                           struct timeline_history *history, const char **problem);
void timeline_history_free(struct timeline_history *history);
/* True if timeline is the history's own or an ancestor; *end is where it was left (UINT64_MAX for its own).
 */
bool timeline_history_find(const struct timeline_history *history, uint32_t timeline, uint64_t *end);

#endif
