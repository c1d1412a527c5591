#include "backup_json.h"

#include "common/timestamp.h"

#include <stdio.h>

uint64_t backup_duration_seconds(const struct backup *backup)
{
    return backup->stop_time < backup->start_time
               ? 0
               : (uint64_t)(backup->stop_time - backup->start_time) / 1000000;
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

static struct json *annotations_json(const struct backup *backup)
{
    struct json *object = json_new_object();

    for (size_t i = 0; i < backup->annotation_count; i++)
        json_set_string(object, backup->annotations[i].key, backup->annotations[i].value);
    return object;
}

struct json *backup_page_errors_json(const struct backup *backup)
{
    struct json *array = json_new_array();

    for (size_t i = 0; i < backup->page_error_list_count; i++) {
        const struct backup_page_error *error = &backup->page_error_list[i];
        struct json *item = json_new_object();
        json_set_text(item, "file", error->file);
        json_set_uint(item, "block", error->block);
        if (error->has_checksums) {
            json_set_uint(item, "found", error->found);
            json_set_uint(item, "expected", error->expected);
        }
        json_append(array, item);
    }
    return array;
}

static void set_size(struct json *object, const struct backup_size *size)
{
    json_set_uint(object, "bytes", size->bytes);
    json_set_uint(object, "files", size->files);
}

static struct json *databases_json(const struct backup *backup, const struct backup_sizes *sizes)
{
    struct json *array = json_new_array();

    for (size_t i = 0; i < backup->database_count; i++) {
        struct json *database = json_new_object();
        json_set_uint(database, "oid", backup->databases[i].oid);
        json_set_text(database, "name", backup->databases[i].name);
        if (sizes != NULL)
            set_size(database, &sizes->databases[i]);
        json_append(array, database);
    }
    return array;
}

static struct json *tablespaces_json(const struct backup *backup, const struct backup_sizes *sizes)
{
    struct json *array = json_new_array();

    for (size_t i = 0; i < backup->tablespace_count; i++) {
        struct json *tablespace = json_new_object();
        json_set_uint(tablespace, "oid", backup->tablespaces[i].oid);
        json_set_text(tablespace, "name", backup->tablespaces[i].name);
        json_set_text(tablespace, "location", backup->tablespaces[i].location);
        if (sizes != NULL)
            set_size(tablespace, &sizes->tablespaces[i]);
        json_append(array, tablespace);
    }
    return array;
}

void backup_json_fill(struct json *object, const struct backup *backup, const struct backup_sizes *sizes)
{
    struct json *external = json_new_array();
    char system[24];

    snprintf(system, sizeof system, "%llu", (unsigned long long)backup->system_identifier);
    json_set_string(object, "id", backup->id);
    json_set_string(object, "system_identifier", system);
    json_set_uint(object, "postgresql_version", backup->postgresql_version);
    json_set_uint(object, "server_version", backup->server_version);
    json_set_uint(object, "timeline", backup->timeline);
    set_lsn(object, "start_lsn", backup->start_lsn);
    set_lsn(object, "stop_lsn", backup->stop_lsn);
    set_time(object, "start_time", backup->start_time);
    set_time(object, "stop_time", backup->stop_time);
    json_set_uint(object, "duration_seconds", backup_duration_seconds(backup));
    json_set_uint(object, "plain_bytes", backup->plain_bytes);
    json_set_uint(object, "stored_bytes", backup->stored_bytes);
    json_set_string(object, "codec", codec_name(backup->codec));
    json_set_uint(object, "file_count", backup->file_count);
    json_set_uint(object, "part_count", backup->part_count);
    json_set_uint(object, "segment_bytes", backup->segment_bytes);
    json_set_uint(object, "block_bytes", backup->block_bytes);
    json_set_bool(object, "data_checksums", backup->data_checksums);
    json_set_uint(object, "zero_pages", backup->zero_pages);
    json_set_uint(object, "page_errors", backup->page_errors);
    json_set(object, "page_error_list", backup_page_errors_json(backup));
    json_set_bool(object, "from_standby", backup->from_standby);
    json_set_bool(object, "wal_included", backup->wal_included);
    json_set_text(object, "label", backup->label);
    json_set_text(object, "host", backup->host);
    json_set(object, "annotations", annotations_json(backup));
    json_set(object, "tablespaces", tablespaces_json(backup, sizes));
    json_set(object, "databases", databases_json(backup, sizes));
    for (size_t i = 0; i < backup->external_count; i++)
        json_append_text(external, backup->external[i]);
    json_set(object, "external", external);
}
