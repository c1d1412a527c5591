/* The driver of encrypted repositories: around that of the place, it seals what goes in and opens what comes
 * out (store_sealed_put.c, store_sealed_get.c), with keys from store_sealed_keys.c, so that all above sees
 * the content and its length. */
#include "store_sealed.h"

#include "log.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *sealed_name(const char *key)
{
    const char *slash = strchr(key, '/');

    return slash != NULL && isdigit((unsigned char)slash[1]) ? slash + 1 : NULL;
}

/* Lengths in lists */

static uint64_t listed_bytes(const char *key, uint64_t stored_bytes)
{
    uint64_t plain_bytes;

    /* that of no encrypted object stays as it is: whoever reads that object is told */
    return sealed_name(key) != NULL && sealing_plain_bytes(stored_bytes, &plain_bytes) ? plain_bytes
                                                                                       : stored_bytes;
}

static bool tell_key(void *context, const char *key, uint64_t bytes)
{
    const struct store_listing *listing = context;

    return listing->each(listing->context, key, listed_bytes(key, bytes));
}

static enum store_result list(struct store *store, const struct store_listing *listing)
{
    struct sealed *sealed = store->own;
    struct store_listing inner = *listing;

    inner.each = tell_key;
    inner.context = (void *)listing;
    return sealed->inner.driver->list(&sealed->inner, &inner);
}

struct telling {
    bool (*each)(void *context, const struct store_version *version);
    void *context;
};

static bool tell_version(void *context, const struct store_version *version)
{
    const struct telling *telling = context;
    struct store_version told = *version;

    if (!told.is_delete_marker)
        told.bytes = listed_bytes(told.key, told.bytes);
    return telling->each(telling->context, &told);
}

static enum store_result versions(struct store *store, const char *key,
                                  bool (*each)(void *context, const struct store_version *version),
                                  void *context)
{
    struct sealed *sealed = store->own;
    struct telling telling = {each, context};

    return sealed->inner.driver->versions(&sealed->inner, key, tell_version, &telling);
}

static enum store_result list_versions(struct store *store, const struct store_version_listing *listing)
{
    struct sealed *sealed = store->own;
    struct telling telling = {listing->each, listing->context};
    struct store_version_listing inner = *listing;

    inner.each = tell_version;
    inner.context = &telling;
    return sealed->inner.driver->list_versions(&sealed->inner, &inner);
}

/* What needs no key */

static void close_sealed(struct store *store)
{
    struct sealed *sealed = store->own;

    sealed->inner.driver->close(&sealed->inner);
    free(sealed->inner.description);
    store_close(sealed->reader);
    keyring_close(sealed->keyring);
    sealing_end(&sealed->sealing);
    sealed_forget(sealed);
    if (sealed->piece != NULL)
        explicit_bzero(sealed->piece, SEALING_PIECE_BYTES_MOST);
    free(sealed->piece);
    free(sealed);
    store->own = NULL;
}

static struct store *inner_of(const struct store *store)
{
    return &((struct sealed *)store->own)->inner;
}

static void set_limits(struct store *store, const struct store_limits *limits)
{
    store_set_limits(inner_of(store), limits);
}

static unsigned slow_downs(const struct store *store)
{
    return store_slow_downs(inner_of(store));
}

static int64_t now(const struct store *store)
{
    return store_now(inner_of(store));
}

static int time_of(struct store *store, const char *key, int64_t *time)
{
    return store_time_of(inner_of(store), key, time);
}

static enum store_result list_folders(struct store *store, const char *prefix,
                                      bool (*each)(void *context, const char *name), void *context)
{
    return store_list_folders(inner_of(store), prefix, each, context);
}

static enum store_result
list_unfinished(struct store *store, const char *prefix,
                bool (*each)(void *context, const struct store_unfinished *unfinished), void *context)
{
    return store_list_unfinished(inner_of(store), prefix, each, context);
}

