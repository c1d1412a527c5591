#include "html_timeline.h"

#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define MINUTE 60000000ll
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define TICKS_MOST 5 /* with labels that do not touch each other on a phone */
#define SIZES_HEIGHT 90.0
#define BARS_MOST 400 /* the newest ones: a page is no data base */

struct timeline_range timeline_range_of(const struct picture *picture)
{
    struct timeline_range range = {picture->now - HOUR, picture->now};

    for (size_t i = 0; i < picture->repository_count; i++) {
        const struct picture_repository *repository = &picture->repositories[i];
        for (size_t k = 0; k < repository->backup_count; k++)
            if (repository->backups[k].start_time < range.from)
                range.from = repository->backups[k].start_time;
    }
    range.from -= (range.to - range.from) / 50; /* what stands at the edge is seen whole */
    return range;
}

/* Percent from the left edge; what lies outside is put at the edge. */
static double place(const struct timeline_range *range, int64_t time)
{
    double percent = (double)(time - range->from) * 98 / (double)(range->to - range->from);

    return percent < 0 ? 0 : percent > 99 ? 99 : percent;
}

/* Ticks */

static int64_t tick_step(const struct timeline_range *range)
{
    static const int64_t steps[] = {5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR,     3 * HOUR,
                                    6 * HOUR,   12 * HOUR,   DAY,         2 * DAY,  7 * DAY,
                                    14 * DAY,   30 * DAY,    91 * DAY,    182 * DAY};
    size_t i = 0;

    while (i + 1 < sizeof steps / sizeof steps[0] && (range->to - range->from) / steps[i] >= TICKS_MOST)
        i++;
    int64_t step = steps[i];
    while ((range->to - range->from) / step >= TICKS_MOST)
        step *= 2;
    return step;
}

static void draw_ticks(struct html *html, const struct timeline_range *range, int height)
{
    const int64_t step = tick_step(range);

    for (int64_t time = (range->from / step + 1) * step; time < range->to; time += step) {
        const time_t seconds = (time_t)(time / 1000000);
        double x = place(range, time);
        char label[32];
        struct tm parts;
        if (gmtime_r(&seconds, &parts) == NULL)
            return;
        strftime(label, sizeof label, step < DAY ? "%H:%M" : step < 91 * DAY ? "%b %d" : "%b %Y", &parts);
        html_markup(html, "<line class=\"tick\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"%d\"/>", x, x,
                    height - 16);
        html_markup(html, "<text class=\"axis\" x=\"%.2f%%\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", x,
                    height - 3,
                    x < 6    ? "start"
                    : x > 92 ? "end"
                             : "middle",
                    label);
    }
}

/* Bars */

static void draw_bar(struct html *html, const struct timeline_range *range, const char *class, int y,
                     int64_t from, int64_t to, const char *title)
{
    double x = place(range, from), width = place(range, to) - x;
    char begin[WORDS_BYTES], end[WORDS_BYTES];

    html_markup(
        html,
        "<rect class=\"%s\" x=\"%.2f%%\" y=\"%d\" width=\"%.2f%%\" height=\"14\"><title>%s: %s to %s UTC"
        "</title></rect>\n",
        class, x, y, width < 0.3 ? 0.3 : width, title, words_time(from, begin), words_time(to, end));
}

static void draw_wal(struct html *html, const struct picture_repository *repository,
                     const struct timeline_range *range, int y)
{
    for (size_t i = 0; i < repository->stretch_count; i++) {
        const struct picture_stretch *stretch = &repository->stretches[i];
        const bool is_last = i + 1 == repository->stretch_count;
        int64_t next = is_last ? range->to : repository->stretches[i + 1].begin;
        draw_bar(html, range, is_last ? "window" : "older", y, stretch->begin, stretch->end,
                 is_last ? "recovery window" : "recoverable");
        if (stretch->ends_at_hole)
            draw_bar(html, range, "hole", y, stretch->end, next, "WAL is missing");
        else if (stretch->is_expired && !is_last)
            draw_bar(html, range, "expired", y, stretch->end, next, "older than keep_wal");
    }
}

/* Marks */

static const char *backup_class(const struct picture_backup *backup)
{
    if (backup->found_damaged || backup->is_incomplete)
        return "bad";
    if (backup->goes)
        return "goes";
    return backup->verified != 0 ? "proven" : "plain";
}

