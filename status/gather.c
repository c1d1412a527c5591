#include "gather.h"

#include "common/log.h"
#include "common/survey.h"
#include "common/timestamp.h"
#include "gather_plan.h"
#include "gather_proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* Base backups */

static void take_backup(const struct backup *backup, struct picture_backup *out)
{
    *out = (struct picture_backup){.system_identifier = backup->system_identifier,
                                   .start_time = backup->start_time,
                                   .stop_time = backup->stop_time,
                                   .plain_bytes = backup->plain_bytes,
                                   .stored_bytes = backup->stored_bytes + backup->files_bytes,
                                   .page_errors = backup->page_errors};
    snprintf(out->id, sizeof out->id, "%s", backup->id);
}

static int take_backups(const struct backup_list *list, struct picture_repository *picture)
{
    picture->damaged_manifests = list->damaged;
    picture->backups = calloc(list->count + 1, sizeof *picture->backups);
    if (picture->backups == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < list->count; i++)
        take_backup(&list->backups[i], &picture->backups[i]);
    picture->backup_count = list->count;
    return 0;
}

static void mark_incomplete(const struct window *window, struct picture_repository *picture)
{
    for (size_t i = 0; i < window->incomplete_count; i++)
        for (size_t k = 0; k < picture->backup_count; k++)
            if (strcmp(window->incomplete[i].backup->id, picture->backups[k].id) == 0 &&
                window->incomplete[i].backup->system_identifier == picture->backups[k].system_identifier)
                picture->backups[k].is_incomplete = true;
}

/* The window */

static int take_stretches(const struct window *window, struct picture_repository *picture)
{
    picture->stretches = calloc(window->count + 1, sizeof *picture->stretches);
    if (picture->stretches == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < window->count; i++) {
        const struct window_stretch *from = &window->stretches[i];
        struct picture_stretch *stretch = &picture->stretches[picture->stretch_count++];
        *stretch = (struct picture_stretch){.begin = from->earliest,
                                            .end = exposure_safe_until(from),
                                            .backups = from->backup_count,
                                            .ends_at_hole = from->run.is_hole && !from->is_expired,
                                            .is_expired = from->is_expired};
        if (stretch->end < stretch->begin)
            stretch->end = stretch->begin;
        picture->hole_count += stretch->ends_at_hole;
    }
    return 0;
}

/* Asks when the newest segment was stored. */
static int take_newest_segment(struct survey *survey, const struct survey_system *system,
                               struct picture_repository *picture)
{
    const struct archive_timeline *timeline = wal_archive_timeline(&system->archive, system->windows.latest);
    char name[WAL_SEGMENT_NAME_BYTES];

    if (timeline == NULL || timeline->count == 0)
        return 0;
    wal_segment_name(timeline->timeline, timeline->segments[timeline->count - 1].number,
                     system->archive.segment_bytes, name);
    char *key = repository_wal_key(&survey->repository, system->archive.system_identifier, name);
    int result =
        key == NULL ? -1 : store_time_of(survey->repository.store, key, &picture->newest_segment_time);
    free(key);
    return result < 0 ? -1 : 0;
}

static void take_exposure(const struct exposure *exposure, struct picture_repository *picture)
{
    picture->is_exposed = exposure->is_known;
    picture->server_timeline = exposure->timeline;
    picture->has_safe = exposure->has_safe;
    picture->has_unsafe = exposure_has_unsafe(exposure);
    picture->unsafe_seconds = (double)exposure_unsafe_for(exposure, timestamp_now()) / 1e6;
    picture->unstored = exposure->waiting;
    picture->behind_seconds = (double)exposure_behind(exposure) / 1e6;
}

/* The newest system is the one that is backed up; the others' backups are from before a pg_upgrade. */
static int take_newest_system(struct survey *survey, const struct survey_system *system,
                              struct picture_repository *picture)
{
    const struct windows *windows = &system->windows;

    picture->timeline = windows->latest;
    for (size_t i = 0; i < system->archive.count; i++)
        picture->gap_markers += system->archive.timelines[i].gap_count;
    take_exposure(&system->exposure, picture);
    for (size_t i = 0; i < windows->count; i++)
        if (windows->items[i].timeline == windows->latest && take_stretches(&windows->items[i], picture) != 0)
            return -1;
    picture->is_wal_known = true;
    return take_newest_segment(survey, system, picture);
}

