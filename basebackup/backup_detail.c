#include "backup_detail.h"

#include "backup_json.h"
#include "common/backup_index.h"
#include "common/progress.h"
#include "list_table.h"

#include <inttypes.h>
#include <stdio.h>

/* What is in it, for people */

static void print_text(const char *title, const char *text)
{
    char cell[LIST_CELL_BYTES];

    list_format_text(text, cell);
    printf("%-12s  %s\n", title, cell);
}

static void print_time(const char *title, int64_t time)
{
    char cell[LIST_CELL_BYTES];

    list_format_time(time, cell);
    printf("%-12s  %s UTC\n", title, cell);
}

static void print_annotations(const struct backup *backup)
{
    char cell[LIST_CELL_BYTES];

    for (size_t i = 0; i < backup->annotation_count; i++) {
        list_format_text(backup->annotations[i].value, cell);
        printf("%-12s  %s = %s\n", i == 0 ? "annotations" : "", backup->annotations[i].key, cell);
    }
}

static void print_head(const struct repository *repository, const struct backup *backup)
{
    char start[24], stop[24], plain[32], stored[32], version[LIST_CELL_BYTES];

    lsn_format(backup->start_lsn, start);
    lsn_format(backup->stop_lsn, stop);
    progress_format_bytes(backup->plain_bytes, plain);
    progress_format_bytes(backup->stored_bytes, stored);
    list_format_version(backup, version);
    print_text("backup", backup->id);
    print_text("repository", repository->settings->name);
    print_text("label", backup->label);
    print_annotations(backup);
    print_time("began", backup->start_time);
    print_time("ended", backup->stop_time);
    printf("%-12s  %s to %s on timeline %u, %s\n", "WAL", start, stop, (unsigned)backup->timeline,
           backup->wal_included ? "included" : "in the archive");
    printf("%-12s  PostgreSQL %s, system %" PRIu64 "\n", "server", version, backup->system_identifier);
    print_text("host", backup->host);
    print_text("taken from", backup->from_standby ? "a standby" : "the primary");
    printf("%-12s  %s in %" PRIu64 " files\n", "size", plain, backup->file_count);
    printf("%-12s  %s in %" PRIu64 " parts, codec %s\n", "stored", stored, backup->part_count,
           codec_name(backup->codec));
    printf("%-12s  %s; %" PRIu64 " invalid, %" PRIu64 " all zero (legal)\n", "checksums",
           backup->data_checksums ? "on" : "off", backup->page_errors, backup->zero_pages);
}

static void print_size(const struct backup_size *size, const char *name, const char *location)
{
    char bytes[32], name_cell[LIST_CELL_BYTES], location_cell[LIST_CELL_BYTES];

    progress_format_bytes(size->bytes, bytes);
    list_format_text(name == NULL ? "?" : name, name_cell);
    list_format_text(location, location_cell);
    printf("%10u  %11s  %8" PRIu64 "  %s%s%s\n", (unsigned)size->oid, bytes, size->files, name_cell,
           location == NULL ? "" : "  ", location_cell);
}

static void print_sizes(const struct backup *backup, const struct backup_sizes *sizes)
{
    if (backup->database_count > 0)
        printf("\n%10s  %11s  %8s  database\n", "oid", "size", "files");
    for (size_t i = 0; i < backup->database_count; i++)
        print_size(&sizes->databases[i], backup->databases[i].name, NULL);
    if (backup->tablespace_count > 0)
        printf("\n%10s  %11s  %8s  tablespace\n", "oid", "size", "files");
    for (size_t i = 0; i < backup->tablespace_count; i++)
        print_size(&sizes->tablespaces[i], backup->tablespaces[i].name, backup->tablespaces[i].location);
}

static void print_page_errors(const struct backup *backup)
{
    char file[LIST_CELL_BYTES];

    if (backup->page_error_list_count > 0)
        printf("\n%10s  %8s  %8s  invalid page in\n", "block", "found", "expected");
    for (size_t i = 0; i < backup->page_error_list_count; i++) {
        const struct backup_page_error *error = &backup->page_error_list[i];
        list_format_text(error->file, file);
        if (error->has_checksums)
            printf("%10u      %04X      %04X  %s\n", (unsigned)error->block, (unsigned)error->found,
                   (unsigned)error->expected, file);
        else
            printf("%10u  %8s  %8s  %s\n", (unsigned)error->block, "-", "-", file);
    }
    if (backup->page_errors > backup->page_error_list_count)
        printf("and %" PRIu64 " more\n", backup->page_errors - backup->page_error_list_count);
}

static int print_json(const struct repository *repository, const struct backup *backup,
                      const struct backup_sizes *sizes)
{
    struct json *document = json_new_object();

    json_set_string(document, "repository", repository->settings->name);
    backup_json_fill(document, backup, sizes);
    int result = json_print(document);
    json_free(document);
    return result;
}

int backup_detail_print(struct repository *repository, const struct backup *backup, bool as_json)
{
    struct backup_sizes sizes;
    int result = 0;

    if (backup_sizes_load(repository, backup, &sizes) != 0)
        return -1;
    if (as_json)
        result = print_json(repository, backup, &sizes);
    else {
        print_head(repository, backup);
        print_sizes(backup, &sizes);
        print_page_errors(backup);
    }
    backup_sizes_free(&sizes);
    return result;
}

/* Its files */

struct listing {
    bool as_json;
    bool any_shown;
    char part[32]; /* that is being read */
};

static int print_file_json(struct listing *listing, const struct index_entry *file)
{
    struct json *object = json_new_object();
    struct buffer text = BUFFER_EMPTY;

    json_set_text(object, "path", file->path);
    json_set_uint(object, "bytes", file->bytes);
    json_set_string(object, "part", listing->part);
    if (file->of != 0) {
        json_set_uint(object, "at", file->at);
        json_set_uint(object, "of", file->of);
    }
    int result = json_write(object, 0, &text);
    if (result == 0)
        printf("%s\n    %s", listing->any_shown ? "," : "", buffer_string(&text));
    json_free(object);
    buffer_free(&text);
    return result;
}

/* A line for each file, whatever its name holds. */
static void print_file(const struct listing *listing, const struct index_entry *file)
{
    printf("%12" PRIu64 "  %-17s  ", file->bytes, listing->part);
    for (const char *next = file->path; *next != '\0'; next++)
        putchar((unsigned char)*next < 0x20 || *next == 0x7F ? '?' : *next);
    putchar('\n');
}

static int take_entry(void *context, struct index_entry *entry)
{
    struct listing *listing = context;
    int result = 0;

    if (entry->line == INDEX_PART)
        snprintf(listing->part, sizeof listing->part, "%s", entry->path);
    if (entry->line != INDEX_FILE)
        return 0;
    if (listing->as_json)
        result = print_file_json(listing, entry);
    else
        print_file(listing, entry);
    listing->any_shown = true;
    return result;
}

int backup_files_print(struct repository *repository, const struct backup *backup, bool as_json)
{
    struct listing listing = {.as_json = as_json};

    if (as_json)
        printf("{\n  \"repository\": \"%s\",\n  \"id\": \"%s\",\n  \"files\": [", repository->settings->name,
               backup->id); /* neither can hold what JSON would quote */
    if (backup_index_load(repository, backup, take_entry, &listing) != REPOSITORY_OK)
        return -1;
    if (as_json)
        printf("\n  ]\n}\n");
    return 0;
}
