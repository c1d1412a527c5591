/* HTTP through one function: prepare, send, classify, back off, try again. Layer 1.
 *
 * TLS 1.2 or newer, verified. No redirect is followed here, no "Expect: 100-continue" is sent (a server that
 * answers before the body leaves the connection hanging: seen with Ceph). A proxy is the one of the settings,
 * else that of https_proxy or http_proxy, each unless no_proxy names the host, as by curl; it is sent none of
 * the request's headers. */
#ifndef WALFERRY_HTTP_H
#define WALFERRY_HTTP_H

#include "buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_COLLECT_BYTES_MOST (8u * 1024 * 1024)

struct http_settings {
    const char *ca_file; /* NULL: the system's; else no other one is trusted */
    bool tls_verify;
    unsigned connect_timeout_seconds;
    unsigned stall_timeout_seconds; /* without a byte moving */
    const char *proxy; /* http[s]://[USER:PASSWORD@]HOST[:PORT]; NULL: the environment's; "": none */
};

/* One thread's connections, kept open between calls. */
struct http;
struct http *http_open(const struct http_settings *settings); /* NULL after logging */
void http_close(struct http *http);                           /* NULL-safe */

/* One try, filled anew by prepare for each. */
struct http_request {
    const char *method; /* borrowed */
    struct buffer url;
    struct buffer headers;   /* "name: value\n" each; wiped after the try */
    const struct body *body; /* borrowed; NULL: none */
};

struct http_response {
    unsigned status;       /* 0: no answer was had */
    struct buffer headers; /* read with http_header */
    struct buffer body;    /* what did not go to a sink */
    char cause[512]; /* why the last try was no success, in words; written here for a transport failure, else
                        by classify */
    bool cut;        /* transport failure: the answer is missing or not whole */
    bool untrusted;  /* of the transport failures: the certificate or the CA file */
    unsigned tries;  /* so far */
    int64_t began, ended; /* monotonic, of the whole call */
    int64_t answered;     /* wall clock, when the last answer's header came; timestamp.h */
};
void http_response_free(struct http_response *response); /* NULL-safe; leaves it empty */
/* name in lower case; the first of that name; NULL when there is none. Borrowed. */
const char *http_header(const struct http_response *response, const char *name);
/* "Fri, 24 May 2013 00:00:00 GMT" as a timestamp; false when malformed. */
bool http_parse_date(const char *text, int64_t *value);

enum http_verdict {
    HTTP_DONE,          /* an answer, good or bad, that another try would not better */
    HTTP_RETRY,         /* after a pause */
    HTTP_RETRY_AT_ONCE, /* something was put right: other host, region, clock or key; at most eight times a
                           call */
};

struct http_call {
    const char *verb;   /* for debug messages: "put" ... */
    const char *object; /* ... "s3://b/k" */
    /* Fills request (empty on entry) for this try; tries counts those before it. 0, or -1 after logging. */
    int (*prepare)(void *context, struct http_request *request, unsigned tries);
    /* The header of an answer is there: *sink is where its body goes, left NULL to have it collected. May be
     * NULL. 0, or -1 after logging: stop. */
    int (*accept)(void *context, const struct http_response *response, const struct sink **sink);
    /* Called for whole answers only. */
    enum http_verdict (*classify)(void *context, struct http_response *response);
    void *context;
    /* The call's limit counts from the last 64 KiB that a sink took, not from the beginning: for a get, which
     * is resumed. */
    bool counts_from_progress;
    bool is_tried_once; /* whatever comes of it */
};

struct http_limits {
    int64_t operation_microseconds; /* the call with all its tries and pauses */
    int64_t deadline;               /* monotonic_now() beyond which nothing is tried; 0: none */
};

enum http_result {
    HTTP_ANSWERED, /* response holds the answer that classify called done */
    HTTP_GAVE_UP,  /* not logged: response tells of the last try. After HTTP_RETRY at the limit status is set,
                      too */
    HTTP_STOPPED,  /* accept or the sink said so */
    HTTP_FAILED,   /* logged: a failure on this side (prepare, reading the body, memory) */
};

/* response is emptied first; the caller frees it in any case. Pauses: full jitter, from 100 ms doubling to 5
 * s. */
enum http_result http_perform(struct http *http, const struct http_call *call,
                              const struct http_limits *limits, struct http_response *response);

/* Of this process so far: requests that were sent or begun, and how many of them were tries anew. */
void http_totals(uint64_t *requests, uint64_t *retries);

#endif
