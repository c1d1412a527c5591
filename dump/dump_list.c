/* dump-list: which dumps there are. A table for people, one JSON document for programs. */
#include "common/document.h"
#include "common/dump.h"
#include "common/log.h"
#include "common/options.h"
#include "common/progress.h"
#include "common/result.h"
#include "common/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct request {
    const char *id; /* this one in detail; "latest"; NULL: all */
    bool as_json;
    bool was_found;
};

static int set_json(void *context, const char *value)
{
    (void)value;
    ((struct request *)context)->as_json = true;
    return 0;
}

static int set_dump(void *context, const char *value)
{
    ((struct request *)context)->id = value;
    return dump_wish_is_valid(value) ? 0 : -1;
}

static const struct option_spec own_options[] = {
    {"dump", 0, "ID", set_dump, "what is in this one; \"latest\": in the newest"},
    {"json", 0, NULL, set_json, "one JSON document instead of a table"},
    {NULL, 0, NULL, NULL, NULL},
};

static const struct program program = {
    .name = "dump-list",
    .summary = "lists the dumps of databases in the repositories",
    .operands = "",
    .options = own_options,
    .epilogue = "Exit status: 0 done; 1 a repository could not be read, a manifest is damaged, or the dump\n"
                "is not there; 2 usage or configuration error.",
};

/* Text */

static void format_duration(const struct dump *dump, char out[32])
{
    int64_t seconds = (dump->ended - dump->started) / 1000000;

    if (seconds < 0) /* the server's clock was set back */
        seconds = 0;
    snprintf(out, 32, "%" PRId64 ":%02d:%02d", seconds / 3600, (int)(seconds / 60 % 60), (int)(seconds % 60));
}

static void print_row(const struct dump *dump)
{
    char ended[TIMESTAMP_TEXT_BYTES], bytes[32], stored[32], duration[32];

    timestamp_format_iso(dump->ended, ended);
    progress_format_bytes(dump_bytes(dump), bytes);
    progress_format_bytes(dump_stored_bytes(dump), stored);
    format_duration(dump, duration);
    printf("%-16s  %-20s  %9zu  %10s  %10s  %8s  %u.%u\n", dump->id, ended,
           dump->stream_count - (dump_find(dump, NULL) != NULL), bytes, stored, duration,
           (unsigned)dump->server_version / 10000, (unsigned)dump->server_version % 10000);
}

static void print_titles(void)
{
    printf("%-16s  %-20s  %9s  %10s  %10s  %8s  %s\n", "id", "ended", "databases", "size", "stored",
           "duration", "PostgreSQL");
}

static void print_list(const struct config *config, const struct repository_config *settings,
                       const struct dump_list *list)
{
    bool any = false;

    for (size_t i = 0; i < list->count; i++) {
        const struct dump_entry *entry = &list->entries[i];
        if (!any && entry->state == DUMP_COMPLETE)
            print_titles();
        any = any || entry->state == DUMP_COMPLETE;
        if (entry->state == DUMP_COMPLETE)
            print_row(&entry->dump);
    }
    if (!any)
        printf("There is no complete dump of cluster \"%s\" in repository \"%s\".\n", config->cluster_name,
               settings->name);
    for (size_t i = 0; i < list->count; i++)
        if (list->entries[i].state != DUMP_COMPLETE)
            printf("%s: %s\n", list->entries[i].dump.id,
                   list->entries[i].state == DUMP_DAMAGED ? "damaged" : "unfinished");
}

/* A terminal gets nothing to obey. Caller frees. */
static char *printable(const char *text)
{
    char *copy = string_copy(text);

    if (copy != NULL)
        log_blank_control_characters(copy);
    return copy;
}

static void print_detail(const struct dump *dump)
{
    char started[TIMESTAMP_TEXT_BYTES], bytes[32], stored[32];

    print_titles();
    print_row(dump);
    if (dump->from_standby)
        printf("from a standby\n");
    printf("\n%-20s  %10s  %10s  %s\n", "committed until", "size", "stored", "database");
    for (size_t i = 0; i < dump->stream_count; i++) {
        const struct dump_stream *stream = &dump->streams[i];
        char *name = printable(stream->oid == 0 ? "" : stream->name);
        timestamp_format_iso(stream->started, started);
        progress_format_bytes(stream->bytes, bytes);
        progress_format_bytes(stream->stored_bytes, stored);
        printf("%-20s  %10s  %10s  %s\n", started, bytes, stored,
               stream->oid != 0      ? name == NULL ? "" : name
               : dump->has_passwords ? "(globals)"
                                     : "(globals, without passwords)");
        free(name);
    }
}

