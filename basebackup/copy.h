/* Copies the tree into parts, with several workers. */
#ifndef WALFERRY_COPY_H
#define WALFERRY_COPY_H

#include "resume.h"
#include "ship.h"
#include "tree.h"

struct copy_settings {
    struct targets *targets; /* all borrowed */
    struct catalog *catalog;
    struct tree *tree;
    struct path_set *told;    /* paths, as in the index, of the files that were told already */
    struct page_check *pages; /* NULL: pages have no checksums */
    struct progress *progress;
    struct rate *rate;
    const struct ship_owner *owner;
    uint64_t split_bytes;  /* size of the pieces of a large file; a multiple of SOURCE_WINDOW_BYTES */
    struct resume *resume; /* NULL: there is nothing to go on from */
    unsigned jobs;
};

struct copy;

/* NULL after logging. */
struct copy *copy_open(const struct copy_settings *settings);
void copy_close(struct copy *copy); /* NULL-safe; aborts what is not finished */

/* Writes the directories that the scan found, into the first part of each place. 0, or -1 after logging. */
int copy_directories(struct copy *copy);

/* Takes over what an interrupted backup has stored. tick and result as copy_files. */
int copy_take_over(struct copy *copy, int (*tick)(void *context), void *context);

/* Copies all files but those that were taken over. tick is called several times a second by this thread, and
 * returns -1 (after logging) to end it. 0, or -1 after logging (nothing is logged for a signal). */
int copy_files(struct copy *copy, int (*tick)(void *context), void *context);

/* For what is added before and behind: the first worker's. Not while copy_files runs. */
struct ship *copy_ship(struct copy *copy);
struct part_writer *copy_parts(struct copy *copy);

#endif
