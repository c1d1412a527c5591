/* A sealed object, as it is and with a trailer of the input's own members sealed behind it; in odd pieces. */
#include "fuzz.h"

#include "common/object.h"

#define FUZZ_PLAIN_BYTES_MOST (64u << 20)

static int fuzz_object_plain(void *context, const void *data, size_t length)
{
    fuzz_count(context, data, length);
    return *(uint64_t *)context > FUZZ_PLAIN_BYTES_MOST ? -1 : 0;
}

static void fuzz_object_read(const void *data, size_t length, uint64_t told, size_t piece)
{
    uint64_t plain_bytes = 0;
    const struct sink plain = {fuzz_object_plain, &plain_bytes};
    struct object_reader *reader = object_reader_new(&plain, "the input");
    struct object_facts facts;

    FUZZ_CHECK(reader != NULL);
    object_reader_expect_total(reader, &told);
    const struct sink sink = object_reader_sink(reader);
    if (fuzz_push(&sink, data, length, piece) != 0) {
        FUZZ_CHECK(object_reader_is_damaged(reader) || plain_bytes > FUZZ_PLAIN_BYTES_MOST);
    } else if (object_reader_finish(reader, &facts) == 0) {
        FUZZ_CHECK(facts.plain_bytes == plain_bytes && told == length &&
                   facts.frame_bytes + OBJECT_TRAILER_BYTES == length);
        FUZZ_CHECK(strnlen(facts.name, sizeof facts.name) < sizeof facts.name);
        object_facts_check(&facts, facts.kind, facts.name, facts.system_identifier, "the input");
    }
    object_reader_free(reader);
}

/* A frame that decodes, behind it a trailer made of the text. */
static void fuzz_object_trailer(const uint8_t *text, size_t length, size_t piece)
{
    static const unsigned char header[8] = {0x5F, 0x2A, 0x4D, 0x18, 0xF8, 0x03, 0, 0};
    struct buffer object = BUFFER_EMPTY, sealed = BUFFER_EMPTY;
    struct object_writer *writer = object_writer_new(&(struct compression){CODEC_LZ4, 1});
    struct object_facts facts = {.kind = "history", .name = "00000002.history"};

    FUZZ_CHECK(writer != NULL && object_writer_begin(writer, sink_to_buffer(&object)) == 0 &&
               object_writer_write(writer, "hello", 5) == 0 && object_writer_end(writer, &facts) == 0);
    fuzz_object_read(object.data, object.length, object.length, piece);
    object.length -= OBJECT_TRAILER_BYTES;
    fuzz_seal(text, length, &sealed);
    if (sealed.length <= OBJECT_TRAILER_BYTES - sizeof header) {
        FUZZ_CHECK(buffer_append(&object, header, sizeof header) == 0 &&
                   buffer_append(&object, buffer_string(&sealed), sealed.length) == 0);
        while (object.length < facts.frame_bytes + OBJECT_TRAILER_BYTES)
            FUZZ_CHECK(buffer_append(&object, " ", 1) == 0);
        fuzz_object_read(object.data, object.length, object.length, piece);
    }
    buffer_free(&object);
    buffer_free(&sealed);
    object_writer_free(writer);
}

FUZZ_TARGET(object)
{
    struct fuzz_input input = {data, length};
    uint8_t how = fuzz_byte(&input);
    size_t piece = (size_t)(how >> 2) * 7 + 1;

    if ((how & 1) != 0)
        fuzz_object_trailer(input.next, input.left, piece);
    else
        fuzz_object_read(input.next, input.left, input.left + ((how & 2) != 0 ? piece : 0), piece);
    return 0;
}
