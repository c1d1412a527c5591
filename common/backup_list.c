/* The list of a repository's backups, and choosing one of them for a target. */
#include "backup.h"

#include "log.h"
#include "timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The list */

struct id_reading {
    struct backup_ids *ids;
    bool failed;
};

static bool take_id(void *context, const char *name)
{
    struct id_reading *reading = context;
    struct backup_ids *ids = reading->ids;

    if (!backup_id_is_valid(name)) {
        log_debug("\"%s\" is not the id of a backup", name);
        return true;
    }
    if (ids->count == ids->capacity) {
        size_t capacity = ids->capacity == 0 ? 32 : 2 * ids->capacity;
        char(*grown)[BACKUP_ID_BYTES] = realloc(ids->ids, capacity * sizeof *grown);
        if (grown == NULL) {
            reading->failed = true;
            log_out_of_memory();
            return false;
        }
        ids->ids = grown;
        ids->capacity = capacity;
    }
    snprintf(ids->ids[ids->count++], BACKUP_ID_BYTES, "%s", name);
    return true;
}

enum repository_result backup_ids_load(struct repository *repository, uint64_t system_identifier,
                                       struct backup_ids *ids)
{
    struct id_reading reading = {ids, false};
    char *prefix = repository_system_key(repository, system_identifier, "base/");
    enum repository_result result = REPOSITORY_FAILED;

    *ids = (struct backup_ids){NULL, 0, 0};
    if (prefix == NULL)
        return REPOSITORY_FAILED;
    enum store_result listed = store_list_folders(repository->store, prefix, take_id, &reading);
    if ((listed == STORE_OK || listed == STORE_ABSENT) && !reading.failed)
        result = REPOSITORY_OK;
    else
        backup_ids_free(ids);
    free(prefix);
    return result;
}

void backup_ids_free(struct backup_ids *ids)
{
    free(ids->ids);
    *ids = (struct backup_ids){NULL, 0, 0};
}

/* Appends the backup, which is the list's from then on. 0, or -1 after logging. */
static int append_backup(struct backup_list *list, const struct backup *backup)
{
    struct backup *grown = realloc(list->backups, (list->count + 1) * sizeof *grown);

    if (grown == NULL)
        return log_out_of_memory();
    list->backups = grown;
    list->backups[list->count++] = *backup;
    return 0;
}

/* The manifest must be the one of the folder it lies in: a copy put into another folder would name parts that
 * are not there. */
static int parse_manifest(const struct buffer *text, const char *what, uint64_t system, const char *id,
                          struct backup *backup)
{
    if (backup_parse(text->data, text->length, what, backup) != 0)
        return -1;
    if (strcmp(backup->id, id) == 0 && backup->system_identifier == system)
        return 0;
    log_error("%s is damaged: it is the manifest of backup %s of system %llu", what, backup->id,
              (unsigned long long)backup->system_identifier);
    backup_free(backup);
    return -1;
}

enum repository_result backup_get(struct repository *repository, uint64_t system_identifier, const char *id,
                                  struct backup *backup, struct store_object *object)
{
    enum repository_result result = REPOSITORY_FAILED;
    struct buffer text = BUFFER_EMPTY;
    char *key = backup_key(repository, system_identifier, id, "manifest.json");
    char *what = key == NULL ? NULL : string_copy(store_describe(repository->store, key));

    if (what != NULL)
        result = repository_get_document(repository, key, &text, object);
    if (result == REPOSITORY_OK && parse_manifest(&text, what, system_identifier, id, backup) != 0)
        result = REPOSITORY_DAMAGED;
    buffer_free(&text);
    free(key);
    free(what);
    return result;
}

struct list_reading {
    struct repository *repository;
    struct backup_list *list;
    int (*judge)(void *context, const char *key); /* NULL: one that can't be read counts as damaged */
    void *context;
};

