/* What the retention rules keep and let go of, each by hand; and that the proof refuses a plan that loses
 * something. */
#include "common/retention.h"
#include "unit.h"

#include "common/log.h"

#include <limits.h>

#define MIB16 (16u << 20)
#define DAY INT64_C(86400000000)
#define HOUR INT64_C(3600000000)
#define FIRST_DAY 18262 /* 2020-01-01, a Wednesday; a time "day 3.5" is at noon of January 4th */
#define MOST 64

static struct retention_policy policy;
static struct archive_timeline archives[2][8]; /* by generation */
static struct retention_timeline timelines[2][8];
static struct retention_generation generations[2];
static struct retention_backup backups[MOST];
static struct retention plan;

static int64_t at(double day)
{
    return (int64_t)((FIRST_DAY + day) * (double)DAY);
}

static void forget_spans(void)
{
    for (size_t g = 0; g < 2; g++)
        for (size_t i = 0; i < 8; i++) {
            free(timelines[g][i].spans);
            timelines[g][i] = (struct retention_timeline){.archive = NULL};
            free(archives[g][i].segments);
            free(archives[g][i].gaps);
            timeline_history_free(&archives[g][i].history);
            archives[g][i] = (struct archive_timeline){.timeline = 0};
        }
}

/* An empty repository, on this day. */
static void begin(double now, struct retention_policy wanted)
{
    forget_spans();
    policy = wanted;
    if (policy.orphan_age_seconds == 0)
        policy.orphan_age_seconds = 7 * 86400;
    plan = (struct retention){.policy = &policy,
                              .now = at(now),
                              .generations = generations,
                              .generation_count = 1,
                              .backups = backups};
    for (size_t g = 0; g < 2; g++)
        generations[g] = (struct retention_generation){
            .system_identifier = 7000 + g, .segment_bytes = MIB16, .timelines = timelines[g]};
}

/* WAL from one segment to another; first > last: none. history: a .history file's text, or NULL. */
static void wal(size_t generation, uint32_t timeline, uint64_t first, uint64_t last, const char *history)
{
    struct retention_generation *owner = &generations[generation];
    struct archive_timeline *archive = &archives[generation][owner->timeline_count];
    const char *problem;

    archive->timeline = timeline;
    archive->history.timeline = timeline;
    archive->has_history = history != NULL;
    if (history != NULL)
        REQUIRE(timeline_history_parse(timeline, history, strlen(history), &archive->history, &problem) == 0);
    archive->segments = calloc(last + 2, sizeof *archive->segments);
    for (uint64_t number = first; number <= last; number++)
        archive->segments[archive->count++] =
            (struct archive_segment){.number = number, .stored_bytes = 1000};
    timelines[generation][owner->timeline_count++].archive = archive;
    if (plan.generation_count <= generation)
        plan.generation_count = generation + 1;
}

static void remove_segment(uint64_t number)
{
    struct archive_timeline *archive = &archives[0][0];
    size_t kept = 0;

    for (size_t i = 0; i < archive->count; i++)
        if (archive->segments[i].number != number)
            archive->segments[kept++] = archive->segments[i];
    archive->count = kept;
}

/* A complete one from the middle of one segment to that of another. */
static struct retention_backup *backup_on(size_t generation, uint32_t timeline, uint64_t first, uint64_t last,
                                          double ended)
{
    struct retention_backup *backup = &backups[plan.backup_count++];

    *backup = (struct retention_backup){.generation = generation,
                                        .timeline = timeline,
                                        .start_lsn = first * MIB16 + 4096,
                                        .stop_lsn = last * MIB16 + 8192,
                                        .stop_time = at(ended),
                                        .stored_time = at(ended) + HOUR / 60,
                                        .stored_bytes = 5000};
    backup_id_make(at(ended) - HOUR, timeline, backup->start_lsn, backup->id);
    return backup;
}

static struct retention_backup *backup(uint64_t first, double ended)
{
    return backup_on(0, 1, first, first, ended);
}

/* A backup each day at 12:00 UTC, of segment 10 * day + 1; ten segments a day. */
static void daily(unsigned days)
{
    wal(0, 1, 0, 10 * (uint64_t)days, NULL);
    for (unsigned day = 0; day < days; day++)
        backup(10 * (uint64_t)day + 1, day + 0.5);
}

