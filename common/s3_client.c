#include "s3_client.h"

#include "credentials.h"
#include "digest.h"
#include "log.h"
#include "s3_hint.h"
#include "timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OPERATION_SECONDS_DEFAULT 60
#define REDIRECTS_MOST 4

struct s3_client {
    const struct repository_config *config;
    struct http *http;
    struct credentials credentials;
    struct http_limits limits;
    char region[64];
    char *origin;               /* "https://host[:port]" */
    char *host;                 /* of the Host header */
    char *root;                 /* path of the bucket, plain: "/bucket" or "" */
    int64_t clock_offset;       /* the server's clock less ours, once it complained */
    int64_t told_time, told_at; /* by the last answer, and when, monotonic; 0: by none */
    unsigned slow_downs;
};

/* --- the address
 * -------------------------------------------------------------------------------------------------- */

static bool uses_virtual_host(const struct repository_config *config)
{
    /* a wildcard certificate covers one level only: a bucket with a dot needs a path where the host is
     * Amazon's */
    if (config->endpoint == NULL && strchr(config->bucket, '.') != NULL)
        return false;
    return !config->path_style;
}

/* Sets origin, host and root for client->region. */
static int locate(struct s3_client *client)
{
    const struct repository_config *config = client->config;
    bool virtual_host = uses_virtual_host(config);
    const char *endpoint = config->endpoint, *scheme = "https://";
    char *authority, *origin = NULL, *host = NULL, *root = NULL;
    size_t length;

    if (endpoint != NULL) {
        scheme = strncasecmp(endpoint, "http://", 7) == 0 ? "http://" : "https://";
        authority = string_copy(endpoint + strlen(scheme));
    } else {
        authority = string_printf("s3.%s.amazonaws.com%s", client->region,
                                  strncmp(client->region, "cn-", 3) == 0 ? ".cn" : "");
    }
    if (authority == NULL)
        return -1;
    /* the scheme's own port does not stand in the Host header */
    const char *port = scheme[4] == 's' ? ":443" : ":80";
    length = strlen(authority);
    if (length > strlen(port) && strcmp(authority + length - strlen(port), port) == 0)
        authority[length - strlen(port)] = '\0';
    host = virtual_host ? string_printf("%s.%s", config->bucket, authority) : string_copy(authority);
    root = virtual_host ? string_copy("") : string_printf("/%s", config->bucket);
    origin = host != NULL ? string_printf("%s%s", scheme, host) : NULL;
    free(authority);
    if (origin == NULL || root == NULL) {
        free(origin);
        free(host);
        free(root);
        return -1;
    }
    free(client->origin);
    free(client->host);
    free(client->root);
    client->origin = origin;
    client->host = host;
    client->root = root;
    return 0;
}

static int set_region(struct s3_client *client)
{
    char *region = credentials_region(client->config);

    if (region == NULL)
        return -1;
    snprintf(client->region, sizeof client->region, "%s", region);
    free(region);
    return 0;
}

struct s3_client *s3_client_open(const struct repository_config *config)
{
    const struct http_settings settings = {config->ca_file, config->tls_verify,
                                           config->connect_timeout_seconds, config->request_timeout_seconds,
                                           config->proxy};
    struct s3_client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        log_out_of_memory();
        return NULL;
    }
    client->config = config;
    s3_client_set_limits(client, 0, 0);
    if (set_region(client) != 0)
        goto failed;
    if (config->endpoint != NULL && strpbrk(strstr(config->endpoint, "//") + 2, "/?#@") != NULL) {
        log_error("repository \"%s\": endpoint must be https://HOST[:PORT] without a path or a user",
                  config->name);
        goto failed;
    }
    if (credentials_find(config, &client->credentials) != 0 || locate(client) != 0)
        goto failed;
    client->http = http_open(&settings);
    if (client->http == NULL)
        goto failed;
    return client;
failed:
    s3_client_close(client);
    return NULL;
}

void s3_client_close(struct s3_client *client)
{
    if (client == NULL)
        return;
    http_close(client->http);
    credentials_wipe(&client->credentials);
    free(client->origin);
    free(client->host);
    free(client->root);
    free(client);
}

void s3_client_set_limits(struct s3_client *client, unsigned operation_seconds, int64_t deadline)
{
    if (operation_seconds == 0)
        operation_seconds = OPERATION_SECONDS_DEFAULT;
    client->limits = (struct http_limits){(int64_t)operation_seconds * 1000000, deadline};
}

const char *s3_client_credentials_source(const struct s3_client *client)
{
    return client->credentials.source;
}

