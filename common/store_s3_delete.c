/* Deleting in S3: many keys in one request (DeleteObjects), and what keeps an object from being deleted (its
 * retention and legal hold). */
#include "store_s3.h"

#include "base64.h"
#include "digest.h"
#include "log.h"
#include "timestamp.h"
#include "xml.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS_MOST 1000 /* of one request */
#define ROUNDS_MOST 6  /* in which keys are tried again that were refused for the moment */
#define PAUSE_FIRST_MICROSECONDS 200000

/* --- the request
 * -------------------------------------------------------------------------------------------------- */

static int append_deletion(struct store *store, const struct store_deletion *deletion, struct buffer *out)
{
    char *whole_key = store_s3_key(store, deletion->key);
    const char *version = deletion->version_id;
    int result = -1;

    if (whole_key != NULL && buffer_append_string(out, "<Object><Key>") == 0 &&
        xml_append_text(out, whole_key) == 0 && buffer_append_string(out, "</Key>") == 0)
        result = 0;
    if (result == 0 && version != NULL &&
        (buffer_append_string(out, "<VersionId>") != 0 ||
         xml_append_text(out, *version != '\0' ? version : "null") != 0 ||
         buffer_append_string(out, "</VersionId>") != 0))
        result = -1;
    free(whole_key);
    return result == 0 ? buffer_append_string(out, "</Object>") : -1;
}

