#include "log.h"

#include "timestamp.h"
#include "utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 8192

static const char *program_name = "walferry";
static enum log_level threshold_level = LOG_INFO;
static bool json_lines;
static char first_error[LINE_BYTES];
static atomic_int first_error_state; /* 0: none yet, 1: being written, 2: there */
static _Atomic(const char *) first_error_kind;
static _Thread_local bool last_was_shown, is_muted, last_was_first;
static _Thread_local char last_error[1024];

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG:
        return "debug";
    case LOG_INFO:
        return "info";
    case LOG_WARNING:
        return "warning";
    case LOG_ERROR:
        break;
    }
    return "error";
}

void log_open(const char *program, enum log_level threshold, bool json)
{
    program_name = program;
    threshold_level = threshold;
    json_lines = json;
}

void log_set_threshold(enum log_level threshold)
{
    threshold_level = threshold;
}

void log_set_json(bool json)
{
    json_lines = json;
}

bool log_is_json(void)
{
    return json_lines;
}

bool log_shows(enum log_level level)
{
    return (is_muted ? LOG_DEBUG : level) >= threshold_level;
}

bool log_mute_thread(bool mute)
{
    bool before = is_muted;

    is_muted = mute;
    return before;
}

void log_blank_control_characters(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void write_line(const char *text, size_t length)
{
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written; /* nowhere left to complain */
}

/* message as a JSON string without its quotes; what does not fit is cut. Control characters are gone already.
 */
static void quote_json(const char *message, char *out, size_t out_bytes)
{
    const unsigned char *next = (const unsigned char *)message;
    size_t left = strlen(message), length = 0;

    while (left > 0 && length + 6 < out_bytes) {
        size_t bytes = utf8_sequence_length(next, left);
        if (*next == '"' || *next == '\\')
            out[length++] = '\\';
        if (bytes == 0) {
            out[length++] = '?';
            bytes = 1;
        } else {
            memcpy(out + length, next, bytes);
            length += bytes;
        }
        next += bytes;
        left -= bytes;
    }
    out[length] = '\0';
}

static void write_json(const char *level, const char *message)
{
    char now[TIMESTAMP_TEXT_BYTES], quoted[LINE_BYTES - 256], line[LINE_BYTES];

    timestamp_format_iso_micros(timestamp_now(), now);
    quote_json(message, quoted, sizeof quoted);
    int length = snprintf(line, sizeof line,
                          "{\"time\":\"%s\",\"program\":\"%s\",\"level\":\"%s\",\"message\":\"%s\"}\n", now,
                          program_name, level, quoted);
    if (length > 0)
        write_line(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

static void keep_first_error(const char *message)
{
    int none = 0;

    last_was_first = atomic_compare_exchange_strong(&first_error_state, &none, 1);
    if (!last_was_first)
        return;
    snprintf(first_error, sizeof first_error, "%s", message);
    atomic_store(&first_error_state, 2);
}

const char *log_first_error(void)
{
    return atomic_load(&first_error_state) == 2 ? first_error : NULL;
}

const char *log_last_error(void)
{
    return last_error[0] != '\0' ? last_error : NULL;
}

void log_tell_kind(const char *kind)
{
    const char *none = NULL;

    if (last_was_first && !is_muted)
        atomic_compare_exchange_strong(&first_error_kind, &none, kind);
}

const char *log_error_kind(void)
{
    return atomic_load(&first_error_kind);
}

void log_take_over(const char *message)
{
    snprintf(last_error, sizeof last_error, "%s", message);
}

static void write_message(const char *level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void write_message(const char *level, const char *format, va_list arguments)
{
    char message[LINE_BYTES - 256], line[LINE_BYTES];

    vsnprintf(message, sizeof message, format, arguments);
    log_blank_control_characters(message);
    if (level == level_name(LOG_ERROR)) {
        keep_first_error(message);
        snprintf(last_error, sizeof last_error, "%.*s", (int)sizeof last_error - 1, message);
    }
    if (json_lines) {
        write_json(level, message);
        return;
    }
    int length = snprintf(line, sizeof line, "%s: %s: %s\n", program_name, level, message);
    if (length > 0)
        write_line(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

#define LOG_AT(level)                                                                                        \
    do {                                                                                                     \
        int saved_errno = errno;                                                                             \
        last_was_shown = log_shows(level);                                                                   \
        if (last_was_shown) {                                                                                \
            va_list arguments;                                                                               \
            va_start(arguments, format);                                                                     \
            write_message(level_name(is_muted ? LOG_DEBUG : (level)), format, arguments);                    \
            va_end(arguments);                                                                               \
        }                                                                                                    \
        errno = saved_errno;                                                                                 \
    } while (0)

void log_debug(const char *format, ...)
{
    LOG_AT(LOG_DEBUG);
}

void log_info(const char *format, ...)
{
    LOG_AT(LOG_INFO);
}

void log_warning(const char *format, ...)
{
    LOG_AT(LOG_WARNING);
}

void log_error(const char *format, ...)
{
    LOG_AT(LOG_ERROR);
}

void log_hint(const char *format, ...)
{
    int saved_errno = errno;
    if (last_was_shown) {
        va_list arguments;
        va_start(arguments, format);
        write_message("hint", format, arguments);
        va_end(arguments);
    }
    errno = saved_errno;
}

int log_out_of_memory(void)
{
    log_error("out of memory");
    return -1;
}
