/* AWS Signature Version 4 in the Authorization header. Layer 1. Pure: the time is a parameter.
 * Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header". */
#ifndef WALFERRY_S3_SIGN_H
#define WALFERRY_S3_SIGN_H

#include "buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define S3_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define S3_HEADERS_MOST 40
#define S3_QUERY_MOST 8

/* A header (name in lower case, value without blanks at its ends) or a query parameter (both plain). */
struct s3_field {
    const char *name;
    const char *value;
};

struct s3_signing {
    const char *method;
    const char *host;               /* as in the Host header: with the port unless it is the scheme's own */
    const char *path;               /* encoded by s3_encode: exactly what is sent */
    const char *query;              /* made by s3_encode_query, "" if none: exactly what is sent */
    const struct s3_field *headers; /* further ones to send and sign; at most S3_HEADERS_MOST - 4 */
    size_t header_count;
    const char *payload_sha256; /* 64 hex digits */
    const char *access_key;
    const char *secret_key;
    const char *session_token; /* NULL: none */
    const char *region;
    const char *service; /* NULL: "s3" */
    int64_t time;        /* timestamp.h */
};

/* Percent-encodes everything but letters, digits and -._~ (and the slash, if kept), once. Appends. 0, or -1
 * after logging. */
int s3_encode(struct buffer *out, const char *text, bool keep_slash);
/* "a=1&b=x%20y": encoded, sorted by name, then value; at most S3_QUERY_MOST. Appends. 0, or -1 after logging.
 */
int s3_encode_query(struct buffer *out, const struct s3_field *fields, size_t count);

/* Appends every header of the signed request to lines, "name: value\n" each: host, x-amz-date,
 * x-amz-content-sha256, x-amz-security-token, the given ones, authorization. Holds secrets: buffer_wipe. 0,
 * or -1 after logging. */
int s3_sign(const struct s3_signing *signing, struct buffer *lines);

#endif
