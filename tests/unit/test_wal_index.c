/* The index of a log: it says what the trailers say, over the edges between them; and what writes those that
 * are missing. */
#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/wal_index.h"
#include "common/wal_index_fill.h"
#include "wal_repository.h"

#define NOON INT64_C(1795262400000000)
#define SEGMENTS 4

/* Each edge cuts a commit, but the last: a restore point. */
static struct wal_summary summaries[SEGMENTS];

static void make_summaries(void)
{
    struct wal_builder builder;

    builder_begin(&builder, 0xD110, 100, SEGMENTS + 1);
    for (unsigned i = 0; i <= SEGMENTS; i++) {
        builder_end(&builder, BUILDER_COMMIT, 10 + i, NOON + 10 * i, NULL, 0, 0);
        builder_fill(&builder, 16);
        if (i == 2)
            builder_point(&builder, "on the edge", NOON + 10 * i, 0);
        else if (i < SEGMENTS)
            builder_end(&builder, BUILDER_ABORT, 1000 - i, NOON + 10 * i + 5, NULL, 0, 0);
    }
    for (size_t i = 0; i < SEGMENTS; i++) {
        scan_built(&builder, i, &summaries[i], NULL);
        CHECK(summaries[i].is_whole && summaries[i].transactions == 1 && summaries[i].begun.length == 16);
    }
    builder_free(&builder);
}

/* Leaves out: a segment of it, or SEGMENTS; is_old: the one that an older walferry stored, or SEGMENTS. */
static void put_log(uint32_t timeline, uint32_t log, size_t leaves_out, size_t is_old)
{
    struct object_facts facts;

    for (size_t i = 0; i < SEGMENTS; i++)
        if (i != leaves_out)
            put_segment(timeline, log * SEGMENTS + i, i == is_old ? NULL : &summaries[i], &facts);
}

static void test_names(void)
{
    char name[WAL_LOG_NAME_BYTES];
    uint32_t timeline, log;

    wal_log_name(0x1F, 0xFFFFFFFFu, name);
    CHECK_TEXT(name, "0000001FFFFFFFFF");
    CHECK(wal_log_name_parse(name, &timeline, &log) && timeline == 0x1F && log == 0xFFFFFFFFu);
    CHECK(!wal_log_name_parse("0000001FFFFFFFF", &timeline, &log));
    CHECK(!wal_log_name_parse("0000001FFFFFFFFFF", &timeline, &log));
    CHECK(!wal_log_name_parse("0000000000000001", &timeline, &log));
    CHECK(!wal_log_name_parse("0000001fffffffff", &timeline, &log));
    CHECK(!wal_log_name_parse("00000002.history", &timeline, &log));
}

static void test_index(void)
{
    struct wal_index index;
    struct wal_summary summary;
    unsigned version;

    put_log(1, 3, SEGMENTS, SEGMENTS);
    CHECK(wal_index_get(&repository, SYSTEM, 1, 3, SEGMENT_BYTES, &index) == REPOSITORY_ABSENT);
    CHECK(make_index(3, SEGMENT_BYTES) == REPOSITORY_OK);
    CHECK(make_index(3, SEGMENT_BYTES) == REPOSITORY_IDENTICAL);
    REQUIRE(wal_index_get(&repository, SYSTEM, 1, 3, SEGMENT_BYTES, &index) == REPOSITORY_OK);
    CHECK(index.timeline == 1 && index.log == 3 && index.count == SEGMENTS && index.postgresql_version == 15);
    for (size_t i = 0; i < SEGMENTS; i++) {
        const struct wal_index_entry *entry = &index.entries[i];
        struct object_facts facts;
        char name[WAL_SEGMENT_NAME_BYTES];
        wal_segment_name(1, entry->number, SEGMENT_BYTES, name);
        CHECK(entry->number == 3 * SEGMENTS + i && entry->has_summary && entry->summary.is_whole);
        CHECK(repository_get_segment_facts(&repository, SYSTEM, name, &facts) == REPOSITORY_OK);
        CHECK(memcmp(facts.sha256, entry->sha256, SHA256_BYTES) == 0 &&
              entry->stored_bytes == facts.frame_bytes + OBJECT_TRAILER_BYTES);
        CHECK(entry->summary.continued.length == 0); /* nor had the first one any */
        CHECK((entry->summary.begun.length > 0) == (i == SEGMENTS - 1));
        /* what the edge before cuts counts here: a commit but for the last, a restore point there */
        CHECK(entry->summary.transactions == (i == 0 || i == 3 ? 1 : 2));
        CHECK(entry->summary.restore_points == (i == 3));
        CHECK(entry->summary.most_time == NOON + 10 * (int64_t)i);
        CHECK(entry->summary.least_time == NOON + 10 * (int64_t)i - (i == 0 || i == 3 ? 0 : 5));
        CHECK(entry->summary.last_lsn == summaries[i].last_lsn);
    }
    CHECK(wal_index_get_summary(&repository, SYSTEM, 1, 3, &summary, &version) == REPOSITORY_OK);
    CHECK(version == 15 && summary.transactions == index.summary.transactions &&
          summary.last_lsn == index.summary.last_lsn);
    CHECK(summary.is_whole && summary.transactions == 6 && summary.restore_points == 1 &&
          summary.least_time == NOON && summary.most_time == NOON + 30 && summary.least_xid == 10 &&
          summary.most_xid == 1000 && summary.last_lsn == summaries[3].last_lsn &&
          summary.continued.length == 0 && summary.begun.length == 16);
    wal_index_free(&index);
}

