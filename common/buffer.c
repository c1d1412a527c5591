#include "buffer.h"

#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRINTF_BYTES 256 /* most are shorter: then they are made only once */

int buffer_reserve(struct buffer *buffer, size_t extra_bytes)
{
    if (extra_bytes > SIZE_MAX / 2 - buffer->length - 1)
        return log_out_of_memory();
    size_t needed = buffer->length + extra_bytes + 1;
    if (needed <= buffer->capacity)
        return 0;
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;
    while (capacity < needed)
        capacity += capacity / 2;
    unsigned char *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return log_out_of_memory();
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    if (buffer_reserve(buffer, length) != 0)
        return -1;
    if (length > 0)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
    return 0;
}

int buffer_append_string(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;

    if (buffer_reserve(buffer, PRINTF_BYTES) != 0)
        return -1;
    va_start(arguments, format);
    int length = vsnprintf((char *)buffer->data + buffer->length, PRINTF_BYTES, format, arguments);
    va_end(arguments);
    if (length < 0)
        return log_out_of_memory();
    if (length >= PRINTF_BYTES) {
        if (buffer_reserve(buffer, (size_t)length) != 0)
            return -1;
        va_start(arguments, format);
        vsnprintf((char *)buffer->data + buffer->length, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    buffer->length += (size_t)length;
    return 0;
}

int buffer_append_uint(struct buffer *buffer, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return buffer_append(buffer, digits + at, sizeof digits - at);
}

const char *buffer_string(const struct buffer *buffer)
{
    return buffer->data == NULL ? "" : (const char *)buffer->data;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->length = 0;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}

void buffer_free(struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    free(buffer->data);
    *buffer = (struct buffer)BUFFER_EMPTY;
}

void buffer_wipe(struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    if (buffer->data != NULL)
        explicit_bzero(buffer->data, buffer->capacity);
    buffer_free(buffer);
}

int sink_write(const struct sink *sink, const void *data, size_t length)
{
    return sink->write(sink->context, data, length);
}

static int append_to_buffer(void *context, const void *data, size_t length)
{
    return buffer_append(context, data, length);
}

struct sink sink_to_buffer(struct buffer *buffer)
{
    return (struct sink){append_to_buffer, buffer};
}

char *string_printf(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        log_out_of_memory();
        return NULL;
    }
    return text;
}

char *string_copy(const char *text)
{
    char *copy = strdup(text);

    if (copy == NULL)
        log_out_of_memory();
    return copy;
}
