/* basebackup-fetch: restores a base backup into a directory that is empty, or, with --delta, one that is to
 * become as the backup is. It chooses the backup, looks at every place it would write to, restores, and says
 * what comes next. */
#include "choice.h"
#include "common/config.h"
#include "common/file.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/options.h"
#include "common/progress.h"
#include "common/timestamp.h"
#include "fetch_report.h"
#include "fetch_tell.h"
#include "restore.h"
#include "restore_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define MOST_JOBS 64

struct request {
    const char *data_directory;
    const char *external_directory; /* NULL: beside the data directory */
    const char *target_time;        /* as written; NULL: none */
    const char *target_lsn;
    const char *timeline;
    struct choice_request choice;
    struct mappings mappings;
    char **databases; /* --database: names, borrowed */
    size_t database_count;
    const char *file;   /* NULL: a whole restore */
    const char *output; /* of --file; NULL: standard output */
    unsigned long jobs; /* 0: as configured */
    bool has_max_rate;
    uint64_t max_rate;
    bool delta, ignore_space, progress, json;
    struct result result;
};

/* Options */

static int set_data_directory(void *context, const char *value)
{
    struct request *request = context;

    if (*value == '\0') {
        log_error("-D needs the path of a directory");
        return -1;
    }
    request->data_directory = value;
    return 0;
}

static int set_external(void *context, const char *value)
{
    struct request *request = context;

    if (*value == '\0') {
        log_error("--external needs the path of a directory");
        return -1;
    }
    request->external_directory = value;
    return 0;
}

static int set_backup(void *context, const char *value)
{
    struct request *request = context;

    if (strcmp(value, "latest") != 0 && !backup_id_is_valid(value)) {
        log_error("\"%s\" is not the id of a backup", value);
        log_hint("basebackup-list shows the ids; \"latest\" is the newest.");
        return -1;
    }
    request->choice.wish.id = value;
    return 0;
}

static int set_target_time(void *context, const char *value)
{
    struct request *request = context;

    request->target_time = value;
    request->choice.wish.has_time = true;
    return options_time(value, &request->choice.wish.time);
}

static int set_target_lsn(void *context, const char *value)
{
    struct request *request = context;

    if (!lsn_parse(value, &request->choice.wish.lsn)) {
        log_error("target LSN \"%s\" is not an LSN", value);
        log_hint("Write it as PostgreSQL does, like \"A/1F000028\".");
        return -1;
    }
    request->target_lsn = value;
    request->choice.wish.has_lsn = true;
    return 0;
}

static int set_timeline(void *context, const char *value)
{
    struct request *request = context;

    request->timeline = value;
    request->choice.timeline = 0;
    return strcmp(value, "latest") == 0 ? 0 : options_timeline(value, &request->choice.timeline);
}

static int set_unproven(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->choice.without_proof = true;
    return 0;
}

static int set_accept_end(void *context, const char *value)
{
    struct request *request = context;

    if (wal_name_parse(value).kind != WAL_SEGMENT) {
        log_error("\"%s\" is not the name of a WAL segment", value);
        log_hint("It has 24 upper-case hexadecimal digits, like 000000010000000A000000FF.");
        return -1;
    }
    request->choice.accept_end = value;
    return 0;
}

static int add_mapping(void *context, const char *value)
{
    struct request *request = context;

    return mappings_add(&request->mappings, value);
}

static int set_jobs(void *context, const char *value)
{
    struct request *request = context;

    return options_number("--jobs", value, 1, MOST_JOBS, &request->jobs);
}

static int add_database(void *context, const char *value)
{
    struct request *request = context;
    char **names = realloc(request->databases, (request->database_count + 1) * sizeof *names);

    if (names == NULL)
        return log_out_of_memory();
    request->databases = names;
    names[request->database_count++] = (char *)value;
    return 0;
}

static int set_file(void *context, const char *value)
{
    struct request *request = context;

    request->file = value;
    return 0;
}

static int set_output(void *context, const char *value)
{
    struct request *request = context;

    request->output = value;
    return 0;
}

