#include "target_check.h"

#include "common/backup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_FILE_MOST_BYTES (1024 * 1024)

/* One repository that could be asked and that knows this directory's system. */
struct source {
    struct repository repository;
    struct backup_list backups;
};

struct check {
    const struct config *config;
    const struct data_directory *directory;
    const struct target *target;
    struct source *sources;
    size_t source_count;
    const struct backup *backup; /* the directory's; NULL when it isn't known */
    struct source *backup_source;
    /* Where recovery can stop at the earliest, as far as is known: the backup's end, else a point before it.
     */
    uint32_t timeline;
    uint64_t lsn;
};

static bool is_needed(const struct target *target)
{
    return target->kind == TARGET_TIME || target->kind == TARGET_LSN || target->end_at != NULL ||
           (target->timeline_choice == TIMELINE_NUMBER && target->kind != TARGET_STANDBY);
}

/* Repositories */

/* 1: it can be used. 0: it can't, logged. */
static int open_source(struct check *check, const struct repository_config *settings, struct source *source)
{
    const struct store_limits limits = {.operation_seconds = check->config->wal_fetch_timeout_seconds};
    uint64_t system = check->directory->control.system_identifier;

    *source = (struct source){.backups = {NULL, 0, 0}};
    if (repository_open(check->config, settings, NULL, &limits, &source->repository) != 0)
        return 0;
    if (repository_load_cluster(&source->repository, 0) != REPOSITORY_OK)
        goto fail;
    if (cluster_generation(&source->repository.cluster, system) == NULL) {
        repository_tell_foreign(&source->repository, system);
        goto fail;
    }
    if (backup_list_load(&source->repository, &source->backups) != REPOSITORY_OK)
        goto fail;
    return 1;
fail:
    repository_close(&source->repository);
    return 0;
}

static int open_sources(struct check *check, const char *repository)
{
    const struct config *config = check->config;

    check->sources = calloc(config->repository_count, sizeof *check->sources);
    if (check->sources == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < config->repository_count; i++) {
        const struct repository_config *settings = &config->repositories[i];

        if (repository == NULL || strcmp(repository, settings->name) == 0)
            check->source_count += (size_t)open_source(check, settings, &check->sources[check->source_count]);
    }
    if (check->source_count > 0)
        return 0;
    log_error("could not check the target: no repository can be used");
    log_hint("Nothing was written. Recovery needs the repository too: repository-check says what is wrong "
             "with it.");
    return -1;
}

static void close_sources(struct check *check)
{
    for (size_t i = 0; i < check->source_count; i++) {
        backup_list_free(&check->sources[i].backups);
        repository_close(&check->sources[i].repository);
    }
    free(check->sources);
}

/* The directory's backup */

static bool is_backup_of(const struct backup *backup, const struct data_directory *directory)
{
    return backup->system_identifier == directory->control.system_identifier &&
           backup->start_lsn == directory->start_lsn && backup->timeline == directory->start_timeline &&
           (backup->label == NULL || strcmp(backup->label, directory->label) == 0);
}

/* Two backups of a standby can begin at the same restartpoint; the one that ended later asks for more. */
static void find_backup(struct check *check)
{
    for (size_t i = 0; i < check->source_count; i++) {
        struct source *source = &check->sources[i];

        for (size_t j = 0; j < source->backups.count; j++) {
            const struct backup *backup = &source->backups.backups[j];

            if (!is_backup_of(backup, check->directory))
                continue;
            if (check->backup == NULL || backup->stop_time > check->backup->stop_time) {
                check->backup = backup;
                check->backup_source = source;
            }
        }
    }
}

static void warn_unknown_backup(const struct check *check)
{
    const struct data_directory *directory = check->directory;
    char lsn[24];

    lsn_format(directory->start_lsn, lsn);
    log_warning("no repository has the manifest of the backup in \"%s\" (it began at LSN %s on timeline %u)",
                directory->path, lsn, directory->start_timeline);
    log_hint("The target could not be checked against the backup's end. If it lies before that, PostgreSQL "
             "will say "
             "\"requested recovery stop point is before consistent recovery point\".");
}

/* Without a backup_label all that is known for certain is the last checkpoint: more may have been replayed.
 */
