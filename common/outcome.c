#include "outcome.h"

#include "command.h"
#include "http.h"
#include "interrupt.h"
#include "log.h"
#include "timestamp.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLES_MOST 24

const char *const outcome_programs[] = {"basebackup-push", "basebackup-expire", "basebackup-verify",
                                        "dump-push",       "dump-expire",       "dump-verify",
                                        "repository-sync", "restore-drill",     NULL};

static char *copy(const char *text)
{
    return text == NULL ? NULL : string_copy(text);
}

void outcome_begin(struct outcome *outcome, const char *program)
{
    *outcome =
        (struct outcome){.program = program, .begun = monotonic_now(), .run = {.started = timestamp_now()}};
}

void outcome_configure(struct outcome *outcome, const struct config *config)
{
    outcome->cluster = copy(config->cluster_name);
    outcome->state_dir = copy(config->state_dir);
    outcome->config_path = copy(config->path);
    outcome->on_success = copy(config->hook_on_success);
    outcome->on_failure = copy(config->hook_on_failure);
    outcome->hook_seconds = config->hook_timeout_seconds;
}

void outcome_add_repository(struct outcome *outcome, const char *name, bool is_done)
{
    struct outcome_run *run = &outcome->run;

    if (run->repository_count == OUTCOME_REPOSITORIES_MOST)
        return;
    struct outcome_repository *repository = &run->repositories[run->repository_count++];
    snprintf(repository->name, sizeof repository->name, "%s", name);
    repository->is_done = is_done;
}

void outcome_take_push(struct outcome *outcome, const struct json *document, const char *id_member,
                       const char *bytes_member)
{
    struct outcome_run *run = &outcome->run;
    const struct json *list = json_list(document, "repositories");
    const char *id = json_text(document, id_member);

    if (id != NULL)
        snprintf(run->backup, sizeof run->backup, "%s", id);
    run->has_bytes = json_uint(document, bytes_member, &run->bytes) == 0 &&
                     json_uint(document, "stored_bytes", &run->stored_bytes) == 0;
    for (size_t i = 0; i < json_array_length(list); i++) {
        const char *name = json_text(json_array_item(list, i), "name");
        bool is_complete = false;
        json_bool(json_array_item(list, i), "complete", &is_complete);
        if (name != NULL)
            outcome_add_repository(outcome, name, is_complete);
    }
}

/* What came of it */

static const char *kind_of(const struct outcome *outcome)
{
    if (outcome->run.signal != 0)
        return "interrupted";
    if (outcome->run.status == 2)
        return "usage";
    if (outcome->failure != NULL)
        return outcome->failure;
    return log_error_kind() != NULL ? log_error_kind() : "other";
}

static void complete(struct outcome *outcome, int status)
{
    struct outcome_run *run = &outcome->run;

    run->ended = timestamp_now();
    run->milliseconds = (uint64_t)(monotonic_now() - outcome->begun) / 1000;
    run->status = (uint64_t)status;
    http_totals(&run->requests, &run->retries);
    if (status == 0) {
        run->kind[0] = run->message[0] = '\0';
        return;
    }
    run->signal = (uint64_t)interrupt_signal();
    snprintf(run->kind, sizeof run->kind, "%s", kind_of(outcome));
    if (run->message[0] == '\0' && log_first_error() != NULL)
        snprintf(run->message, sizeof run->message, "%s", log_first_error());
    log_blank_control_characters(run->message);
}

static void note(struct outcome *outcome, struct outcome_note *now)
{
    const struct config where = {.state_dir = outcome->state_dir};
    struct state state;

    state_open_existing(&where, &state); /* whoever runs this may not be the archiver, who makes it */
    outcome_note_add(&state, outcome->program, outcome->cluster, &outcome->run, now);
    state_close(&state);
}

/* The hook */

struct variables {
    char *list[VARIABLES_MOST + 1]; /* owned; ends with NULL */
    size_t count;
};

