#include "verify_read.h"

#include "common/backup_index.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/worker_pool.h"
#include "verify_folders.h"
#include "verify_wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MILLISECONDS 200
#define UNREADABLE_MOST 10 /* in a row: then it is the whole unit, as in an archive tier */

/* One object to be read. */
struct task {
    struct reading *reading;
    struct verify_object object;      /* with its key and part owned */
    uint64_t bytes;                   /* stored */
    uint64_t number;                  /* in its unit */
    char former[REPORT_OBJECT_BYTES]; /* name of the one before it; "": it is the first */
};

struct worker {
    struct reading *reading;
    struct verify_reader reader;
};

struct reading {
    struct verify *verify;
    struct worker *workers;
    void **worker_contexts;
    struct worker_pool *pool;
    pthread_mutex_t lock; /* of what follows */
    uint64_t objects, bytes;
    bool is_damaged;     /* something in the unit was missing, damaged or unreadable */
    unsigned unreadable; /* so many of the unit in a row */
    bool is_given_up;    /* the rest of the unit */
    uint64_t undone; /* the first object that was not looked at, though its turn had come; UINT64_MAX: none */
    char done[REPORT_OBJECT_BYTES]; /* the one before that */
    /* of the main thread */
    uint64_t handed_bytes;          /* to the workers so far */
    uint64_t number;                /* of the unit's next object */
    char last[REPORT_OBJECT_BYTES]; /* that was handed over, or done by an earlier run; "": none */
    bool is_past;                   /* what an earlier run did of a backup */
    struct verify_unit *unit;       /* at work */
    struct backup_part *part;       /* whose files are being collected */
    bool is_stopped;                /* at a limit */
};

/* In the workers */

static void task_free(struct task *task)
{
    backup_part_free(task->object.part);
    free(task->object.key);
    free(task);
}

static void discard(void *item)
{
    struct task *task = item;
    struct reading *reading = task->reading;

    pthread_mutex_lock(&reading->lock);
    if (task->number < reading->undone) {
        reading->undone = task->number;
        memcpy(reading->done, task->former, sizeof reading->done);
    }
    pthread_mutex_unlock(&reading->lock);
    task_free(task);
}

static void note_damage(struct reading *reading)
{
    pthread_mutex_lock(&reading->lock);
    reading->is_damaged = true;
    pthread_mutex_unlock(&reading->lock);
}

/* 0, or -1 after logging: it is the store, which does not answer. */
static int judge_unreadable(struct reading *reading, struct repository *repository, const char *key)
{
    if (verify_tell_unreadable(reading->verify->findings, repository, key) != 0)
        return -1;
    pthread_mutex_lock(&reading->lock);
    bool is_last = ++reading->unreadable == UNREADABLE_MOST;
    reading->is_given_up = reading->is_given_up || is_last;
    pthread_mutex_unlock(&reading->lock);
    if (is_last)
        log_warning(
            "could not read %d objects of %s in repository \"%s\" in a row: the rest of it is not read",
            UNREADABLE_MOST, reading->unit->name, repository->settings->name);
    return 0;
}

static bool is_given_up(struct reading *reading)
{
    pthread_mutex_lock(&reading->lock);
    bool is_so = reading->is_given_up;
    pthread_mutex_unlock(&reading->lock);
    return is_so;
}

static void note_readable(struct reading *reading)
{
    pthread_mutex_lock(&reading->lock);
    reading->unreadable = 0;
    pthread_mutex_unlock(&reading->lock);
}

