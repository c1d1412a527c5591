/* The driver of store.h for S3: one object in one request. Reading, listing and uploading in parts are in the
 * other store_s3_*.c files. */
#include "store_s3.h"

#include "digest.h"
#include "file.h"
#include "log.h"
#include "xml.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *store_s3_key(const struct store *store, const char *key)
{
    const char *prefix = store->config->path;

    return string_printf("%s%s%s", prefix, *prefix != '\0' ? "/" : "", key);
}

enum store_result store_s3_failed(const struct store *store, const struct s3_request *request,
                                  enum s3_result result, const struct s3_answer *answer)
{
    if (result == S3_STOPPED)
        return STORE_STOPPED;
    if (result != S3_FAILED)
        s3_report(store_s3_client(store), request, answer, NULL);
    return STORE_FAILED;
}

enum s3_result store_s3_send(const struct store *store, struct s3_request *request, struct s3_answer *answer,
                             bool with_md5)
{
    static atomic_bool was_told;
    struct s3_options *options = store_s3_options(store);
    enum s3_result result = s3_perform(store_s3_client(store), request, answer);

    if (result != S3_REFUSED || answer->response.cut || !s3_error_wants_checksum(&answer->error) ||
        (options->sends_checksum && !with_md5))
        return result;
    if (!atomic_exchange(&was_told, true)) {
        log_warning("bucket \"%s\" takes nothing without a checksum header", store->config->bucket);
        log_hint("Set checksum = sha256 in section [repository %s]: it saves a request each time.",
                 store->config->name);
    }
    options->sends_checksum = true;
    if (!with_md5)
        s3_options_add_checksum(options, request);
    else if (s3_options_add_md5(options, request) != 0)
        return result;
    return s3_perform(store_s3_client(store), request, answer);
}

void store_s3_describe_object(const struct s3_answer *answer, uint64_t total_bytes,
                              struct store_object *object)
{
    const char *version = http_header(&answer->response, "x-amz-version-id");
    const char *modified = http_header(&answer->response, "last-modified");

    *object = (struct store_object){.total_bytes = total_bytes};
    if (modified != NULL && !http_parse_date(modified, &object->modified))
        object->modified = 0;
    /* "null": written while the bucket kept no versions */
    if (version != NULL && strcmp(version, "null") != 0 && strlen(version) < sizeof object->version_id) {
        object->versioned = true;
        memcpy(object->version_id, version, strlen(version) + 1);
    }
}

/* Stores that don't know the condition on a PUT say so in these ways (docs/stores.md). */
static bool refuses_condition(const struct s3_answer *answer)
{
    const char *code = answer->error.code;

    return !answer->response.cut && !s3_error_wants_checksum(&answer->error) &&
           !s3_error_is_of_customer_key(&answer->error) && !s3_error_is_of_settings(&answer->error) &&
           (answer->response.status == 501 ||
            (answer->response.status == 400 &&
             (strcmp(code, "NotImplemented") == 0 || strcmp(code, "InvalidRequest") == 0 ||
              strcmp(code, "InvalidArgument") == 0)));
}

/* An answer that another service may give as well is not believed: whatever S3 stored has an ETag. */
static enum store_result judge_put(struct store *store, const struct s3_request *request,
                                   enum s3_result result, const struct s3_answer *answer, bool conditional,
                                   enum store_condition condition, struct store_object *object)
{
    object->condition_refused = false;
    if (result == S3_SUCCEEDED && answer->response.status == 200 &&
        http_header(&answer->response, "etag") != NULL)
        return STORE_OK;
    if (conditional && result == S3_REFUSED &&
        (s3_answer_is(answer, 412, "PreconditionFailed") || s3_answer_is(answer, 412, "")))
        return STORE_EXISTS;
    if (conditional && result == S3_REFUSED && refuses_condition(answer)) {
        object->condition_refused = true;
        if (condition == STORE_CONDITION_UNKNOWN) /* the probe's question: an answer, not an error */
            log_warning("\"%s\": the store refuses the header If-None-Match: %s", request->object,
                        answer->response.cause);
        else
            s3_report(store_s3_client(store), request, answer,
                      "The store seems to refuse the header If-None-Match now: run repository-init --probe.");
        return STORE_FAILED;
    }
    return store_s3_failed(store, request, result, answer);
}

enum store_result store_s3_put(struct store *store, const char *key, const struct body *body, bool absent,
                               enum store_condition condition, struct store_object *object)
{
    char *whole_key = store_s3_key(store, key);
    struct s3_request request = {
        .verb = "put", .object = store_describe(store, key), .method = "PUT", .key = whole_key, .body = body};
    struct s3_answer answer = {0};
    bool conditional = absent && condition != STORE_CONDITION_REFUSED;
    enum store_result result;