static enum store_result abort_unfinished(struct store *store, const char *key, const char *upload_id)
{
    return store_abort_unfinished(inner_of(store), key, upload_id);
}

static enum store_result put_back(struct store *store, const char *key, const char *version_id)
{
    sealed_forget(store->own);
    return store_put_back(inner_of(store), key, version_id);
}

static enum store_result delete_key(struct store *store, const char *key, const char *version_id)
{
    sealed_forget(store->own);
    return store_delete(inner_of(store), key, version_id);
}

static enum store_result delete_many(struct store *store, struct store_deletion *deletions, size_t count)
{
    sealed_forget(store->own);
    return store_delete_many(inner_of(store), deletions, count);
}

static void remove_folder(struct store *store, const char *folder)
{
    store_remove_folder(inner_of(store), folder);
}

static enum store_result get_lock(struct store *store, const char *key, const char *version_id,
                                  struct store_lock *lock)
{
    return store_get_lock(inner_of(store), key, version_id, lock);
}

static enum store_result set_hold(struct store *store, const char *key, const char *version_id, bool on)
{
    return store_set_hold(inner_of(store), key, version_id, on);
}

static const struct store_driver driver = {
    .close = close_sealed,
    .set_limits = set_limits,
    .slow_downs = slow_downs,
    .now = now,
    .put_absent = sealed_put_absent,
    .replace = sealed_replace,
    .get = sealed_get,
    .time_of = time_of,
    .list = list,
    .list_folders = list_folders,
    .versions = versions,
    .list_versions = list_versions,
    .list_unfinished = list_unfinished,
    .abort_unfinished = abort_unfinished,
    .put_back = put_back,
    .copy = sealed_copy,
    .delete = delete_key,
    .delete_many = delete_many,
    .remove_folder = remove_folder,
    .get_lock = get_lock,
    .set_hold = set_hold,
    .upload_begin = sealed_upload_begin,
    .upload_write = sealed_upload_write,
    .upload_finish = sealed_upload_finish,
    .upload_abort = sealed_upload_abort,
};

int store_sealed_open(struct store *store)
{
    struct sealed *sealed = calloc(1, sizeof *sealed);

    if (sealed == NULL)
        return log_out_of_memory();
    sealed->keyring = keyring_open(store->config);
    if (sealed->keyring == NULL) {
        free(sealed);
        return -1;
    }
    sealed->inner = *store;
    store->driver = &driver;
    store->own = sealed;
    return 0;
}

static struct sealed *sealed_of(const struct store *store)
{
    return store->driver == &driver ? store->own : NULL;
}

void store_remember_keys(struct store *store, const struct config *config, const struct state *state)
{
    struct sealed *sealed = sealed_of(store);

    if (sealed == NULL)
        return;
    sealed->config = config;
    sealed->state = state;
}

enum store_result store_set_epoch(struct store *store, const char *key, const struct sealing_epoch *epoch)
{
    return sealed_set_epoch(sealed_of(store), key, epoch);
}

bool store_epoch_is_behind(const struct store *store)
{
    const struct sealed *sealed = sealed_of(store);

    return sealed != NULL && keyring_is_behind(sealed->keyring);
}

void store_tell_epoch_behind(const struct store *store)
{
    sealed_tell_behind(sealed_of(store));
}

struct sealing_epoch store_newest_epoch(struct store *store)
{
    return sealed_newest_epoch(sealed_of(store));
}

int store_accept_epoch(struct store *store)
{
    return sealed_accept_epoch(sealed_of(store));
}

const char *store_key_ids(const struct store *store)
{
    return keyring_ids(((struct sealed *)store->own)->keyring);
}

int store_list_key_ids(struct store *store, const char *cluster, uint32_t epoch, struct buffer *others,
                       struct buffer *ours)
{
    const struct sealed *sealed = sealed_of(store);

    return sealed_list_key_ids(store, sealed == NULL ? NULL : sealed->keyring, cluster, epoch, others, ours);
}
