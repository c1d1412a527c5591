/* Storing under a name that must be free. Where the store sees to that itself it is one PUT; where it does
 * not, it is looked for before and behind. In a bucket that keeps versions the content that was there first,
 * since the key was last deleted, is the right one: it is what is served in the end, and only its owner is
 * told of a success, however often the others try. */
#include "repository.h"

#include "digest.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is being put: a sealed object, or a document, and what it is known by. */
struct content {
    const struct body *body;
    const struct object_facts *facts; /* of a document: its hash and its length */
    bool is_document;
};

static bool facts_are_equal(const struct object_facts *left, const struct object_facts *right)
{
    return memcmp(left->sha256, right->sha256, SHA256_BYTES) == 0 &&
           left->plain_bytes == right->plain_bytes && strcmp(left->name, right->name) == 0 &&
           strcmp(left->kind, right->kind) == 0 && left->system_identifier == right->system_identifier;
}

/* What is there. DAMAGED if it cannot be told. */
static enum repository_result identify(struct repository *repository, const char *key, const char *version_id,
                                       bool is_document, struct object_facts *facts)
{
    struct buffer document = BUFFER_EMPTY;
    enum repository_result result;

    if (!is_document)
        return repository_get_facts(repository, key, version_id, facts);
    *facts = (struct object_facts){.kind = ""};
    result = repository_get_small(repository, key, version_id, &document);
    facts->plain_bytes = document.length;
    if (result == REPOSITORY_OK && sha256_of(document.data, document.length, facts->sha256) != 0)
        result = REPOSITORY_FAILED;
    buffer_free(&document);
    return result;
}

/* What is there already, compared with what we have. ABSENT if nothing is; DAMAGED if it cannot be told. */
static enum repository_result compare(struct repository *repository, const char *key,
                                      const struct content *content)
{
    struct object_facts stored;
    enum repository_result result = identify(repository, key, NULL, content->is_document, &stored);

    if (result != REPOSITORY_OK)
        return result;
    return facts_are_equal(&stored, content->facts) ? REPOSITORY_IDENTICAL : REPOSITORY_COLLISION;
}

/* The versions of a key, newest first. */
struct versions {
    struct repository *repository;
    const char *key;
    bool are_documents;
    unsigned count;
    struct object_facts newest, first; /* all zero: it is damaged */
    bool is_first_damaged;
    char first_id[sizeof((struct store_object *)0)->version_id];
    bool failed;
};

static bool look_at_version(void *context, const struct store_version *version)
{
    struct versions *versions = context;
    struct object_facts facts;

    if (version->is_delete_marker)
        return false; /* what lies behind it was given up by somebody who knew */
    switch (
        identify(versions->repository, versions->key, version->version_id, versions->are_documents, &facts)) {
    case REPOSITORY_OK:
        versions->is_first_damaged = false;
        break;
    case REPOSITORY_DAMAGED:
        versions->is_first_damaged = true;
        facts = (struct object_facts){.kind = ""};
        break;
    case REPOSITORY_ABSENT:
        log_error("version \"%s\" of \"%s\" is listed, but cannot be got", version->version_id,
                  store_describe(versions->repository->store, versions->key));
        /* fall through */
    default:
        versions->failed = true;
        return false;
    }
    if (versions->count++ == 0)
        versions->newest = facts;
    versions->first = facts;
    snprintf(versions->first_id, sizeof versions->first_id, "%s", version->version_id);
    return true;
}

static enum repository_result lost(struct repository *repository, const char *key)
{
    log_error("\"%s\" was stored, the store said, but it is not there",
              store_describe(repository->store, key));
    return REPOSITORY_FAILED;
}

/* A document, cluster.json, is also replaced on purpose: that another's lies over another's is no fault. */
static bool must_be_put_back(const struct versions *versions, const struct content *content)
{
    bool is_first = facts_are_equal(&versions->first, content->facts);
    bool is_newest = facts_are_equal(&versions->newest, content->facts);

    if (content->is_document)
        return is_first != is_newest;
    return !facts_are_equal(&versions->newest, &versions->first);
}

/* Of several contents the first is served again, whosever it is. */
static enum repository_result settle_versions(struct repository *repository, const char *key,
                                              const struct content *content)
{
    struct versions versions = {.repository = repository, .key = key, .are_documents = content->is_document};

    if (store_versions(repository->store, key, look_at_version, &versions) != STORE_OK || versions.failed)
        return REPOSITORY_FAILED;
    if (versions.count == 0)
        return lost(repository, key);
    if (versions.is_first_damaged) /* it was somebody's: nobody can be told of a success */
        return REPOSITORY_DAMAGED;
    if (must_be_put_back(&versions, content)) {
        log_warning("\"%s\" was stored with different contents; the first, version \"%s\", is put back",
                    store_describe(repository->store, key), versions.first_id);
        if (store_put_back(repository->store, key, versions.first_id) != STORE_OK) {
            log_hint("Until it is put back the later content is what a recovery gets. It is tried again with "
                     "the next call, and needs s3:GetObjectVersion and s3:PutObject.");
            return REPOSITORY_FAILED;
        }
    }
    return facts_are_equal(&versions.first, content->facts) ? REPOSITORY_IDENTICAL : REPOSITORY_COLLISION;
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
        result = compare(repository, key, content);
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
    enum repository_result result = compare(repository, key, content);

    /* what is served may have come to lie over the right one */
    if ((result == REPOSITORY_IDENTICAL || result == REPOSITORY_COLLISION || result == REPOSITORY_DAMAGED) &&
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
        result = compare(repository, key, content);
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
    const struct content content = {body, facts, false};

    return put(repository, key, &content);
}

enum repository_result repository_put_small(struct repository *repository, const char *key,
                                            const struct buffer *data)
{
    struct body body = {.data = data->data, .fd = -1, .length = data->length};
    struct object_facts facts = {.plain_bytes = data->length};
    const struct content content = {&body, &facts, true};

    if (sha256_of(data->data, data->length, body.sha256) != 0)
        return REPOSITORY_FAILED;
    memcpy(facts.sha256, body.sha256, sizeof facts.sha256);
    return put(repository, key, &content);
}
