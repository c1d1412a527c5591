/* Frames through buffers of every awkward size; sealed objects and documents through every damage. */
#include "unit.h"

#include "common/codec.h"
#include "common/document.h"
#include "common/log.h"
#include "common/object.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

static void fill(unsigned char *data, size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++) { /* half noise, half runs */
        seed = seed * 1103515245 + 12345;
        data[i] = i % 64 < 32 ? (unsigned char)(seed >> 16) : (unsigned char)(i / 4096);
    }
}

static int compress(struct encoder *encoder, const unsigned char *data, size_t length, size_t step,
                    struct buffer *out)
{
    if (encoder_begin(encoder, sink_to_buffer(out)) != 0)
        return -1;
    for (size_t i = 0; i < length; i += step)
        if (encoder_write(encoder, data + i, length - i < step ? length - i : step) != 0)
            return -1;
    return encoder_end(encoder);
}

static int decompress(struct decoder *decoder, const struct buffer *in, size_t step, struct buffer *out)
{
    struct sink sink = sink_to_buffer(out);

    for (size_t i = 0; i < in->length; i += step)
        if (decoder_write(decoder, in->data + i, in->length - i < step ? in->length - i : step, &sink) != 0)
            return -1;
    return decoder_at_boundary(decoder) ? 0 : -1;
}

static const struct compression all[] = {{CODEC_LZ4, 1},  {CODEC_LZ4, 12},  {CODEC_ZSTD, 1},
                                         {CODEC_ZSTD, 3}, {CODEC_ZSTD, 19}, {CODEC_NONE, 0}};
#define ALL (sizeof all / sizeof all[0])

static void test_frames_of(const struct compression *compression, const unsigned char *data)
{
    static const size_t lengths[] = {0, 1, 2, 511, 65536, 131072, 262143, 262144, 262145, 1000003};
    static const size_t steps[] = {1, 7, 4096, 1 << 20};
    struct encoder *encoder = encoder_new(compression);
    struct decoder *decoder = decoder_new();

    CHECK(decoder_begin(decoder, compression->codec) == 0);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
            struct buffer packed = BUFFER_EMPTY, plain = BUFFER_EMPTY;
            if (lengths[l] / steps[s] > 70000) /* tells nothing new, and takes long */
                continue;
            CHECK(compress(encoder, data, lengths[l], steps[s], &packed) == 0);
            CHECK(decompress(decoder, &packed, steps[s], &plain) == 0);
            CHECK(plain.length == lengths[l] &&
                  memcmp(plain.data == NULL ? data : plain.data, data, lengths[l]) == 0);
            buffer_free(&packed);
            buffer_free(&plain);
        }
    }
    encoder_free(encoder);
    decoder_free(decoder);
}

static void test_frames(void)
{
    unsigned char *data = malloc(1 << 20);

    fill(data, 1 << 20, 1);
    for (size_t i = 0; i < ALL; i++)
        test_frames_of(&all[i], data);
    free(data);
}

static void test_names(void)
{
    enum codec codec = CODEC_NONE;

    CHECK(codec_by_name("lz4", &codec) && codec == CODEC_LZ4);
    CHECK(codec_by_name("zstd", &codec) && codec == CODEC_ZSTD);
    CHECK(codec_by_name("none", &codec) && codec == CODEC_NONE);
    CHECK(!codec_by_name("LZ4", &codec) && !codec_by_name("", &codec) && !codec_by_name(NULL, &codec));
    CHECK(codec == CODEC_NONE);
    CHECK_TEXT(codec_name(CODEC_ZSTD), "zstd");
}

