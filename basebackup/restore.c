#include "restore.h"

#include "common/interrupt.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/timestamp.h"
#include "common/worker_pool.h"
#include "restore_apart.h"
#include "restore_clean.h"
#include "restore_compare.h"
#include "restore_marker.h"
#include "restore_part.h"
#include "restore_space.h"
#include "restore_wal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct worker {
    struct restore *restore;
    struct store *store;
    struct unpacker *unpacker;
    struct comparer comparer;
    uint64_t requests, fetched_bytes;
};

struct restore {
    struct repository *repository;
    const struct backup *backup;
    struct restore_places *places;
    const struct restore_settings *settings;
    struct backup_index index;
    struct path_set *wanted; /* in a delta restore: the backup's paths; else NULL */
    struct restore_wal wal;
    struct restore_sync sync;
    struct worker_pool *pool;
    struct worker *workers;
    void **worker_contexts;
    struct progress progress;
    struct rate rate;
    pthread_mutex_t progress_lock;
    struct restore_outcome *outcome;
    /* what the index told so far; is_external: of the part at hand */
    bool is_external;
    char part_name[32];
    struct backup_part *part;    /* whose files are being collected; NULL: none */
    struct restore_split *split; /* of which more pieces have to come; NULL: of none */
    uint64_t parts;
    bool has_control;
    bool has_label;
    atomic_bool is_repository; /* see restore_outcome */
};

/* Fetching parts, in the workers */

/* Between two chunks; the main thread is busy reading the index. */
static void show_progress(struct restore *restore)
{
    if (pthread_mutex_trylock(&restore->progress_lock) != 0)
        return;
    progress_tick(&restore->progress);
    pthread_mutex_unlock(&restore->progress_lock);
}

struct fetch {
    struct restore *restore;
    struct sink sink;
};

static int pass_on(void *context, const void *data, size_t length)
{
    struct fetch *fetch = context;

    show_progress(fetch->restore);
    return sink_write(&fetch->sink, data, length);
}

static int fetch_range(struct worker *worker, const struct backup_part *part, const struct part_range *range,
                       const char *key, const char *what)
{
    struct fetch fetch = {worker->restore, unpacker_sink(worker->unpacker)};
    struct sink sink = {pass_on, &fetch};
    bool is_whole = range->offset == 0 && range->end == part->bytes;
    struct store_range wanted = {range->offset, is_whole ? 0 : range->end - range->offset, 0};
    struct store_object object = {.total_bytes = 0};

    if (unpacker_begin(worker->unpacker, part, range, what, &object.total_bytes) != 0)
        return -1;
    enum store_result result = store_get(worker->store, key, &wanted, &sink, &object);
    if (result == STORE_ABSENT || result == STORE_SHORT) {
        log_error(result == STORE_ABSENT ? "%s is missing"
                                         : "%s is damaged: it is shorter than its index says",
                  what);
        log_hint("An older backup (--backup) or another repository (--repository) may be whole.");
    }
    worker->requests++;
    worker->fetched_bytes += range->end - range->offset;
    int ended = unpacker_end(worker->unpacker, result == STORE_OK);
    if (ended != 0 && !interrupt_requested() &&
        (unpacker_found_damage(worker->unpacker) || (result != STORE_OK && result != STORE_STOPPED)))
        atomic_store(&worker->restore->is_repository, true);
    return ended;
}

static int fetch_part(struct worker *worker, struct backup_part *part, const char *key, const char *what)
{
    struct part_range range = {0, 0, 0, 0};
    int result = compare_part(&worker->comparer, part);

    show_progress(worker->restore);
    while (result == 0 && backup_part_range(part, range.last, &range))
        result = fetch_range(worker, part, &range, key, what);
    return result;
}

static int work(void *context, void *task)
{
    struct worker *worker = context;
    struct backup_part *part = task;
    const struct restore *restore = worker->restore;
    const struct backup *backup = restore->backup;
    char *key = backup_key(restore->repository, backup->system_identifier, backup->id, part->name);
    char *what = string_printf("part \"%s\" of backup %s in repository \"%s\"", part->name, backup->id,
                               restore->repository->settings->name);
    int result = -1;

    if (key != NULL && what != NULL && !interrupt_requested())
        result = fetch_part(worker, part, key, what);
    if (result != 0)
        interrupt_request(); /* the others need not finish their parts */
    free(key);
    free(what);
    backup_part_free(part);
    return result;
}

