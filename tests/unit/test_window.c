/* What can be recovered, and the proof that a target can be reached. */
#include "common/log.h"
#include "common/window.h"
#include "wal_archive_fixture.h"

#define BACKUPS 4

static struct backup backups[BACKUPS];
static struct backup_list list = {backups, 0, 0};

static struct wal_archive load(void)
{
    struct wal_archive archive;

    CHECK(wal_archive_load(&repository, SYSTEM, SEGMENT_BYTES, &archive) == REPOSITORY_OK);
    return archive;
}

static void add_backup(uint32_t timeline, uint64_t number, int64_t seconds)
{
    backups[list.count++] = make_backup(timeline, lsn_in(number, 0x28), lsn_in(number, 0x900), seconds);
}

/* Segments 1 to 12 of timeline 1, one commit in each, ten seconds apart; backups in 2, 5 and 10. */
static void put_plain(void)
{
    empty_repository();
    list.count = 0;
    for (uint64_t number = 1; number <= 12; number++)
        put_times(1, number, 10 * (int64_t)number);
    add_backup(1, 2, 15);
    add_backup(1, 5, 45);
    add_backup(1, 10, 95);
}

static void test_plain_window(void)
{
    struct windows windows;

    put_plain();
    struct wal_archive archive = load();
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK && windows.count == 1);
    const struct window *window = &windows.items[0];
    CHECK(window->timeline == 1 && windows.latest == 1 && window->leads_to_latest && !window->is_left);
    REQUIRE(window->count == 1 && window->incomplete_count == 0);
    const struct window_stretch *stretch = &window->stretches[0];
    CHECK(stretch->first == &backups[0] && stretch->last == &backups[2] && stretch->backup_count == 3);
    CHECK(stretch->earliest == NOON + 15 * SECOND && stretch->is_known && stretch->has_latest);
    CHECK(stretch->latest == NOON + 120 * SECOND && stretch->last_lsn == lsn_in(12, 0x1000));
    CHECK(stretch->covered_until == NOON + 95 * SECOND && stretch->run.last == 12);
    windows_free(&windows);
    wal_archive_close(&archive);
}

/* A hole makes two stretches; a backup whose own WAL is in it can't be used. */
static void test_broken_window(void)
{
    struct windows windows;

    put_plain();
    take_away(1, 5);
    take_away(1, 8);
    struct wal_archive archive = load();
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK && windows.count == 1);
    const struct window *window = &windows.items[0];
    REQUIRE(window->count == 2 && window->incomplete_count == 1);
    CHECK(window->incomplete[0].backup == &backups[1] && window->incomplete[0].missing == 5);
    CHECK(window->stretches[0].run.last == 4 && window->stretches[0].run.is_hole);
    CHECK(window->stretches[0].latest == NOON + 40 * SECOND && window->stretches[0].backup_count == 1);
    CHECK(window->stretches[1].first == &backups[2] && window->stretches[1].latest == NOON + 120 * SECOND);
    windows_free(&windows);
    wal_archive_close(&archive);
    backups[1].wal_included = true; /* it holds that WAL itself */
    archive = load();
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK);
    CHECK(windows.items[0].count == 3 && windows.items[0].incomplete_count == 0);
    CHECK(windows.items[0].stretches[1].run.first == 6 && windows.items[0].stretches[1].run.last == 7);
    CHECK(windows.items[0].stretches[1].latest == NOON + 70 * SECOND);
    windows_free(&windows);
    wal_archive_close(&archive);
    backups[1].from_standby = true; /* only the beginning of segment 5 */
    archive = load();
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK && windows.items[0].count == 3);
    CHECK(windows.items[0].stretches[1].run.last < windows.items[0].stretches[1].run.first);
    windows_free(&windows);
    wal_archive_close(&archive);
}

/* Nothing was committed since the newest backup began, nor since the one before it. */
static void test_idle_window(void)
{
    struct windows windows;

    put_plain();
    for (uint64_t number = 5; number <= 12; number++) {
        take_away(1, number);
        put_times(1, number, NOTHING);
    }
    struct wal_archive archive = load();
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK);
    CHECK(windows.items[0].stretches[0].has_latest);
    CHECK(windows.items[0].stretches[0].latest == NOON + 40 * SECOND);
    CHECK(windows.items[0].stretches[0].covered_until == NOON + 95 * SECOND);
    windows_free(&windows);
    backups[1].covered_until -= SECOND; /* its stop time is no evidence, and a standby's is none at all */
    backups[2].covered_until = 0;
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK);
    CHECK(windows.items[0].stretches[0].covered_until == NOON + 44 * SECOND);
    windows_free(&windows);
    wal_archive_close(&archive);
}

