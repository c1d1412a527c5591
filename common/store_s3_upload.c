/* Uploading to S3 in parts: one part is kept in memory, so that every retry sends the very same bytes. What
 * stays within the first part becomes one conditional PUT. */
#include "store_s3.h"

#include "digest.h"
#include "log.h"
#include "xml.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MOST 10000u
#define PART_BYTES_LEAST (16ull * 1024 * 1024)
#define PART_BYTES_MOST (5ull * 1024 * 1024 * 1024)
#define MEBIBYTE (1024ull * 1024)
#define COMPLETION_ROUNDS 3
/* Metadata that tells whose upload an object came from, when the answer to the completion was lost. */
#define MARK_HEADER "x-amz-meta-walferry-upload"

struct upload {
    struct store *store;
    char *key; /* as the caller named it */
    char *whole_key;
    char *description;
    enum store_condition condition;
    size_t part_bytes;
    unsigned char *part; /* part_bytes */
    size_t filled;
    uint64_t total;
    char *id;           /* NULL until the first part is full */
    bool has_checksums; /* it was begun so: each part has one, and the completion tells them all */
    unsigned parts;     /* sent */
    struct buffer list; /* <Part> elements for the completion */
    char mark[33];
};

static void upload_free(struct upload *upload)
{
    free(upload->key);
    free(upload->whole_key);
    free(upload->description);
    free(upload->part);
    free(upload->id);
    buffer_free(&upload->list);
    free(upload);
}

/* 0 when not even the largest parts suffice. */
static uint64_t choose_part_bytes(uint64_t expected_bytes)
{
    uint64_t bytes = (expected_bytes / PARTS_MOST / MEBIBYTE + 1) * MEBIBYTE;

    if (bytes > PART_BYTES_MOST)
        return 0;
    return bytes < PART_BYTES_LEAST ? PART_BYTES_LEAST : bytes;
}

void *store_s3_upload_begin(struct store *store, const char *key, uint64_t expected_bytes,
                            enum store_condition condition)
{
    struct upload *upload = calloc(1, sizeof *upload);
    unsigned char random[16];

    if (upload == NULL) {
        log_out_of_memory();
        return NULL;
    }
    upload->store = store;
    upload->condition = condition;
    upload->key = string_copy(key);
    upload->whole_key = store_s3_key(store, key);
    upload->description = string_copy(store_describe(store, key));
    upload->part_bytes = (size_t)choose_part_bytes(expected_bytes);
    if (upload->key == NULL || upload->whole_key == NULL || upload->description == NULL ||
        random_bytes(random, sizeof random) != 0)
        goto failed;
    hex_encode(random, sizeof random, upload->mark);
    if (upload->part_bytes == 0) {
        log_error("could not put \"%s\": %" PRIu64 " bytes are more than an S3 object can have",
                  upload->description, expected_bytes);
        goto failed;
    }
    /* not touched before it is written to: a small object costs no large part */
    upload->part = malloc(upload->part_bytes);
    if (upload->part == NULL) {
        log_out_of_memory();
        goto failed;
    }
    return upload;
failed:
    upload_free(upload);
    return NULL;
}

/* --- begin and parts
 * ----------------------------------------------------------------------------------------------- */

struct wanted_text {
    const char *path;
    char *text;
};

static bool take_text(void *context, const char *path, const char *text)
{
    struct wanted_text *wanted = context;

    if (strcmp(path, wanted->path) != 0)
        return true;
    free(wanted->text);
    wanted->text = string_copy(text);
    return wanted->text != NULL;
}

static int create_upload(struct upload *upload)
{
    struct s3_client *client = store_s3_client(upload->store);
    struct s3_request request = {.verb = "begin the upload of",
                                 .object = upload->description,
                                 .method = "POST",
                                 .key = upload->whole_key};
    struct body nothing = {.data = "", .fd = -1};
    struct s3_answer answer = {0};
    struct wanted_text id = {"InitiateMultipartUploadResult/UploadId", NULL};
    const char *problem;
    int result = -1;

    if (sha256_of("", 0, nothing.sha256) != 0)
        return -1;
    request.body = &nothing; /* some stores answer 411 to a POST without a length */
    s3_request_query(&request, "uploads", "");
    s3_request_header(&request, MARK_HEADER, upload->mark);
    upload->has_checksums = store_s3_options(upload->store)->sends_checksum;
    s3_options_add(store_s3_options(upload->store), &request, S3_USE_CREATE, upload->key);
    enum s3_result answered = s3_perform(client, &request, &answer);
    if (answered != S3_SUCCEEDED) {
        store_s3_failed(upload->store, &request, answered, &answer);
    } else if (xml_parse(answer.response.body.data, answer.response.body.length, take_text, &id, &problem) !=
                   0 ||
               id.text == NULL || *id.text == '\0') {
        log_error("could not begin the upload of \"%s\": the answer names no upload id", upload->description);
    } else {
        upload->id = id.text;
        id.text = NULL;
        result = 0;
    }
    free(id.text);
    s3_answer_free(&answer);
    return result;
}

