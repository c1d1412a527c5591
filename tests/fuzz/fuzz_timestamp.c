/* Timestamps, and the dates of HTTP. What was read is written so that it is read again. */
#include "fuzz.h"

#include "common/http.h"
#include "common/timestamp.h"

FUZZ_TARGET(timestamp)
{
    char *text = strndup((const char *)data, length), again[TIMESTAMP_TEXT_BYTES];
    int64_t value = 0, reread = 0;

    FUZZ_CHECK(text != NULL);
    if (timestamp_parse(text, &value) != TIMESTAMP_MALFORMED) {
        timestamp_format(value, again);
        FUZZ_CHECK(timestamp_parse(again, &reread) == TIMESTAMP_OK && reread == value);
        timestamp_format_iso_micros(value, again);
        FUZZ_CHECK(timestamp_parse(again, &reread) == TIMESTAMP_OK && reread == value);
        timestamp_format_iso(value, again);
        FUZZ_CHECK(timestamp_parse(again, &reread) == TIMESTAMP_OK && reread <= value);
        timestamp_format_compact(value, again);
    }
    if (http_parse_date(text, &value)) {
        timestamp_format(value, again);
        timestamp_format_compact(value, again);
    }
    free(text);
    return 0;
}