const char *s3_client_address(const struct s3_client *client)
{
    return client->origin;
}

unsigned s3_client_slow_downs(const struct s3_client *client)
{
    return client->slow_downs;
}

int64_t s3_client_now(const struct s3_client *client)
{
    return client->told_at == 0 ? timestamp_now() : client->told_time + (monotonic_now() - client->told_at);
}

static void note_time(struct s3_client *client, const struct http_response *response)
{
    const char *date = http_header(response, "date");
    int64_t told;

    if (date == NULL || !http_parse_date(date, &told))
        return;
    client->told_time =
        told + 999999; /* it tells whole seconds: what was stored just now is not of the future */
    client->told_at = monotonic_now();
}

void s3_request_query(struct s3_request *request, const char *name, const char *value)
{
    request->query[request->query_count++] = (struct s3_field){name, value};
}

void s3_request_header(struct s3_request *request, const char *name, const char *value)
{
    request->headers[request->header_count++] = (struct s3_field){name, value};
}

/* --- one exchange: a request with all its tries
 * -------------------------------------------------------------------- */

struct exchange {
    struct s3_client *client;
    struct s3_request *request;
    struct s3_answer *answer;
    char *redirect_origin; /* of a 307: for this exchange only */
    char *redirect_path;   /* plain */
    unsigned redirects;
    bool clock_tried, credentials_tried, region_tried;
};

/* "/bucket/key", encoded, as it is signed and sent. */
static int build_path(const struct exchange *exchange, struct buffer *path)
{
    const struct s3_client *client = exchange->client;
    const char *key = exchange->request->key;

    if (exchange->redirect_path != NULL)
        return s3_encode(path, exchange->redirect_path, true);
    if (s3_encode(path, client->root, true) != 0)
        return -1;
    if (key == NULL)
        return client->root[0] == '\0' ? buffer_append_string(path, "/") : 0;
    return buffer_append_string(path, "/") != 0 || s3_encode(path, key, true) != 0 ? -1 : 0;
}

#define GENERAL_HEADERS_MOST (3 + S3_EXTRA_HEADERS_MOST)

/* The request's own, and those that the settings give to all. out has room. */
static size_t gather_headers(const struct repository_config *config, const struct s3_request *request,
                             struct s3_field *out)
{
    const struct s3_settings *s3 = &config->s3;
    size_t count = request->header_count;
    bool copies = false;

    for (size_t i = 0; i < count; i++) {
        out[i] = request->headers[i];
        copies = copies || strcmp(out[i].name, "x-amz-copy-source") == 0;
    }
    if (s3->requester_pays)
        out[count++] = (struct s3_field){"x-amz-request-payer", "requester"};
    if (s3->expected_bucket_owner != NULL)
        out[count++] = (struct s3_field){"x-amz-expected-bucket-owner", s3->expected_bucket_owner};
    if (s3->expected_bucket_owner != NULL && copies)
        out[count++] = (struct s3_field){"x-amz-source-expected-bucket-owner", s3->expected_bucket_owner};
    for (unsigned i = 0; i < s3->extra_count; i++)
        out[count++] = (struct s3_field){s3->extra[i].name, s3->extra[i].value};
    return count;
}

static int sign(const struct exchange *exchange, const struct buffer *path, const struct buffer *query,
                struct buffer *headers)
{
    const struct s3_client *client = exchange->client;
    const struct s3_request *request = exchange->request;
    char payload[SHA256_HEX_BYTES] = S3_EMPTY_SHA256;
    const char *origin = exchange->redirect_origin;

    struct s3_field headers_sent[S3_REQUEST_HEADERS_MOST + GENERAL_HEADERS_MOST];
    size_t count = gather_headers(client->config, request, headers_sent);

    if (request->body != NULL)
        hex_encode(request->body->sha256, SHA256_BYTES, payload);
    const struct s3_signing signing = {
        .method = request->method,
        .host = origin != NULL ? strstr(origin, "//") + 2 : client->host,
        .path = buffer_string(path),
        .query = buffer_string(query),
        .headers = headers_sent,
        .header_count = count,
        .payload_sha256 = payload,
        .access_key = client->credentials.access_key,
        .secret_key = client->credentials.secret_key,
        .session_token = client->credentials.session_token,
        .region = client->region,
        .time = timestamp_now() + client->clock_offset,
    };
    return s3_sign(&signing, headers);
}

