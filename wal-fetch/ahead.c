#include "ahead.h"

#include "read_ahead.h"

#include "common/buffer.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES (256u * 1024)
#define LAST "handed-over" /* in state_dir: what was handed over last, while nobody reads ahead */

/* Which recovery, of which place, out of which repositories. */
static char *identity(const struct ahead *ahead, const struct stat *data_directory)
{
    const struct situation *situation = ahead->situation;
    const struct config *config = ahead->config;
    struct buffer text = BUFFER_EMPTY;
    int failed = buffer_printf(&text, "%" PRIu64 "\n%s\n%ju %ju\n%" PRId64 " %" PRId64 "\n",
                               situation->control.system_identifier, ahead->data_directory,
                               (uintmax_t)data_directory->st_dev, (uintmax_t)data_directory->st_ino,
                               situation->postmaster_pid, situation->postmaster_started);

    for (size_t i = 0; failed == 0 && i < config->repository_count; i++)
        failed = state_identity(config, &config->repositories[i], &text);
    if (failed == 0)
        return (char *)text.data;
    buffer_free(&text);
    return NULL;
}

static bool find_name(struct ahead *ahead)
{
    unsigned char digest[CHECKSUM_BYTES];
    char hex[17];
    struct stat status;
    char *text;

    ahead->data_directory = realpath(ahead->situation->data_directory, NULL);
    if (ahead->data_directory == NULL || stat(ahead->data_directory, &status) != 0)
        return false;
    ahead->owner = (struct ahead_owner){ahead->situation->postmaster_pid,
                                        ahead->situation->postmaster_started, ahead->data_directory};
    text = identity(ahead, &status);
    if (text == NULL)
        return false;
    checksum_of(text, strlen(text), digest);
    hex_encode(digest, 8, hex);
    snprintf(ahead->name, sizeof ahead->name, "ahead-%s", hex);
    free(text);
    return true;
}

/* The helper has another working directory. */
static bool paths_are_absolute(const struct config *config)
{
    for (size_t i = 0; i < config->repository_count; i++) {
        const struct repository_config *repository = &config->repositories[i];
        const char *const paths[] = {repository->ca_file, repository->credentials_file,
                                     repository->web_identity_token_file};
        for (size_t j = 0; j < sizeof paths / sizeof paths[0]; j++)
            if (paths[j] != NULL && *paths[j] != '/')
                return false;
    }
    return true;
}

static unsigned count_segments(const struct ahead *ahead)
{
    const struct situation *situation = ahead->situation;
    uint64_t count = ahead->config->wal_fetch_read_ahead_bytes / situation->control.segment_bytes;

    if (situation->parsed.kind != WAL_SEGMENT ||
        (situation->caller != CALLER_RECOVERY && situation->caller != CALLER_STANDBY) ||
        !paths_are_absolute(ahead->config))
        return 0;
    return count > READ_AHEAD_SEGMENTS_MOST ? READ_AHEAD_SEGMENTS_MOST : (unsigned)count;
}

/* Asked by a server that runs, for what it will replay; or when that is over. */
static bool concerns(const struct situation *situation)
{
    const char *name = path_name(situation->path);

    if (situation->postmaster_pid <= 0 || (kill((pid_t)situation->postmaster_pid, 0) != 0 && errno != EPERM))
        return false;
    return situation->caller == CALLER_SWITCH ||
           (situation->parsed.kind == WAL_SEGMENT && strcmp(name, "RECOVERYXLOG") == 0);
}

void ahead_open(const struct config *config, const struct state *state, const char *end_at,
                struct situation *situation, struct ahead *ahead)
{
    *ahead = (struct ahead){.config = config,
                            .state = state,
                            .situation = situation,
                            .end_at = end_at,
                            .directory = -1,
                            .fd = -1,
                            .part = -1};
    if (state->directory == NULL || !concerns(situation) || !find_name(ahead))
        return;
    ahead->segments = count_segments(ahead);
    ahead->directory = ahead_directory_open(state->directory, ahead->name, false);
}

/* Taking */

