#include "object.h"

#include "document.h"
#include "file.h"
#include "log.h"
#include "sealing.h"
#include "wal_summary_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SKIPPABLE_MAGIC 0x184D2A5Fu
#define SKIPPABLE_HEADER_BYTES 8
#define PAYLOAD_BYTES (OBJECT_TRAILER_BYTES - SKIPPABLE_HEADER_BYTES)

/* Writing */

struct object_writer {
    enum codec codec;
    struct encoder *encoder;
    struct sink sink;
    struct sha256 hash; /* of the plain bytes */
    uint64_t plain_bytes;
    uint64_t frame_bytes;
    unsigned char magic[CODEC_MAGIC_BYTES]; /* the first stored bytes */
};

struct object_writer *object_writer_new(const struct compression *compression)
{
    struct object_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL) {
        log_out_of_memory();
        return NULL;
    }
    writer->codec = compression->codec;
    writer->encoder = encoder_new(compression);
    if (writer->encoder == NULL) {
        free(writer);
        return NULL;
    }
    return writer;
}

/* The first bytes of a stream of which at bytes have gone before. */
static void keep_magic(unsigned char magic[CODEC_MAGIC_BYTES], uint64_t at, const void *data, size_t length)
{
    if (at < CODEC_MAGIC_BYTES)
        memcpy(magic + at, data, length < CODEC_MAGIC_BYTES - at ? length : (size_t)(CODEC_MAGIC_BYTES - at));
}

static int count_and_pass(void *context, const void *data, size_t length)
{
    struct object_writer *writer = context;

    keep_magic(writer->magic, writer->frame_bytes, data, length);
    writer->frame_bytes += length;
    return sink_write(&writer->sink, data, length);
}

int object_writer_begin(struct object_writer *writer, struct sink sink)
{
    writer->sink = sink;
    writer->plain_bytes = 0;
    writer->frame_bytes = 0;
    if (sha256_begin(&writer->hash) != 0)
        return -1;
    return encoder_begin(writer->encoder, (struct sink){count_and_pass, writer});
}

int object_writer_write(struct object_writer *writer, const void *data, size_t length)
{
    sha256_update(&writer->hash, data, length);
    writer->plain_bytes += length;
    return encoder_write(writer->encoder, data, length);
}

static int write_plain(void *context, const void *data, size_t length)
{
    return object_writer_write(context, data, length);
}

struct sink object_writer_sink(struct object_writer *writer)
{
    return (struct sink){write_plain, writer};
}

/* A reader knows the codec by the first bytes, since it meets them first. No WAL file and no index begins so,
 * packed with codec "none", that it would be taken for a frame. */
static enum codec codec_of_object(const unsigned char magic[CODEC_MAGIC_BYTES], uint64_t frame_bytes)
{
    return frame_bytes < CODEC_MAGIC_BYTES ? CODEC_NONE : codec_of_magic(magic);
}

static void put_le32(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(value >> 8 * i);
}

