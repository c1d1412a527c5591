#include "part_reader.h"

#include "codec.h"
#include "interrupt.h"
#include "log.h"
#include "tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct part_reader {
    struct part_sink sink;
    bool is_muted;
    struct relay *relay; /* borrowed; NULL: none */
    struct decoder *decoder;
    struct sha256 hash;
    /* the part at work */
    const struct backup_part *part;
    const struct part_range *range;
    const char *what;
    const uint64_t *total_bytes;
    bool is_damaged;
    uint64_t position; /* in the stored bytes */
    size_t next;       /* file that is at work, or comes next */
    /* the member at work */
    bool is_open;
    uint64_t plain_position; /* from here on it is the relay's thread that works, up to relay_end */
};

struct part_reader *part_reader_new(const struct part_sink *sink)
{
    struct part_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        log_out_of_memory();
        return NULL;
    }
    if (sink != NULL)
        reader->sink = *sink;
    reader->decoder = decoder_new();
    if (reader->decoder != NULL)
        return reader;
    part_reader_free(reader);
    return NULL;
}

void part_reader_free(struct part_reader *reader)
{
    if (reader == NULL)
        return;
    sha256_free(&reader->hash);
    decoder_free(reader->decoder);
    free(reader);
}

void part_reader_mute(struct part_reader *reader)
{
    reader->is_muted = true;
}

void part_reader_use_relay(struct part_reader *reader, struct relay *relay)
{
    reader->relay = relay;
}

int part_reader_begin(struct part_reader *reader, const struct backup_part *part,
                      const struct part_range *range, const char *what, const uint64_t *total_bytes)
{
    reader->part = part;
    reader->range = range;
    reader->what = what;
    reader->total_bytes = total_bytes;
    reader->position = range->offset;
    reader->next = range->first;
    reader->is_open = reader->is_damaged = false;
    return decoder_begin(reader->decoder, part->codec);
}

/* The file at work; NULL in the bytes before the first, between two and behind the last: directory members.
 */
static const struct index_entry *current_file(const struct part_reader *reader)
{
    return reader->is_open ? &reader->part->files[reader->next] : NULL;
}

int part_reader_damaged(struct part_reader *reader, const char *problem)
{
    const struct index_entry *file = current_file(reader);

    reader->is_damaged = true;
    bool was_muted = log_mute_thread(reader->is_muted);
    if (file != NULL)
        log_error("%s is damaged: file \"%s\": %s", reader->what, file->path, problem);
    else
        log_error("%s is damaged: %s", reader->what, problem);
    log_tell_kind("damage");
    if (reader->sink.hint != NULL)
        log_hint("%s", reader->sink.hint);
    log_mute_thread(was_muted);
    return -1;
}

bool part_reader_found_damage(const struct part_reader *reader)
{
    return reader->is_damaged;
}

/* Files */

static int begin_file(struct part_reader *reader)
{
    reader->plain_position = 0;
    if (sha256_begin(&reader->hash) != 0)
        return -1;
    reader->is_open = true;
    return reader->sink.begin == NULL ? 0 : reader->sink.begin(reader->sink.context, current_file(reader));
}

/* Of the member: only the last piece of a file is padded, to the file's size. */
static size_t padding_bytes(const struct index_entry *file)
{
    if (!index_entry_ends_file(file))
        return 0;
    return tar_padding_bytes(file->of == 0 ? file->bytes : file->of);
}

static int end_file(struct part_reader *reader)
{
    const struct index_entry *file = current_file(reader);
    unsigned char sha256[SHA256_BYTES];

    if (reader->plain_position != file->header + file->bytes + padding_bytes(file))
        return part_reader_damaged(reader, "it is shorter than the index says");
    sha256_finish(&reader->hash, sha256);
    if (memcmp(sha256, file->sha256, SHA256_BYTES) != 0)
        return part_reader_damaged(reader, "its SHA-256 does not match");
    if (reader->sink.end != NULL && reader->sink.end(reader->sink.context, file) != 0)
        return -1;
    reader->is_open = false;
    reader->next++;
    return 0;
}

