/* manifest.json, written and read. */
#include "backup.h"

#include "document.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST_KIND "manifest"

/* Writing */

static void set_lists(struct json *document, const struct backup *backup)
{
    struct json *tablespaces = json_new_array(), *databases = json_new_array(), *external = json_new_array();

    for (size_t i = 0; i < backup->tablespace_count; i++) {
        struct json *tablespace = json_new_object();
        json_set_uint(tablespace, "oid", backup->tablespaces[i].oid);
        document_set_text(tablespace, "name", backup->tablespaces[i].name);
        document_set_text(tablespace, "location", backup->tablespaces[i].location);
        json_append(tablespaces, tablespace);
    }
    for (size_t i = 0; i < backup->database_count; i++) {
        struct json *database = json_new_object();
        json_set_uint(database, "oid", backup->databases[i].oid);
        document_set_text(database, "name", backup->databases[i].name);
        json_append(databases, database);
    }
    for (size_t i = 0; i < backup->external_count; i++) {
        struct json *file = json_new_object();
        document_set_text(file, "path", backup->external[i]);
        json_append(external, file);
    }
    json_set(document, "tablespaces", tablespaces);
    json_set(document, "databases", databases);
    json_set(document, "external", external);
}

static struct json *annotations_json(const struct backup *backup)
{
    struct json *annotations = json_new_object();

    for (size_t i = 0; i < backup->annotation_count; i++)
        json_set_string(annotations, backup->annotations[i].key, backup->annotations[i].value);
    return annotations;
}

static struct json *page_errors_json(const struct backup *backup)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < backup->page_error_list_count; i++) {
        const struct backup_page_error *error = &backup->page_error_list[i];
        struct json *item = json_new_object();
        document_set_text(item, "file", error->file);
        json_set_uint(item, "block", error->block);
        if (error->has_checksums) {
            json_set_uint(item, "found", error->found);
            json_set_uint(item, "expected", error->expected);
        }
        json_append(list, item);
    }
    return list;
}

int backup_seal(const struct backup *backup, struct buffer *out)
{
    struct json *document = document_new(MANIFEST_KIND);
    char files_sha256[SHA256_HEX_BYTES];

    hex_encode(backup->files_sha256, SHA256_BYTES, files_sha256);
    json_set_string(document, "id", backup->id);
    document_set_system(document, backup->system_identifier);
    json_set_uint(document, "postgresql_version", backup->postgresql_version);
    json_set_uint(document, "server_version", backup->server_version);
    json_set_uint(document, "timeline", backup->timeline);
    document_set_lsn(document, "start_lsn", backup->start_lsn);
    document_set_lsn(document, "stop_lsn", backup->stop_lsn);
    document_set_time(document, "start_time", backup->start_time);
    document_set_time(document, "stop_time", backup->stop_time);
    if (backup->covered_until != 0)
        document_set_time(document, "covered_until", backup->covered_until);
    json_set_uint(document, "segment_bytes", backup->segment_bytes);
    json_set_uint(document, "block_bytes", backup->block_bytes);
    json_set_bool(document, "data_checksums", backup->data_checksums);
    json_set_bool(document, "from_standby", backup->from_standby);
    json_set_bool(document, "wal_included", backup->wal_included);
    document_set_text(document, "label", backup->label);
    document_set_text(document, "host", backup->host);
    json_set(document, "annotations", annotations_json(backup));
    set_lists(document, backup);
    json_set_uint(document, "part_count", backup->part_count);
    json_set_uint(document, "file_count", backup->file_count);
    json_set_uint(document, "plain_bytes", backup->plain_bytes);
    json_set_uint(document, "stored_bytes", backup->stored_bytes);
    json_set_string(document, "codec", codec_name(backup->codec));
    json_set_uint(document, "zero_pages", backup->zero_pages);
    json_set_uint(document, "page_errors", backup->page_errors);
    json_set(document, "page_error_list", page_errors_json(backup));
    json_set_string(document, "files_sha256", files_sha256);
    json_set_uint(document, "files_bytes", backup->files_bytes);
    return document_seal(document, out);
}

/* Reading */

/* The first member that was missing or malformed is remembered, so that the reading itself needs no branches.
 */
struct reader {
    const struct json *object;
    const char *wrong;
};

static uint64_t need_uint(struct reader *reader, const char *name, uint64_t least, uint64_t most)
{
    uint64_t value = 0;

    if (json_uint(reader->object, name, &value) == 0 && value >= least && value <= most)
        return value;
    reader->wrong = name;
    return 0;
}