static uint32_t get_le32(const unsigned char *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static int build_trailer(const struct object_facts *facts, unsigned char trailer[OBJECT_TRAILER_BYTES])
{
    struct buffer text = BUFFER_EMPTY;
    char hex[SHA256_HEX_BYTES], system[24];
    struct json *document = document_new(facts->kind);
    int result = -1;

    hex_encode(facts->sha256, SHA256_BYTES, hex);
    snprintf(system, sizeof system, "%llu", (unsigned long long)facts->system_identifier);
    json_set_string(document, "name", facts->name);
    json_set_string(document, "codec", codec_name(facts->codec));
    json_set_uint(document, "plain_bytes", facts->plain_bytes);
    json_set_string(document, "plain_sha256", hex);
    json_set_uint(document, "frame_bytes", facts->frame_bytes);
    json_set_string(document, "system_identifier", system);
    json_set_uint(document, "timeline", facts->timeline);
    json_set_uint(document, "postgresql_version", facts->postgresql_version);
    if (facts->has_summary)
        json_set(document, "records", wal_summary_to_json(&facts->summary));
    if (document_seal(document, &text) == 0) {
        if (text.length > PAYLOAD_BYTES) {
            log_error("the trailer of \"%s\" would not fit its %d bytes", facts->name, PAYLOAD_BYTES);
        } else {
            put_le32(trailer, SKIPPABLE_MAGIC);
            put_le32(trailer + 4, PAYLOAD_BYTES);
            memset(trailer + SKIPPABLE_HEADER_BYTES, ' ', PAYLOAD_BYTES);
            memcpy(trailer + SKIPPABLE_HEADER_BYTES, text.data, text.length - 1);
            trailer[OBJECT_TRAILER_BYTES - 1] = '\n';
            result = 0;
        }
    }
    buffer_free(&text);
    return result;
}

int object_writer_end(struct object_writer *writer, struct object_facts *facts)
{
    unsigned char trailer[OBJECT_TRAILER_BYTES];

    if (encoder_end(writer->encoder) != 0)
        return -1;
    facts->codec = writer->codec;
    if (codec_of_object(writer->magic, writer->frame_bytes) != writer->codec) {
        log_error("\"%s\" cannot be stored with codec \"%s\": its content begins like a compressed frame",
                  facts->name, codec_name(writer->codec));
        return -1;
    }
    sha256_finish(&writer->hash, facts->sha256);
    facts->plain_bytes = writer->plain_bytes;
    facts->frame_bytes = writer->frame_bytes;
    if (build_trailer(facts, trailer) != 0)
        return -1;
    return sink_write(&writer->sink, trailer, sizeof trailer);
}

void object_writer_free(struct object_writer *writer)
{
    if (writer == NULL)
        return;
    encoder_free(writer->encoder);
    sha256_free(&writer->hash);
    free(writer);
}

/* Reading */

/* Copies a string member that must fit. */
static bool copy_text(const struct json *document, const char *name, char *out, size_t out_bytes)
{
    const char *text = json_text(document, name);

    if (text == NULL || strlen(text) >= out_bytes)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static const char *parse_members(const struct json *document, struct object_facts *facts)
{
    const char *hash = json_text(document, "plain_sha256"), *codec = json_text(document, "codec");
    const char *system = json_text(document, "system_identifier");
    uint64_t timeline, version;
    char *end;

    if (!codec_by_name(codec, &facts->codec))
        return "its trailer names a codec that this program does not know";
    if (!copy_text(document, "kind", facts->kind, sizeof facts->kind) ||
        !copy_text(document, "name", facts->name, sizeof facts->name) ||
        json_uint(document, "plain_bytes", &facts->plain_bytes) != 0 || hash == NULL ||
        !hex_decode(hash, facts->sha256, SHA256_BYTES) ||
        json_uint(document, "frame_bytes", &facts->frame_bytes) != 0 || system == NULL ||
        json_uint(document, "timeline", &timeline) != 0 || timeline > UINT32_MAX ||
        json_uint(document, "postgresql_version", &version) != 0 || version > 1000)
        return "its trailer lacks a member";
    facts->system_identifier = strtoull(system, &end, 10);
    if (end == system || *end != '\0')
        return "its trailer has no system identifier";
    facts->timeline = (uint32_t)timeline;
    facts->postgresql_version = (unsigned)version;
    /* What a later version may have made of it keeps nobody from the content. */
    const struct json *records = json_member(document, "records");
    facts->has_summary = records != NULL && wal_summary_from_json(records, &facts->summary);
    return NULL;
}

/* The kind is checked by object_facts_check; any will do here. */
static struct json *open_payload(const unsigned char *payload, const char *what)
{
    static const char *const kinds[] = {"segment", "partial", "history", "backup", "files", "index", "dump"};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char member[64];
        int length =
            snprintf(member, sizeof member, "{\"walferry\":%d,\"kind\":\"%s\",", DOCUMENT_VERSION, kinds[i]);
        if (memcmp(payload, member, (size_t)length) == 0)
            return document_open(payload, PAYLOAD_BYTES, kinds[i], what);
    }
    return document_open(payload, PAYLOAD_BYTES, "segment", what); /* says what is wrong */
}

int object_trailer_parse(const void *trailer, uint64_t total_bytes, const char *what,
                         struct object_facts *facts)
{
    const unsigned char *bytes = trailer;

    if (sealing_is_end(trailer, OBJECT_TRAILER_BYTES)) {
        log_error("%s is encrypted, and the configuration has no encryption_key_file for its repository",
                  what);
        return -1;
    }
    if (get_le32(bytes) != SKIPPABLE_MAGIC || get_le32(bytes + 4) != PAYLOAD_BYTES) {
        log_error("%s is damaged: it does not end with a trailer", what);
        return -1;
    }
    struct json *document = open_payload(bytes + SKIPPABLE_HEADER_BYTES, what);
    if (document == NULL)
        return -1;
    const char *problem = parse_members(document, facts);
    if (problem == NULL && total_bytes != facts->frame_bytes + OBJECT_TRAILER_BYTES)
        problem = "its length is not what its trailer says";
    json_free(document);
    if (problem != NULL)
        log_error("%s is damaged: %s", what, problem);
    return problem == NULL ? 0 : -1;
}

int object_facts_check(const struct object_facts *facts, const char *kind, const char *name,
                       uint64_t system_identifier, const char *what)
{
    if (strcmp(facts->kind, kind) != 0 || strcmp(facts->name, name) != 0) {
        log_error("%s holds %s \"%s\", not %s \"%s\"", what, facts->kind, facts->name, kind, name);
        return -1;
    }
    if (facts->system_identifier != system_identifier) {
        log_error("%s belongs to the system %llu, not to %llu", what,
                  (unsigned long long)facts->system_identifier, (unsigned long long)system_identifier);
        return -1;
    }
    return 0;
}

struct object_reader {
    struct sink plain;
    struct relay *relay; /* borrowed; NULL: none */
    char *what;
    const uint64_t *total_bytes;
    struct decoder *decoder;
    unsigned char magic[CODEC_MAGIC_BYTES];
    enum codec codec; /* once the first bytes have come; the trailer's must be the same */
    struct sha256 hash;
    uint64_t plain_bytes;
    uint64_t received;
    unsigned char trailer[OBJECT_TRAILER_BYTES];
    bool damaged;
};

struct object_reader *object_reader_new(const struct sink *plain, const char *what)
{
    struct object_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL) {
        log_out_of_memory();
        return NULL;
    }
    reader->plain = *plain;
    reader->what = string_copy(what);
    reader->decoder = decoder_new();
    reader->codec = CODEC_NONE; /* of an empty object, which has no first bytes */
    if (reader->what == NULL || reader->decoder == NULL || sha256_begin(&reader->hash) != 0) {
        object_reader_free(reader);
        return NULL;
    }
    return reader;
}

