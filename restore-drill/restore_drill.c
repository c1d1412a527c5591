/* restore-drill: proves that a backup can be restored, by restoring it: into a scratch place, with a private
 * server, which recovers and is looked at, and all of which is removed. Says how long it took and how much
 * would have been lost. */
#include "checks.h"
#include "drill.h"
#include "drill_json.h"

#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/outcome.h"
#include "common/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    const char *backup, *target; /* NULL: as configured */
    bool is_kept;
    bool as_json;
};

static int set_backup(void *context, const char *value)
{
    ((struct request *)context)->backup = value;
    return 0;
}

static int set_target(void *context, const char *value)
{
    ((struct request *)context)->target = value;
    return 0;
}

static int set_keep(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->is_kept = true;
    return 0;
}

static int set_json(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->as_json = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"backup", 0, "BACKUP", set_backup,
     "latest, oldest, random, or the id of one\n(default: as configured; latest)"},
    {"target-time", 0, "TIME", set_target,
     "recover to latest, random (within the window), or a\ntime (default: as configured; latest)"},
    {"keep", 0, NULL, set_keep, "leave the restored directory there, stopped"},
    {"json", 0, NULL, set_json, "print one JSON document at the end"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "restore-drill",
    .summary = "restores a backup into a scratch place, recovers it, checks it, and removes it again",
    .operands = "",
    .options = own_options,
    .takes_several = true,
    .epilogue = "Exit status: 0 passed; 1 a step failed, which is named; 2 usage or configuration error.",
};

/* Libpq and the server would listen to these, and be led elsewhere. */
static void forget_environment(void)
{
    for (size_t i = 0; environ != NULL && environ[i] != NULL;) {
        char name[64];
        size_t length = strcspn(environ[i], "=");
        if (strncmp(environ[i], "PG", 2) != 0 || length >= sizeof name) {
            i++;
            continue;
        }
        memcpy(name, environ[i], length);
        name[length] = '\0';
        if (unsetenv(name) != 0)
            i++;
    }
}

/* Completes the settings. 0, or -1 after logging. */
static int settle(struct config *config, const struct request *request, struct drill_wish *wish)
{
    struct drill_settings *settings = &config->drill;

    if (settings->scratch == NULL) {
        log_error("configuration file \"%s\" names no place for drills", config->path);
        log_hint("Set scratch = DIR in section [drill]: a directory with room for the restored cluster.");
        return -1;
    }
    if (settings->user == NULL && (settings->user = string_copy("postgres")) == NULL)
        return -1;
    wish->backup = request->backup != NULL    ? request->backup
                   : settings->backup != NULL ? settings->backup
                                              : "latest";
    wish->target = request->target != NULL         ? request->target
                   : settings->target_time != NULL ? settings->target_time
                                                   : "latest";
    return drill_wish_check(wish);
}

static void tell(const struct drill *drill, struct result *result)
{
    drill_json_fill(result->document, drill);
    if (!result->is_wanted)
        drill_print(drill);
}

static void take_drill(struct outcome *outcome, const struct drill *drill)
{
    struct outcome_run *run = &outcome->run;

    if (drill->chosen.backup != NULL)
        snprintf(run->backup, sizeof run->backup, "%s", drill->chosen.backup->id);
    if (*drill->facts.repository != '\0')
        outcome_add_repository(outcome, drill->facts.repository, drill->problem == NULL);
    run->has_bytes = drill->facts.restored_bytes > 0;
    run->bytes = run->stored_bytes = drill->facts.restored_bytes;
    if (drill->problem == NULL)
        return;
    snprintf(run->message, sizeof run->message, "%s: %s", drill_step_names[drill->step], drill->problem);
    if (drill->step != STEP_CHOOSE) /* it only asks the repositories */
        outcome->failure = "drill";
}

static void drill_free(struct drill *drill)
{
    checks_close(drill);
    choose_close(&drill->chosen);
    buffer_free(&drill->facts.missing);
    free(drill->programs);
    free(drill->problem);
    free(drill->log_kept);
}

static int run(struct config *config, const struct options *options, const struct request *request,
               struct drill *drill, struct result *result)
{
    int status = EXIT_USAGE;

    drill->config = config;
    drill->options = options;
    drill->is_kept = request->is_kept;
    if (settle(config, request, &drill->wish) != 0 || checks_open(drill) != 0)
        return status;
    if (geteuid() == 0) {
        log_error("cannot be run as root");
        log_hint("Run it as the user postgres: PostgreSQL refuses to run as root.");
        return EXIT_FAILED;
    }
    drill->programs = process_directory();
    if (drill->programs == NULL)
        return EXIT_FAILED;
    interrupt_catch_signals();
    status = drill_run(drill) == 0 ? EXIT_DONE : EXIT_FAILED;
    tell(drill, result);
    return status != EXIT_DONE || result_flush() == 0 ? status : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct request request = {.backup = NULL};
    struct drill drill = {.chosen = {.is_open = false}};
    const struct repository_config **repositories = NULL;
    struct options options;
    struct config config;
    struct result result;
    struct outcome outcome;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    forget_environment();
    outcome_begin(&outcome, program.name);
    result_begin(&result, program.name, request.as_json);
    if (options_load_list(&options, &config, &repositories, &drill.repository_count) != 0)
        return result_end(&result, EXIT_USAGE);
    outcome_configure(&outcome, &config);
    drill.repositories = repositories;
    status = run(&config, &options, &request, &drill, &result);
    take_drill(&outcome, &drill);
    drill_free(&drill);
    config_free(&config);
    free(repositories);
    status = result_end(&result, status);
    outcome_end(&outcome, status);
    if (status == EXIT_FAILED && interrupt_signal() != 0)
        interrupt_raise_again();
    return status;
}