/* 0, or -1: the store could not be asked, which is logged. */
static int judge(struct reading *reading, struct repository *repository, const struct verify_object *object,
                 const char *what, enum repository_result result)
{
    struct findings *findings = reading->verify->findings;
    int judged = 0;

    if (result == REPOSITORY_OK || result == REPOSITORY_DAMAGED)
        note_readable(reading);
    if (result == REPOSITORY_OK)
        return 0;
    if (interrupt_requested())
        return -1;
    if (result == REPOSITORY_DAMAGED)
        findings_add_logged(findings, FINDING_DAMAGED, object->key);
    else if (object->backup != NULL ? verify_backup_is_gone(repository, object->backup)
                                    : verify_is_gone(repository, object->key))
        return 0;
    else if (result == REPOSITORY_ABSENT)
        findings_add(findings, FINDING_MISSING, object->key, "%s is missing", what);
    else
        judged = judge_unreadable(reading, repository, object->key);
    if (judged == 0)
        note_damage(reading);
    return judged;
}

static int work(void *context, void *item)
{
    struct worker *worker = context;
    struct task *task = item;
    struct reading *reading = worker->reading;
    struct verify *verify = reading->verify;
    const struct verify_object *object = &task->object;
    char *what = string_copy(store_describe(worker->reader.repository.store, object->key));
    int result = -1;

    if (is_given_up(reading)) {
        free(what);
        discard(task);
        return 0;
    }
    rate_take(verify->rate, task->bytes);
    if (what != NULL && !interrupt_requested())
        result = judge(reading, &worker->reader.repository, object, what,
                       object->kind->read(&worker->reader, object, what));
    free(what);
    if (result != 0) {
        discard(task);
        return -1;
    }
    log_debug("read \"%s\"", object->key);
    progress_add(verify->progress, task->bytes);
    pthread_mutex_lock(&reading->lock);
    reading->objects++;
    reading->bytes += task->bytes;
    pthread_mutex_unlock(&reading->lock);
    task_free(task);
    return 0;
}

static int start_workers(struct reading *reading)
{
    unsigned jobs = reading->verify->settings->jobs;

    reading->workers = calloc(jobs, sizeof *reading->workers);
    reading->worker_contexts = calloc(jobs, sizeof *reading->worker_contexts);
    if (reading->workers == NULL || reading->worker_contexts == NULL)
        return log_out_of_memory();
    for (unsigned i = 0; i < jobs; i++) {
        reading->worker_contexts[i] = &reading->workers[i];
        reading->workers[i].reading = reading;
        if (verify_reader_open(&reading->workers[i].reader, reading->verify) != 0)
            return -1;
    }
    const struct worker_pool_settings settings = {.workers = jobs,
                                                  .queue_length = jobs,
                                                  .work = work,
                                                  .discard = discard,
                                                  .worker_contexts = reading->worker_contexts};
    reading->pool = worker_pool_start(&settings);
    return reading->pool == NULL ? -1 : 0;
}

static void free_workers(struct reading *reading)
{
    for (unsigned i = 0; reading->workers != NULL && i < reading->verify->settings->jobs; i++)
        verify_reader_close(&reading->workers[i].reader);
    free(reading->workers);
    free(reading->worker_contexts);
}

/* Handing over, in the main thread */

/* One object at least is read in a run, so that each comes to its turn. */
static bool is_at_limit(const struct reading *reading, uint64_t bytes)
{
    const struct verify_budget *budget = &reading->verify->budget;

    if (reading->handed_bytes == 0)
        return false;
    return (budget->is_limited && reading->handed_bytes + bytes > budget->bytes) ||
           (budget->deadline != 0 && monotonic_now() >= budget->deadline);
}

/* In a folder objects come in the order of their names, and may be gone; in a backup in that of its index. */
static bool was_done(struct reading *reading, const char *name)
{
    const char *last = reading->unit->last;

    if (*last == '\0' || reading->is_past)
        return false;
    reading->is_past = reading->unit->backup != NULL && strcmp(name, last) == 0;
    return reading->unit->backup != NULL || strcmp(name, last) <= 0;
}

static struct task *make_task(struct reading *reading, const struct verify_object *object, uint64_t bytes)
{
    struct task *task = calloc(1, sizeof *task);

