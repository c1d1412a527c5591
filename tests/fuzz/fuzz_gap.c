/* A gap marker, with its SHA-256 put right: what is taken can be written and is taken again. */
#include "fuzz.h"

#include "common/gap.h"

FUZZ_TARGET(gap)
{
    struct buffer sealed = BUFFER_EMPTY, again = BUFFER_EMPTY;
    struct gap gap, same;

    fuzz_seal(data, length, &sealed);
    if (gap_parse(buffer_string(&sealed), sealed.length, "the input", &gap) == 0) {
        FUZZ_CHECK(gap.segments > 0 && gap.system_identifier != 0);
        FUZZ_CHECK(strncmp(gap.first, gap.last, WAL_GAP_COMMON) == 0 && strcmp(gap.first, gap.last) <= 0);
        FUZZ_CHECK(memchr(gap.host, '\0', sizeof gap.host) != NULL);
        FUZZ_CHECK(gap_seal(&gap, &again) == 0);
        FUZZ_CHECK(gap_parse(again.data, again.length, "the input", &same) == 0);
        FUZZ_CHECK(same.system_identifier == gap.system_identifier && same.segments == gap.segments &&
                   same.segment_bytes == gap.segment_bytes && same.since == gap.since &&
                   same.until == gap.until && strcmp(same.first, gap.first) == 0 &&
                   strcmp(same.last, gap.last) == 0 && strcmp(same.host, gap.host) == 0);
    }
    buffer_free(&sealed);
    buffer_free(&again);
    return 0;
}
