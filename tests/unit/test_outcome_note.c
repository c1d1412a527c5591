/* The note of a program's last runs: both the last success and the last failure stay, counts only grow, and
 * what is odd is begun anew. */
#include "common/outcome_note.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static char directory[] = "/tmp/walferry-outcome-XXXXXX";

static struct outcome_run success(void)
{
    struct outcome_run run = {.started = 1795000000000000,
                              .ended = 1795000012500000,
                              .milliseconds = 12500,
                              .backup = "20261122T020000Z-00000001-0000000002000028",
                              .has_bytes = true,
                              .bytes = 1000,
                              .stored_bytes = 300,
                              .requests = 40,
                              .retries = 2,
                              .repositories = {{"local", true}, {"offsite", true}},
                              .repository_count = 2};
    return run;
}

static struct outcome_run failure(const char *kind, const char *message)
{
    struct outcome_run run = {.started = 1795086400000000, .ended = 1795086401000000, .milliseconds = 1000};

    run.status = 1;
    run.requests = 5;
    run.retries = 4;
    snprintf(run.kind, sizeof run.kind, "%s", kind);
    snprintf(run.message, sizeof run.message, "%s", message);
    return run;
}

static void add(const struct state *state, struct outcome_run run)
{
    CHECK(outcome_note_add(state, "basebackup-push", "main", &run, NULL) == 0);
}

static void check_name(void)
{
    char *name = outcome_note_name("basebackup-push", "main");

    CHECK_TEXT(name, "outcome-basebackup-push-main.json");
    free(name);
}

static void test_runs(const struct state *state)
{
    struct outcome_note note;

    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 1);
    CHECK(note.runs == 0 && note.success.ended == 0 && note.failure.ended == 0);
    add(state, success());
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 0);
    CHECK(note.runs == 1 && note.failures == 0 && note.failure.ended == 0 && note.kind_count == 0);
    CHECK(note.success.started == 1795000000000000 && note.success.ended == 1795000012500000);
    CHECK(note.success.milliseconds == 12500 && note.success.has_bytes && note.success.bytes == 1000 &&
          note.success.stored_bytes == 300 && note.success.requests == 40 && note.success.retries == 2);
    CHECK_TEXT(note.success.backup, "20261122T020000Z-00000001-0000000002000028");
    CHECK(note.success.repository_count == 2 && note.success.repositories[1].is_done);
    CHECK_TEXT(note.success.repositories[1].name, "offsite");

    add(state, failure("store", "could not put \"s3://b/\xff\": no \"answer\"\n"));
    add(state, failure("server", "could not connect"));
    add(state, failure("store", "the last one"));
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 0);
    CHECK(note.runs == 4 && note.failures == 3 && note.requests == 55 && note.retries == 14);
    CHECK(note.kind_count == 2 && note.kinds[0].count == 2 && note.kinds[1].count == 1);
    CHECK_TEXT(note.kinds[0].kind, "store");
    CHECK_TEXT(note.failure.message, "the last one");
    CHECK(note.failure.status == 1 && !note.failure.has_bytes);
    CHECK(note.success.bytes == 1000); /* is not forgotten */

    add(state, success());
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 0);
    CHECK(note.runs == 5 && note.failures == 3 && note.failure.ended != 0);
    /* of others there is nothing */
    CHECK(outcome_note_read(state, "restore-drill", "main", &note) == 1);
    CHECK(outcome_note_read(state, "basebackup-push", "other", &note) == 1);
}

static void test_text(const struct state *state)
{
    struct outcome_note note;

    add(state, failure("other", "a\xff"
                                "b\nc\"d"));
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 0);
    CHECK_TEXT(note.failure.message, "a\xEF\xBF\xBD"
                                     "b?c\"d");
}

/* The clock was set back since the last run: nothing of it is forgotten, and the order stays. */
static void test_clock(const struct state *state)
{
    const struct timespec tomorrow[2] = {{.tv_sec = time(NULL) + 86400}, {.tv_sec = time(NULL) + 86400}};
    struct outcome_note note, before;

    REQUIRE(outcome_note_read(state, "basebackup-push", "main", &before) == 0);
    REQUIRE(utimensat(AT_FDCWD, unit_path("%s/outcome-basebackup-push-main.json", directory), tomorrow, 0) ==
            0);
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 0 && note.runs == before.runs);
    add(state, failure("store", "later, by an earlier clock"));
    REQUIRE(utimensat(AT_FDCWD, unit_path("%s/outcome-basebackup-push-main.json", directory), tomorrow, 0) ==
            0);
    add(state, success()); /* ended a day before the failure, by what the clock says */
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 0);
    CHECK(note.runs == before.runs + 2 && note.failures == before.failures + 1);
    CHECK(note.success.ended < note.failure.ended && note.last == OUTCOME_SUCCESS);
}

static void test_damage(const struct state *state)
{
    struct outcome_note note;

    /* a note that was copied to another program's name tells nothing of that */
    REQUIRE(rename(unit_path("%s/outcome-basebackup-push-main.json", directory),
                   unit_path("%s/outcome-restore-drill-main.json", directory)) == 0);
    CHECK(outcome_note_read(state, "restore-drill", "main", &note) == 1 && note.runs == 0);
    static const char unsealed[] = "{\"walferry\":1,\"kind\":\"outcome\",\"runs\":7}";
    unit_write(unit_path("%s/outcome-basebackup-push-main.json", directory), unsealed, strlen(unsealed));
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 1 && note.runs == 0);
    add(state, success());
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 0 && note.runs == 1);
}

static void test_kinds_are_bounded(const struct state *state)
{
    struct outcome_note note;
    char kind[20];

    for (int i = 0; i < OUTCOME_KINDS_MOST + 3; i++) {
        snprintf(kind, sizeof kind, "kind-%d", i);
        add(state, failure(kind, ""));
    }
    CHECK(outcome_note_read(state, "basebackup-push", "main", &note) == 0);
    CHECK(note.kind_count == OUTCOME_KINDS_MOST && note.failures == OUTCOME_KINDS_MOST + 3);
}

static void test_nowhere(const struct state *state)
{
    const struct state none = {NULL};
    const struct outcome_run run = success();
    struct outcome_note note;
    struct stat status;

    CHECK(outcome_note_add(&none, "basebackup-push", "main", &run, NULL) == 0);
    CHECK(outcome_note_read(&none, "basebackup-push", "main", &note) == 1);
    /* something that cannot be replaced stands there: a warning, and no error */
    REQUIRE(unlink(unit_path("%s/outcome-basebackup-push-main.json", directory)) == 0);
    REQUIRE(mkdir(unit_path("%s/outcome-basebackup-push-main.json", directory), 0700) == 0);
    unit_listen();
    CHECK(outcome_note_add(state, "basebackup-push", "main", &run, NULL) == -1);
    CHECK(unit_heard("warning: could not note the outcome of this run"));
    CHECK(lstat(unit_path("%s/outcome-basebackup-push-main.json", directory), &status) == 0 &&
          S_ISDIR(status.st_mode));
}

int main(void)
{
    struct state state;

    REQUIRE(mkdtemp(directory) != NULL);
    state_open_directory(directory, &state);
    REQUIRE(state.directory != NULL);
    check_name();
    test_runs(&state);
    test_text(&state);
    test_clock(&state);
    test_damage(&state);
    test_kinds_are_bounded(&state);
    test_nowhere(&state);
    state_close(&state);
    unit_remove_tree(directory);
    return unit_done("outcome_note");
}
