#include "target_check.h"

#include "common/histories.h"
#include "common/log.h"
#include "common/timestamp.h"
#include "common/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One repository that could be asked and that knows this directory's system. */
struct source {
    struct repository repository;
    struct backup_list backups;
};

struct check {
    const struct config *config;
    const struct data_directory *directory;
    struct target *target;
    struct source *sources;
    size_t source_count;
    size_t silent_count;              /* repositories that could not be asked */
    struct repository **repositories; /* the sources' */
    char *pg_wal;
    struct history_sources histories;
    const struct backup *backup; /* the directory's; NULL when it isn't known */
    struct source *backup_source;
    /* Where recovery can stop at the earliest, as far as is known: the backup's end, else a point before it.
     */
    uint32_t timeline;
    uint64_t lsn;
};

static bool is_needed(const struct target *target)
{
    return target->kind == TARGET_TIME || target->kind == TARGET_LSN || target->kind == TARGET_XID ||
           target->kind == TARGET_NAME || target->end_at != NULL ||
           (target->timeline_choice == TIMELINE_NUMBER && target->kind != TARGET_STANDBY);
}

/* Repositories */

/* False if it can't be used (logged). */
static bool open_source(struct check *check, const struct repository_config *settings, struct source *source)
{
    const struct store_limits limits = {.operation_seconds = check->config->wal_fetch_timeout_seconds};
    uint64_t system = check->directory->control.system_identifier;

    *source = (struct source){.backups = {NULL, 0, 0}};
    if (repository_open(check->config, settings, NULL, &limits, &source->repository) != 0)
        return false;
    if (repository_load_cluster_to_read(&source->repository) != REPOSITORY_OK)
        goto fail;
    if (cluster_generation(&source->repository.cluster, system) == NULL) {
        repository_tell_foreign(&source->repository, system);
        goto fail;
    }
    if (backup_list_load(&source->repository, &source->backups) != REPOSITORY_OK)
        goto fail;
    return true;
fail:
    repository_close(&source->repository);
    return false;
}

static int open_sources(struct check *check)
{
    const struct config *config = check->config;

    check->sources = calloc(config->repository_count, sizeof *check->sources);
    check->repositories = calloc(config->repository_count, sizeof *check->repositories);
    check->pg_wal = string_printf("%s/pg_wal", check->directory->path);
    if (check->sources == NULL || check->repositories == NULL || check->pg_wal == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < config->repository_count; i++)
        if (open_source(check, &config->repositories[i], &check->sources[check->source_count]))
            check->source_count++;
        else
            check->silent_count++;
    for (size_t i = 0; i < check->source_count; i++)
        check->repositories[i] = &check->sources[i].repository;
    check->histories = (struct history_sources){check->repositories, check->source_count,
                                                check->directory->control.system_identifier, check->pg_wal};
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
    free(check->repositories);
    free(check->pg_wal);
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
        result = histories_latest(&check->histories, wanted, history);
    else if (target->timeline_choice == TIMELINE_NUMBER)
        result = histories_get(&check->histories, wanted, history);
    if (result == REPOSITORY_ABSENT)
        return absent_history(check, wanted);
    if (result != REPOSITORY_OK) {
        log_error("could not check the target: the timelines are not known");
        log_hint("Nothing was written. repository-check says what is wrong with the repository.");
        return -1;
    }
    return 0;
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

/* Proof */

/* What recovery has from here on: of all repositories, and in pg_wal. */
static int load_archive(struct check *check, const struct timeline_history *history, uint64_t first,
                        struct wal_archive *archive)
{
    const struct pg_control *control = &check->directory->control;

    wal_archive_begin(control->system_identifier, control->segment_bytes, archive);
    archive->unasked_count = check->silent_count;
    for (size_t i = 0; i < check->source_count; i++)
        archive->unasked_count +=
            wal_archive_add(archive, check->repositories[i], history, first) != REPOSITORY_OK;
    return archive->source_count > 0 ? wal_archive_add_pg_wal(archive, check->pg_wal) : -1;
}

static void fill_origin(const struct check *check, struct window_origin *origin)
{
    const struct data_directory *directory = check->directory;

    origin->backup = check->backup;
    origin->start_lsn = directory->is_fresh ? directory->start_lsn : directory->control.redo_lsn;
    origin->stop_lsn = check->backup == NULL ? 0 : check->backup->stop_lsn;
}

static int conclude(struct check *check, const struct wal_archive *archive,
                    const struct timeline_history *history, const struct window_target *wanted,
                    const struct window_proof *proof)
{
    char what[128];

    target_describe(check->target, what, sizeof what);
    if (proof->verdict == WINDOW_FAILED) {
        log_error("could not check the target: what WAL there is could not be found out");
        log_hint("Nothing was written. repository-check says what is wrong with the repository.");
        return -1;
    }
    window_tell(archive, history, wanted, what, proof);
    check->target->is_proven = proof->verdict == WINDOW_PROVEN || proof->verdict == WINDOW_TURNED;
    if (proof->verdict == WINDOW_TURNED)
        target_turn(check->target, proof->lsn);
    return proof->verdict == WINDOW_REFUSED ? -1 : 0;
}

static int prove(struct check *check, const struct timeline_history *history)
{
    const struct source *source = check->backup_source == NULL ? &check->sources[0] : check->backup_source;
    struct window_origin origin;
    struct window_target wanted;
    struct wal_archive archive;
    struct window_proof proof = {.verdict = WINDOW_FAILED};

    fill_origin(check, &origin);
    target_as_wanted(check->target, &wanted);
    if (load_archive(check, history, origin.start_lsn / check->directory->control.segment_bytes, &archive) ==
        0)
        window_prove(&archive, history, &origin, &source->backups, &wanted, &proof);
    int result = conclude(check, &archive, history, &wanted, &proof);
    wal_archive_close(&archive);
    return result;
}

static int check_way(struct check *check, const struct timeline_history *history)
{
    uint64_t left;

    if (!timeline_history_find(history, check->timeline, &left) || left < check->lsn)
        return explain_other_branch(check, history);
    if (check_start(check, history) != 0)
        return -1;
    tell_latest(check, history);
    if (check->target->end_at != NULL && check_end(check, history) != 0)
        return -1;
    if (check->target->without_proof) {
        log_warning("whether the WAL up to the target is there was not looked at (--unproven)");
        return 0;
    }
    return prove(check, history);
}

static int check_timelines(struct check *check)
{
    struct timeline_history history = {0, NULL, 0};
    int result = resolve_timeline(check, &history);

    if (result == 0)
        result = check_way(check, &history);
    timeline_history_free(&history);
    return result;
}

int target_check(const struct config *config, const struct data_directory *directory, struct target *target)
{
    struct check check = {.config = config, .directory = directory, .target = target};
    int result = -1;

    if (!is_needed(target))
        return 0;
    if (open_sources(&check) == 0) {
        find_origin(&check);
        result = check_timelines(&check);
    }
    close_sources(&check);
    return result;
}
