#include "drill.h"

#include "checks.h"
#include "databases.h"
#include "drill_json.h"
#include "scan.h"

#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/server.h"
#include "common/timestamp.h"
#include "common/wal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MOST 64
#define SIZE_MICROSECONDS 5000000ll /* between two looks at the directory's size */

const char *const drill_step_names[] = {"choose", "scratch", "fetch",  "configure", "start",
                                        "replay", "checks",  "report", "clean"};

/* While something is waited for */

/* 0, or -1 after logging. */
static int look_at_size(struct drill *drill)
{
    char found[32], most[32];
    int64_t begun = monotonic_now();
    uint64_t bytes;

    if (drill->scratch.path == NULL || begun < drill->next_size)
        return 0;
    if (scratch_bytes(&drill->scratch, &bytes) != 0)
        return -1;
    /* A million files take seconds: then less often. */
    drill->next_size = monotonic_now() + SIZE_MICROSECONDS + 20 * (monotonic_now() - begun);
    if (bytes > drill->facts.peak_bytes)
        drill->facts.peak_bytes = bytes;
    if (drill->config->drill.max_bytes == 0 || bytes <= drill->config->drill.max_bytes)
        return 0;
    progress_format_bytes(bytes, found);
    progress_format_bytes(drill->config->drill.max_bytes, most);
    log_error("the drill has grown to %s on disk, more than max_size, %s", found, most);
    return -1;
}

static int look(void *context)
{
    struct drill *drill = context;

    if (interrupt_requested())
        return -1; /* told at the end */
    if (monotonic_now() > drill->deadline) {
        log_error("it took longer than timeout in section [drill] of the configuration allows, %llu seconds",
                  (unsigned long long)drill->config->drill.timeout_seconds);
        return -1;
    }
    return look_at_size(drill);
}

unsigned drill_seconds_left(const struct drill *drill)
{
    int64_t left = (drill->deadline - monotonic_now()) / 1000000;

    return left < 1 ? 1 : left > INT_MAX ? INT_MAX : (unsigned)left;
}

static struct server *connect_to(const struct drill *drill, const char *database, bool may_write)
{
    char *options = postgres_session_options(&drill->postgres, may_write, drill_until(drill));
    const struct server_place place = {.directory = drill->scratch.path,
                                       .port = POSTGRES_PORT,
                                       .user = drill->config->drill.user,
                                       .database = database,
                                       .options = options,
                                       .application = "restore-drill"};
    struct server *server = options == NULL ? NULL : server_connect_to(&place);

    free(options);
    if (server == NULL)
        log_hint("The sessions of a drill are those of user \"%s\" ([drill] user), a superuser of the "
                 "restored cluster.",
                 place.user);
    return server;
}

struct server *drill_connect(const struct drill *drill, const char *database)
{
    return connect_to(drill, database, false);
}

struct server *drill_connect_to_write(const struct drill *drill, const char *database)
{
    return connect_to(drill, database, true);
}

/* The suite's programs, as a user would call them */

struct call {
    char *words[WORDS_MOST]; /* the first and those of owned are owned */
    size_t count;
    char *owned[WORDS_MOST];
    size_t owned_count;
    bool is_bad;
};

static void say(struct call *call, const char *word)
{
    if (word == NULL || call->count == WORDS_MOST - 1)
        call->is_bad = true;
    else
        call->words[call->count++] = (char *)word;
}

static void say_own(struct call *call, char *word)
{
    if (word != NULL && call->owned_count < WORDS_MOST)
        call->owned[call->owned_count++] = word;
    say(call, word);
}

static void call_begin(const struct drill *drill, const char *program, struct call *call)
{
    *call = (struct call){.count = 0};
    say_own(call, path_join(drill->programs, program));
    if (log_shows(LOG_DEBUG) || !log_shows(LOG_INFO))
        say(call, log_shows(LOG_DEBUG) ? "--verbose" : "--quiet");
    if (log_is_json())
        say(call, "--log-json");
    say(call, "--config");
    say(call, drill->config->path);
    for (size_t i = 0; i < drill->options->repository_count; i++) {
        say(call, "--repository");
        say(call, drill->options->repositories[i]);
    }
    say(call, "-D");
    say(call, drill->postgres.data);
}

