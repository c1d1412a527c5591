#include "walk.h"

#include "common/log.h"
#include "exclude.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MOST 64

struct frame {
    DIR *directory;
    size_t path_length; /* of the directory's path in walk->path */
    bool holds_relations;
    bool holds_temporary; /* temporary relations too: a database's directory */
};

struct walk {
    struct walk_settings settings;
    char path[WALK_PATH_BYTES]; /* of the innermost open directory */
    struct frame frames[DEPTH_MOST];
    size_t depth;
    char pending[2][32]; /* empty directories to be told next: pg_wal's */
    size_t pending_count;
    mode_t pending_mode;
};

static bool is_number(const char *name)
{
    return *name != '\0' && strspn(name, "0123456789") == strlen(name);
}

/* Databases lie in base/ and in the version directory of a tablespace (also one made in place, inside
 * pg_tblspc). */
static bool is_database(const struct walk_settings *settings, const char *path)
{
    const char *slash = strrchr(path, '/'), *version = settings->version_directory;
    size_t parent = slash == NULL ? 0 : (size_t)(slash - path), length = strlen(version);

    if (slash == NULL || !is_number(slash + 1))
        return false;
    if (!settings->is_tablespace && parent == strlen("base") && strncmp(path, "base", parent) == 0)
        return true;
    return parent >= length && strncmp(slash - length, version, length) == 0 &&
           (parent == length || slash[-(ptrdiff_t)length - 1] == '/');
}

bool walk_holds_relations(const struct walk_settings *settings, const char *directory)
{
    return is_database(settings, directory) || (!settings->is_tablespace && strcmp(directory, "global") == 0);
}

/* Opens the directory at walk->path, just appended to its parent's. 1: entered; 0: it is gone; -1 after
 * logging. */
