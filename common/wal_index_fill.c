#include "wal_index_fill.h"

#include "interrupt.h"
#include "log.h"
#include "timestamp.h"
#include "wal_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILL_MOST 32 /* indexes at a program's end */
#define FILL_SECONDS 30
#define LOG_SECONDS 270 /* behind the deadline, for the log that was begun before */

/* Names of logs, in their order. */
struct logs {
    struct buffer text; /* WAL_LOG_NAME_BYTES each */
    bool failed;
};

static size_t count_of(const struct logs *logs)
{
    return logs->text.length / WAL_LOG_NAME_BYTES;
}

static const char *name_of(const struct logs *logs, size_t index)
{
    return (const char *)logs->text.data + index * WAL_LOG_NAME_BYTES;
}

static bool remember(void *context, const char *name)
{
    struct logs *logs = context;
    uint32_t timeline, log;

    if (wal_log_name_parse(name, &timeline, &log))
        logs->failed = buffer_append(&logs->text, name, WAL_LOG_NAME_BYTES) != 0;
    return !logs->failed;
}

static bool remember_key(void *context, const char *key, uint64_t bytes)
{
    (void)bytes;
    return remember(context, strrchr(key, '/') + 1);
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(left, right);
}

static bool is_in(const struct logs *logs, const char *name)
{
    return count_of(logs) > 0 &&
           bsearch(name, logs->text.data, count_of(logs), WAL_LOG_NAME_BYTES, compare_names) != NULL;
}

/* 0, or -1 after logging. */
static int list_folders(struct repository *repository, uint64_t system_identifier, struct logs *logs)
{
    char *prefix = repository_system_key(repository, system_identifier, "wal/");
    int result = -1;

    if (prefix != NULL && store_list_folders(repository->store, prefix, remember, logs) == STORE_OK)
        result = logs->failed ? -1 : 0;
    free(prefix);
    return result;
}

static int list_indexes(struct repository *repository, uint64_t system_identifier, struct logs *logs)
{
    char *prefix = repository_system_key(repository, system_identifier, "index/");
    const struct store_listing listing = {.prefix = prefix, .each = remember_key, .context = logs};
    int result = -1;

    if (prefix != NULL && store_list(repository->store, &listing) == STORE_OK)
        result = logs->failed ? -1 : 0;
    free(prefix);
    return result;
}

static bool count_segment(void *context, const char *key, uint64_t bytes)
{
    uint64_t *count = context;

    (void)bytes;
    *count += wal_name_parse(strrchr(key, '/') + 1).kind == WAL_SEGMENT;
    return true;
}

/* 1, 0, or -1 after logging. A timeline's first log and one with a hole never are. */
static int is_complete(struct repository *repository, const struct wal_index_fill *fill, const char *name)
{
    char rest[OBJECT_NAME_BYTES];
    uint64_t count = 0;
    int result = -1;

    snprintf(rest, sizeof rest, "wal/%s/", name);
    char *prefix = repository_system_key(repository, fill->system_identifier, rest);
    const struct store_listing listing = {.prefix = prefix, .each = count_segment, .context = &count};
    if (prefix != NULL && store_list(repository->store, &listing) == STORE_OK)
        result = count == wal_segments_per_log(fill->segment_bytes);
    free(prefix);
    return result;
}

/* 1: it was written; 0: there is nothing to write; -1. */
static int make(struct repository *repository, struct readers *readers, const struct wal_index_fill *fill,
                const char *name)
{
    uint32_t timeline, log;
    int complete = is_complete(repository, fill, name);

    if (complete <= 0)
        return complete;
    wal_log_name_parse(name, &timeline, &log);
    switch (
        wal_index_make(repository, readers, fill->system_identifier, timeline, log, fill->segment_bytes)) {
    case REPOSITORY_OK:
        log_debug("wrote the index of the WAL log %s in repository \"%s\"", name, repository->settings->name);
        return 1;
    case REPOSITORY_FAILED:
        return -1;
    default: /* another run's, or a trailer is damaged: that is for verification to tell of */
        return 0;
    }
}

static bool goes_on(const struct wal_index_fill *fill)
{
    return monotonic_now() < fill->deadline && (fill->goes_on == NULL || fill->goes_on());
}

/* A timeline's last log may still grow. */
static bool is_last(const struct logs *logs, size_t index)
{
    return index + 1 == count_of(logs) || memcmp(name_of(logs, index), name_of(logs, index + 1), 8) != 0;
}

static int fill_missing(struct repository *repository, struct readers *readers,
                        const struct wal_index_fill *fill, const struct logs *folders,
                        const struct logs *indexes, unsigned *written)
{
    for (size_t i = count_of(folders); i-- > 0 && *written < fill->most && goes_on(fill);) {
        if (is_last(folders, i) || is_in(indexes, name_of(folders, i)))
            continue;
        int made = make(repository, readers, fill, name_of(folders, i));
        if (made < 0)
            return goes_on(fill) ? -1 : 0; /* amid a log time was up */
        *written += (unsigned)made;
    }
    return 0;
}

int wal_index_fill(struct repository *repository, const struct wal_index_fill *fill, unsigned *written)
{
    const struct readers_settings settings = {
        .limits = {.operation_seconds = FILL_SECONDS,
                   .deadline = fill->deadline + LOG_SECONDS * INT64_C(1000000)},
        .goes_on = fill->goes_on,
        .is_mute = true,
    };
    struct logs folders = {BUFFER_EMPTY, false}, indexes = {BUFFER_EMPTY, false};
    struct readers *readers = readers_new(&settings);
    unsigned count = 0;
    int result = -1;

    bool was_muted = log_mute_thread(true); /* nobody asked for it */
    store_set_limits(repository->store, &settings.limits);
    if (readers != NULL)
        result = list_folders(repository, fill->system_identifier, &folders);
    if (result == 0)
        result = list_indexes(repository, fill->system_identifier, &indexes);
    if (result == 0)
        result = fill_missing(repository, readers, fill, &folders, &indexes, &count);
    log_mute_thread(was_muted);
    if (result != 0 && !fill->is_silent)
        log_warning("the indexes of the WAL in repository \"%s\" could not all be written (--verbose says "
                    "why); the next run goes on with them",
                    repository->settings->name);
    buffer_free(&folders.text);
    buffer_free(&indexes.text);
    readers_free(readers);
    if (written != NULL)
        *written = count;
    return result;
}

static bool is_not_interrupted(void)
{
    return !interrupt_requested();
}

void wal_index_fill_all(struct repository *repository, int64_t deadline, bool is_silent)
{
    for (size_t i = repository->cluster.generation_count; i > 0 && is_not_interrupted(); i--) {
        const struct generation *generation = &repository->cluster.generations[i - 1];
        const struct wal_index_fill fill = {.system_identifier = generation->system_identifier,
                                            .segment_bytes = generation->segment_bytes,
                                            .most = FILL_MOST,
                                            .deadline = deadline,
                                            .goes_on = is_not_interrupted,
                                            .is_silent = is_silent};
        (void)wal_index_fill(repository, &fill, NULL);
    }
}

int64_t wal_index_fill_deadline(void)
{
    return monotonic_now() + FILL_SECONDS * INT64_C(1000000);
}
