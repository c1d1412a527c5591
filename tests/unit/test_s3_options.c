/* Which settings go with which object, by its key; and the forms of a customer's key. */
#include "unit.h"

#include "common/log.h"
#include "common/s3_options.h"

#include <sys/stat.h>

#define TEXT(text) ((char *)(uintptr_t)(text))
#define SYSTEM "main/7400000000000000001/"

static const char *header(const struct s3_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return "";
}

static void test_kinds(void)
{
    static const struct {
        const char *key, *class;
        bool is_locked;
    } cases[] = {
        {SYSTEM "wal/0000000100000000/000000010000000000000001", "W", true},
        {SYSTEM "wal/0000000100000000/000000010000000000000001.partial", "W", true},
        {SYSTEM "wal/0000000100000000/000000010000000000000001.partial.01234567", "W", true},
        {SYSTEM "wal/0000000100000000/000000010000000000000001.00000028.backup", "", true},
        {SYSTEM "wal/0000000100000000/000000010000000000000001-000000010000000000000002.gap", "", true},
        {SYSTEM "wal/00000002.history", "", true},
        {SYSTEM "restore-points/000000010000000000000001.01234567", "", true},
        {SYSTEM "index/0000000100000000", "", false},
        {SYSTEM "notes/20261120T120000Z-00000001-0000000000000028.00000001.json", "", false},
        {SYSTEM "reports/20261120T120000Z-verified-index", "", false},
        {SYSTEM "base/20261120T120000Z-00000001-0000000000000028/started.json", "", true},
        {SYSTEM "base/20261120T120000Z-00000001-0000000000000028/manifest.json", "", true},
        {SYSTEM "base/20261120T120000Z-00000001-0000000000000028/files", "", true},
        {SYSTEM "base/20261120T120000Z-00000001-0000000000000028/tablespace_map", "", true},
        {SYSTEM "base/20261120T120000Z-00000001-0000000000000028/heartbeat.json", "", false},
        {SYSTEM "base/20261120T120000Z-00000001-0000000000000028/main-00000001", "B", true},
        {SYSTEM "base/20261120T120000Z-00000001-0000000000000028/16384-00000017", "B", true},
        {SYSTEM "base/20261120T120000Z-00000001-0000000000000028/external-00000001", "B", true},
        {SYSTEM "dumps/20261120T120000Z/started.json", "", true},
        {SYSTEM "dumps/20261120T120000Z/manifest.json", "", true},
        {SYSTEM "dumps/20261120T120000Z/heartbeat.json", "", false},
        {SYSTEM "dumps/20261120T120000Z/16384-00000001", "B", true},
        {SYSTEM "dumps/20261120T120000Z/globals-00000001", "B", true},
        {"main/cluster.json", "", true},
        {"main/keys/00000001.0123456789abcdef", "", true},
        {"main/probe-0123456789abcdef", "", false},
        {"wal/wal/x", "", false},
        {"x", "", false},
    };
    struct repository_config config = {.s3 = {.storage_class = TEXT("B"),
                                              .storage_class_wal = TEXT("W"),
                                              .tags = TEXT("a=b"),
                                              .object_lock = S3_LOCK_COMPLIANCE,
                                              .object_lock_days = 3}};
    struct s3_options options;
    struct body body = {.data = "", .fd = -1};

    CHECK(s3_options_open(&options, &config) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct s3_request put = {.body = &body}, create = {.method = "POST"}, copy = {.method = "PUT"};
        int64_t until;

        s3_options_add(&options, &copy, S3_USE_COPY, cases[i].key);
        CHECK_TEXT(header(&copy, "x-amz-storage-class"), cases[i].class);
        CHECK_TEXT(header(&copy, "x-amz-tagging"), cases[i].is_locked ? "a=b" : "");
        CHECK_TEXT(header(&copy, "x-amz-tagging-directive"), cases[i].is_locked ? "REPLACE" : "");
        CHECK_TEXT(header(&copy, "x-amz-checksum-sha256"), "");
        s3_options_add(&options, &create, S3_USE_CREATE, cases[i].key);
        CHECK_TEXT(header(&create, "x-amz-checksum-algorithm"), "SHA256");
        s3_options_add(&options, &put, S3_USE_PUT, cases[i].key);
        CHECK_TEXT(header(&put, "x-amz-storage-class"), cases[i].class);
        CHECK_TEXT(header(&put, "x-amz-tagging"), cases[i].is_locked ? "a=b" : "");
        CHECK_TEXT(header(&put, "x-amz-object-lock-mode"), cases[i].is_locked ? "COMPLIANCE" : "");
        CHECK_TEXT(header(&put, "x-amz-checksum-sha256"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        if (!cases[i].is_locked)
            continue;
        CHECK(timestamp_parse(header(&put, "x-amz-object-lock-retain-until-date"), &until) == TIMESTAMP_OK);
        CHECK(llabs(until - timestamp_now() - 3ll * 86400 * 1000000) < 60 * 1000000ll);
    }
    config.s3.tags = NULL; /* what the source has stays with it all the same */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct s3_request copy = {.method = "PUT"};

        s3_options_add(&options, &copy, S3_USE_COPY, cases[i].key);
        CHECK_TEXT(header(&copy, "x-amz-tagging"), "");
        CHECK_TEXT(header(&copy, "x-amz-tagging-directive"), cases[i].is_locked ? "REPLACE" : "");
    }
    struct s3_request part = {.body = &body};
    s3_options_add(&options, &part, S3_USE_TRANSFER, NULL);
    CHECK(part.header_count == 0);
}

static char path[] = "/tmp/walferry-key-XXXXXX";

static int open_with(const char *content, size_t length, mode_t mode, struct s3_options *options)
{
    unlink(path); /* may be read only */
    FILE *file = fopen(path, "w");
    const struct repository_config config = {
        .s3 = {.sse = S3_ENCRYPTION_CUSTOMER, .sse_customer_key_file = path}};

    REQUIRE(file != NULL && fwrite(content, 1, length, file) == length && fclose(file) == 0);
    REQUIRE(chmod(path, mode) == 0);
    return s3_options_open(options, &config);
}
#define OPEN(text, mode) open_with(text, sizeof(text) - 1, mode, &options)

static void test_customer_key(void)
{
    static const char base64[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    struct s3_options options;
    struct s3_request copy = {.method = "PUT"};
    int fd = mkstemp(path);

    close(fd);
    CHECK(OPEN("0123456789abcdef0123456789abcdef", 0600) == 0);
    CHECK_TEXT(options.customer_key, base64);
    CHECK_TEXT(options.customer_key_md5, "hRasmdxgYDKV3nvbahU1MA==");
    CHECK(OPEN("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0400) == 0);
    CHECK_TEXT(options.customer_key, base64);
    CHECK(OPEN("3031323334353637383961626364656630313233343536373839616263646566\r\n", 0600) == 0);
    CHECK_TEXT(options.customer_key, base64);
    s3_options_add(&options, &copy, S3_USE_COPY, "main/cluster.json");
    CHECK(copy.header_count == 7); /* and the directive for tags */
    CHECK_TEXT(header(&copy, "x-amz-server-side-encryption-customer-key"), base64);
    CHECK_TEXT(header(&copy, "x-amz-copy-source-server-side-encryption-customer-key"), base64);
    s3_options_wipe(&options);
    CHECK(memcmp(options.customer_key, (char[sizeof options.customer_key]){0}, sizeof options.customer_key) ==
          0);
    unit_listen();
    CHECK(OPEN("0123456789abcdef0123456789abcde", 0600) == -1);
    CHECK(unit_heard("must hold 32 bytes"));
    unit_listen();
    CHECK(OPEN("", 0600) == -1);
    CHECK(unit_heard("must hold 32 bytes"));
    unit_listen();
    CHECK(OPEN("0123456789abcdef0123456789abcdef", 0644) == -1);
    CHECK(unit_heard(path + 5));
    unlink(path);
    unit_listen();
    const struct repository_config config = {
        .s3 = {.sse = S3_ENCRYPTION_CUSTOMER, .sse_customer_key_file = path}};
    CHECK(s3_options_open(&options, &config) == -1);
    CHECK(unit_heard("there is no key file"));
}

int main(void)
{
    log_open("test_s3_options", LOG_ERROR, false);
    test_kinds();
    test_customer_key();
    return unit_done("s3_options");
}
