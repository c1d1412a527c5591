/* A timeline's .history file: four bytes of timeline, then the text. */
#include "fuzz.h"

#include "common/wal.h"

FUZZ_TARGET(history)
{
    struct fuzz_input input = {data, length};
    struct timeline_history history;
    const char *problem = NULL;
    uint32_t timeline = 0;
    uint64_t end;
    size_t text_length;

    for (int i = 0; i < 4; i++)
        timeline = timeline << 8 | fuzz_byte(&input);
    char *text = malloc(input.left + (input.left == 0));
    FUZZ_CHECK(text != NULL);
    text_length = input.left;
    memcpy(text, input.next, text_length);
    if (timeline_history_parse(timeline, text, text_length, &history, &problem) == 0) {
        for (size_t i = 0; i < history.count; i++) {
            FUZZ_CHECK(history.ancestors[i].timeline < timeline);
            FUZZ_CHECK(i == 0 || history.ancestors[i - 1].timeline < history.ancestors[i].timeline);
            FUZZ_CHECK(i == 0 || history.ancestors[i - 1].lsn <= history.ancestors[i].lsn);
            FUZZ_CHECK(timeline_history_find(&history, history.ancestors[i].timeline, &end) &&
                       end == history.ancestors[i].lsn);
        }
        timeline_history_free(&history);
    } else {
        FUZZ_CHECK(problem != NULL);
    }
    free(text);
    return 0;
}