static void warn_started(const struct check *check)
{
    char lsn[24];

    lsn_format(check->lsn, lsn);
    log_warning("\"%s\" has no backup_label: it was started since its base backup was restored",
                check->directory->path);
    log_hint("Recovery only goes forward. If the target lies before what was replayed already (to LSN %s on "
             "timeline %u, or "
             "further), restore a base backup again.",
             lsn, check->timeline);
}

/* Fills backup, timeline and lsn. */
static void find_origin(struct check *check)
{
    const struct data_directory *directory = check->directory;

    check->timeline = directory->is_fresh ? directory->start_timeline : directory->control.timeline;
    check->lsn = directory->is_fresh ? directory->start_lsn : directory->control.checkpoint_lsn;
    if (directory->has_label)
        find_backup(check);
    if (check->backup != NULL) {
        log_debug("\"%s\" is backup %s", directory->path, check->backup->id);
        if (check->backup->stop_lsn > check->lsn)
            check->lsn = check->backup->stop_lsn;
    }
    if (!directory->is_fresh)
        warn_started(check);
    else if (check->backup == NULL)
        warn_unknown_backup(check);
}

/* Tells which backup serves the target on the way that history describes, or what there is instead. */
static void hint_better(const struct check *check, const struct timeline_history *history)
{
    const struct target *target = check->target;
    const struct backup_wish wish = {.has_time = target->kind == TARGET_TIME,
                                     .time = target->time,
                                     .has_lsn = target->kind == TARGET_LSN,
                                     .lsn = target->lsn};
    const struct source *source = check->backup_source == NULL ? &check->sources[0] : check->backup_source;
    const struct backup *earliest, *better = backup_find(&source->backups, &wish, history, &earliest);
    char time[TIMESTAMP_TEXT_BYTES];
    char lsn[24];

    if (better != NULL) {
        log_hint("Backup %s serves the target: run basebackup-fetch --backup %s into an empty directory, "
                 "then recovery-config there.",
                 better->id, better->id);
    } else if (earliest != NULL) {
        timestamp_format(earliest->stop_time, time);
        lsn_format(earliest->stop_lsn, lsn);
        log_hint("No backup in repository \"%s\" serves the target: the first to end on the way to "
                 "timeline %u is %s, at %s, LSN %s.",
                 source->repository.settings->name, history->timeline, earliest->id, time, lsn);
    } else {
        log_hint("No backup in repository \"%s\" lies on the way to timeline %u.",
                 source->repository.settings->name, history->timeline);
    }
}

static bool is_before_backup_end(const struct check *check)
{
    const struct target *target = check->target;

    if (check->backup == NULL)
        return false;
    if (target->kind == TARGET_TIME)
        return target->time <= check->backup->stop_time; /* rule 22 */
    return target->kind == TARGET_LSN && target->lsn < check->backup->stop_lsn;
}

/* history: of the timeline that recovery will follow. */
static int check_start(const struct check *check, const struct timeline_history *history)
{
    bool before_end = is_before_backup_end(check);
    char what[128];
    char time[TIMESTAMP_TEXT_BYTES];
    char lsn[24];

    if (!before_end && (check->target->kind != TARGET_LSN || check->target->lsn >= check->lsn))
        return 0;
    target_describe(check->target, what, sizeof what);
    if (before_end) {
        timestamp_format(check->backup->stop_time, time);
        lsn_format(check->backup->stop_lsn, lsn);
        log_error(
            "the target (%s) is not after the end of the backup in \"%s\": backup %s ended at %s, LSN %s",
            what, check->directory->path, check->backup->id, time, lsn);
    } else {
        lsn_format(check->lsn, lsn);
        log_error("the target (%s) lies before LSN %s, from which recovery of \"%s\" goes forward", what, lsn,
                  check->directory->path);
    }
    hint_better(check, history);
    return -1;
}

/* Timelines */

/* PostgreSQL looks into pg_wal for what the archive doesn't have. */
static enum repository_result read_local_history(const struct check *check, uint32_t timeline,
                                                 struct timeline_history *history)
{
    struct buffer text = BUFFER_EMPTY;
    char *path = string_printf("%s/pg_wal/%08X.history", check->directory->path, timeline);
    enum file_result read = path == NULL ? FILE_FAILED : file_read_all(path, HISTORY_FILE_MOST_BYTES, &text);
    enum repository_result result = read == FILE_ABSENT ? REPOSITORY_ABSENT : REPOSITORY_FAILED;
    const char *problem;

