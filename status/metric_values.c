#include "metric_values.h"

#include <math.h>

static double seconds_of(int64_t time)
{
    return time == 0 ? NAN : (double)time / 1e6;
}

/* The cluster */

static double value_of_status_time(const struct picture *picture)
{
    return seconds_of(picture->now);
}

static double value_of_status_duration_seconds(const struct picture *picture)
{
    return picture->seconds;
}

static double value_of_ok(const struct picture *picture)
{
    return picture->problem_count == 0;
}

static double value_of_wal_lag_segments(const struct picture *picture)
{
    return picture->lag.is_known ? (double)picture->lag.segments : NAN;
}

static double value_of_wal_lag_bytes(const struct picture *picture)
{
    return picture->lag.is_known ? (double)picture->lag.bytes : NAN;
}

static double value_of_wal_lag_seconds(const struct picture *picture)
{
    return picture->lag.is_known ? picture_lag_seconds(picture) : NAN;
}

const struct cluster_metric cluster_metrics[] = {
    {"walferry_status_timestamp_seconds", "When these numbers were gathered.", value_of_status_time},
    {"walferry_status_duration_seconds", "How long that took.", value_of_status_duration_seconds},
    {"walferry_ok", "1: nothing is wrong; 0: some walferry_problem is 1.", value_of_ok},
    {"walferry_wal_lag_segments", "Files in pg_wal that wait for archive_command.",
     value_of_wal_lag_segments},
    {"walferry_wal_lag_bytes", "Their size.", value_of_wal_lag_bytes},
    {"walferry_wal_lag_seconds", "How long the oldest of them has waited; 0: none waits.",
     value_of_wal_lag_seconds},
    {NULL, NULL, NULL},
};

/* A repository */

static double value_of_repository_up(const struct picture_repository *repository)
{
    return repository->is_up && repository->is_complete;
}

static double value_of_repository_required(const struct picture_repository *repository)
{
    return repository->settings->required;
}

static double value_of_repository_stored_bytes(const struct picture_repository *repository)
{
    return (double)repository->object_bytes;
}

static double value_of_repository_objects(const struct picture_repository *repository)
{
    return (double)repository->objects;
}

static double value_of_repository_disk_free_bytes(const struct picture_repository *repository)
{
    return repository->has_disk ? (double)repository->disk_free_bytes : NAN;
}

static double value_of_repository_disk_size_bytes(const struct picture_repository *repository)
{
    return repository->has_disk ? (double)repository->disk_size_bytes : NAN;
}

static double value_of_recoverable(const struct picture_repository *repository)
{
    return picture_window(repository) != NULL;
}

static double value_of_recovery_window_begin_time(const struct picture_repository *repository)
{
    const struct picture_stretch *window = picture_window(repository);

    return window == NULL ? NAN : seconds_of(window->begin);
}

static double value_of_recovery_window_end_time(const struct picture_repository *repository)
{
    const struct picture_stretch *window = picture_window(repository);

    return window == NULL ? NAN : seconds_of(window->end);
}

static double value_of_wal_holes(const struct picture_repository *repository)
{
    return (double)repository->hole_count;
}

static double value_of_wal_gap_markers(const struct picture_repository *repository)
{
    return (double)repository->gap_markers;
}

static double value_of_incomplete_backups(const struct picture_repository *repository)
{
    return (double)repository->incomplete_backups;
}

static double value_of_backups(const struct picture_repository *repository)
{
    return (double)repository->backup_count;
}

static double value_of_backup_oldest_time(const struct picture_repository *repository)
{
    double oldest = NAN;

    for (size_t i = 0; i < repository->backup_count; i++)
        if (isnan(oldest) || seconds_of(repository->backups[i].stop_time) < oldest)
            oldest = seconds_of(repository->backups[i].stop_time);
    return oldest;
}

static double value_of_backup_newest_time(const struct picture_repository *repository)
{
    const struct picture_backup *newest = picture_usable_backup(repository);

    return newest == NULL ? NAN : seconds_of(newest->stop_time);
}

static double value_of_backup_newest_duration_seconds(const struct picture_repository *repository)
{
    const struct picture_backup *newest = picture_newest_backup(repository);

    return newest == NULL ? NAN : (double)(newest->stop_time - newest->start_time) / 1e6;
}

