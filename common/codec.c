#include "codec.h"

#include "log.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (256 * 1024)

struct encoder {
    LZ4F_cctx *context;
    LZ4F_preferences_t preferences;
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
    encoder->preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
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
    encoder->sink = sink;
    return encoder_emit(encoder, LZ4F_compressBegin(encoder->context, encoder->out, encoder->out_bytes,
                                                    &encoder->preferences));
}

int encoder_write(struct encoder *encoder, const void *data, size_t length)
{
    const unsigned char *next = data;

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

int encoder_end(struct encoder *encoder)
{
    return encoder_emit(encoder, LZ4F_compressEnd(encoder->context, encoder->out, encoder->out_bytes, NULL));
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
};

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

int decoder_write(struct decoder *decoder, const void *data, size_t length, const struct sink *sink)
{
    const unsigned char *next = data;
    bool more_out = false; /* a full output buffer: there may be more to come without further input */

    decoder->error = NULL;
    while (length > 0 || more_out) {
        size_t out_length = CHUNK_BYTES, used = length;
        size_t wanted = LZ4F_decompress(decoder->context, decoder->out, &out_length, next, &used, NULL);
        if (LZ4F_isError(wanted)) {
            decoder->error = describe_error(wanted);
            return -1;
        }
        decoder->inside = wanted != 0;
        next += used;
        length -= used;
        more_out = out_length == CHUNK_BYTES;
        if (used == 0 && out_length == 0 && length > 0) {
            decoder->error = "no progress";
            return -1;
        }
        if (out_length > 0 && sink_write(sink, decoder->out, out_length) != 0)
            return -1;
        if (more_out && length == 0 && wanted == 0)
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
    decoder->inside = false;
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