void object_reader_expect_total(struct object_reader *reader, const uint64_t *total_bytes)
{
    reader->total_bytes = total_bytes;
}

void object_reader_use_relay(struct object_reader *reader, struct relay *relay)
{
    reader->relay = relay;
}

static int damaged(struct object_reader *reader, const char *how)
{
    log_error("%s is damaged: %s", reader->what, how);
    log_tell_kind("damage");
    reader->damaged = true;
    return -1;
}

static int hash_and_pass(void *context, const void *data, size_t length)
{
    struct object_reader *reader = context;

    sha256_update(&reader->hash, data, length);
    reader->plain_bytes += length;
    return sink_write(&reader->plain, data, length);
}

/* Where plain bytes go. */
static struct sink plain_sink(struct object_reader *reader)
{
    const struct sink sink = {hash_and_pass, reader};

    return relay_through(reader->relay, &sink);
}

static int decode(struct object_reader *reader, const void *data, size_t length)
{
    struct sink sink = plain_sink(reader);

    if (decoder_write(reader->decoder, data, length, &sink) == 0)
        return 0;
    if (relay_end(reader->relay) != 0 || decoder_error(reader->decoder) == NULL)
        return -1;
    return damaged(reader, decoder_error(reader->decoder));
}

/* The first bytes are kept until the codec can be told by them. */
static int take_frame_bytes(struct object_reader *reader, const void *data, size_t length, uint64_t frame_end)
{
    size_t head = frame_end < CODEC_MAGIC_BYTES ? (size_t)frame_end : CODEC_MAGIC_BYTES;
    const unsigned char *next = data;

    keep_magic(reader->magic, reader->received, data, length);
    if (reader->received + length < head) {
        reader->received += length;
        return 0;
    }
    if (reader->received < head) {
        if (memcmp(reader->magic, SEALING_MAGIC, head) == 0) /* of no WAL file, nor of an index */
            return damaged(reader, "it is encrypted, and no encryption_key_file is configured for it");
        reader->codec = codec_of_object(reader->magic, frame_end);
        if (decoder_begin(reader->decoder, reader->codec) != 0 || decode(reader, reader->magic, head) != 0)
            return -1;
        next += head - reader->received;
        length -= (size_t)(head - reader->received);
        reader->received = head;
    }
    reader->received += length;
    return decode(reader, next, length);
}

