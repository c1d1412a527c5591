#include "restore_place.h"

#include "common/backup_index.h"
#include "common/file.h"
#include "common/log.h"
#include "restore_marker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACE_MODE 0700

/* Planning */

static char *join(const char *directory, const char *rest)
{
    return *rest == '\0' ? string_copy(directory) : path_join(directory, rest);
}

/* The absolute path without links, also of what does not exist yet. Caller frees; NULL after logging. */
static char *canonical_path(const char *path)
{
    char *head = *path == '/' ? string_copy(path) : string_printf("./%s", path);
    char *rest = string_copy(""), *result = NULL;

    while (head != NULL && rest != NULL) {
        char *resolved = realpath(*head == '\0' ? "/" : head, NULL);
        if (resolved != NULL) {
            result = join(resolved, rest);
            free(resolved);
            break;
        }
        char *slash = strrchr(head, '/');
        if (errno != ENOENT || slash == NULL || strcmp(slash, "/..") == 0) {
            log_error("could not find out where \"%s\" lies: %m", path);
            break;
        }
        if (slash[1] != '\0' && strcmp(slash, "/.") != 0) {
            char *longer = join(slash + 1, rest);
            free(rest);
            rest = longer;
        }
        *slash = '\0';
    }
    free(head);
    free(rest);
    return result;
}