    if (whole_key == NULL)
        return STORE_FAILED;
    if (conditional)
        s3_request_header(&request, "if-none-match", "*");
    s3_options_add(store_s3_options(store), &request, S3_USE_PUT, key);
    enum s3_result answered = store_s3_send(store, &request, &answer, false);
    result = judge_put(store, &request, answered, &answer, conditional, condition, object);
    if (result == STORE_OK)
        store_s3_describe_object(&answer, body->length, object);
    s3_answer_free(&answer);
    free(whole_key);
    return result;
}

static enum store_result put_absent(struct store *store, const char *key, const struct body *body,
                                    enum store_condition condition, struct store_object *object)
{
    return store_s3_put(store, key, body, true, condition, object);
}

static enum store_result replace(struct store *store, const char *key, const struct body *body)
{
    struct store_object object;

    return store_s3_put(store, key, body, false, STORE_CONDITION_UNKNOWN, &object);
}

static bool take_copy(void *context, const char *path, const char *text)
{
    (void)text;
    if (strcmp(path, "CopyObjectResult") == 0)
        *(bool *)context = true;
    return true;
}

static bool says_copied(const struct s3_answer *answer)
{
    const char *problem;
    bool copied = false;

    return xml_parse(answer->response.body.data, answer->response.body.length, take_copy, &copied,
                     &problem) == 0 &&
           copied;
}

/* "/bucket/key", encoded. */
static int append_source(struct store *store, const char *key, struct buffer *source)
{
    char *whole_key = store_s3_key(store, key);
    int result = -1;

    if (whole_key != NULL && buffer_printf(source, "/%s/", store->config->bucket) == 0)
        result = s3_encode(source, whole_key, true);
    free(whole_key);
    return result;
}

/* The store copies: the content does not come this way. ABSENT: there is no such source; not logged. unable:
 * NULL, or FAILED is not logged where the store cannot copy it, but told there. */
static enum store_result copy_from(struct store *store, const char *verb, const struct buffer *source,
                                   const char *key, bool *unable)
{
    char *whole_key = store_s3_key(store, key);
    struct body nothing = {.data = "", .fd = -1};
    struct s3_request request = {.verb = verb,
                                 .object = store_describe(store, key),
                                 .method = "PUT",
                                 .key = whole_key,
                                 .body = &nothing};
    struct s3_answer answer = {0};
    enum store_result result = STORE_FAILED;

    if (whole_key == NULL || sha256_of("", 0, nothing.sha256) != 0)
        goto done;
    s3_request_header(&request, "x-amz-copy-source", buffer_string(source));
    s3_options_add(store_s3_options(store), &request, S3_USE_COPY, key);
    enum s3_result answered = s3_perform(store_s3_client(store), &request, &answer);
    if (answered == S3_SUCCEEDED && says_copied(&answer))
        result = STORE_OK;
    else if (answered == S3_REFUSED && s3_answer_is(&answer, 404, "NoSuchKey"))
        result = STORE_ABSENT;
    else if (unable != NULL && answered == S3_REFUSED && s3_answer_is(&answer, 501, "NotImplemented"))
        *unable = true;
    else
        result = store_s3_failed(store, &request, answered, &answer);
done:
    s3_answer_free(&answer);
    free(whole_key);
    return result;
}

struct fetched {
    int fd;
    uint64_t length;
    struct sha256 hash;
};

static int take_fetched(void *context, const void *data, size_t length)
{
    struct fetched *fetched = context;

    sha256_update(&fetched->hash, data, length);
    fetched->length += length;
    return file_write_fully(fetched->fd, data, length);
}

/* What the store cannot copy is got and put again: Ceph copies no encrypted objects. */
static enum store_result send_back(struct store *store, const char *key, const char *version_id)
{
    static const struct store_range whole = {0, 0, 0};
    struct fetched fetched = {.fd = file_open_unnamed(NULL)};
    const struct sink sink = {take_fetched, &fetched};
    struct store_object object;
    enum store_result result = STORE_FAILED;

    if (fetched.fd >= 0 && sha256_begin(&fetched.hash) == 0)
        result = store_s3_get(store, key, version_id, &whole, &sink, &object);
    if (result == STORE_OK) {
        struct body body = {.fd = fetched.fd, .length = fetched.length};
        sha256_finish(&fetched.hash, body.sha256);
        result = store_s3_put(store, key, &body, false, STORE_CONDITION_UNKNOWN, &object);
    }
    sha256_free(&fetched.hash);
    if (fetched.fd >= 0)
        close(fetched.fd);
    return result;
}

