#include "retention_wal.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>

const char *retention_wal_reason_name(unsigned reason)
{
    static const char *const names[RETENTION_WAL_REASONS] = {"backup",     "window",  "newest backup",
                                                             "unfinished", "damaged", "in doubt"};

    for (unsigned i = 0; i < RETENTION_WAL_REASONS; i++)
        if (reason == 1u << i)
            return names[i];
    return "";
}

/* The way of a recovery */

size_t retention_way_length(const struct archive_timeline *path)
{
    return (path->has_history ? path->history.count : 0) + 1;
}

/* Both a timeline and the one that left it have the segment in which that happened. */
struct wal_stretch retention_way(const struct archive_timeline *path, size_t index, uint32_t segment_bytes)
{
    const struct timeline_switch *ancestors = path->history.ancestors;
    struct wal_stretch stretch = {path->timeline, 0, UINT64_MAX};

    if (index > 0)
        stretch.first = ancestors[index - 1].lsn / segment_bytes;
    if (index + 1 < retention_way_length(path)) {
        stretch.timeline = ancestors[index].timeline;
        stretch.last = ancestors[index].lsn == 0 ? 0 : (ancestors[index].lsn - 1) / segment_bytes;
    }
    return stretch;
}

bool retention_way_passes(const struct archive_timeline *path, uint32_t timeline, uint64_t lsn)
{
    uint64_t end;

    if (timeline == path->timeline)
        return true;
    return path->has_history && timeline_history_find(&path->history, timeline, &end) && lsn <= end;
}

static uint64_t first_segment(const struct retention_generation *generation,
                              const struct retention_backup *backup)
{
    return backup->start_lsn / generation->segment_bytes;
}

static uint64_t last_segment(const struct retention_generation *generation,
                             const struct retention_backup *backup)
{
    return (backup->stop_lsn == 0 ? 0 : backup->stop_lsn - 1) / generation->segment_bytes;
}

static struct retention_timeline *find_timeline(const struct retention_generation *generation,
                                                uint32_t timeline)
{
    for (size_t i = 0; i < generation->timeline_count; i++)
        if (generation->timelines[i].archive->timeline == timeline)
            return &generation->timelines[i];
    return NULL;
}

static bool has_all(const struct retention_timeline *timeline, uint64_t first, uint64_t last)
{
    if (timeline == NULL)
        return false;
    const struct archive_timeline *archive = timeline->archive;
    size_t index = archive_segment_index(archive, first);
    return index + (last - first) < archive->count && archive->segments[index].number == first &&
           archive->segments[index + (last - first)].number == last;
}

/* A timeline's segments count up to where the next one begins. */
static bool way_has_wal(const struct retention_generation *generation, const struct archive_timeline *path,
                        uint32_t timeline, uint64_t first, uint64_t last)
{
    size_t length = retention_way_length(path);

    for (size_t i = 0; i < length && first <= last; i++) {
        struct wal_stretch stretch = retention_way(path, i, generation->segment_bytes);
        uint64_t end = last + 1; /* behind those that this timeline has to have */
        if (i + 1 < length && retention_way(path, i + 1, generation->segment_bytes).first < end)
            end = retention_way(path, i + 1, generation->segment_bytes).first;
        if (stretch.timeline < timeline || end <= first)
            continue;
        if (!has_all(find_timeline(generation, stretch.timeline), first, end - 1))
            return false;
        first = end;
    }
    return first > last;
}

bool retention_has_wal(const struct retention_generation *generation, const struct retention_backup *backup)
{
    uint64_t first = first_segment(generation, backup), last = last_segment(generation, backup);

    if (backup->wal_included)
        return true;
    for (size_t i = 0; i < generation->timeline_count; i++) {
        const struct archive_timeline *path = generation->timelines[i].archive;
        if (retention_way_passes(path, backup->timeline, backup->stop_lsn) &&
            way_has_wal(generation, path, backup->timeline, first, last))
            return true;
    }
    return false;
}

/* Where the window begins on a timeline */

static bool is_last_timeline(const struct retention_generation *generation,
                             const struct retention_timeline *timeline)
{
    return timeline == &generation->timelines[generation->timeline_count - 1];
}

