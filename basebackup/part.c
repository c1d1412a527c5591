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

/* The open part as one lane has it. */
struct lane {
    struct part_writer *writer;
    struct encoder *encoder;
    bool is_open; /* it had a living target when its last member began */
    uint64_t stored_bytes;
    uint64_t member_offset; /* of the member at work */
    struct buffer lines;
};

struct part_writer {
    struct targets *targets;
    struct catalog *catalog;
    struct store **stores;          /* one for each target */
    struct store_upload **uploads;  /* of the open part; NULL: that target was given up */
    struct lane *lanes;             /* one for each of targets */
    struct catalog_part *parts;     /* the same, for the catalog */
    struct part_series *series;     /* NULL: no part is open */
    const struct part_piece *piece; /* which the open part is for; NULL: a part of whole files */
    bool is_held;
    char name[32];
    uint64_t plain_bytes;
    uint64_t files;
    /* the member at work */
    struct buffer header;
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
    for (size_t i = 0; writer->lanes != NULL && i < writer->targets->lane_count; i++) {
        encoder_free(writer->lanes[i].encoder);
        buffer_free(&writer->lanes[i].lines);
    }
    buffer_free(&writer->header);
    free(writer->lanes);
    free(writer->parts);
    free(writer->uploads);
    free(writer->stores);
    free(writer);
}

static int open_stores(struct part_writer *writer)
{
    struct targets *targets = writer->targets;

    for (size_t i = 0; i < targets->count; i++) {
        if (!target_is_alive(&targets->items[i]))
            continue;
        writer->stores[i] = store_open(targets->items[i].repository.settings, &targets->limits);
        if (writer->stores[i] == NULL)
            return -1;
    }
    return 0;
}

static int open_lanes(struct part_writer *writer)
{
    for (size_t i = 0; i < writer->targets->lane_count; i++) {
        struct lane *lane = &writer->lanes[i];
        lane->writer = writer;
        if (!targets_lane_is_alive(writer->targets, i))
            continue;
        lane->encoder = encoder_new(&writer->targets->lanes[i]);
        if (lane->encoder == NULL)
            return -1;
    }
    return 0;
}

struct part_writer *part_writer_new(struct targets *targets, struct catalog *catalog)
{
    struct part_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL)
        goto out_of_memory;
    writer->targets = targets;
    writer->catalog = catalog;
    writer->stores = calloc(targets->count, sizeof(struct store *));
    writer->uploads = calloc(targets->count, sizeof(struct store_upload *));
    writer->lanes = calloc(targets->lane_count, sizeof *writer->lanes);
    writer->parts = calloc(targets->lane_count, sizeof *writer->parts);
    if (writer->stores == NULL || writer->uploads == NULL || writer->lanes == NULL || writer->parts == NULL)
        goto out_of_memory;
    if (open_stores(writer) == 0 && open_lanes(writer) == 0)
        return writer;
    part_writer_free(writer);
    return NULL;
out_of_memory:
    log_out_of_memory();
    part_writer_free(writer);
    return NULL;
}

struct store *part_writer_store(struct part_writer *writer, size_t target)
{
    return writer->stores[target];
}

void part_writer_hold(struct part_writer *writer)
{
    writer->is_held = true;
}

/* In the lane that has most of it. */
static uint64_t most_stored(const struct part_writer *writer)
{
    uint64_t most = 0;

    for (size_t i = 0; i < writer->targets->lane_count; i++)
        if (writer->lanes[i].stored_bytes > most)
            most = writer->lanes[i].stored_bytes;
    return most;
}