static int set_delta(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->delta = true;
    return 0;
}

static int set_ignore_space(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->ignore_space = true;
    return 0;
}

static int set_max_rate(void *context, const char *value)
{
    struct request *request = context;

    request->has_max_rate = true;
    return options_bytes("--max-rate", value, &request->max_rate);
}

static int set_progress(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->progress = true;
    return 0;
}

static int set_json(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->json = true;
    return 0;
}

static const struct option_spec own_options[] = {
    {"pgdata", 'D', "DIR", set_data_directory, "directory to restore into; empty, or made"},
    {"backup", 0, "ID", set_backup, "this backup; \"latest\" (default): the newest that\nserves the target"},
    {"target-time", 0, "TIME", set_target_time,
     "recovery will go to this time (with an offset:\n\"2026-11-20 14:29:59+01\")"},
    {"target-lsn", 0, "LSN", set_target_lsn, "recovery will go to this LSN"},
    {"timeline", 0, "TIMELINE", set_timeline,
     "recovery will follow this one: latest (default), or a\nnumber"},
    {"unproven", 0, NULL, set_unproven, "don't look whether the WAL up to the target is there"},
    {"accept-end", 0, "SEGMENT", set_accept_end, "recovery will give up the WAL from this segment on"},
    {"tablespace-mapping", 'T', "OLD=NEW", add_mapping, "restore the tablespace at OLD into NEW"},
    {"external", 0, "DIR", set_external,
     "for files from outside the data directory\n(default: <pgdata>.external)"},
    {"delta", 0, NULL, set_delta,
     "DIR may hold a stopped server of this cluster, or an\ninterrupted restore: what is right there stays"},
    {"database", 0, "NAME", add_database,
     "only this database's content, and the system's own;\nmay be given several times"},
    {"file", 0, "PATH", set_file,
     "instead of a restore: this file of the backup, by its\npath in the data directory"},
    {"output", 0, "FILE", set_output, "where that goes; \"-\" (default): standard output"},
    {"ignore-space", 0, NULL, set_ignore_space, "go on although there seems to be too little room"},
    {"jobs", 'j', "N", set_jobs, "number of workers"},
    {"max-rate", 'r', "BYTES", set_max_rate,
     "write at most so much in a second, as in 50MB\n(default: as configured)"},
    {"progress", 'P', NULL, set_progress, "say how far it is"},
    {"json", 0, NULL, set_json, "print one JSON document at the end"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "basebackup-fetch",
    .summary = "restores a base backup",
    .operands = "-D DIR | --file PATH",
    .options = own_options,
    .takes_several = true,
    .epilogue =
        "Exit status: 0 restored, verified and on disk; 1 failed; 2 usage or configuration error.\n"
        "recovery-config -D DIR is the next step: without it the server can't fetch the WAL that it needs.",
};

static int check_request(const struct request *request)
{
    bool restores = request->data_directory != NULL || request->external_directory != NULL ||
                    request->mappings.count > 0 || request->database_count > 0 || request->delta ||
                    request->json;

    if (request->file != NULL && restores)
        log_error("--file only goes with --output and with what chooses the backup");
    else if (request->file == NULL && request->output != NULL)
        log_error("--output only goes with --file");
    else if (request->file == NULL && request->data_directory == NULL)
        log_error("no directory was given to restore into (-D DIR)");
    else if (request->choice.wish.has_time && request->choice.wish.has_lsn)
        log_error("--target-time and --target-lsn exclude each other");
    else
        return 0;
    log_hint("Try \"%s --help\" for more information.", program.name);
    return -1;
}

/* As recovery-config has it. */
static void complete_request(struct request *request)
{
    if (request->choice.accept_end != NULL && request->timeline == NULL)
        request->choice.timeline = wal_name_parse(request->choice.accept_end).timeline;
    request->choice.without_way = request->file != NULL;
}

/* After pg_upgrade the cluster lives on as another system, which no backup of the former one leads to: the
 * way there is a backup that was taken since. */
static void warn_of_later_system(const struct choice *choice, const struct backup_wish *wish)
{
    const struct cluster *cluster = &choice->repository.cluster;
    const struct generation *later = NULL;
    char added[TIMESTAMP_TEXT_BYTES];

    for (size_t i = 0; i < cluster->generation_count; i++)
        if (!wish->has_time || cluster->generations[i].added < wish->time)
            later = &cluster->generations[i];
    if (later == NULL || later->system_identifier == choice->backup->system_identifier ||
        (wish->id != NULL && strcmp(wish->id, "latest") != 0))
        return;
    timestamp_format(later->added, added);
    log_warning("backup %s is of system %" PRIu64
                " (PostgreSQL %u), and no backup of its successor, system %" PRIu64
                " (PostgreSQL %u, accepted at %s), serves",
                choice->backup->id, choice->backup->system_identifier, choice->backup->postgresql_version,
                later->system_identifier, later->postgresql_version, added);
    log_hint("What is restored ends where the former system ended. The successor can only be restored from a "
             "backup that was taken of it: basebackup-push.");
}

/* The story */

/* All content of the others would be gone, and nobody could want that of a cluster that is there. */
static int check_combination(const struct request *request, const struct former *former)
{
    if (request->database_count == 0 || former->kind != FORMER_CLUSTER)
        return 0;
    log_error("--database can't be used for the cluster in \"%s\": it would lose its other databases",
              former->path);
    log_hint("Restore into an empty directory, and copy from there what is needed.");
    return -1;
}

static void warn_of_page_errors(const struct backup *backup)
{
    if (backup->page_errors > 0)
        log_warning("when backup %s was taken, %llu pages of the server's files had a wrong checksum",
                    backup->id, (unsigned long long)backup->page_errors);
}

/* next: the repository to go on with, or NULL. */
static bool goes_on(const struct choice *choice, const struct repository_config *next,
                    const struct restore_outcome *outcome)
{
    if (!outcome->is_repository || next == NULL || interrupt_signal() != 0)
        return false;
    log_warning(
        "repository \"%s\" has no good copy of backup %s, or can't be asked: repository \"%s\" is tried",
        choice->repository.settings->name, choice->backup->id, next->name);
    return true;
}

/* 0; 1: another repository is to be tried; -1 after logging. */
static int restore_chosen(const struct config *config, struct request *request, const struct options *options,
                          struct choice *choice, const struct repository_config *next,
                          const struct former *former, bool *is_begun)
{
    struct restore_places places = {.items = NULL};
    struct database_choice databases = {.is_all = true};
    struct restore_settings settings = {
        .jobs = request->jobs != 0 ? (unsigned)request->jobs : config->basebackup_jobs,
        .max_rate = request->has_max_rate ? request->max_rate : config->basebackup_max_rate,
        .progress = request->progress,
        .ignore_space = request->ignore_space,
        .former = former,
        .databases = &databases,
    };
    const struct fetch_wishes wishes = {
        .options = options,
        .target_time = request->target_time,
        .target_lsn = request->target_lsn,
        .timeline = request->timeline,
        .accept_end = request->choice.accept_end,
        .without_proof = request->choice.without_proof,
    };
    struct restore_outcome outcome = {.is_begun = false};
    int result = former_check_system(former, choice->backup);

    if (result == 0)
        result =
            database_choice_make(choice->backup, request->databases, request->database_count, &databases);
    if (result == 0)
        result = restore_places_plan(choice->backup, request->data_directory, request->external_directory,
                                     &request->mappings, former, &places);
    warn_of_later_system(choice, &request->choice.wish);
    warn_of_page_errors(choice->backup);
    if (result == 0) {
        log_info("restoring backup %s from repository \"%s\" into \"%s\"", choice->backup->id,
                 choice->repository.settings->name, places.items[0].path);
        fetch_report_begin(&request->result, &choice->repository, choice->backup, &places);
        result = restore_run(&choice->repository, choice->backup, &places, &settings, &outcome);
        if (result == 0) {
            fetch_report_end(&request->result, &outcome);
            database_choice_tell(&databases, choice->backup);
            fetch_tell_success(&wishes, choice, &places, &outcome);
        } else if (goes_on(choice, next, &outcome))
            result = 1;
        else if (outcome.is_begun)
            fetch_tell_failure(&places);
    }
    *is_begun = *is_begun || outcome.is_begun;
    restore_places_free(&places);
    database_choice_free(&databases);
    return result;
}

/* One that has no good copy of it leaves nothing behind: then the next is tried. */
static int run_file(const struct config *config, struct request *request)
{
    struct choice choice = {.is_open = false};
    const struct repository_config *next = NULL;
    int result;

    do {
        result = choice_make(config, &request->choice, &choice);
        if (result == 0) {
            result = restore_one_file(&choice.repository, choice.backup, request->file,
                                      request->output == NULL ? "-" : request->output);
            next = choice_next(&request->choice, &choice);
            if (result != 0 && next != NULL && !interrupt_requested())
                log_warning("repository \"%s\" is tried", next->name);
        } else
            next = NULL;
        request->choice.first = choice.index + 1;
        choice_close(&choice);
    } while (result != 0 && next != NULL && !interrupt_requested());
    return result;
}

/* As restore_chosen, from the first repository that was not tried yet. */
static int restore_from_next(const struct config *config, struct request *request,
                             const struct options *options, const struct former *former, bool *is_begun)
{
    struct choice choice = {.is_open = false};
    int result = choice_make(config, &request->choice, &choice);

    if (result == 0) {
        request->choice.first = choice.index + 1;
        result = restore_chosen(config, request, options, &choice, choice_next(&request->choice, &choice),
                                former, is_begun);
    } else if (*is_begun)
        log_error(
            "the restore failed: \"%s\" is incomplete; it has no global/pg_control, so no server can be "
            "started in it",
            request->data_directory);
    choice_close(&choice);
    return result;
}

static int run(const struct config *config, struct request *request, const struct options *options)
{
    struct former former;
    bool is_begun = false;
    int result;

    /* Asked first, since these are the commonest mistakes and need no repository; and recovery-config, which
     * would refuse the time, comes when all is restored. */
    if (former_look(request->data_directory, request->delta, &former) != 0 ||
        check_combination(request, &former) != 0 ||
        (request->choice.wish.has_time && options_time_is_past(request->choice.wish.time) != 0))
        return -1;
    /* What is right of the first try stays. */
    while ((result = restore_from_next(config, request, options, &former, &is_begun)) == 1) {
        interrupt_forget();
        if (former_look(request->data_directory, request->delta || is_begun, &former) != 0)
            return -1;
    }
    return result;
}

int main(int argc, char **argv)
{
    struct request request = {.data_directory = NULL};
    struct options options;
    struct config config;
    const struct repository_config **repositories = NULL;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        goto done;
    result_begin(&request.result, program.name, request.json);
    status = EXIT_USAGE;
    if (check_request(&request) != 0)
        goto done;
    complete_request(&request);
    if (geteuid() == 0 &&
        request.file == NULL) { /* as initdb: the server could not use what belongs to root */
        log_error("cannot be run as root; run it as the user that will own the server");
        status = EXIT_FAILED;
        goto done;
    }
    if (options_load_list(&options, &config, &repositories, &request.choice.repository_count) != 0)
        goto done;
    request.choice.repositories = repositories;
    interrupt_catch_signals();
    status = (request.file != NULL ? run_file(&config, &request) : run(&config, &request, &options)) == 0
                 ? EXIT_DONE
                 : EXIT_FAILED;
    config_free(&config);
done:
    free(repositories);
    mappings_free(&request.mappings);
    free(request.databases);
    if (request.result.document != NULL)
        status = result_end(&request.result, status);
    if (status == EXIT_FAILED && interrupt_signal() != 0)
        interrupt_raise_again();
    return status;
}