/* A decoder that goes over to another codec forgets what it was in the midst of. */
static void test_change_of_codec(void)
{
    unsigned char data[5000];
    struct decoder *decoder = decoder_new();

    fill(data, sizeof data, 5);
    for (size_t i = 0; i < ALL * ALL; i++) {
        const struct compression *this = &all[i % ALL], *next = &all[i / ALL];
        struct encoder *encoder = encoder_new(this), *other = encoder_new(next);
        struct buffer packed = BUFFER_EMPTY, plain = BUFFER_EMPTY;
        CHECK(compress(encoder, data, sizeof data, sizeof data, &packed) == 0);
        CHECK(decoder_begin(decoder, this->codec) == 0);
        packed.length /= 2;
        CHECK((decompress(decoder, &packed, 100, &plain) == 0) == (this->codec == CODEC_NONE));
        buffer_clear(&packed);
        buffer_clear(&plain);
        CHECK(compress(other, data, sizeof data, sizeof data, &packed) == 0);
        CHECK(decoder_begin(decoder, next->codec) == 0 && decoder_at_boundary(decoder));
        CHECK(decompress(decoder, &packed, 100, &plain) == 0 && plain.length == sizeof data &&
              memcmp(plain.data, data, sizeof data) == 0);
        buffer_free(&packed);
        buffer_free(&plain);
        encoder_free(encoder);
        encoder_free(other);
    }
    decoder_free(decoder);
}

/* What LZ4 says is wrong is no silence: here that a frame was not begun. */
static void test_not_begun(void)
{
    struct encoder *encoder = encoder_new(&all[0]);
    struct buffer out = BUFFER_EMPTY;

    CHECK(encoder_begin(encoder, sink_to_buffer(&out)) == 0 && encoder_end(encoder) == 0);
    size_t length = out.length;
    unit_listen();
    CHECK(encoder_write(encoder, "x", 1) == -1 && out.length == length);
    CHECK(unit_heard("could not compress: "));
    buffer_free(&out);
    encoder_free(encoder);
}

static void test_several_frames_and_truncation(const struct compression *compression)
{
    unsigned char data[5000];
    struct encoder *encoder = encoder_new(compression);
    struct decoder *decoder = decoder_new();
    struct buffer packed = BUFFER_EMPTY, plain = BUFFER_EMPTY;
    size_t first;

    fill(data, sizeof data, 2);
    CHECK(decoder_begin(decoder, compression->codec) == 0);
    CHECK(compress(encoder, data, sizeof data, 999, &packed) == 0);
    first = packed.length;
    CHECK(compress(encoder, data, sizeof data, 999, &packed) == 0);
    CHECK(decompress(decoder, &packed, 1, &plain) == 0 && plain.length == 2 * sizeof data);
    for (size_t cut = 1; cut < packed.length; cut += 13) {
        struct buffer part = {packed.data, cut, packed.capacity};
        buffer_clear(&plain);
        CHECK(decoder_begin(decoder, compression->codec) == 0);
        CHECK((decompress(decoder, &part, 64, &plain) == 0) == (cut == first));
    }
    for (size_t i = 0; i < packed.length; i += 7) {
        CHECK(decoder_begin(decoder, compression->codec) == 0);
        packed.data[i] ^= 1; /* the content checksum finds what the frame's structure does not */
        buffer_clear(&plain);
        CHECK(decompress(decoder, &packed, 64, &plain) == -1 ||
              (plain.length == 2 * sizeof data && memcmp(plain.data, data, sizeof data) == 0 &&
               memcmp(plain.data + sizeof data, data, sizeof data) == 0));
        packed.data[i] ^= 1;
    }
    buffer_free(&packed);
    buffer_free(&plain);
    encoder_free(encoder);
    decoder_free(decoder);
}

static struct object_facts make_object(const struct compression *compression, const unsigned char *data,
                                       size_t length, struct buffer *out)
{
    struct object_facts facts = {.kind = "segment",
                                 .name = "000000010000000000000003",
                                 .system_identifier = 7301234567890123456u,
                                 .timeline = 1,
                                 .postgresql_version = 15};
    struct object_writer *writer = object_writer_new(compression);

    CHECK(object_writer_begin(writer, sink_to_buffer(out)) == 0 &&
          object_writer_write(writer, data, length) == 0 && object_writer_end(writer, &facts) == 0);
    object_writer_free(writer);
    return facts;
}

/* total: so many bytes has the object, the store says. */
static int read_announced(const struct buffer *object, uint64_t total, size_t step, struct buffer *plain,
                          struct object_facts *facts)
{
    struct sink sink = sink_to_buffer(plain);
    struct object_reader *reader = object_reader_new(&sink, "the object");
    struct sink in = object_reader_sink(reader);
    int result = 0;

