/* dump-expire: removes the dumps that a repository's policy no longer wants, and what was given up. Says
 * first what goes, what stays, and why. */
#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/outcome.h"
#include "common/progress.h"
#include "common/removal.h"
#include "common/result.h"
#include "policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    bool is_dry_run;
    struct outcome outcome;
    bool as_json;
};

static int set_dry_run(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->is_dry_run = true;
    return 0;
}

static int set_json(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->as_json = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"dry-run", 'n', NULL, set_dry_run, "say what would go, and remove nothing"},
    {"json", 0, NULL, set_json, "one JSON document instead of text"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "dump-expire",
    .summary = "removes dumps that the retention policy no longer wants",
    .operands = "",
    .options = own_options,
    .epilogue =
        "The policy of each repository stands in the configuration file: keep_dumps, keep_dumps_for,\n"
        "keep_dumps_monthly. Without one nothing goes.\n"
        "Exit status: 0 done; 1 failed, or a manifest is damaged; 2 usage or configuration error.",
};

struct plan {
    struct repository repository;
    struct dump_list list;
    unsigned *reasons; /* of each entry */
    struct removal removal;
};

/* Telling */

static void append_reasons(const struct plan *plan, size_t index, struct buffer *out, struct json *array)
{
    for (unsigned i = 0; i < DUMP_REASONS; i++) {
        if ((plan->reasons[index] & 1u << i) == 0)
            continue;
        if (array != NULL)
            json_append_string(array, dump_reason_name(1u << i));
        else
            buffer_printf(out, "%s%s", out->length == 0 ? "" : ", ", dump_reason_name(1u << i));
    }
}

static void print_plan(const struct plan *plan, const struct request *request)
{
    const struct repository_config *settings = plan->repository.settings;

    printf("repository %s (%s)\n", settings->name, settings->url);
    for (size_t i = 0; i < plan->list.count; i++) {
        const struct dump_entry *entry = &plan->list.entries[i];
        struct buffer why = BUFFER_EMPTY;
        char bytes[32];
        append_reasons(plan, i, &why, NULL);
        progress_format_bytes(dump_stored_bytes(&entry->dump), bytes);
        if (plan->reasons[i] != 0)
            printf("  %s stays: %s\n", entry->dump.id, buffer_string(&why));
        else
            printf("  %s %s%s%s\n", entry->dump.id, request->is_dry_run ? "would go" : "goes",
                   entry->state == DUMP_UNFINISHED ? ": unfinished" : ", ",
                   entry->state == DUMP_UNFINISHED ? "" : bytes);
        buffer_free(&why);
    }
}

static void fill_json(const struct plan *plan, struct json *object)
{
    struct json *dumps = json_new_array();

    for (size_t i = 0; i < plan->list.count; i++) {
        struct json *item = json_new_object(), *reasons = json_new_array();
        json_set_string(item, "id", plan->list.entries[i].dump.id);
        json_set_bool(item, "stays", plan->reasons[i] != 0);
        append_reasons(plan, i, NULL, reasons);
        json_set(item, "reasons", reasons);
        json_append(dumps, item);
    }
    json_set(object, "dumps", dumps);
}

/* Removing */

static enum removal_choice choose_exactly(void *context, const char *key)
{
    return strcmp(key, context) == 0 ? REMOVAL_TAKE : REMOVAL_PASS;
}

/* file "": all of the folder. As removal_run. */
static int remove_from(struct plan *plan, const struct dump *dump, const char *file)
{
    char *key = dump_key(&plan->repository, dump->system_identifier, dump->id, file);
    const struct removal_wish wish = {
        .prefix = key, .choose = *file == '\0' ? NULL : choose_exactly, .context = key};
    int result = key == NULL ? -1 : removal_run(&plan->removal, &wish);

    free(key);
    return result;
}

/* Has somebody gone on with it since the plan was made? 1: no; 0: it stays; -1 after logging. */
static int is_still_given_up(struct plan *plan, const struct dump_entry *entry)
{
    struct repository *repository = &plan->repository;
    char *key = dump_key(repository, entry->dump.system_identifier, entry->dump.id, "manifest.json");
    int64_t heard = 0, stored = 0;
    int result = -1;

    if (key != NULL && dump_last_sign(repository, &entry->dump, &heard) == 0) {
        int found = store_time_of(repository->store, key, &stored);
        result = found < 0 ? -1 : heard == entry->heard && found == 0;
    }
    if (result == 0)
        log_info("dump %s has been gone on with meanwhile: it stays", entry->dump.id);
    free(key);
    return result;
}

