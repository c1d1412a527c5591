/* Which backup is drilled, and to which instant, of windows made by hand. */
#include "common/log.h"
#include "unit.h"

/* its parts are tested */
#include "restore-drill/choose.c"

#define SECOND INT64_C(1000000)
#define SYSTEM 7u

static struct repository_config settings = {.name = "here"};
static struct backup backups[5];
static struct window_stretch stretches[2];
static struct window window = {.timeline = 1, .history = {.timeline = 1}, .stretches = stretches, .count = 2};
static struct chosen chosen;
static struct drill_wish wish;
static struct choosing choosing = {.chosen = &chosen, .wish = &wish, .window = &window};

/* Backups end at 10, 20, 30 (hole at 35), 40; a fifth is of another system. Commits up to 34, and up to 60.
 */
static void begin(const char *backup, const char *target)
{
    for (size_t i = 0; i < 5; i++) {
        backups[i] = (struct backup){.system_identifier = i == 4 ? SYSTEM + 1 : SYSTEM,
                                     .timeline = 1,
                                     .stop_lsn = i * 100,
                                     .stop_time = (int64_t)(i + 1) * 10 * SECOND};
        snprintf(backups[i].id, sizeof backups[i].id, "2026112%zuT020003Z-00000001-0000000A1F000028", i);
    }
    stretches[0] = (struct window_stretch){.first = &backups[0],
                                           .last = &backups[2],
                                           .earliest = 10 * SECOND,
                                           .has_latest = true,
                                           .latest = 34 * SECOND,
                                           .run = {.is_hole = true}};
    stretches[1] = (struct window_stretch){.first = &backups[3],
                                           .last = &backups[3],
                                           .earliest = 40 * SECOND,
                                           .has_latest = true,
                                           .latest = 60 * SECOND,
                                           .last_lsn = 4711};
    chosen = (struct chosen){.repository = {.settings = &settings}, .list = {backups, 5, 0}};
    choosing.archive.system_identifier = SYSTEM;
    wish = (struct drill_wish){backup, target};
}

static void test_words(void)
{
    CHECK(drill_wish_check(&(struct drill_wish){"latest", "random"}) == 0);
    CHECK(drill_wish_check(&(struct drill_wish){backups[0].id, "2026-11-20 14:29:59+00"}) == 0);
    CHECK(drill_wish_check(&(struct drill_wish){"newest", "latest"}) != 0);
    CHECK(drill_wish_check(&(struct drill_wish){"latest", "2026-11-20 14:29:59"}) != 0);
}

static void test_latest(void)
{
    begin("latest", "latest");
    CHECK(choose_all(&choosing) == 0 && chosen.backup == &backups[3]);
    CHECK(chosen.target == TARGET_LATEST && chosen.last_lsn == 4711);
    begin("oldest", "latest"); /* it can't get over the hole: the recovery is to find that */
    CHECK(choose_all(&choosing) == 0 && chosen.backup == &backups[0]);
    CHECK(chosen.target == TARGET_LATEST && chosen.last_lsn == 0);
    begin("oldest", "latest");
    stretches[0].is_expired = true;
    CHECK(choose_all(&choosing) == 0 && chosen.target == TARGET_IMMEDIATE);
}

/* Every one, and no other. */
static void test_random_backup(void)
{
    unsigned seen[5] = {0};

    for (int i = 0; i < 400; i++) {
        begin("random", "latest");
        REQUIRE(choose_all(&choosing) == 0);
        seen[chosen.backup - backups]++;
    }
    CHECK(seen[0] > 0 && seen[1] > 0 && seen[2] > 0 && seen[3] > 0 && seen[4] == 0);
}

/* Within a stretch, and of the backup that a recovery would take. */
static void test_random_time(void)
{
    unsigned in_first = 0, in_second = 0;

    for (int i = 0; i < 400; i++) {
        begin("latest", "random");
        REQUIRE(choose_all(&choosing) == 0 && chosen.target == TARGET_TIME);
        bool first = chosen.time > 10 * SECOND && chosen.time < 34 * SECOND;
        bool second = chosen.time > 40 * SECOND && chosen.time < 60 * SECOND;
        CHECK(first || second);
        in_first += first;
        in_second += second;
        CHECK(chosen.backup->stop_time < chosen.time &&
              chosen.backup->stop_time + 10 * SECOND >= chosen.time - (second ? 10 * SECOND : 0));
    }
    CHECK(in_first > 100 && in_second > 100);
    begin(backups[1].id, "random");
    CHECK(choose_all(&choosing) == 0 && chosen.backup == &backups[1] && chosen.time > 20 * SECOND &&
          chosen.time < 34 * SECOND);
    begin("latest", "random"); /* nothing was committed behind any */
    stretches[0].has_latest = stretches[1].has_latest = false;
    CHECK(choose_all(&choosing) == 0 && chosen.backup == &backups[3] && chosen.target == TARGET_LATEST);
}

static void test_given_time(void)
{
    begin("latest", "1970-01-01 00:00:25+00");
    CHECK(choose_all(&choosing) == 0 && chosen.target == TARGET_TIME && chosen.backup == &backups[1]);
    CHECK(chosen.time == 25 * SECOND);
    begin("latest", "1970-01-01 00:00:05+00");
    unit_listen();
    int result = choose_all(&choosing);
    CHECK(unit_heard("no backup in repository \"here\"") && result != 0);
    begin("20261119T020003Z-00000001-0000000A1F000028", "latest");
    unit_listen();
    result = choose_all(&choosing);
    CHECK(unit_heard("there is no complete backup") && result != 0);
}

int main(void)
{
    log_open("test", LOG_WARNING, false);
    begin("latest", "latest");
    test_words();
    test_latest();
    test_random_backup();
    test_random_time();
    test_given_time();
    return unit_done("test_choose");
}
