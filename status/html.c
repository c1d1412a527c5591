#include "html.h"

#include "common/file.h"
#include "common/options.h"
#include "common/retention.h"
#include "html_style.h"
#include "html_timeline.h"
#include "html_writer.h"
#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ROWS_MOST 30 /* of backups, the newest */

struct page {
    struct html html;
    const struct picture *picture;
    struct timeline_range range;
};

static const char *ago(const struct page *page, int64_t time, char *out)
{
    return words_seconds((double)(page->picture->now - time) / 1e6, out);
}

/* The answers */

static void write_answer(struct page *page, const char *question)
{
    html_markup(&page->html, "<dt>%s</dt><dd>", question);
}

static void end_answer(struct page *page)
{
    html_markup(&page->html, "</dd>\n");
}

static void answer_recovery(struct page *page)
{
    const struct picture_repository *best = picture_best(page->picture);
    char begin[WORDS_BYTES], end[WORDS_BYTES], age[WORDS_BYTES], lost[WORDS_LONG_BYTES];

    write_answer(page, "Can I recover?");
    if (picture_is_best_unknown(page->picture)) {
        html_markup(&page->html,
                    "<span class=\"wrong\">not known</span>: not all repositories could be read, "
                    "and the others can't bring it back");
        end_answer(page);
        return;
    }
    if (best == NULL) {
        html_markup(&page->html, "<b class=\"wrong\">No</b>, not from any repository");
        end_answer(page);
        return;
    }
    const struct picture_stretch *window = picture_window(best);
    html_markup(&page->html, "<b class=\"good\">Yes</b>, to any instant after %s, to %s UTC, from ",
                words_time(window->begin, begin), words_time(window->end, end));
    html_text(&page->html, best->settings->name);
    end_answer(page);
    write_answer(page, "Newest safe commit");
    html_markup(&page->html, "%s ago%s", ago(page, window->end, age), words_exposure(best, lost));
    end_answer(page);
}

static void answer_lag(struct page *page)
{
    const struct picture_lag *lag = &page->picture->lag;
    char count[WORDS_BYTES], size[WORDS_BYTES], age[WORDS_BYTES];

    if (!lag->is_known && *page->picture->lag_unknown == '\0')
        return;
    write_answer(page, "Archiving");
    if (!lag->is_known)
        html_markup(&page->html, "<span class=\"wrong\">not known</span>, see below");
    else if (lag->segments == 0)
        html_markup(&page->html, "nothing waits");
    else
        html_markup(&page->html, "%s wait%s, %s, the oldest for %s",
                    words_count(lag->segments, "file", count), lag->segments == 1 ? "s" : "",
                    words_bytes(lag->bytes, size), ago(page, lag->oldest, age));
    end_answer(page);
}

static void answer_newest(struct page *page)
{
    const struct picture_backup *newest = picture_newest_of_all(page->picture);
    int64_t verified = picture_last_verification(page->picture);
    char age[WORDS_BYTES], took[WORDS_BYTES], size[WORDS_BYTES];

    if (newest != NULL) {
        write_answer(page, "Newest backup");
        html_markup(&page->html, "%s ago, took %s, %s", ago(page, newest->stop_time, age),
                    words_seconds((double)(newest->stop_time - newest->start_time) / 1e6, took),
                    words_bytes(newest->plain_bytes, size));
        end_answer(page);
    }
    write_answer(page, "Last verified");
    html_markup(&page->html, "%s%s", verified == 0 ? "never" : ago(page, verified, age),
                verified == 0 ? "" : " ago");
    end_answer(page);
}

static void answer_proof(struct page *page)
{
    const struct picture_drill *drill = picture_good_drill(page->picture);
    char age[WORDS_BYTES], took[WORDS_BYTES], lost[WORDS_BYTES];

    write_answer(page, "Last drill passed");
    if (drill->time == 0)
        html_markup(&page->html, "never");
    else
        html_markup(&page->html, "%s ago: restored in %s", ago(page, drill->time, age),
                    words_seconds((double)drill->milliseconds / 1000, took));
    if (drill->time != 0 && drill->has_rpo)
        html_markup(&page->html, ", %s of commits lost", words_seconds(drill->rpo_seconds, lost));
    end_answer(page);
}

