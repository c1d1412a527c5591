#include "retention.h"

#include "log.h"
#include "retention_wal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000000)
#define DAY_SECONDS 86400
#define STALE_SECONDS (8u * DAY_SECONDS) /* longer than weekly backups are apart */

const char *retention_reason_name(unsigned reason)
{
    static const char *const names[RETENTION_REASONS] = {
        "pinned",     "newest",      "within keep_wal", "begin of keep_wal", "keep_last",     "keep_for",
        "keep_daily", "keep_weekly", "keep_monthly",    "keep_yearly",       "in the future", "damaged",
        "unfinished", "locked",      "none is whole",   "no policy",         "told to stay"};

    for (unsigned i = 0; i < RETENTION_REASONS; i++)
        if (reason == 1u << i)
            return names[i];
    return "";
}

int64_t retention_ended(const struct retention_backup *backup)
{
    return backup->stored_time > backup->stop_time ? backup->stored_time : backup->stop_time;
}

void retention_free(struct retention *retention)
{
    if (retention == NULL)
        return;
    for (size_t i = 0; i < retention->generation_count; i++) {
        struct retention_generation *generation = &retention->generations[i];
        for (size_t k = 0; k < generation->timeline_count; k++)
            free(generation->timelines[k].spans);
        free(generation->timelines);
    }
    free(retention->generations);
    free(retention->backups);
    *retention = (struct retention){.policy = NULL};
}

/* Backups in order */

static bool is_future(const struct retention *retention, const struct retention_backup *backup)
{
    return backup->stop_time > retention->now;
}

/* The newest first. */
static int compare_ended(const void *left, const void *right)
{
    const struct retention_backup *a = *(struct retention_backup *const *)left;
    const struct retention_backup *b = *(struct retention_backup *const *)right;

    if (a->stop_time != b->stop_time)
        return a->stop_time > b->stop_time ? -1 : 1;
    return strcmp(b->id, a->id);
}

/* Is a further on in the cluster's life than b, whatever the clocks say? */
static bool is_further(const struct retention_backup *a, const struct retention_backup *b)
{
    if (a->generation != b->generation)
        return a->generation > b->generation;
    if (a->timeline != b->timeline)
        return a->timeline > b->timeline;
    return a->stop_lsn > b->stop_lsn;
}

/* The rules of the policy */

/* Number of the day, week (from Monday), month or year, UTC. */
static int64_t period_of(unsigned reason, int64_t time)
{
    int64_t seconds = time / SECOND - (time % SECOND < 0);
    time_t wall = (time_t)seconds;
    struct tm tm;

    gmtime_r(&wall, &tm);
    int64_t day = (seconds - (tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec)) / DAY_SECONDS;
    switch (reason) {
    case KEPT_DAILY:
        return day;
    case KEPT_WEEKLY: /* day 0, 1970-01-01, was a Thursday */
        return (day + 3 - ((day + 3) % 7 + 7) % 7) / 7;
    case KEPT_MONTHLY:
        return (int64_t)tm.tm_year * 12 + tm.tm_mon;
    default:
        return tm.tm_year;
    }
}

/* Of each of the newest periods that have any, the newest backup. */
static void keep_periods(struct retention_backup **sorted, size_t count, bool only_whole, unsigned most,
                         unsigned reason)
{
    unsigned kept = 0;
    int64_t last = 0;

    for (size_t i = 0; i < count && kept < most; i++) {
        int64_t period = period_of(reason, sorted[i]->stop_time);
        if ((only_whole && !sorted[i]->is_whole) || (kept > 0 && period == last))
            continue;
        sorted[i]->reasons |= reason;
        last = period;
        kept++;
    }
}

static void keep_last(struct retention_backup **sorted, size_t count, bool only_whole, unsigned most)
{
    for (size_t i = 0; i < count && most > 0; i++) {
        if (only_whole && !sorted[i]->is_whole)
            continue;
        sorted[i]->reasons |= KEPT_LAST;
        most--;
    }
}

/* A backup without its WAL, or one that is known to be damaged, takes no other's place. It may yet get what
 * it lacks: it is kept besides. */
static void apply_counts(const struct retention_policy *policy, struct retention_backup **sorted,
                         size_t count)
{
    for (unsigned only_whole = 0; only_whole < 2; only_whole++) {
        keep_last(sorted, count, only_whole, policy->keep_last);
        keep_periods(sorted, count, only_whole, policy->keep_daily, KEPT_DAILY);
        keep_periods(sorted, count, only_whole, policy->keep_weekly, KEPT_WEEKLY);
        keep_periods(sorted, count, only_whole, policy->keep_monthly, KEPT_MONTHLY);
        keep_periods(sorted, count, only_whole, policy->keep_yearly, KEPT_YEARLY);
    }
}

