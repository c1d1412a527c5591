/* Listing in S3: ListObjectsV2, ListObjectVersions and ListMultipartUploads, page by page. A page is told
 * only when it is known to be whole. */
#include "store_s3.h"

#include "log.h"
#include "timestamp.h"
#include "xml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *name;       /* key or common prefix */
    char *version_id; /* or the id of an upload */
    uint64_t bytes;
    int64_t time; /* when an upload was begun, or a version stored; 0: not told */
    bool is_folder, is_delete_marker, is_latest;
};

struct page {
    const char *root; /* the element that a good answer has */
    bool whole;       /* it came to its end */
    struct entry *entries;
    size_t count, capacity;
    struct entry open; /* being read */
    bool is_truncated, told_truncated;
    char *next_token;              /* of the keys; or of the versions: */
    char *next_key, *next_version; /* or of the uploads */
    bool out_of_memory, malformed;
};

static void entry_free(struct entry *entry)
{
    free(entry->name);
    free(entry->version_id);
    *entry = (struct entry){.name = NULL};
}

static void page_free(struct page *page)
{
    for (size_t i = 0; i < page->count; i++)
        entry_free(&page->entries[i]);
    entry_free(&page->open);
    free(page->entries);
    free(page->next_token);
    free(page->next_key);
    free(page->next_version);
    *page = (struct page){.root = page->root};
}

static void keep(struct page *page, char **where, const char *text)
{
    free(*where);
    *where = string_copy(text);
    if (*where == NULL)
        page->out_of_memory = true;
}

static void close_entry(struct page *page)
{
    if (page->open.name == NULL) {
        page->malformed = true;
        entry_free(&page->open);
        return;
    }
    if (page->count == page->capacity) {
        size_t capacity = page->capacity == 0 ? 64 : 2 * page->capacity;
        struct entry *entries = realloc(page->entries, capacity * sizeof *entries);

        if (entries == NULL) {
            log_out_of_memory();
            page->out_of_memory = true;
            return;
        }
        page->entries = entries;
        page->capacity = capacity;
    }
    page->entries[page->count++] = page->open;
    page->open = (struct entry){.name = NULL};
}

/* name is the element's name within one entry. */
static void take_member(struct page *page, const char *name, const char *text)
{
    char *end;

    if (strcmp(name, "Key") == 0 || strcmp(name, "Prefix") == 0) {
        keep(page, &page->open.name, text);
    } else if (strcmp(name, "VersionId") == 0 || strcmp(name, "UploadId") == 0) {
        keep(page, &page->open.version_id, text);
    } else if (strcmp(name, "Initiated") == 0) {
        if (timestamp_parse(text, &page->open.time) != TIMESTAMP_OK)
            page->malformed = true;
    } else if (strcmp(name, "LastModified") == 0) {
        if (timestamp_parse(text, &page->open.time) != TIMESTAMP_OK)
            page->open.time = 0;
    } else if (strcmp(name, "IsLatest") == 0) {
        page->open.is_latest = strcmp(text, "true") == 0;
    } else if (strcmp(name, "Size") == 0) {
        errno = 0;
        page->open.bytes = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
            page->malformed = true;
    }
}

static void take_top(struct page *page, const char *name, const char *text)
{
    if (strcmp(name, "IsTruncated") == 0) {
        page->told_truncated = true;
        page->is_truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "NextContinuationToken") == 0) {
        keep(page, &page->next_token, text);
    } else if (strcmp(name, "NextKeyMarker") == 0) {
        keep(page, &page->next_key, text);
    } else if (strcmp(name, "NextVersionIdMarker") == 0 || strcmp(name, "NextUploadIdMarker") == 0) {
        keep(page, &page->next_version, text);
    }
}