/* Those that are not done yet. */
static int build_body(struct store *store, const struct store_deletion *deletions, size_t count,
                      struct buffer *out)
{
    if (buffer_append_string(out, "<Delete><Quiet>true</Quiet>") != 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (deletions[i].result == STORE_FAILED && append_deletion(store, &deletions[i], out) != 0)
            return -1;
    return buffer_append_string(out, "</Delete>");
}

/* --- the answer: only what went wrong is in it
 * -------------------------------------------------------------------- */

struct reading {
    struct store *store;
    struct store_deletion *deletions;
    size_t count;
    bool *is_again; /* of each: to be tried again; all else that is not done yet, and not named, is done */
    bool *is_named;
    size_t hidden; /* bytes of the repository's prefix in every key */
    bool is_whole, is_malformed, out_of_memory;
    struct buffer key, version, code, message; /* of the error that is being read */
};

static void take_text(struct reading *reading, struct buffer *out, const char *text)
{
    buffer_clear(out);
    if (buffer_append_string(out, text) != 0)
        reading->out_of_memory = true;
}

static bool is_meant(struct reading *reading, const struct store_deletion *deletion)
{
    const char *version = deletion->version_id == NULL ? "" : deletion->version_id;
    const char *told = buffer_string(&reading->version);

    if (strcmp(told, "null") == 0)
        told = "";
    return reading->key.length > reading->hidden &&
           strcmp(buffer_string(&reading->key) + reading->hidden, deletion->key) == 0 &&
           (*told == '\0' || strcmp(told, version) == 0);
}

static void judge(struct reading *reading, size_t index)
{
    struct store_deletion *deletion = &reading->deletions[index];
    const char *code = buffer_string(&reading->code);

    reading->is_named[index] = true;
    if (strcmp(code, "NoSuchKey") == 0 || strcmp(code, "NoSuchVersion") == 0)
        deletion->result = STORE_OK;
    else if (strcmp(code, "AccessDenied") == 0 || strcmp(code, "InvalidRetentionPeriod") == 0 ||
             strcmp(code, "ObjectLocked") == 0)
        deletion->result = STORE_DENIED;
    else if (s3_error_is_passing(code))
        reading->is_again[index] = true;
    else
        log_error("could not delete \"%s\": %s: %s", store_describe(reading->store, deletion->key), code,
                  buffer_string(&reading->message));
}

static void close_error(struct reading *reading)
{
    size_t i = 0;

    while (i < reading->count && (reading->deletions[i].result != STORE_FAILED || reading->is_named[i] ||
                                  !is_meant(reading, &reading->deletions[i])))
        i++;
    if (i < reading->count)
        judge(reading, i);
    else
        reading->is_malformed = true; /* whose error it is must be known: what is not named counts as done */
    buffer_clear(&reading->version);
}

static bool take_element(void *context, const char *path, const char *text)
{
    struct reading *reading = context;

    if (strcmp(path, "DeleteResult/Error/Key") == 0)
        take_text(reading, &reading->key, text);
    else if (strcmp(path, "DeleteResult/Error/VersionId") == 0)
        take_text(reading, &reading->version, text);
    else if (strcmp(path, "DeleteResult/Error/Code") == 0)
        take_text(reading, &reading->code, text);
    else if (strcmp(path, "DeleteResult/Error/Message") == 0)
        take_text(reading, &reading->message, text);
    else if (strcmp(path, "DeleteResult/Error") == 0)
        close_error(reading);
    else if (strcmp(path, "DeleteResult") == 0)
        reading->is_whole = true;
    return !reading->out_of_memory;
}

/* Sets the results of those of which the answer tells. How many are to be tried again, or -1 after logging.
 */
static int read_answer(struct store *store, const struct s3_answer *answer, struct store_deletion *deletions,
                       size_t count)
{
    const char *prefix = store->config->path;
    struct reading reading = {.store = store,
                              .deletions = deletions,
                              .count = count,
                              .hidden = *prefix != '\0' ? strlen(prefix) + 1 : 0};
    const char *problem = "it is no DeleteResult";
    int again = -1;

    reading.is_again = calloc(count, sizeof *reading.is_again);
    reading.is_named = calloc(count, sizeof *reading.is_named);
    if (reading.is_again == NULL || reading.is_named == NULL) {
        log_out_of_memory();
    } else if (xml_parse(answer->response.body.data, answer->response.body.length, take_element, &reading,
                         &problem) != 0 ||
               !reading.is_whole || reading.is_malformed) {
        log_error("could not delete objects of \"%s\": the answer cannot be understood: %s",
                  store_describe(store, ""),
                  reading.is_malformed ? "it tells of a key that it was not asked for" : problem);
    } else {
        again = 0;
        for (size_t i = 0; i < count; i++) {
            again += reading.is_again[i];
            if (deletions[i].result == STORE_FAILED && !reading.is_named[i])
                deletions[i].result = STORE_OK;
        }
    }
    free(reading.is_again);
    free(reading.is_named);
    buffer_free(&reading.key);
    buffer_free(&reading.version);
    buffer_free(&reading.code);
    buffer_free(&reading.message);
    return again;
}

/* --- many
 * ----------------------------------------------------------------------------------------------------------
 */

/* Stores that have no such request say so in these ways. */
static bool refuses_many(const struct s3_answer *answer)
{
    const char *code = answer->error.code;
    unsigned status = answer->response.status;

    return !answer->response.cut &&
           (status == 501 || status == 405 || strcmp(code, "NotImplemented") == 0 ||
            strcmp(code, "MethodNotAllowed") == 0 || strcmp(code, "InvalidRequest") == 0 ||
            strcmp(code, "InvalidArgument") == 0 || strcmp(code, "MalformedXML") == 0);
}

static enum store_result delete_singly(struct store *store, struct store_deletion *deletions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (deletions[i].result == STORE_FAILED)
            deletions[i].result = store_s3_delete(store, deletions[i].key, deletions[i].version_id);
    return STORE_OK;
}

/* One request. *again: how many keys the store could not delete at that moment. STORE_DENIED: the store has
 * no such request. */
static enum store_result ask_for_many(struct store *store, struct store_deletion *deletions, size_t count,
                                      int *again)
{
    struct buffer text = BUFFER_EMPTY;
    struct body body = {.fd = -1};
    unsigned char md5[MD5_BYTES];
    char md5_text[BASE64_TEXT_BYTES(MD5_BYTES)];
    struct s3_request request = {
        .verb = "delete objects of", .object = store_describe(store, ""), .method = "POST", .body = &body};
    struct s3_answer answer = {0};
    enum store_result result = STORE_FAILED;

    if (build_body(store, deletions, count, &text) != 0 ||
        sha256_of(text.data, text.length, body.sha256) != 0)
        goto done;
    if (md5_of(text.data, text.length, md5) != 0) {
        result = STORE_DENIED;
        goto done;
    }
    base64_encode(md5, sizeof md5, md5_text);
    body.data = text.data;
    body.length = text.length;
    s3_request_query(&request, "delete", "");
    s3_request_header(&request, "content-md5", md5_text);
    enum s3_result answered = s3_perform(store_s3_client(store), &request, &answer);
    if (answered == S3_SUCCEEDED)
        result = (*again = read_answer(store, &answer, deletions, count)) >= 0 ? STORE_OK : STORE_FAILED;
    else if (answered == S3_REFUSED && refuses_many(&answer))
        result = STORE_DENIED;
    else
        result = store_s3_failed(store, &request, answered, &answer);
done:
    s3_answer_free(&answer);
    buffer_free(&text);
    return result;
}

/* Longer each time, and never the same for all that were refused together. */
static void pause_before_round(unsigned round)
{
    unsigned char random = 128;

    random_bytes(&random, sizeof random);
    int64_t microseconds = ((int64_t)PAUSE_FIRST_MICROSECONDS << round) * (random + 128) / 256;
    struct timespec rest = {microseconds / 1000000, microseconds % 1000000 * 1000};
    nanosleep(&rest, NULL);
}

static enum store_result delete_page(struct store *store, struct store_deletion *deletions, size_t count)
{
    int again = 0;

