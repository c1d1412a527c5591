/* Reading and writing instants: every form that is accepted, those that are refused, and the calendar against
 * gmtime. */
#include "unit.h"

#include "common/timestamp.h"

#include <time.h>

#define SECOND INT64_C(1000000)
#define BASE (INT64_C(1795184999) * SECOND) /* 2026-11-20 14:29:59 UTC */

struct parse_case {
    const char *text;
    enum timestamp_result result;
    int64_t value;
};

static const struct parse_case cases[] = {
    {"2026-11-20 14:29:59+00", TIMESTAMP_OK, BASE},
    {"2026-11-20 14:29:59.123456+01", TIMESTAMP_OK, BASE - 3600 * SECOND + 123456},
    {"2026-11-20T14:29:59Z", TIMESTAMP_OK, BASE},
    {"2026-11-20t14:29:59z", TIMESTAMP_OK, BASE},
    {"2026-11-20 14:29:59 UTC", TIMESTAMP_OK, BASE},
    {"2026-11-20 14:29:59UTC", TIMESTAMP_OK, BASE},
    {"2026-11-20 14:29:59 +0000", TIMESTAMP_OK, BASE},
    {"2026-11-20 14:29Z", TIMESTAMP_OK, BASE - 59 * SECOND},
    {"2026-11-20 14:29:59.5-0330", TIMESTAMP_OK, BASE + 12600 * SECOND + 500000},
    {"2026-11-20 14:29:59-00:30", TIMESTAMP_OK, BASE + 1800 * SECOND},
    {"2026-11-20 14:29:59+05:45", TIMESTAMP_OK, BASE - 20700 * SECOND},
    {"2026-11-20 14:29:59.1234569Z", TIMESTAMP_OK, BASE + 123456},
    {"2024-02-29 00:00:00Z", TIMESTAMP_OK, INT64_C(1709164800) * SECOND},
    {"2000-02-29 00:00:00Z", TIMESTAMP_OK, INT64_C(951782400) * SECOND},
    {"1969-12-31 23:59:59.999999Z", TIMESTAMP_OK, -1},
    {"1970-01-01 00:00:00Z", TIMESTAMP_OK, 0},
    {"2026-11-20 14:29:59", TIMESTAMP_NO_OFFSET, BASE},
    {"2026-11-20T14:29:59.25", TIMESTAMP_NO_OFFSET, BASE + 250000},
    {"2026-11-20 14:29", TIMESTAMP_NO_OFFSET, BASE - 59 * SECOND},
    {"", TIMESTAMP_MALFORMED, 0},
    {"now", TIMESTAMP_MALFORMED, 0},
    {"yesterday", TIMESTAMP_MALFORMED, 0},
    {"-infinity", TIMESTAMP_MALFORMED, 0},
    {"infinity", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20Z", TIMESTAMP_MALFORMED, 0},
    {"2026-02-30 00:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"2026-02-29 00:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"1900-02-29 00:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"2026-04-31 00:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"2026-13-01 00:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"2026-00-01 00:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"2026-01-00 00:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"0000-01-01 00:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 24:00:00Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:60:00Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:60Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59.Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59.1234567890Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59 ", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59+", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59+1", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59+16", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59+01:60", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59+01:", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59+01:00:00", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59 CET", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59Zx", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20 14:29:59UTC+1", TIMESTAMP_MALFORMED, 0},
    {" 2026-11-20 14:29:59Z", TIMESTAMP_MALFORMED, 0},
    {"26-11-20 14:29:59Z", TIMESTAMP_MALFORMED, 0},
    {"2026/11/20 14:29:59Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-2014:29:59Z", TIMESTAMP_MALFORMED, 0},
    {"2026-11-20\t14:29:59Z", TIMESTAMP_MALFORMED, 0},
};

static void test_parse(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t value = -77;
        enum timestamp_result result = timestamp_parse(cases[i].text, &value);
        bool good = result == cases[i].result;

        if (result == TIMESTAMP_MALFORMED)
            good = good && value == -77; /* set only when it was understood */
        else
            good = good && value == cases[i].value;
        if (!good)
            fprintf(stderr, "case \"%s\": result %d, value %lld\n", cases[i].text, (int)result,
                    (long long)value);
        CHECK(good);
    }
}

static void test_format(void)
{
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format(BASE + 123456, text);
    CHECK_TEXT(text, "2026-11-20 14:29:59.123456+00");
    timestamp_format(BASE, text);
    CHECK_TEXT(text, "2026-11-20 14:29:59.000000+00");
    timestamp_format_iso(BASE + 999999, text);
    CHECK_TEXT(text, "2026-11-20T14:29:59Z");
    timestamp_format_iso_micros(BASE + 1, text);
    CHECK_TEXT(text, "2026-11-20T14:29:59.000001Z");
    timestamp_format_compact(BASE, text);
    CHECK_TEXT(text, "20261120T142959Z");
    timestamp_format_iso(-1, text);
    CHECK_TEXT(text, "1969-12-31T23:59:59Z");
    timestamp_format(INT64_MAX, text); /* year 294247: fits the buffer */
    CHECK(strlen(text) < TIMESTAMP_TEXT_BYTES);
    timestamp_format(INT64_MIN, text);
    CHECK(strlen(text) < TIMESTAMP_TEXT_BYTES);
}

/* Every 11 hours 1 second from 1900 to 2200, there and back, against the C library. */
static void test_calendar(void)
{
    unsigned wrong = 0;

    for (int64_t seconds = -2208988800; seconds < INT64_C(7258118400); seconds += 39601) {
        time_t as_time = (time_t)seconds;
        struct tm tm;
        char expected[TIMESTAMP_TEXT_BYTES];
        char text[TIMESTAMP_TEXT_BYTES];
        int64_t value = 0;

        gmtime_r(&as_time, &tm);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &tm);
        timestamp_format_iso(seconds * SECOND, text);
        if (strcmp(text, expected) != 0 || timestamp_parse(text, &value) != TIMESTAMP_OK ||
            value != seconds * SECOND)
            wrong++;
    }
    CHECK(wrong == 0);
}

static void test_clocks(void)
{
    int64_t now = timestamp_now();
    int64_t before = monotonic_now();

    CHECK(now / SECOND >= (int64_t)time(NULL) - 1 && now / SECOND <= (int64_t)time(NULL) + 1);
    CHECK(monotonic_now() >= before);
}

int main(void)
{
    test_parse();
    test_format();
    test_calendar();
    test_clocks();
    return unit_done("test_timestamp");
}
