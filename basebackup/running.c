#include "running.h"

#include "common/document.h"
#include "common/file.h"
#include "common/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NOTE_KIND "running"
#define NOTE_PREFIX "backup-"
#define NOTE_SUFFIX ".json"
#define NOTE_MOST_BYTES 4096

char *running_index_path(const char *directory, const char *id, size_t lane)
{
    return string_printf("%s/" NOTE_PREFIX "%s.index-%zu", directory, id, lane);
}

static char *note_path(const char *directory, const char *id)
{
    return string_printf("%s/" NOTE_PREFIX "%s" NOTE_SUFFIX, directory, id);
}

/* What makes these the same repositories, with the same lanes. */
static int identify_targets(const struct targets *targets, char hex[SHA256_HEX_BYTES])
{
    struct buffer text = BUFFER_EMPTY;
    unsigned char digest[SHA256_BYTES];
    int result = 0;

    for (size_t i = 0; i < targets->count && result == 0; i++) {
        const struct target *target = &targets->items[i];
        const struct compression *compression = &targets->lanes[target->lane];
        result = state_identity(target->repository.config, target->repository.settings, &text);
        if (result == 0)
            result = buffer_printf(&text, "%zu %s %d\n", target->lane, codec_name(compression->codec),
                                   compression->level);
    }
    if (result == 0)
        result = sha256_of(text.data, text.length, digest);
    if (result == 0)
        hex_encode(digest, SHA256_BYTES, hex);
    buffer_free(&text);
    return result;
}

static int describe(const struct targets *targets, uint32_t timeline, struct buffer *out)
{
    struct json *document;
    char system[24], repositories[SHA256_HEX_BYTES];

    if (identify_targets(targets, repositories) != 0)
        return -1;
    document = document_new(NOTE_KIND);
    snprintf(system, sizeof system, "%" PRIu64, targets->system_identifier);
    json_set_string(document, "backup", targets->id);
    json_set_string(document, "system_identifier", system);
    json_set_uint(document, "timeline", timeline);
    json_set_string(document, "repositories", repositories);
    return document_seal(document, out);
}

void running_begin(const struct state *state, const struct targets *targets, uint32_t timeline,
                   struct running *running)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = state->directory == NULL ? NULL : note_path(state->directory, targets->id);

    *running = (struct running){state, -1};
    if (path == NULL || describe(targets, timeline, &text) != 0)
        goto done;
    running->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (running->fd < 0 || flock(running->fd, LOCK_EX | LOCK_NB) != 0 ||
        file_write_fully(running->fd, text.data, text.length) != 0 || fsync(running->fd) != 0) {
        log_debug(
            "could not write file \"%s\": %m; should this backup be interrupted, the next one sends all",
            path);
        running_close(running);
    }
done:
    free(path);
    buffer_free(&text);
}

void running_close(struct running *running)
{
    if (running->fd >= 0)
        close(running->fd);
    running->fd = -1;
}

/* The id in the name of a note; false: it is no note. */
static bool id_of_name(const char *name, char id[BACKUP_ID_BYTES])
{
    const size_t prefix = strlen(NOTE_PREFIX), suffix = strlen(NOTE_SUFFIX), length = strlen(name);

    if (length <= prefix + suffix || length - prefix - suffix >= BACKUP_ID_BYTES ||
        strncmp(name, NOTE_PREFIX, prefix) != 0 || strcmp(name + length - suffix, NOTE_SUFFIX) != 0)
        return false;
    snprintf(id, BACKUP_ID_BYTES, "%.*s", (int)(length - prefix - suffix), name + prefix);
    return backup_id_is_valid(id);
}