    for (unsigned round = 0; round < ROUNDS_MOST; round++) {
        enum store_result result = ask_for_many(store, deletions, count, &again);
        if (result == STORE_DENIED) {
            log_debug("\"%s\": the store deletes no objects in bulk; it is done one by one",
                      store_describe(store, ""));
            return delete_singly(store, deletions, count);
        }
        if (result != STORE_OK || again == 0)
            return result;
        log_debug("\"%s\": %d objects are to be deleted later, the store says", store_describe(store, ""),
                  again);
        pause_before_round(round);
    }
    log_error("could not delete %d objects of \"%s\": the store asks for fewer requests again and again",
              again, store_describe(store, ""));
    return STORE_OK; /* each of them is FAILED */
}

enum store_result store_s3_delete_many(struct store *store, struct store_deletion *deletions, size_t count)
{
    enum store_result result = STORE_OK;

    for (size_t i = 0; i < count && result == STORE_OK; i += KEYS_MOST)
        result = delete_page(store, deletions + i, count - i < KEYS_MOST ? count - i : KEYS_MOST);
    return result;
}

/* --- locks
 * ---------------------------------------------------------------------------------------------------------
 */

static bool take_lock(void *context, const char *path, const char *text)
{
    struct store_lock *lock = context;

    if (strcmp(path, "Retention/RetainUntilDate") == 0 && timestamp_parse(text, &lock->until) != TIMESTAMP_OK)
        lock->until = INT64_MAX;
    else if (strcmp(path, "LegalHold/Status") == 0)
        lock->is_legal_hold = strcmp(text, "ON") == 0;
    return true;
}

/* Also the answers of buckets without locks, of stores that know none, and to who may not ask: the store
 * itself refuses to delete what is locked. */
static bool has_no_lock(const struct s3_answer *answer)
{
    static const char *const codes[] = {"NoSuchObjectLockConfiguration",
                                        "ObjectLockConfigurationNotFoundError",
                                        "InvalidRequest",
                                        "AccessDenied",
                                        "NoSuchKey",
                                        "NoSuchVersion",
                                        "NotImplemented",
                                        "MethodNotAllowed",
                                        NULL};

    for (size_t i = 0; codes[i] != NULL; i++)
        if (strcmp(answer->error.code, codes[i]) == 0)
            return !answer->response.cut;
    return answer->response.status == 405 || answer->response.status == 501;
}

/* kind: "retention" or "legal-hold". */
static enum store_result ask_for_lock(struct store *store, const char *key, const char *version_id,
                                      const char *kind, struct store_lock *lock)
{
    char *whole_key = store_s3_key(store, key);
    struct s3_request request = {
        .verb = "get the lock of", .object = store_describe(store, key), .method = "GET", .key = whole_key};
    struct s3_answer answer = {0};
    const char *problem;
    enum store_result result = STORE_OK;

    if (whole_key == NULL)
        return STORE_FAILED;
    s3_request_query(&request, kind, "");
    if (*version_id != '\0')
        s3_request_query(&request, "versionId", version_id);
    enum s3_result answered = s3_perform(store_s3_client(store), &request, &answer);
    /* A store that knows no such question answers with the object itself, as Swift does. */
    if (answered == S3_SUCCEEDED &&
        xml_parse(answer.response.body.data, answer.response.body.length, take_lock, lock, &problem) != 0) {
        log_debug("\"%s\" has no lock that could be understood: %s", store_describe(store, key), problem);
    } else if (answered != S3_SUCCEEDED && !(answered == S3_REFUSED && has_no_lock(&answer))) {
        result = store_s3_failed(store, &request, answered, &answer);
    }
    s3_answer_free(&answer);
    free(whole_key);
    return result;
}

static bool take_bucket_lock(void *context, const char *path, const char *text)
{
    if (strcmp(path, "ObjectLockConfiguration/ObjectLockEnabled") == 0)
        *(bool *)context = strcmp(text, "Enabled") == 0;
    return true;
}

/* Makes the request; it and the answer are for a report. */
static enum s3_result ask_bucket(struct store *store, struct s3_request *request, struct s3_answer *answer)
{
    struct s3_store *own = store->own;
    const struct buffer *body = &answer->response.body;
    const char *problem;
    bool has_locks = false;

