/* How an object gets into a directory: with its name only when it is whole and on disk. It is written to a
 * file without a name (file_new), synced, linked under its name if that is free, and the directory is
 * synced. */
#include "file.h"
#include "log.h"
#include "store_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pending { /* a file that has no name yet */
    struct store *store;
    char *path; /* its name to be */
    struct file_new file;
    uint64_t length;
    struct buffer gathered; /* not yet written: many small pieces become one call */
};

static void pending_free(struct pending *pending)
{
    file_new_free(&pending->file);
    free(pending->path);
    buffer_free(&pending->gathered);
}

/* Those below the root that are missing. The root itself is never made: who takes it away between a look at
 * it and this is not to find another in its place. */
static int make_directories(const struct store *store, const char *directory)
{
    const struct store_file_root *root = store->own;
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
    char *path = store_file_path(store, key), *directory = path == NULL ? NULL : path_directory(path);

    *pending = (struct pending){.store = store, .path = path, .file.fd = -1};
    bool good = directory != NULL && store_file_root_is_there(store) &&
                make_directories(store, directory) == 0 && file_new_open(path, &pending->file) == 0;
    free(directory);
    if (!good)
        pending_free(pending);
    return good ? 0 : -1;
}

static int write_out(struct pending *pending, const void *data, size_t length)
{
    if (file_write_fully(pending->file.fd, data, length) == 0)
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
    if (pending->gathered.length + length > STORE_FILE_CHUNK_BYTES && pending_flush(pending) != 0)
        return -1;
    if (length >= STORE_FILE_CHUNK_BYTES)
        return write_out(pending, data, length);
    if (pending->gathered.data == NULL && buffer_reserve(&pending->gathered, STORE_FILE_CHUNK_BYTES) != 0)
        return -1;
    return buffer_append(&pending->gathered, data, length);
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
    if (fsync(pending->file.fd) != 0) {
        log_error("could not fsync file \"%s\": %m", pending->path);
        return STORE_FAILED;
    }
    if (file_new_link(&pending->file) != 0) {
        if (errno != EEXIST) {
            log_error("could not link file \"%s\": %m", pending->path);
            return STORE_FAILED;
        }
        result = STORE_EXISTS;
    }
    return sync_up_to_root(pending->store, pending->file.directory) == 0 &&
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
    chunk = malloc(STORE_FILE_CHUNK_BYTES);
    if (chunk == NULL)
        return log_out_of_memory();
    while (offset < body->length) {
        size_t length = body->length - offset < STORE_FILE_CHUNK_BYTES ? (size_t)(body->length - offset)
                                                                       : STORE_FILE_CHUNK_BYTES;
        if (body_read(body, offset, chunk, length) != 0 || pending_write(pending, chunk, length) != 0)
            break;
        offset += length;
    }
    free(chunk);
    return offset == body->length ? 0 : -1;
}

enum store_result store_file_put_absent(struct store *store, const char *key, const struct body *body,
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

enum store_result store_file_replace(struct store *store, const char *key, const struct body *body)
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

void *store_file_upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
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

int store_file_upload_write(void *upload, const void *data, size_t length)
{
    return pending_write(upload, data, length);
}

void store_file_upload_abort(void *upload)
{
    pending_free(upload);
    free(upload);
}

enum store_result store_file_upload_finish(void *upload, struct store_object *object)
{
    struct pending *pending = upload;
    enum store_result result = pending_publish(pending);

    *object = (struct store_object){.total_bytes = pending->length};
    store_file_upload_abort(upload);
    return result;
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

enum store_result store_file_copy(struct store *store, const char *from, const char *to)
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
