#include "restore_former.h"

#include "common/file.h"
#include "common/log.h"
#include "common/pg_control.h"
#include "common/running_server.h"
#include "restore_marker.h"
#include "restore_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define CONTROL_NAME (&RESTORE_CONTROL[sizeof "global/" - 1])
#define CONTROL_NAME_TEMPORARY (&RESTORE_CONTROL_TEMPORARY[sizeof "global/" - 1])
#define OPTIONS_MOST_BYTES (1024 * 1024) /* of postmaster.opts */

/* Looking */

int restore_look_into(const char *path, char found[NAME_MAX + 1])
{
    DIR *directory = opendir(path);
    const struct dirent *item;

    found[0] = '\0';
    if (directory == NULL && errno == ENOENT)
        return 0;
    if (directory == NULL) {
        log_error("could not open directory \"%s\": %m", path);
        return -1;
    }
    while (found[0] == '\0' && (errno = 0, item = readdir(directory)) != NULL)
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0 &&
            !restore_marker_is_leftover(item->d_name))
            snprintf(found, NAME_MAX + 1, "%s", item->d_name);
    int error = found[0] == '\0' ? errno : 0;
    closedir(directory);
    if (error == 0)
        return 0;
    errno = error;
    log_error("could not read directory \"%s\": %m", path);
    return -1;
}

void restore_hint_mount_point(const char *found, const char *hint)
{
    if (strcmp(found, "lost+found") == 0)
        log_hint("It contains lost+found, so it is a mount point: use a directory below it.");
    else
        log_hint("%s", hint);
}

bool former_has_written(const struct former *former)
{
    return former->kind == FORMER_HALF_DONE && restore_marker_is_past_wal(former->path);
}

/* pg_control under the name that it has while a restore is at work: the former one's, or the backup's. 0; 1
 * if there is none that can be read. */
static int read_renamed_control(const char *directory, uint64_t *system_identifier)
{
    struct buffer file = BUFFER_EMPTY;
    struct pg_control control;
    char *path = path_join(directory, RESTORE_CONTROL_TEMPORARY);
    int result = 1;

    if (path != NULL && file_exists(path) && file_read_all(path, OPTIONS_MOST_BYTES, &file) == FILE_OK &&
        pg_control_parse(file.data, file.length, &control) == NULL) {
        *system_identifier = control.system_identifier;
        result = 0;
    }
    buffer_free(&file);
    free(path);
    return result;
}

/* A link would lead to somebody else's. 0; 1 if there is none; -1 after logging. */
static int read_control(const char *directory, struct pg_control *control)
{
    struct stat status;
    char *global = path_join(directory, "global");
    bool is_link = global != NULL && lstat(global, &status) == 0 && S_ISLNK(status.st_mode);

    free(global);
    return global == NULL ? -1 : is_link ? 1 : pg_control_read(directory, control, NULL);
}

/* What is not empty. found: something that is in it. 0, or -1 after logging. */
static int recognize(struct former *former, const char *found)
{
    struct pg_control control;
    int read = read_control(former->path, &control);

    if (read == 0) {
        former->kind = FORMER_CLUSTER;
        former->system_identifier = control.system_identifier;
        return 0;
    }
    former->kind = FORMER_HALF_DONE;
    if (read > 0)
        read = restore_marker_read_system(former->path, &former->system_identifier);
    if (read > 0)
        read = read_renamed_control(former->path, &former->system_identifier);
    if (read > 0)
        log_error("directory \"%s\" is neither empty nor a data directory of PostgreSQL: there is \"%s\"",
                  former->path, found);
    if (read != 0)
        restore_hint_mount_point(found,
                                 "Whose cluster it is can't be told, so nothing is removed in it. Move it "
                                 "away, or choose another directory with -D.");
    return read == 0 ? 0 : -1;
}

static void hint_delta(const struct former *former, const char *found)
{
    char *marker = path_join(former->path, RESTORE_MARKER);
    char *control = path_join(former->path, RESTORE_CONTROL);

    if (marker != NULL && file_exists(marker))
        log_hint("A restore was interrupted there: the same command with --delta goes on with it.");
    else if (control != NULL && file_exists(control))
        log_hint("Remove it or move it away, choose another directory with -D, or let --delta replace only "
                 "what is not as in the backup.");
    else
        restore_hint_mount_point(found, "Remove it or move it away, or choose another directory with -D.");
    free(marker);
    free(control);
}

