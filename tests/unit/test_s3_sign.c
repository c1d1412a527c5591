/* Signatures against the examples in AWS's documentation ("Signature Calculations for the Authorization
 * Header: Transferring Payload in a Single Chunk"), with their fixed time. */
#include "common/log.h"
#include "common/s3_sign.h"
#include "common/timestamp.h"
#include "unit.h"

#include <stdlib.h>

#define WELCOME_SHA256 "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

struct vector {
    const char *method, *path;
    struct s3_field query[3];
    size_t query_count;
    struct s3_field headers[2];
    size_t header_count;
    const char *payload, *signed_headers, *signature;
};

static const struct vector vectors[] = {
    {"GET",
     "/test.txt",
     {{0}},
     0,
     {{"range", "bytes=0-9"}},
     1,
     S3_EMPTY_SHA256,
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT",
     "/test$file.text",
     {{0}},
     0,
     {{"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"date", "Fri, 24 May 2013 00:00:00 GMT"}},
     2,
     WELCOME_SHA256,
     "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET",
     "/",
     {{"lifecycle", ""}},
     1,
     {{0}},
     0,
     S3_EMPTY_SHA256,
     "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET",
     "/",
     {{"prefix", "J"}, {"max-keys", "2"}},
     2,
     {{0}},
     0,
     S3_EMPTY_SHA256,
     "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static int64_t example_time(void)
{
    int64_t time = 0;

    CHECK(timestamp_parse("2013-05-24 00:00:00+00", &time) == TIMESTAMP_OK);
    return time;
}

static void sign(const struct vector *vector, const char *token, struct buffer *lines)
{
    struct buffer path = BUFFER_EMPTY, query = BUFFER_EMPTY;
    struct s3_signing signing = {.method = vector->method,
                                 .host = "examplebucket.s3.amazonaws.com",
                                 .headers = vector->headers,
                                 .header_count = vector->header_count,
                                 .payload_sha256 = vector->payload,
                                 .access_key = "AKIAIOSFODNN7EXAMPLE",
                                 .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                 .session_token = token,
                                 .region = "us-east-1",
                                 .time = example_time()};

    CHECK(s3_encode(&path, vector->path, true) == 0);
    CHECK(s3_encode_query(&query, vector->query, vector->query_count) == 0);
    signing.path = buffer_string(&path);
    signing.query = buffer_string(&query);
    CHECK(s3_sign(&signing, lines) == 0);
    buffer_free(&path);
    buffer_free(&query);
}

static void test_vectors(void)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct buffer lines = BUFFER_EMPTY, expected = BUFFER_EMPTY;

        sign(&vectors[i], NULL, &lines);
        buffer_printf(&expected,
                      "authorization: AWS4-HMAC-SHA256 "
                      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                      "SignedHeaders=%s,Signature=%s\n",
                      vectors[i].signed_headers, vectors[i].signature);
        const char *authorization = strstr(buffer_string(&lines), "authorization:");
        CHECK_TEXT(authorization, buffer_string(&expected));
        CHECK(strstr(buffer_string(&lines), "host: examplebucket.s3.amazonaws.com\n") != NULL);
        CHECK(strstr(buffer_string(&lines), "x-amz-date: 20130524T000000Z\n") != NULL);
        CHECK(strstr(buffer_string(&lines), "wJalr") == NULL);
        buffer_wipe(&lines);
        buffer_free(&expected);
    }
}

static void test_token(void)
{
    struct buffer lines = BUFFER_EMPTY;

    sign(&vectors[2], "the-token", &lines);
    CHECK(strstr(buffer_string(&lines), "x-amz-security-token: the-token\n") != NULL);
    CHECK(strstr(buffer_string(&lines),
                 "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,") != NULL);
    buffer_wipe(&lines);
}

static void test_encoding(void)
{
    struct buffer out = BUFFER_EMPTY;
    const struct s3_field query[] = {
        {"prefix", "a b+c/d"}, {"a-b", "1"}, {"a", "2"}, {"a", "1"}, {"\xc3\xa4", "%"}};

    CHECK(s3_encode(&out, "/a b/c+d=e@f~g_h-i.j%k\xc3\xa4*", true) == 0);
    CHECK_TEXT(buffer_string(&out), "/a%20b/c%2Bd%3De%40f~g_h-i.j%25k%C3%A4%2A");
    buffer_clear(&out);
    CHECK(s3_encode(&out, "a/b", false) == 0);
    CHECK_TEXT(buffer_string(&out), "a%2Fb");
    buffer_clear(&out);
    CHECK(s3_encode_query(&out, query, 5) == 0);
    CHECK_TEXT(buffer_string(&out), "%C3%A4=%25&a=1&a=2&a-b=1&prefix=a%20b%2Bc%2Fd");
    buffer_clear(&out);
    CHECK(s3_encode_query(&out, NULL, 0) == 0);
    CHECK_TEXT(buffer_string(&out), "");
    buffer_free(&out);
}

static void test_limits(void)
{
    struct s3_field many[S3_HEADERS_MOST];
    struct s3_signing signing = {.method = "GET",
                                 .host = "h",
                                 .path = "/",
                                 .query = "",
                                 .headers = many,
                                 .header_count = S3_HEADERS_MOST - 4,
                                 .payload_sha256 = S3_EMPTY_SHA256,
                                 .access_key = "A",
                                 .secret_key = "S",
                                 .region = "r"};
    struct buffer out = BUFFER_EMPTY;

    _Static_assert(S3_QUERY_MOST < S3_HEADERS_MOST, "enough of them");
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
        many[i] = (struct s3_field){"a", "1"};
    CHECK(s3_encode_query(&out, many, S3_QUERY_MOST) == 0);
    buffer_clear(&out);
    CHECK(s3_sign(&signing, &out) == 0);
    buffer_clear(&out);
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    signing.header_count++;
    CHECK(s3_sign(&signing, &out) == -1 && out.length == 0);
    CHECK(s3_encode_query(&out, many, S3_QUERY_MOST + 1) == -1 && out.length == 0);
    buffer_free(&out);
}

/* Another service: the scope says it, and the key is made for it. */
static void test_service(void)
{
    struct s3_signing signing = {.method = "POST",
                                 .host = "sts.eu-central-1.amazonaws.com",
                                 .path = "/",
                                 .query = "",
                                 .payload_sha256 = S3_EMPTY_SHA256,
                                 .access_key = "K",
                                 .secret_key = "secret",
                                 .region = "eu-central-1",
                                 .time = example_time()};
    struct buffer s3 = BUFFER_EMPTY, sts = BUFFER_EMPTY;

    CHECK(s3_sign(&signing, &s3) == 0);
    signing.service = "sts";
    CHECK(s3_sign(&signing, &sts) == 0);
    CHECK(strstr(buffer_string(&s3), "/eu-central-1/s3/aws4_request") != NULL);
    CHECK(strstr(buffer_string(&sts), "/eu-central-1/sts/aws4_request") != NULL);
    CHECK_TEXT(strstr(buffer_string(&sts), "Signature=") + 10,
               "01856e55077d263af3153d1d1fb58715ecdd096a0c5d1e40b17a3da97f79ae51\n");
    buffer_free(&s3);
    buffer_free(&sts);
}

int main(void)
{
    test_vectors();
    test_token();
    test_encoding();
    test_limits();
    test_service();
    return unit_done("s3_sign");
}