    if (task == NULL)
        log_out_of_memory();
    if (task == NULL || object->key == NULL) {
        free(task);
        free(object->key);
        backup_part_free(object->part);
        return NULL;
    }
    *task = (struct task){.reading = reading, .object = *object, .bytes = bytes, .number = reading->number};
    memcpy(task->former, reading->last, sizeof task->former);
    return task;
}

/* Takes the object's key and part over. Those that an earlier run did are passed over. 0, or -1: stop, or the
 * unit is given up. */
static int hand_over(struct reading *reading, const struct verify_object *object, uint64_t bytes)
{
    struct task *task = make_task(reading, object, bytes);
    const char *name = task == NULL ? NULL : strrchr(task->object.key, '/') + 1;

    if (task == NULL)
        return -1;
    if (was_done(reading, name)) {
        task_free(task);
        return 0;
    }
    bool gives_up = is_given_up(reading);
    reading->is_stopped = !gives_up && is_at_limit(reading, bytes);
    if (gives_up || reading->is_stopped) {
        task_free(task);
        return -1;
    }
    reading->number++;
    snprintf(reading->last, sizeof reading->last, "%s", name);
    reading->handed_bytes += bytes;
    progress_tick(reading->verify->progress);
    return worker_pool_submit(reading->pool, task);
}

static char *key_in_backup(const struct reading *reading, const char *file)
{
    const struct backup *backup = reading->unit->backup;

    return backup_key(reading->verify->repository, backup->system_identifier, backup->id, file);
}

static int hand_over_part(struct reading *reading)
{
    struct verify_object object = {
        .kind = &verify_part, .backup = reading->unit->backup, .part = reading->part};

    reading->part = NULL;
    if (object.part == NULL)
        return 0;
    object.key = key_in_backup(reading, object.part->name);
    return hand_over(reading, &object, object.part->bytes);
}

/* Of some hundred bytes, which nobody counts. */
static int hand_over_started(struct reading *reading)
{
    const struct backup *backup = reading->unit->backup;
    const struct inventory_folder *folder = inventory_find(&reading->verify->inventory, backup->id);
    struct verify_object object = {.kind = &verify_started, .backup = backup};

    if (!folder->has_started)
        return 0;
    object.key = key_in_backup(reading, "started.json");
    return hand_over(reading, &object, 0);
}

static int take_entry(void *context, struct index_entry *entry)
{
    struct reading *reading = context;

    if (interrupt_requested())
        return -1;
    switch (entry->line) {
    case INDEX_DIRECTORY:
        return 0;
    case INDEX_PART:
        if (hand_over_part(reading) != 0)
            return -1;
        reading->part = backup_part_new(entry);
        return reading->part == NULL ? -1 : 0;
    case INDEX_FILE:
        break;
    }
    return backup_part_add(reading->part, entry);
}

/* The index could not be read, or not to its end. 0, or -1: stop. */
static int judge_index(struct reading *reading, enum repository_result result)
{
    struct verify *verify = reading->verify;
    char *key = key_in_backup(reading, INDEX_KIND);
    int judged = key == NULL ? -1 : 0;

    if (key != NULL && !verify_backup_is_gone(verify->repository, reading->unit->backup)) {
        if (result == REPOSITORY_FAILED)
            judged = judge_unreadable(reading, verify->repository, key);
        else
            findings_add_logged(verify->findings, FINDING_DAMAGED, key);
        if (judged == 0)
            note_damage(reading);
    }
    free(key);
    return judged;
}

/* 0, or -1: stop; what is wrong with the index itself is told. */
static int read_backup(struct reading *reading)
{
    struct verify *verify = reading->verify;
    struct backup_index index;

    if (verify_backup_is_gone(verify->repository, reading->unit->backup))
        return 0;
    enum repository_result result = backup_index_open(verify->repository, reading->unit->backup, &index);

    if (result == REPOSITORY_OK) {
        result = backup_index_read(&index, take_entry, reading);
        if (result == REPOSITORY_OK && hand_over_part(reading) != 0)
            result = REPOSITORY_FAILED;
    }
    if (result == REPOSITORY_OK && hand_over_started(reading) != 0)
        result = REPOSITORY_FAILED;
    bool is_stop = reading->is_stopped || interrupt_requested() || worker_pool_failed(reading->pool) ||
                   is_given_up(reading);
    if (!is_stop && result != REPOSITORY_OK && judge_index(reading, result) == 0)
        result = REPOSITORY_OK;
    backup_part_free(reading->part);
    reading->part = NULL;
    backup_index_close(&index);
    return result == REPOSITORY_OK && !is_stop ? 0 : -1;
}

