#include "file_hash.h"

#include <errno.h>
#include <unistd.h>

#define CHUNK_BYTES (64u * 1024)

int file_hash(int fd, uint64_t offset, uint64_t length, unsigned char sha256[SHA256_BYTES])
{
    unsigned char chunk[CHUNK_BYTES];
    struct sha256 hash = {NULL};
    ssize_t got = -1;

    if (sha256_begin(&hash) != 0) {
        errno = ENOMEM;
        return -1;
    }
    while (length > 0 && (got = pread(fd, chunk, length < CHUNK_BYTES ? (size_t)length : CHUNK_BYTES,
                                      (off_t)offset)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        sha256_update(&hash, chunk, (size_t)got);
        offset += (uint64_t)got;
        length -= (uint64_t)got;
    }
    int error = errno;
    sha256_finish(&hash, sha256);
    sha256_free(&hash);
    errno = error;
    return length > 0 && got < 0 ? -1 : 0;
}
