/* Listing a directory as a store lists its keys: in byte order of the whole key. */
#include "file.h"
#include "log.h"
#include "store_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct entry {
    char *name; /* with a closing slash for a directory, so that names sort as the keys below them do */
};

struct entries {
    struct entry *list;
    size_t count;
};

static int compare_entries(const void *left, const void *right)
{
    return strcmp(((const struct entry *)left)->name, ((const struct entry *)right)->name);
}

static void free_entries(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->list[i].name);
    free(entries->list);
}

/* 1, 0, or -1 after logging: a link that leads nowhere, behind which may be what is looked for. */
static int is_directory(int directory_fd, const char *path, const struct dirent *item)
{
    struct stat status;

    if (item->d_type != DT_UNKNOWN && item->d_type != DT_LNK)
        return item->d_type == DT_DIR;
    if (fstatat(directory_fd, item->d_name, &status, 0) == 0)
        return S_ISDIR(status.st_mode);
    if (item->d_type != DT_LNK)
        return 0; /* removed meanwhile */
    log_error("\"%s/%s\" is a symbolic link that leads nowhere (not mounted?)", path, item->d_name);
    return -1;
}

static int add_entry(struct entries *entries, const char *name, bool directory)
{
    if ((entries->count & (entries->count + 1)) == 0) { /* 0, 1, 3, 7, ...: time to double */
        struct entry *grown = realloc(entries->list, (2 * entries->count + 1) * sizeof *grown);
        if (grown == NULL)
            return log_out_of_memory();
        entries->list = grown;
    }
    char *copy = string_printf("%s%s", name, directory ? "/" : "");
    if (copy == NULL)
        return -1;
    entries->list[entries->count++].name = copy;
    return 0;
}

static int read_entry(const char *path, int directory_fd, const struct dirent *item, struct entries *entries)
{
    if (item->d_name[0] == '.')
        return 0;
    int directory = is_directory(directory_fd, path, item);
    return directory < 0 ? -1 : add_entry(entries, item->d_name, directory == 1);
}

/* All entries of a directory, sorted. 0; 1 when it is not there; -1 after logging. */
static int read_entries(const char *path, struct entries *entries)
{
    DIR *directory = opendir(path);
    struct dirent *item;
    int result = 0;

    *entries = (struct entries){NULL, 0};
    if (directory == NULL) {
        if (errno == ENOENT)
            return 1;
        log_error("could not open directory \"%s\": %m", path);
        return -1;
    }
    while (result == 0 && (errno = 0, item = readdir(directory)) != NULL)
        result = read_entry(path, dirfd(directory), item, entries);
    if (result == 0 && errno != 0) {
        log_error("could not read directory \"%s\": %m", path);
        result = -1;
    }
    closedir(directory);
    if (result != 0) {
        free_entries(entries);
        return result;
    }
    if (entries->count > 1)
        qsort(entries->list, entries->count, sizeof *entries->list, compare_entries);
    return 0;
}

struct listing {
    struct store *store;
    const struct store_listing *wanted;
    bool stopped;
};

/* May any key that begins with path (a directory's ends with a slash) be wanted? */
static bool may_hold(const struct store_listing *wanted, const char *path)
{
    size_t path_bytes = strlen(path), prefix_bytes = strlen(wanted->prefix);
    size_t common = path_bytes < prefix_bytes ? path_bytes : prefix_bytes;

    if (strncmp(path, wanted->prefix, common) != 0)
        return false;
    return wanted->start_after == NULL || strncmp(path, wanted->start_after, path_bytes) >= 0;
}

static int tell_file(struct listing *listing, const char *key)
{
    const struct store_listing *wanted = listing->wanted;
    struct stat status;
    int result = 0;

    if (strncmp(key, wanted->prefix, strlen(wanted->prefix)) != 0 ||
        (wanted->start_after != NULL && strcmp(key, wanted->start_after) <= 0))
        return 0;
    char *path = store_file_path(listing->store, key);
    if (path == NULL)
        return -1;
    if (stat(path, &status) == 0) {
        if (S_ISREG(status.st_mode))
            listing->stopped = !wanted->each(wanted->context, key, (uint64_t)status.st_size);
    } else if (errno != ENOENT) { /* deleted meanwhile */
        log_error("could not stat file \"%s\": %m", path);
        result = -1;
    }
    free(path);
    return result;
}

/* below: "" or a path with a closing slash. */
static int list_below(struct listing *listing, const char *below)
{
    struct entries entries;
    char *path = store_file_path(listing->store, below);
    int result = path == NULL ? -1 : read_entries(path, &entries);

    free(path);
    if (result != 0)
        return result < 0 ? -1 : 0;
    for (size_t i = 0; i < entries.count && result == 0 && !listing->stopped; i++) {
        const char *name = entries.list[i].name;
        char *key = string_printf("%s%s", below, name);
        if (key == NULL)
            result = -1;
        else if (key[strlen(key) - 1] != '/')
            result = tell_file(listing, key);
        else if (may_hold(listing->wanted, key))
            result = list_below(listing, key);
        free(key);
    }
    free_entries(&entries);
    return result;
}