/* 0, or -1 after logging. */
static int refuse_running(const char *path)
{
    int64_t pid;
    enum running_server running = running_server_in(path, &pid);

    if (running == RUNNING_SERVER_NONE)
        return 0;
    if (running == RUNNING_SERVER_FOUND) {
        log_error("directory \"%s\" is in use by process %" PRId64 ", a server", path, pid);
        log_hint("Stop that server before its directory is restored.");
        return -1;
    }
    running_server_tell_unknown(path, pid);
    return -1;
}

int former_look(const char *path, bool is_delta, struct former *former)
{
    char found[NAME_MAX + 1];
    int64_t pid, started;

    *former = (struct former){FORMER_NOTHING, 0, path};
    if (is_delta && refuse_running(path) != 0)
        return -1;
    if (!is_delta && postmaster_read(path, &pid, &started)) {
        log_error("directory \"%s\" is in use: its postmaster.pid names process %lld", path, (long long)pid);
        log_hint("Restore into another directory, or stop that server and move its directory away.");
        return -1;
    }
    if (restore_look_into(path, found) != 0)
        return -1;
    if (found[0] == '\0')
        return 0;
    if (is_delta)
        return recognize(former, found);
    log_error("directory \"%s\" exists but is not empty: there is \"%s\"", path, found);
    hint_delta(former, found);
    return -1;
}

int former_check_system(const struct former *former, const struct backup *backup)
{
    if (former->kind == FORMER_NOTHING || former->system_identifier == backup->system_identifier)
        return 0;
    log_error("\"%s\" belongs to another cluster: its system identifier is %" PRIu64
              ", that of backup %s is %" PRIu64,
              former->path, former->system_identifier, backup->id, backup->system_identifier);
    log_hint("Nothing of that one is removed: choose an empty directory with -D.");
    return -1;
}

/* Does a link in this data directory's pg_tblspc lead there? */
static bool links_to(const char *data_directory, const char *directory)
{
    char *links = path_join(data_directory, "pg_tblspc");
    DIR *open = links == NULL ? NULL : opendir(links);
    const struct dirent *item;
    struct stat wanted, status;
    bool found = false;

    if (open != NULL && stat(directory, &wanted) == 0)
        while (!found && (item = readdir(open)) != NULL)
            found = item->d_name[0] != '.' && fstatat(dirfd(open), item->d_name, &status, 0) == 0 &&
                    status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino;
    if (open != NULL)
        closedir(open);
    free(links);
    return found;
}

bool former_has_tablespace(const struct former *former, const char *directory)
{
    return (former->kind != FORMER_NOTHING && links_to(former->path, directory)) ||
           (former->kind == FORMER_HALF_DONE && restore_marker_has_place(former->path, directory));
}

/* The data directory with which the last server of this one was started, if that was another: so it is a
 * copy, or was moved. Caller frees; NULL: not known, or the same. */
static char *find_original(const char *data_directory)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = path_join(data_directory, "postmaster.opts"), *original = NULL;
    struct stat status, other;

    if (path != NULL && file_exists(path) && file_read_all(path, OPTIONS_MOST_BYTES, &text) == FILE_OK) {
        const char *option = strstr(buffer_string(&text), " \"-D"); /* "-D" "DIR", or "-DDIR" */
        option = option == NULL ? "" : option + strlen(" \"-D");
        option += strncmp(option, "\" \"", 3) == 0 ? 3 : 0;
        if (*option == '/')
            original = string_printf("%.*s", (int)strcspn(option, "\""), option);
    }
    if (original != NULL && (stat(data_directory, &status) != 0 || stat(original, &other) != 0 ||
                             (status.st_dev == other.st_dev && status.st_ino == other.st_ino))) {
        free(original);
        original = NULL;
    }
    buffer_free(&text);
    free(path);
    return original;
}