    object_reader_expect_total(reader, &total);
    for (size_t i = 0; i < object->length && result == 0; i += step)
        result = sink_write(&in, object->data + i, object->length - i < step ? object->length - i : step);
    if (result == 0)
        result = object_reader_finish(reader, facts);
    CHECK(result == 0 || object_reader_is_damaged(reader));
    object_reader_free(reader);
    return result;
}

static int read_object(const struct buffer *object, size_t step, struct buffer *plain,
                       struct object_facts *facts)
{
    return read_announced(object, object->length, step, plain, facts);
}

static void test_objects(const struct compression *compression)
{
    unsigned char data[20000];
    struct buffer object = BUFFER_EMPTY, plain = BUFFER_EMPTY;
    struct object_facts facts, read = {.kind = ""};

    fill(data, sizeof data, 3);
    facts = make_object(compression, data, sizeof data, &object);
    CHECK(object.length == facts.frame_bytes + OBJECT_TRAILER_BYTES);
    for (size_t step = 1; step < 40000; step = step * 5 + 1) {
        buffer_clear(&plain);
        CHECK(read_object(&object, step, &plain, &read) == 0);
        CHECK(plain.length == sizeof data && memcmp(plain.data, data, sizeof data) == 0);
        CHECK(read.system_identifier == facts.system_identifier && read.timeline == 1 &&
              read.postgresql_version == 15 && read.codec == compression->codec);
    }
    CHECK(object_facts_check(&read, "segment", "000000010000000000000003", facts.system_identifier, "x") ==
          0);
    CHECK(object_facts_check(&read, "partial", "000000010000000000000003", facts.system_identifier, "x") ==
          -1);
    CHECK(object_facts_check(&read, "segment", "000000010000000000000004", facts.system_identifier, "x") ==
          -1);
    CHECK(object_facts_check(&read, "segment", "000000010000000000000003", 1, "x") == -1);

    for (size_t i = 0; i < object.length;
         i += i < object.length - 1100 ? 97 : 1) { /* every byte of the trailer */
        object.data[i] ^= 0x10;
        buffer_clear(&plain);
        CHECK(read_object(&object, 4096, &plain, &read) == -1);
        object.data[i] ^= 0x10;
    }
    for (size_t cut = 0; cut < object.length; cut += 211) {
        struct buffer part = {object.data, cut, object.capacity};
        CHECK(read_object(&part, 4096, &plain, &read) == -1);
    }
    CHECK(read_object(&object, 4096, &plain, &read) == 0);
    for (uint64_t off = 1; off < 3000; off += 500) {
        CHECK(read_announced(&object, object.length + off, 4096, &plain, &read) == -1);
        unit_listen();
        log_set_threshold(LOG_ERROR);
        CHECK(read_announced(&object, object.length - off, object.length, &plain, &read) == -1);
        log_set_threshold((enum log_level)(LOG_ERROR + 1));
        CHECK(unit_heard("is damaged: it is longer than the store says"));
    }
    CHECK(buffer_append(&object, "x", 1) == 0);
    CHECK(read_object(&object, 4096, &plain, &read) == -1);
    buffer_free(&object);
    buffer_free(&plain);
}

