/* basebackup-list: which base backups there are. A table for people, one JSON document for programs. */
#include "backup_detail.h"
#include "backup_json.h"
#include "common/document.h"
#include "common/drill_report.h"
#include "common/log.h"
#include "common/note.h"
#include "common/options.h"
#include "common/result.h"
#include "list_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    const char *backup; /* an id, or "latest"; NULL: all of them */
    bool wants_files;
    bool as_json;
};

static int set_json(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->as_json = true;
    return 0;
}

static int set_files(void *context, const char *value)
{
    struct request *request = context;

    (void)value;
    request->wants_files = true;
    return 0;
}

static int set_backup(void *context, const char *value)
{
    struct request *request = context;

    if (strcmp(value, "latest") != 0 && !backup_id_is_valid(value)) {
        log_error("\"%s\" is not the id of a backup", value);
        log_hint("basebackup-list without --backup shows the ids; \"latest\" is the newest.");
        return -1;
    }
    request->backup = value;
    return 0;
}

static const struct option_spec own_options[] = {
    {"backup", 0, "ID", set_backup, "this one in detail; \"latest\": the newest"},
    {"files", 0, NULL, set_files, "with --backup: its files, instead"},
    {"json", 0, NULL, set_json, "one JSON document instead of a table"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "basebackup-list",
    .summary = "lists the base backups of the repositories",
    .operands = "",
    .options = own_options,
    .epilogue = "Exit status: 0 done; 1 a repository could not be read or a backup is damaged;\n"
                "2 usage or configuration error.",
};

/* The backups of one repository. */
struct listing {
    const struct repository_config *settings;
    struct backup_list list;
    struct notes notes;
    struct drill_report *drills; /* owned; the last one of each backup of the list; time 0: none */
};

static void listing_free(struct listing *listing)
{
    backup_list_free(&listing->list);
    notes_free(&listing->notes);
    free(listing->drills);
}

/* Those of backups that are there no more are passed over. */
static bool take_drill(void *context, const struct drill_report *report)
{
    struct listing *listing = context;

    for (size_t i = 0; i < listing->list.count; i++)
        if (strcmp(listing->list.backups[i].id, report->backup) == 0)
            listing->drills[i] = *report;
    return true;
}

static enum repository_result load_drills(struct repository *repository, struct listing *listing)
{
    enum repository_result result = REPOSITORY_OK;

    listing->drills = calloc(listing->list.count + 1, sizeof *listing->drills);
    if (listing->drills == NULL) {
        log_out_of_memory();
        return REPOSITORY_FAILED;
    }
    for (size_t i = 0; i < repository->cluster.generation_count && result == REPOSITORY_OK; i++)
        result = drill_report_list(repository, repository->cluster.generations[i].system_identifier,
                                   take_drill, listing);
    return result;
}

static int open_and_load(const struct config *config, struct listing *listing, struct repository *repository)
{
    struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};

    if (repository_open(config, listing->settings, NULL, &limits, repository) != 0)
        return -1;
    if (repository_load_cluster_to_read(repository) == REPOSITORY_OK &&
        notes_load(repository, &listing->notes) == REPOSITORY_OK &&
        backup_list_load(repository, &listing->list) == REPOSITORY_OK &&
        load_drills(repository, listing) == REPOSITORY_OK)
        return 0;
    repository_close(repository);
    return -1;
}

/* 0, or -1 after logging: then it could not be read at all, or not everything in it. */
static int load(const struct config *config, struct listing *listing)
{
    struct repository repository;

    if (open_and_load(config, listing, &repository) != 0)
        return -1;
    repository_close(&repository);
    return listing->list.damaged == 0 ? 0 : -1;
}

/* Telling */

static void print_pin(const struct listing *listing, const struct backup *backup)
{
    const struct noted *pin = notes_pin(&listing->notes, backup->system_identifier, backup->id);
    char host[LIST_CELL_BYTES], time[LIST_CELL_BYTES], reason[LIST_CELL_BYTES];

    if (pin == NULL)
        return;
    list_format_text(pin->note.host, host);
    list_format_text(pin->note.reason, reason);
    list_format_time(pin->note.time, time);
    if (pin->is_damaged)
        printf("%s: counts as pinned, since its last note is damaged\n", backup->id);
    else
        printf("%s: pinned on %s, %s UTC%s%s\n", backup->id, host, time, *reason != '\0' ? ": " : "", reason);
}

/* Time 0: there was none, or it is not known, after logging. */
static const struct drill_report *last_drill(const struct listing *listing, const struct backup *backup)
{
    static const struct drill_report none = {.time = 0};

    return listing->drills == NULL ? &none : &listing->drills[backup - listing->list.backups];
}

static void print_drill(const struct listing *listing, const struct backup *backup)
{
    const struct drill_report *drill = last_drill(listing, backup);
    char time[LIST_CELL_BYTES], duration[LIST_CELL_BYTES];

    if (drill->time == 0)
        return;
    list_format_time(drill->time, time);
    list_format_duration((drill->milliseconds + 999) / 1000, duration);
    if (drill->is_failed)
        printf("%s: the last drill failed, at %s UTC\n", backup->id, time);
    else
        printf("%s: restored in a drill at %s UTC, in %s\n", backup->id, time, duration);
}

static struct json *drill_json(const struct drill_report *drill)
{
    struct json *object = json_new_object();

    document_set_time(object, "time", drill->time);
    json_set_bool(object, "passed", !drill->is_failed);
    json_set_real(object, "seconds", (double)drill->milliseconds / 1000);
    return object;
}

