#include "choose.h"

#include "common/log.h"
#include "common/timestamp.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static bool is_word(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

int drill_wish_check(const struct drill_wish *wish)
{
    int64_t time;

    if (!is_word(wish->backup, "latest") && !is_word(wish->backup, "oldest") &&
        !is_word(wish->backup, "random") && !backup_id_is_valid(wish->backup)) {
        log_error("the backup must be latest, oldest, random or the id of one, not \"%s\"", wish->backup);
        log_hint("basebackup-list shows the ids.");
        return -1;
    }
    if (is_word(wish->target, "latest") || is_word(wish->target, "random"))
        return 0;
    return options_time(wish->target, &time);
}

/* Below count, which is not 0; evenly enough. */
static uint64_t random_below(uint64_t count)
{
    uint64_t value = 0;

    while (getrandom(&value, sizeof value, 0) != sizeof value && errno == EINTR)
        ;
    return value % count;
}

/* What is known while it is chosen. */
struct choosing {
    struct chosen *chosen;
    const struct drill_wish *wish;
    struct wal_archive archive;
    struct windows windows;
    const struct window *window; /* of the latest timeline */
};

/* Stretches are in the order of the WAL; NULL: it is in none. */
static const struct window_stretch *stretch_of(const struct choosing *choosing, const struct backup *backup)
{
    for (size_t i = 0; i < choosing->window->count; i++) {
        const struct window_stretch *stretch = &choosing->window->stretches[i];
        if (backup >= stretch->first && backup <= stretch->last)
            return stretch;
    }
    return NULL;
}

static bool is_candidate(const struct choosing *choosing, const struct backup *backup, int64_t before)
{
    return backup->system_identifier == choosing->archive.system_identifier &&
           window_leads(&choosing->window->history, backup) && backup->stop_time < before;
}

/* Those that end before this instant. NULL after logging. */
static const struct backup *choose_backup(const struct choosing *choosing, int64_t before)
{
    const struct backup_list *list = &choosing->chosen->list;
    const struct backup *found = NULL;
    const char *word = choosing->wish->backup;
    uint64_t seen = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct backup *backup = &list->backups[i];
        if (backup_id_is_valid(word) ? strcmp(backup->id, word) == 0
                                     : is_candidate(choosing, backup, before)) {
            seen++;
            if (found == NULL || is_word(word, "latest") ||
                (is_word(word, "random") && random_below(seen) == 0))
                found = backup;
        }
    }
    if (found == NULL && backup_id_is_valid(word)) {
        log_error("there is no complete backup \"%s\" in repository \"%s\"", word,
                  choosing->chosen->repository.settings->name);
        log_hint("basebackup-list shows the ids.");
    } else if (found == NULL)
        log_error("no backup in repository \"%s\" on the way to timeline %u serves",
                  choosing->chosen->repository.settings->name, choosing->window->timeline);
    return found;
}

/* An instant between the two, or 0 where there is none. */
static int64_t random_time(int64_t after, int64_t before)
{
    return before - after < 2 ? 0 : after + 1 + (int64_t)random_below((uint64_t)(before - after - 1));
}

/* Of the stretch of this backup (NULL: of any). False: there is nothing to choose from. */
static bool choose_random_time(const struct choosing *choosing, const struct backup *backup, int64_t *time)
{
    uint64_t span = 0;

    *time = 0;
    for (size_t i = 0; i < choosing->window->count; i++) {
        const struct window_stretch *stretch = &choosing->window->stretches[i];
        int64_t after = backup == NULL ? stretch->earliest : backup->stop_time;
        if ((backup != NULL && stretch_of(choosing, backup) != stretch) || !stretch->has_latest ||
            stretch->latest - after < 2)
            continue;
        span += (uint64_t)(stretch->latest - after);
        if (random_below(span) < (uint64_t)(stretch->latest - after)) /* the longer, the likelier */
            *time = random_time(after, stretch->latest);
    }
    return *time != 0;
}

/* The end of what can be reached from the backup. Where WAL is missing behind it only because the policy lets
 * go of it, that is the backup's own end; any other hole is for the recovery to find. */
