/* walferry-status: what counts as wrong, its words, and the text format of metrics. */
#include "unit.h"

#include "common/exposure.h"
#include "common/log.h"
#include "status/metrics.h"
#include "status/pushgateway.h"
#include "status/status_json.h"
#include "status/words.h"

#include <stdlib.h>
#include <string.h>

#define NOW 1800000000000000ll /* 2027-01-15 */
#define HOUR 3600000000ll

/* A cluster with one repository in which all is well. */
struct well {
    struct config config;
    struct repository_config settings;
    struct picture_backup backup;
    struct picture_stretch stretch;
    struct picture_repository repository;
    struct picture_run run;
    struct picture picture;
};

static void make(struct well *well)
{
    memset(well, 0, sizeof *well);
    well->config = (struct config){.cluster_name = "main",
                                   .status = {.backup_age_seconds = 26 * 3600,
                                              .wal_age_seconds = 900,
                                              .verify_age_seconds = 8 * 86400,
                                              .drill_age_seconds = 35 * 86400,
                                              .disk_free_percent = 10}};
    well->settings = (struct repository_config){.name = "here", .required = true};
    well->backup = (struct picture_backup){.id = "20270114T020000Z-00000001-0000000A1F000028",
                                           .start_time = NOW - 11 * HOUR,
                                           .stop_time = NOW - 10 * HOUR};
    well->stretch = (struct picture_stretch){.begin = NOW - 100 * HOUR, .end = NOW - 60000000, .backups = 1};
    well->repository = (struct picture_repository){.settings = &well->settings,
                                                   .is_up = true,
                                                   .is_complete = true,
                                                   .is_wal_known = true,
                                                   .is_proof_known = true,
                                                   .is_counted = true,
                                                   .backups = &well->backup,
                                                   .backup_count = 1,
                                                   .stretches = &well->stretch,
                                                   .stretch_count = 1,
                                                   .is_exposed = true,
                                                   .has_safe = true,
                                                   .has_unsafe = true,
                                                   .behind_seconds = 60,
                                                   .unsafe_seconds = 30,
                                                   .verification_time = NOW - 100 * HOUR,
                                                   .good_drill = {.time = NOW - 200 * HOUR},
                                                   .last_drill = {.time = NOW - 200 * HOUR},
                                                   .has_disk = true,
                                                   .disk_free_bytes = 20,
                                                   .disk_size_bytes = 100};
    well->run = (struct picture_run){
        .program = "basebackup-push",
        .note = {.runs = 3, .success = {.ended = NOW - 10 * HOUR, .milliseconds = 1500}}};
    well->picture = (struct picture){.config = &well->config,
                                     .now = NOW,
                                     .repositories = &well->repository,
                                     .repository_count = 1,
                                     .lag = {.is_known = true},
                                     .runs = &well->run,
                                     .run_count = 1};
}

/* The kinds of what is found, in their order, as "a b". */
static const char *kinds(struct well *well)
{
    static char text[512];

    text[0] = '\0';
    REQUIRE(picture_find_problems(&well->picture) == 0);
    for (size_t i = 0; i < well->picture.problem_count; i++) {
        const struct problem *problem = &well->picture.problems[i];
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                 problem_kind_name(problem->kind));
        CHECK(*problem->text != '\0' && *problem->advice != '\0');
        CHECK(problem_is_of_repository(problem->kind) == (problem->repository != NULL));
    }
    return text;
}

