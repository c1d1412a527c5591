#include "queue.h"

#include "ahead.h"
#include "gaps.h"
#include "stored.h"

#include "common/archive_status.h"
#include "common/buffer.h"
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define FAILED_NAME "push-failed"
#define TRY_AGAIN_SECONDS 30
#define SEARCH_MOST (UINT64_C(1) << 32)
#define LOCK_MILLISECONDS 5000

static bool is_waiting(const struct source *source, uint64_t number)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    wal_segment_name(source->parsed.timeline, number, source->segment_bytes, name);
    return archive_status_waits(source->directory, name);
}

/* A .backup file tells of a backup and is no WAL: no recovery asks for it. But those behind it wait for it.
 */
static bool can_be_let_go_of(const struct source *source)
{
    return source->parsed.kind == WAL_SEGMENT || source->parsed.kind == WAL_BACKUP;
}

/* Segments that wait behind this file on its timeline. PostgreSQL archives in order, so they are neighbours,
 * and the last one is found by halving: some 40 looks for 100,000, where reading the directory costs as many
 * as there are files. */
static uint64_t count_behind(const struct source *source)
{
    uint64_t first, known = 0, beyond = 1;

    if (source->parsed.kind == WAL_HISTORY || source->segment_bytes == 0 ||
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
    return known;
}

static uint64_t mebibytes(uint64_t segments, const struct source *source)
{
    return segments * (source->segment_bytes / (1024 * 1024));
}

static bool is_over(const struct shipper *shipper, const struct source *source, uint64_t *waiting)
{
    const uint64_t limit_bytes = shipper->config->wal_push_queue_limit_bytes;

    *waiting = 0;
    if (limit_bytes == 0)
        return false;
    uint64_t behind = count_behind(source), asked = source->parsed.kind == WAL_SEGMENT;
    if (behind + asked == 0 || behind + asked <= limit_bytes / source->segment_bytes)
        return false;
    /* What was stored ahead waits for PostgreSQL only. */
    uint64_t stored = stored_behind(shipper->config, shipper->state, source, behind);
    *waiting = asked + (stored < behind ? behind - stored : 0);
    return *waiting > limit_bytes / source->segment_bytes;
}

/* A call whose archiver has ended (rule 16) may be storing ahead what lies behind this segment, and that must
 * not arrive before its marker: such a call is waited for. 0, or -1 after logging. */
static int add_gap(const struct source *source, const struct shipper *shipper)
{
    int lock = ahead_take_lock(shipper->state, LOCK_MILLISECONDS);

    if (lock < 0 && shipper->state->directory != NULL) {
        if (errno == EWOULDBLOCK)
            log_error("another wal-push still stores ahead: nothing is let go of before it has ended");
        else
            log_error("could not keep other calls from looking ahead: %m");
        return -1;
    }
    int result = gaps_add(source, shipper);
    if (lock >= 0)
        close(lock);
    return result;
}

static int let_go(const struct source *source, const struct shipper *shipper, uint64_t waiting)
{
    if (source->parsed.kind == WAL_BACKUP) {
        log_warning("\"%s\" is LET GO OF, not archived: %" PRIu64 " segments (%" PRIu64
                    " MiB) wait behind it, more than queue_limit, and on_full = drop; no recovery needs it",
                    source->name, waiting, mebibytes(waiting, source));
        return 0;
    }
    if (add_gap(source, shipper) != 0) {
        log_error("\"%s\" is not let go of: that could not be noted durably", source->name);
        return 1;
    }
    log_warning("\"%s\" is LET GO OF, not archived: %" PRIu64 " segments (%" PRIu64
                " MiB) wait, more than queue_limit, and on_full = drop",
                source->name, waiting, mebibytes(waiting, source));
    log_hint("No recovery can pass it. As soon as archiving works again, take a new base backup.");
    return 0;
}

static bool has_failed_lately(const struct shipper *shipper, size_t index)
{
    struct buffer text = BUFFER_EMPTY;
    int64_t age;
    char *name = state_name(FAILED_NAME, shipper->config, &shipper->config->repositories[index]);
    bool result =
        name != NULL && state_read(shipper->state, name, &text, &age) == 0 && age < TRY_AGAIN_SECONDS;

    buffer_free(&text);
    free(name);
    return result;
}

void queue_leave_out(const struct source *source, struct shipper *shipper)
{
    uint64_t waiting;

    if (!shipper->config->wal_push_drops || !can_be_let_go_of(source) || !is_over(shipper, source, &waiting))
        return;
    for (size_t i = 0; i < shipper->config->repository_count; i++)
        shipper->places[i].is_left_out =
            shipper->config->repositories[i].required && has_failed_lately(shipper, i);
}

int queue_failed(const struct source *source, const struct shipper *shipper)
{
    const struct config *config = shipper->config;
    uint64_t waiting;

    for (size_t i = 0; config->wal_push_drops && i < config->repository_count; i++) {
        char *name =
            !shipper->places[i].has_failed ? NULL : state_name(FAILED_NAME, config, &config->repositories[i]);
        if (name != NULL)
            state_write(shipper->state, name, "", 0);
        free(name);
    }
    if (!is_over(shipper, source, &waiting))
        return 1;
    if (config->wal_push_drops && can_be_let_go_of(source))
        return let_go(source, shipper, waiting);
    log_error("%" PRIu64 " segments (%" PRIu64 " MiB) wait to be archived, more than queue_limit", waiting,
              mebibytes(waiting, source));
    log_hint("Nothing is let go of (%s): pg_wal grows until archiving works again.",
             config->wal_push_drops ? "no file of this kind" : "on_full = stop");
    return 1;
}

void queue_went_on(const struct shipper *shipper)
{
    for (size_t i = 0; shipper->config->wal_push_drops && i < shipper->config->repository_count; i++) {
        char *name = state_name(FAILED_NAME, shipper->config, &shipper->config->repositories[i]);
        if (name != NULL)
            state_forget(shipper->state, name);
        free(name);
    }
}
