/* synthesize SEGMENTS BACKUPS: fills the repository of $WALFERRY_CONFIG, which must be empty, with so many
 * WAL objects of one timeline, of which each tells one commit a second later than the one before it, their
 * indexes but for the newest log's, and so many backups evenly between them. The objects hold nothing, but
 * are sealed as real ones are; so whatever lists and judges has as much to do as with those. */
#include "common/backup.h"
#include "common/config.h"
#include "common/file.h"
#include "common/log.h"
#include "common/wal_index.h"
#include "common/worker_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM UINT64_C(7574912398475612345)
#define SEGMENT_BYTES (16u * 1024 * 1024)
#define PER_LOG 256u
#define BEGIN INT64_C(1700000000000000)
#define SECOND INT64_C(1000000)
#define WORKERS 8

static struct config config;

struct maker {
    struct repository repository;
    struct readers *readers; /* of the trailers that an index is made from */
    struct object_writer *writer;
    struct buffer object;
};

/* Nothing is synced: a repository that a crash leaves unfinished is made anew. */
static int write_file(const char *key, const struct buffer *content)
{
    char *path = string_printf("%s/%s", config.repositories[0].path, key);
    char *directory = path == NULL ? NULL : path_directory(path);
    int result = -1, fd = -1;

    if (directory != NULL)
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && directory != NULL && errno == ENOENT && file_make_directories(directory, 0700) == 0)
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 && file_write_fully(fd, content->data, content->length) == 0)
        result = 0;
    else
        log_error("could not write \"%s\": %m", path == NULL ? key : path);
    if (fd >= 0)
        close(fd);
    free(directory);
    free(path);
    return result;
}

static int put(struct repository *repository, const char *key, const struct buffer *content)
{
    struct body body = {.data = content->data, .fd = -1, .length = content->length};

    if (repository->settings->kind == REPOSITORY_FILE)
        return write_file(key, content);
    return sha256_of(content->data, content->length, body.sha256) == 0 &&
                   store_replace(repository->store, key, &body) == STORE_OK
               ? 0
               : -1;
}

static int put_segment(struct maker *maker, uint64_t number)
{
    struct object_facts facts = {.kind = "segment",
                                 .system_identifier = SYSTEM,
                                 .timeline = 1,
                                 .postgresql_version = 15,
                                 .has_summary = true};
    char text[32];

    facts.summary = (struct wal_summary){.is_whole = true,
                                         .transactions = 1,
                                         .least_time = BEGIN + (int64_t)number * SECOND,
                                         .most_time = BEGIN + (int64_t)number * SECOND,
                                         .last_lsn = number * SEGMENT_BYTES + 0x1000,
                                         .xids_are_known = true,
                                         .least_xid = (uint32_t)number + 3,
                                         .most_xid = (uint32_t)number + 3};
    wal_segment_name(1, number, SEGMENT_BYTES, facts.name);
    snprintf(text, sizeof text, "%" PRIu64, number);
    buffer_clear(&maker->object);
    char *key = repository_wal_key(&maker->repository, SYSTEM, facts.name);
    int result = -1;
    if (key != NULL && object_writer_begin(maker->writer, sink_to_buffer(&maker->object)) == 0 &&
        object_writer_write(maker->writer, text, strlen(text)) == 0 &&
        object_writer_end(maker->writer, &facts) == 0)
        result = put(&maker->repository, key, &maker->object);
    free(key);
    return result;
}

struct log_task {
    uint32_t log;
    uint64_t end; /* of all segments */
};

/* One log, and its index where it is complete and not the newest. */
static int make_log(void *context, void *task)
{
    struct maker *maker = context;
    const struct log_task wanted = *(struct log_task *)task;
    const uint64_t first = wanted.log == 0 ? 1 : (uint64_t)wanted.log * PER_LOG;
    int result = 0;

    free(task);
    for (uint64_t number = first; result == 0 && number < ((uint64_t)wanted.log + 1) * PER_LOG; number++)
        if (number < wanted.end)
            result = put_segment(maker, number);
    if (result == 0 && wanted.log > 0 && ((uint64_t)wanted.log + 2) * PER_LOG < wanted.end &&
        wal_index_make(&maker->repository, maker->readers, SYSTEM, 1, wanted.log, SEGMENT_BYTES) !=
            REPOSITORY_OK)
        result = -1;
    return result;
}

