/* The second look at a plan, with none of the first one's means: recovery is walked through what is there
 * now, and through what would remain, segment by segment as PostgreSQL does, and must get as far. */
#include "retention.h"

#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Unbroken runs of segments of one timeline. */
struct run {
    uint64_t first, last;
};
struct runs {
    uint32_t timeline;
    struct run *items;
    size_t count;
};
struct remaining {
    struct runs *timelines;
    size_t count;
};

struct proof {
    const struct retention *retention;
    const struct retention_generation *generation; /* that is looked at */
    size_t index;                                  /* of it */
    struct remaining now, then;
    bool is_wrong;
};

__attribute__((format(printf, 2, 3))) static void lost(struct proof *proof, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_error("internal error: the plan would lose %s", text);
    proof->is_wrong = true;
}

/* What there is */

static int add_number(struct runs *runs, uint64_t number)
{
    struct run *last = runs->count == 0 ? NULL : &runs->items[runs->count - 1];

    if (last != NULL && last->last + 1 == number) {
        last->last = number;
        return 0;
    }
    if ((runs->count & (runs->count + 1)) == 0) { /* 0, 1, 3, 7, ...: time to double */
        struct run *grown = realloc(runs->items, (2 * runs->count + 1) * sizeof *grown);
        if (grown == NULL)
            return log_out_of_memory();
        runs->items = grown;
    }
    runs->items[runs->count++] = (struct run){number, number};
    return 0;
}

static void remaining_free(struct remaining *remaining)
{
    for (size_t i = 0; i < remaining->count; i++)
        free(remaining->timelines[i].items);
    free(remaining->timelines);
    *remaining = (struct remaining){NULL, 0};
}

/* all: now; else after the plan was carried out. */
static int remaining_find(const struct retention_generation *generation, bool all,
                          struct remaining *remaining)
{
    remaining->timelines = calloc(generation->timeline_count + 1, sizeof *remaining->timelines);
    if (remaining->timelines == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < generation->timeline_count; i++) {
        const struct archive_timeline *archive = generation->timelines[i].archive;
        struct runs *runs = &remaining->timelines[remaining->count++];
        runs->timeline = archive->timeline;
        for (size_t k = 0; k < archive->count; k++) {
            uint64_t number = archive->segments[k].number;
            if ((all || !retention_lets_go(generation, archive->timeline, number, number)) &&
                add_number(runs, number) != 0)
                return -1;
        }
    }
    return 0;
}

/* The last of the unbroken run that holds the segment. */
static bool find_run(const struct remaining *remaining, uint32_t timeline, uint64_t number, uint64_t *last)
{
    for (size_t i = 0; i < remaining->count; i++) {
        const struct runs *runs = &remaining->timelines[i];
        size_t low = 0, high = runs->timeline == timeline ? runs->count : 0;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (number > runs->items[middle].last)
                low = middle + 1;
            else if (number < runs->items[middle].first)
                high = middle;
            else {
                *last = runs->items[middle].last;
                return true;
            }
        }
    }
    return false;
}

/* Recovery */

/* The timelines of a recovery, newest first: where each begins, as PostgreSQL looks for segments. */
struct hop {
    uint32_t timeline;
    uint64_t begin;
};

static struct hop hop_of(const struct proof *proof, const struct archive_timeline *path, size_t back)
{
    size_t count = path->has_history ? path->history.count : 0, at = count - back;
    const struct timeline_switch *ancestors = path->history.ancestors;

    return (struct hop){at == count ? path->timeline : ancestors[at].timeline,
                        at == 0 ? 0 : ancestors[at - 1].lsn / proof->generation->segment_bytes};
}

/* One step: the newest timeline that has the segment, none older than *timeline; how far its run goes, but
 * not into where a newer timeline begins. False: nobody has it. */
static bool step(const struct proof *proof, const struct remaining *remaining,
                 const struct archive_timeline *path, uint32_t *timeline, uint64_t number, uint64_t *last)
{
    size_t hops = (path->has_history ? path->history.count : 0) + 1;
    uint64_t newer_begins = UINT64_MAX;

    for (size_t back = 0; back < hops; back++) {
        struct hop hop = hop_of(proof, path, back);
        if (hop.timeline < *timeline)
            break;
        if (hop.begin > number) {
            newer_begins = hop.begin;
            continue;
        }
        if (!find_run(remaining, hop.timeline, number, last))
            continue;
        if (*last >= newer_begins)
            *last = newer_begins - 1;
        *timeline = hop.timeline;
        return true;
    }
    return false;
}