static int take_systems(struct survey *survey, struct picture_repository *picture)
{
    const struct cluster *cluster = &survey->repository.cluster;
    int result = 0;

    picture->system_identifier = cluster->generations[cluster->generation_count - 1].system_identifier;
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_system *system = &survey->systems[i];
        picture->segments += system->archive.segment_count;
        picture->wal_stored_bytes += system->archive.stored_bytes;
        picture->objects += system->archive.object_count;
        picture->object_bytes += system->archive.object_bytes;
        for (size_t k = 0; k < system->windows.count; k++)
            mark_incomplete(&system->windows.items[k], picture);
        if (system->generation == &cluster->generations[cluster->generation_count - 1] &&
            take_newest_system(survey, system, picture) != 0)
            result = -1;
    }
    for (size_t i = 0; i < picture->backup_count; i++)
        picture->incomplete_backups += picture->backups[i].is_incomplete;
    return result;
}

/* Its size */

struct counting {
    struct picture_repository *picture;
    const char *end; /* of the keys that are counted: WAL was listed before; NULL */
};

static bool count_object(void *context, const char *key, uint64_t bytes)
{
    const struct counting *counting = context;

    if (counting->end != NULL && strncmp(key, counting->end, strlen(counting->end)) == 0)
        return false;
    counting->picture->objects++;
    counting->picture->object_bytes += bytes;
    return true;
}

static int count_below(struct repository *repository, const char *prefix, const char *start_after,
                       const char *end, struct picture_repository *picture)
{
    struct counting counting = {picture, end};
    const struct store_listing listing = {prefix, start_after, 0, count_object, &counting};

    return prefix != NULL && store_list(repository->store, &listing) == STORE_OK ? 0 : -1;
}

/* In the order of the keys: the systems (digits), cluster.json, keys/. */
static int count_objects(struct repository *repository, struct picture_repository *picture)
{
    const struct cluster *cluster = &repository->cluster;
    char *prefix = string_printf("%s/", cluster->name), *after = string_printf("%s/a", cluster->name);
    int result = prefix == NULL || after == NULL ? -1 : 0;

    for (size_t i = 0; result == 0 && i < cluster->generation_count; i++) {
        uint64_t system = cluster->generations[i].system_identifier;
        char *folder = repository_system_key(repository, system, "");
        char *wal = repository_system_key(repository, system, "wal/");
        result = wal == NULL ? -1 : count_below(repository, folder, NULL, wal, picture);
        free(folder);
        free(wal);
    }
    if (result == 0)
        result = count_below(repository, prefix, after, NULL, picture);
    free(prefix);
    free(after);
    return result;
}

static int look_at_disk(const struct repository_config *settings, struct picture_repository *picture)
{
    struct statvfs disk;

    if (settings->kind != REPOSITORY_FILE)
        return 0;
    if (statvfs(settings->path, &disk) != 0) {
        log_error("could not look at the file system of \"%s\": %m", settings->path);
        return -1;
    }
    picture->has_disk = true;
    picture->disk_free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    picture->disk_size_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    return 0;
}

/* The whole */

static int gather_all(struct survey *survey, bool with_plan, struct picture_repository *picture)
{
    int result = take_backups(&survey->backups, picture);

    if (result == 0 && take_systems(survey, picture) != 0)
        result = -1;
    if (result == 0 && gather_proof(survey, picture) != 0)
        result = -1;
    picture->is_proof_known = result == 0 && picture->is_wal_known; /* else its reports were not looked at */
    if (count_objects(&survey->repository, picture) != 0)
        result = -1;
    else
        picture->is_counted = survey->count == survey->repository.cluster.generation_count;
    if (look_at_disk(picture->settings, picture) != 0)
        result = -1;
    if (with_plan && result == 0 && gather_plan(&survey->repository, picture) != 0)
        result = -1;
    return result;
}

void gather_repository(const struct config *config, const struct repository_config *settings, bool with_plan,
                       struct picture_repository *picture)
{
    struct survey survey;

    *picture = (struct picture_repository){.settings = settings};
    survey_load(config, settings, &survey);
    bool is_complete = survey.is_complete;
    snprintf(picture->server_error, sizeof picture->server_error, "%s", survey.server_error);
    picture->is_up = survey.is_read;
    if (picture->is_up && gather_all(&survey, with_plan, picture) != 0)
        is_complete = false;
    picture->is_complete = is_complete;
    if (!is_complete)
        snprintf(picture->error, sizeof picture->error, "%s",
                 log_last_error() != NULL ? log_last_error() : "not everything in it could be read");
    survey_close(&survey);
}

void gather_free(struct picture_repository *picture)
{
    free(picture->backups);
    free(picture->stretches);
    free(picture->drills);
    *picture = (struct picture_repository){.settings = picture->settings};
}
