#include "survey.h"

#include "log.h"

#include <stdio.h>
#include <stdlib.h>

static size_t count_backups(const struct backup_list *backups, uint64_t system)
{
    size_t count = 0;

    for (size_t i = 0; i < backups->count; i++)
        count += backups->backups[i].system_identifier == system;
    return count;
}

/* 0, 1 when something of it could not be read (logged; the rest is there), or -1 after logging. */
static int load_system(struct survey *survey, const struct config *config,
                       const struct generation *generation, struct survey_system *system)
{
    system->generation = generation;
    system->backup_count = count_backups(&survey->backups, generation->system_identifier);
    enum repository_result result = wal_archive_load(&survey->repository, generation->system_identifier,
                                                     generation->segment_bytes, &system->archive);
    if (result == REPOSITORY_FAILED || wal_archive_settle(&system->archive) != 0 ||
        windows_find(&system->archive, &survey->backups, &system->windows) != REPOSITORY_OK)
        return -1;
    if (exposure_find(config->pgdata, &system->archive, &system->windows, &system->exposure) != 0)
        snprintf(survey->server_error, sizeof survey->server_error, "%s",
                 log_last_error() != NULL ? log_last_error() : "pg_wal could not be read");
    return system->archive.damaged_count > 0;
}

static int load_systems(const struct config *config, struct survey *survey)
{
    const struct cluster *cluster = &survey->repository.cluster;
    int result = 0;

    survey->systems = calloc(cluster->generation_count, sizeof *survey->systems);
    if (survey->systems == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < cluster->generation_count; i++) {
        struct survey_system *system = &survey->systems[survey->count];
        int loaded = load_system(survey, config, &cluster->generations[i], system);
        if (loaded != 0)
            result = -1;
        if (loaded >= 0)
            survey->count++;
        else {
            windows_free(&system->windows);
            wal_archive_close(&system->archive);
        }
    }
    return result;
}

int survey_load(const struct config *config, const struct repository_config *settings, struct survey *survey)
{
    const struct store_limits limits = {.operation_seconds = config->basebackup_store_timeout_seconds};

    *survey = (struct survey){.settings = settings};
    if (repository_open(config, settings, NULL, &limits, &survey->repository) != 0)
        return -1;
    survey->is_open = true;
    if (repository_load_cluster_to_read(&survey->repository) != REPOSITORY_OK ||
        backup_list_load(&survey->repository, &survey->backups) != REPOSITORY_OK)
        return -1;
    survey->is_read = true;
    survey->is_complete = load_systems(config, survey) == 0 && survey->backups.damaged == 0;
    return survey->is_complete && survey->server_error[0] == '\0' ? 0 : -1;
}

void survey_close(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        windows_free(&survey->systems[i].windows);
        wal_archive_close(&survey->systems[i].archive);
    }
    free(survey->systems);
    backup_list_free(&survey->backups);
    if (survey->is_open)
        repository_close(&survey->repository);
    *survey = (struct survey){.settings = survey->settings};
}

size_t survey_holes(const struct wal_archive *archive, uint32_t timeline, struct archive_gap *holes,
                    size_t most)
{
    const struct archive_timeline *found = wal_archive_timeline(archive, timeline);
    struct archive_gap hole;
    size_t count = 0;

    for (uint64_t from = 0; found != NULL && wal_archive_next_hole(found, from, &hole);
         from = hole.last + 1) {
        if (count < most)
            holes[count] = hole;
        count++;
    }
    return count;
}
