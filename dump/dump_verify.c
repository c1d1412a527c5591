/* dump-verify: reads dumps to their last byte, and has pg_restore read their tables of contents. */
#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/outcome.h"
#include "common/progress.h"
#include "common/result.h"
#include "restore.h"
#include "tool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    const char *id; /* NULL: all; "latest" */
    bool as_json;
    bool without_list;
    char newest[DUMP_ID_BYTES]; /* of those that any repository has, for "latest" */
    uint64_t bytes;             /* stored, that were read */
};

static int set_json(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->as_json = true;
    return 0;
}

static int set_no_list(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->without_list = true;
    return 0;
}

static int set_dump(void *context, const char *value)
{
    ((struct request *)context)->id = value;
    return dump_wish_is_valid(value) ? 0 : -1;
}

static const struct option_spec own_options[] = {
    {"dump", 0, "ID", set_dump, "this one; \"latest\": the newest (default: all)"},
    {"no-list", 0, NULL, set_no_list, "without pg_restore --list: for a machine without it"},
    {"json", 0, NULL, set_json, "one JSON document instead of text"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "dump-verify",
    .summary = "verifies dumps: each byte, and that pg_restore reads their tables of contents",
    .operands = "",
    .options = own_options,
    .epilogue = "Exit status: 0 all are right; 1 one is not, or could not be read; 2 usage or configuration\n"
                "error.",
};

/* The newest program reads what the others have written. NULL after logging. */
static char *find_pg_restore(const struct config *config, const struct dump_list *list)
{
    unsigned least = 0, major;

    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].state == DUMP_COMPLETE && list->entries[i].dump.program_major > least)
            least = list->entries[i].dump.program_major;
    char *path = tool_find(config, "pg_restore", least, &major);
    if (path == NULL)
        log_hint("With --no-list the bytes alone are verified.");
    return path;
}

/* Each stream; those behind a damaged one too. */
static int verify_streams(struct sources *sources, const char *pg_restore)
{
    int result = 0;

    for (size_t i = 0; i < sources->dump->stream_count && !interrupt_requested(); i++)
        if (restore_list(sources, &sources->dump->streams[i], pg_restore) != 0)
            result = -1;
    return interrupt_requested() ? -1 : result;
}

static int verify_dump(struct source *source, const struct dump *dump, const char *pg_restore)
{
    struct dump_found *found = calloc(dump->stream_count, sizeof *found);
    struct sources alone = {.items = source, .count = 1, .dump = dump};
    bool has_started = false;
    int result = -1;

    if (found == NULL)
        return log_out_of_memory();
    source->dump = dump;
    if (dump_look(&source->repository, dump, found, &has_started) == 0) {
        result = dump_is_all_there(&source->repository, dump, found) ? 0 : -1;
        if (verify_streams(&alone, pg_restore) != 0)
            result = -1;
    }
    free(found);
    return result;
}

static void tell(const struct dump *dump, bool is_right, struct json *array)
{
    char bytes[32];

    if (array != NULL) {
        struct json *object = json_new_object();
        json_set_string(object, "id", dump->id);
        json_set_bool(object, "verified", is_right);
        json_set_uint(object, "bytes", dump_bytes(dump));
        json_append(array, object);
        return;
    }
    progress_format_bytes(dump_bytes(dump), bytes);
    printf("  %s  %s  %s\n", dump->id, is_right ? "verified" : "DAMAGED ", bytes);
    fflush(stdout);
}

static int verify_list(const struct config *config, struct source *source, struct request *request,
                       struct json *array)
{
    const struct dump *wanted = request->id == NULL ? NULL : dump_list_find(&source->list, request->id);
    char *pg_restore = NULL;
    int result = source->list.damaged == 0 ? 0 : -1;

