#include "store.h"

#include "log.h"
#include "store_driver.h"
#include "timestamp.h"

#include <stdlib.h>

struct store *store_open(const struct repository_config *config, const struct store_limits *limits)
{
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        log_out_of_memory();
        return NULL;
    }
    store->config = config;
    store->limits = *limits;
    if ((config->kind == REPOSITORY_S3 ? store_s3_open(store) : store_file_open(store)) != 0) {
        free(store);
        return NULL;
    }
    if (config->encryption_key_file != NULL && store_sealed_open(store) != 0) {
        store_close(store);
        return NULL;
    }
    return store;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store->driver->close(store);
    relay_free(store->relay);
    free(store->description);
    free(store);
}

int store_use_relay(struct store *store)
{
    store->relay = relay_new();
    return store->relay == NULL ? -1 : 0;
}

unsigned store_slow_downs(const struct store *store)
{
    return store->driver->slow_downs != NULL ? store->driver->slow_downs(store) : 0;
}

int64_t store_now(const struct store *store)
{
    return store->driver->now != NULL ? store->driver->now(store) : timestamp_now();
}

void store_set_limits(struct store *store, const struct store_limits *limits)
{
    store->limits = *limits;
    store->driver->set_limits(store, limits);
}

const char *store_describe(struct store *store, const char *key)
{
    const struct repository_config *config = store->config;

    free(store->description);
    if (config->kind == REPOSITORY_S3)
        store->description =
            string_printf("s3://%s/%s%s%s", config->bucket, config->path, *config->path ? "/" : "", key);
    else
        store->description = string_printf("%s/%s", config->path, key);
    return store->description == NULL ? key : store->description;
}

/* What it has logged is about this. */
static enum store_result told(enum store_result result)
{
    if (result == STORE_FAILED)
        log_tell_kind("store");
    else if (result == STORE_DAMAGED)
        log_tell_kind("damage");
    return result;
}

enum store_result store_put_absent(struct store *store, const char *key, const struct body *body,
                                   enum store_condition condition, struct store_object *object)
{
    struct store_object ignored;

    return told(store->driver->put_absent(store, key, body, condition, object == NULL ? &ignored : object));
}

enum store_result store_replace(struct store *store, const char *key, const struct body *body)
{
    return told(store->driver->replace(store, key, body));
}

enum store_result store_get(struct store *store, const char *key, const struct store_range *range,
                            const struct sink *sink, struct store_object *object)
{
    return store_get_version(store, key, NULL, range, sink, object);
}

static enum store_result get_relayed(struct store *store, const char *key, const char *version_id,
                                     const struct store_range *range, const struct sink *sink,
                                     struct store_object *object)
{
    const struct sink relayed = relay_sink(store->relay);

    relay_begin(store->relay, sink);
    enum store_result result = store->driver->get(store, key, version_id, range, &relayed, object);
    return relay_end(store->relay) == 0 ? result : STORE_STOPPED;
}

enum store_result store_get_version(struct store *store, const char *key, const char *version_id,
                                    const struct store_range *range, const struct sink *sink,
                                    struct store_object *object)
{
    const struct store_range whole = {0, 0, 0};
    struct store_object ignored;

    if (range == NULL)
        range = &whole;
    if (object == NULL)
        object = &ignored;
    return told(store->relay != NULL ? get_relayed(store, key, version_id, range, sink, object)
                                     : store->driver->get(store, key, version_id, range, sink, object));
}

static int discard(void *context, const void *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return 0;
}

int store_time_of(struct store *store, const char *key, int64_t *time)
{
    const struct store_range one_byte = {.length = 1};
    const struct sink nowhere = {discard, NULL};
    struct store_object object = {.modified = 0};

    *time = 0;
    if (store->driver->time_of != NULL)
        return store->driver->time_of(store, key, time);
    switch (store_get(store, key, &one_byte, &nowhere, &object)) {
    case STORE_OK:
    case STORE_SHORT:
        *time = object.modified;
        return 1;
    case STORE_ABSENT:
    case STORE_DELETED:
        return 0;
    default:
        return -1;
    }
}