static void make_plan(void)
{
    CHECK(retention_plan(&plan) == 0);
    CHECK(retention_is_proven(&plan));
}

/* Days of daily() that stay, as text: "0 7 13". */
static const char *days_kept(void)
{
    static char text[512];
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < plan.backup_count; i++)
        if (backups[i].reasons != 0)
            length +=
                (size_t)snprintf(text + length, sizeof text - length, "%s%zu", length > 0 ? " " : "", i);
    return text;
}

/* The WAL of one timeline: "-0-100 +101-101:1 -102-140 +141-*:6", + stays, with its reasons. */
static const char *spans(size_t generation, size_t index)
{
    static char text[1024];
    size_t length = 0;
    const struct retention_timeline *timeline = &timelines[generation][index];

    text[0] = '\0';
    for (size_t i = 0; i < timeline->span_count; i++) {
        const struct retention_span *span = &timeline->spans[i];
        char last[24], reasons[24] = "";
        snprintf(last, sizeof last, "%llu", (unsigned long long)span->last);
        snprintf(reasons, sizeof reasons, ":%u", span->reasons);
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s%c%llu-%s%s", length > 0 ? " " : "",
                             span->stays ? '+' : '-', (unsigned long long)span->first,
                             span->last == UINT64_MAX ? "*" : last, span->stays ? reasons : "");
    }
    return text;
}

static void test_counts(void)
{
    begin(20, (struct retention_policy){.keep_last = 3});
    daily(20);
    make_plan();
    CHECK_TEXT(days_kept(), "17 18 19");
    CHECK_TEXT(spans(0, 0), "-0-170 +171-*:7"); /* no keep_wal: all since the oldest */
    begin(20, (struct retention_policy){.keep_for_seconds = 5 * 86400});
    daily(20);
    make_plan();
    CHECK_TEXT(days_kept(), "15 16 17 18 19");
    /* weeks end on Sundays: January 5th, 12th, 19th are days 4, 11, 18 */
    begin(20, (struct retention_policy){.keep_weekly = 3});
    daily(20);
    make_plan();
    CHECK_TEXT(days_kept(), "11 18 19");
    begin(60, (struct retention_policy){.keep_monthly = 3, .keep_yearly = 5, .keep_daily = 2});
    daily(60); /* January has 31 days, February 29 */
    make_plan();
    CHECK_TEXT(days_kept(), "30 58 59");
    CHECK(backups[30].reasons == KEPT_MONTHLY);
    CHECK(backups[59].reasons == (KEPT_NEWEST | KEPT_MONTHLY | KEPT_DAILY | KEPT_YEARLY));
    /* two a day: the later one; days without any don't count */
    begin(10, (struct retention_policy){.keep_daily = 2});
    wal(0, 1, 0, 100, NULL);
    backup(1, 1.1);
    backup(2, 1.9);
    backup(3, 7.1);
    backup(4, 7.2);
    make_plan();
    CHECK_TEXT(days_kept(), "1 3");
}

static void test_window(void)
{
    begin(20, (struct retention_policy){.keep_wal_seconds = 3 * 86400});
    daily(20);
    make_plan();
    /* it begins on day 17.0: the backup of day 16.5 is the last that ended before */
    CHECK_TEXT(days_kept(), "16 17 18 19");
    CHECK(backups[16].reasons == KEPT_BASE && backups[17].reasons == KEPT_WINDOW);
    CHECK_TEXT(spans(0, 0), "-0-160 +161-*:7");
    /* others keep what makes them consistent */
    begin(20, (struct retention_policy){.keep_wal_seconds = 3 * 86400, .keep_weekly = 3});
    daily(20);
    backups[11].stop_lsn = 113ull * MIB16; /* to the very end of segment 112 */
    make_plan();
    CHECK_TEXT(days_kept(), "11 16 17 18 19");
    CHECK_TEXT(spans(0, 0), "-0-110 +111-112:1 -113-160 +161-*:7");
    /* a hole behind the base takes nothing from the others */
    begin(20, (struct retention_policy){.keep_wal_seconds = 3 * 86400});
    daily(20);
    remove_segment(165);
    make_plan();
    CHECK_TEXT(days_kept(), "16 17 18 19");
    /* the base lacks WAL: the one before it serves */
    begin(20, (struct retention_policy){.keep_wal_seconds = 3 * 86400});
    daily(20);
    remove_segment(161);
    make_plan();
    CHECK_TEXT(days_kept(), "15 17 18 19");
    CHECK_TEXT(spans(0, 0), "-0-150 +151-*:7");
    /* nothing is old enough */
    begin(3, (struct retention_policy){.keep_wal_seconds = 30 * 86400});
    daily(3);
    make_plan();
    CHECK_TEXT(days_kept(), "0 1 2");
    CHECK_TEXT(spans(0, 0), "-0-0 +1-*:7"); /* what no backup begins with */
}

