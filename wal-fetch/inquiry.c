#include "inquiry.h"

#include "hole.h"

#include "common/log.h"
#include "common/timestamp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECOVERY_AGE_SECONDS 300 /* how long one look at cluster.json serves the misses of one recovery */
#define FIRST_ROUND_SECONDS 10   /* most that one of several repositories gets before the next is asked */
#define REST_SECONDS 30          /* how long reading ahead leaves a repository alone that has failed */
#define PAUSE_SECONDS_MOST 5

int inquiry_open(const struct config *config, const struct state *state, const struct situation *situation,
                 struct landing *landing, struct inquiry *inquiry)
{
    const struct store_limits limits = {.operation_seconds = 86400, .deadline = situation->deadline};

    *inquiry = (struct inquiry){.config = config,
                                .state = state,
                                .situation = situation,
                                .landing = landing,
                                .deadline = situation->deadline};
    inquiry->repositories = calloc(config->repository_count, sizeof *inquiry->repositories);
    if (inquiry->repositories == NULL)
        return log_out_of_memory();
    for (size_t i = 0; i < config->repository_count; i++) {
        const struct repository_config *settings = &config->repositories[i];
        if (repository_open(config, settings, state, &limits, &inquiry->repositories[inquiry->count]) == 0)
            inquiry->count++;
        else
            inquiry->unopened++; /* the others may have the file; but "not there" cannot be said any more */
    }
    return 0;
}

void inquiry_close(struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count; i++)
        repository_close(&inquiry->repositories[i]);
    free(inquiry->repositories);
    inquiry->repositories = NULL;
    inquiry->count = 0;
}

/* The object is whole; is it what was asked for? */
static enum outcome check_content(const struct inquiry *inquiry, const struct object_facts *facts,
                                  const char *what)
{
    const struct situation *situation = inquiry->situation;
    const struct pg_control *control = &situation->control;
    struct wal_page page;

    if (object_facts_check(facts, wal_kind_name(situation->parsed.kind), situation->content_name,
                           control->system_identifier, what) != 0)
        return facts->system_identifier == control->system_identifier ? OUTCOME_DAMAGED : OUTCOME_WRONG;
    if (situation->parsed.kind != WAL_SEGMENT)
        return OUTCOME_FOUND;
    if (inquiry->landing->bytes != control->segment_bytes) {
        log_error("%s holds a segment of %" PRIu64 " bytes, but this cluster's have %" PRIu32, what,
                  inquiry->landing->bytes, control->segment_bytes);
        return OUTCOME_WRONG;
    }
    if (!situation_fits_page(situation, inquiry->landing->header, &page)) {
        log_error("%s does not begin with the first page of its segment", what);
        return OUTCOME_DAMAGED;
    }
    return OUTCOME_FOUND;
}

static enum outcome get_from(struct inquiry *inquiry, struct repository *repository)
{
    struct sink sink = landing_sink(inquiry->landing);
    enum outcome outcome = OUTCOME_UNKNOWN;
    char *key;

    if (landing_restart(inquiry->landing) != 0)
        return OUTCOME_UNKNOWN;
    key = repository_wal_key(repository, inquiry->situation->control.system_identifier,
                             inquiry->situation->name);
    if (key == NULL)
        return OUTCOME_UNKNOWN;
    switch (repository_get_object(repository, key, &sink, &inquiry->facts)) {
    case REPOSITORY_OK:
        outcome = check_content(inquiry, &inquiry->facts, store_describe(repository->store, key));
        break;
    case REPOSITORY_ABSENT:
        outcome = OUTCOME_ABSENT;
        break;
    case REPOSITORY_DAMAGED:
        outcome = OUTCOME_DAMAGED;
        break;
    case REPOSITORY_SINK:
        if (!inquiry->landing->too_long)
            break;
        log_error("%s is damaged: it holds more than the %" PRIu64 " bytes that it may have",
                  store_describe(repository->store, key), inquiry->landing->most_bytes);
        outcome = OUTCOME_DAMAGED;
        break;
    default:
        break;
    }
    free(key);
    return outcome;
}

/* "<postmaster's pid> <its start> <system>": names this recovery, or run of a standby. */
static bool is_remembered(const struct inquiry *inquiry, const char *name, const char *now)
{
    struct buffer remembered = BUFFER_EMPTY;
    int64_t age;
    bool result = inquiry->situation->postmaster_pid != 0 &&
                  state_read(inquiry->state, name, &remembered, &age) == 0 && age < RECOVERY_AGE_SECONDS &&
                  strcmp(buffer_string(&remembered), now) == 0;

    buffer_free(&remembered);
    return result;
}

