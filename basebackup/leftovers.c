#include "leftovers.h"

#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loading {
    struct leftovers *leftovers;
    size_t capacity;
    bool failed;
};

static bool take(void *context, const struct store_unfinished *unfinished)
{
    struct loading *loading = context;
    struct leftovers *leftovers = loading->leftovers;

    loading->failed = true;
    if (leftovers->count == loading->capacity) {
        size_t capacity = loading->capacity == 0 ? 16 : 2 * loading->capacity;
        struct leftover *grown = realloc(leftovers->items, capacity * sizeof *grown);
        if (grown == NULL) {
            log_out_of_memory();
            return false;
        }
        leftovers->items = grown;
        loading->capacity = capacity;
    }
    struct leftover *added = &leftovers->items[leftovers->count++];
    *added = (struct leftover){.key = string_copy(unfinished->key),
                               .upload_id = string_copy(unfinished->upload_id),
                               .bytes = unfinished->bytes,
                               .begun = unfinished->begun,
                               .verdict = LEFTOVER_YOUNG};
    loading->failed = added->key == NULL || added->upload_id == NULL;
    return !loading->failed;
}

int leftovers_load(struct repository *repository, struct leftovers *leftovers)
{
    struct loading loading = {.leftovers = leftovers};
    char *prefix = string_printf("%s/", repository->config->cluster_name);
    enum store_result result = STORE_FAILED;

    *leftovers = (struct leftovers){NULL, 0};
    if (prefix != NULL)
        result = store_list_unfinished(repository->store, prefix, take, &loading);
    free(prefix);
    return result == STORE_OK && !loading.failed ? 0 : -1;
}

void leftovers_free(struct leftovers *leftovers)
{
    for (size_t i = 0; i < leftovers->count; i++) {
        free(leftovers->items[i].key);
        free(leftovers->items[i].upload_id);
    }
    free(leftovers->items);
    *leftovers = (struct leftovers){NULL, 0};
}

/* The backup in whose folder it lies; NULL: in none. */
static const struct retention_backup *backup_of(const struct retention *retention,
                                                const struct leftover *leftover)
{
    for (size_t i = 0; i < retention->backup_count; i++) {
        const struct retention_backup *backup = &retention->backups[i];
        char folder[BACKUP_ID_BYTES + 32];
        snprintf(folder, sizeof folder, "/%" PRIu64 "/base/%s/",
                 retention->generations[backup->generation].system_identifier, backup->id);
        if (strstr(leftover->key, folder) != NULL)
            return backup;
    }
    return NULL;
}

void leftovers_plan(const struct retention *retention, struct leftovers *leftovers)
{
    int64_t youngest = retention->now - (int64_t)retention->policy->orphan_age_seconds * 1000000;

    for (size_t i = 0; i < leftovers->count; i++) {
        struct leftover *leftover = &leftovers->items[i];
        const struct retention_backup *backup = backup_of(retention, leftover);
        bool is_with_backup = backup != NULL && backup->reasons == 0 &&
                              (backup->state == RETENTION_COMPLETE || backup->state == RETENTION_REMOVED);
        leftover->verdict = LEFTOVER_GOES;
        if (leftover->begun >= youngest && !is_with_backup)
            leftover->verdict = LEFTOVER_YOUNG;
        else if (backup != NULL && (backup->reasons & KEPT_RUNNING))
            leftover->verdict = LEFTOVER_RUNNING;
    }
}
