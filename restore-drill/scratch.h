/* The place of a drill: a directory below [drill] scratch, which is locked meanwhile, and removed with all
 * that is in it. */
#ifndef WALFERRY_SCRATCH_H
#define WALFERRY_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>

struct scratch {
    const char *parent; /* borrowed */
    int lock;           /* descriptor of parent; -1 */
    char *path;         /* "<parent>/restore-drill"; NULL: not made */
};

/* Makes it, where parent is an absolute path and not in a data directory; what a drill that was killed has
 * left there is removed first. 0, or -1 after logging. scratch_close in any case. */
int scratch_open(const char *parent, struct scratch *scratch);

/* Bytes on disk of all that is in it. 0, or -1 after logging. */
int scratch_bytes(const struct scratch *scratch, uint64_t *bytes);

/* Puts a file of it beside it, under a name with the time. The new path, caller frees; NULL after logging. */
char *scratch_save(const struct scratch *scratch, const char *file, int64_t time);

/* is_kept: it stays, and the next drill is refused until it is gone. 0, or -1 after logging. */
int scratch_close(struct scratch *scratch, bool is_kept);

#endif
