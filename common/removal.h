/* Removes objects from a repository, many at once; in a bucket that keeps versions with all of them, so that
 * their room is free. What the store has locked stays, and is told. */
#ifndef WALFERRY_REMOVAL_H
#define WALFERRY_REMOVAL_H

#include "repository.h"

struct removal {
    struct repository *repository; /* borrowed */
    bool with_versions;
    bool removes_folders; /* on a directory: those that become empty */
    struct store_deletion *queue;
    size_t count, capacity;
    uint64_t removed, locked; /* objects; versions count */
    uint64_t removed_bytes;
    uint64_t *bytes; /* of those in the queue */
    bool lock_is_told;
};
#define REMOVAL_OF(where, versions)                                                                          \
    {                                                                                                        \
        .repository = (where), .with_versions = (versions)                                                   \
    }
void removal_free(struct removal *removal);

enum removal_choice { REMOVAL_PASS, REMOVAL_TAKE, REMOVAL_END };
struct removal_wish {
    const char *prefix;
    const char *start_after; /* NULL: from the first */
    /* asked for each key, in byte order, once or more; REMOVAL_END: no more behind this one. NULL: all */
    enum removal_choice (*choose)(void *context, const char *key);
    void *context;
};
/* Lists and removes, a thousand at a time, the first first. 0; 1: something is locked and stays; -1 after
 * logging. */
int removal_run(struct removal *removal, const struct removal_wish *wish);

#endif
