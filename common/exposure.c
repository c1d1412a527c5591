#include "exposure.h"

#include "archive_status.h"
#include "file.h"
#include "log.h"
#include "pg_control.h"
#include "pg_wal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct server {
    struct wal_archive *archive;
    const char *pg_wal;
    uint32_t timeline;
    const struct window *window; /* of that timeline, if anything can be recovered along it; NULL */
    uint64_t newest_stored;      /* segment of that timeline; 0: none */
};

int64_t exposure_safe_until(const struct window_stretch *stretch)
{
    return stretch->has_latest                   ? stretch->latest
           : stretch->covered_until != INT64_MIN ? stretch->covered_until
                                                 : stretch->last->stop_time;
}

/* The latest of the window that ends last: what is behind a hole is not safe without a backup behind it. A
 * backup has all that was committed before its end. */
static void find_safe(const struct windows *windows, struct server *server, struct exposure *exposure)
{
    for (size_t i = 0; i < windows->count; i++) {
        const struct window *window = &windows->items[i];
        const struct window_stretch *last = window->count == 0 ? NULL : &window->stretches[window->count - 1];
        if (window->timeline != exposure->timeline || last == NULL)
            continue;
        server->window = window;
        exposure->has_safe = true;
        exposure->safe = exposure_safe_until(last);
    }
}

static void find_newest_stored(struct server *server)
{
    const struct archive_timeline *timeline = wal_archive_timeline(server->archive, server->timeline);

    server->newest_stored =
        timeline == NULL || timeline->count == 0 ? 0 : timeline->segments[timeline->count - 1].number;
}

/* Opens a segment that the repository does not have. 0; 1 if it has, or that is none: one that is older than
 * what is stored, and does not wait to be, may have been expired there; -1 after logging. */
static int open_waiting(const struct server *server, uint64_t number, struct pg_wal_segment *segment)
{
    char name[WAL_SEGMENT_NAME_BYTES];

    if (wal_archive_segment(server->archive, server->timeline, number) != NULL)
        return 1;
    wal_segment_name(server->timeline, number, server->archive->segment_bytes, name);
    if (number < server->newest_stored && !archive_status_waits(server->pg_wal, name))
        return 1;
    char *path = path_join(server->pg_wal, name);
    int opened = path == NULL ? -1
                              : pg_wal_open(path, number, server->archive->system_identifier,
                                            server->archive->segment_bytes, segment);
    free(path);
    return opened;
}

static int summarize(const struct pg_wal_segment *segment, struct wal_scan *scan, struct wal_summary *summary)
{
    const struct wal_restore_point *ignored;

    wal_scan_begin(scan);
    int result = pg_wal_feed(segment, scan);
    wal_scan_end(scan, summary, &ignored);
    return result;
}

/* From the newest on: only as far as the newest commit is read. *newest: the index of its segment. */
static int find_newest(const struct server *server, struct wal_scan *scan, const struct pg_wal_name *names,
                       size_t count, struct exposure *exposure, size_t *newest)
{
    int result = 0;

    for (size_t i = count; result == 0 && i > 0; i--) {
        struct pg_wal_segment segment;
        struct wal_summary summary = {.transactions = 0};
        int opened = open_waiting(server, names[i - 1].number, &segment);
        if (opened != 0) {
            result = opened < 0 ? -1 : 0;
            continue;
        }
        exposure->waiting++;
        if (!exposure->has_newer)
            result = summarize(&segment, scan, &summary);
        pg_wal_close(&segment);
        if (result != 0 || summary.transactions == 0)
            continue;
        exposure->has_newer = true;
        exposure->newest = summary.most_time;
        exposure->oldest = summary.least_time;
        *newest = i - 1;
    }
    return result;
}

/* From the oldest on, in the segments before the one that has the newest commit. */
static int find_oldest(const struct server *server, struct wal_scan *scan, const struct pg_wal_name *names,
                       size_t newest, struct exposure *exposure)
{
    bool is_found = false;
    int result = 0;

    for (size_t i = 0; result == 0 && !is_found && i < newest; i++) {
        struct pg_wal_segment segment;
        struct wal_summary summary = {.transactions = 0};
        int opened = open_waiting(server, names[i].number, &segment);
        if (opened == 0) {
            result = summarize(&segment, scan, &summary);
            pg_wal_close(&segment);
        } else if (opened < 0) {
            result = -1;
        }
        is_found = result == 0 && summary.transactions > 0;
        if (is_found && summary.least_time < exposure->oldest)
            exposure->oldest = summary.least_time;
    }
    return result;
}