/* False where it is absent. */
static bool read_bool(struct reader *reader, const char *name)
{
    bool value = false;

    if (json_member(reader->object, name) != NULL && json_bool(reader->object, name, &value) != 0)
        reader->wrong = name;
    return value;
}

static uint64_t need_lsn(struct reader *reader, const char *name)
{
    uint64_t lsn = 0;

    if (!document_lsn(reader->object, name, &lsn))
        reader->wrong = name;
    return lsn;
}

static int64_t need_time(struct reader *reader, const char *name)
{
    int64_t time = 0;

    if (!document_time(reader->object, name, &time))
        reader->wrong = name;
    return time;
}

/* 0 where it is absent. */
static int64_t read_time(struct reader *reader, const char *name)
{
    return json_member(reader->object, name) == NULL ? 0 : need_time(reader, name);
}

static uint64_t need_system(struct reader *reader)
{
    uint64_t system_identifier = 0;

    if (!document_system(reader->object, &system_identifier))
        reader->wrong = "system_identifier";
    return system_identifier;
}

/* NULL when it is null or absent (and that is wrong only if needed). */
static char *read_text(struct reader *reader, const char *name, bool needed)
{
    char *text;

    if (!document_text(reader->object, name, &text) || (needed && text == NULL))
        reader->wrong = name;
    return text;
}

static void read_tablespaces(struct reader *reader, struct backup *backup)
{
    const struct json *array = json_list(reader->object, "tablespaces");
    size_t count = json_array_length(array);

    backup->tablespaces = calloc(count + 1, sizeof *backup->tablespaces);
    if (array == NULL || backup->tablespaces == NULL) {
        reader->wrong = "tablespaces";
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct reader item = {json_array_item(array, i), NULL};
        struct backup_tablespace *tablespace = &backup->tablespaces[backup->tablespace_count++];
        tablespace->oid = (uint32_t)need_uint(&item, "oid", 1, UINT32_MAX);
        tablespace->name = read_text(&item, "name", false);
        tablespace->location = read_text(&item, "location", true);
        if (item.wrong != NULL || tablespace->location == NULL || tablespace->location[0] != '/')
            reader->wrong = "tablespaces";
    }
}

static void read_databases(struct reader *reader, struct backup *backup)
{
    const struct json *array = json_list(reader->object, "databases");
    size_t count = json_array_length(array);

    backup->databases = calloc(count + 1, sizeof *backup->databases);
    if (backup->databases == NULL || (array == NULL && json_member(reader->object, "databases") != NULL)) {
        reader->wrong = "databases";
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct reader item = {json_array_item(array, i), NULL};
        struct backup_database *database = &backup->databases[backup->database_count++];
        database->oid = (uint32_t)need_uint(&item, "oid", 1, UINT32_MAX);
        database->name = read_text(&item, "name", true);
        if (item.wrong != NULL)
            reader->wrong = "databases";
    }
}

static void read_external(struct reader *reader, struct backup *backup)
{
    const struct json *array = json_list(reader->object, "external");
    size_t count = json_array_length(array);

    backup->external = calloc(count + 1, sizeof *backup->external);
    if (array == NULL || backup->external == NULL) {
        reader->wrong = "external";
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct reader item = {json_array_item(array, i), NULL};
        char *path = read_text(&item, "path", true);
        if (path == NULL || item.wrong != NULL || path[0] != '/')
            reader->wrong = "external";
        if (path != NULL)
            backup->external[backup->external_count++] = path;
    }
}

static int take_annotation(void *context, const char *key, const char *value)
{
    struct backup *backup = context;
    struct backup_annotation *annotation = &backup->annotations[backup->annotation_count++];

    annotation->key = string_copy(key);
    annotation->value = value == NULL ? NULL : string_copy(value);
    return annotation->key == NULL || annotation->value == NULL ? -1 : 0;
}

static void read_annotations(struct reader *reader, struct backup *backup)
{
    const struct json *object = json_member(reader->object, "annotations");

    backup->annotations = calloc(json_object_length(object) + 1, sizeof *backup->annotations);
    if (backup->annotations == NULL ||
        (object != NULL && json_object_each(object, take_annotation, backup) != 0))
        reader->wrong = "annotations";
}