static void answer_runs(struct page *page)
{
    char age[WORDS_BYTES];

    for (size_t i = 0; i < page->picture->run_count; i++) {
        const struct picture_run *run = &page->picture->runs[i];
        const struct outcome_run *last = picture_last_run(run);
        if (last == NULL)
            continue;
        write_answer(page, run->program);
        html_markup(&page->html, "%s %s ago",
                    last == &run->note.success ? "done" : "<span class=\"wrong\">failed</span>",
                    ago(page, last->ended, age));
        end_answer(page);
    }
}

static void write_header(struct page *page)
{
    const struct picture *picture = page->picture;
    char time[WORDS_BYTES], count[WORDS_BYTES];

    html_markup(&page->html, "<header><h1>");
    html_text(&page->html, picture->config->cluster_name);
    if (picture->problem_count == 0)
        html_markup(&page->html, ": <span class=\"good\">nothing is wrong</span></h1>\n");
    else
        html_markup(&page->html, ": <span class=\"wrong\">%s</span></h1>\n",
                    words_count(picture->problem_count, "problem", count));
    html_markup(&page->html, "<p class=\"soft\">%s UTC. This page does not change by itself.</p>\n<dl>\n",
                words_time(picture->now, time));
    answer_recovery(page);
    answer_lag(page);
    answer_newest(page);
    answer_proof(page);
    answer_runs(page);
    html_markup(&page->html, "</dl></header>\n");
}

static void write_problems(struct page *page)
{
    if (page->picture->problem_count == 0)
        return;
    html_markup(&page->html, "<section><h2 class=\"wrong\">What is wrong</h2><ul>\n");
    for (size_t i = 0; i < page->picture->problem_count; i++) {
        const struct problem *problem = &page->picture->problems[i];
        html_markup(&page->html, "<li><b>");
        html_text(&page->html, problem->repository != NULL ? problem->repository->settings->name
                               : problem->program != NULL  ? problem->program
                                                           : problem_kind_name(problem->kind));
        html_markup(&page->html, "</b>: ");
        html_text(&page->html, problem->text);
        html_markup(&page->html, "<br/><span class=\"soft\">");
        html_text(&page->html, problem->advice);
        html_markup(&page->html, "</span></li>\n");
    }
    html_markup(&page->html, "</ul></section>\n");
}

/* A repository */

static void write_facts(struct page *page, const struct picture_repository *repository)
{
    char size[WORDS_BYTES], wal[WORDS_BYTES], room[WORDS_BYTES], age[WORDS_BYTES];

    html_markup(&page->html, "<dl>");
    write_answer(page, "Size");
    if (!repository->is_counted || !repository->is_wal_known)
        html_markup(&page->html, "not known");
    else
        html_markup(&page->html, "%s in %" PRIu64 " objects; %" PRIu64 " WAL segments, %s",
                    words_bytes(repository->object_bytes, size), repository->objects, repository->segments,
                    words_bytes(repository->wal_stored_bytes, wal));
    if (repository->has_disk)
        html_markup(&page->html, "; %s free", words_bytes(repository->disk_free_bytes, room));
    end_answer(page);
    write_answer(page, "Verified");
    if (!repository->is_proof_known)
        html_markup(&page->html, "not known");
    else if (repository->verification_time == 0)
        html_markup(&page->html, "never in full");
    else
        html_markup(&page->html, "%s ago", ago(page, repository->verification_time, age));
    end_answer(page);
    write_answer(page, "Retention");
    if (!repository->is_planned)
        html_markup(&page->html, "no policy: nothing expires");
    else if (repository->bytes_going == 0 && repository->segments_going == 0)
        html_markup(&page->html, "nothing would go now");
    else
        html_markup(&page->html, "next to go: %s, with %" PRIu64 " WAL segments",
                    words_bytes(repository->bytes_going, size), repository->segments_going);
    end_answer(page);
    html_markup(&page->html, "</dl>\n");
}

static void write_fate(struct page *page, const struct picture_repository *repository,
                       const struct picture_backup *backup)
{
    const char *comma = "";

    if (backup->found_damaged || backup->is_incomplete)
        html_markup(&page->html, "<span class=\"wrong\">%s</span> ",
                    backup->found_damaged ? "damaged" : "lacks WAL");
    else if (backup->verified != 0)
        html_markup(&page->html, "<span class=\"good\">verified</span> ");
    if (!repository->is_planned)
        return;
    html_markup(&page->html, backup->goes ? "<b>goes next</b>" : "stays: ");
    for (unsigned i = 0; i < RETENTION_REASONS; i++)
        if (backup->reasons & 1u << i) {
            html_markup(&page->html, "%s%s", comma, retention_reason_name(1u << i));
            comma = ", ";
        }
}

