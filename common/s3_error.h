/* What an answer of an S3 store means, and what is to be done about it. Layer 1. Pure.
 * Source: Amazon S3 API Reference, "Error responses"; docs/stores.md for the stores that differ. */
#ifndef WALFERRY_S3_ERROR_H
#define WALFERRY_S3_ERROR_H

#include "http.h"

/* An error document, or what the headers tell in its place. */
struct s3_error {
    char code[64];        /* "NoSuchKey"; "" when the answer is no error document */
    char message[256];    /* the store's words, made fit for a log */
    char request_id[128]; /* "" if none was named */
    char region[64];      /* the bucket's, if the answer names it; else "" */
};

/* Reads status, body and headers. What is not there stays "". */
void s3_error_read(const struct http_response *response, struct s3_error *error);

enum s3_action {
    S3_ACTION_NONE,        /* it is the answer */
    S3_ACTION_RETRY,       /* after a pause */
    S3_ACTION_CLOCK,       /* once, with the server's Date */
    S3_ACTION_CREDENTIALS, /* once, with fresh credentials */
    S3_ACTION_REGION,      /* once, signed for the region that the answer names */
    S3_ACTION_REDIRECT,    /* at the Location, signed for it */
};
/* region: the one the request was signed for. An answer of 200 with an error document is judged by its code.
 */
enum s3_action s3_error_action(const struct http_response *response, const struct s3_error *error,
                               const char *region);

/* Does another try, later, better an error of this code? Also of one key among many. */
bool s3_error_is_passing(const char *code);

/* AWS's refusal of a body without a checksum header, in a bucket with object lock and a default retention. */
bool s3_error_wants_checksum(const struct s3_error *error);

/* The refusal to read or write an object without the customer's key that it was stored with (SSE-C). */
bool s3_error_is_of_customer_key(const struct s3_error *error);

/* The store could not get the key of SSE-KMS: there is none of that id, or the caller has no right to it. */
bool s3_error_is_of_kms(const struct s3_error *error);

/* A refusal for what the settings add to a request: encryption, storage class, tags, lock. */
bool s3_error_is_of_settings(const struct s3_error *error);

/* True for 2xx without an error document in the body. */
bool s3_error_is_none(const struct http_response *response, const struct s3_error *error);

#endif
