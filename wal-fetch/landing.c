#include "landing.h"

#include "common/file.h"
#include "common/log.h"
#include "common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* For the signal handler: the file to be removed, or NULL. */
static const char *volatile unfinished;

static void remove_and_die(int signal_number)
{
    const char *path = unfinished;

    if (path != NULL)
        unlink(path);
    /* SA_RESETHAND restored the default action, SA_NODEFER lets it in: the process dies of the signal itself.
     */
    raise(signal_number);
    process_end_by(signal_number); /* process 1 of a container: the signal did not */
}

static void catch_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = remove_and_die, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

/* A file of our own even if another call left, or is writing, one of that name. */
static int open_named(struct landing *landing)
{
    landing->temporary = string_printf("%s.walferry", landing->path);
    if (landing->temporary == NULL)
        return -1;
    catch_signals();
    unlink(landing->temporary);
    landing->fd = open(landing->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (landing->fd < 0) {
        log_error("could not create file \"%s\": %m", landing->temporary);
        return -1;
    }
    unfinished = landing->temporary;
    return 0;
}

/* Of a call that was killed where no unnamed files were to be had, or of an earlier version. */
static void remove_leftover(const char *path)
{
    char *leftover = string_printf("%s.walferry", path);

    if (leftover != NULL)
        unlink(leftover);
    free(leftover);
}

int landing_open(const char *path, uint64_t most_bytes, struct landing *landing)
{
    char *directory = path_directory(path);
    struct stat status;

    *landing = (struct landing){.path = path, .fd = -1, .most_bytes = most_bytes};
    if (directory == NULL)
        return -1;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) { /* by hand: a link to one would be replaced */
        log_error("\"%s\" is a directory; PATH names the file to be made", path);
        free(directory);
        return -1;
    }
    landing->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (landing->fd < 0 && errno != EOPNOTSUPP && errno != EISDIR)
        log_error("could not create a file in directory \"%s\": %m", directory);
    else if (landing->fd < 0)
        open_named(landing);
    else
        remove_leftover(path);
    free(directory);
    return landing->fd < 0 ? -1 : 0;
}

int landing_lend(int fd, const char *path, uint64_t most_bytes, struct checksum *checksum,
                 struct landing *landing)
{
    *landing = (struct landing){.path = path, .fd = fd, .most_bytes = most_bytes, .checksum = checksum};
    return checksum_begin(checksum);
}

int landing_restart(struct landing *landing)
{
    landing->bytes = 0;
    landing->too_long = false;
    if (landing->checksum != NULL && checksum_begin(landing->checksum) != 0)
        return -1;
    if (ftruncate(landing->fd, 0) == 0 && lseek(landing->fd, 0, SEEK_SET) == 0)
        return 0;
    log_error("could not empty the file for \"%s\": %m", landing->path);
    return -1;
}

static int land(void *context, const void *data, size_t length)
{
    struct landing *landing = context;

    if (length > landing->most_bytes - landing->bytes) {
        landing->too_long = true; /* for the caller to say, who knows the object */
        return -1;
    }
    if (landing->bytes < sizeof landing->header) {
        size_t room = sizeof landing->header - (size_t)landing->bytes;
        memcpy(landing->header + landing->bytes, data, length < room ? length : room);
    }
    if (file_write_fully(landing->fd, data, length) != 0) {
        log_error("could not write file \"%s\": %m", landing->path);
        return -1;
    }
    if (landing->checksum != NULL)
        checksum_update(landing->checksum, data, length);
    landing->bytes += length;
    return 0;
}

struct sink landing_sink(struct landing *landing)
{
    return (struct sink){land, landing};
}

/* PostgreSQL has unlinked PATH; what is there nevertheless is replaced. */
static int link_unnamed(struct landing *landing)
{
    char descriptor[64];

    snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", landing->fd);
    for (int attempt = 0; attempt < 3; attempt++) {
        if (linkat(AT_FDCWD, descriptor, AT_FDCWD, landing->path, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (errno != EEXIST || (unlink(landing->path) != 0 && errno != ENOENT))
            break;
    }
    log_error("could not give the fetched file its name \"%s\": %m", landing->path);
    return -1;
}

/* Only if the name is still our file's: another call may have taken it. */
static int rename_named(struct landing *landing)
{
    struct stat by_fd, by_name;

    if (fstat(landing->fd, &by_fd) != 0 || stat(landing->temporary, &by_name) != 0 ||
        by_fd.st_ino != by_name.st_ino || by_fd.st_dev != by_name.st_dev) {
        log_error("another call has taken \"%s\"", landing->temporary);
        unfinished = NULL;
        return -1;
    }
    if (rename(landing->temporary, landing->path) != 0) {
        log_error("could not rename file \"%s\" to \"%s\": %m", landing->temporary, landing->path);
        return -1;
    }
    unfinished = NULL;
    return 0;
}

int landing_finish(struct landing *landing, bool durable)
{
    char *directory = NULL;
    int result = -1;

    if (durable && fsync(landing->fd) != 0) {
        log_error("could not fsync the fetched file \"%s\": %m", landing->path);
        return -1;
    }
    if ((landing->temporary == NULL ? link_unnamed(landing) : rename_named(landing)) != 0)
        return -1;
    if (!durable)
        return 0;
    directory = path_directory(landing->path);
    if (directory != NULL)
        result = file_sync_directory(directory);
    free(directory);
    return result;
}

void landing_close(struct landing *landing)
{
    if (landing->fd >= 0)
        close(landing->fd);
    landing->fd = -1;
    if (unfinished != NULL)
        unlink(unfinished);
    unfinished = NULL;
    free(landing->temporary);
    landing->temporary = NULL;
}
