#include "json.h"

#include "log.h"
#include "utf8.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REAL_DIGITS 15 /* so that 0.1 is written as 0.1 */

/* Set when building went wrong in this thread; json_write reports and forgets it. */
static _Thread_local bool building_failed;

static const json_t *inner(const struct json *json)
{
    return (const json_t *)json;
}

static json_t *inner_mutable(struct json *json)
{
    return (json_t *)json;
}

struct json *json_parse(const void *data, size_t length, char *error, size_t error_bytes)
{
    json_error_t details;
    json_t *root = json_loadb(data, length, JSON_REJECT_DUPLICATES, &details);

    if (root == NULL && error != NULL)
        snprintf(error, error_bytes, "%s (line %d)", details.text, details.line);
    return (struct json *)root;
}

void json_free(struct json *json)
{
    json_decref(inner_mutable(json));
}

const struct json *json_member(const struct json *object, const char *name)
{
    return (const struct json *)json_object_get(inner(object), name);
}

const char *json_text(const struct json *object, const char *name)
{
    const json_t *value = json_object_get(inner(object), name);

    /* A zero inside would cut the text unseen. */
    if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
        return NULL;
    return json_string_value(value);
}

static int read_uint(const json_t *number, uint64_t *value)
{
    if (!json_is_integer(number) || json_integer_value(number) < 0)
        return -1;
    *value = (uint64_t)json_integer_value(number);
    return 0;
}

int json_uint(const struct json *object, const char *name, uint64_t *value)
{
    return read_uint(json_object_get(inner(object), name), value);
}

int json_number(const struct json *object, const char *name, double *value)
{
    const json_t *number = json_object_get(inner(object), name);

    if (!json_is_number(number))
        return -1;
    *value = json_number_value(number);
    return 0;
}

int json_bool(const struct json *object, const char *name, bool *value)
{
    const json_t *boolean = json_object_get(inner(object), name);

    if (!json_is_boolean(boolean))
        return -1;
    *value = json_is_true(boolean);
    return 0;
}

const struct json *json_list(const struct json *object, const char *name)
{
    const json_t *array = json_object_get(inner(object), name);

    return json_is_array(array) ? (const struct json *)array : NULL;
}

int json_object_each(const struct json *object,
                     int (*each)(void *context, const char *name, const char *value), void *context)
{
    json_t *members = (json_t *)object;
    int result = json_is_object(members) ? 0 : -1;

    for (void *next = json_object_iter(members); next != NULL && result == 0;
         next = json_object_iter_next(members, next)) {
        const char *name = json_object_iter_key(next);
        result = each(context, name, json_text(object, name));
    }
    return result;
}

size_t json_object_length(const struct json *object)
{
    return json_object_size(inner(object));
}

size_t json_array_length(const struct json *array)
{
    return json_array_size(inner(array));
}

const struct json *json_array_item(const struct json *array, size_t index)
{
    return (const struct json *)json_array_get(inner(array), index);
}

const char *json_array_string(const struct json *array, size_t index)
{
    return json_string_value(json_array_get(inner(array), index));
}

int json_array_uint(const struct json *array, size_t index, uint64_t *value)
{
    return read_uint(json_array_get(inner(array), index), value);
}

static struct json *built(json_t *value)
{
    if (value == NULL)
        building_failed = true;
    return (struct json *)value;
}

struct json *json_new_object(void)
{
    return built(json_object());
}

struct json *json_new_array(void)
{
    return built(json_array());
}

/* Both take value over; a NULL of either is a failure. */
static void set(struct json *object, const char *name, json_t *value)
{
    if (json_object_set_new(inner_mutable(object), name, value) != 0)
        building_failed = true;
}

static void append(struct json *array, json_t *value)
{
    if (json_array_append_new(inner_mutable(array), value) != 0)
        building_failed = true;
}

void json_set(struct json *object, const char *name, struct json *child)
{
    set(object, name, inner_mutable(child));
}

