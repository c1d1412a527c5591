/* A file that is restored from pieces, which lie in parts of their own and are unpacked by several workers at
 * once, in any order. */
#ifndef WALFERRY_RESTORE_SPLIT_H
#define WALFERRY_RESTORE_SPLIT_H

#include "common/backup_index.h"
#include "restore_place.h"

#include <stdatomic.h>

struct restore_split {
    const struct restore_place *place; /* borrowed */
    char *rest;                        /* the file's path, in its place */
    atomic_ullong bytes_left;          /* of pieces that are not there yet */
    atomic_uint references;
};

/* A reference for who works on this piece, which lies in this part. *current is the caller's own, NULL but
 * between the first piece of a file and its last, in the order of the index: with the first one the file is
 * created, empty. NULL after logging, also when there is such a file already. */
struct restore_split *restore_split_for(struct restore_split **current, const struct restore_places *places,
                                        const char *part, const struct index_entry *piece);
void restore_split_release(struct restore_split *split); /* NULL-safe */

/* So many bytes more are written, and right. True with the last ones: the file is whole. */
bool restore_split_done(struct restore_split *split, uint64_t bytes);

#endif
