#include "heartbeat.h"

#include "backup_sign.h"
#include "log.h"
#include "timestamp.h"

#include <stdlib.h>

#define HEARTBEAT_MICROSECONDS (300 * 1000000ll)
#define HEARTBEAT_TIMEOUT_SECONDS 30

void heartbeat_begin(struct heartbeat *heartbeat, struct targets *targets)
{
    heartbeat->targets = targets;
    heartbeat->next = monotonic_now() + HEARTBEAT_MICROSECONDS;
}

static void tell(struct targets *targets, struct target *target, const struct body *body)
{
    struct store_limits limits = {.operation_seconds = HEARTBEAT_TIMEOUT_SECONDS};
    char *key = targets_key(targets, target, "heartbeat.json");

    if (key == NULL)
        return;
    store_set_limits(target->repository.store, &limits);
    if (store_replace(target->repository.store, key, body) != STORE_OK)
        log_warning("repository \"%s\" does not know that the %s is still running",
                    target->repository.settings->name, targets->are_for_dump ? "dump" : "backup");
    store_set_limits(target->repository.store, &targets->limits);
    free(key);
}

void heartbeat_tick(struct heartbeat *heartbeat)
{
    struct targets *targets = heartbeat->targets;
    struct buffer text = BUFFER_EMPTY;

    if (monotonic_now() < heartbeat->next)
        return;
    if (backup_heartbeat_seal(targets->id, timestamp_now(), &text) == 0) {
        struct body body = {.data = text.data, .fd = -1, .length = text.length};
        if (sha256_of(text.data, text.length, body.sha256) == 0)
            for (size_t i = 0; i < targets->count; i++)
                if (target_is_alive(&targets->items[i]))
                    tell(targets, &targets->items[i], &body);
    }
    buffer_free(&text);
    heartbeat->next = monotonic_now() + HEARTBEAT_MICROSECONDS;
}
