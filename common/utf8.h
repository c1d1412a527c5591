/* Is a text well-formed UTF-8? JSON holds nothing else, but PostgreSQL's paths and labels may be any bytes.
 * Layer 0. */
#ifndef WALFERRY_UTF8_H
#define WALFERRY_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* False also for overlong forms, surrogates and code points above U+10FFFF. */
bool utf8_is_valid(const char *text, size_t length);

#endif
