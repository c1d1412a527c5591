#include "expire_plan.h"

#include "common/log.h"
#include "common/timestamp.h"

#include <stdlib.h>

/* Planning */

int expire_plan_again(struct expire_plan *plan)
{
    const struct holdings *holdings = &plan->holdings;

    if (retention_plan(&plan->holdings.retention) != 0)
        return -1;
    leftovers_plan(&holdings->retention, &plan->leftovers);
    if (retention_is_proven(&holdings->retention))
        return 0;
    log_hint(
        "Nothing more is removed from repository \"%s\". This is a fault of walferry: please report it, with "
        "the output of basebackup-expire --dry-run --json.",
        holdings->repository->settings->name);
    return -1;
}

/* Locks */

static void tell_lock(const struct retention_backup *backup)
{
    char until[TIMESTAMP_TEXT_BYTES];

    timestamp_format_iso(backup->lock.until, until);
    if (backup->lock.is_legal_hold)
        log_warning("backup %s has a legal hold and stays", backup->id);
    else
        log_warning("backup %s is locked until %s and stays", backup->id, until);
}

static int ask_for_lock(struct holdings *holdings, struct retention_backup *backup)
{
    struct repository *repository = holdings->repository;
    uint64_t system = holdings->retention.generations[backup->generation].system_identifier;
    char *key = backup_key(repository, system, backup->id, "manifest.json");
    int result =
        key != NULL && store_get_lock(repository->store, key, "", &backup->lock) == STORE_OK ? 0 : -1;

    free(key);
    if (result == 0 && backup->lock.is_locked)
        tell_lock(backup);
    return result;
}

/* Asked beforehand, so that no backup is half deleted, and that a dry run tells what a run would do. What is
 * locked stays with all that it needs: so the plan is made once more. */
static int plan_for_locks(struct expire_plan *plan)
{
    struct holdings *holdings = &plan->holdings;
    struct retention *retention = &holdings->retention;
    bool any_locked = false;

    for (size_t i = 0; i < retention->backup_count && holdings->keeps_versions; i++) {
        struct retention_backup *backup = &retention->backups[i];
        if (backup->state != RETENTION_COMPLETE || backup->reasons != 0)
            continue;
        if (ask_for_lock(holdings, backup) != 0)
            return -1;
        any_locked = any_locked || backup->lock.is_locked;
    }
    return any_locked ? expire_plan_again(plan) : 0;
}

/* The plan */

static int load(struct repository *repository, struct holdings *holdings)
{
    enum repository_result result = holdings_load(repository, NULL, holdings);

    if (result == REPOSITORY_DAMAGED)
        log_error("repository \"%s\": nothing is removed as long as the history of a timeline is damaged: "
                  "which WAL belongs to which backup is not known",
                  repository->settings->name);
    return result == REPOSITORY_OK ? 0 : -1;
}

/* Whoever may not ask for them can expire all the rest. */
static void load_leftovers(struct repository *repository, struct expire_plan *plan)
{
    plan->lacks_leftovers = leftovers_load(repository, &plan->leftovers) != 0;
    if (!plan->lacks_leftovers)
        return;
    log_hint(
        "What was never finished is left alone. To list uploads s3:ListBucketMultipartUploads is needed.");
    leftovers_free(&plan->leftovers);
}

int expire_plan_make(struct repository *repository, struct expire_plan *plan)
{
    struct holdings *holdings = &plan->holdings;

    *plan = (struct expire_plan){.lacks_leftovers = false};
    if (load(repository, holdings) != 0)
        return -1;
    load_leftovers(repository, plan);
    if (expire_plan_again(plan) != 0 || plan_for_locks(plan) != 0)
        return -1;
    if (holdings->retention.is_stale)
        log_warning("repository \"%s\": no backup has been completed for long, or only one since: nothing "
                    "goes because of its age",
                    repository->settings->name);
    return 0;
}

void expire_plan_free(struct expire_plan *plan)
{
    leftovers_free(&plan->leftovers);
    holdings_free(&plan->holdings);
}
