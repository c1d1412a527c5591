#include "restore_wal.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/wal.h"
#include "file_hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct looking {
    struct repository *repository;
    const struct backup *backup;
    struct path_set *wanted; /* NULL: all is looked at */
    const char *path;        /* of pg_wal */
    char (*names)[WAL_NAME_BYTES];
    size_t count, capacity;
};

static int add_name(struct looking *looking, const char *name)
{
    enum wal_kind kind = wal_name_parse(name).kind;

    if (kind != WAL_SEGMENT && kind != WAL_PARTIAL && kind != WAL_HISTORY)
        return 0;
    if (looking->count == looking->capacity) {
        size_t capacity = looking->capacity == 0 ? 64 : 2 * looking->capacity;
        char(*names)[WAL_NAME_BYTES] = realloc(looking->names, capacity * sizeof *names);
        if (names == NULL)
            return log_out_of_memory();
        looking->names = names;
        looking->capacity = capacity;
    }
    snprintf(looking->names[looking->count++], WAL_NAME_BYTES, "%.*s", WAL_NAME_BYTES - 1, name);
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(b, a);
}

/* The newest first: the segment that the server was writing is the one that is mostly missing. */
static int list_names(struct looking *looking)
{
    DIR *directory = opendir(looking->path);
    const struct dirent *item;
    int result = directory == NULL ? -1 : 0;

    while (result == 0 && (errno = 0, item = readdir(directory)) != NULL)
        if (add_name(looking, item->d_name) != 0)
            goto done;
    if (result != 0 || errno != 0) {
        log_error("could not read directory \"%s\": %m", looking->path);
        result = -1;
    } else if (looking->count > 0) {
        qsort(looking->names, looking->count, WAL_NAME_BYTES, compare_names);
    }
done:
    if (directory != NULL)
        closedir(directory);
    return result;
}

/* A segment that was renamed for later use still holds what it was before. Its size is what its own header
 * says: pg_resetwal may have given the cluster another one than the backup has. */
static bool is_recycled(const char *name, int fd)
{
    unsigned char header[WAL_LONG_HEADER_BYTES];
    struct wal_name parsed = wal_name_parse(name);
    struct wal_page page;
    uint64_t number;

    if (parsed.kind != WAL_SEGMENT || file_pread_fully(fd, header, sizeof header, 0) != 0)
        return false;
    if (!wal_page_parse(header, sizeof header, &page))
        return true;
    return wal_segment_number(&parsed, page.segment_bytes, &number) &&
           page.address != number * page.segment_bytes;
}

/* 1: the repository has it, or nobody needs it; 0: not; -1 after logging. */
static int compare_with_repository(const struct looking *looking, const char *name, int fd)
{
    unsigned char sha256[SHA256_BYTES];
    struct object_facts facts;
    char *key = repository_wal_key(looking->repository, looking->backup->system_identifier, name);
    int result = -1;

    if (key == NULL)
        return -1;
    if (file_hash(fd, 0, UINT64_MAX, sha256) != 0) {
        log_error("could not read file \"%s/%s\": %m", looking->path, name);
    } else {
        enum repository_result got = repository_get_facts(looking->repository, key, NULL, &facts);
        if (got == REPOSITORY_OK)
            result = memcmp(facts.sha256, sha256, SHA256_BYTES) == 0;
        else if (got == REPOSITORY_ABSENT || got == REPOSITORY_DAMAGED)
            result = 0;
    }
    free(key);
    return result;
}

static int is_in_repository(const struct looking *looking, const char *name)
{
    char *path = path_join(looking->path, name), *inside = string_printf("pg_wal/%s", name);
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    int result = -1;

    if (path == NULL || inside == NULL)
        result = -1;
    else if (fd < 0 || fstat(fd, &status) != 0)
        log_error("could not open file \"%s\": %m", path);
    else if (!S_ISREG(status.st_mode) || is_recycled(name, fd) ||
             (looking->wanted != NULL && path_set_has(looking->wanted, inside, (uint64_t)status.st_size)))
        result = 1;
    else
        result = compare_with_repository(looking, name, fd);
    if (fd >= 0)
        close(fd);
    free(path);
    free(inside);
    return result;
}