static double value_of_backup_newest_bytes(const struct picture_repository *repository)
{
    const struct picture_backup *newest = picture_newest_backup(repository);

    return newest == NULL ? NAN : (double)newest->plain_bytes;
}

static double value_of_backup_newest_stored_bytes(const struct picture_repository *repository)
{
    const struct picture_backup *newest = picture_newest_backup(repository);

    return newest == NULL ? NAN : (double)newest->stored_bytes;
}

static double value_of_backup_newest_page_errors(const struct picture_repository *repository)
{
    const struct picture_backup *newest = picture_newest_backup(repository);

    return newest == NULL ? NAN : (double)newest->page_errors;
}

static double value_of_backup_previous_bytes(const struct picture_repository *repository)
{
    const struct picture_backup *previous = picture_previous_backup(repository);

    return previous == NULL ? NAN : (double)previous->plain_bytes;
}

static double value_of_backup_previous_stored_bytes(const struct picture_repository *repository)
{
    const struct picture_backup *previous = picture_previous_backup(repository);

    return previous == NULL ? NAN : (double)previous->stored_bytes;
}

static double value_of_damaged_backups(const struct picture_repository *repository)
{
    double count = (double)repository->damaged_manifests;

    for (size_t i = 0; i < repository->backup_count; i++)
        count += repository->backups[i].found_damaged;
    return count;
}

static double value_of_wal_segments(const struct picture_repository *repository)
{
    return (double)repository->segments;
}

static double value_of_wal_stored_bytes(const struct picture_repository *repository)
{
    return (double)repository->wal_stored_bytes;
}

static double value_of_wal_newest_time(const struct picture_repository *repository)
{
    return seconds_of(repository->newest_segment_time);
}

static double value_of_wal_unstored_segments(const struct picture_repository *repository)
{
    return repository->is_exposed ? (double)repository->unstored : NAN;
}

static double value_of_wal_behind_seconds(const struct picture_repository *repository)
{
    return repository->is_exposed && repository->has_safe ? repository->behind_seconds : NAN;
}

static double value_of_wal_unsafe_seconds(const struct picture_repository *repository)
{
    return !repository->is_exposed ? NAN : repository->has_unsafe ? repository->unsafe_seconds : 0;
}

static double value_of_verification_time(const struct picture_repository *repository)
{
    return seconds_of(repository->verification_time);
}

static double value_of_verification_ok(const struct picture_repository *repository)
{
    return repository->verification_time == 0 && repository->damaged_units == 0
               ? NAN
               : repository->damaged_units == 0;
}

static double value_of_verified_until_time(const struct picture_repository *repository)
{
    double newest = NAN;

    for (size_t i = 0; i < repository->backup_count; i++)
        if (repository->backups[i].verified != 0 &&
            repository->backups[i].system_identifier == repository->system_identifier &&
            !(seconds_of(repository->backups[i].stop_time) < newest))
            newest = seconds_of(repository->backups[i].stop_time);
    return newest;
}

static double value_of_drill_time(const struct picture_repository *repository)
{
    return seconds_of(repository->last_drill.time);
}

static double value_of_drill_ok(const struct picture_repository *repository)
{
    return repository->last_drill.time == 0 ? NAN : !repository->last_drill.is_failed;
}

static double value_of_drill_success_time(const struct picture_repository *repository)
{
    return seconds_of(repository->good_drill.time);
}

static double value_of_drill_rto_seconds(const struct picture_repository *repository)
{
    return repository->good_drill.time == 0 ? NAN : (double)repository->good_drill.milliseconds / 1000;
}

static double value_of_drill_rpo_seconds(const struct picture_repository *repository)
{
    return repository->good_drill.has_rpo ? repository->good_drill.rpo_seconds : NAN;
}

bool repository_knows(const struct picture_repository *repository, enum metric_needs needs)
{
    switch (needs) {
    case NEEDS_NOTHING:
        return true;
    case NEEDS_ACCESS:
        break;
    case NEEDS_WAL:
        return repository->is_up && repository->is_wal_known;
    case NEEDS_PROOF:
        return repository->is_up && repository->is_proof_known;
    case NEEDS_COUNT:
        return repository->is_up && repository->is_counted;
    }
    return repository->is_up;
}