static void read_page_error(struct reader *item, struct backup_page_error *error)
{
    error->file = read_text(item, "file", true);
    error->block = (uint32_t)need_uint(item, "block", 0, UINT32_MAX);
    error->has_checksums = json_member(item->object, "found") != NULL;
    if (error->has_checksums) {
        error->found = (uint16_t)need_uint(item, "found", 0, UINT16_MAX);
        error->expected = (uint16_t)need_uint(item, "expected", 0, UINT16_MAX);
    }
}

static void read_page_errors(struct reader *reader, struct backup *backup)
{
    const struct json *array = json_list(reader->object, "page_error_list");
    size_t count = json_array_length(array);

    backup->page_error_list = calloc(count + 1, sizeof *backup->page_error_list);
    if (backup->page_error_list == NULL ||
        (array == NULL && json_member(reader->object, "page_error_list") != NULL)) {
        reader->wrong = "page_error_list";
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct reader item = {json_array_item(array, i), NULL};
        read_page_error(&item, &backup->page_error_list[backup->page_error_list_count++]);
        if (item.wrong != NULL)
            reader->wrong = "page_error_list";
    }
}

static void read_members(struct reader *reader, struct backup *backup)
{
    const char *id = json_text(reader->object, "id"), *sha256 = json_text(reader->object, "files_sha256");

    if (id == NULL || !backup_id_is_valid(id))
        reader->wrong = "id";
    else
        snprintf(backup->id, sizeof backup->id, "%s", id);
    if (sha256 == NULL || !hex_decode(sha256, backup->files_sha256, SHA256_BYTES))
        reader->wrong = "files_sha256";
    backup->system_identifier = need_system(reader);
    backup->postgresql_version = (unsigned)need_uint(reader, "postgresql_version", 1, 1000);
    backup->server_version = (uint32_t)need_uint(reader, "server_version", 0, UINT32_MAX);
    backup->timeline = (uint32_t)need_uint(reader, "timeline", 1, UINT32_MAX);
    backup->start_lsn = need_lsn(reader, "start_lsn");
    backup->stop_lsn = need_lsn(reader, "stop_lsn");
    backup->start_time = need_time(reader, "start_time");
    backup->stop_time = need_time(reader, "stop_time");
    backup->covered_until = read_time(reader, "covered_until");
    backup->segment_bytes = (uint32_t)need_uint(reader, "segment_bytes", 1, UINT32_MAX);
    if (!wal_segment_size_is_legal(backup->segment_bytes))
        reader->wrong = "segment_bytes";
    backup->block_bytes = (uint32_t)need_uint(reader, "block_bytes", 1, UINT32_MAX);
    if (json_bool(reader->object, "data_checksums", &backup->data_checksums) != 0)
        reader->wrong = "data_checksums";
    backup->from_standby = read_bool(reader, "from_standby");
    backup->wal_included = read_bool(reader, "wal_included");
    backup->label = read_text(reader, "label", false);
    backup->host = read_text(reader, "host", false);
    read_annotations(reader, backup);
    read_page_errors(reader, backup);
    read_tablespaces(reader, backup);
    read_databases(reader, backup);
    read_external(reader, backup);
    backup->part_count = need_uint(reader, "part_count", 0, INT64_MAX);
    backup->file_count = need_uint(reader, "file_count", 0, INT64_MAX);
    backup->plain_bytes = need_uint(reader, "plain_bytes", 0, INT64_MAX);
    backup->stored_bytes = need_uint(reader, "stored_bytes", 0, INT64_MAX);
    if (!codec_by_name(json_text(reader->object, "codec"), &backup->codec))
        reader->wrong = "codec";
    backup->zero_pages = need_uint(reader, "zero_pages", 0, INT64_MAX);
    backup->page_errors = need_uint(reader, "page_errors", 0, INT64_MAX);
    backup->files_bytes = need_uint(reader, "files_bytes", 0, INT64_MAX);
}

int backup_parse(const void *data, size_t length, const char *what, struct backup *backup)
{
    struct json *document = document_open(data, length, MANIFEST_KIND, what);
    struct reader reader = {document, NULL};
    struct backup parsed;

    if (document == NULL)
        return -1;
    backup_init(&parsed);
    read_members(&reader, &parsed);
    if (reader.wrong == NULL && parsed.start_lsn > parsed.stop_lsn)
        reader.wrong = "stop_lsn";
    json_free(document);
    if (reader.wrong != NULL) {
        log_error("%s is damaged: its member \"%s\" is missing or malformed", what, reader.wrong);
        backup_free(&parsed);
        return -1;
    }
    *backup = parsed;
    return 0;
}