static int make_wal(struct maker makers[WORKERS], uint64_t end)
{
    void *contexts[WORKERS];
    const struct worker_pool_settings settings = {.workers = WORKERS,
                                                  .queue_length = 64,
                                                  .work = make_log,
                                                  .discard = free,
                                                  .worker_contexts = contexts};

    for (size_t i = 0; i < WORKERS; i++)
        contexts[i] = &makers[i];
    struct worker_pool *pool = worker_pool_start(&settings);
    if (pool == NULL)
        return -1;
    for (uint32_t log = 0; (uint64_t)log * PER_LOG < end; log++) {
        struct log_task *task = malloc(sizeof *task);
        if (task == NULL)
            break;
        *task = (struct log_task){log, end};
        if (worker_pool_submit(pool, task) != 0)
            break;
    }
    return worker_pool_finish(pool);
}

static int put_in_backup(struct maker *maker, const char *id, const char *file, const struct buffer *content)
{
    char *key = backup_key(&maker->repository, SYSTEM, id, file);
    int result = key == NULL ? -1 : put(&maker->repository, key, content);

    free(key);
    return result;
}

/* At the end of this segment. Of its objects only the manifest says anything. */
static int make_backup(struct maker *maker, uint64_t number)
{
    struct backup backup;
    struct buffer nothing = BUFFER_EMPTY, text = BUFFER_EMPTY;

    backup_init(&backup);
    backup.system_identifier = SYSTEM;
    backup.postgresql_version = 15;
    backup.server_version = 150018;
    backup.timeline = 1;
    backup.start_lsn = number * SEGMENT_BYTES + 0x28;
    backup.stop_lsn = number * SEGMENT_BYTES + 0x900;
    backup.start_time = BEGIN + (int64_t)number * SECOND - SECOND / 2;
    backup.stop_time = BEGIN + (int64_t)number * SECOND - SECOND / 4;
    backup.segment_bytes = SEGMENT_BYTES;
    backup.block_bytes = 8192;
    backup.part_count = backup.file_count = backup.files_bytes = backup.stored_bytes = 1;
    backup_id_make(backup.start_time, 1, backup.start_lsn, backup.id);
    int result = -1;
    if (buffer_append(&nothing, "x", 1) == 0 && backup_seal(&backup, &text) == 0 &&
        put_in_backup(maker, backup.id, "started.json", &nothing) == 0 &&
        put_in_backup(maker, backup.id, "main-00000001", &nothing) == 0 &&
        put_in_backup(maker, backup.id, "files", &nothing) == 0)
        result = put_in_backup(maker, backup.id, "manifest.json", &text);
    buffer_free(&nothing);
    buffer_free(&text);
    return result;
}

static int make_cluster(struct maker *maker)
{
    struct generation generation = {SYSTEM, 15, 1300, 202209061, SEGMENT_BYTES, BEGIN};
    struct cluster cluster = {.name = config.cluster_name,
                              .generations = &generation,
                              .generation_count = 1,
                              .condition = STORE_CONDITION_HONOURED};
    struct buffer text = BUFFER_EMPTY;
    char *key = repository_cluster_key(&maker->repository);
    int result = key != NULL && cluster_seal(&cluster, &text) == 0 ? put(&maker->repository, key, &text) : -1;

    free(key);
    buffer_free(&text);
    return result;
}

static int open_maker(struct maker *maker)
{
    const struct store_limits limits = {300, 0};

    maker->readers = readers_new(&(struct readers_settings){.limits = limits});
    maker->writer = object_writer_new(&config.repositories[0].compression);
    return maker->readers != NULL && maker->writer != NULL &&
                   repository_open(&config, &config.repositories[0], NULL, &limits, &maker->repository) == 0
               ? 0
               : -1;
}

int main(int argc, char **argv)
{
    static struct maker makers[WORKERS];
    int result = 0;

    log_open("synthesize", LOG_WARNING, false);
    if (argc != 3) {
        fprintf(stderr, "usage: synthesize SEGMENTS BACKUPS\n");
        return 2;
    }
    const uint64_t segments = strtoull(argv[1], NULL, 10), backups = strtoull(argv[2], NULL, 10);
    if (config_load(NULL, &config) != 0)
        return 2;
    for (size_t i = 0; result == 0 && i < WORKERS; i++)
        result = open_maker(&makers[i]);
    if (result == 0)
        result = make_cluster(&makers[0]);
    if (result == 0)
        result = make_wal(makers, segments + 1);
    for (uint64_t i = 0; result == 0 && i < backups; i++)
        result = make_backup(&makers[0], 2 + i * (segments - 1) / backups);
    for (size_t i = 0; i < WORKERS; i++) {
        readers_free(makers[i].readers);
        repository_close(&makers[i].repository);
        object_writer_free(makers[i].writer);
        buffer_free(&makers[i].object);
    }
    config_free(&config);
    return result == 0 ? 0 : 1;
}