static int note_part(struct upload *upload, const struct s3_request *request, const struct s3_answer *answer)
{
    const char *etag = http_header(&answer->response, "etag");

    if (etag == NULL) {
        s3_report(store_s3_client(upload->store), request, answer,
                  "The store named no ETag for the part: is it an S3 store?");
        return -1;
    }
    if (buffer_printf(&upload->list, "<Part><PartNumber>%u</PartNumber><ETag>", upload->parts) != 0 ||
        xml_append_text(&upload->list, etag) != 0)
        return -1;
    if (upload->has_checksums &&
        buffer_printf(&upload->list, "</ETag><ChecksumSHA256>%s</ChecksumSHA256></Part>",
                      store_s3_options(upload->store)->checksum) != 0)
        return -1;
    return upload->has_checksums ? 0 : buffer_append_string(&upload->list, "</ETag></Part>");
}

/* Sends what the part buffer holds. */
static int send_part(struct upload *upload)
{
    struct s3_options *options = store_s3_options(upload->store);
    struct body body = {.data = upload->part, .fd = -1, .length = upload->filled};
    struct s3_request request = {.verb = "put a part of",
                                 .object = upload->description,
                                 .method = "PUT",
                                 .key = upload->whole_key,
                                 .body = &body};
    struct s3_answer answer = {0};
    char number[16];
    int result = -1;

    if (upload->id == NULL && create_upload(upload) != 0)
        return -1;
    if (upload->parts == PARTS_MOST) {
        log_error(
            "could not put \"%s\": it is larger than was expected, and the %u parts of %zu bytes are used up",
            upload->description, PARTS_MOST, upload->part_bytes);
        return -1;
    }
    if (sha256_of(upload->part, upload->filled, body.sha256) != 0)
        return -1;
    snprintf(number, sizeof number, "%u", ++upload->parts);
    s3_request_query(&request, "partNumber", number);
    s3_request_query(&request, "uploadId", upload->id);
    s3_options_add(options, &request, S3_USE_TRANSFER, NULL);
    /* begun before the bucket was known to want a checksum: the upload takes no other than this one */
    bool with_md5 = !upload->has_checksums && options->sends_checksum;
    if (upload->has_checksums)
        s3_options_add_checksum(options, &request);
    else if (with_md5 && s3_options_add_md5(options, &request) != 0)
        with_md5 = false;
    enum s3_result answered = with_md5
                                  ? s3_perform(store_s3_client(upload->store), &request, &answer)
                                  : store_s3_send(upload->store, &request, &answer, !upload->has_checksums);
    if (answered == S3_SUCCEEDED)
        result = note_part(upload, &request, &answer);
    else
        store_s3_failed(upload->store, &request, answered, &answer);
    s3_answer_free(&answer);
    upload->filled = 0;
    return result;
}

int store_s3_upload_write(void *own, const void *data, size_t length)
{
    struct upload *upload = own;
    const unsigned char *bytes = data;

    while (length > 0) {
        /* a full part waits until more comes: one that is all there is becomes a single PUT */
        if (upload->filled == upload->part_bytes && send_part(upload) != 0)
            return -1;
        size_t take = upload->part_bytes - upload->filled;

        if (take > length)
            take = length;
        memcpy(upload->part + upload->filled, bytes, take);
        upload->filled += take;
        upload->total += take;
        bytes += take;
        length -= take;
    }
    return 0;
}

/* --- the end
 * ------------------------------------------------------------------------------------------------------- */

static bool is_refused(enum s3_result result, const struct s3_answer *answer)
{
    return result == S3_REFUSED && !answer->response.cut &&
           (answer->response.status == 400 || answer->response.status == 403);
}

/* The answer to a HEAD has no body to hold the code that keys are renewed by, or the clock set: a GET's has.
 * What a GET was refused as well tells why. */
