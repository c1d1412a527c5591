/* repository-check: says in plain words what works with each repository of the configuration, its store and
 * its key, and what does not. */
#include "check.h"

#include "common/log.h"
#include "common/options.h"
#include "common/timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHECK_SECONDS 30

struct examination {
    struct config config;
    struct state state;
    uint64_t system_identifier; /* of [cluster] pgdata; 0: not known */
    unsigned failures;
};

void check_say(struct check *check, enum finding finding, const char *format, ...)
{
    static const char *const marks[] = {"ok   ", "note ", "FAILS"};
    const int reason = errno; /* for %m */
    va_list arguments;

    if (finding == FINDING_FAILURE)
        check->failures++;
    printf("  %s  ", marks[finding]);
    va_start(arguments, format);
    errno = reason;
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* --- this machine
 * -------------------------------------------------------------------------------------------------- */

static void check_machine(struct examination *examination)
{
    const struct config *config = &examination->config;
    struct check check = {.repository = NULL};
    struct pg_control control;

    printf("this machine, cluster \"%s\"\n", config->cluster_name);
    if (examination->state.directory != NULL)
        check_say(&check, FINDING_OK, "state_dir \"%s\" can be used", config->state_dir);
    else
        check_say(&check, FINDING_NOTE,
                  "state_dir \"%s\" cannot be used by this user (it must be its own, mode 0700): every call "
                  "asks the "
                  "repository anew",
                  config->state_dir);
    if (config->pgdata == NULL) {
        check_say(&check, FINDING_NOTE,
                  "[cluster] pgdata is not set: whether its cluster is accepted is not looked at");
    } else {
        switch (pg_control_read(config->pgdata, &control, NULL)) {
        case 0:
            examination->system_identifier = control.system_identifier;
            check_say(&check, FINDING_OK,
                      "pgdata \"%s\" is a data directory of PostgreSQL %u, system %" PRIu64, config->pgdata,
                      pg_version_read(config->pgdata), control.system_identifier);
            break;
        case 1:
            check_say(&check, FINDING_NOTE, "pgdata \"%s\" is no data directory (yet)", config->pgdata);
            break;
        default:
            check_say(&check, FINDING_FAILURE, "pgdata \"%s\" cannot be read", config->pgdata);
        }
    }
    examination->failures += check.failures;
}

/* --- cluster.json
 * -------------------------------------------------------------------------------------------------- */

static void say_generations(struct check *check, uint64_t system_identifier)
{
    const struct cluster *cluster = &check->repository->cluster;

    for (size_t i = 0; i < cluster->generation_count; i++) {
        const struct generation *generation = &cluster->generations[i];
        char added[TIMESTAMP_TEXT_BYTES];

        timestamp_format_iso(generation->added, added);
        check_say(check, FINDING_OK, "cluster.json accepts system %" PRIu64 " (PostgreSQL %u, since %s)%s",
                  generation->system_identifier, generation->postgresql_version, added,
                  generation->system_identifier == system_identifier ? ": that of pgdata" : "");
    }
    if (system_identifier != 0 && cluster_generation(cluster, system_identifier) == NULL)
        check_say(
            check, FINDING_FAILURE,
            "system %" PRIu64
            " of pgdata is not accepted: wrong repository or cluster name, or, after pg_upgrade or a new "
            "initdb, run repository-init --add-generation",
            system_identifier);
}

static void check_cluster(struct check *check, uint64_t system_identifier, bool tried)
{
    const struct cluster *cluster = &check->repository->cluster;

    switch (repository_load_cluster(check->repository, 0)) {
    case REPOSITORY_OK:
        break;
    case REPOSITORY_ABSENT:
        check_say(check, FINDING_FAILURE,
                  "there is no cluster.json: a mistyped url or cluster name, or run repository-init");
        return;
    default:
        check_say(check, FINDING_FAILURE, "cluster.json cannot be read or is damaged");
        return;
    }
    say_generations(check, system_identifier);
    if (tried && check->repository->settings->kind == REPOSITORY_S3 &&
        (cluster->condition != check->condition || cluster->versioned != check->keeps_versions))
        check_say(check, FINDING_FAILURE,
                  "the bucket treats If-None-Match or versions otherwise than when it was probed: run "
                  "repository-init --probe");
}

/* --- one after the other
 * ------------------------------------------------------------------------------------------- */

static void examine(struct examination *examination, const struct repository_config *settings)
{
    const struct store_limits limits = {.operation_seconds = CHECK_SECONDS};
    struct repository repository;
    struct check check = {.repository = &repository};

    printf("repository \"%s\": %s%s\n", settings->name, settings->url,
           settings->required ? "" : " (not required: a push may leave it behind)");
    if (repository_open(&examination->config, settings, &examination->state, &limits, &repository) != 0) {
        check_say(&check, FINDING_FAILURE, "nothing can be tried: its settings or its key cannot be used");
        examination->failures += check.failures;
        return;
    }
    if (check_contact(&check)) {
        if (settings->s3.as_of == 0)
            check_objects(&check);
        else
            check_say(&check, FINDING_NOTE,
                      "it is read as it was at %s (as_of): only what can be found out by reading is looked at",
                      settings->s3.as_of_text);
        check_cluster(&check, examination->system_identifier, check.condition != STORE_CONDITION_UNKNOWN);
    }
    examination->failures += check.failures;
    repository_close(&repository);
}

int main(int argc, char **argv)
{
    static const struct program program = {
        .name = "repository-check",
        .summary = "says what works with each repository, its store and its key, and what does not",
        .operands = "",
        .epilogue =
            "Writes, reads and deletes objects <cluster name>/probe-<16 hex digits>, 17 MiB in all.\n"
            "Exit status: 0 all that is needed works; 1 something needed does not; 2 usage or configuration.",
    };
    struct options options;
    struct examination examination = {.failures = 0};
    const struct repository_config *only;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, NULL, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (options_load(&options, &examination.config, &only) != 0)
        return OPTIONS_USAGE_STATUS;
    setvbuf(stdout, NULL, _IOLBF, 0); /* in order with the messages, also into a file */
    state_open(&examination.config, &examination.state);
    check_machine(&examination);
    for (size_t i = 0; i < examination.config.repository_count; i++)
        if (only == NULL || only == &examination.config.repositories[i])
            examine(&examination, &examination.config.repositories[i]);
    state_close(&examination.state);
    config_free(&examination.config);
    return examination.failures == 0 ? 0 : 1;
}
