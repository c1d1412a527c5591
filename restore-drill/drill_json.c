#include "drill_json.h"

#include "common/document.h"
#include "common/drill_report.h"
#include "common/log.h"
#include "common/progress.h"
#include "common/timestamp.h"
#include "common/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static double seconds(int64_t microseconds)
{
    return (double)(microseconds / 1000) / 1000;
}

static struct json *times_json(const struct drill *drill)
{
    static const enum drill_step told[] = {STEP_FETCH, STEP_CONFIGURE, STEP_START, STEP_REPLAY, STEP_CHECKS};
    struct json *object = json_new_object();

    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        json_set_real(object, drill_step_names[told[i]], seconds(drill->seconds[told[i]]));
    json_set_real(object, "total", seconds(drill_recovery_time(drill)));
    return object;
}

static struct json *checks_json(const struct drill *drill)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < drill->check_count; i++) {
        const struct check_result *check = &drill->checks[i];
        struct json *item = json_new_object();
        if (check->is_done) {
            json_set_text(item, "name", check->name);
            json_set_text(item, "value", check->value);
            json_set_text(item, "expected", check->parts.expectation.text);
            json_set_bool(item, "passed", check->has_passed);
            json_append(list, item);
        } else
            json_free(item);
    }
    return list;
}

static struct json *lines_json(const struct buffer *lines)
{
    struct json *list = json_new_array();
    const char *line = buffer_string(lines);

    while (*line != '\0') {
        size_t length = strcspn(line, "\n");
        char text[1024];
        snprintf(text, sizeof text, "%.*s", (int)length, line);
        json_append_text(list, text);
        line += length + (line[length] == '\n');
    }
    return list;
}

static void set_recovered(struct json *object, const struct drill *drill)
{
    const struct drill_facts *facts = &drill->facts;
    int64_t behind;

    json_set_bool(object, "consistent", drill->postgres.log.is_consistent);
    if (drill->postgres.log.has_stopped)
        json_set_text(object, "stopped", drill->postgres.log.stop);
    if (facts->replayed_lsn != 0)
        document_set_lsn(object, "replayed_lsn", facts->replayed_lsn);
    json_set_uint(object, "timeline", facts->timeline);
    if (facts->has_last_commit)
        document_set_time(object, "last_commit", facts->last_commit);
    if (drill_behind(drill, &behind))
        json_set_real(object, "rpo_seconds", seconds(behind));
}

void drill_json_fill(struct json *object, const struct drill *drill)
{
    const struct drill_facts *facts = &drill->facts;
    char target[128];

    json_set_bool(object, "passed", drill->problem == NULL);
    if (drill->problem != NULL) {
        json_set_string(object, "failed_step", drill_step_names[drill->step]);
        json_set_text(object, "problem", drill->problem);
        json_set_text(object, "server_log", drill->log_kept);
    }
    if (drill->chosen.backup == NULL)
        return;
    json_set_string(object, "backup", drill->chosen.backup->id);
    json_set_uint(object, "postgresql_version", drill->chosen.backup->postgresql_version);
    drill_target_describe(drill, target, sizeof target);
    json_set_string(object, "target", target);
    if (*facts->repository != '\0')
        json_set_text(object, "repository", facts->repository);
    json_set(object, "rto_seconds", times_json(drill));
    set_recovered(object, drill);
    json_set_uint(object, "restored_bytes", facts->restored_bytes);
    json_set_uint(object, "peak_bytes", facts->peak_bytes);
    json_set_uint(object, "databases", facts->databases);
    json_set_uint(object, "closed_databases", facts->closed_databases);
    json_set_uint(object, "relations", facts->relations);
    json_set_uint(object, "pages", facts->pages);
    json_set_uint(object, "unlogged", facts->unlogged);
    json_set_uint(object, "prepared", facts->prepared);
    json_set(object, "missing_libraries", lines_json(&facts->missing));
    json_set(object, "checks", checks_json(drill));
}

/* The repository */

static int seal(const struct drill *drill, const struct drill_report *report, struct buffer *out)
{
    struct json *document = document_new("drill");
    char host[256] = "";

    document_set_system(document, drill->chosen.backup->system_identifier);
    document_set_time(document, "time", report->time);
    gethostname(host, sizeof host - 1);
    json_set_text(document, "host", host);
    drill_json_fill(document, drill);
    return document_seal(document, out);
}

