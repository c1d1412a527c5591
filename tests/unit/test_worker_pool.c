/* The pool: all tasks done, the queue bounded, the first failure wins, nothing is lost track of. Run under
 * TSan too (make tsan). */
#include "unit.h"

#include "common/log.h"
#include "common/worker_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

static atomic_int worked, discarded;

static int work(void *context, void *task)
{
    int number = *(int *)task;

    (void)context;
    free(task);
    atomic_fetch_add(&worked, 1);
    if (number % 16 == 0)
        nanosleep(&(struct timespec){0, 200000}, NULL);
    return number < 0 ? -1 : 0;
}

static void discard(void *task)
{
    free(task);
    atomic_fetch_add(&discarded, 1);
}

static int *number(int value)
{
    int *task = malloc(sizeof *task);
    *task = value;
    return task;
}

static void run(unsigned workers, size_t queue, int tasks, int fail_at)
{
    struct worker_pool_settings settings = {
        .workers = workers, .queue_length = queue, .work = work, .discard = discard};
    struct worker_pool *pool = worker_pool_start(&settings);
    int submitted = 0;

    atomic_store(&worked, 0);
    atomic_store(&discarded, 0);
    CHECK(pool != NULL);
    for (int i = 1; i <= tasks; i++) {
        submitted++;
        if (worker_pool_submit(pool, number(i == fail_at ? -1 : i)) != 0)
            break;
    }
    if (fail_at == 0) {
        CHECK(worker_pool_wait(pool, 60000));
        CHECK(atomic_load(&worked) == tasks && !worker_pool_failed(pool));
    }
    CHECK(worker_pool_finish(pool) == (fail_at == 0 ? 0 : -1));
    CHECK(atomic_load(&worked) + atomic_load(&discarded) == submitted);
}

int main(void)
{
    for (unsigned workers = 1; workers <= 8; workers *= 2) {
        for (size_t queue = 1; queue <= 16; queue *= 4) {
            run(workers, queue, 300, 0);
            run(workers, queue, 0, 0);
            run(workers, queue, 300, 1);
            run(workers, queue, 300, 150);
            run(workers, queue, 300, 300);
        }
    }
    struct worker_pool_settings settings = {
        .workers = 2, .queue_length = 4, .work = work, .discard = discard};
    struct worker_pool *pool = worker_pool_start(&settings);
    worker_pool_cancel(pool);
    CHECK(worker_pool_submit(pool, number(1)) == -1);
    CHECK(worker_pool_finish(pool) == -1);
    CHECK(worker_pool_finish(NULL) == 0);
    return unit_done("worker_pool");
}
