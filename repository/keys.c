#include "keys.h"

#include "common/digest.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/sealing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    struct keys_list *list;
    bool failed;
};

static bool note(void *context, const char *key, uint64_t bytes)
{
    struct listing *listing = context;
    struct keys_list *list = listing->list;
    struct keys_entry entry, *grown;

    (void)bytes;
    if (!key_object_name_parse(strrchr(key, '/') + 1, &entry.epoch, entry.id))
        return true;
    grown = realloc(list->entries, (list->count + 1) * sizeof *grown);
    if (grown == NULL) {
        log_out_of_memory();
        listing->failed = true;
        return false;
    }
    list->entries = grown;
    grown[list->count++] = entry;
    return true;
}

int keys_list(struct repository *repository, struct keys_list *list)
{
    *list = (struct keys_list){NULL, 0};

    struct listing listing = {list, false};
    char *prefix = string_printf("%s/keys/", repository->config->cluster_name);
    const struct store_listing wanted = {.prefix = prefix, .each = note, .context = &listing};
    enum store_result result = STORE_FAILED;

    if (prefix != NULL)
        result = store_list(repository->store, &wanted);
    free(prefix);
    if (result == STORE_OK && !listing.failed)
        return 0;
    keys_list_free(list);
    return -1;
}

void keys_list_free(struct keys_list *list)
{
    free(list->entries);
    *list = (struct keys_list){NULL, 0};
}

static char *key_of(const struct repository *repository, uint32_t epoch, const char *id)
{
    char name[KEY_NAME_BYTES];

    key_object_name(epoch, id, name);
    return string_printf("%s/%s", repository->config->cluster_name, name);
}

int keys_get(struct repository *repository, const struct keys_entry *entry, struct key_object *object)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = key_of(repository, entry->epoch, entry->id);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_get_small(repository, key, NULL, &text);

    if (result == REPOSITORY_ABSENT)
        log_error("\"%s\" was there and is gone", store_describe(repository->store, key));
    if (result == REPOSITORY_OK) {
        const char *what = store_describe(repository->store, key);
        if (key_object_parse(text.data, text.length, what, object) != 0) {
            result = REPOSITORY_DAMAGED;
        } else if (object->epoch != entry->epoch || strcmp(object->id, entry->id) != 0) {
            log_error("%s is damaged: it is of epoch %" PRIu32 " and key %s", what, object->epoch,
                      object->id);
            result = REPOSITORY_DAMAGED;
        }
    }
    buffer_free(&text);
    free(key);
    return result == REPOSITORY_OK ? 0 : -1;
}

static int put(struct repository *repository, const struct key *wrapping, uint32_t epoch,
               const unsigned char epoch_key[CIPHER_KEY_BYTES], const struct key_derivation *derivation)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = key_of(repository, epoch, wrapping->id);
    enum repository_result result = REPOSITORY_FAILED;

    if (key != NULL && key_object_make(wrapping, epoch, epoch_key, derivation, &text) == 0)
        result = repository_put_small(repository, key, &text);
    if (result == REPOSITORY_COLLISION) {
        log_error("\"%s\" has just been made by somebody else", store_describe(repository->store, key));
        log_hint("Run the command again to see what is there.");
    }
    buffer_free(&text);
    free(key);
    return result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL ? 0 : -1;
}

/* How a passphrase makes this key, as the newest document of it tells. False: it does not. */
static bool find_derivation(struct repository *repository, const struct keys_list *list, const char *id,
                            struct key_derivation *derivation)
{
    struct key_object object;

    for (size_t i = list->count; i-- > 0;)
        if (strcmp(list->entries[i].id, id) == 0 && keys_get(repository, &list->entries[i], &object) == 0) {
            *derivation = object.derivation;
            return derivation->n != 0;
        }
    return false;
}

