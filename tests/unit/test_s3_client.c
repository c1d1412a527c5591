/* The S3 driver where no server leads it: addresses, the way of a redirect, a body that cannot be read, a
 * libcurl that refuses, an upload at the limits of what S3 takes. */
#include "unit.h"

#include "tests/fuzz/fake_http.h"

#include "common/s3_client.h"
#include "common/store_s3_upload.c" /* an upload's parts are counted up below */

#include <fcntl.h>

#define FAKE_STORE(answers) fake_store((const uint8_t *)(answers), sizeof(answers) - 1)
#define WHOLE "HTTP/1.1 200 OK\nContent-Length: 5\nETag: \"e\"\n\nhello"
#define TEXT(text) ((char *)(uintptr_t)(text))

static enum store_result get(struct store *store)
{
    struct buffer out = BUFFER_EMPTY;
    struct sink sink = sink_to_buffer(&out);
    enum store_result result = store_get(store, "main/a", NULL, &sink, NULL);

    CHECK(result != STORE_OK || strcmp(buffer_string(&out), "hello") == 0);
    buffer_free(&out);
    return result;
}

static void test_addresses(void)
{
    static const struct {
        const char *endpoint, *bucket, *region, *address; /* address NULL: refused */
        bool path_style;
    } cases[] = {
        {NULL, "bucket", "eu-central-1", "https://bucket.s3.eu-central-1.amazonaws.com", false},
        {NULL, "bucket", "eu-central-1", "https://s3.eu-central-1.amazonaws.com", true},
        {NULL, "bucket", "cn-north-1", "https://bucket.s3.cn-north-1.amazonaws.com.cn", false},
        {NULL, "my.bucket", "us-east-1", "https://s3.us-east-1.amazonaws.com", false},
        {"https://s3.example.com", "my.bucket", "x", "https://my.bucket.s3.example.com", false},
        {"https://s3.example.com:443", "bucket", "x", "https://s3.example.com", true},
        {"https://s3.example.com:80", "bucket", "x", "https://s3.example.com:80", true},
        {"HTTP://s3.example.com:80", "bucket", "x", "http://bucket.s3.example.com", false},
        {"http://s3.example.com:443", "bucket", "x", "http://s3.example.com:443", true},
        {"https://[::1]:9000", "bucket", "x", "https://[::1]:9000", true},
        {"https://s3.example.com/path", "bucket", "x", NULL, true},
        {"https://me@s3.example.com", "bucket", "x", NULL, true},
        {"https://s3.example.com?a", "bucket", "x", NULL, true},
        {"https://s3.example.com#a", "bucket", "x", NULL, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct repository_config config = {.name = TEXT("r"),
                                                 .endpoint = TEXT(cases[i].endpoint),
                                                 .bucket = TEXT(cases[i].bucket),
                                                 .region = TEXT(cases[i].region),
                                                 .path_style = cases[i].path_style,
                                                 .access_key = TEXT("K"),
                                                 .secret_key = TEXT("S")};
        unit_listen();
        struct s3_client *client = s3_client_open(&config);
        CHECK(unit_heard(cases[i].address == NULL ? "endpoint must be https://HOST[:PORT]" : ""));
        CHECK((client != NULL) == (cases[i].address != NULL));
        if (client != NULL)
            CHECK_TEXT(s3_client_address(client), cases[i].address);
        s3_client_close(client);
    }
}

static void test_redirect(void)
{
    struct store *store =
        FAKE_STORE("HTTP/1.1 307 No\nLocation: "
                   "https://else.example.com/b%75cket/pre%2Ffix/a%20b+c%zz%00%C3%A4%2\n\n"
                   "<Error><Code>TemporaryRedirect</Code></Error>" FUZZ_SEPARATOR WHOLE FUZZ_SEPARATOR WHOLE);

    CHECK(get(store) == STORE_OK);
    CHECK_TEXT(fake_url, "https://else.example.com/bucket/pre/fix/a%20b%2Bc%25zz%2500%C3%A4%252");
    CHECK(get(store) == STORE_OK); /* for that one request only */
    CHECK_TEXT(fake_url, "https://s3.example.com/bucket/pre/fix/main/a");
    store_close(store);
}

/* A file that is not as long any more as it is to be sent, and one that cannot be read. */
static void test_unreadable_body(void)
{
    FILE *file = tmpfile();
    struct body body = {.data = NULL, .length = 5};
    struct store *store = FAKE_STORE("HTTP/1.1 200 OK\nETag: \"e\"\n\n" FUZZ_SEPARATOR WHOLE);

    CHECK(file != NULL && fputs("hel", file) >= 0 && fflush(file) == 0);
    body.fd = fileno(file);
    unit_listen();
    CHECK(store_put_absent(store, "main/a", &body, STORE_CONDITION_HONOURED, NULL) == STORE_FAILED);
    CHECK(unit_heard("could not read back a temporary file: it became shorter"));
    body.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    unit_listen();
    CHECK(store_put_absent(store, "main/a", &body, STORE_CONDITION_HONOURED, NULL) == STORE_FAILED);
    CHECK(unit_heard("Bad file descriptor"));
    close(body.fd);
    body.fd = fileno(file);
    CHECK(fputs("lo", file) >= 0 && fflush(file) == 0); /* no answer was used up */
    CHECK(store_put_absent(store, "main/a", &body, STORE_CONDITION_HONOURED, NULL) == STORE_OK);
    CHECK(get(store) == STORE_OK);
    store_close(store);
    fclose(file);
}

static void test_seeking(void)
{
    struct http_response response = {.tries = 1};
    struct transfer transfer = {.response = &response, .sent = 7};

    CHECK(seek_body(&transfer, 0, SEEK_END) == CURL_SEEKFUNC_CANTSEEK);
    CHECK(seek_body(&transfer, -1, SEEK_SET) == CURL_SEEKFUNC_CANTSEEK);
    CHECK(transfer.sent == 7 && response.tries == 1);
    CHECK(seek_body(&transfer, 0, SEEK_SET) == CURL_SEEKFUNC_OK);
    CHECK(transfer.sent == 0 && response.tries == 2);
}

static CURLcode refuse_global_init(long flags)
{
    (void)flags;
    return CURLE_FAILED_INIT;
}

static CURLcode refuse_setopt(CURL *curl, CURLoption option, ...)
{
    (void)curl;
    return option == CURLOPT_SSLVERSION ? CURLE_NOT_BUILT_IN : CURLE_OK;
}

static __typeof__(&curl_slist_append) append_line;
static unsigned lines_left;

static struct curl_slist *refuse_line(struct curl_slist *list, const char *line)
{
    return lines_left-- == 0 ? NULL : append_line(list, line);
}

static void test_unwilling_libcurl(void)
{
    struct store *store = FAKE_STORE(WHOLE);
    __typeof__(libcurl) whole = libcurl;
    const struct http_settings settings = {NULL, true, 5, 60, NULL};

    libcurl.global_init = refuse_global_init;
    unit_listen();
    CHECK(begin_curl() == -1);
    CHECK(unit_heard("could not begin with libcurl"));
    libcurl = whole;
    libcurl.easy_setopt = refuse_setopt;
    unit_listen();
    CHECK(http_open(&settings) == NULL);
    CHECK(unit_heard("it lacks TLS or an option that is needed"));
    libcurl = whole;
    append_line = whole.slist_append;
    libcurl.slist_append = refuse_line;
    for (unsigned line = 0; line < 4;
         line++) { /* curl's own, which are taken away, and those of the request */
        lines_left = line;
        unit_listen();
        CHECK(get(store) == STORE_FAILED);
        CHECK(unit_heard("out of memory"));
    }
    libcurl = whole;
    CHECK(get(store) == STORE_OK);
    store_close(store);
}

static void test_upload_limits(void)
{
    static const char one_more[1];
    char *part = calloc(1, PART_BYTES_LEAST);
    struct store *store =
        FAKE_STORE("HTTP/1.1 200 OK\n\n<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                   "</InitiateMultipartUploadResult>" FUZZ_SEPARATOR
                   "HTTP/1.1 200 OK\nETag: \"<e>\"\n\n" FUZZ_SEPARATOR WHOLE);

    unit_listen();
    CHECK(store_upload_begin(store, "main/a", UINT64_MAX, STORE_CONDITION_HONOURED) == NULL);
    CHECK(unit_heard("18446744073709551615 bytes are more than an S3 object can have"));
    CHECK(choose_part_bytes(PARTS_MOST * PART_BYTES_MOST - 1) == PART_BYTES_MOST);
    CHECK(choose_part_bytes(PARTS_MOST * PART_BYTES_MOST) == 0);
    struct upload *upload = store_s3_upload_begin(store, "main/a", 0, STORE_CONDITION_HONOURED);
    CHECK(part != NULL && upload != NULL && upload->part_bytes == PART_BYTES_LEAST);
    if (part == NULL || upload == NULL)
        return;
    upload->parts = PARTS_MOST - 1;
    CHECK(store_s3_upload_write(upload, part, PART_BYTES_LEAST) == 0);
    CHECK(store_s3_upload_write(upload, part, PART_BYTES_LEAST) == 0); /* the last part is sent with this */
    CHECK_TEXT(buffer_string(&upload->list),
               "<Part><PartNumber>10000</PartNumber><ETag>\"&lt;e&gt;\"</ETag></Part>");
    unit_listen();
    CHECK(store_s3_upload_write(upload, one_more, 1) == -1);
    CHECK(unit_heard("the 10000 parts of 16777216 bytes are used up"));
    store_s3_upload_abort(upload);
    CHECK(strstr(fake_url, "?uploadId=u") != NULL);
    store_close(store);
    free(part);
}

#define WANTED                                                                                               \
    "HTTP/1.1 400 No\n\n<Error><Code>InvalidRequest</Code><Message>Content-MD5 OR x-amz-checksum- HTTP "     \
    "header is "                                                                                             \
    "required</Message></Error>" FUZZ_SEPARATOR
#define STORED "HTTP/1.1 200 OK\nETag: \"e\"\n\n"
#define CREATED                                                                                              \
    "HTTP/1.1 200 "                                                                                          \
    "OK\n\n<InitiateMultipartUploadResult><UploadId>u</UploadId></"                                          \
    "InitiateMultipartUploadResult>" FUZZ_SEPARATOR

/* A bucket with a default retention that nobody told us of: the first body is sent once more. */
static void test_wanted_checksum(void)
{
    struct body body = {.data = "x", .fd = -1, .length = 1};
    struct store *store = FAKE_STORE(WANTED STORED FUZZ_SEPARATOR STORED);
    unsigned char *part = calloc(1, PART_BYTES_LEAST + 1);
    size_t rest = 2 * PART_BYTES_LEAST + 1;

    REQUIRE(part != NULL);
    CHECK(store_put_absent(store, "main/a", &body, STORE_CONDITION_HONOURED, NULL) == STORE_OK);
    CHECK(store_s3_options(store)->sends_checksum);
    CHECK(store_put_absent(store, "main/b", &body, STORE_CONDITION_HONOURED, NULL) == STORE_OK);
    CHECK(fake_answers.left == 0);
    store_close(store);
    store = FAKE_STORE(CREATED WANTED STORED FUZZ_SEPARATOR STORED FUZZ_SEPARATOR CREATED STORED);
    struct upload *upload = store_s3_upload_begin(store, "main/c", 0, STORE_CONDITION_HONOURED);
    REQUIRE(upload != NULL);
    CHECK(store_s3_upload_write(upload, part, PART_BYTES_LEAST + 1) == 0);
    CHECK(!upload->has_checksums && fake_had_md5); /* it was begun without */
    fake_had_md5 = false;
    for (rest -= PART_BYTES_LEAST + 1; rest > 0; rest -= PART_BYTES_LEAST)
        CHECK(store_s3_upload_write(upload, part, PART_BYTES_LEAST) == 0);
    CHECK(fake_had_md5); /* at once */
    CHECK_TEXT(buffer_string(&upload->list), "<Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part>"
                                             "<Part><PartNumber>2</PartNumber><ETag>\"e\"</ETag></Part>");
    upload_free(upload);
    upload = store_s3_upload_begin(store, "main/d", 0, STORE_CONDITION_HONOURED);
    REQUIRE(upload != NULL);
    CHECK(store_s3_upload_write(upload, part, PART_BYTES_LEAST + 1) == 0);
    CHECK(upload->has_checksums);
    CHECK(strstr(buffer_string(&upload->list), "<ChecksumSHA256>") != NULL);
    CHECK(fake_answers.left == 0);
    upload_free(upload);
    store_close(store);
    free(part);
}

int main(void)
{
    log_open("test_s3_client", LOG_ERROR, false);
    test_addresses();
    test_redirect();
    test_unreadable_body();
    test_seeking();
    test_unwilling_libcurl();
    test_upload_limits();
    test_wanted_checksum();
    return unit_done("s3_client");
}
