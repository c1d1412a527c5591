#include "http_transfer.h"

#include "file.h"
#include "library.h"
#include "log.h"
#include "timestamp.h"

#define CURL_DISABLE_TYPECHECK /* its functions are called through pointers */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PROGRESS_BYTES 65536
#define TRANSFER_BUFFER_BYTES (256L * 1024)
#define DATE_SECONDS_MOST 253402300799 /* the end of the year 9999 */

/* Loaded with the first request's preparations. */
static struct {
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_cleanup) easy_cleanup;
    __typeof__(&curl_easy_setopt) easy_setopt;
    __typeof__(&curl_easy_getinfo) easy_getinfo;
    __typeof__(&curl_easy_perform) easy_perform;
    __typeof__(&curl_easy_strerror) easy_strerror;
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
    __typeof__(&curl_version_info) version_info;
    __typeof__(&curl_getdate) getdate;
} libcurl;

struct http {
    CURL *curl;
    unsigned connect_timeout_seconds;
    char error[CURL_ERROR_SIZE];
};

int64_t transfer_time_left(const struct transfer *transfer)
{
    int64_t now = monotonic_now();
    int64_t left = transfer->counted_from + transfer->operation_microseconds - now;

    if (transfer->deadline != 0 && transfer->deadline - now < left)
        left = transfer->deadline - now;
    return left;
}

/* Curl's callbacks */

static size_t read_body(char *out, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    const struct body *body = transfer->body;
    size_t length = size * count;

    if (body == NULL || transfer->sent >= body->length)
        return 0;
    if (length > body->length - transfer->sent)
        length = (size_t)(body->length - transfer->sent);
    if (body_read(body, transfer->sent, out, length) != 0) {
        transfer->unreadable = true;
        return CURL_READFUNC_ABORT;
    }
    transfer->sent += length;
    return length;
}

static atomic_ullong requests, retries;

void transfer_count_try(struct transfer *transfer)
{
    atomic_fetch_add(&requests, 1);
    if (transfer->response->tries++ > 0)
        atomic_fetch_add(&retries, 1);
}

void http_totals(uint64_t *requests_made, uint64_t *retries_made)
{
    *requests_made = atomic_load(&requests);
    *retries_made = atomic_load(&retries);
}

/* curl goes back to the start, and sends all again, when a kept connection turns out to be dead. The server
 * may have done what it was told the first time: it counts as a try. */
static int seek_body(void *context, curl_off_t offset, int origin)
{
    struct transfer *transfer = context;

    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_CANTSEEK;
    transfer->sent = (uint64_t)offset;
    transfer_count_try(transfer);
    return CURL_SEEKFUNC_OK;
}

/* Keeps "name\0value\0", the name in lower case; a status line begins anew (100 Continue comes before the
 * answer). */
static size_t take_header(char *line, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    struct buffer *headers = &transfer->response->headers;
    size_t length = size * count, end = length;
    const char *colon = memchr(line, ':', length);

    if (length >= 5 && strncmp(line, "HTTP/", 5) == 0) {
        buffer_clear(headers);
        return length;
    }
    if (colon == NULL)
        return length;
    while (end > 0 && strchr(" \t\r\n", line[end - 1]) != NULL)
        end--;
    size_t name_end = (size_t)(colon - line), value = name_end + 1;
    while (value < end && (line[value] == ' ' || line[value] == '\t'))
        value++;
    for (size_t i = 0; i < name_end; i++)
        if (line[i] >= 'A' && line[i] <= 'Z')
            line[i] = (char)(line[i] + 'a' - 'A');
    if (buffer_append(headers, line, name_end) != 0 || buffer_append(headers, "", 1) != 0 ||
        (value < end && buffer_append(headers, line + value, end - value) != 0) ||
        buffer_append(headers, "", 1) != 0) {
        transfer->out_of_memory = true;
        return 0;
    }
    return length;
}

