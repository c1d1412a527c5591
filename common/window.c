#include "window.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>

bool window_leads(const struct timeline_history *history, const struct backup *backup)
{
    uint64_t end;

    return timeline_history_find(history, backup->timeline, &end) && backup->stop_lsn <= end;
}

bool window_hole_is_expired(const struct wal_archive *archive, const struct archive_run *run,
                            const struct backup *backup)
{
    const struct repository *repository = archive->repository;
    uint64_t keep_seconds = repository->settings->retention.keep_wal_seconds;

    return keep_seconds > 0 && run->has_later && backup->system_identifier == archive->system_identifier &&
           backup->start_lsn / archive->segment_bytes >= run->next &&
           backup->timeline >= run->next_timeline &&
           backup->start_time < store_now(repository->store) - (int64_t)keep_seconds * 1000000;
}

/* Timelines */

static int add_timeline(struct windows *windows, uint32_t timeline)
{
    size_t at = windows->count;

    while (at > 0 && windows->items[at - 1].timeline > timeline)
        at--;
    if (at > 0 && windows->items[at - 1].timeline == timeline)
        return 0;
    struct window *grown = realloc(windows->items, (windows->count + 1) * sizeof *grown);
    if (grown == NULL)
        return log_out_of_memory();
    windows->items = grown;
    memmove(&grown[at + 1], &grown[at], (windows->count - at) * sizeof *grown);
    grown[at] = (struct window){.timeline = timeline, .history = {.timeline = timeline}};
    windows->count++;
    return 0;
}

/* The latest is looked for from the newest backup on. */
static int find_timelines(const struct wal_archive *archive, const struct backup_list *backups,
                          struct windows *windows)
{
    uint32_t newest = 0;

    for (size_t i = 0; i < archive->count; i++)
        if (add_timeline(windows, archive->timelines[i].timeline) != 0)
            return -1;
    for (size_t i = 0; i < backups->count; i++) {
        const struct backup *backup = &backups->backups[i];
        if (backup->system_identifier != archive->system_identifier)
            continue;
        newest = backup->timeline;
        if (add_timeline(windows, backup->timeline) != 0)
            return -1;
    }
    if (newest == 0 && windows->count > 0)
        newest = windows->items[0].timeline;
    windows->latest = newest == 0 ? 0 : wal_archive_latest(archive, newest);
    return 0;
}

static const struct timeline_history *find_history(const struct wal_archive *archive, uint32_t timeline)
{
    const struct archive_timeline *found = wal_archive_timeline(archive, timeline);

    return found == NULL ? NULL : &found->history;
}

static bool leads_to(const struct wal_archive *archive, uint32_t timeline, uint32_t later)
{
    const struct timeline_history *history = find_history(archive, later);
    uint64_t ignored;

    return timeline == later || (history != NULL && timeline_history_find(history, timeline, &ignored));
}

/* Which timeline goes on where this one was left. */
static void find_successor(const struct wal_archive *archive, uint32_t latest, struct window *window)
{
    for (size_t i = 0; i < archive->count; i++) {
        const struct timeline_history *history = &archive->timelines[i].history;
        if (history->count == 0 || history->ancestors[history->count - 1].timeline != window->timeline)
            continue;
        if (window->is_left && !leads_to(archive, history->timeline, latest))
            continue;
        window->is_left = true;
        window->by_timeline = history->timeline;
        window->left_at = history->ancestors[history->count - 1].lsn;
    }
}

static void describe(const struct wal_archive *archive, uint32_t latest, struct window *window)
{
    const struct timeline_history *history = find_history(archive, window->timeline);

    if (history != NULL)
        window->history = *history;
    window->leads_to_latest = leads_to(archive, window->timeline, latest);
    find_successor(archive, latest, window);
}

/* Backups on the way */

struct backups {
    const struct backup **items;
    size_t count;
};

static int compare_starts(const void *left, const void *right)
{
    const struct backup *a = *(const struct backup *const *)left, *b = *(const struct backup *const *)right;

    if (a->start_lsn != b->start_lsn)
        return a->start_lsn < b->start_lsn ? -1 : 1;
    return (a->stop_lsn > b->stop_lsn) - (a->stop_lsn < b->stop_lsn);
}

static int select_backups(const struct wal_archive *archive, const struct backup_list *list,
                          const struct timeline_history *history, struct backups *backups)
{
    backups->count = 0;
    backups->items = calloc(list->count + 1, sizeof *backups->items);
    if (backups->items == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < list->count; i++)
        if (list->backups[i].system_identifier == archive->system_identifier &&
            window_leads(history, &list->backups[i]))
            backups->items[backups->count++] = &list->backups[i];
    qsort(backups->items, backups->count, sizeof *backups->items, compare_starts);
    return 0;
}

