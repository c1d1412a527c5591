/* basebackup-push: takes a base backup of a running PostgreSQL server and stores it in the repositories. */
#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/outcome.h"
#include "common/server.h"
#include "priority.h"
#include "push.h"

#include <stdio.h>
#include <string.h>

#define JOBS_MOST 64
#define LABEL_MOST_BYTES 1000 /* PostgreSQL's own limit is 1,023 */

struct arguments {
    const char *label;
    struct annotations annotations;
    bool fast_checkpoint;
    bool tolerates_page_errors;
    bool includes_wal;
    bool wants_progress;
    bool wants_json;
    bool starts_afresh;
    unsigned long jobs; /* 0: as configured */
    bool has_max_rate;
    uint64_t max_rate;
};

static int set_jobs(void *context, const char *value)
{
    struct arguments *arguments = context;

    return options_number("--jobs", value, 1, JOBS_MOST, &arguments->jobs);
}

static int set_max_rate(void *context, const char *value)
{
    struct arguments *arguments = context;

    arguments->has_max_rate = true;
    return options_bytes("--max-rate", value, &arguments->max_rate);
}

static int set_label(void *context, const char *value)
{
    struct arguments *arguments = context;

    /* The label is a line of backup_label. */
    if (strlen(value) > LABEL_MOST_BYTES || strpbrk(value, "\r\n") != NULL) {
        log_error("--label must be one line of at most %d bytes", LABEL_MOST_BYTES);
        return -1;
    }
    arguments->label = value;
    return 0;
}

static int set_checkpoint(void *context, const char *value)
{
    struct arguments *arguments = context;

    arguments->fast_checkpoint = strcmp(value, "fast") == 0;
    if (arguments->fast_checkpoint || strcmp(value, "spread") == 0)
        return 0;
    log_error("--checkpoint must be fast or spread, not \"%s\"", value);
    return -1;
}

static int add_annotation(void *context, const char *value)
{
    struct arguments *arguments = context;

    return annotations_add(&arguments->annotations, value);
}

static int set_page_errors(void *context, const char *value)
{
    struct arguments *arguments = context;

    arguments->tolerates_page_errors = strcmp(value, "warn") == 0;
    if (arguments->tolerates_page_errors || strcmp(value, "fail") == 0)
        return 0;
    log_error("--page-errors must be fail or warn, not \"%s\"", value);
    return -1;
}

static int set_wal(void *context, const char *value)
{
    struct arguments *arguments = context;

    arguments->includes_wal = strcmp(value, "include") == 0;
    if (arguments->includes_wal || strcmp(value, "archive") == 0)
        return 0;
    log_error("--wal must be archive or include, not \"%s\"", value);
    return -1;
}

static int set_progress(void *context, const char *value)
{
    struct arguments *arguments = context;

    (void)value;
    arguments->wants_progress = true;
    return 0;
}

static int set_json(void *context, const char *value)
{
    struct arguments *arguments = context;

    (void)value;
    arguments->wants_json = true;
    return 0;
}

static int set_no_resume(void *context, const char *value)
{
    struct arguments *arguments = context;

    (void)value;
    arguments->starts_afresh = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"jobs", 'j', "N", set_jobs, "workers that read and send (default: as configured)"},
    {"label", 'l', "TEXT", set_label, "label of the backup (default: walferry)"},
    {"annotation", 0, "KEY=VALUE", add_annotation, "remember this with the backup (repeatable)"},
    {"page-errors", 0, "MODE", set_page_errors,
     "fail: wrong pages make the backup fail, in the end (default)\nwarn: it is completed, with a warning"},
    {"wal", 0, "MODE", set_wal,
     "archive: wait until the WAL it needs is archived (default)\ninclude: put that WAL into the backup, "
     "which "
     "can be\nstarted alone then"},
    {"checkpoint", 'c', "MODE", set_checkpoint,
     "spread: the checkpoint goes easy on the disks (default)\nfast: begin as soon as possible"},
    {"max-rate", 'r', "BYTES", set_max_rate,
     "read at most so much in a second, as in 50MB\n(default: as configured)"},
    {"no-resume", 0, NULL, set_no_resume, "send all, also what an interrupted backup has stored"},
    {"progress", 'P', NULL, set_progress, "tell how far the backup is"},
    {"json", 0, NULL, set_json, "print one JSON document at the end instead of the id"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "basebackup-push",
    .summary = "takes a base backup of a running PostgreSQL server into the repositories",
    .operands = "",
    .options = own_options,
    .epilogue = "Prints the new backup's id. Exit status: 0 done, 1 failed, 2 usage or configuration error.",
};

static int run(const struct options *options, const struct arguments *arguments, struct result *result,
               struct outcome *outcome)
{
    struct config config;
    const struct repository_config *only;
    char id[BACKUP_ID_BYTES];

    if (options_load(options, &config, &only) != 0)
        return OPTIONS_USAGE_STATUS;
    outcome_configure(outcome, &config);
    struct push_settings settings = {
        .config = &config,
        .repository = options->repository,
        .label = arguments->label,
        .annotations = &arguments->annotations,
        .tolerates_page_errors = arguments->tolerates_page_errors,
        .includes_wal = arguments->includes_wal,
        .fast_checkpoint = arguments->fast_checkpoint,
        .wants_progress = arguments->wants_progress,
        .result = result,
        .resumes = !arguments->starts_afresh,
        .jobs = arguments->jobs != 0 ? (unsigned)arguments->jobs : config.basebackup_jobs,
        .max_rate = arguments->has_max_rate ? arguments->max_rate : config.basebackup_max_rate,
    };
    int status = OPTIONS_USAGE_STATUS;
    priority_set(config.basebackup_priority);
    if (server_check_conninfo("conninfo", config.conninfo) == 0 &&
        (config.primary_conninfo == NULL ||
         server_check_conninfo("primary_conninfo", config.primary_conninfo) == 0))
        status = push_backup(&settings, id) == 0 ? 0 : 1;
    config_free(&config);
    if (status == 0 && !arguments->wants_json && (printf("%s\n", id) < 0 || fflush(stdout) != 0)) {
        log_error("could not write the backup's id to standard output: %m");
        status = 1;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.label = "walferry"};
    struct options options;
    struct result result;
    struct outcome outcome;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &arguments, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    interrupt_catch_signals();
    outcome_begin(&outcome, program.name);
    result_begin(&result, program.name, arguments.wants_json);
    status = run(&options, &arguments, &result, &outcome);
    if (status != 0 && interrupt_signal() != 0)
        log_error("interrupted by signal %d: no backup was made", interrupt_signal());
    outcome_take_push(&outcome, result.document, "id", "plain_bytes");
    status = result_end(&result, status);
    outcome_end(&outcome, status);
    if (status != 0 && interrupt_signal() != 0)
        interrupt_raise_again();
    return status;
}