/* All that has the right name in a folder */

struct folder_file {
    char *key;
    uint64_t bytes;
};

struct folder_files {
    const struct verify_kind *kind;
    struct folder_file *items;
    size_t count;
    bool failed;
};

static bool take_file(void *context, const char *key, uint64_t bytes)
{
    struct folder_files *files = context;

    if (!files->kind->is_named(strrchr(key, '/') + 1))
        return true;
    struct folder_file *grown = realloc(files->items, (files->count + 1) * sizeof *grown);
    files->failed = grown == NULL;
    if (grown == NULL) {
        log_out_of_memory();
        return false;
    }
    files->items = grown;
    grown[files->count] = (struct folder_file){string_copy(key), bytes};
    files->failed = grown[files->count++].key == NULL;
    return !files->failed;
}

static int read_folder(struct reading *reading)
{
    const struct verify *verify = reading->verify;
    struct folder_files files = {.kind = reading->unit->kind};
    char *folder = verify_unit_folder(reading->unit);
    char *rest = folder == NULL ? NULL : string_printf("%s/", folder);
    char *prefix = rest == NULL
                       ? NULL
                       : repository_system_key(verify->repository, verify->system->system_identifier, rest);
    struct store_listing wanted = {prefix, NULL, 0, take_file, &files};
    int result = prefix != NULL && store_list(verify->repository->store, &wanted) == STORE_OK && !files.failed
                     ? 0
                     : -1;

    for (size_t i = 0; i < files.count; i++) {
        const struct verify_object object = {.kind = files.kind, .key = files.items[i].key};
        if (result == 0 && !interrupt_requested())
            result = hand_over(reading, &object, files.items[i].bytes);
        else
            free(object.key);
    }
    free(files.items);
    free(prefix);
    free(rest);
    free(folder);
    return interrupt_requested() ? -1 : result;
}

/* The WAL that makes a backup consistent, where it is the only one that is verified. */
static int read_wal_of_backup(struct reading *reading)
{
    const struct verify *verify = reading->verify;
    const struct backup *backup = reading->unit->backup;
    uint64_t number, last;
    int result = 0;

    verify_backup_segments(backup, &number, &last);
    for (; number <= last && result == 0; number++) {
        const struct archive_segment *segment =
            wal_archive_segment(&verify->archive, backup->timeline, number);
        const struct verify_object object = {
            .kind = &verify_wal_file,
            .backup = backup,
            .key = segment == NULL ? NULL : verify_segment_key(verify, backup->timeline, number)};
        if (segment != NULL)
            result = hand_over(reading, &object, segment->stored_bytes);
    }
    return result;
}

/* Unit by unit */

/* Until the workers have nothing left to do. */
static void wait_for_workers(struct reading *reading)
{
    while (!worker_pool_failed(reading->pool) && !worker_pool_wait(reading->pool, TICK_MILLISECONDS))
        progress_tick(reading->verify->progress);
}

/* done: up to this object; "": all of the unit. The last report of a unit holds, so it is later than any
 * before; also than those by a clock that was ahead. */