/* A backup whose WAL is incomplete takes no other's place. */
static void test_without_wal(void)
{
    begin(20, (struct retention_policy){.keep_last = 2});
    daily(20);
    remove_segment(191);
    make_plan();
    CHECK(!backups[19].has_wal && backups[18].has_wal);
    CHECK_TEXT(days_kept(), "17 18 19");
    CHECK(backups[19].reasons == KEPT_LAST && (backups[18].reasons & KEPT_NEWEST));
    /* no backup is whole: nothing goes */
    begin(400, (struct retention_policy){.keep_last = 1, .keep_wal_seconds = 3600});
    daily(3);
    remove_segment(1);
    remove_segment(11);
    remove_segment(21);
    make_plan();
    CHECK_TEXT(days_kept(), "0 1 2");
    CHECK(backups[0].reasons & KEPT_ALONE);
    CHECK_TEXT(spans(0, 0), "+0-*:33");
    /* its own WAL is in it */
    begin(20, (struct retention_policy){.keep_last = 1, .keep_wal_seconds = 3600});
    daily(20);
    remove_segment(191);
    backups[19].wal_included = true;
    make_plan();
    CHECK(backups[19].has_wal);
    CHECK_TEXT(days_kept(), "19");
}

static void test_newest(void)
{
    struct retention_backup *odd;

    /* the server's clock is a year behind: by the store's it is new */
    begin(400, (struct retention_policy){.keep_wal_seconds = 86400});
    daily(20);
    for (int i = 0; i < 20; i++)
        backups[i].stop_time += 379 * DAY, backups[i].stored_time += 379 * DAY;
    odd = backup(199, 34.0);
    odd->stored_time = at(399.5);
    make_plan();
    CHECK((odd->reasons & (KEPT_NEWEST | KEPT_WINDOW)) == (KEPT_NEWEST | KEPT_WINDOW));
    /* the store does not say: it is the furthest all the same */
    odd->stored_time = 0;
    make_plan();
    CHECK(odd->reasons == (KEPT_NEWEST | KEPT_BASE));
    CHECK(backups[19].reasons & KEPT_NEWEST); /* by the clocks */
    /* the clock was ahead for a day: that one stays, and takes no other's place */
    begin(20, (struct retention_policy){.keep_last = 2});
    daily(20);
    backups[5].stop_time = at(2000);
    make_plan();
    CHECK_TEXT(days_kept(), "5 18 19");
    CHECK(backups[5].reasons == KEPT_FUTURE);
    /* after pg_upgrade the older generation's go, the newest one's last never */
    begin(21.5, (struct retention_policy){.keep_wal_seconds = 86400, .keep_last = 2});
    daily(20);
    wal(1, 1, 1, 50, NULL);
    odd = backup_on(1, 1, 7, 7, 2.0); /* its clock is behind, too */
    odd->stored_time = 0;
    timelines[0][0].end_stored = at(20);
    make_plan();
    CHECK(odd->reasons & KEPT_NEWEST);
    CHECK_TEXT(days_kept(), "18 19 20");
    /* it has none yet: what it archives stays, and the older one's last */
    begin(27, (struct retention_policy){.keep_wal_seconds = 86400});
    daily(20);
    wal(1, 1, 1, 50, NULL);
    make_plan();
    CHECK_TEXT(days_kept(), "19");
    CHECK_TEXT(spans(1, 0), "+0-*:32");
}