static void draw_backups(struct html *html, const struct picture_repository *repository,
                         const struct timeline_range *range, int y)
{
    char time[WORDS_BYTES], size[WORDS_BYTES];

    for (size_t i = 0; i < repository->backup_count; i++) {
        const struct picture_backup *backup = &repository->backups[i];
        html_markup(html, "<circle class=\"%s\" cx=\"%.2f%%\" cy=\"%d\" r=\"5\"><title>backup ",
                    backup_class(backup), place(range, backup->stop_time), y);
        html_text(html, backup->id);
        html_markup(html, ", ended %s UTC, %s%s%s%s%s</title></circle>\n",
                    words_time(backup->stop_time, time), words_bytes(backup->plain_bytes, size),
                    backup->found_damaged ? ", found damaged" : "",
                    backup->is_incomplete ? ", its WAL is incomplete" : "", backup->goes ? ", goes next" : "",
                    backup->verified != 0 ? ", verified" : "");
    }
}

static void draw_drills(struct html *html, const struct picture_repository *repository,
                        const struct timeline_range *range, int y)
{
    char time[WORDS_BYTES], took[WORDS_BYTES];

    for (size_t i = 0; i < repository->drill_count; i++) {
        const struct drill_report *drill = &repository->drills[i];
        if (drill->time < range->from)
            continue;
        html_markup(html,
                    "<circle class=\"%s\" cx=\"%.2f%%\" cy=\"%d\" r=\"4\"><title>drill %s, %s UTC, in %s"
                    "</title></circle>\n",
                    drill->is_failed ? "bad" : "proven", place(range, drill->time), y,
                    drill->is_failed ? "failed" : "passed", words_time(drill->time, time),
                    words_seconds((double)drill->milliseconds / 1000, took));
    }
}

static void draw_label(struct html *html, int y, const char *text)
{
    html_markup(html, "<text class=\"label\" x=\"0\" y=\"%d\">%s</text>\n", y, text);
}

void timeline_draw(struct html *html, const struct picture_repository *repository,
                   const struct timeline_range *range)
{
    const uint64_t keep = repository->settings->retention.keep_wal_seconds;
    const int height = keep != 0 ? 170 : 134;

    html_markup(
        html,
        "<svg class=\"timeline\" width=\"100%%\" height=\"%d\" role=\"img\" aria-label=\"WAL, backups and "
        "drills over time\">\n",
        height);
    draw_ticks(html, range, height);
    draw_label(html, 11, "WAL");
    draw_wal(html, repository, range, 16);
    draw_label(html, 47, "base backups");
    draw_backups(html, repository, range, 59);
    draw_label(html, 83, "drills");
    draw_drills(html, repository, range, 95);
    if (keep != 0) {
        draw_label(html, 119, "keep_wal");
        draw_bar(html, range, "policy", 124, range->to - (int64_t)keep * 1000000, range->to,
                 "any instant is kept");
    }
    html_markup(html, "</svg>\n");
}

/* Sizes */

static void draw_size(struct html *html, const struct picture_backup *backup,
                      const struct timeline_range *range, double most)
{
    double x = place(range, backup->stop_time);
    double plain = (double)backup->plain_bytes / most * SIZES_HEIGHT;
    double stored = (double)backup->stored_bytes / most * SIZES_HEIGHT;
    char time[WORDS_BYTES], size[WORDS_BYTES], packed[WORDS_BYTES];

    html_markup(html, "<g><title>%s UTC: %s, stored %s</title>", words_time(backup->stop_time, time),
                words_bytes(backup->plain_bytes, size), words_bytes(backup->stored_bytes, packed));
    html_markup(html,
                "<line class=\"size\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<line class=\"stored\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.1f\" y2=\"%.1f\"/></g>\n",
                x, x, 16 + SIZES_HEIGHT - plain, 16 + SIZES_HEIGHT, x, x, 16 + SIZES_HEIGHT - stored,
                16 + SIZES_HEIGHT);
}

void timeline_draw_sizes(struct html *html, const struct picture_repository *repository,
                         const struct timeline_range *range)
{
    const size_t first = repository->backup_count > BARS_MOST ? repository->backup_count - BARS_MOST : 0;
    double most = 1;
    char size[WORDS_BYTES];

    if (repository->backup_count == 0)
        return;
    for (size_t i = first; i < repository->backup_count; i++) {
        const struct picture_backup *backup = &repository->backups[i];
        uint64_t larger =
            backup->plain_bytes > backup->stored_bytes ? backup->plain_bytes : backup->stored_bytes;
        most = (double)larger > most ? (double)larger : most;
    }
    html_markup(
        html,
        "<svg class=\"timeline\" width=\"100%%\" height=\"%d\" role=\"img\" aria-label=\"sizes of the base "
        "backups\">\n",
        (int)SIZES_HEIGHT + 36);
    draw_ticks(html, range, (int)SIZES_HEIGHT + 36);
    html_markup(html, "<text class=\"label\" x=\"0\" y=\"11\">size, and as stored; the largest: %s</text>\n",
                words_bytes((uint64_t)most, size));
    for (size_t i = first; i < repository->backup_count; i++)
        draw_size(html, &repository->backups[i], range, most);
    html_markup(html, "</svg>\n");
}
