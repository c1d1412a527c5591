#include "annotation.h"

#include "common/log.h"
#include "common/utf8.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool key_is_plain(const char *key, size_t length)
{
    if (length == 0 || length > ANNOTATION_KEY_MOST_BYTES)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)key[i]) && strchr("._-", key[i]) == NULL)
            return false;
    return true;
}

static bool is_given(const struct annotations *annotations, const char *key, size_t length)
{
    for (size_t i = 0; i < annotations->count; i++)
        if (annotations->items[i].key_length == length && memcmp(annotations->items[i].key, key, length) == 0)
            return true;
    return false;
}

int annotations_add(struct annotations *annotations, const char *text)
{
    size_t length = strcspn(text, "=");
    const char *value = text + length + (text[length] == '=');

    if (text[length] != '=' || !key_is_plain(text, length)) {
        log_error("--annotation must be KEY=VALUE, not \"%s\"", text);
        log_hint("A key has 1 to %d letters, digits and ._-.", ANNOTATION_KEY_MOST_BYTES);
    } else if (strlen(value) > ANNOTATION_VALUE_MOST_BYTES || !utf8_is_valid(value, strlen(value))) {
        log_error("the value of annotation \"%.*s\" must be UTF-8 of at most %d bytes", (int)length, text,
                  ANNOTATION_VALUE_MOST_BYTES);
    } else if (is_given(annotations, text, length)) {
        log_error("annotation \"%.*s\" is given twice", (int)length, text);
    } else if (annotations->count == ANNOTATIONS_MOST) {
        log_error("there can be at most %d annotations", ANNOTATIONS_MOST);
    } else {
        size_t index = annotations->count++;
        annotations->items[index].key = text;
        annotations->items[index].key_length = length;
        annotations->items[index].value = value;
        return 0;
    }
    return -1;
}