/* Plain bytes of the member at work: tar header, content, padding. */
static int take_member(void *context, const void *data, size_t length)
{
    struct part_reader *reader = context;
    const struct index_entry *file = current_file(reader);
    const unsigned char *next = data;
    uint64_t position = reader->plain_position, content_end = file->header + file->bytes;

    reader->plain_position += length;
    if (reader->plain_position > content_end + padding_bytes(file))
        return part_reader_damaged(reader, "it is longer than the index says");
    if (position < file->header) {
        size_t skipped = length < file->header - position ? length : (size_t)(file->header - position);
        next += skipped;
        length -= skipped;
        position += skipped;
    }
    if (length == 0 || position >= content_end)
        return 0;
    if (length > content_end - position)
        length = (size_t)(content_end - position);
    sha256_update(&reader->hash, next, length);
    return reader->sink.content == NULL ? 0 : reader->sink.content(reader->sink.context, file, next, length);
}

/* Where plain bytes of the member at work go. */
static struct sink member_sink(struct part_reader *reader)
{
    const struct sink sink = {take_member, reader};

    return relay_through(reader->relay, &sink);
}

static int discard(void *context, const void *data, size_t length)
{
    (void)context;
    (void)data;
    (void)length;
    return 0;
}

/* Runs of stored bytes */

/* Where the run of bytes ends that position lies in: a file's member, or what is not a file's. */
static uint64_t run_end(const struct part_reader *reader)
{
    if (reader->next == reader->range->last)
        return reader->range->end;
    const struct index_entry *file = &reader->part->files[reader->next];
    return reader->position < file->offset ? file->offset : file->offset + file->stored;
}

/* Bytes of a file that is there: they only lay between others. */
static void skip_run(struct part_reader *reader, size_t length, uint64_t end)
{
    reader->position += length;
    if (reader->position == end)
        reader->next++;
}

/* Bytes of one run; when it ends with them it must end between two frames. */
static int take_run(struct part_reader *reader, const void *data, size_t length, uint64_t end, bool is_file)
{
    if (is_file && !reader->is_open && begin_file(reader) != 0)
        return -1;
    const struct sink sink = is_file ? member_sink(reader) : (struct sink){discard, reader};
    if (decoder_write(reader->decoder, data, length, &sink) != 0) {
        const char *error = decoder_error(reader->decoder);
        char problem[128];
        snprintf(problem, sizeof problem, "it cannot be decompressed (%s)", error == NULL ? "" : error);
        return relay_end(reader->relay) != 0 || error == NULL ? -1 : part_reader_damaged(reader, problem);
    }
    reader->position += length;
    if (reader->position < end)
        return 0;
    if (relay_end(reader->relay) != 0)
        return -1;
    if (!decoder_at_boundary(reader->decoder))
        return part_reader_damaged(reader, "its compressed data does not end where the index says");
    return is_file ? end_file(reader) : 0;
}

static int check_total(struct part_reader *reader, uint64_t total_bytes)
{
    char problem[80];

    if (total_bytes == reader->part->bytes)
        return 0;
    snprintf(problem, sizeof problem, "it has %llu bytes, the index says %llu",
             (unsigned long long)total_bytes, (unsigned long long)reader->part->bytes);
    return part_reader_damaged(reader, problem);
}

static int take_stored_bytes(void *context, const void *data, size_t length)
{
    struct part_reader *reader = context;
    const struct backup_part *part = reader->part;
    const unsigned char *next = data;

    if (interrupt_requested() ||
        (reader->position == reader->range->offset && check_total(reader, *reader->total_bytes) != 0))
        return -1;
    if (length > reader->range->end - reader->position)
        return relay_end(reader->relay) != 0 ? -1
                                             : part_reader_damaged(reader, "more bytes came than it has");
    while (length > 0) {
        uint64_t end = run_end(reader);
        size_t taken = length < end - reader->position ? length : (size_t)(end - reader->position);
        bool is_file =
            reader->next < reader->range->last && reader->position >= part->files[reader->next].offset;
        if (is_file && part->left_out[reader->next])
            skip_run(reader, taken, end);
        else if (take_run(reader, next, taken, end, is_file) != 0)
            return -1;
        next += taken;
        length -= taken;
    }
    return 0;
}

struct sink part_reader_sink(struct part_reader *reader)
{
    return (struct sink){take_stored_bytes, reader};
}

int part_reader_end(struct part_reader *reader, bool complete)
{
    int result = relay_end(reader->relay) == 0 && complete ? 0 : -1;

    if (complete && reader->position != reader->range->end)
        result = check_total(reader, reader->position);
    if (result == 0 && reader->next != reader->range->last)
        result = part_reader_damaged(reader, "it has fewer files than the index says");
    reader->is_open = false;
    return result;
}
