/* SHA-256 of what lies in a file, or in a piece of it. */
#ifndef WALFERRY_FILE_HASH_H
#define WALFERRY_FILE_HASH_H

#include "common/digest.h"

/* From offset at most length bytes, to the end of the file if it comes first. 0, or -1 with errno set and
 * nothing logged. */
int file_hash(int fd, uint64_t offset, uint64_t length, unsigned char sha256[SHA256_BYTES]);

#endif