    if (read == FILE_OK) {
        if (timeline_history_parse(timeline, buffer_string(&text), text.length, history, &problem) == 0)
            result = REPOSITORY_OK;
        else
            log_error("file \"%s\" is damaged: %s", path, problem);
    }
    buffer_free(&text);
    free(path);
    return result;
}

/* OK, ABSENT when it is nowhere, FAILED when somebody who may have it could not be asked. */
static enum repository_result find_history(struct check *check, uint32_t timeline,
                                           struct timeline_history *history)
{
    bool failed = false;

    for (size_t i = 0; i < check->source_count; i++) {
        enum repository_result result = repository_get_history(
            &check->sources[i].repository, check->directory->control.system_identifier, timeline, history);
        if (result == REPOSITORY_OK)
            return result;
        failed = failed || result != REPOSITORY_ABSENT;
    }
    if (failed)
        return REPOSITORY_FAILED;
    return read_local_history(check, timeline, history);
}

/* The timeline that "latest" will be, found as PostgreSQL finds it: up to the first gap (rule 12). */
static enum repository_result find_latest(struct check *check, struct timeline_history *history)
{
    uint32_t newest = check->timeline;

    *history = (struct timeline_history){newest, NULL, 0};
    for (;;) {
        struct timeline_history next = {0, NULL, 0};
        enum repository_result result = find_history(check, newest + 1, &next);

        if (result == REPOSITORY_ABSENT)
            return REPOSITORY_OK;
        if (result != REPOSITORY_OK) {
            timeline_history_free(history);
            return result;
        }
        timeline_history_free(history);
        *history = next;
        newest++;
    }
}

static int explain_other_branch(const struct check *check, const struct timeline_history *history)
{
    uint64_t left;
    char left_text[24];
    char lsn[24];

    if (timeline_history_find(history, check->timeline, &left)) {
        lsn_format(left, left_text);
        lsn_format(check->lsn, lsn);
        log_error("timeline %u left timeline %u at LSN %s, before the end of the backup in \"%s\" (LSN %s)",
                  history->timeline, check->timeline, left_text, check->directory->path, lsn);
    } else {
        log_error("timeline %u does not descend from timeline %u, that of the backup in \"%s\"",
                  history->timeline, check->timeline, check->directory->path);
    }
    log_hint("From this directory only timeline %u can be reached, with --timeline %u.", check->timeline,
             check->timeline);
    hint_better(check, history);
    return -1;
}

/* "latest" may be another timeline than the DBA has in mind: after an earlier attempt at recovery that was
 * opened, for example. It does not matter for an LSN before the point where the ways part. */
static void tell_latest(const struct check *check, const struct timeline_history *history)
{
    const struct target *target = check->target;
    uint64_t left;
    char left_text[24];

    if (target->timeline_choice != TIMELINE_LATEST || history->timeline == check->timeline ||
        !timeline_history_find(history, check->timeline, &left) ||
        (target->kind == TARGET_LSN && target->lsn < left))
        return;
    lsn_format(left, left_text);
    log_info(
        "recovery follows the latest timeline, %u, which left timeline %u, that of the backup, at LSN %s",
        history->timeline, check->timeline, left_text);
    log_hint("What was committed on timeline %u after that is not on this way; for that, add --timeline %u.",
             check->timeline, check->timeline);
}

static int absent_history(const struct check *check, uint32_t timeline)
{
    log_error("timeline %u is not known: %08X.history is neither in the repository nor in pg_wal", timeline,
              timeline);
    if (timeline < check->timeline)
        log_hint("The backup in \"%s\" is already on timeline %u.", check->directory->path, check->timeline);
    return -1;
}

/* history: of the timeline that recovery will follow. 0, or -1 after logging. */
static int resolve_timeline(struct check *check, struct timeline_history *history)
{
    const struct target *target = check->target;
    enum repository_result result = REPOSITORY_OK;
    uint32_t wanted = target->timeline_choice == TIMELINE_NUMBER ? target->timeline : check->timeline;

    *history = (struct timeline_history){wanted, NULL, 0};
    if (target->timeline_choice == TIMELINE_LATEST)
        result = find_latest(check, history);
    else if (target->timeline_choice == TIMELINE_NUMBER && wanted != 1) /* timeline 1 has no history */
        result = find_history(check, wanted, history);
    if (result == REPOSITORY_ABSENT)
        return absent_history(check, wanted);
    if (result != REPOSITORY_OK) {
        log_error("could not check the target: the timelines are not known");
        log_hint("Nothing was written. repository-check says what is wrong with the repository.");
        return -1;
    }
    return 0;
}