const struct repository_metric repository_metrics[] = {
    {"walferry_repository_up", "1: it could be asked, and all that was wanted of it could be read.",
     value_of_repository_up, NEEDS_NOTHING},
    {"walferry_repository_required", "1: required = yes.", value_of_repository_required, NEEDS_NOTHING},
    {"walferry_repository_stored_bytes", "Size of all objects of the cluster.",
     value_of_repository_stored_bytes, NEEDS_COUNT},
    {"walferry_repository_objects", "Their number.", value_of_repository_objects, NEEDS_COUNT},
    {"walferry_repository_disk_free_bytes", "What the directory's file system has free.",
     value_of_repository_disk_free_bytes, NEEDS_ACCESS},
    {"walferry_repository_disk_size_bytes", "Size of the directory's file system.",
     value_of_repository_disk_size_bytes, NEEDS_ACCESS},
    {"walferry_recoverable", "1: the cluster's latest timeline can be recovered from it.",
     value_of_recoverable, NEEDS_WAL},
    {"walferry_recovery_window_begin_timestamp_seconds",
     "Any instant behind this can be recovered, up to the end.", value_of_recovery_window_begin_time,
     NEEDS_WAL},
    {"walferry_recovery_window_end_timestamp_seconds", "The newest commit that can be recovered.",
     value_of_recovery_window_end_time, NEEDS_WAL},
    {"walferry_wal_holes", "How many times WAL is missing that should be there.", value_of_wal_holes,
     NEEDS_WAL},
    {"walferry_wal_gap_markers", "Gaps that a server made on purpose (on_full = drop).",
     value_of_wal_gap_markers, NEEDS_WAL},
    {"walferry_incomplete_backups", "Backups that can't be recovered, since WAL that they need is missing.",
     value_of_incomplete_backups, NEEDS_WAL},
    {"walferry_backups", "Complete base backups.", value_of_backups, NEEDS_ACCESS},
    {"walferry_backup_oldest_timestamp_seconds", "When the oldest of them ended.",
     value_of_backup_oldest_time, NEEDS_ACCESS},
    {"walferry_backup_newest_timestamp_seconds", "When the newest of them ended.",
     value_of_backup_newest_time, NEEDS_ACCESS},
    {"walferry_backup_newest_duration_seconds", "From its start to its end.",
     value_of_backup_newest_duration_seconds, NEEDS_ACCESS},
    {"walferry_backup_newest_bytes", "Size of its files.", value_of_backup_newest_bytes, NEEDS_ACCESS},
    {"walferry_backup_newest_stored_bytes", "Its size in the repository.",
     value_of_backup_newest_stored_bytes, NEEDS_ACCESS},
    {"walferry_backup_newest_page_errors", "Pages with a wrong checksum when it was taken.",
     value_of_backup_newest_page_errors, NEEDS_ACCESS},
    {"walferry_backup_previous_bytes", "Size of the files of the one before it.",
     value_of_backup_previous_bytes, NEEDS_ACCESS},
    {"walferry_backup_previous_stored_bytes", "Stored size of the one before it.",
     value_of_backup_previous_stored_bytes, NEEDS_ACCESS},
    {"walferry_damaged_backups",
     "Backups whose manifest can't be read, or which a verification has found damaged.",
     value_of_damaged_backups, NEEDS_ACCESS},
    {"walferry_wal_segments", "Segments in the repository.", value_of_wal_segments, NEEDS_WAL},
    {"walferry_wal_stored_bytes", "Their stored size.", value_of_wal_stored_bytes, NEEDS_WAL},
    {"walferry_wal_newest_timestamp_seconds", "When the newest segment of the latest timeline was stored.",
     value_of_wal_newest_time, NEEDS_WAL},
    {"walferry_wal_unstored_segments", "Segments in this machine's pg_wal that the repository has not got.",
     value_of_wal_unstored_segments, NEEDS_WAL},
    {"walferry_wal_behind_seconds", "From the newest commit that it can bring back to the newest in pg_wal.",
     value_of_wal_behind_seconds, NEEDS_WAL},
    {"walferry_wal_unsafe_seconds",
     "How old the oldest commit in pg_wal is that it can't bring back; 0: there is none.",
     value_of_wal_unsafe_seconds, NEEDS_WAL},
    {"walferry_verification_timestamp_seconds", "When a full verification last came to the end of something.",
     value_of_verification_time, NEEDS_PROOF},
    {"walferry_verification_ok", "1: nothing that was verified is known to be damaged.",
     value_of_verification_ok, NEEDS_PROOF},
    {"walferry_verified_until_timestamp_seconds",
     "End of the newest backup that was read whole and found right.", value_of_verified_until_time,
     NEEDS_PROOF},
    {"walferry_drill_timestamp_seconds", "When the last restore drill from it ended.", value_of_drill_time,
     NEEDS_PROOF},
    {"walferry_drill_ok", "1: it passed.", value_of_drill_ok, NEEDS_PROOF},
    {"walferry_drill_success_timestamp_seconds", "When the last one ended that passed.",
     value_of_drill_success_time, NEEDS_PROOF},
    {"walferry_drill_rto_seconds", "What that one took from the first byte fetched to the last check.",
     value_of_drill_rto_seconds, NEEDS_PROOF},
    {"walferry_drill_rpo_seconds", "What it would have lost.", value_of_drill_rpo_seconds, NEEDS_PROOF},
    {NULL, NULL, NULL, NEEDS_NOTHING},
};

