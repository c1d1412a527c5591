/* A line of the index of a backup, object "files": one JSON object a line, so that a million files are read
 * and written in constant memory. Layer 3.
 *
 *     {"walferry":1,"kind":"files","backup":"20261120T..."}
 *     {"directory":"base/1","mode":"0700"}                                 every directory, parents first
 *     {"part":"main-00000001","bytes":14680064,"codec":"lz4","files":812}       then its files, in its order:
 *     {"file":"base/1/1259","bytes":81920,"sha256":"...","mode":"0600","modified":"2026-11-20T02:00:03Z","offset":0,"stored":9731}
 * codec: "lz4", "zstd" or "none". offset and stored: the member's frames in the part, tar header included.
 * "header": bytes of tar headers when not 512. A large file comes in pieces, each in a part of its own, one
 * behind the other; their lines say in addition, and all else of the piece:
 *     "at":134217728,"of":1073741824,"crc32c":"..."
 * The first piece counts as the file, in its part's "files", the others as none. Paths are relative to the
 * data directory (tablespaces: pg_tblspc/<oid>/...), in external-* relative to /. A path that is not UTF-8
 * stands in hex as "path_hex" instead of "file" or "directory". Readers refuse an absolute path, "..", an
 * empty component, a duplicate slash. */
#ifndef WALFERRY_INDEX_ENTRY_H
#define WALFERRY_INDEX_ENTRY_H

#include "codec.h"
#include "digest.h"

#include <stdbool.h>
#include <stdint.h>

#define INDEX_KIND "files"
#define INDEX_PATH_BYTES 4096        /* a path is shorter */
#define INDEX_USUAL_HEADER_BYTES 512 /* "header" is left out then */

enum index_line { INDEX_DIRECTORY, INDEX_PART, INDEX_FILE };

struct index_entry {
    enum index_line line;
    char *path;     /* directory or file; the part's name */
    unsigned mode;  /* permission bits of a directory or file */
    uint64_t bytes; /* plain size of a file; stored size of a part */
    /* a part */
    enum codec codec;
    uint64_t files;
    /* a file */
    unsigned char sha256[SHA256_BYTES];
    int64_t modified; /* timestamp, whole seconds */
    uint64_t offset;
    uint64_t stored;
    uint32_t header; /* 0 in a piece behind the first */
    /* a piece of a file: all else but mode and modified is the piece's */
    uint64_t at; /* where it begins in the file */
    uint64_t of; /* the file's size; 0: this is no piece, the file is whole */
    uint32_t crc32c;
};
void index_entry_free(struct index_entry *entry); /* frees path */

/* A whole file, or the first piece of one. */
bool index_entry_begins_file(const struct index_entry *entry);
/* A whole file, or the last piece of one. */
bool index_entry_ends_file(const struct index_entry *entry);

/* Relative, without "..", ".", an empty component or a closing slash. */
bool index_path_is_safe(const char *path);

/* One line with its line end, appended. 0, or -1 after logging. */
int index_entry_write(const struct index_entry *entry, struct buffer *out);
int index_header_write(const char *backup_id, struct buffer *out);

#endif
