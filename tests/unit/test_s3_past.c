/* A bucket as it was (as_of): which version of a key is read, what is listed, and that nothing is written. */
#include "unit.h"

#include "tests/fuzz/fake_http.h"

#include "common/timestamp.h"

#define TEXT(text) ((char *)(uintptr_t)(text))
#define OK "HTTP/1.1 200 OK\n\n"
#define PAGE(inner) OK "<ListVersionsResult>" inner "<IsTruncated>false</IsTruncated></ListVersionsResult>"
#define KEY(key, id, minute)                                                                                 \
    "<Key>pre/fix/" key "</Key><VersionId>" id "</VersionId><LastModified>2026-11-20T12:" minute             \
    ":00.000Z</LastModified>"
#define VERSION(key, id, minute) "<Version>" KEY(key, id, minute) "<Size>5</Size></Version>"
#define MARKER(key, id, minute) "<DeleteMarker>" KEY(key, id, minute) "</DeleteMarker>"
#define HELLO "HTTP/1.1 200 OK\nContent-Length: 5\nETag: \"e\"\n\nhello"
#define FAKE(answers) fake_store((const uint8_t *)(answers), sizeof(answers) - 1)

static enum store_result get(struct store *store, const char *key)
{
    struct buffer out = BUFFER_EMPTY;
    struct sink sink = sink_to_buffer(&out);
    enum store_result result = store_get(store, key, NULL, &sink, NULL);

    CHECK(result != STORE_OK || strcmp(buffer_string(&out), "hello") == 0);
    buffer_free(&out);
    store_close(store);
    return result;
}

static void test_get(void)
{
    /* as_of is 12:30 */
    CHECK(get(FAKE(PAGE(VERSION("a", "v3", "45") VERSION("a", "v2", "30") VERSION("a", "v1", "10"))
                       FUZZ_SEPARATOR HELLO),
              "a") == STORE_OK);
    CHECK(strstr(fake_url, "/pre/fix/a?versionId=v2") != NULL);
    CHECK(get(FAKE(PAGE(MARKER("a", "m", "31") VERSION("a", "v1", "10")) FUZZ_SEPARATOR HELLO), "a") ==
          STORE_OK);
    CHECK(strstr(fake_url, "versionId=v1") != NULL);
    CHECK(get(FAKE(PAGE(VERSION("a", "null", "10")) FUZZ_SEPARATOR HELLO), "a") == STORE_OK);
    CHECK(strstr(fake_url, "versionId=null") != NULL);
    CHECK(get(FAKE(PAGE(VERSION("a", "v3", "31"))), "a") == STORE_ABSENT);
    CHECK(get(FAKE(PAGE("")), "a") == STORE_ABSENT);
    CHECK(get(FAKE(PAGE(VERSION("ab", "v1", "10"))), "a") == STORE_ABSENT);
    unit_listen();
    CHECK(get(FAKE(PAGE(VERSION("a", "v3", "40") MARKER("a", "m", "20") VERSION("a", "v1", "10"))), "a") ==
          STORE_DELETED);
    CHECK(unit_heard("had been deleted by 2026-11-20 12:30:00+00 (as_of)"));
    unit_listen();
    CHECK(get(FAKE(PAGE("<Version><Key>pre/fix/a</Key><VersionId>v</VersionId><Size>5</Size></Version>")),
              "a") == STORE_FAILED);
    CHECK(unit_heard("the store does not say when its versions were stored"));
    unit_listen();
    CHECK(get(FAKE(PAGE(VERSION("a", "v1", "10")) FUZZ_SEPARATOR
                   "HTTP/1.1 404 No\n\n<Error><Code>NoSuchVersion</Code></Error>"),
              "a") == STORE_FAILED);
    CHECK(unit_heard("was listed, and is gone"));
    unit_listen();
    CHECK(get(FAKE("HTTP/1.1 403 No\n\n<Error><Code>AccessDenied</Code></Error>"), "a") == STORE_FAILED);
    CHECK(unit_heard("s3:ListBucketVersions"));
}

static bool note_key(void *context, const char *key, uint64_t bytes)
{
    CHECK(bytes == 5);
    return buffer_printf(context, "%s ", key) == 0;
}

static bool note_folder(void *context, const char *name)
{
    return buffer_printf(context, "%s ", name) == 0;
}

static void test_lists(void)
{
    struct buffer out = BUFFER_EMPTY;
    const struct store_listing listing = {"main/", "main/a", 3, note_key, &out};
    struct store *store =
        FAKE(PAGE(VERSION("main/b", "v2", "31") VERSION("main/b", "v1", "20") VERSION("main/b", "v0", "10")
                      MARKER("main/c", "m", "40") VERSION("main/c", "v1", "10") MARKER("main/d", "m", "20")
                          VERSION("main/d", "v1", "10") VERSION("main/e", "v1", "50")));

    CHECK(store_list(store, &listing) == STORE_OK);
    CHECK_TEXT(buffer_string(&out), "main/b main/c ");
    CHECK(strstr(fake_url, "key-marker=pre%2Ffix%2Fmain%2Fa") != NULL);
    store_close(store);
    buffer_clear(&out);
    store = FAKE(
        PAGE(VERSION("main/x", "v", "10") VERSION("main/1/gone", "v", "40") VERSION("main/1/y", "v", "10"))
            FUZZ_SEPARATOR PAGE(MARKER("main/2/y", "v", "10") VERSION("main/3/z", "v", "10"))
                FUZZ_SEPARATOR PAGE(""));
    CHECK(store_list_folders(store, "main/", note_folder, &out) == STORE_OK);
    CHECK_TEXT(buffer_string(&out), "1 3 ");
    CHECK(strstr(fake_url, "key-marker=pre%2Ffix%2Fmain%2F3%2F~") != NULL);
    store_close(store);
    buffer_free(&out);
}

static void test_no_writing(void)
{
    struct store *store = FAKE("");
    struct body body = {.data = "x", .fd = -1, .length = 1};
    struct store_deletion deletion = {.key = "a"};
    struct store_object object = {.condition_refused = true};

#define REFUSED(call)                                                                                        \
    do {                                                                                                     \
        unit_listen();                                                                                       \
        CHECK(call);                                                                                         \
        CHECK(unit_heard("is read as it was at 2026-11-20 12:30:00+00 (as_of)"));                            \
    } while (0)
    REFUSED(store_put_absent(store, "a", &body, STORE_CONDITION_HONOURED, &object) == STORE_FAILED);
    CHECK(!object.condition_refused);
    REFUSED(store_replace(store, "a", &body) == STORE_FAILED);
    REFUSED(store_put_back(store, "a", "v") == STORE_FAILED);
    REFUSED(store_copy(store, "a", "b") == STORE_FAILED);
    REFUSED(store_delete(store, "a", NULL) == STORE_FAILED);
    REFUSED(store_delete_many(store, &deletion, 1) == STORE_FAILED);
    REFUSED(store_set_hold(store, "a", "v", true) == STORE_FAILED);
    REFUSED(store_abort_unfinished(store, "a", "v") == STORE_FAILED);
    REFUSED(store_upload_begin(store, "a", 1, STORE_CONDITION_HONOURED) == NULL);
    CHECK(fake_answers.left == 0);
    store_close(store);
}

int main(void)
{
    log_open("test_s3_past", LOG_ERROR, false);
    fake_settings.as_of_text = TEXT("2026-11-20 12:30:00+00");
    REQUIRE(timestamp_parse(fake_settings.as_of_text, &fake_settings.as_of) == TIMESTAMP_OK);
    test_get();
    test_lists();
    test_no_writing();
    return unit_done("s3_past");
}