static bool lies_inside(const char *path, const char *directory)
{
    size_t length = strcmp(directory, "/") == 0 ? 0 : strlen(directory);

    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void describe(const struct restore_places *places, const struct restore_place *place, char *out,
                     size_t bytes)
{
    if (place->oid != 0)
        snprintf(out, bytes, "the directory of tablespace %u, \"%s\",", (unsigned)place->oid, place->path);
    else
        snprintf(out, bytes, "the %s \"%s\"",
                 place == places->items ? "data directory" : "directory of external files", place->path);
}

/* No place may lie in another: what is restored into one would be foreign in the other. */
static int check_overlaps(const struct restore_places *places)
{
    char inner[PATH_MAX + 80], outer[PATH_MAX + 80];
    int result = 0;

    for (size_t i = 0; i < places->count; i++)
        for (size_t k = 0; k < places->count; k++) {
            const char *path = places->items[i].path, *directory = places->items[k].path;
            if (i == k || !lies_inside(path, directory) || (strcmp(path, directory) == 0 && i < k))
                continue;
            describe(places, &places->items[i], inner, sizeof inner);
            describe(places, &places->items[k], outer, sizeof outer);
            log_error("%s lies inside %s", inner, outer);
            result = -1;
        }
    return result;
}

/* Rule 24: a tablespace is never restored into a directory where the original, or anything else, is. */
static int check_tablespace(const struct backup_tablespace *tablespace, const struct restore_place *place,
                            const struct former *former, bool is_mapped)
{
    const char *name = tablespace->name == NULL ? "" : tablespace->name;
    char found[NAME_MAX + 1];

    if (restore_look_into(place->path, found) != 0)
        return -1;
    if (found[0] == '\0')
        return 0;
    if (former_has_tablespace(former, place->path))
        return former_check_tablespace(former->path, place->path);
    if (is_mapped) {
        log_error("directory \"%s\" for tablespace %u (\"%s\") is not empty: there is \"%s\"",
                  place->location, (unsigned)tablespace->oid, name, found);
        restore_hint_mount_point(found, "Remove it or move it away, or choose another directory with -T.");
        return -1;
    }
    char *old_path = path_escape_equals(tablespace->location);
    log_error("tablespace %u (\"%s\") was at \"%s\", which is not empty: there is \"%s\"",
              (unsigned)tablespace->oid, name, tablespace->location, found);
    if (old_path != NULL)
        log_hint("Choose a new place for it: -T %s=NEW, where NEW is an empty directory or does not exist.",
                 old_path);
    free(old_path);
    return -1;
}

static int check_external(const struct restore_place *place)
{
    char found[NAME_MAX + 1];

    if (restore_look_into(place->path, found) != 0)
        return -1;
    if (found[0] == '\0')
        return 0;
    log_error("directory \"%s\" for the files from outside the data directory is not empty: there is \"%s\"",
              place->path, found);
    restore_hint_mount_point(found,
                             "Remove it or move it away, or choose another directory with --external.");
    return -1;
}

static int check_mappings(const struct backup *backup, const struct mappings *mappings)
{
    struct buffer known = BUFFER_EMPTY;
    int result = 0;

    for (size_t i = 0; i < backup->tablespace_count; i++)
        if (buffer_printf(&known, "%s%s", i == 0 ? "" : ", ", backup->tablespaces[i].location) != 0)
            result = -1;
    for (size_t i = 0; i < mappings->count; i++) {
        if (mappings->items[i].is_used)
            continue;
        log_error("backup %s has no tablespace at \"%s\", for which -T was given", backup->id,
                  mappings->items[i].old_path);
        if (backup->tablespace_count == 0)
            log_hint("It has no tablespaces at all.");
        else
            log_hint("Its tablespaces: %s.", buffer_string(&known));
        result = -1;
    }
    buffer_free(&known);
    return result;
}

/* Appends a place; 0, or -1 after logging. location may be NULL. */
static int add_place(struct restore_places *places, uint32_t oid, const char *path, const char *location)
{
    struct restore_place *place = &places->items[places->count];

    *place = (struct restore_place){.oid = oid, .fd = -1};
    places->count++;
    place->path = canonical_path(path);
    place->location = location == NULL ? NULL : mapping_normal_path(location);
    return place->path == NULL || (location != NULL && place->location == NULL) ? -1 : 0;
}

static int add_external(struct restore_places *places, const char *directory, bool may_be_there)
{
    char *beside = string_printf("%s.external", places->items[0].path);
    int result = beside == NULL ? -1 : add_place(places, 0, directory == NULL ? beside : directory, NULL);

    places->has_external = result == 0;
    free(beside);
    return result != 0 || may_be_there ? result : check_external(&places->items[places->count - 1]);
}

int restore_places_plan(const struct backup *backup, const char *data_directory,
                        const char *external_directory, struct mappings *mappings,
                        const struct former *former, struct restore_places *places)
{
    int result = 0;

    *places = (struct restore_places){.items = calloc(backup->tablespace_count + 2, sizeof *places->items),
                                      .is_delta = former->kind != FORMER_NOTHING};
    if (places->items == NULL)
        return log_out_of_memory();
    if (add_place(places, 0, data_directory, NULL) != 0)
        return -1;
    for (size_t i = 0; i < backup->tablespace_count; i++) {
        const struct backup_tablespace *tablespace = &backup->tablespaces[i];
        const char *mapped = mappings_find(mappings, tablespace->location);
        const char *location = mapped == NULL ? tablespace->location : mapped;
        if (add_place(places, tablespace->oid, location, location) != 0)
            return -1;
        if (check_tablespace(tablespace, &places->items[places->count - 1], former, mapped != NULL) != 0)
            result = -1;
    }
    if (backup->external_count > 0 &&
        add_external(places, external_directory, former->kind != FORMER_NOTHING) != 0)
        result = -1;
    if (check_mappings(backup, mappings) != 0)
        result = -1;
    return result == 0 ? check_overlaps(places) : -1;
}

void restore_places_free(struct restore_places *places)
{
    if (places == NULL)
        return;
    for (size_t i = 0; i < places->count; i++) {
        free(places->items[i].path);
        free(places->items[i].location);
        if (places->items[i].fd >= 0)
            close(places->items[i].fd);
    }
    free(places->items);
    *places = (struct restore_places){.items = NULL};
}

/* Making them */

int restore_places_make(struct restore_places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        struct restore_place *place = &places->items[i];
        if (file_make_directories(place->path, PLACE_MODE) != 0)
            return -1;
        place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (place->fd < 0) {
            log_error("could not open directory \"%s\": %m", place->path);
            return -1;
        }
        if (!restore_place_is_external(places, place) && fchmod(place->fd, PLACE_MODE) != 0) {
            log_error("could not change permissions of directory \"%s\": %m", place->path);
            return -1;
        }
    }
    return 0;
}

/* Finding the way in them */