/* Signs anew for every try: the time, the region, the keys or the host may be others by now. */
static int prepare(void *context, struct http_request *http_request, unsigned tries)
{
    struct exchange *exchange = context;
    struct s3_request *request = exchange->request;
    const char *origin =
        exchange->redirect_origin != NULL ? exchange->redirect_origin : exchange->client->origin;
    struct buffer path = BUFFER_EMPTY, query = BUFFER_EMPTY;
    int result = -1;

    if (credentials_keep_fresh(exchange->client->config, &exchange->client->credentials) != 0)
        return -1;
    if (tries > 0 && request->revise != NULL && request->revise(request->context, request) != 0)
        return -1;
    http_request->method = request->method;
    http_request->body = request->body;
    if (build_path(exchange, &path) == 0 &&
        s3_encode_query(&query, request->query, request->query_count) == 0 &&
        buffer_printf(&http_request->url, "%s%s%s%s", origin, buffer_string(&path),
                      query.length > 0 ? "?" : "", buffer_string(&query)) == 0 &&
        sign(exchange, &path, &query, &http_request->headers) == 0)
        result = buffer_append_string(&http_request->headers, "user-agent: walferry\n");
    buffer_free(&path);
    buffer_free(&query);
    return result;
}

static int accept_answer(void *context, const struct http_response *response, const struct sink **sink)
{
    struct exchange *exchange = context;
    const struct s3_request *request = exchange->request;

    if (request->accept == NULL || (response->status != 200 && response->status != 206))
        return 0;
    return request->accept(request->context, response, sink);
}

/* The server's clock is what signatures are checked by. */
static bool adopt_clock(struct exchange *exchange)
{
    struct s3_client *client = exchange->client;
    const struct http_response *response = &exchange->answer->response;
    const char *date = http_header(response, "date");
    int64_t theirs;

    if (exchange->clock_tried || date == NULL || !http_parse_date(date, &theirs))
        return false;
    exchange->clock_tried = true;
    client->clock_offset = theirs - response->answered;
    log_warning("the clock of this machine and that of %s are %lld s apart; signing with the server's time",
                client->origin, (long long)llabs(client->clock_offset / 1000000));
    return true;
}

static bool adopt_region(struct exchange *exchange)
{
    struct s3_client *client = exchange->client;
    const char *region = exchange->answer->error.region;

    /* it becomes part of a host name */
    if (exchange->region_tried || strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region))
        return false;
    exchange->region_tried = true;
    log_warning("bucket \"%s\" is in region \"%s\", not \"%s\"", client->config->bucket, region,
                client->region);
    log_hint("Set region = %s in section [repository %s]: it saves a request each time.", region,
             client->config->name);
    snprintf(client->region, sizeof client->region, "%s", region);
    return locate(client) == 0;
}

/* The path of a URL without its percent-encoding; it is encoded again, the way it is signed. */
static char *decode_path(const char *path, size_t length)
{
    char *plain = malloc(length + 1), *out = plain;
    unsigned char byte;

    if (plain == NULL) {
        log_out_of_memory();
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        char digits[3] = "";

        if (path[i] == '%' && length - i > 2)
            memcpy(digits, path + i + 1, 2);
        if (digits[0] != '\0' && hex_decode(digits, &byte, 1) && byte != 0) {
            *out++ = (char)byte;
            i += 2;
        } else {
            *out++ = path[i];
        }
    }
    *out = '\0';
    return plain;
}

static bool adopt_redirect(struct exchange *exchange)
{
    const char *location = http_header(&exchange->answer->response, "location");
    const char *scheme_end = location != NULL ? strstr(location, "://") : NULL;
    size_t origin_length, path_length;

    /* never from https down to http, nor anywhere but to the same scheme */
    if (scheme_end == NULL || exchange->redirects >= REDIRECTS_MOST ||
        strncasecmp(location, exchange->client->origin, (size_t)(scheme_end - location) + 3) != 0)
        return false;
    origin_length = (size_t)(scheme_end - location) + 3 + strcspn(scheme_end + 3, "/?#");
    path_length = strcspn(location + origin_length, "?#");
    if (memchr(location, '@', origin_length) != NULL)
        return false;
    free(exchange->redirect_origin);
    free(exchange->redirect_path);
    exchange->redirect_origin = string_printf("%.*s", (int)origin_length, location);
    exchange->redirect_path =
        path_length > 0 ? decode_path(location + origin_length, path_length) : string_copy("/");
    exchange->redirects++;
    log_debug("\"%s\" is to be asked at %s for now", exchange->request->object,
              exchange->redirect_origin != NULL ? exchange->redirect_origin : "");
    return exchange->redirect_origin != NULL && exchange->redirect_path != NULL;
}

