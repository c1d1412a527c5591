/* What a listing of a living archive lacks may be on its way (rule 3). */
#include "interrupt.h"
#include "log.h"
#include "timestamp.h"
#include "wal_archive.h"

#include <stdlib.h>

/* So many segments behind the newest one are ever late: wal-push looks ahead less far. */
#define LATE_MOST 64
#define PAUSE_MILLISECONDS 300

static int insert(struct wal_archive *archive, struct archive_timeline *timeline,
                  const struct archive_segment *segment)
{
    size_t at = timeline->count;
    struct archive_segment *grown = realloc(timeline->segments, (timeline->count + 1) * sizeof *grown);

    if (grown == NULL)
        return log_out_of_memory();
    timeline->segments = grown;
    timeline->capacity = ++timeline->count;
    for (; at > 0 && grown[at - 1].number > segment->number; at--)
        grown[at] = grown[at - 1];
    grown[at] = *segment;
    archive->segment_count++;
    archive->stored_bytes += segment->stored_bytes;
    archive->object_count++;
    archive->object_bytes += segment->stored_bytes;
    return 0;
}

/* Lists again from the hole on; what has come behind it meanwhile would only tell of more holes. */
static int ask_again(struct wal_archive *archive, struct archive_timeline *timeline,
                     const struct archive_gap *hole)
{
    const struct timeline_history alone = {.timeline = timeline->timeline};
    struct wal_archive again;
    int result = -1;

    wal_archive_begin(archive->system_identifier, archive->segment_bytes, &again);
    if (wal_archive_add(&again, archive->repository, &alone, hole->first) == REPOSITORY_OK)
        result = 0;
    for (uint64_t number = hole->first; result == 0 && number <= hole->last; number++) {
        const struct archive_segment *segment = wal_archive_segment(&again, alone.timeline, number);
        if (segment != NULL)
            result = insert(archive, timeline, segment);
    }
    wal_archive_close(&again);
    return result;
}

static bool was_let_go_of(const struct archive_timeline *timeline, const struct archive_gap *hole)
{
    for (size_t i = 0; i < timeline->gap_count; i++)
        if (timeline->gaps[i].first <= hole->first && timeline->gaps[i].last >= hole->last)
            return true;
    return false;
}

/* For how long the segment behind the hole has been there; one that does not tell, for ever; one of a time to
 * come, for no time at all. */
static int64_t age_of(const struct wal_archive *archive, uint32_t timeline, uint64_t number)
{
    struct repository *repository = archive->repository;
    char name[WAL_SEGMENT_NAME_BYTES];
    int64_t stored = 0, age;

    wal_segment_name(timeline, number, archive->segment_bytes, name);
    char *key = repository_wal_key(repository, archive->system_identifier, name);
    bool was_muted = log_mute_thread(true);
    if (key == NULL || store_time_of(repository->store, key, &stored) < 0)
        stored = 0;
    log_mute_thread(was_muted);
    free(key);
    age = store_now(repository->store) - stored;
    return age < 0 ? 0 : age;
}

/* One call of wal_archive_settle; monotonic. */
struct settling {
    int64_t begun, deadline;
};

/* Until the hole is smaller, or no longer young, or all of them have had their time; once more in any case if
 * it was young in the beginning. */
static int wait_for(struct wal_archive *archive, struct archive_timeline *timeline,
                    const struct archive_gap *hole, const struct settling *settling)
{
    int64_t until = monotonic_now() + settling->deadline - settling->begun -
                    age_of(archive, timeline->timeline, hole->last + 1);
    size_t count = timeline->count;
    int result = 0;

    if (until > settling->deadline)
        until = settling->deadline;
    bool is_over = until <= settling->begun;
    while (!is_over && result == 0 && timeline->count == count && !interrupt_requested()) {
        is_over = monotonic_now() >= until;
        if (!is_over)
            interrupt_sleep(PAUSE_MILLISECONDS);
        result = ask_again(archive, timeline, hole);
    }
    return result;
}

static int settle_timeline(struct wal_archive *archive, struct archive_timeline *timeline,
                           const struct settling *settling)
{
    uint64_t newest = timeline->count == 0 ? 0 : timeline->segments[timeline->count - 1].number;
    uint64_t from = newest < LATE_MOST ? 0 : newest - LATE_MOST;
    struct archive_gap hole;
    int result = 0;

    while (result == 0 && wal_archive_next_hole(timeline, from, &hole)) {
        size_t count = timeline->count;
        if (!was_let_go_of(timeline, &hole))
            result = wait_for(archive, timeline, &hole, settling);
        from = timeline->count > count ? hole.first : hole.last + 1;
    }
    return result;
}

int wal_archive_settle(struct wal_archive *archive)
{
    int64_t now = monotonic_now();
    const struct settling settling = {
        now, now + (int64_t)archive->repository->config->wal_fetch_hole_wait_seconds * 1000000};
    int result = 0;

    for (size_t i = 0; i < archive->count && result == 0; i++)
        result = settle_timeline(archive, &archive->timelines[i], &settling);
    return result;
}
