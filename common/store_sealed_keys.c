/* The keys of epochs: what is known of them here, what lies in keys/, and which epoch is the newest. */
#include "store_sealed.h"

#include "digest.h"
#include "document.h"
#include "log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_OBJECT_BYTES_MOST (64u * 1024)
#define LOCK_NAME "epoch.lock"
#define LOCK_MILLISECONDS 2000

static bool can_remember(const struct sealed *sealed)
{
    return sealed->state != NULL && sealed->state->directory != NULL;
}

/* Documents of keys/ */

/* A document's name in state_dir: with the epoch's id, for a repository that is emptied and made anew has
 * another key of the same number, and what is sealed with the one before is opened by nothing else any more.
 * NULL: nothing is remembered, or after logging. Caller frees. */
static char *state_file(const struct sealed *sealed, const struct sealing_epoch *epoch, const struct key *key)
{
    char id[2 * SEALING_EPOCH_ID_BYTES + 1], *kind, *result;

    if (!can_remember(sealed))
        return NULL;
    hex_encode(epoch->id, sizeof epoch->id, id);
    kind = string_printf("key-%08" PRIu32 ".%s.%s", epoch->number, key->id, id);
    result = kind == NULL ? NULL : state_name(kind, sealed->config, sealed->inner.config);
    free(kind);
    return result;
}

/* What was remembered and is not it stays: the store is asked, and what comes takes its place. It may be all
 * that is left, and memory have run out. */