/* What is told by the first bytes, and by the trailer. */
static void test_codec_of_object(void)
{
    static const unsigned char contents[][6] = {
        {0x04, 0x22, 0x4D, 0x18, 1, 2}, {0x28, 0xB5, 0x2F, 0xFD, 1, 2}, {0x04, 0x22, 0x4D, 0x19, 1, 2}};
    struct object_facts facts = {.kind = "history", .name = "00000002.history"}, read;
    struct object_writer *writer = object_writer_new(&all[ALL - 1]);
    struct buffer object = BUFFER_EMPTY, plain = BUFFER_EMPTY;

    for (size_t i = 0; i < 3; i++) { /* byte by byte */
        buffer_clear(&object);
        CHECK(object_writer_begin(writer, sink_to_buffer(&object)) == 0);
        for (size_t at = 0; at < sizeof contents[i]; at++)
            CHECK(object_writer_write(writer, &contents[i][at], 1) == 0);
        unit_listen();
        log_set_threshold(LOG_ERROR);
        CHECK(object_writer_end(writer, &facts) == (i == 2 ? 0 : -1));
        log_set_threshold((enum log_level)(LOG_ERROR + 1));
        CHECK(i == 2 || unit_heard("its content begins like a compressed frame"));
    }
    CHECK(read_object(&object, 1, &plain, &read) == 0 && plain.length == 6 && read.codec == CODEC_NONE);
    CHECK(strstr((const char *)object.data + 14, "\"codec\":\"none\"") != NULL);
    /* a whole frame, in an object that says that it has none */
    struct encoder *encoder = encoder_new(&all[0]);
    struct buffer frame = BUFFER_EMPTY;
    CHECK(compress(encoder, (const unsigned char *)"hello", 5, 5, &frame) == 0);
    buffer_clear(&object);
    CHECK(object_writer_begin(writer, sink_to_buffer(&object)) == 0);
    CHECK(object_writer_write(writer, "other, as long as the frame...", frame.length) == 0);
    CHECK(object_writer_end(writer, &facts) == 0 && facts.frame_bytes == frame.length);
    memcpy(object.data, frame.data, frame.length);
    unit_listen();
    log_set_threshold(LOG_ERROR);
    CHECK(read_object(&object, 100, &plain, &read) == -1);
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    CHECK(unit_heard("it is not packed with the codec that its trailer names"));
    encoder_free(encoder);
    object_writer_free(writer);
    buffer_free(&frame);
    buffer_free(&object);
    buffer_free(&plain);
}

static void test_empty_object(const struct compression *compression)
{
    struct buffer object = BUFFER_EMPTY, plain = BUFFER_EMPTY;
    struct object_facts read;

    make_object(compression, NULL, 0, &object);
    CHECK(read_object(&object, 100, &plain, &read) == 0 && plain.length == 0);
    buffer_free(&object);
    buffer_free(&plain);
}

static void test_documents(void)
{
    struct buffer text = BUFFER_EMPTY, newer = BUFFER_EMPTY;
    struct json *document = document_new("cluster"), *opened;

    json_set_string(document, "name", "a \"b\" \\ \xC3\xA9");
    json_set_uint(document, "number", 9007199254740993u);
    CHECK(document_seal(document, &text) == 0);
    opened = document_open(text.data, text.length, "cluster", "it");
    uint64_t number = 0;
    CHECK_TEXT(json_text(opened, "name"), "a \"b\" \\ \xC3\xA9");
    CHECK(json_uint(opened, "number", &number) == 0 && number == 9007199254740993u);
    json_free(opened);
    CHECK(document_open(text.data, text.length, "manifest", "it") == NULL);
    for (size_t i = 0; i + 1 < text.length; i++) {
        text.data[i] ^= 1;
        CHECK(document_open(text.data, text.length, "cluster", "it") == NULL);
        text.data[i] ^= 1;
    }
    for (size_t cut = 0; cut + 1 < text.length; cut++)
        CHECK(document_open(text.data, cut, "cluster", "it") == NULL);
    document = json_new_object();
    json_set_uint(document, "walferry", DOCUMENT_VERSION + 1);
    json_set_string(document, "kind", "cluster");
    CHECK(document_seal(document, &newer) == 0);
    CHECK(document_open(newer.data, newer.length, "cluster", "it") == NULL);
    document = document_new("cluster");
    json_set_string(document, "name", "not UTF-8: \xFF");
    CHECK(document_seal(document, &newer) == -1);
    document = document_new("cluster");
    CHECK(document_seal(document, &newer) == 0); /* the failure before is forgotten */
    buffer_clear(&newer);
    CHECK(json_append_quoted(&newer, "a\"b\\\n\xFF\xC3\xA9\xC3", 9) == 0);
    CHECK_TEXT(buffer_string(&newer), "\"a\\\"b\\\\\\u000a\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD\"");
    document = json_parse("[\"x\",1]", 7, NULL, 0);
    CHECK_TEXT(json_array_string(document, 0), "x");
    CHECK(json_array_string(document, 1) == NULL && json_array_string(document, 2) == NULL);
    json_free(document);
    buffer_free(&text);
    buffer_free(&newer);
}