/* The segment behind the last one that is reached. What a backup holds itself need not be archived. */
static uint64_t reach(const struct proof *proof, const struct remaining *remaining,
                      const struct archive_timeline *path, const struct retention_backup *backup)
{
    uint64_t lsn = backup->wal_included ? backup->stop_lsn - 1 : backup->start_lsn, last;
    uint64_t number = lsn / proof->generation->segment_bytes;
    uint32_t timeline = backup->timeline;

    while (step(proof, remaining, path, &timeline, number, &last))
        number = last + 1;
    return number;
}

static bool is_on(const struct archive_timeline *path, const struct retention_backup *backup, uint64_t lsn)
{
    uint64_t end;

    return path->timeline == backup->timeline ||
           (path->has_history && timeline_history_find(&path->history, backup->timeline, &end) && lsn <= end);
}

/* Is all the WAL there that takes it along path to its own end? */
static bool is_consistent(const struct proof *proof, const struct remaining *remaining,
                          const struct archive_timeline *path, const struct retention_backup *backup)
{
    return backup->state == RETENTION_COMPLETE && backup->generation == proof->index &&
           is_on(path, backup, backup->stop_lsn) &&
           (backup->wal_included ||
            reach(proof, remaining, path, backup) * proof->generation->segment_bytes >= backup->stop_lsn);
}

/* And can it be recovered at all, as far as is known? */
static bool is_good(const struct proof *proof, const struct remaining *remaining,
                    const struct archive_timeline *path, const struct retention_backup *backup)
{
    return !backup->found_damaged && is_consistent(proof, remaining, path, backup);
}

/* The checks */

static void check_chain(struct proof *proof, const struct archive_timeline *path,
                        const struct retention_backup *backup)
{
    if (is_consistent(proof, &proof->now, path, backup) && !is_consistent(proof, &proof->then, path, backup))
        lost(proof, "WAL that backup %s needs to be consistent on timeline %u", backup->id,
             (unsigned)path->timeline);
}

static void check_reach(struct proof *proof, const struct archive_timeline *path,
                        const struct retention_backup *backup, const char *why)
{
    if (reach(proof, &proof->then, path, backup) < reach(proof, &proof->now, path, backup))
        lost(proof, "WAL behind backup %s on timeline %u, which is %s", backup->id, (unsigned)path->timeline,
             why);
}

/* Might anything on this timeline alone have been committed since? */
static bool may_hold_since(const struct proof *proof, const struct retention_timeline *timeline,
                           int64_t since)
{
    const struct archive_timeline *path = timeline->archive;

    if (path->count == 0)
        return false;
    for (size_t i = 0; i < proof->generation->timeline_count; i++) {
        const struct archive_timeline *other = proof->generation->timelines[i].archive;
        for (size_t k = 0; other->has_history && other->count > 0 && k < other->history.count; k++)
            if (other->history.ancestors[k].timeline == path->timeline &&
                path->segments[path->count - 1].number <
                    other->history.ancestors[k].lsn / proof->generation->segment_bytes)
                return false; /* others hold all of it */
    }
    return timeline->end_stored == 0 || timeline->end_stored >= since;
}

/* Does it serve the instants of the window, as far as is known, or if nothing is wrong with it after all? */
static bool may_serve(const struct proof *proof, const struct remaining *remaining,
                      const struct archive_timeline *path, const struct retention_backup *backup,
                      bool only_good)
{
    return only_good ? is_good(proof, remaining, path, backup)
                     : is_consistent(proof, remaining, path, backup);
}

/* Whatever backup served the window's first instants on this way: one that stays must get as far. */
static void check_window(struct proof *proof, const struct archive_timeline *path, int64_t begin,
                         bool only_good)
{
    const struct retention *retention = proof->retention;
    uint64_t before = 0, after = 0;

    for (size_t i = 0; i < retention->backup_count; i++) {
        const struct retention_backup *backup = &retention->backups[i];
        if (!may_serve(proof, &proof->now, path, backup, only_good) || backup->stop_time > retention->now)
            continue;
        if (retention_ended(backup) >= begin) {
            if (backup->reasons == 0)
                lost(proof, "backup %s, which ended within keep_wal", backup->id);
            check_reach(proof, path, backup, "within keep_wal");
            continue;
        }
        uint64_t reached = reach(proof, &proof->now, path, backup);
        before = reached > before ? reached : before;
        if (backup->reasons == 0 || !may_serve(proof, &proof->then, path, backup, only_good))
            continue;
        reached = reach(proof, &proof->then, path, backup);
        after = reached > after ? reached : after;
    }
    if (after < before)
        lost(proof, "instants within keep_wal on timeline %u of system %" PRIu64, (unsigned)path->timeline,
             proof->generation->system_identifier);
}

