#include "keyring.h"

#include "log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct epoch {
    struct epoch *next;
    struct sealing_epoch name;
    unsigned char key[CIPHER_KEY_BYTES];
};

struct keyring {
    struct keyring *next;
    const struct repository_config *repository; /* which one's: there is one of it in a process */
    unsigned uses;
    struct key *keys;
    size_t count;
    struct buffer ids, missing;
    struct epoch *epochs;
    struct sealing_epoch current, newest;
};

/* Of the list, and of what changes in one: all but the keys and their ids. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct keyring *keyrings;

static void free_keyring(struct keyring *keyring)
{
    for (struct epoch *epoch = keyring->epochs, *next; epoch != NULL; epoch = next) {
        next = epoch->next;
        explicit_bzero(epoch, sizeof *epoch);
        free(epoch);
    }
    for (size_t i = 0; i < keyring->count; i++)
        key_wipe(&keyring->keys[i]);
    free(keyring->keys);
    buffer_free(&keyring->ids);
    buffer_free(&keyring->missing);
    free(keyring);
}

/* Adds one; the same key in two files is one. */
static int add_key(struct keyring *keyring, const struct key *key)
{
    if (keyring_key_of(keyring, key->id) != NULL)
        return 0;
    keyring->keys[keyring->count++] = *key;
    return buffer_printf(&keyring->ids, "%s%s", keyring->count > 1 ? ", " : "", key->id);
}

static int read_key(struct keyring *keyring, const char *path)
{
    struct key key;
    int result = key_read(path, &key);

    if (result == 0)
        result = add_key(keyring, &key);
    else if (result > 0)
        result = buffer_printf(&keyring->missing, "%s\"%s\"", keyring->missing.length > 0 ? ", " : "", path);
    key_wipe(&key);
    return result;
}

/* One that is not there leaves what the others open. */
static int judge_missing(const struct keyring *keyring)
{
    if (keyring->missing.length == 0)
        return 0;
    if (keyring->count > 0)
        log_warning("there is no key file %s: only the key %s is used", buffer_string(&keyring->missing),
                    buffer_string(&keyring->ids));
    else
        log_error("there is no key file %s", buffer_string(&keyring->missing));
    log_hint("Bring it here from where you keep a copy of it; one that a passphrase or a command gives is "
             "made by repository-key unlock.");
    return keyring->count > 0 ? 0 : -1;
}

static int read_keys(struct keyring *keyring, const char *paths)
{
    size_t most = 1;
    const char *next = paths;
    int result = 0;

    for (const char *comma = paths; (comma = strchr(comma, ',')) != NULL; comma++)
        most++;
    keyring->keys = calloc(most, sizeof *keyring->keys);
    if (keyring->keys == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < most && result == 0; i++) {
        size_t length = strcspn(next, ",");
        char *path = string_printf("%.*s", (int)length, next);

        result = path == NULL ? -1 : read_key(keyring, path);
        free(path);
        next += length;
        next += strspn(next, ", \t");
    }
    return result == 0 ? judge_missing(keyring) : -1;
}

struct keyring *keyring_open(const struct repository_config *repository)
{
    struct keyring *keyring;

    pthread_mutex_lock(&lock);
    for (keyring = keyrings; keyring != NULL && keyring->repository != repository; keyring = keyring->next)
        ;
    if (keyring == NULL && (keyring = calloc(1, sizeof *keyring)) == NULL)
        log_out_of_memory();
    if (keyring != NULL && keyring->uses == 0) {
        keyring->repository = repository;
        if (read_keys(keyring, repository->encryption_key_file) == 0) {
            keyring->next = keyrings;
            keyrings = keyring;
        } else {
            free_keyring(keyring);
            keyring = NULL;
        }
    }
    if (keyring != NULL)
        keyring->uses++;
    pthread_mutex_unlock(&lock);
    return keyring;
}

void keyring_close(struct keyring *keyring)
{
    if (keyring == NULL)
        return;
    pthread_mutex_lock(&lock);
    if (--keyring->uses == 0) {
        struct keyring **link = &keyrings;
        while (*link != keyring)
            link = &(*link)->next;
        *link = keyring->next;
        free_keyring(keyring);
    }
    pthread_mutex_unlock(&lock);
}

size_t keyring_count(const struct keyring *keyring)
{
    return keyring->count;
}

const struct key *keyring_key(const struct keyring *keyring, size_t index)
{
    return &keyring->keys[index];
}