/* One that its verification found damaged takes no other's place either. */
static void test_found_damaged(void)
{
    begin(20, (struct retention_policy){.keep_last = 2, .keep_weekly = 2});
    daily(20);
    backups[19].found_damaged = backups[11].found_damaged = true;
    make_plan();
    CHECK(backups[19].has_wal && !backups[19].is_whole);
    CHECK_TEXT(days_kept(), "10 17 18 19"); /* 19 and 18 end weeks, of the whole ones 18 and 10 do */
    CHECK(backups[19].reasons == (KEPT_LAST | KEPT_WEEKLY));
    CHECK(backups[18].reasons & KEPT_NEWEST);
    /* the window's base: the one before it besides */
    begin(20, (struct retention_policy){.keep_wal_seconds = 3 * 86400});
    daily(20);
    backups[16].found_damaged = true;
    make_plan();
    CHECK_TEXT(days_kept(), "15 16 17 18 19");
    CHECK(backups[15].reasons == KEPT_BASE && backups[16].reasons == KEPT_BASE);
    CHECK_TEXT(spans(0, 0), "-0-150 +151-*:7");
    /* nothing is left before it: it may be no more than unreadable, or be put right */
    begin(20, (struct retention_policy){.keep_wal_seconds = 7 * 86400});
    wal(0, 1, 120, 200, NULL);
    backup(121, 12.5)->found_damaged = true;
    backup(191, 19.5);
    make_plan();
    CHECK_TEXT(days_kept(), "0 1");
    CHECK(backups[0].reasons == KEPT_BASE);
    CHECK_TEXT(spans(0, 0), "-0-120 +121-*:7");
    /* and one that is kept without the WAL behind it is no other base */
    begin(20, (struct retention_policy){.keep_wal_seconds = 7 * 86400, .keep_last = 4});
    wal(0, 1, 51, 200, NULL);
    for (uint64_t number = 52; number <= 120; number++)
        remove_segment(number);
    backup(51, 5.5);
    backup(121, 12.5)->found_damaged = true;
    backup(181, 18.5);
    backup(191, 19.5);
    make_plan();
    CHECK_TEXT(days_kept(), "0 1 2 3");
    CHECK(backups[1].reasons == (KEPT_BASE | KEPT_LAST));
    CHECK_TEXT(spans(0, 0), "-0-50 +51-*:7");
    /* without keep_wal all stays behind the oldest that stays, damaged or not */
    begin(20, (struct retention_policy){.keep_for_seconds = 5 * 86400});
    daily(20);
    backups[15].found_damaged = true;
    make_plan();
    CHECK_TEXT(days_kept(), "15 16 17 18 19");
    CHECK_TEXT(spans(0, 0), "-0-150 +151-*:7");
    /* and on a timeline where none is whole nothing goes */
    begin(20, (struct retention_policy){.keep_wal_seconds = 7 * 86400});
    wal(0, 1, 0, 200, NULL);
    wal(0, 2, 50, 60, "1\t0/32800000\tno recovery target specified\n");
    backup(121, 12.5);
    backup(191, 19.5);
    backup_on(0, 2, 55, 55, 19.7)->found_damaged = true;
    timelines[0][0].end_stored = at(19.9);
    make_plan();
    CHECK_TEXT(days_kept(), "0 1 2");
    CHECK_TEXT(spans(0, 1), "+0-*:35");
    /* all of them are: nothing goes */
    begin(20, (struct retention_policy){.keep_last = 1});
    daily(3);
    backups[0].found_damaged = backups[1].found_damaged = backups[2].found_damaged = true;
    make_plan();
    CHECK_TEXT(days_kept(), "0 1 2");
    CHECK_TEXT(spans(0, 0), "+0-*:33");
}

