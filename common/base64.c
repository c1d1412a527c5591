#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Up to three bytes as four digits. */
static void encode_group(const unsigned char *bytes, size_t length, char out[4])
{
    uint32_t group = 0;

    for (size_t i = 0; i < 3; i++)
        group = group << 8 | (i < length ? bytes[i] : 0);
    for (size_t i = 0; i < 4; i++)
        out[i] = i <= length ? digits[group >> (18 - 6 * i) & 63] : '=';
}

void base64_encode(const void *data, size_t length, char *out)
{
    const unsigned char *next = data;

    for (; length > 0; out += 4) {
        size_t taken = length < 3 ? length : 3;
        encode_group(next, taken, out);
        next += taken;
        length -= taken;
    }
    *out = '\0';
}

/* Four digits as up to three bytes; false unless these give the same digits. */
static bool decode_group(const char *text, unsigned char *out, size_t length)
{
    uint32_t group = 0;
    char again[4];

    for (size_t i = 0; i < 4; i++) {
        const char *digit = text[i] == '\0' ? NULL : strchr(digits, text[i]);
        group = group << 6 | (digit == NULL ? 0 : (uint32_t)(digit - digits));
    }
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)(group >> (16 - 8 * i));
    encode_group(out, length, again);
    return memcmp(again, text, sizeof again) == 0;
}

bool base64_decode(const char *text, void *out, size_t length)
{
    unsigned char *next = out;

    if (strlen(text) != BASE64_TEXT_BYTES(length) - 1)
        return false;
    for (; length > 0; text += 4) {
        size_t taken = length < 3 ? length : 3;
        if (!decode_group(text, next, taken))
            return false;
        next += taken;
        length -= taken;
    }
    return true;
}