/* The timeline, on the way described by history, to which this LSN belongs. */
static uint32_t timeline_of(const struct timeline_history *history, uint64_t lsn)
{
    for (size_t i = 0; i < history->count; i++)
        if (lsn < history->ancestors[i].lsn)
            return history->ancestors[i].timeline;
    return history->timeline;
}

/* A target LSN behind the end of the archived WAL is fatal at the end of recovery. It may still be in pg_wal,
 * so only a warning. */
static void look_for_segment(struct check *check, const struct timeline_history *history)
{
    uint32_t segment_bytes = check->directory->control.segment_bytes;
    uint64_t system = check->directory->control.system_identifier;
    uint32_t timeline = timeline_of(history, check->target->lsn);
    char name[WAL_SEGMENT_NAME_BYTES];
    char lsn[24];

    wal_segment_name(timeline, check->target->lsn / segment_bytes, segment_bytes, name);
    for (size_t i = 0; i < check->source_count; i++) {
        struct repository *repository = &check->sources[i].repository;
        struct object_facts facts;
        char *key = repository_wal_key(repository, system, name);
        enum repository_result result =
            key == NULL ? REPOSITORY_FAILED : repository_get_facts(repository, key, NULL, &facts);

        free(key);
        if (result != REPOSITORY_ABSENT)
            return;
    }
    lsn_format(check->target->lsn, lsn);
    log_warning("WAL segment %s, which holds LSN %s, is not in the repository", name, lsn);
    log_hint("Unless it lies in pg_wal or arrives in time, PostgreSQL will say \"recovery ended before "
             "configured recovery "
             "target was reached\".");
}

static int check_end(const struct check *check, const struct timeline_history *history)
{
    const struct wal_name name = wal_name_parse(check->target->end_at);
    uint32_t segment_bytes = check->directory->control.segment_bytes;
    uint64_t number, left;
    char lsn[24];

    if (!wal_segment_number(&name, segment_bytes, &number)) {
        log_error("\"%s\" is not a WAL segment of this cluster, whose segments have %u bytes",
                  check->target->end_at, segment_bytes);
        return -1;
    }
    if (!timeline_history_find(history, name.timeline, &left)) {
        log_error("segment %s is not on the way of recovery, which follows timeline %u",
                  check->target->end_at, history->timeline);
        return -1;
    }
    if (number * segment_bytes < check->lsn) {
        lsn_format(check->lsn, lsn);
        log_error("recovery can't end before segment %s: the backup in \"%s\" needs the WAL up to LSN %s",
                  check->target->end_at, check->directory->path, lsn);
        return -1;
    }
    if (check->target->kind == TARGET_LSN && number * segment_bytes <= check->target->lsn) {
        log_error("the target LSN lies in segment %s or behind it, which --accept-end gives up",
                  check->target->end_at);
        return -1;
    }
    return 0;
}

static int check_timelines(struct check *check)
{
    struct timeline_history history = {0, NULL, 0};
    uint64_t left;
    int result = -1;

    if (resolve_timeline(check, &history) != 0)
        return -1;
    if (!timeline_history_find(&history, check->timeline, &left) || left < check->lsn) {
        explain_other_branch(check, &history);
        goto done;
    }
    if (check_start(check, &history) != 0)
        goto done;
    tell_latest(check, &history);
    if (check->target->kind == TARGET_LSN)
        look_for_segment(check, &history);
    result = check->target->end_at == NULL ? 0 : check_end(check, &history);
done:
    timeline_history_free(&history);
    return result;
}

int target_check(const struct config *config, const char *repository, const struct data_directory *directory,
                 const struct target *target)
{
    struct check check = {.config = config, .directory = directory, .target = target};
    int result = -1;

    if (!is_needed(target))
        return 0;
    if (open_sources(&check, repository) == 0) {
        find_origin(&check);
        result = check_timelines(&check);
    }
    close_sources(&check);
    return result;
}
