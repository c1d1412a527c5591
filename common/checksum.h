/* XXH3 with 128 bits (xxHash): tells damage, and is ten times as fast as SHA-256, but no defence against
 * somebody who means to deceive. So only for what walferry itself has put on a local disk, after SHA-256 had
 * found it right. Layer 0; the only user of xxHash, which is compiled in: no library to load. */
#ifndef WALFERRY_CHECKSUM_H
#define WALFERRY_CHECKSUM_H

#include <stddef.h>

#define CHECKSUM_BYTES 16
#define CHECKSUM_HEX_BYTES 33 /* with the closing zero */

struct checksum {
    void *state; /* owned; NULL before checksum_begin */
};

/* Starts, or starts again. 0, or -1 after logging (no memory). */
int checksum_begin(struct checksum *checksum);
void checksum_update(struct checksum *checksum, const void *data, size_t length);
/* Of what has come so far. In xxHash's canonical form: the hex digits are those that xxh128sum prints. */
void checksum_digest(const struct checksum *checksum, unsigned char digest[CHECKSUM_BYTES]);
void checksum_free(struct checksum *checksum);

void checksum_of(const void *data, size_t length, unsigned char digest[CHECKSUM_BYTES]);

#endif