static int enter(struct walk *walk, int parent_fd, const char *name, bool holds_relations,
                 bool holds_temporary)
{
    if (walk->depth == DEPTH_MOST) {
        log_error("directories are nested too deep at \"%s/%s\"", walk->settings.root, walk->path);
        return -1;
    }
    /* Only the root itself may be reached through a link. */
    int fd = openat(parent_fd, name,
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC | (parent_fd == AT_FDCWD ? 0 : O_NOFOLLOW));
    if (fd < 0 && errno == ENOENT)
        return 0;
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        log_error("could not open directory \"%s/%s\": %m", walk->settings.root, walk->path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct frame *frame = &walk->frames[walk->depth++];
    frame->directory = directory;
    frame->path_length = strlen(walk->path);
    frame->holds_relations = holds_relations;
    frame->holds_temporary = holds_temporary;
    return 1;
}

struct walk *walk_open(const struct walk_settings *settings)
{
    struct walk *walk = calloc(1, sizeof *walk);

    if (walk == NULL) {
        log_out_of_memory();
        return NULL;
    }
    walk->settings = *settings;
    if (enter(walk, AT_FDCWD, settings->root, false, false) < 0) {
        walk_close(walk);
        return NULL;
    }
    return walk;
}

void walk_close(struct walk *walk)
{
    if (walk == NULL)
        return;
    while (walk->depth > 0)
        closedir(walk->frames[--walk->depth].directory);
    free(walk);
}

static void leave(struct walk *walk)
{
    closedir(walk->frames[--walk->depth].directory);
    if (walk->depth > 0)
        walk->path[walk->frames[walk->depth - 1].path_length] = '\0';
}

static bool has_init_fork(int directory_fd, const char *directory, int length, uint32_t relation)
{
    char path[WALK_PATH_BYTES + 16];
    struct stat status;

    snprintf(path, sizeof path, "%.*s%u_init", length, directory, (unsigned)relation);
    return fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

bool walk_is_unlogged(int root_fd, const struct walk_entry *entry)
{
    const char *slash = strrchr(entry->path, '/');
    int length = slash == NULL ? 0 : (int)(slash + 1 - entry->path);

    return entry->relation != 0 && has_init_fork(root_fd, entry->path, length, entry->relation);
}

/* 1: entry is to be told, 0: left out or gone, -1 after logging. */
static int tell_file(struct walk *walk, const char *name, struct walk_entry *entry)
{
    struct frame *frame = &walk->frames[walk->depth - 1];
    int directory_fd = dirfd(frame->directory);
    struct relation_name relation;
    struct stat status;

    if (walk->settings.only_directories)
        return 0;
    entry->has_pages = frame->holds_relations && relation_name_parse(name, &relation);
    if (entry->has_pages) {
        entry->segment = relation.segment;
        entry->relation = relation.fork == FORK_INIT ? 0 : relation.number;
        if (!walk->settings.tells_unlogged && entry->relation != 0 &&
            has_init_fork(directory_fd, "", 0, entry->relation))
            return 0;
    }
    if (frame->holds_temporary && relation_name_is_temporary(name))
        return 0;
    if (!walk->settings.wants_sizes)
        return 1;
    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return 0;
        log_error("could not stat file \"%s/%s\": %m", walk->settings.root, entry->path);
        return -1;
    }
    entry->bytes = (uint64_t)status.st_size;
    return 1;
}

/* pg_wal and the directories that are kept empty may be links to another place; restored, they are
 * directories. */
static void tell_empty_directory(int directory_fd, const char *name, struct walk_entry *entry)
{
    struct stat status;

    entry->is_directory = true;
    entry->mode = fstatat(directory_fd, name, &status, 0) == 0 ? status.st_mode & 07777 : 0700;
}

static bool is_kept_empty(const struct walk *walk, const struct stat *status)
{
    for (size_t i = 0; i < walk->settings.kept_empty_count; i++)
        if (walk->settings.kept_empty[i].device == status->st_dev &&
            walk->settings.kept_empty[i].inode == status->st_ino)
            return true;
    return false;
}

static int tell_directory(struct walk *walk, const char *name, const struct stat *status,
                          struct walk_entry *entry)
{
    struct frame *frame = &walk->frames[walk->depth - 1];

    entry->is_directory = true;
    entry->mode = status->st_mode & 07777;
    if (is_kept_empty(walk, status))
        return 1;
    memcpy(walk->path, entry->path, strlen(entry->path) + 1);
    int entered =
        enter(walk, dirfd(frame->directory), name, walk_holds_relations(&walk->settings, entry->path),
              is_database(&walk->settings, entry->path));
    if (entered != 1)
        walk->path[frame->path_length] = '\0';
    return entered;
}

static void queue_wal_directories(struct walk *walk, mode_t mode)
{
    memcpy(walk->pending[0], "pg_wal/archive_status", sizeof "pg_wal/archive_status");
    memcpy(walk->pending[1], "pg_wal/summaries", sizeof "pg_wal/summaries");
    walk->pending_count = walk->settings.postgresql_version >= 17 ? 2 : 1;
    walk->pending_mode = mode;
}

static void warn_of_special_file(const struct walk *walk, const struct walk_entry *entry, mode_t type)
{
    if (walk->settings.is_silent)
        return;
    if (S_ISLNK(type)) {
        log_warning("symbolic link \"%s/%s\" is left out of the backup", walk->settings.root, entry->path);
        log_hint("PostgreSQL's own base backups leave it out too; only tablespaces and pg_wal may be links.");
    } else
        log_warning("special file \"%s/%s\" is left out of the backup", walk->settings.root, entry->path);
}

/* Decides about one directory entry, whose path is in *entry. 1: told, 0: left out, -1 after logging. */
static int consider(struct walk *walk, const struct dirent *item, struct walk_entry *entry)
{
    const struct walk_settings *settings = &walk->settings;
    struct frame *frame = &walk->frames[walk->depth - 1];
    const char *name = item->d_name;
    bool at_top = !settings->is_tablespace && *walk->path == '\0';
    int directory_fd = dirfd(frame->directory);
    struct stat status;

    if (settings->is_tablespace && *walk->path == '\0' && strcmp(name, settings->version_directory) != 0)
        return 0;
    if (exclude_name(walk->path, name))
        return 0;
    if (!settings->is_tablespace && strcmp(entry->path, "global/pg_control") == 0)
        return 0;
    if (item->d_type == DT_REG)
        return tell_file(walk, name, entry);
    bool is_wal = at_top && strcmp(name, "pg_wal") == 0;
    if (is_wal || exclude_contents(name) ||
        (settings->stats_directory != NULL && strcmp(entry->path, settings->stats_directory) == 0)) {
        tell_empty_directory(directory_fd, name, entry);
        if (is_wal)
            queue_wal_directories(walk, entry->mode);
        return 1;
    }
    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return 0;
        log_error("could not stat \"%s/%s\": %m", settings->root, entry->path);
        return -1;
    }
    if (S_ISREG(status.st_mode)) /* a file system that does not tell types */
        return tell_file(walk, name, entry);
    if (S_ISDIR(status.st_mode))
        return tell_directory(walk, name, &status, entry);
    bool is_tablespace_link = S_ISLNK(status.st_mode) && strcmp(walk->path, "pg_tblspc") == 0;
    if (!is_tablespace_link || settings->is_tablespace)
        warn_of_special_file(walk, entry, status.st_mode);
    return 0;
}

static int tell_pending(struct walk *walk, struct walk_entry *entry)
{
    memcpy(entry->path, walk->pending[0], sizeof walk->pending[0]);
    entry->is_directory = true;
    entry->mode = walk->pending_mode;
    walk->pending_count--;
    memmove(walk->pending[0], walk->pending[1], sizeof walk->pending - sizeof walk->pending[0]);
    return 1;
}

int walk_next(struct walk *walk, struct walk_entry *entry)
{
    entry->is_directory = entry->has_pages = false;
    entry->mode = entry->segment = entry->relation = 0;
    entry->bytes = 0;
    if (walk->pending_count > 0)
        return tell_pending(walk, entry);
    while (walk->depth > 0) {
        struct frame *frame = &walk->frames[walk->depth - 1];
        errno = 0;
        struct dirent *item = readdir(frame->directory);
        if (item == NULL && errno != 0) {
            log_error("could not read directory \"%s/%s\": %m", walk->settings.root, walk->path);
            return -1;
        }
        if (item == NULL) {
            leave(walk);
            continue;
        }
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        int length = snprintf(entry->path, sizeof entry->path, "%s%s%s", walk->path,
                              *walk->path == '\0' ? "" : "/", item->d_name);
        if (length < 0 || (size_t)length >= sizeof entry->path) {
            log_error("path is too long in directory \"%s/%s\"", walk->settings.root, walk->path);
            return -1;
        }
        int told = consider(walk, item, entry);
        if (told != 0)
            return told;
    }
    return 0;
}
