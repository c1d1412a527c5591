/* The driver of store.h for a bucket as it was at an earlier time (as_of): of each key the version that was
 * the newest then. Nothing is written. For a bucket whose objects somebody has deleted or overwritten. */
#include "store_s3.h"

#include "log.h"
#include "timestamp.h"

#include <stdlib.h>
#include <string.h>

/* --- versions of then
 * ---------------------------------------------------------------------------------------------- */

struct past {
    int64_t as_of;
    char *key; /* the last that had a version then; owned */
    bool failed;
    bool (*each)(void *context, const struct store_version *version);
    void *context;
};

/* They come newest first, so the first of a key that is not of later is the one that was served. */
static bool tell_if_of_then(void *context, const struct store_version *version)
{
    struct past *past = context;
    struct store_version then = *version;

    if (version->modified == 0) {
        log_error("\"%s\": the store does not say when its versions were stored, so as_of cannot be used",
                  version->key);
        past->failed = true;
        return false;
    }
    if (version->modified > past->as_of)
        return true;
    then.is_latest = past->key == NULL || strcmp(past->key, version->key) != 0;
    if (then.is_latest) {
        free(past->key);
        past->key = string_copy(version->key);
        past->failed = past->key == NULL;
    }
    return !past->failed && past->each(past->context, &then);
}

static enum store_result end(struct past *past, enum store_result result)
{
    free(past->key);
    return past->failed ? STORE_FAILED : result;
}

static enum store_result list_versions(struct store *store, const struct store_version_listing *wanted)
{
    struct past past = {.as_of = store->config->s3.as_of, .each = wanted->each, .context = wanted->context};
    const struct store_version_listing listing = {wanted->prefix, wanted->start_after, tell_if_of_then,
                                                  &past};

    return end(&past, store_s3_list_versions(store, &listing));
}

static enum store_result versions(struct store *store, const char *key,
                                  bool (*each)(void *context, const struct store_version *version),
                                  void *context)
{
    struct past past = {.as_of = store->config->s3.as_of, .each = each, .context = context};

    return end(&past, store_s3_versions(store, key, tell_if_of_then, &past));
}

/* --- reading
 * ------------------------------------------------------------------------------------------------------- */

struct search {
    char version_id[sizeof((struct store_object *)0)->version_id];
    bool found, is_delete_marker;
};

static bool take_first(void *context, const struct store_version *version)
{
    struct search *search = context;

    search->is_delete_marker = version->is_delete_marker;
    search->found = strlen(version->version_id) < sizeof search->version_id;
    if (search->found)
        memcpy(search->version_id, version->version_id, strlen(version->version_id) + 1);
    return false;
}

static enum store_result get(struct store *store, const char *key, const char *version_id,
                             const struct store_range *range, const struct sink *sink,
                             struct store_object *object)
{
    struct search search = {.found = false};

    if (version_id != NULL)
        return store_s3_get(store, key, version_id, range, sink, object);
    if (versions(store, key, take_first, &search) != STORE_OK)
        return STORE_FAILED;
    if (!search.found)
        return STORE_ABSENT;
    if (search.is_delete_marker) {
        log_error("\"%s\" had been deleted by %s (as_of)", store_describe(store, key),
                  store->config->s3.as_of_text);
        return STORE_DELETED;
    }
    enum store_result result = store_s3_get(store, key, search.version_id, range, sink, object);
    if (result != STORE_ABSENT)
        return result;
    log_error("version \"%s\" of \"%s\" was listed, and is gone", search.version_id,
              store_describe(store, key));
    return STORE_FAILED;
}

static bool tell_key(void *context, const struct store_version *version)
{
    const struct store_listing *wanted = context;

    return !version->is_latest || version->is_delete_marker ||
           wanted->each(wanted->context, version->key, version->bytes);
}

static enum store_result list(struct store *store, const struct store_listing *wanted)
{
    const struct store_version_listing listing = {wanted->prefix != NULL ? wanted->prefix : "",
                                                  wanted->start_after, tell_key, (void *)wanted};

    return list_versions(store, &listing);
}

/* The first folder behind a key. */
struct folder {
    size_t prefix_length;
    char *name; /* owned */
};

static bool take_folder(void *context, const char *key, uint64_t bytes)
{
    struct folder *folder = context;
    const char *name = key + folder->prefix_length;
    size_t length = strcspn(name, "/");

    (void)bytes;
    if (name[length] == '\0')
        return true;
    folder->name = string_printf("%.*s", (int)length, name);
    return false;
}

/* One request for each: behind all keys of the last one ("~" is behind whatever a key is made of). */
static enum store_result list_folders(struct store *store, const char *prefix,
                                      bool (*each)(void *context, const char *name), void *context)
{
    enum store_result result;
    char *after = NULL;
    bool more = true;

    do {
        struct folder folder = {strlen(prefix), NULL};
        const struct store_listing listing = {prefix, after, 0, take_folder, &folder};

        result = list(store, &listing);
        free(after);
        after = folder.name == NULL ? NULL : string_printf("%s%s/~", prefix, folder.name);
        more = after != NULL && result == STORE_OK && each(context, folder.name);
        free(folder.name);
    } while (more);
    free(after);
    return result;
}

static enum store_result
list_unfinished(struct store *store, const char *prefix,
                bool (*each)(void *context, const struct store_unfinished *unfinished), void *context)
{
    (void)store;
    (void)prefix;
    (void)each;
    (void)context;
    return STORE_OK; /* nobody knows what was unfinished then */
}

/* --- no writing
 * ---------------------------------------------------------------------------------------------------- */

static enum store_result refuse(struct store *store, const char *key)
{
    log_error("could not write to \"%s\": its repository is read as it was at %s (as_of)",
              store_describe(store, key), store->config->s3.as_of_text);
    log_hint("Take as_of out of section [repository %s].", store->config->name);
    return STORE_FAILED;
}

static enum store_result put_absent(struct store *store, const char *key, const struct body *body,
                                    enum store_condition condition, struct store_object *object)
{
    (void)body;
    (void)condition;
    *object = (struct store_object){.total_bytes = 0};
    return refuse(store, key);
}

static enum store_result replace(struct store *store, const char *key, const struct body *body)
{
    (void)body;
    return refuse(store, key);
}

static enum store_result refuse_version(struct store *store, const char *key, const char *version_id)
{
    (void)version_id;
    return refuse(store, key);
}

static enum store_result copy(struct store *store, const char *from, const char *to)
{
    (void)from;
    return refuse(store, to);
}

static enum store_result delete_many(struct store *store, struct store_deletion *deletions, size_t count)
{
    return count > 0 ? refuse(store, deletions[0].key) : STORE_OK;
}

static void *upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                          enum store_condition condition)
{
    (void)expected_bytes;
    (void)condition;
    refuse(store, key);
    return NULL;
}

static enum store_result set_hold(struct store *store, const char *key, const char *version_id, bool on)
{
    (void)on;
    return refuse_version(store, key, version_id);
}

void store_s3_read_past(struct store_driver *driver)
{
    driver->get = get;
    driver->list = list;
    driver->list_folders = list_folders;
    driver->versions = versions;
    driver->list_versions = list_versions;
    driver->list_unfinished = list_unfinished;
    driver->abort_unfinished = refuse_version;
    driver->put_absent = put_absent;
    driver->replace = replace;
    driver->put_back = refuse_version;
    driver->copy = copy;
    driver->delete = refuse_version;
    driver->delete_many = delete_many;
    driver->set_hold = set_hold;
    driver->upload_begin = upload_begin;
}
