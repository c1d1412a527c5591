/* What a user says of a backup: --annotation KEY=VALUE. */
#ifndef WALFERRY_ANNOTATION_H
#define WALFERRY_ANNOTATION_H

#include <stddef.h>

#define ANNOTATIONS_MOST 32
#define ANNOTATION_KEY_MOST_BYTES 64
#define ANNOTATION_VALUE_MOST_BYTES 1000

struct annotations {
    struct {
        const char *key; /* borrowed, as value */
        size_t key_length;
        const char *value;
    } items[ANNOTATIONS_MOST];
    size_t count;
};

/* text: KEY=VALUE, borrowed. A key that was given before, one of other characters than letters, digits and
 * ._-, text that is not UTF-8, or too much of anything is refused. 0, or -1 after logging. */
int annotations_add(struct annotations *annotations, const char *text);

#endif