static void discard(void *task)
{
    backup_part_free(task);
}

static int start_workers(struct restore *restore)
{
    restore->workers = calloc(restore->settings->jobs, sizeof *restore->workers);
    restore->worker_contexts = calloc(restore->settings->jobs, sizeof *restore->worker_contexts);
    if (restore->workers == NULL || restore->worker_contexts == NULL)
        return log_out_of_memory();
    for (unsigned i = 0; i < restore->settings->jobs; i++) {
        struct worker *worker = &restore->workers[i];
        struct store_limits limits = {.operation_seconds =
                                          restore->repository->config->basebackup_store_timeout_seconds};
        restore->worker_contexts[i] = worker;
        worker->restore = restore;
        worker->store = store_open(restore->repository->settings, &limits);
        worker->unpacker = unpacker_new(restore->places, &restore->progress, &restore->rate);
        worker->comparer = (struct comparer){.places = restore->places,
                                             .choice = restore->settings->databases,
                                             .progress = &restore->progress,
                                             .parent = RESTORE_PARENT_CLOSED};
        if (worker->store == NULL || worker->unpacker == NULL)
            return -1;
    }
    struct worker_pool_settings settings = {
        .workers = restore->settings->jobs,
        .queue_length = restore->settings->jobs,
        .work = work,
        .discard = discard,
        .worker_contexts = restore->worker_contexts,
    };
    restore->pool = worker_pool_start(&settings);
    return restore->pool == NULL ? -1 : 0;
}

static void free_workers(struct restore *restore)
{
    struct restore_outcome *outcome = restore->outcome;

    for (unsigned i = 0; restore->workers != NULL && i < restore->settings->jobs; i++) {
        outcome->kept_files += restore->workers[i].comparer.kept_files;
        outcome->kept_bytes += restore->workers[i].comparer.kept_bytes;
        outcome->requests += restore->workers[i].requests;
        outcome->fetched_bytes += restore->workers[i].fetched_bytes;
        store_close(restore->workers[i].store);
        unpacker_free(restore->workers[i].unpacker);
    }
    free(restore->workers);
    free(restore->worker_contexts);
}

/* Reading the index for the first time: is it possible? */

static bool is_blank(const struct restore *restore, const struct index_entry *file)
{
    return !restore->is_external && database_choice_is_blank(restore->settings->databases, file->path);
}

/* part: of a file; NULL for a directory. */
static int survey_entry(struct restore *restore, const char *part, const struct index_entry *entry)
{
    const char *rest;
    const struct restore_place *found = restore_places_find(restore->places, part, entry->path, &rest);
    uint64_t bytes = entry->of == 0 ? entry->bytes : entry->of;

    if (found == NULL)
        return -1;
    struct restore_place *place = &restore->places->items[found - restore->places->items];
    if (entry->line == INDEX_DIRECTORY) {
        restore_space_add(place, 1, false);
        return restore->wanted == NULL ? 0
                                       : path_set_add(restore->wanted, entry->path, PATH_SET_DIRECTORY, NULL);
    }
    restore->outcome->bytes += entry->bytes;
    if (!index_entry_begins_file(entry))
        return 0;
    restore->outcome->files++;
    restore_space_add(place, bytes, is_blank(restore, entry));
    return restore->wanted == NULL || restore->is_external
               ? 0
               : path_set_add(restore->wanted, entry->path, bytes, NULL);
}

static int survey(void *context, struct index_entry *entry)
{
    struct restore *restore = context;
    bool is_main = !restore->is_external && strncmp(restore->part_name, "main-", strlen("main-")) == 0;

    if (interrupt_requested())
        return -1;
    switch (entry->line) {
    case INDEX_DIRECTORY:
        return survey_entry(restore, NULL, entry);
    case INDEX_PART:
        restore->parts++;
        snprintf(restore->part_name, sizeof restore->part_name, "%s", entry->path);
        restore->is_external = strncmp(entry->path, "external-", strlen("external-")) == 0;
        return 0;
    case INDEX_FILE:
        break;
    }
    restore->has_control = restore->has_control || (is_main && strcmp(entry->path, RESTORE_CONTROL) == 0);
    restore->has_label = restore->has_label || (is_main && strcmp(entry->path, "backup_label") == 0);
    return survey_entry(restore, restore->part_name, entry);
}

