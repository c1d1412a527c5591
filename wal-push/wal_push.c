/* wal-push PATH: PostgreSQL's archive_command. Exit status 0 means: every required repository holds the whole
 * file, and it is durable there. 1: could not store, PostgreSQL keeps the segment and asks again. 2: usage or
 * configuration. Never above 125. */
#include "source.h"

#include "common/log.h"
#include "common/options.h"
#include "common/repository.h"
#include "common/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a copy of cluster.json in state_dir is believed: the price of noticing an emptied bucket is one
 * GET in this time. */
#define CLUSTER_AGE_SECONDS 3600

struct push {
    struct config config;
    struct state state;
    const struct repository_config *only; /* --repository, or NULL: all */
    struct source source;
    struct object_spool spool;
    struct object_facts facts;
    struct body body;
    int64_t deadline; /* monotonic */
};

static bool is_chosen(const struct push *push, const struct repository_config *settings)
{
    return push->only == NULL || push->only == settings;
}

static bool goes_to_s3(const struct push *push)
{
    for (size_t i = 0; i < push->config.repository_count; i++)
        if (push->config.repositories[i].kind == REPOSITORY_S3 &&
            is_chosen(push, &push->config.repositories[i]))
            return true;
    return false;
}

/* Reads, checks, hashes and compresses: one read, one pass. */
static int pack(struct push *push)
{
    struct object_writer *writer = object_writer_new(push->config.compression_level);
    struct object_facts *facts = &push->facts;
    int result = -1;

    if (writer == NULL)
        return -1;
    snprintf(facts->kind, sizeof facts->kind, "%s", wal_kind_name(push->source.parsed.kind));
    snprintf(facts->name, sizeof facts->name, "%.*s",
             push->source.parsed.kind == WAL_PARTIAL ? WAL_PARTIAL_NAME_LENGTH : WAL_NAME_BYTES - 1,
             push->source.name);
    facts->system_identifier = push->source.system_identifier;
    facts->timeline = push->source.parsed.timeline;
    facts->postgresql_version = push->source.postgresql_version;
    if (object_spool_begin(&push->spool, push->state.directory, goes_to_s3(push)) == 0 &&
        object_writer_begin(writer, object_spool_sink(&push->spool)) == 0 &&
        source_read(&push->source, writer) == 0 && object_writer_end(writer, facts) == 0) {
        object_spool_body(&push->spool, &push->body);
        result = 0;
    }
    object_writer_free(writer);
    return result;
}

/* Is this cluster at home there? A remembered answer is asked for again before it becomes a refusal. */
static int check_cluster(struct push *push, struct repository *repository)
{
    uint64_t system = push->source.system_identifier;
    const struct generation *generation;

    if (repository_load_cluster(repository, CLUSTER_AGE_SECONDS) != REPOSITORY_OK)
        return -1;
    if (cluster_generation(&repository->cluster, system) == NULL &&
        repository_load_cluster(repository, 0) != REPOSITORY_OK)
        return -1;
    generation = cluster_generation(&repository->cluster, system);
    if (generation == NULL) {
        repository_tell_foreign(repository, system);
        return -1;
    }
    if (generation->segment_bytes != push->source.segment_bytes) {
        log_error("repository \"%s\" expects WAL segments of %" PRIu32
                  " bytes, \"%s\" comes from a server with %" PRIu32,
                  repository->settings->name, generation->segment_bytes, push->source.name,
                  push->source.segment_bytes);
        return -1;
    }
    return 0;
}

static void explain_collision(const struct push *push, const struct repository *repository)
{
    log_error("%s \"%s\" is in repository \"%s\" already, with other content, which stays",
              wal_kind_name(push->source.parsed.kind), push->source.name, repository->settings->name);
    log_hint("Two servers archive to one place, or this one was set back (restored copy, snapshot, repeated "
             "recovery without a new "
             "timeline). On a copy: archive_mode = off. See COLLISIONS in wal-push(1) for finding out which "
             "is right, and the way out.");
}

static void explain_damage(const struct push *push, const struct repository *repository)
{
    log_error("what repository \"%s\" holds as \"%s\" is damaged, and nothing is overwritten",
              repository->settings->name, push->source.name);
    log_hint("Move that object out of the way, under another name; PostgreSQL asks again, and the file is "
             "stored anew. "
             "See COLLISIONS in wal-push(1).");
}

/* Two standbys promoted one after the other archive different .partial files of one name, both rightly (rule
 * 18). */
static enum repository_result put_other_partial(struct push *push, struct repository *repository)
{
    char hash[SHA256_HEX_BYTES], name[OBJECT_NAME_BYTES + 16];

