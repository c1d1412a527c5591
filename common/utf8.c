#include "utf8.h"

#include <stdint.h>

size_t utf8_sequence_length(const unsigned char *text, size_t length)
{
    static const uint32_t least_point[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes;

    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xC0 && text[0] < 0xE0)
        bytes = 2;
    else if (text[0] >= 0xE0 && text[0] < 0xF0)
        bytes = 3;
    else if (text[0] >= 0xF0 && text[0] < 0xF8)
        bytes = 4;
    else
        return 0;
    if (bytes > length)
        return 0;
    uint32_t point = text[0] & (0xFFu >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3Fu);
    }
    if (point < least_point[bytes] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF))
        return 0;
    return bytes;
}

bool utf8_is_valid(const char *text, size_t length)
{
    const unsigned char *next = (const unsigned char *)text;

    while (length > 0) {
        size_t bytes = utf8_sequence_length(next, length);
        if (bytes == 0)
            return false;
        next += bytes;
        length -= bytes;
    }
    return true;
}
