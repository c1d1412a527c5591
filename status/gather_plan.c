#include "gather_plan.h"

#include "common/holdings.h"

#include <string.h>

static void take_plan_of_backup(const struct retention *retention, const struct retention_backup *planned,
                                struct picture_repository *picture)
{
    uint64_t system = retention->generations[planned->generation].system_identifier;

    for (size_t i = 0; i < picture->backup_count; i++) {
        struct picture_backup *backup = &picture->backups[i];
        if (backup->system_identifier == system && strcmp(backup->id, planned->id) == 0) {
            backup->reasons = planned->reasons;
            backup->goes = planned->reasons == 0;
        }
    }
    if (planned->reasons == 0)
        picture->bytes_going += planned->stored_bytes;
}

static void take_plan_of_wal(const struct retention_timeline *timeline, struct picture_repository *picture)
{
    for (size_t i = 0; i < timeline->span_count; i++)
        if (!timeline->spans[i].stays) {
            picture->segments_going += timeline->spans[i].segments;
            picture->bytes_going += timeline->spans[i].stored_bytes;
        }
}

static void take_plan(const struct retention *retention, struct picture_repository *picture)
{
    for (size_t i = 0; i < retention->backup_count; i++)
        take_plan_of_backup(retention, &retention->backups[i], picture);
    for (size_t i = 0; i < retention->generation_count; i++)
        for (size_t k = 0; k < retention->generations[i].timeline_count; k++)
            take_plan_of_wal(&retention->generations[i].timelines[k], picture);
    picture->is_planned = true;
}

int gather_plan(struct repository *repository, struct picture_repository *picture)
{
    struct holdings holdings;
    int result = -1;

    if (!retention_policy_is_given(&repository->settings->retention))
        return 0;
    if (holdings_load(repository, NULL, &holdings) == REPOSITORY_OK &&
        retention_plan(&holdings.retention) == 0) {
        take_plan(&holdings.retention, picture);
        result = 0;
    }
    holdings_free(&holdings);
    return result;
}
