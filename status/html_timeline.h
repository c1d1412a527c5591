/* A repository over time, as SVG that is as wide as the page: WAL with its holes, backups, drills, what the
 * policy keeps, and sizes. Horizontal places are percentages, so that text stays readable on a phone. */
#ifndef WALFERRY_HTML_TIMELINE_H
#define WALFERRY_HTML_TIMELINE_H

#include "html_writer.h"
#include "picture.h"

/* What all timelines of a page show: times of the left and the right edge. */
struct timeline_range {
    int64_t from, to;
};
struct timeline_range timeline_range_of(const struct picture *picture);

void timeline_draw(struct html *html, const struct picture_repository *repository,
                   const struct timeline_range *range);
/* Nothing when there is no backup. */
void timeline_draw_sizes(struct html *html, const struct picture_repository *repository,
                         const struct timeline_range *range);

#endif
