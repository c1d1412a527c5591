#include "gaps.h"

#include "common/file.h"
#include "common/gap.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_NAME "gaps.lock"
#define LOCK_MILLISECONDS 5000 /* who holds it writes one small file */
#define MARKER_MOST_BYTES 65536
#define MARKER_NAME_BYTES 128
#define OPEN ".open"
#define CLOSED ".closed"

/* Its descriptor, or -1 after logging. */
static int take_lock(const struct state *state)
{
    int fd = state_lock(state, LOCK_NAME, LOCK_MILLISECONDS);

    if (fd < 0)
        log_error("could not lock file \"%s/%s\": %m", state->directory, LOCK_NAME);
    return fd;
}

/* 0; 1 when there is none; -1 after logging. */
static int read_marker(const struct state *state, const char *name, struct gap *gap)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = path_join(state->directory, name);
    enum file_result read = path == NULL ? FILE_FAILED : file_read_all(path, MARKER_MOST_BYTES, &text);
    int result = read == FILE_ABSENT ? 1 : -1;

    if (read == FILE_OK)
        result = gap_parse(text.data, text.length, path, gap);
    buffer_free(&text);
    free(path);
    return result;
}

static int write_marker(const struct state *state, const char *name, const struct gap *gap)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = path_join(state->directory, name);
    int result = -1;

    if (path != NULL && gap_seal(gap, &text) == 0)
        result = file_replace(path, text.data, text.length, 0600);
    buffer_free(&text);
    free(path);
    return result;
}

static int rename_marker(const struct state *state, const char *name, const char *ending)
{
    char *from = path_join(state->directory, name);
    char *to = string_printf("%s/%.*s%s", state->directory, (int)(strrchr(name, '.') - name), name, ending);
    int result = -1;

    if (from != NULL && to != NULL) {
        if (rename(from, to) == 0)
            result = file_sync_directory(state->directory);
        else if (errno == ENOENT)
            result = 0; /* another thread or call did */
        else
            log_error("could not rename file \"%s\": %m", from);
    }
    free(from);
    free(to);
    return result;
}

/* The next marker of this system that ends so (NULL: either way), in the order of the directory; false at its
 * end. */
static bool next_marker(DIR *directory, uint64_t system_identifier, const char *ending,
                        char name[MARKER_NAME_BYTES])
{
    char beginning[64];
    struct dirent *item;

    snprintf(beginning, sizeof beginning, "gap-%" PRIu64 "-", system_identifier);
    while ((item = readdir(directory)) != NULL) {
        const char *dot = strrchr(item->d_name, '.');
        if (strncmp(item->d_name, beginning, strlen(beginning)) == 0 && dot != NULL &&
            (ending == NULL ? strcmp(dot, OPEN) == 0 || strcmp(dot, CLOSED) == 0
                            : strcmp(dot, ending) == 0) &&
            strlen(item->d_name) < MARKER_NAME_BYTES) {
            memcpy(name, item->d_name, strlen(item->d_name) + 1);
            return true;
        }
    }
    return false;
}

/* Calls work for each marker that ends so. 0, or -1 if one of them failed. */
static int for_each(const struct state *state, uint64_t system_identifier, const char *ending,
                    int (*work)(const struct state *state, const char *name, void *context), void *context)
{
    char name[MARKER_NAME_BYTES];
    DIR *directory = opendir(state->directory);
    int result = 0;

    if (directory == NULL) {
        log_error("could not open directory \"%s\": %m", state->directory);
        return -1;
    }
    while (result == 0 && next_marker(directory, system_identifier, ending, name))
        result = work(state, name, context);
    closedir(directory);
    return result;
}

/* The marker that has a segment already, or may grow by it. */
struct neighbour {
    const struct source *source;
    char before[WAL_SEGMENT_NAME_BYTES];
    bool is_held;
    char name[MARKER_NAME_BYTES]; /* of the one that may grow; "": there is none */
    struct gap gap;
};

static int find_neighbour(const struct state *state, const char *name, void *context)
{
    struct neighbour *neighbour = context;
    const char *segment = neighbour->source->name;
    struct gap gap;

    /* Most are too far away, and need not be read. */
    if (strncmp(strrchr(name, '-') + 1, segment, WAL_GAP_COMMON) != 0)
        return 0;
    if (read_marker(state, name, &gap) != 0)
        return -1;
    if (gap.segment_bytes != neighbour->source->segment_bytes)
        return 0;
    if (strcmp(gap.first, segment) <= 0 && strcmp(gap.last, segment) >= 0)
        neighbour->is_held = true;
    if (strcmp(gap.last, neighbour->before) == 0 && strcmp(strrchr(name, '.'), OPEN) == 0) {
        neighbour->gap = gap;
        snprintf(neighbour->name, sizeof neighbour->name, "%s", name);
    }
    return 0;
}

/* The name of what says that a repository needs not be told: it has the marker, or all that it tells of. */
static char *sent_name(const char *marker, const struct config *config,
                       const struct repository_config *repository)
{
    char kind[MARKER_NAME_BYTES + 8];

    snprintf(kind, sizeof kind, "%.*s.in", (int)(strrchr(marker, '.') - marker), marker);
    return state_name(kind, config, repository);
}

static bool is_sent(const struct state *state, const char *marker, const struct config *config,
                    const struct repository_config *repository)
{
    char *name = sent_name(marker, config, repository);
    char *path = name == NULL ? NULL : path_join(state->directory, name);
    bool result = path != NULL && access(path, F_OK) == 0;

    free(name);
    free(path);
    return result;
}

