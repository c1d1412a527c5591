/* The file that is to be archived: every reason for which it is refused (rules 14 and 16), and changed under
 * wal-push in every way that a server or a person can. */
#include "unit.h"
#include "wal-push/source.h"

#include "common/buffer.h"
#include "common/file.h"
#include "common/log.h"
#include "common/pg_control.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT_BYTES (1u << 20)
#define NAME "000000030000000000000005"

static char directory[] = "/tmp/walferry-source-XXXXXX";
static char path[64], other[64];

/* A segment, whose first page is right and whose last byte is this one. */
static void make_segment(const char *where, char last)
{
    unsigned char page[WAL_LONG_HEADER_BYTES] = {0x10, 0xD1, 2, 0, 3};
    uint32_t segment_bytes = SEGMENT_BYTES, block_bytes = 8192;
    uint64_t address = 5 * (uint64_t)SEGMENT_BYTES, system = 7301234567890123456u;
    int fd = open(where, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    memcpy(page + 8, &address, 8);
    memcpy(page + 24, &system, 8);
    memcpy(page + 32, &segment_bytes, 4);
    memcpy(page + 36, &block_bytes, 4);
    CHECK(fd >= 0 && pwrite(fd, page, sizeof page, 0) == sizeof page &&
          pwrite(fd, &last, 1, SEGMENT_BYTES - 1) == 1 && close(fd) == 0);
    /* a change that follows gets another time, whatever the file system's clock ticks */
    nanosleep(&(struct timespec){0, 30000000}, NULL);
}

static int read_source(struct source *source)
{
    struct buffer content = BUFFER_EMPTY;
    const struct sink sink = sink_to_buffer(&content);
    int result = source_read(source, &sink);

    buffer_free(&content);
    return result;
}

static void overwrite(const char *data, off_t offset)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    CHECK(fd >= 0 && pwrite(fd, data, 1, offset) == 1 && close(fd) == 0);
}

static void nothing(void)
{
}

static void change_in_place(void)
{
    overwrite("x", SEGMENT_BYTES / 2);
}

static void change_header(void)
{
    overwrite("x", 8);
}

static void grow(void)
{
    overwrite("x", SEGMENT_BYTES);
}

static void shrink(void)
{
    CHECK(truncate(path, SEGMENT_BYTES / 2) == 0);
}

static void replace(void)
{
    make_segment(other, 'b');
    CHECK(rename(other, path) == 0);
}

static void recycle(void) /* it gets a later name, and is not written yet */
{
    CHECK(rename(path, other) == 0);
}

static void recycle_and_make(void)
{
    recycle();
    make_segment(path, 'a');
}

static const struct {
    void (*change)(void);
    bool is_taken;
} changes[] = {
    {nothing, true}, {change_in_place, false}, {change_header, false}, {grow, false},
    {shrink, false}, {replace, false},         {recycle, false},       {recycle_and_make, false},
};

static void test_changes(void)
{
    const struct config config = {.pgdata = NULL};

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct source source;

        make_segment(path, 'a');
        CHECK(source_open(path, &config, &source) == SOURCE_OK);
        changes[i].change();
        log_set_threshold(LOG_ERROR + 1);
        int result = read_source(&source);
        log_set_threshold(LOG_INFO);
        if (result != (changes[i].is_taken ? 0 : -1))
            fprintf(stderr, "change %zu\n", i);
        CHECK(result == (changes[i].is_taken ? 0 : -1));
        source_close(&source);
    }
}

static int take_little(void *context, const void *data, size_t length)
{
    unsigned *room = context;

    (void)data;
    if (length > *room)
        return -1;
    *room -= (unsigned)length;
    return 0;
}

/* The place where it is packed is full. */
static void test_full(void)
{
    const struct config config = {.pgdata = NULL};
    unsigned room = 1000;
    const struct sink sink = {take_little, &room};
    struct source source;

    make_segment(path, 'a');
    CHECK(source_open(path, &config, &source) == SOURCE_OK);
    CHECK(source_read(&source, &sink) == -1);
    source_close(&source);
}

/* Refusals: files of the cluster whose pg_control is in tests/data, in data/pg_wal below the directory, or in
 * lone/pg_wal, which is in no data directory. */

#define MIB (1u << 20)
#define HISTORY "2\t0/5000100\tno recovery target specified\n"

static struct pg_control control;
static char data_directory[64], lone_directory[64];

