/* wal-push PATH: PostgreSQL's archive_command. Exit status 0 means: every required repository holds the whole
 * file, and it is durable there. 1: could not store, PostgreSQL keeps the segment and asks again. 2: usage or
 * configuration. Never above 125. */
#include "ahead.h"
#include "queue.h"
#include "shipper.h"
#include "source.h"
#include "stored.h"

#include "common/log.h"
#include "common/options.h"
#include "common/timestamp.h"

#include <unistd.h>

#define SPOOLS_BYTES (40u * 1024 * 1024) /* compressed files in memory, of all workers together */

struct push {
    struct config config;
    struct state state;
    const struct repository_config *only; /* --repository, or NULL: all */
    struct source source;
    struct shipper shipper;
    int64_t began, deadline; /* monotonic */
    pid_t parent;            /* when it began: the archiver, or the shell that it started */
};

static int ship(struct push *push)
{
    unsigned char sha256[SHA256_BYTES];

    if (shipper_ship(&push->shipper, &push->source, push->deadline, sha256) == 0)
        return 0;
    if (monotonic_now() >= push->deadline) {
        log_info("gave up after %u seconds; PostgreSQL will ask again",
                 push->config.wal_push_timeout_seconds);
        log_hint("A slow store may need more: [wal-push] timeout.");
    }
    return 1;
}

static void look_ahead(struct push *push)
{
    const struct ahead_settings settings = {
        .config = &push->config,
        .state = &push->state,
        .asked = &push->source,
        .shipper = &push->shipper,
        .began = push->began,
        .took = monotonic_now() - push->began,
        .deadline = push->deadline,
        .parent = push->parent,
    };

    if (push->only == NULL && push->config.wal_push_ahead > 0 && ahead_waits(&push->source))
        ahead_run(&settings);
}

/* What PostgreSQL asked for: the one file, and then those that wait behind it. */
static int push_asked(struct push *push)
{
    const bool by_hand = push->only != NULL;

    if (shipper_open(&push->config, &push->state, push->only, SPOOLS_BYTES / push->config.wal_push_parallel,
                     &push->shipper) != 0)
        return 1;
    if (!by_hand)
        queue_leave_out(&push->source, &push->shipper);
    if (ship(push) != 0)
        return by_hand || push->shipper.is_refused ? 1 : queue_failed(&push->source, &push->shipper);
    queue_went_on(&push->shipper);
    look_ahead(push);
    return 0;
}

static int run(struct push *push, const char *path)
{

    if (push->only == NULL && stored_has(&push->config, &push->state, path)) {
        log_debug("\"%s\" has been stored ahead", path);
        return 0;
    }
    switch (source_open(path, &push->config, &push->source)) {
    case SOURCE_OK:
        return push_asked(push);
    case SOURCE_USAGE:
        return 2;
    case SOURCE_REFUSED:
        break;
    }
    return 1;
}

int main(int argc, char **argv)
{
    static const struct program program = {
        .name = "wal-push",
        .summary = "archives one WAL file: archive_command = 'wal-push %p'",
        .operands = "PATH",
        .operand_count = 1,
        .epilogue = "Exit status: 0 stored in every required repository; 1 could not store; 2 usage or "
                    "configuration.",
    };
    struct options options;
    struct push push = {.source.fd = -1, .began = monotonic_now(), .parent = getppid()};
    char **operands;
    int status = options_parse(&program, argc, argv, &options, NULL, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (options_load(&options, &push.config, &push.only) != 0)
        return OPTIONS_USAGE_STATUS;
    push.deadline = push.began + (int64_t)push.config.wal_push_timeout_seconds * 1000000;
    state_open(&push.config, &push.state);
    status = run(&push, operands[0]);
    shipper_close(&push.shipper);
    source_close(&push.source);
    state_close(&push.state);
    config_free(&push.config);
    return status;
}
