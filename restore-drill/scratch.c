#include "scratch.h"

#include "common/file.h"
#include "common/log.h"
#include "common/running_server.h"
#include "common/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME "restore-drill"
#define KEPT "KEPT" /* in it: left by --keep */
#define DESCRIPTORS 32
#define REMOVE_TRIES 50 /* a tenth of a second each: somebody may still write who is about to end */

/* nftw has no context. One thread uses it. */
static uint64_t counted;
static bool is_failure_told;

static int count(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)path;
    (void)place;
    if (kind != FTW_NS)
        counted += (uint64_t)status->st_blocks * 512;
    return 0;
}

int scratch_bytes(const struct scratch *scratch, uint64_t *bytes)
{
    counted = 0;
    /* What vanishes meanwhile is no failure. */
    if (nftw(scratch->path, count, DESCRIPTORS, FTW_PHYS) != 0 && errno != ENOENT) {
        log_error("could not look through directory \"%s\": %m", scratch->path);
        return -1;
    }
    *bytes = counted;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    if (remove(path) == 0 || errno == ENOENT)
        return 0;
    if (is_failure_told)
        log_error("could not remove \"%s\": %m", path);
    return -1;
}

/* The drill has taken away the right to make links there (postgres.c). */
static void permit_links(const char *path)
{
    char *links = string_printf("%s/data/pg_tblspc", path);

    if (links != NULL)
        chmod(links, 0700);
    free(links);
}

/* Links are removed, not followed: what they lead to is in the tree, or not ours. 0, or -1 after logging. */
static int remove_tree(const char *path)
{
    permit_links(path);
    for (int try = 1; try <= REMOVE_TRIES; try++) {
        is_failure_told = try == REMOVE_TRIES;
        if (nftw(path, remove_one, DESCRIPTORS, FTW_PHYS | FTW_DEPTH) == 0 || !file_exists(path))
            return 0;
        nanosleep(&(struct timespec){0, 100 * 1000000}, NULL);
    }
    log_hint("What is left of the drill is in \"%s\"; it can be removed by hand.", path);
    return -1;
}

/* What lies in a data directory is backed up with it. 0, or -1 after logging. */
static int check_place(const char *parent)
{
    char *path = string_copy(parent);
    int result = path == NULL ? -1 : 0;

    while (result == 0 && *path != '\0') {
        char *version = path_join(path, "PG_VERSION");
        if (version == NULL || file_exists(version)) {
            if (version != NULL)
                log_error("the scratch directory \"%s\" lies in a data directory, \"%s\"", parent, path);
            result = -1;
        }
        free(version);
        *strrchr(path, '/') = '\0';
    }
    free(path);
    return result;
}

static int lock_parent(const char *parent)
{
    if (check_place(parent) != 0)
        return -1;
    if (!file_exists(parent) && file_make_directories(parent, 0700) != 0)
        return -1;
    int lock = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        log_error("could not open directory \"%s\": %m", parent);
    else if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            log_error("another drill is at work in \"%s\"", parent);
        else
            log_error("could not lock directory \"%s\": %m", parent);
        close(lock);
        lock = -1;
    }
    return lock;
}

/* Of a drill that was killed. 0, or -1 after logging. */
static int remove_leftover(const char *path)
{
    char *kept = path_join(path, KEPT), *data = path_join(path, "data");
    struct stat status;
    int64_t pid = 0;
    int result = -1;

    if (kept == NULL || data == NULL)
        goto done;
    if (lstat(path, &status) != 0) {
        result = errno == ENOENT ? 0 : -1;
        if (result != 0)
            log_error("could not stat \"%s\": %m", path);
    } else if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid())
        log_error("\"%s\" is not a directory of ours", path);
    else if (file_exists(kept)) {
        log_error("\"%s\" is what an earlier drill with --keep has left", path);
        log_hint("Remove it when it is not needed any more.");
    } else if (running_server_in(data, &pid) == RUNNING_SERVER_FOUND)
        log_error("a server still runs in \"%s\" (process %lld)", data, (long long)pid);
    else {
        log_info("removing \"%s\", which a drill that was killed has left", path);
        result = remove_tree(path);
    }
done:
    free(kept);
    free(data);
    return result;
}

int scratch_open(const char *parent, struct scratch *scratch)
{
    *scratch = (struct scratch){.parent = parent, .lock = lock_parent(parent)};
    char *path = scratch->lock < 0 ? NULL : path_join(parent, NAME);

    if (path == NULL)
        return -1;
    if (remove_leftover(path) == 0) {
        if (mkdir(path, 0700) == 0) {
            scratch->path = path;
            return 0;
        }
        log_error("could not create directory \"%s\": %m", path);
    }
    free(path);
    return -1;
}

char *scratch_save(const struct scratch *scratch, const char *file, int64_t time)
{
    char stamp[TIMESTAMP_TEXT_BYTES];

    timestamp_format_compact(time, stamp);
    char *to = string_printf("%s/" NAME "-%s.log", scratch->parent, stamp);
    if (to != NULL && rename(file, to) != 0) {
        if (errno != ENOENT)
            log_warning("could not rename \"%s\" to \"%s\": %m", file, to);
        free(to);
        to = NULL;
    }
    return to;
}

int scratch_close(struct scratch *scratch, bool is_kept)
{
    int result = 0;

    if (scratch->path != NULL && is_kept) {
        char *mark = path_join(scratch->path, KEPT);
        permit_links(scratch->path);
        result = mark == NULL ? -1 : file_replace(mark, "", 0, 0600);
        free(mark);
    } else if (scratch->path != NULL)
        result = remove_tree(scratch->path);
    free(scratch->path);
    if (scratch->lock >= 0)
        close(scratch->lock);
    *scratch = (struct scratch){.lock = -1};
    return result;
}
