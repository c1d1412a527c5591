/* Names, page headers, timelines. */
#include "unit.h"

#include "common/wal.h"

#include <stdint.h>

static void test_names(void)
{
    static const struct {
        const char *name;
        enum wal_kind kind;
    } table[] = {
        {"000000010000000A000000FF", WAL_SEGMENT},
        {"000000010000000A000000FF.partial", WAL_PARTIAL},
        {"00000002.history", WAL_HISTORY},
        {"000000010000000A000000FF.00000028.backup", WAL_BACKUP},
        {"", WAL_NOT},
        {"0000000100000000", WAL_NOT},
        {"000000010000000A000000F", WAL_NOT},
        {"000000010000000A000000FFF", WAL_NOT},
        {"000000010000000a000000ff", WAL_NOT}, /* PostgreSQL writes upper case */
        {"00000000000000000000000F", WAL_NOT}, /* there is no timeline 0 */
        {"00000000.history", WAL_NOT},
        {"00000002.History", WAL_NOT},
        {"0000002.history", WAL_NOT},
        {"000000010000000A000000FF.backup", WAL_NOT},
        {"000000010000000A000000FF.0000002.backup", WAL_NOT},
        {"000000010000000A000000FF.0000002G.backup", WAL_NOT},
        {"000000010000000A000000FF.partial.1234abcd", WAL_PARTIAL}, /* of a second promoted standby */
        {"000000010000000A000000FF.partial.1234abc", WAL_NOT},
        {"000000010000000A000000FF.partial.1234ABCD", WAL_NOT},
        {"000000010000000A000000FF.partials", WAL_NOT},
        {"../0000010000000A000000FF", WAL_NOT},
        {"RECOVERYXLOG", WAL_NOT},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        CHECK(wal_name_parse(table[i].name).kind == table[i].kind);
    struct wal_name name = wal_name_parse("0000000B0000000A000000FE");
    CHECK(name.timeline == 11 && name.log == 10 && name.segment == 254);
}

static void test_gap_names(void)
{
    char first[WAL_SEGMENT_NAME_BYTES], last[WAL_SEGMENT_NAME_BYTES];
    static const char *const others[] = {
        "000000010000000A00000010",
        "000000010000000A00000010.gap",
        "000000010000000A00000010-000000010000000A00000012",
        "000000010000000A00000010-000000010000000A00000012.gaq",
        "000000010000000A00000010.000000010000000A00000012.gap",
        "000000010000000A00000010-000000010000000A0000001g.gap",
        "000000010000000A00000010-000000010000000A0000000F.gap", /* backwards */
        "000000010000000A00000010-000000010000000A00000110.gap", /* too long for one */
        "000000010000000A00000010-000000010000000B00000010.gap",
        "000000010000000A00000010-000000020000000A00000012.gap",
    };

    CHECK(wal_gap_name_parse("000000010000000A00000010-000000010000000A000000FF.gap", first, last));
    CHECK(strcmp(first, "000000010000000A00000010") == 0 && strcmp(last, "000000010000000A000000FF") == 0);
    CHECK(wal_gap_name_parse("000000010000000A00000010-000000010000000A00000010.gap", first, last));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK(!wal_gap_name_parse(others[i], first, last));
}

static void test_points_names(void)
{
    char segment[WAL_SEGMENT_NAME_BYTES];
    static const char *const others[] = {
        "000000010000000A00000010",           "000000010000000A00000010.",
        "000000010000000A00000010.0123456",   "000000010000000A00000010.012345678",
        "000000010000000A00000010.0123456A",  "000000010000000A00000010-01234567",
        "000000000000000A00000010.01234567",  "000000010000000a00000010.01234567",
        "000000010000000A00000010.01234567/", "00000002.history.000000.01234567",
    };

    CHECK(wal_points_name_parse("000000010000000A00000010.0123cdef", segment));
    CHECK(strcmp(segment, "000000010000000A00000010") == 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK(!wal_points_name_parse(others[i], segment));
}

static void test_numbers(void)
{
    static const uint32_t sizes[] = {1 << 20, 16 << 20, 64 << 20, 1 << 30};
    char text[WAL_SEGMENT_NAME_BYTES];
    uint64_t number;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t per_log = 0x100000000u / sizes[i];
        for (uint64_t n = 1; n < 1u << 24; n = n * 3 + 1) {
            wal_segment_name(7, n, sizes[i], text);
            struct wal_name name = wal_name_parse(text);
            CHECK(name.kind == WAL_SEGMENT && wal_segment_number(&name, sizes[i], &number) && number == n);
        }
        struct wal_name beyond = {WAL_SEGMENT, 1, 0, (uint32_t)per_log};
        CHECK(!wal_segment_number(&beyond, sizes[i], &number));
    }
    wal_segment_name(1, 256, 16 << 20, text);
    CHECK_TEXT(text, "000000010000000100000000");
    wal_history_name(0x1F, text);
    CHECK_TEXT(text, "0000001F.history");
    CHECK(wal_segment_size_is_legal(1 << 20) && wal_segment_size_is_legal(1 << 30));
    CHECK(!wal_segment_size_is_legal(0) && !wal_segment_size_is_legal(3 << 20) &&
          !wal_segment_size_is_legal(1u << 31));
}

static void test_lsn(void)
{
    static const char *const bad[] = {"",    "/",           "0",           "0/",   "/0",   "0/0/0",
                                      "0/G", "123456789/0", "0/123456789", " 0/1", "0/1 ", "-1/0"};
    uint64_t lsn = 0;
    char text[24];

    CHECK(lsn_parse("A/1F000028", &lsn) && lsn == 0xA1F000028u);
    lsn_format(lsn, text);
    CHECK_TEXT(text, "A/1F000028");
    CHECK(lsn_parse("ffffffff/FFFFFFFF", &lsn) && lsn == UINT64_MAX);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!lsn_parse(bad[i], &lsn));
}