static int64_t before(int64_t now, uint64_t seconds)
{
    return now - (int64_t)seconds * SECOND;
}

/* When the newest backups that are whole ended, the newest first; INT64_MIN: there are not so many. */
static void find_ends(const struct retention *retention, int64_t ends[3])
{
    for (size_t i = 0; i < 3; i++)
        ends[i] = INT64_MIN;
    for (size_t i = 0; i < retention->backup_count; i++) {
        const struct retention_backup *backup = &retention->backups[i];
        int64_t ended = retention_ended(backup);
        for (size_t k = 0; k < 3 && backup->is_whole && ended <= retention->now; k++)
            if (ended > ends[k]) {
                int64_t older = ends[k];
                ends[k] = ended;
                ended = older;
            }
    }
}

/* Is the newest far from those before it, and they were not so far apart? It was made while a clock was
 * wrong, or is the first after a pause. */
static bool is_apart(const int64_t ends[3], int64_t far)
{
    return ends[1] != INT64_MIN && ends[0] - ends[1] > far &&
           (ends[2] == INT64_MIN || ends[0] - ends[1] > 2 * (ends[1] - ends[2]));
}

/* When backups have stopped, or a clock has jumped ahead, all would soon look old: then ages count from the
 * newest backup's end, or from that before it. */
static int64_t now_for_ages(struct retention *retention)
{
    const struct retention_policy *policy = retention->policy;
    uint64_t longest = policy->keep_for_seconds > policy->keep_wal_seconds ? policy->keep_for_seconds
                                                                           : policy->keep_wal_seconds;
    int64_t ends[3], from;

    if (longest < STALE_SECONDS)
        longest = STALE_SECONDS;
    find_ends(retention, ends);
    from = is_apart(ends, (int64_t)longest * SECOND) ? ends[1] : ends[0];
    retention->is_stale = from != INT64_MIN && from < before(retention->now, longest);
    return retention->is_stale ? from : retention->now;
}

static void apply_ages(struct retention *retention)
{
    const struct retention_policy *policy = retention->policy;
    int64_t now = now_for_ages(retention);

    retention->window_begin =
        policy->keep_wal_seconds == 0 ? INT64_MIN : before(now, policy->keep_wal_seconds);
    for (size_t i = 0; i < retention->backup_count; i++) {
        struct retention_backup *backup = &retention->backups[i];
        int64_t ended = retention_ended(backup);
        if (backup->state != RETENTION_COMPLETE || is_future(retention, backup))
            continue;
        if (policy->keep_wal_seconds != 0 && ended >= retention->window_begin)
            backup->reasons |= KEPT_WINDOW;
        if (policy->keep_for_seconds != 0 && ended >= before(now, policy->keep_for_seconds))
            backup->reasons |= KEPT_FOR;
    }
}

/* What stays whatever the policy says */

bool retention_is_given_up(const struct retention *retention, const struct retention_backup *backup)
{
    int64_t sign = backup->stored_time != 0 ? backup->stored_time : backup->stop_time;

    return backup->state == RETENTION_UNFINISHED &&
           sign < before(retention->now, retention->policy->orphan_age_seconds);
}

/* A clock that may have jumped ahead makes no running backup garbage, either. */
static void keep_by_state(struct retention *retention)
{
    for (size_t i = 0; i < retention->backup_count; i++) {
        struct retention_backup *backup = &retention->backups[i];
        if (backup->is_promised)
            backup->reasons |= KEPT_PROMISED;
        if (backup->state == RETENTION_DAMAGED)
            backup->reasons |= KEPT_DAMAGED;
        if (backup->state == RETENTION_UNFINISHED &&
            (retention->is_stale || !retention_is_given_up(retention, backup)))
            backup->reasons |= KEPT_RUNNING;
        if (backup->state == RETENTION_COMPLETE && is_future(retention, backup))
            backup->reasons |= KEPT_FUTURE;
        if (backup->state == RETENTION_UNFINISHED)
            continue;
        if (backup->is_pinned)
            backup->reasons |= KEPT_PINNED;
        if (backup->lock.is_locked)
            backup->reasons |= KEPT_LOCKED;
    }
}

