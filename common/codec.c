#include "codec.h"

#include "digest.h"
#include "log.h"

#include <lz4.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (256 * 1024)

/* A frame: magic number, flags, block size, a byte of the checksum of these two; blocks; 0; the checksum. */
enum {
    FRAME_MAGIC_BYTES = 4,
    FRAME_FLAGS = 4,
    FRAME_HEADER_CHECKSUM = 6,
    FRAME_HEADER_BYTES = 7,
    CHECKSUM_BYTES = 4
};
#define FLAG_CONTENT_CHECKSUM 0x04
static const unsigned char frame_magic[FRAME_MAGIC_BYTES] = {0x04, 0x22, 0x4D, 0x18};

struct encoder {
    LZ4F_cctx *context;
    LZ4F_preferences_t preferences;
    struct xxh32 checksum; /* of the frame's content */
    unsigned char *out;
    size_t out_bytes;
    struct sink sink;
};

struct encoder *encoder_new(int level)
{
    struct encoder *encoder = calloc(1, sizeof *encoder);

    if (encoder == NULL) {
        log_out_of_memory();
        return NULL;
    }
    encoder->preferences.compressionLevel = level;
    encoder->preferences.frameInfo.blockSizeID = LZ4F_max256KB;
    /* Linked blocks would be 0.2 % smaller, and cost a copy of 64 KiB for each. */
    encoder->preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    encoder->preferences.frameInfo.contentChecksumFlag = LZ4F_noContentChecksum; /* we add it */
    /* Everything given is compressed at once, so that nothing waits inside and a chunk's output has a known
     * bound. */
    encoder->preferences.autoFlush = 1;
    encoder->out_bytes = LZ4F_compressBound(CHUNK_BYTES, &encoder->preferences) + LZ4F_HEADER_SIZE_MAX;
    encoder->out = malloc(encoder->out_bytes);
    if (encoder->out == NULL ||
        LZ4F_isError(LZ4F_createCompressionContext(&encoder->context, LZ4F_VERSION))) {
        log_out_of_memory();
        encoder_free(encoder);
        return NULL;
    }
    return encoder;
}

static int encoder_emit(struct encoder *encoder, size_t length)
{
    if (LZ4F_isError(length)) {
        log_error("could not compress: %s", LZ4F_getErrorName(length));
        return -1;
    }
    return length == 0 ? 0 : sink_write(&encoder->sink, encoder->out, length);
}

int encoder_begin(struct encoder *encoder, struct sink sink)
{
    struct xxh32 header;
    size_t length =
        LZ4F_compressBegin(encoder->context, encoder->out, encoder->out_bytes, &encoder->preferences);

    encoder->sink = sink;
    xxh32_begin(&encoder->checksum);
    if (length == FRAME_HEADER_BYTES) {
        encoder->out[FRAME_FLAGS] |= FLAG_CONTENT_CHECKSUM;
        xxh32_begin(&header);
        xxh32_update(&header, encoder->out + FRAME_FLAGS, FRAME_HEADER_CHECKSUM - FRAME_FLAGS);
        encoder->out[FRAME_HEADER_CHECKSUM] = (unsigned char)(xxh32_finish(&header) >> 8);
    }
    return encoder_emit(encoder, length);
}

int encoder_write(struct encoder *encoder, const void *data, size_t length)
{
    const unsigned char *next = data;

    xxh32_update(&encoder->checksum, data, length);
    while (length > 0) {
        size_t chunk = length < CHUNK_BYTES ? length : CHUNK_BYTES;
        if (encoder_emit(encoder, LZ4F_compressUpdate(encoder->context, encoder->out, encoder->out_bytes,
                                                      next, chunk, NULL)) != 0)
            return -1;
        next += chunk;
        length -= chunk;
    }
    return 0;
}

static void put_checksum(const struct xxh32 *hash, unsigned char out[CHECKSUM_BYTES])
{
    uint32_t checksum = xxh32_finish(hash);

    for (int i = 0; i < CHECKSUM_BYTES; i++)
        out[i] = (unsigned char)(checksum >> 8 * i);
}

int encoder_end(struct encoder *encoder)
{
    size_t length = LZ4F_compressEnd(encoder->context, encoder->out, encoder->out_bytes, NULL);

    if (!LZ4F_isError(length)) {
        put_checksum(&encoder->checksum, encoder->out + length);
        length += CHECKSUM_BYTES;
    }
    return encoder_emit(encoder, length);
}

void encoder_free(struct encoder *encoder)
{
    if (encoder == NULL)
        return;
    LZ4F_freeCompressionContext(encoder->context);
    free(encoder->out);
    free(encoder);
}

struct decoder {
    LZ4F_dctx *context;
    unsigned char *out;
    bool inside; /* a frame */
    const char *error;
    /* of the frame at work */
    unsigned char head[FRAME_FLAGS + 1];
    size_t head_length;
    unsigned char tail[CHECKSUM_BYTES]; /* the last stored bytes so far */
    struct xxh32 checksum;              /* of the content so far */
};