    *request = (struct s3_request){
        .verb = "get the object lock of", .object = store->config->bucket, .method = "GET"};
    s3_request_query(request, "object-lock", "");
    enum s3_result answered = s3_perform(own->client, request, answer);
    own->locks = S3_LOCKS_UNTOLD;
    if (answered == S3_SUCCEEDED)
        own->locks =
            xml_parse(body->data, body->length, take_bucket_lock, &has_locks, &problem) == 0 && has_locks
                ? S3_LOCKS_THERE
                : S3_LOCKS_NONE;
    else if (answered == S3_REFUSED && answer->response.status != 403 && has_no_lock(answer))
        own->locks = S3_LOCKS_NONE;
    return answered;
}

/* A store that knows no locks may answer with the object itself, as Swift does, however large it is. So it is
 * not asked where the bucket has said that it has none. */
static bool may_have_locks(struct store *store)
{
    struct s3_store *own = store->own;
    struct s3_request request;
    struct s3_answer answer = {0};

    if (own->locks == S3_LOCKS_UNASKED)
        ask_bucket(store, &request, &answer);
    s3_answer_free(&answer);
    return own->locks != S3_LOCKS_NONE;
}

enum store_result store_s3_get_lock(struct store *store, const char *key, const char *version_id,
                                    struct store_lock *lock)
{
    enum store_result result = STORE_OK;

    if (!may_have_locks(store))
        return STORE_OK;
    result = ask_for_lock(store, key, version_id, "retention", lock);
    if (result == STORE_OK)
        result = ask_for_lock(store, key, version_id, "legal-hold", lock);
    lock->is_locked = lock->is_legal_hold || lock->until > store_now(store);
    return result;
}

/* A store that knows no legal holds may take the request for one as a PUT of the object itself, and what was
 * there is gone (Swift does so). So none is made before the bucket has said that it has locks. Asked once. */
static bool bucket_has_locks(struct store *store)
{
    struct s3_store *own = store->own;
    struct s3_request request;
    struct s3_answer answer = {0};

    if (own->locks == S3_LOCKS_THERE)
        return true;
    enum s3_result answered = ask_bucket(store, &request, &answer);
    if (own->locks == S3_LOCKS_NONE)
        log_error("bucket \"%s\" has no object lock, so there can be no legal hold", store->config->bucket);
    else if (answered == S3_REFUSED && s3_answer_is(&answer, 403, "AccessDenied"))
        s3_report(own->client, &request, &answer,
                  "Grant s3:GetBucketObjectLockConfiguration on the bucket: no legal hold is put on anything "
                  "before the bucket has said that it has object lock.");
    else if (answered != S3_SUCCEEDED)
        store_s3_failed(store, &request, answered, &answer);
    s3_answer_free(&answer);
    return own->locks == S3_LOCKS_THERE;
}

enum store_result store_s3_set_hold(struct store *store, const char *key, const char *version_id, bool on)
{
    const char *text =
        on ? "<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>ON</Status></LegalHold>"
           : "<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>OFF</Status></LegalHold>";
    char *whole_key = store_s3_key(store, key);
    struct body body = {.data = text, .fd = -1, .length = strlen(text)};
    struct s3_request request = {.verb = on ? "put a legal hold on" : "take the legal hold off",
                                 .object = store_describe(store, key),
                                 .method = "PUT",
                                 .key = whole_key,
                                 .body = &body};
    struct s3_answer answer = {0};
    enum store_result result = STORE_FAILED;

    if (whole_key != NULL && bucket_has_locks(store) && sha256_of(text, strlen(text), body.sha256) == 0) {
        s3_request_query(&request, "legal-hold", "");
        /* without one it would be that of the newest version */
        s3_request_query(&request, "versionId", *version_id != '\0' ? version_id : "null");
        s3_options_add_checksum(store_s3_options(store), &request); /* AWS demands one */
        enum s3_result answered = s3_perform(store_s3_client(store), &request, &answer);
        result = answered == S3_SUCCEEDED ? STORE_OK : store_s3_failed(store, &request, answered, &answer);
    }
    s3_answer_free(&answer);
    free(whole_key);
    return result;
}
