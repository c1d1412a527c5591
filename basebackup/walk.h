/* Walks through a data directory or a tablespace, in constant memory, and tells what belongs into a backup
 * (exclude.h). */
#ifndef WALFERRY_WALK_H
#define WALFERRY_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WALK_PATH_BYTES 4096

/* Which directory on disk: for tablespaces that were made inside the data directory, so that they are not
 * taken twice. */
struct walk_place {
    dev_t device;
    ino_t inode;
};

struct walk_settings {
    const char *root;              /* data directory, or a tablespace's location */
    bool is_tablespace;            /* only version_directory is looked at */
    const char *version_directory; /* PG_15_202209061 */
    unsigned postgresql_version;   /* major */
    const char *stats_directory;   /* stats_temp_directory, relative to the data directory (before 15); NULL:
                                      outside, or unset */
    const struct walk_place *kept_empty; /* directories of these places are told, but not entered */
    size_t kept_empty_count;
    bool only_directories;
    bool wants_sizes;    /* fill bytes: costs a call for each file */
    bool tells_unlogged; /* files of unlogged relations are told, too: the caller asks walk_is_unlogged */
    bool is_silent;      /* do not warn of links and special files that are left out */
};

struct walk_entry {
    bool is_directory;
    char path[WALK_PATH_BYTES]; /* relative to the root */
    unsigned mode;              /* of a directory */
    uint64_t bytes;             /* of a file, when wanted */
    bool has_pages;             /* a relation's file, made of pages */
    uint32_t segment;           /* its number in NAME.1, NAME.2, ... */
    uint32_t relation;          /* number of a relation that may be unlogged; 0: it is not */
};

struct walk;

/* Everything in settings is borrowed. NULL after logging. A tablespace that is gone gives an empty walk. */
struct walk *walk_open(const struct walk_settings *settings);
/* A directory is told before what lies in it. global/pg_control is not told: it has to be read last. What
 * vanishes meanwhile is passed over. 1: *entry is filled; 0: that was all; -1 after logging. */
int walk_next(struct walk *walk, struct walk_entry *entry);
void walk_close(struct walk *walk); /* NULL-safe */

/* Do files of relations, which are made of pages, lie in this directory (relative to the root)? Of settings
 * only is_tablespace and version_directory are looked at. */
bool walk_holds_relations(const struct walk_settings *settings, const char *directory);

/* A file of an unlogged relation, but not its init fork: it is made anew from that after a recovery. root_fd:
 * of the walk's root. */
bool walk_is_unlogged(int root_fd, const struct walk_entry *entry);

#endif