static int report(struct reading *reading, const char *done)
{
    struct verify *verify = reading->verify;
    const struct verify_unit *unit = reading->unit;
    const struct verified_state *known = &unit->known;
    int64_t now = store_now(verify->repository->store);
    struct verified verified = {
        .time = now > known->time ? now : known->time + 1,
        .is_damaged = reading->is_damaged || (*unit->last != '\0' && known->has_damage),
        .objects = reading->objects,
        .bytes = reading->bytes,
    };

    memcpy(verified.unit, unit->name, sizeof verified.unit);
    snprintf(verified.last, sizeof verified.last, "%s", done);
    gethostname(verified.host, sizeof verified.host - 1);
    int64_t times[] = {verified.time, verified_again_at(known, &verified, unit->last)};
    int result = 0;

    /* Whichever of the two is lost, no damage is hidden later. */
    if (verified.is_damaged && times[1] != 0) {
        times[0] = times[1];
        times[1] = verified.time;
    }
    for (size_t i = 0; i < 2 && result == 0; i++) {
        verified.time = times[i];
        if (verified.time != 0)
            result = verified_put(verify->repository, verify->system->system_identifier, &verified);
    }
    return result;
}

static int read_objects(struct reading *reading)
{
    const struct verify_unit *unit = reading->unit;
    int result = unit->backup != NULL ? read_backup(reading) : read_folder(reading);

    if (result == 0 && unit->backup != NULL && verify_is_narrow(reading->verify->settings))
        result = read_wal_of_backup(reading);
    return result;
}

static int read_unit(struct reading *reading, struct verify_unit *unit)
{
    reading->unit = unit;
    reading->number = reading->objects = reading->bytes = 0;
    reading->is_damaged = reading->is_past = reading->is_given_up = false;
    reading->unreadable = 0;
    reading->undone = UINT64_MAX;
    memcpy(reading->last, unit->last, sizeof reading->last);
    int result = read_objects(reading);
    /* What was done last is none of this backup's objects: it was its WAL, by --backup. */
    if (result == 0 && unit->backup != NULL && *unit->last != '\0' && !reading->is_past) {
        *unit->last = *reading->last = '\0';
        result = read_objects(reading);
    }
    wait_for_workers(reading);
    if (worker_pool_failed(reading->pool))
        return -1;
    /* Its turn comes again when all others have had theirs. */
    return reading->is_given_up && !interrupt_requested() ? 0 : result;
}

/* After a signal, too: what was read need not be read again. */
static int end_unit(struct reading *reading, int result)
{
    struct verify *verify = reading->verify;
    const char *done = reading->undone != UINT64_MAX ? reading->done : reading->last;

    verify->objects_read += reading->objects;
    verify->bytes_read += reading->bytes;
    reading->unit->is_done = result == 0;
    if (result != 0 && strcmp(done, reading->unit->last) == 0)
        return 0;
    return report(reading, result == 0 ? "" : done);
}

/* 0, or -1: one of them ended before, since the store did not answer; or all are to. Once. */
static int finish_workers(struct reading *reading, int result)
{
    if (result != 0 && !reading->is_stopped && reading->pool != NULL)
        worker_pool_cancel(reading->pool);
    int finished = worker_pool_finish(reading->pool);

    reading->pool = NULL;
    return finished;
}

int verify_read(struct verify *verify, struct verify_plan *plan)
{
    struct reading reading = {.verify = verify};
    int result = 0;

    pthread_mutex_init(&reading.lock, NULL);
    if (start_workers(&reading) != 0)
        result = -1;
    for (size_t i = 0; i < plan->count && result == 0 && !reading.is_stopped; i++) {
        reading.is_stopped = is_at_limit(&reading, 1);
        if (reading.is_stopped)
            break;
        int done = read_unit(&reading, &plan->units[i]);
        result = reading.is_stopped ? 0 : done; /* the limit itself is no failure */
        if (done != 0 && finish_workers(&reading, done) != 0)
            result = -1;
        if (end_unit(&reading, done) != 0)
            result = -1;
    }
    if (finish_workers(&reading, result) != 0)
        result = -1;
    verify->is_cut_short = reading.is_stopped;
    free_workers(&reading);
    pthread_mutex_destroy(&reading.lock);
    return result;
}
