#include "checksum.h"

#include "log.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

int checksum_begin(struct checksum *checksum)
{
    if (checksum->state == NULL)
        checksum->state = XXH3_createState();
    if (checksum->state != NULL && XXH3_128bits_reset(checksum->state) == XXH_OK)
        return 0;
    log_out_of_memory();
    return -1;
}

void checksum_update(struct checksum *checksum, const void *data, size_t length)
{
    XXH3_128bits_update(checksum->state, data, length);
}

static void make_canonical(XXH128_hash_t hash, unsigned char digest[CHECKSUM_BYTES])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(digest, canonical.digest, CHECKSUM_BYTES);
}

void checksum_digest(const struct checksum *checksum, unsigned char digest[CHECKSUM_BYTES])
{
    make_canonical(XXH3_128bits_digest(checksum->state), digest);
}

void checksum_free(struct checksum *checksum)
{
    XXH3_freeState(checksum->state);
    checksum->state = NULL;
}

void checksum_of(const void *data, size_t length, unsigned char digest[CHECKSUM_BYTES])
{
    make_canonical(XXH3_128bits(data, length), digest);
}
