#include "removal.h"

#include "log.h"
#include "timestamp.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MOST 1000

void removal_free(struct removal *removal)
{
    free(removal->queue);
    free(removal->bytes);
    removal->queue = NULL;
    removal->bytes = NULL;
    removal->capacity = 0;
}

/* The queue */

static int grow(struct removal *removal)
{
    size_t capacity = removal->capacity == 0 ? 256 : 2 * removal->capacity;
    struct store_deletion *queue = realloc(removal->queue, capacity * sizeof *queue);

    if (queue == NULL)
        return log_out_of_memory();
    removal->queue = queue;
    uint64_t *bytes = realloc(removal->bytes, capacity * sizeof *bytes);
    if (bytes == NULL)
        return log_out_of_memory();
    removal->bytes = bytes;
    removal->capacity = capacity;
    return 0;
}

/* version_id NULL: a plain delete. */
static int enqueue(struct removal *removal, const char *key, const char *version_id, uint64_t bytes)
{
    if (removal->count == removal->capacity && grow(removal) != 0)
        return -1;
    struct store_deletion *deletion = &removal->queue[removal->count];
    *deletion = (struct store_deletion){.key = string_copy(key)};
    if (deletion->key == NULL)
        return -1;
    if (version_id != NULL && (deletion->version_id = string_copy(version_id)) == NULL) {
        free((char *)deletion->key);
        return -1;
    }
    removal->bytes[removal->count++] = bytes;
    return 0;
}

static void empty(struct removal *removal)
{
    for (size_t i = 0; i < removal->count; i++) {
        free((char *)removal->queue[i].key);
        free((char *)removal->queue[i].version_id);
    }
    removal->count = 0;
}

/* Deleting */

/* Why the store did not let it go. 0: it is locked; -1: after logging that it is not. */
static int explain_denial(struct removal *removal, const struct store_deletion *deletion)
{
    struct store *store = removal->repository->store;
    const char *version = deletion->version_id == NULL ? "" : deletion->version_id;
    char until[TIMESTAMP_TEXT_BYTES];
    struct store_lock lock;

    if (store_get_lock(store, deletion->key, version, &lock) != STORE_OK)
        return -1;
    if (!lock.is_locked) {
        log_error("could not delete \"%s\": AccessDenied", store_describe(store, deletion->key));
        log_hint(
            "Grant s3:DeleteObject and, where the bucket keeps versions, s3:DeleteObjectVersion and "
            "s3:ListBucketVersions; with s3:GetObjectRetention and s3:GetObjectLegalHold it is known whether "
            "a lock is the reason.");
        return -1;
    }
    timestamp_format_iso(lock.until, until);
    if (removal->lock_is_told)
        log_debug("\"%s\" is locked, too", store_describe(store, deletion->key));
    else if (lock.is_legal_hold)
        log_warning("\"%s\" has a legal hold and stays", store_describe(store, deletion->key));
    else
        log_warning("\"%s\" is locked until %s and stays", store_describe(store, deletion->key), until);
    removal->lock_is_told = true;
    return 0;
}

static size_t folder_length(const char *key)
{
    return (size_t)(strrchr(key, '/') - key) + 1;
}

static bool in_one_folder(const char *a, const char *b)
{
    return a != NULL && folder_length(a) == folder_length(b) && strncmp(a, b, folder_length(a)) == 0;
}

/* Rights differ from place to place, so in each folder the first that is denied is asked for; the others
 * there are taken to be locked, too, and counted. 0, 1: something is locked, or -1. */
static int judge(struct removal *removal)
{
    const char *asked = NULL;
    int result = 0;

    for (size_t i = 0; i < removal->count; i++) {
        const struct store_deletion *deletion = &removal->queue[i];
        if (deletion->result == STORE_OK) {
            removal->removed++;
            removal->removed_bytes += removal->bytes[i];
        } else if (deletion->result != STORE_DENIED) {
            result = -1;
        } else if (!in_one_folder(asked, deletion->key) && explain_denial(removal, deletion) != 0) {
            return -1;
        } else {
            asked = deletion->key;
            removal->locked++;
            result = result < 0 ? -1 : 1;
        }
    }
    return result;
}

static void remove_folders(struct removal *removal)
{
    for (size_t i = 0; i < removal->count; i++) {
        const char *key = removal->queue[i].key;
        if (i + 1 < removal->count && in_one_folder(key, removal->queue[i + 1].key))
            continue; /* once for those of one folder */
        char *folder = string_printf("%.*s", (int)folder_length(key), key);
        if (folder != NULL)
            store_remove_folder(removal->repository->store, folder);
        free(folder);
    }
}

static int flush(struct removal *removal)
{
    int result = 0;

    if (removal->count == 0)
        return 0;
    if (store_delete_many(removal->repository->store, removal->queue, removal->count) != STORE_OK)
        result = -1;
    int judged = judge(removal);
    if (removal->removes_folders)
        remove_folders(removal);
    empty(removal);
    return result != 0 ? result : judged;
}

/* Listing */

struct page {
    struct removal *removal;
    const struct removal_wish *wish;
    char *last; /* key that was looked at last; owned */
    bool is_full, failed;
    enum removal_choice choice; /* of that key */
};

/* All versions of a key belong to one page. */
static bool take(struct page *page, const char *key, const char *version_id, uint64_t bytes)
{
    const struct removal_wish *wish = page->wish;

    if (page->last == NULL || strcmp(page->last, key) != 0) {
        if (page->removal->count >= QUEUE_MOST) {
            page->is_full = true;
            return false;
        }
        page->choice = wish->choose == NULL ? REMOVAL_TAKE : wish->choose(wish->context, key);
        if (page->choice == REMOVAL_END)
            return false;
        free(page->last);
        page->last = string_copy(key);
        page->failed = page->last == NULL;
    }
    if (!page->failed && page->choice == REMOVAL_TAKE)
        page->failed = enqueue(page->removal, key, version_id, bytes) != 0;
    return !page->failed;
}

static bool take_key(void *context, const char *key, uint64_t bytes)
{
    return take(context, key, NULL, bytes);
}

static bool take_version(void *context, const struct store_version *version)
{
    return take(context, version->key, version->version_id, version->bytes);
}

static enum store_result list_page(struct removal *removal, struct page *page, const char *start_after)
{
    struct store *store = removal->repository->store;
    const struct store_listing keys = {
        .prefix = page->wish->prefix, .start_after = start_after, .each = take_key, .context = page};
    const struct store_version_listing versions = {
        .prefix = page->wish->prefix, .start_after = start_after, .each = take_version, .context = page};

    return removal->with_versions ? store_list_versions(store, &versions) : store_list(store, &keys);
}

int removal_run(struct removal *removal, const struct removal_wish *wish)
{
    char *after = wish->start_after == NULL ? NULL : string_copy(wish->start_after);
    struct page page = {.removal = removal, .wish = wish, .is_full = true};
    int result = wish->start_after != NULL && after == NULL ? -1 : 0;

    while (result >= 0 && page.is_full) {
        page.is_full = false;
        page.last = NULL;
        if (list_page(removal, &page, after) != STORE_OK || page.failed) {
            empty(removal);
            result = -1;
        } else {
            int flushed = flush(removal);
            result = flushed != 0 ? flushed : result;
        }
        free(after);
        after = page.last;
    }
    free(after);
    return result;
}