void json_set_string(struct json *object, const char *name, const char *value)
{
    set(object, name, value == NULL ? json_null() : json_string(value));
}

/* NULL without memory. */
static json_t *value_of_text(const char *text)
{
    struct buffer quoted = BUFFER_EMPTY;
    json_t *value = NULL;

    if (json_append_quoted(&quoted, text, strlen(text)) == 0)
        value = json_loadb((const char *)quoted.data, quoted.length, JSON_DECODE_ANY, NULL);
    buffer_free(&quoted);
    return value;
}

void json_set_text(struct json *object, const char *name, const char *text)
{
    set(object, name, text == NULL ? json_null() : value_of_text(text));
}

void json_append_text(struct json *array, const char *text)
{
    append(array, value_of_text(text));
}

/* NULL beyond what JSON's readers understand. */
static json_t *value_of_uint(uint64_t value)
{
    return value > INT64_MAX ? NULL : json_integer((json_int_t)value);
}

void json_set_uint(struct json *object, const char *name, uint64_t value)
{
    set(object, name, value_of_uint(value));
}

void json_set_real(struct json *object, const char *name, double value)
{
    set(object, name, json_real(value));
}

void json_set_bool(struct json *object, const char *name, bool value)
{
    set(object, name, json_boolean(value));
}

void json_append(struct json *array, struct json *child)
{
    append(array, inner_mutable(child));
}

void json_append_string(struct json *array, const char *value)
{
    append(array, json_string(value));
}

void json_append_uint(struct json *array, uint64_t value)
{
    append(array, value_of_uint(value));
}

int json_write(const struct json *json, unsigned indent, struct buffer *out)
{
    size_t flags = indent == 0 ? JSON_COMPACT : JSON_INDENT(indent);
    char *text = building_failed || json == NULL
                     ? NULL
                     : json_dumps(inner(json), flags | JSON_REAL_PRECISION(REAL_DIGITS) | JSON_ENCODE_ANY);
    int result = -1;

    if (text == NULL)
        log_error("could not build a JSON document: out of memory, or text that is not UTF-8");
    else
        result = buffer_append_string(out, text);
    building_failed = false;
    free(text);
    return result;
}

/* How many characters come that stand for themselves. */
static size_t plain_bytes(const unsigned char *text, size_t length)
{
    size_t bytes = 0;

    while (bytes < length && text[bytes] >= 0x20 && text[bytes] < 0x7f && text[bytes] != '"' &&
           text[bytes] != '\\')
        bytes++;
    return bytes;
}

int json_print(const struct json *json)
{
    struct buffer text = BUFFER_EMPTY;
    int result = json_write(json, 2, &text);

    if (result == 0 && (printf("%s\n", buffer_string(&text)) < 0 || fflush(stdout) != 0)) {
        log_error("could not write to standard output: %m");
        result = -1;
    }
    buffer_free(&text);
    return result;
}

int json_append_quoted(struct buffer *out, const char *text, size_t length)
{
    const unsigned char *next = (const unsigned char *)text;
    int result = buffer_append(out, "\"", 1);

    while (result == 0 && length > 0) {
        size_t plain = plain_bytes(next, length);
        size_t bytes = plain > 0 ? plain : utf8_sequence_length(next, length);
        if (plain > 0) {
            result = buffer_append(out, next, plain);
        } else if (bytes == 0) {
            result = buffer_append_string(out, "\xEF\xBF\xBD");
            bytes = 1;
        } else if (*next == '"' || *next == '\\') {
            result = buffer_printf(out, "\\%c", *next);
        } else if (*next < 0x20) {
            result = buffer_printf(out, "\\u%04x", *next);
        } else {
            result = buffer_append(out, next, bytes);
        }
        next += bytes;
        length -= bytes;
    }
    return result == 0 ? buffer_append(out, "\"", 1) : -1;
}