static int accept_answer(struct transfer *transfer)
{
    long status = 0;

    transfer->accepted = true;
    libcurl.easy_getinfo(transfer->http->curl, CURLINFO_RESPONSE_CODE, &status);
    transfer->response->status = (unsigned)status;
    transfer->response->answered = timestamp_now();
    if (transfer->call->accept != NULL &&
        transfer->call->accept(transfer->call->context, transfer->response, &transfer->sink) != 0) {
        transfer->stopped = true;
        return -1;
    }
    return 0;
}

static int collect(struct transfer *transfer, const void *data, size_t length)
{
    struct buffer *body = &transfer->response->body;

    if (length > HTTP_COLLECT_BYTES_MOST - body->length) {
        transfer->overlong = true;
        return -1;
    }
    if (buffer_append(body, data, length) != 0) {
        transfer->out_of_memory = true;
        return -1;
    }
    return 0;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t length = size * count;

    if (!transfer->accepted && accept_answer(transfer) != 0)
        return CURL_WRITEFUNC_ERROR;
    if (transfer->sink == NULL)
        return collect(transfer, data, length) == 0 ? length : CURL_WRITEFUNC_ERROR;
    int64_t began = monotonic_now();
    if (sink_write(transfer->sink, data, length) != 0) {
        transfer->stopped = true;
        return CURL_WRITEFUNC_ERROR;
    }
    transfer->counted_from += monotonic_now() - began; /* a slow disk is not the store's fault */
    transfer->uncounted += length;
    if (transfer->call->counts_from_progress && transfer->uncounted >= PROGRESS_BYTES) {
        transfer->uncounted = 0;
        transfer->counted_from = monotonic_now();
        transfer->progressed = true;
    }
    return length;
}

/* Called at least once a second: the limit holds in every phase, name look-up and handshake too. */
static int look_at_clock(void *context, curl_off_t download_total, curl_off_t downloaded,
                         curl_off_t upload_total, curl_off_t uploaded)
{
    struct transfer *transfer = context;

    (void)download_total;
    (void)downloaded;
    (void)upload_total;
    (void)uploaded;
    if (transfer_time_left(transfer) > 0)
        return 0;
    transfer->out_of_time = true;
    return 1;
}

/* The handle */

static const struct library_function curl_functions[] = {
    {"curl_easy_init", &libcurl.easy_init},
    {"curl_easy_cleanup", &libcurl.easy_cleanup},
    {"curl_easy_setopt", &libcurl.easy_setopt},
    {"curl_easy_getinfo", &libcurl.easy_getinfo},
    {"curl_easy_perform", &libcurl.easy_perform},
    {"curl_easy_strerror", &libcurl.easy_strerror},
    {"curl_global_init", &libcurl.global_init},
    {"curl_slist_append", &libcurl.slist_append},
    {"curl_slist_free_all", &libcurl.slist_free_all},
    {"curl_version_info", &libcurl.version_info},
    {"curl_getdate", &libcurl.getdate},
};

static int begin_curl(void)
{
    if (libcurl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        return 0;
    log_error("could not begin with libcurl %s", libcurl.version_info(CURLVERSION_NOW)->version);
    return -1;
}

static struct library curl_library = {
    .soname = "libcurl.so.4",
    .package = "libcurl4",
    .functions = curl_functions,
    .count = sizeof curl_functions / sizeof *curl_functions,
    .begin = begin_curl,
};

static bool set_options(struct http *http, const struct http_settings *settings)
{
    CURL *curl = http->curl;
    bool good = true;

#define SET(option, value) (good = good && libcurl.easy_setopt(curl, option, value) == CURLE_OK)
    SET(CURLOPT_ERRORBUFFER, http->error);
    SET(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* a name server that is silent must not outlast the limit */
#endif
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L); /* what is signed is what is sent */
    SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, settings->tls_verify ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, settings->tls_verify ? 2L : 0L);
    if (settings->ca_file != NULL) {
        SET(CURLOPT_CAINFO, settings->ca_file);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (settings->proxy != NULL)
        SET(CURLOPT_PROXY, settings->proxy);
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* signatures and tokens are no business of a proxy */
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_BUFFERSIZE, TRANSFER_BUFFER_BYTES);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BUFFER_BYTES);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, (long)settings->stall_timeout_seconds);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, look_at_clock);
    SET(CURLOPT_READFUNCTION, read_body);
    SET(CURLOPT_SEEKFUNCTION, seek_body);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_WRITEFUNCTION, take_body);
