/* Storing under a name that must be free. Where the store sees to that itself it is one PUT; where it does
 * not, it is looked for before and behind. In a bucket that keeps versions the content that was there first,
 * since the key was last deleted, is the right one: it is what is served in the end, and only its owner is
 * told of a success, however often the others try. */
#include "repository.h"

#include "digest.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

/* What is being put: a sealed object, or a document. */
struct content {
    const struct body *body;
    const struct object_facts *facts; /* NULL: a document */
};

static bool facts_are_equal(const struct object_facts *left, const struct object_facts *right)
{
    return memcmp(left->sha256, right->sha256, SHA256_BYTES) == 0 &&
           left->plain_bytes == right->plain_bytes && strcmp(left->name, right->name) == 0 &&
           strcmp(left->kind, right->kind) == 0 && left->system_identifier == right->system_identifier;
}

/* What is there already, compared with what we have. ABSENT if nothing is; DAMAGED if it cannot be told. */
static enum repository_result compare(struct repository *repository, const char *key, const char *version_id,
                                      const struct content *content)
{
    struct object_facts stored;
    struct buffer document = BUFFER_EMPTY;
    enum repository_result result;
    bool same;

    if (content->facts != NULL) {
        result = repository_get_facts(repository, key, version_id, &stored);
        same = result == REPOSITORY_OK && facts_are_equal(&stored, content->facts);
    } else {
        result = repository_get_small(repository, key, version_id, &document);
        same = result == REPOSITORY_OK && document.length == content->body->length &&
               memcmp(document.data, content->body->data, document.length) == 0;
        buffer_free(&document);
    }
    if (result != REPOSITORY_OK)
        return result;
    return same ? REPOSITORY_IDENTICAL : REPOSITORY_COLLISION;
}

/* The versions of a key, newest first. */
struct versions {
    struct repository *repository;
    const char *key;
    const struct content *content;
    unsigned count;
    bool served_is_ours, first_is_ours;
    char first[sizeof((struct store_object *)0)->version_id];
    bool failed;
};

static bool look_at_version(void *context, const struct store_version *version)
{
    struct versions *versions = context;

    if (version->is_delete_marker)
        return false; /* what lies behind it was given up by somebody who knew */
    switch (compare(versions->repository, versions->key, version->version_id, versions->content)) {
    case REPOSITORY_ABSENT: /* removed just now */
        return true;
    case REPOSITORY_IDENTICAL:
        versions->first_is_ours = true;
        break;
    case REPOSITORY_COLLISION:
        versions->first_is_ours = false;
        break;
    case REPOSITORY_DAMAGED: /* nobody's, and never put back */
        versions->count++;
        return true;
    default:
        versions->failed = true;
        return false;
    }
    if (versions->count++ == 0)
        versions->served_is_ours = versions->first_is_ours;
    snprintf(versions->first, sizeof versions->first, "%s", version->version_id);
    return true;
}

static enum repository_result lost(struct repository *repository, const char *key)
{
    log_error("\"%s\" was stored, the store said, but it is not there",
              store_describe(repository->store, key));
    return REPOSITORY_FAILED;
}

/* Of several contents the first is served again: ours, or another's that we have just come to lie over. */
static enum repository_result settle_versions(struct repository *repository, const char *key,
                                              const struct content *content)
{
    struct versions versions = {.repository = repository, .key = key, .content = content};

    if (store_versions(repository->store, key, look_at_version, &versions) != STORE_OK || versions.failed)
        return REPOSITORY_FAILED;
    if (versions.count == 0)
        return lost(repository, key);
    if (versions.first_is_ours != versions.served_is_ours) {
        log_warning("\"%s\" was stored with different contents; the first, version \"%s\", is put back",
                    store_describe(repository->store, key), versions.first);
        if (store_put_back(repository->store, key, versions.first) != STORE_OK) {
            log_hint("Until it is put back the later content is what a recovery gets. It is tried again with "
                     "the next call, and needs s3:GetObjectVersion and s3:PutObject.");
            return REPOSITORY_FAILED;
        }
    }
    return versions.first_is_ours ? REPOSITORY_IDENTICAL : REPOSITORY_COLLISION;
}

static bool keeps_versions(const struct repository *repository, const struct store_object *object)
{
    return repository->cluster.versioned || object->versioned;
}

/* The store took it without promising that nothing was there. */
static enum repository_result check_after_put(struct repository *repository, const char *key,
                                              const struct content *content,
                                              const struct store_object *object)
{
    enum repository_result result;

    if (keeps_versions(repository, object)) {
        result = settle_versions(repository, key, content);
    } else {
        result = compare(repository, key, NULL, content);
        if (result == REPOSITORY_ABSENT)
            return lost(repository, key);
    }
    return result == REPOSITORY_IDENTICAL ? REPOSITORY_OK : result;
}

/* Of a store that does not prevent it. */
static enum repository_result look_before_put(struct repository *repository, const char *key,
                                              const struct content *content)
{
    const struct store_object nothing = {.versioned = false};
    enum repository_result result = compare(repository, key, NULL, content);

    /* what is served may have come to lie over the right one */
    if ((result == REPOSITORY_IDENTICAL || result == REPOSITORY_COLLISION) &&
        keeps_versions(repository, &nothing))
        return settle_versions(repository, key, content);
    return result;
}

static enum repository_result put(struct repository *repository, const char *key,
                                  const struct content *content)
{
    const struct cluster *cluster = &repository->cluster;
    bool prevents =
        repository->settings->kind == REPOSITORY_FILE || cluster->condition == STORE_CONDITION_HONOURED;
    struct store_object object = {0};
    enum repository_result result;

    if (!prevents) {
        result = look_before_put(repository, key, content);
        if (result != REPOSITORY_ABSENT)
            return result;
    }
    switch (store_put_absent(repository->store, key, content->body, cluster->condition, &object)) {
    case STORE_OK:
        /* The probe was made with or without versions; Ceph honours the condition only without. */
        if (prevents && object.versioned == cluster->versioned)
            return REPOSITORY_OK;
        if (prevents)
            log_warning("the bucket of repository \"%s\" %s versions, other than when it was probed: run "
                        "repository-init --probe",
                        repository->settings->name, object.versioned ? "keeps" : "keeps no");
        return check_after_put(repository, key, content, &object);
    case STORE_EXISTS:
        result = compare(repository, key, NULL, content);
        if (result != REPOSITORY_ABSENT)
            return result;
        log_error("\"%s\" was there and is gone: something deletes objects here",
                  store_describe(repository->store, key));
        return REPOSITORY_FAILED;
    default:
        return REPOSITORY_FAILED;
    }
}

enum repository_result repository_put_object(struct repository *repository, const char *key,
                                             const struct body *body, const struct object_facts *facts)
{
    const struct content content = {body, facts};

    return put(repository, key, &content);
}

enum repository_result repository_put_small(struct repository *repository, const char *key,
                                            const struct buffer *data)
{
    struct body body = {.data = data->data, .fd = -1, .length = data->length};
    const struct content content = {&body, NULL};

    if (sha256_of(data->data, data->length, body.sha256) != 0)
        return REPOSITORY_FAILED;
    return put(repository, key, &content);
}
