#include "hold.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

struct holding {
    struct repository *repository;
    bool on, failed;
    unsigned count;
};

static bool hold(void *context, const struct store_version *version)
{
    struct holding *holding = context;
    size_t length = strlen(version->key), skipped = strlen("/heartbeat.json");

    if (version->is_delete_marker || (holding->on && !version->is_latest) ||
        (length > skipped && strcmp(version->key + length - skipped, "/heartbeat.json") == 0))
        return true;
    holding->failed = store_set_hold(holding->repository->store, version->key, version->version_id,
                                     holding->on) != STORE_OK;
    holding->count++;
    return !holding->failed;
}

int hold_backup(struct repository *repository, uint64_t system_identifier, const char *id, bool on,
                unsigned *count)
{
    struct holding holding = {.repository = repository, .on = on};
    char *rest = string_printf("base/%s/", id);
    char *prefix = rest == NULL ? NULL : repository_system_key(repository, system_identifier, rest);
    const struct store_version_listing listing = {prefix, NULL, hold, &holding};
    int result = -1;

    if (prefix != NULL && store_list_versions(repository->store, &listing) == STORE_OK && !holding.failed)
        result = 0;
    else if (prefix != NULL)
        log_hint(
            "%u objects of backup %s have been seen to; the same command again does all. It needs "
            "s3:ListBucketVersions and s3:PutObjectLegalHold, and a bucket with object lock; legal_hold = "
            "no in section [repository %s] leaves holds alone.",
            holding.count - holding.failed, id, repository->settings->name);
    *count = holding.count;
    free(prefix);
    free(rest);
    return result;
}
