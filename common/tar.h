/* Headers of tar members: ustar, with a pax extended header in front when a name or a size does not fit.
 * Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". Layer 0. */
#ifndef WALFERRY_TAR_H
#define WALFERRY_TAR_H

#include "buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TAR_BLOCK_BYTES 512

struct tar_member {
    const char *path; /* relative, without a closing slash */
    bool is_directory;
    unsigned mode;            /* permission bits */
    uint64_t bytes;           /* of the content; 0 for a directory */
    int64_t modified_seconds; /* since 1970 */
    uid_t user;
    gid_t group;
    const char *user_name; /* "" when unknown; cut at 31 bytes */
    const char *group_name;
};

/* Appends everything that stands before the content: a multiple of TAR_BLOCK_BYTES. 0, or -1 after logging.
 */
int tar_header_write(const struct tar_member *member, struct buffer *out);

/* Zero bytes that have to follow content of this size. */
size_t tar_padding_bytes(uint64_t bytes);

#endif
