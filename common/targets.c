#include "targets.h"

#include "log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *target_name(const struct target *target)
{
    return target->repository.settings->name;
}

bool target_is_alive(const struct target *target)
{
    return target->is_open && !atomic_load(&target->is_given_up);
}

bool targets_lane_is_alive(const struct targets *targets, size_t lane)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].lane == lane && target_is_alive(&targets->items[i]))
            return true;
    return false;
}

size_t targets_first_lane(const struct targets *targets)
{
    for (size_t lane = 0; lane < targets->lane_count; lane++)
        if (targets_lane_is_alive(targets, lane))
            return lane;
    return 0;
}

static bool any_alive(const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        if (target_is_alive(&targets->items[i]))
            return true;
    return false;
}

int target_give_up(struct targets *targets, struct target *target)
{
    bool first = !atomic_exchange(&target->is_given_up, true);

    const char *what = targets->are_for_dump ? "dump" : "backup";

    if (first && target->is_required)
        log_error("the %s to repository \"%s\" has failed", what, target_name(target));
    else if (first)
        log_warning("the %s to repository \"%s\" has failed, which the configuration allows (required = no)",
                    what, target_name(target));
    return any_alive(targets) ? 0 : -1;
}

static size_t find_lane(struct targets *targets, const struct compression *compression)
{
    size_t lane = 0;

    while (lane < targets->lane_count && !compression_is_equal(&targets->lanes[lane], compression))
        lane++;
    if (lane == targets->lane_count)
        targets->lanes[targets->lane_count++] = *compression;
    return lane;
}

static void open_one(const struct config *config, const struct repository_config *settings,
                     const struct state *state, struct targets *targets, bool is_required)
{
    struct target *target = &targets->items[targets->count++];

    target->is_required = is_required;
    target->lane = find_lane(targets, &settings->compression);
    target->repository.settings = settings;
    if (repository_open(config, settings, state, &targets->limits, &target->repository) != 0) {
        target->repository.settings = settings;
        target_give_up(targets, target);
        return;
    }
    target->is_open = true;
    if (repository_load_cluster(&target->repository, 0) != REPOSITORY_OK)
        target_give_up(targets, target);
}

int targets_open(const struct config *config, const char *only, const struct state *state, bool for_dump,
                 struct targets *targets)
{
    const struct repository_config *chosen = NULL;

    memset(targets, 0, sizeof *targets);
    targets->are_for_dump = for_dump;
    targets->limits.operation_seconds = config->basebackup_store_timeout_seconds;
    if (only != NULL && (chosen = config_repository(config, only)) == NULL)
        return -1;
    targets->items = calloc(config->repository_count, sizeof *targets->items);
    targets->lanes = calloc(config->repository_count, sizeof *targets->lanes);
    if (targets->items == NULL || targets->lanes == NULL) {
        targets_close(targets);
        return log_out_of_memory();
    }
    for (size_t i = 0; i < config->repository_count; i++) {
        const struct repository_config *settings = &config->repositories[i];
        if (chosen == NULL || settings == chosen)
            open_one(config, settings, state, targets, settings->required || settings == chosen);
    }
    if (any_alive(targets))
        return 0;
    targets_close(targets);
    return -1;
}

void targets_close(struct targets *targets)
{
    if (targets == NULL)
        return;
    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].is_open)
            repository_close(&targets->items[i].repository);
    free(targets->items);
    free(targets->lanes);
    memset(targets, 0, sizeof *targets);
}

int targets_accept(struct targets *targets, uint64_t system_identifier)
{
    targets->system_identifier = system_identifier;
    for (size_t i = 0; i < targets->count; i++) {
        struct target *target = &targets->items[i];
        if (!target_is_alive(target) ||
            cluster_generation(&target->repository.cluster, system_identifier) != NULL)
            continue;
        repository_tell_foreign(&target->repository, system_identifier);
        target_give_up(targets, target);
    }
    return any_alive(targets) ? 0 : -1;
}

char *targets_key(const struct targets *targets, const struct target *target, const char *file)
{
    char *rest = string_printf("%s/%s/%s", targets->are_for_dump ? "dumps" : "base", targets->id, file);
    char *key =
        rest == NULL ? NULL : repository_system_key(&target->repository, targets->system_identifier, rest);

    free(rest);
    return key;
}

/* What was put into the first ones: nobody else has a claim there. */
static void take_claims_back(struct targets *targets, size_t count, const char *file)
{
    for (size_t i = 0; i < count; i++) {
        struct target *target = &targets->items[i];
        char *key = target_is_alive(target) ? targets_key(targets, target, file) : NULL;
        if (key != NULL)
            store_delete(target->repository.store, key, NULL);
        free(key);
    }
}

int targets_claim(struct targets *targets, const char *file, const struct buffer *data)
{
    for (size_t i = 0; i < targets->count; i++) {
        struct target *target = &targets->items[i];
        if (!target_is_alive(target))
            continue;
        char *key = targets_key(targets, target, file);
        if (key == NULL)
            return -1;
        enum repository_result result = repository_put_small(&target->repository, key, data);
        free(key);
        if (result == REPOSITORY_COLLISION) {
            take_claims_back(targets, i, file);
            return 1;
        }
        if (result != REPOSITORY_OK && result != REPOSITORY_IDENTICAL && target_give_up(targets, target) != 0)
            return -1;
    }
    return 0;
}

int target_put(struct targets *targets, struct target *target, const char *file, const struct buffer *data)
{
    char *key = targets_key(targets, target, file);
    int result = -1;

    if (key == NULL)
        return -1;
    switch (repository_put_small(&target->repository, key, data)) {
    case REPOSITORY_OK:
    case REPOSITORY_IDENTICAL: /* an earlier try of the same request arrived after all */
        result = 0;
        break;
    case REPOSITORY_COLLISION:
        log_error("\"%s\" is there already, with other content",
                  store_describe(target->repository.store, key));
        break;
    default: /* logged */
        break;
    }
    free(key);
    return result;
}

int targets_put(struct targets *targets, const char *file, const struct buffer *data)
{
    for (size_t i = 0; i < targets->count; i++) {
        struct target *target = &targets->items[i];
        if (target_is_alive(target) && target_put(targets, target, file, data) != 0 &&
            target_give_up(targets, target) != 0)
            return -1;
    }
    return 0;
}

int targets_outcome(const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].is_required && !target_is_alive(&targets->items[i]))
            return -1;
    return any_alive(targets) ? 0 : -1;
}
