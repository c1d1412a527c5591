/* basebackup-list: which base backups there are. A table for people, one JSON document for programs. */
#include "common/backup.h"
#include "common/config.h"
#include "common/json.h"
#include "common/log.h"
#include "common/options.h"
#include "common/timestamp.h"
#include "common/utf8.h"
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int set_json(void *context, const char *value)
{
    (void)value;
    *(bool *)context = true;
    return 0;
}

static const struct option_spec own_options[] = {
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
};

/* 0, or -1 after logging: then it could not be read at all, or not everything in it. */
static int load(const struct config *config, struct listing *listing)
{
    struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};
    struct repository repository;
    int result = -1;

    if (repository_open(config, listing->settings, NULL, &limits, &repository) != 0)
        return -1;
    if (repository_load_cluster(&repository, 0) == REPOSITORY_OK &&
        backup_list_load(&repository, &listing->list) == REPOSITORY_OK)
        result = listing->list.damaged == 0 ? 0 : -1;
    repository_close(&repository);
    return result;
}

static unsigned long long duration_seconds(const struct backup *backup)
{
    return backup->stop_time < backup->start_time
               ? 0
               : (unsigned long long)(backup->stop_time - backup->start_time) / 1000000;
}

/* For people */

enum column { ID, ENDED, TIMELINE, START, STOP, SIZE, STORED, DURATION, VERSION, LABEL, COLUMNS };

static const char *const titles[COLUMNS] = {"id",   "ended (UTC)", "timeline", "start LSN",  "stop LSN",
                                            "size", "stored",      "duration", "PostgreSQL", "label"};
static const bool is_right_aligned[COLUMNS] = {
    [TIMELINE] = true, [SIZE] = true, [STORED] = true, [DURATION] = true, [VERSION] = true};

#define CELL_BYTES 160
struct row {
    char cells[COLUMNS][CELL_BYTES];
};

static void format_duration(unsigned long long seconds, char out[CELL_BYTES])
{
    if (seconds >= 3600)
        snprintf(out, CELL_BYTES, "%llu:%02llu:%02llu", seconds / 3600, seconds / 60 % 60, seconds % 60);
    else
        snprintf(out, CELL_BYTES, "%llu:%02llu", seconds / 60, seconds % 60);
}

/* A label may hold anything; a terminal gets nothing to obey. */
static void copy_printable(char out[CELL_BYTES], const char *text)
{
    snprintf(out, CELL_BYTES, "%s", text == NULL ? "" : text);
    while (!utf8_is_valid(out, strlen(out))) /* cut in mid-character, or never UTF-8 */
        out[strlen(out) - 1] = '\0';
    for (char *next = out; *next != '\0'; next++)
        if ((unsigned char)*next < 0x20 || *next == 0x7F)
            *next = '?';
}

static void format_version(const struct backup *backup, char out[CELL_BYTES])
{
    if (backup->server_version >= 100000)
        snprintf(out, CELL_BYTES, "%u.%u", (unsigned)(backup->server_version / 10000),
                 (unsigned)(backup->server_version % 10000));
    else
        snprintf(out, CELL_BYTES, "%u", backup->postgresql_version);
}

static void fill_row(const struct backup *backup, struct row *row)
{
    memset(row, 0, sizeof *row);
    snprintf(row->cells[ID], CELL_BYTES, "%s", backup->id);
    timestamp_format_iso(backup->stop_time, row->cells[ENDED]);
    row->cells[ENDED][strcspn(row->cells[ENDED], "T")] = ' ';
    row->cells[ENDED][strcspn(row->cells[ENDED], "Z")] = '\0';
    snprintf(row->cells[TIMELINE], CELL_BYTES, "%u", (unsigned)backup->timeline);
    lsn_format(backup->start_lsn, row->cells[START]);
    lsn_format(backup->stop_lsn, row->cells[STOP]);
    progress_format_bytes(backup->plain_bytes, row->cells[SIZE]);
    progress_format_bytes(backup->stored_bytes, row->cells[STORED]);
    format_duration(duration_seconds(backup), row->cells[DURATION]);
    format_version(backup, row->cells[VERSION]);
    copy_printable(row->cells[LABEL], backup->label);
}

static void print_row(const char *const cells[COLUMNS], const int widths[COLUMNS])
{
    for (int i = 0; i < COLUMNS; i++)
        if (i == COLUMNS - 1)
            printf("%s", cells[i]); /* no blanks at the end of the line */
        else
            printf("%*s  ", is_right_aligned[i] ? widths[i] : -widths[i], cells[i]);
    putchar('\n');
}

static int print_table(const struct backup_list *list)
{
    struct row *rows = calloc(list->count, sizeof *rows);
    const char *cells[COLUMNS];
    int widths[COLUMNS];

    if (rows == NULL)
        return log_out_of_memory();
    for (int i = 0; i < COLUMNS; i++)
        widths[i] = (int)strlen(titles[i]);
    for (size_t k = 0; k < list->count; k++) {
        fill_row(&list->backups[k], &rows[k]);
        for (int i = 0; i < COLUMNS; i++)
            if ((int)strlen(rows[k].cells[i]) > widths[i])
                widths[i] = (int)strlen(rows[k].cells[i]);
    }
    print_row(titles, widths);
    for (size_t k = 0; k < list->count; k++) {
        for (int i = 0; i < COLUMNS; i++)
            cells[i] = rows[k].cells[i];
        print_row(cells, widths);
    }
    free(rows);
    return 0;
}