static void test_spool(void)
{
    const size_t chunk = 1 << 20;
    unsigned char *data = malloc(chunk);
    struct object_spool spool = OBJECT_SPOOL_EMPTY; /* used again */
    struct body body;

    fill(data, chunk, 4);
    for (size_t chunks = 31; chunks <= 37; chunks += 3) { /* below and above what stays in memory */
        struct sha256 hash = {NULL};
        unsigned char digest[SHA256_BYTES];
        CHECK(object_spool_begin(&spool, NULL, OBJECT_SPOOL_BYTES, true) == 0 && sha256_begin(&hash) == 0);
        struct sink sink = object_spool_sink(&spool);
        for (size_t i = 0; i < chunks; i++) {
            CHECK(sink_write(&sink, data, chunk) == 0);
            sha256_update(&hash, data, chunk);
        }
        object_spool_body(&spool, &body);
        sha256_finish(&hash, digest);
        CHECK(body.length == chunks * chunk && memcmp(body.sha256, digest, sizeof digest) == 0);
        CHECK((body.data == NULL) == (chunks > 32));
        sha256_free(&hash);
    }
    object_spool_free(&spool);
    free(data);
}

/* Where the file that what does not fit the memory goes to is not to be had, or full. */
static void test_spool_failures(void)
{
    struct object_spool spool = OBJECT_SPOOL_EMPTY;
    struct sink sink = object_spool_sink(&spool);
    struct rlimit before, small;
    char data[1000] = "";

    CHECK(object_spool_begin(&spool, "/nonexistent", 500, true) == 0 && sink_write(&sink, data, 500) == 0);
    unit_listen();
    CHECK(sink_write(&sink, data, 1) == -1);
    CHECK(unit_heard("could not create a temporary file in \"/nonexistent\""));
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    small = (struct rlimit){600, before.rlim_max};
    for (size_t in_memory = 500; in_memory <= 700;
         in_memory += 200) { /* with it, and when it is moved there */
        CHECK(object_spool_begin(&spool, NULL, in_memory, true) == 0);
        CHECK(sink_write(&sink, data, 500) == 0);
        CHECK(in_memory == 500 || sink_write(&sink, data, 150) == 0);
        unit_listen();
        CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
        CHECK(sink_write(&sink, data, 150) == -1);
        CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
        CHECK(unit_heard("could not write a temporary file: File too large"));
    }
    signal(SIGXFSZ, SIG_DFL);
    object_spool_free(&spool);
}

static void test_buffer_limit(void)
{
    struct buffer buffer = BUFFER_EMPTY;

    CHECK(buffer_append(&buffer, "kept", 4) == 0);
    size_t capacity = buffer.capacity;
    CHECK(buffer_reserve(&buffer, SIZE_MAX / 2) == -1 && buffer_reserve(&buffer, SIZE_MAX) == -1);
    CHECK(buffer.capacity == capacity && buffer.length == 4);
    CHECK_TEXT(buffer_string(&buffer), "kept");
    buffer_free(&buffer);
}

int main(void)
{
    log_set_threshold(
        (enum log_level)(LOG_ERROR + 1)); /* damages are meant to be found, not to be read about */
    test_names();
    test_frames();
    test_change_of_codec();
    for (size_t i = 0; i < ALL; i++)
        if (all[i].codec != CODEC_NONE)
            test_several_frames_and_truncation(&all[i]);
    test_buffer_limit();
    log_set_threshold(LOG_ERROR);
    test_not_begun();
    test_spool_failures();
    log_set_threshold((enum log_level)(LOG_ERROR + 1));
    for (size_t i = 0; i < ALL; i++) {
        test_objects(&all[i]);
        test_empty_object(&all[i]);
    }
    test_codec_of_object();
    test_documents();
    test_spool();
    return unit_done("codec");
}
