#include "repository.h"

#include "digest.h"
#include "document.h"
#include "key.h"
#include "log.h"
#include "sealing.h"
#include "timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_OBJECT_BYTES (16u * 1024 * 1024)
#define LATER_SEGMENT_KEYS 20
#define ENCRYPTION                                                                                           \
    "aes-256-gcm"              /* what cluster.json says; a version before it refuses anything but "none"    \
                                */
#define SEGMENTS_OF_MARKER 256 /* what begins with the same WAL_GAP_COMMON digits */

int repository_open(const struct config *config, const struct repository_config *settings,
                    const struct state *state, const struct store_limits *limits,
                    struct repository *repository)
{
    *repository = (struct repository){.config = config, .settings = settings, .state = state};
    repository->store = store_open(settings, limits);
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

/* cluster.json */

static const char *const condition_names[] = {"unknown", "honoured", "ignored", "refused"};

static bool parse_condition(const char *text, enum store_condition *condition)
{
    for (size_t i = 0; text != NULL && i < sizeof condition_names / sizeof condition_names[0]; i++) {
        if (strcmp(text, condition_names[i]) == 0) {
            *condition = (enum store_condition)i;
            return true;
        }
    }
    return false;
}

static bool parse_generation(const struct json *item, struct generation *generation)
{
    const char *system = json_text(item, "system_identifier"), *added = json_text(item, "added");
    uint64_t version, control_version, catalog_version, segment_bytes;
    char *end;

    if (system == NULL || added == NULL || timestamp_parse(added, &generation->added) != TIMESTAMP_OK ||
        json_uint(item, "postgresql_version", &version) != 0 ||
        json_uint(item, "control_version", &control_version) != 0 ||
        json_uint(item, "catalog_version", &catalog_version) != 0 ||
        json_uint(item, "segment_bytes", &segment_bytes) != 0 || !wal_segment_size_is_legal(segment_bytes) ||
        version > 1000 || control_version > UINT32_MAX || catalog_version > UINT32_MAX)
        return false;
    generation->system_identifier = strtoull(system, &end, 10);
    generation->postgresql_version = (unsigned)version;
    generation->control_version = (uint32_t)control_version;
    generation->catalog_version = (uint32_t)catalog_version;
    generation->segment_bytes = (uint32_t)segment_bytes;
    return *end == '\0' && generation->system_identifier != 0;
}

static int parse_generations(const struct json *document, const char *what, struct cluster *cluster)
{
    const struct json *list = json_member(document, "generations");
    size_t count = json_array_length(list);

    cluster->generations = calloc(count + 1, sizeof *cluster->generations);
    if (cluster->generations == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < count; i++) {
        if (!parse_generation(json_array_item(list, i), &cluster->generations[i])) {
            log_error("%s is damaged: generation %zu is malformed", what, i + 1);
            return -1;
        }
    }
    cluster->generation_count = count;
    if (count > 0)
        return 0;
    log_error("%s is damaged: it names no system", what);
    return -1;
}

static bool parse_epoch(const struct json *document, struct sealing_epoch *epoch)
{
    const char *id = json_text(document, "epoch_id");
    uint64_t number;

    if (json_uint(document, "epoch", &number) != 0 || number == 0 || number > SEALING_EPOCH_MOST ||
        id == NULL || !hex_decode(id, epoch->id, sizeof epoch->id))
        return false;
    epoch->number = (uint32_t)number;
    return true;
}

int cluster_parse(const void *data, size_t length, const char *what, struct cluster *cluster)
{
    struct json *document = document_open(data, length, "cluster", what);
    const char *name, *encryption;
    struct sealing_epoch epoch = {.number = 0};
    int result = -1;

    *cluster = (struct cluster){0};
    if (document == NULL)
        return -1;
    name = json_text(document, "name");
    encryption = json_text(document, "encryption");
    if (name == NULL || encryption == NULL || json_bool(document, "versioned", &cluster->versioned) != 0 ||
        !parse_condition(json_text(document, "put_if_absent"), &cluster->condition)) {
        log_error("%s is damaged: a member is missing", what);
    } else if (strcmp(encryption, "none") != 0 && strcmp(encryption, ENCRYPTION) != 0) {
        log_error("%s says that the repository is encrypted (%s), which this version of walferry cannot read",
                  what, encryption);
    } else if (strcmp(encryption, ENCRYPTION) == 0 && !parse_epoch(document, &epoch)) {
        log_error("%s is damaged: it names no key epoch", what);
    } else if ((cluster->name = string_copy(name)) != NULL) {
        cluster->epoch = epoch;
        result = parse_generations(document, what, cluster);
    }
    json_free(document);
    if (result != 0)
        cluster_free(cluster);
    return result;
}

int cluster_seal(const struct cluster *cluster, struct buffer *out)
{
    struct json *document = document_new("cluster"), *list = json_new_array();

    json_set_string(document, "name", cluster->name);
    json_set_string(document, "encryption", cluster->epoch.number != 0 ? ENCRYPTION : "none");
    if (cluster->epoch.number != 0) {
        char id[2 * SEALING_EPOCH_ID_BYTES + 1];
        hex_encode(cluster->epoch.id, sizeof cluster->epoch.id, id);
        json_set_uint(document, "epoch", cluster->epoch.number);
        json_set_string(document, "epoch_id", id);
    }
    json_set_string(document, "put_if_absent", condition_names[cluster->condition]);
    json_set_bool(document, "versioned", cluster->versioned);
    for (size_t i = 0; i < cluster->generation_count; i++) {
        const struct generation *generation = &cluster->generations[i];
        struct json *item = json_new_object();
        char system[24], added[TIMESTAMP_TEXT_BYTES];
        snprintf(system, sizeof system, "%" PRIu64, generation->system_identifier);
        timestamp_format_iso(generation->added, added);
        json_set_string(item, "system_identifier", system);
        json_set_uint(item, "postgresql_version", generation->postgresql_version);
        json_set_uint(item, "control_version", generation->control_version);
        json_set_uint(item, "catalog_version", generation->catalog_version);
        json_set_uint(item, "segment_bytes", generation->segment_bytes);
        json_set_string(item, "added", added);
        json_append(list, item);
    }
    json_set(document, "generations", list);
    return document_seal(document, out);
}

void cluster_free(struct cluster *cluster)
{
    if (cluster == NULL)
        return;
    free(cluster->name);
    free(cluster->generations);
    *cluster = (struct cluster){0};
}

const struct generation *cluster_generation(const struct cluster *cluster, uint64_t system_identifier)
{
    for (size_t i = 0; i < cluster->generation_count; i++)
        if (cluster->generations[i].system_identifier == system_identifier)
            return &cluster->generations[i];
    return NULL;
}

/* Which keys open an epoch, as the names in keys/ tell. */
struct key_ids {
    uint32_t epoch;
    struct buffer text;
};

static bool note_key_id(void *context, const char *key, uint64_t bytes)
{
    struct key_ids *ids = context;
    char id[KEY_ID_BYTES];
    uint32_t epoch;

    (void)bytes;
    if (key_object_name_parse(strrchr(key, '/') + 1, &epoch, id) && epoch == ids->epoch)
        buffer_printf(&ids->text, "%s%s", ids->text.length > 0 ? ", " : "", id);
    return true;
}

static void tell_keys(struct repository *repository, uint32_t epoch)
{
    struct key_ids ids = {epoch, BUFFER_EMPTY};
    char *prefix = string_printf("%s/keys/", repository->config->cluster_name);
    const struct store_listing listing = {.prefix = prefix, .each = note_key_id, .context = &ids};

    if (prefix != NULL && store_list(repository->store, &listing) == STORE_OK && ids.text.length > 0)
        log_hint("It is opened by the key %s: give its file as encryption_key_file of repository \"%s\" in "
                 "\"%s\".",
                 buffer_string(&ids.text), repository->settings->name, repository->config->path);
    buffer_free(&ids.text);
    free(prefix);
}

/* It is the configuration that says what is wanted: whoever can write to the bucket can change cluster.json.
 */
int repository_take_epoch(struct repository *repository)
{
    const char *name = repository->settings->name;
    const struct sealing_epoch *epoch = &repository->cluster.epoch;
    enum store_result result;

    if (repository->settings->encryption_key_file == NULL) {
        if (epoch->number == 0)
            return 0;
        log_error("repository \"%s\" is encrypted, and the configuration has no encryption_key_file for it",
                  name);
        tell_keys(repository, epoch->number);
        return -1;
    }
    if (epoch->number == 0) {
        log_error(
            "repository \"%s\" is not encrypted, but the configuration has an encryption_key_file for it",
            name);
        log_hint("What is there cannot be encrypted where it lies. Make a new repository with the key "
                 "(another url or [cluster] name, and repository-init), and fill it with repository-sync; or "
                 "leave encryption_key_file out.");
        return -1;
    }
    char *key = repository_cluster_key(repository);
    result = key == NULL ? STORE_FAILED : store_set_epoch(repository->store, key, epoch);
    free(key);
    if (result == STORE_ABSENT) {
        log_error("repository \"%s\" is encrypted, and no configured key (%s) opens its epoch %" PRIu32, name,
                  store_key_ids(repository->store), epoch->number);
        tell_keys(repository, epoch->number);
    }
    return result == STORE_OK ? 0 : -1;
}

/* Under this very name: an object that was copied to another place is not that place's. */
static int parse_own_cluster(struct repository *repository, const struct buffer *text, const char *what)
{
    const char *name = repository->config->cluster_name;

    if (cluster_parse(text->data, text->length, what, &repository->cluster) != 0)
        return -1;
    if (strcmp(repository->cluster.name, name) == 0)
        return 0;
    log_error("\"%s\" is of the cluster \"%s\", not of \"%s\"", what, repository->cluster.name, name);
    cluster_free(&repository->cluster);
    return -1;
}

static bool recall_cluster(struct repository *repository, const char *name, int64_t most_age_seconds)
{
    struct buffer text = BUFFER_EMPTY;
    int64_t age;
    bool recalled = false;

    if (most_age_seconds > 0 && state_read(repository->state, name, &text, &age) == 0 &&
        age < most_age_seconds)
        recalled = parse_own_cluster(repository, &text, "the remembered cluster.json") == 0;
    if (recalled) { /* it may have become encrypted meanwhile */
        log_mute_thread(true);
        recalled = repository_take_epoch(repository) == 0;
        log_mute_thread(false);
        if (!recalled)
            cluster_free(&repository->cluster);
    }
    buffer_free(&text);
    return recalled;
}

static enum repository_result ask_for_cluster(struct repository *repository, const char *state_file)
{
    struct buffer text = BUFFER_EMPTY;
    char *key = repository_cluster_key(repository);
    enum repository_result result =
        key == NULL ? REPOSITORY_FAILED : repository_get_small(repository, key, NULL, &text);

