/* What a repository holds of WAL: holes, forks in mid-segment, markers, and what the records say of time. */
#include "common/log.h"
#include "common/timestamp.h"
#include "common/wal_archive.h"
#include "common/wal_index.h"
#include "wal_archive_fixture.h"

#include <fcntl.h>
#include <time.h>

static struct wal_archive load(void)
{
    struct wal_archive archive;

    CHECK(wal_archive_load(&repository, SYSTEM, SEGMENT_BYTES, &archive) == REPOSITORY_OK);
    return archive;
}

static const struct timeline_history *history_of(const struct wal_archive *archive, uint32_t timeline)
{
    const struct archive_timeline *found = wal_archive_timeline(archive, timeline);

    REQUIRE(found != NULL);
    return &found->history;
}

static struct archive_run follow(const struct wal_archive *archive, uint32_t timeline, uint64_t first)
{
    struct archive_run run;

    wal_archive_follow(archive, history_of(archive, timeline), timeline, first, &run);
    return run;
}

static void test_listing(void)
{
    struct archive_gap hole;

    empty_repository();
    for (uint64_t number = 1; number <= 12; number++)
        if (number != 7 && number != 8)
            put_times(1, number, NOTHING);
    put_name(segment_file(1, 12, ".partial"));
    put_name(segment_file(1, 13, ".partial"));
    put_name(segment_file(1, 13, ".partial.12345678"));
    put_name(segment_file(1, 2, ".00000028.backup"));
    put_name("wal/0000000100000001/000000010000000100000003-000000010000000100000003.gap");
    put_name("wal/0000000100000001/000000010000000100000004"); /* there are four segments in a log */
    put_name("wal/README");
    struct wal_archive archive = load();
    CHECK(archive.count == 1 && archive.segment_count == 10 && archive.foreign_count == 2);
    const struct archive_timeline *timeline = wal_archive_timeline(&archive, 1);
    REQUIRE(timeline != NULL);
    CHECK(timeline->count == 10 && timeline->partial_count == 1 && timeline->partials[0] == 13);
    CHECK(timeline->gap_count == 1 && timeline->gaps[0].first == 7 && timeline->gaps[0].last == 7);
    CHECK(wal_archive_segment(&archive, 1, 12)->is_partial_there);
    CHECK(!wal_archive_segment(&archive, 1, 6)->is_partial_there);
    CHECK(wal_archive_segment(&archive, 1, 7) == NULL && wal_archive_segment(&archive, 2, 1) == NULL);
    struct stat status;
    CHECK(stat(below(segment_file(1, 6, "")), &status) == 0 &&
          wal_archive_segment(&archive, 1, 6)->stored_bytes == (uint64_t)status.st_size);
    CHECK(wal_archive_next_hole(timeline, 0, &hole) && hole.first == 7 && hole.last == 8);
    CHECK(wal_archive_next_hole(timeline, 8, &hole) && hole.first == 8 && hole.last == 8);
    CHECK(!wal_archive_next_hole(timeline, 9, &hole));
    wal_archive_close(&archive);
}

static void test_one_timeline(void)
{
    struct wal_archive archive = load();
    struct archive_run run = follow(&archive, 1, 2);

    CHECK(run.first == 2 && run.last == 6 && run.timeline == 1 && run.first_timeline == 1);
    CHECK(run.is_hole && run.has_later && run.next == 9 && run.next_timeline == 1);
    CHECK(run.missing_timeline == 1 && run.is_marked && !run.is_partial);
    archive_run_cut(&run, history_of(&archive, 1), SEGMENT_BYTES, 8);
    CHECK(run.last == 6 && run.is_hole);
    archive_run_cut(&run, history_of(&archive, 1), SEGMENT_BYTES, 7); /* the hole itself is given up */
    CHECK(run.last == 6 && !run.is_hole);
    run = follow(&archive, 1, 7);
    CHECK(run.last < run.first && run.is_hole && run.next == 9);
    run = follow(&archive, 1, 8);
    CHECK(run.last < run.first && run.is_hole && !run.is_marked);
    run = follow(&archive, 1, 9);
    CHECK(run.last == 12 && !run.is_hole && !run.has_later && run.is_partial);
    run = follow(&archive, 1, 100);
    CHECK(run.last == 99 && !run.is_hole);
    archive_run_cut(&run, history_of(&archive, 1), SEGMENT_BYTES, 120);
    CHECK(run.last == 99);
    run = follow(&archive, 1, 9);
    archive_run_cut(&run, history_of(&archive, 1), SEGMENT_BYTES, 11);
    CHECK(run.first == 9 && run.last == 10 && !run.is_hole && run.missing_timeline == 1 && run.timeline == 1);
    wal_archive_close(&archive);
}

