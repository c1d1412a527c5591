/* common/http.c and http_transfer.c with a fake libcurl under them: a request is answered with the next piece
 * of the input, so that all of the S3 driver runs on answers that no server would give. An answer is what
 * goes over the wire, "HTTP/1.1 200 OK", header lines, an empty line and the body; one that begins with "!"
 * is cut behind its last byte, "?" is no answer at all. When there are no more, the last answer is a failure
 * that nobody tries again after. */
#ifndef WALFERRY_FAKE_HTTP_H
#define WALFERRY_FAKE_HTTP_H

#include "fuzz.h"

#include "common/store.h"

#include <time.h> /* before the next line changes it */

#define nanosleep(wanted, left) ((void)(wanted), (void)(left), 0)
#include "common/http.c"          /* its pauses are none */
#include "common/http_transfer.c" /* its static functions are called below, and its table of libcurl's is changed */
#undef nanosleep

#include <stdarg.h>

static struct fuzz_input fake_answers;
static struct transfer *fake_transfer;
static long fake_status;
static char fake_url[500]; /* of the last request */
static bool fake_had_md5;  /* it had the header Content-MD5 */

static CURLcode fake_setopt(CURL *curl, CURLoption option, ...)
{
    va_list arguments;

    (void)curl;
    va_start(arguments, option);
    if (option == CURLOPT_WRITEDATA)
        fake_transfer = va_arg(arguments, struct transfer *);
    if (option == CURLOPT_URL)
        snprintf(fake_url, sizeof fake_url, "%s", va_arg(arguments, const char *));
    if (option == CURLOPT_HTTPHEADER) {
        const struct curl_slist *line = va_arg(arguments, struct curl_slist *);
        fake_had_md5 = line == NULL && fake_had_md5; /* they are taken off again */
        for (; line != NULL; line = line->next)
            fake_had_md5 = fake_had_md5 || strncmp(line->data, "content-md5:", 12) == 0;
    }
    va_end(arguments);
    return CURLE_OK;
}

static CURLcode fake_getinfo(CURL *curl, CURLINFO info, ...)
{
    va_list arguments;

    (void)curl;
    va_start(arguments, info);
    *va_arg(arguments, long *) = fake_status;
    va_end(arguments);
    return CURLE_OK;
}

/* The header's lines, as curl hands them over: one at a time, line end included, none with a zero in it.
 * Returns where the body begins, or NULL. */
static const char *fake_headers(const char *next, const char *end)
{
    fake_status = 0;
    while (next < end) {
        const char *line_end = memchr(next, '\n', (size_t)(end - next));
        size_t length = line_end != NULL ? (size_t)(line_end - next) + 1 : (size_t)(end - next);

        if (memchr(next, '\0', length) != NULL)
            return NULL;
        char *line = malloc(length);
        FUZZ_CHECK(line != NULL);
        memcpy(line, next, length);
        if (length >= 12 && memcmp(line, "HTTP/1.1 ", 9) == 0)
            fake_status = (line[9] & 7) * 100 + (line[10] & 7) * 10 + (unsigned char)(line[11] - '0') % 10;
        size_t taken = take_header(line, 1, length, fake_transfer);
        free(line);
        if (taken != length)
            return NULL;
        next += length;
        if (length == 1 || (length == 2 && next[-2] == '\r'))
            break;
    }
    return next;
}

static CURLcode fake_perform(CURL *curl)
{
    size_t length, piece = 1, sent;
    CURLcode result = CURLE_OK;
    char upload[1000];

    (void)curl;
    if (fake_answers.left == 0)
        return CURLE_PEER_FAILED_VERIFICATION;
    while ((sent = read_body(upload, 1, sizeof upload, fake_transfer)) > 0) {
        if (sent == CURL_READFUNC_ABORT)
            return CURLE_ABORTED_BY_CALLBACK;
        if (fake_transfer->sent > 100000)
            break;
    }
    char *answer = fuzz_take(&fake_answers, 0, &length);
    const char *next = answer, *end = answer + length;
    if (length > 0 && *next == '?') {
        result = CURLE_COULDNT_CONNECT;
    } else if (length > 0 && *next == '!') {
        result = CURLE_PARTIAL_FILE;
        next++;
    }
    next = result == CURLE_COULDNT_CONNECT ? NULL : fake_headers(next, end);
    if (next == NULL && result == CURLE_OK)
        result = CURLE_WEIRD_SERVER_REPLY;
    while (next != NULL && next < end) {
        size_t taken = (size_t)(end - next) < piece ? (size_t)(end - next) : piece;

        if (take_body((char *)next, 1, taken, fake_transfer) != taken) {
            result = CURLE_WRITE_ERROR;
            break;
        }
        next += taken;
        piece = piece * 5 + 1;
    }
    free(answer);
    return result;
}

static struct s3_settings fake_settings; /* of what is begun from now on */

/* What the requests are made with from here on; they are answered with these bytes. Borrowed. */
static inline const struct repository_config *fake_begin(const uint8_t *answers, size_t length)
{
    static char name[] = "main", url[] = "s3://bucket/pre/fix", path[] = "pre/fix", bucket[] = "bucket";
    static char region[] = "eu-central-1", endpoint[] = "https://s3.example.com", key[] = "key",
                secret[] = "secret";
    static struct repository_config config = {.name = name,
                                              .url = url,
                                              .kind = REPOSITORY_S3,
                                              .path = path,
                                              .bucket = bucket,
                                              .region = region,
                                              .endpoint = endpoint,
                                              .path_style = true,
                                              .access_key = key,
                                              .secret_key = secret};

    config.s3 = fake_settings;
    FUZZ_CHECK(library_need(&curl_library) == 0);
    libcurl.easy_setopt = fake_setopt;
    libcurl.easy_getinfo = fake_getinfo;
    libcurl.easy_perform = fake_perform;
    fake_answers = (struct fuzz_input){answers, length};
    return &config;
}

static inline struct store *fake_store(const uint8_t *answers, size_t length)
{
    static const struct store_limits limits = {.operation_seconds = 3600, .deadline = 0};

    return store_open(fake_begin(answers, length), &limits);
}

#endif
