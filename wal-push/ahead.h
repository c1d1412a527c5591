/* Looking ahead: after the segment that PostgreSQL asked for, those that wait behind it are stored by the
 * same call, several at once, and remembered (stored.h). Source: rules 13 to 17 of docs/postgresql.md. */
#ifndef WALFERRY_AHEAD_H
#define WALFERRY_AHEAD_H

#include "shipper.h"
#include "source.h"

#include <sys/types.h>

/* Does a file wait behind this one that can be stored ahead? Costs one access(2). */
bool ahead_waits(const struct source *source);

struct ahead_settings {
    const struct config *config; /* borrowed, as all here */
    const struct state *state;
    const struct source *asked; /* which is stored */
    struct shipper *shipper;    /* that stored it; one of the workers */
    int64_t began, took; /* microseconds: when this call began (monotonic), how long the asked one took */
    int64_t deadline;    /* monotonic: of the call */
    pid_t parent;        /* when it began */
};

/* Nothing that goes wrong here is an error of the call; what is left waits until PostgreSQL asks for it.
 * Where another call of this cluster looks ahead, nothing is done. */
void ahead_run(const struct ahead_settings *settings);

/* Keeps every call of this cluster from looking ahead. Its descriptor, which ends that by being closed; -1
 * with errno set when it is not to be had within so many milliseconds. */
int ahead_take_lock(const struct state *state, unsigned milliseconds);

#endif