/* Timeline 2 leaves 1 in the middle of segment 5, 3 leaves 2 in the same; 4 leaves 1 exactly before
 * segment 4. */
static void put_forks(void)
{
    empty_repository();
    put_history(2, "1\t1/60000000\tfork\n");
    put_history(3, "1\t1/60000000\tfork\n2\t1/70000000\tfork\n");
    put_history(4, "1\t1/0\tfork\n");
    for (uint64_t number = 1; number <= 6; number++)
        put_times(1, number, (int64_t)number);
    for (uint64_t number = 5; number <= 8; number++)
        put_times(2, number, 10 + (int64_t)number);
    for (uint64_t number = 5; number <= 7; number++)
        put_times(3, number, 20 + (int64_t)number);
    put_times(4, 4, 4);
}

static void test_forks(void)
{
    uint64_t last;

    put_forks();
    struct wal_archive archive = load();
    const struct timeline_history *third = history_of(&archive, 3), *fourth = history_of(&archive, 4);
    CHECK(wal_archive_way(third, SEGMENT_BYTES, 4, &last) == 1 && last == 4);
    CHECK(wal_archive_way(third, SEGMENT_BYTES, 5, &last) == 3 && last == UINT64_MAX);
    CHECK(wal_archive_way(fourth, SEGMENT_BYTES, 3, &last) == 1 && last == 3);
    CHECK(wal_archive_way(fourth, SEGMENT_BYTES, 4, &last) == 4);
    struct archive_run run = follow(&archive, 1, 1);
    CHECK(run.last == 6 && !run.is_hole);
    run = follow(&archive, 2, 1);
    CHECK(run.last == 8 && run.first_timeline == 1 && run.timeline == 2 && !run.is_hole);
    run = follow(&archive, 3, 1);
    CHECK(run.last == 7 && run.timeline == 3 && !run.is_hole);
    run = follow(&archive, 4, 2);
    CHECK(run.last == 4 && run.timeline == 4 && !run.is_hole);
    CHECK(wal_archive_latest(&archive, 1) == 4 && wal_archive_latest(&archive, 3) == 4);
    CHECK(wal_archive_latest(&archive, 6) == 6);
    wal_archive_close(&archive);
}

static void test_holes_at_forks(void)
{
    put_forks();
    take_away(2, 5); /* the old timeline's must not be taken for it */
    struct wal_archive archive = load();
    struct archive_run run = follow(&archive, 2, 2);
    CHECK(run.last == 4 && run.timeline == 1 && run.missing_timeline == 2);
    CHECK(run.is_hole && run.next == 6 && run.next_timeline == 2);
    wal_archive_close(&archive);
    for (uint64_t number = 6; number <= 8; number++)
        take_away(2, number);
    archive = load(); /* a timeline that just began */
    run = follow(&archive, 2, 2);
    CHECK(run.last == 4 && !run.is_hole && run.missing_timeline == 2);
    wal_archive_close(&archive);
    take_away(1, 4);
    archive = load(); /* nothing later is there, but the history tells of it (rule 3 b) */
    run = follow(&archive, 2, 2);
    CHECK(run.last == 3 && run.is_hole && !run.has_later && run.missing_timeline == 1);
    wal_archive_close(&archive);
}

/* A part of it: as much as recovery along one timeline needs. */
static void test_way(void)
{
    struct wal_archive whole, part;
    struct archive_run run;

    put_forks();
    put_name("wal/0000000100000000/000000010000000000000001-000000010000000000000002.gap");
    whole = load();
    wal_archive_begin(SYSTEM, SEGMENT_BYTES, &part);
    CHECK(wal_archive_add(&part, &repository, history_of(&whole, 2), 3) == REPOSITORY_OK);
    CHECK(wal_archive_timeline(&part, 3) == NULL && wal_archive_timeline(&part, 4) == NULL);
    wal_archive_follow(&part, history_of(&whole, 2), 2, 3, &run);
    CHECK(run.last == 8);
    wal_archive_follow(&part, history_of(&whole, 2), 2, 2, &run);
    CHECK(wal_archive_timeline(&part, 1)->gap_count == 1);
    wal_archive_close(&part);
    wal_archive_begin(SYSTEM, SEGMENT_BYTES, &part);
    CHECK(wal_archive_add(&part, &repository, history_of(&whole, 2), 6) == REPOSITORY_OK);
    CHECK(wal_archive_timeline(&part, 1) == NULL && wal_archive_timeline(&part, 2)->count == 4);
    wal_archive_close(&part);
    wal_archive_close(&whole);
}

