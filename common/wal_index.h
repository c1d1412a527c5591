/* The index of one complete log of WAL ("index/<timeline+log>"): of each of its segments what its trailer
 * says, so that a million segments are four thousand reads. Written once, when all names of the log are
 * there; never the only place where anything stands: without it the trailers are read. Layer 3. Format:
 * docs/format.md. */
#ifndef WALFERRY_WAL_INDEX_H
#define WALFERRY_WAL_INDEX_H

#include "readers.h"

struct wal_index_entry {
    uint64_t number; /* of the segment */
    uint64_t stored_bytes;
    unsigned char sha256[SHA256_BYTES];
    bool has_summary;
    struct wal_summary summary; /* edges inside the log are joined already; the outer ones are kept */
};

struct wal_index {
    uint32_t timeline, log;
    unsigned postgresql_version;     /* major; 0: unknown */
    struct wal_index_entry *entries; /* owned; by number, all of the log */
    size_t count;
    struct wal_summary summary; /* of all of the log */
};
void wal_index_free(struct wal_index *index);

/* The folder's name, 16 hex digits. */
#define WAL_LOG_NAME_BYTES 17
void wal_log_name(uint32_t timeline, uint32_t log, char out[WAL_LOG_NAME_BYTES]);
/* False for any other name. */
bool wal_log_name_parse(const char *name, uint32_t *timeline, uint32_t *log);

/* Reads the trailers of a log of which all names are there, and stores its index. OK and IDENTICAL: it is
 * there. ABSENT: a segment is missing (nothing logged). COLLISION: there is one that says something else
 * (nothing logged). FAILED also when the readers were not to go on. */
enum repository_result wal_index_make(struct repository *repository, struct readers *readers,
                                      uint64_t system_identifier, uint32_t timeline, uint32_t log,
                                      uint32_t segment_bytes);
/* The lines of the index of that log; all but the summary and the version. False when they are none (nothing
 * logged). wal_index_free when true. */
bool wal_index_parse(const void *lines, size_t length, uint32_t timeline, uint32_t log,
                     uint32_t segment_bytes, struct wal_index *index);
/* ABSENT: there is none. wal_index_free when OK. */
enum repository_result wal_index_get(struct repository *repository, uint64_t system_identifier,
                                     uint32_t timeline, uint32_t log, uint32_t segment_bytes,
                                     struct wal_index *index);
/* Only what is said of all of the log: one ranged GET. postgresql_version may be NULL. */
enum repository_result wal_index_get_summary(struct repository *repository, uint64_t system_identifier,
                                             uint32_t timeline, uint32_t log, struct wal_summary *summary,
                                             unsigned *postgresql_version);

#endif
