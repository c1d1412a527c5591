/* Takes a part of a backup apart: stored bytes are pushed in, files come out, each checked against the index.
 * A worker has one unpacker of its own and uses it for any number of parts. Format: docs/format.md. */
#ifndef WALFERRY_RESTORE_PART_H
#define WALFERRY_RESTORE_PART_H

#include "common/backup_index.h"
#include "progress.h"
#include "rate.h"
#include "restore_split.h"

/* One part, as the index tells. Owned by whoever works on it. */
struct restore_part {
    char *name;
    uint64_t bytes; /* stored */
    enum codec codec;
    struct index_entry *files;
    bool *left_out; /* for each file: it is not to be fetched, since it is there */
    size_t count;
    size_t capacity;
    struct restore_split
        *split; /* a reference to the file of which it has a piece, and nothing else; or NULL */
};
struct restore_part *restore_part_new(const struct index_entry *entry); /* NULL after logging */
int restore_part_add(struct restore_part *part,
                     const struct index_entry *file); /* copied; 0, or -1 after logging */
void restore_part_free(struct restore_part *part);    /* NULL-safe */

/* What is fetched with one request. */
struct restore_range {
    uint64_t offset, end; /* of stored bytes */
    size_t first, last;   /* files in it, the last one excluded */
};
/* The next one at or behind the file first: files that are not left out, with what lies between them where it
 * is not worth a request of its own. False when there is none. */
bool restore_part_range(const struct restore_part *part, size_t first, struct restore_range *range);

struct unpacker;

/* All are borrowed; progress and rate may be NULL. NULL after logging. */
struct unpacker *unpacker_new(const struct restore_places *places, struct progress *progress,
                              struct rate *rate);
/* All files go into this one, wherever they belong, and their pieces where they lie in it. Both borrowed. */
struct unpacker *unpacker_new_for_file(int fd, const char *name);
void unpacker_free(struct unpacker *unpacker); /* NULL-safe */

/* part, range and what (which names the part in messages) are borrowed until unpacker_end. Only the range's
 * bytes will come. total_bytes: the size of the whole stored object, looked at when the first byte comes (see
 * store_get). 0, or -1 after logging. */
int unpacker_begin(struct unpacker *unpacker, const struct restore_part *part,
                   const struct restore_range *range, const char *what, const uint64_t *total_bytes);
/* Its write fails after logging, or, when interrupt_requested, without. */
struct sink unpacker_sink(struct unpacker *unpacker);
/* complete: the whole range was pushed in; else what is open is closed. 0: every file of the range is there
 * and is right; -1 after logging (without, if not complete). */
int unpacker_end(struct unpacker *unpacker, bool complete);

#endif
