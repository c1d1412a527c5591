#include "choice.h"

#include "common/histories.h"
#include "common/interrupt.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void choice_close(struct choice *choice)
{
    backup_list_free(&choice->list);
    if (choice->is_open)
        repository_close(&choice->repository);
    choice->is_open = false;
    choice->backup = NULL;
}

static bool needs_way(const struct choice_request *request)
{
    return !request->without_way && (request->wish.has_time || request->wish.has_lsn ||
                                     request->timeline != 0 || request->accept_end != NULL);
}

static bool is_by_id(const struct backup_wish *wish)
{
    return wish->id != NULL && strcmp(wish->id, "latest") != 0;
}

/* Where recovery takes its WAL from: the chosen repository, and the others. */
struct wal_sources {
    struct repository *others; /* owned */
    size_t other_count;
    struct repository **all; /* owned; the chosen one first */
    size_t count;
    size_t unasked_count; /* others that could not be asked */
};

static void wal_sources_close(struct wal_sources *sources)
{
    for (size_t i = 0; i < sources->other_count; i++)
        repository_close(&sources->others[i]);
    free(sources->others);
    free(sources->all);
}

/* One that can't be asked does not keep the others from being enough; recovery would wait for it as long. */
static void open_other(const struct config *config, const struct repository_config *settings, uint64_t system,
                       struct wal_sources *sources)
{
    struct repository *other = &sources->others[sources->other_count];
    const struct store_limits limits = {.operation_seconds = config->wal_fetch_timeout_seconds};

    sources->unasked_count++;
    if (repository_open(config, settings, NULL, &limits, other) != 0)
        return;
    if (repository_load_cluster_to_read(other) == REPOSITORY_OK &&
        cluster_generation(&other->cluster, system) != NULL) {
        sources->unasked_count--;
        sources->other_count++;
        sources->all[sources->count++] = other;
        return;
    }
    log_warning("what repository \"%s\" has of WAL is not looked at", settings->name);
    repository_close(other);
}

static int wal_sources_open(const struct config *config, const struct choice_request *request,
                            struct choice *choice, uint64_t system, struct wal_sources *sources)
{
    *sources = (struct wal_sources){.others = calloc(request->repository_count, sizeof *sources->others),
                                    .all = calloc(request->repository_count, sizeof *sources->all)};
    if (sources->others == NULL || sources->all == NULL)
        return log_out_of_memory();
    sources->all[sources->count++] = &choice->repository;
    for (size_t i = 0; i < request->repository_count; i++)
        if (request->repositories[i] != choice->repository.settings)
            open_other(config, request->repositories[i], system, sources);
    return 0;
}

/* The way that recovery will take */

struct way {
    const struct choice_request *request;
    const struct repository *repository;
    const struct backup_list *list;
    uint64_t system_identifier;
    struct wal_sources sources;
    struct timeline_history history;
    struct backup_wish wish;    /* the end that is accepted is in it */
    struct wal_archive archive; /* of all sources, from this segment on: */
    uint64_t first;
    bool is_loaded;
};

/* Recovery that ends with the segment before this one needs a backup that ended there. */
static void accept_end(struct way *way, uint32_t segment_bytes)
{
    const struct wal_name name = wal_name_parse(way->request->accept_end);
    uint64_t number;

    if (wal_segment_number(&name, segment_bytes, &number) &&
        (!way->wish.has_lsn || way->wish.lsn > number * segment_bytes)) {
        way->wish.has_lsn = true;
        way->wish.lsn = number * segment_bytes;
    }
}

static int find_history(struct way *way, const struct backup *from)
{
    const struct history_sources sources = {way->sources.all, way->sources.count, from->system_identifier,
                                            NULL};
    uint32_t timeline = way->request->timeline;
    enum repository_result result = timeline == 0 ? histories_latest(&sources, from->timeline, &way->history)
                                                  : histories_get(&sources, timeline, &way->history);

    if (result == REPOSITORY_OK)
        return 0;
    if (result == REPOSITORY_ABSENT)
        log_error("timeline %u is not known: %08X.history is in no repository", timeline, timeline);
    else
        log_error("could not choose a backup: the timelines are not known");
    return -1;
}

