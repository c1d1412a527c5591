#include "gaps.h"

#include "common/file.h"
#include "common/gap.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_NAME "gaps.lock"
#define LOCK_TRIES 100 /* of 50 ms: who holds it writes one small file */
#define MARKER_MOST_BYTES 65536
#define MARKER_NAME_BYTES 128

/* Its descriptor, or -1 after logging. */
static int take_lock(const struct state *state)
{
    char *path = path_join(state->directory, LOCK_NAME);
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || i == LOCK_TRIES) {
            close(fd);
            fd = -1;
        } else {
            usleep(50000);
        }
    }
    if (fd < 0)
        log_error("could not lock file \"%s/%s\": %m", state->directory, LOCK_NAME);
    free(path);
    return fd;
}

static int read_marker(const struct state *state, const char *name, struct gap *gap)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = path_join(state->directory, name);
    int result = -1;

    if (path != NULL && file_read_all(path, MARKER_MOST_BYTES, &text) == FILE_OK)
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
        else
            log_error("could not rename file \"%s\": %m", from);
    }
    free(from);
    free(to);
    return result;
}

/* The next marker of this system that ends so, in the order of the directory; false at its end. */
static bool next_marker(DIR *directory, uint64_t system_identifier, const char *ending,
                        char name[MARKER_NAME_BYTES])
{
    char beginning[64];
    struct dirent *item;

    snprintf(beginning, sizeof beginning, "gap-%" PRIu64 "-", system_identifier);
    while ((item = readdir(directory)) != NULL) {
        const char *dot = strrchr(item->d_name, '.');
        if (strncmp(item->d_name, beginning, strlen(beginning)) == 0 && dot != NULL &&
            strcmp(dot, ending) == 0 && strlen(item->d_name) < MARKER_NAME_BYTES) {
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

/* The gap that ends right before a segment. */
struct extension {
    const struct source *source;
    char before[WAL_SEGMENT_NAME_BYTES];
    char name[MARKER_NAME_BYTES]; /* "": there is none */
    struct gap gap;
};

static int find_extended(const struct state *state, const char *name, void *context)
{
    struct extension *extension = context;
    struct gap gap;

    if (read_marker(state, name, &gap) != 0)
        return -1;
    if (gap.segment_bytes == extension->source->segment_bytes &&
        (strcmp(gap.last, extension->before) == 0 || strcmp(gap.last, extension->source->name) == 0)) {
        extension->gap = gap;
        snprintf(extension->name, sizeof extension->name, "%s", name);
    }
    return 0;
}

static int add_locked(const struct state *state, const struct source *source)
{
    struct extension extension = {.source = source};
    uint64_t number;
    struct gap *gap = &extension.gap;

    if (!wal_segment_number(&source->parsed, source->segment_bytes, &number))
        return -1;
    if (number > 0)
        wal_segment_name(source->parsed.timeline, number - 1, source->segment_bytes, extension.before);
    if (for_each(state, source->system_identifier, ".open", find_extended, &extension) != 0)
        return -1;
    if (extension.name[0] == '\0') {
        *gap = (struct gap){.system_identifier = source->system_identifier,
                            .segment_bytes = source->segment_bytes,
                            .since = timestamp_now()};
        memcpy(gap->first, source->name, WAL_SEGMENT_NAME_BYTES);
        if (gethostname(gap->host, sizeof gap->host - 1) != 0)
            gap->host[0] = '\0';
        snprintf(extension.name, sizeof extension.name, "gap-%" PRIu64 "-%.24s.open",
                 source->system_identifier, source->name);
    }
    gap->segments += strcmp(gap->last, source->name) != 0; /* asked for again: it stays the last */
    gap->until = timestamp_now();
    memcpy(gap->last, source->name, WAL_SEGMENT_NAME_BYTES);
    return write_marker(state, extension.name, gap);
}

int gaps_add(const struct state *state, const struct source *source)
{
    if (state->directory == NULL) {
        log_error("nothing can be let go of: there is no state directory for the gap marker");
        log_hint("Give [cluster] state_dir a directory that only this user can read and write.");
        return -1;
    }
    int lock = take_lock(state);
    if (lock < 0)
        return -1;
    int result = add_locked(state, source);
    close(lock);
    return result;
}

static int close_marker(const struct state *state, const char *name, void *context)
{
    (void)context;
    return rename_marker(state, name, ".closed");
}

static int send_marker(const struct state *state, const char *name, void *context)
{
    struct repository *repository = context;
    struct gap gap;

    if (read_marker(state, name, &gap) != 0)
        return -1;
    enum repository_result result = gap_put(repository, &gap);
    if (result == REPOSITORY_OK)
        log_info("told repository \"%s\" that %" PRIu64 " segments from \"%s\" to \"%s\" are missing",
                 repository->settings->name, gap.segments, gap.first, gap.last);
    return result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL ? 0 : -1;
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
    if (has_marker(state, system_identifier, ".open")) {
        int lock = take_lock(state);
        if (lock < 0)
            return -1;
        result = for_each(state, system_identifier, ".open", close_marker, NULL);
        close(lock);
    }
    return result == 0 ? for_each(state, system_identifier, ".closed", send_marker, repository) : -1;
}

static int mark_sent(const struct state *state, const char *name, void *context)
{
    (void)context;
    return rename_marker(state, name, ".sent");
}

void gaps_all_sent(const struct state *state, uint64_t system_identifier)
{
    if (state->directory != NULL && has_marker(state, system_identifier, ".closed"))
        (void)for_each(state, system_identifier, ".closed", mark_sent, NULL); /* else they are sent again */
}