/* A program's runs */

static double value_of_run_time(const struct picture_run *run)
{
    return seconds_of(picture_last_run(run)->ended);
}

static double value_of_run_ok(const struct picture_run *run)
{
    return picture_last_run(run) == &run->note.success;
}

static double value_of_run_exit_status(const struct picture_run *run)
{
    return (double)picture_last_run(run)->status;
}

static double value_of_run_duration_seconds(const struct picture_run *run)
{
    return (double)picture_last_run(run)->milliseconds / 1000;
}

static double value_of_run_success_time(const struct picture_run *run)
{
    return seconds_of(run->note.success.ended);
}

static double value_of_run_success_duration_seconds(const struct picture_run *run)
{
    return run->note.success.ended == 0 ? NAN : (double)run->note.success.milliseconds / 1000;
}

static double value_of_run_failure_time(const struct picture_run *run)
{
    return seconds_of(run->note.failure.ended);
}

static double value_of_run_bytes(const struct picture_run *run)
{
    return run->note.success.has_bytes ? (double)run->note.success.bytes : NAN;
}

static double value_of_run_stored_bytes(const struct picture_run *run)
{
    return run->note.success.has_bytes ? (double)run->note.success.stored_bytes : NAN;
}

static double value_of_runs_total(const struct picture_run *run)
{
    return (double)run->note.runs;
}

static double value_of_run_requests_total(const struct picture_run *run)
{
    return (double)run->note.requests;
}

static double value_of_run_retries_total(const struct picture_run *run)
{
    return (double)run->note.retries;
}

const struct run_metric run_metrics[] = {
    {"walferry_run_timestamp_seconds", "When the last run of the program ended.", value_of_run_time},
    {"walferry_run_ok", "1: with status 0.", value_of_run_ok},
    {"walferry_run_exit_status", "With which exit status.", value_of_run_exit_status},
    {"walferry_run_duration_seconds", "How long it took.", value_of_run_duration_seconds},
    {"walferry_run_success_timestamp_seconds", "When the last successful run ended.",
     value_of_run_success_time},
    {"walferry_run_success_duration_seconds", "How long that one took.",
     value_of_run_success_duration_seconds},
    {"walferry_run_failure_timestamp_seconds", "When the last failed run ended.", value_of_run_failure_time},
    {"walferry_run_bytes", "What the last successful run read or wrote, before compression.",
     value_of_run_bytes},
    {"walferry_run_stored_bytes", "The same as stored.", value_of_run_stored_bytes},
    {"walferry_runs_total", "Runs of the program.", value_of_runs_total},
    {"walferry_run_requests_total", "Requests made of stores over HTTP.", value_of_run_requests_total},
    {"walferry_run_retries_total", "How many of them were tries anew.", value_of_run_retries_total},
    {NULL, NULL, NULL},
};
