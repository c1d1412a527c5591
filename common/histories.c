#include "histories.h"

#include "file.h"
#include "log.h"

#include <stdlib.h>

/* PostgreSQL looks into pg_wal for what the archive doesn't have. */
static enum repository_result read_local(const struct history_sources *sources, uint32_t timeline,
                                         struct timeline_history *history)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = string_printf("%s/%08X.history", sources->pg_wal, timeline);
    enum file_result read =
        path == NULL ? FILE_FAILED : file_read_all(path, TIMELINE_HISTORY_MOST_BYTES, &text);
    enum repository_result result = read == FILE_ABSENT ? REPOSITORY_ABSENT : REPOSITORY_FAILED;
    const char *problem;

    if (read == FILE_OK) {
        if (timeline_history_parse(timeline, buffer_string(&text), text.length, history, &problem) == 0)
            result = REPOSITORY_OK;
        else
            log_error("file \"%s\" is damaged: %s", path, problem);
    }
    buffer_free(&text);
    free(path);
    return result;
}

enum repository_result histories_get(const struct history_sources *sources, uint32_t timeline,
                                     struct timeline_history *history)
{
    enum repository_result worst = REPOSITORY_ABSENT;

    *history = (struct timeline_history){.timeline = timeline};
    if (timeline == 1)
        return REPOSITORY_OK;
    for (size_t i = 0; i < sources->count; i++) {
        enum repository_result result =
            repository_get_history(sources->repositories[i], sources->system_identifier, timeline, history);
        if (result == REPOSITORY_OK)
            return result;
        worst = result == REPOSITORY_ABSENT ? worst : result;
    }
    if (worst != REPOSITORY_ABSENT || sources->pg_wal == NULL)
        return worst;
    return read_local(sources, timeline, history);
}

enum repository_result histories_latest(const struct history_sources *sources, uint32_t from,
                                        struct timeline_history *history)
{
    enum repository_result result = histories_get(sources, from, history);

    if (result != REPOSITORY_OK && result != REPOSITORY_ABSENT)
        return result;
    for (uint32_t newest = from;; newest++) {
        struct timeline_history next;

        result = histories_get(sources, newest + 1, &next);
        if (result == REPOSITORY_ABSENT)
            return REPOSITORY_OK;
        timeline_history_free(history);
        if (result != REPOSITORY_OK)
            return result;
        *history = next;
    }
}