static void make_page(unsigned char page[WAL_LONG_HEADER_BYTES])
{
    uint16_t magic = 0xD110, info = 2;
    uint32_t timeline = 3, segment_bytes = 16 << 20, block_bytes = 8192;
    uint64_t address = 0x5000000, system = 7301234567890123456u;

    memset(page, 0, WAL_LONG_HEADER_BYTES);
    memcpy(page, &magic, 2);
    memcpy(page + 2, &info, 2);
    memcpy(page + 4, &timeline, 4);
    memcpy(page + 8, &address, 8);
    memcpy(page + 24, &system, 8);
    memcpy(page + 32, &segment_bytes, 4);
    memcpy(page + 36, &block_bytes, 4);
}

static void test_pages(void)
{
    unsigned char page[WAL_LONG_HEADER_BYTES], zeros[WAL_LONG_HEADER_BYTES] = {0};
    struct wal_page parsed;

    make_page(page);
    CHECK(wal_page_parse(page, sizeof page, &parsed));
    CHECK(parsed.magic == 0xD110 && parsed.timeline == 3 && parsed.address == 0x5000000 &&
          parsed.system_identifier == 7301234567890123456u && parsed.segment_bytes == 16 << 20 &&
          parsed.block_bytes == 8192);
    CHECK(!wal_page_parse(page, sizeof page - 1, &parsed));
    CHECK(!wal_page_parse(zeros, sizeof zeros, &parsed));
    page[2] = 0; /* a short header: no first page */
    CHECK(!wal_page_parse(page, sizeof page, &parsed));
    make_page(page);
    page[32] = 1; /* no power of two */
    CHECK(!wal_page_parse(page, sizeof page, &parsed));
    make_page(page);
    memset(page + 24, 0, 8);
    CHECK(!wal_page_parse(page, sizeof page, &parsed));
    make_page(page);
    page[0] = 0x77; /* a server newer than this program is not refused */
    CHECK(wal_page_parse(page, sizeof page, &parsed));
    CHECK(wal_magic_version(0xD110) == 15 && wal_magic_version(0xD122) == 19 &&
          wal_magic_version(0x7777) == 0);
}

static void test_history(void)
{
    static const char good[] = "1\t0/3000000\tno recovery target specified\n\n# a "
                               "remark\n2\t0/5000100\tbefore 2026-11-20 14:00:00+00\n";
    static const struct {
        const char *text;
    } bad[] = {{""},
               {"\n# only\n"},
               {"1\n"},
               {"x\t0/1\tr\n"},
               {"1\t0\tr\n"},
               {"3\t0/1\tr\n"},
               {"4\t0/1\tr\n"},
               {"0\t0/1\tr\n"},
               {"2\t0/5\tr\n1\t0/6\tr\n"},
               {"1\t0/9\tr\n1\t0/10\tr\n"},
               {"99999999999\t0/1\tr\n"}};
    struct timeline_history history;
    const char *problem = NULL;
    uint64_t end;

    CHECK(timeline_history_parse(3, good, strlen(good), &history, &problem) == 0);
    CHECK(history.count == 2 && history.ancestors[1].timeline == 2 && history.ancestors[1].lsn == 0x5000100);
    CHECK(timeline_history_find(&history, 1, &end) && end == 0x3000000);
    CHECK(timeline_history_find(&history, 3, &end) && end == UINT64_MAX);
    CHECK(!timeline_history_find(&history, 4, &end));
    timeline_history_free(&history);
    /* as PostgreSQL writes it where a recovery along timeline 3 ended before the forks */
    static const char before_forks[] = "1\t0/8000000\tr\n2\t0/9000000\tr\n3\t0/5000100\tr\n";
    CHECK(timeline_history_parse(4, before_forks, strlen(before_forks), &history, &problem) == 0);
    for (uint32_t timeline = 1; timeline <= 3; timeline++)
        CHECK(timeline_history_find(&history, timeline, &end) && end == 0x5000100);
    timeline_history_free(&history);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        problem = NULL;
        CHECK(timeline_history_parse(3, bad[i].text, strlen(bad[i].text), &history, &problem) == -1 &&
              problem != NULL);
    }
    CHECK(timeline_history_parse(3, "1\t0/1\tr\0\n", 9, &history, &problem) == -1);
    CHECK(timeline_history_parse(3, "1\t0/1", 5, &history, &problem) == 0); /* no line end, no reason */
    timeline_history_free(&history);
}

int main(void)
{
    test_names();
    test_gap_names();
    test_points_names();
    test_numbers();
    test_lsn();
    test_pages();
    test_history();
    return unit_done("wal");
}