/* The manifest goes first: from then on it is no dump to anyone. started.json is the last by name. */
static int remove_dump(struct plan *plan, const struct dump_entry *entry)
{
    int result = 0;

    if (entry->state == DUMP_UNFINISHED) {
        result = is_still_given_up(plan, entry);
        if (result != 1)
            return result;
        result = 0;
    } else {
        result = remove_from(plan, &entry->dump, "manifest.json");
    }
    if (result == 0)
        result = remove_from(plan, &entry->dump, "");
    return result < 0 ? -1 : 0; /* what is locked stays, and was told */
}

static int carry_out(struct plan *plan, struct json *object)
{
    int result = 0;

    plan->removal = (struct removal)REMOVAL_OF(&plan->repository, plan->list.keeps_versions);
    plan->removal.removes_folders = true;
    for (size_t i = 0; i < plan->list.count && result == 0 && !interrupt_requested(); i++)
        if (plan->reasons[i] == 0)
            result = remove_dump(plan, &plan->list.entries[i]);
    if (object != NULL) {
        json_set_uint(object, "removed_objects", plan->removal.removed);
        json_set_uint(object, "removed_bytes", plan->removal.removed_bytes);
        json_set_uint(object, "locked_objects", plan->removal.locked);
    } else {
        printf("  %" PRIu64 " objects were removed\n", plan->removal.removed);
    }
    if (plan->removal.locked > 0)
        log_warning("repository \"%s\": %" PRIu64 " objects are locked and stay for now",
                    plan->repository.settings->name, plan->removal.locked);
    removal_free(&plan->removal);
    return interrupt_requested() ? -1 : result;
}

static int expire_planned(struct plan *plan, struct request *request, struct json *object)
{
    int result = 0;

    plan->reasons = calloc(plan->list.count + 1, sizeof *plan->reasons);
    if (plan->reasons == NULL)
        return log_out_of_memory();
    if (dump_policy_plan(&plan->repository.settings->retention, &plan->list,
                         store_now(plan->repository.store), plan->reasons) != 0) {
        free(plan->reasons);
        return -1;
    }
    if (object != NULL)
        fill_json(plan, object);
    else
        print_plan(plan, request);
    fflush(stdout); /* before anything goes */
    if (!request->is_dry_run) {
        result = carry_out(plan, object);
        request->outcome.run.stored_bytes += plan->removal.removed_bytes;
    }
    free(plan->reasons);
    return plan->list.damaged > 0 ? -1 : result;
}

static int expire_repository(const struct config *config, const struct repository_config *settings,
                             struct request *request, struct json *object)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct plan plan = {.reasons = NULL};
    struct state state;
    int result = -1;

    state_open_existing(config, &state);
    if (repository_open(config, settings, &state, &limits, &plan.repository) == 0) {
        if (repository_load_cluster(&plan.repository, 0) == REPOSITORY_OK &&
            dump_list_load(&plan.repository, &plan.list) == REPOSITORY_OK)
            result = expire_planned(&plan, request, object);
        dump_list_free(&plan.list);
        repository_close(&plan.repository);
    }
    state_close(&state);
    return result;
}

static int expire_one(const struct config *config, const struct repository_config *settings,
                      struct request *request, struct json *array)
{
    struct json *object = array == NULL ? NULL : json_new_object();
    bool is_given = retention_policy_is_given_for_dumps(&settings->retention);
    int result = 0;

    if (object != NULL) {
        json_set_string(object, "repository", settings->name);
        json_set_bool(object, "has_policy", is_given);
        json_set_bool(object, "dry_run", request->is_dry_run);
    }
    if (is_given) {
        result = expire_repository(config, settings, request, object);
        outcome_add_repository(&request->outcome, settings->name, result == 0);
    } else if (object == NULL)
        printf("repository %s (%s) has no retention policy for dumps: all of them stay\n", settings->name,
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

    for (size_t i = 0; i < config->repository_count && !interrupt_requested(); i++)
        if ((only == NULL || only == &config->repositories[i]) &&
            expire_one(config, &config->repositories[i], request, array) != 0)
            result = -1;
    if (array != NULL && result_print_repositories(config->cluster_name, array) != 0)
        result = -1;
    return result_flush() != 0 ? -1 : result;
}

int main(int argc, char **argv)
{
    struct request request = {.is_dry_run = false};
    struct options options;
    struct config config;
    const struct repository_config *only;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    outcome_begin(&request.outcome, program.name);
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    outcome_configure(&request.outcome, &config);
    request.outcome.is_dry = request.is_dry_run;
    interrupt_catch_signals();
    status = expire_all(&config, only, &request) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    request.outcome.run.has_bytes = true;
    request.outcome.run.bytes = request.outcome.run.stored_bytes;
    outcome_end(&request.outcome, status);
    if (status != 0 && interrupt_signal() != 0)
        interrupt_raise_again();
    return status;
}