enum store_result store_file_list(struct store *store, const struct store_listing *wanted)
{
    struct listing listing = {store, wanted, false};
    const char *slash = strrchr(wanted->prefix, '/');
    enum store_result result = STORE_FAILED;

    if (!store_file_root_is_there(store))
        return STORE_FAILED;
    char *start =
        string_printf("%.*s", slash == NULL ? 0 : (int)(slash - wanted->prefix + 1), wanted->prefix);
    if (start != NULL && list_below(&listing, start) == 0 && store_file_root_is_there(store))
        result = STORE_OK;
    free(start);
    return result;
}

enum store_result store_file_list_folders(struct store *store, const char *prefix,
                                          bool (*each)(void *context, const char *name), void *context)
{
    struct entries entries;
    bool more = true;

    if (!store_file_root_is_there(store))
        return STORE_FAILED;
    char *path = store_file_path(store, prefix);
    int result = path == NULL ? -1 : read_entries(path, &entries);
    free(path);
    if (result != 0)
        return result < 0 ? STORE_FAILED : STORE_OK;
    for (size_t i = 0; i < entries.count && more; i++) {
        char *name = entries.list[i].name;
        size_t length = strlen(name);
        if (name[length - 1] != '/')
            continue;
        name[length - 1] = '\0';
        more = each(context, name);
    }
    free_entries(&entries);
    return STORE_OK;
}

/* Temporary files */

struct unfinished_walk {
    struct store *store;
    bool (*each)(void *context, const struct store_unfinished *unfinished);
    void *context;
    bool stopped;
};

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), ending_length = strlen(ending);

    return length > ending_length && strcmp(name + length - ending_length, ending) == 0;
}

static bool is_temporary(const char *name)
{
    return name[0] == '.' && (ends_with(name, FILE_TEMPORARY) || ends_with(name, STORE_FILE_REPLACEMENT));
}

/* One that has been finished meanwhile is none. 0, or -1 after logging. */
static int tell_temporary(struct unfinished_walk *walk, const char *key, int directory_fd, const char *name)
{
    struct stat status;

    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return 0;
        log_error("could not stat file \"%s\": %m", key);
        return -1;
    }
    struct store_unfinished unfinished = {key, "", (uint64_t)status.st_size,
                                          status.st_mtim.tv_sec * 1000000ll + status.st_mtim.tv_nsec / 1000};
    if (S_ISREG(status.st_mode))
        walk->stopped = !walk->each(walk->context, &unfinished);
    return 0;
}

static int walk_unfinished(struct unfinished_walk *walk, const char *below);

/* 0, or -1 after logging. */
static int walk_entry(struct unfinished_walk *walk, const char *below, int directory_fd,
                      const struct dirent *item)
{
    int result = 0;

    if (item->d_name[0] == '.' && !is_temporary(item->d_name))
        return 0;
    int is_below = item->d_name[0] == '.' ? 0 : is_directory(directory_fd, below, item);
    if (is_below == 0 && item->d_name[0] != '.')
        return 0;
    char *key = is_below < 0 ? NULL : string_printf("%s%s%s", below, item->d_name, is_below ? "/" : "");
    if (key == NULL)
        return -1;
    if (is_below)
        result = walk_unfinished(walk, key);
    else
        result = tell_temporary(walk, key, directory_fd, item->d_name);
    free(key);
    return result;
}

static int walk_unfinished(struct unfinished_walk *walk, const char *below)
{
    char *path = store_file_path(walk->store, below);
    DIR *directory = path == NULL ? NULL : opendir(path);
    int result = path == NULL ? -1 : 0;

    if (path != NULL && directory == NULL && errno != ENOENT) {
        log_error("could not open directory \"%s\": %m", path);
        result = -1;
    }
    for (struct dirent *item; directory != NULL && result == 0 && !walk->stopped;) {
        errno = 0;
        if ((item = readdir(directory)) == NULL) {
            if (errno != 0) {
                log_error("could not read directory \"%s\": %m", path);
                result = -1;
            }
            break;
        }
        result = walk_entry(walk, below, dirfd(directory), item);
    }
    if (directory != NULL)
        closedir(directory);
    free(path);
    return result;
}

enum store_result store_file_list_unfinished(struct store *store, const char *prefix,
                                             bool (*each)(void *context,
                                                          const struct store_unfinished *unfinished),
                                             void *context)
{
    struct unfinished_walk walk = {store, each, context, false};

    return store_file_root_is_there(store) && walk_unfinished(&walk, prefix) == 0 &&
                   store_file_root_is_there(store)
               ? STORE_OK
               : STORE_FAILED;
}
