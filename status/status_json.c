#include "status_json.h"

#include "common/document.h"

/* A time of 0 is none. */
static void set_time(struct json *object, const char *name, int64_t time)
{
    if (time != 0)
        document_set_time(object, name, time);
}

static struct json *backup_json(const struct picture_backup *backup)
{
    struct json *object = json_new_object();

    json_set_string(object, "id", backup->id);
    document_set_system(object, backup->system_identifier);
    document_set_time(object, "start_time", backup->start_time);
    document_set_time(object, "stop_time", backup->stop_time);
    json_set_uint(object, "bytes", backup->plain_bytes);
    json_set_uint(object, "stored_bytes", backup->stored_bytes);
    json_set_uint(object, "page_errors", backup->page_errors);
    json_set_bool(object, "is_incomplete", backup->is_incomplete);
    json_set_bool(object, "found_damaged", backup->found_damaged);
    set_time(object, "verified", backup->verified);
    return object;
}

static struct json *windows_json(const struct picture_repository *repository)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < repository->stretch_count; i++) {
        const struct picture_stretch *stretch = &repository->stretches[i];
        struct json *object = json_new_object();
        document_set_time(object, "begin", stretch->begin);
        document_set_time(object, "end", stretch->end);
        json_set_uint(object, "backups", stretch->backups);
        json_set_bool(object, "ends_at_hole", stretch->ends_at_hole);
        json_set_bool(object, "is_expired_behind", stretch->is_expired);
        json_append(list, object);
    }
    return list;
}

static struct json *drill_json(const struct picture_drill *drill)
{
    struct json *object = json_new_object();

    document_set_time(object, "time", drill->time);
    json_set_string(object, "backup", drill->backup);
    json_set_bool(object, "passed", !drill->is_failed);
    json_set_real(object, "rto_seconds", (double)drill->milliseconds / 1000);
    if (drill->has_rpo)
        json_set_real(object, "rpo_seconds", drill->rpo_seconds);
    if (*drill->problem != '\0')
        json_set_text(object, "problem", drill->problem);
    return object;
}

static void set_proof(struct json *object, const struct picture_repository *repository)
{
    set_time(object, "last_verification", repository->verification_time);
    json_set_uint(object, "damaged", repository->damaged_units + repository->damaged_manifests);
    if (repository->last_drill.time != 0)
        json_set(object, "last_drill", drill_json(&repository->last_drill));
    if (repository->good_drill.time != 0)
        json_set(object, "last_good_drill", drill_json(&repository->good_drill));
}

static void set_sizes(struct json *object, const struct picture_repository *repository)
{
    if (repository->is_counted) {
        json_set_uint(object, "objects", repository->objects);
        json_set_uint(object, "stored_bytes", repository->object_bytes);
    }
    if (repository->is_wal_known) {
        json_set_uint(object, "wal_segments", repository->segments);
        json_set_uint(object, "wal_stored_bytes", repository->wal_stored_bytes);
    }
    set_time(object, "newest_segment_stored", repository->newest_segment_time);
    if (repository->has_disk) {
        json_set_uint(object, "disk_free_bytes", repository->disk_free_bytes);
        json_set_uint(object, "disk_size_bytes", repository->disk_size_bytes);
    }
    if (repository->is_exposed) {
        json_set_uint(object, "unstored_segments", repository->unstored);
        json_set_uint(object, "server_timeline", repository->server_timeline);
        if (repository->has_safe)
            json_set_real(object, "behind_seconds", repository->behind_seconds);
        json_set_real(object, "unsafe_seconds", repository->has_unsafe ? repository->unsafe_seconds : 0);
    }
}

static void set_recovery(struct json *object, const struct picture_repository *repository)
{
    json_set_uint(object, "timeline", repository->timeline);
    json_set_bool(object, "is_recoverable", picture_window(repository) != NULL);
    json_set(object, "windows", windows_json(repository));
    json_set_uint(object, "holes", repository->hole_count);
    json_set_uint(object, "gap_markers", repository->gap_markers);
}

static struct json *repository_json(const struct picture_repository *repository)
{
    struct json *object = json_new_object(), *backups = json_new_array();

    json_set_string(object, "repository", repository->settings->name);
    json_set_text(object, "url", repository->settings->url); /* a path may be any bytes */
    json_set_bool(object, "required", repository->settings->required);
    json_set_bool(object, "is_up", repository->is_up);
    json_set_bool(object, "is_complete", repository->is_complete);
    if (!repository->is_complete)
        json_set_text(object, "error", repository->error);
    if (!repository->is_up) {
        json_free(backups);
        return object;
    }
    if (repository->is_wal_known)
        set_recovery(object, repository);
    for (size_t i = 0; i < repository->backup_count; i++)
        json_append(backups, backup_json(&repository->backups[i]));
    json_set(object, "backups", backups);
    if (repository->is_proof_known)
        set_proof(object, repository);
    set_sizes(object, repository);
    return object;
}

static struct json *run_json(const struct picture_run *run)
{
    const struct outcome_run *last = picture_last_run(run);
    struct json *object = json_new_object();

    json_set_string(object, "program", run->program);
    document_set_time(object, "ended", last->ended);
    json_set_uint(object, "exit_status", last->status);
    json_set_real(object, "seconds", (double)last->milliseconds / 1000);
    set_time(object, "last_success", run->note.success.ended);
    set_time(object, "last_failure", run->note.failure.ended);
    if (last == &run->note.failure) {
        json_set_string(object, "error_kind", last->kind);
        json_set_text(object, "error", last->message);
    }
    return object;
}

static struct json *problem_json(const struct problem *problem)
{
    struct json *object = json_new_object();

    json_set_string(object, "kind", problem_kind_name(problem->kind));
    if (problem->repository != NULL)
        json_set_string(object, "repository", problem->repository->settings->name);
    if (problem->program != NULL)
        json_set_string(object, "program", problem->program);
    json_set_text(object, "problem", problem->text);
    json_set_text(object, "advice", problem->advice);
    return object;
}

static struct json *lag_json(const struct picture *picture)
{
    const struct picture_lag *lag = &picture->lag;
    struct json *object = json_new_object();

    json_set_uint(object, "segments", lag->segments);
    json_set_uint(object, "bytes", lag->bytes);
    json_set_real(object, "seconds", picture_lag_seconds(picture));
    return object;
}

struct json *status_json(const struct picture *picture)
{
    struct json *object = json_new_object(), *repositories = json_new_array(), *runs = json_new_array(),
                *problems = json_new_array();

    json_set_string(object, "cluster", picture->config->cluster_name);
    document_set_time(object, "time", picture->now);
    json_set_real(object, "seconds", picture->seconds);
    json_set_bool(object, "is_ok", picture->problem_count == 0);
    if (!picture_is_best_unknown(picture))
        json_set_bool(object, "is_recoverable", picture_best(picture) != NULL);
    for (size_t i = 0; i < picture->problem_count; i++)
        json_append(problems, problem_json(&picture->problems[i]));
    json_set(object, "problems", problems);
    if (picture->lag.is_known)
        json_set(object, "archiving", lag_json(picture));
    for (size_t i = 0; i < picture->repository_count; i++)
        json_append(repositories, repository_json(&picture->repositories[i]));
    json_set(object, "repositories", repositories);
    for (size_t i = 0; i < picture->run_count; i++)
        if (picture_last_run(&picture->runs[i]) != NULL)
            json_append(runs, run_json(&picture->runs[i]));
    json_set(object, "runs", runs);
    return object;
}