static void write_backups(struct page *page, const struct picture_repository *repository)
{
    size_t rows = repository->backup_count < ROWS_MOST ? repository->backup_count : ROWS_MOST;
    char time[WORDS_BYTES], size[WORDS_BYTES];

    if (rows == 0)
        return;
    html_markup(&page->html,
                "<h3>Base backups</h3>\n<table><colgroup><col class=\"when\"/><col class=\"much\"/><col "
                "class=\"much\"/><col/></colgroup><tr><th>ended (UTC)</th><th class=\"number\">size</th>"
                "<th class=\"number\">stored</th><th></th></tr>\n");
    for (size_t i = repository->backup_count; i > repository->backup_count - rows; i--) {
        const struct picture_backup *backup = &repository->backups[i - 1];
        html_markup(&page->html, "<tr title=\"");
        html_text(&page->html, backup->id);
        html_markup(&page->html, "\"><td>%s</td><td class=\"number\">%s</td>",
                    words_time(backup->stop_time, time), words_bytes(backup->plain_bytes, size));
        html_markup(&page->html, "<td class=\"number\">%s</td><td>", words_bytes(backup->stored_bytes, size));
        write_fate(page, repository, backup);
        html_markup(&page->html, "</td></tr>\n");
    }
    html_markup(&page->html, "</table>\n");
    if (rows < repository->backup_count)
        html_markup(&page->html, "<p class=\"soft\">and %zu older ones</p>\n",
                    repository->backup_count - rows);
}

static void write_legend(struct page *page)
{
    static const struct {
        const char *colour, *meaning;
    } keys[] = {{"--good", "recovery window; verified, passed"},
                {"--light", "older stretch that can be recovered"},
                {"--bad", "WAL is missing; damaged, failed"},
                {"--blue", "not verified yet"},
                {"--gone", "goes next"}};

    html_markup(&page->html, "<p class=\"soft\">");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        html_markup(&page->html, "<span class=\"key\" style=\"background:var(%s)\"></span>%s ",
                    keys[i].colour, keys[i].meaning);
    html_markup(&page->html, "</p>\n");
}

static void write_repository(struct page *page, const struct picture_repository *repository)
{
    html_markup(&page->html, "<section class=\"long\"><h2>");
    html_text(&page->html, repository->settings->name);
    html_markup(&page->html, " <span class=\"soft\">");
    html_text(&page->html, repository->settings->url);
    html_markup(&page->html, "</span></h2>\n");
    if (!repository->is_up) {
        html_markup(&page->html, "<p class=\"wrong\">");
        html_text(&page->html, repository->error);
        html_markup(&page->html, "</p></section>\n");
        return;
    }
    write_facts(page, repository);
    timeline_draw(&page->html, repository, &page->range);
    write_legend(page);
    timeline_draw_sizes(&page->html, repository, &page->range);
    write_backups(page, repository);
    html_markup(&page->html, "</section>\n");
}

/* The page */

static int write_page(const struct picture *picture, struct buffer *out)
{
    struct page page = {.html = {.out = out}, .picture = picture, .range = timeline_range_of(picture)};

    html_markup(&page.html, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
                            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                            "style-src 'unsafe-inline'\"/>\n"
                            "<meta name=\"robots\" content=\"noindex\"/><title>");
    html_text(&page.html, picture->config->cluster_name);
    html_markup(&page.html,
                ": where we stand</title>\n<style>\n" HTML_STYLE "</style></head>\n<body><main>\n");
    write_header(&page);
    write_problems(&page);
    for (size_t i = 0; i < picture->repository_count; i++)
        write_repository(&page, &picture->repositories[i]);
    html_markup(&page.html, "<p class=\"soft\">walferry-status %s</p></main></body></html>\n",
                WALFERRY_VERSION);
    return page.html.has_failed ? -1 : 0;
}

int html_to_file(const struct picture *picture, const char *path)
{
    struct buffer text = BUFFER_EMPTY;
    struct stat status;
    int result = write_page(picture, &text);

    if (result == 0 && strcmp(path, "-") == 0)
        fwrite(text.data, 1, text.length, stdout); /* result_flush tells of a failure */
    else if (result == 0)
        result = file_replace(path, text.data, text.length,
                              stat(path, &status) == 0 ? status.st_mode & 0777 : 0600);
    buffer_free(&text);
    return result;
}
