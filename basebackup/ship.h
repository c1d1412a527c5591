/* Brings one file, or a piece of one, into a part: read once, its pages verified, hashed, compressed, sent.
 */
#ifndef WALFERRY_SHIP_H
#define WALFERRY_SHIP_H

#include "common/progress.h"
#include "common/rate.h"
#include "page.h"
#include "part.h"

#include <sys/stat.h>

/* Who owns the members in the tar: the data directory's owner, whatever single files say. */
struct ship_owner {
    uid_t user;
    gid_t group;
    char user_name[32]; /* "" when unknown */
    char group_name[32];
};
void ship_owner_of(const struct stat *status, struct ship_owner *owner);

/* One for each worker. */
struct ship;

struct ship_settings {
    struct part_writer *parts;      /* borrowed */
    struct page_check *pages;       /* borrowed; NULL: pages have no checksums */
    struct progress *progress;      /* borrowed */
    struct rate *rate;              /* borrowed */
    const struct ship_owner *owner; /* borrowed */
};
/* NULL after logging. */
struct ship *ship_new(const struct ship_settings *settings);
void ship_free(struct ship *ship); /* NULL-safe; not the part writer */

struct ship_file {
    struct part_series *series;
    int directory_fd; /* path is opened relative to it */
    const char *path;
    bool follows_links;      /* path may be a symbolic link */
    const char *member_path; /* in the tar */
    const char *index_path;  /* in the index, and in messages */
    bool has_pages;          /* a relation's file */
    uint32_t segment;        /* its number in NAME.1, NAME.2, ... */
};

enum ship_result { SHIP_DONE = 0, SHIP_GONE = 1, SHIP_FAILED = -1 };

/* A file that is open, and what was known of it then. */
struct ship_opened {
    int fd;
    struct stat status;
};

/* SHIP_GONE: it does not exist any more, or is no regular file; nothing is logged. SHIP_FAILED after logging.
 * With SHIP_DONE the caller closes opened->fd. */
enum ship_result ship_open(const struct ship_file *file, struct ship_opened *opened);

/* The whole file. One that shrinks while it is read is filled up with zeros, one that grows is cut: replay of
 * WAL mends both. 0, or -1 after logging. */
int ship_whole(struct ship *ship, const struct ship_file *file, const struct ship_opened *opened);

/* Both: opens it, ships it, closes it. */
enum ship_result ship_file(struct ship *ship, const struct ship_file *file);

/* A piece of a large file, as ship_whole. */
struct ship_piece {
    const struct ship_file *file;
    const struct ship_opened *opened;
    uint64_t at; /* a multiple of every block size, and of SOURCE_WINDOW_BYTES */
    uint64_t bytes;
    unsigned part; /* number of the part in the file's series */
    unsigned index;
    struct catalog_split *split;
};
int ship_piece(struct ship *ship, const struct ship_piece *piece);

/* A directory member. 0, or -1 after logging. */
int ship_directory(struct ship *ship, struct part_series *series, const char *path, unsigned mode);

/* A file that exists only in memory, or in fd from offset 0 (data NULL). */
struct ship_content {
    struct part_series *series;
    const char *path; /* in tar and index */
    unsigned mode;
    int64_t modified_seconds;
    const void *data;
    int fd;
    uint64_t bytes;
};
/* 0, or -1 after logging. */
int ship_content(struct ship *ship, const struct ship_content *content);

#endif