/* Backups have stopped, or the clock has jumped: ages count from the newest one. */
static void test_stale(void)
{
    begin(3000, (struct retention_policy){.keep_for_seconds = 10 * 86400, .keep_wal_seconds = 2 * 86400});
    daily(20);
    make_plan();
    CHECK(plan.is_stale);
    CHECK_TEXT(days_kept(), "9 10 11 12 13 14 15 16 17 18 19");
    begin(27, (struct retention_policy){.keep_for_seconds = 10 * 86400, .keep_wal_seconds = 2 * 86400});
    daily(20);
    make_plan();
    CHECK(!plan.is_stale);
    CHECK_TEXT(days_kept(), "17 18 19");
    /* one was made while all clocks were ahead, or is the first after a pause */
    begin(400, (struct retention_policy){.keep_for_seconds = 10 * 86400, .keep_wal_seconds = 2 * 86400});
    daily(20);
    backup(199, 399.5);
    make_plan();
    CHECK(plan.is_stale);
    CHECK_TEXT(days_kept(), "9 10 11 12 13 14 15 16 17 18 19 20");
    /* those that are always so far apart are no wonder */
    backups[20].stop_time = backups[20].stored_time = at(29.5);
    backups[18].stop_time = backups[18].stored_time = at(8.5);
    backup(200, 39.5);
    plan.now = at(40);
    make_plan();
    CHECK(!plan.is_stale);
    backups[18].stop_time = backups[18].stored_time = at(18.5);
    backups[20].stop_time = backups[20].stored_time = at(399.5);
    plan.backup_count--;
    plan.now = at(400);
    /* another one tells that time has passed */
    backup(200, 399.9);
    make_plan();
    CHECK(!plan.is_stale);
    CHECK_TEXT(days_kept(), "19 20 21"); /* 19: the window begins with it */
    /* by the same clock what is being taken just now was begun long ago */
    begin(400, (struct retention_policy){.keep_last = 1});
    daily(20);
    backup(191, 392)->state = RETENTION_UNFINISHED;
    make_plan();
    CHECK(plan.is_stale);
    CHECK_TEXT(days_kept(), "19 20");
    plan.now = at(27.4);
    backups[20].stop_time = backups[20].stored_time = at(20.3);
    make_plan();
    CHECK(!plan.is_stale);
    CHECK_TEXT(days_kept(), "19");
}

static void test_states(void)
{
    struct retention_backup *running;

    begin(20, (struct retention_policy){.keep_wal_seconds = 86400});
    daily(20);
    backups[3].is_pinned = true;
    backups[4].lock.is_locked = true;
    make_plan();
    CHECK_TEXT(days_kept(), "3 4 18 19");
    CHECK_TEXT(spans(0, 0), "-0-30 +31-31:1 -32-40 +41-41:1 -42-180 +181-*:7");
    /* another host's, begun on a delayed standby from an old restartpoint */
    running = backup(101, 19.9);
    running->state = RETENTION_UNFINISHED;
    make_plan();
    CHECK(running->reasons == KEPT_RUNNING);
    CHECK_TEXT(spans(0, 0), "-0-30 +31-31:1 -32-40 +41-41:1 -42-100 +101-*:15");
    /* its heart beats, whatever its host's clock says */
    running->stop_time = at(2);
    make_plan();
    CHECK(running->reasons == KEPT_RUNNING);
    running->stored_time = at(13.5);
    make_plan();
    CHECK(running->reasons == KEPT_RUNNING);
    running->stored_time = at(12.5);
    make_plan();
    CHECK(running->reasons == 0);
    running->stored_time = 0;
    make_plan();
    CHECK(running->reasons == 0);
    /* what a damaged one needs is not known */
    running->state = RETENTION_DAMAGED;
    make_plan();
    CHECK(running->reasons == KEPT_DAMAGED);
    CHECK_TEXT(spans(0, 0), "-0-30 +31-31:1 -32-40 +41-41:1 -42-100 +101-*:23");
}

static const char left_at_105[] = "1\t0/69800000\tno recovery target specified\n"; /* mid-segment */

/* Timeline 1 has segments up to last; a backup on it, two on the one behind it. */
static void begin_left_at_105(uint64_t last, struct retention_policy wanted)
{
    begin(20, wanted);
    wal(0, 1, 0, last, NULL);
    wal(0, 2, 105, 200, left_at_105);
    backup(11, 1.5);
    backup_on(0, 2, 106, 106, 10.5);
    backup_on(0, 2, 150, 150, 19.5);
}

