#include "sync_workers.h"

#include "common/interrupt.h"
#include "common/json.h"
#include "common/log.h"
#include "common/worker_pool.h"

#include <pthread.h>
#include <stdlib.h>

#define TICK_MILLISECONDS 200
#define FAILURES_MOST 8 /* in a row, to store something */

struct task {
    struct copy copy;
    char *key;
    struct backup_part *part;
};

struct worker {
    struct sync_workers *workers;
    struct copier copier;
};

struct sync_workers {
    struct sync *sync;
    struct worker *items;
    void **contexts;
    unsigned count;
    struct worker_pool *pool;
    pthread_mutex_t lock; /* of what follows, and of the problems */
    uint64_t objects;
    uint64_t problems;
    unsigned failures; /* to store, in a row */
    bool has_failed;   /* one that was handed over: it could not be read, or not be stored */
};

static void task_free(void *item)
{
    struct task *task = item;

    backup_part_free(task->part);
    free(task->key);
    free(task);
}

static void lock(struct sync *sync)
{
    if (sync->workers != NULL)
        pthread_mutex_lock(&sync->workers->lock);
}

static void unlock(struct sync *sync)
{
    if (sync->workers != NULL)
        pthread_mutex_unlock(&sync->workers->lock);
}

/* Under the lock. */
static void keep_problem(struct sync *sync, const char *object)
{
    struct json *problem = json_new_object();

    json_set_text(problem, "object", object);
    json_set_text(problem, "message", log_last_error());
    json_append(sync->problems, problem);
}

void sync_problem(struct sync *sync, const char *object)
{
    lock(sync);
    keep_problem(sync, object);
    sync->problem_count++;
    unlock(sync);
}

static bool is_failure(enum copy_result result)
{
    return result == COPY_UNREADABLE || result == COPY_FAILED;
}

/* failures: to store, in a row. The connections are those of the thread that asks. 0: go on. */
static int judge_failure(unsigned failures, struct repository *from, struct repository *to)
{
    if (failures == FAILURES_MOST) {
        log_error("%d objects in a row could not be stored: no more are tried", FAILURES_MOST);
        log_hint("The messages before this one say why. When that is mended, the same call goes on.");
    }
    return failures < FAILURES_MOST && repository_answers(from) && repository_answers(to) ? 0 : -1;
}

int sync_failure(struct sync *sync, const char *object)
{
    if (interrupt_requested())
        return -1;
    sync_problem(sync, object);
    return judge_failure(0, sync->from, sync->to);
}

/* How many could not be stored since one was. What can't be read, is damaged or there already says nothing of
 * that. */
static unsigned note(struct sync *sync, const char *key, enum copy_result result)
{
    struct sync_workers *workers = sync->workers;

    lock(sync);
    workers->objects += result == COPY_DONE;
    if (result == COPY_DAMAGED || result == COPY_TAKEN || is_failure(result)) {
        workers->problems++;
        keep_problem(sync, key);
    }
    workers->has_failed = workers->has_failed || is_failure(result);
    if (result == COPY_FAILED)
        workers->failures++;
    else if (result == COPY_DONE)
        workers->failures = 0;
    unsigned failures = result == COPY_FAILED ? workers->failures : 0;
    unlock(sync);
    return failures;
}

/* What is missing of a backup is a problem, too; a WAL file may have been expired meanwhile. */
static enum copy_result judge_absence(const struct copier *copier, const struct copy *copy,
                                      enum copy_result result)
{
    if (result != COPY_ABSENT || copy->kind == COPY_WAL || copy->kind == COPY_COMPARE ||
        copy->kind == COPY_STARTED)
        return result;
    log_error("\"%s\" is missing", store_describe(copier->from.store, copy->key));
    return COPY_DAMAGED;
}

static int work(void *context, void *item)
{
    struct worker *worker = context;
    struct copier *copier = &worker->copier;
    struct sync *sync = worker->workers->sync;
    struct task *task = item;
    enum copy_result result = interrupt_requested() ? COPY_FAILED : copy_object(copier, &task->copy);
    bool is_interrupted = is_failure(result) && interrupt_requested();
    unsigned failures = 0;

    result = judge_absence(copier, &task->copy, result);
    if (!is_interrupted)
        failures = note(sync, task->key, result);
    if (result == COPY_DONE)
        log_debug("copied \"%s\"", task->key);
    task_free(task);
    if (is_interrupted)
        return -1;
    return is_failure(result) ? judge_failure(failures, &copier->from, &copier->to) : 0;
}