/* A cluster.json that cannot be read, or is a newer walferry's, is as good as another's. */
static enum outcome look_at_place(const struct inquiry *inquiry, struct repository *repository)
{
    uint64_t system = inquiry->situation->control.system_identifier;

    switch (repository_load_cluster_to_read(repository)) {
    case REPOSITORY_OK:
        break;
    case REPOSITORY_ABSENT:
    case REPOSITORY_DAMAGED:
        return OUTCOME_WRONG;
    default:
        return OUTCOME_UNKNOWN;
    }
    if (cluster_generation(&repository->cluster, system) != NULL)
        return OUTCOME_ABSENT;
    repository_tell_foreign(repository, system);
    return OUTCOME_WRONG;
}

/* "Not there" counts only in a place that is known to be this cluster's home: looked at during this very
 * recovery; now, if fresh. */
static enum outcome confirm_place(const struct inquiry *inquiry, struct repository *repository, bool fresh)
{
    const struct situation *situation = inquiry->situation;
    enum outcome outcome = OUTCOME_UNKNOWN;
    char *name = state_name("recovery", inquiry->config, repository->settings);
    char *now = string_printf("%" PRId64 " %" PRId64 " %" PRIu64 "\n", situation->postmaster_pid,
                              situation->postmaster_started, situation->control.system_identifier);

    if (name != NULL && now != NULL) {
        /* A directory is looked at every time: that costs nothing, and shows at once that it is not mounted
         * any more. */
        if (!fresh && repository->settings->kind == REPOSITORY_S3 && is_remembered(inquiry, name, now)) {
            outcome = OUTCOME_ABSENT;
        } else {
            outcome = look_at_place(inquiry, repository);
            if (outcome == OUTCOME_ABSENT)
                state_write(inquiry->state, name, now, strlen(now));
        }
    }
    free(name);
    free(now);
    return outcome;
}

/* A store that hangs must not use up the time of the others: each gets an equal share of what is left. */
static void share_time(const struct inquiry *inquiry, size_t index, int64_t most_seconds)
{
    int64_t now = monotonic_now(), share = (inquiry->deadline - now) / (int64_t)(inquiry->count - index);
    struct store_limits limits = {.operation_seconds = 86400};

    if (share > most_seconds * 1000000)
        share = most_seconds * 1000000;
    limits.deadline = now + share;
    store_set_limits(inquiry->repositories[index].store, &limits);
}

/* Asks all until one has it. What one cannot answer another may have; "not there" needs all of them. */
static enum outcome ask_all(struct inquiry *inquiry, int64_t most_seconds)
{
    enum outcome worst = inquiry->unopened == 0 ? OUTCOME_ABSENT : OUTCOME_WRONG;

    for (size_t i = 0; i < inquiry->count; i++) {
        struct repository *repository = &inquiry->repositories[i];
        share_time(inquiry, i, most_seconds);
        enum outcome outcome = get_from(inquiry, repository);
        if (outcome == OUTCOME_ABSENT)
            outcome = confirm_place(inquiry, repository, false);
        if (outcome == OUTCOME_FOUND)
            return OUTCOME_FOUND;
        if (outcome == OUTCOME_ABSENT)
            continue;
        if (inquiry->count > 1) {
            log_warning("repository \"%s\" %s \"%s\"", repository->settings->name,
                        outcome == OUTCOME_DAMAGED ? "has no good copy of" : "did not answer for",
                        inquiry->situation->name);
            log_hint(
                "The others are asked. If it will never answer again, leave it out: name each of the others "
                "with --repository NAME in restore_command (recovery-config --repository NAME).");
        }
        if (worst == OUTCOME_ABSENT || outcome == OUTCOME_WRONG)
            worst = outcome;
    }
    return worst;
}

static void pause_for(int64_t seconds, int64_t deadline)
{
    int64_t left = deadline - monotonic_now();
    int64_t micros = left < seconds * 1000000 ? left : seconds * 1000000;

    if (micros > 0)
        nanosleep(&(struct timespec){micros / 1000000, (long)(micros % 1000000) * 1000}, NULL);
}

/* Before the end of the archive is called, a place that did not show the segment before this one is looked at
 * once more: it may have been emptied in the middle of a recovery. */
static enum outcome confirm_end(const struct inquiry *inquiry, const struct hole_report *report)
{
    for (size_t i = 0; i < inquiry->count && !report->place_is_alive; i++) {
        share_time(inquiry, i, INT32_MAX);
        enum outcome outcome = confirm_place(inquiry, &inquiry->repositories[i], true);
        if (outcome != OUTCOME_ABSENT)
            return outcome;
    }
    log_info("\"%s\" is in no repository, nor is any later segment of its timeline: the end of the archive%s",
             inquiry->situation->name,
             report->partial ? " (a .partial of it is stored: see docs/recover-by-hand.md for using it)"
                             : "");
    return OUTCOME_ABSENT;
}