static int look_at_pg_wal(const struct server *server, struct exposure *exposure)
{
    struct wal_scan *scan = wal_scan_new();
    struct pg_wal_name *names = NULL;
    size_t count = 0, newest = 0;
    int result = scan == NULL ? -1
                              : pg_wal_list(server->pg_wal, server->timeline, server->archive->segment_bytes,
                                            &names, &count);

    if (result == 0)
        result = find_newest(server, scan, names, count, exposure, &newest);
    if (result == 0 && exposure->has_newer)
        result = find_oldest(server, scan, names, newest, exposure);
    free(names);
    wal_scan_free(scan);
    return result;
}

/* Of the run that ends with segment last, both indexes. */
static size_t run_begin(const struct archive_timeline *timeline, size_t first, size_t last)
{
    while (last > first && timeline->segments[last - 1].number + 1 == timeline->segments[last].number)
        last--;
    return last;
}

/* The newest commit of those segments, the first of which has this index; there may be more holes. */
static int find_cut_off_time(const struct server *server, const struct archive_timeline *timeline,
                             size_t first, struct exposure *exposure)
{
    const struct archive_enough any = {INT64_MIN, 0};
    struct archive_times times = {.has_commit = false};
    size_t begin;

    for (size_t end = timeline->count; end > first && !times.has_commit; end = begin) {
        begin = run_begin(timeline, first, end - 1);
        const struct archive_run run = {.first_timeline = server->timeline,
                                        .timeline = server->timeline,
                                        .first = timeline->segments[begin].number,
                                        .last = timeline->segments[end - 1].number};
        if (wal_archive_times_enough(server->archive, &server->window->history, &run, &any, &times) !=
            REPOSITORY_OK)
            return -1;
    }
    exposure->has_cut_off = times.has_commit;
    exposure->cut_off_time = times.most_time;
    return 0;
}

static int look_behind_hole(const struct server *server, struct exposure *exposure)
{
    const struct archive_timeline *timeline = wal_archive_timeline(server->archive, server->timeline);
    const struct window *window = server->window;
    size_t first = timeline == NULL || window == NULL ? 0 : timeline->count;

    if (first == 0)
        return 0;
    while (first > 0 && timeline->segments[first - 1].number > window->stretches[window->count - 1].run.last)
        first--;
    exposure->cut_off = timeline->count - first;
    return find_cut_off_time(server, timeline, first, exposure);
}

/* Is this the server of the repository's system, and may we look into its pg_wal? 1, 0, or -1 after logging.
 */
static int is_readable(const char *pgdata, const char *pg_wal, uint64_t system, struct exposure *exposure)
{
    struct pg_control control;

    if (access(pg_wal, R_OK | X_OK) != 0) {
        if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) {
            log_error("could not look into \"%s\": %m", pg_wal);
            return -1;
        }
        log_debug("\"%s\" is not looked into: %m", pg_wal); /* no server is here, or it is another's */
        return 0;
    }
    int result = pg_control_read(pgdata, &control, NULL);
    if (result != 0 || control.system_identifier != system)
        return result < 0 ? -1 : 0;
    exposure->timeline = control.timeline;
    return 1;
}

int exposure_find(const char *pgdata, struct wal_archive *archive, const struct windows *windows,
                  struct exposure *exposure)
{
    struct server server = {.archive = archive};

    *exposure = (struct exposure){.is_known = false};
    if (pgdata == NULL)
        return 0;
    char *pg_wal = path_join(pgdata, "pg_wal");
    int result = pg_wal == NULL ? -1 : is_readable(pgdata, pg_wal, archive->system_identifier, exposure);
    if (result > 0) {
        server.pg_wal = pg_wal;
        server.timeline = exposure->timeline;
        find_newest_stored(&server);
        find_safe(windows, &server, exposure);
        result = look_at_pg_wal(&server, exposure);
        if (result == 0)
            result = look_behind_hole(&server, exposure);
        exposure->is_known = result == 0;
    }
    free(pg_wal);
    return result;
}

int64_t exposure_behind(const struct exposure *exposure)
{
    int64_t newest = exposure->safe;

    if (!exposure->has_safe)
        return 0;
    if (exposure->has_newer && exposure->newest > newest)
        newest = exposure->newest;
    if (exposure->has_cut_off && exposure->cut_off_time > newest)
        newest = exposure->cut_off_time;
    return newest - exposure->safe;
}

bool exposure_has_unsafe(const struct exposure *exposure)
{
    return exposure->has_newer || exposure->has_cut_off;
}

int64_t exposure_unsafe_for(const struct exposure *exposure, int64_t now)
{
    int64_t oldest = now;

    if (exposure->has_newer && exposure->oldest < oldest)
        oldest = exposure->oldest;
    /* behind a hole: none of them is older than the newest safe one */
    if (exposure->has_cut_off && exposure->has_safe && exposure->safe < oldest)
        oldest = exposure->safe;
    return now - oldest;
}
