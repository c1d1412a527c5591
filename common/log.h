/* Messages to standard error: "program: level: message", with a "program: hint: ..." line where the user can
 * act. Text, or one JSON object a line. Layer 0; nothing else writes to standard error. All functions are
 * thread-safe (one write(2) a line) and keep errno; %m is errno's text. */
#ifndef WALFERRY_LOG_H
#define WALFERRY_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

/* program is borrowed for the life of the process. Messages below threshold are not written. */
void log_open(const char *program, enum log_level threshold, bool json);
void log_set_threshold(enum log_level threshold);
void log_set_json(bool json);
bool log_is_json(void);
bool log_shows(enum log_level level);
/* Whatever this thread says from now on is a debug message: of work that nobody asked for yet, whose failure
 * is none. Returns what was so before. */
bool log_mute_thread(bool mute);

void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What the user can do about the message this thread logged last; written only if that one was. */
void log_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The message of the first error that any thread logged; NULL: none. For a report at the end. */
const char *log_first_error(void);
/* That of the last one that this thread logged; NULL: none. Valid until its next. For a list of findings. */
const char *log_last_error(void);
/* What the error that this thread logged last is about, in one word of outcome.h: kept if that is the first
 * error of all. A word that is never freed. */
void log_tell_kind(const char *kind);
/* Of the first error; NULL: nobody told. */
const char *log_error_kind(void);
/* It was another thread that logged it, in work that it did for this one. */
void log_take_over(const char *message);

/* A message is one line: a file name with a line end in it, or what a store says, must not forge another one.
 */
void log_blank_control_characters(char *text);

/* Logs "out of memory" and returns -1, so that callers write: return log_out_of_memory(); */
int log_out_of_memory(void);

#endif
