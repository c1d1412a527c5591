/* LZ4 frames. What is given in pieces comes out as what is given at once. */
#include "fuzz.h"

#include "common/codec.h"

#define FUZZ_LZ4_BYTES_MOST (64u << 20)

struct fuzz_lz4 {
    struct sha256 hash;
    uint64_t bytes;
};

static int fuzz_lz4_take(void *context, const void *data, size_t length)
{
    struct fuzz_lz4 *taken = context;

    sha256_update(&taken->hash, data, length);
    taken->bytes += length;
    return taken->bytes > FUZZ_LZ4_BYTES_MOST ? -1 : 0;
}

struct fuzz_lz4_input {
    struct decoder *decoder;
    struct sink plain;
};

static int fuzz_lz4_give(void *context, const void *data, size_t length)
{
    struct fuzz_lz4_input *input = context;

    return decoder_write(input->decoder, data, length, &input->plain);
}

/* True when it was a whole, undamaged stream. */
static int fuzz_lz4_decode(const uint8_t *data, size_t length, size_t piece,
                           unsigned char digest[SHA256_BYTES])
{
    struct fuzz_lz4 taken = {{NULL}, 0};
    struct fuzz_lz4_input input = {decoder_new(), {fuzz_lz4_take, &taken}};
    const struct sink sink = {fuzz_lz4_give, &input};
    int whole;

    FUZZ_CHECK(input.decoder != NULL && sha256_begin(&taken.hash) == 0);
    if (fuzz_push(&sink, data, length, piece) == 0) {
        whole = decoder_at_boundary(input.decoder);
        sha256_finish(&taken.hash, digest);
    } else {
        whole = 0;
        FUZZ_CHECK(decoder_error(input.decoder) != NULL || taken.bytes > FUZZ_LZ4_BYTES_MOST);
        decoder_reset(input.decoder);
        FUZZ_CHECK(decoder_at_boundary(input.decoder));
    }
    decoder_free(input.decoder);
    sha256_free(&taken.hash);
    return whole;
}

FUZZ_TARGET(lz4)
{
    unsigned char at_once[SHA256_BYTES], in_pieces[SHA256_BYTES];
    int whole = fuzz_lz4_decode(data, length, length + 1, at_once);

    FUZZ_CHECK(fuzz_lz4_decode(data, length, 1 + length % 13, in_pieces) == whole);
    FUZZ_CHECK(!whole || memcmp(at_once, in_pieces, sizeof at_once) == 0);
    return 0;
}