/* What the index must hold so that the directory is whole, and safe to start. */
static int check_completeness(const struct restore *restore)
{
    const struct backup *backup = restore->backup;
    const char *missing = !restore->has_control ? RESTORE_CONTROL
                          : !restore->has_label ? "backup_label"
                                                : NULL;

    if (missing != NULL) {
        log_error("backup %s is damaged: its index has no \"%s\"", backup->id, missing);
        return -1;
    }
    if (restore->parts == backup->part_count && restore->outcome->files == backup->file_count)
        return 0;
    log_error("backup %s is damaged: its index has %llu files in %llu parts, its manifest says %llu in %llu",
              backup->id, (unsigned long long)restore->outcome->files, (unsigned long long)restore->parts,
              (unsigned long long)backup->file_count, (unsigned long long)backup->part_count);
    return -1;
}

/* Everything that can be asked before anything is changed. */
static int prepare(struct restore *restore, struct clean_settings *cleaning)
{
    const struct cluster *cluster = &restore->repository->cluster;
    const struct generation *generation = cluster_generation(cluster, restore->backup->system_identifier);

    if (generation == NULL) {
        repository_tell_foreign(restore->repository, restore->backup->system_identifier);
        return -1;
    }
    if (restore->places->is_delta && (restore->wanted = path_set_new(NULL)) == NULL)
        return -1;
    *cleaning = (struct clean_settings){restore->places, restore->wanted, ""};
    snprintf(cleaning->version_directory, sizeof cleaning->version_directory, "PG_%u_%u",
             restore->backup->postgresql_version, (unsigned)generation->catalog_version);
    if (restore->places->is_delta && restore_check_apart(restore->repository->config, cleaning) != 0)
        return -1;
    if (backup_index_open(restore->repository, restore->backup, &restore->index) != REPOSITORY_OK) {
        atomic_store(&restore->is_repository, true);
        return -1;
    }
    if (backup_index_read(&restore->index, survey, restore) != REPOSITORY_OK ||
        check_completeness(restore) != 0)
        return -1;
    if (!restore->settings->ignore_space && restore_space_check(cleaning) != 0)
        return -1;
    return restore->places->is_delta
               ? restore_wal_look(restore->repository, restore->backup, restore->places->items[0].path,
                                  restore->wanted, former_has_written(restore->settings->former),
                                  &restore->wal)
               : 0;
}

/* From here on no server can be started there. */
static int begin(struct restore *restore, const struct clean_settings *cleaning)
{
    const struct former *former = restore->settings->former;
    struct restore_places *places = restore->places;

    if (interrupt_requested() || restore_places_make(places) != 0)
        return -1;
    restore_sync_begin(&restore->sync, places);
    places->sync = &restore->sync;
    if (former_lock(places, former) != 0 || (places->is_delta && restore_clean_check(places) != 0) ||
        former_begin(places, restore->backup, restore->wal.aside) != 0)
        return -1;
    if (restore_wal_keep(&restore->wal, places) != 0) {
        former_give_back(places, former);
        return -1;
    }
    restore->outcome->is_begun = true;
    if (places->is_delta && restore_clean(cleaning) != 0)
        return -1;
    return restore_places_link(places);
}

/* Reading it again: directories are made by the main thread, parts are for the workers */

static int submit_part(struct restore *restore)
{
    struct backup_part *part = restore->part;

    restore->part = NULL;
    return part == NULL ? 0 : worker_pool_submit(restore->pool, part);
}

static int take_file(struct restore *restore, const struct index_entry *file)
{
    if (file->of != 0 && !is_blank(restore, file)) {
        struct restore_split *split =
            restore_split_for(&restore->split, restore->places, restore->part->name, file);
        if (split == NULL)
            return -1;
        restore_part_attach(restore->part, split);
    }
    return backup_part_add(restore->part, file);
}

