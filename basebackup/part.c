#include "part.h"

#include "common/codec.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part is closed before the next member once it holds this much: it then fits one PUT, and a million small
 * files do not become a million requests. */
#define PART_FULL_BYTES (14u * 1024 * 1024)
#define PART_FULL_FILES 4096
/* A file from here on gets a part of its own, so that the size of the upload is known when it begins. */
#define PART_ALONE_BYTES (32ull * 1024 * 1024 * 1024)

struct part_writer {
    struct targets *targets;
    struct catalog *catalog;
    struct store **stores;         /* one for each target */
    struct store_upload **uploads; /* of the open part; NULL: that target was given up */
    struct encoder *encoder;
    struct part_series *series; /* NULL: no part is open */
    bool is_held;
    char name[32];
    uint64_t stored_bytes;
    uint64_t plain_bytes;
    uint64_t files;
    struct buffer lines;
    /* the member at work */
    struct buffer header;
    uint64_t member_offset;
    uint64_t member_bytes; /* promised by the header */
    uint64_t member_done;
};

static void abort_uploads(struct part_writer *writer)
{
    for (size_t i = 0; writer->uploads != NULL && i < writer->targets->count; i++) {
        store_upload_abort(writer->uploads[i]);
        writer->uploads[i] = NULL;
    }
}

void part_writer_free(struct part_writer *writer)
{
    if (writer == NULL)
        return;
    abort_uploads(writer);
    for (size_t i = 0; writer->stores != NULL && i < writer->targets->count; i++)
        store_close(writer->stores[i]);
    encoder_free(writer->encoder);
    buffer_free(&writer->lines);
    buffer_free(&writer->header);
    free(writer->uploads);
    free(writer->stores);
    free(writer);
}

struct part_writer *part_writer_new(struct targets *targets, struct catalog *catalog, int compression_level)
{
    struct part_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL)
        goto out_of_memory;
    writer->targets = targets;
    writer->catalog = catalog;
    writer->stores = calloc(targets->count, sizeof(struct store *));
    writer->uploads = calloc(targets->count, sizeof(struct store_upload *));
    if (writer->stores == NULL || writer->uploads == NULL)
        goto out_of_memory;
    for (size_t i = 0; i < targets->count; i++) {
        if (!target_is_alive(&targets->items[i]))
            continue;
        writer->stores[i] = store_open(targets->items[i].repository.settings, &targets->limits);
        if (writer->stores[i] == NULL)
            goto failed;
    }
    writer->encoder = encoder_new(compression_level);
    if (writer->encoder != NULL)
        return writer;
    goto failed;
out_of_memory:
    log_out_of_memory();
failed:
    part_writer_free(writer);
    return NULL;
}

void part_writer_hold(struct part_writer *writer)
{
    writer->is_held = true;
}

static bool is_full(const struct part_writer *writer, const struct part_series *series, uint64_t member_bytes)
{
    if (writer->is_held)
        return false;
    return writer->series != series || writer->stored_bytes >= PART_FULL_BYTES ||
           writer->files >= PART_FULL_FILES || (member_bytes >= PART_ALONE_BYTES && writer->stored_bytes > 0);
}

static int begin_upload(struct part_writer *writer, size_t index, uint64_t expected_bytes)
{
    struct target *target = &writer->targets->items[index];
    char *key = targets_key(writer->targets, target, writer->name);

    if (key == NULL)
        return -1;
    writer->uploads[index] =
        store_upload_begin(writer->stores[index], key, expected_bytes, target->repository.cluster.condition);
    free(key);
    return writer->uploads[index] == NULL ? target_give_up(writer->targets, target) : 0;
}

static int begin_part(struct part_writer *writer, struct part_series *series, uint64_t member_bytes)
{
    /* LZ4 makes what cannot be compressed longer by less than half a percent. */
    uint64_t expected_bytes =
        member_bytes < PART_ALONE_BYTES ? 0 : member_bytes + member_bytes / 200 + PART_FULL_BYTES;

    snprintf(writer->name, sizeof writer->name, "%s-%08u", series->prefix,
             atomic_fetch_add(&series->last, 1) + 1);
    writer->series = series;
    writer->stored_bytes = writer->plain_bytes = writer->files = 0;
    buffer_clear(&writer->lines);
    for (size_t i = 0; i < writer->targets->count; i++)
        if (target_is_alive(&writer->targets->items[i]) && begin_upload(writer, i, expected_bytes) != 0)
            return -1;
    return 0;
}

