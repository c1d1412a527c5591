/* What lies in base/ of one system: the folders of its backups, by one listing, in little memory. */
#ifndef WALFERRY_INVENTORY_H
#define WALFERRY_INVENTORY_H

#include "common/backup.h"
#include "common/backup_part.h"
#include "common/index_entry.h"

struct inventory_folder {
    char id[BACKUP_ID_BYTES];
    bool has_manifest, has_started, has_index, has_tablespace_map;
    uint64_t index_bytes;
    uint64_t parts, part_bytes;
    bool is_regular; /* the numbers of each series of parts are 1, 2, 3 and so on */
    uint64_t objects, bytes;
    bool is_alive; /* set by whoever finds out: it is being taken */
};

struct inventory {
    struct inventory_folder *folders; /* owned; by id, so by time */
    size_t count;
    char **strays; /* owned keys: what has no name that a backup's objects have */
    size_t stray_count;
};

/* OK or FAILED. inventory_free in any case. */
enum repository_result inventory_load(struct repository *repository, uint64_t system_identifier,
                                      struct inventory *inventory);
void inventory_free(struct inventory *inventory);

/* NULL when there is none. */
const struct inventory_folder *inventory_find(const struct inventory *inventory, const char *id);

#endif
