/* The promises of store.h, asked of a real store: a directory below /tmp, or each repository of the
 * configuration file that WALFERRY_TEST_STORE_CONFIG names (S3 too). Everything is kept under a random prefix
 * and removed at the end. */
#include "common/config.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/log.h"
#include "common/store.h"
#include "questions.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool versioned, prevented;

static void test_put(struct store *store)
{
    struct store_object object = {0};
    struct buffer out = BUFFER_EMPTY;
    struct body other = body_of("other", 5);

    CHECK(get_text(store, key("put/a"), NULL, &out, &object) == STORE_ABSENT);
    CHECK(put_text(store, key("put/a"), "first", &object) == STORE_OK);
    CHECK(object.total_bytes == 5);
    versioned = object.versioned;
    CHECK(versioned == (object.version_id[0] != '\0'));
    CHECK(holds(store, key("put/a"), "first"));
    enum store_result again = put_text(store, key("put/a"), "second", &object);
    CHECK(again == STORE_EXISTS || (again == STORE_OK && versioned));
    prevented = again == STORE_EXISTS;
    CHECK(holds(store, key("put/a"), prevented ? "first" : "second"));
    CHECK(store_replace(store, key("put/a"), &other) == STORE_OK);
    CHECK(holds(store, key("put/a"), "other"));
    CHECK(store_replace(store, key("put/new"), &other) == STORE_OK);
    CHECK(holds(store, key("put/new"), "other"));
    CHECK(put_text(store, key("put/a+b_c-d.e/0F.partial"), "odd name", NULL) == STORE_OK);
    CHECK(holds(store, key("put/a+b_c-d.e/0F.partial"), "odd name"));
    CHECK(get_text(store, key("put/a+b_c-d.e/0F.partial.x"), NULL, &out, NULL) == STORE_ABSENT);
    CHECK(get_text(store, key("no/such/folder/a"), NULL, &out, NULL) == STORE_ABSENT);
    buffer_free(&out);
}