static void test_timelines(void)
{
    static const char left_at_121[] = "1\t0/79800000\tno recovery target specified\n";

    /* the base is on the timeline that was left; the segment of the fork is on both */
    begin(20, (struct retention_policy){.keep_wal_seconds = 10 * 86400 - 3600});
    wal(0, 1, 0, 104, NULL);
    wal(0, 2, 105, 200, left_at_105);
    for (unsigned day = 0; day < 10; day++)
        backup(10 * day + 1, day + 0.5);
    for (unsigned day = 10; day < 20; day++)
        backup_on(0, 2, 10 * day + 6, 10 * day + 6, day + 0.5);
    make_plan();
    CHECK_TEXT(days_kept(), "9 10 11 12 13 14 15 16 17 18 19");
    CHECK_TEXT(spans(0, 0), "-0-90 +91-105:3");
    CHECK_TEXT(spans(0, 1), "-0-104 +105-*:7");
    /* later it needs nothing of the first any more */
    begin_left_at_105(104, (struct retention_policy){.keep_wal_seconds = 2 * 86400});
    make_plan();
    CHECK_TEXT(days_kept(), "1 2");
    CHECK_TEXT(spans(0, 0), "-0-104");
    CHECK_TEXT(spans(0, 1), "-0-105 +106-*:7");
    /* the old primary wrote on for a while: those instants stay as long as keep_wal wants */
    begin_left_at_105(120, (struct retention_policy){.keep_wal_seconds = 2 * 86400});
    timelines[0][0].end_stored = at(18.5);
    make_plan();
    CHECK_TEXT(days_kept(), "0 1 2");
    CHECK_TEXT(spans(0, 0), "-0-10 +11-*:3");
    timelines[0][0].end_stored = 0; /* not known */
    make_plan();
    CHECK_TEXT(days_kept(), "0 1 2");
    timelines[0][0].end_stored = at(17.5);
    make_plan();
    CHECK_TEXT(days_kept(), "1 2");
    CHECK_TEXT(spans(0, 0), "-0-120");
    /* without keep_wal a branch goes with the last backup that it could be recovered from */
    begin_left_at_105(120, (struct retention_policy){.keep_last = 2});
    make_plan();
    CHECK_TEXT(spans(0, 0), "-0-120");
    /* a timeline whose history is not there: nobody knows what it needs */
    begin(20, (struct retention_policy){.keep_last = 1});
    wal(0, 1, 0, 104, NULL);
    wal(0, 3, 105, 200, NULL);
    backup(91, 9.5);
    make_plan();
    CHECK_TEXT(spans(0, 1), "+0-*:32");
    /* a copy's timeline, the highest, on which nothing is backed up: production's own is served still */
    begin(20, (struct retention_policy){.keep_wal_seconds = 2 * 86400});
    wal(0, 1, 0, 200, NULL);
    wal(0, 2, 105, 110, left_at_105);
    for (unsigned day = 0; day < 20; day++)
        backup(10 * day + 1, day + 0.5);
    timelines[0][0].end_stored = at(19.9);
    make_plan();
    CHECK((backups[17].reasons & KEPT_BASE) && (backups[19].reasons & KEPT_NEWEST));
    CHECK((backups[10].reasons & KEPT_BASE)); /* what the newest timeline is recovered from */
    /* a promotion that was recovered from at once, to an earlier point, before it had a segment of its own:
     * what both left behind is on no other way */
    begin(20, (struct retention_policy){.keep_wal_seconds = 7 * 86400});
    wal(0, 1, 0, 120, NULL);
    wal(0, 2, 1, 0, left_at_121);
    wal(0, 3, 105, 200, left_at_105);
    backup(91, 9.5);
    backup_on(0, 3, 110, 110, 12.5);
    backup_on(0, 3, 190, 190, 19.5);
    timelines[0][0].end_stored = at(19);
    make_plan();
    CHECK((backups[0].reasons & KEPT_BASE));
    CHECK_TEXT(spans(0, 0), "-0-90 +91-*:3");
}

static void test_no_policy(void)
{
    begin(2000, (struct retention_policy){.keep_last = 0});
    daily(3);
    make_plan();
    CHECK_TEXT(days_kept(), "0 1 2");
    CHECK(!retention_lets_go(&generations[0], 1, 0, 0));
}

/* A clock that went back: a backup of the window lies before its base. */
static void test_clock_back(void)
{
    begin(20, (struct retention_policy){.keep_wal_seconds = 2 * 86400});
    wal(0, 1, 0, 200, NULL);
    backup(50, 18.5);
    backup(100, 12.5);
    backup(150, 13.5);
    make_plan();
    CHECK_TEXT(days_kept(), "0 2");
    CHECK_TEXT(spans(0, 0), "-0-49 +50-*:6");
}