static void note_sent(const struct state *state, const char *marker, const struct config *config,
                      const struct repository_config *repository)
{
    char *name = sent_name(marker, config, repository);

    if (name != NULL)
        state_write(state, name, "", 0); /* else it is told again */
    free(name);
}

static bool has_stored(const struct shipper *shipper, const char *name, const char *marker)
{
    for (size_t i = 0; i < shipper->config->repository_count; i++) {
        char *stored = shipper->places[i].has_stored
                           ? sent_name(marker, shipper->config, &shipper->config->repositories[i])
                           : NULL;
        bool is_it = stored != NULL && strcmp(stored, name) == 0;
        free(stored);
        if (is_it)
            return true;
    }
    return false;
}

/* The marker grows: all must be told, also repositories that the configuration does not name just now, but
 * those that have what it tells of. */
static void forget_sent(const struct shipper *shipper, const char *marker)
{
    const size_t length = (size_t)(strrchr(marker, '.') - marker);
    DIR *directory = opendir(shipper->state->directory);

    for (struct dirent *item; directory != NULL && (item = readdir(directory)) != NULL;)
        if (strncmp(item->d_name, marker, length) == 0 && strncmp(item->d_name + length, ".in-", 4) == 0 &&
            !has_stored(shipper, item->d_name, marker))
            state_forget(shipper->state, item->d_name);
    if (directory != NULL)
        closedir(directory);
}

static int add_locked(const struct source *source, const struct shipper *shipper)
{
    const struct state *state = shipper->state;
    const struct config *config = shipper->config;
    struct neighbour neighbour = {.source = source};
    uint64_t number;
    struct gap *gap = &neighbour.gap;

    if (!wal_segment_number(&source->parsed, source->segment_bytes, &number))
        return -1;
    if (number > 0)
        wal_segment_name(source->parsed.timeline, number - 1, source->segment_bytes, neighbour.before);
    if (for_each(state, source->system_identifier, NULL, find_neighbour, &neighbour) != 0)
        return -1;
    /* The server, or its archiver, ended between this marker and PostgreSQL's own mark: it asks again. Or the
     * call before could not sync the name. */
    if (neighbour.is_held)
        return file_sync_directory(state->directory);
    const bool is_new = neighbour.name[0] == '\0';
    if (is_new) {
        *gap = (struct gap){.system_identifier = source->system_identifier,
                            .segment_bytes = source->segment_bytes,
                            .since = timestamp_now()};
        memcpy(gap->first, source->name, WAL_SEGMENT_NAME_BYTES);
        if (gethostname(gap->host, sizeof gap->host - 1) != 0)
            gap->host[0] = '\0';
        snprintf(neighbour.name, sizeof neighbour.name, "gap-%" PRIu64 "-%.24s" OPEN,
                 source->system_identifier, source->name);
    }
    gap->segments++;
    gap->until = timestamp_now();
    memcpy(gap->last, source->name, WAL_SEGMENT_NAME_BYTES);
    forget_sent(shipper, neighbour.name); /* durable with the marker, before it tells of more */
    if (write_marker(state, neighbour.name, gap) != 0)
        return -1;
    for (size_t i = 0; is_new && i < config->repository_count; i++)
        if (shipper->places[i].has_stored)
            note_sent(state, neighbour.name, config, &config->repositories[i]);
    return 0;
}

int gaps_add(const struct source *source, const struct shipper *shipper)
{
    const struct state *state = shipper->state;

    if (state->directory == NULL) {
        log_error("nothing can be let go of: there is no state directory for the gap marker");
        log_hint("Give [cluster] state_dir a directory that only this user can read and write.");
        return -1;
    }
    int lock = take_lock(state);
    if (lock < 0)
        return -1;
    int result = add_locked(source, shipper);
    close(lock);
    return result;
}

static int close_marker(const struct state *state, const char *name, void *context)
{
    const struct repository *repository = context;

    if (is_sent(state, name, repository->config, repository->settings))
        return 0; /* it may grow on */
    return rename_marker(state, name, CLOSED);
}

static int send_marker(const struct state *state, const char *name, void *context)
{
    struct repository *repository = context;
    struct gap gap;
    int read;

    if (is_sent(state, name, repository->config, repository->settings) ||
        (read = read_marker(state, name, &gap)) == 1) /* somebody moved it out of the way */
        return 0;
    if (read != 0)
        return -1;
    enum repository_result result = gap_put(repository, &gap);
    if (result == REPOSITORY_OK)
        log_info("told repository \"%s\" that %" PRIu64 " segments from \"%s\" to \"%s\" are missing",
                 repository->settings->name, gap.segments, gap.first, gap.last);
    if (result != REPOSITORY_OK && result != REPOSITORY_IDENTICAL)
        return -1;
    note_sent(state, name, repository->config, repository->settings);
    return 0;
}

static bool has_marker(const struct state *state, uint64_t system_identifier, const char *ending)
{
    char name[MARKER_NAME_BYTES];
    DIR *directory = opendir(state->directory);
    bool result = directory != NULL && next_marker(directory, system_identifier, ending, name);

    if (directory != NULL)
        closedir(directory);
    return result;
}

int gaps_send(const struct state *state, struct repository *repository, uint64_t system_identifier)
{
    int result = 0;

    if (state->directory == NULL)
        return 0;
    /* Closed first: what is sent here and fails there must stay what it is. */
    if (has_marker(state, system_identifier, OPEN)) {
        int lock = take_lock(state);
        if (lock < 0)
            return -1;
        result = for_each(state, system_identifier, OPEN, close_marker, repository);
        close(lock);
    }
    return result == 0 ? for_each(state, system_identifier, CLOSED, send_marker, repository) : -1;
}
