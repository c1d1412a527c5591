/* Owned, growing bytes, and the two shapes in which data travels: a sink (push) and a body (what is
 * uploaded). Layer 0. */
#ifndef WALFERRY_BUFFER_H
#define WALFERRY_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    unsigned char
        *data; /* always followed by a zero byte that length does not count, once anything was appended */
    size_t length;
    size_t capacity;
};

#define BUFFER_EMPTY                                                                                         \
    {                                                                                                        \
        NULL, 0, 0                                                                                           \
    }

/* Each returns 0, or -1 after logging "out of memory"; the contents are then unchanged. */
int buffer_reserve(struct buffer *buffer, size_t extra_bytes);
int buffer_append(struct buffer *buffer, const void *data, size_t length);
int buffer_append_string(struct buffer *buffer, const char *text);
int buffer_append_uint(struct buffer *buffer, uint64_t value); /* in decimal */
int buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The bytes as a string; "" when empty. Borrowed until the next change. */
const char *buffer_string(const struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* keeps the memory */
void buffer_free(struct buffer *buffer);  /* NULL-safe; leaves an empty buffer */
void buffer_wipe(struct buffer *buffer);  /* overwrites, then frees: for secrets */

/* A place that bytes are pushed into, in order. write returns 0, or -1 after logging. */
struct sink {
    int (*write)(void *context, const void *data, size_t length);
    void *context;
};

int sink_write(const struct sink *sink, const void *data, size_t length);
struct sink sink_to_buffer(struct buffer *buffer);

/* Bytes to be uploaded, readable again for every retry (body_read of file.h), and then the same. Borrowed
 * from whoever made it. */
struct body {
    const void *data; /* in memory; or NULL, then */
    int fd;           /* read with pread from offset 0; or: */
    /* Makes length bytes from offset; NULL: none of this. 0, or -1 after logging. */
    int (*read_at)(void *context, uint64_t offset, void *out, size_t length);
    void *context;
    uint64_t length;          /* bytes */
    unsigned char sha256[32]; /* of exactly these bytes; only S3 needs it */
};

/* A NUL-terminated copy built like printf; the caller frees. NULL after logging "out of memory". */
char *string_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *string_copy(const char *text);

#endif
