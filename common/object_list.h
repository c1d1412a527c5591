/* The objects below one prefix of a repository, held in memory: a folder's. Layer 3. */
#ifndef WALFERRY_OBJECT_LIST_H
#define WALFERRY_OBJECT_LIST_H

#include "repository.h"

struct object_item {
    char *key;
    const char *name; /* what stands behind the prefix */
    uint64_t bytes;
};

struct object_list {
    struct object_item *items; /* owned; in the order of their keys */
    size_t count;
};

/* rest: the prefix below the system's folder, "wal/0000000100000000/". 0, or -1 after logging;
 * object_list_free in any case. */
int object_list_load(struct repository *repository, uint64_t system_identifier, const char *rest,
                     struct object_list *list);
/* NULL when it is not there. */
const struct object_item *object_list_find(const struct object_list *list, const char *name);
void object_list_free(struct object_list *list);

#endif
