/* Where a call of wal-fetch comes from, and what each outcome means there. The one table of statuses is in
 * situation.c. Source: rules 1 to 10 of docs/postgresql.md. */
#ifndef WALFERRY_SITUATION_H
#define WALFERRY_SITUATION_H

#include "common/config.h"
#include "common/pg_control.h"
#include "common/wal.h"

#include <stdbool.h>

#define STATUS_FOUND 0
#define STATUS_ABSENT 1 /* in archive recovery: "the end"; on a standby: "ask again" */
#define STATUS_STOP 200 /* FATAL: PostgreSQL stops, and can be started again */

enum caller {
    CALLER_RECOVERY, /* recovery.signal */
    CALLER_STANDBY,  /* standby.signal */
    CALLER_SWITCH,   /* the server itself (PATH's name), but neither signal file: past the point of no return
                        (rule 2) */
    CALLER_OTHER,    /* pg_rewind or a person: another name of PATH and no signal file (rule 8) */
};

enum outcome {
    OUTCOME_FOUND,
    OUTCOME_ABSENT,  /* every repository was asked, and this cluster's cluster.json is there */
    OUTCOME_HOLE,    /* absent, but more WAL lies behind it */
    OUTCOME_UNKNOWN, /* a store could not be asked */
    OUTCOME_DAMAGED,
    OUTCOME_WRONG, /* wrong place, wrong system, bad configuration, bad usage */
};

struct situation {
    const char *name;                  /* what is asked for, borrowed */
    const char *path;                  /* where it goes, borrowed */
    char content_name[WAL_NAME_BYTES]; /* what the object must say it holds: without the hash of a second
                                          .partial (rule 18) */
    struct wal_name parsed;
    char *directory;      /* of path: pg_wal */
    char *data_directory; /* its parent */
    enum caller caller;
    struct pg_control control;
    uint32_t recovered_timeline;                /* --timeline; 0: to be told by the history files in pg_wal */
    int64_t postmaster_pid, postmaster_started; /* 0 when there is none */
    int64_t deadline;                           /* monotonic: when this call must know its answer */
};

/* 0, or -1 after logging: nothing can be found out here (OUTCOME_WRONG). */
int situation_open(const struct config *config, const char *name, const char *path,
                   struct situation *situation);
/* Is the server that asked still the one that runs? A call that outlived it must not lay its file in the next
 * one's way. */
bool situation_is_current(const struct situation *situation);
/* Does this begin the segment that is asked for: its address, this system, this block size? */
bool situation_fits_page(const struct situation *situation, const unsigned char header[WAL_LONG_HEADER_BYTES],
                         struct wal_page *page);
/* Does pg_wal hold a file of the name that is asked for? */
bool situation_has_local(const struct situation *situation);
void situation_close(struct situation *situation);

/* The exit status; logs what the user has to know about it, once. */
int situation_status(const struct situation *situation, enum outcome outcome);

#endif
