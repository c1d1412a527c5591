/* dump-push: dumps databases of a running PostgreSQL server into the repositories, by pg_dump. */
#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/outcome.h"
#include "common/server.h"
#include "push.h"

#include <stdio.h>

#define DATABASES_MOST 1000

struct arguments {
    const char *databases[DATABASES_MOST];
    size_t database_count;
    bool without_globals, wants_progress, wants_json;
};

static int add_database(void *context, const char *value)
{
    struct arguments *arguments = context;

    if (arguments->database_count == DATABASES_MOST || *value == '\0') {
        log_error("--database must be the name of a database, at most %d times", DATABASES_MOST);
        return -1;
    }
    arguments->databases[arguments->database_count++] = value;
    return 0;
}

static int set_no_globals(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->without_globals = true;
    return 0;
}

static int set_progress(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->wants_progress = true;
    return 0;
}

static int set_json(void *context, const char *value)
{
    (void)value;
    ((struct arguments *)context)->wants_json = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"database", 'd', "NAME", add_database,
     "this database (repeatable; default: all that take\nsessions, but for templates)"},
    {"no-globals", 0, NULL, set_no_globals, "without roles and tablespaces (pg_dumpall --globals-only)"},
    {"progress", 'P', NULL, set_progress, "tell how far it is"},
    {"json", 0, NULL, set_json, "print one JSON document at the end instead of the id"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "dump-push",
    .summary = "dumps databases of a running PostgreSQL server into the repositories, by pg_dump",
    .operands = "",
    .options = own_options,
    .epilogue = "Prints the new dump's id. Exit status: 0 done, 1 failed, 2 usage or configuration error.",
};

static int run(const struct options *options, const struct arguments *arguments, struct result *result,
               struct outcome *outcome)
{
    struct config config;
    const struct repository_config *only;
    char id[DUMP_ID_BYTES];
    int status = OPTIONS_USAGE_STATUS;

    if (options_load(options, &config, &only) != 0)
        return OPTIONS_USAGE_STATUS;
    outcome_configure(outcome, &config);
    const struct push_settings settings = {
        .config = &config,
        .repository = options->repository,
        .databases = arguments->databases,
        .database_count = arguments->database_count,
        .without_globals = arguments->without_globals,
        .wants_progress = arguments->wants_progress,
        .result = result,
    };
    if (server_check_conninfo("conninfo", config.conninfo) == 0)
        status = dump_push(&settings, id) == 0 ? 0 : 1;
    config_free(&config);
    if (status == 0 && !arguments->wants_json && (printf("%s\n", id) < 0 || fflush(stdout) != 0)) {
        log_error("could not write the dump's id to standard output: %m");
        status = 1;
    }
    return status;
}

int main(int argc, char **argv)
{
    static struct arguments arguments;
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
        log_error("interrupted by signal %d%s", interrupt_signal(),
                  json_text(result.document, "dump") == NULL ? ": no dump was made" : "");
    outcome_take_push(&outcome, result.document, "dump", "bytes");
    status = result_end(&result, status);
    outcome_end(&outcome, status);
    if (status != 0 && interrupt_signal() != 0)
        interrupt_raise_again();
    return status;
}
