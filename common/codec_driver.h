/* What a codec provides. Layer 0; included by codec.c and codec_*.c only. Each function has the meaning of
 * the encoder_ or decoder_ function of its name. */
#ifndef WALFERRY_CODEC_DRIVER_H
#define WALFERRY_CODEC_DRIVER_H

#include "codec.h"

struct encoder {
    const struct codec_driver *driver;
    void *own; /* the driver's */
    struct sink sink;
};

struct decoder {
    const struct codec_driver *driver; /* NULL: nothing has begun yet */
    void *own;
    bool is_inside; /* a frame; kept by write */
    const char *error;
};

struct codec_driver {
    const char *name;
    struct codec_levels levels;
    unsigned char magic[CODEC_MAGIC_BYTES]; /* with which its frames begin */
    int (*encoder_open)(struct encoder *encoder, int level);
    int (*begin)(struct encoder *encoder);
    int (*write)(struct encoder *encoder, const void *data, size_t length);
    int (*end)(struct encoder *encoder);
    void (*encoder_close)(struct encoder *encoder); /* also after a failed open */
    int (*decoder_open)(struct decoder *decoder);
    void (*reset)(struct decoder *decoder); /* forgets an unfinished frame */
    int (*read)(struct decoder *decoder, const void *data, size_t length, const struct sink *sink);
    void (*decoder_close)(struct decoder *decoder); /* also after a failed open */
};

extern const struct codec_driver codec_lz4, codec_zstd;

#endif
