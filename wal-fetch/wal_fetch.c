/* wal-fetch NAME PATH: PostgreSQL's restore_command. Exit status 0: the whole, verified file is at PATH. 1:
 * it is beyond doubt not in any repository (on a standby also: ask again). 200: could not find out, damaged,
 * wrong place; PostgreSQL stops and can be started again. A signal stays a signal. */
#include "hole.h"
#include "landing.h"
#include "situation.h"

#include "common/log.h"
#include "common/options.h"
#include "common/repository.h"
#include "common/timestamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SMALL_FILE_MOST_BYTES (1024u * 1024)
#define RECOVERY_AGE_SECONDS 300 /* how long one look at cluster.json serves the misses of one recovery */

struct fetch {
    struct config config;
    struct state state;
    struct situation situation;
    struct landing landing;
    struct repository *repositories; /* those of the configuration, or the chosen one */
    size_t repository_count;
    const char *end_at; /* --end-at, else [wal-fetch] end_at; or NULL */
};

/* The object is whole; is it what was asked for? */
static enum outcome check_content(struct fetch *fetch, const struct object_facts *facts, const char *what)
{
    const struct situation *situation = &fetch->situation;
    const struct pg_control *control = &situation->control;
    struct wal_page page;
    uint64_t number;

    if (object_facts_check(facts, wal_kind_name(situation->parsed.kind), situation->name,
                           control->system_identifier, what) != 0)
        return facts->system_identifier == control->system_identifier ? OUTCOME_DAMAGED : OUTCOME_WRONG;
    if (situation->parsed.kind != WAL_SEGMENT)
        return OUTCOME_FOUND;
    if (fetch->landing.bytes != control->segment_bytes) {
        log_error("%s holds a segment of %" PRIu64 " bytes, but this cluster's have %" PRIu32, what,
                  fetch->landing.bytes, control->segment_bytes);
        return OUTCOME_WRONG;
    }
    if (!wal_page_parse(fetch->landing.header, sizeof fetch->landing.header, &page) ||
        page.system_identifier != control->system_identifier ||
        !wal_segment_number(&situation->parsed, control->segment_bytes, &number) ||
        page.address != number * control->segment_bytes) {
        log_error("%s does not begin with the first page of its segment", what);
        return OUTCOME_DAMAGED;
    }
    return OUTCOME_FOUND;
}

static enum outcome get_from(struct fetch *fetch, struct repository *repository)
{
    struct sink sink = landing_sink(&fetch->landing);
    struct object_facts facts;
    enum outcome outcome = OUTCOME_UNKNOWN;
    char *key;

    if (landing_restart(&fetch->landing) != 0)
        return OUTCOME_UNKNOWN;
    key = repository_wal_key(repository, fetch->situation.control.system_identifier, fetch->situation.name);
    if (key == NULL)
        return OUTCOME_UNKNOWN;
    switch (repository_get_object(repository, key, &sink, &facts)) {
    case REPOSITORY_OK:
        outcome = check_content(fetch, &facts, store_describe(repository->store, key));
        break;
    case REPOSITORY_ABSENT:
        outcome = OUTCOME_ABSENT;
        break;
    case REPOSITORY_DAMAGED:
        outcome = OUTCOME_DAMAGED;
        break;
    case REPOSITORY_SINK:
        outcome = fetch->landing.too_long ? OUTCOME_DAMAGED : OUTCOME_UNKNOWN;
        break;
    default:
        break;
    }
    free(key);
    return outcome;
}

/* "Not there" counts only in a place that is known to be this cluster's home: looked at during this very
 * recovery, which is named by the postmaster's process id and start time. */
static enum outcome confirm_place(struct fetch *fetch, struct repository *repository)
{
    const struct situation *situation = &fetch->situation;
    struct buffer remembered = BUFFER_EMPTY;
    int64_t age;
    enum outcome outcome = OUTCOME_UNKNOWN;
    char *name = state_name("recovery", &fetch->config, repository->settings);
    char *now = string_printf("%" PRId64 " %" PRId64 " %" PRIu64 "\n", situation->postmaster_pid,
                              situation->postmaster_started, situation->control.system_identifier);

