/* What the tests of stores ask of one. */
#ifndef WALFERRY_QUESTIONS_H
#define WALFERRY_QUESTIONS_H

#include "unit.h"

#include "common/digest.h"
#include "common/store.h"

#define MEBIBYTE (1024u * 1024)

static char base[64]; /* first component of every key */

static inline const char *key(const char *rest)
{
    static char keys[4][256];
    static unsigned next;
    char *out = keys[next++ % 4];

    snprintf(out, sizeof keys[0], "%s/%s", base, rest);
    return out;
}

static inline struct body body_of(const void *data, size_t length)
{
    struct body body = {.data = data, .fd = -1, .length = length};

    CHECK(sha256_of(data, length, body.sha256) == 0);
    return body;
}

static inline enum store_result put_text(struct store *store, const char *name, const char *text,
                                         struct store_object *object)
{
    struct body body = body_of(text, strlen(text));

    return store_put_absent(store, name, &body, STORE_CONDITION_UNKNOWN, object);
}

static inline enum store_result get_text(struct store *store, const char *name,
                                         const struct store_range *range, struct buffer *out,
                                         struct store_object *object)
{
    struct sink sink = sink_to_buffer(out);

    buffer_clear(out);
    return store_get(store, name, range, &sink, object);
}

static inline bool holds(struct store *store, const char *name, const char *text)
{
    struct buffer out = BUFFER_EMPTY;
    bool same = get_text(store, name, NULL, &out, NULL) == STORE_OK && out.length == strlen(text) &&
                memcmp(buffer_string(&out), text, out.length) == 0;

    buffer_free(&out);
    return same;
}

struct told {
    struct buffer text; /* "name;" each, without the base */
    unsigned most;
};

static inline bool tell_key(void *context, const char *name, uint64_t bytes)
{
    struct told *told = context;

    CHECK(bytes == 1);
    buffer_printf(&told->text, "%s;", name + strlen(base) + 1);
    return told->most == 0 || --told->most > 0;
}

static inline bool tell_folder(void *context, const char *name)
{
    struct told *told = context;

    buffer_printf(&told->text, "%s;", name);
    return told->most == 0 || --told->most > 0;
}

static inline void check_list(struct store *store, const char *prefix, const char *after, unsigned page_keys,
                              unsigned most, const char *expected)
{
    struct told told = {BUFFER_EMPTY, most};
    const struct store_listing listing = {key(prefix), after == NULL ? NULL : key(after), page_keys, tell_key,
                                          &told};

    CHECK(store_list(store, &listing) == STORE_OK);
    CHECK_TEXT(buffer_string(&told.text), expected);
    buffer_free(&told.text);
}

#endif
