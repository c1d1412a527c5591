#include "documents.h"

#include "common/document.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set_time(struct json *document, const char *name, int64_t time)
{
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso_micros(time, text);
    json_set_string(document, name, text);
}

int documents_started(const struct backup *backup, struct buffer *out)
{
    struct json *document = document_new("started");
    char lsn[24], system[24];

    lsn_format(backup->start_lsn, lsn);
    snprintf(system, sizeof system, "%" PRIu64, backup->system_identifier);
    json_set_string(document, "backup", backup->id);
    json_set_string(document, "system_identifier", system);
    json_set_uint(document, "timeline", backup->timeline);
    json_set_string(document, "start_lsn", lsn);
    set_time(document, "start_time", backup->start_time);
    json_set_string(document, "host", backup->host);
    json_set_uint(document, "pid", (uint64_t)getpid());
    return document_seal(document, out);
}

int documents_heartbeat(const char *backup_id, int64_t now, struct buffer *out)
{
    struct json *document = document_new("heartbeat");

    json_set_string(document, "backup", backup_id);
    set_time(document, "time", now);
    return document_seal(document, out);
}

static int write_to_object(void *context, const void *data, size_t length)
{
    return object_writer_write(context, data, length);
}

int documents_pack_index(struct catalog *catalog, int compression_level, const char *directory,
                         struct backup *backup, struct object_spool *spool, struct object_facts *facts)
{
    struct object_writer *writer = object_writer_new(compression_level);
    struct sink sink = {write_to_object, writer};
    int result = -1;

    memset(facts, 0, sizeof *facts);
    snprintf(facts->kind, sizeof facts->kind, "files");
    snprintf(facts->name, sizeof facts->name, "%s", backup->id);
    facts->system_identifier = backup->system_identifier;
    facts->timeline = backup->timeline;
    facts->postgresql_version = backup->postgresql_version;
    if (object_spool_begin(spool, directory, OBJECT_SPOOL_BYTES, true) == 0 && writer != NULL &&
        object_writer_begin(writer, object_spool_sink(spool)) == 0 && catalog_read(catalog, &sink) == 0 &&
        object_writer_end(writer, facts) == 0) {
        memcpy(backup->files_sha256, facts->sha256, SHA256_BYTES);
        backup->files_bytes = spool->length;
        result = 0;
    }
    object_writer_free(writer);
    return result;
}

static int put_index(struct targets *targets, struct target *target, const struct body *body,
                     const struct object_facts *facts)
{
    char *key = targets_key(targets, target, "files");
    enum repository_result result;

    if (key == NULL)
        return -1;
    result = repository_put_object(&target->repository, key, body, facts);
    if (result == REPOSITORY_COLLISION)
        log_error("\"%s\" is there already, with other content",
                  store_describe(target->repository.store, key));
    free(key);
    return result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL ? 0 : -1;
}

int documents_put(struct targets *targets, struct object_spool *spool, const struct object_facts *facts,
                  const struct backup *backup)
{
    struct buffer manifest = BUFFER_EMPTY;
    struct body body;
    int result = -1;

    object_spool_body(spool, &body);
    if (backup_seal(backup, &manifest) != 0)
        goto done;
    result = 0;
    for (size_t i = 0; i < targets->count && result == 0; i++) {
        struct target *target = &targets->items[i];
        if (target_is_alive(target) && (put_index(targets, target, &body, facts) != 0 ||
                                        target_put(targets, target, "manifest.json", &manifest) != 0))
            result = target_give_up(targets, target);
    }
done:
    buffer_free(&manifest);
    return result;
}
