/* Is a text well-formed UTF-8? JSON holds nothing else, but PostgreSQL's paths and labels may be any bytes.
 * Layer 0. */
#ifndef WALFERRY_UTF8_H
#define WALFERRY_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the well-formed sequence that text (at least one byte) begins with; 0 if there is none. */
size_t utf8_sequence_length(const unsigned char *text, size_t length);
/* False also for overlong forms, surrogates and code points above U+10FFFF. */
bool utf8_is_valid(const char *text, size_t length);

#endif
