#include "restore_clean.h"

#include "common/interrupt.h"
#include "common/log.h"
#include "restore_marker.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct cleaner {
    const struct clean_settings *settings;
    const struct restore_place *place; /* at work */
    bool only_measures;
    uint64_t bytes;                        /* measured */
    char path[PATH_MAX + NAME_MAX + 2];    /* of the directory or file at work, as in the index */
    size_t outside;                        /* of its beginning, that is not in the place */
    unsigned long long files, directories; /* removed */
};

static int could_not(const struct cleaner *cleaner, const char *verb)
{
    log_error("could not %s \"%s/%s\": %m", verb, cleaner->place->path, cleaner->path + cleaner->outside);
    return -1;
}

/* A directory, never through a link; if something is to be removed in it, it is made so that it can be. NULL
 * with errno set. */
static DIR *open_directory(int parent, const char *name, bool removes)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);
    struct stat status;

    if (fd < 0 && errno == EACCES && removes && fchmodat(parent, name, S_IRWXU, 0) == 0)
        fd = openat(parent, name, flags);
    if (fd >= 0 && removes && fstat(fd, &status) == 0 && (status.st_mode & S_IRWXU) != S_IRWXU)
        fchmod(fd, (status.st_mode & 07777) | S_IRWXU);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL && fd >= 0)
        close(fd);
    return directory;
}

/* The next name but "." and "..". NULL with errno 0 at the end. */
static const char *next_name(DIR *directory)
{
    const struct dirent *item;

    do
        item = (errno = 0, readdir(directory));
    while (item != NULL && (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0));
    return item == NULL ? NULL : item->d_name;
}

