#include "picture.h"

#include "common/log.h"
#include "common/timestamp.h"
#include "common/worker_pool.h"
#include "gather.h"
#include "machine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define WORKERS_MOST 16

/* What a thread is at work on: its own until is_done, so that nobody has to wait for it. */
struct task {
    struct config config; /* of its own, since pgdata may be left out; what it points to is borrowed */
    bool with_plan;
    struct picture_repository picture;
    atomic_bool is_done;
};

static int work(void *context, void *item)
{
    struct task *task = item;

    (void)context;
    gather_repository(&task->config, task->picture.settings, task->with_plan, &task->picture);
    atomic_store(&task->is_done, true);
    return 0; /* the others are asked all the same */
}

static void collect(struct task *task, struct picture *picture, struct picture_repository *out)
{
    if (atomic_load(&task->is_done)) {
        *out = task->picture;
        return;
    }
    picture->is_waited_for = true;
    *out = (struct picture_repository){.settings = task->picture.settings};
    snprintf(out->error, sizeof out->error, "it did not tell all within %u s (timeout of [status])",
             picture->config->status.timeout_seconds);
    log_error("repository \"%s\": %s", out->settings->name, out->error);
}

/* A thread that waits for a dead file system can't be ended: it is left behind, with what it works on. */
static int ask_all(struct picture *picture, struct task *tasks)
{
    void *contexts[WORKERS_MOST] = {NULL};
    const size_t count = picture->repository_count;
    const struct worker_pool_settings settings = {.workers =
                                                      (unsigned)(count < WORKERS_MOST ? count : WORKERS_MOST),
                                                  .queue_length = count,
                                                  .work = work,
                                                  .worker_contexts = contexts};
    struct worker_pool *pool = worker_pool_start(&settings);

    if (pool == NULL) {
        free(tasks);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        worker_pool_submit(pool, &tasks[i]);
    bool are_done = worker_pool_wait(pool, picture->config->status.timeout_seconds * 1000);
    for (size_t i = 0; i < count; i++)
        collect(&tasks[i], picture, &picture->repositories[i]);
    picture->is_waited_for = picture->is_waited_for || !are_done;
    if (!picture->is_waited_for) {
        worker_pool_finish(pool);
        free(tasks);
    }
    return 0;
}

static int take_repositories(const struct repository_config *only, bool with_plan, bool with_server,
                             struct picture *picture)
{
    const struct config *config = picture->config;
    size_t count = only != NULL ? 1 : config->repository_count;
    struct task *tasks = calloc(count, sizeof *tasks);

    picture->repositories = calloc(count, sizeof *picture->repositories);
    if (tasks == NULL || picture->repositories == NULL) {
        free(tasks);
        return log_out_of_memory();
    }
    for (size_t i = 0; i < count; i++) {
        tasks[i].config = *config;
        if (!with_server)
            tasks[i].config.pgdata = NULL;
        tasks[i].with_plan = with_plan;
        tasks[i].picture.settings = only != NULL ? only : &config->repositories[i];
    }
    picture->repository_count = count;
    return ask_all(picture, tasks);
}

int picture_take(const struct config *config, const struct repository_config *only, bool with_plan,
                 struct picture *picture)
{
    int64_t begun = monotonic_now();
    bool pgdata_hangs;

    *picture = (struct picture){.config = config};
    if (machine_ask(picture, &pgdata_hangs) != 0 ||
        take_repositories(only, with_plan, !pgdata_hangs, picture) != 0)
        return -1;
    picture->now = timestamp_now();
    picture->seconds = (double)(monotonic_now() - begun) / 1e6;
    return picture_find_problems(picture);
}

void picture_free(struct picture *picture)
{
    for (size_t i = 0; i < picture->repository_count; i++)
        gather_free(&picture->repositories[i]);
    free(picture->repositories);
    free(picture->runs);
    free(picture->problems);
    *picture = (struct picture){.config = NULL};
}

/* Questions that several ask */

static const struct picture_backup *newest_but(const struct picture_repository *repository,
                                               const struct picture_backup *other)
{
    const struct picture_backup *newest = NULL;

    for (size_t i = 0; i < repository->backup_count; i++) {
        const struct picture_backup *backup = &repository->backups[i];
        if (backup != other && backup->system_identifier == repository->system_identifier &&
            (newest == NULL || backup->stop_time >= newest->stop_time))
            newest = backup;
    }
    return newest;
}

const struct picture_backup *picture_newest_backup(const struct picture_repository *repository)
{
    return newest_but(repository, NULL);
}

const struct picture_backup *picture_usable_backup(const struct picture_repository *repository)
{
    const struct picture_backup *newest = NULL;

    for (size_t i = 0; i < repository->backup_count; i++) {
        const struct picture_backup *backup = &repository->backups[i];
        if (backup->system_identifier == repository->system_identifier && !backup->is_incomplete &&
            !backup->found_damaged && (newest == NULL || backup->stop_time >= newest->stop_time))
            newest = backup;
    }
    return newest;
}

const struct picture_backup *picture_previous_backup(const struct picture_repository *repository)
{
    const struct picture_backup *newest = picture_newest_backup(repository);

    return newest == NULL ? NULL : newest_but(repository, newest);
}

const struct picture_backup *picture_newest_of_all(const struct picture *picture)
{
    const struct picture_backup *newest = NULL;

    for (size_t i = 0; i < picture->repository_count; i++) {
        const struct picture_backup *backup = picture_usable_backup(&picture->repositories[i]);
        if (backup != NULL && (newest == NULL || backup->stop_time > newest->stop_time))
            newest = backup;
    }
    return newest;
}

int64_t picture_last_verification(const struct picture *picture)
{
    int64_t time = 0;

    for (size_t i = 0; i < picture->repository_count; i++)
        if (picture->repositories[i].verification_time > time)
            time = picture->repositories[i].verification_time;
    return time;
}

const struct picture_stretch *picture_window(const struct picture_repository *repository)
{
    return repository->stretch_count == 0 ? NULL : &repository->stretches[repository->stretch_count - 1];
}

const struct picture_repository *picture_best(const struct picture *picture)
{
    const struct picture_repository *best = NULL;

    for (size_t i = 0; i < picture->repository_count; i++) {
        const struct picture_repository *repository = &picture->repositories[i];
        const struct picture_stretch *window = picture_window(repository);
        if (window == NULL)
            continue;
        const struct picture_stretch *before = best == NULL ? NULL : picture_window(best);
        if (before == NULL || window->end > before->end ||
            (window->end == before->end && window->begin < before->begin))
            best = repository;
    }
    return best;
}

bool picture_is_as_good(const struct picture_repository *repository, const struct picture_repository *best)
{
    const struct picture_stretch *window = picture_window(repository), *whole = picture_window(best);

    return window != NULL && whole != NULL && repository->timeline == best->timeline &&
           window->begin <= whole->begin && window->end >= whole->end;
}

bool picture_is_best_unknown(const struct picture *picture)
{
    bool is_unknown = false;

    for (size_t i = 0; i < picture->repository_count; i++)
        is_unknown = is_unknown || !picture->repositories[i].is_wal_known;
    return is_unknown && picture_best(picture) == NULL;
}

double picture_lag_seconds(const struct picture *picture)
{
    const int64_t oldest = picture->lag.oldest;

    return oldest == 0 || oldest > picture->now ? 0 : (double)(picture->now - oldest) / 1e6;
}

const struct picture_drill *picture_good_drill(const struct picture *picture)
{
    static const struct picture_drill none = {.time = 0};
    const struct picture_drill *last = &none;

    for (size_t i = 0; i < picture->repository_count; i++)
        if (picture->repositories[i].good_drill.time > last->time)
            last = &picture->repositories[i].good_drill;
    return last;
}

const struct outcome_run *picture_last_run(const struct picture_run *run)
{
    if (run->note.success.ended == 0 && run->note.failure.ended == 0)
        return NULL;
    if (run->note.last != OUTCOME_BY_TIME)
        return run->note.last == OUTCOME_SUCCESS ? &run->note.success : &run->note.failure;
    return run->note.success.ended > run->note.failure.ended ? &run->note.success : &run->note.failure;
}
