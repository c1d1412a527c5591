#include "repository.h"

#include "keyring.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_OBJECT_BYTES (16u * 1024 * 1024)
#define LATER_SEGMENT_KEYS 20
#define SEGMENTS_OF_MARKER 256 /* what begins with the same WAL_GAP_COMMON digits */

int repository_open(const struct config *config, const struct repository_config *settings,
                    const struct state *state, const struct store_limits *limits,
                    struct repository *repository)
{
    *repository = (struct repository){.config = config, .settings = settings, .state = state};
    struct keyring *keyring =
        settings->encryption_key_file == NULL ? NULL : keyring_open(settings); /* the store has the same */
    repository->is_locked = settings->encryption_key_file != NULL && keyring == NULL;
    if (!repository->is_locked)
        repository->store = store_open(settings, limits);
    keyring_close(keyring);
    if (repository->store == NULL)
        return -1;
    store_remember_keys(repository->store, config, state);
    return 0;
}

void repository_close(struct repository *repository)
{
    if (repository == NULL)
        return;
    store_close(repository->store);
    relay_free(repository->relay);
    repository->store = NULL;
    repository->relay = NULL;
    if (repository->cluster_known)
        cluster_free(&repository->cluster);
    repository->cluster_known = false;
}

int repository_use_relays(struct repository *repository)
{
    repository->relay = relay_new();
    return repository->relay == NULL ? -1 : store_use_relay(repository->store);
}

/* Keys */

char *repository_cluster_key(const struct repository *repository)
{
    return string_printf("%s/cluster.json", repository->config->cluster_name);
}

char *repository_system_key(const struct repository *repository, uint64_t system_identifier, const char *rest)
{
    return string_printf("%s/%" PRIu64 "/%s", repository->config->cluster_name, system_identifier, rest);
}

char *repository_wal_key(const struct repository *repository, uint64_t system_identifier, const char *name)
{
    char rest[2 * OBJECT_NAME_BYTES];

    if (wal_name_parse(name).kind == WAL_HISTORY)
        snprintf(rest, sizeof rest, "wal/%s", name);
    else
        snprintf(rest, sizeof rest, "wal/%.16s/%s", name, name);
    return repository_system_key(repository, system_identifier, rest);
}

/* Getting */

static enum repository_result get_failed(enum store_result result)
{
    switch (result) {
    case STORE_OK:
        return REPOSITORY_OK;
    case STORE_ABSENT:
        return REPOSITORY_ABSENT;
    case STORE_STOPPED:
        return REPOSITORY_SINK;
    case STORE_DAMAGED:
        return REPOSITORY_DAMAGED;
    default:
        return REPOSITORY_FAILED;
    }
}

enum repository_result repository_get_object(struct repository *repository, const char *key,
                                             const struct sink *plain, struct object_facts *facts)
{
    struct store_object object = {0};
    struct object_facts own_facts;
    struct object_reader *reader = object_reader_new(plain, store_describe(repository->store, key));

    if (reader == NULL)
        return REPOSITORY_FAILED;
    object_reader_use_relay(reader, repository->relay);
    object_reader_expect_total(reader, &object.total_bytes);
    struct sink sink = object_reader_sink(reader);
    enum repository_result result = get_failed(store_get(repository->store, key, NULL, &sink, &object));
    if (result == REPOSITORY_OK && object_reader_finish(reader, facts == NULL ? &own_facts : facts) != 0)
        result = REPOSITORY_SINK;
    if (result == REPOSITORY_SINK && object_reader_is_damaged(reader))
        result = REPOSITORY_DAMAGED;
    object_reader_free(reader);
    return result;
}

