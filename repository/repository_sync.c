/* repository-sync: copies what one repository has and another lacks, verified on its way. */
#include "sync.h"

#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/outcome.h"
#include "common/result.h"
#include "common/wal_index_fill.h"

#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define MOST_JOBS 64

struct request {
    struct sync_settings settings;
    const char *from, *to;
    unsigned long jobs;
    bool has_max_rate, progress, json;
    struct result result;
    struct outcome outcome;
};

static int set_from(void *context, const char *value)
{
    ((struct request *)context)->from = value;
    return 0;
}

static int set_to(void *context, const char *value)
{
    ((struct request *)context)->to = value;
    return 0;
}

static int set_last(void *context, const char *value)
{
    struct request *request = context;

    return options_number("--last", value, 1, 1000000, &request->settings.last);
}

static int set_all(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->settings.is_all = true;
    return 0;
}

static int set_dry_run(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->settings.is_dry = true;
    return 0;
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
    {"from", 0, "NAME", set_from, "the repository that has it"},
    {"to", 0, "NAME", set_to, "the repository that is to have it, too"},
    {"last", 0, "N", set_last, "only the newest N backups, and the WAL from\nthe first of them on"},
    {"all", 0, NULL, set_all, "also what the retention policy of --to would not keep"},
    {"dry-run", 'n', NULL, set_dry_run, "copy nothing, say how much it would be"},
    {"jobs", 'j', "N", set_jobs, "number of workers"},
    {"max-rate", 'r', "BYTES", set_max_rate,
     "copy at most so much in a second, as in 50MB\n(default: as configured)"},
    {"progress", 'P', NULL, set_progress, "say how far it is"},
    {"json", 0, NULL, set_json, "print one JSON document at the end"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "repository-sync",
    .summary = "copies what one repository has and another lacks",
    .operands = "--from NAME --to NAME",
    .options = own_options,
    .epilogue =
        "What the retention policy of the other would not keep if it had it is left out.\n"
        "Exit status: 0 the other has all the rest; 1 failed, or something could not be copied; 2 usage or\n"
        "configuration error. The same call goes on where one was interrupted.",
};

static int check_request(const struct options *options, const struct request *request)
{
    if (request->from == NULL || request->to == NULL)
        log_error("from where to where is not said (--from NAME --to NAME)");
    else if (strcmp(request->from, request->to) == 0)
        log_error("--from and --to are the same repository");
    else if (options->repository != NULL)
        log_error("--repository does not go with --from and --to");
    else
        return 0;
    log_hint("Try \"%s --help\" for more information.", program.name);
    return -1;
}

static int sync_opened(struct repository *from, struct repository *to, struct request *request)
{
    struct progress progress;
    int result;

    if (repository_load_cluster(from, 0) != REPOSITORY_OK || repository_load_cluster(to, 0) != REPOSITORY_OK)
        return -1;
    progress_init(&progress, request->progress);
    result = sync_run(from, to, &request->settings, &progress, request->result.document);
    if (!request->settings.is_dry)
        wal_index_fill_all(to, wal_index_fill_deadline(), false); /* they are of its own objects */
    return result;
}

static int run(const struct config *config, const struct repository_config *from_settings,
               const struct repository_config *to_settings, struct request *request)
{
    struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct repository from, to;
    struct state state;
    int result = -1;

    request->settings.jobs = request->jobs != 0 ? (unsigned)request->jobs : config->basebackup_jobs;
    if (!request->has_max_rate)
        request->settings.max_rate = config->basebackup_max_rate;
    if (repository_open(config, from_settings, NULL, &limits, &from) != 0)
        return -1;
    state_open_existing(config, &state); /* of what is encrypted: which epoch is the newest */
    if (repository_open(config, to_settings, &state, &limits, &to) == 0) {
        result = sync_opened(&from, &to, request);
        repository_close(&to);
    }
    state_close(&state);
    repository_close(&from);
    return result;
}

static int load_and_run(const struct options *options, struct request *request)
{
    const struct repository_config *only, *from, *to = NULL;
    struct config config;
    int status = EXIT_USAGE;

    if (options_load(options, &config, &only) != 0)
        return EXIT_USAGE;
    from = config_repository(&config, request->from);
    if (from != NULL)
        to = config_repository(&config, request->to);
    if (to != NULL) {
        outcome_configure(&request->outcome, &config);
        interrupt_catch_signals();
        status = run(&config, from, to, request) == 0 ? EXIT_DONE : EXIT_FAILED;
        outcome_add_repository(&request->outcome, to->name, status == EXIT_DONE);
    }
    config_free(&config);
    return status;
}

int main(int argc, char **argv)
{
    struct request request = {.from = NULL};
    struct outcome_run *copied = &request.outcome.run;
    struct options options;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    outcome_begin(&request.outcome, program.name);
    request.outcome.is_dry = request.settings.is_dry;
    result_begin(&request.result, program.name, request.json);
    status = check_request(&options, &request) == 0 ? load_and_run(&options, &request) : EXIT_USAGE;
    copied->has_bytes = json_uint(request.result.document, "bytes", &copied->bytes) == 0;
    copied->stored_bytes = copied->bytes;
    status = result_end(&request.result, status);
    outcome_end(&request.outcome, status);
    if (status == EXIT_FAILED && interrupt_signal() != 0)
        interrupt_raise_again();
    return status;
}