static bool take_element(void *context, const char *path, const char *text)
{
    static const char *const kinds[] = {"Contents", "CommonPrefixes", "Version", "DeleteMarker", "Upload"};
    struct page *page = context;
    size_t root_length = strlen(page->root);

    if (strncmp(path, page->root, root_length) != 0 ||
        (path[root_length] != '/' && path[root_length] != '\0')) {
        page->malformed = true;
        return false;
    }
    if (path[root_length] == '\0') {
        page->whole = true;
        return !page->out_of_memory;
    }
    path += root_length + 1;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t length = strlen(kinds[i]);

        if (strncmp(path, kinds[i], length) != 0 || (path[length] != '/' && path[length] != '\0'))
            continue;
        if (path[length] == '/') {
            take_member(page, path + length + 1, text);
        } else {
            page->open.is_folder = i == 1;
            page->open.is_delete_marker = i == 3;
            close_entry(page);
        }
        return !page->out_of_memory;
    }
    take_top(page, path, text);
    return !page->out_of_memory;
}

/* Asks for one page and reads it. STORE_OK or STORE_FAILED. */
static enum store_result fetch_page(struct store *store, struct s3_request *request, struct page *page)
{
    struct s3_answer answer = {0};
    const char *problem = "it is not whole";
    enum store_result result = STORE_OK;
    enum s3_result answered = s3_perform(store_s3_client(store), request, &answer);

    if (answered != S3_SUCCEEDED) {
        result = store_s3_failed(store, request, answered, &answer);
    } else if (xml_parse(answer.response.body.data, answer.response.body.length, take_element, page,
                         &problem) != 0 ||
               !page->whole || page->malformed || page->out_of_memory || !page->told_truncated) {
        log_error("could not list \"%s\": the answer cannot be understood: %s", request->object,
                  page->malformed ? "an element is missing or wrong" : problem);
        result = STORE_FAILED;
    }
    s3_answer_free(&answer);
    return result;
}

/* Is there more, and elsewhere than where was asked last? Else it would never end. */
static bool goes_on(const char *description, const char *asked, const char *next)
{
    if (next == NULL)
        log_error("could not list \"%s\": the store says that there is more, but not where", description);
    else if (asked != NULL && strcmp(asked, next) == 0)
        log_error("could not list \"%s\": the store says again and again that there is more behind \"%s\"",
                  description, next);
    else
        return true;
    return false;
}

/* --- keys and folders
 * ---------------------------------------------------------------------------------------------- */

struct listing {
    struct store *store;
    const char *description; /* copied: the callback may ask the store for another one */
    size_t hidden;           /* bytes of the repository's prefix in every key */
    char *prefix;            /* whole */
    char *last;              /* the last one told, before that where to start: they must come in order */
    bool folders;
    bool (*each_key)(void *context, const char *key, uint64_t bytes);
    bool (*each_folder)(void *context, const char *name);
    void *context;
};

/* Readers rely on the order: a store that has none (S3's directory buckets) must not look like one that has
 * no more keys. */
static bool comes_in_order(struct listing *listing, const char *name)
{
    if (strncmp(name, listing->prefix, strlen(listing->prefix)) != 0 ||
        (listing->last != NULL && strcmp(listing->last, name) >= 0)) {
        log_error("could not list \"%s\": the store told \"%s\" out of order", listing->description, name);
        return false;
    }
    free(listing->last);
    listing->last = string_copy(name);
    return listing->last != NULL;
}

/* STORE_STOPPED: the caller has seen enough. */
static enum store_result tell_page(struct listing *listing, struct page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        struct entry *entry = &page->entries[i];
        bool more;

        if (entry->is_folder != listing->folders)
            continue;
        if (!comes_in_order(listing, entry->name))
            return STORE_FAILED;
        if (listing->folders) {
            char *name = entry->name + strlen(listing->prefix);

            name[strcspn(name, "/")] = '\0';
            more = listing->each_folder(listing->context, name);
        } else {
            more = listing->each_key(listing->context, entry->name + listing->hidden, entry->bytes);
        }
        if (!more)
            return STORE_STOPPED;
    }
    return STORE_OK;
}

static enum store_result list_pages(struct listing *listing, unsigned page_keys)
{
    struct page page = {.root = "ListBucketResult"};
    enum store_result result;
    char *token = NULL;
    char most[16];