enum repository_result repository_get_facts(struct repository *repository, const char *key,
                                            const char *version_id, struct object_facts *facts)
{
    const struct store_range range = {.suffix = OBJECT_TRAILER_BYTES};
    struct store_object object = {0};
    struct buffer trailer = BUFFER_EMPTY;
    struct sink sink = sink_to_buffer(&trailer);
    enum repository_result result =
        get_failed(store_get_version(repository->store, key, version_id, &range, &sink, &object));

    if (result == REPOSITORY_OK) {
        const char *what = store_describe(repository->store, key);
        if (trailer.length != OBJECT_TRAILER_BYTES) {
            log_error("%s is damaged: it is shorter than a trailer", what);
            result = REPOSITORY_DAMAGED;
        } else if (object_trailer_parse(trailer.data, object.total_bytes, what, facts) != 0) {
            result = REPOSITORY_DAMAGED;
        }
    }
    buffer_free(&trailer);
    return result;
}

enum repository_result repository_get_segment_facts(struct repository *repository, uint64_t system_identifier,
                                                    const char *segment, struct object_facts *facts)
{
    char *key = repository_wal_key(repository, system_identifier, segment);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_get_facts(repository, key, NULL, facts);

    if (result == REPOSITORY_OK && object_facts_check(facts, "segment", segment, system_identifier,
                                                      store_describe(repository->store, key)) != 0)
        result = REPOSITORY_DAMAGED;
    free(key);
    return result;
}

struct limited {
    struct buffer *out;
    size_t limit;
    bool is_overlong; /* more came */
};

static int append_limited(void *context, const void *data, size_t length)
{
    struct limited *limited = context;

    if (length > limited->limit) {
        limited->is_overlong = true;
        return -1;
    }
    limited->limit -= length;
    return buffer_append(limited->out, data, length);
}

static enum repository_result limited_result(const struct repository *repository, const char *key,
                                             enum repository_result result, const struct limited *limited)
{
    if (result != REPOSITORY_SINK)
        return result;
    if (!limited->is_overlong)
        return REPOSITORY_FAILED;
    log_error("%s is damaged: it is longer than is sensible for its kind",
              store_describe(repository->store, key));
    return REPOSITORY_DAMAGED;
}

static enum repository_result get_small(struct repository *repository, const char *key,
                                        const char *version_id, struct buffer *out,
                                        struct store_object *object)
{
    struct limited limited = {out, SMALL_OBJECT_BYTES, false};
    const struct sink sink = {append_limited, &limited};
    enum repository_result result =
        get_failed(store_get_version(repository->store, key, version_id, NULL, &sink, object));

    return limited_result(repository, key, result, &limited);
}

enum repository_result repository_get_small(struct repository *repository, const char *key,
                                            const char *version_id, struct buffer *out)
{
    return get_small(repository, key, version_id, out, NULL);
}

enum repository_result repository_get_document(struct repository *repository, const char *key,
                                               struct buffer *out, struct store_object *object)
{
    *object = (struct store_object){.total_bytes = 0};
    return get_small(repository, key, NULL, out, object);
}

static enum repository_result get_limited_object(struct repository *repository, const char *key,
                                                 size_t most_bytes, struct buffer *out,
                                                 struct object_facts *facts)
{
    struct limited limited = {out, most_bytes, false};
    const struct sink sink = {append_limited, &limited};

    return limited_result(repository, key, repository_get_object(repository, key, &sink, facts), &limited);
}

enum repository_result repository_get_small_object(struct repository *repository, const char *key,
                                                   struct buffer *out, struct object_facts *facts)
{
    return get_limited_object(repository, key, SMALL_OBJECT_BYTES, out, facts);
}

bool repository_answers(struct repository *repository)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = repository_cluster_key(repository);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_get_small(repository, key, NULL, &text);

    if (result == REPOSITORY_ABSENT)
        log_error("\"%s\" is not there any more", store_describe(repository->store, key));
    buffer_free(&text);
    free(key);
    return result == REPOSITORY_OK;
}

/* Timelines */

struct later_search {
    const char *before; /* the segment before the one that is asked for; "" if there is none */
    const char *segment;
    struct later_segment *later;
};