/* What was committed before a backup's end is no instant that can be recovered to. */
static void test_window_without_commits(void)
{
    struct windows windows;

    put_plain();
    list.count = 0;
    backups[list.count++] = make_backup(1, lsn_in(12, 0x2000), lsn_in(12, 0x3000), 125);
    struct wal_archive archive = load();
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK && windows.items[0].count == 1);
    CHECK(windows.items[0].stretches[0].is_known && !windows.items[0].stretches[0].has_latest);
    windows_free(&windows);
    wal_archive_close(&archive);
}

/* Of two that were taken at the same time, the first to end counts. */
static void test_overlapping_backups(void)
{
    struct windows windows;

    put_plain();
    backups[0] = make_backup(1, lsn_in(2, 0x28), lsn_in(9, 0x900), 91);
    struct wal_archive archive = load();
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK && windows.items[0].count == 1);
    const struct window_stretch *stretch = &windows.items[0].stretches[0];
    CHECK(stretch->earliest == NOON + 45 * SECOND && stretch->first == &backups[1]);
    CHECK(stretch->last == &backups[2] && stretch->backup_count == 3 && stretch->run.first == 2);
    windows_free(&windows);
    wal_archive_close(&archive);
}

/* Timeline 2 left 1 in the middle of 6; 3 left 1 in 4, and is the latest. */
static void put_forks(void)
{
    put_plain();
    put_history(2, "1\t1/90000000\tfork\n");
    put_history(3, "1\t1/10000000\tfork\n");
    for (uint64_t number = 6; number <= 8; number++)
        put_times(2, number, 200 + (int64_t)number);
    for (uint64_t number = 4; number <= 6; number++)
        put_times(3, number, 300 + (int64_t)number);
    backups[list.count++] = make_backup(2, lsn_in(7, 0x28), lsn_in(7, 0x900), 206);
}

static void test_forks(void)
{
    struct windows windows;

    put_forks();
    struct wal_archive archive = load();
    REQUIRE(windows_find(&archive, &list, &windows) == REPOSITORY_OK && windows.count == 3);
    CHECK(windows.latest == 3);
    const struct window *first = &windows.items[0], *second = &windows.items[1], *third = &windows.items[2];
    CHECK(first->is_left && first->by_timeline == 3 && first->left_at == lsn_in(4, 0x10000000) &&
          first->leads_to_latest);
    CHECK(first->count == 1 && first->stretches[0].latest == NOON + 120 * SECOND);
    CHECK(!second->leads_to_latest && !second->is_left && second->count == 1);
    CHECK(second->stretches[0].backup_count == 3 && second->stretches[0].latest == NOON + 208 * SECOND);
    CHECK(third->leads_to_latest && third->count == 1 && third->stretches[0].backup_count == 1);
    CHECK(third->stretches[0].latest == NOON + 306 * SECOND && third->stretches[0].run.last == 6);
    windows_free(&windows);
    wal_archive_close(&archive);
}

/* Proofs */

static size_t unasked; /* repositories that could not be asked */

static struct window_proof prove_along(uint32_t timeline, const struct backup *backup,
                                       const struct window_target *target)
{
    struct wal_archive archive = load();
    struct window_origin origin;
    struct window_proof proof;

    archive.unasked_count = unasked;
    window_origin_of(backup, &origin);
    window_prove(&archive, &wal_archive_timeline(&archive, timeline)->history, &origin, &list, target,
                 &proof);
    unit_listen();
    window_tell(&archive, &wal_archive_timeline(&archive, timeline)->history, target, "it", &proof);
    wal_archive_close(&archive);
    return proof;
}

static struct window_proof prove_time(const struct backup *backup, int64_t seconds)
{
    const struct window_target target = {.kind = WINDOW_TIME, .time = NOON + seconds * SECOND};

    return prove_along(1, backup, &target);
}