/* 0 is what is right for segment 5 of timeline 3 in that cluster: "last byte", page by page. */
static const struct {
    const char *name;
    uint32_t bytes; /* of the file */
    uint32_t segment_bytes, block_bytes, timeline;
    uint64_t number;      /* of the segment whose address the page has */
    uint64_t system_plus; /* the system is so many further */
    const char *history;  /* 00000003.history beside it; "/": that is a directory */
    const char *why;      /* NULL: it is accepted */
} segments[] = {
    {NULL, 0, 0, 0, 0, 0, 0, NULL, NULL},
    {NULL, 39, 0, 0, 0, 0, 0, NULL, "it is too short to be a WAL segment"},
    {NULL, 8 * MIB, 0, 0, 0, 0, 0, NULL, "its size is not the segment size"},
    {NULL, 0, 3 * MIB, 0, 0, 0, 0, NULL, "it does not begin with the header of a WAL segment"},
    {NULL, 0, 0, 0, 0, 0, 1, NULL, "it belongs to another cluster"},
    {NULL, 32 * MIB, 32 * MIB, 0, 0, 0, 0, NULL,
     "its segment or block size is not that of this data directory"},
    {NULL, 0, 0, 16384, 0, 0, 0, NULL, "its segment or block size is not that of this data directory"},
    {NULL, 0, 0, 0, 0, 6, 0, NULL, "its first page is that of another segment"},
    {"000000030000000000000100", 0, 0, 0, 0, 256, 0, NULL, "its name is impossible with the segment size"},
    {"000000030000000000000005.partial", 0, 0, 0, 0, 0, 0, NULL, NULL},
    /* begun by an ancestor (rule 14) */
    {NULL, 0, 0, 0, 4, 0, 0, NULL, "its first page belongs to a later timeline than its name"},
    {NULL, 0, 0, 0, 2, 0, 0, NULL, NULL},
    {NULL, 0, 0, 0, 2, 0, 0, HISTORY, NULL},
    {NULL, 0, 0, 0, 1, 0, 0, HISTORY, "a timeline that did not fork within this segment"},
    {NULL, 0, 0, 0, 2, 0, 0, "2\t0/5000000\tat its very beginning\n", "did not fork within this segment"},
    {NULL, 0, 0, 0, 2, 0, 0, "2\t0/6000000\tat its very end\n", "did not fork within this segment"},
    {NULL, 0, 0, 0, 2, 0, 0, "2\tnowhere\n", "00000003.history\" is malformed: "},
    {NULL, 0, 0, 0, 2, 0, 0, "3\t0/5000100\tits own\n", "00000003.history\" is malformed: "},
    {NULL, 0, 0, 0, 2, 0, 0, "/", "00000003.history\": Is a directory"},
};

static const char *in(const char *where, const char *name)
{
    static char paths[4][128];
    static unsigned next;

    next = (next + 1) % 4;
    snprintf(paths[next], sizeof paths[next], "%s/pg_wal/%s", where, name);
    return paths[next];
}

/* why: NULL if it is accepted; else what it is refused with. */
static enum source_result expect_opened(const char *file, const char *pgdata, const char *why)
{
    const struct config config = {.pgdata = (char *)pgdata};
    struct source source;

    unit_listen();
    enum source_result result = source_open(file, &config, &source);
    const char *said = unit_listened();
    if ((why == NULL) != (result == SOURCE_OK) || strstr(said, why == NULL ? "" : why) == NULL)
        fprintf(stderr, "%s: expected \"%s\", said \"%s\"\n", file, why == NULL ? "" : why, said);
    CHECK((why == NULL) == (result == SOURCE_OK));
    CHECK(strstr(said, why == NULL ? "" : why) != NULL);
    CHECK(result != SOURCE_OK || (*said == '\0' && source.system_identifier == control.system_identifier &&
                                  source.segment_bytes == control.segment_bytes));
    source_close(&source);
    return result;
}

static uint32_t or_right(uint32_t value, uint32_t right)
{
    return value == 0 ? right : value;
}

static void test_segments(void)
{
    char history[128];

    snprintf(history, sizeof history, "%s", in(data_directory, "00000003.history"));
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        unsigned char page[WAL_LONG_HEADER_BYTES] = {0x10, 0xD1, 2};
        uint32_t segment_bytes = or_right(segments[i].segment_bytes, control.segment_bytes),
                 block_bytes = or_right(segments[i].block_bytes, control.wal_block_bytes),
                 timeline = or_right(segments[i].timeline, 3),
                 bytes = or_right(segments[i].bytes, control.segment_bytes);
        uint64_t address = (segments[i].number == 0 ? 5 : segments[i].number) * control.segment_bytes,
                 system = control.system_identifier + segments[i].system_plus;
        const char *file = in(data_directory, segments[i].name == NULL ? NAME : segments[i].name);

        memcpy(page + 4, &timeline, 4);
        memcpy(page + 8, &address, 8);
        memcpy(page + 24, &system, 8);
        memcpy(page + 32, &segment_bytes, 4);
        memcpy(page + 36, &block_bytes, 4);
        unit_write(file, page, sizeof page);
        CHECK(truncate(file, bytes) == 0);
        if (segments[i].history != NULL && *segments[i].history == '/')
            CHECK(mkdir(history, 0700) == 0);
        else if (segments[i].history != NULL)
            unit_write(history, segments[i].history, strlen(segments[i].history));
        if (expect_opened(file, NULL, segments[i].why) !=
            (segments[i].why == NULL ? SOURCE_OK : SOURCE_REFUSED))
            fprintf(stderr, "segment %zu\n", i);
        CHECK(remove(file) == 0);
        if (segments[i].history != NULL)
            CHECK(remove(history) == 0);
    }
}

