#include "words.h"

#include "common/progress.h"
#include "common/timestamp.h"
#include "picture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *words_time(int64_t time, char *out)
{
    char text[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso(time, text);
    text[strcspn(text, "T")] = ' ';
    text[strcspn(text, "Z")] = '\0';
    snprintf(out, WORDS_BYTES, "%s", text);
    return out;
}

const char *words_seconds(double seconds, char *out)
{
    const uint64_t whole = seconds < 0 ? 0 : seconds > 1e15 ? (uint64_t)1e15 : (uint64_t)(seconds + 0.5);
    const uint64_t minutes = whole / 60, hours = minutes / 60, days = hours / 24;

    if (seconds < 10)
        snprintf(out, WORDS_BYTES, "%.1f s", seconds < 0 ? 0.0 : seconds);
    else if (whole < 120)
        snprintf(out, WORDS_BYTES, "%" PRIu64 " s", whole);
    else if (minutes < 120)
        snprintf(out, WORDS_BYTES, "%" PRIu64 " min", minutes);
    else if (hours < 48)
        snprintf(out, WORDS_BYTES, "%" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
    else if (days < 14)
        snprintf(out, WORDS_BYTES, "%" PRIu64 " d %" PRIu64 " h", days, hours % 24);
    else
        snprintf(out, WORDS_BYTES, "%" PRIu64 " days", days);
    return out;
}

const char *words_bytes(uint64_t bytes, char *out)
{
    char text[32];

    progress_format_bytes(bytes, text);
    snprintf(out, WORDS_BYTES, "%s", text);
    return out;
}

const char *words_count(uint64_t count, const char *what, char *out)
{
    snprintf(out, WORDS_BYTES, "%" PRIu64 " %s%s", count, what, count == 1 ? "" : "s");
    return out;
}

const char *words_exposure(const struct picture_repository *repository, char *out)
{
    char age[WORDS_BYTES];

    out[0] = '\0';
    if (!repository->is_exposed)
        return out;
    if (!repository->has_safe)
        snprintf(out, WORDS_LONG_BYTES,
                 "; this server is on timeline %u, of which nothing can be recovered from here",
                 (unsigned)repository->server_timeline);
    else if (repository->has_unsafe)
        snprintf(out, WORDS_LONG_BYTES, "; with the server, commits of the last %s would be lost now",
                 words_seconds(repository->unsafe_seconds, age));
    else
        snprintf(out, WORDS_LONG_BYTES, "; the server has no later one");
    return out;
}