static enum s3_result ask_for_object(struct upload *upload, struct s3_answer *answer)
{
    struct s3_client *client = store_s3_client(upload->store);
    const struct s3_request head = {
        .verb = "look for", .object = upload->description, .method = "HEAD", .key = upload->whole_key};
    struct s3_request request = head;
    enum s3_result result;

    s3_options_add(store_s3_options(upload->store), &request, S3_USE_TRANSFER, NULL);
    result = s3_perform(client, &request, answer);
    if (!is_refused(result, answer))
        return result;
    request.method = "GET";
    s3_request_header(&request, "range", "bytes=0-0");
    result = s3_perform(client, &request, answer);
    if (is_refused(result, answer))
        return result;
    request = head;
    s3_options_add(store_s3_options(upload->store), &request, S3_USE_TRANSFER, NULL);
    return s3_perform(client, &request, answer);
}

/* EXISTS or ABSENT; FAILED after logging: what cannot be told is not taken for a free name. Ceph ignores the
 * condition on a completion, so it is looked for just before. */
static enum store_result look_for_key(struct upload *upload)
{
    struct s3_request request = {
        .verb = "look for", .object = upload->description, .method = "HEAD", .key = upload->whole_key};
    struct s3_answer answer = {0};
    enum store_result result = STORE_FAILED;

    enum s3_result answered = ask_for_object(upload, &answer);
    if (answered == S3_SUCCEEDED)
        result = STORE_EXISTS;
    else if (answered == S3_REFUSED && !answer.response.cut && answer.response.status == 404)
        result = STORE_ABSENT;
    else
        store_s3_failed(upload->store, &request, answered, &answer);
    s3_answer_free(&answer);
    return result;
}

/* After an answer was lost: is what lies there the object of this very upload, and whole? */
static bool is_ours(struct upload *upload, struct store_object *object)
{
    struct s3_answer answer = {0};
    char length[32];
    bool ours = false;

    snprintf(length, sizeof length, "%" PRIu64, upload->total);
    if (ask_for_object(upload, &answer) == S3_SUCCEEDED) {
        const char *mark = http_header(&answer.response, MARK_HEADER);
        const char *stored = http_header(&answer.response, "content-length");

        ours =
            mark != NULL && stored != NULL && strcmp(mark, upload->mark) == 0 && strcmp(stored, length) == 0;
        if (ours)
            store_s3_describe_object(&answer, upload->total, object);
    }
    s3_answer_free(&answer);
    return ours;
}

static bool take_completion(void *context, const char *path, const char *text)
{
    (void)text;
    if (strcmp(path, "CompleteMultipartUploadResult") == 0)
        *(bool *)context = true;
    return true;
}

static bool says_completed(const struct s3_answer *answer)
{
    const char *problem;
    bool completed = false;

    return xml_parse(answer->response.body.data, answer->response.body.length, take_completion, &completed,
                     &problem) == 0 &&
           completed;
}

static bool refuses_condition(const struct s3_answer *answer)
{
    unsigned status = answer->response.status;

    return !answer->response.cut && !s3_error_wants_checksum(&answer->error) &&
           !s3_error_is_of_customer_key(&answer->error) && !s3_error_is_of_settings(&answer->error) &&
           (status == 501 || s3_answer_is(answer, 412, "InvalidRequest") ||
            s3_answer_is(answer, 400, "InvalidRequest") || s3_answer_is(answer, 400, "InvalidArgument") ||
            s3_answer_is(answer, 400, "NotImplemented"));
}

/* What one or several completions came to; reported unless it is STORE_OK or STORE_EXISTS. */
static enum store_result judge_completion(struct upload *upload, const struct s3_request *request,
                                          enum s3_result answered, const struct s3_answer *answer,
                                          bool doubtful, struct store_object *object)
{
    bool taken = s3_answer_is(answer, 412, "PreconditionFailed");

    /* a lost answer may have been "done": then the upload is gone, or the key is taken, by ourselves */
    if (doubtful && answered == S3_REFUSED && (taken || s3_answer_is(answer, 404, "NoSuchUpload")) &&
        is_ours(upload, object))
        return STORE_OK;
    if (answered == S3_REFUSED && taken)
        return STORE_EXISTS;
    if (answered == S3_SUCCEEDED)
        s3_report(store_s3_client(upload->store), request, answer,
                  "The store did not say that the upload is complete, so it is not taken for it.");
    else
        store_s3_failed(upload->store, request, answered, answer);
    return STORE_FAILED;
}