static void test_times(void)
{
    struct window_target target = {.kind = WINDOW_TIME, .time = NOON + 120 * SECOND};

    put_plain();
    CHECK(prove_time(&backups[0], 119).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    CHECK(prove_time(&backups[0], 120).verdict == WINDOW_REFUSED);
    CHECK(unit_heard(
        "latest recoverable instant on timeline 1 is just before 2026-11-21 12:02:00.000000+00, the time of "
        "the last commit; the WAL ends with segment 000000010000000300000000"));
    target.exclusive = true; /* PostgreSQL stops before that very commit */
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    CHECK(prove_time(&backups[2], 500).reason == WINDOW_BEHIND);
    CHECK(unit_heard("--target-lsn 3/1000"));
    put_name(segment_file(1, 13, ".partial"));
    CHECK(prove_time(&backups[2], 500).reason == WINDOW_BEHIND);
    CHECK(unit_heard("segment 000000010000000300000000, and of the next there is only a .partial"));
    CHECK(prove_time(&backups[2], 500).reason == WINDOW_BEHIND); /* the lost server's pg_wal may have more */
    CHECK(unit_heard("(basebackup-fetch --unproven restores"));
    take_away(1, 8);
    CHECK(prove_time(&backups[0], 69).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    CHECK(prove_time(&backups[0], 70).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("is just before 2026-11-21 12:01:10.000000+00, the time of the last commit; WAL segment "
                     "000000010000000200000000 is missing"));
    CHECK(prove_time(&backups[0], 110).verdict == WINDOW_REFUSED); /* behind the hole */
    CHECK(unit_heard("--accept-end 000000010000000200000000"));
    target = (struct window_target){
        .kind = WINDOW_TIME, .time = NOON + 55 * SECOND, .accept_end = "000000010000000100000002"};
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("just before 2026-11-21 12:00:50.000000+00"));
    take_away(1, 2);
    CHECK(prove_time(&backups[0], 35).reason == WINDOW_INCOMPLETE);
    CHECK(unit_heard("WAL segment 000000010000000000000002, which it needs, is missing"));
}

/* The last commit is before the backup's end. */
static void test_times_without_commits(void)
{
    put_plain();
    backups[2] = make_backup(1, lsn_in(12, 0x2000), lsn_in(12, 0x3000), 125);
    CHECK(prove_time(&backups[2], 126).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("is the end of backup 20261121T120204Z-00000001-0000000300002000, 2026-11-21 "
                     "12:02:05.000000+00, since nothing was committed after it"));
}

/* A later backup tells that time went by; without, nobody knows. */
static void test_idle_times(void)
{
    put_plain();
    for (uint64_t number = 5; number <= 12; number++) {
        take_away(1, number);
        put_times(1, number, NOTHING);
    }
    struct window_proof proof = prove_time(&backups[0], 60);
    CHECK(proof.verdict == WINDOW_TURNED && proof.lsn == lsn_in(4, 0x1000));
    CHECK(unit_heard(
        "nothing was committed from 2026-11-21 12:00:40.000000+00, the time of the last commit, to "
        "2026-11-21 12:01:35.000000+00 at least"));
    CHECK(prove_time(&backups[0], 95).verdict == WINDOW_TURNED);
    unit_listened();
    CHECK(prove_time(&backups[0], 96).verdict == WINDOW_REFUSED);
    unit_listened();
    backups[2].covered_until -= SECOND; /* what was committed up to its stop time may be behind its end */
    CHECK(prove_time(&backups[0], 95).verdict == WINDOW_REFUSED);
    unit_listened();
    backups[2].covered_until = 0; /* a standby's: of the primary's time it tells nothing */
    CHECK(prove_time(&backups[0], 60).verdict == WINDOW_REFUSED);
    unit_listened();
    backups[2].covered_until = backups[2].stop_time;
    proof = prove_time(&backups[1], 60); /* no commit behind its end at all */
    CHECK(proof.verdict == WINDOW_TURNED && proof.lsn == backups[1].stop_lsn);
    unit_listened();
    take_away(1, 10); /* the later backup is not on the way any more */
    CHECK(prove_time(&backups[0], 60).verdict == WINDOW_REFUSED);
    unit_listened();
}

static void test_unknown_times(void)
{
    put_plain();
    take_away(1, 11);
    put_unknown(1, 11);
    CHECK(prove_time(&backups[0], 119).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    CHECK(prove_time(&backups[0], 120).verdict == WINDOW_UNKNOWN);
    CHECK(unit_heard("it is not certain that"));
}

/* What is missing may be where nobody could be asked. */
static void test_unasked(void)
{
    const struct window_target name = {.kind = WINDOW_NAME, .name = "nowhere"};

    put_plain();
    take_away(1, 8);
    unasked = 1;
    CHECK(prove_time(&backups[0], 69).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    CHECK(prove_time(&backups[0], 70).verdict == WINDOW_UNKNOWN);
    CHECK(unit_heard("not all repositories could be asked, and in the others WAL segment "
                     "000000010000000200000000 is missing"));
    CHECK(prove_along(1, &backups[0], &name).verdict == WINDOW_UNKNOWN);
    unit_listened();
    take_away(1, 2);
    CHECK(prove_time(&backups[0], 35).verdict == WINDOW_UNKNOWN);
    CHECK(unit_heard("000000010000000000000002 is missing"));
    unasked = 0;
}

/* Recovery follows the latest timeline, which such a one may know of. */
static void test_unasked_histories(void)
{
    struct window_target target = {.kind = WINDOW_TIME, .time = NOON + 69 * SECOND, .is_on_latest = true};

    put_plain();
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    unasked = 1;
    struct window_proof proof = prove_along(1, &backups[0], &target);
    CHECK(proof.verdict == WINDOW_UNKNOWN && proof.reason == WINDOW_NOT_LATEST);
    CHECK(unit_heard("can be reached on timeline 1, but it is not certain that that is the latest"));
    target.is_on_latest = false;
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    unasked = 0;
}

/* Before a hole the last commit is told, whatever the target is; but none that is in the backup. */
static void test_end_before_hole(void)
{
    struct window_target target = {.kind = WINDOW_NEWEST};

    put_plain();
    take_away(1, 8);
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK(unit_heard("recovery will stop there, behind the commit of 2026-11-21 12:01:10.000000+00"));
    target = (struct window_target){.kind = WINDOW_LSN, .lsn = lsn_in(9, 0)};
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("the end before it, the commit of 2026-11-21 12:01:10.000000+00, and give up"));
    for (uint64_t number = 6; number <= 7; number++) {
        take_away(1, number);
        put_times(1, number, NOTHING);
    }
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("the end before it, the commit of 2026-11-21 12:00:50.000000+00, and give up"));
    backups[1].stop_lsn = lsn_in(5, 0x2000); /* behind that commit */
    CHECK(prove_along(1, &backups[1], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("the end before it, and give up"));
}

static void test_lsns(void)
{
    struct window_target target = {.kind = WINDOW_LSN, .lsn = lsn_in(11, 0x3FFFFFFF)};

    put_plain();
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    target.lsn = lsn_in(12, 0x1000); /* its last commit */
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    target.lsn++; /* what it holds is no WAL */
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_UNKNOWN);
    CHECK(unit_heard("it is not certain that"));
    target.lsn = lsn_in(13, 0);
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("can't be reached on timeline 1: the WAL ends with segment 000000010000000300000000"));
    take_away(1, 12);
    target.lsn--;
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("the WAL ends with segment 000000010000000200000003"));
}

