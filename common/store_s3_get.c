/* Reading from S3: one GET, resumed with a range where the connection was cut, and the only place that may
 * say "absent". */
#include "store_s3.h"

#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct get {
    struct s3_options *options;
    const struct store_range *range;
    const struct sink *sink;
    struct store_object *object;
    const char *description;

    bool started;      /* a good answer's header was seen: from here on it is that very object */
    uint64_t first;    /* offset in the object of the first byte that is wanted */
    uint64_t expected; /* bytes that are to come */
    uint64_t received;
    uint64_t total;
    bool is_short;        /* the object ends before the range does */
    bool disbelieved;     /* the answer cannot be what was asked for; logged */
    char etag[256];       /* with its quotes; "" if none was told */
    char range_text[64];  /* header values of the present try */
    struct sink counting; /* in front of sink */
};

static int count_and_pass(void *context, const void *data, size_t length)
{
    struct get *get = context;

    if (length > get->expected - get->received) {
        log_error("could not get \"%s\": more came than the store had announced", get->description);
        get->disbelieved = true;
        return -1;
    }
    if (sink_write(get->sink, data, length) != 0)
        return -1;
    get->received += length;
    return 0;
}

/* All that a good answer announced has come and was taken, whatever became of the connection then. */
static bool is_whole(const struct get *get)
{
    return get->started && get->received == get->expected && !get->disbelieved;
}

static bool is_ranged(const struct store_range *range)
{
    return range->suffix != 0 || range->offset != 0 || range->length != 0;
}

static void first_range(const struct store_range *range, char *out, size_t out_bytes)
{
    if (range->suffix != 0)
        snprintf(out, out_bytes, "bytes=-%" PRIu64, range->suffix);
    else if (range->length != 0)
        snprintf(out, out_bytes, "bytes=%" PRIu64 "-%" PRIu64, range->offset,
                 range->offset + range->length - 1);
    else
        snprintf(out, out_bytes, "bytes=%" PRIu64 "-", range->offset);
}

/* Before another try: asks for what is missing, of the very object that the first bytes were of. */
static int resume(void *context, struct s3_request *request)
{
    struct get *get = context;

    if (is_whole(get))
        return -1; /* there is nothing left to ask for: not a failure, and nothing to log */
    if (!get->started || get->received == 0) {
        get->started = false; /* nothing was handed over: any state of the object will do */
        return 0;
    }
    if (get->etag[0] == '\0') {
        log_error("could not get \"%s\": the connection was cut, and the store names no ETag to go on with",
                  get->description);
        return -1;
    }
    snprintf(get->range_text, sizeof get->range_text, "bytes=%" PRIu64 "-%" PRIu64,
             get->first + get->received, get->first + get->expected - 1);
    request->header_count = 0;
    s3_request_header(request, "range", get->range_text);
    s3_request_header(request, "if-match", get->etag);
    s3_options_add(get->options, request, S3_USE_TRANSFER, NULL);
    log_debug("going on with \"%s\" at byte %" PRIu64, get->description, get->first + get->received);
    return 0;
}

/* The whole of text as a number. */
static bool parse_number(const char *text, const char *end, uint64_t *value)
{
    uint64_t number = 0;

    if (text == end)
        return false;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9' || number > (UINT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *value = number;
    return true;
}

/* "bytes 0-9/443" */
static bool parse_content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *total)
{
    const char *dash = strchr(text, '-'), *slash = strchr(text, '/');

    return strncmp(text, "bytes ", 6) == 0 && dash != NULL && slash != NULL && dash < slash &&
           parse_number(text + 6, dash, first) && parse_number(dash + 1, slash, last) &&
           parse_number(slash + 1, slash + strlen(slash), total) && *first <= *last && *last < *total;
}

struct extent {
    uint64_t first, length, total;
};

/* Where the answer's bytes lie in the object. Returns NULL, or what is wrong with it. */
static const char *read_extent(const struct http_response *response, struct extent *extent)
{
    const char *length = http_header(response, "content-length");
    const char *range = http_header(response, "content-range");
    uint64_t last;

    if (length == NULL || !parse_number(length, length + strlen(length), &extent->length))
        return "the answer names no length";
    if (response->status == 200) {
        extent->first = 0;
        extent->total = extent->length;
        return NULL;
    }
    if (range == NULL || !parse_content_range(range, &extent->first, &last, &extent->total))
        return "the answer names no sensible range";
    return last - extent->first + 1 == extent->length ? NULL : "the answer's range and length disagree";
}

/* Is this what the caller asked for, as far as the object goes? */
static bool is_wanted(const struct store_range *range, const struct extent *extent)
{
    uint64_t length = extent->total;

    if (range->suffix != 0) {
        if (range->suffix < length)
            length = range->suffix;
        return extent->length == length && extent->first == extent->total - length;
    }
    if (range->offset > extent->total)
        return false;
    length = extent->total - range->offset;
    if (range->length != 0 && range->length < length)
        length = range->length;
    return extent->first == range->offset && extent->length == length;
}