/* Stretches */

static int add_incomplete(struct window *window, const struct backup *backup, const struct archive_run *run)
{
    struct window_incomplete *grown =
        realloc(window->incomplete, (window->incomplete_count + 1) * sizeof *grown);

    if (grown == NULL)
        return log_out_of_memory();
    window->incomplete = grown;
    grown[window->incomplete_count++] =
        (struct window_incomplete){backup, run->missing_timeline, run->last + 1};
    return 0;
}

static int add_stretch(struct window *window, const struct backup *backup, const struct archive_run *run)
{
    struct window_stretch *grown = realloc(window->stretches, (window->count + 1) * sizeof *grown);

    if (grown == NULL)
        return log_out_of_memory();
    window->stretches = grown;
    grown[window->count++] = (struct window_stretch){
        .first = backup, .earliest = backup->stop_time, .covered_until = INT64_MIN, .run = *run};
    return 0;
}

static void extend_stretch(struct window_stretch *stretch, const struct backup *backup)
{
    stretch->last = backup;
    stretch->backup_count++;
    if (backup->stop_time < stretch->earliest) {
        stretch->first = backup;
        stretch->earliest = backup->stop_time;
    }
    if (backup->covered_until != 0 && backup->covered_until > stretch->covered_until)
        stretch->covered_until = backup->covered_until;
}

/* Needs the backup no segment but those of the newest stretch? */
static bool belongs(const struct window *window, const struct window_origin *origin, uint32_t segment_bytes)
{
    return window->count > 0 &&
           (origin->stop_lsn - 1) / segment_bytes <= window->stretches[window->count - 1].run.last;
}

static int find_stretches(const struct wal_archive *archive, const struct backups *backups,
                          struct window *window)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < backups->count; i++) {
        struct window_origin origin;
        struct archive_run run;

        window_origin_of(backups->items[i], &origin);
        if (!belongs(window, &origin, archive->segment_bytes)) {
            if (!window_origin_follow(archive, &window->history, &origin, &run)) {
                result = add_incomplete(window, backups->items[i], &run);
                continue;
            }
            result = add_stretch(window, backups->items[i], &run);
        }
        if (result == 0)
            extend_stretch(&window->stretches[window->count - 1], backups->items[i]);
    }
    return result;
}

static enum repository_result find_latest(struct wal_archive *archive, const struct window *window,
                                          struct window_stretch *stretch)
{
    const struct archive_enough enough = {INT64_MAX, stretch->last->start_lsn / archive->segment_bytes};
    struct archive_times times;
    enum repository_result result =
        wal_archive_times_enough(archive, &window->history, &stretch->run, &enough, &times);

    stretch->is_known = times.is_known;
    /* What was committed before the first backup's end is in it. */
    stretch->has_latest = times.has_commit && times.last_lsn >= stretch->first->stop_lsn;
    if (stretch->has_latest) {
        stretch->latest = times.most_time;
        stretch->last_lsn = times.last_lsn;
    }
    return result;
}

static bool is_expired(const struct wal_archive *archive, const struct backup_list *list,
                       const struct archive_run *run)
{
    for (size_t i = 0; i < list->count; i++)
        if (window_hole_is_expired(archive, run, &list->backups[i]))
            return true;
    return false;
}

static enum repository_result fill(struct wal_archive *archive, const struct backup_list *list,
                                   struct window *window)
{
    struct backups backups = {NULL, 0};
    enum repository_result result = REPOSITORY_FAILED;

    if (select_backups(archive, list, &window->history, &backups) == 0 &&
        find_stretches(archive, &backups, window) == 0)
        result = REPOSITORY_OK;
    for (size_t i = 0; result == REPOSITORY_OK && i < window->count; i++) {
        window->stretches[i].is_expired = is_expired(archive, list, &window->stretches[i].run);
        result = find_latest(archive, window, &window->stretches[i]);
    }
    free(backups.items);
    return result;
}

enum repository_result windows_find(struct wal_archive *archive, const struct backup_list *backups,
                                    struct windows *windows)
{
    enum repository_result result = REPOSITORY_OK;

    *windows = (struct windows){.items = NULL};
    if (find_timelines(archive, backups, windows) != 0)
        return REPOSITORY_FAILED;
    for (size_t i = 0; result == REPOSITORY_OK && i < windows->count; i++) {
        describe(archive, windows->latest, &windows->items[i]);
        result = fill(archive, backups, &windows->items[i]);
    }
    return result;
}

void windows_free(struct windows *windows)
{
    if (windows == NULL)
        return;
    for (size_t i = 0; i < windows->count; i++) {
        free(windows->items[i].stretches);
        free(windows->items[i].incomplete);
    }
    free(windows->items);
    *windows = (struct windows){.items = NULL};
}
