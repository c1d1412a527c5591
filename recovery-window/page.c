#include "page.h"

#include "common/log.h"
#include "common/timestamp.h"

#include <inttypes.h>
#include <stdio.h>

#define HOLES_MOST 10 /* are shown */

static const char *name(const struct wal_archive *archive, uint32_t timeline, uint64_t number)
{
    static char names[4][WAL_SEGMENT_NAME_BYTES];
    static unsigned next;
    char *out = names[next++ % 4];

    wal_segment_name(timeline, number, archive->segment_bytes, out);
    return out;
}

static const char *time_text(int64_t time)
{
    static char texts[4][TIMESTAMP_TEXT_BYTES];
    static unsigned next;
    char *out = texts[next++ % 4];

    timestamp_format(time, out);
    return out;
}

/* "  earliest      ..." */
static void label(const char *text)
{
    printf("  %-14s ", text);
}

/* A stretch */

static void print_latest(const struct window_stretch *stretch)
{
    char lsn[24];

    label("latest");
    if (!stretch->has_latest) {
        printf(stretch->is_known ? "nothing was committed since: only without a target\n"
                                 : "not known: the WAL does not tell its times\n");
        return;
    }
    lsn_format(stretch->last_lsn, lsn);
    printf("%s %s, the time of the last commit%s\n", stretch->is_known ? "before" : "at least before",
           time_text(stretch->latest), stretch->is_known ? "" : " that is known");
    label("");
    printf("that commit itself: without a target, or with --target-lsn %s\n", lsn);
}

static void print_covered(const struct window_stretch *stretch)
{
    if (!stretch->is_known || !stretch->has_latest || stretch->covered_until <= stretch->latest)
        return;
    label("");
    printf("nothing was committed from then to %s at least\n", time_text(stretch->covered_until));
}

static void print_end(const struct wal_archive *archive, const struct window_stretch *stretch)
{
    const struct archive_run *run = &stretch->run;

    label("WAL");
    if (run->last < run->first) {
        printf("only what is in the backup\n");
        return;
    }
    printf("%s to %s\n", name(archive, run->first_timeline, run->first),
           name(archive, run->timeline, run->last));
    if (!run->is_hole)
        return;
    label("");
    if (stretch->is_expired) {
        printf("what is behind it, up to the next backup, is older than keep_wal\n");
        return;
    }
    printf("%s is missing%s%s\n", name(archive, run->missing_timeline, run->last + 1),
           run->is_marked ? ": the server let go of it (on_full = drop)" : "",
           run->is_partial ? ", only its .partial is there" : "");
}

static void print_stretch(const struct wal_archive *archive, const struct window_stretch *stretch)
{
    label("earliest");
    printf("after %s, the end of backup %s\n", time_text(stretch->earliest), stretch->first->id);
    print_latest(stretch);
    print_covered(stretch);
    label("backups");
    printf("%zu, the newest is %s, which ended at %s\n", stretch->backup_count, stretch->last->id,
           time_text(stretch->last->stop_time));
    print_end(archive, stretch);
}

/* A timeline */

static void print_holes(const struct wal_archive *archive, uint32_t timeline)
{
    struct archive_gap holes[HOLES_MOST];
    size_t count = survey_holes(archive, timeline, holes, HOLES_MOST);

    for (size_t i = 0; i < count && i < HOLES_MOST; i++) {
        label("hole");
        printf("%s to %s (%" PRIu64 ") is not there\n", name(archive, timeline, holes[i].first),
               name(archive, timeline, holes[i].last), holes[i].last - holes[i].first + 1);
    }
    if (count > HOLES_MOST) {
        label("");
        printf("and %zu more\n", count - HOLES_MOST);
    }
}

static void print_markers(const struct wal_archive *archive, uint32_t timeline)
{
    const struct archive_timeline *found = wal_archive_timeline(archive, timeline);

    for (size_t i = 0; found != NULL && i < found->gap_count; i++) {
        label("gap marker");
        printf("%s to %s: the server let go of it (on_full = drop)\n",
               name(archive, timeline, found->gaps[i].first), name(archive, timeline, found->gaps[i].last));
    }
}

static void print_fork(const struct window *window)
{
    char lsn[24];

    if (window->is_left) {
        lsn_format(window->left_at, lsn);
        label("left");
        printf("at LSN %s by timeline %u\n", lsn, window->by_timeline);
    }
    if (!window->leads_to_latest) {
        label("abandoned");
        printf("the latest timeline does not come this way; recovery goes here with --timeline %u only\n",
               window->timeline);
    }
}

static void print_timeline(const struct survey_system *system, const struct window *window)
{
    const struct wal_archive *archive = &system->archive;

    printf("\ntimeline %u%s\n", window->timeline,
           window->timeline == system->windows.latest ? ", the latest" : "");
    if (window->count == 0) {
        label("earliest");
        printf("nothing can be recovered: there is no complete backup on the way to this timeline\n");
    }
    for (size_t i = 0; i < window->count; i++) {
        if (i > 0)
            putchar('\n');
        print_stretch(archive, &window->stretches[i]);
    }
    print_fork(window);
    print_holes(archive, window->timeline);
    print_markers(archive, window->timeline);
    for (size_t i = 0; i < window->incomplete_count; i++) {
        label("incomplete");
        printf("backup %s can't be used: %s is missing\n", window->incomplete[i].backup->id,
               name(archive, window->incomplete[i].timeline, window->incomplete[i].missing));
    }
}

/* A system */

static void print_exposure(const struct exposure *exposure)
{
    if (!exposure->is_known)
        return;
    printf("\nif the server were lost now\n");
    label("archived");
    if (exposure->has_safe)
        printf("all commits up to %s\n", time_text(exposure->safe));
    else
        printf("nothing on timeline %u can be recovered\n", exposure->timeline);
    if (exposure->cut_off > 0) {
        label("behind a hole");
        printf("%zu segments that no backup leads to%s%s\n", exposure->cut_off,
               exposure->has_cut_off ? ", up to the commit of " : "",
               exposure->has_cut_off ? time_text(exposure->cut_off_time) : "");
    }
    label("in pg_wal only");
    if (exposure->has_newer)
        printf("%zu segments, up to the commit of %s", exposure->waiting, time_text(exposure->newest));
    else
        printf("no commit");
    if (exposure->has_safe)
        printf(": %.3f s of commits would be lost", (double)exposure_behind(exposure) / 1e6);
    putchar('\n');
}

static void print_system(const struct survey_system *system)
{
    printf("system %" PRIu64 ", PostgreSQL %u: %zu backups, %" PRIu64 " WAL segments\n",
           system->generation->system_identifier, system->generation->postgresql_version,
           system->backup_count, system->archive.segment_count);
    for (size_t i = 0; i < system->windows.count; i++)
        print_timeline(system, &system->windows.items[i]);
    print_exposure(&system->exposure);
}

void page_print(const struct survey *survey)
{
    printf("repository %s (%s)\n", survey->settings->name, survey->settings->url);
    for (size_t i = 0; i < survey->count; i++) {
        if (i > 0)
            putchar('\n');
        print_system(&survey->systems[i]);
    }
}
