/* A hole or the end: a segment in pg_wal that was written to its end, or not (rule 4); where a timeline was
 * left; a marker of what was let go of. */
#include "unit.h"
#include "wal-fetch/hole.h"

#include "common/file.h"
#include "common/log.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT "000000010000000000000005"
#define SEGMENT_BYTES (1u << 20)
#define BLOCK 8192u
#define LAST (SEGMENT_BYTES - BLOCK) /* the last page */

static char directory[] = "/tmp/walferry-hole-XXXXXX";
static char path[96];
static unsigned char segment[SEGMENT_BYTES];
static struct situation situation = {
    .name = SEGMENT,
    .directory = directory,
    .control = {.system_identifier = 7, .segment_bytes = SEGMENT_BYTES, .wal_block_bytes = BLOCK},
};

/* The headers of the pages up to, without, end; all else is zero. */
static void begin_segment(uint32_t end)
{
    const uint64_t system = 7;
    const uint32_t segment_bytes = SEGMENT_BYTES, block_bytes = BLOCK;

    memset(segment, 0, sizeof segment);
    for (uint32_t offset = 0; offset < end; offset += BLOCK) {
        uint64_t address = 5 * (uint64_t)SEGMENT_BYTES + offset;
        memcpy(segment + offset, (const unsigned char[]){0x10, 0xD1, offset == 0 ? 2 : 0, 0, 1}, 5);
        memcpy(segment + offset + 8, &address, 8);
    }
    memcpy(segment + 24, &system, 8);
    memcpy(segment + 32, &segment_bytes, 4);
    memcpy(segment + 36, &block_bytes, 4);
}

/* A record's header without data: rmgr 0 and info 0x40 is a switch. The rest of one that begins shortly
 * before the end of a page comes behind the header of the next. */
static void put_record(uint32_t at, unsigned char rmgr, unsigned char info, uint32_t length)
{
    unsigned char record[24] = {0};
    const uint32_t room = BLOCK - at % BLOCK, here = room < sizeof record ? room : sizeof record;

    memcpy(record, &length, 4);
    memset(record + 8, 0xEE, 8);
    record[16] = info;
    record[17] = rmgr;
    memset(record + 20, 0xCC, 4);
    memcpy(segment + at, record, here);
    if (here < sizeof record)
        memcpy(segment + at + here + 24, record + here, sizeof record - here);
}

static bool is_in_pg_wal(void)
{
    unit_write(path, segment, sizeof segment);
    unit_listen();
    bool result = hole_is_in_pg_wal(&situation, true);
    bool said_so =
        strstr(unit_listened(), "\"" SEGMENT "\" is in pg_wal, but not written to its end") != NULL;
    CHECK(result == !said_so);
    return result;
}

static void test_written(void)
{
    static const struct {
        uint32_t at;
        unsigned char rmgr, info;
        uint32_t length;
        bool is_switch;
    } records[] = {
        {3 * BLOCK + 800, 0, 0x40, 24, true}, /* in the middle of a page */
        {3 * BLOCK + 24, 0, 0x40, 24, true},  /* right behind its header */
        {3 * BLOCK + 24, 0, 0x4F, 24, true},  /* the low bits are not the resource manager's */
        {40, 0, 0x40, 24, true},              /* the first one of the segment */
        {4 * BLOCK - 24, 0, 0x40, 24, true},  /* up to the end of a page */
        {4 * BLOCK - 8, 0, 0x40, 24, true},   /* across it */
        {4 * BLOCK - 16, 0, 0x40, 24, true},
        {3 * BLOCK + 800, 1, 0x40, 24, false},
        {3 * BLOCK + 800, 0, 0x30, 24, false},
        {3 * BLOCK + 800, 0, 0x40, 32, false},
        {4 * BLOCK - 8, 0, 0x30, 24, false},
        {4 * BLOCK - 16, 0, 0x40, 48, false},
    };

    begin_segment(SEGMENT_BYTES);
    segment[SEGMENT_BYTES - 1] = 1;
    CHECK(is_in_pg_wal());
    segment[LAST + 10] = 6; /* a page of another segment, whose file was used again */
    CHECK(!is_in_pg_wal());
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        const uint32_t last = records[i].at + 23;
        begin_segment((last / BLOCK + 1) * BLOCK);
        put_record(records[i].at, records[i].rmgr, records[i].info, records[i].length);
        if (is_in_pg_wal() != records[i].is_switch)
            fprintf(stderr, "record %zu\n", i);
        CHECK(is_in_pg_wal() == records[i].is_switch);
    }
    begin_segment(BLOCK); /* nothing but headers, or too little behind them */
    CHECK(!is_in_pg_wal());
    segment[40] = 24;
    CHECK(!is_in_pg_wal());
    begin_segment(2 * BLOCK);
    CHECK(!is_in_pg_wal());
    segment[BLOCK] = 0; /* no page at all */
    CHECK(!is_in_pg_wal());
}

