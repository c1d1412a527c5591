/* Compress and decompress chunk by chunk, as LZ4 frames. Layer 0; the only user of lz4frame.h.
 * Frames are made with independent 256 KiB blocks and a content checksum, so that `lz4 -d` reads and checks
 * them.
 */
#ifndef WALFERRY_CODEC_H
#define WALFERRY_CODEC_H

#include "buffer.h"

#include <stdbool.h>

#define CODEC_NAME_LZ4 "lz4"

struct encoder;
struct decoder;

/* level: as of `lz4 -LEVEL`, 1..12. NULL after logging. */
struct encoder *encoder_new(int level);
/* A frame: begin, write any number of times, end. Compressed bytes go to the sink of begin, which is borrowed
 * until end. 0, or -1 after logging; the frame is then lost and begin starts another. */
int encoder_begin(struct encoder *encoder, struct sink sink);
int encoder_write(struct encoder *encoder, const void *data, size_t length);
int encoder_end(struct encoder *encoder);
void encoder_free(struct encoder *encoder);

struct decoder *decoder_new(void);
/* Decompresses these bytes into sink. Any number of frames may follow each other; skippable frames are
 * skipped. 0, or -1 (damaged input; error_text says what, nothing is logged, since only the caller knows the
 * object; or the sink failed, error_text is then NULL). */
int decoder_write(struct decoder *decoder, const void *data, size_t length, const struct sink *sink);
/* True between two frames: where an undamaged stream ends. */
bool decoder_at_boundary(const struct decoder *decoder);
const char *decoder_error(const struct decoder *decoder);
/* Forgets an unfinished frame. */
void decoder_reset(struct decoder *decoder);
void decoder_free(struct decoder *decoder);

#endif