/* Each limit, at it and behind it. */
static void test_problems(void)
{
    struct well well;

#define EXPECT(change, expected)                                                                             \
    do {                                                                                                     \
        make(&well);                                                                                         \
        change;                                                                                              \
        CHECK_TEXT(kinds(&well), expected);                                                                  \
        free(well.picture.problems);                                                                         \
    } while (0)

    EXPECT((void)0, "");
    EXPECT(well.repository.is_up = well.repository.is_complete = false, "unreachable");
    EXPECT(well.repository.is_complete = false, "unreadable");
    EXPECT(well.repository.backup_count = 0, "no_backup");
    EXPECT(well.repository.stretch_count = 0, "not_recoverable");
    EXPECT(well.backup.stop_time = NOW - 26 * HOUR, "");
    EXPECT(well.backup.stop_time = NOW - 26 * HOUR - 1, "backup_old");
    EXPECT((well.backup.stop_time = 1, well.config.status.backup_age_seconds = 0), "");
    EXPECT(well.repository.incomplete_backups = 1, "incomplete_backup");
    EXPECT(well.repository.hole_count = 1, "hole");
    EXPECT(well.repository.damaged_units = 1, "damaged");
    EXPECT(well.repository.damaged_manifests = 1, "damaged");
    EXPECT(well.backup.page_errors = 1, "page_errors");
    EXPECT(well.repository.verification_time = NOW - 8 * 24 * HOUR - 1, "verification_old");
    EXPECT(well.repository.verification_time = 0, "verification_old");
    EXPECT(well.repository.last_drill.is_failed = true, "drill_failed");
    EXPECT(well.repository.good_drill.time = NOW - 35 * 24 * HOUR - 1, "drill_old");
    EXPECT(well.repository.good_drill.time = 0, "drill_old");
    EXPECT((well.repository.good_drill.time = 0, well.config.status.drill_age_seconds = 0), "");
    EXPECT(well.repository.unsafe_seconds = 900, "");
    EXPECT(well.repository.unsafe_seconds = 900.5, "lagging");
    EXPECT((well.repository.unsafe_seconds = 901, well.repository.is_exposed = false), "");
    EXPECT(well.repository.behind_seconds = 8 * 3600, ""); /* an idle night, and a commit of just now */
    EXPECT((well.repository.has_safe = false, well.repository.unsafe_seconds = 901), "lagging");
    EXPECT((well.repository.has_safe = well.repository.has_unsafe = false), "");
    EXPECT(well.repository.disk_free_bytes = 10, "");
    EXPECT(well.repository.disk_free_bytes = 9, "disk_full");
    EXPECT((well.repository.disk_free_bytes = 0, well.repository.has_disk = false), "");
    EXPECT((well.picture.lag.segments = 1, well.picture.lag.oldest = NOW - 900000000), "");
    EXPECT((well.picture.lag.segments = 1, well.picture.lag.oldest = NOW - 900000001), "wal_lag");
    EXPECT(well.run.note.failure.ended = NOW - 11 * HOUR, "");
    EXPECT(well.run.note.failure.ended = NOW - 9 * HOUR, "run_failed");
    EXPECT(*well.picture.lag_unknown = '?', "blind");
    EXPECT(*well.picture.runs_unknown = '?', "blind");
    EXPECT(*well.repository.server_error = '?', "blind");
    EXPECT(well.repository.system_identifier = 7, "no_backup"); /* the backup is from before a pg_upgrade */
    /* a repository that can't be asked may have the report of a drill */
    EXPECT((well.repository.is_up = well.repository.is_wal_known = well.repository.is_proof_known = false,
            well.repository.good_drill.time = 0),
           "unreachable");
    /* cluster.json and manifests could be read, wal/ not: whether it can be recovered is not known */
    EXPECT(
        (well.repository.is_complete = well.repository.is_wal_known = well.repository.is_proof_known = false,
         well.repository.stretch_count = 0, well.repository.verification_time = 0,
         well.repository.good_drill.time = 0),
        "unreadable");
#undef EXPECT
}

/* The line that begins so, without its end; "" when there is none. */
static const char *line(const char *text, const char *start)
{
    static char found[512];
    const char *at = strstr(text, start);

    while (at != NULL && at != text && at[-1] != '\n')
        at = strstr(at + 1, start);
    snprintf(found, sizeof found, "%.*s", at == NULL ? 0 : (int)strcspn(at, "\n"), at == NULL ? "" : at);
    return found;
}

