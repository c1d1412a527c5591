/* Reading ahead, seen from the call that PostgreSQL waits for: takes what a helper (read_ahead.h) has
 * fetched, waits for what it is fetching, and starts one when the calls follow one another. Source: rules 3,
 * 8 and 11 of docs/postgresql.md. */
#ifndef WALFERRY_AHEAD_H
#define WALFERRY_AHEAD_H

#include "ahead_directory.h"
#include "landing.h"
#include "situation.h"

#include "common/state.h"

struct ahead {
    const struct config *config; /* borrowed, as the next three */
    const struct state *state;
    struct situation *situation;
    const char *end_at;
    unsigned segments; /* how many are read ahead; 0: none are, for this call */
    char name[AHEAD_NAME_BYTES];
    int directory; /* -1: none */
    struct ahead_owner owner;
    char *data_directory;   /* absolute */
    struct ahead_file file; /* that was taken */
    int fd;                 /* of it, -1 when it is in the landing */
    int part;               /* this call fetches it itself: the helper shall not; -1 */
};

/* Never fails: where anything is odd, nothing is read ahead. end_at: the accepted end, or NULL. */
void ahead_open(const struct config *config, const struct state *state, const char *end_at,
                struct situation *situation, struct ahead *ahead);
/* True when the segment was read ahead and is, looked at once more, what it must be; ahead_finish then gives
 * it its name. A damaged one is removed, and logged as a warning. What waiting took is given back to the
 * deadline, in archive recovery, where it would cost the recovery. */
bool ahead_take(struct ahead *ahead, struct landing *landing);
/* 0, or -1 after logging. */
int ahead_finish(struct ahead *ahead, struct landing *landing);

/* The segment is in place: the next ones will be asked for. */
void ahead_found(struct ahead *ahead);
/* It is not: what was read ahead is dropped, and a helper ends. */
void ahead_over(struct ahead *ahead);
void ahead_close(struct ahead *ahead);

#endif