/* What they would tell a user of the next step is none of a drill's. Ends the call. 0, or -1 after logging.
 */
static int call_run(struct drill *drill, struct call *call, struct buffer *output)
{
    int status = call->is_bad || setenv(OPTIONS_LEVEL_VARIABLE, OPTIONS_LEVEL_WARNING, 1) != 0
                     ? -1
                     : child_run(call->words, ENVIRONMENT_OURS, &drill->look, output);

    unsetenv(OPTIONS_LEVEL_VARIABLE);
    if (status > 0)
        log_error("%s failed with exit status %d", path_name(call->words[0]), status);
    for (size_t i = 0; i < call->owned_count; i++)
        free(call->owned[i]);
    return status == 0 ? 0 : -1;
}

/* The steps */

static int step_choose(struct drill *drill)
{
    char target[128];

    if (choose(drill->config, drill->repositories, drill->repository_count, &drill->wish, &drill->chosen) !=
        0)
        return -1;
    drill_target_describe(drill, target, sizeof target);
    log_info("the drill restores backup %s and recovers to %s", drill->chosen.backup->id, target);
    return 0;
}

static int step_scratch(struct drill *drill)
{
    const struct backup *backup = drill->chosen.backup;
    const struct drill_settings *settings = &drill->config->drill;
    char needed[32], most[32];

    if (settings->max_bytes > 0 && backup->plain_bytes > settings->max_bytes) {
        progress_format_bytes(backup->plain_bytes, needed);
        progress_format_bytes(settings->max_bytes, most);
        log_error("backup %s needs %s, more than max_size, %s", backup->id, needed, most);
        return -1;
    }
    if (scratch_open(settings->scratch, &drill->scratch) != 0 ||
        postgres_open(drill->scratch.path, backup->postgresql_version, settings->pg_bin, &drill->look,
                      &drill->postgres) != 0)
        return -1;
    return settings->scan == DRILL_SCAN_AMCHECK ? postgres_check_amcheck(&drill->postgres) : 0;
}

static void take_fetch_report(struct drill *drill, const struct buffer *output)
{
    struct json *report = json_parse(output->data, output->length, NULL, 0);
    const char *repository = report == NULL ? NULL : json_text(report, "repository");

    if (repository != NULL)
        snprintf(drill->facts.repository, sizeof drill->facts.repository, "%s", repository);
    if (report != NULL)
        json_uint(report, "bytes", &drill->facts.restored_bytes);
    json_free(report);
}

static void say_target(const struct drill *drill, struct call *call)
{
    char text[TIMESTAMP_TEXT_BYTES];

    if (drill->chosen.target != TARGET_TIME)
        return;
    timestamp_format(drill->chosen.time, text);
    say(call, "--target-time");
    say_own(call, string_copy(text));
}

/* OLD=NEW, as -T wants it. Caller frees; NULL after logging. */
static char *mapping(const struct drill *drill, const struct backup_tablespace *tablespace)
{
    char *from = path_escape_equals(tablespace->location), *to = path_escape_equals(drill->scratch.path);
    char *text = from == NULL || to == NULL
                     ? NULL
                     : string_printf("%s=%s/tablespace-%u", from, to, (unsigned)tablespace->oid);

    free(from);
    free(to);
    return text;
}

/* Every tablespace into the scratch directory (rule 24). */
static int step_fetch(struct drill *drill)
{
    const struct backup *backup = drill->chosen.backup;
    struct buffer output = BUFFER_EMPTY;
    struct call call;

    call_begin(drill, "basebackup-fetch", &call);
    say(&call, "--json");
    say(&call, "--backup");
    say(&call, backup->id);
    say_target(drill, &call);
    say(&call, "--external");
    say_own(&call, string_printf("%s/external", drill->scratch.path));
    if (drill->config->drill.max_rate > 0) {
        say(&call, "--max-rate");
        say_own(&call, string_printf("%lluB", (unsigned long long)drill->config->drill.max_rate));
    }
    for (size_t i = 0; i < backup->tablespace_count; i++) {
        say(&call, "-T");
        say_own(&call, mapping(drill, &backup->tablespaces[i]));
    }
    int result = call_run(drill, &call, &output);
    if (result == 0)
        take_fetch_report(drill, &output);
    buffer_free(&output);
    drill->next_size = 0;
    return result == 0 ? look(drill) : -1;
}

