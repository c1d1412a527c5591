#include "documents.h"

#include "common/document.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/object_list.h"
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

/* The index and the manifest of one lane. */
struct ending {
    struct targets *targets;
    struct catalog *catalog;
    size_t lane;
    struct object_spool spool; /* the packed index: for each target, and each try, read from its first byte */
    struct object_facts facts; /* of it */
    struct buffer manifest;
};

/* Packs the index as a sealed object, and notes its hash and size in *backup. In a file, as the catalog is:
 * its length grows with the number of files. */
static int pack_index(struct ending *ending, const char *directory, struct backup *backup)
{
    struct object_writer *writer = object_writer_new(&ending->targets->lanes[ending->lane]);
    struct object_facts *facts = &ending->facts;
    struct object_spool *spool = &ending->spool;
    int result = -1;

    if (writer == NULL)
        return -1;
    struct sink sink = object_writer_sink(writer);
    snprintf(facts->kind, sizeof facts->kind, "files");
    snprintf(facts->name, sizeof facts->name, "%s", backup->id);
    facts->system_identifier = backup->system_identifier;
    facts->timeline = backup->timeline;
    facts->postgresql_version = backup->postgresql_version;
    if (object_spool_begin(spool, directory, 0, true) == 0 &&
        object_writer_begin(writer, object_spool_sink(spool)) == 0 &&
        catalog_read(ending->catalog, ending->lane, &sink) == 0 && object_writer_end(writer, facts) == 0) {
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

static void take_totals(struct catalog *catalog, size_t lane, struct backup *backup)
{
    struct catalog_totals totals = catalog_totals(catalog, lane);

    backup->part_count = totals.parts;
    backup->file_count = totals.files;
    backup->plain_bytes = totals.plain_bytes;
    backup->stored_bytes = totals.stored_bytes;
}

/* A push may have waited for its WAL for hours: what it has stored may be gone by now, since another's clock,
 * or want of a sign of life, made it garbage to an expiry. A manifest above it would take a good backup's
 * place. */

struct look {
    struct object_list there;
    struct buffer gone; /* the first name that is missing, or of another length */
};

static int look_for(struct look *look, const char *name, uint64_t bytes, bool has_bytes)
{
    const struct object_item *item = object_list_find(&look->there, name);

    if (look->gone.length > 0 || (item != NULL && (!has_bytes || item->bytes == bytes)))
        return 0;
    return buffer_append_string(&look->gone, name);
}

static int look_for_part(void *context, struct index_entry *entry)
{
    return entry->line == INDEX_PART ? look_for(context, entry->path, entry->bytes, true) : 0;
}

static int look_for_parts(const struct ending *ending, struct look *look)
{
    struct index_reader *reader =
        index_reader_new(ending->targets->id, "the temporary file of the index", look_for_part, look);
    int result = -1;

    if (reader == NULL)
        return -1;
    struct sink sink = index_reader_sink(reader);
    if (catalog_read(ending->catalog, ending->lane, &sink) == 0)
        result = index_reader_finish(reader);
    index_reader_free(reader);
    return result;
}

static void tell_gone(const struct ending *ending, const struct target *target, const struct look *look)
{
    char *key = targets_key(ending->targets, target, buffer_string(&look->gone));

    if (key == NULL)
        return;
    log_error("\"%s\" was stored, and has been removed or changed meanwhile: the backup is not completed",
              store_describe(target->repository.store, key));
    log_hint("Has basebackup-expire run with a clock that is ahead, and taken the folder for garbage? Set "
             "right the clocks of all machines that use the repository, then take the backup again.");
    free(key);
}

/* Is there, in one target's folder, all that was stored? 0, or -1 after logging. */
static int look_again(const struct ending *ending, struct target *target, bool has_index)
{
    struct look look = {.gone = BUFFER_EMPTY};
    char *rest = string_printf("base/%s/", ending->targets->id);
    int result = -1;

    if (rest != NULL &&
        object_list_load(&target->repository, ending->targets->system_identifier, rest, &look.there) == 0 &&
        look_for(&look, "started.json", 0, false) == 0 && look_for_parts(ending, &look) == 0 &&
        (!has_index || look_for(&look, INDEX_KIND, ending->spool.length, true) == 0)) {
        result = look.gone.length == 0 ? 0 : -1;
        if (result != 0)
            tell_gone(ending, target, &look);
    }
    object_list_free(&look.there);
    buffer_free(&look.gone);
    free(rest);
    return result;
}

static int put_ending(struct ending *ending)
{
    struct targets *targets = ending->targets;
    struct body body;
    int result = 0;

    object_spool_body(&ending->spool, &body);
    for (size_t i = 0; i < targets->count && result == 0; i++) {
        struct target *target = &targets->items[i];
        if (target->lane == ending->lane && target_is_alive(target) &&
            (look_again(ending, target, false) != 0 ||
             put_index(targets, target, &body, &ending->facts) != 0 ||
             look_again(ending, target, true) != 0 ||
             target_put(targets, target, "manifest.json", &ending->manifest) != 0))
            result = target_give_up(targets, target);
    }
    return result;
}

static int put_lane(struct targets *targets, size_t lane, struct catalog *catalog, const char *directory,
                    struct backup *backup)
{
    struct ending ending = {.targets = targets,
                            .catalog = catalog,
                            .lane = lane,
                            .spool = OBJECT_SPOOL_EMPTY,
                            .manifest = BUFFER_EMPTY};
    int result = -1;

    take_totals(catalog, lane, backup);
    backup->codec = targets->lanes[lane].codec;
    if (pack_index(&ending, directory, backup) == 0 && backup_seal(backup, &ending.manifest) == 0)
        result = put_ending(&ending);
    object_spool_free(&ending.spool);
    buffer_free(&ending.manifest);
    return result;
}

int documents_put(struct targets *targets, struct catalog *catalog, const char *directory,
                  struct backup *backup)
{
    if (interrupt_requested()) /* later ones are too late: some repositories would have it, others not */
        return -1;
    /* Backwards, so that the first one's totals stay. */
    for (size_t lane = targets->lane_count; lane-- > 0;)
        if (targets_lane_is_alive(targets, lane) && put_lane(targets, lane, catalog, directory, backup) != 0)
            return -1;
    return 0;
}