/* In the last segment a record must begin there or behind it. */
static void test_lsns_at_end(void)
{
    struct window_target target = {.kind = WINDOW_LSN};
    struct object_facts facts = {.kind = "segment",
                                 .system_identifier = SYSTEM,
                                 .timeline = 1,
                                 .postgresql_version = 15,
                                 .has_summary = true,
                                 .summary = {.is_whole = true, .xids_are_known = true}};
    struct wal_builder builder;

    put_plain();
    builder_begin(&builder, 0xD110, 13 * (SEGMENT_BYTES / BUILDER_SEGMENT), 1);
    uint64_t record = builder_record(&builder, BUILDER_XLOG, BUILDER_SWITCH, 0, NULL, 0)->begin;
    wal_segment_name(1, 13, SEGMENT_BYTES, facts.name);
    put_bytes(&facts, builder_segment(&builder, 0), BUILDER_SEGMENT);
    target.lsn = record;
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    target.lsn++; /* up to where pg_switch_wal() tells */
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("the WAL ends with segment 000000010000000300000001"));
    builder_free(&builder);
}

/* Along timeline 3, which left 1 in segment 4, what is behind that on timeline 1 does not count. */
static void test_ways(void)
{
    struct window_target target = {.kind = WINDOW_TIME, .time = NOON + 115 * SECOND};

    put_forks();
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
    CHECK(prove_along(3, &backups[0], &target).verdict == WINDOW_PROVEN); /* a later commit is on 3 */
    CHECK_TEXT(unit_listened(), "");
    take_away(3, 4);
    CHECK(prove_along(3, &backups[0], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard(
        "timeline 3 is just before 2026-11-21 12:00:30.000000+00, the time of the last commit; WAL segment "
        "000000030000000100000000 is missing"));
    target.time = NOON + 25 * SECOND;
    CHECK(prove_along(3, &backups[0], &target).verdict == WINDOW_PROVEN);
    CHECK_TEXT(unit_listened(), "");
}

static void put_point(uint32_t timeline, uint64_t number, uint32_t offset, const char *name, int64_t seconds)
{
    struct wal_restore_point point = {.time = NOON + seconds * SECOND, .lsn = lsn_in(number, offset)};
    struct wal_summary summary = {.is_whole = true, .xids_are_known = true, .restore_points = 1};
    struct object_facts facts;
    struct buffer document = BUFFER_EMPTY;

    snprintf(point.name, sizeof point.name, "%s", name);
    take_away(timeline, number);
    put_segment(timeline, number, &summary, &facts);
    CHECK(restore_points_seal(&facts, &point, &document) == 0 &&
          restore_points_put(&repository, &facts, &document) == REPOSITORY_OK);
    buffer_free(&document);
}

static void test_names(void)
{
    struct window_target target = {.kind = WINDOW_NAME, .name = "before the update"};

    put_forks();
    put_point(1, 3, 0x5000, "before the update", 30);
    put_point(1, 7, 0x5000, "before the upgrade", 70);
    put_point(2, 8, 0x5000, "before the update", 208);
    put_point(2, 6, 0x5000, "something else", 206);
    put_point(1, 9, 0x5000, "the uptake", 90);
    struct window_proof proof = prove_along(1, &backups[0], &target);
    CHECK(proof.verdict == WINDOW_PROVEN && proof.lsn == lsn_in(3, 0x5000) && proof.points == 1);
    CHECK_TEXT(unit_listened(), "");
    CHECK(prove_along(1, &backups[1], &target).reason == WINDOW_NO_POINT);
    CHECK(unit_heard("The nearest names are \"before the upgrade\", \"the uptake\"."));
    proof = prove_along(2, &backups[0], &target);
    CHECK(proof.verdict == WINDOW_PROVEN && proof.lsn == lsn_in(3, 0x5000) && proof.points == 2);
    CHECK(unit_heard("there are 2 restore points of that name"));
    proof = prove_along(2, &backups[1], &target);
    CHECK(proof.verdict == WINDOW_PROVEN && proof.lsn == lsn_in(8, 0x5000));
    CHECK_TEXT(unit_listened(), "");
    target.name = "the uptake";
    take_away(1, 8);
    CHECK(prove_along(1, &backups[0], &target).reason == WINDOW_BEHIND);
    CHECK(unit_heard("000000010000000200000000 is missing"));
    take_away(1, 6);
    put_unknown(1, 6);
    target.name = "nowhere";
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_UNKNOWN);
    unit_listened();
}

