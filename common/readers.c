#include "readers.h"

#include "log.h"
#include "worker_pool.h"

#include <stdlib.h>

#define WORKERS_MOST 16
#define ITEMS_PER_WORKER 8 /* what a connection costs is worth so many */
#define QUEUE_LENGTH 64

struct connection {
    struct connection *next;
    const struct repository *same;
    struct repository repository;
};

struct reader {
    struct readers *readers;
    struct connection *connections; /* owned */
};

struct readers {
    struct readers_settings settings;
    struct reader items[WORKERS_MOST];
    int (*work)(struct reader *reader, void *item);
};

struct readers *readers_new(const struct readers_settings *settings)
{
    struct readers *readers = calloc(1, sizeof *readers);

    if (readers == NULL) {
        log_out_of_memory();
        return NULL;
    }
    readers->settings = *settings;
    for (size_t i = 0; i < WORKERS_MOST; i++)
        readers->items[i].readers = readers;
    return readers;
}

static void close_connections(struct reader *reader)
{
    while (reader->connections != NULL) {
        struct connection *next = reader->connections->next;
        repository_close(&reader->connections->repository);
        free(reader->connections);
        reader->connections = next;
    }
}

void readers_free(struct readers *readers)
{
    for (size_t i = 0; readers != NULL && i < WORKERS_MOST; i++)
        close_connections(&readers->items[i]);
    free(readers);
}

struct repository *reader_repository(struct reader *reader, struct repository *same)
{
    struct connection *connection = reader == NULL ? NULL : reader->connections;

    if (reader == NULL)
        return same;
    while (connection != NULL && connection->same != same)
        connection = connection->next;
    if (connection != NULL)
        return &connection->repository;
    connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        log_out_of_memory();
        return NULL;
    }
    if (repository_open(same->config, same->settings, NULL, &reader->readers->settings.limits,
                        &connection->repository) != 0) {
        free(connection);
        return NULL;
    }
    connection->same = same;
    connection->next = reader->connections;
    reader->connections = connection;
    return &connection->repository;
}

static bool goes_on(const struct readers *readers)
{
    return readers->settings.goes_on == NULL || readers->settings.goes_on();
}

static int work(void *context, void *item)
{
    struct reader *reader = context;

    if (reader->readers->settings.is_mute)
        log_mute_thread(true);
    return reader->readers->work(reader, item);
}

static int run_alone(const struct readers *readers, void *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!goes_on(readers) || readers->work(NULL, items[i]) != 0)
            return -1;
    return 0;
}

static int run_with(struct readers *readers, void *const *items, size_t count, unsigned workers)
{
    void *contexts[WORKERS_MOST];
    const struct worker_pool_settings settings = {
        .workers = workers, .queue_length = QUEUE_LENGTH, .work = work, .worker_contexts = contexts};

    for (size_t i = 0; i < WORKERS_MOST; i++)
        contexts[i] = &readers->items[i];
    struct worker_pool *pool = worker_pool_start(&settings);
    if (pool == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!goes_on(readers))
            worker_pool_cancel(pool);
        if (worker_pool_submit(pool, items[i]) != 0)
            break;
    }
    return worker_pool_finish(pool);
}

int readers_run(struct readers *readers, void *const *items, size_t count,
                int (*each)(struct reader *reader, void *item))
{
    size_t workers = count / ITEMS_PER_WORKER;

    readers->work = each;
    if (workers <= 1)
        return run_alone(readers, items, count);
    return run_with(readers, items, count, workers < WORKERS_MOST ? (unsigned)workers : WORKERS_MOST);
}