static bool is_full(const struct part_writer *writer, const struct part_series *series, uint64_t member_bytes)
{
    uint64_t stored_bytes = most_stored(writer);

    if (writer->is_held)
        return false;
    return writer->series != series || stored_bytes >= PART_FULL_BYTES || writer->files >= PART_FULL_FILES ||
           (member_bytes >= PART_ALONE_BYTES && stored_bytes > 0);
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

unsigned part_series_reserve(struct part_series *series, unsigned count)
{
    return atomic_fetch_add(&series->last, count) + 1;
}

static int begin_part(struct part_writer *writer, struct part_series *series, unsigned number,
                      uint64_t member_bytes)
{
    /* No codec makes what cannot be compressed longer by half a percent. */
    uint64_t expected_bytes =
        member_bytes < PART_ALONE_BYTES ? 0 : member_bytes + member_bytes / 200 + PART_FULL_BYTES;

    snprintf(writer->name, sizeof writer->name, "%s-%08u", series->prefix, number);
    writer->series = series;
    writer->piece = NULL;
    writer->plain_bytes = writer->files = 0;
    for (size_t i = 0; i < writer->targets->lane_count; i++) {
        writer->lanes[i].is_open = writer->lanes[i].encoder != NULL;
        writer->lanes[i].stored_bytes = 0;
        buffer_clear(&writer->lanes[i].lines);
    }
    for (size_t i = 0; i < writer->targets->count; i++)
        if (target_is_alive(&writer->targets->items[i]) && begin_upload(writer, i, expected_bytes) != 0)
            return -1;
    return 0;
}

int part_writer_prepare(struct part_writer *writer, struct part_series *series, uint64_t member_bytes)
{
    if (writer->series != NULL && is_full(writer, series, member_bytes) && part_writer_finish(writer) != 0)
        return -1;
    return writer->series != NULL ? 0
                                  : begin_part(writer, series, part_series_reserve(series, 1), member_bytes);
}

/* Compressed bytes, on their way to every target of a lane. */
static int send_to_targets(void *context, const void *data, size_t length)
{
    struct lane *lane = context;
    struct part_writer *writer = lane->writer;
    size_t index = (size_t)(lane - writer->lanes);

    for (size_t i = 0; i < writer->targets->count; i++) {
        struct target *target = &writer->targets->items[i];
        if (writer->uploads[i] == NULL || target->lane != index)
            continue;
        if (target_is_alive(target) && store_upload_write(writer->uploads[i], data, length) == 0)
            continue;
        store_upload_abort(writer->uploads[i]);
        writer->uploads[i] = NULL;
        if (target_give_up(writer->targets, target) != 0)
            return -1;
    }
    lane->stored_bytes += length;
    return 0;
}

static int begin_frames(struct part_writer *writer)
{
    for (size_t i = 0; i < writer->targets->lane_count; i++) {
        struct lane *lane = &writer->lanes[i];
        lane->is_open = lane->is_open && targets_lane_is_alive(writer->targets, i);
        lane->member_offset = lane->stored_bytes;
        if (lane->is_open && encoder_begin(lane->encoder, (struct sink){send_to_targets, lane}) != 0)
            return -1;
    }
    return 0;
}

static int write_frames(struct part_writer *writer, const void *data, size_t length)
{
    for (size_t i = 0; i < writer->targets->lane_count; i++)
        if (writer->lanes[i].is_open && encoder_write(writer->lanes[i].encoder, data, length) != 0)
            return -1;
    return 0;
}

static int end_frames(struct part_writer *writer)
{
    for (size_t i = 0; i < writer->targets->lane_count; i++)
        if (writer->lanes[i].is_open && encoder_end(writer->lanes[i].encoder) != 0)
            return -1;
    return 0;
}

/* header: NULL: what comes continues a file that an earlier part began. */
static int begin_member(struct part_writer *writer, const struct tar_member *header, uint64_t bytes)
{
    buffer_clear(&writer->header);
    writer->member_bytes = bytes;
    writer->member_done = 0;
    if ((header != NULL && tar_header_write(header, &writer->header) != 0) || begin_frames(writer) != 0)
        return -1;
    return write_frames(writer, writer->header.data, writer->header.length);
}

int part_member_begin(struct part_writer *writer, const struct tar_member *member)
{
    return begin_member(writer, member, member->bytes);
}

int part_member_write(struct part_writer *writer, const void *data, size_t length)
{
    writer->member_done += length;
    return write_frames(writer, data, length);
}

static int add_lines(struct part_writer *writer, struct index_entry *entry)
{
    entry->header = (uint32_t)writer->header.length;
    writer->plain_bytes += entry->bytes;
    for (size_t i = 0; i < writer->targets->lane_count; i++) {
        struct lane *lane = &writer->lanes[i];
        entry->offset = lane->member_offset;
        entry->stored = lane->stored_bytes - lane->member_offset;
        if (lane->is_open && index_entry_write(entry, &lane->lines) != 0)
            return -1;
    }
    return 0;
}

static int end_member(struct part_writer *writer, size_t padding, struct index_entry *entry)
{
    static const char zeros[TAR_BLOCK_BYTES];

    if (writer->member_done != writer->member_bytes) { /* everything behind it would be unreadable */
        log_error("internal error: a member of part \"%s\" has %llu bytes instead of %llu", writer->name,
                  (unsigned long long)writer->member_done, (unsigned long long)writer->member_bytes);
        return -1;
    }
    if (write_frames(writer, zeros, padding) != 0 || end_frames(writer) != 0)
        return -1;
    return entry == NULL ? 0 : add_lines(writer, entry);
}

int part_member_end(struct part_writer *writer, struct index_entry *entry)
{
    writer->files += entry != NULL;
    return end_member(writer, tar_padding_bytes(writer->member_bytes), entry);
}

int part_piece_begin(struct part_writer *writer, const struct part_piece *piece)
{
    if (part_writer_finish(writer) != 0 ||
        begin_part(writer, piece->series, piece->number, piece->bytes) != 0)
        return -1;
    writer->piece = piece;
    return begin_member(writer, piece->header, piece->bytes);
}

int part_piece_end(struct part_writer *writer, struct index_entry *entry)
{
    writer->files += writer->piece->header != NULL; /* the file is counted once */
    return end_member(writer, writer->piece->padding, entry) == 0 ? part_writer_finish(writer) : -1;
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
        if (bytes == writer->lanes[writer->targets->items[index].lane].stored_bytes)
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

static void describe_part(struct part_writer *writer)
{
    for (size_t i = 0; i < writer->targets->lane_count; i++) {
        const struct lane *lane = &writer->lanes[i];
        struct index_entry entry = {.line = INDEX_PART,
                                    .path = writer->name,
                                    .bytes = lane->stored_bytes,
                                    .codec = writer->targets->lanes[i].codec,
                                    .files = writer->files};
        if (!lane->is_open || !targets_lane_is_alive(writer->targets, i))
            entry.path = NULL;
        writer->parts[i] = (struct catalog_part){entry, &lane->lines};
    }
}

int part_writer_finish(struct part_writer *writer)
{
    if (writer->series == NULL)
        return 0;
    writer->series = NULL;
    if (finish_uploads(writer) != 0)
        return -1;
    describe_part(writer);
    if (writer->piece == NULL)
        return catalog_add_part(writer->catalog, writer->parts, writer->plain_bytes);
    return catalog_add_piece(writer->piece->split, writer->piece->index, writer->parts, writer->plain_bytes);
}
