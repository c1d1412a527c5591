#include "codec_driver.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>

/* No codec at all */

static int succeed_encoder(struct encoder *encoder)
{
    (void)encoder;
    return 0;
}

static int open_plain_encoder(struct encoder *encoder, int level)
{
    (void)encoder;
    (void)level;
    return 0;
}

static int write_plain(struct encoder *encoder, const void *data, size_t length)
{
    return length == 0 ? 0 : sink_write(&encoder->sink, data, length);
}

static void close_plain_encoder(struct encoder *encoder)
{
    (void)encoder;
}

static int open_plain_decoder(struct decoder *decoder)
{
    (void)decoder;
    return 0;
}

static void leave_decoder(struct decoder *decoder)
{
    (void)decoder;
}

static int read_plain(struct decoder *decoder, const void *data, size_t length, const struct sink *sink)
{
    (void)decoder;
    return length == 0 ? 0 : sink_write(sink, data, length);
}

static const struct codec_driver codec_plain = {
    .name = "none",
    .encoder_open = open_plain_encoder,
    .begin = succeed_encoder,
    .write = write_plain,
    .end = succeed_encoder,
    .encoder_close = close_plain_encoder,
    .decoder_open = open_plain_decoder,
    .reset = leave_decoder,
    .read = read_plain,
    .decoder_close = leave_decoder,
};

/* All of them */

static const struct codec_driver *const drivers[CODEC_COUNT] = {
    [CODEC_LZ4] = &codec_lz4, [CODEC_ZSTD] = &codec_zstd, [CODEC_NONE] = &codec_plain};

const char *codec_name(enum codec codec)
{
    return drivers[codec]->name;
}

bool codec_by_name(const char *name, enum codec *codec)
{
    for (unsigned i = 0; name != NULL && i < CODEC_COUNT; i++)
        if (strcmp(drivers[i]->name, name) == 0) {
            *codec = (enum codec)i;
            return true;
        }
    return false;
}

struct codec_levels codec_levels(enum codec codec)
{
    return drivers[codec]->levels;
}

enum codec codec_of_magic(const unsigned char magic[CODEC_MAGIC_BYTES])
{
    for (unsigned i = 0; i < CODEC_COUNT; i++)
        if (i != CODEC_NONE && memcmp(drivers[i]->magic, magic, CODEC_MAGIC_BYTES) == 0)
            return (enum codec)i;
    return CODEC_NONE;
}

bool compression_is_equal(const struct compression *left, const struct compression *right)
{
    return left->codec == right->codec && left->level == right->level;
}

struct encoder *encoder_new(const struct compression *compression)
{
    struct encoder *encoder = calloc(1, sizeof *encoder);

    if (encoder == NULL) {
        log_out_of_memory();
        return NULL;
    }
    encoder->driver = drivers[compression->codec];
    if (encoder->driver->encoder_open(encoder, compression->level) == 0)
        return encoder;
    encoder_free(encoder);
    return NULL;
}

int encoder_begin(struct encoder *encoder, struct sink sink)
{
    encoder->sink = sink;
    return encoder->driver->begin(encoder);
}

int encoder_write(struct encoder *encoder, const void *data, size_t length)
{
    return encoder->driver->write(encoder, data, length);
}

int encoder_end(struct encoder *encoder)
{
    return encoder->driver->end(encoder);
}

void encoder_free(struct encoder *encoder)
{
    if (encoder == NULL)
        return;
    encoder->driver->encoder_close(encoder);
    free(encoder);
}

struct decoder *decoder_new(void)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);

    if (decoder == NULL)
        log_out_of_memory();
    return decoder;
}

static void close_codec(struct decoder *decoder)
{
    if (decoder->driver != NULL)
        decoder->driver->decoder_close(decoder);
    decoder->driver = NULL;
    decoder->own = NULL;
}

int decoder_begin(struct decoder *decoder, enum codec codec)
{
    const struct codec_driver *driver = drivers[codec];

    decoder->is_inside = false;
    decoder->error = NULL;
    if (decoder->driver == driver) {
        driver->reset(decoder);
        return 0;
    }
    close_codec(decoder);
    decoder->driver = driver;
    if (driver->decoder_open(decoder) == 0)
        return 0;
    close_codec(decoder);
    return -1;
}

int decoder_write(struct decoder *decoder, const void *data, size_t length, const struct sink *sink)
{
    decoder->error = NULL;
    return decoder->driver->read(decoder, data, length, sink);
}

bool decoder_at_boundary(const struct decoder *decoder)
{
    return !decoder->is_inside;
}

const char *decoder_error(const struct decoder *decoder)
{
    return decoder->error;
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    close_codec(decoder);
    free(decoder);
}
