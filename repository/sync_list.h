/* The objects below one prefix of a repository, held in memory: a folder's. */
#ifndef WALFERRY_SYNC_LIST_H
#define WALFERRY_SYNC_LIST_H

#include "common/repository.h"

struct sync_item {
    char *key;
    const char *name; /* what stands behind the prefix */
    uint64_t bytes;
};

struct sync_list {
    struct sync_item *items; /* owned; in the order of their keys */
    size_t count;
};

/* rest: the prefix below the system's folder, "wal/0000000100000000/". 0, or -1 after logging; sync_list_free
 * in any case. */
int sync_list_load(struct repository *repository, uint64_t system_identifier, const char *rest,
                   struct sync_list *list);
/* NULL when it is not there. */
const struct sync_item *sync_list_find(const struct sync_list *list, const char *name);
void sync_list_free(struct sync_list *list);

#endif