/* A log of which a segment tells nothing. */
static void test_older(void)
{
    struct wal_index index;

    put_log(1, 4, SEGMENTS, 1);
    CHECK(make_index(4, SEGMENT_BYTES) == REPOSITORY_OK);
    REQUIRE(wal_index_get(&repository, SYSTEM, 1, 4, SEGMENT_BYTES, &index) == REPOSITORY_OK);
    CHECK(index.entries[0].has_summary && !index.entries[1].has_summary && index.entries[2].has_summary);
    CHECK(index.entries[2].summary.transactions == 1 && index.entries[2].summary.continued.length > 0);
    CHECK(!index.summary.is_whole && !index.summary.xids_are_known && index.summary.least_xid == 0 &&
          index.summary.most_time == NOON + 30);
    wal_index_free(&index);
}

static void put_index(const char *name, const char *kind, const char *content, bool has_summary)
{
    struct object_facts facts = {.system_identifier = SYSTEM, .timeline = 1, .has_summary = has_summary};
    struct object_writer *writer = object_writer_new(&place.compression);
    struct buffer object = BUFFER_EMPTY;

    snprintf(facts.kind, sizeof facts.kind, "%s", kind);
    snprintf(facts.name, sizeof facts.name, "%s", name);
    REQUIRE(writer != NULL && object_writer_begin(writer, sink_to_buffer(&object)) == 0 &&
            object_writer_write(writer, content, strlen(content)) == 0 &&
            object_writer_end(writer, &facts) == 0);
    CHECK(file_replace(below("index/0000000100000003"), object.data, object.length, 0600) == 0);
    object_writer_free(writer);
    buffer_free(&object);
}

#define HEADER "{\"log\":\"0000000100000003\",\"segment_bytes\":1073741824,\"segments\":4}\n"
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LINE(last, hash, more)                                                                               \
    "{\"segment\":\"00000001000000030000000" last "\",\"bytes\":2000,\"sha256\":\"" hash "\"" more "}\n"

static void test_wrong(void)
{
    static const struct {
        const char *name, *kind, *content;
        bool has_summary, is_good;
    } cases[] = {
        {"0000000100000003", "index",
         HEADER LINE("0", HASH, "") LINE("1", HASH, "") LINE("2", HASH, ",\"x\":1") LINE("3", HASH, ""), true,
         true},
        {"0000000100000003", "index", HEADER LINE("0", HASH, "") LINE("1", HASH, "") LINE("2", HASH, ""),
         true, false},
        {"0000000100000003", "index",
         HEADER LINE("0", HASH, "") LINE("1", HASH, "") LINE("2", HASH, "") LINE("3", HASH, "")
             LINE("4", HASH, ""),
         true, false},
        {"0000000100000003", "index",
         HEADER LINE("0", HASH, "") LINE("2", HASH, "") LINE("1", HASH, "") LINE("3", HASH, ""), true, false},
        {"0000000100000003", "index",
         HEADER LINE("0", HASH, "") LINE("1", "0", "") LINE("2", HASH, "") LINE("3", HASH, ""), true, false},
        {"0000000100000003", "index",
         LINE("0", HASH, "") LINE("1", HASH, "") LINE("2", HASH, "") LINE("3", HASH, ""), true, false},
        {"0000000100000003", "index", HEADER "nonsense\n", true, false},
        {"0000000100000003", "index", "", true, false},
        {"0000000100000003", "index",
         HEADER LINE("0", HASH, "") LINE("1", HASH, "") LINE("2", HASH, "") LINE("3", HASH, ""), false,
         false},
        {"0000000100000003", "files", HEADER, true, false},
        {"0000000100000004", "index", HEADER, true, false},
    };
    struct wal_index index;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_index(cases[i].name, cases[i].kind, cases[i].content, cases[i].has_summary);
        enum repository_result result = wal_index_get(&repository, SYSTEM, 1, 3, SEGMENT_BYTES, &index);
        CHECK(result == (cases[i].is_good ? REPOSITORY_OK : REPOSITORY_DAMAGED));
        if (result == REPOSITORY_OK)
            wal_index_free(&index);
    }
    /* a write-once object: what is there stays */
    CHECK(make_index(3, SEGMENT_BYTES) == REPOSITORY_COLLISION);
    CHECK(unlink(below("index/0000000100000003")) == 0);
    CHECK(make_index(3, 1u << 29) == REPOSITORY_ABSENT); /* eight names */
    CHECK(make_index(3, SEGMENT_BYTES) == REPOSITORY_OK);
}