/* Two repositories, each with a hole that the other fills. */
static void test_union(void)
{
    static char other_directory[] = "/tmp/walferry-unit-other-XXXXXX", other_name[] = "other";
    const struct store_limits limits = {10, 0};
    struct repository_config other_place = place;
    struct repository other;
    struct wal_archive archive;
    struct archive_times times;

    REQUIRE(mkdtemp(other_directory) != NULL);
    other_place.path = other_place.url = other_directory;
    other_place.name = other_name;
    REQUIRE(repository_open(&config, &other_place, NULL, &limits, &other) == 0);
    put_forks();
    char *command[] = {"cp", "-r", unit_path("%s/main", directory), other_directory, NULL}, output[100];
    CHECK(unit_run(command, output, sizeof output) == 0);
    take_away(1, 3);
    take_away(1, 6);
    CHECK(unlink(unit_path("%s/main/7574912398475612345/%s", other_directory, segment_file(1, 4, ""))) == 0);
    wal_archive_begin(SYSTEM, SEGMENT_BYTES, &archive);
    CHECK(wal_archive_add(&archive, &repository, NULL, 0) == REPOSITORY_OK);
    CHECK(wal_archive_add(&archive, &other, NULL, 0) == REPOSITORY_OK);
    const struct timeline_history first = {.timeline = 1};
    struct archive_run run;
    wal_archive_follow(&archive, &first, 1, 1, &run);
    CHECK(run.last == 6 && archive.segment_count == 14);
    CHECK(wal_archive_segment(&archive, 1, 3)->source == 1 &&
          wal_archive_segment(&archive, 1, 4)->source == 0);
    CHECK(wal_archive_times(&archive, &first, &run, &times) == REPOSITORY_OK);
    CHECK(times.is_known && times.most_time == NOON + 6 * SECOND && times.last_segment == 6);
    wal_archive_close(&archive);
    repository_close(&other);
    unit_remove_tree(other_directory);
}

static bool count(void *context, uint32_t timeline, uint64_t number, const struct wal_summary *summary)
{
    struct buffer *told = context;

    return buffer_printf(told, "%u:%llu%s ", timeline, (unsigned long long)number,
                         summary == NULL ? "?" : "") == 0;
}

static void test_times(void)
{
    struct archive_enough enough = {INT64_MAX, 4};
    struct buffer told = BUFFER_EMPTY;
    struct archive_times times;
    uint64_t number;

    put_forks();
    struct wal_archive archive = load();
    struct archive_run run = follow(&archive, 3, 3);
    CHECK(wal_archive_read(&archive, history_of(&archive, 3), &run, count, &told) == REPOSITORY_OK);
    CHECK_TEXT(buffer_string(&told), "3:7 3:6 3:5 1:4 1:3 ");
    buffer_clear(&told);
    run = follow(&archive, 4, 2);
    CHECK(wal_archive_read(&archive, history_of(&archive, 4), &run, count, &told) == REPOSITORY_OK);
    CHECK_TEXT(buffer_string(&told), "4:4 1:3 1:2 ");
    wal_archive_close(&archive);

    empty_repository(); /* the clock was set back twice; nothing was committed in the last ones */
    static const int64_t seconds[] = {5, 900, 30, 40, 80, 60, 70, NOTHING, NOTHING};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++)
        put_times(1, i + 1, seconds[i]);
    archive = load();
    run = follow(&archive, 1, 1);
    CHECK(wal_archive_times(&archive, NULL, &run, &times) == REPOSITORY_OK);
    CHECK(times.is_known && times.has_commit && times.most_time == NOON + 900 * SECOND);
    CHECK(times.last_segment == 7 && times.last_lsn == lsn_in(7, 0x1000));
    CHECK(wal_archive_times_enough(&archive, NULL, &run, &enough, &times) == REPOSITORY_OK);
    CHECK(times.is_known && times.most_time == NOON + 80 * SECOND);
    enough = (struct archive_enough){NOON + 65 * SECOND, 0};
    CHECK(wal_archive_times_enough(&archive, NULL, &run, &enough, &times) == REPOSITORY_OK);
    CHECK(times.most_time == NOON + 70 * SECOND);
    enough = (struct archive_enough){INT64_MAX, 9}; /* no commit there: on to the last one */
    CHECK(wal_archive_times_enough(&archive, NULL, &run, &enough, &times) == REPOSITORY_OK);
    CHECK(times.most_time == NOON + 70 * SECOND);
    CHECK(wal_archive_find_later(&archive, NULL, &run, NOON + 50 * SECOND, &number) == REPOSITORY_OK &&
          number == 2);
    CHECK(wal_archive_find_later(&archive, NULL, &run, NOON + 900 * SECOND, &number) == REPOSITORY_ABSENT);
    wal_archive_close(&archive);

    take_away(1, 4);
    put_unknown(1, 4);
    archive = load();
    CHECK(wal_archive_times(&archive, NULL, &run, &times) == REPOSITORY_OK);
    CHECK(!times.is_known && times.has_commit && times.most_time == NOON + 80 * SECOND);
    wal_archive_close(&archive);
    buffer_free(&told);
}