static void test_no_segment(void)
{
    begin_segment(SEGMENT_BYTES);
    segment[SEGMENT_BYTES - 1] = 1;
    segment[24] = 8; /* another system's: not even begun, so nothing is said */
    unit_write(path, segment, sizeof segment);
    unit_listen();
    CHECK(!hole_is_in_pg_wal(&situation, true));
    CHECK(unlink(path) == 0);
    CHECK(!hole_is_in_pg_wal(&situation, true));
    CHECK(mkdir(path, 0700) == 0 && !hole_is_in_pg_wal(&situation, true) && rmdir(path) == 0);
    CHECK(*unit_listened() == '\0');
}

static void write_history(const char *name, const char *text)
{
    char file[96];

    snprintf(file, sizeof file, "%s/%s", directory, name);
    unit_write(file, text, strlen(text));
}

static void test_timelines(void)
{
    CHECK(hole_timeline_end(&situation, 1) == 0); /* no history: that is the one being recovered */
    write_history("00000002.history", "1\t0/500100\tthe first fork\n");
    CHECK(hole_timeline_end(&situation, 1) == 0x500100);
    CHECK(hole_timeline_end(&situation, 2) == 0 && hole_timeline_end(&situation, 3) == 0);
    write_history("00000004.history", "1\t0/400100\tthe first fork\n3\t0/700200\tanother\n");
    CHECK(hole_timeline_end(&situation, 1) == 0x400100 && hole_timeline_end(&situation, 3) == 0x700200);
    CHECK(hole_timeline_end(&situation, 2) == 0); /* they have nothing in common */
    write_history("00000005.history", "1\tnowhere\n");
    CHECK(hole_timeline_end(&situation, 1) == 0);
    situation.recovered_timeline = 2;
    CHECK(hole_timeline_end(&situation, 1) == 0x500100);
    situation.recovered_timeline = 9;
    CHECK(hole_timeline_end(&situation, 1) == 0);
    situation.recovered_timeline = 1;
    CHECK(hole_timeline_end(&situation, 1) == 0);
}

/* While it may still be filled nothing is said, and the marker's text is not asked for. */
static void test_marker(void)
{
    struct repository_config settings = {
        .name = (char *)"here", .url = directory, .kind = REPOSITORY_FILE, .path = directory};
    const struct config config = {
        .cluster_name = (char *)"main", .repositories = &settings, .repository_count = 1};
    const struct state state = {NULL};
    const struct store_limits limits = {.operation_seconds = 5};
    struct repository repository;
    struct hole_report report;
    char *folder = path_join(directory, "main/7/wal/0000000100000000"),
         *marker = path_join(folder, "000000010000000000000004-000000010000000000000006.gap");

    situation.parsed = wal_name_parse(SEGMENT);
    CHECK(file_make_directories(folder, 0700) == 0);
    CHECK(repository_open(&config, &settings, &state, &limits, &repository) == 0);
    CHECK(hole_look(&situation, &repository, 1, &report, true) == HOLE_NONE);
    unit_write(marker, "{}", 2);
    unit_listen();
    CHECK(hole_look(&situation, &repository, 1, &report, false) == HOLE_FOUND);
    CHECK(*unit_listened() == '\0');
    unit_listen();
    CHECK(hole_look(&situation, &repository, 1, &report, true) == HOLE_UNKNOWN); /* it is no marker */
    CHECK(strstr(unit_listened(), "000000010000000000000004-000000010000000000000006.gap") != NULL);
    repository_close(&repository);
    free(marker);
    free(folder);
}

int main(void)
{
    log_open("test_hole", LOG_INFO, false);
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/" SEGMENT, directory);
    situation.parsed = wal_name_parse(SEGMENT);
    test_written();
    test_no_segment();
    test_timelines();
    test_marker();
    unit_remove_tree(directory);
    return unit_done("hole");
}