    hex_encode(push->facts.sha256, SHA256_BYTES, hash);
    snprintf(name, sizeof name, "%s.%.8s", push->facts.name, hash);
    char *key = repository_wal_key(repository, push->facts.system_identifier, name);
    if (key == NULL)
        return REPOSITORY_FAILED;
    log_info("\"%s\" is taken by another server's; stored as \"%s\"", push->source.name, name);
    enum repository_result result = repository_put_object(repository, key, &push->body, &push->facts);
    free(key);
    return result;
}

static int put_into(struct push *push, struct repository *repository)
{
    char *key = repository_wal_key(repository, push->facts.system_identifier, push->source.name);

    if (key == NULL)
        return -1;
    enum repository_result result = repository_put_object(repository, key, &push->body, &push->facts);
    free(key);
    if (result == REPOSITORY_COLLISION && push->source.parsed.kind == WAL_PARTIAL)
        result = put_other_partial(push, repository);
    if (result == REPOSITORY_COLLISION)
        explain_collision(push, repository);
    if (result == REPOSITORY_DAMAGED)
        explain_damage(push, repository);
    if (result == REPOSITORY_IDENTICAL)
        log_debug("\"%s\" was in repository \"%s\" already, identical", push->source.name,
                  repository->settings->name);
    if (result == REPOSITORY_OK)
        log_debug("stored \"%s\" in repository \"%s\"", push->source.name, repository->settings->name);
    return result == REPOSITORY_OK || result == REPOSITORY_IDENTICAL ? 0 : -1;
}

static int push_to(struct push *push, const struct repository_config *settings,
                   const struct store_limits *limits)
{
    struct repository repository;
    int result = -1;

    if (repository_open(&push->config, settings, &push->state, limits, &repository) != 0)
        return -1;
    if (check_cluster(push, &repository) == 0)
        result = put_into(push, &repository);
    repository_close(&repository);
    return result;
}

struct score {
    size_t to_do, stored;
    bool required_failed;
};

/* A store that hangs must not use up the time of the others: each gets an equal share of what is left. */
static struct store_limits share_time(const struct push *push, const struct score *score)
{
    int64_t now = monotonic_now();

    return (struct store_limits){
        .operation_seconds = push->config.wal_push_timeout_seconds,
        /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): each of those chosen was counted */
        .deadline = now + (push->deadline - now) / (int64_t)score->to_do,
    };
}

static void push_to_those(struct push *push, bool required, struct score *score)
{
    for (size_t i = 0; i < push->config.repository_count; i++) {
        const struct repository_config *settings = &push->config.repositories[i];
        if (settings->required != required)
            continue;
        if (!is_chosen(push, settings)) {
            if (required)
                log_warning("required repository \"%s\" is left out (--repository)", settings->name);
            continue;
        }
        const struct store_limits limits = share_time(push, score);
        score->to_do--;
        if (push_to(push, settings, &limits) == 0)
            score->stored++;
        else if (required || push->only != NULL)
            score->required_failed = true;
        else
            log_warning("repository \"%s\" (required = no) is left without \"%s\"", settings->name,
                        push->source.name);
    }
}

/* One repository that fails does not keep the others from getting theirs. Those that are not required come
 * last and may lag, but somewhere the file must be safe. */
static int push_to_all(struct push *push)
{
    struct score score = {0, 0, false};

    push->deadline = monotonic_now() + (int64_t)push->config.wal_push_timeout_seconds * 1000000;
    for (size_t i = 0; i < push->config.repository_count; i++)
        score.to_do += is_chosen(push, &push->config.repositories[i]);
    push_to_those(push, true, &score);
    push_to_those(push, false, &score);
    if (!score.required_failed && score.stored > 0)
        return 0;
    if (monotonic_now() >= push->deadline) {
        log_info("gave up after %u seconds; PostgreSQL will ask again",
                 push->config.wal_push_timeout_seconds);
        log_hint("A slow store may need more: [wal-push] timeout.");
    }
    return -1;
}

static int run(struct push *push, const char *path)
{
    switch (source_open(path, &push->config, &push->source)) {
    case SOURCE_OK:
        return pack(push) == 0 && push_to_all(push) == 0 ? 0 : 1;
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
    struct push push = {.source.fd = -1, .spool.fd = -1};
    char **operands;
    int status = options_parse(&program, argc, argv, &options, NULL, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    if (options_load(&options, &push.config, &push.only) != 0)
        return OPTIONS_USAGE_STATUS;
    state_open(&push.config, &push.state);
    status = run(&push, operands[0]);
    state_close(&push.state);
    source_close(&push.source);
    object_spool_free(&push.spool);
    config_free(&push.config);
    return status;
}
