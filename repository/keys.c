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

/* Whoever counts on a key that is configured wants it to open what is new. */
static int refuse_missing(const struct keyring *keyring)
{
    if (keyring_missing(keyring) == NULL)
        return 0;
    log_error("the key file %s is not there, so what it holds would not open the new epoch",
              keyring_missing(keyring));
    log_hint("Bring it here, or take it out of encryption_key_file.");
    return -1;
}

/* Is a document of this epoch there that is of none of ours? Somebody else begins the same epoch then, with
 * another key. 0; -1 after logging, also when it can't be said. */
static int refuse_others(struct repository *repository, const struct keyring *keyring, uint32_t epoch)
{
    struct keys_list list;
    size_t here = 0;

    if (keys_list(repository, &list) != 0)
        return -1;
    for (size_t i = 0; i < list.count; i++)
        here += list.entries[i].epoch == epoch;
    keys_list_free(&list);
    if (here == keyring_count(keyring))
        return 0;
    log_error("somebody else has just begun epoch %" PRIu32 " of repository \"%s\", too", epoch,
              repository->settings->name);
    log_hint("Run the command again to see what is there.");
    return -1;
}

/* Takes back what nothing was ever sealed with: under that name it would stand for another's epoch. */
static void take_back(struct repository *repository, const struct keyring *keyring, uint32_t epoch,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *key = key_of(repository, epoch, keyring_key(keyring, i)->id);
        if (key != NULL && store_delete(repository->store, key, NULL) != STORE_OK) {
            log_warning("\"%s\" could not be removed, and opens nothing",
                        store_describe(repository->store, key));
            log_hint("Remove it by hand before it is taken for what opens that epoch.");
        }
        free(key);
    }
}

/* For each of the configured keys. */
static int put_all(struct repository *repository, const struct keyring *keyring, const struct keys_list *list,
                   uint32_t epoch, const unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    size_t done = 0;
    int result = 0;

    while (result == 0 && done < keyring_count(keyring)) {
        const struct key *key = keyring_key(keyring, done);
        struct key_derivation derivation;
        bool is_derived = find_derivation(repository, list, key->id, &derivation);
        result = put(repository, key, epoch, epoch_key, is_derived ? &derivation : NULL);
        done += result == 0;
    }
    if (result == 0)
        result = refuse_others(repository, keyring, epoch);
    if (result != 0)
        take_back(repository, keyring, epoch, done);
    return result;
}

/* Behind all that there are or were seen, also those that an interrupted call has left: none is ever used for
 * two keys. 0: there is none left, after logging. */
static uint32_t next_epoch(struct repository *repository, const struct keys_list *list)
{
    uint32_t epoch = store_newest_epoch(repository->store).number;

    if (repository->cluster.epoch.number > epoch)
        epoch = repository->cluster.epoch.number;
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].epoch > epoch)
            epoch = list->entries[i].epoch;
    if (epoch < SEALING_EPOCH_MOST)
        return epoch + 1;
    log_error("the key epochs of repository \"%s\" are used up", repository->settings->name);
    return 0;
}

static int begin_epoch(struct repository *repository, struct keyring *keyring, const struct keys_list *list)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct cluster *cluster = &repository->cluster;
    const uint32_t before = cluster->epoch.number, epoch = next_epoch(repository, list);
    int result = epoch == 0 ? -1 : random_bytes(epoch_key, sizeof epoch_key);

    if (result == 0)
        result = put_all(repository, keyring, list, epoch, epoch_key);
    if (result == 0) {
        tell_left_out(keyring, list, before, epoch);
        result = keyring_add(keyring, epoch, epoch_key, &cluster->epoch);
    }
    if (result == 0)
        keyring_set_epoch(keyring, &cluster->epoch);
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
}

int keys_begin_epoch(struct repository *repository)
{
    struct keyring *keyring = keyring_open(repository->settings);
    struct keys_list list = {NULL, 0};
    int result = keyring == NULL ? -1 : refuse_missing(keyring);

    if (result == 0)
        result = keys_list(repository, &list);
    if (result == 0)
        result = begin_epoch(repository, keyring, &list);
    keys_list_free(&list);
    keyring_close(keyring);
    return result;
}

/* What this document holds. Of the current epoch it must be the key that cluster.json names. 0, or -1 after
 * logging. */