/* *name: the newest that the repository has not, or NULL. 0, or -1 after logging. */
static int find_missing(struct looking *looking, const char **name)
{
    *name = NULL;
    if (list_names(looking) != 0)
        return -1;
    for (size_t i = 0; i < looking->count; i++) {
        int found = interrupt_requested() ? -1 : is_in_repository(looking, looking->names[i]);
        if (found < 0)
            return -1;
        if (found == 0) {
            *name = looking->names[i];
            return 0;
        }
    }
    return 0;
}

/* Beside the data directory, which must allow it: moving it to another file system would take all day. */
static int choose_aside(const char *data_directory, const char *why, struct restore_wal *wal)
{
    char *parent = path_directory(data_directory);
    char now[TIMESTAMP_TEXT_BYTES];
    struct stat outer, inner;
    int result = -1;

    timestamp_format_compact(timestamp_now(), now);
    wal->aside = string_printf("%s.pg_wal-%s", data_directory, now);
    if (parent == NULL || wal->aside == NULL || stat(parent, &outer) != 0 ||
        stat(data_directory, &inner) != 0)
        goto done;
    if (outer.st_dev == inner.st_dev && access(parent, W_OK | X_OK) == 0 && !file_exists(wal->aside)) {
        result = 0;
        log_warning("%s: \"%s/pg_wal\" will be kept as \"%s\"", why, data_directory, wal->aside);
        log_hint("Before the server is started, copy the newest segments from there into pg_wal again, if "
                 "recovery is to go on to what was never archived. Later it can be removed.");
    } else {
        log_error("%s, and \"%s/pg_wal\" can't be moved to \"%s\"", why, data_directory, wal->aside);
        log_hint("Move it to a safe place yourself, and run the same command again.");
    }
done:
    free(parent);
    return result;
}

int restore_wal_look(struct repository *repository, const struct backup *backup, const char *data_directory,
                     struct path_set *wanted, bool is_written, struct restore_wal *wal)
{
    char *path = path_join(data_directory, "pg_wal"), *why = NULL;
    struct looking looking = {repository, backup, is_written ? wanted : NULL, path, NULL, 0, 0};
    const char *missing = NULL;
    struct stat status;
    int result = path == NULL ? -1 : 0;

    wal->aside = NULL;
    if (result == 0 && lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) {
        why = string_copy("pg_wal is a symbolic link, which is not followed");
    } else if (result == 0 && file_exists(path) && S_ISDIR(status.st_mode)) {
        result = find_missing(&looking, &missing);
        if (missing != NULL)
            why = string_printf("\"%s\" in pg_wal is not in repository \"%s\"", missing,
                                repository->settings->name);
    }
    if (result == 0 && why != NULL)
        result = choose_aside(data_directory, why, wal);
    free(looking.names);
    free(path);
    free(why);
    return result;
}

static int sync_rename(const struct restore_wal *wal, const struct restore_places *places)
{
    char *parent = path_directory(wal->aside);
    int result = -1;

    if (parent != NULL && fsync(places->items[0].fd) != 0)
        log_error("could not write directory \"%s\" to disk: %m", places->items[0].path);
    else if (parent != NULL)
        result = file_sync_directory(parent);
    free(parent);
    return result;
}

int restore_wal_keep(const struct restore_wal *wal, const struct restore_places *places)
{
    if (wal->aside == NULL)
        return 0;
    if (renameat(places->items[0].fd, "pg_wal", AT_FDCWD, wal->aside) != 0) {
        bool is_mounted = errno == EBUSY || errno == EXDEV;
        log_error("could not rename \"%s/pg_wal\" to \"%s\": %m", places->items[0].path, wal->aside);
        if (is_mounted)
            log_hint("It is a mount point: copy what is in it to a safe place, unmount it, and run the same "
                     "command again.");
        return -1;
    }
    if (sync_rename(wal, places) == 0)
        return 0;
    if (renameat(AT_FDCWD, wal->aside, places->items[0].fd, "pg_wal") != 0)
        log_error("could not rename \"%s\" to \"%s/pg_wal\" again: %m", wal->aside, places->items[0].path);
    return -1;
}

void restore_wal_free(struct restore_wal *wal)
{
    if (wal == NULL)
        return;
    free(wal->aside);
    wal->aside = NULL;
}
