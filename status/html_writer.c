#include "html_writer.h"

#include "common/log.h"
#include "common/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

void html_markup(struct html *html, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;

    if (html->has_failed)
        return;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        html->has_failed = log_out_of_memory() != 0;
        return;
    }
    html->has_failed = buffer_append(html->out, text, (size_t)length) != 0;
    free(text);
}

static const char *escape(unsigned char byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return byte < 0x20 || byte == 0x7F ? REPLACEMENT : NULL;
    }
}

void html_text(struct html *html, const char *text)
{
    size_t left = strlen(text);

    while (left > 0 && !html->has_failed) {
        size_t length = utf8_sequence_length((const unsigned char *)text, left);
        const char *instead = length == 0 ? REPLACEMENT : escape((unsigned char)*text);
        html->has_failed = (instead != NULL ? buffer_append_string(html->out, instead)
                                            : buffer_append(html->out, text, length)) != 0;
        length = length == 0 ? 1 : length;
        text += length;
        left -= length;
    }
}