static enum store_result complete(struct upload *upload, struct store_object *object)
{
    struct buffer text = BUFFER_EMPTY;
    struct s3_answer answer = {0};
    struct body body = {.fd = -1};
    bool conditional = upload->condition != STORE_CONDITION_REFUSED, doubtful = false;
    enum store_result result = STORE_FAILED;

    if (buffer_printf(&text,
                      "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s"
                      "</CompleteMultipartUpload>",
                      buffer_string(&upload->list)) != 0 ||
        sha256_of(text.data, text.length, body.sha256) != 0)
        goto done;
    body.data = text.data;
    body.length = text.length;
    for (unsigned round = 1;; round++) {
        struct s3_request request = {.verb = "complete the upload of",
                                     .object = upload->description,
                                     .method = "POST",
                                     .key = upload->whole_key,
                                     .body = &body};

        s3_request_query(&request, "uploadId", upload->id);
        if (conditional)
            s3_request_header(&request, "if-none-match", "*");
        s3_options_add(store_s3_options(upload->store), &request, S3_USE_TRANSFER, NULL);
        enum s3_result answered = s3_perform(store_s3_client(upload->store), &request, &answer);
        if (answered == S3_SUCCEEDED && says_completed(&answer)) {
            store_s3_describe_object(&answer, upload->total, object);
            result = STORE_OK;
            break;
        }
        doubtful = doubtful || answer.response.tries > 1 || answered == S3_SUCCEEDED;
        bool refused = conditional && answered == S3_REFUSED && refuses_condition(&answer);
        if (round == COMPLETION_ROUNDS || (answered != S3_SUCCEEDED && !refused)) {
            result = judge_completion(upload, &request, answered, &answer, doubtful, object);
            break;
        }
        conditional = conditional && !refused;
    }
done:
    s3_answer_free(&answer);
    buffer_free(&text);
    return result;
}

/* Parts that are left behind cost money until the bucket's life-cycle rule, if there is one, removes them. */
static enum store_result abort_upload(struct store *store, const char *description, const char *whole_key,
                                      const char *id)
{
    struct s3_client *client = store_s3_client(store);
    struct s3_request request = {
        .verb = "abort the upload of", .object = description, .method = "DELETE", .key = whole_key};
    struct s3_answer answer = {0};

    s3_request_query(&request, "uploadId", id);
    enum s3_result answered = s3_perform(client, &request, &answer);
    bool is_gone =
        answered == S3_SUCCEEDED || (answered == S3_REFUSED && s3_answer_is(&answer, 404, "NoSuchUpload"));
    if (answered == S3_REFUSED && !is_gone)
        s3_report(client, &request, &answer,
                  "Its parts stay in the bucket: grant s3:AbortMultipartUpload, and give the bucket a "
                  "life-cycle rule that "
                  "aborts incomplete multipart uploads.");
    s3_answer_free(&answer);
    return is_gone ? STORE_OK : STORE_FAILED;
}

enum store_result store_s3_abort_unfinished(struct store *store, const char *key, const char *upload_id)
{
    char *whole_key = store_s3_key(store, key), *description = string_copy(store_describe(store, key));
    enum store_result result = whole_key != NULL && description != NULL
                                   ? abort_upload(store, description, whole_key, upload_id)
                                   : STORE_FAILED;

    free(description);
    free(whole_key);
    return result;
}

static void abort_parts(const struct upload *upload)
{
    if (upload->id != NULL)
        abort_upload(upload->store, upload->description, upload->whole_key, upload->id);
}

enum store_result store_s3_upload_finish(void *own, struct store_object *object)
{
    struct upload *upload = own;
    enum store_result result = STORE_FAILED;

    if (upload->id == NULL) {
        struct body body = {.data = upload->part, .fd = -1, .length = upload->filled};

        if (sha256_of(upload->part, upload->filled, body.sha256) == 0)
            result = store_s3_put(upload->store, upload->key, &body, true, upload->condition, object);
    } else if (send_part(upload) == 0) {
        result = look_for_key(upload);
        if (result == STORE_ABSENT)
            result = complete(upload, object);
        if (result != STORE_OK)
            abort_parts(upload);
    } else {
        abort_parts(upload);
    }
    upload_free(upload);
    return result;
}

void store_s3_upload_abort(void *own)
{
    struct upload *upload = own;

    abort_parts(upload);
    upload_free(upload);
}
