#include "verify_backups.h"

#include "common/backup_index.h"
#include "common/backup_sign.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "verify_object.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is there */

static char *key_of(const struct verify *verify, const char *id, const char *file)
{
    return backup_key(verify->repository, verify->system->system_identifier, id, file);
}

/* The index is stored just before the manifest, and removed right behind it, as started.json is right before.
 */
static void tell_lost_manifest(struct verify *verify, const struct inventory_folder *folder)
{
    char *key = key_of(verify, folder->id, "manifest.json"), *index = key_of(verify, folder->id, INDEX_KIND);

    if (key != NULL && index != NULL && !verify_is_gone(verify->repository, index))
        findings_add(
            verify->findings, FINDING_MISSING, key,
            "\"manifest.json\" of backup %s in repository \"%s\" is missing, and all else was stored",
            folder->id, verify->repository->settings->name);
    free(index);
    free(key);
}

static void tell_unfinished(struct verify *verify, const struct inventory_folder *folder, int64_t last_sign)
{
    char *key = key_of(verify, folder->id, ""), time[TIMESTAMP_TEXT_BYTES] = "an unknown time", bytes[32];

    progress_format_bytes(folder->bytes, bytes);
    if (last_sign != 0)
        timestamp_format(last_sign, time);
    if (key != NULL)
        findings_add(verify->findings, FINDING_ORPHAN, key,
                     "backup %s in repository \"%s\" was never completed: %" PRIu64
                     " objects, %s, last heard of at %s",
                     folder->id, verify->repository->settings->name, folder->objects, bytes, time);
    free(key);
}

/* A folder without a manifest: a backup that runs, or what is left of one. */
static void look_at_unfinished(struct verify *verify, struct inventory_folder *folder)
{
    int64_t last_sign;

    if (backup_last_sign(verify->repository, verify->system->system_identifier, folder->id, &last_sign) != 0)
        last_sign = 0; /* nothing else of the repository is less worth reading for it */
    folder->is_alive = store_now(verify->repository->store) - last_sign < BACKUP_ALIVE_MICROSECONDS;
    if (folder->is_alive)
        log_info("backup %s in repository \"%s\" is being taken, or copied there", folder->id,
                 verify->repository->settings->name);
    else if (folder->has_started && folder->has_index)
        tell_lost_manifest(verify, folder);
    else
        tell_unfinished(verify, folder, last_sign);
}

static int add_backup(struct verify *verify, const struct inventory_folder *folder,
                      const struct backup *backup)
{
    struct verify_backup *grown =
        realloc(verify->backups, (verify->backup_count + 1) * sizeof *verify->backups);

    if (grown == NULL)
        return log_out_of_memory();
    verify->backups = grown;
    grown[verify->backup_count++] = (struct verify_backup){*backup, folder, false};
    return 0;
}

static int load_backup(struct verify *verify, const struct inventory_folder *folder)
{
    struct backup backup;
    struct store_object object;
    char *key = key_of(verify, folder->id, "manifest.json");
    int result = key == NULL ? -1 : 0;

    if (result == 0)
        switch (
            backup_get(verify->repository, verify->system->system_identifier, folder->id, &backup, &object)) {
        case REPOSITORY_OK:
            result = add_backup(verify, folder, &backup);
            if (result != 0)
                backup_free(&backup);
            break;
        case REPOSITORY_DAMAGED:
            findings_add_logged(verify->findings, FINDING_DAMAGED, key);
            break;
        case REPOSITORY_ABSENT: /* removed since it was listed */
            break;
        default:
            result = verify_tell_unreadable(verify->findings, verify->repository, key);
        }
    free(key);
    return result;
}

int verify_backups_load(struct verify *verify)
{
    struct inventory *inventory = &verify->inventory;
    int result =
        inventory_load(verify->repository, verify->system->system_identifier, inventory) == REPOSITORY_OK
            ? 0
            : -1;

    for (size_t i = 0; i < inventory->count && result == 0 && !interrupt_requested(); i++)
        if (inventory->folders[i].has_manifest)
            result = load_backup(verify, &inventory->folders[i]);
        else if (!verify_is_narrow(verify->settings) && !verify->settings->is_wal)
            look_at_unfinished(verify, &inventory->folders[i]);
    return interrupt_requested() ? -1 : result;
}

void verify_backups_free(struct verify *verify)
{
    for (size_t i = 0; i < verify->backup_count; i++)
        backup_free(&verify->backups[i].backup);
    free(verify->backups);
    verify->backups = NULL;
    verify->backup_count = 0;
    inventory_free(&verify->inventory);
}

/* Part by part */

struct listed_part {
    char *name;
    uint64_t bytes;
    bool is_in_index;
};

struct comparison {
    struct verify *verify;
    const struct backup *backup;
    struct listed_part *parts; /* in the order of their names */
    size_t count;
    uint64_t parts_in_index;
    bool failed;
};

static bool take_listed(void *context, const char *key, uint64_t bytes)
{
    struct comparison *comparison = context;
    const char *name = strrchr(key, '/') + 1;
    uint64_t number;
    size_t series;

    if (!backup_part_name_parse(name, &series, &number))
        return true;
    struct listed_part *grown =
        realloc(comparison->parts, (comparison->count + 1) * sizeof *comparison->parts);
    comparison->failed = grown == NULL;
    if (grown == NULL) {
        log_out_of_memory();
        return false;
    }
    comparison->parts = grown;
    grown[comparison->count] = (struct listed_part){string_copy(name), bytes, false};
    comparison->failed = grown[comparison->count++].name == NULL;
    return !comparison->failed;
}

static int compare_names(const void *name, const void *part)
{
    return strcmp(name, ((const struct listed_part *)part)->name);
}