static enum store_result put_back(struct store *store, const char *key, const char *version_id)
{
    struct buffer source = BUFFER_EMPTY;
    enum store_result result = STORE_FAILED;
    bool unable = false;

    if (append_source(store, key, &source) == 0 && buffer_append_string(&source, "?versionId=") == 0 &&
        s3_encode(&source, *version_id != '\0' ? version_id : "null", false) == 0)
        result = copy_from(store, "put back an earlier version of", &source, key, &unable);
    if (unable)
        result = send_back(store, key, version_id);
    if (result == STORE_ABSENT) {
        log_error("version \"%s\" of \"%s\" is gone", version_id, store_describe(store, key));
        result = STORE_FAILED;
    }
    buffer_free(&source);
    return result;
}

static enum store_result copy(struct store *store, const char *from, const char *to)
{
    struct buffer source = BUFFER_EMPTY;
    enum store_result result = STORE_FAILED;

    if (append_source(store, from, &source) == 0)
        result = copy_from(store, "copy an object to", &source, to, NULL);
    buffer_free(&source);
    return result;
}

enum store_result store_s3_delete(struct store *store, const char *key, const char *version_id)
{
    char *whole_key = store_s3_key(store, key);
    struct s3_request request = {
        .verb = "delete", .object = store_describe(store, key), .method = "DELETE", .key = whole_key};
    struct s3_answer answer = {0};
    enum store_result result;

    if (whole_key == NULL)
        return STORE_FAILED;
    /* "" is what versions tells of an object from a time without versions: S3's name for it is null */
    if (version_id != NULL)
        s3_request_query(&request, "versionId", *version_id != '\0' ? version_id : "null");
    enum s3_result answered = s3_perform(store_s3_client(store), &request, &answer);
    if (answered == S3_SUCCEEDED || (answered == S3_REFUSED && (s3_answer_is(&answer, 404, "NoSuchKey") ||
                                                                s3_answer_is(&answer, 404, "NoSuchVersion"))))
        result = STORE_OK;
    else
        result = store_s3_failed(store, &request, answered, &answer);
    s3_answer_free(&answer);
    free(whole_key);
    return result;
}

static void close_store(struct store *store)
{
    struct s3_store *own = store->own;

    s3_client_close(own->client);
    s3_options_wipe(&own->options);
    free(own);
    store->own = NULL;
}

static void set_limits(struct store *store, const struct store_limits *limits)
{
    s3_client_set_limits(store_s3_client(store), limits->operation_seconds, limits->deadline);
}

static unsigned slow_downs(const struct store *store)
{
    return s3_client_slow_downs(store_s3_client(store));
}

static int64_t now(const struct store *store)
{
    return s3_client_now(store_s3_client(store));
}

static const struct store_driver driver = {
    .close = close_store,
    .set_limits = set_limits,
    .slow_downs = slow_downs,
    .now = now,
    .put_absent = put_absent,
    .replace = replace,
    .get = store_s3_get,
    .list = store_s3_list,
    .list_folders = store_s3_list_folders,
    .versions = store_s3_versions,
    .list_versions = store_s3_list_versions,
    .list_unfinished = store_s3_list_unfinished,
    .abort_unfinished = store_s3_abort_unfinished,
    .put_back = put_back,
    .copy = copy,
    .delete = store_s3_delete,
    .delete_many = store_s3_delete_many,
    .get_lock = store_s3_get_lock,
    .set_hold = store_s3_set_hold,
    .upload_begin = store_s3_upload_begin,
    .upload_write = store_s3_upload_write,
    .upload_finish = store_s3_upload_finish,
    .upload_abort = store_s3_upload_abort,
};

int store_s3_open(struct store *store)
{
    struct s3_store *own = calloc(1, sizeof *own);

    if (own == NULL)
        return log_out_of_memory();
    if (s3_options_open(&own->options, store->config) != 0 ||
        (own->client = s3_client_open(store->config)) == NULL) {
        s3_options_wipe(&own->options);
        free(own);
        return -1;
    }
    store->own = own;
    if (store->config->s3.as_of != 0) {
        own->past = driver;
        store_s3_read_past(&own->past);
    }
    store->driver = store->config->s3.as_of != 0 ? &own->past : &driver;
    set_limits(store, &store->limits);
    return 0;
}
