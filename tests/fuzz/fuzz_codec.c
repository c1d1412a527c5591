/* Frames, of the codec that their first bytes tell. What is given in pieces comes out as what is given at
 * once.
 */
#include "fuzz.h"

#include "common/codec.h"

#define FUZZ_CODEC_BYTES_MOST (64u << 20)

struct fuzz_codec {
    struct sha256 hash;
    uint64_t bytes;
};

static int fuzz_codec_take(void *context, const void *data, size_t length)
{
    struct fuzz_codec *taken = context;

    sha256_update(&taken->hash, data, length);
    taken->bytes += length;
    return taken->bytes > FUZZ_CODEC_BYTES_MOST ? -1 : 0;
}

struct fuzz_codec_input {
    struct decoder *decoder;
    struct sink plain;
};

static int fuzz_codec_give(void *context, const void *data, size_t length)
{
    struct fuzz_codec_input *input = context;

    return decoder_write(input->decoder, data, length, &input->plain);
}

static enum codec fuzz_codec_of(const uint8_t *data, size_t length)
{
    enum codec codec = length < CODEC_MAGIC_BYTES ? CODEC_NONE : codec_of_magic(data);

    return codec == CODEC_NONE ? CODEC_LZ4 : codec;
}

/* True when it was a whole, undamaged stream. */
static int fuzz_codec_decode(const uint8_t *data, size_t length, size_t piece,
                             unsigned char digest[SHA256_BYTES])
{
    struct fuzz_codec taken = {{NULL}, 0};
    struct fuzz_codec_input input = {decoder_new(), {fuzz_codec_take, &taken}};
    const struct sink sink = {fuzz_codec_give, &input};
    int whole;

    FUZZ_CHECK(input.decoder != NULL && sha256_begin(&taken.hash) == 0 &&
               decoder_begin(input.decoder, fuzz_codec_of(data, length)) == 0);
    if (fuzz_push(&sink, data, length, piece) == 0) {
        whole = decoder_at_boundary(input.decoder);
        sha256_finish(&taken.hash, digest);
    } else {
        whole = 0;
        FUZZ_CHECK(decoder_error(input.decoder) != NULL || taken.bytes > FUZZ_CODEC_BYTES_MOST);
        FUZZ_CHECK(decoder_begin(input.decoder, CODEC_LZ4) == 0 && decoder_at_boundary(input.decoder));
    }
    decoder_free(input.decoder);
    sha256_free(&taken.hash);
    return whole;
}

FUZZ_TARGET(codec)
{
    unsigned char at_once[SHA256_BYTES], in_pieces[SHA256_BYTES];
    int whole = fuzz_codec_decode(data, length, length + 1, at_once);

    FUZZ_CHECK(fuzz_codec_decode(data, length, 1 + length % 13, in_pieces) == whole);
    FUZZ_CHECK(!whole || memcmp(at_once, in_pieces, sizeof at_once) == 0);
    return 0;
}