static void test_metrics(void)
{
    struct buffer out = BUFFER_EMPTY;
    struct well well;

    make(&well);
    well.config.cluster_name = "a\"b\\c\nd";
    REQUIRE(picture_find_problems(&well.picture) == 0 && metrics_write(&well.picture, &out) == 0);
#define LABEL "{cluster=\"a\\\"b\\\\c\\nd\""
    const char *text = buffer_string(&out);
    CHECK_TEXT(line(text, "walferry_ok{"), "walferry_ok" LABEL "} 1");
    CHECK_TEXT(line(text, "walferry_status_timestamp_seconds{"),
               "walferry_status_timestamp_seconds" LABEL "} 1800000000");
    CHECK_TEXT(line(text, "walferry_recovery_window_end_timestamp_seconds{"),
               "walferry_recovery_window_end_timestamp_seconds" LABEL ",repository=\"here\"} 1799999940");
    CHECK_TEXT(line(text, "walferry_problem" LABEL ",kind=\"hole\""),
               "walferry_problem" LABEL ",kind=\"hole\"} 0");
    CHECK_TEXT(line(text, "# TYPE walferry_runs_total"), "# TYPE walferry_runs_total counter");
    CHECK_TEXT(line(text, "walferry_runs_total{"),
               "walferry_runs_total" LABEL ",program=\"basebackup-push\"} 3");
    CHECK_TEXT(line(text, "walferry_run_success_duration_seconds{"),
               "walferry_run_success_duration_seconds" LABEL ",program=\"basebackup-push\"} 1.5");
    CHECK_TEXT(line(text, "walferry_backup_previous_bytes{"), ""); /* not known: no sample */
    CHECK_TEXT(line(text, "walferry_drill_rpo_seconds{"), "");
#undef LABEL
    buffer_clear(&out);
    well.repository.is_wal_known = well.repository.is_proof_known = well.repository.is_counted = false;
    well.config.cluster_name = "main";
    REQUIRE(picture_find_problems(&well.picture) == 0 && metrics_write(&well.picture, &out) == 0);
    text = buffer_string(&out);
    CHECK_TEXT(line(text, "walferry_recoverable{"), "");
    CHECK_TEXT(line(text, "walferry_wal_holes{"), "");
    CHECK_TEXT(line(text, "walferry_verification_ok{"), "");
    CHECK_TEXT(line(text, "walferry_repository_objects{"), "");
    CHECK(strstr(text, "repository=\"here\",kind=\"hole\"") == NULL);
    CHECK_TEXT(line(text, "walferry_backups{"), "walferry_backups{cluster=\"main\",repository=\"here\"} 1");
    buffer_clear(&out);
    well.repository.is_up = false;
    well.config.cluster_name = "main";
    REQUIRE(picture_find_problems(&well.picture) == 0 && metrics_write(&well.picture, &out) == 0);
    text = buffer_string(&out);
    CHECK_TEXT(line(text, "walferry_repository_up{"),
               "walferry_repository_up{cluster=\"main\",repository=\"here\"} 0");
    CHECK_TEXT(line(text, "walferry_backups{"), "");
    CHECK(strstr(text, "kind=\"unreachable\"} 1\n") != NULL &&
          strstr(text, "repository=\"here\",kind=\"hole\"") == NULL);
    buffer_free(&out);
    free(well.picture.problems);
}

static void test_exposure(void)
{
    struct exposure exposure = {.is_known = true, .has_safe = true, .safe = NOW - 8 * HOUR};

    CHECK(!exposure_has_unsafe(&exposure) && exposure_unsafe_for(&exposure, NOW) == 0);
    exposure.has_newer = true; /* the first commit of the day */
    exposure.oldest = exposure.newest = NOW - 1000000;
    CHECK(exposure_has_unsafe(&exposure) && exposure_unsafe_for(&exposure, NOW) == 1000000);
    CHECK(exposure_behind(&exposure) == 8 * HOUR - 1000000);
    exposure.has_safe = false; /* of a timeline that is not known */
    exposure.oldest = NOW - HOUR;
    CHECK(exposure_unsafe_for(&exposure, NOW) == HOUR && exposure_behind(&exposure) == 0);
    exposure.oldest = exposure.newest = NOW + HOUR; /* a clock that was set back */
    CHECK(exposure_unsafe_for(&exposure, NOW) == 0);
    exposure = (struct exposure){.has_safe = true, .safe = NOW - HOUR, .has_cut_off = true};
    CHECK(exposure_unsafe_for(&exposure, NOW) == HOUR);
}

/* A backup of last night that lacks WAL does not make that of three weeks ago a young one. */
static void test_usable(void)
{
    struct picture_backup backups[2];
    struct well well;

    for (int damaged = 0; damaged < 2; damaged++) {
        make(&well);
        backups[0] = backups[1] = well.backup;
        backups[0].stop_time = NOW - 500 * HOUR;
        backups[1].is_incomplete = damaged == 0;
        backups[1].found_damaged = damaged == 1;
        well.repository.backups = backups;
        well.repository.backup_count = 2;
        CHECK_TEXT(kinds(&well), "backup_old");
        CHECK(picture_newest_of_all(&well.picture) == &backups[0]);
        CHECK(picture_newest_backup(&well.repository) == &backups[1]);
        free(well.picture.problems);
    }
}

