#include "verify_object.h"

#include "common/document.h"
#include "common/gap.h"
#include "common/log.h"
#include "common/note.h"
#include "common/restore_point.h"
#include "common/wal_check.h"
#include "common/wal_index.h"

#include <stdlib.h>
#include <string.h>

#define DOCUMENT_LEAST_BYTES 78 /* the hash at its end */

int verify_reader_open(struct verify_reader *reader, const struct verify *verify)
{
    const struct repository *repository = verify->repository;
    struct store_limits limits = {.operation_seconds = repository->config->basebackup_store_timeout_seconds};

    reader->system = verify->system;
    reader->parts = part_reader_new(NULL);
    if (reader->parts == NULL ||
        repository_open(repository->config, repository->settings, NULL, &limits, &reader->repository) != 0 ||
        repository_use_relays(&reader->repository) != 0)
        return -1;
    part_reader_use_relay(reader->parts, reader->repository.relay);
    return 0;
}

void verify_reader_close(struct verify_reader *reader)
{
    part_reader_free(reader->parts);
    repository_close(&reader->repository);
}

/* Doubts */

/* The listing tells: a GET may find a delete marker. */
bool verify_is_gone(struct repository *repository, const char *key)
{
    char *first;
    bool is_gone =
        store_first_key(repository->store, key, &first) == 0 && (first == NULL || strcmp(first, key) != 0);

    free(first);
    return is_gone;
}

bool verify_backup_is_gone(struct repository *repository, const struct backup *backup)
{
    char *key = backup_key(repository, backup->system_identifier, backup->id, "manifest.json");
    bool is_gone = key != NULL && verify_is_gone(repository, key);

    if (is_gone)
        log_info("backup %s in repository \"%s\" has been removed meanwhile", backup->id,
                 repository->settings->name);
    free(key);
    return is_gone;
}

int verify_tell_unreadable(struct findings *findings, struct repository *repository, const char *key)
{
    if (!repository_answers(repository))
        return -1;
    findings_add_logged(findings, FINDING_UNREADABLE, key);
    return 0;
}

static const char *name_of(const struct verify_object *object)
{
    return strrchr(object->key, '/') + 1;
}

/* Backups */

static enum repository_result read_part(struct verify_reader *reader, const struct verify_object *object,
                                        const char *what)
{
    const struct part_range whole = backup_part_whole(object->part);
    struct sink sink = part_reader_sink(reader->parts);
    struct store_object stored = {.total_bytes = 0};

    if (part_reader_begin(reader->parts, object->part, &whole, what, &stored.total_bytes) != 0)
        return REPOSITORY_FAILED;
    enum store_result got = store_get(reader->repository.store, object->key, NULL, &sink, &stored);
    if (part_reader_end(reader->parts, got == STORE_OK) == 0)
        return REPOSITORY_OK;
    if (got == STORE_ABSENT || got == STORE_DELETED)
        return REPOSITORY_ABSENT;
    return got == STORE_DAMAGED || part_reader_found_damage(reader->parts) ? REPOSITORY_DAMAGED
                                                                           : REPOSITORY_FAILED;
}

static enum repository_result read_started(struct verify_reader *reader, const struct verify_object *object,
                                           const char *what)
{
    struct buffer text = BUFFER_EMPTY;
    enum repository_result result = repository_get_small(&reader->repository, object->key, NULL, &text);

    if (result == REPOSITORY_OK) {
        struct json *document = document_open(text.data, text.length, "started", what);
        const char *id = document == NULL ? NULL : json_text(document, "backup");
        if (document != NULL && (id == NULL || strcmp(id, object->backup->id) != 0)) {
            log_error("%s tells of another backup than its name", what);
            id = NULL;
        }
        result = id == NULL ? REPOSITORY_DAMAGED : REPOSITORY_OK;
        json_free(document);
    }
    buffer_free(&text);
    return result;
}

/* WAL */

static bool is_wal_file(const char *name)
{
    char first[WAL_SEGMENT_NAME_BYTES], last[WAL_SEGMENT_NAME_BYTES];

    return wal_name_parse(name).kind != WAL_NOT || wal_gap_name_parse(name, first, last);
}

static enum repository_result read_wal_file(struct verify_reader *reader, const struct verify_object *object,
                                            const char *what)
{
    const struct generation *system = reader->system;
    const char *name = name_of(object);
    struct object_facts facts;
    struct wal_check check;
    struct gap gap;

    if (wal_name_parse(name).kind == WAL_NOT)
        return gap_get(&reader->repository, system->system_identifier, name, &gap);
    wal_check_begin(&check, name, system->system_identifier, system->segment_bytes);
    struct sink sink = wal_check_sink(&check);
    enum repository_result result = repository_get_object(&reader->repository, object->key, &sink, &facts);
    if (result == REPOSITORY_OK && wal_check_end(&check, &facts, what) != 0)
        result = REPOSITORY_DAMAGED;
    return result;
}

static bool is_index(const char *name)
{
    uint32_t timeline, log;

    return wal_log_name_parse(name, &timeline, &log);
}

static enum repository_result read_index(struct verify_reader *reader, const struct verify_object *object,
                                         const char *what)
{
    struct wal_index index;
    uint32_t timeline, log;

    (void)what;
    wal_log_name_parse(name_of(object), &timeline, &log);
    enum repository_result result = wal_index_get(&reader->repository, reader->system->system_identifier,
                                                  timeline, log, reader->system->segment_bytes, &index);
    if (result == REPOSITORY_OK)
        wal_index_free(&index);
    return result;
}

static bool is_restore_points(const char *name)
{
    char segment[WAL_SEGMENT_NAME_BYTES];

    return wal_points_name_parse(name, segment);
}

static enum repository_result read_restore_points(struct verify_reader *reader,
                                                  const struct verify_object *object, const char *what)
{
    struct restore_points points;
    enum repository_result result =
        restore_points_get(&reader->repository, reader->system->system_identifier, name_of(object), &points);

    (void)what;
    if (result == REPOSITORY_OK)
        restore_points_free(&points);
    return result;
}

/* Notes */

static bool is_note(const char *name)
{
    char backup[BACKUP_ID_BYTES];
    uint32_t number;

    return note_name_parse(name, backup, &number);
}

static enum repository_result read_note(struct verify_reader *reader, const struct verify_object *object,
                                        const char *what)
{
    char backup[BACKUP_ID_BYTES];
    uint32_t number;
    struct note note;

    (void)what;
    note_name_parse(name_of(object), backup, &number);
    return note_get(&reader->repository, reader->system->system_identifier, backup, number, &note);
}

const struct verify_kind verify_part = {.read = read_part};
const struct verify_kind verify_started = {.read = read_started};
const struct verify_kind verify_wal_file = {"wal/", is_wal_file, OBJECT_TRAILER_BYTES, read_wal_file};
const struct verify_kind verify_index = {"index/", is_index, OBJECT_TRAILER_BYTES, read_index};
const struct verify_kind verify_restore_points = {"restore-points/", is_restore_points, DOCUMENT_LEAST_BYTES,
                                                  read_restore_points};
const struct verify_kind verify_note = {"notes/", is_note, DOCUMENT_LEAST_BYTES, read_note};