/* The note's descriptor when its backup does not run any more; else -1. */
static int lock_note(const struct state *state, const char *id)
{
    char *path = note_path(state->directory, id);
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        log_debug("backup %s is still running", id);
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

/* Calls each with every note whose backup does not run; the descriptor is each's to close. */
static void for_each_note(const struct state *state,
                          void (*each)(void *context, const struct state *state, const char *id, int fd),
                          void *context)
{
    DIR *directory = state->directory == NULL ? NULL : opendir(state->directory);
    char id[BACKUP_ID_BYTES];
    const struct dirent *item;

    while (directory != NULL && (item = readdir(directory)) != NULL) {
        int fd = id_of_name(item->d_name, id) ? lock_note(state, id) : -1;
        if (fd >= 0)
            each(context, state, id, fd);
    }
    if (directory != NULL)
        closedir(directory);
}

static void forget(void *context, const struct state *state, const char *id, int fd)
{
    char *path = note_path(state->directory, id);
    bool is_there = true;

    (void)context;
    for (size_t lane = 0; is_there; lane++) {
        char *index = running_index_path(state->directory, id, lane);
        is_there = index != NULL && unlink(index) == 0;
        free(index);
    }
    if (path != NULL)
        unlink(path);
    free(path);
    close(fd);
}

void running_forget(struct running *running)
{
    running_close(running);
    for_each_note(running->state, forget, NULL);
}

struct search {
    const struct running_wish *wish;
    char repositories[SHA256_HEX_BYTES];
    struct interrupted *found;
    off_t found_bytes;
};

/* Why it is not to be gone on with, or NULL. */
static const char *judge(const struct search *search, const struct json *note, const char *id)
{
    const char *backup = json_text(note, "backup"), *system = json_text(note, "system_identifier");
    const char *repositories = json_text(note, "repositories");
    uint64_t timeline;

    if (backup == NULL || system == NULL || repositories == NULL ||
        json_uint(note, "timeline", &timeline) != 0 || strcmp(backup, id) != 0)
        return "what is known of it is malformed";
    if (strtoull(system, NULL, 10) != search->wish->targets->system_identifier)
        return "it was of another system";
    if (timeline != search->wish->timeline)
        return "it was of another timeline";
    if (strcmp(repositories, search->repositories) != 0)
        return "it went to other repositories, or was compressed otherwise";
    return NULL;
}

static struct json *read_note(const struct state *state, const char *id)
{
    char *path = note_path(state->directory, id);
    struct buffer text = BUFFER_EMPTY;
    struct json *note = NULL;

    if (path != NULL && file_read_all(path, NOTE_MOST_BYTES, &text) == FILE_OK)
        note = document_open(text.data, text.length, NOTE_KIND, path);
    buffer_free(&text);
    free(path);
    return note;
}

static off_t index_bytes(const struct state *state, const char *id)
{
    char *path = running_index_path(state->directory, id, 0);
    struct stat status;
    off_t bytes = path != NULL && stat(path, &status) == 0 ? status.st_size : 0;

    free(path);
    return bytes;
}

static void consider(void *context, const struct state *state, const char *id, int fd)
{
    struct search *search = context;
    struct interrupted *found = search->found;
    struct json *note = read_note(state, id);
    const char *reason = note == NULL ? "what is known of it is malformed" : judge(search, note, id);
    off_t bytes = index_bytes(state, id);

    json_free(note);
    if (reason != NULL) {
        log_info("what the interrupted backup %s has stored is not taken over: %s", id, reason);
    } else if ((found->fd < 0 || bytes > search->found_bytes) &&
               search->wish->is_wanted(search->wish->context, id)) {
        if (found->fd >= 0)
            close(found->fd);
        *found = (struct interrupted){.fd = fd};
        memcpy(found->id, id, sizeof found->id);
        search->found_bytes = bytes;
        return;
    }
    close(fd);
}

void running_find(const struct state *state, const struct running_wish *wish, struct interrupted *found)
{
    struct search search = {.wish = wish, .found = found};

    *found = (struct interrupted){.fd = -1};
    if (identify_targets(wish->targets, search.repositories) == 0)
        for_each_note(state, consider, &search);
}