/* Gap markers belong to the WAL they tell of. */
static void test_gaps(void)
{
    begin(20, (struct retention_policy){.keep_last = 1});
    daily(20);
    archives[0][0].gaps = calloc(1, sizeof *archives[0][0].gaps);
    archives[0][0].gaps[0] = (struct archive_gap){201, 230};
    archives[0][0].gap_count = 1;
    plan.generation_count = 1;
    make_plan();
    CHECK_TEXT(spans(0, 0), "-0-190 +191-*:6");
}

static void refused(const char *change)
{
    unit_listen();
    bool is_proven = retention_is_proven(&plan);
    CHECK(unit_heard("internal error"));
    if (is_proven)
        fprintf(stderr, "proven all the same: %s\n", change);
    CHECK(!is_proven);
}

/* Each of what a wrong plan could lose. */
static void test_proof(void)
{
    const struct retention_policy wanted = {.keep_wal_seconds = 3 * 86400, .keep_weekly = 2};

#define WRONG(change)                                                                                        \
    do {                                                                                                     \
        begin(20, wanted);                                                                                   \
        daily(20);                                                                                           \
        backups[3].is_pinned = true;                                                                         \
        backups[5].state = RETENTION_UNFINISHED;                                                             \
        backups[5].stored_time = at(15);                                                                     \
        make_plan();                                                                                         \
        change;                                                                                              \
        refused(#change);                                                                                    \
    } while (0)
    WRONG(backups[16].reasons = 0); /* the window's base */
    WRONG(backups[17].reasons = 0); /* within the window */
    WRONG(backups[19].reasons = 0);
    WRONG(backups[3].reasons = 0); /* pinned */
    WRONG(backups[5].reasons = 0); /* running */
    WRONG((backups[7].state = RETENTION_DAMAGED, backups[7].reasons = 0));
    WRONG((backups[7].stop_time = at(30), backups[7].reasons = 0));
    WRONG(timelines[0][0].spans[1].stays = false);                              /* the pinned one's WAL */
    WRONG((timelines[0][0].spans[2].last++, timelines[0][0].spans[3].first++)); /* the running one's */
    WRONG(timelines[0][0].spans[3].stays = false);
#undef WRONG
    /* a damaged base, and what lies behind a damaged backup */
    begin(20, (struct retention_policy){.keep_wal_seconds = 7 * 86400});
    wal(0, 1, 120, 200, NULL);
    backup(121, 12.5)->found_damaged = true;
    backup(191, 19.5);
    make_plan();
    backups[0].reasons = 0;
    refused("the damaged base");
    begin(20, (struct retention_policy){.keep_for_seconds = 5 * 86400});
    daily(20);
    backups[15].found_damaged = true;
    make_plan();
    backups[15].wal_included = true; /* what it needs itself it has */
    timelines[0][0].spans[0].last = 152;
    timelines[0][0].spans[1].first = 153;
    refused("the WAL behind the damaged one");
    begin(20, (struct retention_policy){.keep_last = 1});
    daily(20);
    make_plan();
    backups[19].reasons = 0;
    refused("the only one");
    timelines[0][0].spans[1].last = 195; /* what lies behind it */
    backups[19].reasons = KEPT_LAST;
    timelines[0][0].spans[0].first = 196;
    timelines[0][0].spans[0].last = 200;
    struct retention_span swapped = timelines[0][0].spans[0];
    timelines[0][0].spans[0] = timelines[0][0].spans[1];
    timelines[0][0].spans[1] = swapped;
    refused("the WAL behind the only one");
    /* after a recovery to an earlier point the former timeline's backups may go, though their LSNs are higher
     */
    begin(20, (struct retention_policy){.keep_last = 1});
    wal(0, 1, 0, 120, NULL);
    wal(0, 2, 50, 60, "1\t0/32800000\tno recovery target specified\n");
    backup(100, 10.5);
    backup_on(0, 2, 55, 55, 11.5);
    make_plan();
    CHECK_TEXT(days_kept(), "1");
}

int main(void)
{
    log_open("test_retention", LOG_WARNING, false);
    test_counts();
    test_window();
    test_without_wal();
    test_newest();
    test_found_damaged();
    test_stale();
    test_states();
    test_timelines();
    test_no_policy();
    test_clock_back();
    test_gaps();
    test_proof();
    forget_spans();
    return unit_done("retention");
}
