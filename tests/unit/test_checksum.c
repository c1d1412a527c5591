/* The checksum is xxHash's XXH3-128 in its canonical form, whatever the pieces it is given. */
#include "unit.h"

#include "common/checksum.h"
#include "common/digest.h"

#include <string.h>

static const char *hex_of(const void *data, size_t length)
{
    static char hex[CHECKSUM_HEX_BYTES];
    unsigned char digest[CHECKSUM_BYTES];

    checksum_of(data, length, digest);
    hex_encode(digest, sizeof digest, hex);
    return hex;
}

int main(void)
{
    static unsigned char data[100000];
    static const size_t pieces[] = {1, 7, 256, 1024, 4096, 65536, sizeof data};
    unsigned char whole[CHECKSUM_BYTES], digest[CHECKSUM_BYTES];
    struct checksum checksum = {NULL};

    CHECK(strcmp(hex_of("", 0), "99aa06d3014798d86001c324468d497f") == 0); /* as xxh128sum prints them */
    CHECK(strcmp(hex_of("walferry", 8), "889e30916df10f9246c1537a2f107aad") == 0);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 2654435761u >> 13);
    checksum_of(data, sizeof data, whole);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        CHECK(checksum_begin(&checksum) == 0);
        for (size_t at = 0; at < sizeof data; at += pieces[i])
            checksum_update(&checksum, data + at,
                            sizeof data - at < pieces[i] ? sizeof data - at : pieces[i]);
        checksum_digest(&checksum, digest);
        CHECK(memcmp(digest, whole, sizeof whole) == 0);
    }
    checksum_free(&checksum);
    data[77777] ^= 1;
    checksum_of(data, sizeof data, digest);
    CHECK(memcmp(digest, whole, sizeof whole) != 0);
    return unit_done("checksum");
}