/* Has it, behind where others left it, segments of its own? One without any brings back nothing. */
static bool has_branch(const struct retention_generation *generation, const struct archive_timeline *timeline)
{
    uint64_t left = 0;

    if (timeline->count == 0)
        return false;
    for (size_t i = 0; i < generation->timeline_count; i++) {
        const struct archive_timeline *other = generation->timelines[i].archive;
        uint64_t end;
        if (other != timeline && other->has_history && other->count > 0 &&
            timeline_history_find(&other->history, timeline->timeline, &end) && end > left)
            left = end;
    }
    return timeline->segments[timeline->count - 1].number >= left / generation->segment_bytes;
}

bool retention_is_alive(const struct retention_generation *generation,
                        const struct retention_timeline *timeline, int64_t since, bool is_newest)
{
    if (since == INT64_MIN || (is_newest && is_last_timeline(generation, timeline)))
        return true;
    return has_branch(generation, timeline->archive) &&
           (timeline->end_stored == 0 || timeline->end_stored >= since);
}

static bool serves_way(const struct retention *retention, const struct retention_backup *backup,
                       size_t generation, const struct archive_timeline *path, bool only_whole)
{
    return backup->generation == generation && (only_whole ? backup->is_whole : backup->has_wal) &&
           backup->stop_time <= retention->now &&
           retention_way_passes(path, backup->timeline, backup->stop_lsn);
}

const struct retention_backup *retention_base(const struct retention *retention, size_t generation,
                                              const struct archive_timeline *path, bool only_whole)
{
    const struct retention_backup *base = NULL, *oldest = NULL;

    for (size_t i = 0; i < retention->backup_count; i++) {
        const struct retention_backup *backup = &retention->backups[i];
        if (!serves_way(retention, backup, generation, path, only_whole))
            continue;
        if (oldest == NULL || backup->start_lsn < oldest->start_lsn)
            oldest = backup;
        if (retention_ended(backup) < retention->window_begin &&
            (base == NULL || backup->stop_lsn > base->stop_lsn))
            base = backup;
    }
    return base != NULL ? base : oldest;
}

/* Where WAL for the window has to begin: with its base; or, where a clock went back, with a backup of the
 * window that began before that. Without keep_wal with the first backup that stays. */
static const struct retention_backup *window_start(const struct retention *retention, size_t generation,
                                                   const struct archive_timeline *path, bool only_whole)
{
    const struct retention_backup *start = NULL;

    for (size_t i = 0; i < retention->backup_count; i++) {
        const struct retention_backup *backup = &retention->backups[i];
        bool is_wanted = retention->policy->keep_wal_seconds == 0 ? backup->reasons != 0
                                                                  : (backup->reasons & KEPT_WINDOW) != 0;
        if (is_wanted && serves_way(retention, backup, generation, path, only_whole) &&
            (start == NULL || backup->start_lsn < start->start_lsn))
            start = backup;
    }
    if (retention->policy->keep_wal_seconds != 0) {
        const struct retention_backup *base = retention_base(retention, generation, path, only_whole);
        if (base != NULL && (start == NULL || base->start_lsn < start->start_lsn))
            start = base;
    }
    return start;
}

/* Spans that stay, in any order, per timeline */

struct wanted {
    struct retention_span *spans;
    size_t count, capacity;
};

static int want(struct wanted *wanted, const struct retention_span *span)
{
    if (wanted->count == wanted->capacity) {
        size_t capacity = wanted->capacity == 0 ? 8 : 2 * wanted->capacity;
        struct retention_span *grown = realloc(wanted->spans, capacity * sizeof *grown);
        if (grown == NULL)
            return log_out_of_memory();
        wanted->spans = grown;
        wanted->capacity = capacity;
    }
    wanted->spans[wanted->count++] = *span;
    return 0;
}

struct planning {
    struct retention *retention;
    size_t generation;
    struct wanted *wanted; /* one for each timeline */
};