static void set(struct variables *variables, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void set(struct variables *variables, const char *format, ...)
{
    char text[OUTCOME_MESSAGE_BYTES + 4096];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (variables->count < VARIABLES_MOST)
        variables->list[variables->count] = string_copy(text);
    if (variables->list[variables->count] != NULL)
        variables->count++;
}

static void set_time(struct variables *variables, const char *name, int64_t time)
{
    char text[TIMESTAMP_TEXT_BYTES] = "";

    if (time != 0)
        timestamp_format_iso(time, text);
    set(variables, "%s=%s", name, text);
}

static void set_bytes(struct variables *variables, const char *name, bool is_known, uint64_t bytes)
{
    if (is_known)
        set(variables, "%s=%" PRIu64, name, bytes);
    else
        set(variables, "%s=", name);
}

static void set_repositories(struct variables *variables, const struct outcome_run *run, const char *name,
                             bool is_done)
{
    struct buffer names = BUFFER_EMPTY;

    for (size_t i = 0; i < run->repository_count; i++)
        if (run->repositories[i].is_done == is_done)
            buffer_printf(&names, "%s%s", names.length == 0 ? "" : " ", run->repositories[i].name);
    set(variables, "%s=%s", name, buffer_string(&names));
    buffer_free(&names);
}

/* All of them are always set: what is not known is empty, so that nothing of our own environment is taken for
 * it. */
static void set_all(struct variables *variables, const struct outcome *outcome,
                    const struct outcome_note *now)
{
    const struct outcome_run *run = &outcome->run;

    set(variables, "WALFERRY_CONFIG=%s", outcome->config_path == NULL ? "" : outcome->config_path);
    set(variables, "WALFERRY_CLUSTER=%s", outcome->cluster);
    set(variables, "WALFERRY_PROGRAM=%s", outcome->program);
    set(variables, "WALFERRY_STATUS=%" PRIu64, run->status);
    set(variables, "WALFERRY_SIGNAL=%" PRIu64, run->signal);
    set(variables, "WALFERRY_ERROR=%s", run->kind);
    set(variables, "WALFERRY_MESSAGE=%s", run->message);
    set(variables, "WALFERRY_MODE=%s", run->mode);
    set(variables, "WALFERRY_BACKUP=%s", run->backup);
    set_time(variables, "WALFERRY_STARTED", run->started);
    set_time(variables, "WALFERRY_ENDED", run->ended);
    set(variables, "WALFERRY_SECONDS=%" PRIu64, run->milliseconds / 1000);
    set_bytes(variables, "WALFERRY_BYTES", run->has_bytes, run->bytes);
    set_bytes(variables, "WALFERRY_STORED_BYTES", run->has_bytes, run->stored_bytes);
    set(variables, "WALFERRY_REQUESTS=%" PRIu64, run->requests);
    set(variables, "WALFERRY_RETRIES=%" PRIu64, run->retries);
    set_repositories(variables, run, "WALFERRY_DONE", true);
    set_repositories(variables, run, "WALFERRY_NOT_DONE", false);
    set_time(variables, "WALFERRY_LAST_SUCCESS", run->status == 0 ? run->ended : now->success.ended);
}

static void run_hook(const struct outcome *outcome, const struct outcome_note *now)
{
    bool is_done = outcome->run.status == 0;
    const char *line = is_done ? outcome->on_success : outcome->on_failure;
    struct variables variables = {.count = 0};

    if (line == NULL)
        return;
    set_all(&variables, outcome, now);
    command_tell(is_done ? "on_success" : "on_failure", line, outcome->hook_seconds, variables.list);
    for (size_t i = 0; i < variables.count; i++)
        free(variables.list[i]);
}

void outcome_end(struct outcome *outcome, int status)
{
    struct outcome_note now;

    if (outcome->cluster != NULL && !outcome->is_dry) {
        complete(outcome, status);
        note(outcome, &now);
        run_hook(outcome, &now);
    }
    free(outcome->cluster);
    free(outcome->state_dir);
    free(outcome->config_path);
    free(outcome->on_success);
    free(outcome->on_failure);
    outcome->cluster = outcome->state_dir = outcome->config_path = NULL;
    outcome->on_success = outcome->on_failure = NULL;
}