int part_writer_prepare(struct part_writer *writer, struct part_series *series, uint64_t member_bytes)
{
    if (writer->series != NULL && is_full(writer, series, member_bytes) && part_writer_finish(writer) != 0)
        return -1;
    return writer->series != NULL ? 0 : begin_part(writer, series, member_bytes);
}

/* Compressed bytes, on their way to every target. */
static int send_to_targets(void *context, const void *data, size_t length)
{
    struct part_writer *writer = context;

    for (size_t i = 0; i < writer->targets->count; i++) {
        struct target *target = &writer->targets->items[i];
        if (writer->uploads[i] == NULL)
            continue;
        if (target_is_alive(target) && store_upload_write(writer->uploads[i], data, length) == 0)
            continue;
        store_upload_abort(writer->uploads[i]);
        writer->uploads[i] = NULL;
        if (target_give_up(writer->targets, target) != 0)
            return -1;
    }
    writer->stored_bytes += length;
    return 0;
}

int part_member_begin(struct part_writer *writer, const struct tar_member *member)
{
    struct sink sink = {send_to_targets, writer};

    buffer_clear(&writer->header);
    writer->member_offset = writer->stored_bytes;
    writer->member_bytes = member->bytes;
    writer->member_done = 0;
    if (tar_header_write(member, &writer->header) != 0 || encoder_begin(writer->encoder, sink) != 0)
        return -1;
    return encoder_write(writer->encoder, writer->header.data, writer->header.length);
}

int part_member_write(struct part_writer *writer, const void *data, size_t length)
{
    writer->member_done += length;
    return encoder_write(writer->encoder, data, length);
}

int part_member_end(struct part_writer *writer, struct index_entry *entry)
{
    static const char zeros[TAR_BLOCK_BYTES];

    if (writer->member_done != writer->member_bytes) { /* everything behind it would be unreadable */
        log_error("internal error: a member of part \"%s\" has %llu bytes instead of %llu", writer->name,
                  (unsigned long long)writer->member_done, (unsigned long long)writer->member_bytes);
        return -1;
    }
    if (encoder_write(writer->encoder, zeros, tar_padding_bytes(writer->member_bytes)) != 0 ||
        encoder_end(writer->encoder) != 0)
        return -1;
    if (entry == NULL)
        return 0;
    entry->offset = writer->member_offset;
    entry->stored = writer->stored_bytes - writer->member_offset;
    entry->header = (uint32_t)writer->header.length;
    writer->files++;
    writer->plain_bytes += entry->bytes;
    return index_entry_write(entry, &writer->lines);
}

static bool note_bytes(void *context, const char *key, uint64_t bytes)
{
    (void)key;
    *(uint64_t *)context = bytes;
    return false;
}

/* The key is taken. started.json made this folder ours alone, so it was an earlier try of the very same
 * request, whose answer got lost; a part is never seen half written. */
static int accept_existing(struct part_writer *writer, size_t index)
{
    char *key = targets_key(writer->targets, &writer->targets->items[index], writer->name);
    uint64_t bytes = UINT64_MAX;
    struct store_listing listing = {.prefix = key, .page_keys = 1, .each = note_bytes, .context = &bytes};
    int result = -1;

    if (key == NULL)
        return -1;
    if (store_list(writer->stores[index], &listing) == STORE_OK) {
        if (bytes == writer->stored_bytes)
            result = 0;
        else
            log_error("\"%s\" is there already, with other content",
                      store_describe(writer->stores[index], key));
    }
    free(key);
    return result;
}

static int finish_uploads(struct part_writer *writer)
{
    for (size_t i = 0; i < writer->targets->count; i++) {
        struct store_upload *upload = writer->uploads[i];
        writer->uploads[i] = NULL;
        if (upload == NULL)
            continue;
        enum store_result result = store_upload_finish(upload, NULL);
        if (result == STORE_OK || (result == STORE_EXISTS && accept_existing(writer, i) == 0))
            continue;
        if (target_give_up(writer->targets, &writer->targets->items[i]) != 0)
            return -1;
    }
    return 0;
}

int part_writer_finish(struct part_writer *writer)
{
    struct index_entry part = {
        .line = INDEX_PART, .path = writer->name, .bytes = writer->stored_bytes, .files = writer->files};

    if (writer->series == NULL)
        return 0;
    writer->series = NULL;
    if (finish_uploads(writer) != 0)
        return -1;
    return catalog_add_part(writer->catalog, &part, &writer->lines, writer->plain_bytes);
}
