/* Writes the parts of a backup: tar members, each compressed as a frame of its own, once for each lane
 * (target.h), sent to all targets at once. Every worker has its own writer with its own stores; the names of
 * parts come from counters that all share. Format: docs/format.md. */
#ifndef WALFERRY_PART_H
#define WALFERRY_PART_H

#include "catalog.h"
#include "common/tar.h"
#include "common/targets.h"

#include <stdatomic.h>

/* Parts of one place: "main", a tablespace's OID, "external". */
struct part_series {
    char prefix[16];
    atomic_uint last; /* number of the newest part; starts at 0 */
};
/* Consecutive numbers, for a file in pieces: the first of them. */
unsigned part_series_reserve(struct part_series *series, unsigned count);

struct part_writer;

/* Everything is borrowed. Memory: one upload buffer for each target. NULL after logging. */
struct part_writer *part_writer_new(struct targets *targets, struct catalog *catalog);
/* An open part is aborted. NULL-safe. */
void part_writer_free(struct part_writer *writer);

/* This writer's own store of a target, by its number: for what is copied there from elsewhere. NULL: it was
 * given up before. Borrowed. */
struct store *part_writer_store(struct part_writer *writer, size_t target);

/* Makes sure that a part of this series is open and has room for one more member of that size. The open part
 * is finished first when it belongs to another series or is full. 0, or -1 after logging. */
int part_writer_prepare(struct part_writer *writer, struct part_series *series, uint64_t member_bytes);

/* One member: begin, its content in any number of writes, end. 0, or -1 after logging. */
int part_member_begin(struct part_writer *writer, const struct tar_member *member);
int part_member_write(struct part_writer *writer, const void *data, size_t length);
/* entry: what the index says of the file; its offset, stored and header are filled here. NULL for a
 * directory. */
int part_member_end(struct part_writer *writer, struct index_entry *entry);

/* A piece of a large file, alone in a part. */
struct part_piece {
    struct part_series *series;
    unsigned number; /* reserved: of the part */
    struct catalog_split *split;
    unsigned index;                  /* in split, from 0 */
    const struct tar_member *header; /* of the whole file, for the first piece; NULL: this is another */
    uint64_t bytes;                  /* of this piece */
    size_t padding;                  /* tar_padding_bytes of the whole file, for the last piece; else 0 */
};
/* The open part is finished first. piece is borrowed until end; part_member_write in between. End finishes
 * the part too. entry as above. 0, or -1 after logging. */
int part_piece_begin(struct part_writer *writer, const struct part_piece *piece);
int part_piece_end(struct part_writer *writer, struct index_entry *entry);

/* From now on a part is full only when it is finished: for the last one, whose members have to stay together.
 */
void part_writer_hold(struct part_writer *writer);

/* Finishes the open part, if there is one: it is durable in every target that lives, and in the catalog. 0,
 * or -1 after logging. */
int part_writer_finish(struct part_writer *writer);

#endif