/* Reads all of the file; its bytes go to copy, too, if that is not NULL. True if it is what its name says. */
static bool verify(const struct ahead *ahead, int fd, const struct sink *copy)
{
    const struct situation *situation = ahead->situation;
    const uint64_t bytes = situation->control.segment_bytes;
    unsigned char *chunk = malloc(CHUNK_BYTES), digest[CHECKSUM_BYTES];
    struct checksum checksum = {NULL};
    struct wal_page page;
    struct stat status;
    bool good = chunk != NULL && checksum_begin(&checksum) == 0 && fstat(fd, &status) == 0 &&
                S_ISREG(status.st_mode) && (uint64_t)status.st_size == bytes;

    for (uint64_t offset = 0; good && offset < bytes; offset += CHUNK_BYTES) {
        size_t length = bytes - offset < CHUNK_BYTES ? (size_t)(bytes - offset) : CHUNK_BYTES;
        good = file_pread_fully(fd, chunk, length, offset) == 0 &&
               (offset > 0 || situation_fits_page(situation, chunk, &page)) &&
               (copy == NULL || sink_write(copy, chunk, length) == 0);
        if (good)
            checksum_update(&checksum, chunk, length);
    }
    if (good) {
        checksum_digest(&checksum, digest);
        good = memcmp(digest, ahead->file.checksum, CHECKSUM_BYTES) == 0;
    }
    checksum_free(&checksum);
    free(chunk);
    return good;
}

/* Into the landing, verified on the way: a name can be given on the same file system only. */
static bool copy(const struct ahead *ahead, int fd, struct landing *landing)
{
    struct sink sink = landing_sink(landing);

    if (landing_open(ahead->situation->path, ahead->situation->control.segment_bytes, landing) == 0 &&
        verify(ahead, fd, &sink))
        return true;
    landing_close(landing);
    return false;
}

static bool is_elsewhere(const struct ahead *ahead, int fd)
{
    struct stat file, target;

    return fstat(fd, &file) == 0 && stat(ahead->situation->directory, &target) == 0 &&
           file.st_dev != target.st_dev;
}