/* Two repositories with the same points. */
static void test_names_twice(void)
{
    const struct window_target target = {.kind = WINDOW_NAME, .name = "daily"};
    const struct timeline_history history = {.timeline = 1};
    struct window_origin origin;
    struct window_proof proof;

    put_plain();
    put_point(1, 4, 0x5000, "daily", 40);
    put_point(1, 3, 0x5000, "daily", 30);
    put_point(1, 6, 0x5000, "weekly", 60);
    put_point(1, 9, 0x5000, "daily", 90);
    struct wal_archive archive = load();
    CHECK(wal_archive_add(&archive, &repository, NULL, 0) == REPOSITORY_OK && archive.source_count == 2);
    window_origin_of(&backups[0], &origin);
    window_prove(&archive, &history, &origin, &list, &target, &proof);
    CHECK(proof.verdict == WINDOW_PROVEN && proof.points == 3 && proof.lsn == lsn_in(3, 0x5000));
    wal_archive_close(&archive);
}

/* A segment with more of them than are told one by one. */
static void test_too_many_names(void)
{
    const struct window_target target = {.kind = WINDOW_NAME, .name = "the last"};
    struct wal_summary summary = {
        .is_whole = true, .xids_are_known = true, .restore_points = WAL_RESTORE_POINTS_MOST};
    struct object_facts facts;

    put_plain();
    take_away(1, 7);
    put_segment(1, 7, &summary, &facts);
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_REFUSED);
    CHECK(unit_heard("there is no it"));
    take_away(1, 7);
    summary.restore_points++;
    put_segment(1, 7, &summary, &facts);
    CHECK(prove_along(1, &backups[0], &target).verdict == WINDOW_UNKNOWN);
    CHECK(unit_heard("it is not certain that"));
}