/* "pg_tblspc/<oid>" or "pg_tblspc/<oid>/rest" of a tablespace that is a place. */
static const struct restore_place *find_tablespace(const struct restore_places *places, const char *path,
                                                   const char **rest)
{
    for (size_t i = 1; i < places->count; i++) {
        char prefix[32];
        int length = snprintf(prefix, sizeof prefix, "pg_tblspc/%u", (unsigned)places->items[i].oid);
        if (places->items[i].oid != 0 && strncmp(path, prefix, (size_t)length) == 0 &&
            (path[length] == '/' || path[length] == '\0')) {
            *rest = path + length + (path[length] == '/');
            return &places->items[i];
        }
    }
    return NULL;
}

const struct restore_place *restore_places_find(const struct restore_places *places, const char *part,
                                                const char *path, const char **rest)
{
    const struct restore_place *place = find_tablespace(places, path, rest);
    unsigned long oid = part == NULL ? 0 : strtoul(part, NULL, 10); /* 0: main- or external- */

    if (part != NULL && strncmp(part, "external-", strlen("external-")) == 0) {
        place = places->has_external ? &places->items[places->count - 1] : NULL;
        *rest = path;
    } else if (place == NULL && oid == 0) {
        place = &places->items[0];
        *rest = path;
    } else if (place != NULL && part != NULL && place->oid != oid) {
        place = NULL;
    }
    if (place == NULL || (part != NULL && **rest == '\0')) {
        log_error("the backup's index puts \"%s\" into part \"%s\", where it can't be", path,
                  part == NULL ? "-" : part);
        return NULL;
    }
    return place;
}

bool restore_place_is_external(const struct restore_places *places, const struct restore_place *place)
{
    return places->has_external && place == &places->items[places->count - 1];
}

bool restore_name_is_allowed(const struct restore_places *places, const struct restore_place *place,
                             const char *rest)
{
    static const char *const forbidden[] = {"tablespace_map", "standby.signal",          "recovery.signal",
                                            "postmaster.pid", RESTORE_CONTROL_TEMPORARY, RESTORE_MARKER};

    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        if (place == places->items && strcmp(rest, forbidden[i]) == 0)
            return false;
    return true;
}