static void test_put_from_file(struct store *store)
{
    char *data = malloc(5 * MEBIBYTE);
    struct buffer out = BUFFER_EMPTY;
    int fd = file_open_unnamed("/tmp");

    CHECK(data != NULL && fd >= 0);
    for (size_t i = 0; data != NULL && i < 5 * MEBIBYTE; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    if (data != NULL && fd >= 0) {
        struct body body = body_of(data, 5 * MEBIBYTE);

        CHECK(file_write_fully(fd, data, 5 * MEBIBYTE) == 0);
        body.data = NULL;
        body.fd = fd;
        CHECK(store_put_absent(store, key("file"), &body, STORE_CONDITION_UNKNOWN, NULL) == STORE_OK);
        CHECK(get_text(store, key("file"), NULL, &out, NULL) == STORE_OK);
        CHECK(out.length == 5 * MEBIBYTE && memcmp(out.data, data, out.length) == 0);
    }
    buffer_free(&out);
    free(data);
    if (fd >= 0)
        close(fd);
}

static void test_ranges(struct store *store)
{
    static const struct {
        struct store_range range;
        const char *text;
    } cases[] = {
        {{0, 0, 0}, "0123456789"},  {{0, 4, 0}, "0123"}, {{3, 4, 0}, "3456"},
        {{3, 0, 0}, "3456789"},     {{9, 1, 0}, "9"},    {{8, 2, 0}, "89"},
        {{0, 10, 0}, "0123456789"}, {{0, 0, 1}, "9"},    {{0, 0, 10}, "0123456789"},
        {{0, 0, 50}, "0123456789"}, {{0, 1, 0}, "0"},
    };
    struct store_range suffix = {0, 0, 1024}, beyond = {100, 5, 0}, over = {8, 3, 0};
    struct buffer out = BUFFER_EMPTY;
    struct store_object object = {0};

    CHECK(put_text(store, key("ranges"), "0123456789", NULL) == STORE_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        object.total_bytes = 0;
        CHECK(get_text(store, key("ranges"), &cases[i].range, &out, &object) == STORE_OK);
        CHECK_TEXT(buffer_string(&out), cases[i].text);
        CHECK(object.total_bytes == 10);
    }
    unit_listen();
    CHECK(get_text(store, key("ranges"), &beyond, &out, NULL) == STORE_SHORT);
    CHECK(get_text(store, key("ranges"), &over, &out, NULL) == STORE_SHORT && out.length == 0);
    CHECK_TEXT(unit_listened(), "");
    CHECK(get_text(store, key("ranges-none"), &suffix, &out, NULL) == STORE_ABSENT);
    CHECK(put_text(store, key("empty"), "", &object) == STORE_OK && object.total_bytes == 0);
    object.total_bytes = 7;
    CHECK(get_text(store, key("empty"), NULL, &out, &object) == STORE_OK && object.total_bytes == 0 &&
          out.length == 0);
    object.total_bytes = 7;
    CHECK(get_text(store, key("empty"), &suffix, &out, &object) == STORE_OK && object.total_bytes == 0 &&
          out.length == 0);
    buffer_free(&out);
}

struct refusing {
    const struct store_object *object;
    uint64_t total_at_first;
    unsigned calls;
};

static int refuse(void *context, const void *data, size_t length)
{
    struct refusing *refusing = context;

    (void)data;
    (void)length;
    refusing->total_at_first = refusing->object->total_bytes;
    refusing->calls++;
    return -1;
}

static void test_stopped(struct store *store)
{
    struct store_object object = {0};
    struct refusing refusing = {&object, 0, 0};
    const struct sink sink = {refuse, &refusing};

    CHECK(store_get(store, key("ranges"), NULL, &sink, &object) == STORE_STOPPED);
    CHECK(refusing.calls == 1 && refusing.total_at_first == 10);
    CHECK(holds(store, key("ranges"), "0123456789"));
}

static void test_list(struct store *store)
{
    static const char *const names[] = {"list/b",   "list/a/2",   "list/a-1", "list/a.3",
                                        "list/a/1", "list/a/x/y", "list/c",   "listing"};
    const char *all = "list/a-1;list/a.3;list/a/1;list/a/2;list/a/x/y;list/b;list/c;";
    struct told told = {BUFFER_EMPTY, 0};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK(put_text(store, key(names[i]), "x", NULL) == STORE_OK);
    check_list(store, "list/", NULL, 0, 0, all);
    check_list(store, "list/", NULL, 1, 0, all);
    check_list(store, "list/", NULL, 3, 0, all);
    check_list(store, "list/", NULL, 2, 5, "list/a-1;list/a.3;list/a/1;list/a/2;list/a/x/y;");
    check_list(store, "list", NULL, 0, 0,
               "list/a-1;list/a.3;list/a/1;list/a/2;list/a/x/y;list/b;list/c;listing;");
    check_list(store, "list/a", NULL, 2, 0, "list/a-1;list/a.3;list/a/1;list/a/2;list/a/x/y;");
    check_list(store, "list/a/", "list/a/1", 1, 0, "list/a/2;list/a/x/y;");
    check_list(store, "list/", "list/a/19", 2, 0, "list/a/2;list/a/x/y;list/b;list/c;");
    check_list(store, "list/", "list/c", 2, 0, "");
    check_list(store, "list/nothing/", NULL, 0, 0, "");
    CHECK(store_list_folders(store, key("list/"), tell_folder, &told) == STORE_OK);
    CHECK_TEXT(buffer_string(&told.text), "a;");
    buffer_clear(&told.text);
    CHECK(put_text(store, key("list/b2/1"), "x", NULL) == STORE_OK);
    CHECK(put_text(store, key("list/a+/1"), "x", NULL) == STORE_OK);
    CHECK(store_list_folders(store, key("list/"), tell_folder, &told) == STORE_OK);
    CHECK_TEXT(buffer_string(&told.text), "a+;a;b2;");
    buffer_clear(&told.text);
    CHECK(store_list_folders(store, key("list/nothing/"), tell_folder, &told) == STORE_OK &&
          told.text.length == 0);
    buffer_free(&told.text);
}

struct versions {
    char ids[8][128];
    unsigned count, latest, markers;
};

static bool note_version(void *context, const struct store_version *version)
{
    struct versions *versions = context;

    if (versions->count < 8)
        snprintf(versions->ids[versions->count++], sizeof versions->ids[0], "%s", version->version_id);
    versions->latest += version->is_latest;
    versions->markers += version->is_delete_marker;
    return true;
}

static void test_versions(struct store *store)
{
    struct versions versions = {.count = 0};
    struct buffer out = BUFFER_EMPTY;
    struct sink sink = sink_to_buffer(&out);
    struct body second = body_of("second", 6);

    CHECK(store_versions(store, key("versions/a"), note_version, &versions) == STORE_OK &&
          versions.count == 0);
    CHECK(put_text(store, key("versions/a"), "first", NULL) == STORE_OK);
    CHECK(put_text(store, key("versions/a.partial"), "neighbour", NULL) == STORE_OK);
    CHECK(store_replace(store, key("versions/a"), &second) == STORE_OK);
    CHECK(store_versions(store, key("versions/a"), note_version, &versions) == STORE_OK);
    CHECK(versions.count == (versioned ? 2 : 1) && versions.latest == 1 && versions.markers == 0);
    CHECK(store_get_version(store, key("versions/a"), versions.ids[0], NULL, &sink, NULL) == STORE_OK);
    CHECK_TEXT(buffer_string(&out), "second");
    if (versioned) {
        struct store_range range = {0, 3, 0};

        buffer_clear(&out);
        CHECK(store_get_version(store, key("versions/a"), versions.ids[1], &range, &sink, NULL) == STORE_OK);
        CHECK_TEXT(buffer_string(&out), "fir");
        CHECK(store_delete(store, key("versions/a"), versions.ids[1]) == STORE_OK);
        CHECK(store_get_version(store, key("versions/a"), versions.ids[1], NULL, &sink, NULL) ==
              STORE_ABSENT);
        CHECK(holds(store, key("versions/a"), "second"));
    }
    CHECK(store_delete(store, key("versions/a"), versions.ids[0]) == STORE_OK);
    versions.count = 0;
    CHECK(store_versions(store, key("versions/a"), note_version, &versions) == STORE_OK &&
          versions.count == 0);
    CHECK(get_text(store, key("versions/a"), NULL, &out, NULL) == STORE_ABSENT);
    buffer_free(&out);
}

static void test_delete(struct store *store)
{
    struct buffer out = BUFFER_EMPTY;

    CHECK(put_text(store, key("delete/a"), "x", NULL) == STORE_OK);
    CHECK(store_delete(store, key("delete/a"), NULL) == STORE_OK);
    enum store_result result = get_text(store, key("delete/a"), NULL, &out, NULL);
    CHECK(result == STORE_ABSENT || (result == STORE_DELETED && versioned));
    CHECK(store_delete(store, key("delete/a"), NULL) == STORE_OK);
    CHECK(store_delete(store, key("delete/never"), NULL) == STORE_OK);
    CHECK(put_text(store, key("delete/a"), "back", NULL) == STORE_OK);
    CHECK(holds(store, key("delete/a"), "back"));
    buffer_free(&out);
}

/* Uploads so many bytes in odd pieces, reads them back, and says how the upload ended. */
static enum store_result upload_pattern(struct store *store, const char *name, size_t length,
                                        uint64_t expected)
{
    struct store_upload *upload = store_upload_begin(store, name, expected, STORE_CONDITION_UNKNOWN);
    struct store_object object = {0};
    unsigned char piece[77777], sent[SHA256_BYTES], got[SHA256_BYTES];
    struct sha256 hash = {NULL};
    struct buffer out = BUFFER_EMPTY;

    CHECK(upload != NULL && sha256_begin(&hash) == 0);
    if (upload == NULL)
        return STORE_FAILED;
    for (size_t done = 0; done < length;) {
        size_t now = length - done < sizeof piece ? length - done : sizeof piece;

        for (size_t i = 0; i < now; i++)
            piece[i] = (unsigned char)((done + i) * 2654435761u >> 11);
        sha256_update(&hash, piece, now);
        CHECK(store_upload_write(upload, piece, now) == 0);
        done += now;
    }
    sha256_finish(&hash, sent);
    sha256_free(&hash);
    enum store_result result = store_upload_finish(upload, &object);
    if (result == STORE_OK) {
        CHECK(object.total_bytes == length && object.versioned == versioned);
        CHECK(get_text(store, name, NULL, &out, NULL) == STORE_OK && out.length == length);
        CHECK(sha256_of(out.data, out.length, got) == 0 && memcmp(sent, got, sizeof sent) == 0);
    }
    buffer_free(&out);
    return result;
}

static void test_upload(struct store *store)
{
    struct store_upload *upload;
    char *data = calloc(1, 20 * MEBIBYTE);
    struct buffer out = BUFFER_EMPTY;

    CHECK(upload_pattern(store, key("upload/empty"), 0, 0) == STORE_OK);
    CHECK(upload_pattern(store, key("upload/small"), 1000, 1000) == STORE_OK);
    CHECK(upload_pattern(store, key("upload/part"), 16 * MEBIBYTE, 0) == STORE_OK);
    CHECK(upload_pattern(store, key("upload/large"), 40 * MEBIBYTE + 5, 1000) == STORE_OK);
    CHECK(upload_pattern(store, key("upload/small"), 1001, 0) == (prevented ? STORE_EXISTS : STORE_OK));
    CHECK(upload_pattern(store, key("upload/large"), 17 * MEBIBYTE, 0) == STORE_EXISTS);
    upload = store_upload_begin(store, key("upload/aborted"), 0, STORE_CONDITION_UNKNOWN);
    CHECK(upload != NULL && data != NULL);
    if (upload != NULL && data != NULL)
        CHECK(store_upload_write(upload, data, 20 * MEBIBYTE) == 0);
    store_upload_abort(upload);
    store_upload_abort(NULL);
    CHECK(get_text(store, key("upload/aborted"), NULL, &out, NULL) == STORE_ABSENT);
    buffer_free(&out);
    free(data);
}

/* --- the store, and what is left in it
 * ----------------------------------------------------------------------------- */

struct leftovers {
    char *keys[512];
    size_t count;
};

static bool note_key(void *context, const char *name, uint64_t bytes)
{
    struct leftovers *leftovers = context;

    (void)bytes;
    if (leftovers->count < 512)
        leftovers->keys[leftovers->count++] = string_copy(name);
    return true;
}

static void remove_all(struct store *store)
{
    struct leftovers leftovers = {.count = 0};
    const struct store_listing listing = {key(""), NULL, 0, note_key, &leftovers};

    CHECK(store_list(store, &listing) == STORE_OK);
    for (size_t i = 0; i < leftovers.count; i++) {
        struct versions versions = {.count = 0};

        CHECK(store_versions(store, leftovers.keys[i], note_version, &versions) == STORE_OK &&
              versions.count > 0);
        for (unsigned v = 0; v < versions.count; v++)
            CHECK(store_delete(store, leftovers.keys[i], versions.ids[v]) == STORE_OK);
        free(leftovers.keys[i]);
    }
    leftovers.count = 0;
    CHECK(store_list(store, &listing) == STORE_OK && leftovers.count == 0);
}

static void test_copy(struct store *store)
{
    struct store_object object = {0};

    CHECK(put_text(store, key("copied"), "0123456789", NULL) == STORE_OK);
    CHECK(store_copy(store, key("copied"), key("folder/copy")) == STORE_OK);
    CHECK(holds(store, key("folder/copy"), "0123456789"));
    CHECK(store_delete(store, key("copied"), NULL) == STORE_OK);
    CHECK(holds(store, key("folder/copy"), "0123456789"));
    CHECK(store_copy(store, key("copied"), key("folder/none")) == STORE_ABSENT);
    CHECK(get_text(store, key("folder/none"), NULL, &(struct buffer)BUFFER_EMPTY, &object) == STORE_ABSENT);
}

static void test_store(const struct repository_config *config)
{
    const struct store_limits limits = {30, 0};
    struct store *store = store_open(config, &limits);
    unsigned char random[8];

    CHECK(store != NULL);
    if (store == NULL)
        return;
    CHECK(random_bytes(random, sizeof random) == 0);
    memcpy(base, "unit-", sizeof "unit-");
    hex_encode(random, sizeof random, base + strlen(base));
    test_put(store);
    test_put_from_file(store);
    test_ranges(store);
    test_stopped(store);
    test_list(store);
    test_versions(store);
    test_delete(store);
    test_upload(store);
    test_copy(store);
    remove_all(store);
    store_close(store);
}

/* Makes a configuration with one directory. */
static int make_default(char *directory, char *path, size_t path_bytes)
{
    char root[256];
    FILE *file;

    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(root, sizeof root, "%s/repository", directory);
    snprintf(path, path_bytes, "%s/walferry.conf", directory);
    file = mkdir(root, 0700) == 0 ? fopen(path, "w") : NULL;
    if (file == NULL)
        return -1;
    fprintf(file, "[cluster]\nname = unit\n[repository directory]\nurl = file://%s\n", root);
    return fclose(file) == 0 && chmod(path, 0600) == 0 ? 0 : -1;
}

int main(void)
{
    char directory[] = "/tmp/walferry-store-XXXXXX", path[256] = "";
    const char *given = getenv("WALFERRY_TEST_STORE_CONFIG");
    struct config config;

    log_open("test_store", LOG_INFO, false);
    if (given == NULL && make_default(directory, path, sizeof path) != 0)
        return 1;
    if (config_load(given != NULL ? given : path, &config) != 0)
        return 1;
    for (size_t i = 0; i < config.repository_count; i++)
        test_store(&config.repositories[i]);
    config_free(&config);
    if (given == NULL)
        unit_remove_tree(directory);
    return unit_done("store");
}
