/* wal-push's memory of what is stored ahead, where its place fails and where its lines are not believed. */
#include "common/file.h"
#include "common/log.h"
#include "unit.h"
#include "wal-push/stored.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define SEGMENT "000000010000000000000005"

static char directory[] = "/tmp/walferry-unit-XXXXXX";
static char *segment, *ready, *memory;
static const struct config config = {.cluster_name = (char *)"main"};
static struct state state = {directory};
static struct source source = {.name = SEGMENT};

static void write_file(const char *path, const void *data, size_t length)
{
    CHECK(file_replace(path, data, length, 0600) == 0);
}

static void remember(void)
{
    const unsigned char sha256[SHA256_BYTES] = {1};
    struct stored stored;

    CHECK(stored_begin(&config, &state, directory, &stored) == 0);
    CHECK(!stored_had(&stored, segment));
    CHECK(stat(segment, &source.status) == 0);
    stored_add(&stored, &source, sha256);
    stored_end(&stored);
}

static void test_believed(void)
{
    struct stored stored;
    char bytes[100] = "";

    write_file(segment, bytes, sizeof bytes);
    write_file(ready, "", 0);
    CHECK(!stored_has(&config, &state, segment));
    remember();
    CHECK(stored_has(&config, &state, segment));
    CHECK(!stored_has(&config, &state, "00000002.history"));

    /* waits for PostgreSQL only */
    source.parsed = wal_name_parse("000000010000000000000003");
    source.segment_bytes = 16u << 20;
    source.directory = directory;
    CHECK(stored_behind(&config, &state, &source, 2) == 1);
    CHECK(stored_behind(&config, &state, &source, 1) == 0);
    source.parsed = wal_name_parse("000000010000000000000003.00000028.backup");
    CHECK(stored_behind(&config, &state, &source, 2) == 1);
    source.parsed = wal_name_parse(SEGMENT);
    CHECK(stored_behind(&config, &state, &source, 2) == 0);
    source.parsed = wal_name_parse("000000020000000000000003");
    CHECK(stored_behind(&config, &state, &source, 2) == 0);

    /* kept for as long as it waits */
    CHECK(stored_begin(&config, &state, directory, &stored) == 0);
    CHECK(stored_had(&stored, segment));
    CHECK(!stored_had(&stored, "00000002.history"));
    stored_end(&stored);
    CHECK(stored_has(&config, &state, segment));

    bytes[50] = 1;
    write_file(segment, bytes, sizeof bytes); /* another file of the same length */
    CHECK(!stored_has(&config, &state, segment));
    source.parsed = wal_name_parse("000000010000000000000003");
    CHECK(stored_behind(&config, &state, &source, 2) == 0);
    CHECK(unlink(segment) == 0);
    CHECK(!stored_has(&config, &state, segment));

    CHECK(unlink(ready) == 0);
    CHECK(stored_begin(&config, &state, directory, &stored) == 0);
    stored_end(&stored);
    CHECK(stored_begin(&config, &state, directory, &stored) == 0);
    CHECK(stored.earlier.length == 0);
    stored_end(&stored);
}

/* Any byte of its line that is another one. */
static void test_damaged(void)
{
    const char bytes[100] = "";
    struct buffer text = BUFFER_EMPTY, changed = BUFFER_EMPTY;

    write_file(segment, bytes, sizeof bytes);
    remember();
    CHECK(file_read_all(memory, 65536, &text) == FILE_OK && text.length > 200);
    for (size_t i = 0; i < text.length; i += 7) {
        buffer_clear(&changed);
        CHECK(buffer_append(&changed, text.data, text.length) == 0);
        changed.data[i] ^= 1;
        write_file(memory, changed.data, changed.length);
        CHECK(!stored_has(&config, &state, segment));
    }
    write_file(memory, text.data, text.length - 1);
    CHECK(!stored_has(&config, &state, segment));
    write_file(memory, text.data, text.length);
    CHECK(stored_has(&config, &state, segment));
    buffer_free(&text);
    buffer_free(&changed);
}

/* Its first line, said to be so many seconds older; the check is right (as in stored.c). */
static void make_older(const struct buffer *text, int seconds)
{
    const char *line = strstr(buffer_string(text), SEGMENT);
    uint64_t check = 0xcbf29ce484222325u;
    char *rest;

    if (line == NULL)
        exit(1);
    long long written = strtoll(line + strlen(SEGMENT) + 1, &rest, 10);
    const size_t rest_length = strcspn(rest, "\n") - 17;
    char *older = string_printf("%s %lld%.*s", SEGMENT, written - seconds, (int)rest_length, rest);
    if (older == NULL)
        exit(1);
    for (size_t i = 0; i < strlen(older); i++)
        check = (check ^ (unsigned char)older[i]) * 0x100000001b3u;
    char *all = string_printf("%.*s%s %016" PRIx64 "\n", (int)(line - buffer_string(text)),
                              buffer_string(text), older, check);
    if (all == NULL)
        exit(1);
    write_file(memory, all, strlen(all));
    free(all);
    free(older);
}

static void test_old(void)
{
    const char bytes[100] = "";
    struct buffer text = BUFFER_EMPTY;

    write_file(segment, bytes, sizeof bytes);
    remember();
    CHECK(file_read_all(memory, 65536, &text) == FILE_OK);
    make_older(&text, 3500);
    CHECK(stored_has(&config, &state, segment));
    make_older(&text, 3700);
    CHECK(!stored_has(&config, &state, segment));
    make_older(&text, -100); /* the clock was set back */
    CHECK(!stored_has(&config, &state, segment));
    char *line = strstr((char *)text.data, SEGMENT);
    if (line == NULL)
        exit(1);
    memcpy(line + strlen(SEGMENT), " 1\n", 4); /* no line of ours: too short */
    write_file(memory, text.data, strlen((char *)text.data));
    CHECK(!stored_has(&config, &state, segment));
    buffer_free(&text);
}

static void test_failures(void)
{
    const struct state nowhere = {NULL};
    struct rlimit before, small = {10, RLIM_INFINITY};
    const unsigned char sha256[SHA256_BYTES] = {1};
    struct stored stored;

    CHECK(stored_begin(&config, &nowhere, directory, &stored) == -1);
    CHECK(!stored_has(&config, &nowhere, segment));

    /* a full disk, when it is begun and in the middle */
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small.rlim_max = before.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK(stored_begin(&config, &state, directory, &stored) == -1);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(stored_begin(&config, &state, directory, &stored) == 0);
    small.rlim_cur = 100;
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    stored_add(&stored, &source, sha256);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    stored_end(&stored);
    CHECK(!stored_has(&config, &state, segment)); /* a torn line */

    /* a place that is taken */
    CHECK(unlink(memory) == 0 && mkdir(memory, 0700) == 0);
    CHECK(stored_begin(&config, &state, directory, &stored) == -1);
    CHECK(rmdir(memory) == 0);
}

int main(void)
{
    char *status;

    CHECK(mkdtemp(directory) != NULL);
    status = path_join(directory, "archive_status");
    segment = path_join(directory, SEGMENT);
    ready = string_printf("%s/archive_status/%s.ready", directory, SEGMENT);
    memory = path_join(directory, "stored-ahead");
    CHECK(status != NULL && segment != NULL && ready != NULL && memory != NULL && mkdir(status, 0700) == 0);
    test_believed();
    test_damaged();
    test_old();
    test_failures();
    unit_remove_tree(directory);
    free(status);
    free(segment);
    free(ready);
    free(memory);
    return unit_done("stored");
}
