/* JSON documents, read and built. Layer 0; the only user of jansson. A struct json is what json_parse or
 * json_object made, or a borrowed piece of it. */
#ifndef WALFERRY_JSON_H
#define WALFERRY_JSON_H

#include "buffer.h"

#include <stdbool.h>

struct json;

/* NULL when it is not one well-formed JSON value without duplicate members; error (if not NULL) then says
 * why, cut to error_bytes. Nothing is logged. Caller frees with json_free. */
struct json *json_parse(const void *data, size_t length, char *error, size_t error_bytes);
void json_free(struct json *json);

/* Members of an object; borrowed. NULL or -1 when absent or of another type. */
const struct json *json_member(const struct json *object, const char *name);
const char *json_text(const struct json *object, const char *name);
int json_uint(const struct json *object, const char *name,
              uint64_t *value); /* *value is set only on success */
int json_bool(const struct json *object, const char *name, bool *value);
int json_number(const struct json *object, const char *name,
                double *value);                                            /* any number; set as the first */
const struct json *json_list(const struct json *object, const char *name); /* an array */
/* Members of an object in their order; value is NULL where it is no text. Ends with the first result that is
 * not 0, and returns it; -1 for anything but an object. */
int json_object_each(const struct json *object,
                     int (*each)(void *context, const char *name, const char *value), void *context);
size_t json_object_length(const struct json *object); /* 0 for anything but an object */
/* 0 for anything but an array. */
size_t json_array_length(const struct json *array);
const struct json *json_array_item(const struct json *array, size_t index);
const char *json_array_string(const struct json *array, size_t index);        /* NULL when it is no string */
int json_array_uint(const struct json *array, size_t index, uint64_t *value); /* as json_uint */

/* Building. Members keep the order in which they were set. A failure (no memory, text that is not UTF-8) is
 * remembered for this thread and reported once, by the next json_write. Children given to json_set and
 * json_append belong to the parent. */
struct json *json_new_object(void); /* jansson owns the names json_object, json_array and json_string */
struct json *json_new_array(void);
void json_set(struct json *object, const char *name, struct json *child);
void json_set_string(struct json *object, const char *name, const char *value); /* NULL becomes null */
/* Text of any bytes: those that are not UTF-8 become U+FFFD. */
void json_set_text(struct json *object, const char *name, const char *text); /* NULL becomes null */
void json_append_text(struct json *array, const char *text);
void json_set_uint(struct json *object, const char *name, uint64_t value); /* below 2^63 */
void json_set_real(struct json *object, const char *name, double value);
void json_set_bool(struct json *object, const char *name, bool value);
void json_append(struct json *array, struct json *child);
void json_append_string(struct json *array, const char *value);
void json_append_uint(struct json *array, uint64_t value); /* below 2^63 */
/* Appends the text. indent 0: one line without a line end. 0, or -1 after logging. */
int json_write(const struct json *json, unsigned indent, struct buffer *out);
/* To standard output, indented, with a line end. 0, or -1 after logging. */
int json_print(const struct json *json);
/* Text as a quoted JSON string, appended; bytes that are not UTF-8 become U+FFFD. For hand-made lines and
 * logs. */
int json_append_quoted(struct buffer *out, const char *text, size_t length);

#endif
