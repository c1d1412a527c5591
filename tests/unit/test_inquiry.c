/* What a repository holds under the name that is asked for, whole and sealed, but not what it should be. */
#include "unit.h"
#include "wal-fetch/inquiry.h"

#include "common/file.h"
#include "common/log.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT "000000010000000000000005"
#define MIB (1u << 20)

static char directory[] = "/tmp/walferry-inquiry-XXXXXX";
static char data_directory[64], landed[96], place[64], folder[160];
static struct pg_control control;
static struct repository_config repository = {
    .name = (char *)"here", .url = place, .kind = REPOSITORY_FILE, .path = place, .required = true};
static const struct config config = {.cluster_name = (char *)"main",
                                     .repositories = &repository,
                                     .repository_count = 1,
                                     .wal_fetch_timeout_seconds = 1};

static int make_directories(void)
{
    const char *data = getenv("WALFERRY_TEST_DATA");
    struct buffer text = BUFFER_EMPTY;
    char *from = string_printf("%s/pg_control-15", data == NULL ? "tests/data" : data), *to = NULL;
    int result = -1;

    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(data_directory, sizeof data_directory, "%s/data", directory);
    snprintf(landed, sizeof landed, "%s/pg_wal/RECOVERYXLOG", data_directory);
    snprintf(place, sizeof place, "%s/repository", directory);
    to = string_printf("%s/global/pg_control", data_directory);
    char *pg_wal = path_directory(landed), *global = path_directory(to);
    if (file_make_directories(pg_wal, 0700) == 0 && file_make_directories(global, 0700) == 0 &&
        file_read_all(from, 8192, &text) == FILE_OK && file_replace(to, text.data, text.length, 0600) == 0)
        result = pg_control_read(data_directory, &control, NULL);
    snprintf(folder, sizeof folder, "%s/main/%llu/wal/0000000100000000", place,
             (unsigned long long)control.system_identifier);
    buffer_free(&text);
    free(pg_wal);
    free(global);
    free(from);
    free(to);
    return result == 0 ? file_make_directories(folder, 0700) : result;
}

/* An object as wal-push seals it: a first page, then zeros. */
static void store(uint32_t bytes, uint32_t segment_bytes, uint32_t block_bytes, uint64_t number,
                  uint64_t system)
{
    unsigned char *content = calloc(1, bytes);
    struct buffer object = BUFFER_EMPTY;
    struct object_writer *writer = object_writer_new(&(struct compression){CODEC_LZ4, 1});
    struct object_facts facts = {
        .kind = "segment", .name = SEGMENT, .system_identifier = control.system_identifier, .timeline = 1};
    uint64_t address = number * control.segment_bytes;
    char *path = path_join(folder, SEGMENT);

    CHECK(writer != NULL && path != NULL);
    if (content == NULL)
        exit(1);
    memcpy(content, (const unsigned char[]){0x10, 0xD1, 2, 0, 1}, 5);
    memcpy(content + 8, &address, 8);
    memcpy(content + 24, &system, 8);
    memcpy(content + 32, &segment_bytes, 4);
    memcpy(content + 36, &block_bytes, 4);
    CHECK(object_writer_begin(writer, sink_to_buffer(&object)) == 0 &&
          object_writer_write(writer, content, bytes) == 0 && object_writer_end(writer, &facts) == 0);
    unit_write(path, object.data, object.length);
    object_writer_free(writer);
    buffer_free(&object);
    free(content);
    free(path);
}

/* why: NULL if nothing is said. The landing is as wal-fetch opens it. */
static void expect(enum outcome outcome, const char *why)
{
    const struct state state = {NULL};
    struct situation situation;
    struct landing landing;
    struct inquiry inquiry;

    CHECK(situation_open(&config, SEGMENT, landed, &situation) == 0);
    CHECK(landing_open(landed, control.segment_bytes, &landing) == 0);
    CHECK(inquiry_open(&config, &state, &situation, &landing, &inquiry) == 0);
    unit_listen();
    enum outcome found = inquiry_run(&inquiry);
    const char *said = unit_listened();
    if (why == NULL ? *said != '\0' : strstr(said, why) == NULL)
        fprintf(stderr, "expected \"%s\", said \"%s\"\n", why == NULL ? "" : why, said);
    CHECK(found == outcome && (why == NULL ? *said == '\0' : strstr(said, why) != NULL));
    inquiry_close(&inquiry);
    landing_close(&landing);
    situation_close(&situation);
}

static void test_contents(void)
{
    const uint32_t right = control.segment_bytes, block = control.wal_block_bytes;
    const uint64_t system = control.system_identifier;

    store(right, right, block, 5, system);
    expect(OUTCOME_FOUND, NULL);
    store(MIB, MIB, block, 5, system);
    expect(OUTCOME_WRONG, SEGMENT " holds a segment of 1048576 bytes, but this cluster's have 16777216");
    store(right, right, block, 6, system);
    expect(OUTCOME_DAMAGED, SEGMENT " does not begin with the first page of its segment");
    store(right, right, 2 * block, 5, system);
    expect(OUTCOME_DAMAGED, SEGMENT " does not begin with the first page of its segment");
    store(right, right, block, 5, system + 1);
    expect(OUTCOME_DAMAGED, SEGMENT " does not begin with the first page of its segment");
    store(right, 3 * MIB, block, 5, system);
    expect(OUTCOME_DAMAGED, SEGMENT " does not begin with the first page of its segment");
    store(2 * right, right, block, 5, system);
    expect(OUTCOME_DAMAGED, SEGMENT " is damaged: it holds more than the 16777216 bytes that it may have");
}

int main(void)
{
    log_open("test_inquiry", LOG_INFO, false);
    if (make_directories() != 0)
        return 1;
    test_contents();
    unit_remove_tree(directory);
    return unit_done("inquiry");
}
