/* basebackup-verify: is everything in the repositories that should be there, and is it right? Quickly, by
 * listings, or with every byte read; the WAL too, which makes it wal-verify. */
#include "common/config.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/outcome.h"
#include "common/result.h"
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define MOST_JOBS 64
#define MOST_SECONDS (7ul * 24 * 3600)

struct request {
    struct verify_settings settings;
    unsigned long jobs, max_seconds;
    bool has_max_rate, progress, json;
    struct result result;
    struct outcome outcome;
};

static int set_full(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->settings.is_full = true;
    return 0;
}

static int set_wal(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->settings.is_wal = true;
    return 0;
}

static int set_backup(void *context, const char *value)
{
    if (strcmp(value, "latest") != 0 && !backup_id_is_valid(value)) {
        log_error("\"%s\" is not the id of a backup", value);
        log_hint("basebackup-list shows the ids; \"latest\" is the newest.");
        return -1;
    }
    ((struct request *)context)->settings.backup = value;
    return 0;
}

static int set_sample(void *context, const char *value)
{
    struct request *request = context;

    return options_number("--sample", value, 1, 1000000, &request->settings.sample);
}

static int set_max_bytes(void *context, const char *value)
{
    struct request *request = context;

    return options_bytes("--max-bytes", value, &request->settings.max_bytes);
}

static int set_max_time(void *context, const char *value)
{
    struct request *request = context;

    return options_number("--max-time", value, 1, MOST_SECONDS, &request->max_seconds);
}

static int set_jobs(void *context, const char *value)
{
    struct request *request = context;

    return options_number("--jobs", value, 1, MOST_JOBS, &request->jobs);
}

static int set_max_rate(void *context, const char *value)
{
    struct request *request = context;

    request->has_max_rate = true;
    return options_bytes("--max-rate", value, &request->settings.max_rate);
}

static int set_progress(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->progress = true;
    return 0;
}

static int set_json(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->json = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"full", 0, NULL, set_full, "read and check every byte, what has not been verified\nfor longest first"},
    {"wal", 0, NULL, set_wal, "only the WAL: no backups"},
    {"backup", 0, "ID", set_backup, "only this backup and its WAL; \"latest\": the newest"},
    {"sample", 0, "N", set_sample, "only so many of the backups, at random"},
    {"max-bytes", 0, "BYTES", set_max_bytes,
     "with --full: stop after so much, as in 100GB;\nthe next call goes on"},
    {"max-time", 0, "SECONDS", set_max_time, "the same after so many seconds"},
    {"jobs", 'j', "N", set_jobs, "number of workers"},
    {"max-rate", 'r', "BYTES", set_max_rate,
     "read at most so much in a second, as in 50MB\n(default: as configured)"},
    {"progress", 'P', NULL, set_progress, "say how far it is"},
    {"json", 0, NULL, set_json, "print one JSON document at the end"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "basebackup-verify",
    .summary = "finds what is missing or damaged in the repositories",
    .operands = "",
    .options = own_options,
    .epilogue =
        "Exit status: 0 all that was looked at is there and right (orphans are only reported);\n"
        "1 something is missing or damaged, or could not be found out; 2 usage or configuration error.",
};

static int check_request(struct request *request)
{
    const struct verify_settings *settings = &request->settings;

    request->settings.max_seconds = request->max_seconds;
    if (settings->backup != NULL && settings->sample > 0)
        log_error("--backup and --sample exclude each other");
    else if (settings->is_wal && verify_is_narrow(settings))
        log_error("--wal leaves out the backups: it does not go with --backup or --sample");
    else if (!settings->is_full && (settings->max_bytes != 0 || settings->max_seconds != 0))
        log_error("--max-bytes and --max-time only go with --full");
    else
        return 0;
    log_hint("Try \"%s --help\" for more information.", program.name);
    return -1;
}

/* 0: it is whole, as far as that was asked. */
static int open_and_verify(const struct config *config, const struct repository_config *settings,
                           struct request *request, struct verify_budget *budget, struct findings *findings,
                           struct json *json)
{
    struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct repository repository;
    struct state state;
    struct progress progress;
    int result;

    json_set_string(json, "name", settings->name);
    findings_begin(findings, settings->name);
    progress_init(&progress, request->progress);
    state_open_existing(config, &state); /* of what is encrypted: which epoch is the newest */
    if (repository_open(config, settings, &state, &limits, &repository) != 0) {
        state_close(&state);
        return -1;
    }
    result = verify_repository(&repository, &request->settings, budget, findings, &progress, json);
    repository_close(&repository);
    state_close(&state);
    return result == 0 && findings->errors == 0 ? 0 : -1;
}

static int verify_one(const struct config *config, const struct repository_config *settings,
                      struct request *request, struct verify_budget *budget, struct findings *findings,
                      struct json *list)
{
    struct outcome_run *outcome = &request->outcome.run;
    struct json *json = json_new_object();
    uint64_t bytes;

    json_append(list, json);
    int result = open_and_verify(config, settings, request, budget, findings, json);
    outcome_add_repository(&request->outcome, settings->name, result == 0);
    if (json_uint(json, "bytes_read", &bytes) == 0) {
        outcome->has_bytes = true;
        outcome->bytes = outcome->stored_bytes += bytes;
    }
    return result;
}

static int run(const struct config *config, const struct repository_config *only, struct request *request)
{
    struct json *list = json_new_array();
    struct verify_budget budget =
        verify_budget(&request->settings, only != NULL ? 1 : config->repository_count);
    struct findings findings;
    int result = 0;

    snprintf(request->outcome.run.mode, sizeof request->outcome.run.mode, "%s",
             request->settings.is_full ? "full" : "quick");
    request->settings.jobs = request->jobs != 0 ? (unsigned)request->jobs : config->basebackup_jobs;
    if (!request->has_max_rate)
        request->settings.max_rate = config->basebackup_max_rate;
    findings_init(&findings);
    for (size_t i = 0; i < config->repository_count && !interrupt_requested(); i++)
        if ((only == NULL || only == &config->repositories[i]) &&
            verify_one(config, &config->repositories[i], request, &budget, &findings, list) != 0)
            result = -1;
    json_set(request->result.document, "repositories", list);
    json_set(request->result.document, "findings", findings.list);
    findings.list = NULL;
    findings_free(&findings);
    return interrupt_requested() ? -1 : result;
}

int main(int argc, char **argv)
{
    struct request request = {.jobs = 0};
    struct options options;
    struct config config;
    const struct repository_config *only;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    outcome_begin(&request.outcome, program.name);
    result_begin(&request.result, program.name, request.json);
    status = EXIT_USAGE;
    if (check_request(&request) == 0 && options_load(&options, &config, &only) == 0) {
        outcome_configure(&request.outcome, &config);
        interrupt_catch_signals();
        status = run(&config, only, &request) == 0 ? EXIT_DONE : EXIT_FAILED;
        config_free(&config);
    }
    status = result_end(&request.result, status);
    outcome_end(&request.outcome, status);
    if (status == EXIT_FAILED && interrupt_signal() != 0)
        interrupt_raise_again();
    return status;
}