/* What only a pg_wal has: two records that a segment's edge cuts, and a last segment that is not full. */

#define LOCAL_COUNT 4

static char pg_wal[40];
static uint64_t local_first;

static void write_pg_wal(const struct wal_builder *builder)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    snprintf(pg_wal, sizeof pg_wal, "/tmp/walferry-unit-pg_wal-XXXXXX");
    REQUIRE(mkdtemp(pg_wal) != NULL);
    for (size_t i = 0; i < LOCAL_COUNT; i++) {
        wal_segment_name(1, local_first + i, BUILDER_SEGMENT, name);
        unit_write(unit_path("%s/%s", pg_wal, name), builder_segment(builder, i), BUILDER_SEGMENT);
    }
    /* waits to be used as a later one */
    wal_segment_name(1, local_first + LOCAL_COUNT, BUILDER_SEGMENT, name);
    unit_write(unit_path("%s/%s", pg_wal, name), builder_segment(builder, 0), BUILDER_SEGMENT);
}

/* Where each begins and ends. */
static struct built local[8];

static void build_local(struct wal_builder *builder)
{
    builder_begin(builder, 0xD110, local_first, LOCAL_COUNT);
    local[6] = *builder_end(builder, BUILDER_COMMIT, 8, NOON, NULL, 0, 0);
    local[7] = *builder_end(builder, BUILDER_ABORT, 9, NOON, NULL, 0, 0);
    local[0] = *builder_end(builder, BUILDER_COMMIT, 10, NOON + SECOND, NULL, 0, 0);
    local[1] = *builder_point(builder, "first", NOON + SECOND, 0);
    builder_fill(builder, 16);
    local[2] = *builder_end(builder, BUILDER_COMMIT, 11, NOON + 2 * SECOND, NULL, 0, 0);
    builder_fill(builder, 48);
    local[3] = *builder_point(builder, "on the edge", NOON + 3 * SECOND, 0);
    local[4] = *builder_end(builder, BUILDER_COMMIT, 12, NOON + 4 * SECOND, NULL, 0, 0);
    builder_fill(builder, 32);
    builder_record(builder, BUILDER_HEAP, 0, 1, (const unsigned char[8]){0}, 8); /* up to the edge */
    local[5] = *builder_end(builder, BUILDER_COMMIT, 13, NOON + 5 * SECOND, NULL, 0, 0);
}

static struct window_proof prove_local(const struct window_target *target)
{
    const struct timeline_history history = {.timeline = 1};
    const struct window_origin origin = {NULL, local_first * BUILDER_SEGMENT + 0x28, 0};
    const struct backup_list none = {NULL, 0, 0};
    struct wal_archive archive;
    struct window_proof proof;

    wal_archive_begin(SYSTEM, BUILDER_SEGMENT, &archive);
    CHECK(wal_archive_add_pg_wal(&archive, pg_wal) == 0 && archive.segment_count == LOCAL_COUNT);
    window_prove(&archive, &history, &origin, &none, target, &proof);
    CHECK(proof.run.last == local_first + LOCAL_COUNT - 1);
    wal_archive_close(&archive);
    return proof;
}

static void check_place(const struct window_target *target, uint64_t lsn)
{
    struct window_proof proof = prove_local(target);

    CHECK(proof.verdict == WINDOW_PROVEN && proof.lsn == lsn && proof.points <= 1);
}

