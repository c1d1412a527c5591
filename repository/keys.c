#include "keys.h"

#include "common/digest.h"
#include "common/interrupt.h"
#include "common/keyring.h"
#include "common/log.h"
#include "common/sealing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LISTS_MOST 5
#define LIST_MILLISECONDS 1000

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

/* How a passphrase makes this key, as the newest document that tells so. False: none does. */
static bool find_derivation(struct repository *repository, const struct keys_list *list, const char *id,
                            struct key_derivation *derivation)
{
    struct key_object object;

    for (size_t i = list->count; i-- > 0;)
        if (strcmp(list->entries[i].id, id) == 0 && keys_get(repository, &list->entries[i], &object) == 0 &&
            object.derivation.n != 0) {
            *derivation = object.derivation;
            return true;
        }
    return false;
}

/* Whoever counts on a key that is not configured here has to hear of it. */
static void tell_left_out(const struct keyring *keyring, const struct keys_list *list, uint32_t before,
                          uint32_t epoch)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->entries[i].epoch != before || keyring_key_of(keyring, list->entries[i].id) != NULL)
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

/* How many documents of this epoch are listed, of our keys and of others. 0, or -1 after logging. */
static int count_documents(struct repository *repository, const struct keyring *keyring, uint32_t epoch,
                           size_t *ours, size_t *others)
{
    struct keys_list list;

    *ours = *others = 0;
    if (keys_list(repository, &list) != 0)
        return -1;
    for (size_t i = 0; i < list.count; i++)
        if (list.entries[i].epoch == epoch)
            *(keyring_key_of(keyring, list.entries[i].id) != NULL ? ours : others) += 1;
    keys_list_free(&list);
    return 0;
}

static int tell_other(const struct repository *repository, uint32_t epoch)
{
    log_error("somebody else has just begun epoch %" PRIu32 " of repository \"%s\", too", epoch,
              repository->settings->name);
    log_hint("Run the command again to see what is there.");
    return -1;
}

/* Is a document of this epoch there that is of none of ours? Somebody else begins the same epoch then, with
 * another key. A list that lags behind what we have stored is asked for again: it lags behind others', too.
 * 0; -1 after logging, also when it can't be said. */
static int refuse_others(struct repository *repository, const struct keyring *keyring, uint32_t epoch)
{
    size_t ours, others;

    for (unsigned tries = 1;; tries++) {
        if (count_documents(repository, keyring, epoch, &ours, &others) != 0)
            return -1;
        if (others > 0)
            return tell_other(repository, epoch);
        if (ours == keyring_count(keyring))
            return 0;
        if (tries == LISTS_MOST)
            break;
        interrupt_sleep(LIST_MILLISECONDS);
    }
    log_warning("the list of keys/ of repository \"%s\" does not show yet what was stored there: somebody "
                "else who begins epoch %" PRIu32 " at this moment would not be seen",
                repository->settings->name, epoch);
    return 0;
}

/* Does a document of this epoch hold this key? Where the store can't prevent an overwrite it may be another's
 * by now. 0; 1: it holds another (nothing logged); -1 after logging. */
static int holds(struct repository *repository, const struct key *key, uint32_t epoch,
                 const unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    unsigned char there[CIPHER_KEY_BYTES];
    struct keys_entry entry = {.epoch = epoch};
    struct key_object object;
    char name[KEY_NAME_BYTES];
    int result;

    memcpy(entry.id, key->id, sizeof entry.id);
    key_object_name(epoch, key->id, name);
    if (keys_get(repository, &entry, &object) != 0 || key_object_unwrap(&object, key, name, there) != 0)
        return -1;
    result = memcmp(there, epoch_key, sizeof there) == 0 ? 0 : 1;
    explicit_bzero(there, sizeof there);
    return result;
}

static int refuse_overwritten(struct repository *repository, const struct keyring *keyring, uint32_t epoch,
                              const unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    for (size_t i = 0; i < keyring_count(keyring); i++) {
        int result = holds(repository, keyring_key(keyring, i), epoch, epoch_key);
        if (result != 0)
            return result > 0 ? tell_other(repository, epoch) : -1;
    }
    return 0;
}

/* Takes back what nothing was ever sealed with: under that name it would stand for another's epoch. What is
 * another's by now stays. */