    snprintf(most, sizeof most, "%u", page_keys);
    do {
        struct s3_request request = {.verb = "list", .object = listing->description, .method = "GET"};

        s3_request_query(&request, "list-type", "2");
        s3_request_query(&request, "prefix", listing->prefix);
        if (listing->folders)
            s3_request_query(&request, "delimiter", "/");
        if (page_keys != 0)
            s3_request_query(&request, "max-keys", most);
        if (token != NULL)
            s3_request_query(&request, "continuation-token", token);
        else if (listing->last != NULL)
            s3_request_query(&request, "start-after", listing->last);
        page_free(&page);
        result = fetch_page(listing->store, &request, &page);
        if (result == STORE_OK)
            result = tell_page(listing, &page);
        if (result == STORE_OK && page.is_truncated && !goes_on(listing->description, token, page.next_token))
            result = STORE_FAILED;
        free(token);
        token = page.next_token;
        page.next_token = NULL;
    } while (result == STORE_OK && page.is_truncated);
    free(token);
    page_free(&page);
    return result == STORE_STOPPED ? STORE_OK : result;
}

static enum store_result run_listing(struct listing *listing, const char *prefix, const char *start_after,
                                     unsigned page_keys)
{
    struct store *store = listing->store;
    const char *own_prefix = store->config->path;
    char *description = string_copy(store_describe(store, prefix));
    char *after = start_after != NULL ? store_s3_key(store, start_after) : NULL;
    enum store_result result = STORE_FAILED;

    listing->prefix = store_s3_key(store, prefix);
    listing->description = description;
    listing->last = after; /* nothing up to there may come */
    listing->hidden = *own_prefix != '\0' ? strlen(own_prefix) + 1 : 0;
    if (listing->prefix != NULL && description != NULL && (start_after == NULL || after != NULL))
        result = list_pages(listing, page_keys);
    free(description);
    free(listing->prefix);
    free(listing->last);
    return result;
}

enum store_result store_s3_list(struct store *store, const struct store_listing *wanted)
{
    struct listing listing = {.store = store, .each_key = wanted->each, .context = wanted->context};

    return run_listing(&listing, wanted->prefix != NULL ? wanted->prefix : "", wanted->start_after,
                       wanted->page_keys);
}

enum store_result store_s3_list_folders(struct store *store, const char *prefix,
                                        bool (*each)(void *context, const char *name), void *context)
{
    struct listing listing = {.store = store, .folders = true, .each_folder = each, .context = context};

    return run_listing(&listing, prefix, NULL, 0);
}

/* --- versions
 * ------------------------------------------------------------------------------------------------------ */

struct version_listing {
    const char *verb;        /* for messages */
    const char *description; /* copied */
    const char *prefix;      /* whole */
    const char *after;       /* whole; NULL: from the beginning */
    size_t hidden;           /* bytes of the repository's prefix in every key */
    /* Tells one entry, whose name is without what is hidden. False: no more are wanted. */
    bool (*tell)(void *context, const struct entry *entry, const char *key);
    void *context;
};

static enum store_result tell_versions(const struct version_listing *listing, const struct page *page)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct entry *entry = &page->entries[i];
        if (!entry->is_folder && strncmp(entry->name, listing->prefix, strlen(listing->prefix)) == 0 &&
            !listing->tell(listing->context, entry, entry->name + listing->hidden))
            return STORE_STOPPED;
    }
    return STORE_OK;
}

/* What a page of such a listing is asked for by, and how the answer is called. */
struct version_query {
    const char *what, *root, *key_marker, *second_marker;
};

static enum store_result list_version_pages(struct store *store, const struct version_query *query,
                                            const struct version_listing *listing)
{
    struct page page = {.root = query->root};
    enum store_result result;
    char *next_key = listing->after == NULL ? NULL : string_copy(listing->after), *next_version = NULL;

    if (listing->after != NULL && next_key == NULL)
        return STORE_FAILED;
    do {
        struct s3_request request = {.verb = listing->verb, .object = listing->description, .method = "GET"};

        s3_request_query(&request, query->what, "");
        s3_request_query(&request, "prefix", listing->prefix);
        if (next_key != NULL)
            s3_request_query(&request, query->key_marker, next_key);
        if (next_version != NULL)
            s3_request_query(&request, query->second_marker, next_version);
        page_free(&page);
        result = fetch_page(store, &request, &page);
        if (result == STORE_OK)
            result = tell_versions(listing, &page);
        bool is_same_version =
            next_version == NULL ? page.next_version == NULL
                                 : page.next_version != NULL && strcmp(next_version, page.next_version) == 0;
        if (result == STORE_OK && page.is_truncated &&
            !goes_on(listing->description, is_same_version ? next_key : NULL, page.next_key))
            result = STORE_FAILED;
        free(next_key);
        free(next_version);
        next_key = page.next_key;
        next_version = page.next_version;
        page.next_key = page.next_version = NULL;
    } while (result == STORE_OK && page.is_truncated);
    free(next_key);
    free(next_version);
    page_free(&page);
    return result == STORE_STOPPED ? STORE_OK : result;
}