/* A repository that was left behind five days ago, seen from a host without pg_wal. */
static void test_left_behind(void)
{
    struct picture_repository both[2];
    struct picture_stretch old;
    struct repository_config settings = {.name = "offsite"};
    struct well well;

    make(&well);
    both[0] = both[1] = well.repository;
    old = well.stretch;
    both[0].is_exposed = both[1].is_exposed = false;
    both[1].settings = &settings;
    both[1].stretches = &old;
    well.picture.repositories = both;
    well.picture.repository_count = 2;
    old.end = well.stretch.end - 900000000;
    CHECK_TEXT(kinds(&well), "");
    CHECK(!picture_is_as_good(&both[1], &both[0]) && picture_is_as_good(&both[0], &both[0]));
    old.end -= 1;
    CHECK_TEXT(kinds(&well), "lagging");
    CHECK(well.picture.problems[0].repository == &both[1]);
    both[1].system_identifier = 7; /* another life of the cluster */
    CHECK_TEXT(kinds(&well), "no_backup");
    free(well.picture.problems);
}

static void test_json(void)
{
    struct buffer text = BUFFER_EMPTY;
    struct well well;
    double seconds = -1;

    make(&well);
    well.settings.url = (char *)"file:///srv/b\xfc"
                                "ck"; /* a path in Latin-1 */
    well.picture.lag.segments = 1;
    well.picture.lag.oldest = NOW + HOUR; /* by a clock that was ahead */
    REQUIRE(picture_find_problems(&well.picture) == 0);
    struct json *document = status_json(&well.picture);
    const struct json *lag = json_member(document, "archiving");
    CHECK(lag != NULL && json_number(lag, "seconds", &seconds) == 0 && seconds == 0);
    CHECK(json_write(document, 0, &text) == 0 && strstr(buffer_string(&text), "/srv/b\xef\xbf\xbd"
                                                                              "ck") != NULL);
    buffer_free(&text);
    json_free(document);
    free(well.picture.problems);
}

static void test_words(void)
{
    struct well well;
    char sentence[WORDS_LONG_BYTES];

    make(&well);
    CHECK_TEXT(words_exposure(&well.repository, sentence),
               "; with the server, commits of the last 30 s would be lost now");
    well.repository.has_unsafe = false;
    CHECK_TEXT(words_exposure(&well.repository, sentence), "; the server has no later one");
    well.repository.has_safe = false;
    well.repository.server_timeline = 2;
    CHECK_TEXT(words_exposure(&well.repository, sentence),
               "; this server is on timeline 2, of which nothing can be recovered from here");
    well.repository.is_exposed = false;
    CHECK_TEXT(words_exposure(&well.repository, sentence), "");

    char text[WORDS_BYTES];

    CHECK_TEXT(words_seconds(0.44, text), "0.4 s");
    CHECK_TEXT(words_seconds(-5, text), "0.0 s");
    CHECK_TEXT(words_seconds(9.96, text), "10.0 s");
    CHECK_TEXT(words_seconds(119.4, text), "119 s");
    CHECK_TEXT(words_seconds(7199, text), "119 min");
    CHECK_TEXT(words_seconds(7200, text), "2 h 0 min");
    CHECK_TEXT(words_seconds(172800, text), "2 d 0 h");
    CHECK_TEXT(words_seconds(14.5 * 86400, text), "14 days");
    CHECK_TEXT(words_seconds(1e300, text), "11574074074 days");
    CHECK_TEXT(words_time(NOW, text), "2027-01-15 08:00:00");
    CHECK_TEXT(words_count(1, "hole", text), "1 hole");
    CHECK_TEXT(words_count(0, "hole", text), "0 holes");
}

static void test_pushgateway(void)
{
    CHECK(pushgateway_check("http://127.0.0.1:9091") == 0 &&
          pushgateway_check("https://push.example/below/") == 0);
    CHECK(pushgateway_check("ftp://x") != 0 && pushgateway_check("http://") != 0 &&
          pushgateway_check("http:///x") != 0 && pushgateway_check("http://user:word@x") != 0 &&
          pushgateway_check("http://x?y") != 0 && pushgateway_check("127.0.0.1:9091") != 0);
}

int main(void)
{
    log_open("test_status", LOG_ERROR + 1, false);
    test_problems();
    test_metrics();
    test_exposure();
    test_usable();
    test_json();
    test_left_behind();
    test_words();
    test_pushgateway();
    return unit_done("status");
}