/* JSON */

static struct json *entry_json(const struct repository_config *settings, const struct dump_entry *entry)
{
    static const char *const states[] = {"complete", "damaged", "unfinished"};
    struct json *object = json_new_object(), *databases = json_new_array();
    const struct dump *dump = &entry->dump;

    json_set_string(object, "repository", settings->name);
    json_set_string(object, "id", dump->id);
    json_set_string(object, "state", states[entry->state]);
    document_set_system(object, dump->system_identifier);
    if (entry->heard != 0)
        document_set_time(object, "stored", entry->heard);
    if (entry->state == DUMP_COMPLETE) {
        document_set_time(object, "started", dump->started);
        document_set_time(object, "ended", dump->ended);
        json_set_uint(object, "bytes", dump_bytes(dump));
        json_set_uint(object, "stored_bytes", dump_stored_bytes(dump));
        json_set_uint(object, "server_version", dump->server_version);
        json_set_uint(object, "pg_dump_version", dump->program_major);
        json_set_bool(object, "from_standby", dump->from_standby);
        json_set_bool(object, "has_passwords", dump->has_passwords);
        json_set_text(object, "host", dump->host);
    }
    for (size_t i = 0; i < dump->stream_count; i++) {
        if (dump->streams[i].oid == 0)
            json_set(object, "globals", dump_stream_json(&dump->streams[i]));
        else
            json_append(databases, dump_stream_json(&dump->streams[i]));
    }
    json_set(object, "databases", databases);
    return object;
}

/* The story */

static int load(const struct config *config, const struct repository_config *settings, struct dump_list *list)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct repository repository;
    int result = -1;

    if (repository_open(config, settings, NULL, &limits, &repository) != 0)
        return -1;
    if (repository_load_cluster_to_read(&repository) == REPOSITORY_OK &&
        dump_list_load(&repository, list) == REPOSITORY_OK)
        result = list->damaged == 0 ? 0 : -1;
    repository_close(&repository);
    return result;
}

static void tell(const struct config *config, const struct repository_config *settings,
                 struct request *request, const struct dump_list *list, struct json *array)
{
    const struct dump *wanted = request->id == NULL ? NULL : dump_list_find(list, request->id);

    for (size_t i = 0; array != NULL && i < list->count; i++)
        if (request->id == NULL || &list->entries[i].dump == wanted)
            json_append(array, entry_json(settings, &list->entries[i]));
    if (array == NULL && (request->id == NULL || wanted != NULL))
        printf("repository %s (%s)\n", settings->name, settings->url);
    if (array == NULL && request->id == NULL)
        print_list(config, settings, list);
    else if (array == NULL && wanted != NULL)
        print_detail(wanted);
    request->was_found = request->was_found || wanted != NULL;
}

static int run(const struct config *config, const struct repository_config *only, struct request *request)
{
    struct json *array = request->as_json ? json_new_array() : NULL;
    int result = 0;

    for (size_t i = 0; i < config->repository_count; i++) {
        const struct repository_config *settings = &config->repositories[i];
        struct dump_list list = {.count = 0};
        if (only != NULL && only != settings)
            continue;
        if (load(config, settings, &list) != 0)
            result = -1;
        if (result == 0 || list.count > 0)
            tell(config, settings, request, &list, array);
        dump_list_free(&list);
    }
    if (array != NULL) {
        struct json *document = json_new_object();
        json_set_string(document, "cluster", config->cluster_name);
        json_set(document, "dumps", array);
        if (json_print(document) != 0)
            result = -1;
        json_free(document);
    }
    if (request->id != NULL && !request->was_found) {
        log_error("there is no complete dump \"%s\" of cluster \"%s\"", request->id, config->cluster_name);
        result = -1;
    }
    return result_flush() != 0 ? -1 : result;
}

int main(int argc, char **argv)
{
    struct request request = {.id = NULL};
    struct options options;
    struct config config;
    const struct repository_config *only;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &request, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    status = run(&config, only, &request) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    return status;
}