/* after: a key; NULL: from the beginning. */
static enum store_result run_version_listing(struct store *store, const struct version_query *query,
                                             const char *prefix, const char *after,
                                             struct version_listing *listing)
{
    const char *own_prefix = store->config->path;
    char *whole_prefix = store_s3_key(store, prefix);
    char *whole_after = after == NULL ? NULL : store_s3_key(store, after);
    char *description = string_copy(store_describe(store, prefix));
    enum store_result result = STORE_FAILED;

    listing->prefix = whole_prefix;
    listing->after = whole_after;
    listing->description = description;
    listing->hidden = *own_prefix != '\0' ? strlen(own_prefix) + 1 : 0;
    if (whole_prefix != NULL && description != NULL && (after == NULL || whole_after != NULL))
        result = list_version_pages(store, query, listing);
    free(whole_prefix);
    free(whole_after);
    free(description);
    return result;
}

static const struct version_query version_query = {"versions", "ListVersionsResult", "key-marker",
                                                   "version-id-marker"};

static struct store_version version_of(const struct entry *entry, const char *key)
{
    struct store_version version = {key,        "", entry->bytes, entry->is_delete_marker, entry->is_latest,
                                    entry->time};

    if (entry->version_id != NULL && strcmp(entry->version_id, "null") != 0)
        version.version_id = entry->version_id;
    return version;
}

/* Of one key: the listing is of all that begin with it. */
struct key_versions {
    const char *key;
    bool (*each)(void *context, const struct store_version *version);
    void *context;
};

static bool tell_version_of_key(void *context, const struct entry *entry, const char *key)
{
    const struct key_versions *wanted = context;
    struct store_version version = version_of(entry, key);

    return strcmp(key, wanted->key) == 0 && wanted->each(wanted->context, &version);
}

enum store_result store_s3_versions(struct store *store, const char *key,
                                    bool (*each)(void *context, const struct store_version *version),
                                    void *context)
{
    struct key_versions wanted = {key, each, context};
    struct version_listing listing = {
        .verb = "list the versions of", .tell = tell_version_of_key, .context = &wanted};

    return run_version_listing(store, &version_query, key, NULL, &listing);
}

static bool tell_version(void *context, const struct entry *entry, const char *key)
{
    const struct store_version_listing *wanted = context;
    struct store_version version = version_of(entry, key);

    return wanted->each(wanted->context, &version);
}

enum store_result store_s3_list_versions(struct store *store, const struct store_version_listing *wanted)
{
    struct version_listing listing = {
        .verb = "list the versions below", .tell = tell_version, .context = (void *)wanted};

    return run_version_listing(store, &version_query, wanted->prefix, wanted->start_after, &listing);
}

/* --- uploads
 * ------------------------------------------------------------------------------------------------------- */

static const struct version_query upload_query = {"uploads", "ListMultipartUploadsResult", "key-marker",
                                                  "upload-id-marker"};

struct all_uploads {
    bool (*each)(void *context, const struct store_unfinished *unfinished);
    void *context;
};

static bool tell_upload(void *context, const struct entry *entry, const char *key)
{
    const struct all_uploads *wanted = context;
    struct store_unfinished unfinished = {key, entry->version_id == NULL ? "" : entry->version_id, 0,
                                          entry->time};

    return wanted->each(wanted->context, &unfinished);
}

enum store_result store_s3_list_unfinished(struct store *store, const char *prefix,
                                           bool (*each)(void *context,
                                                        const struct store_unfinished *unfinished),
                                           void *context)
{
    struct all_uploads wanted = {each, context};
    struct version_listing listing = {
        .verb = "list the uploads below", .tell = tell_upload, .context = &wanted};

    return run_version_listing(store, &upload_query, prefix, NULL, &listing);
}
