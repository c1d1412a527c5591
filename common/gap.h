/* A gap marker: WAL of one timeline that was let go of on purpose ([wal-push] on_full = drop), from one
 * segment to another. It is stored before any later segment, as <first segment>.gap beside them, so that a
 * recovery which comes to the first missing segment finds it with the request that it makes there anyway.
 * Layer 3. Format: docs/format.md. */
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

/* OK and IDENTICAL: it is there. */
enum repository_result gap_put(struct repository *repository, const struct gap *gap);
/* The gap that begins with this segment. */
enum repository_result gap_get(struct repository *repository, uint64_t system_identifier, const char *segment,
                               struct gap *gap);

/* "<segment>.gap"? */
bool gap_is_name(const char *name);

#endif