static void begin_frame(struct decoder *decoder)
{
    decoder->inside = false;
    decoder->head_length = 0;
    xxh32_begin(&decoder->checksum);
}

struct decoder *decoder_new(void)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);

    if (decoder == NULL) {
        log_out_of_memory();
        return NULL;
    }
    decoder->out = malloc(CHUNK_BYTES);
    if (decoder->out == NULL ||
        LZ4F_isError(LZ4F_createDecompressionContext(&decoder->context, LZ4F_VERSION))) {
        log_out_of_memory();
        decoder_free(decoder);
        return NULL;
    }
    begin_frame(decoder);
    return decoder;
}

static const char *describe_error(size_t code)
{
    const char *name = LZ4F_getErrorName(code);

    if (strcmp(name, "ERROR_contentChecksum_invalid") == 0)
        return "the checksum of its content does not match";
    if (strcmp(name, "ERROR_frameType_unknown") == 0)
        return "it is no LZ4 frame";
    if (strcmp(name, "ERROR_decompressionFailed") == 0)
        return "a block of it cannot be decompressed";
    return name;
}

/* The next stored bytes: until the flags are among them nothing is known of the frame. */
static void see_head(struct decoder *decoder, const unsigned char *next, size_t length)
{
    while (decoder->head_length < sizeof decoder->head && length-- > 0)
        decoder->head[decoder->head_length++] = *next++;
}

static bool has_checksum(const struct decoder *decoder)
{
    return decoder->head_length == sizeof decoder->head &&
           memcmp(decoder->head, frame_magic, sizeof frame_magic) == 0 &&
           (decoder->head[FRAME_FLAGS] & FLAG_CONTENT_CHECKSUM) != 0;
}

static void keep_tail(struct decoder *decoder, const unsigned char *used, size_t length)
{
    if (length < CHECKSUM_BYTES) {
        memmove(decoder->tail, decoder->tail + length, CHECKSUM_BYTES - length);
        memcpy(decoder->tail + CHECKSUM_BYTES - length, used, length);
    } else {
        memcpy(decoder->tail, used + length - CHECKSUM_BYTES, CHECKSUM_BYTES);
    }
}

/* The frame is complete: its last bytes are the checksum of its content. */
static bool end_frame(struct decoder *decoder)
{
    unsigned char expected[CHECKSUM_BYTES];
    bool right = true;

    put_checksum(&decoder->checksum, expected);
    if (has_checksum(decoder))
        right = memcmp(decoder->tail, expected, CHECKSUM_BYTES) == 0;
    begin_frame(decoder);
    return right;
}

/* One step: what of the input was used, and what came out. False if the input is damaged. */
static bool decompress(struct decoder *decoder, const unsigned char *next, size_t *used, size_t *out_length)
{
    LZ4F_decompressOptions_t options = {0};

    see_head(decoder, next, *used);
#if LZ4_VERSION_NUMBER >= 10904
    options.skipChecksums = has_checksum(decoder);
#endif
    size_t wanted = LZ4F_decompress(decoder->context, decoder->out, out_length, next, used, &options);
    if (LZ4F_isError(wanted)) {
        decoder->error = describe_error(wanted);
        return false;
    }
    keep_tail(decoder, next, *used);
    xxh32_update(&decoder->checksum, decoder->out, *out_length);
    decoder->inside = wanted != 0;
    if (wanted == 0 && *used > 0 && !end_frame(decoder)) {
        decoder->error = "the checksum of its content does not match";
        return false;
    }
    return true;
}

int decoder_write(struct decoder *decoder, const void *data, size_t length, const struct sink *sink)
{
    const unsigned char *next = data;
    bool more_out = false; /* a full output buffer: there may be more to come without further input */

    decoder->error = NULL;
    while (length > 0 || more_out) {
        size_t out_length = CHUNK_BYTES, used = length;
        if (!decompress(decoder, next, &used, &out_length))
            return -1;
        next += used;
        length -= used;
        more_out = out_length == CHUNK_BYTES;
        if (used == 0 && out_length == 0 && length > 0) {
            decoder->error = "no progress";
            return -1;
        }
        if (out_length > 0 && sink_write(sink, decoder->out, out_length) != 0)
            return -1;
        if (more_out && length == 0 && !decoder->inside)
            break;
    }
    return 0;
}

bool decoder_at_boundary(const struct decoder *decoder)
{
    return !decoder->inside;
}

const char *decoder_error(const struct decoder *decoder)
{
    return decoder->error;
}

void decoder_reset(struct decoder *decoder)
{
    LZ4F_resetDecompressionContext(decoder->context);
    begin_frame(decoder);
    decoder->error = NULL;
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    LZ4F_freeDecompressionContext(decoder->context);
    free(decoder->out);
    free(decoder);
}