enum store_result store_list(struct store *store, const struct store_listing *listing)
{
    return told(store->driver->list(store, listing));
}

static bool take_first(void *context, const char *key, uint64_t bytes)
{
    char **first = context;

    (void)bytes;
    *first = string_copy(key);
    return false;
}

int store_first_key(struct store *store, const char *prefix, char **key)
{
    const struct store_listing listing = {
        .prefix = prefix, .page_keys = 1, .each = take_first, .context = key};

    *key = NULL;
    return store_list(store, &listing) == STORE_OK ? 0 : -1;
}

enum store_result store_list_folders(struct store *store, const char *prefix,
                                     bool (*each)(void *context, const char *name), void *context)
{
    return told(store->driver->list_folders(store, prefix, each, context));
}

enum store_result store_versions(struct store *store, const char *key,
                                 bool (*each)(void *context, const struct store_version *version),
                                 void *context)
{
    return told(store->driver->versions(store, key, each, context));
}

enum store_result store_list_versions(struct store *store, const struct store_version_listing *listing)
{
    return told(store->driver->list_versions(store, listing));
}

enum store_result
store_list_unfinished(struct store *store, const char *prefix,
                      bool (*each)(void *context, const struct store_unfinished *unfinished), void *context)
{
    return told(store->driver->list_unfinished(store, prefix, each, context));
}

enum store_result store_abort_unfinished(struct store *store, const char *key, const char *upload_id)
{
    return told(store->driver->abort_unfinished(store, key, upload_id));
}

enum store_result store_put_back(struct store *store, const char *key, const char *version_id)
{
    return told(store->driver->put_back(store, key, version_id));
}

enum store_result store_copy(struct store *store, const char *from, const char *to)
{
    return told(store->driver->copy(store, from, to));
}

enum store_result store_delete(struct store *store, const char *key, const char *version_id)
{
    return told(store->driver->delete (store, key, version_id));
}

enum store_result store_delete_many(struct store *store, struct store_deletion *deletions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        deletions[i].result = STORE_FAILED;
    return told(store->driver->delete_many(store, deletions, count));
}

void store_remove_folder(struct store *store, const char *folder)
{
    if (store->driver->remove_folder != NULL)
        store->driver->remove_folder(store, folder);
}

enum store_result store_get_lock(struct store *store, const char *key, const char *version_id,
                                 struct store_lock *lock)
{
    *lock = (struct store_lock){.is_locked = false};
    return store->driver->get_lock != NULL ? store->driver->get_lock(store, key, version_id, lock) : STORE_OK;
}

enum store_result store_set_hold(struct store *store, const char *key, const char *version_id, bool on)
{
    if (store->driver->set_hold != NULL)
        return store->driver->set_hold(store, key, version_id, on);
    log_error("there are no legal holds in a directory: \"%s\"", store_describe(store, key));
    return STORE_FAILED;
}

struct store_upload {
    struct store *store;
    void *own;
};

struct store_upload *store_upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                                        enum store_condition condition)
{
    struct store_upload *upload = calloc(1, sizeof *upload);

    if (upload == NULL) {
        log_out_of_memory();
        return NULL;
    }
    upload->store = store;
    upload->own = store->driver->upload_begin(store, key, expected_bytes, condition);
    if (upload->own == NULL) {
        told(STORE_FAILED);
        free(upload);
        return NULL;
    }
    return upload;
}

int store_upload_write(struct store_upload *upload, const void *data, size_t length)
{
    int result = upload->store->driver->upload_write(upload->own, data, length);

    if (result != 0)
        told(STORE_FAILED);
    return result;
}

enum store_result store_upload_finish(struct store_upload *upload, struct store_object *object)
{
    struct store_object ignored;
    enum store_result result =
        upload->store->driver->upload_finish(upload->own, object == NULL ? &ignored : object);

    free(upload);
    return told(result);
}

void store_upload_abort(struct store_upload *upload)
{
    if (upload == NULL)
        return;
    upload->store->driver->upload_abort(upload->own);
    free(upload);
}
