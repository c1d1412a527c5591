/* What the steps of a drill share. */
#ifndef WALFERRY_DRILL_H
#define WALFERRY_DRILL_H

#include "choose.h"
#include "expectation.h"
#include "postgres.h"
#include "scratch.h"

#include "common/child.h"
#include "common/result.h"

enum drill_step {
    STEP_CHOOSE,
    STEP_SCRATCH,
    STEP_FETCH,
    STEP_CONFIGURE,
    STEP_START,
    STEP_REPLAY,
    STEP_CHECKS,
    STEP_REPORT,
    STEP_CLEAN,
    STEP_DONE
};
extern const char *const drill_step_names[];

/* A check of the user, and what came of it. */
struct check_result {
    const char *name; /* borrowed from the configuration */
    struct check_parts parts;
    bool is_done, has_passed;
    char *value; /* owned; NULL: no row, or an SQL null, or a query that was refused */
    char *last;  /* owned; at the last drill that passed; NULL: not known */
    int64_t last_time;
};

struct drill_facts {
    char repository[64]; /* restored from */
    uint64_t restored_bytes;
    uint64_t peak_bytes; /* on disk, as far as it was looked */
    uint64_t replayed_lsn;
    uint32_t timeline;    /* on which the server opened */
    bool has_last_commit; /* any was replayed */
    int64_t last_commit;
    int64_t opened; /* a timestamp */
    uint64_t databases, closed_databases, relations, pages, unlogged;
    uint64_t prepared;     /* transactions that were rolled back for their locks */
    struct buffer missing; /* lines: what needs a library that is not there */
    uint64_t missing_count;
};

struct drill {
    const struct config *config;
    const struct options *options;
    const struct repository_config *const *repositories;
    size_t repository_count;
    struct drill_wish wish;
    bool is_kept;
    char *programs;    /* directory of walferry's */
    int64_t deadline;  /* monotonic */
    int64_t next_size; /* monotonic: when the directory's size is looked at */
    struct look look;

    enum drill_step step;
    int64_t seconds[STEP_DONE]; /* of each step, in microseconds */
    struct chosen chosen;
    struct scratch scratch;
    struct postgres postgres;
    struct drill_facts facts;
    struct check_result *checks;
    size_t check_count;
    char *problem;  /* why it failed; NULL */
    char *log_kept; /* NULL */
};

/* The steps, in their order; each 0, or -1 after logging. */
int drill_run(struct drill *drill);

/* Of all steps that a recovery would take too, in microseconds. */
int64_t drill_recovery_time(const struct drill *drill);
/* Behind what should have been reached the last commit is, in microseconds. False: there was none. */
bool drill_behind(const struct drill *drill, int64_t *behind);
/* "the newest", "time ...", "the end of the backup" */
/* What should have been reached: the target, or without one the moment when the server opened. */
int64_t drill_until(const struct drill *drill);
void drill_target_describe(const struct drill *drill, char *out, size_t length);

/* As long as may be waited for an answer. */
unsigned drill_seconds_left(const struct drill *drill);
/* A session in one of the server's databases, read-only or not; NULL after logging. */
struct server *drill_connect(const struct drill *drill, const char *database);
struct server *drill_connect_to_write(const struct drill *drill, const char *database);

#endif
