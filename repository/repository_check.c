/* repository-check: says in plain words what works with each repository of the configuration, its store and
 * its key, and what does not. */
#include "check.h"

#include "common/log.h"
#include "common/options.h"
#include "common/result.h"
#include "common/timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct examination {
    struct config config;
    struct state state;
    uint64_t system_identifier; /* of [cluster] pgdata; 0: not known */
    unsigned failures;
    bool reads_only;
    struct result result;
    struct json *repositories; /* array in the result */
};

static void add_finding(struct json *findings, const char *word, const char *text)
{
    struct json *one = json_new_object();

    json_set_string(one, "finding", word);
    json_set_text(one, "text", text);
    json_append(findings, one);
}

void check_say(struct check *check, enum finding finding, const char *format, ...)
{
    static const char *const marks[] = {"ok   ", "note ", "FAILS"}, *const words[] = {"ok", "note", "fails"};
    const int reason = errno; /* for %m */
    char text[2048];
    va_list arguments;

    if (finding == FINDING_FAILURE)
        check->failures++;
    va_start(arguments, format);
    errno = reason;
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_blank_control_characters(text);
    if (check->findings != NULL)
        add_finding(check->findings, words[finding], text);
    else
        printf("  %s  %s\n", marks[finding], text);
}

/* What is looked at now: a heading, or the list of findings of place. NULL: they are printed. */
static struct json *begin_findings(struct examination *examination, struct json *place, const char *heading)
{
    struct json *findings = NULL;

    if (examination->result.is_wanted) {
        findings = json_new_array();
        json_set(place, "findings", findings);
    } else {
        puts(heading);
    }
    return findings;
}

/* --- this machine
 * -------------------------------------------------------------------------------------------------- */

static void check_machine(struct examination *examination)
{
    const struct config *config = &examination->config;
    struct check check = {.repository = NULL};
    struct pg_control control;
    char *heading = string_printf("this machine, cluster \"%s\"", config->cluster_name);
    struct json *machine = json_new_object();

    json_set_text(examination->result.document, "cluster", config->cluster_name);
    json_set(examination->result.document, "machine", machine);
    check.findings = begin_findings(examination, machine, heading != NULL ? heading : "this machine");
    free(heading);
    if (examination->state.directory != NULL)
        check_say(&check, FINDING_OK, "state_dir \"%s\" can be used", config->state_dir);
    else
        check_say(
            &check, FINDING_NOTE,
            "state_dir \"%s\" cannot be used by this user (it must be its own, mode 0700; of a volume name "
            "a directory in it, which is then made): every call asks the repository anew",
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
    if (store_epoch_is_behind(check->repository->store))
        check_say(
            check, FINDING_FAILURE,
            "cluster.json names another key epoch than the newest that was seen here (docs/encryption.md)");
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
    struct check check = {.reads_only = examination->reads_only || settings->s3.as_of != 0,
                          .deadline = monotonic_now() + CHECK_SECONDS * 1000000ll};
    const struct store_limits limits = {CHECK_REQUEST_SECONDS, check.deadline};
    struct repository repository;
    char *heading = string_printf("repository \"%s\": %s%s", settings->name, settings->url,
                                  settings->required ? "" : " (not required: a push may leave it behind)");
    struct json *place = json_new_object();

    check.repository = &repository;
    json_set_text(place, "name", settings->name);
    json_set_text(place, "url", settings->url);
    json_set_bool(place, "required", settings->required);
    json_append(examination->repositories, place);
    check.findings = begin_findings(examination, place, heading != NULL ? heading : settings->name);
    free(heading);
    if (repository_open(&examination->config, settings, &examination->state, &limits, &repository) != 0) {
        check_say(&check, FINDING_FAILURE, "nothing can be tried: its settings or its key cannot be used");
        examination->failures += check.failures;
        return;
    }
    if (check_contact(&check)) {
        if (settings->kind == REPOSITORY_S3)
            check_bucket(&check);
        if (settings->s3.as_of != 0)
            check_say(&check, FINDING_NOTE, "it is read as it was at %s (as_of)", settings->s3.as_of_text);
        if (!check.reads_only)
            check_objects(&check);
        else
            check_listing_alone(&check);
        check_cluster(&check, examination->system_identifier, check.condition != STORE_CONDITION_UNKNOWN);
    }
    examination->failures += check.failures;
    repository_close(&repository);
}

static int set_json(void *context, const char *value)
{
    (void)value;
    ((struct examination *)context)->result.is_wanted = true;
    return 0;
}

static int set_read_only(void *context, const char *value)
{
    (void)value;
    ((struct examination *)context)->reads_only = true;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option_spec own[] = {
        {"read-only", 0, NULL, set_read_only, "try nothing that writes: what a recovery needs"},
        {"json", 0, NULL, set_json, "print one JSON document at the end"},
        {NULL, 0, NULL, NULL, NULL},
    };
    static const struct program program = {
        .name = "repository-check",
        .summary = "says what works with each repository, its store and its key, and what does not",
        .operands = "",
        .options = own,
        .epilogue =
            "Writes, reads and deletes objects <cluster name>/probe-<16 hex digits>, 17 MiB in all;\n"
            "it takes some ten seconds at most, and the time to send those.\n"
            "Exit status: 0 all that is needed works; 1 something needed does not; 2 usage or configuration.",
    };
    struct options options;
    struct examination examination = {.failures = 0};
    const struct repository_config *only;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &examination, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (options_load(&options, &examination.config, &only) != 0)
        return OPTIONS_USAGE_STATUS;
    result_begin(&examination.result, program.name, examination.result.is_wanted);
    examination.repositories = json_new_array();
    setvbuf(stdout, NULL, _IOLBF, 0); /* in order with the messages, also into a file */
    state_open(&examination.config, &examination.state);
    check_machine(&examination);
    for (size_t i = 0; i < examination.config.repository_count; i++)
        if (only == NULL || only == &examination.config.repositories[i])
            examine(&examination, &examination.config.repositories[i]);
    json_set_uint(examination.result.document, "failures", examination.failures);
    json_set(examination.result.document, "repositories", examination.repositories);
    state_close(&examination.state);
    config_free(&examination.config);
    return result_end(&examination.result, examination.failures == 0 ? 0 : 1);
}
