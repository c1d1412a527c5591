/* wal-fetch NAME PATH: PostgreSQL's restore_command. Exit status 0: the whole, verified file is at PATH. 1:
 * it is beyond doubt not in any repository (on a standby also: ask again). 200: could not find out, damaged,
 * wrong place; PostgreSQL stops and can be started again. A signal stays a signal. */
#include "ahead.h"
#include "hole.h"
#include "inquiry.h"

#include "common/file.h"
#include "common/log.h"
#include "common/options.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_FILE_MOST_BYTES (1024u * 1024)

struct fetch {
    struct config config;
    struct state state;
    struct situation situation;
    struct landing landing;
    struct ahead ahead;
    struct inquiry inquiry;
    const char *end_at; /* --end-at, else [wal-fetch] end_at; or NULL */
    uint32_t timeline;  /* --timeline, or 0 */
};

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

static bool needs_sync(const char *path)
{
    const char *name = path_name(path);

    return strcmp(name, "RECOVERYXLOG") != 0 && strcmp(name, "RECOVERYHISTORY") != 0;
}

/* was_ahead: it is not in the landing, or not only. */
static enum outcome land(struct fetch *fetch, enum outcome outcome, bool was_ahead)
{
    int result;

    if (outcome != OUTCOME_FOUND)
        return outcome;
    if (!situation_is_current(&fetch->situation)) {
        log_error("the server that asked for \"%s\" does not run any more", fetch->situation.name);
        return OUTCOME_UNKNOWN;
    }
    if (fetch->situation.caller == CALLER_RECOVERY && fetch->situation.parsed.kind == WAL_SEGMENT &&
        hole_is_behind_fork(&fetch->situation))
        return OUTCOME_HOLE;
    if (was_ahead)
        result = ahead_finish(&fetch->ahead, &fetch->landing);
    else
        result = landing_finish(&fetch->landing, needs_sync(fetch->situation.path));
    return result == 0 ? OUTCOME_FOUND : OUTCOME_UNKNOWN;
}

/* 0 with the outcome; -1 after logging: nothing can be asked. */
static int ask(struct fetch *fetch, enum outcome *outcome)
{
    const struct situation *situation = &fetch->situation;
    enum wal_kind kind = situation->parsed.kind;
    uint64_t most =
        kind == WAL_HISTORY || kind == WAL_BACKUP ? SMALL_FILE_MOST_BYTES : situation->control.segment_bytes;

    *outcome = OUTCOME_UNKNOWN;
    if (inquiry_open(&fetch->config, &fetch->state, situation, &fetch->landing, &fetch->inquiry) != 0)
        return -1;
    if (landing_open(situation->path, most, &fetch->landing) == 0)
        *outcome = land(fetch, inquiry_run(&fetch->inquiry), false);
    return 0;
}

static int run(struct fetch *fetch)
{
    enum outcome outcome = OUTCOME_ABSENT;
    int status = STATUS_STOP;

    ahead_open(&fetch->config, &fetch->state, fetch->end_at, &fetch->situation, &fetch->ahead);
    if (is_at_accepted_end(fetch)) {
        status = STATUS_ABSENT;
    } else if (ahead_take(&fetch->ahead, &fetch->landing)) {
        outcome = land(fetch, OUTCOME_FOUND, true);
        status = situation_status(&fetch->situation, outcome);
    } else if (ask(fetch, &outcome) == 0) {
        status = situation_status(&fetch->situation, outcome);
    }
    landing_close(&fetch->landing);
    if (status == STATUS_FOUND)
        ahead_found(&fetch->ahead);
    else
        ahead_over(&fetch->ahead);
    return status;
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

static int set_timeline(void *context, const char *value)
{
    char *end;
    unsigned long long number = strtoull(value, &end, 10);

    if (*value < '1' || *value > '9' || *end != '\0' || number > UINT32_MAX) {
        log_error("--timeline must be the number of a timeline, not \"%s\"", value);
        return -1;
    }
    ((struct fetch *)context)->timeline = (uint32_t)number;
    return 0;
}

static void close_all(struct fetch *fetch)
{
    inquiry_close(&fetch->inquiry);
    ahead_close(&fetch->ahead);
    situation_close(&fetch->situation);
    state_close(&fetch->state);
    config_free(&fetch->config);
}

int main(int argc, char **argv)
{
    static const struct option_spec own[] = {
        {"end-at", 0, "SEGMENT", set_end_at,
         "answer \"not there\" from this segment on: the end of recovery was accepted here"},
        {"timeline", 0, "N", set_timeline,
         "the timeline that is recovered, where recovery_target_timeline is a number"},
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
        .usage_status = STATUS_STOP,
        .takes_several = true,
    };
    struct options options;
    struct fetch fetch = {.landing.fd = -1, .ahead = {.directory = -1, .fd = -1, .part = -1}};
    char **operands;
    int status = options_parse(&program, argc, argv, &options, &fetch, &operands);

    if (status != OPTIONS_GO_ON)
        return status;
    /* Rule 2: the first timeline has no history; asking for it right after the point of no return must not
     * depend on anything. */
    if (strcmp(operands[0], "00000001.history") == 0)
        return STATUS_ABSENT;
    if (options_load_set(&options, &fetch.config) != 0)
        return STATUS_STOP;
    if (fetch.end_at == NULL)
        fetch.end_at = fetch.config.wal_fetch_end_at;
    state_open(&fetch.config, &fetch.state);
    status = STATUS_STOP;
    if (situation_open(&fetch.config, operands[0], operands[1], &fetch.situation) == 0) {
        fetch.situation.recovered_timeline = fetch.timeline;
        status = run(&fetch);
    }
    close_all(&fetch);
    return status;
}
