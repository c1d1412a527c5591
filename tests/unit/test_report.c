/* Reports of verifications: what is put is listed, what is none is passed over; what the content of a WAL
 * object must be to be what its name says; a repository is chosen by name. */
#include "common/document.h"
#include "common/drill_report.h"
#include "common/file.h"
#include "common/log.h"
#include "common/report.h"
#include "common/wal_check.h"
#include "unit.h"

#define SYSTEM 7574912398475612345u
#define MIB (1024u * 1024)

static char directory[] = "/tmp/test_report.XXXXXX";
static struct verified found[8];
static size_t found_count;

static bool take(void *context, const struct verified *verified)
{
    (void)context;
    if (found_count < sizeof found / sizeof found[0])
        found[found_count++] = *verified;
    return true;
}

static void put_file(const char *name)
{
    const char *path = unit_path("%s/main/%llu/reports/%s", directory, (unsigned long long)SYSTEM, name);

    CHECK(file_replace(path, "x", 1, 0600) == 0);
}

static void test_reports(struct repository *repository)
{
    struct verified one = {.unit = "wal-0000000100000000", .time = 1795254000123456, .objects = 3};
    struct verified two = {.unit = "base-20261120T020003Z-00000001-0000000A1F000028",
                           .time = 1795254001000000,
                           .last = "main-00000017"};

    CHECK(verified_put(repository, SYSTEM, &one) == 0);
    two.is_damaged = true;
    CHECK(verified_put(repository, SYSTEM, &two) == 0);
    two.time += 1000000; /* the names of objects may have dots */
    snprintf(two.last, sizeof two.last, "000000010000000000000001.partial.0123abcd");
    CHECK(verified_put(repository, SYSTEM, &two) == 0);
    one.objects = 4; /* of the same instant, but another: it takes the next one */
    CHECK(verified_put(repository, SYSTEM, &one) == 0);
    put_file("20261120T020003.000000Z-drill-something");
    put_file("20261120T020003.000000Z-verified-");
    put_file("20261320T020003.000000Z-verified-wal-0000000100000000");
    put_file("20261120T020003.000000Z-verified-wal-0000000100000000+");
    put_file("20261120T020003.000000Z-verified-wal-0000000100000000.x");
    put_file("short");
    CHECK(verified_list(repository, SYSTEM, take, NULL) == REPOSITORY_OK);
    CHECK(found_count == 4);
    CHECK_TEXT(found[0].unit, one.unit);
    CHECK(found[0].time == 1795254000123456 && *found[0].last == '\0' && !found[0].is_damaged);
    size_t base = strncmp(found[1].unit, "base-", 5) == 0 ? 1 : 2;
    CHECK_TEXT(found[base].unit, two.unit);
    CHECK_TEXT(found[base].last, "main-00000017");
    CHECK(found[base].is_damaged && found[base].time == two.time - 1000000);
    CHECK(found[3 - base].time == 1795254000123457);
    CHECK_TEXT(found[3].last, two.last);
    CHECK(found[3].is_damaged);
}

static struct drill_report drills[8];
static size_t drill_count;

static bool take_drill(void *context, const struct drill_report *report)
{
    (void)context;
    if (drill_count < sizeof drills / sizeof drills[0])
        drills[drill_count++] = *report;
    return true;
}

#define DRILLED "20261120T020003Z-00000001-0000000A1F000028"

static void test_drills(struct repository *repository)
{
    struct drill_report one = {.backup = DRILLED, .time = 1795254000123456, .milliseconds = 4711};
    struct drill_report two = {.backup = DRILLED, .time = 1795254001000000, .is_failed = true};
    struct buffer text = BUFFER_EMPTY;
    struct json *document = document_new("drill");

    document_set_system(document, SYSTEM);
    CHECK(document_seal(document, &text) == 0);
    CHECK(drill_report_put(repository, SYSTEM, &one, &text) == 0);
    CHECK(drill_report_put(repository, SYSTEM, &two, &text) == 0);
    CHECK(buffer_append_string(&text, " ") == 0);
    CHECK(drill_report_put(repository, SYSTEM, &two, &text) != 0); /* nothing is overwritten */
    put_file("20261120T020003.000000Z-drill-" DRILLED);
    put_file("20261120T020003.000000Z-drill-" DRILLED "+");
    put_file("20261120T020003.000000Z-drill-" DRILLED "+-1");
    put_file("20261120T020003.000000Z-drill-" DRILLED "+1.x");
    put_file("20261320T020003.000000Z-drill-" DRILLED "+1");
    put_file("20261120T020003.000000Z-drill-x+1");
    CHECK(drill_report_list(repository, SYSTEM, take_drill, NULL) == REPOSITORY_OK);
    REQUIRE(drill_count == 2);
    CHECK_TEXT(drills[0].backup, DRILLED);
    CHECK(drills[0].time == one.time && drills[0].milliseconds == 4711 && !drills[0].is_failed);
    CHECK(drills[1].time == two.time && drills[1].is_failed);
    document = drill_report_get(repository, SYSTEM, &drills[0]);
    CHECK(document != NULL);
    json_free(document);
    CHECK(drill_report_get(repository, SYSTEM, &(struct drill_report){.backup = DRILLED}) == NULL);
    buffer_free(&text);
}

