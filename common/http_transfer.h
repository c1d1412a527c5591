/* One try of a call over libcurl: what http.c's loop is made of, and nobody else's. Layer 1; the only user of
 * libcurl. */
#ifndef WALFERRY_HTTP_TRANSFER_H
#define WALFERRY_HTTP_TRANSFER_H

#include "http.h"

/* One call; and, from sent on, its present try. */
struct transfer {
    struct http *http;
    const struct http_call *call;
    struct http_response *response;
    int64_t counted_from; /* the operation limit counts from here */
    int64_t operation_microseconds;
    int64_t deadline;
    uint64_t uncounted; /* bytes a sink took since counted_from was set */
    bool progressed;    /* since the last pause */

    const struct body *body;
    uint64_t sent;
    bool accepted; /* accept was called */
    const struct sink *sink;
    bool stopped;    /* by accept or the sink */
    bool unreadable; /* the body, logged */
    bool out_of_memory;
    bool overlong;           /* more to collect than is sensible */
    bool out_of_time;        /* cut by the limit */
    char earlier_cause[256]; /* of the try before: what a last, short one tells says little */
};

/* Until the limit or the deadline; not positive when there is none left. */
int64_t transfer_time_left(const struct transfer *transfer);
/* Sends request and takes the answer, into response, the sink, or both. *verdict is set with HTTP_ANSWERED,
 * and with HTTP_GAVE_UP, which here is a failure of the transport: HTTP_DONE when another try would not
 * better it. */
enum http_result transfer_try(struct transfer *transfer, struct http_request *request,
                              enum http_verdict *verdict);

/* One more try of this call. */
void transfer_count_try(struct transfer *transfer);

#endif