/* The last good one: by the clocks, and by how far the cluster had got; and of the newest generation. */
static void keep_newest(struct retention *retention)
{
    struct retention_backup *by_time = NULL, *by_position = NULL, *of_generation = NULL;

    for (size_t i = 0; i < retention->backup_count; i++) {
        struct retention_backup *backup = &retention->backups[i];
        if (!backup->is_whole)
            continue;
        if (by_position == NULL || is_further(backup, by_position))
            by_position = backup;
        if (is_future(retention, backup))
            continue;
        if (by_time == NULL || backup->stop_time > by_time->stop_time)
            by_time = backup;
        if (of_generation == NULL || backup->generation > of_generation->generation ||
            (backup->generation == of_generation->generation && backup->stop_time > of_generation->stop_time))
            of_generation = backup;
    }
    retention->newest_generation = by_position == NULL ? SIZE_MAX : by_position->generation;
    if (by_position != NULL)
        by_position->reasons |= KEPT_NEWEST;
    if (by_time != NULL) {
        by_time->reasons |= KEPT_NEWEST;
        of_generation->reasons |= KEPT_NEWEST;
    }
}

/* Where a generation has no backup that is whole, and no newer one has, what there is may be all there is. */
static void keep_alone(struct retention *retention)
{
    for (size_t i = 0; i < retention->backup_count; i++) {
        struct retention_backup *backup = &retention->backups[i];
        if (backup->state == RETENTION_COMPLETE &&
            (retention->newest_generation == SIZE_MAX || backup->generation > retention->newest_generation))
            backup->reasons |= KEPT_ALONE;
    }
}

static void keep_base(struct retention *retention, size_t generation, const struct archive_timeline *path,
                      bool only_whole)
{
    const struct retention_backup *base = retention_base(retention, generation, path, only_whole);

    if (base != NULL)
        retention->backups[base - retention->backups].reasons |= KEPT_BASE;
}

/* On each timeline that may have instants of the window, what recovery to the first of them starts with. One
 * that was found damaged may be unreadable only, or be put right: without it the WAL up to the next one is of
 * no use, so it stays besides, as in apply_counts. */
static void keep_bases(struct retention *retention)
{
    if (retention->policy->keep_wal_seconds == 0)
        return;
    for (size_t i = 0; i < retention->generation_count; i++) {
        const struct retention_generation *generation = &retention->generations[i];
        for (size_t k = 0; k < generation->timeline_count; k++) {
            const struct retention_timeline *timeline = &generation->timelines[k];
            if (!retention_is_alive(generation, timeline, retention->window_begin,
                                    i == retention->newest_generation))
                continue;
            keep_base(retention, i, timeline->archive, false);
            keep_base(retention, i, timeline->archive, true);
        }
    }
}

/* The plan */

static void forget(struct retention *retention)
{
    for (size_t i = 0; i < retention->backup_count; i++) {
        struct retention_backup *backup = &retention->backups[i];
        backup->reasons = 0;
        backup->has_wal = backup->state == RETENTION_COMPLETE &&
                          retention_has_wal(&retention->generations[backup->generation], backup);
        backup->is_whole = backup->has_wal && !backup->found_damaged;
    }
}

/* Complete and not of the future, the newest first. NULL after logging. */
static struct retention_backup **sort_backups(const struct retention *retention, size_t *count)
{
    struct retention_backup **sorted = calloc(retention->backup_count + 1, sizeof(struct retention_backup *));

    if (sorted == NULL) {
        log_out_of_memory();
        return NULL;
    }
    *count = 0;
    for (size_t i = 0; i < retention->backup_count; i++)
        if (retention->backups[i].state == RETENTION_COMPLETE &&
            !is_future(retention, &retention->backups[i]))
            sorted[(*count)++] = &retention->backups[i];
    if (*count > 1)
        qsort(sorted, *count, sizeof(struct retention_backup *), compare_ended);
    return sorted;
}

int retention_plan(struct retention *retention)
{
    size_t count;

    forget(retention);
    struct retention_backup **sorted = sort_backups(retention, &count);
    if (sorted == NULL)
        return -1;
    apply_ages(retention); /* first: it tells whether the clock can be believed */
    keep_by_state(retention);
    keep_newest(retention);
    keep_alone(retention);
    apply_counts(retention->policy, sorted, count);
    keep_bases(retention);
    free(sorted);
    if (!retention_policy_is_given(retention->policy))
        for (size_t i = 0; i < retention->backup_count; i++)
            retention->backups[i].reasons |= KEPT_NO_POLICY;
    return retention_plan_wal(retention);
}
