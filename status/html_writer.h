/* Markup into a buffer, well-formed as XML is. What others have written (names, messages of a store) goes
 * through html_text alone, and can't become markup. */
#ifndef WALFERRY_HTML_WRITER_H
#define WALFERRY_HTML_WRITER_H

#include "common/buffer.h"

#include <stdbool.h>

struct html {
    struct buffer *out;
    bool has_failed; /* no memory, logged: nothing more is written */
};

/* Markup of our own. Arguments are numbers and words of our own, too. */
void html_markup(struct html *html, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text of any bytes, between tags or in an attribute's double quotes: what means something is escaped, what
 * is no UTF-8, or a control character, becomes U+FFFD. */
void html_text(struct html *html, const char *text);

#endif