static int print_listing(const struct config *config, const struct listing *listing, bool with_name)
{
    if (with_name)
        printf("repository %s (%s)\n", listing->settings->name, listing->settings->url);
    if (listing->list.count > 0 && print_table(&listing->list) != 0)
        return -1;
    for (size_t i = 0; i < listing->list.count; i++)
        if (listing->list.backups[i].page_errors > 0)
            printf("%s: %llu pages had a wrong checksum when it was taken\n", listing->list.backups[i].id,
                   (unsigned long long)listing->list.backups[i].page_errors);
    if (listing->list.count > 0)
        return 0;
    printf("There is no complete base backup of cluster \"%s\" in repository \"%s\".\n", config->cluster_name,
           listing->settings->name);
    return 0;
}

/* For programs */

/* Text that JSON can hold: bytes that are not UTF-8 become U+FFFD. Caller frees; NULL when text is, or
 * without memory. */
static char *json_ready(const char *text)
{
    struct buffer quoted = BUFFER_EMPTY;
    struct json *array = NULL;
    char *ready = NULL;

    if (text == NULL || utf8_is_valid(text, strlen(text)))
        return text == NULL ? NULL : string_copy(text);
    if (buffer_append(&quoted, "[", 1) == 0 && json_append_quoted(&quoted, text, strlen(text)) == 0 &&
        buffer_append(&quoted, "]", 1) == 0)
        array = json_parse(quoted.data, quoted.length, NULL, 0);
    if (array != NULL)
        ready = string_copy(json_array_string(array, 0));
    json_free(array);
    buffer_free(&quoted);
    return ready;
}

static void set_text(struct json *object, const char *name, const char *text)
{
    char *ready = json_ready(text);

    json_set_string(object, name, ready);
    free(ready);
}

static void set_time(struct json *object, const char *name, int64_t time)
{
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso_micros(time, text);
    json_set_string(object, name, text);
}

static void set_lsn(struct json *object, const char *name, uint64_t lsn)
{
    char text[24];

    lsn_format(lsn, text);
    json_set_string(object, name, text);
}

static struct json *tablespaces_json(const struct backup *backup)
{
    struct json *array = json_new_array();

    for (size_t i = 0; i < backup->tablespace_count; i++) {
        struct json *tablespace = json_new_object();
        json_set_uint(tablespace, "oid", backup->tablespaces[i].oid);
        set_text(tablespace, "name", backup->tablespaces[i].name);
        set_text(tablespace, "location", backup->tablespaces[i].location);
        json_append(array, tablespace);
    }
    return array;
}

static struct json *backup_json(const char *repository, const struct backup *backup)
{
    struct json *object = json_new_object(), *external = json_new_array();
    char system[24];

    snprintf(system, sizeof system, "%llu", (unsigned long long)backup->system_identifier);
    json_set_string(object, "repository", repository);
    json_set_string(object, "id", backup->id);
    json_set_string(object, "system_identifier", system);
    json_set_uint(object, "postgresql_version", backup->postgresql_version);
    json_set_uint(object, "server_version", backup->server_version);
    json_set_uint(object, "timeline", backup->timeline);
    set_lsn(object, "start_lsn", backup->start_lsn);
    set_lsn(object, "stop_lsn", backup->stop_lsn);
    set_time(object, "start_time", backup->start_time);
    set_time(object, "stop_time", backup->stop_time);
    json_set_uint(object, "duration_seconds", duration_seconds(backup));
    json_set_uint(object, "plain_bytes", backup->plain_bytes);
    json_set_uint(object, "stored_bytes", backup->stored_bytes);
    json_set_uint(object, "file_count", backup->file_count);
    json_set_uint(object, "part_count", backup->part_count);
    json_set_uint(object, "segment_bytes", backup->segment_bytes);
    json_set_uint(object, "block_bytes", backup->block_bytes);
    json_set_bool(object, "data_checksums", backup->data_checksums);
    json_set_uint(object, "zero_pages", backup->zero_pages);
    json_set_uint(object, "page_errors", backup->page_errors);
    set_text(object, "label", backup->label);
    set_text(object, "host", backup->host);
    json_set(object, "tablespaces", tablespaces_json(backup));
    for (size_t i = 0; i < backup->external_count; i++) {
        char *ready = json_ready(backup->external[i]);
        json_append_string(external, ready == NULL ? "" : ready);
        free(ready);
    }
    json_set(object, "external", external);
    return object;
}

static int print_json(const struct config *config, const struct listing *listings, size_t count)
{
    struct json *document = json_new_object(), *backups = json_new_array();
    struct buffer text = BUFFER_EMPTY;
    uint64_t damaged = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < listings[i].list.count; k++)
            json_append(backups, backup_json(listings[i].settings->name, &listings[i].list.backups[k]));
        damaged += listings[i].list.damaged;
    }
    json_set_string(document, "cluster", config->cluster_name);
    json_set(document, "backups", backups);
    json_set_uint(document, "damaged", damaged);
    int result = json_write(document, 2, &text);
    if (result == 0)
        printf("%s\n", buffer_string(&text));
    json_free(document);
    buffer_free(&text);
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
    if (fflush(stdout) != 0 || ferror(stdout)) {
        log_error("could not write to standard output: %m");
        result = -1;
    }
    return result;
}

static int run(const struct config *config, const struct repository_config *only, bool as_json)
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
        backup_list_free(&listings[i].list);
    free(listings);
    return result;
}

int main(int argc, char **argv)
{
    struct options options;
    struct config config;
    const struct repository_config *only;
    bool as_json = false;
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &as_json, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (options_load(&options, &config, &only) != 0)
        return EXIT_USAGE;
    status = run(&config, only, as_json) == 0 ? EXIT_DONE : EXIT_FAILED;
    config_free(&config);
    return status;
}