static const struct backup *explain_way(const struct way *way, const struct backup *earliest)
{
    char time[TIMESTAMP_TEXT_BYTES], lsn[24];

    if (earliest == NULL) {
        log_error("no backup in repository \"%s\" lies on the way to timeline %u",
                  way->repository->settings->name, way->history.timeline);
        log_hint("recovery-window shows what can be recovered on each timeline; --timeline chooses one.");
        return NULL;
    }
    timestamp_format(earliest->stop_time, time);
    lsn_format(earliest->stop_lsn, lsn);
    log_error(
        "the target is not after the end of any backup in repository \"%s\" on the way to timeline %u; the "
        "earliest end is that of backup %s: %s, LSN %s",
        way->repository->settings->name, way->history.timeline, earliest->id, time, lsn);
    log_hint("A backup is recovered forward from its end: only a target after that can be reached.");
    return NULL;
}

/* The newest that serves, of those older than the one given (NULL: of all). Of one that is asked for by its
 * id there is no older one. */
static const struct backup *find_candidate(const struct way *way, const struct backup *older_than,
                                           const struct backup *by_id)
{
    struct backup_list list = *way->list;
    const struct backup *earliest;

    if (by_id != NULL)
        return older_than == NULL ? by_id : NULL;
    if (older_than != NULL)
        list.count = (size_t)(older_than - list.backups);
    const struct backup *found = backup_find(&list, &way->wish, &way->history, &earliest);
    while (found != NULL &&
           found->system_identifier != way->system_identifier) { /* its timelines are others */
        list.count = (size_t)(found - list.backups);
        found = backup_find(&list, &way->wish, &way->history, &earliest);
    }
    return found != NULL || older_than != NULL ? found : explain_way(way, earliest);
}

/* Proof */

static void fill_target(const struct choice_request *request, struct window_target *target)
{
    const struct backup_wish *wish = &request->wish;

    *target = (struct window_target){
        .kind = WINDOW_NEWEST, .is_on_latest = request->timeline == 0, .accept_end = request->accept_end};
    if (wish->has_time) {
        target->kind = WINDOW_TIME;
        target->time = wish->time;
    } else if (wish->has_lsn) {
        target->kind = WINDOW_LSN;
        target->lsn = wish->lsn;
    }
}

/* Where the oldest backup on the way begins. */
static uint64_t oldest_segment(const struct way *way)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; i < way->list->count; i++) {
        const struct backup *backup = &way->list->backups[i];
        uint64_t segment = backup->start_lsn / backup->segment_bytes;
        if (backup->system_identifier == way->system_identifier && window_leads(&way->history, backup) &&
            segment < first)
            first = segment;
    }
    return first;
}

/* What there is from the newest candidate on; where that does not serve, at once what any of them needs. */
static enum repository_result load_archive(struct way *way, const struct backup *backup)
{
    uint64_t first = backup->start_lsn / backup->segment_bytes;
    enum repository_result result = REPOSITORY_OK;

    if (way->is_loaded && first >= way->first)
        return REPOSITORY_OK;
    if (way->is_loaded) {
        wal_archive_close(&way->archive);
        first = oldest_segment(way);
    }
    wal_archive_begin(backup->system_identifier, backup->segment_bytes, &way->archive);
    way->archive.unasked_count = way->sources.unasked_count;
    way->is_loaded = true;
    way->first = first;
    for (size_t i = 0; result == REPOSITORY_OK && i < way->sources.count; i++)
        result = wal_archive_add(&way->archive, way->sources.all[i], &way->history, first);
    return result;
}

/* 0 if it serves, 1 if it is passed over because its own WAL is incomplete (logged as a warning), -1 after
 * logging. */
