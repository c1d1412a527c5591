/* Zstandard frames; the only user of zstd.h. The library is loaded with the first frame: a call that finds
 * LZ4, or nothing at all, does not pay for it. */
#include "codec_driver.h"

#include "library.h"
#include "log.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

static struct {
    __typeof__(&ZSTD_createCCtx) create_encoder;
    __typeof__(&ZSTD_freeCCtx) free_encoder;
    __typeof__(&ZSTD_CCtx_reset) reset_encoder;
    __typeof__(&ZSTD_CCtx_setParameter) set_parameter;
    __typeof__(&ZSTD_compressStream2) compress;
    __typeof__(&ZSTD_CStreamOutSize) encoder_out_bytes;
    __typeof__(&ZSTD_createDCtx) create_decoder;
    __typeof__(&ZSTD_freeDCtx) free_decoder;
    __typeof__(&ZSTD_DCtx_reset) reset_decoder;
    __typeof__(&ZSTD_decompressStream) decompress;
    __typeof__(&ZSTD_DStreamOutSize) decoder_out_bytes;
    __typeof__(&ZSTD_isError) is_error;
    __typeof__(&ZSTD_getErrorCode) error_code;
    __typeof__(&ZSTD_getErrorName) error_name;
} libzstd;

static const struct library_function zstd_functions[] = {
    {"ZSTD_createCCtx", &libzstd.create_encoder},        {"ZSTD_freeCCtx", &libzstd.free_encoder},
    {"ZSTD_CCtx_reset", &libzstd.reset_encoder},         {"ZSTD_CCtx_setParameter", &libzstd.set_parameter},
    {"ZSTD_compressStream2", &libzstd.compress},         {"ZSTD_CStreamOutSize", &libzstd.encoder_out_bytes},
    {"ZSTD_createDCtx", &libzstd.create_decoder},        {"ZSTD_freeDCtx", &libzstd.free_decoder},
    {"ZSTD_DCtx_reset", &libzstd.reset_decoder},         {"ZSTD_decompressStream", &libzstd.decompress},
    {"ZSTD_DStreamOutSize", &libzstd.decoder_out_bytes}, {"ZSTD_isError", &libzstd.is_error},
    {"ZSTD_getErrorCode", &libzstd.error_code},          {"ZSTD_getErrorName", &libzstd.error_name},
};

static struct library zstd = {
    .soname = "libzstd.so.1",
    .package = "libzstd1",
    .functions = zstd_functions,
    .count = sizeof zstd_functions / sizeof *zstd_functions,
};

struct zstd_encoder {
    ZSTD_CCtx *context;
    unsigned char *out;
    size_t out_bytes;
};

static int encoder_open(struct encoder *encoder, int level)
{
    struct zstd_encoder *own;

    if (library_need(&zstd) != 0)
        return -1;
    own = encoder->own = calloc(1, sizeof *own);
    if (own == NULL)
        return log_out_of_memory();
    own->out_bytes = libzstd.encoder_out_bytes();
    own->out = malloc(own->out_bytes);
    own->context = libzstd.create_encoder();
    if (own->out == NULL || own->context == NULL ||
        libzstd.is_error(libzstd.set_parameter(own->context, ZSTD_c_compressionLevel, level)) ||
        libzstd.is_error(libzstd.set_parameter(own->context, ZSTD_c_checksumFlag, 1)))
        return log_out_of_memory();
    return 0;
}

static int begin(struct encoder *encoder)
{
    struct zstd_encoder *own = encoder->own;

    libzstd.reset_encoder(own->context, ZSTD_reset_session_only); /* never fails for a session */
    return 0;
}

/* All of the input, and with ZSTD_e_end what was kept back. */
static int feed(struct encoder *encoder, ZSTD_inBuffer *in, ZSTD_EndDirective directive)
{
    struct zstd_encoder *own = encoder->own;
    size_t left;

    do {
        ZSTD_outBuffer out = {own->out, own->out_bytes, 0};
        left = libzstd.compress(own->context, &out, in, directive);
        if (libzstd.is_error(left)) {
            log_error("could not compress: %s", libzstd.error_name(left));
            return -1;
        }
        if (out.pos > 0 && sink_write(&encoder->sink, own->out, out.pos) != 0)
            return -1;
    } while (directive == ZSTD_e_end ? left != 0 : in->pos < in->size);
    return 0;
}

static int compress(struct encoder *encoder, const void *data, size_t length)
{
    ZSTD_inBuffer in = {data, length, 0};

    return length == 0 ? 0 : feed(encoder, &in, ZSTD_e_continue);
}

static int end(struct encoder *encoder)
{
    ZSTD_inBuffer nothing = {NULL, 0, 0};

    return feed(encoder, &nothing, ZSTD_e_end);
}

static void encoder_close(struct encoder *encoder)
{
    struct zstd_encoder *own = encoder->own;

    if (own == NULL)
        return;
    libzstd.free_encoder(own->context);
    free(own->out);
    free(own);
}

struct zstd_decoder {
    ZSTD_DCtx *context;
    unsigned char *out;
    size_t out_bytes;
};

static int decoder_open(struct decoder *decoder)
{
    struct zstd_decoder *own;

    if (library_need(&zstd) != 0)
        return -1;
    own = decoder->own = calloc(1, sizeof *own);
    if (own == NULL)
        return log_out_of_memory();
    own->out_bytes = libzstd.decoder_out_bytes();
    own->out = malloc(own->out_bytes);
    own->context = libzstd.create_decoder();
    return own->out == NULL || own->context == NULL ? log_out_of_memory() : 0;
}

static const char *describe_error(size_t code)
{
    switch (libzstd.error_code(code)) {
    case ZSTD_error_checksum_wrong:
        return "the checksum of its content does not match";
    case ZSTD_error_prefix_unknown:
        return "it is no zstd frame";
    case ZSTD_error_corruption_detected:
        return "a block of it cannot be decompressed";
    default:
        return libzstd.error_name(code);
    }
}

static int decompress(struct decoder *decoder, const void *data, size_t length, const struct sink *sink)
{
    struct zstd_decoder *own = decoder->own;
    ZSTD_inBuffer in = {data, length, 0};
    bool has_more = false; /* the output was filled: there may be more without further input */

    while (in.pos < in.size || has_more) {
        ZSTD_outBuffer out = {own->out, own->out_bytes, 0};
        size_t wanted = libzstd.decompress(own->context, &out, &in);
        if (libzstd.is_error(wanted)) {
            decoder->error = describe_error(wanted);
            return -1;
        }
        decoder->is_inside = wanted != 0;
        has_more = decoder->is_inside && out.pos == out.size;
        if (out.pos > 0 && sink_write(sink, own->out, out.pos) != 0)
            return -1;
    }
    return 0;
}

static void reset(struct decoder *decoder)
{
    struct zstd_decoder *own = decoder->own;

    libzstd.reset_decoder(own->context, ZSTD_reset_session_only);
}

static void decoder_close(struct decoder *decoder)
{
    struct zstd_decoder *own = decoder->own;

    if (own == NULL)
        return;
    libzstd.free_decoder(own->context);
    free(own->out);
    free(own);
}

const struct codec_driver codec_zstd = {
    .name = "zstd",
    .levels = {.least = 1, .most = 19, .usual = 3},
    .magic = {0x28, 0xB5, 0x2F, 0xFD},
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