static void check_way(struct proof *proof, const struct retention_timeline *timeline)
{
    const struct retention *retention = proof->retention;
    const struct archive_timeline *path = timeline->archive;
    uint64_t keep_wal = retention->policy->keep_wal_seconds;
    int64_t begin = retention->now - (int64_t)keep_wal * 1000000;

    for (size_t i = 0; i < retention->backup_count; i++) {
        const struct retention_backup *backup = &retention->backups[i];
        if (backup->generation != proof->index || backup->reasons == 0 ||
            !is_on(path, backup, backup->state == RETENTION_COMPLETE ? backup->stop_lsn : backup->start_lsn))
            continue;
        if (backup->state == RETENTION_COMPLETE)
            check_chain(proof, path, backup);
        else
            check_reach(proof, path, backup, "not known to be complete");
        if (keep_wal == 0 && backup->state == RETENTION_COMPLETE && backup->stop_time <= retention->now &&
            is_consistent(proof, &proof->now, path, backup))
            check_reach(proof, path, backup, "kept, and no keep_wal is set");
    }
    if (keep_wal != 0 && may_hold_since(proof, timeline, begin)) {
        check_window(proof, path, begin, false);
        check_window(proof, path, begin, true);
    }
}

/* Does a come later than b in the cluster's life? Of two at one point that which stays. */
static bool is_later(const struct retention_backup *a, const struct retention_backup *b)
{
    if (a->timeline != b->timeline)
        return a->timeline > b->timeline;
    if (a->stop_lsn != b->stop_lsn)
        return a->stop_lsn > b->stop_lsn;
    return a->reasons != 0;
}

/* An older generation may end without any, when a newer one has one that is whole. */
static bool is_superseded(const struct proof *proof)
{
    const struct retention *retention = proof->retention;

    for (size_t i = 0; i < retention->backup_count; i++)
        if (retention->backups[i].generation > proof->index && retention->backups[i].reasons != 0 &&
            retention->backups[i].is_whole)
            return true;
    return false;
}

/* The last of all that are whole, with all the WAL behind it. */
static void check_last(struct proof *proof)
{
    const struct retention *retention = proof->retention;
    const struct retention_generation *generation = proof->generation;
    const struct retention_backup *last = NULL;

    for (size_t i = 0; i < generation->timeline_count; i++)
        for (size_t k = 0; k < retention->backup_count; k++) {
            const struct retention_backup *backup = &retention->backups[k];
            if (is_good(proof, &proof->now, generation->timelines[i].archive, backup) &&
                (last == NULL || is_later(backup, last)))
                last = backup;
        }
    if (last == NULL || is_superseded(proof))
        return;
    if (last->reasons == 0)
        lost(proof, "the last backup of system %" PRIu64 " that is whole", generation->system_identifier);
    for (size_t i = 0; i < generation->timeline_count; i++)
        if (is_on(generation->timelines[i].archive, last, last->stop_lsn))
            check_reach(proof, generation->timelines[i].archive, last, "the last one");
}

static void check_folders(struct proof *proof)
{
    const struct retention *retention = proof->retention;
    int64_t young = retention->now - (int64_t)retention->policy->orphan_age_seconds * 1000000;

    for (size_t i = 0; i < retention->backup_count; i++) {
        const struct retention_backup *backup = &retention->backups[i];
        if (backup->reasons != 0)
            continue;
        if (backup->state == RETENTION_DAMAGED)
            lost(proof, "backup %s, whose manifest is damaged", backup->id);
        else if (backup->state == RETENTION_UNFINISHED &&
                 (retention->is_stale || backup->stored_time >= young))
            lost(proof, "backup %s, which may be running", backup->id);
        else if (backup->state == RETENTION_COMPLETE && (backup->is_pinned || backup->lock.is_locked))
            lost(proof, "backup %s, which is pinned or locked", backup->id);
        else if (backup->stop_time > retention->now && backup->state == RETENTION_COMPLETE)
            lost(proof, "backup %s, which seems to end in the future", backup->id);
    }
}

static void check_generation(struct proof *proof)
{
    if (remaining_find(proof->generation, true, &proof->now) != 0 ||
        remaining_find(proof->generation, false, &proof->then) != 0) {
        proof->is_wrong = true; /* memory: logged */
    } else {
        for (size_t i = 0; i < proof->generation->timeline_count; i++)
            check_way(proof, &proof->generation->timelines[i]);
        check_last(proof);
    }
    remaining_free(&proof->now);
    remaining_free(&proof->then);
}

bool retention_is_proven(const struct retention *retention)
{
    struct proof proof = {.retention = retention};

    check_folders(&proof);
    for (size_t i = 0; i < retention->generation_count; i++) {
        proof.generation = &retention->generations[i];
        proof.index = i;
        check_generation(&proof);
    }
    return !proof.is_wrong;
}
