/* Requests to one bucket: address, credentials, signature, and what an S3 error code asks for. Layer 2.
 * Used by the driver (store_s3*.c) and by repository-check, which wants to see the answers themselves. */
#ifndef WALFERRY_S3_CLIENT_H
#define WALFERRY_S3_CLIENT_H

#include "config.h"
#include "http.h"
#include "s3_error.h"
#include "s3_sign.h"

struct s3_client;

/* Finds the credentials; nothing is sent yet. config is borrowed. NULL after logging. */
struct s3_client *s3_client_open(const struct repository_config *config);
void s3_client_close(struct s3_client *client); /* NULL-safe */
/* operation_seconds 0: 60. */
void s3_client_set_limits(struct s3_client *client, unsigned operation_seconds, int64_t deadline);
/* Where the keys came from, and "https://host[:port]" as it is asked now; borrowed. */
const char *s3_client_credentials_source(const struct s3_client *client);
const char *s3_client_address(const struct s3_client *client);
/* The store's time: what the last answer told, and what has passed since. A timestamp; this machine's as long
 * as none told it. */
int64_t s3_client_now(const struct s3_client *client);
/* How many answers so far asked for fewer requests (503, 429, SlowDown). */
unsigned s3_client_slow_downs(const struct s3_client *client);

#define S3_REQUEST_HEADERS_MOST 20

/* All borrowed until s3_perform returns. */
struct s3_request {
    const char *verb;   /* for messages: "put" ... */
    const char *object; /* ... "s3://bucket/key" */
    const char *method;
    const char *key; /* whole key; NULL: the bucket itself */
    struct s3_field query[S3_QUERY_MOST];
    size_t query_count;
    struct s3_field headers[S3_REQUEST_HEADERS_MOST];
    size_t header_count;
    const struct body *body; /* NULL: none */
    /* Each may be NULL. revise: before each try but the first, may change query and headers. accept: see
     * http.h. It is only called for an answer with 200 or 206. */
    int (*revise)(void *context, struct s3_request *request);
    int (*accept)(void *context, const struct http_response *response, const struct sink **sink);
    void *context;
    bool resumes; /* a get whose limit counts from its last progress */
};
void s3_request_query(struct s3_request *request, const char *name, const char *value);
void s3_request_header(struct s3_request *request, const char *name, const char *value);

enum s3_result {
    S3_SUCCEEDED, /* 2xx, and no error document */
    S3_REFUSED,   /* any other answer, or none within the limits. Not logged: see s3_report */
    S3_STOPPED,   /* by accept or the sink, which logged it */
    S3_FAILED,    /* logged: could not be asked */
};

struct s3_answer {
    struct http_response response;
    struct s3_error error;
};
void s3_answer_free(struct s3_answer *answer); /* NULL-safe; leaves it empty */

/* answer is emptied first; the caller frees it in any case. Retries as docs/stores.md says. */
enum s3_result s3_perform(struct s3_client *client, struct s3_request *request, struct s3_answer *answer);

/* Logs 'could not VERB "OBJECT": cause' as an error, with the hint (NULL: the one that fits the cause). */
void s3_report(const struct s3_client *client, const struct s3_request *request,
               const struct s3_answer *answer, const char *hint);
/* Is the answer an error with this status and code? status 0: any. */
bool s3_answer_is(const struct s3_answer *answer, unsigned status, const char *code);

#endif