/* The server opens at the target, so that its end is part of the drill. */
static int step_configure(struct drill *drill)
{
    struct buffer output = BUFFER_EMPTY;
    struct call call;

    if (postgres_prepare(&drill->postgres) != 0)
        return -1;
    call_begin(drill, "recovery-config", &call);
    say_target(drill, &call);
    if (drill->chosen.target == TARGET_IMMEDIATE)
        say(&call, "--immediate");
    if (drill->chosen.target != TARGET_LATEST) {
        say(&call, "--action");
        say(&call, "promote");
    }
    int result = call_run(drill, &call, &output);
    buffer_free(&output);
    return result;
}

static int step_start(struct drill *drill)
{
    return postgres_start(&drill->postgres, drill->config->drill.preload, &drill->look);
}

/* What was replayed is still known when the server has opened. */
static int ask_recovered(struct drill *drill)
{
    static const char sql[] =
        "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_replay_lsn(),"
        " (pg_catalog.date_part('epoch', pg_catalog.pg_last_xact_replay_timestamp())"
        " OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8,"
        " pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)";
    struct server_query query = {.sql = sql};
    struct drill_facts *facts = &drill->facts;
    struct server *server = databases_connect(drill);
    struct server_rows rows;
    int result = -1;

    if (server == NULL || server_ask(server, &query, &rows) != SERVER_OK) {
        server_close(server);
        return -1;
    }
    const char *time = server_cell(&rows, 0, 2), *lsn = server_cell(&rows, 0, 1);
    if (strcmp(server_cell(&rows, 0, 0), "f") != 0)
        log_error("the server is still in recovery");
    else if (lsn == NULL || !lsn_parse(lsn, &facts->replayed_lsn))
        log_error("the server has replayed no WAL");
    else {
        facts->has_last_commit = time != NULL;
        facts->last_commit = time == NULL ? 0 : strtoll(time, NULL, 10);
        facts->timeline = (uint32_t)strtoul(server_cell(&rows, 0, 3), NULL, 16);
        result = 0;
    }
    server_rows_free(&rows);
    server_close(server);
    return result;
}

static int check_reached(const struct drill *drill)
{
    char found[24], wanted[24];

    lsn_format(drill->facts.replayed_lsn, found);
    lsn_format(drill->chosen.last_lsn, wanted);
    if (drill->facts.replayed_lsn < drill->chosen.last_lsn)
        log_error("the server has opened at LSN %s, before the last commit that the repository has, at %s",
                  found, wanted);
    else if (drill->chosen.target != TARGET_LATEST && !drill->postgres.log.has_stopped)
        log_error("the server has opened at LSN %s without having stopped at the target", found);
    else if (!drill->postgres.log.is_consistent)
        log_error("the server's log does not say that a consistent state was reached");
    else
        return 0;
    return -1;
}

static int step_replay(struct drill *drill)
{
    if (postgres_wait(&drill->postgres, &drill->look) != 0)
        return -1;
    drill->facts.opened = timestamp_now();
    server_log_warn(&drill->postgres.log);
    drill->next_size = 0;
    return ask_recovered(drill) == 0 && check_reached(drill) == 0 ? look(drill) : -1;
}

static int step_checks(struct drill *drill)
{
    enum drill_scan scan = drill->config->drill.scan;
    struct databases databases;
    int result = databases_list(drill, &databases);

    if (result == 0)
        result = databases_clear(drill, &databases);
    if (result == 0)
        result = scan == DRILL_SCAN_RELATIONS ? scan_relations(drill, &databases)
                 : scan == DRILL_SCAN_AMCHECK ? scan_with_amcheck(drill, &databases)
                                              : 0;
    databases_free(&databases);
    return result == 0 ? checks_run(drill) : -1;
}

