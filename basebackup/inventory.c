#include "inventory.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

/* The listing while it comes. */
struct listing {
    struct inventory *inventory;
    size_t hidden; /* bytes of every key before the folder's name */
    struct backup_part_run run;
    bool failed;
};

static int add_stray(struct inventory *inventory, const char *key)
{
    char **grown = realloc(inventory->strays, (inventory->stray_count + 1) * sizeof *grown);

    if (grown == NULL)
        return log_out_of_memory();
    inventory->strays = grown;
    grown[inventory->stray_count] = string_copy(key);
    return grown[inventory->stray_count++] == NULL ? -1 : 0;
}

static struct inventory_folder *folder_of(struct listing *listing, const char *id)
{
    struct inventory *inventory = listing->inventory;

    if (inventory->count > 0 && strcmp(inventory->folders[inventory->count - 1].id, id) == 0)
        return &inventory->folders[inventory->count - 1];
    struct inventory_folder *grown =
        realloc(inventory->folders, (inventory->count + 1) * sizeof *inventory->folders);
    if (grown == NULL) {
        log_out_of_memory();
        return NULL;
    }
    inventory->folders = grown;
    grown += inventory->count++;
    *grown = (struct inventory_folder){.is_regular = true};
    memcpy(grown->id, id, strlen(id) + 1);
    listing->run = (struct backup_part_run){.number = 0};
    return grown;
}

/* False: that is no name of a backup's object. */
static bool take_object(struct listing *listing, struct inventory_folder *folder, const char *name,
                        uint64_t bytes)
{
    uint64_t number;
    size_t series;

    if (strcmp(name, "manifest.json") == 0)
        folder->has_manifest = true;
    else if (strcmp(name, "started.json") == 0)
        folder->has_started = true;
    else if (strcmp(name, "tablespace_map") == 0)
        folder->has_tablespace_map = true;
    else if (strcmp(name, INDEX_KIND) == 0) {
        folder->has_index = true;
        folder->index_bytes = bytes;
    } else if (backup_part_name_parse(name, &series, &number) && series < sizeof listing->run.series) {
        folder->is_regular = backup_part_follows(&listing->run, name, series, number) && folder->is_regular;
        folder->parts++;
        folder->part_bytes += bytes;
    } else if (strcmp(name, "heartbeat.json") != 0)
        return false;
    folder->objects++;
    folder->bytes += bytes;
    return true;
}

static bool take_key(void *context, const char *key, uint64_t bytes)
{
    struct listing *listing = context;
    const char *name = key + listing->hidden, *slash = strchr(name, '/');
    char id[BACKUP_ID_BYTES] = "";
    bool is_known = false;

    if (slash != NULL && (size_t)(slash - name) < sizeof id)
        memcpy(id, name, (size_t)(slash - name));
    if (backup_id_is_valid(id)) {
        struct inventory_folder *folder = folder_of(listing, id);
        listing->failed = folder == NULL;
        is_known = folder != NULL && take_object(listing, folder, slash + 1, bytes);
    }
    if (!is_known && !listing->failed)
        listing->failed = add_stray(listing->inventory, key) != 0;
    return !listing->failed;
}

enum repository_result inventory_load(struct repository *repository, uint64_t system_identifier,
                                      struct inventory *inventory)
{
    struct listing listing = {.inventory = inventory};
    enum repository_result result = REPOSITORY_FAILED;
    char *prefix = repository_system_key(repository, system_identifier, "base/");

    *inventory = (struct inventory){NULL, 0, NULL, 0};
    if (prefix == NULL)
        return REPOSITORY_FAILED;
    listing.hidden = strlen(prefix);
    struct store_listing wanted = {prefix, NULL, 0, take_key, &listing};
    if (store_list(repository->store, &wanted) == STORE_OK && !listing.failed)
        result = REPOSITORY_OK;
    free(prefix);
    return result;
}

void inventory_free(struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->stray_count; i++)
        free(inventory->strays[i]);
    free(inventory->strays);
    free(inventory->folders);
    *inventory = (struct inventory){NULL, 0, NULL, 0};
}

const struct inventory_folder *inventory_find(const struct inventory *inventory, const char *id)
{
    for (size_t i = 0; i < inventory->count; i++)
        if (strcmp(inventory->folders[i].id, id) == 0)
            return &inventory->folders[i];
    return NULL;
}