static bool recall(struct sealed *sealed, const struct sealing_epoch *epoch, const struct key *key)
{
    struct buffer text = BUFFER_EMPTY;
    struct sealing_epoch taken = {.number = 0};
    char *file = state_file(sealed, epoch, key);
    bool recalled = false;
    int64_t age;

    if (file != NULL && state_read(sealed->state, file, &text, &age) == 0) {
        bool was_muted = log_mute_thread(true);
        recalled = keyring_take(sealed->keyring, epoch->number, key, text.data, text.length,
                                "a remembered key", &taken) == 0 &&
                   sealing_epochs_are_equal(&taken, epoch);
        log_mute_thread(was_muted);
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

static void remember(struct sealed *sealed, const struct sealing_epoch *epoch, const struct key *key,
                     const struct buffer *text)
{
    char *file = state_file(sealed, epoch, key);

    if (file != NULL)
        state_write(sealed->state, file, text->data, text->length);
    free(file);
}

/* One GET. OK: the keyring has what is there, *taken. */
static enum store_result ask(struct sealed *sealed, const char *cluster, uint32_t epoch,
                             const struct key *key, struct sealing_epoch *taken)
{
    const struct store_range whole = {0, 0, 0};
    struct buffer text = BUFFER_EMPTY;
    const struct sink sink = {append_limited, &text};
    struct store_object object;
    char name[KEY_NAME_BYTES];

    key_object_name(epoch, key->id, name);
    char *place = string_printf("%.*s/%s", (int)strcspn(cluster, "/"), cluster, name);
    enum store_result result =
        place == NULL ? STORE_FAILED
                      : sealed->inner.driver->get(&sealed->inner, place, NULL, &whole, &sink, &object);

    if (result == STORE_OK && keyring_take(sealed->keyring, epoch, key, text.data, text.length,
                                           store_describe(&sealed->inner, place), taken) != 0)
        result = STORE_DAMAGED;
    if (result == STORE_OK)
        remember(sealed, taken, key, &text);
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

    if (keyring_find(sealed->keyring, epoch, epoch_key))
        return STORE_OK;
    for (size_t i = 0; i < count; i++)
        if (recall(sealed, epoch, keyring_key(sealed->keyring, i)) &&
            keyring_find(sealed->keyring, epoch, epoch_key))
            return STORE_OK;
    /* a document that is gone, damaged or of another epoch hides no other key's */
    for (size_t i = 0; may_ask && i < count; i++) {
        struct sealing_epoch taken;
        enum store_result one = ask(sealed, cluster, epoch->number, keyring_key(sealed->keyring, i), &taken);
        if (one == STORE_OK && keyring_find(sealed->keyring, epoch, epoch_key))
            return STORE_OK;
        if (one != STORE_OK && result == STORE_ABSENT)
            result = one;
    }
    return result;
}

struct key_ids {
    const struct keyring *keyring;
    struct buffer *others, *ours;
    bool failed;
};

static bool note_key_id(void *context, const char *key, uint64_t bytes)
{
    struct key_ids *ids = context;
    char id[KEY_ID_BYTES];
    uint32_t epoch;

    (void)bytes;
    if (key_object_name_parse(strrchr(key, '/') + 1, &epoch, id)) {
        struct buffer *text = keyring_key_of(ids->keyring, id) != NULL ? ids->ours : ids->others;
        ids->failed = buffer_printf(text, "%s%s", text->length > 0 ? ", " : "", id) != 0;
    }
    return !ids->failed;
}

int sealed_list_key_ids(struct store *store, const struct keyring *keyring, const char *cluster,
                        uint32_t epoch, struct buffer *others, struct buffer *ours)
{
    char *prefix = string_printf("%.*s/keys/%08" PRIu32 ".", (int)strcspn(cluster, "/"), cluster, epoch);
    struct key_ids noted = {keyring, others, ours, prefix == NULL};
    const struct store_listing listing = {.prefix = prefix, .each = note_key_id, .context = &noted};

    if (prefix != NULL && store_list(store, &listing) != STORE_OK)
        noted.failed = true;
    free(prefix);
    return noted.failed ? -1 : 0;
}

/* The newest epoch, in state_dir */

/* Caller frees; NULL: nothing is remembered, or after logging. What is read as it was has an end of its own.
 */
static char *mark_file(const struct sealed *sealed)
{
    if (!can_remember(sealed) || sealed->inner.config->s3.as_of != 0)
        return NULL;
    return state_name("epoch", sealed->config, sealed->inner.config);
}

/* It never ages. */
struct mark {
    struct sealing_epoch newest; /* number 0: there is none, or it is damaged */
    struct sealing_epoch
        before; /* was the newest, and whether its key is still there is not known yet; or 0 */
};

static struct mark parse_mark(const struct buffer *text)
{
    struct mark mark = {.newest.number = 0};
    const bool was_muted = log_mute_thread(true);
    struct json *document = document_open(text->data, text->length, "epoch", "the newest epoch");

    log_mute_thread(was_muted);
    if (document != NULL) {
        sealing_epoch_from_json(document, &mark.newest);
        sealing_epoch_from_json(json_member(document, "before"), &mark.before);
    }
    json_free(document);
    return mark;
}

static struct mark read_mark(const struct sealed *sealed, const char *file, bool tells)
{
    struct mark mark = {.newest.number = 0};
    struct buffer text = BUFFER_EMPTY;

    if (state_read_secret(sealed->state, file, &text) == 0) {
        mark = parse_mark(&text);
        if (mark.newest.number == 0 && tells) {
            const bool was_muted = log_mute_thread(false); /* also where what is remembered is only tried */
            log_warning("\"%s/%s\" is damaged: what cluster.json says of the newest key epoch is believed",
                        sealed->state->directory, file);
            log_mute_thread(was_muted);
        }
    }
    buffer_free(&text);
    return mark;
}

static int seal_mark(const struct mark *mark, struct buffer *text)
{
    struct json *document = document_new("epoch"), *before;

    sealing_epoch_to_json(document, &mark->newest);
    if (mark->before.number != 0) {
        before = json_new_object();
        sealing_epoch_to_json(before, &mark->before);
        json_set(document, "before", before);
    }
    return document_seal(document, text);
}

/* was: it is written only if this is still there, else another process knows better, or the user (accept).
 * NULL: it must be what it is told. */
static int write_mark(const struct sealed *sealed, const char *file, const struct mark *mark,
                      const struct mark *was)
{
    int lock = state_lock(sealed->state, LOCK_NAME, LOCK_MILLISECONDS), result = 0;
    struct buffer text = BUFFER_EMPTY;

    if (lock < 0) {
        log_warning("could not lock \"%s/" LOCK_NAME "\": %m", sealed->state->directory);
        return -1;
    }
    const struct mark now = read_mark(sealed, file, false);
    if (was == NULL || sealing_epochs_are_equal(&now.newest, &was->newest)) {
        result = seal_mark(mark, &text);
        if (result == 0)
            result = state_keep(sealed->state, file, text.data, text.length);
    }
    close(lock);
    buffer_free(&text);
    return result;
}

struct sealing_epoch sealed_newest_epoch(struct sealed *sealed)
{
    char *file = mark_file(sealed);

    if (file != NULL) {
        const struct mark mark = read_mark(sealed, file, true);
        keyring_see(sealed->keyring, &mark.newest);
    }
    free(file);
    return keyring_newest(sealed->keyring);
}

/* Is there a document of this epoch that none of our keys would open? Then it is there, and for another key
 * than is configured now. */
static enum store_result find_others(struct sealed *sealed, const char *cluster, uint32_t epoch)
{
    struct buffer others = BUFFER_EMPTY, ours = BUFFER_EMPTY;
    enum store_result result = STORE_FAILED;

    if (sealed_list_key_ids(&sealed->inner, sealed->keyring, cluster, epoch, &others, &ours) == 0)
        result = others.length > 0 ? STORE_OK : STORE_ABSENT;
    buffer_free(&others);
    buffer_free(&ours);
    return result;
}

/* OK, ABSENT or FAILED; what is damaged opens nothing. */
static enum store_result find_before(struct sealed *sealed, const char *cluster,
                                     const struct sealing_epoch *before)
{
    enum store_result result = STORE_ABSENT;
    struct sealing_epoch taken;
    bool has_ours = false;

    for (size_t i = 0; i < keyring_count(sealed->keyring); i++) {
        enum store_result one = ask(sealed, cluster, before->number, keyring_key(sealed->keyring, i), &taken);
        if (one == STORE_OK && sealing_epochs_are_equal(&taken, before))
            return STORE_OK;
        has_ours = has_ours || one == STORE_OK || one == STORE_DAMAGED;
        if (one == STORE_FAILED)
            result = STORE_FAILED;
    }
    return has_ours || result == STORE_FAILED ? result : find_others(sealed, cluster, before->number);
}

/* What rotation leaves behind stays. Where the documents of the epoch before are gone, so is what was there.
 * False: that could not be found out. */
static bool look_back(struct sealed *sealed, const char *cluster, const struct sealing_epoch *before)
{
    const char *name = sealed->inner.config->name;
    const enum store_result result = find_before(sealed, cluster, before);

    if (result == STORE_ABSENT) {
        const bool was_muted = log_mute_thread(false); /* it is said once, whoever finds it */
        log_warning("repository \"%s\" has no key of epoch %" PRIu32
                    ", which was the newest here: it was made anew, or that key was removed or damaged",
                    name, before->number);
        log_hint("What was stored there from here in that epoch (if it was made anew: at most an hour's WAL) "
                 "is encrypted with a key that nothing but state_dir has. Take a base backup now.");
        log_mute_thread(was_muted);
    }
    return result != STORE_FAILED;
}

/* The epoch of cluster.json, whose key is here. */
static void see(struct sealed *sealed, const char *cluster, const struct sealing_epoch *epoch)
{
    char *file = mark_file(sealed);

    if (file != NULL) {
        const struct mark was = read_mark(sealed, file, true);
        const bool is_newer = was.newest.number < epoch->number;
        struct mark mark = was;
        keyring_see(sealed->keyring, &was.newest);
        if (is_newer) {
            mark.newest = *epoch;
            if (was.before.number == 0)
                mark.before = was.newest;
        }
        const bool is_known = mark.before.number != 0 && was.newest.number <= epoch->number &&
                              look_back(sealed, cluster, &mark.before);
        if (is_known)
            mark.before.number = 0;
        if (is_newer || is_known)
            write_mark(sealed, file, &mark, &was);
    }
    free(file);
    keyring_see(sealed->keyring, epoch);
}

enum store_result sealed_set_epoch(struct sealed *sealed, const char *cluster,
                                   const struct sealing_epoch *epoch)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    enum store_result result = sealed_epoch_key(sealed, cluster, epoch, true, epoch_key);

    explicit_bzero(epoch_key, sizeof epoch_key);
    if (result == STORE_OK) {
        keyring_set_epoch(sealed->keyring, epoch);
        see(sealed, cluster, epoch);
    }
    return result;
}

int sealed_accept_epoch(struct sealed *sealed)
{
    const struct mark mark = {.newest = keyring_epoch(sealed->keyring)};
    char *file = mark_file(sealed);
    int result = file == NULL ? 0 : write_mark(sealed, file, &mark, NULL);

    free(file);
    if (result == 0)
        keyring_set_newest(sealed->keyring, &mark.newest);
    return result;
}

void sealed_tell_behind(const struct sealed *sealed)
{
    const struct sealing_epoch epoch = keyring_epoch(sealed->keyring);
    const struct sealing_epoch newest = keyring_newest(sealed->keyring);
    const char *name = sealed->inner.config->name;

    if (epoch.number < newest.number)
        log_error("cluster.json of repository \"%s\" names key epoch %" PRIu32 ", and epoch %" PRIu32
                  " had begun: nothing is encrypted with an older one",
                  name, epoch.number, newest.number);
    else
        log_error("cluster.json of repository \"%s\" names another key epoch %" PRIu32
                  " than before: nothing is encrypted with it",
                  name, epoch.number);
    log_hint("Whoever can write there may have put an old cluster.json back: \"repository-key rotate "
             "--repository %s\", as this user, begins an epoch behind all. But if the repository was emptied "
             "and made anew, or brought back from a copy, run \"repository-key accept --repository %s\" as "
             "this user, and then basebackup-push: what was stored there from here since then may be "
             "encrypted with a key that nothing but state_dir has.",
             name, name);
}

int sealed_begin_new(struct sealed *sealed, const char *key, struct sealing *sealing)
{
    unsigned char epoch_key[CIPHER_KEY_BYTES];
    const struct sealing_epoch epoch = keyring_epoch(sealed->keyring);
    int result = -1;

    sealed_forget(sealed);
    if (epoch.number == 0 || !keyring_find(sealed->keyring, &epoch, epoch_key))
        log_error("could not encrypt \"%s\": the key of the epoch that cluster.json names was not read",
                  store_describe(&sealed->inner, key));
    else if (keyring_is_behind(sealed->keyring))
        sealed_tell_behind(sealed);
    else
        result = sealing_begin_new(sealing, epoch_key, &epoch, sealed_name(key));
    explicit_bzero(epoch_key, sizeof epoch_key);
    return result;
}