static int look_up(void *context, struct index_entry *entry)
{
    struct comparison *comparison = context;
    struct findings *findings = comparison->verify->findings;

    if (entry->line != INDEX_PART)
        return 0;
    comparison->parts_in_index++;
    char *key = key_of(comparison->verify, comparison->backup->id, entry->path);
    struct listed_part *part = comparison->count == 0
                                   ? NULL
                                   : bsearch(entry->path, comparison->parts, comparison->count,
                                             sizeof *comparison->parts, compare_names);
    if (key == NULL)
        return -1;
    if (part == NULL)
        findings_add(findings, FINDING_MISSING, key, "part \"%s\" of backup %s is missing", entry->path,
                     comparison->backup->id);
    else if (part->bytes != entry->bytes)
        findings_add(findings, FINDING_DAMAGED, key,
                     "part \"%s\" of backup %s is damaged: it has %" PRIu64 " bytes, the index says %" PRIu64,
                     entry->path, comparison->backup->id, part->bytes, entry->bytes);
    if (part != NULL)
        part->is_in_index = true;
    free(key);
    return 0;
}

static void tell_surplus(const struct comparison *comparison)
{
    for (size_t i = 0; i < comparison->count; i++) {
        if (comparison->parts[i].is_in_index)
            continue;
        char *key = key_of(comparison->verify, comparison->backup->id, comparison->parts[i].name);
        if (key != NULL)
            findings_add(comparison->verify->findings, FINDING_ORPHAN, key,
                         "part \"%s\" lies in the folder of backup %s, but is not in its index",
                         comparison->parts[i].name, comparison->backup->id);
        free(key);
    }
}

/* 0, or -1 after logging: it could not be found out. */
static int compare_with_index(struct comparison *comparison)
{
    const struct verify *verify = comparison->verify;
    char *key = key_of(verify, comparison->backup->id, INDEX_KIND);
    enum repository_result result = REPOSITORY_FAILED;

    if (key == NULL)
        return -1;
    result = backup_index_load(verify->repository, comparison->backup, look_up, comparison);
    if (result == REPOSITORY_OK && comparison->parts_in_index != comparison->backup->part_count)
        findings_add(verify->findings, FINDING_DAMAGED, key,
                     "backup %s is damaged: its index has %" PRIu64 " parts, its manifest says %" PRIu64,
                     comparison->backup->id, comparison->parts_in_index, comparison->backup->part_count);
    int judged = 0;
    if (result == REPOSITORY_OK)
        tell_surplus(comparison);
    else if (verify_backup_is_gone(verify->repository, comparison->backup))
        judged = 0;
    else if (result == REPOSITORY_FAILED)
        judged = verify_tell_unreadable(verify->findings, verify->repository, key);
    else
        findings_add_logged(verify->findings, FINDING_DAMAGED, key);
    free(key);
    return judged;
}

static int compare_parts(struct verify *verify, const struct backup *backup)
{
    struct comparison comparison = {.verify = verify, .backup = backup};
    char *prefix = key_of(verify, backup->id, "");
    struct store_listing wanted = {prefix, NULL, 0, take_listed, &comparison};
    int result =
        prefix != NULL && store_list(verify->repository->store, &wanted) == STORE_OK && !comparison.failed
            ? 0
            : -1;

    if (result == 0 && !verify_backup_is_gone(verify->repository, backup))
        result = compare_with_index(&comparison);

    for (size_t i = 0; i < comparison.count; i++)
        free(comparison.parts[i].name);
    free(comparison.parts);
    free(prefix);
    return result;
}

/* One backup */

static void need(struct verify *verify, const struct backup *backup, bool is_there, const char *file)
{
    char *key = is_there ? NULL : key_of(verify, backup->id, file);

    if (key != NULL)
        findings_add(verify->findings, FINDING_MISSING, key, "\"%s\" of backup %s is missing", file,
                     backup->id);
    free(key);
}

/* Nobody needs it of a complete backup, but an expiry removes it first. */
static void tell_begun_to_go(struct verify *verify, const struct backup *backup)
{
    char *key = key_of(verify, backup->id, "started.json");

    if (key != NULL)
        findings_add(verify->findings, FINDING_ORPHAN, key,
                     "\"started.json\" of backup %s is missing: has an expiry been interrupted?", backup->id);
    free(key);
}

static int verify_backup(struct verify *verify, const struct verify_backup *item)
{
    const struct inventory_folder *folder = item->folder;
    const struct backup *backup = &item->backup;
    char *key = key_of(verify, backup->id, INDEX_KIND);

    if (key == NULL)
        return -1;
    if (!folder->has_started)
        tell_begun_to_go(verify, backup);
    need(verify, backup, folder->has_index, INDEX_KIND);
    need(verify, backup, backup->tablespace_count == 0 || folder->has_tablespace_map, "tablespace_map");
    if (folder->has_index && folder->index_bytes != backup->files_bytes)
        findings_add(verify->findings, FINDING_DAMAGED, key,
                     "the index of backup %s is damaged: it has %" PRIu64
                     " bytes, the manifest says %" PRIu64,
                     backup->id, folder->index_bytes, backup->files_bytes);
    free(key);
    verify->backups_done++;
    if (folder->is_regular && folder->parts == backup->part_count &&
        folder->part_bytes == backup->stored_bytes)
        return 0;
    return folder->has_index ? compare_parts(verify, backup) : 0;
}

int verify_backups(struct verify *verify)
{
    int result = 0;

    for (size_t i = 0; i < verify->backup_count && result == 0; i++)
        if (verify->backups[i].is_selected)
            result = interrupt_requested() ? -1 : verify_backup(verify, &verify->backups[i]);
    return result;
}