#undef SET
    return good;
}

struct http *http_open(const struct http_settings *settings)
{
    struct http *http;

    if (library_need(&curl_library) != 0)
        return NULL;
    http = calloc(1, sizeof *http);
    if (http == NULL) {
        log_out_of_memory();
        return NULL;
    }
    http->curl = libcurl.easy_init();
    http->connect_timeout_seconds = settings->connect_timeout_seconds;
    if (http->curl == NULL || !set_options(http, settings)) {
        log_error("could not set up libcurl %s: it lacks TLS or an option that is needed",
                  libcurl.version_info(CURLVERSION_NOW)->version);
        http_close(http);
        return NULL;
    }
    return http;
}

void http_close(struct http *http)
{
    if (http == NULL)
        return;
    if (http->curl != NULL)
        libcurl.easy_cleanup(http->curl);
    free(http);
}

bool http_parse_date(const char *text, int64_t *value)
{
    time_t seconds = library_need(&curl_library) == 0 ? libcurl.getdate(text, NULL) : -1;

    if (seconds <= 0 || seconds > DATE_SECONDS_MOST)
        return false;
    *value = (int64_t)seconds * 1000000;
    return true;
}

/* One try */

/* Certificates do not become good by waiting; nor does what this side got wrong. */
static bool is_hopeless(CURLcode code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return true;
    default:
        return false;
    }
}

/* The lines of headers as curl wants them. NULL when out of memory, logged. */
static struct curl_slist *header_list(struct buffer *headers)
{
    /* a name without a value takes away what curl would send by itself */
    static const char *const unwanted[] = {"Expect:", "Accept:"};
    struct curl_slist *list = NULL, *longer;
    char *rest = (char *)headers->data, *line;

    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++) {
        longer = libcurl.slist_append(list, unwanted[i]);
        if (longer == NULL)
            goto failed;
        list = longer;
    }
    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        if (*line == '\0')
            continue;
        longer = libcurl.slist_append(list, line);
        if (longer == NULL)
            goto failed;
        list = longer;
    }
    return list;
failed:
    libcurl.slist_free_all(list);
    log_out_of_memory();
    return NULL;
}

static void free_header_list(struct curl_slist *list)
{
    for (struct curl_slist *item = list; item != NULL; item = item->next)
        explicit_bzero(item->data, strlen(item->data));
    libcurl.slist_free_all(list);
}

static void set_method(CURL *curl, const struct http_request *request)
{
    libcurl.easy_setopt(curl, CURLOPT_HTTPGET, 1L); /* forgets the try before */
    libcurl.easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
    if (request->body != NULL) {
        libcurl.easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        libcurl.easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body->length);
    }
    if (strcmp(request->method, "HEAD") == 0)
        libcurl.easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        libcurl.easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

/* A write to a connection that the server closed must not end the program; nor is it for a library to change
 * the process's disposition: the signal is held back in this thread while curl works. */