static void aim_at_end(const struct choosing *choosing)
{
    struct chosen *chosen = choosing->chosen;
    const struct window_stretch *stretch = stretch_of(choosing, chosen->backup);

    if (stretch != NULL && stretch->run.is_hole && stretch->is_expired) {
        chosen->target = TARGET_IMMEDIATE;
        return;
    }
    chosen->target = TARGET_LATEST;
    if (choosing->window->count > 0 && stretch == &choosing->window->stretches[choosing->window->count - 1])
        chosen->last_lsn = stretch->last_lsn;
}

static int choose_all(struct choosing *choosing)
{
    struct chosen *chosen = choosing->chosen;
    const char *target = choosing->wish->target, *word = choosing->wish->backup;
    int64_t before = INT64_MAX;
    bool is_random = is_word(target, "random");

    if (is_random && is_word(word, "latest") && choose_random_time(choosing, NULL, &before))
        chosen->target = TARGET_TIME; /* the newest that serves it, as in a recovery */
    else if (!is_random && !is_word(target, "latest")) {
        if (options_time(target, &before) != 0 || options_time_is_past(before) != 0)
            return -1;
        chosen->target = TARGET_TIME;
    } else
        before = INT64_MAX;
    chosen->time = before;
    chosen->backup = choose_backup(choosing, before);
    if (chosen->backup == NULL)
        return -1;
    if (chosen->target == TARGET_TIME)
        return 0;
    if (is_random && choose_random_time(choosing, chosen->backup, &chosen->time)) {
        chosen->target = TARGET_TIME;
        return 0;
    }
    if (is_random)
        log_info("nothing was committed behind backup %s: there is no instant to choose", chosen->backup->id);
    aim_at_end(choosing);
    return 0;
}

/* Of the newest backup, or of the one that is named. */
static const struct backup *backup_of_system(const struct choosing *choosing)
{
    const struct backup_list *list = &choosing->chosen->list;

    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->backups[i].id, choosing->wish->backup) == 0)
            return &list->backups[i];
    return &list->backups[list->count - 1];
}

static int look(struct choosing *choosing)
{
    const struct backup *backup = backup_of_system(choosing);
    struct chosen *chosen = choosing->chosen;

    if (wal_archive_load(&chosen->repository, backup->system_identifier, backup->segment_bytes,
                         &choosing->archive) == REPOSITORY_FAILED ||
        wal_archive_settle(&choosing->archive) != 0 ||
        windows_find(&choosing->archive, &chosen->list, &choosing->windows) != REPOSITORY_OK)
        return -1;
    for (size_t i = 0; i < choosing->windows.count; i++)
        if (choosing->windows.items[i].timeline == choosing->windows.latest)
            choosing->window = &choosing->windows.items[i];
    return choosing->window == NULL ? -1 : 0; /* there is one where a backup is */
}

/* 0; 1: it has no backup; -1 after logging. */
static int open_and_list(const struct config *config, const struct repository_config *settings,
                         struct chosen *chosen)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};

    if (repository_open(config, settings, NULL, &limits, &chosen->repository) != 0)
        return -1;
    chosen->is_open = true;
    if (repository_load_cluster_to_read(&chosen->repository) != REPOSITORY_OK ||
        backup_list_load(&chosen->repository, &chosen->list) != REPOSITORY_OK)
        return -1;
    if (chosen->list.damaged > 0)
        log_warning("%zu backups in repository \"%s\" can't be read", chosen->list.damaged, settings->name);
    return chosen->list.count == 0;
}

int choose(const struct config *config, const struct repository_config *const *repositories, size_t count,
           const struct drill_wish *wish, struct chosen *chosen)
{
    struct choosing choosing = {.chosen = chosen, .wish = wish};
    int result = 1;

    *chosen = (struct chosen){.is_open = false};
    for (size_t i = 0; i < count && result != 0; i++) {
        choose_close(chosen);
        result = open_and_list(config, repositories[i], chosen);
    }
    if (result > 0)
        log_error("there is no complete base backup of cluster \"%s\"", config->cluster_name);
    if (result != 0)
        return -1;
    result = look(&choosing) == 0 ? choose_all(&choosing) : -1;
    windows_free(&choosing.windows);
    wal_archive_close(&choosing.archive);
    return result;
}

void choose_close(struct chosen *chosen)
{
    backup_list_free(&chosen->list);
    if (chosen->is_open)
        repository_close(&chosen->repository);
    *chosen = (struct chosen){.is_open = false};
}
