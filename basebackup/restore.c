#include "restore.h"

#include "common/log.h"
#include "common/timestamp.h"
#include "common/worker_pool.h"
#include "interrupt.h"
#include "progress.h"
#include "restore_part.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct worker {
    struct restore *restore;
    struct store *store;
    struct unpacker *unpacker;
};

struct restore {
    struct repository *repository;
    const struct backup *backup;
    struct restore_places *places;
    struct worker_pool *pool;
    struct worker *workers;
    void **worker_contexts;
    unsigned jobs;
    struct progress progress;
    pthread_mutex_t progress_lock;
    struct restore_outcome *outcome;
    /* what the index told so far */
    struct restore_part *part;   /* whose files are being collected; NULL: none */
    struct restore_split *split; /* of which more pieces have to come; NULL: of none */
    uint64_t parts;
    bool has_control;
    bool has_label;
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

static int fetch_part(struct worker *worker, const struct restore_part *part, const char *key,
                      const char *what)
{
    struct fetch fetch = {worker->restore, unpacker_sink(worker->unpacker)};
    struct sink sink = {pass_on, &fetch};
    struct store_range whole = {0, 0, 0};
    struct store_object object = {.total_bytes = 0};

    if (unpacker_begin(worker->unpacker, part, what, &object.total_bytes) != 0)
        return -1;
    enum store_result result = store_get(worker->store, key, &whole, &sink, &object);
    if (result == STORE_ABSENT) {
        log_error("%s is missing", what);
        log_hint("An older backup (--backup) or another repository (--repository) may be whole.");
    }
    return unpacker_end(worker->unpacker, result == STORE_OK);
}

static int work(void *context, void *task)
{
    struct worker *worker = context;
    struct restore_part *part = task;
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
    restore_part_free(part);
    return result;
}

static void discard(void *task)
{
    restore_part_free(task);
}

static int start_workers(struct restore *restore)
{
    restore->workers = calloc(restore->jobs, sizeof *restore->workers);
    restore->worker_contexts = calloc(restore->jobs, sizeof *restore->worker_contexts);
    if (restore->workers == NULL || restore->worker_contexts == NULL)
        return log_out_of_memory();
    for (unsigned i = 0; i < restore->jobs; i++) {
        struct worker *worker = &restore->workers[i];
        struct store_limits limits = {.operation_seconds =
                                          restore->repository->config->basebackup_store_timeout_seconds};
        restore->worker_contexts[i] = worker;
        worker->restore = restore;
        worker->store = store_open(restore->repository->settings, &limits);
        worker->unpacker = unpacker_new(restore->places, &restore->progress);
        if (worker->store == NULL || worker->unpacker == NULL)
            return -1;
    }
    struct worker_pool_settings settings = {
        .workers = restore->jobs,
        .queue_length = restore->jobs,
        .work = work,
        .discard = discard,
        .worker_contexts = restore->worker_contexts,
    };
    restore->pool = worker_pool_start(&settings);
    return restore->pool == NULL ? -1 : 0;
}

static void free_workers(struct restore *restore)
{
    for (unsigned i = 0; restore->workers != NULL && i < restore->jobs; i++) {
        store_close(restore->workers[i].store);
        unpacker_free(restore->workers[i].unpacker);
    }
    free(restore->workers);
    free(restore->worker_contexts);
}

/* Reading the index, in the main thread */

static int submit_part(struct restore *restore)
{
    struct restore_part *part = restore->part;

    restore->part = NULL;
    return part == NULL ? 0 : worker_pool_submit(restore->pool, part);
}

static int take_file(struct restore *restore, const struct index_entry *file)
{
    bool is_main = strncmp(restore->part->name, "main-", strlen("main-")) == 0;

    restore->has_control = restore->has_control || (is_main && strcmp(file->path, RESTORE_CONTROL) == 0);
    restore->has_label = restore->has_label || (is_main && strcmp(file->path, "backup_label") == 0);
    restore->outcome->files += index_entry_begins_file(file) ? 1 : 0;
    restore->outcome->bytes += file->bytes;
    if (file->of != 0) {
        restore->part->split = restore_split_for(&restore->split, restore->places, restore->part->name, file);
        if (restore->part->split == NULL)
            return -1;
    }
    return restore_part_add(restore->part, file);
}

static int take_entry(void *context, struct index_entry *entry)
{
    struct restore *restore = context;

    if (interrupt_requested())
        return -1;
    if (restore->pool == NULL) { /* the first one: the index is verified, and now it begins */
        int made = restore_places_make(restore->places, restore->backup->plain_bytes);
        restore->outcome->is_begun = restore->places->items[0].fd >= 0;
        if (made != 0 || start_workers(restore) != 0)
            return -1;
    }
    switch (entry->line) {
    case INDEX_DIRECTORY:
        return restore_make_directory(restore->places, entry->path, entry->mode);
    case INDEX_PART:
        if (submit_part(restore) != 0)
            return -1;
        restore->parts++;
        restore->part = restore_part_new(entry);
        return restore->part == NULL ? -1 : 0;
    case INDEX_FILE:
        break;
    }
    return take_file(restore, entry);
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

static int restore_files(struct restore *restore)
{
    enum repository_result loaded =
        backup_index_load(restore->repository, restore->backup, take_entry, restore);
    int result = loaded == REPOSITORY_OK ? submit_part(restore) : -1;

    restore_part_free(restore->part);
    restore_split_release(restore->split);
    restore->part = NULL;
    restore->split = NULL;
    if (result == 0)
        result = check_completeness(restore);
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
        restore_places_link(restore->places) != 0 || restore_places_sync(restore->places) != 0)
        return -1;
    return interrupt_requested() ? -1 : name_control_file(restore->places);
}

/* Neither name may stay: a server must not start with what is there. */
static void remove_control_file(const struct restore_places *places)
{
    if (places->items[0].fd < 0)
        return;
    unlinkat(places->items[0].fd, RESTORE_CONTROL_TEMPORARY, 0);
    unlinkat(places->items[0].fd, RESTORE_CONTROL, 0);
}

int restore_run(struct repository *repository, const struct backup *backup, struct restore_places *places,
                const struct restore_settings *settings, struct restore_outcome *outcome)
{
    struct restore restore = {.repository = repository,
                              .backup = backup,
                              .places = places,
                              .jobs = settings->jobs,
                              .outcome = outcome};
    int64_t begun = monotonic_now();

    *outcome = (struct restore_outcome){.is_begun = false};
    pthread_mutex_init(&restore.progress_lock, NULL);
    progress_init(&restore.progress, settings->progress);
    progress_begin(&restore.progress, backup->plain_bytes);
    int result = restore_files(&restore);
    progress_end(&restore.progress);
    if (result == 0)
        result = finish(&restore);
    if (result != 0 && outcome->is_begun)
        remove_control_file(places);
    free_workers(&restore);
    pthread_mutex_destroy(&restore.progress_lock);
    outcome->microseconds = monotonic_now() - begun;
    return result;
}