static int prove(struct way *way, const struct backup *backup, bool is_last)
{
    struct window_origin origin;
    struct window_target target;
    struct window_proof proof = {.verdict = WINDOW_FAILED};
    char what[96];

    window_origin_of(backup, &origin);
    fill_target(way->request, &target);
    window_target_describe(&target, what, sizeof what);
    if (load_archive(way, backup) == REPOSITORY_OK)
        window_prove(&way->archive, &way->history, &origin, way->list, &target, &proof);
    bool is_passed_over = proof.reason == WINDOW_INCOMPLETE && !is_last;
    if (is_passed_over)
        log_warning("backup %s is passed over: WAL that it needs is missing", backup->id);
    else if (proof.verdict == WINDOW_FAILED)
        log_error("could not choose a backup: what WAL there is could not be found out");
    else
        window_tell(&way->archive, &way->history, &target, what, &proof);
    if (is_passed_over)
        return 1;
    return proof.verdict == WINDOW_FAILED || proof.verdict == WINDOW_REFUSED ? -1 : 0;
}

static const struct backup *choose_proven(struct way *way, const struct backup *by_id)
{
    const struct backup *candidate = find_candidate(way, NULL, by_id);

    while (candidate != NULL) {
        const struct backup *older = find_candidate(way, candidate, by_id);
        int result = way->request->without_proof ? 0 : prove(way, candidate, older == NULL);
        if (result <= 0)
            return result == 0 ? candidate : NULL;
        candidate = older;
    }
    return NULL;
}

static bool is_on_way(const struct way *way, const struct backup *backup)
{
    if (window_leads(&way->history, backup))
        return true;
    log_error("backup %s does not lead to timeline %u", backup->id, way->history.timeline);
    log_hint(
        "Timeline %u can be reached from it, with --timeline %u. Leave out --backup to have the right one "
        "chosen.",
        backup->timeline, backup->timeline);
    return false;
}

static const struct backup *choose_on_way(const struct config *config, const struct choice_request *request,
                                          struct choice *choice, const struct backup *newest)
{
    struct way way = {.request = request,
                      .repository = &choice->repository,
                      .list = &choice->list,
                      .system_identifier = newest->system_identifier,
                      .wish = request->wish};
    const struct backup *by_id = is_by_id(&request->wish) ? newest : NULL, *chosen = NULL;

    if (request->accept_end != NULL)
        accept_end(&way, newest->segment_bytes);
    if (wal_sources_open(config, request, choice, newest->system_identifier, &way.sources) == 0 &&
        find_history(&way, newest) == 0 && (by_id == NULL || is_on_way(&way, by_id)))
        chosen = choose_proven(&way, by_id);
    if (way.is_loaded)
        wal_archive_close(&way.archive);
    timeline_history_free(&way.history);
    wal_sources_close(&way.sources);
    return chosen;
}

/* The story */

static int choose_from(const struct config *config, const struct repository_config *settings,
                       const struct choice_request *request, struct choice *choice)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};

    memset(choice, 0, sizeof *choice);
    if (repository_open(config, settings, NULL, &limits, &choice->repository) != 0)
        return -1;
    choice->is_open = true;
    if (repository_load_cluster_to_read(&choice->repository) == REPOSITORY_OK &&
        backup_list_load(&choice->repository, &choice->list) == REPOSITORY_OK)
        choice->backup = backup_choose(&choice->repository, &choice->list, &request->wish);
    if (choice->backup != NULL && needs_way(request))
        choice->backup = choose_on_way(config, request, choice, choice->backup);
    if (choice->backup != NULL)
        return 0;
    choice_close(choice);
    return -1;
}

int choice_make(const struct config *config, const struct choice_request *request, struct choice *choice)
{
    for (size_t i = request->first; i < request->repository_count && !interrupt_requested(); i++)
        if (choose_from(config, request->repositories[i], request, choice) == 0) {
            choice->index = i;
            return 0;
        }
    return -1;
}

const struct repository_config *choice_next(const struct choice_request *request, const struct choice *choice)
{
    return choice->index + 1 < request->repository_count ? request->repositories[choice->index + 1] : NULL;
}
