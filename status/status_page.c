#include "status_page.h"

#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GREEN "\033[32m"
#define RED "\033[31m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"
#define TEXT_COLUMN 22 /* where the text behind a label begins */

struct page {
    const struct picture *picture;
    bool with_colour;
};

static const char *colour(const struct page *page, const char *code)
{
    return page->with_colour ? code : "";
}

static void label(const char *text)
{
    printf("%-*s", TEXT_COLUMN, text);
}

static const char *ago(const struct page *page, int64_t time, char *out)
{
    return words_seconds((double)(page->picture->now - time) / 1e6, out);
}

/* Can I recover? */

static void print_verdict(const struct page *page)
{
    const struct picture *picture = page->picture;
    char time[WORDS_BYTES], count[WORDS_BYTES];

    printf("%scluster %s%s, %s UTC: ", colour(page, BOLD), picture->config->cluster_name, colour(page, PLAIN),
           words_time(picture->now, time));
    if (picture->problem_count == 0)
        printf("%snothing is wrong%s\n", colour(page, GREEN), colour(page, PLAIN));
    else
        printf("%s%s%s, see below\n", colour(page, RED),
               words_count(picture->problem_count, "problem", count), colour(page, PLAIN));
    putchar('\n');
}

static void print_sources(const struct page *page)
{
    const struct picture_repository *best = picture_best(page->picture);
    const char *comma = "";
    char begin[WORDS_BYTES], end[WORDS_BYTES];

    label("  from");
    for (size_t i = 0; i < page->picture->repository_count; i++) {
        const struct picture_repository *repository = &page->picture->repositories[i];
        const struct picture_stretch *window = picture_window(repository);
        if (window == NULL)
            continue;
        printf("%s%s", comma, repository->settings->name);
        if (!picture_is_as_good(repository, best))
            printf(" (after %s, to %s)", words_time(window->begin, begin), words_time(window->end, end));
        comma = ", ";
    }
    putchar('\n');
}

static void print_older_windows(const struct picture_repository *repository)
{
    char begin[WORDS_BYTES], end[WORDS_BYTES];

    for (size_t i = 0; i + 1 < repository->stretch_count; i++) {
        const struct picture_stretch *stretch = &repository->stretches[i];
        if (stretch->is_expired)
            continue; /* single backups that a policy keeps */
        label("  and");
        printf("after %s, to %s: then WAL is missing\n", words_time(stretch->begin, begin),
               words_time(stretch->end, end));
    }
}

static void print_recovery(const struct page *page)
{
    const struct picture_repository *best = picture_best(page->picture);
    char begin[WORDS_BYTES], end[WORDS_BYTES], length[WORDS_BYTES];

    label("can I recover?");
    if (picture_is_best_unknown(page->picture)) {
        printf("%snot known%s: not all repositories could be read, and the others can't bring it back\n",
               colour(page, RED), colour(page, PLAIN));
        return;
    }
    if (best == NULL) {
        printf("%sNO%s, not from any repository\n", colour(page, RED), colour(page, PLAIN));
        return;
    }
    const struct picture_stretch *window = picture_window(best);
    printf("%syes%s, to any instant after %s, to %s UTC (%s)\n", colour(page, GREEN), colour(page, PLAIN),
           words_time(window->begin, begin), words_time(window->end, end),
           words_seconds((double)(window->end - window->begin) / 1e6, length));
    print_older_windows(best);
    print_sources(page);
}

static void print_safe_commit(const struct page *page)
{
    const struct picture_repository *best = picture_best(page->picture);
    char age[WORDS_BYTES], text[WORDS_LONG_BYTES];

    if (best == NULL)
        return;
    label("newest safe commit");
    printf("%s ago%s\n", ago(page, picture_window(best)->end, age), words_exposure(best, text));
}

static void print_lag(const struct page *page)
{
    const struct picture_lag *lag = &page->picture->lag;
    char count[WORDS_BYTES], size[WORDS_BYTES], age[WORDS_BYTES];

    if (!lag->is_known && *page->picture->lag_unknown == '\0')
        return;
    label("archiving");
    if (!lag->is_known)
        printf("%snot known%s, see below\n", colour(page, RED), colour(page, PLAIN));
    else if (lag->segments == 0)
        printf("nothing waits\n");
    else
        printf("%s wait%s, %s, the oldest for %s\n", words_count(lag->segments, "file", count),
               lag->segments == 1 ? "s" : "", words_bytes(lag->bytes, size), ago(page, lag->oldest, age));
}