static int open_document(struct repository *repository, const struct keys_entry *entry, const struct key *key,
                         unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    struct sealing_epoch epoch;
    struct key_object object;
    char name[KEY_NAME_BYTES];

    key_object_name(entry->epoch, entry->id, name);
    if (keys_get(repository, entry, &object) != 0 || key_object_unwrap(&object, key, name, epoch_key) != 0 ||
        sealing_epoch_of(entry->epoch, epoch_key, &epoch) != 0)
        return -1;
    if (entry->epoch != repository->cluster.epoch.number ||
        sealing_epochs_are_equal(&epoch, &repository->cluster.epoch))
        return 0;
    log_error("\"%s\" of repository \"%s\" holds another key than that of epoch %" PRIu32 " in cluster.json",
              name, repository->settings->name, entry->epoch);
    log_hint("It was left by another rotation. Remove that object, and run repository-key add where another "
             "key is.");
    return -1;
}

int keys_check(struct repository *repository, const struct keys_list *list, const struct key *key)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    const uint32_t epoch = repository->cluster.epoch.number;
    int result = 1;

    for (size_t i = 0; i < list->count && result > 0; i++)
        if (list->entries[i].epoch == epoch && strcmp(list->entries[i].id, key->id) == 0)
            result = open_document(repository, &list->entries[i], key, epoch_key);
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
}

/* An epoch's key, by whichever configured key there is a document for. */
static int open_epoch(struct repository *repository, struct keyring *keyring, const struct keys_list *list,
                      uint32_t epoch, unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < keyring_count(keyring) && list->entries[i].epoch == epoch; k++) {
            const struct key *key = keyring_key(keyring, k);
            if (strcmp(list->entries[i].id, key->id) == 0 &&
                open_document(repository, &list->entries[i], key, epoch_key) == 0)
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

/* The epochs that a key is to be added to. */
struct wrapping {
    struct repository *repository;
    struct keyring *keyring;
    const struct keys_list *list;
    const struct key *key;
    const struct key_derivation *derivation;
    size_t added;
    struct buffer left_out; /* "1, 3" */
};

/* 0: it opens this epoch now. 1: it does not, after logging. -1: nothing more can be stored, after logging.
 */
static int wrap_epoch(struct wrapping *wrapping, uint32_t epoch)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct repository *repository = wrapping->repository;
    int result = 0;

    if (has(wrapping->list, epoch, wrapping->key->id)) {
        if (epoch == repository->cluster.epoch.number)
            result = keys_check(repository, wrapping->list, wrapping->key) == 0 ? 0 : 1;
        return result;
    }
    if (open_epoch(repository, wrapping->keyring, wrapping->list, epoch, epoch_key) != 0)
        result = 1;
    else
        result = put(repository, wrapping->key, epoch, epoch_key, wrapping->derivation);
    wrapping->added += result == 0;
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
}

static int wrap_all(struct wrapping *wrapping)
{
    const struct keys_entry *entries = wrapping->list->entries;
    int result = 0;

    for (size_t i = 0; result >= 0 && i < wrapping->list->count; i++) {
        uint32_t epoch = entries[i].epoch;
        if ((i > 0 && entries[i - 1].epoch == epoch) || epoch > wrapping->repository->cluster.epoch.number)
            continue; /* the latter was left by an interrupted call: nothing is sealed with it */
        result = wrap_epoch(wrapping, epoch);
        if (result > 0 && buffer_printf(&wrapping->left_out, "%s%" PRIu32,
                                        wrapping->left_out.length > 0 ? ", " : "", epoch) != 0)
            result = -1;
    }
    if (wrapping->left_out.length > 0)
        log_error("key %s does not open epoch %s of repository \"%s\"", wrapping->key->id,
                  buffer_string(&wrapping->left_out), wrapping->repository->settings->name);
    return result < 0 || wrapping->left_out.length > 0 ? -1 : 0;
}

int keys_wrap_all(struct repository *repository, const struct key *key,
                  const struct key_derivation *derivation, size_t *added)
{
    struct keyring *keyring = keyring_open(repository->settings);
    struct keys_list list = {NULL, 0};
    struct wrapping wrapping = {repository, keyring, &list, key, derivation, 0, BUFFER_EMPTY};
    int result = keyring == NULL ? -1 : keys_list(repository, &list);

    if (result == 0)
        result = wrap_all(&wrapping);
    *added = wrapping.added;
    buffer_free(&wrapping.left_out);
    keys_list_free(&list);
    keyring_close(keyring);
    return result;
}
