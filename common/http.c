#include "http.h"

#include "digest.h"
#include "http_transfer.h"
#include "log.h"
#include "timestamp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PAUSE_FIRST_MICROSECONDS 100000
#define PAUSE_MOST_MICROSECONDS 5000000
#define AT_ONCE_MOST 8

/* The loop */

static enum http_result prepare_and_try(struct transfer *transfer, enum http_verdict *verdict)
{
    struct http_response *response = transfer->response;
    struct http_request request = {"GET", BUFFER_EMPTY, BUFFER_EMPTY, NULL};
    enum http_result result = HTTP_FAILED;

    snprintf(transfer->earlier_cause, sizeof transfer->earlier_cause, "%.*s",
             (int)sizeof transfer->earlier_cause - 1, response->tries > 0 ? response->cause : "");
    response->status = 0;
    buffer_clear(&response->headers);
    buffer_clear(&response->body);
    response->cause[0] = '\0';
    response->cut = response->untrusted = false;
    transfer->accepted = transfer->out_of_time = false;
    transfer->sink = NULL;
    transfer->sent = 0;
    if (transfer->call->prepare(transfer->call->context, &request, response->tries) == 0) {
        transfer->body = request.body;
        transfer_count_try(transfer);
        result = transfer_try(transfer, &request, verdict);
    }
    buffer_free(&request.url);
    buffer_wipe(&request.headers);
    return result;
}

/* Anything from nothing to the whole of what the number of failures allows: a crowd that failed together
 * comes back spread. */
static int64_t pause_length(unsigned failures)
{
    int64_t most = PAUSE_FIRST_MICROSECONDS;
    uint32_t random = 0x80000000u;

    while (failures-- > 1 && most < PAUSE_MOST_MICROSECONDS)
        most *= 2;
    if (most > PAUSE_MOST_MICROSECONDS)
        most = PAUSE_MOST_MICROSECONDS;
    random_bytes(&random, sizeof random);
    return (int64_t)(((uint64_t)most * random) >> 32);
}

static void sleep_microseconds(int64_t microseconds)
{
    struct timespec rest = {microseconds / 1000000, microseconds % 1000000 * 1000};

    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

enum http_result http_perform(struct http *http, const struct http_call *call,
                              const struct http_limits *limits, struct http_response *response)
{
    struct transfer transfer = {.http = http,
                                .call = call,
                                .response = response,
                                .counted_from = monotonic_now(),
                                .operation_microseconds = limits->operation_microseconds,
                                .deadline = limits->deadline};
    unsigned failures = 0, at_once = 0;
    bool last_try = false;
    enum http_result result;

    http_response_free(response);
    response->began = monotonic_now();
    response->cut = true;
    snprintf(response->cause, sizeof response->cause, "the time limit had passed before it could be tried");
    while (transfer_time_left(&transfer) > 0) {
        enum http_verdict verdict = HTTP_DONE;

        result = prepare_and_try(&transfer, &verdict);
        response->ended = monotonic_now();
        if (result == HTTP_STOPPED || result == HTTP_FAILED || verdict == HTTP_DONE)
            return result;
        if (verdict == HTTP_RETRY_AT_ONCE && at_once++ < AT_ONCE_MOST)
            continue;
        if (transfer.progressed)
            failures = 0;
        transfer.progressed = false;
        int64_t pause = pause_length(++failures), left = transfer_time_left(&transfer);
        if (last_try || left <= 0 || call->is_tried_once)
            break;
        last_try = pause >= left;
        if (last_try)
            pause = left / 2;
        log_debug("could not %s \"%s\": %s; trying again in %.2f s", call->verb, call->object,
                  response->cause, (double)pause / 1000000);
        sleep_microseconds(pause);
    }
    response->ended = monotonic_now();
    return HTTP_GAVE_UP;
}

/* Answers */

void http_response_free(struct http_response *response)
{
    if (response == NULL)
        return;
    buffer_free(&response->headers);
    buffer_wipe(&response->body); /* temporary credentials come in one, too */
    *response = (struct http_response){.status = 0};
}

const char *http_header(const struct http_response *response, const char *name)
{
    const char *next = buffer_string(&response->headers), *end = next + response->headers.length;

    while (next < end) {
        const char *value = next + strlen(next) + 1;

        if (strcmp(next, name) == 0)
            return value;
        next = value + strlen(value) + 1;
    }
    return NULL;
}