const struct key *keyring_key_of(const struct keyring *keyring, const char *id)
{
    for (size_t i = 0; keyring != NULL && i < keyring->count; i++)
        if (strcmp(keyring->keys[i].id, id) == 0)
            return &keyring->keys[i];
    return NULL;
}

const char *keyring_ids(const struct keyring *keyring)
{
    return buffer_string(&keyring->ids);
}

const char *keyring_missing(const struct keyring *keyring)
{
    return keyring->missing.length == 0 ? NULL : buffer_string(&keyring->missing);
}

static struct epoch *find(const struct keyring *keyring, const struct sealing_epoch *name)
{
    struct epoch *epoch = keyring->epochs;

    while (epoch != NULL && !sealing_epochs_are_equal(&epoch->name, name))
        epoch = epoch->next;
    return epoch;
}

bool keyring_find(struct keyring *keyring, const struct sealing_epoch *epoch,
                  unsigned char epoch_key[CIPHER_KEY_BYTES])
{
    pthread_mutex_lock(&lock);
    const struct epoch *found = find(keyring, epoch);
    if (found != NULL)
        memcpy(epoch_key, found->key, CIPHER_KEY_BYTES);
    pthread_mutex_unlock(&lock);
    return found != NULL;
}

bool keyring_has_number(struct keyring *keyring, uint32_t number)
{
    pthread_mutex_lock(&lock);
    const struct epoch *epoch = keyring->epochs;
    while (epoch != NULL && epoch->name.number != number)
        epoch = epoch->next;
    pthread_mutex_unlock(&lock);
    return epoch != NULL;
}

int keyring_add(struct keyring *keyring, uint32_t number, const unsigned char epoch_key[CIPHER_KEY_BYTES],
                struct sealing_epoch *epoch)
{
    struct epoch *added;

    if (sealing_epoch_of(number, epoch_key, epoch) != 0)
        return -1;
    added = malloc(sizeof *added);
    if (added == NULL)
        return log_out_of_memory();
    added->name = *epoch;
    memcpy(added->key, epoch_key, CIPHER_KEY_BYTES);
    pthread_mutex_lock(&lock);
    if (find(keyring, epoch) == NULL) { /* else another thread was faster */
        added->next = keyring->epochs;
        keyring->epochs = added;
        added = NULL;
    }
    pthread_mutex_unlock(&lock);
    if (added != NULL)
        explicit_bzero(added, sizeof *added);
    free(added);
    return 0;
}

int keyring_take(struct keyring *keyring, uint32_t number, const struct key *key, const void *data,
                 size_t length, const char *what, struct sealing_epoch *taken)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    struct key_object object;
    int result = -1;

    if (key_object_parse(data, length, what, &object) != 0)
        return -1;
    if (object.epoch != number || strcmp(object.id, key->id) != 0)
        log_error("%s is damaged: it is of epoch %u and key %s", what, object.epoch, object.id);
    else if (key_object_unwrap(&object, key, what, epoch_key) == 0)
        result = keyring_add(keyring, number, epoch_key, taken);
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
}

struct sealing_epoch keyring_epoch(struct keyring *keyring)
{
    pthread_mutex_lock(&lock);
    struct sealing_epoch epoch = keyring->current;
    pthread_mutex_unlock(&lock);
    return epoch;
}

void keyring_set_epoch(struct keyring *keyring, const struct sealing_epoch *epoch)
{
    pthread_mutex_lock(&lock);
    keyring->current = *epoch;
    pthread_mutex_unlock(&lock);
}

struct sealing_epoch keyring_newest(struct keyring *keyring)
{
    pthread_mutex_lock(&lock);
    struct sealing_epoch epoch = keyring->newest;
    pthread_mutex_unlock(&lock);
    return epoch;
}

void keyring_see(struct keyring *keyring, const struct sealing_epoch *epoch)
{
    pthread_mutex_lock(&lock);
    if (epoch->number > keyring->newest.number)
        keyring->newest = *epoch;
    pthread_mutex_unlock(&lock);
}

void keyring_set_newest(struct keyring *keyring, const struct sealing_epoch *epoch)
{
    pthread_mutex_lock(&lock);
    keyring->newest = *epoch;
    pthread_mutex_unlock(&lock);
}

bool keyring_is_behind(struct keyring *keyring)
{
    pthread_mutex_lock(&lock);
    bool is_behind = keyring->newest.number > keyring->current.number ||
                     (keyring->newest.number == keyring->current.number &&
                      !sealing_epochs_are_equal(&keyring->newest, &keyring->current));
    pthread_mutex_unlock(&lock);
    return is_behind;
}
