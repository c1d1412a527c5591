#include "worker_pool.h"

#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct worker {
    struct worker_pool *pool;
    void *context;
    pthread_t thread;
};

struct worker_pool {
    struct worker_pool_settings settings;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* one condition for all: queue, idle workers, failure */
    void **queue;           /* a ring */
    size_t head, waiting;
    unsigned busy;
    bool closing; /* no more tasks will come */
    bool failed;  /* a task failed, was discarded, or everything was cancelled */
    struct worker *workers;
    unsigned started;
};

static void *take_task(struct worker_pool *pool)
{
    void *task = pool->queue[pool->head];

    pool->head = (pool->head + 1) % pool->settings.queue_length;
    pool->waiting--;
    return task;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct worker_pool *pool = worker->pool;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->waiting == 0 && !pool->closing)
            pthread_cond_wait(&pool->changed, &pool->lock);
        if (pool->waiting == 0)
            break;
        void *task = take_task(pool);
        bool work = !pool->failed;
        pool->busy++;
        pthread_cond_broadcast(&pool->changed);
        pthread_mutex_unlock(&pool->lock);

        int result = -1;
        if (work)
            result = pool->settings.work(worker->context, task);
        else if (pool->settings.discard != NULL)
            pool->settings.discard(task);

        pthread_mutex_lock(&pool->lock);
        pool->busy--;
        if (result != 0)
            pool->failed = true;
        pthread_cond_broadcast(&pool->changed);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static bool start_threads(struct worker_pool *pool)
{
    sigset_t all, before;

    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < pool->settings.workers; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->context = pool->settings.worker_contexts == NULL ? NULL : pool->settings.worker_contexts[i];
        int error = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (error != 0) {
            errno = error;
            log_error("could not start a thread: %m");
            break;
        }
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pool->started == pool->settings.workers;
}

struct worker_pool *worker_pool_start(const struct worker_pool_settings *settings)
{
    struct worker_pool *pool = calloc(1, sizeof *pool);
    pthread_condattr_t attributes;

    if (pool == NULL) {
        log_out_of_memory();
        return NULL;
    }
    pool->settings = *settings;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pool->queue = calloc(settings->queue_length, sizeof *pool->queue);
    pool->workers = calloc(settings->workers, sizeof *pool->workers);
    if (pool->queue == NULL || pool->workers == NULL) {
        log_out_of_memory();
        worker_pool_finish(pool);
        return NULL;
    }
    if (!start_threads(pool)) {
        worker_pool_cancel(pool);
        worker_pool_finish(pool);
        return NULL;
    }
    return pool;
}

int worker_pool_submit(struct worker_pool *pool, void *task)
{
    bool failed;

    pthread_mutex_lock(&pool->lock);
    while (pool->waiting == pool->settings.queue_length && !pool->failed)
        pthread_cond_wait(&pool->changed, &pool->lock);
    failed = pool->failed;
    if (!failed) {
        pool->queue[(pool->head + pool->waiting) % pool->settings.queue_length] = task;
        pool->waiting++;
        pthread_cond_broadcast(&pool->changed);
    }
    pthread_mutex_unlock(&pool->lock);
    if (failed && pool->settings.discard != NULL)
        pool->settings.discard(task);
    return failed ? -1 : 0;
}

bool worker_pool_failed(struct worker_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool failed = pool->failed;
    pthread_mutex_unlock(&pool->lock);
    return failed;
}

bool worker_pool_wait(struct worker_pool *pool, unsigned milliseconds)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&pool->lock);
    while ((pool->waiting > 0 || pool->busy > 0) &&
           pthread_cond_timedwait(&pool->changed, &pool->lock, &until) != ETIMEDOUT)
        ;
    bool idle = pool->waiting == 0 && pool->busy == 0;
    pthread_mutex_unlock(&pool->lock);
    return idle;
}

void worker_pool_cancel(struct worker_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->failed = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

int worker_pool_finish(struct worker_pool *pool)
{
    if (pool == NULL)
        return 0;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    int result = pool->failed ? -1 : 0;
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool->queue);
    free(pool->workers);
    free(pool);
    return result;
}