static void take_back(struct repository *repository, const struct keyring *keyring, uint32_t epoch,
                      const unsigned char epoch_key[CIPHER_KEY_BYTES], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (holds(repository, keyring_key(keyring, i), epoch, epoch_key) > 0)
            continue;
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
    if (result == 0) /* the last look before cluster.json names it */
        result = refuse_overwritten(repository, keyring, epoch, epoch_key);
    if (result != 0)
        take_back(repository, keyring, epoch, epoch_key, done);
    return result;
}

/* Behind all that there are or were seen, also those that an interrupted call has left: none is ever used for
 * two keys. 0: there is none left, after logging. */
static uint32_t next_epoch(struct repository *repository, const struct keys_list *list)
{
    const struct keys_entry *last = list->count > 0 ? &list->entries[list->count - 1] : NULL;
    uint32_t epoch = store_newest_epoch(repository->store).number;
    char name[KEY_NAME_BYTES];

    if (repository->cluster.epoch.number > epoch)
        epoch = repository->cluster.epoch.number;
    if (last != NULL && last->epoch > epoch)
        epoch = last->epoch;
    if (epoch < SEALING_EPOCH_MOST)
        return epoch + 1;
    log_error("the key epochs of repository \"%s\" are used up", repository->settings->name);
    if (last != NULL && last->epoch == epoch && epoch != repository->cluster.epoch.number) {
        key_object_name(last->epoch, last->id, name);
        log_hint("There is \"%s/%s\", and cluster.json names epoch %" PRIu32 ": no rotation of yours is "
                 "likely to have made it. Move that object to another place, and run the command again.",
                 repository->config->cluster_name, name, repository->cluster.epoch.number);
    }
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

/* What this document holds. 0, or -1 after logging. */
static int open_document(struct repository *repository, const struct keys_entry *entry, const struct key *key,
                         unsigned char epoch_key[CIPHER_KEY_BYTES], struct sealing_epoch *epoch)
{
    struct key_object object;
    char name[KEY_NAME_BYTES];

    key_object_name(entry->epoch, entry->id, name);
    if (keys_get(repository, entry, &object) != 0 || key_object_unwrap(&object, key, name, epoch_key) != 0)
        return -1;
    return sealing_epoch_of(entry->epoch, epoch_key, epoch);
}

/* Of the current epoch it must be the key that cluster.json names. */
static bool is_stray(const struct repository *repository, const struct sealing_epoch *epoch)
{
    return epoch->number == repository->cluster.epoch.number &&
           !sealing_epochs_are_equal(epoch, &repository->cluster.epoch);
}

/* right: the key whose document holds what cluster.json names; NULL: none is known. It may be cluster.json
 * that is wrong then, and the document the only one. */
static void tell_stray(const struct repository *repository, const struct keys_entry *entry, const char *right)
{
    char name[KEY_NAME_BYTES];

    key_object_name(entry->epoch, entry->id, name);
    log_error("\"%s\" of repository \"%s\" holds another key than that of epoch %" PRIu32 " in cluster.json",
              name, repository->settings->name, entry->epoch);
    if (right != NULL)
        log_hint("It was left by another rotation: what cluster.json names is opened by the key %s. Move "
                 "that object to another place, and run repository-key add again.",
                 right);
    else
        log_hint("cluster.json may be an old or altered one, and this the only document of that key: remove "
                 "and move nothing in keys/. Look for an earlier cluster.json, or for another key that opens "
                 "what this one names (\"repository-key list\").");
}

int keys_check(struct repository *repository, const struct keys_list *list, const struct key *key)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    const uint32_t number = repository->cluster.epoch.number;
    struct sealing_epoch epoch;
    int result = 1;

    for (size_t i = 0; i < list->count && result > 0; i++) {
        const struct keys_entry *entry = &list->entries[i];
        if (entry->epoch != number || strcmp(entry->id, key->id) != 0)
            continue;
        result = open_document(repository, entry, key, epoch_key, &epoch);
        if (result == 0 && is_stray(repository, &epoch)) {
            tell_stray(repository, entry, NULL);
            result = -1;
        }
    }
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
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

/* What the configured keys' documents of one epoch hold. */
struct opened {
    const struct keys_entry *right; /* one that opens; NULL: none */
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct sealing_epoch epoch;
    const struct keys_entry *stray, *differs, *damaged; /* NULL: none */
    bool has_own, opens_own;                            /* that of the key that is to be added */
};

static void open_one(const struct wrapping *wrapping, const struct keys_entry *entry, const struct key *key,
                     struct opened *opened)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    const bool is_own = strcmp(key->id, wrapping->key->id) == 0;
    struct sealing_epoch epoch;

    opened->has_own = opened->has_own || is_own;
    if (open_document(wrapping->repository, entry, key, epoch_key, &epoch) != 0) {
        opened->damaged = entry;
    } else if (is_stray(wrapping->repository, &epoch)) {
        opened->stray = entry;
    } else if (opened->right != NULL && !sealing_epochs_are_equal(&epoch, &opened->epoch)) {
        opened->differs = entry;
    } else {
        opened->opens_own = opened->opens_own || is_own;
        opened->right = entry;
        opened->epoch = epoch;
        memcpy(opened->epoch_key, epoch_key, sizeof epoch_key);
    }
    explicit_bzero(epoch_key, sizeof epoch_key);
}

