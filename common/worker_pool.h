/* N threads and a bounded queue. The main thread submits, workers work, the first failure wins. Layer 0. */
#ifndef WALFERRY_WORKER_POOL_H
#define WALFERRY_WORKER_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct worker_pool;

struct worker_pool_settings {
    unsigned workers;                              /* at least 1 */
    size_t queue_length;                           /* tasks that may wait; at least 1 */
    int (*work)(void *worker_context, void *task); /* takes the task over; 0, or -1 after logging */
    void (*discard)(void *task); /* for tasks that are never worked on after a failure; may be NULL */
    void **worker_contexts;      /* one for each worker, borrowed */
};

/* NULL after logging. */
struct worker_pool *worker_pool_start(const struct worker_pool_settings *settings);
/* Waits while the queue is full. Takes the task over in any case. 0, or -1 when some worker has failed: stop
 * submitting. */
int worker_pool_submit(struct worker_pool *pool, void *task);
/* True once a worker has failed (or worker_pool_cancel was called). */
bool worker_pool_failed(struct worker_pool *pool);
/* Waits until all submitted tasks are done, at most milliseconds. True if they are. */
bool worker_pool_wait(struct worker_pool *pool, unsigned milliseconds);
/* No further task is begun; those at work finish. */
void worker_pool_cancel(struct worker_pool *pool);
/* Waits for everything, joins the threads, frees. 0, or -1 if a task failed or was discarded. NULL-safe (0).
 */
int worker_pool_finish(struct worker_pool *pool);

#endif
