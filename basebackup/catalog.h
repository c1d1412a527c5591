/* The index of a backup (backup_index.h) while it is being made: lines in an unlinked file, so that memory
 * does not grow with the number of files. Adding is thread-safe. */
#ifndef WALFERRY_CATALOG_H
#define WALFERRY_CATALOG_H

#include "common/backup_index.h"

struct catalog;

/* directory: for the unlinked file; NULL: $TMPDIR or /tmp. NULL after logging. */
struct catalog *catalog_open(const char *directory, const char *backup_id);
void catalog_close(struct catalog *catalog); /* NULL-safe */

/* 0, or -1 after logging. */
int catalog_add_directory(struct catalog *catalog, const char *path, unsigned mode);
/* A finished part and the lines of its files, which index_entry_write made. plain_bytes: of its files. */
int catalog_add_part(struct catalog *catalog, const struct index_entry *part, const struct buffer *lines,
                     uint64_t plain_bytes);

struct catalog_totals {
    uint64_t parts;
    uint64_t files;
    uint64_t plain_bytes;
    uint64_t stored_bytes;
};
struct catalog_totals catalog_totals(struct catalog *catalog);

/* The whole index as plain text, from its first byte. Not while others add. 0, or -1 after logging. */
int catalog_read(struct catalog *catalog, const struct sink *sink);

#endif
