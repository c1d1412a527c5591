#include "state.h"

#include "digest.h"
#include "file.h"
#include "log.h"
#include "timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STATE_MOST_BYTES (1024 * 1024)
#define LOCK_PAUSE_MILLISECONDS 50

static bool is_ours_alone(const char *directory)
{
    struct stat status;

    return lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

void state_open(const struct config *config, struct state *state)
{
    state_open_directory(config->state_dir, state);
}

void state_open_directory(const char *directory, struct state *state)
{
    state->directory = NULL;
    if (directory == NULL)
        return;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        log_debug("could not create state directory \"%s\": %m; nothing is remembered between calls",
                  directory);
        return;
    }
    if (!is_ours_alone(directory)) {
        log_debug("state directory \"%s\" is not this user's alone (mode 0700): it is not used", directory);
        return;
    }
    state->directory = string_copy(directory);
}

void state_open_existing(const struct config *config, struct state *state)
{
    const bool is_there = config->state_dir != NULL && file_exists(config->state_dir);

    state_open_directory(is_there ? config->state_dir : NULL, state);
}

void state_close(struct state *state)
{
    free(state->directory);
    state->directory = NULL;
}

int state_identity(const struct config *config, const struct repository_config *repository,
                   struct buffer *out)
{
    if (buffer_printf(out, "%s\n%s\n%s\n%s\n", config->cluster_name, repository->url,
                      repository->endpoint == NULL ? "" : repository->endpoint,
                      repository->region == NULL ? "" : repository->region) != 0)
        return -1;
    return repository->s3.as_of == 0 ? 0 : buffer_printf(out, "as of %" PRId64 "\n", repository->s3.as_of);
}

char *state_name(const char *kind, const struct config *config, const struct repository_config *repository)
{
    unsigned char digest[SHA256_BYTES];
    char hex[17];
    char *name = NULL;
    struct buffer identity = BUFFER_EMPTY;

    if (state_identity(config, repository, &identity) == 0 &&
        sha256_of(identity.data, identity.length, digest) == 0) {
        hex_encode(digest, 8, hex);
        name = string_printf("%s-%s.json", kind, hex);
    }
    buffer_free(&identity);
    return name;
}

static int read_kept(const struct state *state, const char *name, struct buffer *out, int64_t *age_seconds,
                     bool of_any_age)
{
    struct stat status;
    int result = 1;

    if (state == NULL || state->directory == NULL)
        return 1;
    char *path = path_join(state->directory, name);
    if (path == NULL)
        return 1;
    if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid()) {
        /* not time(): that lags behind the clock of the file system */
        *age_seconds = timestamp_now() / 1000000 - (int64_t)status.st_mtime;
        if ((of_any_age || *age_seconds >= 0) && file_read_all(path, STATE_MOST_BYTES, out) == FILE_OK)
            result = 0;
    }
    free(path);
    return result;
}

int state_read(const struct state *state, const char *name, struct buffer *out, int64_t *age_seconds)
{
    return read_kept(state, name, out, age_seconds, false);
}

int state_read_of_any_age(const struct state *state, const char *name, struct buffer *out)
{
    int64_t ignored;

    return read_kept(state, name, out, &ignored, true);
}

int state_read_secret(const struct state *state, const char *name, struct buffer *out)
{
    struct stat status;
    int fd = -1, result = 1;

    if (state == NULL || state->directory == NULL)
        return 1;
    char *path = path_join(state->directory, name);
    if (path != NULL)
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
        (status.st_mode & (S_IRWXG | S_IRWXO)) == 0 && status.st_size > 0 &&
        status.st_size <= STATE_MOST_BYTES && buffer_reserve(out, (size_t)status.st_size) == 0 &&
        file_pread_fully(fd, out->data + out->length, (size_t)status.st_size, 0) == 0) {
        out->length += (size_t)status.st_size;
        out->data[out->length] = '\0';
        result = 0;
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return result;
}

static FILE *create_private(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (fd >= 0 && file == NULL)
        close(fd);
    return file;
}

/* No fsync: what is lost or torn here is found out by whoever reads it, and asked for again. */
void state_write(const struct state *state, const char *name, const void *data, size_t length)
{
    char *path = NULL, *temporary = NULL;

    if (state == NULL || state->directory == NULL)
        return;
    path = path_join(state->directory, name);
    temporary =
        path == NULL ? NULL : string_printf("%s/.%s.%ld.walferry", state->directory, name, (long)gettid());
    if (temporary == NULL)
        goto done;
    FILE *file = create_private(temporary);
    if (file == NULL && errno == EEXIST && unlink(temporary) == 0)
        file = create_private(temporary);
    if (file == NULL) {
        log_debug("could not create file \"%s\": %m", temporary);
        goto done;
    }
    bool written = fwrite(data, 1, length, file) == length;
    if (fclose(file) != 0 || !written || rename(temporary, path) != 0) {
        log_debug("could not write file \"%s\": %m", path);
        unlink(temporary);
    }
done:
    free(path);
    free(temporary);
}

int state_keep(const struct state *state, const char *name, const void *data, size_t length)
{
    char *path;
    int result;

    if (state == NULL || state->directory == NULL)
        return 0;
    path = path_join(state->directory, name);
    result = path == NULL ? -1 : file_replace(path, data, length, 0600);
    free(path);
    return result;
}

void state_forget(const struct state *state, const char *name)
{
    if (state == NULL || state->directory == NULL)
        return;
    char *path = path_join(state->directory, name);
    if (path != NULL)
        unlink(path);
    free(path);
}

bool state_forget_anywhere(const struct config *config, const char *name)
{
    int directory;
    bool is_gone;

    if (config->state_dir == NULL)
        return true;
    directory = open(config->state_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return errno == ENOENT;
    is_gone = unlinkat(directory, name, 0) == 0 || errno == ENOENT;
    close(directory);
    return is_gone;
}

int state_lock(const struct state *state, const char *name, unsigned milliseconds)
{
    const struct timespec pause = {0, LOCK_PAUSE_MILLISECONDS * 1000000};
    char *path = state == NULL || state->directory == NULL ? NULL : path_join(state->directory, name);
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    for (unsigned waited = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0;
         waited += LOCK_PAUSE_MILLISECONDS) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= milliseconds) {
            int saved_errno = errno;
            close(fd);
            fd = -1;
            errno = saved_errno;
        } else {
            nanosleep(&pause, NULL);
        }
    }
    free(path);
    return fd;
}
