/* Base64 as in RFC 4648, with padding. Layer 0. */
#ifndef WALFERRY_BASE64_H
#define WALFERRY_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Of so many bytes, with the closing zero. */
#define BASE64_TEXT_BYTES(length) (((length) + 2) / 3 * 4 + 1)

/* out has room for BASE64_TEXT_BYTES(length). */
void base64_encode(const void *data, size_t length, char *out);
/* False unless text is exactly what length bytes are encoded as. */
bool base64_decode(const char *text, void *out, size_t length);

#endif
