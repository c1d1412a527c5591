/* LZ4 frames; the only user of lz4frame.h. */
#include "codec_driver.h"

#include "log.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (256 * 1024)

struct lz4_encoder {
    LZ4F_cctx *context;
    LZ4F_preferences_t preferences;
    unsigned char *out;
    size_t out_bytes;
};

static int encoder_open(struct encoder *encoder, int level)
{
    struct lz4_encoder *lz4 = encoder->own = calloc(1, sizeof *lz4);

    if (lz4 == NULL)
        return log_out_of_memory();
    lz4->preferences.compressionLevel = level;
    lz4->preferences.frameInfo.blockSizeID = LZ4F_max256KB;
    /* Linked blocks would be 0.2 % smaller, and cost a copy of 64 KiB for each. */
    lz4->preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    lz4->preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    /* Everything given is compressed at once, so that nothing waits inside and a chunk's output has a known
     * bound. */
    lz4->preferences.autoFlush = 1;
    lz4->out_bytes = LZ4F_compressBound(CHUNK_BYTES, &lz4->preferences) + LZ4F_HEADER_SIZE_MAX;
    lz4->out = malloc(lz4->out_bytes);
    if (lz4->out == NULL || LZ4F_isError(LZ4F_createCompressionContext(&lz4->context, LZ4F_VERSION)))
        return log_out_of_memory();
    return 0;
}

static int emit(struct encoder *encoder, size_t length)
{
    const struct lz4_encoder *lz4 = encoder->own;

    if (LZ4F_isError(length)) {
        log_error("could not compress: %s", LZ4F_getErrorName(length));
        return -1;
    }
    return length == 0 ? 0 : sink_write(&encoder->sink, lz4->out, length);
}

static int begin(struct encoder *encoder)
{
    struct lz4_encoder *lz4 = encoder->own;

    return emit(encoder, LZ4F_compressBegin(lz4->context, lz4->out, lz4->out_bytes, &lz4->preferences));
}

static int compress(struct encoder *encoder, const void *data, size_t length)
{
    struct lz4_encoder *lz4 = encoder->own;
    const unsigned char *next = data;

    while (length > 0) {
        size_t chunk = length < CHUNK_BYTES ? length : CHUNK_BYTES;
        if (emit(encoder, LZ4F_compressUpdate(lz4->context, lz4->out, lz4->out_bytes, next, chunk, NULL)) !=
            0)
            return -1;
        next += chunk;
        length -= chunk;
    }
    return 0;
}

static int end(struct encoder *encoder)
{
    struct lz4_encoder *lz4 = encoder->own;

    return emit(encoder, LZ4F_compressEnd(lz4->context, lz4->out, lz4->out_bytes, NULL));
}

static void encoder_close(struct encoder *encoder)
{
    struct lz4_encoder *lz4 = encoder->own;

    if (lz4 == NULL)
        return;
    LZ4F_freeCompressionContext(lz4->context);
    free(lz4->out);
    free(lz4);
}

struct lz4_decoder {
    LZ4F_dctx *context;
    unsigned char *out;
};

static int decoder_open(struct decoder *decoder)
{
    struct lz4_decoder *lz4 = decoder->own = calloc(1, sizeof *lz4);

    if (lz4 == NULL)
        return log_out_of_memory();
    lz4->out = malloc(CHUNK_BYTES);
    if (lz4->out == NULL || LZ4F_isError(LZ4F_createDecompressionContext(&lz4->context, LZ4F_VERSION)))
        return log_out_of_memory();
    return 0;
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

static int decompress(struct decoder *decoder, const void *data, size_t length, const struct sink *sink)
{
    struct lz4_decoder *lz4 = decoder->own;
    const unsigned char *next = data;
    bool more_out = false; /* a full output buffer: there may be more to come without further input */

    while (length > 0 || more_out) {
        size_t out_length = CHUNK_BYTES, used = length;
        size_t wanted = LZ4F_decompress(lz4->context, lz4->out, &out_length, next, &used, NULL);
        if (LZ4F_isError(wanted)) {
            decoder->error = describe_error(wanted);
            return -1;
        }
        decoder->is_inside = wanted != 0;
        next += used;
        length -= used;
        more_out = out_length == CHUNK_BYTES;
        if (used == 0 && out_length == 0 && length > 0) {
            decoder->error = "no progress";
            return -1;
        }
        if (out_length > 0 && sink_write(sink, lz4->out, out_length) != 0)
            return -1;
        if (more_out && length == 0 && wanted == 0)
            break;
    }
    return 0;
}

static void reset(struct decoder *decoder)
{
    struct lz4_decoder *lz4 = decoder->own;

    LZ4F_resetDecompressionContext(lz4->context);
}

static void decoder_close(struct decoder *decoder)
{
    struct lz4_decoder *lz4 = decoder->own;

    if (lz4 == NULL)
        return;
    LZ4F_freeDecompressionContext(lz4->context);
    free(lz4->out);
    free(lz4);
}

const struct codec_driver codec_lz4 = {
    .name = "lz4",
    .levels = {.least = 1, .most = 12, .usual = 1},
    .magic = {0x04, 0x22, 0x4D, 0x18},
    .encoder_open = encoder_open,
    .begin = begin,
    .write = compress,
    .end = end,
    .encoder_close = encoder_close,
    .decoder_open = decoder_open,
    .reset = reset,
    .read = decompress,
    .decoder_close = decoder_close,
};
