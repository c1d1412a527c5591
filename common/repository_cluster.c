/* cluster.json: which systems live here, what the bucket does, and with which key epoch. */
#include "repository.h"

#include "digest.h"
#include "document.h"
#include "log.h"
#include "timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What cluster.json says; a version before it refuses anything but "none". */
#define ENCRYPTION "aes-256-gcm"

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

int cluster_parse(const void *data, size_t length, const char *what, struct cluster *cluster)
{
    struct json *document = document_open(data, length, "cluster", what);
    const char *name, *encryption;
    struct sealing_epoch epoch = {.number = 0};
    int result = -1;

    *cluster = (struct cluster){0};
    if (document == NULL)
        return -1;
    if (sha256_of(data, length, cluster->read_as) != 0) {
        json_free(document);
        return -1;
    }
    name = json_text(document, "name");
    encryption = json_text(document, "encryption");
    if (name == NULL || encryption == NULL || json_bool(document, "versioned", &cluster->versioned) != 0 ||
        !parse_condition(json_text(document, "put_if_absent"), &cluster->condition)) {
        log_error("%s is damaged: a member is missing", what);
    } else if (strcmp(encryption, "none") != 0 && strcmp(encryption, ENCRYPTION) != 0) {
        log_error("%s says that the repository is encrypted (%s), which this version of walferry cannot read",
                  what, encryption);
    } else if (strcmp(encryption, ENCRYPTION) == 0 && !sealing_epoch_from_json(document, &epoch)) {
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
    if (cluster->epoch.number != 0)
        sealing_epoch_to_json(document, &cluster->epoch);
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

/* Which keys open it. True: others than ours do, or it is not known. */
static bool tell_keys(struct repository *repository, uint32_t epoch, bool is_damaged)
{
    struct buffer others = BUFFER_EMPTY, ours = BUFFER_EMPTY;
    char *key = repository_cluster_key(repository);
    const bool is_known =
        key != NULL && store_list_key_ids(repository->store, key, epoch, &others, &ours) == 0;

    if (is_known && ours.length > 0 && !is_damaged)
        log_error("the document of the key %s in keys/ of epoch %" PRIu32
                  " holds another key than cluster.json names",
                  buffer_string(&ours), epoch);
    if (is_known && others.length > 0)
        log_hint("It is opened by the key %s: give its file as encryption_key_file of repository \"%s\" in "
                 "\"%s\".",
                 buffer_string(&others), repository->settings->name, repository->config->path);
    else if (is_known && ours.length > 0 && !is_damaged)
        log_hint(
            "Either was altered, or is of another rotation at the same time. Remove nothing; look at the "
            "versions of both.");
    const bool has_others = !is_known || others.length > 0;
    buffer_free(&others);
    buffer_free(&ours);
    free(key);
    return has_others;
}

/* It is the configuration that says what is wanted: whoever can write to the bucket can change cluster.json.
 */
int repository_take_epoch(struct repository *repository)
{
    const char *name = repository->settings->name;
    const struct sealing_epoch *epoch = &repository->cluster.epoch;
    enum store_result result;

    repository->is_lost = false;
    if (repository->settings->encryption_key_file == NULL) {
        repository->is_locked = epoch->number != 0;
        if (epoch->number == 0)
            return 0;
        log_error("repository \"%s\" is encrypted, and the configuration has no encryption_key_file for it",
                  name);
        tell_keys(repository, epoch->number, false);
        return -1;
    }
    repository->is_locked = epoch->number == 0;
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
    repository->is_locked = result == STORE_ABSENT || result == STORE_DAMAGED;
    if (result == STORE_ABSENT) {
        log_error("repository \"%s\" is encrypted, and no configured key (%s) opens its epoch %" PRIu32, name,
                  store_key_ids(repository->store), epoch->number);
    }
    repository->is_lost =
        repository->is_locked && !tell_keys(repository, epoch->number, result == STORE_DAMAGED);
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
    if (recalled) { /* it may have become encrypted meanwhile, or another epoch have begun */
        bool was_muted = log_mute_thread(true);
        recalled = repository_take_epoch(repository) == 0 && !store_epoch_is_behind(repository->store);
        log_mute_thread(was_muted);
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

    repository->is_locked = repository->is_lost = false;
    if (result == REPOSITORY_ABSENT) {
        log_error("there is no walferry repository here: \"%s\" is not there",
                  store_describe(repository->store, key));
        log_tell_kind("store");
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

static enum repository_result take_known_epoch(struct repository *repository, bool is_reader)
{
    if (repository_take_epoch(repository) == 0)
        return REPOSITORY_OK;
    if (is_reader && repository->is_lost) {
        log_warning("of repository \"%s\" only what other epochs than %" PRIu32 " have sealed can be read",
                    repository->settings->name, repository->cluster.epoch.number);
        return REPOSITORY_OK;
    }
    cluster_free(&repository->cluster);
    return REPOSITORY_FAILED;
}

static enum repository_result load_cluster(struct repository *repository, int64_t most_age_seconds,
                                           bool is_reader)
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
    if (result == REPOSITORY_OK)
        result = take_known_epoch(repository, is_reader);
    /* another process may have seen a newer one between our reading of cluster.json and that of state_dir */
    if (result == REPOSITORY_OK && store_epoch_is_behind(repository->store)) {
        cluster_free(&repository->cluster);
        result = ask_for_cluster(repository, state_file);
        if (result == REPOSITORY_OK)
            result = take_known_epoch(repository, is_reader);
    }
    repository->cluster_known = result == REPOSITORY_OK;
    free(state_file);
    return result;
}

enum repository_result repository_load_cluster(struct repository *repository, int64_t most_age_seconds)
{
    return load_cluster(repository, most_age_seconds, false);
}

enum repository_result repository_load_cluster_to_read(struct repository *repository)
{
    return load_cluster(repository, 0, true);
}

bool repository_forget_cluster(const struct repository *repository)
{
    char *name = state_name("cluster", repository->config, repository->settings);
    bool is_gone = name != NULL && state_forget_anywhere(repository->config, name);

    free(name);
    return is_gone;
}

/* Is it still what was read? Else what somebody else has changed since would be lost: a generation, or an
 * epoch. 0, or -1 after logging. */
static int is_unchanged(struct repository *repository, const char *key)
{
    unsigned char now[SHA256_BYTES];
    struct buffer text = BUFFER_EMPTY;
    const enum repository_result got = repository_get_small(repository, key, NULL, &text);
    int result = -1;

    if (got == REPOSITORY_OK && sha256_of(text.data, text.length, now) == 0 &&
        memcmp(now, repository->cluster.read_as, sizeof now) == 0)
        result = 0;
    else if (got == REPOSITORY_OK || got == REPOSITORY_ABSENT)
        log_error("\"%s\" was changed by somebody else meanwhile, and stays as it is now",
                  store_describe(repository->store, key));
    if (result != 0 && (got == REPOSITORY_OK || got == REPOSITORY_ABSENT))
        log_hint("Run the command again: it begins with what is there then.");
    buffer_free(&text);
    return result;
}

int repository_replace_cluster(struct repository *repository)
{
    struct buffer text = BUFFER_EMPTY;
    struct body body = {.fd = -1};
    char *key = repository_cluster_key(repository);
    int result = -1;

    if (store_epoch_is_behind(repository->store)) {
        store_tell_epoch_behind(repository->store);
    } else if (key != NULL && cluster_seal(&repository->cluster, &text) == 0 &&
               sha256_of(text.data, text.length, body.sha256) == 0 && is_unchanged(repository, key) == 0) {
        body.data = text.data;
        body.length = text.length;
        result = store_replace(repository->store, key, &body) == STORE_OK ? 0 : -1;
    }
    if (result == 0)
        memcpy(repository->cluster.read_as, body.sha256, sizeof body.sha256);
    buffer_free(&text);
    free(key);
    return result;
}

void repository_tell_foreign(const struct repository *repository, uint64_t system_identifier)
{
    log_error("repository \"%s\" is the home of another cluster: system %" PRIu64 " is not accepted there",
              repository->settings->name, system_identifier);
    log_tell_kind("store");
    log_hint("Check the url of repository \"%s\" and [cluster] name in \"%s\". After pg_upgrade or initdb, "
             "accept the new system with \"repository-init --add-generation\".",
             repository->settings->name, repository->config->path);
}