/* span: of segments along path, from this timeline on. */
static int want_along(struct planning *planning, const struct archive_timeline *path, uint32_t timeline,
                      const struct retention_span *span)
{
    const struct retention_generation *generation = &planning->retention->generations[planning->generation];

    for (size_t i = 0; i < retention_way_length(path); i++) {
        struct wal_stretch stretch = retention_way(path, i, generation->segment_bytes);
        struct retention_timeline *holder = find_timeline(generation, stretch.timeline);
        struct retention_span part = *span;
        if (stretch.timeline < timeline || holder == NULL)
            continue;
        if (part.first < stretch.first)
            part.first = stretch.first;
        if (part.last > stretch.last)
            part.last = stretch.last;
        if (part.first <= part.last && want(&planning->wanted[holder - generation->timelines], &part) != 0)
            return -1;
    }
    return 0;
}

/* For the backups that can be recovered as far as is known, and for those that can if nothing is wrong with
 * them in the end: what was found damaged may be put right. */
static int want_for_window(struct planning *planning, const struct retention_timeline *timeline)
{
    const struct retention *retention = planning->retention;
    const struct retention_generation *generation = &retention->generations[planning->generation];
    bool is_newest = planning->generation == retention->newest_generation;
    bool is_alive = retention_is_alive(generation, timeline, retention->window_begin, is_newest);
    const struct archive_timeline *path = timeline->archive;
    const struct retention_backup *start = NULL;
    struct retention_span span = {.last = UINT64_MAX, .stays = true, .reasons = WAL_FOR_WINDOW};

    for (unsigned only_whole = 0; only_whole < 2 && is_alive; only_whole++) {
        start = window_start(retention, planning->generation, path, only_whole);
        if (start == NULL)
            continue;
        span.first = first_segment(generation, start);
        span.backup = start;
        if (want_along(planning, path, start->timeline, &span) != 0)
            return -1;
    }
    bool lacks_history = path->timeline > 1 && !path->has_history;
    bool lacks_whole = start == NULL && is_last_timeline(generation, timeline);
    if (is_newest && (lacks_history || lacks_whole)) {
        span = (struct retention_span){0, UINT64_MAX, true, WAL_IN_DOUBT, NULL, 0, 0};
        return want(&planning->wanted[timeline - generation->timelines], &span);
    }
    return 0;
}

static void span_for_backup(const struct retention_generation *generation,
                            const struct retention_backup *backup, struct retention_span *span)
{
    *span = (struct retention_span){
        .first = first_segment(generation, backup), .last = UINT64_MAX, .stays = true, .backup = backup};
    if (backup->state == RETENTION_DAMAGED)
        span->reasons = WAL_FOR_DAMAGED;
    else if (backup->state == RETENTION_UNFINISHED)
        span->reasons = WAL_FOR_RUNNING;
    else if (backup->reasons & KEPT_NEWEST)
        span->reasons = WAL_FOR_NEWEST;
    else {
        span->reasons = WAL_FOR_BACKUP;
        span->last = last_segment(generation, backup);
    }
}

static int want_for_backup(struct planning *planning, const struct retention_backup *backup)
{
    const struct retention_generation *generation = &planning->retention->generations[planning->generation];
    uint64_t lsn = backup->state == RETENTION_COMPLETE ? backup->stop_lsn : backup->start_lsn;
    struct retention_span span;

    span_for_backup(generation, backup, &span);
    for (size_t i = 0; i < generation->timeline_count; i++) {
        const struct archive_timeline *path = generation->timelines[i].archive;
        if (retention_way_passes(path, backup->timeline, lsn) &&
            want_along(planning, path, backup->timeline, &span) != 0)
            return -1;
    }
    return 0;
}

static int want_all(struct planning *planning)
{
    const struct retention *retention = planning->retention;
    const struct retention_generation *generation = &retention->generations[planning->generation];
    const struct retention_span all = {0, UINT64_MAX, true, WAL_IN_DOUBT, NULL, 0, 0};
    bool has_none_whole =
        retention->newest_generation == SIZE_MAX || planning->generation > retention->newest_generation;
    int result = 0;

    for (size_t i = 0; i < generation->timeline_count && result == 0; i++)
        result = has_none_whole ? want(&planning->wanted[i], &all)
                                : want_for_window(planning, &generation->timelines[i]);
    for (size_t i = 0; i < retention->backup_count && result == 0; i++)
        if (retention->backups[i].generation == planning->generation && retention->backups[i].reasons != 0)
            result = want_for_backup(planning, &retention->backups[i]);
    return result;
}

/* The plan of one timeline */

static int compare_spans(const void *left, const void *right)
{
    const struct retention_span *a = left, *b = right;

    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return a->last < b->last ? -1 : a->last > b->last;
}