/* Each is opened, also where one is enough: its name alone says nothing. */
static void open_epoch(const struct wrapping *wrapping, uint32_t number, struct opened *opened)
{
    const struct keys_list *list = wrapping->list;

    *opened = (struct opened){.right = NULL};
    for (size_t i = 0; i < list->count; i++) {
        const struct key *key = keyring_key_of(wrapping->keyring, list->entries[i].id);
        if (list->entries[i].epoch == number && key != NULL)
            open_one(wrapping, &list->entries[i], key, opened);
    }
}

static void tell_opened(const struct wrapping *wrapping, uint32_t number, const struct opened *opened)
{
    struct repository *repository = wrapping->repository;
    char left[KEY_NAME_BYTES], right[KEY_NAME_BYTES];

    if (opened->stray != NULL)
        tell_stray(repository, opened->stray,
                   opened->right != NULL && !store_epoch_is_behind(repository->store) ? opened->right->id
                                                                                      : NULL);
    if (opened->differs != NULL) {
        key_object_name(number, opened->right->id, left);
        key_object_name(number, opened->differs->id, right);
        log_error("\"%s\" and \"%s\" of repository \"%s\" hold different keys", left, right,
                  repository->settings->name);
        log_hint("One of them was left by another rotation, and nothing here says which. Keep both, and both "
                 "key files: docs/encryption.md, \"When documents of keys/ differ\".");
    }
    if (opened->damaged != NULL && opened->right != NULL && opened->differs == NULL) {
        key_object_name(number, opened->damaged->id, left);
        log_warning("\"%s\" opens nothing; epoch %" PRIu32 " is opened by the key %s", left, number,
                    opened->right->id);
        log_hint("Move that object to another place, and run repository-key add again.");
    }
    if (opened->right == NULL)
        log_error("no configured key (%s) opens epoch %" PRIu32 " of repository \"%s\"",
                  keyring_ids(wrapping->keyring), number, repository->settings->name);
}

/* 0: it opens this epoch now. 1: it does not, after logging. -1: nothing more can be stored, after logging.
 */
static int wrap_epoch(struct wrapping *wrapping, uint32_t number)
{
    struct opened opened;
    int result = 1;

    open_epoch(wrapping, number, &opened);
    tell_opened(wrapping, number, &opened);
    if (opened.right != NULL && opened.differs == NULL && opened.has_own) {
        result = opened.opens_own ? 0 : 1;
    } else if (opened.right != NULL && opened.differs == NULL) {
        result = put(wrapping->repository, wrapping->key, number, opened.epoch_key, wrapping->derivation);
        wrapping->added += result == 0;
    }
    explicit_bzero(&opened, sizeof opened);
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
    struct key_derivation found;
    int result = keyring == NULL ? -1 : keys_list(repository, &list);

    if (result == 0 && derivation == NULL && find_derivation(repository, &list, key->id, &found))
        wrapping.derivation = &found;
    if (result == 0)
        result = wrap_all(&wrapping);
    *added = wrapping.added;
    buffer_free(&wrapping.left_out);
    keys_list_free(&list);
    keyring_close(keyring);
    return result;
}
