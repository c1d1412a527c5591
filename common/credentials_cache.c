/* Temporary credentials between the calls of short-lived programs: a file in state_dir for each identity,
 * which one call at a time refreshes while the others use what is still valid (credentials_source.h). */
#include "credentials_source.h"

#include "digest.h"
#include "file.h"
#include "json.h"
#include "log.h"
#include "timestamp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFRESH_SECONDS 900 /* before they expire; but no more than a third of their life */
#define MARGIN_SECONDS 10   /* so near to its end nothing is begun with them */
#define AGAIN_SECONDS 60    /* after a refresh that failed while they are still valid */
#define LOCK_MILLISECONDS 10000
#define MICROSECONDS 1000000LL
#define BOOT_PATH "/proc/sys/kernel/random/boot_id"

struct memory {
    const struct search *search;
    char identity[SHA256_HEX_BYTES];
    char name[64], lock_name[64];
};

static int digest_of(const void *data, size_t length, char hex[SHA256_HEX_BYTES])
{
    unsigned char digest[SHA256_BYTES];

    if (sha256_of(data, length, digest) != 0)
        return -1;
    hex_encode(digest, sizeof digest, hex);
    return 0;
}

/* A copy of this machine's disk, started elsewhere, is not to go on in its name: what is remembered is good
 * for one start of the machine. The next one's has the same file's name. */
static int memory_begin(const struct search *search, const char *identity, struct memory *memory)
{
    struct buffer text = BUFFER_EMPTY;
    int result = -1;

    memory->search = search;
    if (digest_of(identity, strlen(identity), memory->identity) != 0)
        return -1;
    snprintf(memory->name, sizeof memory->name, "credentials-%.16s.json", memory->identity);
    snprintf(memory->lock_name, sizeof memory->lock_name, "credentials-%.16s.lock", memory->identity);
    bool was_muted = log_mute_thread(true); /* there may be no /proc */
    file_read_all(BOOT_PATH, 100, &text);
    log_mute_thread(was_muted);
    if (buffer_append_string(&text, identity) == 0)
        result = digest_of(text.data, text.length, memory->identity);
    buffer_wipe(&text);
    return result;
}

/* Are there any that can be used? */
static bool recall(const struct memory *memory, struct credentials *credentials)
{
    const struct search *search = memory->search;
    struct buffer text = BUFFER_EMPTY;
    struct json *json = NULL;
    uint64_t expires = 0, refresh = 0;
    bool usable = false;

    credentials_wipe(credentials);
    if (state_read_secret(&search->state, memory->name, &text) == 0)
        json = json_parse(text.data, text.length, NULL, 0);
    const char *identity = json_text(json, "identity"), *access_key = json_text(json, "access_key"),
               *secret_key = json_text(json, "secret_key"), *token = json_text(json, "session_token"),
               *source = json_text(json, "source");
    if (identity != NULL && strcmp(identity, memory->identity) == 0 && access_key != NULL &&
        secret_key != NULL && source != NULL && json_uint(json, "expires", &expires) == 0 &&
        json_uint(json, "refresh", &refresh) == 0 && expires < INT64_MAX / 2 && refresh <= expires &&
        (int64_t)expires > timestamp_now() + MARGIN_SECONDS * MICROSECONDS &&
        (search->refused == NULL || strcmp(search->refused, token != NULL ? token : access_key) != 0) &&
        credentials_take(credentials, string_copy(source), access_key, secret_key, token) == FOUND) {
        credentials->expires = (int64_t)expires;
        credentials->refresh = (int64_t)refresh;
        usable = true;
    }
    json_free(json);
    buffer_wipe(&text);
    return usable;
}

static bool is_due(const struct credentials *credentials)
{
    return timestamp_now() >= credentials->refresh;
}

