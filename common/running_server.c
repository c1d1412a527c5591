#include "running_server.h"

#include "file.h"
#include "log.h"
#include "pg_control.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define FIRST_PID_NAMESPACE 0xEFFFFFFCu /* PROC_PID_INIT_INO of linux/proc_ns.h */

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* By its name, since a shell may stand in a data directory as well. */
static bool is_postgresql(int process)
{
    char name[32] = "";
    int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, name, sizeof name - 1);

    if (fd >= 0)
        close(fd);
    return length > 0 && (strncmp(name, "postgres", 8) == 0 || strncmp(name, "postmaster", 10) == 0);
}

static bool works_in(int process, const struct stat *wanted)
{
    struct stat status;

    return fstatat(process, "cwd", &status, 0) == 0 && is_same(&status, wanted);
}

static bool has_tablespace(int process, const struct stat *wanted)
{
    int fd = openat(process, "cwd/pg_tblspc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *item;
    struct stat status;
    bool found = false;

    if (directory == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (!found && (item = readdir(directory)) != NULL)
        found =
            item->d_name[0] != '.' && fstatat(fd, item->d_name, &status, 0) == 0 && is_same(&status, wanted);
    closedir(directory);
    return found;
}

static int64_t find(const char *path, bool (*is_it)(int process, const struct stat *wanted))
{
    DIR *processes = opendir("/proc");
    const struct dirent *item;
    struct stat wanted;
    int64_t found = 0;

    if (processes != NULL && stat(path, &wanted) == 0)
        while (found == 0 && (item = readdir(processes)) != NULL) {
            long long pid = strtoll(item->d_name, NULL, 10);
            int process =
                pid <= 0 ? -1 : openat(dirfd(processes), item->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (process < 0)
                continue;
            if (is_postgresql(process) && is_it(process, &wanted))
                found = pid;
            close(process);
        }
    if (processes != NULL)
        closedir(processes);
    return found;
}

/* What the process that postmaster.pid names tells. */
static bool is_named_process(const char *data_directory, int64_t pid)
{
    char link[64];
    struct stat status, directory;

    snprintf(link, sizeof link, "/proc/%lld/cwd", (long long)pid);
    if (stat(link, &status) == 0) /* whatever its name is */
        return stat(data_directory, &directory) == 0 && is_same(&status, &directory);
    /* One that does not let itself be looked at; but a stale file may name a process that has nothing to do
     * with it, which is then one of another user. */
    return errno != ENOENT && kill((pid_t)pid, 0) == 0;
}

/* Every process of a server is attached to its segment, which outlives a crash; in a pod the containers see
 * one another's. An id is used again elsewhere and after a boot, so a segment that was there before the
 * server began is not its own. */
static enum running_server ask_memory(const char *data_directory, int64_t started)
{
    struct shmid_ds segment;
    uint32_t key;
    int id;

    if (!postmaster_read_memory(data_directory, &key, &id) || shmctl(id, IPC_STAT, &segment) != 0 ||
        (uint32_t)segment.shm_perm.__key != key)
        return RUNNING_SERVER_UNKNOWN;
    if (segment.shm_nattch > 0)
        return RUNNING_SERVER_FOUND;
    return segment.shm_ctime >= started ? RUNNING_SERVER_NONE : RUNNING_SERVER_UNKNOWN;
}

/* From the first PID namespace, which holds all others, on a file system that no other machine writes to. */
static bool would_be_seen(const char *data_directory)
{
    struct stat status;
    int fd = open(data_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_own = fd >= 0 && file_is_on_own_device(fd);

    if (fd >= 0)
        close(fd);
    return is_own && stat("/proc/self/ns/pid", &status) == 0 && status.st_ino == FIRST_PID_NAMESPACE;
}

enum running_server running_server_named(const char *data_directory, int64_t *pid)
{
    int64_t started;
    char *path;

    if (!postmaster_read(data_directory, pid, &started)) {
        path = path_join(data_directory, "postmaster.pid");
        bool is_there = path == NULL || file_exists(path);
        free(path);
        *pid = 0;
        return is_there ? RUNNING_SERVER_UNKNOWN : RUNNING_SERVER_NONE;
    }
    *pid = *pid < 0 ? -*pid : *pid; /* a single-user backend writes it so */
    if (is_named_process(data_directory, *pid))
        return RUNNING_SERVER_FOUND;
    enum running_server asked = ask_memory(data_directory, started);
    return asked == RUNNING_SERVER_UNKNOWN && would_be_seen(data_directory) ? RUNNING_SERVER_NONE : asked;
}

enum running_server running_server_in(const char *data_directory, int64_t *pid)
{
    *pid = find(data_directory, works_in);
    return *pid != 0 ? RUNNING_SERVER_FOUND : running_server_named(data_directory, pid);
}

void running_server_tell_unknown(const char *data_directory, int64_t pid)
{
    if (pid != 0)
        log_error("whether a server runs in \"%s\" can't be told: its postmaster.pid names process %" PRId64
                  ", which may be one of another container or machine",
                  data_directory, pid);
    else
        log_error("whether a server runs in \"%s\" can't be told: its postmaster.pid names no process",
                  data_directory);
    log_hint("Make sure that none does, on no machine and in no container that has this directory; then "
             "remove postmaster.pid, and run the same command again.");
}

int64_t running_server_with_tablespace(const char *directory)
{
    return find(directory, has_tablespace);
}