/* Damage is told, and what is damaged is not known. */
static void test_damage(void)
{
    struct archive_times times;

    empty_repository();
    for (uint64_t number = 1; number <= 3; number++)
        put_times(1, number, (int64_t)number);
    CHECK(truncate(below(segment_file(1, 2, "")), 1030) == 0);
    struct wal_archive archive = load();
    struct archive_run run = follow(&archive, 1, 1);
    unit_listen();
    CHECK(wal_archive_times(&archive, NULL, &run, &times) == REPOSITORY_OK);
    CHECK(unit_heard("000000010000000000000002 is damaged"));
    CHECK(!times.is_known && times.most_time == NOON + 3 * SECOND && archive.damaged_count == 1);
    wal_archive_close(&archive);
}

/* Of one complete log the index alone is read: its trailers may say what they want. */
static void test_index(void)
{
    struct archive_times times;

    empty_repository();
    for (uint64_t number = 4; number <= 9; number++)
        put_times(1, number, (int64_t)number);
    CHECK(make_index(1, SEGMENT_BYTES) == REPOSITORY_OK);
    struct wal_archive archive = load();
    struct archive_run run = follow(&archive, 1, 4);
    unit_listen();
    for (uint64_t number = 4; number <= 7; number++) {
        struct stat status;
        CHECK(stat(below(segment_file(1, number, "")), &status) == 0);
        CHECK(truncate(below(segment_file(1, number, "")), 0) == 0 &&
              truncate(below(segment_file(1, number, "")), status.st_size) == 0);
    }
    CHECK(wal_archive_times(&archive, NULL, &run, &times) == REPOSITORY_OK);
    CHECK_TEXT(unit_listened(), "");
    CHECK(times.is_known && times.most_time == NOON + 9 * SECOND && archive.damaged_count == 0);
    wal_archive_close(&archive);
    CHECK(truncate(below(segment_file(1, 5, "")), 10) == 0); /* another one than that of the index */
    archive = load();
    unit_listen();
    CHECK(wal_archive_times(&archive, NULL, &run, &times) == REPOSITORY_OK);
    CHECK(unit_heard("is damaged") && !times.is_known);
    wal_archive_close(&archive);
}

/* By their times these segments stay young; they are waited for together, and each is asked for at least
 * once more. */
static void test_settling(void)
{
    const struct timespec tomorrow[2] = {{time(NULL) + 86400, 0}, {time(NULL) + 86400, 0}};

    empty_repository();
    for (uint64_t number = 1; number <= 13; number += 2) {
        put_times(1, number, NOTHING);
        CHECK(utimensat(AT_FDCWD, below(segment_file(1, number, "")), tomorrow, 0) == 0);
    }
    config.wal_fetch_hole_wait_seconds = 1;
    struct wal_archive archive = load();
    put_times(1, 12, NOTHING);
    int64_t begun = monotonic_now();
    CHECK(wal_archive_settle(&archive) == 0);
    CHECK(monotonic_now() - begun >= 1000000 && monotonic_now() - begun < 4000000);
    CHECK(wal_archive_segment(&archive, 1, 12) != NULL && wal_archive_segment(&archive, 1, 10) == NULL);
    wal_archive_close(&archive);
}

int main(void)
{
    log_open("test_wal_archive", LOG_WARNING, false);
    open_repository();
    test_listing();
    test_one_timeline();
    test_forks();
    test_holes_at_forks();
    test_way();
    test_union();
    test_times();
    test_damage();
    test_index();
    test_settling();
    close_repository();
    return unit_done("wal_archive");
}
