#include "sync_list.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

struct listing {
    struct sync_list *list;
    size_t hidden, capacity;
    bool failed;
};

static bool take_key(void *context, const char *key, uint64_t bytes)
{
    struct listing *listing = context;
    struct sync_list *list = listing->list;

    if (list->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 256 : 2 * listing->capacity;
        struct sync_item *grown = realloc(list->items, capacity * sizeof *grown);
        if (grown == NULL) {
            listing->failed = true;
            log_out_of_memory();
            return false;
        }
        list->items = grown;
        listing->capacity = capacity;
    }
    char *copy = string_copy(key);
    listing->failed = copy == NULL;
    if (copy != NULL)
        list->items[list->count++] = (struct sync_item){copy, copy + listing->hidden, bytes};
    return copy != NULL;
}

int sync_list_load(struct repository *repository, uint64_t system_identifier, const char *rest,
                   struct sync_list *list)
{
    struct listing listing = {.list = list};
    char *prefix = repository_system_key(repository, system_identifier, rest);
    int result = -1;

    *list = (struct sync_list){NULL, 0};
    if (prefix != NULL) {
        struct store_listing wanted = {prefix, NULL, 0, take_key, &listing};
        listing.hidden = strlen(prefix);
        result = store_list(repository->store, &wanted) == STORE_OK && !listing.failed ? 0 : -1;
    }
    free(prefix);
    return result;
}

static int compare_names(const void *name, const void *item)
{
    return strcmp(name, ((const struct sync_item *)item)->name);
}

const struct sync_item *sync_list_find(const struct sync_list *list, const char *name)
{
    return list->count == 0 ? NULL
                            : bsearch(name, list->items, list->count, sizeof *list->items, compare_names);
}

void sync_list_free(struct sync_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].key);
    free(list->items);
    *list = (struct sync_list){NULL, 0};
}