static int take_stored_bytes(void *context, const void *data, size_t length)
{
    struct object_reader *reader = context;
    const unsigned char *next = data;

    if (*reader->total_bytes < OBJECT_TRAILER_BYTES)
        return damaged(reader, "it is shorter than a trailer");
    uint64_t frame_end = *reader->total_bytes - OBJECT_TRAILER_BYTES;
    if (reader->received < frame_end) {
        size_t part = frame_end - reader->received < length ? (size_t)(frame_end - reader->received) : length;
        if (take_frame_bytes(reader, next, part, frame_end) != 0)
            return -1;
        next += part;
        length -= part;
    }
    if (length == 0)
        return 0;
    uint64_t at = reader->received - frame_end;
    if (length > OBJECT_TRAILER_BYTES - at)
        return damaged(reader, "it is longer than the store says");
    memcpy(reader->trailer + at, next, length);
    reader->received += length;
    return 0;
}

struct sink object_reader_sink(struct object_reader *reader)
{
    return (struct sink){take_stored_bytes, reader};
}

int object_reader_finish(struct object_reader *reader, struct object_facts *facts)
{
    unsigned char digest[SHA256_BYTES];
    uint64_t total = *reader->total_bytes;

    if (relay_end(reader->relay) != 0)
        return -1;
    if (total < OBJECT_TRAILER_BYTES || reader->received != total)
        return damaged(reader, "it is too short");
    if (object_trailer_parse(reader->trailer, total, reader->what, facts) != 0) {
        reader->damaged = true;
        return -1;
    }
    if (facts->codec != reader->codec)
        return damaged(reader, "it is not packed with the codec that its trailer names");
    if (!decoder_at_boundary(reader->decoder))
        return damaged(reader, "its compressed data ends too early");
    sha256_finish(&reader->hash, digest);
    if (reader->plain_bytes != facts->plain_bytes)
        return damaged(reader, "its content has not the length that its trailer says");
    if (memcmp(digest, facts->sha256, SHA256_BYTES) != 0)
        return damaged(reader, "the SHA-256 of its content is not what its trailer says");
    return 0;
}

bool object_reader_is_damaged(const struct object_reader *reader)
{
    return reader->damaged;
}

void object_reader_free(struct object_reader *reader)
{
    if (reader == NULL)
        return;
    relay_end(reader->relay);
    decoder_free(reader->decoder);
    sha256_free(&reader->hash);
    free(reader->what);
    free(reader);
}

/* Spooling */

int object_spool_begin(struct object_spool *spool, const char *directory, size_t memory_bytes, bool is_signed)
{
    if (spool->fd >= 0)
        close(spool->fd);
    buffer_clear(&spool->memory);
    spool->memory_bytes = memory_bytes;
    spool->fd = -1;
    spool->length = 0;
    spool->is_signed = is_signed;
    spool->directory = directory;
    return is_signed ? sha256_begin(&spool->hash) : 0;
}

static int move_to_file(struct object_spool *spool)
{
    spool->fd = file_open_unnamed(spool->directory);
    if (spool->fd < 0)
        return -1;
    if (file_write_fully(spool->fd, spool->memory.data, spool->memory.length) != 0) {
        log_error("could not write a temporary file: %m");
        return -1;
    }
    buffer_free(&spool->memory);
    return 0;
}

static int spool_write(void *context, const void *data, size_t length)
{
    struct object_spool *spool = context;

    if (spool->is_signed)
        sha256_update(&spool->hash, data, length);
    spool->length += length;
    if (spool->fd < 0 && spool->length > spool->memory_bytes && move_to_file(spool) != 0)
        return -1;
    if (spool->fd < 0)
        return buffer_append(&spool->memory, data, length);
    if (file_write_fully(spool->fd, data, length) == 0)
        return 0;
    log_error("could not write a temporary file: %m");
    return -1;
}

struct sink object_spool_sink(struct object_spool *spool)
{
    return (struct sink){spool_write, spool};
}

void object_spool_body(struct object_spool *spool, struct body *body)
{
    *body = (struct body){
        .data = spool->fd < 0 ? spool->memory.data : NULL, .fd = spool->fd, .length = spool->length};
    if (spool->is_signed)
        sha256_finish(&spool->hash, body->sha256);
}

void object_spool_free(struct object_spool *spool)
{
    if (spool == NULL)
        return;
    buffer_free(&spool->memory);
    if (spool->fd >= 0)
        close(spool->fd);
    spool->fd = -1;
    sha256_free(&spool->hash);
}
