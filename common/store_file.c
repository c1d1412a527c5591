/* The store in a directory: reading, removing, and the driver. How an object gets there: store_file_write.c.
 */
#include "store_file.h"
#include "file.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *store_file_path(struct store *store, const char *key)
{
    return string_printf("%s/%s", store->config->path, key);
}

/* A root that is not there is an unmounted disk or a mistyped path, never "no such object". One that is
 * another than before was unmounted or mounted meanwhile: what was seen in the one holds nothing for the
 * other. */
bool store_file_root_is_there(struct store *store)
{
    struct store_file_root *root = store->own;
    struct stat status, held;

    if (stat(store->config->path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        log_error("directory \"%s\" of repository \"%s\" is not there", store->config->path,
                  store->config->name);
        log_hint("Is it mounted, and is the url in the configuration right? A new repository is made by "
                 "repository-init.");
        return false;
    }
    if (root->fd < 0)
        root->fd = open(store->config->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0 || fstat(root->fd, &held) != 0) {
        log_error("could not open directory \"%s\" of repository \"%s\": %m", store->config->path,
                  store->config->name);
        return false;
    }
    if (held.st_dev == status.st_dev && held.st_ino == status.st_ino)
        return true;
    log_error("directory \"%s\" of repository \"%s\" is not the one that it was a moment ago (unmounted, "
              "mounted, replaced?)",
              store->config->path, store->config->name);
    return false;
}

static void close_file_store(struct store *store)
{
    struct store_file_root *root = store->own;

    if (root != NULL && root->fd >= 0)
        close(root->fd);
    free(root);
    store->own = NULL;
}

static void set_limits(struct store *store, const struct store_limits *limits)
{
    (void)store; /* the kernel cannot be told; a directory answers or it does not */
    (void)limits;
}

/* "Not there" through a link that leads nowhere is an unmounted disk, not an absent object. True after
 * logging. */
static bool passes_dangling_link(struct store *store, const char *path)
{
    struct stat status;
    bool dangling = false;
    char *prefix = string_copy(path);

    if (prefix == NULL)
        return true;
    for (char *slash = prefix + strlen(store->config->path); slash != NULL && !dangling;) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        dangling = lstat(prefix, &status) == 0 && S_ISLNK(status.st_mode) && stat(prefix, &status) != 0;
        if (dangling)
            log_error("\"%s\" is a symbolic link that leads nowhere (not mounted?)", prefix);
        if (slash != NULL)
            *slash = '/';
    }
    free(prefix);
    return dangling;
}

/* Reading */

static enum store_result copy_out(int fd, const char *path, uint64_t offset, uint64_t length,
                                  const struct sink *sink)
{
    unsigned char *chunk = malloc(STORE_FILE_CHUNK_BYTES);
    enum store_result result = STORE_OK;

    if (chunk == NULL) {
        log_out_of_memory();
        return STORE_FAILED;
    }
    while (length > 0 && result == STORE_OK) {
        size_t want = length < STORE_FILE_CHUNK_BYTES ? (size_t)length : STORE_FILE_CHUNK_BYTES;
        if (file_pread_fully(fd, chunk, want, offset) != 0) {
            if (errno == 0)
                log_error("file \"%s\" became shorter while it was read", path);
            else
                log_error("could not read file \"%s\": %m", path);
            result = STORE_FAILED;
        } else if (sink_write(sink, chunk, want) != 0) {
            result = STORE_STOPPED;
        }
        offset += want;
        length -= want;
    }
    free(chunk);
    return result;
}

static enum store_result get_open_file(int fd, const char *path, const struct store_range *range,
                                       const struct sink *sink, struct store_object *object)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        log_error("could not stat file \"%s\": %m", path);
        return STORE_FAILED;
    }
    if (!S_ISREG(status.st_mode)) {
        log_error("\"%s\" is not a regular file", path);
        return STORE_FAILED;
    }
    uint64_t total = (uint64_t)status.st_size, offset = range->offset, length = range->length;
    *object = (struct store_object){.total_bytes = total,
                                    .modified = (int64_t)status.st_mtim.tv_sec * 1000000 +
                                                status.st_mtim.tv_nsec / 1000};
    if (range->suffix != 0) {
        offset = range->suffix < total ? total - range->suffix : 0;
        length = 0;
    }
    if (offset > total || length > total - offset)
        return STORE_SHORT;
    return copy_out(fd, path, offset, length == 0 ? total - offset : length, sink);
}

static enum store_result get(struct store *store, const char *key, const char *version_id,
                             const struct store_range *range, const struct sink *sink,
                             struct store_object *object)
{
    char *path = store_file_path(store, key);
    enum store_result result = STORE_FAILED;

    (void)version_id;
    if (path == NULL)
        return STORE_FAILED;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0) {
        result = get_open_file(fd, path, range, sink, object);
        close(fd);
    } else if (errno != ENOENT) {
        log_error("could not open file \"%s\": %m", path);
    } else if (!passes_dangling_link(store, path)) {
        result = STORE_ABSENT;
    }
    if ((result == STORE_OK || result == STORE_ABSENT || result == STORE_SHORT) &&
        !store_file_root_is_there(store))
        result = STORE_FAILED;
    free(path);
    return result;
}