/* Also from elsewhere in the same file system (mount --bind), which the kernel tells since Linux 5.8. */
static bool is_mounted(int parent, int directory)
{
    struct stat outer, inner;
    struct statx status;

    return fstat(parent, &outer) != 0 || fstat(directory, &inner) != 0 || outer.st_dev != inner.st_dev ||
           (statx(directory, "", AT_EMPTY_PATH, 0, &status) == 0 &&
            (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0);
}

/* With all that is in it. 0, or -1 with errno set. */
static int remove_tree(struct cleaner *cleaner, int parent, const char *name)
{
    DIR *directory = open_directory(parent, name, true);
    const char *inner;
    struct stat status;
    int result = 0;

    if (directory == NULL)
        return -1;
    if (is_mounted(parent, dirfd(directory))) {
        closedir(directory);
        errno = EXDEV; /* it is mounted: whose it is cannot be known */
        return -1;
    }
    while (result == 0 && (inner = next_name(directory)) != NULL) {
        result = fstatat(dirfd(directory), inner, &status, AT_SYMLINK_NOFOLLOW);
        if (result == 0 && S_ISDIR(status.st_mode))
            result = remove_tree(cleaner, dirfd(directory), inner);
        else if (result == 0 && (result = unlinkat(dirfd(directory), inner, 0)) == 0)
            cleaner->files++;
        if (result == 0 && interrupt_requested())
            result = (errno = EINTR, -1);
    }
    int error = errno;
    closedir(directory);
    errno = error;
    if (result != 0 || error != 0 || unlinkat(parent, name, AT_REMOVEDIR) != 0)
        return -1;
    cleaner->directories++;
    return 0;
}

static int remove_entry(struct cleaner *cleaner, int parent, const char *name, const struct stat *status)
{
    log_debug("removing \"%s\", which the backup does not have", cleaner->path);
    if (S_ISDIR(status->st_mode)) {
        if (remove_tree(cleaner, parent, name) == 0)
            return 0;
        int error = errno;
        if (!interrupt_requested())
            could_not(cleaner, "remove directory");
        if (error == EXDEV)
            log_hint("It is, or holds, a mount point: unmount that, then run the same command again.");
        return -1;
    }
    if (unlinkat(parent, name, 0) != 0)
        return could_not(cleaner, "remove");
    cleaner->files += strcmp(cleaner->path, RESTORE_CONTROL_TEMPORARY) != 0 ? 1 : 0; /* ours */
    return 0;
}

/* A tablespace that the former cluster had and the backup has not: what is in it must not be taken for new
 * by a recovery that makes that tablespace again, at the same place and under the same numbers. */
static int empty_former_tablespace(struct cleaner *cleaner, int links, const char *name)
{
    int location = openat(links, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* follows this link: it is one */
    const char *version = cleaner->settings->version_directory;
    struct stat status;
    int result = 0;

    if (location < 0)
        return 0;
    if (fstatat(location, version, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
        log_info("tablespace %s is not in the backup: \"%s\" is removed at its place", name, version);
        if (remove_tree(cleaner, location, version) != 0)
            result = interrupt_requested() ? -1 : could_not(cleaner, "empty the tablespace behind link");
        else if (fsync(location) != 0)
            result = could_not(cleaner, "write to disk the tablespace behind link");
    }
    close(location);
    return result;
}

/* pg_tblspc/<oid> */
static bool is_tablespace_link(const char *path)
{
    static const char directory[] = "pg_tblspc/";
    const char *oid = path + sizeof directory - 1;

    return strncmp(path, directory, sizeof directory - 1) == 0 && strspn(oid, "0123456789") == strlen(oid);
}

/* The link of a tablespace that the former cluster had. */
struct former_link {
    bool has_one;  /* the backup has that tablespace, too, */
    bool stays;    /* at the same place */
    bool is_place; /* a place of this restore, also that of another tablespace, which is looked at as such */
    char location[PATH_MAX]; /* "": it is no link */
};

static void read_link(const struct restore_places *places, int links, const char *name,
                      struct former_link *link)
{
    unsigned long oid = strtoul(name, NULL, 10);
    ssize_t length = readlinkat(links, name, link->location, sizeof link->location - 1);
    struct stat status, other;

    link->has_one = link->stays = link->is_place = false;
    link->location[length < 0 ? 0 : length] = '\0';
    for (size_t i = 1; i < places->count; i++) {
        const struct restore_place *place = &places->items[i];
        bool is_its = place->oid != 0 && place->oid == oid;
        link->has_one = link->has_one || is_its;
        link->stays = link->stays || (is_its && strcmp(place->location, link->location) == 0);
        link->is_place =
            link->is_place || (fstatat(links, name, &status, 0) == 0 && fstat(place->fd, &other) == 0 &&
                               status.st_dev == other.st_dev && status.st_ino == other.st_ino);
    }
}

static int take_tablespace_link(struct cleaner *cleaner, int links, const char *name, bool *stays)
{
    struct former_link link;

    read_link(cleaner->settings->places, links, name, &link);
    *stays = link.stays;
    if (link.stays || link.is_place || link.location[0] == '\0')
        return 0;
    if (!link.has_one)
        return empty_former_tablespace(cleaner, links, name);
    log_warning("tablespace %s was in \"%s\", which is left as it is", name, link.location);
    return 0;
}

static int visit(struct cleaner *cleaner, int parent, const char *name);

/* Does it stay, as it is? A file with a second name is written to under both, and to one that is not ours no
 * server could write. */
static bool is_wanted(const struct cleaner *cleaner, const struct stat *status)
{
    if (S_ISREG(status->st_mode))
        return status->st_nlink == 1 && status->st_uid == geteuid() &&
               path_set_has(cleaner->settings->wanted, cleaner->path, (uint64_t)status->st_size);
    return S_ISDIR(status->st_mode) &&
           path_set_has(cleaner->settings->wanted, cleaner->path, PATH_SET_DIRECTORY);
}

static int clean_entry(struct cleaner *cleaner, int parent, const char *name, const struct stat *status,
                       bool *is_changed)
{
    bool stays = is_wanted(cleaner, status);

    if (strcmp(cleaner->path, RESTORE_MARKER) == 0)
        return 0;
    if (S_ISLNK(status->st_mode) && is_tablespace_link(cleaner->path) &&
        take_tablespace_link(cleaner, parent, name, &stays) != 0)
        return -1;
    if (stays)
        return S_ISDIR(status->st_mode) ? visit(cleaner, parent, name) : 0;
    *is_changed = true;
    return remove_entry(cleaner, parent, name, status);
}

static int measure_entry(struct cleaner *cleaner, int parent, const char *name, const struct stat *status)
{
    if (S_ISDIR(status->st_mode) && strcmp(cleaner->path, "pg_wal") != 0) /* that may be moved aside */
        return visit(cleaner, parent, name);
    if (S_ISREG(status->st_mode) && status->st_nlink == 1)
        cleaner->bytes += (uint64_t)status->st_blocks * 512;
    return 0;
}

static int visit_entries(struct cleaner *cleaner, DIR *directory, bool *is_changed)
{
    size_t length = strlen(cleaner->path);
    int fd = dirfd(directory), result = 0;
    struct stat status;
    const char *name;

    while (result == 0 && (name = next_name(directory)) != NULL) {
        if (interrupt_requested())
            return -1;
        snprintf(cleaner->path + length, sizeof cleaner->path - length, "%s%s", length == 0 ? "" : "/", name);
        if (length >= PATH_MAX)
            result = (errno = ENAMETOOLONG, could_not(cleaner, "look at"));
        else if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            result = could_not(cleaner, "look at");
        else
            result = cleaner->only_measures ? measure_entry(cleaner, fd, name, &status)
                                            : clean_entry(cleaner, fd, name, &status, is_changed);
        cleaner->path[length] = '\0';
    }
    return result == 0 && errno != 0 ? could_not(cleaner, "read directory") : result;
}

/* The directory at cleaner->path. */
static int visit(struct cleaner *cleaner, int parent, const char *name)
{
    DIR *directory = open_directory(parent, name, !cleaner->only_measures);
    bool is_changed = false;

    if (directory == NULL && cleaner->only_measures && errno == EACCES)
        return 0;
    if (directory == NULL)
        return could_not(cleaner, "open directory");
    int result = visit_entries(cleaner, directory, &is_changed);
    if (result == 0 && is_changed && fsync(dirfd(directory)) != 0)
        result = could_not(cleaner, "write to disk directory");
    closedir(directory);
    return result;
}

/* fd: of the place's directory. */
static int visit_place(struct cleaner *cleaner, int fd)
{
    const char *version = cleaner->settings->version_directory;
    struct stat status;

    cleaner->path[0] = '\0';
    cleaner->outside = 0;
    if (cleaner->place->oid == 0)
        return visit(cleaner, fd, ".");
    cleaner->outside =
        (size_t)snprintf(cleaner->path, sizeof cleaner->path, "pg_tblspc/%u/", (unsigned)cleaner->place->oid);
    snprintf(cleaner->path + cleaner->outside, VERSION_DIRECTORY_BYTES, "%s", version);
    if (fstatat(fd, version, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : could_not(cleaner, "look at");
    if (S_ISDIR(status.st_mode))
        return visit(cleaner, fd, version);
    return cleaner->only_measures ? 0 : remove_entry(cleaner, fd, version, &status);
}

int restore_clean(const struct clean_settings *settings)
{
    struct cleaner *cleaner = calloc(1, sizeof *cleaner);
    int result = 0;

    if (cleaner == NULL)
        return log_out_of_memory();
    cleaner->settings = settings;
    for (size_t i = 0; result == 0 && i < settings->places->count; i++) {
        cleaner->place = &settings->places->items[i];
        if (!restore_place_is_external(settings->places, cleaner->place))
            result = visit_place(cleaner, cleaner->place->fd);
    }
    if (result == 0 && cleaner->files + cleaner->directories > 0)
        log_info("removed %llu files and %llu directories that the backup does not have, or not of that size",
                 cleaner->files, cleaner->directories);
    free(cleaner);
    return result;
}

int restore_clean_check(const struct restore_places *places)
{
    int fd = openat(places->items[0].fd, "pg_tblspc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct former_link link;
    const char *name;
    int result = 0;

    if (directory == NULL && fd >= 0)
        close(fd);
    while (directory != NULL && result == 0 && (name = next_name(directory)) != NULL) {
        read_link(places, fd, name, &link);
        if (link.location[0] != '\0' && (link.is_place || !link.has_one))
            result = former_check_tablespace(places->items[0].path, link.location);
    }
    if (directory != NULL)
        closedir(directory);
    return result;
}

int restore_measure(const struct clean_settings *settings, const struct restore_place *place, uint64_t *bytes)
{
    struct cleaner *cleaner = calloc(1, sizeof *cleaner);
    int fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;

    *bytes = 0;
    if (cleaner == NULL)
        result = log_out_of_memory();
    if (cleaner != NULL && fd >= 0) {
        *cleaner = (struct cleaner){.settings = settings, .place = place, .only_measures = true};
        result = visit_place(cleaner, fd);
        *bytes = cleaner->bytes;
    }
    if (fd >= 0)
        close(fd);
    free(cleaner);
    return result;
}
