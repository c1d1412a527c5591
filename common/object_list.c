#include "object_list.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>

struct listing {
    struct object_list *list;
    size_t hidden, capacity;
    bool failed;
};

static bool take_key(void *context, const char *key, uint64_t bytes)
{
    struct listing *listing = context;
    struct object_list *list = listing->list;

    if (list->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 256 : 2 * listing->capacity;
        struct object_item *grown = realloc(list->items, capacity * sizeof *grown);
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
        list->items[list->count++] = (struct object_item){copy, copy + listing->hidden, bytes};
    return copy != NULL;
}

int object_list_load(struct repository *repository, uint64_t system_identifier, const char *rest,
                     struct object_list *list)
{
    struct listing listing = {.list = list};
    char *prefix = repository_system_key(repository, system_identifier, rest);
    int result = -1;

    *list = (struct object_list){NULL, 0};
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
    return strcmp(name, ((const struct object_item *)item)->name);
}

const struct object_item *object_list_find(const struct object_list *list, const char *name)
{
    return list->count == 0 ? NULL
                            : bsearch(name, list->items, list->count, sizeof *list->items, compare_names);
}

void object_list_free(struct object_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].key);
    free(list->items);
    *list = (struct object_list){NULL, 0};
}
