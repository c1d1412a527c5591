/* The store in a directory. An object gets its name only when it is whole and on disk: it is written to an
 * unnamed file (O_TMPFILE), synced, linked under its name if that is free, and the directory is synced. On
 * file systems without unnamed files a hidden name takes their place; listings pass over names that begin
 * with a dot. */
#include "store_file.h"
#include "digest.h"
#include "file.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES (256 * 1024)

char *store_file_path(struct store *store, const char *key)
{
    return string_printf("%s/%s", store->config->path, key);
}

/* The directory that the store was opened with. Held, so that its inode number stays its own. */
struct root {
    int fd; /* -1: it was not there yet */
};

/* A root that is not there is an unmounted disk or a mistyped path, never "no such object". One that is
 * another than before was unmounted or mounted meanwhile: what was seen in the one holds nothing for the
 * other. */
bool store_file_root_is_there(struct store *store)
{
    struct root *root = store->own;
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
    struct root *root = store->own;

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

/* Writing */

struct pending { /* a file that has no name yet */
    struct store *store;
    char *path; /* its name to be */
    char *directory;
    char *temporary; /* where unnamed files are not to be had; else NULL */
    int fd;
    uint64_t length;
    struct buffer gathered; /* not yet written: many small pieces become one call */
};

static int open_temporary(struct pending *pending)
{
    unsigned char random[8];
    char hex[17];

    if (random_bytes(random, sizeof random) != 0)
        return -1;
    hex_encode(random, sizeof random, hex);
    pending->temporary = string_printf("%s/.%s" STORE_FILE_TEMPORARY, pending->directory, hex);
    if (pending->temporary == NULL)
        return -1;
    pending->fd = open(pending->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (pending->fd < 0) {
        log_error("could not create file \"%s\": %m", pending->temporary);
        free(pending->temporary);
        pending->temporary = NULL;
        return -1;
    }
    return 0;
}

static void pending_free(struct pending *pending)
{
    if (pending->fd >= 0)
        close(pending->fd);
    if (pending->temporary != NULL)
        unlink(pending->temporary);
    free(pending->temporary);
    free(pending->directory);
    free(pending->path);
    buffer_free(&pending->gathered);
}

/* Those below the root that are missing. The root itself is never made: who takes it away between a look at
 * it and this is not to find another in its place. */
static int make_directories(const struct store *store, const char *directory)
{
    const struct root *root = store->own;
    size_t root_length = strlen(store->config->path);
    struct stat status;

    if (stat(directory, &status) == 0) {
        if (S_ISDIR(status.st_mode))
            return 0;
        log_error("\"%s\" exists but is not a directory", directory);
        return -1;
    }
    char *copy = string_copy(directory);
    int result = copy == NULL ? -1 : 0;
    for (size_t at = root_length; result == 0 && directory[at] == '/';) {
        size_t end = at + 1 + strcspn(directory + at + 1, "/");
        copy[end] = '\0';
        bool is_made = mkdirat(root->fd, copy + root_length + 1, 0700) == 0;
        if (!is_made && errno != EEXIST) {
            log_error("could not create directory \"%s\": %m", copy);
            result = -1;
        }
        copy[at] = '\0';
        if (is_made && file_sync_directory(copy) != 0)
            result = -1;
        copy[at] = '/';
        copy[end] = directory[end];
        at = end;
    }
    free(copy);
    return result;
}

static int pending_open(struct store *store, const char *key, struct pending *pending)
{
    *pending = (struct pending){.store = store, .fd = -1};
    pending->path = store_file_path(store, key);
    pending->directory = pending->path == NULL ? NULL : path_directory(pending->path);
    if (pending->directory == NULL || !store_file_root_is_there(store) ||
        make_directories(store, pending->directory) != 0)
        goto failed;
    pending->fd = open(pending->directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (pending->fd < 0 && errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) {
        log_error("could not create a file in \"%s\": %m", pending->directory);
        goto failed;
    }
    if (pending->fd < 0 && open_temporary(pending) != 0)
        goto failed;
    return 0;
failed:
    pending_free(pending);
    return -1;
}

static int write_out(struct pending *pending, const void *data, size_t length)
{
    if (file_write_fully(pending->fd, data, length) == 0)
        return 0;
    log_error("could not write file \"%s\": %m", pending->path);
    return -1;
}

static int pending_flush(struct pending *pending)
{
    int result = write_out(pending, pending->gathered.data, pending->gathered.length);

    buffer_clear(&pending->gathered);
    return result;
}

static int pending_write(struct pending *pending, const void *data, size_t length)
{
    pending->length += length;
    if (pending->gathered.length + length > CHUNK_BYTES && pending_flush(pending) != 0)
        return -1;
    if (length >= CHUNK_BYTES)
        return write_out(pending, data, length);
    if (pending->gathered.data == NULL && buffer_reserve(&pending->gathered, CHUNK_BYTES) != 0)
        return -1;
    return buffer_append(&pending->gathered, data, length);
}

static int link_pending(struct pending *pending)
{
    char descriptor[64];

    if (pending->temporary == NULL) {
        snprintf(descriptor, sizeof descriptor, "/proc/self/fd/%d", pending->fd);
        return linkat(AT_FDCWD, descriptor, AT_FDCWD, pending->path, AT_SYMLINK_FOLLOW);
    }
    if (link(pending->temporary, pending->path) == 0)
        return 0;
    if (errno == EEXIST)
        return -1;
    if (renameat2(AT_FDCWD, pending->temporary, AT_FDCWD, pending->path, RENAME_NOREPLACE) != 0)
        return -1;
    free(pending->temporary);
    pending->temporary = NULL;
    return 0;
}

/* The directory, and those above it: also when the object or a directory was there already, since another
 * process may have made it a moment ago and not have synced it yet, and our caller is about to tell
 * PostgreSQL that it is safe. */
static int sync_up_to_root(const struct store *store, const char *lowest)
{
    size_t root_length = strlen(store->config->path);
    char *directory = string_copy(lowest);
    int result = directory == NULL ? -1 : 0;

    while (result == 0 && strlen(directory) >= root_length) {
        char *parent = path_directory(directory);
        result = parent == NULL ? -1 : file_sync_directory(directory);
        free(directory);
        directory = parent;
    }
    free(directory);
    return result;
}

/* Names it, if the name is free. */
static enum store_result pending_publish(struct pending *pending)
{
    enum store_result result = STORE_OK;

    if (pending_flush(pending) != 0)
        return STORE_FAILED;
    if (fsync(pending->fd) != 0) {
        log_error("could not fsync file \"%s\": %m", pending->path);
        return STORE_FAILED;
    }
    if (link_pending(pending) != 0) {
        if (errno != EEXIST) {
            log_error("could not link file \"%s\": %m", pending->path);
            return STORE_FAILED;
        }
        result = STORE_EXISTS;
    }
    return sync_up_to_root(pending->store, pending->directory) == 0 &&
                   store_file_root_is_there(pending->store)
               ? result
               : STORE_FAILED;
}

static int write_body(struct pending *pending, const struct body *body)
{
    unsigned char *chunk;
    uint64_t offset = 0;

    if (body->data != NULL || body->length == 0)
        return pending_write(pending, body->data, (size_t)body->length);
    chunk = malloc(CHUNK_BYTES);
    if (chunk == NULL)
        return log_out_of_memory();
    while (offset < body->length) {
        size_t length = body->length - offset < CHUNK_BYTES ? (size_t)(body->length - offset) : CHUNK_BYTES;
        if (body_read(body, offset, chunk, length) != 0 || pending_write(pending, chunk, length) != 0)
            break;
        offset += length;
    }
    free(chunk);
    return offset == body->length ? 0 : -1;
}

static enum store_result put_absent(struct store *store, const char *key, const struct body *body,
                                    enum store_condition condition, struct store_object *object)
{
    struct pending pending;
    enum store_result result = STORE_FAILED;

    (void)condition; /* a link is always exclusive */
    if (pending_open(store, key, &pending) != 0)
        return STORE_FAILED;
    if (write_body(&pending, body) == 0)
        result = pending_publish(&pending);
    *object = (struct store_object){.total_bytes = body->length};
    pending_free(&pending);
    return result;
}

static enum store_result replace(struct store *store, const char *key, const struct body *body)
{
    char *path = store_file_path(store, key), *directory = path == NULL ? NULL : path_directory(path);
    enum store_result result = STORE_FAILED;

    if (directory != NULL && store_file_root_is_there(store) && body->data != NULL &&
        make_directories(store, directory) == 0 &&
        file_replace(path, body->data, (size_t)body->length, 0600) == 0 && store_file_root_is_there(store))
        result = STORE_OK;
    free(directory);
    free(path);
    return result;
}

static void *upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                          enum store_condition condition)
{
    struct pending *pending = malloc(sizeof *pending);

    (void)expected_bytes;
    (void)condition;
    if (pending == NULL) {
        log_out_of_memory();
        return NULL;
    }
    if (pending_open(store, key, pending) != 0) {
        free(pending);
        return NULL;
    }
    return pending;
}

static int upload_write(void *upload, const void *data, size_t length)
{
    return pending_write(upload, data, length);
}

static void upload_abort(void *upload)
{
    pending_free(upload);
    free(upload);
}

static enum store_result upload_finish(void *upload, struct store_object *object)
{
    struct pending *pending = upload;
    enum store_result result = pending_publish(pending);

    *object = (struct store_object){.total_bytes = pending->length};
    upload_abort(upload);
    return result;
}

/* Reading */

static enum store_result copy_out(int fd, const char *path, uint64_t offset, uint64_t length,
                                  const struct sink *sink)
{
    unsigned char *chunk = malloc(CHUNK_BYTES);
    enum store_result result = STORE_OK;

    if (chunk == NULL) {
        log_out_of_memory();
        return STORE_FAILED;
    }
    while (length > 0 && result == STORE_OK) {
        size_t want = length < CHUNK_BYTES ? (size_t)length : CHUNK_BYTES;
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

/* A second name: what is stored is never written to again. */
static enum store_result link_copy(struct store *store, const char *from, const char *to,
                                   const char *directory)
{
    if (!store_file_root_is_there(store) || make_directories(store, directory) != 0)
        return STORE_FAILED;
    int failed = link(from, to) != 0;
    if (!failed || errno == EEXIST) {
        enum store_result result = failed ? STORE_EXISTS : STORE_OK;
        return sync_up_to_root(store, directory) == 0 && store_file_root_is_there(store) ? result
                                                                                         : STORE_FAILED;
    }
    if (errno == ENOENT && !file_exists(from))
        return store_file_root_is_there(store) ? STORE_ABSENT : STORE_FAILED;
    log_error("could not link file \"%s\" to \"%s\": %m", from, to);
    return STORE_FAILED;
}

static enum store_result copy(struct store *store, const char *from, const char *to)
{
    char *old_path = store_file_path(store, from), *new_path = store_file_path(store, to);
    char *directory = new_path == NULL ? NULL : path_directory(new_path);
    enum store_result result = STORE_FAILED;

    if (old_path != NULL && directory != NULL)
        result = link_copy(store, old_path, new_path, directory);
    free(directory);
    free(new_path);
    free(old_path);
    return result;
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
        .put_absent = put_absent,
        .replace = replace,
        .get = get,
        .list = store_file_list,
        .list_folders = store_file_list_folders,
        .versions = versions,
        .list_versions = list_versions,
        .list_unfinished = store_file_list_unfinished,
        .abort_unfinished = delete_key, /* a file of that name, and no version */
        .put_back = put_back,
        .copy = copy,
        .delete = delete_key,
        .delete_many = delete_many,
        .remove_folder = remove_folder,
        .upload_begin = upload_begin,
        .upload_write = upload_write,
        .upload_finish = upload_finish,
        .upload_abort = upload_abort,
    };

    struct root *root = malloc(sizeof *root);

    if (root == NULL)
        return log_out_of_memory();
    root->fd = open(store->config->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    store->own = root;
    store->driver = &driver;
    return 0;
}