/* The story */

static int run_steps(struct drill *drill)
{
    static int (*const steps[])(struct drill * drill) = {
        step_choose, step_scratch, step_fetch, step_configure, step_start, step_replay, step_checks};

    for (drill->step = STEP_CHOOSE; drill->step < STEP_REPORT; drill->step++) {
        int64_t begun = monotonic_now();
        int result = steps[drill->step](drill);
        drill->seconds[drill->step] = monotonic_now() - begun;
        log_debug("step %s took %.3f s", drill_step_names[drill->step],
                  (double)drill->seconds[drill->step] / 1e6);
        if (result != 0)
            return -1;
    }
    return 0;
}

static void note_problem(struct drill *drill)
{
    const char *reason = log_last_error();

    drill->problem = interrupt_signal() != 0
                         ? string_printf("it was interrupted by signal %d", interrupt_signal())
                         : string_copy(reason == NULL ? "it failed" : reason);
    if (drill->scratch.path != NULL && drill->postgres.log_path != NULL)
        drill->log_kept = scratch_save(&drill->scratch, drill->postgres.log_path, timestamp_now());
}

/* The drill's own end, whatever came before. 0, or -1 after logging. */
static int finish(struct drill *drill)
{
    int result = 0;

    if (drill->chosen.backup != NULL && !drill->config->drill.without_report && interrupt_signal() == 0 &&
        drill_json_store(drill) != 0) {
        drill->step = drill->problem == NULL ? STEP_REPORT : drill->step;
        result = -1;
    }
    if (scratch_close(&drill->scratch, drill->is_kept) != 0) {
        drill->step = drill->problem == NULL && result == 0 ? STEP_CLEAN : drill->step;
        result = -1;
    }
    if (result != 0 && drill->problem == NULL)
        note_problem(drill);
    return result;
}

int drill_run(struct drill *drill)
{
    drill->look = (struct look){look, drill};
    drill->scratch = (struct scratch){.lock = -1};
    drill->deadline = monotonic_now() + (int64_t)drill->config->drill.timeout_seconds * 1000000;
    int result = run_steps(drill);
    if (result != 0)
        note_problem(drill);
    postgres_stop(&drill->postgres);
    if (finish(drill) != 0)
        result = -1;
    if (result != 0) {
        log_error("step %s failed: %s", drill_step_names[drill->step],
                  drill->problem == NULL ? "out of memory" : drill->problem);
        if (drill->log_kept != NULL)
            log_hint("The server's log is in \"%s\".", drill->log_kept);
    }
    postgres_close(&drill->postgres);
    return result;
}

int64_t drill_recovery_time(const struct drill *drill)
{
    int64_t total = 0;

    for (int step = STEP_FETCH; step <= STEP_CHECKS; step++)
        total += drill->seconds[step];
    return total;
}

int64_t drill_until(const struct drill *drill)
{
    return drill->chosen.target == TARGET_TIME ? drill->chosen.time : drill->facts.opened;
}

bool drill_behind(const struct drill *drill, int64_t *behind)
{
    const struct drill_facts *facts = &drill->facts;
    int64_t until = drill_until(drill);

    if (!facts->has_last_commit || drill->chosen.target == TARGET_IMMEDIATE)
        return false;
    *behind = until > facts->last_commit ? until - facts->last_commit : 0;
    return true;
}

void drill_target_describe(const struct drill *drill, char *out, size_t length)
{
    char time[TIMESTAMP_TEXT_BYTES];

    timestamp_format(drill->chosen.time, time);
    if (drill->chosen.target == TARGET_TIME)
        snprintf(out, length, "time %s", time);
    else
        snprintf(out, length, "%s",
                 drill->chosen.target == TARGET_LATEST ? "the newest there is" : "the end of the backup");
}