static int disbelieve(struct get *get, const char *problem)
{
    log_error("could not get \"%s\": %s", get->description, problem);
    log_hint("An S3 store, and a proxy in front of it, must honour the header Range.");
    get->disbelieved = true;
    return -1;
}

static int accept_answer(void *context, const struct http_response *response, const struct sink **sink)
{
    struct get *get = context;
    struct extent extent = {0, 0, 0};
    const char *problem = read_extent(response, &extent), *etag = http_header(response, "etag");

    if (problem != NULL)
        return disbelieve(get, problem);
    if (get->started) {
        if (extent.first != get->first + get->received || extent.length != get->expected - get->received ||
            extent.total != get->total)
            return disbelieve(get, "the answer is not the range that was asked for");
    } else {
        if (!is_wanted(get->range, &extent))
            return disbelieve(get, "the answer is not the range that was asked for");
        if (get->range->length > extent.length) { /* clipped; whoever names a length counts on it */
            get->is_short = true;
            return -1;
        }
        get->started = true;
        get->first = extent.first;
        get->expected = extent.length;
        get->total = extent.total;
        get->etag[0] = '\0';
        if (etag != NULL && strlen(etag) < sizeof get->etag)
            memcpy(get->etag, etag, strlen(etag) + 1);
        const struct s3_answer answer = {.response = *response};
        store_s3_describe_object(&answer, get->total, get->object);
    }
    *sink = &get->counting;
    return 0;
}

/* Only here may an object be called absent; everything that is not beyond doubt is a failure. */
static enum store_result judge_refusal(struct store *store, const struct s3_request *request,
                                       const struct get *get, enum s3_result result,
                                       const struct s3_answer *answer, bool version_named)
{
    const char *marker = http_header(&answer->response, "x-amz-delete-marker");
    bool missing = s3_answer_is(answer, 404, "NoSuchKey") ||
                   (version_named && s3_answer_is(answer, 404, "NoSuchVersion"));

    if (result == S3_REFUSED && !answer->response.cut && marker != NULL && strcmp(marker, "true") == 0 &&
        (answer->response.status == 404 || answer->response.status == 405)) {
        log_error("\"%s\" has been deleted: its newest version is a delete marker", get->description);
        log_hint("Older versions are kept by the bucket; removing the delete marker brings the object back.");
        return STORE_DELETED;
    }
    if (result == S3_REFUSED && missing && get->received == 0)
        return STORE_ABSENT;
    if (result == S3_REFUSED && s3_answer_is(answer, 416, "InvalidRange") && !get->started) {
        if (get->range->offset > 0 || get->range->length > 0)
            return STORE_SHORT;
        if (get->range->suffix == 0) /* nobody asked for a range */
            return store_s3_failed(store, request, result, answer);
        store_s3_describe_object(answer, 0, get->object);
        return STORE_OK; /* a suffix of an empty object */
    }
    if (get->is_short)
        return STORE_SHORT;
    return get->disbelieved ? STORE_FAILED : store_s3_failed(store, request, result, answer);
}

enum store_result store_s3_get(struct store *store, const char *key, const char *version_id,
                               const struct store_range *range, const struct sink *sink,
                               struct store_object *object)
{
    char *whole_key = store_s3_key(store, key);
    struct get get = {.options = store_s3_options(store),
                      .range = range,
                      .sink = sink,
                      .object = object,
                      .description = store_describe(store, key)};
    struct s3_request request = {.verb = "get",
                                 .object = get.description,
                                 .method = "GET",
                                 .key = whole_key,
                                 .revise = resume,
                                 .accept = accept_answer,
                                 .context = &get,
                                 .resumes = true};
    struct s3_answer answer = {0};
    enum store_result result = STORE_OK;

    if (whole_key == NULL)
        return STORE_FAILED;
    get.counting = (struct sink){count_and_pass, &get};
    if (version_id != NULL)
        s3_request_query(&request, "versionId", *version_id != '\0' ? version_id : "null");
    if (is_ranged(range)) {
        first_range(range, get.range_text, sizeof get.range_text);
        s3_request_header(&request, "range", get.range_text);
    }
    s3_options_add(get.options, &request, S3_USE_TRANSFER, NULL);
    enum s3_result answered = s3_perform(store_s3_client(store), &request, &answer);
    if (answered != S3_SUCCEEDED && !is_whole(&get))
        result = judge_refusal(store, &request, &get, answered, &answer, version_id != NULL);
    else if (!get.started) { /* a 2xx that no GET is answered with */
        result = store_s3_failed(store, &request, S3_REFUSED, &answer);
    } else if (get.received != get.expected) {
        log_error("could not get \"%s\": %" PRIu64 " of %" PRIu64 " bytes came", get.description,
                  get.received, get.expected);
        result = STORE_FAILED;
    }
    s3_answer_free(&answer);
    free(whole_key);
    return result;
}