int former_check_tablespace(const char *data_directory, const char *directory)
{
    int64_t pid = running_server_with_tablespace(directory);
    char *original = pid != 0 ? NULL : find_original(data_directory);
    bool is_shared = original != NULL && links_to(original, directory);

    if (pid != 0)
        log_error("tablespace directory \"%s\" is in use by process %" PRId64
                  ", a server of another directory",
                  directory, pid);
    else if (is_shared)
        log_error("tablespace directory \"%s\" belongs to the cluster in \"%s\" as well, of which \"%s\" is "
                  "a copy",
                  directory, original, data_directory);
    if (pid != 0 || is_shared)
        log_hint(
            "Choose a new place for it with -T, or, if the backup does not have that tablespace, remove the "
            "link to it in \"%s/pg_tblspc\".",
            data_directory);
    free(original);
    return pid != 0 || is_shared ? -1 : 0;
}

/* Beginning and end */

/* Not through a link, and so that a file in it can be renamed. -1 with errno set. */
static int open_global(const struct restore_places *places)
{
    int fd = openat(places->items[0].fd, "global", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & S_IRWXU) != S_IRWXU)
        fchmod(fd, (status.st_mode & 07777) | S_IRWXU);
    return fd;
}

/* 1; 0 where there is none; -1 after logging. */
static int take_name(int global, const struct restore_places *places)
{
    if (renameat(global, CONTROL_NAME, global, CONTROL_NAME_TEMPORARY) == 0) {
        if (fsync(global) == 0)
            return 1;
        log_error("could not write directory \"%s/global\" to disk: %m", places->items[0].path);
        renameat(global, CONTROL_NAME_TEMPORARY, global, CONTROL_NAME);
        return -1;
    }
    if (errno == ENOENT)
        return 0;
    log_error("could not rename file \"%s/" RESTORE_CONTROL "\": %m", places->items[0].path);
    return -1;
}

/* What was looked at before the lock was held may have been changed by another restore, or by anybody. */
static int look_again(const struct restore_places *places, const struct former *former)
{
    struct former now;
    char found[NAME_MAX + 1];

    if (former_look(former->path, former->kind != FORMER_NOTHING, &now) != 0)
        return -1;
    if (now.kind != former->kind || now.system_identifier != former->system_identifier) {
        log_error("directory \"%s\" has been changed since it was looked at", former->path);
        log_hint("If nobody else works there, run the same command again.");
        return -1;
    }
    for (size_t i = 1; i < places->count; i++) {
        const struct restore_place *place = &places->items[i];
        if ((places->is_delta && restore_place_is_external(places, place)) ||
            former_has_tablespace(former, place->path))
            continue;
        if (restore_look_into(place->path, found) != 0)
            return -1;
        if (found[0] != '\0') {
            log_error("directory \"%s\" is not empty any more: there is \"%s\"", place->path, found);
            return -1;
        }
    }
    return 0;
}

int former_lock(const struct restore_places *places, const struct former *former)
{
    for (size_t i = 0; i < places->count; i++)
        if (flock(places->items[i].fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            log_error("another restore is at work in \"%s\"", places->items[i].path);
            return -1;
        }
    return look_again(places, former);
}

static void give_name_back(int global, const struct restore_places *places)
{
    if (renameat(global, CONTROL_NAME_TEMPORARY, global, CONTROL_NAME) != 0)
        log_error("could not rename file \"%s/" RESTORE_CONTROL_TEMPORARY "\" again: %m",
                  places->items[0].path);
    else
        unlinkat(places->items[0].fd, RESTORE_MARKER, 0);
}

int former_begin(const struct restore_places *places, const struct backup *backup, const char *aside)
{
    int global = open_global(places), taken = 0, result;

    if (global >= 0)
        taken = take_name(global, places);
    result = taken < 0 ? -1 : restore_marker_put(places, backup, aside);
    if (result == 0 && taken == 1)
        result = refuse_running(places->items[0].path); /* one may have read pg_control just before */
    if (result != 0 && taken == 1) /* nothing was touched, so it may go on as what it was */
        give_name_back(global, places);
    if (global >= 0)
        close(global);
    return result;
}

void former_give_back(const struct restore_places *places, const struct former *former)
{
    int global = former->kind == FORMER_CLUSTER ? open_global(places) : -1;

    if (global < 0)
        return;
    give_name_back(global, places);
    close(global);
}