/* A segment that no repository has: the end, or a hole? A live archiver stores out of order, so what looks
 * like a hole is asked for again for a while; each round has the time of a call of its own, so that it ends
 * with an answer. */
static enum outcome judge_miss(struct inquiry *inquiry)
{
    const struct situation *situation = inquiry->situation;
    int64_t until = monotonic_now() + (int64_t)inquiry->config->wal_fetch_hole_wait_seconds * 1000000;
    struct hole_report report;
    bool was_filled = false;

    for (;;) {
        bool last = monotonic_now() >= until;
        inquiry->deadline = monotonic_now() + (int64_t)inquiry->config->wal_fetch_timeout_seconds * 1000000;
        if (hole_is_in_pg_wal(situation, last)) {
            log_warning("\"%s\" is in no repository, but whole in pg_wal: the server is told to use that",
                        situation->name);
            return OUTCOME_ABSENT;
        }
        for (size_t i = 0; i < inquiry->count; i++)
            share_time(inquiry, i, INT32_MAX);
        switch (hole_look(situation, inquiry->repositories, inquiry->count, &report, last)) {
        case HOLE_NONE:
            return confirm_end(inquiry, &report);
        case HOLE_UNKNOWN:
            return OUTCOME_UNKNOWN;
        case HOLE_FILLED: /* once more, even at the last moment */
            if (was_filled && last) {
                log_error("\"%s\" is listed, but cannot be got", situation->name);
                return OUTCOME_UNKNOWN;
            }
            was_filled = true;
            last = false;
            break;
        case HOLE_FOUND:
            break;
        }
        if (last)
            return OUTCOME_HOLE;
        pause_for(1, until);
        enum outcome again = ask_all(inquiry, INT32_MAX);
        if (again != OUTCOME_ABSENT)
            return again;
    }
}

/* Where giving up is expensive (rules 2 and 7) it is asked again until the time is up. */
static bool asks_again(const struct situation *situation, enum outcome outcome)
{
    return situation->caller == CALLER_SWITCH ||
           (situation->caller == CALLER_STANDBY && outcome == OUTCOME_UNKNOWN &&
            situation->parsed.kind == WAL_HISTORY);
}

enum outcome inquiry_run(struct inquiry *inquiry)
{
    const struct situation *situation = inquiry->situation;
    enum outcome outcome;
    int64_t pause = 1;

    for (bool first = true;; first = false) {
        bool next_round_is_longer = first && inquiry->count > 1;
        outcome = ask_all(inquiry, next_round_is_longer ? FIRST_ROUND_SECONDS : INT32_MAX);
        if (outcome == OUTCOME_FOUND || outcome == OUTCOME_ABSENT || monotonic_now() >= inquiry->deadline)
            break;
        if (next_round_is_longer && outcome == OUTCOME_UNKNOWN)
            continue;
        if (!asks_again(situation, outcome))
            break;
        pause_for(pause, inquiry->deadline);
        pause = pause < PAUSE_SECONDS_MOST ? pause + 1 : pause; /* each round has its messages */
    }
    if (outcome == OUTCOME_ABSENT && situation->parsed.kind == WAL_SEGMENT &&
        situation->caller == CALLER_RECOVERY)
        return judge_miss(inquiry);
    if (outcome == OUTCOME_ABSENT && situation->caller == CALLER_OTHER) /* a person is told */
        log_info("\"%s\" is in no repository", situation->name);
    else if (outcome == OUTCOME_ABSENT)
        log_debug("\"%s\" is in no repository", situation->name);
    return outcome;
}

enum outcome inquiry_ask_once(struct inquiry *inquiry, unsigned seconds, int64_t *rest)
{
    const struct store_limits limits = {.operation_seconds = seconds};
    enum outcome worst = OUTCOME_ABSENT;

    for (size_t i = 0; i < inquiry->count; i++) {
        if (monotonic_now() < rest[i])
            continue;
        store_set_limits(inquiry->repositories[i].store, &limits);
        enum outcome outcome = get_from(inquiry, &inquiry->repositories[i]);
        if (outcome == OUTCOME_FOUND ||
            outcome == OUTCOME_DAMAGED) /* which the call itself is to find, and say */
            return outcome;
        if (outcome == OUTCOME_ABSENT)
            continue;
        worst = outcome;
        if (outcome == OUTCOME_UNKNOWN)
            rest[i] = monotonic_now() + REST_SECONDS * 1000000;
    }
    return worst;
}