static void test_pg_wal(uint64_t first)
{
    struct window_target target = {.kind = WINDOW_TIME, .time = NOON + 5 * SECOND - 1};
    struct wal_builder builder;

    local_first = first;
    build_local(&builder);
    write_pg_wal(&builder);
    CHECK(prove_local(&target).verdict == WINDOW_PROVEN);
    target.time++;
    struct window_proof proof = prove_local(&target);
    CHECK(proof.verdict == WINDOW_REFUSED && proof.times.most_time == NOON + 5 * SECOND);
    CHECK(proof.times.last_lsn == local[5].begin);
    check_place(&(struct window_target){.kind = WINDOW_XID, .xid = 10}, local[0].begin);
    check_place(&(struct window_target){.kind = WINDOW_XID, .xid = 11}, local[2].begin);
    check_place(&(struct window_target){.kind = WINDOW_XID, .xid = 12}, local[4].begin);
    check_place(&(struct window_target){.kind = WINDOW_XID, .xid = 13}, local[5].begin);
    check_place(&(struct window_target){.kind = WINDOW_XID, .xid = 8}, local[6].begin);
    check_place(&(struct window_target){.kind = WINDOW_XID, .xid = 9}, local[7].begin);
    target = (struct window_target){.kind = WINDOW_XID, .xid = 14};
    CHECK(prove_local(&target).reason == WINDOW_NO_XID);
    check_place(&(struct window_target){.kind = WINDOW_NAME, .name = "first"}, local[1].end);
    check_place(&(struct window_target){.kind = WINDOW_NAME, .name = "on the edge"}, local[3].end);
    target = (struct window_target){.kind = WINDOW_NAME, .name = "over the edge"};
    CHECK(prove_local(&target).reason == WINDOW_NO_POINT);
    CHECK(local[2].begin / BUILDER_SEGMENT != (local[2].end - 1) / BUILDER_SEGMENT);
    CHECK(local[3].begin / BUILDER_SEGMENT != (local[3].end - 1) / BUILDER_SEGMENT);
    unit_remove_tree(pg_wal);
    builder_free(&builder);
}

/* The first segment is in a repository, and damaged: what is behind it is found all the same. */
static void test_damaged_neighbour(void)
{
    const struct timeline_history history = {.timeline = 1};
    const struct backup_list none = {NULL, 0, 0};
    struct window_target target = {.kind = WINDOW_NAME, .name = "on the edge"};
    struct wal_builder builder;
    struct wal_archive archive;
    struct window_proof proof;
    char name[WAL_SEGMENT_NAME_BYTES];

    empty_repository();
    local_first = 100;
    build_local(&builder);
    write_pg_wal(&builder);
    wal_segment_name(1, local_first, BUILDER_SEGMENT, name);
    CHECK(unlink(unit_path("%s/%s", pg_wal, name)) == 0);
    put_name(unit_path("wal/%.16s/%s", name, name));
    const struct window_origin origin = {NULL, local_first * BUILDER_SEGMENT + 0x28, 0};
    wal_archive_begin(SYSTEM, BUILDER_SEGMENT, &archive);
    CHECK(wal_archive_add(&archive, &repository, NULL, 0) == REPOSITORY_OK &&
          wal_archive_add_pg_wal(&archive, pg_wal) == 0 && archive.segment_count == LOCAL_COUNT);
    unit_listen();
    window_prove(&archive, &history, &origin, &none, &target, &proof);
    CHECK(proof.verdict == WINDOW_PROVEN && proof.lsn == local[3].end);
    target.name = "elsewhere"; /* perhaps in the damaged one */
    window_prove(&archive, &history, &origin, &none, &target, &proof);
    CHECK(proof.verdict == WINDOW_UNKNOWN && proof.reason == WINDOW_NO_POINT);
    unit_listened();
    wal_archive_close(&archive);
    unit_remove_tree(pg_wal);
    builder_free(&builder);
}

int main(void)
{
    log_open("test_window", LOG_INFO, false);
    open_repository();
    test_plain_window();
    test_broken_window();
    test_idle_window();
    test_window_without_commits();
    test_overlapping_backups();
    test_forks();
    test_times();
    test_times_without_commits();
    test_idle_times();
    test_unknown_times();
    test_unasked();
    test_unasked_histories();
    test_end_before_hole();
    test_lsns();
    test_lsns_at_end();
    test_ways();
    test_names();
    test_names_twice();
    test_too_many_names();
    test_pg_wal(100);
    test_pg_wal(4095); /* the first edge is that of a log, too */
    test_damaged_neighbour();
    close_repository();
    return unit_done("window");
}