/* Those that overlap become one. */
static void join_spans(struct wanted *wanted)
{
    size_t count = 0;

    if (wanted->count > 1)
        qsort(wanted->spans, wanted->count, sizeof *wanted->spans, compare_spans);
    for (size_t i = 0; i < wanted->count; i++) {
        struct retention_span *span = &wanted->spans[i];
        struct retention_span *last = count == 0 ? NULL : &wanted->spans[count - 1];
        if (last == NULL || span->first > last->last) {
            wanted->spans[count++] = *span;
            continue;
        }
        if (span->last > last->last)
            last->last = span->last;
        last->reasons |= span->reasons;
        if (last->backup == NULL)
            last->backup = span->backup;
    }
    wanted->count = count;
}

/* The last number of which anything is there. */
static uint64_t last_number(const struct archive_timeline *timeline)
{
    uint64_t last = timeline->count == 0 ? 0 : timeline->segments[timeline->count - 1].number;

    for (size_t i = 0; i < timeline->gap_count; i++)
        if (timeline->gaps[i].last > last)
            last = timeline->gaps[i].last;
    for (size_t i = 0; i < timeline->partial_count; i++)
        if (timeline->partials[i] > last)
            last = timeline->partials[i];
    return last;
}

static void add_span(struct retention_timeline *timeline, const struct retention_span *span)
{
    const struct archive_timeline *archive = timeline->archive;
    struct retention_span *added = &timeline->spans[timeline->span_count++];

    *added = *span;
    for (size_t i = archive_segment_index(archive, span->first);
         i < archive->count && archive->segments[i].number <= span->last; i++) {
        added->segments++;
        added->stored_bytes += archive->segments[i].stored_bytes;
    }
}

/* What is between the spans that stay goes. */
static int set_spans(struct retention_timeline *timeline, const struct wanted *wanted)
{
    const struct archive_timeline *archive = timeline->archive;
    uint64_t next = 0, last = last_number(archive);
    bool is_open =
        archive->count + archive->gap_count + archive->partial_count > 0; /* next is not behind all */

    free(timeline->spans);
    timeline->span_count = 0;
    timeline->spans = calloc(2 * wanted->count + 1, sizeof *timeline->spans);
    if (timeline->spans == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < wanted->count; i++) {
        const struct retention_span *span = &wanted->spans[i];
        if (span->first > next)
            add_span(timeline, &(struct retention_span){.first = next, .last = span->first - 1});
        add_span(timeline, span);
        is_open = span->last < UINT64_MAX;
        next = span->last + 1;
    }
    if (is_open && next <= last)
        add_span(timeline, &(struct retention_span){.first = next, .last = last});
    return 0;
}

static int plan_generation(struct retention *retention, size_t index)
{
    struct retention_generation *generation = &retention->generations[index];
    struct planning planning = {retention, index,
                                calloc(generation->timeline_count + 1, sizeof(struct wanted))};
    int result = planning.wanted == NULL ? log_out_of_memory() : want_all(&planning);

    for (size_t i = 0; i < generation->timeline_count && planning.wanted != NULL; i++) {
        join_spans(&planning.wanted[i]);
        if (result == 0)
            result = set_spans(&generation->timelines[i], &planning.wanted[i]);
        free(planning.wanted[i].spans);
    }
    free(planning.wanted);
    return result;
}

int retention_plan_wal(struct retention *retention)
{
    int result = 0;

    if (!retention_policy_is_given(retention->policy))
        return 0; /* no spans: all of it stays */
    for (size_t i = 0; i < retention->generation_count && result == 0; i++)
        result = plan_generation(retention, i);
    return result;
}

bool retention_lets_go(const struct retention_generation *generation, uint32_t timeline, uint64_t first,
                       uint64_t last)
{
    const struct retention_timeline *found = find_timeline(generation, timeline);
    size_t low = 0, high = found == NULL ? 0 : found->span_count;

    while (low < high) { /* the span that holds the first: they leave nothing out between them */
        size_t middle = low + (high - low) / 2;
        const struct retention_span *span = &found->spans[middle];
        if (first >= span->first && first <= span->last)
            return !span->stays && last <= span->last;
        if (first < span->first)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}