static bool look_at_key(void *context, const char *key, uint64_t bytes)
{
    struct later_search *search = context;
    const char *name = strrchr(key, '/') + 1;
    char first[WAL_SEGMENT_NAME_BYTES], last[WAL_SEGMENT_NAME_BYTES];

    (void)bytes;
    if (strcmp(name, search->before) == 0) {
        search->later->has_before = true;
    } else if (strcmp(name, search->segment) == 0) {
        search->later->has_itself = true;
    } else if (wal_name_parse(name).kind == WAL_SEGMENT && strcmp(name, search->segment) > 0) {
        memcpy(search->later->next, name, WAL_SEGMENT_NAME_BYTES);
        return false;
    }
    if (strncmp(name, search->segment, 24) == 0 && strncmp(name + 24, ".partial", 8) == 0)
        search->later->partial = true;
    if (wal_gap_name_parse(name, first, last) && strcmp(first, search->segment) <= 0 &&
        strcmp(last, search->segment) >= 0)
        memcpy(search->later->gap, name, WAL_GAP_NAME_BYTES);
    return true;
}

enum repository_result repository_later_segment(struct repository *repository, uint64_t system_identifier,
                                                const char *segment, uint32_t segment_bytes,
                                                struct later_segment *later)
{
    char rest[32], before[WAL_SEGMENT_NAME_BYTES] = "", start[WAL_SEGMENT_NAME_BYTES];
    struct later_search search = {before, segment, later};
    struct wal_name name = wal_name_parse(segment);
    uint64_t number;
    unsigned from_start = name.segment % SEGMENTS_OF_MARKER;
    enum repository_result result = REPOSITORY_FAILED;

    *later = (struct later_segment){.partial = false};
    snprintf(start, sizeof start, "%s", segment);
    if (wal_segment_number(&name, segment_bytes, &number) && number >= 2) {
        wal_segment_name(name.timeline, number - 1, segment_bytes, before);
        wal_segment_name(name.timeline, number - 2, segment_bytes, start);
    }
    if (from_start > 0) /* else no marker begins before it, but its neighbour does */
        snprintf(start, sizeof start, "%.*s", WAL_GAP_COMMON, segment);
    snprintf(rest, sizeof rest, "wal/%.8s", segment);
    char *prefix = repository_system_key(repository, system_identifier, rest);
    char *start_after = repository_wal_key(repository, system_identifier, start);
    struct store_listing listing = {prefix, start_after, LATER_SEGMENT_KEYS + from_start, look_at_key,
                                    &search};
    if (prefix != NULL && start_after != NULL && store_list(repository->store, &listing) == STORE_OK)
        result = REPOSITORY_OK;
    free(prefix);
    free(start_after);
    return result;
}

enum repository_result repository_get_history(struct repository *repository, uint64_t system_identifier,
                                              uint32_t timeline, struct timeline_history *history)
{
    char name[WAL_SEGMENT_NAME_BYTES];
    struct object_facts facts;
    struct buffer text = BUFFER_EMPTY;
    const char *problem;
    enum repository_result result = REPOSITORY_FAILED;

    wal_history_name(timeline, name);
    char *key = repository_wal_key(repository, system_identifier, name);
    if (key == NULL)
        return REPOSITORY_FAILED;
    result = get_limited_object(repository, key, TIMELINE_HISTORY_MOST_BYTES, &text, &facts);
    if (result == REPOSITORY_OK) {
        const char *what = store_describe(repository->store, key);
        if (object_facts_check(&facts, "history", name, system_identifier, what) != 0) {
            result = REPOSITORY_DAMAGED;
        } else if (timeline_history_parse(timeline, buffer_string(&text), text.length, history, &problem) !=
                   0) {
            log_error("%s is damaged: %s", what, problem);
            result = REPOSITORY_DAMAGED;
        }
    }
    buffer_free(&text);
    free(key);
    return result;
}