static enum repository_result judge_unreadable(const struct list_reading *reading, uint64_t system,
                                               const char *id)
{
    if (reading->judge == NULL) {
        if (!repository_answers(reading->repository))
            return REPOSITORY_FAILED;
        log_warning("backup %s in repository \"%s\" is passed over: its manifest can't be read", id,
                    reading->repository->settings->name);
        reading->list->damaged++;
        return REPOSITORY_OK;
    }
    char *key = backup_key(reading->repository, system, id, "manifest.json");
    enum repository_result result =
        key != NULL && reading->judge(reading->context, key) == 0 ? REPOSITORY_OK : REPOSITORY_FAILED;

    free(key);
    return result;
}

static enum repository_result load_backup(const struct list_reading *reading, uint64_t system, const char *id)
{
    struct backup_list *list = reading->list;
    struct backup backup;
    struct store_object object;
    enum repository_result result = backup_get(reading->repository, system, id, &backup, &object);

    switch (result) {
    case REPOSITORY_OK:
        if (append_backup(list, &backup) == 0)
            return REPOSITORY_OK;
        backup_free(&backup);
        return REPOSITORY_FAILED;
    case REPOSITORY_ABSENT:
        log_debug("backup %s has no manifest: it is unfinished or was given up", id);
        return REPOSITORY_OK;
    case REPOSITORY_DAMAGED:
        list->damaged++;
        return REPOSITORY_OK;
    default:
        return judge_unreadable(reading, system, id);
    }
}

static enum repository_result load_generation(const struct list_reading *reading, uint64_t system)
{
    struct backup_ids ids = {NULL, 0, 0};
    /* Names first, manifests afterwards: a store can't be asked from within its own listing. */
    enum repository_result result = backup_ids_load(reading->repository, system, &ids);

    for (size_t i = 0; result == REPOSITORY_OK && i < ids.count; i++)
        result = load_backup(reading, system, ids.ids[i]);
    backup_ids_free(&ids);
    return result;
}

static int compare_start(const void *left, const void *right)
{
    const struct backup *a = left, *b = right;

    if (a->start_time != b->start_time)
        return a->start_time < b->start_time ? -1 : 1;
    return strcmp(a->id, b->id);
}

enum repository_result backup_list_load(struct repository *repository, struct backup_list *list)
{
    return backup_list_load_readable(repository, list, NULL, NULL);
}

enum repository_result backup_list_load_readable(struct repository *repository, struct backup_list *list,
                                                 int (*judge)(void *context, const char *key), void *context)
{
    struct backup_list loaded = {NULL, 0, 0};
    const struct list_reading reading = {repository, &loaded, judge, context};
    enum repository_result result = REPOSITORY_OK;

    for (size_t i = 0; result == REPOSITORY_OK && i < repository->cluster.generation_count; i++)
        result = load_generation(&reading, repository->cluster.generations[i].system_identifier);
    if (result != REPOSITORY_OK) {
        backup_list_free(&loaded);
        return result;
    }
    if (loaded.count > 1)
        qsort(loaded.backups, loaded.count, sizeof *loaded.backups, compare_start);
    *list = loaded;
    return REPOSITORY_OK;
}

void backup_list_free(struct backup_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        backup_free(&list->backups[i]);
    free(list->backups);
    *list = (struct backup_list){NULL, 0, 0};
}

/* Choosing */

/* Rule 22: the directory is consistent only behind the backup's end, so an earlier target can't be reached
 * from it. */
static bool serves_target(const struct backup *backup, const struct backup_wish *wish)
{
    if (wish->has_time && backup->stop_time >= wish->time)
        return false;
    return !wish->has_lsn || backup->stop_lsn <= wish->lsn;
}

/* NULL: any timeline will do. */
static bool lies_on_timeline(const struct backup *backup, const struct timeline_history *history)
{
    uint64_t end;

    return history == NULL ||
           (timeline_history_find(history, backup->timeline, &end) && backup->stop_lsn <= end);
}