#define NOW INT64_C(1795254000000000)
#define AHEAD (NOW + 2 * REPORT_AHEAD_MICROSECONDS)

static struct verified_state state;

static void next(int64_t time, const char *last, bool is_damaged)
{
    struct verified verified = {.time = time, .is_damaged = is_damaged};

    snprintf(verified.last, sizeof verified.last, "%s", last);
    verified_take(&state, &verified, NOW);
}

/* As report() of basebackup-verify stores them; what all of them tell when the time of those that were ahead
 * has come is in *later. */
static struct verified_state later;

static void store(int64_t time, const char *from, const char *last, bool is_damaged)
{
    struct verified verified = {.time = time, .is_damaged = is_damaged};

    snprintf(verified.last, sizeof verified.last, "%s", last);
    int64_t again = verified_again_at(&state, &verified, from);
    next(time, last, is_damaged);
    if (again == 0)
        return;
    CHECK(again > state.ahead);
    next(again, last, is_damaged);
    verified.time = again;
    verified_take(&later, &verified, again);
}

static void begin_ahead(const char *last, bool is_damaged)
{
    struct verified verified = {.time = AHEAD, .is_damaged = is_damaged};

    state = later = (struct verified_state){.time = 0};
    snprintf(verified.last, sizeof verified.last, "%s", last);
    next(AHEAD, last, is_damaged);
    verified_take(&later, &verified, AHEAD);
}

/* What was found out after a report that is ahead is known also when its time has come. */
static void test_ahead(void)
{
    static const char *const lasts[] = {"", "main-00000007"};

    for (size_t i = 0; i < 2; i++) {
        begin_ahead(lasts[i], false);
        store(NOW - 9, "", "", true);
        CHECK(verified_damaged(&state) == NOW - 9 && verified_damaged(&later) != 0 && *later.last == '\0');
        CHECK(verified_takes_back(&state, ""));
        store(NOW - 8, "", "", false);
        CHECK(verified_damaged(&state) == 0 && verified_damaged(&later) == 0);
        /* also in several calls */
        store(NOW - 7, "", "main-00000003", true);
        store(NOW - 6, "main-00000003", "", true);
        CHECK(verified_damaged(&state) == NOW - 6 && verified_damaged(&later) != 0);
        store(NOW - 5, "", "main-00000003", false);
        CHECK(verified_damaged(&state) == NOW - 6 && verified_damaged(&later) != 0);
        CHECK(verified_takes_back(&state, "main-00000003"));
        store(NOW - 4, "main-00000003", "", false);
        CHECK(verified_damaged(&state) == 0 && verified_damaged(&later) == 0);
    }
    /* but not where the damage may have been told between them */
    begin_ahead("", false);
    store(NOW - 3, "", "main-00000003", false);
    next(AHEAD + 9, "", true);
    CHECK(!verified_takes_back(&state, "main-00000003"));
    store(NOW - 2, "main-00000003", "", false);
    CHECK(verified_damaged(&state) == AHEAD + 9);
    /* nothing is ahead */
    state = later = (struct verified_state){.time = 0};
    store(NOW - 3, "", "", true);
    CHECK(later.time == 0 && verified_takes_back(&state, "") && state.ahead == 0);
}

static void test_state(void)
{
    /* one that is cut short, and has seen none, forgets no damage; the rest of it does */
    state = (struct verified_state){.time = 0};
    CHECK(verified_damaged(&state) == 0);
    next(NOW - 9, "", true);
    next(NOW - 8, "main-00000007", false);
    CHECK(verified_damaged(&state) == NOW - 9 && state.time == NOW - 8 && !state.has_damage);
    CHECK_TEXT(state.last, "main-00000007");
    next(NOW - 7, "", false);
    CHECK(verified_damaged(&state) == 0 && *state.last == '\0');
    /* damage in what was done is in what the next one ends */
    next(NOW - 6, "main-00000007", true);
    CHECK(verified_damaged(&state) == NOW - 6 && state.has_damage);
    next(NOW - 5, "main-00000008", true);
    CHECK(verified_damaged(&state) == NOW - 5 && state.has_damage);
    next(NOW - 4, "", false);
    CHECK(verified_damaged(&state) == 0 && !state.has_damage);
    /* a clock that was ahead: its damage counts, however many have been well, until it is taken back */
    next(AHEAD, "", true);
    CHECK(verified_damaged(&state) == AHEAD && state.time == NOW - 4 && !state.has_damage);
    next(AHEAD + 1, "main-00000007", false);
    CHECK(verified_damaged(&state) == AHEAD && *state.last == '\0');
    next(AHEAD + 2, "", false);
    CHECK(verified_damaged(&state) == 0 && state.time == NOW - 4);
    /* that all is well it cannot say */
    state = (struct verified_state){.time = 0};
    next(NOW - 3, "", true);
    next(AHEAD, "", false);
    CHECK(verified_damaged(&state) == NOW - 3);
    next(AHEAD, "", true); /* nor does it hide since when it is known */
    CHECK(verified_damaged(&state) == NOW - 3 && state.ahead_damaged == AHEAD);
    next(AHEAD + 1, "", false);
    CHECK(verified_damaged(&state) == NOW - 3);
    /* clocks differ a little */
    next(NOW + REPORT_AHEAD_MICROSECONDS, "", false);
    CHECK(verified_damaged(&state) == 0);
}

