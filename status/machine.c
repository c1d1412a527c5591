#include "machine.h"

#include "common/file.h"
#include "common/log.h"
#include "common/outcome.h"
#include "common/worker_pool.h"
#include "lag.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a thread is at work on: its own until is_done. */
struct question {
    const struct config *config;
    void (*ask)(struct question *question);
    struct picture_lag lag;
    struct picture_run *runs; /* of this many outcome_programs */
    size_t run_count;
    char unknown[PICTURE_TEXT_BYTES]; /* why the answer is not known; "" */
    atomic_bool is_done;
};

static void ask_lag(struct question *question)
{
    lag_find(question->config->pgdata, &question->lag, question->unknown, sizeof question->unknown);
}

/* Where nothing was ever noted there is nothing to be known. */
static void ask_runs(struct question *question)
{
    const char *directory = question->config->state_dir;
    struct state state;
    struct stat status;

    if (directory == NULL || (lstat(directory, &status) != 0 && errno == ENOENT))
        return;
    state_open_existing(question->config, &state);
    if (state.directory == NULL)
        snprintf(question->unknown, sizeof question->unknown,
                 "state directory \"%s\" is not this user's alone (mode 0700), or may not be looked into",
                 directory);
    for (size_t i = 0; i < question->run_count; i++)
        outcome_note_read(&state, question->runs[i].program, question->config->cluster_name,
                          &question->runs[i].note);
    state_close(&state);
}

static int work(void *context, void *item)
{
    struct question *question = item;

    (void)context;
    question->ask(question);
    atomic_store(&question->is_done, true);
    return 0;
}

static struct picture_run *make_runs(size_t *count)
{
    *count = 0;
    while (outcome_programs[*count] != NULL)
        ++*count;

    struct picture_run *runs = calloc(*count, sizeof *runs);
    for (size_t i = 0; runs != NULL && i < *count; i++)
        runs[i].program = outcome_programs[i];
    return runs;
}

/* What a thread that still waits works on must stay as it is. */
static int collect(struct picture *picture, const struct question *lag, const struct question *runs,
                   unsigned seconds)
{
    const char hangs[] = "no answer within %u s, as of a dead file system";

    picture->run_count = runs->run_count;
    if (atomic_load(&lag->is_done)) {
        picture->lag = lag->lag;
        memcpy(picture->lag_unknown, lag->unknown, sizeof picture->lag_unknown);
    } else {
        snprintf(picture->lag_unknown, sizeof picture->lag_unknown, hangs, seconds);
    }
    if (atomic_load(&runs->is_done)) {
        picture->runs = runs->runs;
        memcpy(picture->runs_unknown, runs->unknown, sizeof picture->runs_unknown);
        return 0;
    }
    snprintf(picture->runs_unknown, sizeof picture->runs_unknown, hangs, seconds);
    picture->runs = make_runs(&picture->run_count);
    return picture->runs == NULL ? log_out_of_memory() : 0;
}

int machine_ask(struct picture *picture, bool *pgdata_hangs)
{
    const unsigned seconds = (picture->config->status.timeout_seconds + 2) / 3;
    struct question *questions = calloc(2, sizeof *questions);
    void *contexts[2] = {NULL, NULL};
    const struct worker_pool_settings settings = {
        .workers = 2, .queue_length = 2, .work = work, .worker_contexts = contexts};

    *pgdata_hangs = false;
    if (questions == NULL)
        return log_out_of_memory();
    questions[0] = (struct question){.config = picture->config, .ask = ask_lag};
    questions[1] = (struct question){.config = picture->config, .ask = ask_runs};
    questions[1].runs = make_runs(&questions[1].run_count);
    struct worker_pool *pool = questions[1].runs == NULL ? NULL : worker_pool_start(&settings);
    if (pool == NULL) {
        free(questions[1].runs);
        free(questions);
        return -1;
    }
    worker_pool_submit(pool, &questions[0]);
    worker_pool_submit(pool, &questions[1]);
    bool are_done = worker_pool_wait(pool, seconds * 1000);
    int result = collect(picture, &questions[0], &questions[1], seconds);
    *pgdata_hangs = !atomic_load(&questions[0].is_done);
    if (are_done) {
        worker_pool_finish(pool);
        free(questions);
    } else {
        picture->is_waited_for = true;
    }
    return result;
}