static bool is_there(const char *log)
{
    return access(below(unit_path("index/%s", log)), F_OK) == 0;
}

static bool is_stopped(void)
{
    return false;
}

/* The first log is begun just before the deadline: it is gone on with, the next one is not begun. */
static int64_t deadline;

static bool is_late(void)
{
    static unsigned calls;

    if (++calls == 2) /* the second log from the end */
        while (monotonic_now() < deadline)
            usleep(1000);
    return true;
}

/* Goes on so often; then the place fails, as requests do behind their deadline, and time is up. */
static unsigned calls_left;

static bool is_failing(void)
{
    if (calls_left == 0)
        return false;
    if (--calls_left == 0) {
        CHECK(rename(below("index"), below("index.aside")) == 0);
        unit_write(below("index"), "", 0);
    }
    return true;
}

static void test_fill(void)
{
    struct wal_index_fill fill = {.system_identifier = SYSTEM,
                                  .segment_bytes = SEGMENT_BYTES,
                                  .most = 2,
                                  .deadline = monotonic_now() + 60 * INT64_C(1000000)};
    unsigned written;

    put_log(1, 5, 2, SEGMENTS); /* one is missing */
    put_log(1, 6, SEGMENTS, SEGMENTS);
    put_log(1, 7, SEGMENTS, SEGMENTS);
    put_log(1, 8, SEGMENTS, SEGMENTS);
    put_log(1, 9, SEGMENTS, SEGMENTS); /* its timeline's last: it may still grow */
    put_log(2, 9, SEGMENTS, SEGMENTS);
    put_log(2, 10, 3, SEGMENTS);
    fill.goes_on = is_stopped;
    CHECK(wal_index_fill(&repository, &fill, &written) == 0 && written == 0);
    fill.goes_on = NULL;
    CHECK(wal_index_fill(&repository, &fill, &written) == 0 && written == 2); /* the newest */
    CHECK(is_there("0000000200000009") && is_there("0000000100000008") && !is_there("0000000100000007"));
    CHECK(wal_index_fill(&repository, &fill, &written) == 0 && written == 2);
    CHECK(is_there("0000000100000007") && is_there("0000000100000006"));
    CHECK(wal_index_fill(&repository, &fill, &written) == 0 && written == 0);
    CHECK(!is_there("0000000100000005") && !is_there("0000000100000009") && !is_there("000000020000000A"));

    CHECK(unlink(below("index/0000000100000007")) == 0);
    fill.deadline = monotonic_now();
    CHECK(wal_index_fill(&repository, &fill, NULL) == 0 && !is_there("0000000100000007"));

    fill.deadline = deadline = monotonic_now() + INT64_C(50000);
    fill.goes_on = is_late;
    CHECK(unlink(below("index/0000000200000009")) == 0);
    CHECK(wal_index_fill(&repository, &fill, &written) == 0 && written == 1);
    CHECK(is_there("0000000200000009") && !is_there("0000000100000007"));

    /* time is up amid a log: that is no failure */
    fill.deadline += 60 * INT64_C(1000000);
    fill.goes_on = is_failing;
    calls_left = 5; /* the fifth log from the end */
    CHECK(wal_index_fill(&repository, &fill, &written) == 0 && written == 0 && calls_left == 0);
    fill.goes_on = NULL;
    CHECK(unlink(below("index")) == 0 && rename(below("index.aside"), below("index")) == 0);

    /* a damaged trailer: no index, and the next log's all the same */
    CHECK(unlink(below("index/0000000100000006")) == 0);
    CHECK(truncate(below("wal/0000000100000007/000000010000000700000002"), 1000) == 0);
    CHECK(wal_index_fill(&repository, &fill, &written) == 0 && written == 1);
    CHECK(is_there("0000000100000006") && !is_there("0000000100000007"));
}

int main(void)
{
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    open_repository();
    make_summaries();
    test_names();
    test_index();
    test_older();
    test_wrong();
    test_fill();
    /* a place that cannot be listed: a warning, and no success */
    struct wal_index_fill fill = {.system_identifier = SYSTEM, .segment_bytes = SEGMENT_BYTES, .most = 1};
    close_repository();
    const struct store_limits limits = {10, 0};
    REQUIRE(repository_open(&config, &place, NULL, &limits, &repository) == 0);
    log_set_threshold(LOG_WARNING);
    unit_listen();
    CHECK(wal_index_fill(&repository, &fill, NULL) == -1);
    CHECK(unit_heard("could not all be written"));
    repository_close(&repository);
    return unit_done("wal_index");
}