void backup_wish_describe(const struct backup_wish *wish, char *out, size_t length)
{
    char text[TIMESTAMP_TEXT_BYTES];

    if (wish->has_time) {
        timestamp_format(wish->time, text);
        snprintf(out, length, "time %s", text);
    } else {
        lsn_format(wish->lsn, text);
        snprintf(out, length, "LSN %s", text);
    }
}

static void describe_end(const struct backup *backup, char *out, size_t length)
{
    char time[TIMESTAMP_TEXT_BYTES], lsn[24];

    timestamp_format(backup->stop_time, time);
    lsn_format(backup->stop_lsn, lsn);
    snprintf(out, length, "%s, LSN %s", time, lsn);
}

static const struct backup *choose_by_id(const struct repository *repository, const struct backup_list *list,
                                         const struct backup_wish *wish)
{
    const struct backup *backup = NULL;
    char target[96], end[96];

    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->backups[i].id, wish->id) == 0)
            backup = &list->backups[i];
    if (backup == NULL) {
        log_error("repository \"%s\" has no complete backup \"%s\"", repository->settings->name, wish->id);
        log_hint("basebackup-list shows the backups that there are.");
        return NULL;
    }
    if (!serves_target(backup, wish)) {
        backup_wish_describe(wish, target, sizeof target);
        describe_end(backup, end, sizeof end);
        log_error("the target %s is not after the end of backup %s (%s)", target, backup->id, end);
        log_hint("A backup is recovered forward from its end. Choose an earlier backup, or leave out "
                 "--backup to have "
                 "the right one chosen.");
        return NULL;
    }
    return backup;
}

const struct backup *backup_find(const struct backup_list *list, const struct backup_wish *wish,
                                 const struct timeline_history *history, const struct backup **earliest)
{
    *earliest = NULL;
    for (size_t i = list->count; i > 0; i--) {
        const struct backup *backup = &list->backups[i - 1];

        if (!lies_on_timeline(backup, history))
            continue;
        if (serves_target(backup, wish))
            return backup;
        if (*earliest == NULL || (wish->has_time ? backup->stop_time < (*earliest)->stop_time
                                                 : backup->stop_lsn < (*earliest)->stop_lsn))
            *earliest = backup;
    }
    return NULL;
}

/* Why no backup of a list serves the target. */
static void explain_none(const struct repository *repository, const struct backup_list *list,
                         const struct backup_wish *wish, const struct backup *earliest)
{
    char target[96], end[96];

    if (list->count == 0) {
        log_error("repository \"%s\" has no complete backup of cluster \"%s\"", repository->settings->name,
                  repository->cluster.name == NULL ? repository->config->cluster_name
                                                   : repository->cluster.name);
        log_hint("basebackup-push takes one.");
    } else {
        backup_wish_describe(wish, target, sizeof target);
        describe_end(earliest, end, sizeof end);
        log_error(
            "the target %s is not after the end of any backup in repository \"%s\"; the earliest end is that "
            "of backup "
            "%s: %s",
            target, repository->settings->name, earliest->id, end);
        log_hint("A backup is recovered forward from its end: only a target after that can be reached.%s",
                 wish->has_time ? " Is the offset right (+00 is UTC)?" : "");
    }
}

static const struct backup *choose_newest(const struct repository *repository, const struct backup_list *list,
                                          const struct backup_wish *wish)
{
    const struct backup *earliest;
    const struct backup *backup = backup_find(list, wish, NULL, &earliest);

    if (backup == NULL)
        explain_none(repository, list, wish, earliest);
    return backup;
}

const struct backup *backup_choose(const struct repository *repository, const struct backup_list *list,
                                   const struct backup_wish *wish)
{
    bool by_target = wish->id == NULL || strcmp(wish->id, "latest") == 0;
    const struct backup *backup =
        by_target ? choose_newest(repository, list, wish) : choose_by_id(repository, list, wish);

    if (backup == NULL && list->damaged > 0)
        log_hint("Backups whose manifest is damaged or can't be read are passed over; it has %zu.",
                 list->damaged);
    return backup;
}