static int open_copier(struct sync *sync, struct copier *copier)
{
    const struct config *config = sync->from->config;
    struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};

    *copier = (struct copier){.spool = OBJECT_SPOOL_EMPTY,
                              .progress = sync->progress,
                              .rate = &sync->rate,
                              .segment_bytes = sync->system->segment_bytes,
                              .system_identifier = sync->system->system_identifier};
    copier->parts = part_reader_new(NULL);
    return copier->parts != NULL &&
                   repository_open(config, sync->from->settings, NULL, &limits, &copier->from) == 0 &&
                   repository_open(config, sync->to->settings, NULL, &limits, &copier->to) == 0 &&
                   repository_load_cluster(&copier->to, 0) == REPOSITORY_OK
               ? 0
               : -1;
}

static int start(struct sync_workers *workers, unsigned jobs)
{
    workers->items = calloc(jobs, sizeof *workers->items);
    workers->contexts = calloc(jobs, sizeof *workers->contexts);
    if (workers->items == NULL || workers->contexts == NULL)
        return log_out_of_memory();
    for (; workers->count < jobs; workers->count++) {
        struct worker *worker = &workers->items[workers->count];
        workers->contexts[workers->count] = worker;
        worker->workers = workers;
        if (open_copier(workers->sync, &worker->copier) != 0) {
            workers->count++;
            return -1;
        }
    }
    const struct worker_pool_settings settings = {.workers = jobs,
                                                  .queue_length = jobs,
                                                  .work = work,
                                                  .discard = task_free,
                                                  .worker_contexts = workers->contexts};
    workers->pool = worker_pool_start(&settings);
    return workers->pool == NULL ? -1 : 0;
}

struct sync_workers *sync_workers_start(struct sync *sync)
{
    struct sync_workers *workers = calloc(1, sizeof *workers);

    if (workers == NULL) {
        log_out_of_memory();
        return NULL;
    }
    workers->sync = sync;
    pthread_mutex_init(&workers->lock, NULL);
    if (start(workers, sync->settings->jobs) == 0)
        return workers;
    sync_workers_stop(workers);
    return NULL;
}

/* All workers are idle. */
static void collect(struct sync_workers *workers)
{
    struct sync *sync = workers->sync;

    sync->objects += workers->objects;
    sync->problem_count += workers->problems;
    workers->objects = workers->problems = 0;
    workers->has_failed = false;
    for (unsigned i = 0; i < workers->count; i++) {
        sync->bytes += workers->items[i].copier.bytes;
        workers->items[i].copier.bytes = 0;
    }
}

void sync_workers_stop(struct sync_workers *workers)
{
    if (workers == NULL)
        return;
    worker_pool_finish(workers->pool);
    collect(workers);
    for (unsigned i = 0; i < workers->count; i++) {
        struct copier *copier = &workers->items[i].copier;
        part_reader_free(copier->parts);
        object_spool_free(&copier->spool);
        repository_close(&copier->from);
        repository_close(&copier->to);
    }
    free(workers->items);
    free(workers->contexts);
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}

static int count_only(struct sync *sync, enum copy_kind kind, char *key, uint64_t bytes,
                      struct backup_part *part)
{
    if (kind != COPY_COMPARE) {
        sync->objects++;
        sync->bytes += bytes;
        log_debug("\"%s\" would be copied", key);
    }
    backup_part_free(part);
    free(key);
    return 0;
}

int sync_workers_copy(struct sync *sync, enum copy_kind kind, char *key, uint64_t bytes,
                      struct backup_part *part)
{
    struct task *task = key == NULL ? NULL : calloc(1, sizeof *task);

    if (sync->workers == NULL && key != NULL) {
        free(task);
        return count_only(sync, kind, key, bytes, part);
    }
    if (task == NULL) {
        if (key != NULL)
            log_out_of_memory();
        backup_part_free(part);
        free(key);
        return -1;
    }
    *task = (struct task){{kind, key, part}, key, part};
    progress_tick(sync->progress);
    return worker_pool_submit(sync->workers->pool, task);
}

bool sync_workers_have_failed(struct sync *sync)
{
    lock(sync);
    bool have_failed = sync->workers != NULL && sync->workers->has_failed;
    unlock(sync);
    return have_failed;
}

int sync_workers_wait(struct sync *sync)
{
    struct sync_workers *workers = sync->workers;

    if (workers == NULL)
        return interrupt_requested() ? -1 : 0;
    while (!worker_pool_failed(workers->pool) && !worker_pool_wait(workers->pool, TICK_MILLISECONDS))
        progress_tick(sync->progress);
    if (worker_pool_failed(workers->pool)) {
        worker_pool_finish(workers->pool);
        workers->pool = NULL;
    }
    collect(workers);
    return workers->pool == NULL || interrupt_requested() ? -1 : 0;
}