    if (name == NULL || now == NULL)
        goto done;
    if (situation->postmaster_pid != 0 && repository->settings->kind == REPOSITORY_S3 &&
        state_read(&fetch->state, name, &remembered, &age) == 0 && age < RECOVERY_AGE_SECONDS &&
        strcmp(buffer_string(&remembered), now) == 0) {
        outcome = OUTCOME_ABSENT;
        goto done;
    }
    enum repository_result result = repository_load_cluster(repository, 0);
    if (result == REPOSITORY_ABSENT) {
        outcome = OUTCOME_WRONG;
    } else if (result == REPOSITORY_DAMAGED) {
        outcome = OUTCOME_DAMAGED;
    } else if (result == REPOSITORY_OK) {
        outcome = OUTCOME_ABSENT;
        if (cluster_generation(&repository->cluster, situation->control.system_identifier) == NULL) {
            log_error("repository \"%s\" is the home of another cluster: system %" PRIu64
                      " is not known there",
                      repository->settings->name, situation->control.system_identifier);
            outcome = OUTCOME_WRONG;
        } else {
            state_write(&fetch->state, name, now, strlen(now));
        }
    }
done:
    buffer_free(&remembered);
    free(name);
    free(now);
    return outcome;
}

/* Asks all until one has it. What one cannot answer another may have; "not there" needs all of them. */
static enum outcome ask_all(struct fetch *fetch)
{
    enum outcome worst = OUTCOME_ABSENT;

    for (size_t i = 0; i < fetch->repository_count; i++) {
        struct repository *repository = &fetch->repositories[i];
        enum outcome outcome = get_from(fetch, repository);
        if (outcome == OUTCOME_ABSENT)
            outcome = confirm_place(fetch, repository);
        if (outcome == OUTCOME_FOUND)
            return OUTCOME_FOUND;
        if (outcome == OUTCOME_ABSENT)
            continue;
        if (fetch->repository_count > 1)
            log_warning("repository \"%s\" did not answer for \"%s\"", repository->settings->name,
                        fetch->situation.name);
        if (worst == OUTCOME_ABSENT || outcome == OUTCOME_WRONG)
            worst = outcome;
    }
    return worst;
}

/* Rule 5. */
static bool is_at_accepted_end(const struct fetch *fetch)
{
    const struct situation *situation = &fetch->situation;

    if (fetch->end_at == NULL || situation->parsed.kind != WAL_SEGMENT ||
        strncmp(fetch->end_at, situation->name, 8) != 0 || strcmp(situation->name, fetch->end_at) < 0)
        return false;
    log_warning("\"%s\" is not looked for: the end of recovery was accepted at \"%s\"", situation->name,
                fetch->end_at);
    return true;
}

static void pause_briefly(int64_t deadline)
{
    int64_t left = deadline - monotonic_now();
    int64_t micros = left < 1000000 ? left : 1000000;

    if (micros > 0)
        nanosleep(&(struct timespec){micros / 1000000, (long)(micros % 1000000) * 1000}, NULL);
}

/* A segment that no repository has: the end, or a hole? A live archiver stores out of order, so what looks
 * like a hole is asked for again for a while. */
static enum outcome judge_miss(struct fetch *fetch)
{
    const struct situation *situation = &fetch->situation;
    int64_t deadline = monotonic_now() + (int64_t)fetch->config.wal_fetch_hole_wait_seconds * 1000000;
    bool partial;

    for (;;) {
        bool last = monotonic_now() >= deadline;
        if (hole_is_in_pg_wal(situation)) {
            log_warning("\"%s\" is in no repository, but whole in pg_wal: the server is told to use that",
                        situation->name);
            return OUTCOME_ABSENT;
        }
        switch (hole_look(situation, fetch->repositories, fetch->repository_count, &partial, last)) {
        case HOLE_NONE:
            log_info("\"%s\" is in no repository, nor is any later segment of its timeline: the end of the "
                     "archive%s",
                     situation->name,
                     partial ? " (a .partial of it is stored: see docs/recover-by-hand.md for using it)"
                             : "");
            return OUTCOME_ABSENT;
        case HOLE_UNKNOWN:
            return OUTCOME_UNKNOWN;
        case HOLE_FOUND:
            break;
        }
        if (last)
            return OUTCOME_HOLE;
        pause_briefly(deadline);
        enum outcome again = ask_all(fetch);
        if (again != OUTCOME_ABSENT)
            return again;
    }
}

/* Where giving up is expensive (rules 2 and 7) a store that fails at once is asked again until the time is
 * up. */
static bool asks_again(const struct situation *situation)
{
    return situation->caller == CALLER_SWITCH ||
           (situation->caller == CALLER_STANDBY && situation->parsed.kind == WAL_HISTORY);
}

static enum outcome fetch_file(struct fetch *fetch)
{
    const struct situation *situation = &fetch->situation;
    enum outcome outcome;

