#include "s3_sign.h"

#include "digest.h"
#include "log.h"
#include "timestamp.h"

#include <stdlib.h>
#include <string.h>

int s3_encode(struct buffer *out, const char *text, bool keep_slash)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char hex[] = "0123456789ABCDEF";

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char escaped[3] = {'%', hex[byte >> 4], hex[byte & 15]};

        if (strchr(plain, *text) != NULL || (keep_slash && *text == '/')) {
            if (buffer_append(out, text, 1) != 0)
                return -1;
        } else if (buffer_append(out, escaped, 3) != 0) {
            return -1;
        }
    }
    return 0;
}

static int compare_strings(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Sorting is by name, then value, both encoded: until it is done they are joined by a byte below any that can
 * occur in them ("=" would put "a=1" behind "a-b=1"). */
int s3_encode_query(struct buffer *out, const struct s3_field *fields, size_t count)
{
    char *pairs[S3_QUERY_MOST];
    size_t made = 0;
    int result = -1;

    if (count > S3_QUERY_MOST) {
        log_error("a request with %zu query parameters cannot be signed", count);
        return -1;
    }
    for (; made < count; made++) {
        struct buffer pair = BUFFER_EMPTY;

        if (s3_encode(&pair, fields[made].name, false) != 0 || buffer_append_string(&pair, "\001") != 0 ||
            s3_encode(&pair, fields[made].value, false) != 0) {
            buffer_free(&pair);
            goto done;
        }
        pairs[made] = (char *)pair.data;
    }
    qsort(pairs, count, sizeof pairs[0], compare_strings);
    for (size_t i = 0; i < count; i++) {
        *strchr(pairs[i], '\001') = '=';
        if ((i > 0 && buffer_append_string(out, "&") != 0) || buffer_append_string(out, pairs[i]) != 0)
            goto done;
    }
    result = 0;
done:
    for (size_t i = 0; i < made; i++)
        free(pairs[i]);
    return result;
}

static int compare_fields(const void *left, const void *right)
{
    return strcmp(((const struct s3_field *)left)->name, ((const struct s3_field *)right)->name);
}

/* The canonical request, and on the way the list of signed headers, "host;x-amz-date;...". */
static int canonical_request(const struct s3_signing *signing, const struct s3_field *headers, size_t count,
                             struct buffer *canonical, struct buffer *signed_headers)
{
    if (buffer_printf(canonical, "%s\n%s\n%s\n", signing->method, signing->path, signing->query) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (buffer_printf(canonical, "%s:%s\n", headers[i].name, headers[i].value) != 0 ||
            buffer_printf(signed_headers, "%s%s", i > 0 ? ";" : "", headers[i].name) != 0)
            return -1;
    }
    return buffer_printf(canonical, "\n%s\n%s", buffer_string(signed_headers), signing->payload_sha256);
}

static const char *service_of(const struct s3_signing *signing)
{
    return signing->service != NULL ? signing->service : "s3";
}

/* The key of one day, region and service. */
static int signing_key(const struct s3_signing *signing, const char *day, unsigned char key[SHA256_BYTES])
{
    struct buffer secret = BUFFER_EMPTY;
    int result = -1;

    if (buffer_printf(&secret, "AWS4%s", signing->secret_key) == 0 &&
        hmac_sha256(secret.data, secret.length, day, strlen(day), key) == 0 &&
        hmac_sha256(key, SHA256_BYTES, signing->region, strlen(signing->region), key) == 0 &&
        hmac_sha256(key, SHA256_BYTES, service_of(signing), strlen(service_of(signing)), key) == 0 &&
        hmac_sha256(key, SHA256_BYTES, "aws4_request", 12, key) == 0)
        result = 0;
    buffer_wipe(&secret);
    return result;
}

/* Appends the authorization header. headers are sorted. */
static int authorize(const struct s3_signing *signing, const struct s3_field *headers, size_t count,
                     const char *date, struct buffer *lines)
{
    struct buffer canonical = BUFFER_EMPTY, signed_headers = BUFFER_EMPTY, text = BUFFER_EMPTY;
    unsigned char digest[SHA256_BYTES], key[SHA256_BYTES] = {0};
    char hex[SHA256_HEX_BYTES], day[9];
    int result = -1;

    memcpy(day, date, 8);
    day[8] = '\0';
    if (canonical_request(signing, headers, count, &canonical, &signed_headers) != 0 ||
        sha256_of(canonical.data, canonical.length, digest) != 0)
        goto done;
    hex_encode(digest, sizeof digest, hex);
    if (buffer_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", date, day, signing->region,
                      service_of(signing), hex) != 0 ||
        signing_key(signing, day, key) != 0 ||
        hmac_sha256(key, sizeof key, text.data, text.length, digest) != 0)
        goto done;
    hex_encode(digest, sizeof digest, hex);
    result = buffer_printf(lines,
                           "authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request,"
                           "SignedHeaders=%s,Signature=%s\n",
                           signing->access_key, day, signing->region, service_of(signing),
                           buffer_string(&signed_headers), hex);
done:
    explicit_bzero(key, sizeof key);
    buffer_wipe(&canonical); /* holds the session token */
    buffer_free(&signed_headers);
    buffer_free(&text);
    return result;
}

int s3_sign(const struct s3_signing *signing, struct buffer *lines)
{
    struct s3_field headers[S3_HEADERS_MOST];
    char date[TIMESTAMP_TEXT_BYTES];
    size_t count = 0;

    if (signing->header_count > S3_HEADERS_MOST - 4) {
        log_error("a request with %zu headers cannot be signed", signing->header_count);
        return -1;
    }
    timestamp_format_compact(signing->time, date);
    headers[count++] = (struct s3_field){"host", signing->host};
    headers[count++] = (struct s3_field){"x-amz-content-sha256", signing->payload_sha256};
    headers[count++] = (struct s3_field){"x-amz-date", date};
    if (signing->session_token != NULL)
        headers[count++] = (struct s3_field){"x-amz-security-token", signing->session_token};
    for (size_t i = 0; i < signing->header_count; i++)
        headers[count++] = signing->headers[i];
    qsort(headers, count, sizeof headers[0], compare_fields);
    for (size_t i = 0; i < count; i++) {
        if (buffer_printf(lines, "%s: %s\n", headers[i].name, headers[i].value) != 0)
            return -1;
    }
    return authorize(signing, headers, count, date, lines);
}