/* Whoever counts on a key that is not configured here has to hear of it. */
static void tell_left_out(const struct keyring *keyring, const struct keys_list *list, uint32_t before,
                          uint32_t epoch)
{
    for (size_t i = 0; i < list->count; i++) {
        bool is_configured = false;
        for (size_t k = 0; k < keyring_count(keyring); k++)
            is_configured = is_configured || strcmp(keyring_key(keyring, k)->id, list->entries[i].id) == 0;
        if (list->entries[i].epoch != before || is_configured)
            continue;
        log_warning("key %s opens epoch %" PRIu32 " and will not open epoch %" PRIu32, list->entries[i].id,
                    before, epoch);
        log_hint("If it is to be kept, add it again: repository-key add, with --passphrase for one that is "
                 "made from a passphrase.");
    }
}

/* Behind all that there are, also those that an interrupted call has left: none is ever used for two keys. */
int keys_begin_epoch(struct repository *repository)
{
    struct keyring *keyring = keyring_open(repository->settings);
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct keys_list list;
    uint32_t epoch = repository->cluster.epoch.number;
    int result = keyring == NULL || keys_list(repository, &list) != 0 ? -1 : 0;

    if (result != 0) {
        keyring_close(keyring);
        return -1;
    }
    for (size_t i = 0; i < list.count; i++)
        if (list.entries[i].epoch > epoch)
            epoch = list.entries[i].epoch;
    if (epoch++ >= SEALING_EPOCH_MOST) {
        log_error("the key epochs of repository \"%s\" are used up", repository->settings->name);
        result = -1;
    }
    if (result == 0)
        result = random_bytes(epoch_key, sizeof epoch_key);
    for (size_t i = 0; i < keyring_count(keyring) && result == 0; i++) {
        const struct key *key = keyring_key(keyring, i);
        struct key_derivation derivation;
        bool is_derived = find_derivation(repository, &list, key->id, &derivation);
        result = put(repository, key, epoch, epoch_key, is_derived ? &derivation : NULL);
    }
    if (result == 0)
        tell_left_out(keyring, &list, repository->cluster.epoch.number, epoch);
    keys_list_free(&list);
    if (result == 0)
        result = keyring_add(keyring, epoch, epoch_key, &repository->cluster.epoch);
    if (result == 0)
        keyring_set_epoch(keyring, &repository->cluster.epoch);
    explicit_bzero(epoch_key, sizeof epoch_key);
    keyring_close(keyring);
    return result;
}

/* An epoch's key, by whichever configured key there is a document for. */
static int open_epoch(struct repository *repository, struct keyring *keyring, const struct keys_list *list,
                      uint32_t epoch, unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    struct key_object object;

    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < keyring_count(keyring) && list->entries[i].epoch == epoch; k++) {
            const struct key *key = keyring_key(keyring, k);
            if (strcmp(list->entries[i].id, key->id) != 0)
                continue;
            if (keys_get(repository, &list->entries[i], &object) == 0 &&
                key_object_unwrap(&object, key, "its document in keys/", epoch_key) == 0)
                return 0;
        }
    log_error("no configured key (%s) opens epoch %" PRIu32 " of repository \"%s\"", keyring_ids(keyring),
              epoch, repository->settings->name);
    return -1;
}

static bool has(const struct keys_list *list, uint32_t epoch, const char *id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].epoch == epoch && strcmp(list->entries[i].id, id) == 0)
            return true;
    return false;
}

int keys_wrap_all(struct repository *repository, const struct key *key,
                  const struct key_derivation *derivation, size_t *added)
{
    struct keyring *keyring = keyring_open(repository->settings);
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct keys_list list;
    int result = keyring == NULL || keys_list(repository, &list) != 0 ? -1 : 0;

    *added = 0;
    for (size_t i = 0; result == 0 && i < list.count; i++) {
        uint32_t epoch = list.entries[i].epoch;
        if ((i > 0 && list.entries[i - 1].epoch == epoch) || has(&list, epoch, key->id) ||
            epoch >
                repository->cluster.epoch.number) /* left by an interrupted call: nothing is sealed with it */
            continue;
        result = open_epoch(repository, keyring, &list, epoch, epoch_key);
        if (result == 0)
            result = put(repository, key, epoch, epoch_key, derivation);
        *added += result == 0;
    }
    if (keyring != NULL && list.entries != NULL)
        keys_list_free(&list);
    explicit_bzero(epoch_key, sizeof epoch_key);
    keyring_close(keyring);
    return result;
}
