#include "probe.h"

#include "common/digest.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int probe_begin(const struct repository *repository, struct probe *probe)
{
    unsigned char random[8];
    char hex[17];

    *probe = (struct probe){.key = NULL};
    if (random_bytes(random, sizeof random) != 0)
        return -1;
    hex_encode(random, sizeof random, hex);
    probe->key = string_printf("%s/probe-%s", repository->config->cluster_name, hex);
    for (unsigned i = 0; i < 2; i++)
        snprintf(probe->text[i], sizeof probe->text[i], "walferry probe %s, %s PUT\n", hex,
                 i == 0 ? "first" : "second");
    return probe->key != NULL ? 0 : -1;
}

/* which: 0 or 1. */
static enum store_result put(struct repository *repository, struct probe *probe, unsigned which,
                             enum store_condition condition, struct store_object *object)
{
    const char *text = probe->text[which];
    struct body body = {.data = text, .fd = -1, .length = strlen(text)};

    if (sha256_of(text, strlen(text), body.sha256) != 0)
        return STORE_FAILED;
    enum store_result result = store_put_absent(repository->store, probe->key, &body, condition, object);
    if (result == STORE_OK)
        memcpy(probe->version[probe->puts++], object->version_id, sizeof object->version_id);
    return result;
}

static int ignore_bytes(void *context, const void *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return 0;
}

/* Nobody guesses the key: what is there at the first PUT was put by that PUT's own first try, whose answer
 * was lost. */
static enum store_result put_first(struct repository *repository, struct probe *probe,
                                   struct store_object *object)
{
    const struct sink sink = {ignore_bytes, NULL};
    enum store_result result = put(repository, probe, 0, STORE_CONDITION_UNKNOWN, object);

    if (result != STORE_EXISTS)
        return result;
    result = store_get(repository->store, probe->key, NULL, &sink, object);
    if (result == STORE_OK)
        memcpy(probe->version[probe->puts++], object->version_id, sizeof object->version_id);
    return result;
}

static int unexpected(struct repository *repository, const struct probe *probe, enum store_result result)
{
    if (result == STORE_EXISTS)
        log_error("the store says that \"%s\" was there before it was made",
                  store_describe(repository->store, probe->key));
    return -1;
}

int probe_condition(struct repository *repository, struct probe *probe, enum store_condition *condition,
                    bool *versioned)
{
    struct store_object object = {.versioned = false}, second = {.versioned = false};
    enum store_condition found = STORE_CONDITION_REFUSED;
    enum store_result result = put_first(repository, probe, &object);

    if (result == STORE_FAILED && object.condition_refused) {
        result = put(repository, probe, 0, STORE_CONDITION_REFUSED, &object);
        if (result != STORE_OK)
            return unexpected(repository, probe, result);
    } else if (result != STORE_OK) {
        return unexpected(repository, probe, result);
    } else {
        result = put(repository, probe, 1, STORE_CONDITION_UNKNOWN, &second);
        if (result != STORE_OK && result != STORE_EXISTS)
            return -1;
        found = result == STORE_EXISTS ? STORE_CONDITION_HONOURED : STORE_CONDITION_IGNORED;
    }
    *condition = found;
    *versioned = object.versioned;
    return 0;
}

bool probe_end(struct repository *repository, struct probe *probe)
{
    bool gone = true;

    for (unsigned i = 0; i < probe->puts; i++) {
        const char *version = probe->version[i];

        if (version[0] == '\0' && i > 0)
            continue; /* without versions one deletion is enough */
        if (store_delete(repository->store, probe->key, version[0] != '\0' ? version : NULL) == STORE_OK)
            continue;
        gone = false;
        log_warning("the probe's object \"%s\"%s%s is left behind",
                    store_describe(repository->store, probe->key), version[0] != '\0' ? ", version " : "",
                    version);
    }
    free(probe->key);
    *probe = (struct probe){.key = NULL};
    return gone;
}

int repository_probe(struct repository *repository, enum store_condition *condition, bool *versioned)
{
    struct probe probe;
    int result = -1;

    if (repository->settings->kind == REPOSITORY_FILE) { /* link(2) is exclusive: nothing to find out */
        *condition = STORE_CONDITION_HONOURED;
        *versioned = false;
        return 0;
    }
    if (probe_begin(repository, &probe) == 0)
        result = probe_condition(repository, &probe, condition, versioned);
    probe_end(repository, &probe);
    return result;
}
