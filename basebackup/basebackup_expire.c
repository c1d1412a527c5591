/* basebackup-expire: removes what a repository's retention policy no longer wants: backups, the WAL that none
 * of the others needs, and what was given up. Says first what goes, what stays, and why. */
#include "common/log.h"
#include "common/options.h"
#include "common/outcome.h"
#include "common/result.h"
#include "common/wal_index_fill.h"
#include "expire.h"
#include "expire_report.h"

#include <inttypes.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    bool is_dry_run;
    bool as_json;
    struct outcome outcome;
};

static int set_dry_run(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->is_dry_run = true;
    return 0;
}

static int set_json(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->as_json = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"dry-run", 'n', NULL, set_dry_run, "say what would go, and remove nothing"},
    {"json", 0, NULL, set_json, "one JSON document instead of text"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "basebackup-expire",
    .summary = "removes backups and WAL that the retention policy no longer wants",
    .operands = "",
    .options = own_options,
    .epilogue = "The policy of each repository stands in the configuration file: keep_wal, keep_for,\n"
                "keep_last, keep_daily, keep_weekly, keep_monthly, keep_yearly. Without one nothing goes.\n"
                "Exit status: 0 done; 1 failed, refused, or a manifest is damaged; 2 usage or\n"
                "configuration error.",
};

/* object: gets what happened; NULL: it is told as text. */
static int carry_out(struct expire_plan *plan, struct json *object, struct outcome_run *outcome)
{
    struct expire_result result;
    int done = expire_carry_out(plan, &result);
    const char *name = plan->holdings.repository->settings->name;

    outcome->bytes = outcome->stored_bytes += result.removed_bytes;
    if (object != NULL) {
        json_set_uint(object, "removed_objects", result.removed);
        json_set_uint(object, "removed_bytes", result.removed_bytes);
        json_set_uint(object, "locked_objects", result.locked);
    } else {
        printf("  %" PRIu64 " objects were removed\n", result.removed);
    }
    if (result.locked > 0)
        log_warning("repository \"%s\": %" PRIu64 " objects are locked and stay for now", name,
                    result.locked);
    return done;
}

static int expire_planned(struct request *request, struct expire_plan *plan, struct json *object)
{
    const struct holdings *holdings = &plan->holdings;
    int result = plan->lacks_leftovers ? -1 : 0;

    if (object != NULL)
        expire_fill_json(object, plan);
    else
        expire_print_plan(plan);
    fflush(stdout); /* before anything goes */
    if (!request->is_dry_run)
        result = carry_out(plan, object, &request->outcome.run);
    if (!request->is_dry_run && result == 0)
        wal_index_fill_all(holdings->repository, wal_index_fill_deadline(), false);
    if (holdings->damaged > 0)
        log_error("repository \"%s\": %zu manifests, notes or signs of life are damaged, unreadable or "
                  "missing; what they may be "
                  "of stays",
                  holdings->repository->settings->name, holdings->damaged);
    return holdings->damaged > 0 ? -1 : result;
}

static int expire_repository(const struct config *config, const struct repository_config *settings,
                             struct request *request, struct json *object)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct repository repository;
    struct state state;
    struct expire_plan plan = {.lacks_leftovers = false};
    int result = -1;

    state_open_existing(config, &state); /* of what is encrypted: which epoch is the newest */
    if (repository_open(config, settings, &state, &limits, &repository) != 0) {
        state_close(&state);
        return -1;
    }
    if (repository_load_cluster(&repository, 0) == REPOSITORY_OK && expire_plan_make(&repository, &plan) == 0)
        result = expire_planned(request, &plan, object);
    expire_plan_free(&plan);
    repository_close(&repository);
    state_close(&state);
    return result;
}

/* The story of one repository. array: of all, in JSON; NULL: text. */
static int expire_one(const struct config *config, const struct repository_config *settings,
                      struct request *request, struct json *array)
{
    struct json *object = array == NULL ? NULL : json_new_object();
    bool is_given = retention_policy_is_given(&settings->retention);
    int result = 0;

    if (object != NULL) {
        json_set_string(object, "repository", settings->name);
        json_set_text(object, "url", settings->url); /* a path may be any bytes */
        json_set_bool(object, "has_policy", is_given);
        json_set_bool(object, "dry_run", request->is_dry_run);
    }
    if (is_given) {
        result = expire_repository(config, settings, request, object);
        outcome_add_repository(&request->outcome, settings->name, result == 0);
    } else if (object == NULL)
        printf("repository %s (%s) has no retention policy: all of it stays\n", settings->name,
               settings->url);
    if (object != NULL) {
        json_set_bool(object, "done", result == 0);
        json_append(array, object);
    }
    return result;
}

static int expire_all(const struct config *config, const struct repository_config *only,
                      struct request *request)
{
    struct json *array = request->as_json ? json_new_array() : NULL;
    int result = 0;

    for (size_t i = 0; i < config->repository_count; i++)
        if ((only == NULL || only == &config->repositories[i]) &&
            expire_one(config, &config->repositories[i], request, array) != 0)
            result = -1;
    if (request->as_json && result_print_repositories(config->cluster_name, array) != 0)
        result = -1;
    return result;
}

int main(int argc, char **argv)
{
    struct options options;
    struct config config;
    const struct repository_config *only;
    struct request request = {.is_dry_run = false};
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    outcome_begin(&request.outcome, program.name);
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    outcome_configure(&request.outcome, &config);
    request.outcome.is_dry = request.is_dry_run;
    request.outcome.run.has_bytes = true;
    status = expire_all(&config, only, &request) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    if (result_flush() != 0)
        status = EXIT_FAILED;
    outcome_end(&request.outcome, status);
    return status;
}
