/* Everything on disk that belongs to a backup: the data directory and the tablespaces, walked one after the
 * other. First a scan for the directories, of which there are few; then the files, handed out to the workers.
 */
#ifndef WALFERRY_TREE_H
#define WALFERRY_TREE_H

#include "part.h"
#include "walk.h"

#include "common/pg_control.h"

/* The data directory, or one tablespace. */
struct tree_root {
    uint32_t oid;    /* 0: the data directory */
    char *directory; /* absolute path, for a tablespace its location */
    char prefix[32]; /* what makes its paths relative to the data directory: "", or "pg_tblspc/16384/" */
    int fd;          /* of the directory; -1: the tablespace is gone */
    struct part_series series;
};

struct tree_directory {
    size_t root; /* index in roots */
    char *path;  /* relative to the root */
    unsigned mode;
};

struct tree {
    struct tree_root *roots; /* the data directory first */
    size_t root_count;
    struct tree_directory *directories; /* found by tree_scan: parents before children, root by root */
    size_t directory_count;
    uint64_t bytes; /* of all files, when tree_scan was asked for it */
    struct tree_walker *walker;
};

/* stats_directory: stats_temp_directory of a server before 15, as set; else NULL. 0, or -1 after logging. */
int tree_open(const char *data_directory, const struct pg_control *control, unsigned postgresql_version,
              const char *stats_directory, struct tree *tree);
void tree_close(struct tree *tree); /* NULL-safe */

/* Fills directories, and bytes if wants_sizes. 0, or -1 after logging. */
int tree_scan(struct tree *tree, bool wants_sizes);

/* Hands out the next file (of unlogged relations, too: walk_is_unlogged), or a directory that came into being
 * after the scan; thread-safe. Such a directory
 * has been added to the catalog by then, before anything in it is handed out. 1: *root and *entry are filled;
 * 0: that was all; -1 after logging. */
int tree_next(struct tree *tree, struct catalog *catalog, struct tree_root **root, struct walk_entry *entry);

/* Did the scan find this directory (path in its root)? "" is the root itself. */
bool tree_has_directory(const struct tree *tree, const struct tree_root *root, const char *path);

/* Do files of relations lie in this directory (path in its root)? */
bool tree_holds_relations(const struct tree *tree, const struct tree_root *root, const char *directory);

/* prefix and path of an entry, as the index has them. out has room for TREE_PATH_BYTES. */
#define TREE_PATH_BYTES (WALK_PATH_BYTES + 32)
void tree_index_path(const struct tree_root *root, const char *path, char *out);

#endif