/* The first page of segment 5. */
static void make_page(unsigned char *content, uint64_t number)
{
    uint64_t address = number * MIB, system = SYSTEM;
    uint32_t segment_bytes = MIB, block_bytes = 8192;

    memset(content, 0, MIB);
    memcpy(content, (const unsigned char[]){0x10, 0xD1, 2, 0, 1}, 5);
    memcpy(content + 8, &address, 8);
    memcpy(content + 24, &system, 8);
    memcpy(content + 32, &segment_bytes, 4);
    memcpy(content + 36, &block_bytes, 4);
}

static int check(const char *name, const char *kind, const char *stored_name, uint64_t number, size_t bytes)
{
    static unsigned char content[MIB];
    struct object_facts facts = {.system_identifier = SYSTEM, .sha256 = {0xab, 0xcd, 0xef, 0x01}};
    struct wal_check check;

    snprintf(facts.kind, sizeof facts.kind, "%s", kind);
    snprintf(facts.name, sizeof facts.name, "%s", stored_name);
    make_page(content, number);
    wal_check_begin(&check, name, SYSTEM, MIB);
    struct sink sink = wal_check_sink(&check);
    for (size_t at = 0; at < bytes; at += 7000) /* not by pages */
        CHECK(sink_write(&sink, content + at, bytes - at < 7000 ? bytes - at : 7000) == 0);
    return wal_check_end(&check, &facts, "the object");
}

static void test_content(void)
{
    const char *five = "000000010000000000000005", *six = "000000010000000000000006";

    CHECK(check(five, "segment", five, 5, MIB) == 0);
    log_mute_thread(true);
    CHECK(check(five, "segment", six, 5, MIB) == -1);
    CHECK(check(five, "partial", five, 5, MIB) == -1);
    CHECK(check(five, "segment", five, 6, MIB) == -1);
    CHECK(check(five, "segment", five, 5, MIB - 1) == -1);
    CHECK(check(five, "segment", five, 5, 20) == -1);
    log_mute_thread(false);
    CHECK(check("000000010000000000000005.partial", "partial", "000000010000000000000005.partial", 5, MIB) ==
          0);
    CHECK(check("000000010000000000000005.partial.abcdef01", "partial", "000000010000000000000005.partial", 5,
                MIB) == 0);
    log_mute_thread(true);
    CHECK(check("000000010000000000000005.partial.abcdef02", "partial", "000000010000000000000005.partial", 5,
                MIB) == -1);
    log_mute_thread(false);
    CHECK(check("00000002.history", "history", "00000002.history", 5, 40) == 0);
}

static void test_choosing(void)
{
    const char *both[] = {"c", "a"}, *other[] = {"a", "d"};
    char *path = unit_path("%s/conf", directory);
    const char text[] =
        "[cluster]\nname = main\n[repository a]\nurl = file:///a\n[repository b]\nurl = file:///b\n"
        "[repository c]\nurl = file:///c\n";
    struct config config;

    CHECK(file_replace(path, text, strlen(text), 0600) == 0);
    REQUIRE(config_load(path, &config) == 0);
    log_mute_thread(true);
    CHECK(config_choose(&config, other, 2) == -1);
    log_mute_thread(false);
    CHECK(config_choose(&config, both, 2) == 0 && config.repository_count == 2);
    CHECK_TEXT(config.repositories[0].name, "c");
    CHECK_TEXT(config.repositories[1].name, "a");
    config_free(&config);
}

int main(void)
{
    struct repository_config settings = {.name = (char *)"here", .kind = REPOSITORY_FILE, .path = directory};
    struct config config = {.cluster_name = (char *)"main"};
    const struct store_limits limits = {.operation_seconds = 60};
    struct repository repository;

    log_open("test_report", LOG_INFO, false);
    REQUIRE(mkdtemp(directory) != NULL);
    REQUIRE(repository_open(&config, &settings, NULL, &limits, &repository) == 0);
    test_reports(&repository);
    test_drills(&repository);
    test_state();
    test_ahead();
    test_content();
    test_choosing();
    repository_close(&repository);
    nftw(directory, unit_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return unit_done("report");
}