static int put(const struct drill *drill, struct repository *repository)
{
    struct drill_report report = {.time = store_now(repository->store),
                                  .milliseconds = (uint64_t)drill_recovery_time(drill) / 1000,
                                  .is_failed = drill->problem != NULL};
    struct buffer text = BUFFER_EMPTY;

    snprintf(report.backup, sizeof report.backup, "%s", drill->chosen.backup->id);
    int result = seal(drill, &report, &text);
    if (result == 0)
        result = drill_report_put(repository, drill->chosen.backup->system_identifier, &report, &text);
    buffer_free(&text);
    return result;
}

int drill_json_store(const struct drill *drill)
{
    const struct store_limits limits = {.operation_seconds = drill->config->basebackup_store_timeout_seconds};
    const struct repository_config *settings = drill->chosen.repository.settings;
    struct repository repository;
    int result = -1;

    for (size_t i = 0; i < drill->repository_count; i++)
        if (strcmp(drill->repositories[i]->name, drill->facts.repository) == 0)
            settings = drill->repositories[i];
    if (settings->s3.as_of != 0) /* a bucket as it was: nothing is written there */
        return 0;
    if (repository_open(drill->config, settings, NULL, &limits, &repository) != 0)
        return -1;
    if (repository_load_cluster(&repository, 0) == REPOSITORY_OK)
        result = put(drill, &repository);
    repository_close(&repository);
    return result;
}

/* The page */

static void print_recovered(const struct drill *drill)
{
    const struct drill_facts *facts = &drill->facts;
    char lsn[24], time[TIMESTAMP_TEXT_BYTES];

    lsn_format(facts->replayed_lsn, lsn);
    printf("recovered    ");
    if (facts->has_last_commit) {
        timestamp_format(facts->last_commit, time);
        printf("up to the commit of %s, ", time);
    }
    printf("LSN %s; opened on timeline %u\n", lsn, (unsigned)facts->timeline);
}

static void print_read(const struct drill *drill)
{
    const struct drill_facts *facts = &drill->facts;
    size_t passed = 0;

    for (size_t i = 0; i < drill->check_count; i++)
        passed += drill->checks[i].has_passed;
    if (drill->config->drill.scan == DRILL_SCAN_RELATIONS)
        printf("read         %" PRIu64 " relations, %" PRIu64 " pages, in %" PRIu64 " databases\n",
               facts->relations, facts->pages, facts->databases);
    else
        printf("read         %s\n",
               drill->config->drill.scan == DRILL_SCAN_AMCHECK ? "by pg_amcheck" : "nothing (scan = none)");
    if (drill->check_count > 0)
        printf("checks       %zu of %zu passed\n", passed, drill->check_count);
    if (facts->unlogged > 0)
        printf("not read     %" PRIu64 " unlogged relations, which are empty after a recovery\n",
               facts->unlogged);
    if (facts->closed_databases > 0)
        printf("not read     %" PRIu64 " databases that take no sessions\n", facts->closed_databases);
    if (facts->prepared > 0)
        printf("prepared     %" PRIu64 " prepared transactions were rolled back, for their locks\n",
               facts->prepared);
    if (facts->missing_count > 0)
        printf("not read     %" PRIu64 " relations that need a library that is not loaded here:\n%s",
               facts->missing_count, buffer_string(&facts->missing));
}

void drill_print(const struct drill *drill)
{
    char target[128], size[32];
    int64_t behind;

    if (drill->problem != NULL)
        return;
    drill_target_describe(drill, target, sizeof target);
    progress_format_bytes(drill->facts.restored_bytes, size);
    printf("backup       %s, %s, from repository %s\n", drill->chosen.backup->id, size,
           drill->facts.repository);
    printf("target       %s\n", target);
    print_recovered(drill);
    print_read(drill);
    printf("RTO          %.1f s: fetch %.1f, start %.1f, replay %.1f, checks %.1f\n",
           seconds(drill_recovery_time(drill)), seconds(drill->seconds[STEP_FETCH]),
           seconds(drill->seconds[STEP_CONFIGURE] + drill->seconds[STEP_START]),
           seconds(drill->seconds[STEP_REPLAY]), seconds(drill->seconds[STEP_CHECKS]));
    if (drill_behind(drill, &behind))
        printf("RPO          %.1f s between the last commit and %s\n", seconds(behind),
               drill->chosen.target == TARGET_TIME ? "the target" : "the moment when the server opened");
}