    for (;;) {
        outcome = ask_all(fetch);
        if (outcome != OUTCOME_UNKNOWN || !asks_again(situation) || monotonic_now() >= situation->deadline)
            break;
        pause_briefly(situation->deadline);
    }
    if (outcome == OUTCOME_ABSENT && situation->parsed.kind == WAL_SEGMENT &&
        situation->caller == CALLER_RECOVERY)
        return judge_miss(fetch);
    if (outcome == OUTCOME_ABSENT)
        log_debug("\"%s\" is in no repository", situation->name);
    return outcome;
}

static bool needs_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    return strcmp(name, "RECOVERYXLOG") != 0 && strcmp(name, "RECOVERYHISTORY") != 0;
}

static int open_repositories(struct fetch *fetch, const char *only)
{
    const struct repository_config *chosen = only == NULL ? NULL : config_repository(&fetch->config, only);
    struct store_limits limits = {.operation_seconds = 86400, .deadline = fetch->situation.deadline};

    if (only != NULL && chosen == NULL)
        return -1;
    fetch->repositories = calloc(fetch->config.repository_count, sizeof *fetch->repositories);
    if (fetch->repositories == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < fetch->config.repository_count; i++) {
        const struct repository_config *settings = &fetch->config.repositories[i];
        if (chosen != NULL && chosen != settings)
            continue;
        if (repository_open(&fetch->config, settings, &fetch->state, &limits,
                            &fetch->repositories[fetch->repository_count]) != 0)
            return -1;
        fetch->repository_count++;
    }
    return 0;
}

static int run(struct fetch *fetch, const char *only)
{
    const struct situation *situation = &fetch->situation;
    uint64_t most = situation->control.segment_bytes;
    enum outcome outcome = OUTCOME_UNKNOWN;

    if (is_at_accepted_end(fetch))
        return STATUS_ABSENT;
    if (open_repositories(fetch, only) != 0)
        return STATUS_STOP;
    if (situation->parsed.kind == WAL_HISTORY || situation->parsed.kind == WAL_BACKUP)
        most = SMALL_FILE_MOST_BYTES;
    if (landing_open(situation->path, most, &fetch->landing) == 0) {
        outcome = fetch_file(fetch);
        if (outcome == OUTCOME_FOUND && landing_finish(&fetch->landing, needs_sync(situation->path)) != 0)
            outcome = OUTCOME_UNKNOWN;
    }
    landing_close(&fetch->landing);
    return situation_status(situation, outcome);
}

static int set_end_at(void *context, const char *value)
{
    if (wal_name_parse(value).kind != WAL_SEGMENT) {
        log_error("--end-at must be the name of a WAL segment (24 hex digits), not \"%s\"", value);
        return -1;
    }
    ((struct fetch *)context)->end_at = value;
    return 0;
}

static void close_all(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->repository_count; i++)
        repository_close(&fetch->repositories[i]);
    free(fetch->repositories);
    situation_close(&fetch->situation);
    state_close(&fetch->state);
    config_free(&fetch->config);
}

int main(int argc, char **argv)
{
    static const struct option_spec own[] = {
        {"end-at", 0, "SEGMENT", set_end_at,
         "answer \"not there\" from this segment on: the end of recovery was accepted here"},
        {NULL, 0, NULL, NULL, NULL},
    };
    static const struct program program = {
        .name = "wal-fetch",
        .summary = "brings one WAL file back: restore_command = 'wal-fetch %f %p'",
        .operands = "NAME PATH",
        .operand_count = 2,
        .options = own,
        .epilogue = "Exit status: 0 in place and verified; 1 not there (standby: ask again); 200 could not "
                    "find out, damaged, wrong\n"
                    "place or usage: PostgreSQL stops and can be started again.",
    };
    struct options options = {0};
    struct fetch fetch = {.landing.fd = -1};
    char **operands;
    int status = STATUS_STOP;

    log_open(program.name, LOG_INFO, false);
    switch (options_parse(&program, argc, argv, &options, &fetch, &operands)) {
    case OPTIONS_RUN:
        break;
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_WRONG:
        return STATUS_STOP;
    }
    /* Rule 2: the first timeline has no history; asking for it right after the point of no return must not
     * depend on anything. */
    if (strcmp(operands[0], "00000001.history") == 0)
        return STATUS_ABSENT;
    if (config_load(options.config, &fetch.config) != 0)
        return STATUS_STOP;
    if (fetch.end_at == NULL)
        fetch.end_at = fetch.config.wal_fetch_end_at;
    state_open(&fetch.config, &fetch.state);
    if (situation_open(&fetch.config, operands[0], operands[1], &fetch.situation) == 0)
        status = run(&fetch, options.repository);
    close_all(&fetch);
    return status;
}
