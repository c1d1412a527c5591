/* What is known on this host of a program's last runs: a document in state_dir for each program and cluster,
 * with the last run that succeeded, the last that failed, and counts. For walferry-status, and for whoever
 * asks what came of last night's backup. Safe to lose. Layer 1. Format: docs/monitoring.md. */
#ifndef WALFERRY_OUTCOME_NOTE_H
#define WALFERRY_OUTCOME_NOTE_H

#include "json.h"
#include "state.h"

#include <stdbool.h>
#include <stdint.h>

#define OUTCOME_KIND_BYTES 32
#define OUTCOME_MESSAGE_BYTES 1000
#define OUTCOME_BACKUP_BYTES 64
#define OUTCOME_MODE_BYTES 16
#define OUTCOME_REPOSITORIES_MOST 16
#define OUTCOME_KINDS_MOST 16

struct outcome_repository { /* that a run had to do with */
    char name[65];
    bool is_done; /* what was asked for is done there */
};

struct outcome_run {
    int64_t started, ended; /* timestamps; both 0: there was none */
    uint64_t milliseconds;
    uint64_t status;                     /* that it exited with */
    uint64_t signal;                     /* that ended it; 0: none */
    char kind[OUTCOME_KIND_BYTES];       /* of a failure, as outcome.h lists them; "" */
    char message[OUTCOME_MESSAGE_BYTES]; /* of a failure: the error that was logged first; "" */
    char mode[OUTCOME_MODE_BYTES];       /* of a verification: "quick" or "full"; "" */
    char backup[OUTCOME_BACKUP_BYTES];   /* id; "" */
    bool has_bytes;
    uint64_t bytes, stored_bytes; /* stored, read or copied: docs/monitoring.md */
    uint64_t requests, retries;   /* over HTTP; retries are among the requests */
    struct outcome_repository repositories[OUTCOME_REPOSITORIES_MOST];
    size_t repository_count;
};

struct outcome_kind_count {
    char kind[OUTCOME_KIND_BYTES];
    uint64_t count;
};

enum outcome_last { OUTCOME_BY_TIME, OUTCOME_SUCCESS, OUTCOME_FAILURE }; /* by their times: an older note */

struct outcome_note {
    uint64_t runs, failures;    /* since the note is kept; each only grows */
    uint64_t requests, retries; /* of all these runs */
    struct outcome_kind_count kinds[OUTCOME_KINDS_MOST];
    size_t kind_count;
    struct outcome_run success, failure; /* the last of each */
    enum outcome_last last;              /* which of the two: a clock may have been set back between them */
};

/* The file's name in state_dir: "outcome-basebackup-push-main.json". Caller frees; NULL after logging. */
char *outcome_note_name(const char *program, const char *cluster);

/* 0; 1 when nothing usable is there (nothing is logged above debug level), *note is all zero then. */
int outcome_note_read(const struct state *state, const char *program, const char *cluster,
                      struct outcome_note *note);

/* Adds a run to what is there, with other runs kept out meanwhile; written atomically and synced. 0, or -1
 * after a warning; 0 also where there is no state directory that can be used. *note, if not NULL, is what is
 * there now. */
int outcome_note_add(const struct state *state, const char *program, const char *cluster,
                     const struct outcome_run *run, struct outcome_note *note);

#endif