static int take_entry(void *context, struct index_entry *entry)
{
    struct restore *restore = context;

    if (interrupt_requested())
        return -1;
    switch (entry->line) {
    case INDEX_DIRECTORY:
        return restore_make_directory(restore->places, entry->path, entry->mode);
    case INDEX_PART:
        if (submit_part(restore) != 0)
            return -1;
        restore->is_external = strncmp(entry->path, "external-", strlen("external-")) == 0;
        restore->part = backup_part_new(entry);
        return restore->part == NULL ? -1 : 0;
    case INDEX_FILE:
        break;
    }
    return take_file(restore, entry);
}

static int restore_files(struct restore *restore)
{
    int result = start_workers(restore);

    if (result == 0 && backup_index_read(&restore->index, take_entry, restore) != REPOSITORY_OK)
        result = -1;
    if (result == 0)
        result = submit_part(restore);
    backup_part_free(restore->part);
    restore_split_release(restore->split);
    restore->part = NULL;
    restore->split = NULL;
    if (result != 0) {
        interrupt_request();
        if (restore->pool != NULL)
            worker_pool_cancel(restore->pool);
    }
    if (worker_pool_finish(restore->pool) != 0 || interrupt_requested())
        result = -1;
    return result;
}

/* The end */

/* The name that lets a server start, given when everything else is known to be on disk. */
static int name_control_file(const struct restore_places *places)
{
    int root = places->items[0].fd, result = -1;
    int fd = openat(root, RESTORE_CONTROL_TEMPORARY, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int directory = openat(root, "global", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || directory < 0 || fsync(fd) != 0)
        log_error("could not write \"%s/" RESTORE_CONTROL_TEMPORARY "\" to disk: %m", places->items[0].path);
    else if (renameat(root, RESTORE_CONTROL_TEMPORARY, root, RESTORE_CONTROL) != 0)
        log_error("could not rename \"%s/" RESTORE_CONTROL_TEMPORARY "\": %m", places->items[0].path);
    else if (fsync(directory) != 0)
        log_error("could not write directory \"%s/global\" to disk: %m", places->items[0].path);
    else
        result = 0;
    if (fd >= 0)
        close(fd);
    if (directory >= 0)
        close(directory);
    return result;
}

static int finish(struct restore *restore)
{
    log_info("all files are there and verified; waiting until they are on disk");
    if (restore_make_external_directories(restore->places, restore->backup) != 0 ||
        restore_sync_end(&restore->sync, restore->places) != 0 || interrupt_requested())
        return -1;
    return restore_marker_remove(restore->places) == 0 ? name_control_file(restore->places) : -1;
}

/* The name may not stay: a server must not start with what is there. */
static void take_name_away(const struct restore_places *places)
{
    int root = places->items[0].fd;

    renameat(root, RESTORE_CONTROL, root, RESTORE_CONTROL_TEMPORARY);
}

int restore_run(struct repository *repository, const struct backup *backup, struct restore_places *places,
                const struct restore_settings *settings, struct restore_outcome *outcome)
{
    struct restore restore = {.repository = repository,
                              .backup = backup,
                              .places = places,
                              .settings = settings,
                              .index = BACKUP_INDEX_CLOSED,
                              .outcome = outcome};
    struct clean_settings cleaning;
    int64_t begun = monotonic_now();

    *outcome = (struct restore_outcome){.is_begun = false};
    pthread_mutex_init(&restore.progress_lock, NULL);
    int result = prepare(&restore, &cleaning);
    if (result == 0)
        result = begin(&restore, &cleaning);
    if (result == 0) {
        rate_init(&restore.rate, settings->max_rate);
        progress_init(&restore.progress, settings->progress);
        progress_begin(&restore.progress, backup->plain_bytes);
        result = restore_files(&restore);
        progress_end(&restore.progress);
    }
    if (result == 0) {
        progress_stage(&restore.progress, "waiting for the disks");
        result = finish(&restore);
        progress_stage(&restore.progress, NULL);
    }
    if (result != 0 && outcome->is_begun)
        take_name_away(places);
    free_workers(&restore);
    path_set_free(restore.wanted);
    restore_wal_free(&restore.wal);
    backup_index_close(&restore.index);
    rate_destroy(&restore.rate);
    pthread_mutex_destroy(&restore.progress_lock);
    places->sync = NULL;
    outcome->is_repository = result != 0 && atomic_load(&restore.is_repository);
    outcome->microseconds = monotonic_now() - begun;
    return result;
}