/* The directory named by the first component of path, in the directory fd. */
static int open_component(int fd, const char *path, size_t length, bool make)
{
    char component[NAME_MAX + 1];

    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(component, path, length);
    component[length] = '\0';
    if (make && (mkdirat(fd, component, PLACE_MODE) == 0 ? fsync(fd) != 0 : errno != EEXIST))
        return -1;
    return openat(fd, component, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int restore_open_parent(const struct restore_place *place, const char *path, bool make, const char **name)
{
    int fd = fcntl(place->fd, F_DUPFD_CLOEXEC, 0);

    for (;;) {
        size_t length = strcspn(path, "/");
        if (fd < 0 || path[length] == '\0')
            break;
        int next = open_component(fd, path, length, make);
        int error = errno;
        close(fd);
        errno = error;
        fd = next;
        path += length + 1;
    }
    *name = path;
    return fd;
}

int restore_parent_leave(struct restore_parent *parent, const struct restore_places *places)
{
    int result = 0, error = errno;

    if (parent->place == NULL)
        return 0;
    if (parent->is_changed && restore_sync_done(places->sync, parent->fd) != 0) {
        error = errno;
        result = -1;
    }
    close(parent->fd);
    free(parent->path);
    *parent = (struct restore_parent)RESTORE_PARENT_CLOSED;
    errno = error;
    return result;
}

int restore_parent_enter(struct restore_parent *parent, const struct restore_places *places,
                         const struct restore_place *place, const char *rest, const char **name)
{
    const char *slash = strrchr(rest, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - rest);

    *name = slash == NULL ? rest : slash + 1;
    if (parent->place == place && strncmp(parent->path, rest, length) == 0 && parent->path[length] == '\0')
        return 0;
    if (restore_parent_leave(parent, places) != 0)
        return -1;
    /* External files have no directories in the index. */
    int fd = restore_open_parent(place, rest, restore_place_is_external(places, place), name);
    if (fd < 0)
        return -1;
    *parent = (struct restore_parent){place, strndup(rest, length), fd, false};
    if (parent->path != NULL)
        return 0;
    close(fd);
    *parent = (struct restore_parent)RESTORE_PARENT_CLOSED;
    errno = ENOMEM;
    return -1;
}

/* PostgreSQL's two ways to own a data directory: the owner alone, or the group may read. */
static int set_place_modes(const struct restore_places *places, unsigned mode)
{
    mode_t place_mode = (mode & 0050) == 0050 ? 0750 : PLACE_MODE;

    for (size_t i = 0; i < places->count; i++) {
        if (!restore_place_is_external(places, &places->items[i]) &&
            fchmod(places->items[i].fd, place_mode) != 0) {
            log_error("could not change permissions of directory \"%s\": %m", places->items[i].path);
            return -1;
        }
    }
    return 0;
}

int restore_make_directory(const struct restore_places *places, const char *path, unsigned mode)
{
    const char *rest, *name;
    const struct restore_place *place = restore_places_find(places, NULL, path, &rest);
    int parent, fd = -1;

    if (place == NULL)
        return -1;
    if (*rest == '\0') /* a tablespace's own directory, which was made already */
        return 0;
    parent = restore_open_parent(place, rest, false, &name);
    if (parent >= 0 && (mkdirat(parent, name, PLACE_MODE) == 0 || errno == EEXIST) &&
        restore_sync_done(places->sync, parent) == 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* Whatever it was, we have to write into it. */
    int result = fd >= 0 && fchmod(fd, (mode & 0777) | 0700) == 0 ? 0 : -1;
    if (result != 0)
        log_error("could not make directory \"%s/%s\": %m", place->path, rest);
    if (fd >= 0)
        close(fd);
    if (parent >= 0)
        close(parent);
    if (result == 0 && place == places->items && strcmp(rest, "global") == 0)
        result = set_place_modes(places, mode);
    return result;
}

int restore_make_external_directories(const struct restore_places *places, const struct backup *backup)
{
    const struct restore_place *place = &places->items[places->count - 1];
    const char *name;

    for (size_t i = 0; places->has_external && i < backup->external_count; i++) {
        const char *path = backup->external[i] + 1; /* they are absolute */
        size_t length = strlen(backup->external[i]);
        if (length < 3 || path[length - 2] != '/')
            continue;
        char *plain = string_printf("%.*s", (int)length - 2, path);
        bool safe = plain != NULL && index_path_is_safe(plain);
        free(plain);
        int fd = safe ? restore_open_parent(place, path, true, &name) : -1;
        if (fd < 0) {
            log_error("could not make directory \"%s/%s\": %s", place->path, path,
                      safe ? strerror(errno) : "not a sensible path");
            return -1;
        }
        close(fd);
    }
    return 0;
}

/* Finishing */

/* A link of this name, which may have been another one. 0, or -1 with errno set. */
static int make_link(const char *target, int directory, const char *name)
{
    char found[PATH_MAX + 1];
    ssize_t length = readlinkat(directory, name, found, sizeof found);

    if (length == (ssize_t)strlen(target) && memcmp(found, target, (size_t)length) == 0)
        return 0;
    if (length >= 0 && unlinkat(directory, name, 0) != 0)
        return -1;
    return symlinkat(target, directory, name);
}

int restore_places_link(const struct restore_places *places)
{
    int root = places->items[0].fd, directory = -1, result = 0;
    char name[16];

    for (size_t i = 1; result == 0 && i < places->count; i++) {
        const struct restore_place *place = &places->items[i];
        if (place->oid == 0)
            continue;
        if (directory < 0)
            directory = open_component(root, "pg_tblspc", strlen("pg_tblspc"), true);
        snprintf(name, sizeof name, "%u", (unsigned)place->oid);
        if (directory < 0 || make_link(place->location, directory, name) != 0) {
            log_error("could not create symbolic link \"%s/pg_tblspc/%s\": %m", places->items[0].path, name);
            result = -1;
        }
    }
    if (directory >= 0 && result == 0 && fsync(directory) != 0) {
        log_error("could not write directory \"%s/pg_tblspc\" to disk: %m", places->items[0].path);
        result = -1;
    }
    if (directory >= 0)
        close(directory);
    return result;
}
