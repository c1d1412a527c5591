#include "store.h"

#include "log.h"
#include "store_driver.h"

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
    return store;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store->driver->close(store);
    free(store->description);
    free(store);
}

unsigned store_slow_downs(const struct store *store)
{
    return store->driver->slow_downs != NULL ? store->driver->slow_downs(store) : 0;
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

enum store_result store_put_absent(struct store *store, const char *key, const struct body *body,
                                   enum store_condition condition, struct store_object *object)
{
    struct store_object ignored;

    return store->driver->put_absent(store, key, body, condition, object == NULL ? &ignored : object);
}

enum store_result store_replace(struct store *store, const char *key, const struct body *body)
{
    return store->driver->replace(store, key, body);
}

enum store_result store_get(struct store *store, const char *key, const struct store_range *range,
                            const struct sink *sink, struct store_object *object)
{
    return store_get_version(store, key, NULL, range, sink, object);
}

enum store_result store_get_version(struct store *store, const char *key, const char *version_id,
                                    const struct store_range *range, const struct sink *sink,
                                    struct store_object *object)
{
    const struct store_range whole = {0, 0, 0};
    struct store_object ignored;

    return store->driver->get(store, key, version_id, range == NULL ? &whole : range, sink,
                              object == NULL ? &ignored : object);
}

enum store_result store_list(struct store *store, const struct store_listing *listing)
{
    return store->driver->list(store, listing);
}

enum store_result store_list_folders(struct store *store, const char *prefix,
                                     bool (*each)(void *context, const char *name), void *context)
{
    return store->driver->list_folders(store, prefix, each, context);
}

enum store_result store_versions(struct store *store, const char *key,
                                 bool (*each)(void *context, const struct store_version *version),
                                 void *context)
{
    return store->driver->versions(store, key, each, context);
}

enum store_result store_put_back(struct store *store, const char *key, const char *version_id)
{
    return store->driver->put_back(store, key, version_id);
}

enum store_result store_copy(struct store *store, const char *from, const char *to)
{
    return store->driver->copy(store, from, to);
}

enum store_result store_delete(struct store *store, const char *key, const char *version_id)
{
    return store->driver->delete (store, key, version_id);
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
        free(upload);
        return NULL;
    }
    return upload;
}

int store_upload_write(struct store_upload *upload, const void *data, size_t length)
{
    return upload->store->driver->upload_write(upload->own, data, length);
}

enum store_result store_upload_finish(struct store_upload *upload, struct store_object *object)
{
    struct store_object ignored;
    enum store_result result =
        upload->store->driver->upload_finish(upload->own, object == NULL ? &ignored : object);

    free(upload);
    return result;
}

void store_upload_abort(struct store_upload *upload)
{
    if (upload == NULL)
        return;
    upload->store->driver->upload_abort(upload->own);
    free(upload);
}