static CURLcode perform_without_sigpipe(CURL *curl)
{
    sigset_t pipe_signal, pending, before;
    const struct timespec at_once = {0, 0};
    CURLcode code;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigemptyset(&pending);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    code = libcurl.easy_perform(curl);
    if (sigismember(&pending, SIGPIPE) != 1) {
        while (sigtimedwait(&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

/* curl shows such an address as it is, the password with it. */
static bool is_of_proxy_address(const struct http *http)
{
    return strstr(http->error, "Unsupported proxy") != NULL || strchr(http->error, '@') != NULL;
}

/* As OpenSSL says that the other side speaks no version that we take, or takes none that we speak. */
static bool is_old_tls(const struct http *http, CURLcode code)
{
    return code == CURLE_SSL_CONNECT_ERROR && (strstr(http->error, "alert protocol version") != NULL ||
                                               strstr(http->error, "unsupported protocol") != NULL);
}

static void describe_failure(struct transfer *transfer, CURLcode code)
{
    struct http *http = transfer->http;
    struct http_response *response = transfer->response;
    const char *earlier = transfer->earlier_cause;

    response->cut = true;
    response->untrusted = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
    if (transfer->overlong)
        snprintf(response->cause, sizeof response->cause, "the answer is longer than %u bytes",
                 HTTP_COLLECT_BYTES_MOST);
    else if (is_of_proxy_address(http))
        snprintf(response->cause, sizeof response->cause,
                 "the proxy's address is not understood; it must be http[s]://[USER:PASSWORD@]HOST[:PORT], "
                 "with %%XX for what is neither a letter nor a digit in USER and PASSWORD");
    else if (transfer->out_of_time || (code == CURLE_OPERATION_TIMEDOUT && transfer_time_left(transfer) <= 0))
        snprintf(response->cause, sizeof response->cause, "no answer within the time limit%s%s%s",
                 *earlier != '\0' ? " (the try before: " : "", earlier, *earlier != '\0' ? ")" : "");
    else
        snprintf(response->cause, sizeof response->cause, "%s%s",
                 http->error[0] != '\0' ? http->error : libcurl.easy_strerror(code),
                 is_old_tls(http, code) ? ": it does not speak TLS 1.2 or newer, and nothing older is used"
                                        : "");
}

enum http_result transfer_try(struct transfer *transfer, struct http_request *request,
                              enum http_verdict *verdict)
{
    struct http *http = transfer->http;
    struct curl_slist *headers = header_list(&request->headers);
    int64_t left = transfer_time_left(transfer) / 1000 + 1;
    long connect = (long)http->connect_timeout_seconds * 1000;
    CURLcode code;

    if (headers == NULL)
        return HTTP_FAILED;
    set_method(http->curl, request);
    libcurl.easy_setopt(http->curl, CURLOPT_URL, buffer_string(&request->url));
    libcurl.easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    libcurl.easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT_MS, connect < left ? connect : (long)left);
    libcurl.easy_setopt(http->curl, CURLOPT_TIMEOUT_MS,
                        transfer->call->counts_from_progress ? 0L : (long)left);
    libcurl.easy_setopt(http->curl, CURLOPT_READDATA, transfer);
    libcurl.easy_setopt(http->curl, CURLOPT_SEEKDATA, transfer);
    libcurl.easy_setopt(http->curl, CURLOPT_HEADERDATA, transfer);
    libcurl.easy_setopt(http->curl, CURLOPT_WRITEDATA, transfer);
    libcurl.easy_setopt(http->curl, CURLOPT_XFERINFODATA, transfer);
    http->error[0] = '\0';
    code = perform_without_sigpipe(http->curl);
    libcurl.easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    free_header_list(headers);
    if (code == CURLE_OK && !transfer->accepted)
        accept_answer(transfer);
    if (transfer->stopped)
        return HTTP_STOPPED;
    if (transfer->unreadable || transfer->out_of_memory)
        return HTTP_FAILED;
    if (code != CURLE_OK) {
        describe_failure(transfer, code);
        *verdict =
            is_hopeless(code) || is_old_tls(http, code) || transfer->overlong || is_of_proxy_address(http)
                ? HTTP_DONE
                : HTTP_RETRY;
        return HTTP_GAVE_UP;
    }
    *verdict = transfer->call->classify(transfer->call->context, transfer->response);
    return HTTP_ANSWERED;
}