    if (request->id != NULL && wanted == NULL) {
        const struct repository_config *settings = source->repository.settings;
        if (strcmp(request->id, request->newest) == 0 && !settings->required) {
            log_warning("dump %s, the newest, is not in repository \"%s\", which need not have it",
                        request->id, settings->name);
            return result;
        }
        log_error("there is no complete dump \"%s\" in repository \"%s\"", request->id, settings->name);
        return -1;
    }
    if (!request->without_list && dump_list_find(&source->list, "latest") != NULL &&
        (pg_restore = find_pg_restore(config, &source->list)) == NULL)
        return -1;
    for (size_t i = 0; i < source->list.count && !interrupt_requested(); i++) {
        const struct dump_entry *entry = &source->list.entries[i];
        if (entry->state != DUMP_COMPLETE || (wanted != NULL && &entry->dump != wanted))
            continue;
        bool is_right = verify_dump(source, &entry->dump, pg_restore) == 0;
        if (!interrupt_requested())
            tell(&entry->dump, is_right, array);
        request->bytes += dump_stored_bytes(&entry->dump);
        if (!is_right)
            result = -1;
    }
    free(pg_restore);
    return interrupt_requested() ? -1 : result;
}

static int verify_repository(const struct config *config, const struct repository_config *settings,
                             struct request *request, struct json *array)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct source source = {.is_open = false};
    int result = -1;

    if (array == NULL)
        printf("repository %s (%s)\n", settings->name, settings->url);
    if (repository_open(config, settings, NULL, &limits, &source.repository) != 0)
        return -1;
    if (repository_load_cluster_to_read(&source.repository) == REPOSITORY_OK &&
        repository_use_relays(&source.repository) == 0 &&
        dump_list_load(&source.repository, &source.list) == REPOSITORY_OK)
        result = verify_list(config, &source, request, array);
    dump_list_free(&source.list);
    repository_close(&source.repository);
    return result;
}

/* One that got no dump for months must not be right by its old one. What can't be read is told later. */
static void find_newest(const struct config *config, const struct repository_config *only,
                        struct request *request)
{
    struct sources sources;
    bool was_muted = log_mute_thread(true);

    if (sources_open(config, only, "latest", &sources) == 0) {
        snprintf(request->newest, sizeof request->newest, "%s", sources.dump->id);
        request->id = request->newest;
    }
    sources_close(&sources);
    log_mute_thread(was_muted);
}

static int run(const struct config *config, const struct repository_config *only, struct request *request,
               struct outcome *outcome)
{
    struct json *array = request->as_json ? json_new_array() : NULL;
    int result = 0;

    if (request->id != NULL && strcmp(request->id, "latest") == 0)
        find_newest(config, only, request);
    for (size_t i = 0; i < config->repository_count && !interrupt_requested(); i++) {
        const struct repository_config *settings = &config->repositories[i];
        struct json *object = array == NULL ? NULL : json_new_object();
        struct json *dumps = array == NULL ? NULL : json_new_array();
        if (only == NULL || only == settings) {
            bool is_right = verify_repository(config, settings, request, dumps) == 0;
            result = is_right ? result : -1;
            outcome_add_repository(outcome, settings->name, is_right);
            if (array != NULL) {
                json_set_string(object, "repository", settings->name);
                json_set_bool(object, "verified", is_right);
                json_set(object, "dumps", dumps);
                json_append(array, object);
            }
        } else {
            json_free(object);
            json_free(dumps);
        }
    }
    if (array != NULL && result_print_repositories(config->cluster_name, array) != 0)
        result = -1;
    return result_flush() != 0 ? -1 : result;
}

int main(int argc, char **argv)
{
    struct request request = {.id = NULL};
    struct options options;
    struct config config;
    struct outcome outcome;
    const struct repository_config *only;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    outcome_begin(&outcome, program.name);
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    outcome_configure(&outcome, &config);
    interrupt_catch_signals();
    status = run(&config, only, &request, &outcome) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    outcome.run.has_bytes = true;
    outcome.run.bytes = outcome.run.stored_bytes = request.bytes;
    if (status != 0 && interrupt_signal() != 0)
        log_error("interrupted by signal %d", interrupt_signal());
    outcome_end(&outcome, status);
    if (status != 0 && interrupt_signal() != 0)
        interrupt_raise_again();
    return status;
}
