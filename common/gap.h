/* A gap marker: WAL of one timeline that was let go of on purpose ([wal-push] on_full = drop), from one
 * segment to another. It is stored before any later segment, beside them, and its name says from where to
 * where (wal.h): so a recovery finds it, wherever in the gap it begins, with the listing that it makes at a
 * missing segment anyway. A longer gap is several of them. Layer 3. Format: docs/format.md. */
#ifndef WALFERRY_GAP_H
#define WALFERRY_GAP_H

#include "repository.h"
#include "wal.h"

#define GAP_HOST_BYTES 256

struct gap {
    uint64_t system_identifier;
    uint32_t segment_bytes;
    char first[WAL_SEGMENT_NAME_BYTES], last[WAL_SEGMENT_NAME_BYTES];
    uint64_t segments;    /* from first to last */
    int64_t since, until; /* when they were let go of; timestamp.h */
    char host[GAP_HOST_BYTES];
};

int gap_seal(const struct gap *gap, struct buffer *out); /* 0, or -1 after logging */
/* 0, or -1 after logging that what is damaged. */
int gap_parse(const void *data, size_t length, const char *what, struct gap *gap);

/* OK and IDENTICAL: it is there, or another's that tells of the same segments. */
enum repository_result gap_put(struct repository *repository, const struct gap *gap);
enum repository_result gap_get(struct repository *repository, uint64_t system_identifier, const char *name,
                               struct gap *gap);

#endif
