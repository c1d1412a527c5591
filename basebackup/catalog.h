/* The index of a backup (backup_index.h) while it is being made, once for each lane (target.h): lines in
 * files, so that memory does not grow with the number of files; they may stay in state_dir for the case that
 * the backup is interrupted (running.h). Adding is thread-safe. */
#ifndef WALFERRY_CATALOG_H
#define WALFERRY_CATALOG_H

#include "common/backup_index.h"

struct catalog;

/* directory: state_dir; NULL: $TMPDIR or /tmp. is_kept: under names there, by which the next backup finds
 * them; else unlinked. NULL after logging. */
struct catalog *catalog_open(const char *directory, bool is_kept, const char *backup_id, size_t lanes);
void catalog_close(struct catalog *catalog); /* NULL-safe */

/* 0, or -1 after logging. */
int catalog_add_directory(struct catalog *catalog, const char *path, unsigned mode);

/* A finished part, as one lane has it. */
struct catalog_part {
    struct index_entry entry;   /* INDEX_PART; path is borrowed; NULL: no target of this lane has it */
    const struct buffer *lines; /* of its files, which index_entry_write made */
};
/* parts: one for each lane. plain_bytes: of its files. 0, or -1 after logging. */
int catalog_add_part(struct catalog *catalog, const struct catalog_part *parts, uint64_t plain_bytes);

/* A file in pieces, each alone in a part: its lines stand one behind the other, though pieces are finished in
 * any order. Used by several threads; they end with the last piece. */
struct catalog_split;
struct catalog_split *catalog_split_new(struct catalog *catalog, unsigned pieces); /* NULL after logging */
/* The same for the piece of this number, from 0. The last one to come writes all. 0, or -1 after logging. */
int catalog_add_piece(struct catalog_split *split, unsigned piece, const struct catalog_part *parts,
                      uint64_t plain_bytes);
void catalog_split_free(struct catalog_split *split); /* NULL-safe */

struct catalog_totals {
    uint64_t parts;
    uint64_t files;
    uint64_t plain_bytes;
    uint64_t stored_bytes;
};
struct catalog_totals catalog_totals(struct catalog *catalog, size_t lane);

/* The whole index as plain text, from its first byte. Not while others add. 0, or -1 after logging. */
int catalog_read(struct catalog *catalog, size_t lane, const struct sink *sink);

#endif
