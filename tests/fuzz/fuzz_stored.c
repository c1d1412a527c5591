/* The memory of what is stored ahead: lines, each with its check put right, for a mutator cannot. What is
 * taken must lie inside of its line. */
#include "fuzz.h"

#include "wal-push/stored.c" /* its parser is static */

#define FUZZ_STORED_NOW 1795254000

static void fuzz_stored_check(const char *text, size_t length, struct buffer *out)
{
    if (length > 17 && text[length - 17] == ' ')
        FUZZ_CHECK(buffer_append(out, text, length - 17) == 0 &&
                   buffer_printf(out, " %016" PRIx64 "\n", line_check(text, length - 17)) == 0);
    else
        FUZZ_CHECK(buffer_append(out, text, length) == 0 && buffer_append_string(out, "\n") == 0);
}

FUZZ_TARGET(stored)
{
    struct buffer input = BUFFER_EMPTY, lines = BUFFER_EMPTY;
    const char *text;
    size_t at = 0, text_length;
    struct line line;

    FUZZ_CHECK(buffer_append(&input, data, length) == 0);
    while (next_line(&input, &at, &text, &text_length))
        fuzz_stored_check(text, text_length, &lines);
    at = 0;
    while (next_line(&lines, &at, &text, &text_length)) {
        FUZZ_CHECK(memchr(text, '\n', text_length) == NULL && at <= lines.length);
        if (!parse_line(text, text_length, FUZZ_STORED_NOW, &line))
            continue;
        FUZZ_CHECK(line.name == text && line.identity > text + WAL_SEGMENT_NAME_BYTES + SHA256_HEX_BYTES - 1);
        FUZZ_CHECK(line.identity_length > 0 &&
                   line.identity + line.identity_length == text + text_length - 17);
    }
    buffer_free(&input);
    buffer_free(&lines);
    return 0;
}