static int print_listing(const struct config *config, const struct listing *listing, bool with_name)
{
    if (with_name)
        printf("repository %s (%s)\n", listing->settings->name, listing->settings->url);
    if (listing->list.count > 0 && list_table_print(&listing->list) != 0)
        return -1;
    for (size_t i = 0; i < listing->list.count; i++)
        if (listing->list.backups[i].page_errors > 0)
            printf("%s: %llu pages had a wrong checksum when it was taken\n", listing->list.backups[i].id,
                   (unsigned long long)listing->list.backups[i].page_errors);
    for (size_t i = 0; i < listing->list.count; i++)
        print_pin(listing, &listing->list.backups[i]);
    for (size_t i = 0; i < listing->list.count; i++)
        print_drill(listing, &listing->list.backups[i]);
    if (listing->list.count > 0)
        return 0;
    printf("There is no complete base backup of cluster \"%s\" in repository \"%s\".\n", config->cluster_name,
           listing->settings->name);
    return 0;
}

static struct json *listed_json(const struct listing *listing, const struct backup *backup)
{
    struct json *object = json_new_object();

    json_set_string(object, "repository", listing->settings->name);
    backup_json_fill(object, backup, NULL);
    json_set_bool(object, "pinned",
                  notes_pin(&listing->notes, backup->system_identifier, backup->id) != NULL);
    const struct drill_report *drill = last_drill(listing, backup);
    if (drill->time != 0)
        json_set(object, "drill", drill_json(drill));
    return object;
}

static int print_json(const struct config *config, const struct listing *listings, size_t count)
{
    struct json *document = json_new_object(), *backups = json_new_array();
    uint64_t damaged = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < listings[i].list.count; k++)
            json_append(backups, listed_json(&listings[i], &listings[i].list.backups[k]));
        damaged += listings[i].list.damaged;
    }
    json_set_string(document, "cluster", config->cluster_name);
    json_set(document, "backups", backups);
    json_set_uint(document, "damaged", damaged);
    int result = json_print(document);
    json_free(document);
    return result;
}

/* The story */

static int show(const struct config *config, struct listing *listings, size_t count, bool as_json)
{
    bool any_shown = false;
    int result = 0;

    for (size_t i = 0; i < count; i++) {
        bool is_loaded = load(config, &listings[i]) == 0;
        if (!is_loaded)
            result = -1;
        /* Nothing is said of a repository that could not be read: its error stands on standard error. */
        if (as_json || (!is_loaded && listings[i].list.count == 0))
            continue;
        if (any_shown)
            putchar('\n');
        any_shown = true;
        if (print_listing(config, &listings[i], count > 1) != 0)
            result = -1;
    }
    if (as_json && print_json(config, listings, count) != 0)
        result = -1;
    return result;
}

static int show_all(const struct config *config, const struct repository_config *only, bool as_json)
{
    size_t count = only != NULL ? 1 : config->repository_count;
    struct listing *listings = calloc(count, sizeof *listings);
    int result = -1;

    if (listings == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < count; i++)
        listings[i].settings = only != NULL ? only : &config->repositories[i];
    result = show(config, listings, count, as_json);
    for (size_t i = 0; i < count; i++)
        listing_free(&listings[i]);
    free(listings);
    return result;
}

/* 1: it is not there. -1 after logging. */
static int show_from(const struct config *config, const struct repository_config *settings,
                     const struct request *request)
{
    struct listing listing = {.settings = settings};
    struct repository repository;
    const struct backup *backup = NULL;
    int result = 1;

    if (open_and_load(config, &listing, &repository) != 0) {
        listing_free(&listing);
        return -1;
    }
    for (size_t i = 0; i < listing.list.count; i++) /* the oldest first */
        if (strcmp(request->backup, "latest") == 0 ||
            strcmp(request->backup, listing.list.backups[i].id) == 0)
            backup = &listing.list.backups[i];
    if (backup != NULL)
        result = request->wants_files ? backup_files_print(&repository, backup, request->as_json)
                                      : backup_detail_print(&repository, backup, request->as_json);
    if (result == 0 && !request->as_json && !request->wants_files)
        print_pin(&listing, backup);
    if (result == 0 && !request->as_json && !request->wants_files)
        print_drill(&listing, backup);
    listing_free(&listing);
    repository_close(&repository);
    return result;
}

/* From the first repository, in the order of the configuration, that has it. */
static int show_one(const struct config *config, const struct repository_config *only,
                    const struct request *request)
{
    bool has_failed = false;

    for (size_t i = 0; i < config->repository_count; i++) {
        if (only != NULL && only != &config->repositories[i])
            continue;
        int result = show_from(config, &config->repositories[i], request);
        if (result == 0)
            return 0;
        has_failed = has_failed || result < 0;
    }
    if (!has_failed) {
        log_error("there is no complete backup \"%s\" of cluster \"%s\"", request->backup,
                  config->cluster_name);
        log_hint("basebackup-list without --backup shows the backups that there are.");
    }
    return -1;
}

static int run(const struct config *config, const struct repository_config *only,
               const struct request *request)
{
    int result =
        request->backup != NULL ? show_one(config, only, request) : show_all(config, only, request->as_json);

    if (result_flush() != 0)
        result = -1;
    return result;
}

int main(int argc, char **argv)
{
    struct options options;
    struct config config;
    const struct repository_config *only;
    struct request request = {.backup = NULL};
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (request.wants_files && request.backup == NULL) {
        log_error("--files needs --backup");
        return EXIT_USAGE;
    }
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    status = run(&config, only, &request) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    return status;
}
