/* Compress and decompress chunk by chunk. Layer 0. Each codec is a file of its own (codec_lz4.c,
 * codec_zstd.c). LZ4 frames have independent 256 KiB blocks; LZ4 and zstd frames have a content checksum, so
 * that `lz4 -d` and `zstd -d` read and check them. "none" passes everything on as it is: it has no frames. */
#ifndef WALFERRY_CODEC_H
#define WALFERRY_CODEC_H

#include "buffer.h"

#include <stdbool.h>

enum codec { CODEC_LZ4, CODEC_ZSTD, CODEC_NONE };
#define CODEC_COUNT 3

/* As documents, indexes and the configuration have it: "lz4", "zstd", "none". */
const char *codec_name(enum codec codec);
bool codec_by_name(const char *name, enum codec *codec); /* false: there is no such codec; NULL-safe */

/* The levels are those of `lz4 -LEVEL` and `zstd -LEVEL`. */
struct codec_levels {
    int least, most; /* both 0: it has none */
    int usual;
};
struct codec_levels codec_levels(enum codec codec);

/* The codec of a stream that begins with these bytes: CODEC_NONE where no frame begins with them. */
#define CODEC_MAGIC_BYTES 4
enum codec codec_of_magic(const unsigned char magic[CODEC_MAGIC_BYTES]);

struct compression {
    enum codec codec;
    int level;
};
bool compression_is_equal(const struct compression *left, const struct compression *right);

struct encoder;
struct decoder;

/* NULL after logging. */
struct encoder *encoder_new(const struct compression *compression);
/* A frame: begin, write any number of times, end. Compressed bytes go to the sink of begin, which is borrowed
 * until end. 0, or -1 after logging; the frame is then lost and begin starts another. */
int encoder_begin(struct encoder *encoder, struct sink sink);
int encoder_write(struct encoder *encoder, const void *data, size_t length);
int encoder_end(struct encoder *encoder);
void encoder_free(struct encoder *encoder); /* NULL-safe */

struct decoder *decoder_new(void); /* NULL after logging */
/* Before the first bytes, and before those of another stream: an unfinished frame is forgotten. 0, or -1
 * after logging. */
int decoder_begin(struct decoder *decoder, enum codec codec);
/* Decompresses these bytes into sink. Any number of frames may follow each other; skippable frames are
 * skipped. 0, or -1 (damaged input; error_text says what, nothing is logged, since only the caller knows the
 * object; or the sink failed, error_text is then NULL). */
int decoder_write(struct decoder *decoder, const void *data, size_t length, const struct sink *sink);
/* True between two frames: where an undamaged stream ends. */
bool decoder_at_boundary(const struct decoder *decoder);
const char *decoder_error(const struct decoder *decoder);
void decoder_free(struct decoder *decoder); /* NULL-safe */

#endif
