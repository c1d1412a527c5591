/* The driver of encrypted repositories: around that of the place, it seals what goes in and opens what comes
 * out (store_sealed_put.c, store_sealed_get.c), so that all above sees the content and its length. */
#include "store_sealed.h"

#include "log.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KEY_OBJECT_BYTES_MOST (64u * 1024)

const char *sealed_name(const char *key)
{
    const char *slash = strchr(key, '/');

    return slash != NULL && isdigit((unsigned char)slash[1]) ? slash + 1 : NULL;
}

/* Keys of epochs */

/* The document's name in state_dir; NULL: nothing is remembered, or after logging. Caller frees. */
static char *state_file(const struct sealed *sealed, const char *name)
{
    char *kind, *result;

    if (sealed->state == NULL || sealed->state->directory == NULL)
        return NULL;
    kind = string_printf("key-%s", strchr(name, '/') + 1);
    result = kind == NULL ? NULL : state_name(kind, sealed->config, sealed->inner.config);
    free(kind);
    return result;
}

/* What was remembered and is not it is forgotten: the store is asked. */
static bool recall(struct sealed *sealed, const char *name, const struct sealing_epoch *epoch,
                   const struct key *key)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct buffer text = BUFFER_EMPTY;
    char *file = state_file(sealed, name);
    bool recalled = false;
    int64_t age;

    if (file != NULL && state_read(sealed->state, file, &text, &age) == 0) {
        bool was_muted = log_mute_thread(true);
        recalled = keyring_take(sealed->keyring, epoch->number, key, text.data, text.length,
                                "a remembered key") == 0 &&
                   keyring_find(sealed->keyring, epoch, epoch_key);
        log_mute_thread(was_muted);
        if (!recalled)
            state_forget(sealed->state, file);
        explicit_bzero(epoch_key, sizeof epoch_key);
    }
    buffer_free(&text);
    free(file);
    return recalled;
}

static int append_limited(void *context, const void *data, size_t length)
{
    struct buffer *out = context;

    if (out->length + length <= KEY_OBJECT_BYTES_MOST)
        return buffer_append(out, data, length);
    log_error("a document of a key is longer than is sensible");
    return -1;
}

static enum store_result ask(struct sealed *sealed, const char *cluster, const char *name, uint32_t epoch,
                             const struct key *key)
{
    const struct store_range whole = {0, 0, 0};
    struct buffer text = BUFFER_EMPTY;
    const struct sink sink = {append_limited, &text};
    struct store_object object;
    char *place = string_printf("%.*s/%s", (int)strcspn(cluster, "/"), cluster, name);
    enum store_result result =
        place == NULL ? STORE_FAILED
                      : sealed->inner.driver->get(&sealed->inner, place, NULL, &whole, &sink, &object);

    if (result == STORE_OK && keyring_take(sealed->keyring, epoch, key, text.data, text.length,
                                           store_describe(&sealed->inner, place)) != 0)
        result = STORE_DAMAGED;
    if (result == STORE_OK) {
        char *file = state_file(sealed, name);
        if (file != NULL)
            state_write(sealed->state, file, text.data, text.length);
        free(file);
    }
    buffer_free(&text);
    free(place);
    return result == STORE_STOPPED ? STORE_FAILED : result == STORE_DELETED ? STORE_ABSENT : result;
}

enum store_result sealed_epoch_key(struct sealed *sealed, const char *cluster,
                                   const struct sealing_epoch *epoch, bool may_ask,
                                   unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    enum store_result result = STORE_ABSENT;
    size_t count = keyring_count(sealed->keyring);
    char name[KEY_NAME_BYTES];

    if (keyring_find(sealed->keyring, epoch, epoch_key))
        return STORE_OK;
    /* a document that is gone, damaged or of another epoch hides no other key's */
    for (size_t i = 0; i < 2 * count; i++) {
        const struct key *key = keyring_key(sealed->keyring, i % count);
        enum store_result one = STORE_ABSENT;
        key_object_name(epoch->number, key->id, name);
        if (i < count)
            one = recall(sealed, name, epoch, key) ? STORE_OK : STORE_ABSENT;
        else if (may_ask)
            one = ask(sealed, cluster, name, epoch->number, key);
        if (one == STORE_OK && keyring_find(sealed->keyring, epoch, epoch_key))
            return STORE_OK;
        if (one != STORE_OK && result == STORE_ABSENT)
            result = one;
    }
    return result;
}

int sealed_begin_new(struct sealed *sealed, const char *key, struct sealing *sealing)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    const struct sealing_epoch epoch = keyring_epoch(sealed->keyring);
    int result = -1;

    sealed_forget(sealed);
    if (epoch.number == 0 || !keyring_find(sealed->keyring, &epoch, epoch_key))
        log_error("could not encrypt \"%s\": cluster.json, which names the key epoch, was not read",
                  store_describe(&sealed->inner, key));
    else
        result = sealing_begin_new(sealing, epoch_key, &epoch, sealed_name(key));
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
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

void store_remember_keys(struct store *store, const struct config *config, const struct state *state)
{
    if (store->driver != &driver)
        return;
    struct sealed *sealed = store->own;
    sealed->config = config;
    sealed->state = state;
}

enum store_result store_set_epoch(struct store *store, const char *key, const struct sealing_epoch *epoch)
{
    struct sealed *sealed = store->own;
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    enum store_result result = sealed_epoch_key(sealed, key, epoch, true, epoch_key);

    explicit_bzero(epoch_key, sizeof epoch_key);
    if (result == STORE_OK)
        keyring_set_epoch(sealed->keyring, epoch);
    return result;
}

const char *store_key_ids(const struct store *store)
{
    return keyring_ids(((struct sealed *)store->own)->keyring);
}