/* The rest */

static enum store_result versions(struct store *store, const char *key,
                                  bool (*each)(void *context, const struct store_version *version),
                                  void *context)
{
    struct stat status;
    char *path = store_file_path(store, key);

    if (path == NULL)
        return STORE_FAILED;
    if (stat(path, &status) == 0)
        each(context, &(struct store_version){key, "", (uint64_t)status.st_size, false, true, 0});
    free(path);
    return STORE_OK;
}

static bool tell_only_version(void *context, const char *key, uint64_t bytes)
{
    const struct store_version_listing *wanted = context;

    return wanted->each(wanted->context, &(struct store_version){key, "", bytes, false, true, 0});
}

static enum store_result list_versions(struct store *store, const struct store_version_listing *wanted)
{
    const struct store_listing listing = {.prefix = wanted->prefix,
                                          .start_after = wanted->start_after,
                                          .each = tell_only_version,
                                          .context = (void *)wanted};

    return store_file_list(store, &listing);
}

/* No earlier content is kept here, and none is ever overwritten. */
static enum store_result put_back(struct store *store, const char *key, const char *version_id)
{
    (void)version_id;
    log_error("\"%s\" has no versions", store_describe(store, key));
    return STORE_FAILED;
}

static enum store_result delete_key(struct store *store, const char *key, const char *version_id)
{
    char *path = store_file_path(store, key), *directory = path == NULL ? NULL : path_directory(path);
    enum store_result result = STORE_FAILED;

    (void)version_id;
    if (directory == NULL)
        goto done;
    if (unlink(path) == 0)
        result = file_sync_directory(directory) == 0 ? STORE_OK : STORE_FAILED;
    else if (errno == ENOENT)
        result = STORE_OK;
    else
        log_error("could not remove file \"%s\": %m", path);
done:
    free(directory);
    free(path);
    return result;
}

/* Unlinks those of one directory, and syncs it once. */
static void delete_of_directory(struct store *store, struct store_deletion *deletions, size_t count)
{
    char *first = store_file_path(store, deletions[0].key);
    char *directory = first == NULL ? NULL : path_directory(first);

    for (size_t i = 0; i < count && directory != NULL; i++) {
        char *path = store_file_path(store, deletions[i].key);
        if (path != NULL && (unlink(path) == 0 || errno == ENOENT))
            deletions[i].result = STORE_OK;
        else if (path != NULL)
            log_error("could not remove file \"%s\": %m", path);
        free(path);
    }
    if (directory != NULL && file_exists(directory) && file_sync_directory(directory) != 0)
        for (size_t i = 0; i < count; i++)
            deletions[i].result = STORE_FAILED;
    free(directory);
    free(first);
}

static size_t directory_length(const char *key)
{
    const char *slash = strrchr(key, '/');

    return slash == NULL ? 0 : (size_t)(slash - key);
}

static enum store_result delete_many(struct store *store, struct store_deletion *deletions, size_t count)
{
    if (!store_file_root_is_there(store))
        return STORE_FAILED;
    for (size_t i = 0, next; i < count; i = next) {
        size_t length = directory_length(deletions[i].key);
        for (next = i + 1; next < count && directory_length(deletions[next].key) == length &&
                           strncmp(deletions[i].key, deletions[next].key, length) == 0;
             next++)
            ;
        delete_of_directory(store, deletions + i, next - i);
    }
    return store_file_root_is_there(store) ? STORE_OK : STORE_FAILED;
}

static void remove_folder(struct store *store, const char *folder)
{
    char *path = store_file_path(store, folder);

    if (path != NULL && rmdir(path) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
        log_debug("could not remove directory \"%s\": %m", path);
    free(path);
}

int store_file_open(struct store *store)
{
    static const struct store_driver driver = {
        .close = close_file_store,
        .set_limits = set_limits,
        .put_absent = store_file_put_absent,
        .replace = store_file_replace,
        .get = get,
        .list = store_file_list,
        .list_folders = store_file_list_folders,
        .versions = versions,
        .list_versions = list_versions,
        .list_unfinished = store_file_list_unfinished,
        .abort_unfinished = delete_key, /* a file of that name, and no version */
        .put_back = put_back,
        .copy = store_file_copy,
        .delete = delete_key,
        .delete_many = delete_many,
        .remove_folder = remove_folder,
        .upload_begin = store_file_upload_begin,
        .upload_write = store_file_upload_write,
        .upload_finish = store_file_upload_finish,
        .upload_abort = store_file_upload_abort,
    };

    struct store_file_root *root = malloc(sizeof *root);

    if (root == NULL)
        return log_out_of_memory();
    root->fd = open(store->config->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    store->own = root;
    store->driver = &driver;
    return 0;
}