static bool adopt_credentials(struct exchange *exchange)
{
    if (exchange->credentials_tried)
        return false;
    exchange->credentials_tried = true;
    return credentials_renew(exchange->client->config, &exchange->client->credentials) == 0;
}

static void describe_error(const struct s3_error *error, struct http_response *response)
{
    snprintf(response->cause, sizeof response->cause, "HTTP %u%s%s%s%s", response->status,
             error->code[0] != '\0' ? " " : "", error->code, error->message[0] != '\0' ? ": " : "",
             error->message);
}

static enum http_verdict classify(void *context, struct http_response *response)
{
    struct exchange *exchange = context;
    struct s3_error *error = &exchange->answer->error;
    bool adopted = false;

    note_time(exchange->client, response);
    s3_error_read(response, error);
    if (s3_error_is_none(response, error))
        return HTTP_DONE;
    describe_error(error, response);
    switch (s3_error_action(response, error, exchange->client->region)) {
    case S3_ACTION_NONE:
        return HTTP_DONE;
    case S3_ACTION_RETRY:
        if (response->status == 503 || response->status == 429 || strcmp(error->code, "SlowDown") == 0)
            exchange->client->slow_downs++;
        return HTTP_RETRY;
    case S3_ACTION_CLOCK:
        adopted = adopt_clock(exchange);
        break;
    case S3_ACTION_CREDENTIALS:
        adopted = adopt_credentials(exchange);
        break;
    case S3_ACTION_REGION:
        adopted = adopt_region(exchange);
        break;
    case S3_ACTION_REDIRECT:
        adopted = adopt_redirect(exchange);
        break;
    }
    return adopted ? HTTP_RETRY_AT_ONCE : HTTP_DONE;
}

enum s3_result s3_perform(struct s3_client *client, struct s3_request *request, struct s3_answer *answer)
{
    struct exchange exchange = {.client = client, .request = request, .answer = answer};
    const struct http_call call = {.verb = request->verb,
                                   .object = request->object,
                                   .prepare = prepare,
                                   .accept = accept_answer,
                                   .classify = classify,
                                   .context = &exchange,
                                   .counts_from_progress = request->resumes};
    enum s3_result result = S3_REFUSED;

    s3_answer_free(answer);
    switch (http_perform(client->http, &call, &client->limits, &answer->response)) {
    case HTTP_ANSWERED:
        if (s3_error_is_none(&answer->response, &answer->error))
            result = S3_SUCCEEDED;
        break;
    case HTTP_GAVE_UP:
        if (answer->response.cut) /* what an earlier try was told is no cause of this one */
            answer->error = (struct s3_error){.code = ""};
        break;
    case HTTP_STOPPED:
        result = S3_STOPPED;
        break;
    case HTTP_FAILED:
        result = S3_FAILED;
        break;
    }
    free(exchange.redirect_origin);
    free(exchange.redirect_path);
    return result;
}

void s3_answer_free(struct s3_answer *answer)
{
    if (answer == NULL)
        return;
    http_response_free(&answer->response);
    answer->error = (struct s3_error){.code = ""};
}

bool s3_answer_is(const struct s3_answer *answer, unsigned status, const char *code)
{
    return !answer->response.cut && (status == 0 || answer->response.status == status) &&
           strcmp(answer->error.code, code) == 0;
}

/* --- messages
 * ----------------------------------------------------------------------------------------------------- */

void s3_report(const struct s3_client *client, const struct s3_request *request,
               const struct s3_answer *answer, const char *hint_text)
{
    const struct http_response *response = &answer->response;
    const char *request_id = answer->error.request_id;
    char cause[sizeof response->cause], details[sizeof answer->error.request_id + 64] = "";

    snprintf(cause, sizeof cause, "%s", response->cause);
    if (cause[0] == '\0')
        snprintf(cause, sizeof cause, "HTTP %u, but not as an S3 store says it", response->status);
    if (request_id[0] != '\0')
        snprintf(details, sizeof details, " (request %s)", request_id);
    if (response->tries > 1)
        snprintf(details, sizeof details, " (%s%s%s%u tries in %.1f s)",
                 request_id[0] != '\0' ? "request " : "", request_id, request_id[0] != '\0' ? "; " : "",
                 response->tries, (double)(response->ended - response->began) / 1e6);
    log_error("could not %s \"%s\": %s%s", request->verb, request->object, cause, details);
    if (hint_text != NULL)
        log_hint("%s", hint_text);
    else
        s3_hint(client->config, request, answer, client->origin, client->credentials.source);
}
