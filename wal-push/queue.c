#include "queue.h"

#include "gaps.h"

#include "common/buffer.h"
#include "common/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define FAILED_NAME "push-failed"
#define TRY_AGAIN_SECONDS 30
#define SEARCH_MOST (UINT64_C(1) << 32)

static bool is_waiting(const struct source *source, uint64_t number)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(source->parsed.timeline, number, source->segment_bytes, name);
    char *path = string_printf("%s/archive_status/%s.ready", source->directory, name);
    bool result = path != NULL && access(path, F_OK) == 0;
    free(path);
    return result;
}

/* Segments that wait from this one on, on its timeline. PostgreSQL archives in order, so those that wait are
 * neighbours, and the last one is found by halving: some 40 looks for 100,000, where reading the directory
 * costs as many as there are files. */
static uint64_t count_waiting(const struct source *source)
{
    uint64_t first, known = 0, beyond = 1;

    if (source->parsed.kind != WAL_SEGMENT ||
        !wal_segment_number(&source->parsed, source->segment_bytes, &first))
        return 0;
    while (beyond < SEARCH_MOST && is_waiting(source, first + beyond)) {
        known = beyond;
        beyond *= 2;
    }
    while (beyond - known > 1) {
        uint64_t middle = known + (beyond - known) / 2;
        if (is_waiting(source, first + middle))
            known = middle;
        else
            beyond = middle;
    }
    return known + 1;
}

static uint64_t mebibytes(uint64_t segments, const struct source *source)
{
    return segments * (source->segment_bytes / (1024 * 1024));
}

static bool is_over(const struct config *config, const struct source *source, uint64_t *waiting)
{
    *waiting = config->wal_push_queue_limit_bytes == 0 ? 0 : count_waiting(source);
    return *waiting > 0 && *waiting > config->wal_push_queue_limit_bytes / source->segment_bytes;
}

static int let_go(const struct state *state, const struct source *source, uint64_t waiting)
{
    if (gaps_add(state, source) != 0) {
        log_error("\"%s\" is not let go of: that could not be noted durably", source->name);
        return 1;
    }
    log_warning("\"%s\" is LET GO OF, not archived: %" PRIu64 " segments (%" PRIu64
                " MiB) wait, more than queue_limit, and on_full = drop",
                source->name, waiting, mebibytes(waiting, source));
    log_hint("No recovery can pass it. As soon as archiving works again, take a new base backup.");
    return 0;
}

bool queue_skips_try(const struct config *config, const struct state *state, const struct source *source)
{
    struct buffer text = BUFFER_EMPTY;
    uint64_t waiting;
    int64_t age;
    bool failed_lately = config->wal_push_drops && source->parsed.kind == WAL_SEGMENT &&
                         state_read(state, FAILED_NAME, &text, &age) == 0 && age < TRY_AGAIN_SECONDS;

    buffer_free(&text);
    return failed_lately && is_over(config, source, &waiting);
}

int queue_failed(const struct config *config, const struct state *state, const struct source *source,
                 bool was_tried)
{
    uint64_t waiting;

    if (was_tried && config->wal_push_drops)
        state_write(state, FAILED_NAME, "", 0);
    if (!is_over(config, source, &waiting))
        return 1;
    if (config->wal_push_drops)
        return let_go(state, source, waiting);
    log_error("%" PRIu64 " segments (%" PRIu64 " MiB) wait to be archived, more than queue_limit", waiting,
              mebibytes(waiting, source));
    log_hint("Nothing is let go of (on_full = stop): pg_wal grows until archiving works again.");
    return 1;
}

void queue_went_on(const struct config *config, const struct state *state)
{
    if (config->wal_push_drops)
        state_forget(state, FAILED_NAME);
}