static void print_newest_backup(const struct page *page)
{
    const struct picture_backup *newest = picture_newest_of_all(page->picture);
    char age[WORDS_BYTES], took[WORDS_BYTES], size[WORDS_BYTES], stored[WORDS_BYTES];

    if (newest == NULL)
        return;
    label("newest backup");
    printf("%s ago, took %s, %s, stored %s\n", ago(page, newest->stop_time, age),
           words_seconds((double)(newest->stop_time - newest->start_time) / 1e6, took),
           words_bytes(newest->plain_bytes, size), words_bytes(newest->stored_bytes, stored));
}

/* When was it last proven? */

static void print_verified(const struct page *page)
{
    int64_t time = picture_last_verification(page->picture);
    char age[WORDS_BYTES];

    label("last verified");
    if (time == 0)
        printf("never\n");
    else
        printf("%s ago\n", ago(page, time, age));
}

static void print_drill(const struct page *page)
{
    const struct picture_drill *drill = picture_good_drill(page->picture);
    char age[WORDS_BYTES], took[WORDS_BYTES], lost[WORDS_BYTES];

    label("last drill passed");
    if (drill->time == 0) {
        printf("never\n");
        return;
    }
    printf("%s ago: restored in %s", ago(page, drill->time, age),
           words_seconds((double)drill->milliseconds / 1000, took));
    if (drill->has_rpo)
        printf(", %s of commits lost", words_seconds(drill->rpo_seconds, lost));
    putchar('\n');
}

static void print_runs(const struct page *page)
{
    char age[WORDS_BYTES], took[WORDS_BYTES];

    for (size_t i = 0; i < page->picture->run_count; i++) {
        const struct picture_run *run = &page->picture->runs[i];
        const struct outcome_run *last = picture_last_run(run);
        if (last == NULL)
            continue;
        label(run->program);
        if (last == &run->note.success)
            printf("%s ago, took %s\n", ago(page, last->ended, age),
                   words_seconds((double)last->milliseconds / 1000, took));
        else
            printf("%sfailed%s %s ago\n", colour(page, RED), colour(page, PLAIN),
                   ago(page, last->ended, age));
    }
}

/* The repositories */

static const char *age_cell(const struct page *page, int64_t time, char *out)
{
    if (time == 0)
        return "-";
    return ago(page, time, out);
}

static void print_repository(const struct page *page, const struct picture_repository *repository)
{
    const struct picture_backup *newest = picture_usable_backup(repository);
    const struct picture_stretch *window = picture_window(repository);
    char backup[WORDS_BYTES], safe[WORDS_BYTES], verified[WORDS_BYTES], drill[WORDS_BYTES], size[WORDS_BYTES],
        room[WORDS_BYTES] = "-";

    if (!repository->is_up) {
        printf("%-16s %scan't be asked%s\n", repository->settings->name, colour(page, RED),
               colour(page, PLAIN));
        return;
    }
    if (repository->has_disk)
        words_bytes(repository->disk_free_bytes, room);
    printf("%-16s %7zu  %-12s %-12s %-12s %-12s %10s %10s\n", repository->settings->name,
           repository->backup_count, age_cell(page, newest == NULL ? 0 : newest->stop_time, backup),
           age_cell(page, window == NULL ? 0 : window->end, safe),
           age_cell(page, repository->verification_time, verified),
           age_cell(page, repository->good_drill.time, drill),
           repository->is_counted ? words_bytes(repository->object_bytes, size) : "-", room);
}

static void print_repositories(const struct page *page)
{
    printf("\n%s%-16s backups  %-12s %-12s %-12s %-12s %10s %10s%s\n", colour(page, BOLD), "repository",
           "newest, ago", "commit, ago", "verified", "drill", "size", "disk free", colour(page, PLAIN));
    for (size_t i = 0; i < page->picture->repository_count; i++)
        print_repository(page, &page->picture->repositories[i]);
}

/* What is wrong? */

static void print_problems(const struct page *page)
{
    for (size_t i = 0; i < page->picture->problem_count; i++) {
        const struct problem *problem = &page->picture->problems[i];
        printf("\n%s%s%s%s: %s\n", colour(page, RED), problem->repository != NULL ? "repository " : "",
               problem->repository != NULL ? problem->repository->settings->name
                                           : problem_kind_name(problem->kind),
               colour(page, PLAIN), problem->text);
        printf("    %s\n", problem->advice);
    }
}

void status_page_print(const struct picture *picture, bool with_colour)
{
    const struct page page = {picture, with_colour};

    print_verdict(&page);
    print_recovery(&page);
    print_safe_commit(&page);
    print_lag(&page);
    print_newest_backup(&page);
    print_verified(&page);
    print_drill(&page);
    print_runs(&page);
    print_repositories(&page);
    print_problems(&page);
}