static void test_texts(void)
{
    static const char label[] = "START WAL LOCATION: 0/5000028 (file " NAME ")\n",
                      backup[] = NAME ".00000028.backup";
    static const struct {
        const char *name, *text, *why;
    } texts[] = {
        {"00000003.history", HISTORY, NULL},
        {"00000003.history", "", "is not archived: it names no timeline"},
        {"00000003.history", "2\tnowhere\n", "is not archived: "},
        {"00000002.history", HISTORY, "is not archived: "},
        {backup, label, NULL},
        {backup, "START WAL LOCATION: 0/6000028 (file 000000030000000000000006)\n",
         "it is no backup history file of the segment in its name"},
        {backup, "STOP WAL LOCATION: 0/5000028 (file " NAME ")\n",
         "it is no backup history file of the segment in its name"},
        {backup, "", "it is no backup history file of the segment in its name"},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *file = in(data_directory, texts[i].name);
        unit_write(file, texts[i].text, strlen(texts[i].text));
        expect_opened(file, NULL, texts[i].why);
        if (texts[i].why == NULL) {
            CHECK(truncate(file, MIB + 1) == 0);
            expect_opened(file, NULL, "it is far too long for a file of its kind");
        }
        CHECK(unlink(file) == 0);
    }
}

/* Whose is it, when it lies in no data directory? That which the configuration names. */
static void test_lone(void)
{
    const char *file = in(lone_directory, "00000003.history");

    unit_write(file, HISTORY, strlen(HISTORY));
    expect_opened(file, data_directory, NULL);
    expect_opened(file, lone_directory, "its cluster cannot be told");
    expect_opened(file, NULL, "its cluster cannot be told");
    unit_write(in(lone_directory, "../global/pg_control"), "torn", 4);
    expect_opened(file, data_directory, "pg_control");
}

static void test_no_file(void)
{
    const char *file = in(data_directory, NAME);

    CHECK(expect_opened(in(data_directory, "RECOVERYXLOG"), NULL, "is not the name of a WAL segment") ==
          SOURCE_USAGE);
    expect_opened(file, NULL, "could not open file");
    CHECK(mkfifo(file, 0600) == 0);
    expect_opened(file, NULL, "it is not a regular file");
    CHECK(unlink(file) == 0 && mkdir(file, 0700) == 0);
    expect_opened(file, NULL, "it is not a regular file");
    CHECK(rmdir(file) == 0);
}

static int make_directories(void)
{
    const char *data = getenv("WALFERRY_TEST_DATA");
    struct buffer text = BUFFER_EMPTY;
    char *from = string_printf("%s/pg_control-15", data == NULL ? "tests/data" : data);
    int result = -1;

    snprintf(data_directory, sizeof data_directory, "%s/data", directory);
    snprintf(lone_directory, sizeof lone_directory, "%s/lone", directory);
    if (mkdir(data_directory, 0700) == 0 && mkdir(in(data_directory, ""), 0700) == 0 &&
        mkdir(in(data_directory, "../global"), 0700) == 0 && mkdir(lone_directory, 0700) == 0 &&
        mkdir(in(lone_directory, ""), 0700) == 0 && mkdir(in(lone_directory, "../global"), 0700) == 0 &&
        file_read_all(from, 8192, &text) == FILE_OK &&
        file_replace(in(data_directory, "../global/pg_control"), text.data, text.length, 0600) == 0)
        result = pg_control_read(data_directory, &control, NULL);
    buffer_free(&text);
    free(from);
    return result;
}

int main(void)
{
    log_open("test_source", LOG_INFO, false);
    if (mkdtemp(directory) == NULL || make_directories() != 0)
        return 1;
    test_segments();
    test_texts();
    test_lone();
    test_no_file();
    snprintf(path, sizeof path, "%s/" NAME, directory);
    snprintf(other, sizeof other, "%s/000000030000000000000009", directory);
    test_changes();
    test_full();
    unit_remove_tree(directory);
    return unit_done("source");
}