    if (result == REPOSITORY_ABSENT) {
        log_error("there is no walferry repository here: \"%s\" is not there",
                  store_describe(repository->store, key));
        log_hint("Check the url of repository \"%s\" and [cluster] name in \"%s\". A new repository is made "
                 "by repository-init.",
                 repository->settings->name, repository->config->path);
    } else if (result == REPOSITORY_OK) {
        if (parse_own_cluster(repository, &text, store_describe(repository->store, key)) != 0)
            result = REPOSITORY_DAMAGED;
        else if (repository->settings->kind == REPOSITORY_S3)
            state_write(repository->state, state_file, text.data, text.length);
    }
    buffer_free(&text);
    free(key);
    return result;
}

enum repository_result repository_load_cluster(struct repository *repository, int64_t most_age_seconds)
{
    enum repository_result result = REPOSITORY_OK;
    char *state_file = state_name("cluster", repository->config, repository->settings);

    if (state_file == NULL)
        return REPOSITORY_FAILED;
    if (repository->cluster_known)
        cluster_free(&repository->cluster);
    repository->cluster_known = false;
    if (repository->settings->kind == REPOSITORY_FILE ||
        !recall_cluster(repository, state_file, most_age_seconds))
        result = ask_for_cluster(repository, state_file);
    if (result == REPOSITORY_OK && repository_take_epoch(repository) != 0) {
        cluster_free(&repository->cluster);
        result = REPOSITORY_FAILED;
    }
    repository->cluster_known = result == REPOSITORY_OK;
    free(state_file);
    return result;
}

void repository_tell_foreign(const struct repository *repository, uint64_t system_identifier)
{
    log_error("repository \"%s\" is the home of another cluster: system %" PRIu64 " is not accepted there",
              repository->settings->name, system_identifier);
    log_hint("Check the url of repository \"%s\" and [cluster] name in \"%s\". After pg_upgrade or initdb, "
             "accept the new system with \"repository-init --add-generation\".",
             repository->settings->name, repository->config->path);
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