static bool take_file(struct ahead *ahead, struct landing *landing)
{
    int fd = openat(ahead->directory, ahead->file.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool copies = is_elsewhere(ahead, fd),
         taken = copies ? copy(ahead, fd, landing) : verify(ahead, fd, NULL);
    if (taken && !copies) {
        ahead->fd = fd;
        return true;
    }
    close(fd);
    if (!taken)
        log_warning("what was read ahead of \"%s\" cannot be used: it is fetched anew",
                    ahead->situation->name);
    unlinkat(ahead->directory, ahead->file.name, 0);
    return taken;
}

static enum ahead_wait wait_for_it(const struct ahead *ahead)
{
    struct situation *situation = ahead->situation;
    const int64_t began = monotonic_now();
    enum ahead_wait result =
        ahead_part_wait(ahead->directory, situation->name, began + (situation->deadline - began) / 2);

    if (situation->caller == CALLER_RECOVERY)
        situation->deadline += monotonic_now() - began;
    if (result == AHEAD_LATE) {
        log_debug("reading ahead has not brought \"%s\" in time: it is ended", situation->name);
        ahead_position_forget(ahead->directory);
    }
    return result;
}

/* So that a helper, which may be about to fetch it, does not. False when it is being fetched already. */
static bool claim(struct ahead *ahead)
{
    bool is_taken = false;
    int lock = ahead_lock(ahead->directory);

    if (lock < 0)
        ahead->part = ahead_part_begin(ahead->directory, ahead->situation->name, &is_taken);
    else
        close(lock); /* there is none */
    return !is_taken;
}

bool ahead_take(struct ahead *ahead, struct landing *landing)
{
    if (ahead->segments == 0 || ahead->directory < 0)
        return false;
    for (int attempt = 0; attempt < 5; attempt++) {
        if (ahead_file_find(ahead->directory, ahead->situation->name, &ahead->file))
            return take_file(ahead, landing);
        enum ahead_wait result = wait_for_it(ahead);
        if (result == AHEAD_LATE)
            break;
        if (result == AHEAD_NONE && attempt > 0 && claim(ahead))
            break; /* the first time it may have been finished between the two looks */
    }
    return false;
}

/* Where renaming fails it is copied after all: two mounts of one device look like one file system; and a
 * helper that ends just now removes the name. */
int ahead_finish(struct ahead *ahead, struct landing *landing)
{
    int result = 0;

    if (ahead->fd < 0)
        result = landing_finish(landing, false);
    else if (renameat(ahead->directory, ahead->file.name, AT_FDCWD, ahead->situation->path) != 0)
        result = copy(ahead, ahead->fd, landing) ? landing_finish(landing, false) : -1;
    if (result == 0)
        log_debug("\"%s\" was read ahead", ahead->situation->name);
    else
        log_error("could not put what was read ahead in place as \"%s\"", ahead->situation->path);
    return result;
}

/* Going on */

/* Is this segment the one behind that? */
static bool follows(const struct situation *situation, const char *before)
{
    const uint32_t segment_bytes = situation->control.segment_bytes;
    struct wal_name parsed = wal_name_parse(before);
    uint64_t number, number_before;

    return parsed.kind == WAL_SEGMENT && wal_segment_number(&situation->parsed, segment_bytes, &number) &&
           wal_segment_number(&parsed, segment_bytes, &number_before) && number == number_before + 1 &&
           parsed.timeline <= situation->parsed.timeline;
}

/* Was the segment before this one handed over to the same recovery, not long ago, and nothing asked for in
 * vain since? A standby at the end of the archive asks in vain between two segments. If not, this one is
 * remembered: "<recovery> <segment>", of one recovery in a state_dir. */
static bool is_second_in_a_row(const struct ahead *ahead)
{
    struct buffer text = BUFFER_EMPTY;
    size_t length = strlen(ahead->name);
    int64_t age;
    bool is_second = state_read(ahead->state, LAST, &text, &age) == 0 && age <= READ_AHEAD_IDLE_SECONDS &&
                     text.length > length && strncmp(buffer_string(&text), ahead->name, length) == 0 &&
                     text.data[length] == ' ' && follows(ahead->situation, buffer_string(&text) + length + 1);

    buffer_clear(&text);
    if (is_second)
        state_forget(ahead->state, LAST);
    else if (buffer_printf(&text, "%s %s", ahead->name, ahead->situation->name) == 0)
        state_write(ahead->state, LAST, text.data, text.length);
    buffer_free(&text);
    return is_second;
}

static void release(struct ahead *ahead)
{
    if (ahead->part < 0)
        return;
    ahead_part_give_up(ahead->directory, ahead->situation->name);
    close(ahead->part);
    ahead->part = -1;
}

static void leave_directory(struct ahead *ahead)
{
    if (ahead->directory < 0)
        return;
    release(ahead);
    ahead_position_forget(ahead->directory);
    ahead_directory_drop(ahead->state->directory, ahead->name);
    close(ahead->directory);
    ahead->directory = -1;
}

/* True when a helper that is at work there knows now, or another one may take its place. */
static bool go_on_there(struct ahead *ahead, bool *is_alone)
{
    char before[WAL_SEGMENT_NAME_BYTES];
    bool goes_on = ahead->directory >= 0 && ahead_position_read(ahead->directory, before) &&
                   ahead_position_write(ahead->directory, ahead->situation->name, &ahead->owner);
    int lock = goes_on ? ahead_lock(ahead->directory) : -1;

    *is_alone = lock >= 0; /* it was killed */
    if (lock >= 0) {
        close(lock);
        goes_on = follows(ahead->situation, before);
    }
    release(ahead);
    return goes_on;
}

static void start(struct ahead *ahead)
{
    bool started = false;

    if (ahead->directory < 0)
        ahead->directory = ahead_directory_open(ahead->state->directory, ahead->name, true);
    if (ahead->directory < 0)
        return;
    int lock = ahead_lock(ahead->directory);
    if (lock < 0)
        return;
    if (ahead_position_write(ahead->directory, ahead->situation->name, &ahead->owner))
        started = read_ahead_start(ahead, lock);
    close(lock);
    if (!started)
        leave_directory(ahead);
}

void ahead_found(struct ahead *ahead)
{
    bool is_alone = false;

    if (ahead->segments == 0) {
        ahead_over(ahead);
    } else if (go_on_there(ahead, &is_alone)) {
        if (is_alone)
            start(ahead);
    } else {
        leave_directory(ahead);
        if (is_second_in_a_row(ahead))
            start(ahead);
    }
}

void ahead_over(struct ahead *ahead)
{
    if (*ahead->name == '\0')
        return;
    leave_directory(ahead);
    state_forget(ahead->state, LAST);
}

void ahead_close(struct ahead *ahead)
{
    if (ahead->fd >= 0)
        close(ahead->fd);
    if (ahead->directory >= 0)
        close(ahead->directory);
    ahead->fd = ahead->directory = -1;
    free(ahead->data_directory);
    ahead->data_directory = NULL;
}