static void remember(const struct memory *memory, const struct credentials *credentials)
{
    struct json *json = json_new_object();
    struct buffer text = BUFFER_EMPTY;

    json_set_text(json, "identity", memory->identity);
    json_set_text(json, "source", credentials->source);
    json_set_uint(json, "expires", (uint64_t)credentials->expires);
    json_set_uint(json, "refresh", (uint64_t)credentials->refresh);
    json_set_text(json, "access_key", credentials->access_key);
    json_set_text(json, "secret_key", credentials->secret_key);
    if (credentials->session_token != NULL)
        json_set_text(json, "session_token", credentials->session_token);
    if (json_write(json, 0, &text) == 0)
        state_write(&memory->search->state, memory->name, text.data, text.length);
    json_free(json);
    buffer_wipe(&text);
}

/* Fresh ones: when are the next due? */
static void accept(const struct memory *memory, struct credentials *credentials)
{
    int64_t now = timestamp_now(), life = credentials->expires - now;
    char text[TIMESTAMP_TEXT_BYTES];

    credentials->refresh = 0;
    if (credentials->expires == 0)
        return;
    timestamp_format_iso(credentials->expires, text);
    if (life <= MARGIN_SECONDS * MICROSECONDS) { /* by a clock that may be wrong: the store will know */
        log_warning("the credentials from %s expire at %s, which this machine takes for past",
                    credentials->source, text);
        log_hint("Look at the clock of this machine.");
        credentials->expires = 0;
        return;
    }
    credentials->refresh =
        credentials->expires -
        (life / 3 < REFRESH_SECONDS * MICROSECONDS ? life / 3 : REFRESH_SECONDS * MICROSECONDS);
    log_debug("has credentials from %s, valid until %s", credentials->source, text);
    remember(memory, credentials);
}

/* With old ones that are due but valid: their failure is no error. */
static enum found fetch_beside(const struct memory *memory,
                               enum found (*fetch)(const struct search *search, void *context,
                                                   struct credentials *credentials),
                               void *context, struct credentials *old, struct credentials *credentials)
{
    bool was_muted = log_mute_thread(true);
    struct credentials fresh = CREDENTIALS_EMPTY;
    enum found found = fetch(memory->search, context, &fresh);
    char text[TIMESTAMP_TEXT_BYTES];

    log_mute_thread(was_muted);
    if (found == FOUND) {
        *credentials = fresh;
        accept(memory, credentials);
        return FOUND;
    }
    credentials_wipe(&fresh);
    timestamp_format_iso(old->expires, text);
    log_warning("could not refresh the credentials from %s; those at hand are valid until %s", old->source,
                text);
    log_hint("Call with --verbose to see why.");
    old->refresh = timestamp_now() + AGAIN_SECONDS * MICROSECONDS;
    if (old->refresh > old->expires)
        old->refresh = old->expires;
    remember(memory, old);
    *credentials = *old;
    *old = (struct credentials)CREDENTIALS_EMPTY;
    return FOUND;
}

enum found credentials_remembered(const struct search *search, const char *identity,
                                  enum found (*fetch)(const struct search *search, void *context,
                                                      struct credentials *credentials),
                                  void *context, struct credentials *credentials)
{
    struct credentials old = CREDENTIALS_EMPTY;
    struct memory memory;
    enum found found;
    bool usable;
    int lock = -1;

    if (memory_begin(search, identity, &memory) != 0)
        return FAILED;
    usable = recall(&memory, &old);
    if (!usable || is_due(&old)) {
        lock = state_lock(&search->state, memory.lock_name, usable ? 0 : LOCK_MILLISECONDS);
        if (lock < 0 && usable && errno == EWOULDBLOCK) /* another call is at it */
            goto take_old;
        usable = recall(&memory, &old); /* or was, while this one waited */
    }
    if (usable && !is_due(&old))
        goto take_old;
    if (usable) {
        found = fetch_beside(&memory, fetch, context, &old, credentials);
    } else {
        found = fetch(search, context, credentials);
        if (found == FOUND)
            accept(&memory, credentials);
    }
    goto done;
take_old:
    *credentials = old;
    old = (struct credentials)CREDENTIALS_EMPTY;
    found = FOUND;
done:
    if (lock >= 0)
        close(lock);
    credentials_wipe(&old);
    return found;
}
